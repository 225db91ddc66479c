// Birth and death of connections and subflows: the lists, look-up tables, kernel sets, path statistics
// and events that go with them. Nothing here sends a packet.

import {
  CONFIG, ConnectionState, Counter, EngineConfig, EventKind, EventRecord, Reason, SetOperationKind, SubflowState,
} from "../abi";
import { nowUs } from "../clock";
import { HALF_OPEN_US } from "../config";
import { count, countAdd } from "../counters";
import { emitEvent } from "../event-ring";
import { mapLogFree } from "../mapping/map-log";
import { mapSumsFree } from "../mapping/map-sums";
import { rangesFree } from "../mapping/received-ranges";
import { recvTableFree } from "../mapping/recv-table";
import { sendTableFree, sendTableFreeSubflow } from "../mapping/send-table";
import { slabAlloc, slabFree } from "../memory/slab";
import { Dan, dsnGt } from "../seq/space";
import { setOperation } from "../set-operations";
import { classAt, probeIntervalUs } from "./classes";
import {
  clearFlag, Connection, connectionAlloc, connectionAt, ConnectionFlag, connectionIndex, connectionRelease,
  hasFlag, hostAddress, hostPort, peerAddress, peerPort, sendTableOf, setFlag, setMoveReason, setPorts,
} from "./connection";
import { insertConnection, insertSubflow, removeConnection, removeSubflow, removeToken } from "./lookup";
import { measureGone, measureLost, measurePlace } from "./measure";
import { parkAddress, unparkAddress } from "./parking";
import { pathAt } from "./paths";
import { subflowSlab } from "./store";
import {
  heldOf, localAddress, localPort, mapLogOf, mapSumsOf, rangesOf, recvTableOf, remoteAddress, remotePort,
  setSubflowPorts, Subflow, subflowAt, SubflowBit, subflowHas, subflowIndex,
} from "./subflow";
import { armConnection, armPath, disarmConnection, disarmSubflow } from "./timers";

let halfOpenHead: u32 = 0; // oldest
let halfOpenTail: u32 = 0;
export let halfOpenCount: u32 = 0;

/**
 * A new connection in its handshake for the host's tuple, with `state` SYN_SENT or SYN_RECEIVED, or 0 when
 * the slab is full. When HALF_OPEN_MAX handshakes are under way the oldest is forgotten: its hosts go on
 * as plain TCP would after a lost SYN.
 */
export function connectionCreate(state: ConnectionState, host: usize, peer: usize, hostPt: u32, peerPt: u32): u32 {
  if (halfOpenCount >= load<u32>(CONFIG + EngineConfig.HALF_OPEN_MAX) && halfOpenHead != 0) {
    count(Counter.HALF_OPEN_EVICTED);
    connectionDestroy(connectionAt(halfOpenHead), Reason.LIMIT);
  }
  const index = connectionAlloc();
  if (index == 0) return 0;
  const connection = connectionAt(index);
  connection.state = <u8>state;
  connection.createdUs = nowUs();
  connection.expireUs = nowUs() + HALF_OPEN_US;
  memory.copy(hostAddress(connection), host, 16);
  memory.copy(peerAddress(connection), peer, 16);
  setPorts(connection, hostPt, peerPt);
  insertConnection(connection);
  connection.previousHalfOpen = halfOpenTail;
  if (halfOpenTail != 0) connectionAt(halfOpenTail).nextHalfOpen = index;
  else halfOpenHead = index;
  halfOpenTail = index;
  halfOpenCount++;
  armConnection(connection);
  count(Counter.CONNECTIONS_OPENED);
  return index;
}

/** The handshake is over, one way or the other: takes the connection out of the half-open list. */
function leaveHalfOpen(connection: Connection): void {
  if (hasFlag(connection, ConnectionFlag.ESTABLISHED_EVER)) return;
  const previous = connection.previousHalfOpen;
  const next = connection.nextHalfOpen;
  if (previous != 0) connectionAt(previous).nextHalfOpen = next;
  else halfOpenHead = next;
  if (next != 0) connectionAt(next).previousHalfOpen = previous;
  else halfOpenTail = previous;
  connection.previousHalfOpen = 0;
  connection.nextHalfOpen = 0;
  halfOpenCount--;
}

/** MPTCP is agreed on both ends: events, kernel set, parking. */
export function connectionEstablish(connection: Connection): void {
  if (hasFlag(connection, ConnectionFlag.ESTABLISHED_EVER)) return;
  leaveHalfOpen(connection);
  setFlag(connection, ConnectionFlag.ESTABLISHED_EVER);
  connection.state = <u8>ConnectionState.M_ESTAB;
  connection.expireUs = 0;
  connection.lastPayloadUs = nowUs();
  count(Counter.CONNECTIONS_ESTABLISHED);
  const event = emitConnectionEvent(EventKind.CONNECTION_ESTABLISHED, Reason.NONE, connection);
  store<u32>(event, connection.remoteToken, EventRecord.VALUE);
  parkAddress(hostAddress(connection));
  setFlag(connection, ConnectionFlag.PARKED);
  measurePlace(connection);
  armConnection(connection);
}

/** Puts the host's tuple into the kernel set of converted ones, or takes it out. */
export function connectionSetOperation(connection: Connection, kind: SetOperationKind): void {
  const host = hostAddress(connection);
  const peer = peerAddress(connection);
  if (hasFlag(connection, ConnectionFlag.OPENER)) setOperation(kind, host, hostPort(connection), peer);
  else setOperation(kind, peer, peerPort(connection), host);
}

/** Forgets a connection and all its subflows. */
export function connectionDestroy(connection: Connection, reason: Reason): void {
  while (connection.head != 0) subflowDestroy(subflowAt(connection.head), reason);
  measureGone(connection);
  leaveHalfOpen(connection);
  if (hasFlag(connection, ConnectionFlag.PARKED)) unparkAddress(hostAddress(connection));
  clearFlag(connection, ConnectionFlag.PARKED);
  sendTableFree(sendTableOf(connection));
  connectionSetOperation(connection, SetOperationKind.DELETE_CONVERTED);
  disarmConnection(connection);
  removeToken(connection);
  removeConnection(connection);
  if (hasFlag(connection, ConnectionFlag.ESTABLISHED_EVER)) {
    const event = emitConnectionEvent(EventKind.CONNECTION_CLOSED, reason, connection);
    store<u64>(event, connection.bytesSent + connection.bytesReceived, EventRecord.VALUE64);
  }
  count(Counter.CONNECTIONS_CLOSED);
  connectionRelease(connectionIndex(connection));
}

/** Gives the connection up in favour of plain TCP: the host's packets pass untouched from here on. */
export function connectionFallback(connection: Connection, reason: Reason): void {
  emitConnectionEvent(EventKind.CONNECTION_FALLBACK, reason, connection);
  count(Counter.FALLBACKS);
  connectionSetOperation(connection, SetOperationKind.ADD_BYPASS);
  connectionDestroy(connection, reason);
}

/** An event about `connection`, its tuple filled in. */
export function emitConnectionEvent(kind: EventKind, reason: Reason, connection: Connection): usize {
  const event = emitEvent(kind, reason);
  store<u32>(event, connection.localToken, EventRecord.TOKEN);
  store<u32>(event, connection.serial, EventRecord.SERIAL);
  store<u16>(event, <u16>hostPort(connection), EventRecord.LOCAL_PORT);
  store<u16>(event, <u16>peerPort(connection), EventRecord.REMOTE_PORT);
  store<u8>(event, hasFlag(connection, ConnectionFlag.OPENER) ? 1 : 0, EventRecord.OPENER);
  memory.copy(event + EventRecord.LOCAL, hostAddress(connection), 16);
  memory.copy(event + EventRecord.REMOTE, peerAddress(connection), 16);
  return event;
}

/** An event about `subflow`, its tuple, path and ids filled in. */
export function emitSubflowEvent(kind: EventKind, reason: Reason, subflow: Subflow): usize {
  const event = emitConnectionEvent(kind, reason, connectionAt(subflow.connection));
  store<u32>(event, subflow.path, EventRecord.PATH);
  store<u32>(event, subflow.number, EventRecord.SUBFLOW);
  store<u32>(event, subflow.joinCommand, EventRecord.COMMAND_ID);
  store<u16>(event, <u16>localPort(subflow), EventRecord.LOCAL_PORT);
  store<u16>(event, <u16>remotePort(subflow), EventRecord.REMOTE_PORT);
  store<u8>(event, subflow.localId, EventRecord.LOCAL_ID);
  store<u8>(event, subflow.remoteId, EventRecord.REMOTE_ID);
  const backup = SubflowBit.BACKUP | SubflowBit.PEER_BACKUP;
  store<u8>(event, (subflow.flags & backup) != 0 ? 1 : 0, EventRecord.BACKUP);
  store<u8>(event, subflowHas(subflow, SubflowBit.OPENER) ? 1 : 0, EventRecord.OPENER);
  memory.copy(event + EventRecord.LOCAL, localAddress(subflow), 16);
  memory.copy(event + EventRecord.REMOTE, remoteAddress(subflow), 16);
  return event;
}

/**
 * A new subflow of `connection` between the given addresses on path `path`, last in its list; 0 when the
 * slab is full.
 */
export function subflowCreate(
  connection: Connection, local: usize, remote: usize, localPt: u32, remotePt: u32, path: u32,
): u32 {
  if (connection.subflowCount >= load<u32>(CONFIG + EngineConfig.SUBFLOWS_PER_CONNECTION_MAX)) return 0;
  const index = slabAlloc(subflowSlab());
  if (index == 0) return 0;
  const subflow = subflowAt(index);
  subflow.connection = connectionIndex(connection);
  subflow.number = connection.nextNumber++;
  subflow.path = <u8>path;
  subflow.createdUs = nowUs();
  memory.copy(localAddress(subflow), local, 16);
  memory.copy(remoteAddress(subflow), remote, 16);
  setSubflowPorts(subflow, localPt, remotePt);
  insertSubflow(subflow);
  // Its first one: whoever asks idle paths has slept.
  if (pathAt(path).subflows++ == 0 && path != 0 && probeIntervalUs != 0) armPath(path, nowUs());
  if (connection.head == 0) {
    connection.head = index;
  } else {
    let last = subflowAt(connection.head);
    while (last.next != 0) last = subflowAt(last.next);
    last.next = index;
  }
  connection.subflowCount++;
  count(Counter.SUBFLOWS_OPENED);
  return index;
}

/** Forgets a subflow. What it still had in flight must be mapped afresh when the host sends it again. */
export function subflowDestroy(subflow: Subflow, reason: Reason): void {
  const index = subflowIndex(subflow);
  const connection = connectionAt(subflow.connection);
  if (connection.active == index) {
    connection.active = 0;
    if (hasFlag(connection, ConnectionFlag.ESTABLISHED_EVER)) setMoveReason(connection, reason);
    measurePlace(connection);
  }
  if (connection.transitionSubflow == index) connection.transitionSubflow = 0;
  if (connection.duplicateSubflow == index) connection.duplicateSubflow = 0;
  if (connection.handoverSubflow == index) connection.handoverSubflow = 0;
  if (connection.head == index) {
    connection.head = subflow.next;
  } else {
    let before = subflowAt(connection.head);
    while (before.next != index) before = subflowAt(before.next);
    before.next = subflow.next;
  }
  connection.subflowCount--;
  sendTableFreeSubflow(sendTableOf(connection), index, connection.dsnUna);
  recvTableFree(recvTableOf(subflow));
  rangesFree(rangesOf(subflow));
  rangesFree(heldOf(subflow));
  mapLogFree(mapLogOf(subflow));
  mapSumsFree(mapSumsOf(subflow));
  disarmSubflow(subflow);
  removeSubflow(subflow);
  const path = pathAt(subflow.path);
  path.subflows--;
  if (path.probedSubflow == index) path.probedSubflow = 0;
  // Our SYN is not counted before its acknowledgement.
  if (<i32>subflow.state >= SubflowState.PRE_ESTABLISHED) measureLost(subflow, subflow.ssnNxt - subflow.ssnUna);
  count(Counter.SUBFLOWS_CLOSED);
  if (hasFlag(connection, ConnectionFlag.ESTABLISHED_EVER)) {
    emitSubflowEvent(EventKind.SUBFLOW_CLOSED, reason, subflow);
  }
  // The host's own tuple stays in the set as long as the connection lives: its packets must be queued.
  if (!subflowHas(subflow, SubflowBit.INITIAL)) subflowSetOperation(subflow, SetOperationKind.DELETE_CONVERTED);
  slabFree(subflowSlab(), index);
}

/** Puts a subflow's tuple into the kernel set of converted ones, or takes it out. */
export function subflowSetOperation(subflow: Subflow, kind: SetOperationKind): void {
  const local = localAddress(subflow);
  const remote = remoteAddress(subflow);
  if (subflowHas(subflow, SubflowBit.OPENER)) setOperation(kind, local, localPort(subflow), remote);
  else setOperation(kind, remote, remotePort(subflow), local);
}

/** Counts payload of the host sent on `subflow`. */
export function accountSent(connection: Connection, subflow: Subflow, octets: u32, retransmission: bool): void {
  subflow.bytesSent += octets;
  subflow.packetsSent++;
  const path = pathAt(subflow.path);
  path.bytesSent += octets;
  path.packetsSent++;
  if (retransmission) {
    subflow.retransmitted += octets;
    path.bytesRetransmitted += octets;
    path.packetsRetransmitted++;
    count(Counter.HOST_RETRANSMISSIONS);
    return;
  }
  connection.bytesSent += octets;
  connection.lastPayloadUs = nowUs();
  countAdd(Counter.BYTES_SENT, octets);
}

/** Counts payload of the peer that came on `subflow`, be it again. */
export function accountReceived(connection: Connection, subflow: Subflow, octets: u32): void {
  subflow.bytesReceived += octets;
  const path = pathAt(subflow.path);
  path.bytesReceived += octets;
  path.packetsReceived++;
  connection.lastPayloadUs = nowUs();
}

/** Counts what the host has acknowledged by moving on to `dan`: each octet once, in whatever order it came. */
export function accountAcknowledged(connection: Connection, dan: Dan): void {
  const fin: u64 = hasFlag(connection, ConnectionFlag.PEER_FIN) && dsnGt(dan, connection.peerFinDsn) ? 1 : 0;
  const octets = dan - connection.rcvDan - fin;
  connection.bytesReceived += octets;
  classAt(connection.classId).bytesReceived += octets;
  countAdd(Counter.BYTES_RECEIVED, octets);
}
