// drain: leaves a path by a deadline, or a host.
//
// Promise: from the moment at which a path is flagged as draining (or named by `path`) nothing is joined on it, and
// another one is joined. Data moves there at the first quiet moment, at the latest `reserve_ms` before the deadline,
// `within_ms` after that moment. As soon as nothing is in flight on the path its subflows are closed; at the deadline
// in any case. If all paths drain, the host is to be left: nothing new is joined, all but the active path are closed
// likewise, and the connections stay where they are, since there is nowhere to go. Without anything to drain: the order
// of preference.
//
// Why so: who empties a path for maintenance wants it empty at a known time, not at once, and a move between two
// requests is one that nobody notices. The reserve is for what a move needs: a round trip of MP_PRIO, and what the peer
// had queued.
import {
  bit, carry, Event, intent, loadState, log, LogLevel, Path, pathAt, pathCount, PathFlag, PathState, Reason, RECORD_MAX,
  recordOf, saveState, setting, Status, table, UNKNOWN_U32,
} from "../sdk/as/policy";
import { active, best, lost, NEVER, others, rank, settle } from "../sdk/as/ranking";

export { shunt_policy_abi_1, region, init } from "../sdk/as/policy";

/** In the order of policy.json. */
const enum Setting { PATH, WITHIN_MS, RESERVE_MS, QUIET_KBPS }

/** The policy's own reasons, in the order of policy.json. */
const enum Own { QUIET_MOMENT = 256, HOST_DRAINS }

/** Since when a path is to be left; 0 = it is not. */
@final @unmanaged
class Drain {
  pathId: u32;
  zero: u32;
  sinceUs: u64;
}
@inline const TAG: u32 = 0x6e617264;
/** Octets in flight that still count as quiet: an answer, a keep-alive. */
@inline const QUIET_OCTETS: u32 = 4096;
/** A preferred path that is back must stay for this long. */
@inline const HOLD_MS: i64 = 3000;

export function save(): i32 {
  return saveState(TAG, RECORD_MAX * offsetof<Drain>());
}

export function load(length: i32): i32 {
  return loadState(TAG, RECORD_MAX * offsetof<Drain>(), length);
}

export function decide(): i32 {
  let drained: u32 = 0;
  for (let i = 0, n = pathCount(); i < n; i++) {
    const path = pathAt(i);
    const leaves = (path.flags & PathFlag.DRAINING) != 0 || path.id == <u32>setting(Setting.PATH);
    if (leaves) drained |= bit(i);
    note(path, leaves);
    rank(i, leaves ? NEVER : i);
  }
  const current = active();
  const chosen = current >= 0 && waits(current, drained) ? leave(current) : settle(Reason.PREFERRED, HOLD_MS, true);
  const wanted = intent();
  wanted.standbyMask &= ~drained;
  if (chosen >= 0 && chosen == current) wanted.closeMask = empty(drained & ~bit(current));
  return Status.OK;
}

/** Whether the active path is to be left, but at a moment of our choice. */
function waits(current: i32, drained: u32): bool {
  const path = pathAt(current);
  if ((drained & bit(current)) == 0 || lost(path)) return false;
  return (path.flags & PathFlag.PINNED) == 0 && table().event != Event.REFUSED;
}

function note(path: Path, leaves: bool): void {
  const record = recordOf<Drain>(path.id);
  if (!leaves) record.sinceUs = 0;
  else if (record.sinceUs == 0 || record.sinceUs > table().nowUs) {
    record.sinceUs = table().nowUs;
    log(LogLevel.INFO, "a path is to be left; its time runs");
  }
}

function deadlineUs(path: Path): u64 {
  return recordOf<Drain>(path.id).sinceUs + <u64>setting(Setting.WITHIN_MS) * 1000;
}

/** Where the data goes while the active path drains. */
function leave(current: i32): i32 {
  const ready = best(true);
  const wanted = intent();
  wanted.standbyMask = others(current);
  if (ready < 0) return told(current, best(false) < 0 ? Own.HOST_DRAINS : Reason.JOINING);
  const lastUs = deadlineUs(pathAt(current)) - <u64>setting(Setting.RESERVE_MS) * 1000;
  if (<i64>(table().nowUs - lastUs) >= 0) return told(ready, Reason.DEADLINE);
  if (quiet(pathAt(current))) return told(ready, Own.QUIET_MOMENT);
  wanted.wakeAtUs = lastUs;
  return told(current, Reason.HOLDING);
}

function told(index: i32, reason: i32): i32 {
  carry(index, reason);
  return index;
}

function quiet(path: Path): bool {
  if (table().connections == 0) return true;
  if (path.ackedRateKbps == UNKNOWN_U32 || path.inFlight == UNKNOWN_U32) return false;
  return <i64>path.ackedRateKbps < setting(Setting.QUIET_KBPS) && path.inFlight <= QUIET_OCTETS;
}

/** Of the drained paths that carry nothing new, those to close: with nothing in flight, or late. */
function empty(drained: u32): u32 {
  let mask: u32 = 0;
  for (let i = 0, n = pathCount(); i < n; i++) {
    const path = pathAt(i);
    if ((drained & bit(i)) == 0 || path.state == PathState.DOWN || path.state == PathState.UP) continue;
    const late = table().nowUs >= deadlineUs(path);
    if (path.inFlight == 0 || path.inFlight == UNKNOWN_U32 || late) mask |= bit(i);
    else intent().wakeAtUs = deadlineUs(path);
  }
  return mask;
}
