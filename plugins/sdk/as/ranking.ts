// From a cost per path to a decision: the part that most policies share, and the one where flapping is prevented.
//
// A policy gives each path a cost (lower is better), then calls settle(). To keep what is nearly as good, it counts the
// active path at a discount; to be sure of what is better, it demands that the lead lasts for `holdMs`.
//
//   1. A path that is pinned by hand stays.
//   2. A path that is lost (down, stale, behind a captive portal) or to be left (draining) is left at once.
//   3. A better path is joined first, as a standby; it takes over when it is established and has led for holdMs.
//   4. Paths marked as backup are taken when no other is usable.
//   5. What the guard has refused is not asked for again at once.
import {
  bit, carry, Event, head, indexOf, intent, Path, pathAt, pathCount, PathFlag, PathState, Reason, table,
} from "./policy";

/** Cost of a path that is not to be used at all. */
@inline export const NEVER: i64 = i64.MAX_VALUE;

/** Pause after a refusal. */
@inline const RETREAT_US: u64 = 1_000_000;

const COSTS: usize = memory.data(32 * 8, 8);

/** Sets the cost of path record `index`; every record needs one before settle(). */
export function rank(index: i32, cost: i64): void {
  store<i64>(COSTS + (<usize>index << 3), cost);
}

export function costOf(index: i32): i64 {
  return load<i64>(COSTS + (<usize>index << 3));
}

/** Carries nothing, or will not for long. */
export function lost(path: Path): bool {
  return path.state == PathState.DOWN || path.state == PathState.STALE || (path.flags & PathFlag.CAPTIVE) != 0;
}

/** May be moved to, or joined first. */
export function usable(path: Path): bool {
  return !lost(path) && (path.flags & PathFlag.DRAINING) == 0;
}

/** The record of the path that carries the class's data; -1 = none, or one that this class may not use. */
export function active(): i32 {
  return indexOf(table().activePathId);
}

/** The usable path of least cost, the first of equals; backup paths last; -1 = none. */
export function best(establishedOnly: bool): i32 {
  let found = -1;
  for (let i = 0, n = pathCount(); i < n; i++) {
    const path = pathAt(i);
    if (!usable(path) || costOf(i) == NEVER) continue;
    if (establishedOnly && path.state != PathState.ESTABLISHED) continue;
    if (found < 0 || before(i, found)) found = i;
  }
  return found;
}

/** Whether record `a` comes before record `b`. */
function before(a: i32, b: i32): bool {
  const backupA = pathAt(a).flags & PathFlag.BACKUP;
  const backupB = pathAt(b).flags & PathFlag.BACKUP;
  if (backupA != backupB) return backupA < backupB;
  return costOf(a) == costOf(b) ? a < b : costOf(a) < costOf(b);
}

/** Bits of all usable paths but `except`. */
export function others(except: i32): u32 {
  let mask: u32 = 0;
  for (let i = 0, n = pathCount(); i < n; i++) if (i != except && usable(pathAt(i))) mask |= bit(i);
  return mask;
}

/**
 * Decides by cost and fills the intent but for closeMask. `why` is the reason told for a move to a better path;
 * `standby` = join all other usable paths in advance. Returns the record that shall carry the data, -1 = none.
 */
export function settle(why: i32, holdMs: i64, standby: bool): i32 {
  const current = active();
  const leader = best(false);
  const chosen = choose(current, leader, why, holdMs);
  const wanted = intent();
  if (standby) wanted.standbyMask = others(chosen);
  // What is better is joined while we wait, whatever the policy thinks of standbys.
  else if (leader >= 0 && leader != chosen) wanted.standbyMask = bit(leader);
  wanted.dwellMs = <u32>holdMs;
  return chosen;
}

function choose(current: i32, leader: i32, why: i32, holdMs: i64): i32 {
  if (current >= 0 && (pathAt(current).flags & PathFlag.PINNED) != 0) return stay(current, Reason.KEEP);
  if (table().event == Event.REFUSED) return retreat(current);
  if (leader < 0) {
    if (current >= 0 && !lost(pathAt(current))) return stay(current, Reason.ONLY_PATH);
    return stay(-1, Reason.NO_PATH);
  }
  const ready = best(true);
  if (current < 0) return told(ready < 0 ? leader : ready, why);
  if (lost(pathAt(current))) return told(ready < 0 ? leader : ready, Reason.PATH_LOST);
  if (!usable(pathAt(current))) return ready < 0 ? told(current, Reason.JOINING) : told(ready, Reason.DRAIN);
  if (leader == current) return stay(current, others(current) == 0 ? Reason.ONLY_PATH : Reason.KEEP);
  if (ready < 0 || ready == current || !before(ready, current)) {
    // What leads meanwhile counts towards its hold: what was joined late need not wait twice.
    remember(leader);
    return told(current, Reason.JOINING);
  }
  remember(ready);
  const dueUs = head().leaderSinceUs + <u64>holdMs * 1000;
  if (table().nowUs >= dueUs) return told(ready, why);
  intent().wakeAtUs = dueUs;
  return told(current, Reason.HOLDING);
}

/** Notes since when this path is better than the active one. A time to come is of another boot's clock. */
function remember(index: i32): void {
  const id = pathAt(index).id;
  const now = table().nowUs;
  if (head().leaderId == id && head().leaderSinceUs <= now) return;
  head().leaderId = id;
  head().leaderSinceUs = now;
}

/** The guard said no: leave everything as it is, and let the lead begin anew. */
function retreat(current: i32): i32 {
  head().leaderSinceUs = table().nowUs;
  intent().wakeAtUs = table().nowUs + RETREAT_US;
  const stays = current >= 0 && !lost(pathAt(current));
  return told(stays ? current : -1, Reason.HOLDING);
}

function stay(index: i32, reason: i32): i32 {
  head().leaderId = 0;
  return told(index, reason);
}

function told(index: i32, reason: i32): i32 {
  carry(index, reason);
  return index;
}
