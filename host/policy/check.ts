// What a configuration says about policies, held against the policies that there are.
import { Ajv } from "ajv";
import type { Config } from "../config/config.ts";
import type { ConfigCheck } from "../config/load.ts";
import type { KeyPath } from "../config/positions.ts";
import { type Report, suggestion } from "../config/report.ts";
import { Catalog, type PolicyEntry } from "./catalog.ts";
import { checkInputName } from "./inputs/sources.ts";
import { settingsSchema } from "./settings.ts";

/** For loadConfig(): every class's policy must exist, and take its settings. */
export const checkPolicies: ConfigCheck = (config: Config, report: Report) => {
  const catalog = Catalog.of(config);
  const names = catalog.entries.map((entry) => entry.name);
  const paths = config.paths.map((path) => path.name);
  for (const [index, { policy, settings }] of config.classes.entries()) {
    // The default class, index 0, is written as [policy].
    const policyKey: KeyPath = index === 0 ? ["policy", "default"] : ["class", index - 1, "policy"];
    const settingsKey: KeyPath = index === 0 ? ["policy", "settings"] : ["class", index - 1, "settings"];
    const entry = catalog.find(policy);
    if (entry === undefined) {
      report(policyKey, `unknown policy ${JSON.stringify(policy)}${suggestion(policy, names)}`);
      continue;
    }
    for (const { name, message } of settingProblems(entry, settings, paths)) report([...settingsKey, name], message);
  }
  for (const [index, input] of config.policy.inputs.entries()) {
    const problem = checkInputName(input);
    if (problem !== null) report(["policy", "inputs", index], problem);
  }
};

/** What is wrong with the settings of a policy; `paths` are the names that there are. */
export function settingProblems(
  entry: PolicyEntry,
  settings: Readonly<Record<string, unknown>>,
  paths: readonly string[],
): { name: string; message: string }[] {
  const manifest = entry.manifest ?? { name: entry.name, description: "", settings: [] };
  const ajv = new Ajv({ allErrors: true, verbose: true, keywords: ["expected"] });
  const validate = ajv.compile(settingsSchema(manifest));
  validate(settings);
  const shape = (validate.errors ?? []).map((error) => {
    if (error.keyword === "additionalProperties") {
      const name = String(error.params.additionalProperty);
      const known = manifest.settings.map((setting) => setting.name);
      const hint = known.length === 0 ? "; it has none" : suggestion(name, known);
      return { name, message: `the policy "${entry.name}" has no such setting${hint}` };
    }
    const expected = (error.parentSchema as { expected?: string } | undefined)?.expected ?? error.message;
    return {
      name: error.instancePath.slice(1),
      message: `expected ${expected}, found ${JSON.stringify(error.data)}`,
    };
  });
  const unknownPaths = manifest.settings.flatMap(({ name, type }) => {
    const value = settings[name];
    if (type !== "path" || typeof value !== "string" || paths.includes(value)) return [];
    return [{ name, message: `no path is named "${value}"${suggestion(value, paths)}` }];
  });
  return [...shape, ...unknownPaths];
}
