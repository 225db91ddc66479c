// MP_PRIO (RFC 8684 §3.3.8): tells the peer on which subflows it should send. In v1 the option speaks of
// the subflow that carries it, is not acknowledged and may be lost: it is repeated a few times.

import { CONFIG, ConfigFlag, Counter, EngineConfig } from "../abi";
import { nowUs } from "../clock";
import { pathShared } from "../connection/classes";
import { Connection } from "../connection/connection";
import { repeatUs } from "../connection/rtt";
import {
  Subflow, subflowAt, SubflowBit, subflowClear, subflowHas, subflowSet, subflowUsable,
} from "../connection/subflow";
import { armConnection } from "../connection/timers";
import { count } from "../counters";
import { FORGE_OPTIONS } from "../scratch";
import { writePrio } from "../wire/mptcp-options";
import { forgeAckWith } from "./forge";

/** Sends MP_PRIO with the present backup bit of `subflow` on it. */
function sendPrio(connection: Connection, subflow: Subflow): void {
  const end = writePrio(FORGE_OPTIONS, subflowHas(subflow, SubflowBit.BACKUP));
  count(Counter.MP_PRIO_SENT);
  forgeAckWith(connection, subflow, end);
}

/** True if the peer may send on every regular path. A manual handover asks for one, and gets it. */
export function receivesOnAll(connection: Connection): bool {
  const wanted = (load<u32>(CONFIG + EngineConfig.FLAGS) & ConfigFlag.RECEIVE_ON_ALL) != 0;
  return wanted && connection.pinnedPath == 0;
}

/** True if the peer should keep off a subflow that is not the preferred one. */
function wantsBackup(connection: Connection, subflow: Subflow): bool {
  if (!receivesOnAll(connection) || subflowHas(subflow, SubflowBit.STALE)) return true;
  return !pathShared(connection.classId, subflow.path);
}

/**
 * Makes `preferred` (index) the one subflow that the peer should use, all others backup (unless it may use them
 * all), and says so where it changes.
 */
export function preferSubflow(connection: Connection, preferred: u32): void {
  let changed = false;
  // The regular ones first: for a moment more are regular, never none.
  for (let pass = 0; pass < 2; pass++) {
    for (let index = connection.head; index != 0; index = subflowAt(index).next) {
      const subflow = subflowAt(index);
      const backup = index != preferred && wantsBackup(connection, subflow);
      if (backup != (pass == 1) || !subflowUsable(subflow)) continue;
      if (subflowHas(subflow, SubflowBit.BACKUP) == backup) continue;
      if (backup) subflowSet(subflow, SubflowBit.BACKUP);
      else subflowClear(subflow, SubflowBit.BACKUP);
      subflowSet(subflow, SubflowBit.PRIO_PENDING);
      sendPrio(connection, subflow);
      changed = true;
    }
  }
  if (!changed) return;
  connection.controlTries = 0;
  const again = nowUs() + repeatUs(subflowAt(preferred));
  if (connection.controlUs == 0 || connection.controlUs > again) connection.controlUs = again;
  armConnection(connection);
}

/** Repeats MP_PRIO on the subflows that changed lately; `last` ends the repetition. */
export function repeatPrio(connection: Connection, last: bool): void {
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    const subflow = subflowAt(index);
    if (!subflowHas(subflow, SubflowBit.PRIO_PENDING) || !subflowUsable(subflow)) continue;
    sendPrio(connection, subflow);
    if (last) subflowClear(subflow, SubflowBit.PRIO_PENDING);
  }
}

/** True while an MP_PRIO of ours is being repeated. */
export function prioPending(connection: Connection): bool {
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    if (subflowHas(subflowAt(index), SubflowBit.PRIO_PENDING)) return true;
  }
  return false;
}
