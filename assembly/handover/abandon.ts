// When a subflow stops living (paper §3.3, RFC 8684 §3.4.2): the host's octets in flight on it are mapped
// afresh when the host sends them again, the peer is told by REMOVE_ADDR on another subflow, and new data
// moves on.

import { CONFIG, EngineConfig, PathFlag, Reason, SubflowState } from "../abi";
import { nowUs } from "../clock";
import { STRIPPED_PAUSE_TRIES } from "../config";
import { Connection, ConnectionFlag, hasFlag, sendTableOf, setFlag } from "../connection/connection";
import { subflowDestroy } from "../connection/lifecycle";
import { pathAddress, pathAt } from "../connection/paths";
import {
  localAddress, Subflow, subflowAt, SubflowBit, subflowHas, subflowIndex, subflowSet, subflowUsable,
} from "../connection/subflow";
import { armConnection, armSubflow } from "../connection/timers";
import { sendTableUses } from "../mapping/send-table";
import { addressEqual } from "../memory/address";
import { FORGE_OPTIONS, OUT } from "../scratch";
import { forgeRemoveAddr, removeAddress } from "../signalling/addresses";
import { forgeOnSubflow } from "../signalling/forge";
import { subflowOnPath } from "../signalling/join";
import { writeTcpRst } from "../wire/mptcp-options";
import { TCP_ACK, TCP_RST } from "../wire/tcp";
import { mayLeave } from "./leave";
import { stallAsk } from "./stall";
import { owesLastWord, standbyLater, standbyNow } from "./standby";
import { handoverEnd, reconsider } from "./switch";

/** Address ids that one REMOVE_ADDR of ours names at most. */
@inline const REMOVED_IDS_MAX: u32 = 8;

/** RFC 8684 §3.6, MP_TCPRST reasons. */
@inline export const RST_UNSPECIFIED: u32 = 0;
@inline export const RST_MPTCP_ERROR: u32 = 1;
@inline export const RST_PERFORMANCE: u32 = 5;
@inline export const RST_MIDDLEBOX: u32 = 6;

/** Sends RST with MP_TCPRST(`rstReason`) on `subflow`, behind the options between FORGE_OPTIONS and `optionsEnd`. */
export function resetSubflowWith(subflow: Subflow, rstReason: u32, optionsEnd: usize): void {
  const end = writeTcpRst(optionsEnd, 0, rstReason);
  forgeOnSubflow(subflow, subflow.ssnNxt, subflow.rcvSan, TCP_RST | TCP_ACK, 0, end);
}

/** Sends RST with MP_TCPRST(`rstReason`) on `subflow`. */
export function resetSubflow(subflow: Subflow, rstReason: u32): void {
  resetSubflowWith(subflow, rstReason, FORGE_OPTIONS);
}

/**
 * Gives `subflow` up. `tellPeer`: its address is gone here, so REMOVE_ADDR goes out on what is left. The
 * connection lives on without any subflow for REJOIN_GRACE_MS.
 */
export function abandonSubflow(connection: Connection, subflow: Subflow, reason: Reason, tellPeer: bool): void {
  const path = <u32>subflow.path;
  const wasHandover = connection.handoverSubflow != 0 && connection.handoverPath == path;
  const wasEstablished = <i32>subflow.state >= SubflowState.ESTABLISHED;
  const id = <u32>subflow.localId;
  const closing = subflowHas(subflow, SubflowBit.FIN_SENT);
  // What the host has in flight there must be sent again.
  if (sendTableUses(sendTableOf(connection), subflowIndex(subflow))) setFlag(connection, ConnectionFlag.KICK_DUE);
  subflowDestroy(subflow, reason);
  const other = subflowOnPath(connection, path);
  if (other == 0) {
    if (connection.pinnedPath == path) connection.pinnedPath = 0; // a pin lasts until its path is lost
    if (wasHandover) handoverEnd(connection, reason);
  } else if (wasHandover && connection.handoverSubflow == 0) {
    connection.handoverSubflow = other; // a peer that joined the path twice has left it once
  }
  if (tellPeer && wasEstablished && !addressIdInUse(connection, id)) removeAddress(connection, id);
  if (owesLastWord(connection)) standbyNow(connection);
  if (hasFlag(connection, ConnectionFlag.RESET | ConnectionFlag.SUBFLOWS_CLOSING) || closing) return;
  goOnElsewhere(connection);
  if (tellPeer && connection.active != 0) stallAsk(connection, subflowAt(connection.active));
}

/**
 * RFC 8684 §3.7: the path of `subflow` takes options away. It ends with RST, and its path is not tried again soon: a
 * handshake may well get through, and then it would all begin anew.
 */
export function giveUpStripped(connection: Connection, subflow: Subflow, reason: Reason): void {
  resetSubflow(subflow, RST_MIDDLEBOX);
  connection.joinTries = STRIPPED_PAUSE_TRIES;
  abandonSubflow(connection, subflow, reason, false);
}

/** Ends `subflow` although it could go on, by RST; the peer is told that its address is not to be used any more. */
export function closeSubflow(connection: Connection, subflow: Subflow): void {
  const known = <i32>subflow.state >= SubflowState.ESTABLISHED;
  const id = <u32>subflow.localId;
  resetSubflow(subflow, RST_UNSPECIFIED);
  abandonSubflow(connection, subflow, Reason.REMOVED, false);
  if (known && !addressIdInUse(connection, id)) removeAddress(connection, id);
}

/** The time of a subflow whose path is to be left is over: it ends, if that still holds. */
export function leaveFire(connection: Connection, subflow: Subflow): void {
  subflow.expireUs = 0;
  armSubflow(subflow);
  if (mayLeave(connection, subflow)) closeSubflow(connection, subflow);
}

/** True if `subflow` cannot go on: its path is down or gone, or has another address now. */
export function pathLost(subflow: Subflow): bool {
  const path = pathAt(subflow.path);
  if (path.known == 0 || (path.flags & PathFlag.UP) == 0) return true;
  const own = pathAddress(subflow.path, localAddress(subflow));
  return own == 0 || !addressEqual(own, localAddress(subflow));
}

/** True if another established subflow than `subflow` has its path. */
function anotherHasPath(connection: Connection, subflow: Subflow): bool {
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    const other = subflowAt(index);
    if (other != subflow && subflowUsable(other) && !pathLost(other)) return true;
  }
  return false;
}

/**
 * The path of `subflow` is lost. It is given up if another can carry the connection; the last one stays, silent: its
 * path may come back as it was, and till then the host's own time-outs judge, as without us.
 */
export function losePath(connection: Connection, subflow: Subflow): void {
  if (!subflowUsable(subflow) || anotherHasPath(connection, subflow)) {
    abandonSubflow(connection, subflow, Reason.PATH_DOWN, true);
    return;
  }
  if (connection.handoverPath == <u32>subflow.path) handoverEnd(connection, Reason.PATH_DOWN);
  if (connection.pinnedPath == <u32>subflow.path) connection.pinnedPath = 0;
  if (connection.dsnUna != connection.dsnNxt) setFlag(connection, ConnectionFlag.KICK_DUE);
  subflowSet(subflow, SubflowBit.STALE);
  standbyNow(connection);
}

/** A new subflow is up: those that were kept although their path is lost go now. */
export function dropLost(connection: Connection): void {
  let index = connection.head;
  while (index != 0) {
    const subflow = subflowAt(index);
    index = subflow.next;
    if (!subflowUsable(subflow) || !pathLost(subflow) || !anotherHasPath(connection, subflow)) continue;
    abandonSubflow(connection, subflow, Reason.PATH_DOWN, true);
  }
}

/**
 * Says on `carrier`, which the peer has just joined or is about to, which of our addresses are gone: right behind
 * the MP_JOIN ACK, so that the peer sends again what it had in flight there without waiting another round trip.
 */
export function announceLost(connection: Connection, carrier: Subflow): void {
  store<u32>(OUT, connection.removedIds);
  let octets: u32 = connection.removedCount;
  for (let index = connection.head; index != 0 && octets < REMOVED_IDS_MAX; index = subflowAt(index).next) {
    const subflow = subflowAt(index);
    if (<i32>subflow.state < SubflowState.ESTABLISHED || subflow.localId == carrier.localId) continue;
    if (pathLost(subflow)) store<u8>(OUT + octets++, subflow.localId);
  }
  if (octets != 0) forgeRemoveAddr(connection, carrier, octets);
}

/** True if a subflow still uses our address id: REMOVE_ADDR would close it, too. */
export function addressIdInUse(connection: Connection, id: u32): bool {
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    if (<u32>subflowAt(index).localId == id) return true;
  }
  return false;
}

/** A subflow is lost or closing: new data goes elsewhere; without any other the connection waits for REJOIN_GRACE_MS. */
export function goOnElsewhere(connection: Connection): void {
  reconsider(connection, true);
  if (connection.active != 0) {
    standbyLater(connection);
    return;
  }
  const grace = <u64>load<u32>(CONFIG + EngineConfig.REJOIN_GRACE_MS) * 1000;
  connection.expireUs = nowUs() + grace;
  armConnection(connection);
  standbyNow(connection);
}
