// The policy that an author's command is about: a folder of his, or the name of one that comes with Shunt.
import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { Catalog, type PolicyEntry, readPolicy, SHIPPED_DIRECTORY } from "../catalog.ts";
import { buildPolicy, CompilerMissing, languageOf } from "./build.ts";
import { linkInstallation } from "./links.ts";
import { AuthorError } from "./new.ts";

export interface Subject {
  entry: PolicyEntry;
  /** null = it comes with Shunt. */
  folder: string | null;
}

/** Scenarios of the policies that come with Shunt. */
export const SHIPPED_SCENARIOS = join(SHIPPED_DIRECTORY, "scenarios");

/** "." and what has a slash is a folder, anything else a name. Throws AuthorError. */
export function subjectOf(text: string): Subject {
  const folder = resolve(text);
  const isName = !text.includes("/") && text !== ".";
  const shipped = Catalog.in(null);
  const name = isName ? text : folder.startsWith(`${SHIPPED_DIRECTORY}/`) ? basename(folder) : null;
  const entry = name === null ? undefined : shipped.find(name);
  if (entry !== undefined) return { entry, folder: null };
  if (isName && !existsSync(join(folder, "policy.json"))) {
    const names = shipped.entries.map((other) => `"${other.name}"`).join(", ");
    throw new AuthorError(`no policy is named "${text}"; there are ${names}, or name the folder of your own`, {
      isWrongUse: true,
    });
  }
  return { entry: ownPolicy(folder), folder };
}

function ownPolicy(folder: string): PolicyEntry {
  if (!existsSync(join(folder, "policy.json"))) {
    throw new AuthorError(`${folder} is no policy: it has no policy.json; shunt policy new NAME makes one that has`, {
      isWrongUse: true,
    });
  }
  try {
    return readPolicy(folder, basename(folder), "own");
  } catch (error) {
    throw new AuthorError(`${folder}: ${(error as Error).message}`);
  }
}

/** What building gave. */
export interface Built {
  file: string;
  bytes: number;
  /** What its compiler warned of, "" = nothing. */
  warnings: string;
}

/** Compiles a policy of one's own to its policy.wasm, if its source is there. Throws AuthorError. */
export async function buildOwn(folder: string): Promise<Built | null> {
  const file = join(folder, "policy.wasm");
  try {
    languageOf(folder);
  } catch (error) {
    // A module that came without its source, from a compiler of another language.
    if (existsSync(file)) return null;
    throw new AuthorError((error as Error).message);
  }
  linkInstallation(folder);
  try {
    const warnings = await buildPolicy(folder, file);
    return { file, bytes: readFileSync(file).length, warnings };
  } catch (error) {
    if (error instanceof CompilerMissing) throw new AuthorError(`${basename(folder)} is not built: ${error.message}`);
    throw new AuthorError(`${basename(folder)} is not built: ${(error as Error).message}`);
  }
}

/** Scenario files that are meant for a policy; `named`: those asked for. Throws AuthorError if there are none. */
export function scenariosOf({ folder }: Subject, named: readonly string[]): string[] {
  if (named.length > 0) return named.map((file) => shippedScenario(file) ?? resolve(file));
  const directory = folder === null ? SHIPPED_SCENARIOS : join(folder, "scenarios");
  const files = globSync("*.toml", { cwd: directory }).sort();
  if (files.length === 0) {
    throw new AuthorError(`no scenario in ${directory}; write one there (docs/SCENARIOS.md), or name one`);
  }
  return files.map((file) => join(directory, file));
}

/** "drive-through-a-tunnel" stands for the one that comes with Shunt. */
function shippedScenario(name: string): string | null {
  const file = join(SHIPPED_SCENARIOS, `${name}.toml`);
  return !name.includes("/") && !name.endsWith(".toml") && existsSync(file) ? file : null;
}
