// docs/POLICY-SETTINGS.md: the shipped policies and what can be set, from their policy.json.
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { OWN_REASON_FIRST } from "../../host/policy/abi.ts";
import type { PolicyManifest } from "../../host/policy/settings.ts";

function settingsTable({ settings }: PolicyManifest): string[] {
  if (settings.length === 0) return ["It has no settings."];
  const rows = settings.map(({ name, type, default: value, minimum, maximum, unit = "", doc }) => {
    const range = minimum === undefined ? "" : `${minimum} … ${maximum}`;
    return `| \`${name}\` | ${type} | ${value ?? "not set"} | ${range} | ${unit} | ${doc} |`;
  });
  return ["| setting | type | default | range | unit | |", "|---|---|---:|---|---|---|", ...rows];
}

export function settingsPage(root: string): string {
  const lines = [
    "# The shipped policies and their settings",
    "",
    "<!-- Generated from plugins/*/policy.json by scripts/policy-abi-generate.ts. Do not edit. -->",
    "",
    "Set them in `[class.settings]` of the class. What a policy promises, and why, stands at the top of its source,",
    "`plugins/NAME/policy.ts`. Beside these there is `active-standby`, which is part of the engine ([POLICIES.md](POLICIES.md)).",
  ];
  for (const file of globSync("plugins/*/policy.json", { cwd: root }).sort()) {
    const manifest = JSON.parse(readFileSync(join(root, file), "utf8")) as PolicyManifest;
    lines.push("", `## ${manifest.name}`, "", `${manifest.description}.`, "", ...settingsTable(manifest));
    const reasons = manifest.reasons?.map((reason, index) => `${OWN_REASON_FIRST + index} ${reason}`);
    if (reasons) lines.push("", `Its own reasons: ${reasons.join(", ")}.`);
  }
  return `${lines.join("\n")}\n`;
}
