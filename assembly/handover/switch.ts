// Which subflow carries the host's new data, and how a connection is moved from one to another
// (paper §2.3: in-flight data and its retransmissions stay where they are).
//
// Order of preference among the usable subflows, best first:
//   1. not stale, not suspected of a hole (stall.ts, poison.ts)
//   2. not set to backup by the peer's latest MP_PRIO (a sender obeys the peer, RFC 8684 §3.3.8)
//   3. on a path that is up
//   4. on the path that a manual handover pinned
//   5. on a path that is not marked as backup here (unless its class wants it active), nor to be left, nor denied
//   6. the class's order of paths: the one that its intent wants active, then its preferences
//   7. the oldest

import {
  Counter, EventKind, EventRecord, PATH_MAX, PathFlag, Reason, SubflowState,
} from "../abi";
import { nowUs } from "../clock";
import { IDLE_US } from "../config";
import { pathHeldBack, pathRank } from "../connection/classes";
import { Connection, ConnectionFlag, hasFlag } from "../connection/connection";
import { emitConnectionEvent } from "../connection/lifecycle";
import { measurePlace } from "../connection/measure";
import { pathAt } from "../connection/paths";
import {
  Subflow, subflowAt, SubflowBit, subflowClear, subflowHas, subflowUsable,
} from "../connection/subflow";
import { armConnection } from "../connection/timers";
import { count } from "../counters";
import { joinObstacle, joinStart, subflowOnPath } from "../signalling/join";
import { preferSubflow } from "../signalling/priority";
import { kick } from "./kick";
import { leaveLater } from "./leave";
import { isIdle, noteMove } from "./moved";
import { forgetMtu } from "./path-mtu";
import { transitionStart } from "./transition";

/** Rank of a usable subflow: smaller is better (the list at the top of the file). */
function subflowRank(connection: Connection, subflow: Subflow): u32 {
  const path = <u32>subflow.path;
  const record = pathAt(path);
  const down = path != 0 && (record.known == 0 || (record.flags & PathFlag.UP) == 0);
  let rank: u32 = subflowHas(subflow, SubflowBit.PEER_BACKUP) ? 1 << 24 : 0;
  if (subflowHas(subflow, SubflowBit.STALE)) rank |= 1 << 26;
  if (subflowHas(subflow, SubflowBit.SUSPECT)) rank |= 1 << 25;
  if (down) rank |= 1 << 23;
  if (connection.pinnedPath != 0 && connection.pinnedPath != path) rank |= 1 << 22;
  if (pathHeldBack(connection.classId, path)) rank |= 1 << 21;
  return rank | (pathRank(connection.classId, path) << 8) | <u32>subflow.number;
}

/** True if `a` should carry new data rather than `b`: by rank; of two stale ones the one that was heard last. */
function isBetter(connection: Connection, a: Subflow, b: Subflow): bool {
  const bothStale = (a.flags & b.flags & SubflowBit.STALE) != 0;
  if (bothStale && a.quietUs != b.quietUs) return a.quietUs > b.quietUs;
  return subflowRank(connection, a) < subflowRank(connection, b);
}

/** Index of the subflow that should carry new data now, or 0 when none is usable. */
function chooseActive(connection: Connection): u32 {
  let best: u32 = 0;
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    const subflow = subflowAt(index);
    if (!subflowUsable(subflow)) continue;
    if (best == 0 || isBetter(connection, subflow, subflowAt(best))) best = index;
  }
  return best;
}

/** Index of the best subflow in good health with nothing in flight, the active one before all others; 0 = none. */
export function idleSubflow(connection: Connection): u32 {
  if (connection.active != 0 && isFree(subflowAt(connection.active))) return connection.active;
  let best: u32 = 0;
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    if (!isFree(subflowAt(index))) continue;
    if (best == 0 || isBetter(connection, subflowAt(index), subflowAt(best))) best = index;
  }
  return best;
}

function isFree(subflow: Subflow): bool {
  const doubtful = subflowHas(subflow, SubflowBit.STALE | SubflowBit.SUSPECT);
  return subflowUsable(subflow) && !doubtful && subflow.ssnUna == subflow.ssnNxt;
}

/**
 * Chooses again and moves new data there. `tellPeer`: the choice is ours (policy, command, a lost path), so
 * the peer is asked by MP_PRIO to send there, too; false when the peer itself asked for it.
 */
export function reconsider(connection: Connection, tellPeer: bool): void {
  if (hasFlag(connection, ConnectionFlag.RESET | ConnectionFlag.SUBFLOWS_CLOSING)) return; // its end has a deadline
  const chosen = chooseActive(connection);
  if (chosen == 0) {
    connection.active = 0;
    measurePlace(connection);
    return;
  }
  const before = connection.active;
  if (chosen != before) {
    if (before != 0 && !subflowHas(subflowAt(before), SubflowBit.STALE)) transitionStart(connection, subflowAt(before));
    connection.active = chosen;
    measurePlace(connection);
    noteMove(connection, before, subflowAt(chosen), wanted(connection, tellPeer));
    connection.expireUs = 0; // it has a subflow again
    armConnection(connection);
    kick(connection);
    forgetMtu(connection);
  }
  if (tellPeer) preferSubflow(connection, chosen);
  leaveLater(connection);
}

/** Why the active subflow is another one now, unless that is about the old one. */
function wanted(connection: Connection, tellPeer: bool): Reason {
  if (!tellPeer) return Reason.PEER_PREFERS;
  return connection.handoverUs != 0 ? Reason.COMMAND : Reason.POLICY;
}

function emitHandover(connection: Connection, kind: EventKind, reason: Reason, path: u32, value: u32): void {
  const event = emitConnectionEvent(kind, reason, connection);
  store<u32>(event, connection.handoverCommand, EventRecord.COMMAND_ID);
  store<u32>(event, path, EventRecord.PATH);
  store<u32>(event, value, EventRecord.VALUE);
}

/** Ends the running handover, if one runs. */
export function handoverEnd(connection: Connection, reason: Reason): void {
  if (connection.handoverUs == 0) return;
  const elapsed = nowUs() - connection.handoverUs;
  const kind = reason == Reason.NONE ? EventKind.HANDOVER_DONE : EventKind.HANDOVER_FAILED;
  emitHandover(connection, kind, reason, connection.handoverPath, elapsed > 0xffffffff ? 0xffffffff : <u32>elapsed);
  if (reason == Reason.NONE) {
    connection.handovers++;
    count(Counter.HANDOVERS);
  }
  connection.handoverUs = 0;
  connection.handoverDeadlineUs = 0;
  connection.handoverSubflow = 0;
  connection.handoverCommand = 0;
  connection.handoverPath = 0;
  armConnection(connection);
}

/**
 * Starts to move `connection` to `path` and pins it there. Returns the reason why it cannot start, or NONE:
 * then HANDOVER_DONE or HANDOVER_FAILED follows within `timeoutMs`.
 */
export function handoverStart(connection: Connection, path: u32, commandId: u32, timeoutMs: u32): Reason {
  if (hasFlag(connection, ConnectionFlag.RESET | ConnectionFlag.SUBFLOWS_CLOSING)) return Reason.NOT_ESTABLISHED;
  if (!hasFlag(connection, ConnectionFlag.ESTABLISHED_EVER)) return Reason.NOT_ESTABLISHED;
  if (path == 0 || path > PATH_MAX || pathAt(path).known == 0) return Reason.NO_PATH;
  let target = subflowOnPath(connection, path);
  if (target == 0) {
    const obstacle = joinObstacle(connection, path);
    if (obstacle != Reason.NONE) return obstacle;
    target = joinStart(connection, path, false, commandId);
    if (target == 0) return Reason.LIMIT;
  }
  handoverEnd(connection, Reason.REPLACED);
  const oldPath = connection.active == 0 ? 0 : <u32>subflowAt(connection.active).path;
  connection.pinnedPath = path;
  connection.handoverPath = path;
  connection.handoverSubflow = target;
  connection.handoverCommand = commandId;
  connection.handoverUs = nowUs();
  connection.handoverDeadlineUs = nowUs() + <u64>timeoutMs * 1000;
  emitHandover(connection, EventKind.HANDOVER_STARTED, Reason.NONE, path, oldPath);
  armConnection(connection);
  if (subflowAt(target).state == SubflowState.ESTABLISHED) handoverProceed(connection);
  return Reason.NONE;
}

/**
 * The subflow that a handover waits for is established: switch now. The last command wins: what the peer once
 * said of this subflow no longer counts, and it will say so again if it still minds.
 */
export function handoverProceed(connection: Connection): void {
  subflowClear(subflowAt(connection.handoverSubflow), SubflowBit.PEER_BACKUP);
  reconsider(connection, true);
  if (isIdle(connection)) handoverEnd(connection, Reason.NONE);
  else checkIdleLater(connection);
}

/** While a handover runs on a quiet connection, looks again soon: it is done when it would carry data. */
function checkIdleLater(connection: Connection): void {
  const soon = nowUs() + IDLE_US;
  if (connection.joinUs == 0 || connection.joinUs > soon) connection.joinUs = soon;
  armConnection(connection);
}

/** Called by the timer: a handover on a connection that has gone quiet is done. */
export function handoverCheckIdle(connection: Connection): void {
  if (connection.handoverUs == 0 || connection.active == 0) return;
  if (<u32>subflowAt(connection.active).path != connection.handoverPath) return;
  if (isIdle(connection)) handoverEnd(connection, Reason.NONE);
  else checkIdleLater(connection);
}

/** New data went out on, or came in by, `subflow`: a handover that waits for its path is done. */
@inline export function handoverNoticeData(connection: Connection, subflow: Subflow): void {
  if (connection.handoverUs == 0) return;
  if (connection.handoverPath == <u32>subflow.path && subflowUsable(subflow)) handoverEnd(connection, Reason.NONE);
}
