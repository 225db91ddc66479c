// What is told of each change of path, whoever wanted it: where the data goes now, why, and how long it paused. The
// pause is measured where users feel it: from the last payload on the old path to the first on the new one.

import { EventKind, EventRecord, PathFlag, Reason } from "../abi";
import { nowUs } from "../clock";
import { IDLE_US } from "../config";
import { Connection, moveReason, setMoveReason } from "../connection/connection";
import { emitConnectionEvent } from "../connection/lifecycle";
import { pathAt } from "../connection/paths";
import { Subflow, subflowAt, SubflowBit, subflowHas, subflowIndex } from "../connection/subflow";

/** True if no payload moves in either direction and none waits for an acknowledgement. */
export function isIdle(connection: Connection): bool {
  return connection.dsnUna == connection.dsnNxt && nowUs() - connection.lastPayloadUs >= IDLE_US;
}

/**
 * The subflow `to` carries new data from now on, in place of `before` (index; 0 = it is gone, and its end was noted
 * then). `wanted`: why, unless `before` itself gives the reason.
 */
export function noteMove(connection: Connection, before: u32, to: Subflow, wanted: Reason): void {
  if (before != 0) {
    const from = subflowAt(before);
    if (from.path == to.path) return;
    const lost = (pathAt(from.path).flags & PathFlag.UP) == 0;
    const silent = subflowHas(from, SubflowBit.STALE);
    setMoveReason(connection, lost ? Reason.PATH_DOWN : silent ? Reason.TIMEOUT : wanted);
  } else if (moveReason(connection) == Reason.NONE) return; // its first path
  if (isIdle(connection)) tellMove(connection, to, 0);
}

/** Payload leaves on `subflow`, or has come by it, and is not counted yet. */
@inline export function noticePayload(connection: Connection, subflow: Subflow): void {
  if (moveReason(connection) != Reason.NONE) endMove(connection, subflow);
}

function endMove(connection: Connection, subflow: Subflow): void {
  if (connection.active != subflowIndex(subflow)) return;
  const pause = nowUs() - connection.lastPayloadUs;
  tellMove(connection, subflow, pause == 0 ? 1 : pause > 0xffffffff ? 0xffffffff : <u32>pause);
}

function tellMove(connection: Connection, to: Subflow, pauseUs: u32): void {
  const event = emitConnectionEvent(EventKind.CONNECTION_MOVED, moveReason(connection), connection);
  store<u32>(event, to.path, EventRecord.PATH);
  store<u32>(event, pauseUs, EventRecord.VALUE);
  setMoveReason(connection, Reason.NONE);
}
