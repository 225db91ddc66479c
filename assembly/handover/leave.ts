// Paths that a class is to leave: its subflows there end, but only after the connection goes on elsewhere, and a while
// after that, so that what is in flight there still arrives. The last one that can carry it never ends.

import { nowUs } from "../clock";
import { LEAVE_MIN_US } from "../config";
import { classAt, pathLeft } from "../connection/classes";
import { Connection, ConnectionFlag, hasFlag } from "../connection/connection";
import { answerUs } from "../connection/rtt";
import {
  Subflow, subflowAt, SubflowBit, subflowHas, subflowIndex, subflowUsable,
} from "../connection/subflow";
import { armSubflow } from "../connection/timers";

/** True if `subflow` may end since its path is to be left: something else carries the connection, no pin holds it. */
export function mayLeave(connection: Connection, subflow: Subflow): boolean {
  if (!pathLeft(connection.classId, subflow.path) || !subflowUsable(subflow)) return false;
  if (hasFlag(connection, ConnectionFlag.RESET | ConnectionFlag.SUBFLOWS_CLOSING)) return false;
  const active = connection.active;
  if (active == 0 || active == subflowIndex(subflow) || subflowHas(subflowAt(active), SubflowBit.STALE)) return false;
  return connection.pinnedPath != <u32>subflow.path;
}

/** Looks for subflows that are to end, and gives each its time. */
export function leaveLater(connection: Connection): void {
  if (classAt(connection.classId).left == 0) return;
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    const subflow = subflowAt(index);
    if (subflow.expireUs != 0 || !mayLeave(connection, subflow)) continue;
    subflow.expireUs = nowUs() + answerUs(subflow, LEAVE_MIN_US);
    armSubflow(subflow);
  }
}
