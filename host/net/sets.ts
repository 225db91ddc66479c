// The kernel's sets of tuples (design: a converted flow must never pass unrewritten, a flow that fell back should not
// visit us at all). The native data path fills them; we create and remove them. The key is (opener's address, opener's
// port, other address), so each rule tests a set in both directions.
import { setTimeout as sleep } from "node:timers/promises";
import { execute } from "./execute.ts";
import { objectNames, SET_PATTERN } from "./marks.ts";

/** Tuples that fell back are forgotten after this time without being asked for: SYNs come by us anyway. */
const BYPASS_TIMEOUT_S = 3600;
/** Bound of the bypass sets; forceadd makes room by evicting. */
const BYPASS_MAX = 65536;
/** Removals are lazy and batched: leave room for tuples of subflows that are already gone. */
const CONVERTED_SLACK = 2;

/** Input of `ipset restore` that creates the sets, or empties them if they are there. */
export function createScript(queue: number, subflows: number): string {
  const { sets } = objectNames(queue);
  const converted = (name: string, family: string) =>
    `create ${name} hash:ip,port,ip family ${family} maxelem ${subflows * CONVERTED_SLACK} -exist\nflush ${name}\n`;
  const bypass = (name: string, family: string) =>
    `create ${name} hash:ip,port,ip family ${family} maxelem ${BYPASS_MAX} timeout ${BYPASS_TIMEOUT_S} forceadd -exist\nflush ${name}\n`;
  return (
    converted(sets.converted4, "inet") +
    converted(sets.converted6, "inet6") +
    bypass(sets.bypass4, "inet") +
    bypass(sets.bypass6, "inet6")
  );
}

/** Creates the sets, empty. `subflows`: the engine's capacity. Throws CommandError. */
export async function createSets(queue: number, subflows: number): Promise<void> {
  await execute("ipset", ["restore"], createScript(queue, subflows));
}

/** Names of all sets of any daemon in this network namespace. Throws CommandError. */
export async function listSets(): Promise<string[]> {
  const output = await execute("ipset", ["list", "-n"]);
  return output.split("\n").filter((name) => SET_PATTERN.test(name));
}

/** Removes sets. A rule that has just gone may hold its set a moment longer: try for a second. Throws CommandError. */
export async function destroySets(names: string[]): Promise<void> {
  const existing = new Set(await listSets());
  for (const name of names.filter((candidate) => existing.has(candidate))) {
    for (let attempt = 1; ; attempt++) {
      try {
        await execute("ipset", ["destroy", name]);
        break;
      } catch (error) {
        if (attempt === 10) throw error;
        await sleep(100);
      }
    }
  }
}
