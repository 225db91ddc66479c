// The round trip of a path on which nothing of ours is in flight. A policy that compares delays wants to know those of
// the paths that wait, too: so, where a class wishes it, a subflow there is asked now and then, one for the whole path,
// and only if no other has measured it in the meantime. What it costs is two small packets per path and interval,
// however many connections there are.
//
// A timer per path looks; it sleeps while the path has no subflow, and as long as no class wants to know.

import { Counter, PATH_MAX, SubflowState } from "../abi";
import { nowUs } from "../clock";
import { SWEEP_STEP } from "../config";
import { classAt, probeIntervalUs } from "../connection/classes";
import { connectionAt, ConnectionFlag, hasFlag } from "../connection/connection";
import { pathAt } from "../connection/paths";
import { rttSample } from "../connection/rtt";
import { subflowSlab } from "../connection/store";
import { Subflow, subflowAt, SubflowBit, subflowHas, subflowIndex } from "../connection/subflow";
import { armPath } from "../connection/timers";
import { count } from "../counters";
import { slabLive } from "../memory/slab";
import { probeSubflow } from "./probe";

/** The next look where a round did not see all subflows: soon, but behind the packets that wait. */
@inline const GO_ON_US: u64 = 1000;

/** A class has changed its mind: every path is looked at that has a subflow, if anybody wants to know. */
export function probePaths(): void {
  if (probeIntervalUs == 0) return;
  for (let id: u32 = 1; id <= PATH_MAX; id++) if (pathAt(id).subflows != 0) armPath(id, nowUs());
}

/** The timer of path `id` fired: asks a subflow if nothing has been heard of its round trip for an interval. */
export function probePath(id: u32): void {
  const interval = probeIntervalUs;
  const path = pathAt(id);
  if (interval == 0 || path.subflows == 0) return;
  const known = path.sampledUs + interval;
  if (path.sampledUs != 0 && known > nowUs()) {
    armPath(id, known);
    return;
  }
  if (path.probedSubflow != 0 && path.probedSubflow == path.probeCursor) path.probeCursor++; // another one may answer
  const found = findIdle(id);
  if (found == 0) {
    const all = path.probeLooked == 0;
    armPath(id, nowUs() + (all ? interval : GO_ON_US));
    return;
  }
  // Karn: an answer that comes now may be that to the question before.
  path.probedUs = path.probedSubflow == found ? 0 : nowUs();
  path.probedSubflow = found;
  const subflow = subflowAt(found);
  probeSubflow(connectionAt(subflow.connection), subflow);
  count(Counter.PATH_PROBES);
  armPath(id, nowUs() + interval);
}

/**
 * A subflow of path `id` that may be asked, the one before if it still may; 0 = none among the next SWEEP_STEP, and
 * probeLooked says how many were looked at, 0 = all.
 */
function findIdle(id: u32): u32 {
  const path = pathAt(id);
  const slots = subflowSlab().highWater;
  const end = min<u32>(path.probeLooked + SWEEP_STEP, slots);
  for (; path.probeLooked < end; path.probeLooked++) {
    if (path.probeCursor - 1 >= slots) path.probeCursor = 1;
    const index = path.probeCursor;
    if (slabLive(subflowSlab(), index) && mayAsk(subflowAt(index), id)) {
      path.probeLooked = 0;
      return index;
    }
    path.probeCursor++;
  }
  if (end == slots) path.probeLooked = 0;
  return 0;
}

/** True if `subflow` is on path `id` and may be asked: established and sound, and nothing of ours in flight. */
function mayAsk(subflow: Subflow, id: u32): bool {
  if (<u32>subflow.path != id || subflow.state != SubflowState.ESTABLISHED) return false;
  if (subflow.ssnUna != subflow.ssnNxt) return false;
  if (subflowHas(subflow, SubflowBit.STALE | SubflowBit.SUSPECT | SubflowBit.ASKED)) return false;
  const connection = connectionAt(subflow.connection);
  if (hasFlag(connection, ConnectionFlag.RESET | ConnectionFlag.SUBFLOWS_CLOSING)) return false;
  return hasFlag(connection, ConnectionFlag.CONFIRMED) && classAt(connection.classId).probeMs != 0;
}

/** An acknowledgement of nothing new came on `subflow`. True if it was asked: it is the answer, and for nobody else. */
export function probeAnswered(subflow: Subflow): bool {
  const path = pathAt(subflow.path);
  if (path.probedSubflow != subflowIndex(subflow)) return false;
  path.probedSubflow = 0;
  if (path.probedUs != 0) rttSample(subflow, nowUs() - path.probedUs);
  return true;
}
