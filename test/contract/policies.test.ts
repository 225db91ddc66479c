// What every shipped policy has in common: a manifest that its source agrees with, and a module that the ABI allows.
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { MODULE_SIZE_MAX, OWN_REASON_FIRST, SETTING_MAX } from "../../host/policy/abi.ts";
import { encodeSettings, type PolicyManifest } from "../../host/policy/settings.ts";
import { isMissing } from "../../plugins/sdk/what-if.ts";
import { shippedPolicies } from "../../scripts/build-policies.ts";
import { ROOT, readSource, repositoryFiles } from "./sources.ts";

interface AbiDocument {
  exports: { name: string; type: string; required: boolean }[];
  imports: { module: string; name: string }[];
}

const abi = JSON.parse(readSource("plugins/abi.json")) as AbiDocument;
const upper = (name: string) => name.toUpperCase();

/** Members of `enum name { A, B = 2 }` in a source, in order; undefined if there is none. */
function members(source: string, name: string): string[] | undefined {
  const body = new RegExp(`\\benum ${name} \\{([^}]*)\\}`).exec(source)?.[1];
  return body?.split(",").flatMap((member) => member.trim().replace(/ *=.*/, "") || []);
}

describe.each(shippedPolicies())("plugins/%s", (name) => {
  const manifest = JSON.parse(readSource(`plugins/${name}/policy.json`)) as PolicyManifest;
  const sources = repositoryFiles(new RegExp(`^plugins/${name}/(policy\\.(ts|c)|src/.*\\.rs)$`));
  const source = sources.map(readSource).join("\n");

  test("has a manifest with defaults that are allowed", () => {
    expect(manifest.name).toBe(name);
    expect(manifest.settings.length).toBeLessThanOrEqual(SETTING_MAX);
    for (const setting of manifest.settings) {
      expect(setting.name).toMatch(/^[a-z][a-z0-9_]*$/);
      if (setting.type === "path") continue;
      expect(typeof setting.default, setting.name).toBe(setting.type === "boolean" ? "boolean" : "number");
      if (setting.type === "boolean") continue;
      expect(setting.default, setting.name).toBeGreaterThanOrEqual(setting.minimum ?? Number.NaN);
      expect(setting.default, setting.name).toBeLessThanOrEqual(setting.maximum ?? Number.NaN);
    }
    expect(encodeSettings(manifest, {}, () => undefined).length).toBe(8 * manifest.settings.length);
  });

  test("reads its settings and names its reasons in the manifest's order", () => {
    if (!sources.some((file) => file.endsWith(".ts"))) return;
    expect(members(source, "Setting")).toEqual(manifest.settings.map((setting) => upper(setting.name)));
    expect(members(source, "Own")).toEqual(manifest.reasons);
    if (manifest.reasons) expect(source).toContain(`${manifest.reasons[0]} = ${OWN_REASON_FIRST}`);
  });

  test("is one file of fewer than 200 lines that says what it promises", () => {
    expect(sources.length).toBe(1);
    expect(source.split("\n").length).toBeLessThan(200);
    expect(source.slice(0, 400)).toContain("Promise:");
  });

  test.skipIf(isMissing(path.join(ROOT, "plugins", name)))("is a module that the ABI allows", () => {
    const octets = readFileSync(path.join(ROOT, "build/policies", `${name}.wasm`));
    expect(octets.length).toBeLessThan(MODULE_SIZE_MAX / 16);
    const module = new WebAssembly.Module(octets);
    const exported = WebAssembly.Module.exports(module).map((entry) => entry.name);
    for (const { name: required } of abi.exports.filter((entry) => entry.required))
      expect(exported).toContain(required);
    // What linkers add of their own begins with two underscores.
    const known = (entry: string) => entry.startsWith("__") || abi.exports.some((allowed) => allowed.name === entry);
    expect(exported.filter((entry) => !known(entry))).toEqual([]);
    const allowed = abi.imports.map(({ module, name }) => `${module}.${name}`);
    for (const entry of WebAssembly.Module.imports(module)) expect(allowed).toContain(`${entry.module}.${entry.name}`);
  });
});
