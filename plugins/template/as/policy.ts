// NEW-POLICY: say here in one line what it is for.
//
// Promise: new data goes by the path that the class prefers most, but a radio weaker than `weak_dbm` for `hold_ms`
// comes after all others until it is stronger again for as long.
//
// This is a starting point that works: change it bit by bit, and `shunt policy test` after each.
import { Path, pathAt, pathCount, setting, Status, UNKNOWN_I16 } from "shunt/plugins/sdk/as/policy";
import { rank, settle } from "shunt/plugins/sdk/as/ranking";

export { shunt_policy_abi_1, region, init, save, load } from "shunt/plugins/sdk/as/policy";

/** In the order of policy.json. */
const enum Setting { WEAK_DBM, HOLD_MS }

/** The policy's own reasons, in the order of policy.json. They begin at 256. */
const enum Own { STRONGER = 256 }

/** So many places further back: behind every path that is not weak. */
const WEAK: i64 = 1000;

/** Called once a second, and whenever something changes. */
export function decide(): i32 {
  // Each path gets a cost, lower is better: here its place in the class's order of preference.
  for (let i = 0, n = pathCount(); i < n; i++) rank(i, isWeak(pathAt(i)) ? WEAK + i : i);
  // settle() does the rest: lost paths are left at once, better ones joined first and taken after the hold.
  settle(Own.STRONGER, setting(Setting.HOLD_MS), true);
  return Status.OK;
}

/** Signals are in tenths of a dBm. What nobody tells is UNKNOWN: a cable has no signal. */
function isWeak(path: Path): bool {
  return path.signal != UNKNOWN_I16 && <i64>path.signal < setting(Setting.WEAK_DBM) * 10;
}
