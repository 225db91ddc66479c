// What a daemon that could not clean up after itself has left in this network namespace: found by name (chains, sets,
// the park device) and by routing protocol number (rules, routes), so that it works without the state file too.
import { CommandError, execute } from "./execute.ts";
import { PARK_DEVICE, PROTOCOL } from "./marks.ts";
import { endOrphans } from "./orphans.ts";
import { listChains, removeRules } from "./rules.ts";
import { destroySets, listSets } from "./sets.ts";

/** Everything of ours that stands in this network namespace, in words. Throws CommandError. */
export async function findLeftovers(): Promise<string[]> {
  const found: string[] = [];
  for (const chain of await listChains()) found.push(`netfilter chain ${chain}`);
  for (const set of await listSets()) found.push(`ipset ${set}`);
  for (const family of ["-4", "-6"]) {
    for (const rule of await listRules(family)) found.push(`routing rule "${rule}"`);
    const routes = await execute("ip", [family, "route", "show", "table", "all", "proto", String(PROTOCOL)]);
    for (const route of lines(routes)) found.push(`route "${route}"`);
  }
  if (await hasParkDevice()) found.push(`interface ${PARK_DEVICE}`);
  return found;
}

/**
 * Removes all of it, and ends the connections that were converted. Rules before sets: a set that a rule uses cannot go.
 * Throws CommandError.
 */
export async function removeLeftovers(): Promise<void> {
  await endOrphans();
  await removeRules(null);
  await destroySets(await listSets());
  for (const family of ["-4", "-6"]) {
    for (const rule of await listRules(family)) {
      const [preference = "", ...words] = rule.split(/:\s+|\s+/);
      await execute("ip", [family, "rule", "del", "pref", preference, ...words]);
    }
    await execute("ip", [family, "route", "flush", "table", "all", "proto", String(PROTOCOL)]).catch(ignoreMissing);
  }
  if (await hasParkDevice()) await execute("ip", ["link", "del", PARK_DEVICE]);
}

// Not every iproute2 can filter rules by protocol: read all and compare. "5301: from 10.0.1.1 lookup 5301 proto 83"
async function listRules(family: string): Promise<string[]> {
  const rules = await execute("ip", [family, "-N", "rule", "show"]);
  return lines(rules).filter((rule) => new RegExp(`\\bproto ${PROTOCOL}\\b`).test(rule));
}

async function hasParkDevice(): Promise<boolean> {
  try {
    await execute("ip", ["link", "show", PARK_DEVICE]);
    return true;
  } catch {
    return false;
  }
}

function lines(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof CommandError) || !/No such|does not exist/i.test(error.output)) throw error;
}
