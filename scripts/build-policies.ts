// Builds the shipped policies: plugins/NAME -> build/policies/NAME.wasm. What has not changed is skipped; so is, with a line
// that says so, what this machine has no compiler for (AssemblyScript's comes with the npm libraries).
//
//   node scripts/build-policies.ts [NAME...]
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildPolicy, CompilerMissing, languageOf } from "../host/policy/author/build.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const OUTPUT = join(ROOT, "build/policies");

/** Names of the shipped policies: the folders with a policy.json. */
export function shippedPolicies(): string[] {
  return globSync("plugins/*/policy.json", { cwd: ROOT })
    .map((file) => basename(dirname(file)))
    .sort();
}

/** Hash of all that a policy's build depends on. */
function sourcesHash(name: string): string {
  const hash = createHash("sha256");
  hash.update((createRequire(import.meta.url)("assemblyscript/package.json") as { version: string }).version);
  const sdk = { AssemblyScript: "as", C: "c", Rust: "rust" }[languageOf(join(ROOT, "plugins", name))];
  const sources = [`plugins/${name}/**/*.{ts,c,h,rs,toml,lock}`, `plugins/sdk/${sdk}/**/*.{ts,json,h,rs,toml}`];
  const files = globSync([...sources, "host/policy/author/build.ts"], { cwd: ROOT }).filter(
    (file) => !file.includes("/test/"),
  );
  for (const file of files.sort()) hash.update(`\0${file}\0`).update(readFileSync(join(ROOT, file)));
  return hash.digest("hex");
}

async function build(name: string): Promise<void> {
  const stamp = join(OUTPUT, `${name}.stamp`);
  const output = join(OUTPUT, `${name}.wasm`);
  const hash = sourcesHash(name);
  if (existsSync(output) && existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return;
  // Beside its place and moved there: other runs may be reading.
  const scratch = join(OUTPUT, `.${name}-${process.pid}.wasm`);
  try {
    const warnings = await buildPolicy(join(ROOT, "plugins", name), scratch);
    if (warnings !== "") throw new Error(`the compiler warns:\n${warnings}`);
    renameSync(scratch, output);
    writeFileSync(stamp, hash);
  } finally {
    rmSync(scratch, { force: true });
  }
}

/** Builds these policies, or all; returns a line for each that was skipped. Throws with all that failed. */
export async function buildPolicies(names = shippedPolicies()): Promise<string[]> {
  mkdirSync(OUTPUT, { recursive: true });
  const results = await Promise.allSettled(names.map(build));
  const skipped: string[] = [];
  const failed: string[] = [];
  for (const [index, result] of results.entries()) {
    if (result.status === "fulfilled") continue;
    const line = `policy ${names[index]}: ${(result.reason as Error).message}`;
    (result.reason instanceof CompilerMissing ? skipped : failed).push(line);
  }
  if (failed.length > 0) throw new Error(failed.join("\n\n"));
  return skipped.map((line) => `${line} (skipped)`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const names = process.argv.slice(2);
  for (const line of await buildPolicies(names.length > 0 ? names : undefined)) console.log(line);
}
