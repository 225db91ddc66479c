// Generates what mirrors the policy ABI from its document of record, plugins/abi.json, and the page of settings from the
// shipped policies' policy.json.
//
//   node scripts/policy-abi-generate.ts            writes the bindings and the page
//   node scripts/policy-abi-generate.ts --check    writes nothing, exits 1 and names the files that differ
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { assemblyscript, c, rust, typescript } from "./policy-abi/languages.ts";
import { readAbi, SOURCE } from "./policy-abi/model.ts";
import { markdown } from "./policy-abi/page.ts";
import { settingsPage } from "./policy-abi/settings-page.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");

function read(path: string): string {
  try {
    return readFileSync(join(ROOT, path), "utf8");
  } catch {
    return "";
  }
}

function main(): void {
  const abi = readAbi(ROOT);
  const outputs: [string, string][] = [
    ["host/policy/abi.ts", typescript(abi)],
    ["plugins/sdk/as/abi.ts", assemblyscript(abi)],
    ["plugins/sdk/rust/src/abi.rs", rust(abi)],
    ["plugins/sdk/c/shunt_policy_abi.h", c(abi)],
    ["docs/POLICY-ABI.md", markdown(abi)],
    ["docs/POLICY-SETTINGS.md", settingsPage(ROOT)],
  ];
  if (!process.argv.includes("--check")) {
    for (const [path, text] of outputs) writeFileSync(join(ROOT, path), text);
    return;
  }
  const stale = outputs.filter(([path, text]) => read(path) !== text).map(([path]) => path);
  if (stale.length === 0) return;
  process.stderr.write(
    `${stale.join(", ")}: differs from ${SOURCE} or a policy.json; run "node scripts/policy-abi-generate.ts"\n`,
  );
  process.exitCode = 1;
}

main();
