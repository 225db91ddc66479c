// Which policies there are: the engine's own, those that come with Shunt, and the operator's. A policy is a folder
// named like it with a policy.json and a policy.wasm; of the shipped ones the module lies where it was built.
import { type Dirent, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv } from "ajv";
import { type Config, NATIVE_POLICY } from "../config/config.ts";
import { SETTING_MAX } from "./abi.ts";
import type { PolicyManifest } from "./settings.ts";

/** A policy that can be used. */
export interface PolicyEntry {
  name: string;
  /** "native": part of the engine; "shipped": comes with Shunt; "own": the operator's. */
  kind: "native" | "shipped" | "own";
  description: string;
  /** null for a native one. */
  manifest: PolicyManifest | null;
  /** The module, null for a native one. */
  file: string | null;
}

/** A folder that cannot be used. */
export interface CatalogProblem {
  folder: string;
  message: string;
}

const NATIVE: PolicyEntry = {
  name: NATIVE_POLICY,
  kind: "native",
  description: "all data on the most preferred path that is up; the others joined and waiting",
  manifest: null,
  file: null,
};

const ROOT = join(import.meta.dirname, "..", "..");
export const SHIPPED_DIRECTORY = join(ROOT, "plugins");
const SHIPPED_MODULES = join(ROOT, "build", "policies");
/** What a policy may be called. */
export const POLICY_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/;
/** Folders of plugins/ that hold no policy. */
const NO_POLICIES = new Set(["sdk", "template", "scenarios"]);

const isManifest = new Ajv({ allowUnionTypes: true }).compile<PolicyManifest>({
  type: "object",
  properties: {
    name: { type: "string", pattern: POLICY_NAME.source },
    description: { type: "string" },
    reasons: { type: "array", items: { type: "string" } },
    settings: {
      type: "array",
      maxItems: SETTING_MAX,
      items: {
        type: "object",
        properties: {
          name: { type: "string" },
          type: { enum: ["integer", "boolean", "fraction", "path"] },
          default: { type: ["number", "boolean"] },
          minimum: { type: "number" },
          maximum: { type: "number" },
        },
        required: ["name", "type"],
      },
    },
  },
  required: ["name", "description", "settings"],
});

/** The policies that a configuration may name. Looks at the disk each time that it is made. */
export class Catalog {
  readonly entries: readonly PolicyEntry[];
  /** Folders that are no policies although they have a policy.json. */
  readonly problems: readonly CatalogProblem[];

  private constructor(entries: PolicyEntry[], problems: CatalogProblem[]) {
    this.entries = entries;
    this.problems = problems;
  }

  static of(config: Pick<Config, "policy">): Catalog {
    return Catalog.in(config.policy.directory);
  }

  /** `directory`: of the operator's own policies, null = there are none. */
  static in(directory: string | null): Catalog {
    const problems: CatalogProblem[] = [];
    const found = [NATIVE, ...scan(SHIPPED_DIRECTORY, "shipped", problems)];
    const own = directory === null ? [] : scan(directory, "own", problems);
    // The operator's own come last, so that nobody takes a shipped name unseen.
    for (const entry of own) {
      const twin = found.find((other) => other.name === entry.name);
      if (twin === undefined) found.push(entry);
      else problems.push({ folder: entry.name, message: `"${entry.name}" is the name of a ${twin.kind} policy` });
    }
    return new Catalog(found, problems);
  }

  find(name: string): PolicyEntry | undefined {
    return this.entries.find((entry) => entry.name === name);
  }
}

function scan(directory: string, kind: "shipped" | "own", problems: CatalogProblem[]): PolicyEntry[] {
  let folders: Dirent[];
  try {
    folders = readdirSync(directory, { withFileTypes: true }).filter((entry) => !entry.isFile());
  } catch (error) {
    // A checkout in which nothing is built, or nothing written, has no such directory.
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    if (!isMissing) problems.push({ folder: directory, message: (error as Error).message });
    return [];
  }
  return folders.flatMap(({ name }) => {
    const folder = join(directory, name);
    if ((kind === "shipped" && NO_POLICIES.has(name)) || !existsSync(join(folder, "policy.json"))) return [];
    try {
      return [readPolicy(folder, name, kind)];
    } catch (error) {
      problems.push({ folder, message: (error as Error).message });
      return [];
    }
  });
}

/** The policy of a folder. Throws an Error of one line if it is none. */
export function readPolicy(folder: string, name: string, kind: "shipped" | "own"): PolicyEntry {
  const manifest: unknown = JSON.parse(readFileSync(join(folder, "policy.json"), "utf8"));
  if (!isManifest(manifest)) {
    const error = isManifest.errors?.[0];
    throw new Error(`policy.json${error?.instancePath.replaceAll("/", ".")}: ${error?.message}`);
  }
  if (manifest.name !== name) throw new Error(`policy.json says the name "${manifest.name}", the folder "${name}"`);
  const file = kind === "shipped" ? join(SHIPPED_MODULES, `${name}.wasm`) : join(folder, "policy.wasm");
  return { name, kind, description: manifest.description, manifest, file };
}
