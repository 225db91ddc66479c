// `shunt policy new`: a folder that is a policy already, small, with tests that pass.
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Catalog, POLICY_NAME, SHIPPED_DIRECTORY } from "../catalog.ts";
import { linkInstallation } from "./links.ts";

/** What an author asked for makes no sense as it was asked, or cannot be done. One line: cause; remedy. */
export class AuthorError extends Error {
  override readonly name = "AuthorError";
  /** It was asked for in the wrong way. */
  readonly isWrongUse: boolean;

  constructor(message: string, { isWrongUse = false } = {}) {
    super(message);
    this.isWrongUse = isWrongUse;
  }
}

const TEMPLATES = join(SHIPPED_DIRECTORY, "template");

/** Folders whose files make up a new policy, by language; `example`: a shipped policy that serves as the start. */
const LANGUAGES = {
  as: { folders: ["as"], example: null },
  c: { folders: ["c"], example: "cheapest-c" },
  rust: { folders: ["rust"], example: "quietest-rust" },
} as const;
export type Language = keyof typeof LANGUAGES;
export const LANGUAGE_NAMES = Object.keys(LANGUAGES) as Language[];

export interface NewPolicy {
  folder: string;
  /** Relative to it. */
  files: string[];
}

/** Makes the folder NAME in `directory`. Throws AuthorError, and then nothing was made. */
export function newPolicy(name: string, language: Language, directory: string): NewPolicy {
  checkName(name, language);
  const folder = resolve(directory, name);
  if (existsSync(folder)) {
    throw new AuthorError(`${folder} is there already and was left as it is; choose another name, or another --dir`);
  }
  let draft: string;
  try {
    mkdirSync(dirname(folder), { recursive: true });
    // Beside its place and moved there: half a policy is worse than none.
    draft = mkdtempSync(join(dirname(folder), ".shunt-policy-"));
  } catch (error) {
    throw new AuthorError(`cannot write in ${dirname(folder)}: ${(error as Error).message}; name another --dir`);
  }
  try {
    const policy = join(draft, name);
    fill(policy, name, language);
    const files = filesOf(policy);
    renameSync(policy, folder);
    linkInstallation(folder);
    return { folder, files };
  } finally {
    rmSync(draft, { recursive: true });
  }
}

function checkName(name: string, language: Language): void {
  const wrong = (message: string) => new AuthorError(message, { isWrongUse: true });
  if (!POLICY_NAME.test(name)) {
    throw wrong(
      `"${name}" cannot be a policy's name; expected letters, digits, '.', '_' and '-', 32 characters at most`,
    );
  }
  if (language === "rust" && !/^[A-Za-z][A-Za-z0-9_-]*$/.test(name)) {
    throw wrong(`"${name}" cannot be a crate's name; expected a letter first, then letters, digits, '_' and '-'`);
  }
  const twin = Catalog.in(null).find(name);
  if (twin !== undefined) throw wrong(`"${name}" is the name of a ${twin.kind} policy; choose another name`);
}

function fill(folder: string, name: string, language: Language): void {
  const { folders, example } = LANGUAGES[language];
  if (example !== null) {
    const isSource = (file: string) => !/\/(test|target)(\/|$)/.test(file.slice(SHIPPED_DIRECTORY.length));
    cpSync(join(SHIPPED_DIRECTORY, example), folder, { recursive: true, filter: isSource });
  }
  for (const part of ["common", ...folders]) cpSync(join(TEMPLATES, part), folder, { recursive: true });
  // npm leaves a file of the true name out of what it packs.
  renameSync(join(folder, "gitignore"), join(folder, ".gitignore"));
  for (const file of filesOf(folder)) {
    const path = join(folder, file);
    const text = readFileSync(path, "utf8");
    // cargo takes no path through node_modules, since it would be inside of the crate.
    writeFileSync(path, named(text, name, example).replaceAll("../sdk/rust", join(SHIPPED_DIRECTORY, "sdk/rust")));
  }
}

function named(text: string, name: string, example: string | null): string {
  const renamed = example === null ? text : text.replaceAll(example, name);
  return renamed.replaceAll("NEW-POLICY", name);
}

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}
