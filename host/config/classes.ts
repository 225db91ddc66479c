// [[class]] tables: from a document to a Config, and what a schema cannot say about them.
import { isIPv4, isIPv6 } from "node:net";
import {
  CLASS_RULES_MAX,
  type ClassConfig,
  type ClassMatch,
  DEFAULT_CLASS,
  NATIVE_POLICY,
  type Prefix,
} from "./config.ts";
import { portRange, reportRange } from "./ports.ts";
import { type Report, reportPathNames } from "./report.ts";
import type { ClassEntry, ConfigFile } from "./schema.ts";

/** "192.0.2.0/24", "2001:db8::1"; null if it is neither address nor prefix. */
function prefixOf(text: string): Prefix | null {
  const [address = "", bits, ...rest] = text.split("/");
  const family = isIPv4(address) ? 4 : isIPv6(address) && !address.includes("%") ? 6 : null;
  if (family === null || rest.length > 0 || !/^\d{0,3}$/.test(bits ?? "")) return null;
  const most = family === 4 ? 32 : 128;
  const length = bits === undefined ? most : Number(bits);
  return bits === "" || length > most ? null : { address, length, family };
}

/** Whether a text is an address or a prefix (a format of the schema). */
export function isPrefix(text: string): boolean {
  return prefixOf(text) !== null;
}

/** The default class first, then those of the file. */
export function classConfigs(document: ConfigFile): ClassConfig[] {
  const policy = document.policy ?? {};
  const prefer = policy.prefer ?? document.path.map((path) => path.name);
  const standard: ClassConfig = {
    name: DEFAULT_CLASS,
    match: null,
    policy: policy.default ?? NATIVE_POLICY,
    settings: policy.settings ?? {},
    prefer,
    paths: null,
  };
  return [standard, ...(document.class ?? []).map((entry) => classConfig(entry, standard))];
}

// A class without a policy has the default one; settings belong to the policy that they are for, so they are not
// inherited with another policy's name.
function classConfig(entry: ClassEntry, standard: ClassConfig): ClassConfig {
  const inherits = entry.policy === undefined || entry.policy === standard.policy;
  return {
    name: entry.name,
    match: matchOf(entry),
    policy: entry.policy ?? standard.policy,
    settings: entry.settings ?? (inherits ? standard.settings : {}),
    prefer: entry.prefer ?? standard.prefer.filter((name) => entry.paths?.includes(name) ?? true),
    paths: entry.paths ?? null,
  };
}

function matchOf({ match }: ClassEntry): ClassMatch {
  return {
    ports: match.ports?.map(portRange) ?? null,
    prefixes: match.prefix?.flatMap((text) => prefixOf(text) ?? []) ?? null,
    uids: match.uid ?? null,
  };
}

export function reportClasses(document: ConfigFile, paths: string[], report: Report): void {
  const names = [DEFAULT_CLASS];
  let rules = 0;
  for (const [index, entry] of (document.class ?? []).entries()) {
    const key = ["class", index] as const;
    if (entry.name === DEFAULT_CLASS) {
      report([...key, "name"], `"${DEFAULT_CLASS}" is the class of what no other matches; set it in [policy]`);
    } else if (names.includes(entry.name)) {
      report([...key, "name"], `"${entry.name}" is already the name of another class; expected a name of its own`);
    }
    names.push(entry.name);
    for (const [i, range] of (entry.match.ports ?? []).entries()) {
      reportRange(portRange(range), [...key, "match", "ports", i], report);
    }
    const lists = [entry.match.ports, entry.match.prefix, entry.match.uid];
    const combinations = lists.reduce((product, list) => product * (list?.length ?? 1), 1);
    if (rules <= CLASS_RULES_MAX && rules + combinations > CLASS_RULES_MAX) {
      const found = `found ${rules + combinations} up to here`;
      report([...key, "match"], `expected at most ${CLASS_RULES_MAX} combinations of port, prefix and uid, ${found}`);
    }
    rules += combinations;
    reportPathNames(entry.paths ?? [], paths, [...key, "paths"], report);
    const usable = entry.paths?.filter((name) => paths.includes(name));
    reportPathNames(entry.prefer ?? [], usable ?? paths, [...key, "prefer"], report);
  }
}
