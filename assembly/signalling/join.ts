// Additional subflows: MP_JOIN in both roles (RFC 8684 §3.2).
//
//   opener       SYN_SENT ──SYN/ACK──► PRE_ESTABLISHED ──fourth ACK──► ESTABLISHED
//   responder    SYN_RECEIVED ──MP_JOIN ACK──► ESTABLISHED (and sends the fourth ACK)
//
// No packet of this exchange is ever seen by the host. Retransmissions have a timer of their own here.

import {
  CONFIG, Counter, EngineConfig, EventKind, EventRecord, PATH_MAX, PathFlag, Reason, SetOperationKind, SubflowState,
} from "../abi";
import { drawU32, entropyHas, nowUs } from "../clock";
import { JOIN_TRIES_MAX, REMOTE_ADDRESSES_MAX } from "../config";
import { pathClosed } from "../connection/classes";
import {
  Connection, ConnectionFlag, hasFlag, peerAddress, peerPort, remoteAddressEntry,
} from "../connection/connection";
import { equalConstantTime, joinHmac } from "../connection/keys";
import {
  emitConnectionEvent, subflowCreate, subflowDestroy, subflowSetOperation,
} from "../connection/lifecycle";
import { findSubflow } from "../connection/lookup";
import {
  commonBits, headersOf, pathAddress, pathAddressId, pathAddressIn, pathAt, pathReaches, pathUsable,
} from "../connection/paths";
import { rtoUs } from "../connection/rtt";
import {
  localAddress, Subflow, subflowAt, SubflowBit, subflowHas,
} from "../connection/subflow";
import { armSubflow } from "../connection/timers";
import { windowUnscaled, windowForSubflow } from "../connection/window";
import { count } from "../counters";
import { Fault, faulty } from "../faults";
import { addressEqual, addressFamily } from "../memory/address";
import { FORGE_OPTIONS } from "../scratch";
import { writeJoinAck, writeJoinSyn, writeJoinSynAck } from "../wire/mptcp-options";
import { TCP_ACK, TCP_SYN } from "../wire/tcp";
import { writeMss, writeSackPermitted, writeWindowScale } from "../wire/tcp-options";
import { forgeOnSubflow } from "./forge";

let nextPort: u32 = 0;

/** A source port from our own range that is free towards `remote`, or 0. */
function drawPort(local: usize, remote: usize, remotePt: u32): u32 {
  const first = load<u32>(CONFIG + EngineConfig.PORT_FIRST);
  const last = load<u32>(CONFIG + EngineConfig.PORT_LAST);
  const shards = load<u32>(CONFIG + EngineConfig.SHARD_COUNT);
  const part = (last - first + 1) / shards;
  const base = first + part * load<u32>(CONFIG + EngineConfig.SHARD);
  for (let tries: u32 = 0; tries < 64; tries++) {
    const port = base + nextPort++ % part;
    if (findSubflow(local, remote, port, remotePt) == 0) return port;
  }
  return 0;
}

/**
 * The peer's address that a subflow on `path` should go to: of the connection's family if there is one, since no
 * packet has to be made anew then, else of the other. Leaves its id and port in `remoteIdFound`, `remotePortFound`; 0
 * when there is none.
 */
function chooseRemote(connection: Connection, path: u32): usize {
  const family = addressFamily(peerAddress(connection));
  const found = chooseRemoteIn(connection, path, family);
  return found != 0 ? found : chooseRemoteIn(connection, path, family == 4 ? 6 : 4);
}

/** The same in one family: of those reachable from the path the longest common prefix, at a tie the one in use. */
function chooseRemoteIn(connection: Connection, path: u32, family: u32): usize {
  const initial = peerAddress(connection);
  const own = pathAddressIn(path, family);
  if (own == 0) return 0;
  let best: usize = 0;
  let bestBits: u32 = 0;
  const inUse = addressFamily(initial) == family && !hasFlag(connection, ConnectionFlag.PEER_NO_JOIN);
  if (inUse && pathReaches(path, initial)) {
    best = initial;
    bestBits = commonBits(own, initial);
    remoteIdFound = 0;
    remotePortFound = peerPort(connection);
  }
  for (let i: u32 = 0; i < <u32>connection.remoteCount; i++) {
    const entry = remoteAddressEntry(connection, i);
    const address = entry + 8;
    if (addressFamily(address) != family || !pathReaches(path, address)) continue;
    const bits = commonBits(own, address);
    if (best != 0 && bits <= bestBits) continue;
    best = address;
    bestBits = bits;
    remoteIdFound = load<u8>(entry);
    const port = <u32>load<u16>(entry, 2);
    remotePortFound = port != 0 ? port : peerPort(connection);
  }
  return best;
}

let remoteIdFound: u32 = 0;
let remotePortFound: u32 = 0;

/**
 * The live subflow of `connection` on `path`, or 0. A peer may join one path several times, for each address that it
 * knows: then an established one, and of those the youngest.
 */
export function subflowOnPath(connection: Connection, path: u32): u32 {
  let found: u32 = 0;
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    const subflow = subflowAt(index);
    if (subflow.path != path || <i32>subflow.state >= SubflowState.FIN_WAIT) continue;
    if (found == 0 || subflow.state >= subflowAt(found).state) found = index;
  }
  return found;
}

/** Why `connection` cannot be joined on `path` now, or Reason.NONE. */
export function joinObstacle(connection: Connection, path: u32): Reason {
  if (path == 0 || path > PATH_MAX || pathAt(path).known == 0) return Reason.NO_PATH;
  if (!hasFlag(connection, ConnectionFlag.OPENER)) return Reason.PEER_OPENS;
  if (!pathUsable(path)) return Reason.PATH_NOT_USABLE;
  if ((pathAt(path).flags & PathFlag.DRAINING) != 0) return Reason.DRAINING;
  return chooseRemote(connection, path) == 0 ? Reason.NO_REMOTE_ADDRESS : Reason.NONE;
}

/**
 * Opens a subflow on `path` (joinObstacle() said NONE). Returns its index, or 0 when a limit or the entropy
 * is at its end.
 */
export function joinStart(connection: Connection, path: u32, backup: bool, commandId: u32): u32 {
  const remote = chooseRemote(connection, path);
  if (remote == 0 || !entropyHas(16)) return 0;
  const local = pathAddress(path, remote);
  const remotePt = remotePortFound;
  const port = drawPort(local, remote, remotePt);
  if (port == 0) return 0;
  const index = subflowCreate(connection, local, remote, port, remotePt, path);
  if (index == 0) return 0;
  const subflow = subflowAt(index);
  subflow.state = <u8>SubflowState.SYN_SENT;
  subflow.flags = SubflowBit.OPENER | (backup ? SubflowBit.BACKUP : 0);
  subflow.iss = drawU32();
  subflow.ssnNxt = faulty(Fault.JOIN) ? subflow.iss : subflow.iss + 1;
  subflow.ssnUna = subflow.iss;
  subflow.nonceLocal = drawU32() | 1; // never 0
  subflow.localId = <u8>pathAddressId(path, local);
  subflow.remoteId = <u8>remoteIdFound;
  keepAddress(connection, subflow.localId);
  subflow.joinCommand = commandId;
  subflow.rttUs = nowUs();
  subflow.rttSsn = subflow.ssnNxt;
  subflowSetOperation(subflow, SetOperationKind.ADD_CONVERTED);
  count(Counter.JOINS_SENT);
  sendJoinSyn(connection, subflow);
  return index;
}

/** Options that every forged SYN and SYN/ACK shares: MSS of the path; what host and peer have agreed on, if offered. */
function writeSynOptions(connection: Connection, subflow: Subflow, p: usize): usize {
  const mtu = pathAt(subflow.path).mtu;
  p = writeMss(p, (mtu < 576 ? 1280 : mtu) - headersOf(addressFamily(localAddress(subflow))));
  const sack = hasFlag(connection, ConnectionFlag.SACK) && !subflowHas(subflow, SubflowBit.NO_SACK);
  const scaled = hasFlag(connection, ConnectionFlag.SCALED) && !subflowHas(subflow, SubflowBit.UNSCALED);
  if (sack) p = writeSackPermitted(p);
  if (scaled) p = writeWindowScale(p, connection.hostScale);
  return p;
}

/** Sends the MP_JOIN SYN, again if need be, and arms its timer. */
function sendJoinSyn(connection: Connection, subflow: Subflow): void {
  let p = writeSynOptions(connection, subflow, FORGE_OPTIONS);
  const backup = subflowHas(subflow, SubflowBit.BACKUP);
  p = writeJoinSyn(p, backup, subflow.localId, connection.remoteToken, subflow.nonceLocal);
  forgeOnSubflow(subflow, subflow.iss, 0, TCP_SYN, windowUnscaled(connection), p);
  armRetry(subflow);
}

/** Sends the MP_JOIN SYN/ACK: the truncated HMAC proves that we know both keys. */
export function sendJoinSynAck(connection: Connection, subflow: Subflow): void {
  let p = writeSynOptions(connection, subflow, FORGE_OPTIONS);
  const hmac = joinHmac(connection.localKey, connection.remoteKey, subflow.nonceLocal, subflow.nonceRemote);
  const backup = subflowHas(subflow, SubflowBit.BACKUP);
  p = writeJoinSynAck(p, backup, subflow.localId, hmac, subflow.nonceLocal);
  forgeOnSubflow(subflow, subflow.iss, subflow.irs + 1, TCP_SYN | TCP_ACK, windowUnscaled(connection), p);
  armRetry(subflow);
}

/** Sends the MP_JOIN ACK with the full HMAC; repeated until the fourth ACK comes (RFC 8684 §3.2). */
export function sendJoinAck(connection: Connection, subflow: Subflow): void {
  const hmac = joinHmac(connection.localKey, connection.remoteKey, subflow.nonceLocal, subflow.nonceRemote);
  const p = writeJoinAck(FORGE_OPTIONS, hmac);
  forgeOnSubflow(subflow, subflow.ssnNxt, subflow.rcvSan, TCP_ACK, windowForSubflow(connection, subflow), p);
  armRetry(subflow);
}

/** True if the first `octets` of the HMAC at `hmac` are what the other end of this join must have sent. */
export function joinHmacValid(connection: Connection, subflow: Subflow, hmac: usize, octets: u32): bool {
  const own = joinHmac(connection.remoteKey, connection.localKey, subflow.nonceRemote, subflow.nonceLocal);
  return equalConstantTime(own, hmac, octets);
}

function armRetry(subflow: Subflow): void {
  subflow.retryUs = nowUs() + (rtoUs(subflow) << subflow.tries);
  armSubflow(subflow);
}

/** The handshake timer of `subflow` fired: sends again, or is at its end: false, and the caller gives the join up. */
export function joinRetry(connection: Connection, subflow: Subflow): bool {
  subflow.rttUs = 0; // Karn: an answer would be ambiguous
  if (++subflow.tries > <u8>JOIN_TRIES_MAX) return false;
  if (subflow.state == SubflowState.SYN_SENT) sendJoinSyn(connection, subflow);
  else if (subflow.state == SubflowState.SYN_RECEIVED) sendJoinSynAck(connection, subflow);
  else sendJoinAck(connection, subflow);
  return true;
}

/** Ends a subflow that never came to be. */
export function joinFailed(connection: Connection, subflow: Subflow, reason: Reason): void {
  const event = emitConnectionEvent(EventKind.JOIN_FAILED, reason, connection);
  store<u32>(event, subflow.path, EventRecord.PATH);
  store<u32>(event, subflow.joinCommand, EventRecord.COMMAND_ID);
  if (connection.joinTries < 8) connection.joinTries++;
  subflowDestroy(subflow, reason);
}

/**
 * The entry that makes room for an address of `family`: the oldest of the other family than the connection's, since
 * those are joined only where nothing else is; else the oldest. REMOTE_ADDRESSES_MAX: none.
 */
function entryToForget(connection: Connection, family: u32): u32 {
  const own = addressFamily(peerAddress(connection));
  for (let i: u32 = 0; i < REMOTE_ADDRESSES_MAX; i++) {
    if (<u32>load<u8>(remoteAddressEntry(connection, i), 1) != own) return i;
  }
  return family == own ? 0 : REMOTE_ADDRESSES_MAX;
}

function forgetEntry(connection: Connection, i: u32): void {
  const entry = remoteAddressEntry(connection, i);
  const behind = <u32>connection.remoteCount - i - 1;
  memory.copy(entry, entry + 24, behind * 24);
  connection.remoteCount--;
}

/** Remembers an address that the peer advertised, if need be in the place of another. True if it is new. */
export function rememberRemote(connection: Connection, id: u32, family: u32, address: usize, port: u32): bool {
  let slot: u32 = REMOTE_ADDRESSES_MAX;
  for (let i: u32 = 0; i < <u32>connection.remoteCount; i++) {
    const entry = remoteAddressEntry(connection, i);
    if (<u32>load<u8>(entry) != id) continue;
    if (addressEqual(entry + 8, address) && <u32>load<u16>(entry, 2) == port) return false;
    slot = i;
  }
  if (slot == REMOTE_ADDRESSES_MAX) {
    if (connection.remoteCount == <u8>REMOTE_ADDRESSES_MAX) {
      const forgotten = entryToForget(connection, family);
      if (forgotten == REMOTE_ADDRESSES_MAX) return false;
      forgetEntry(connection, forgotten);
    }
    slot = connection.remoteCount++;
  }
  const entry = remoteAddressEntry(connection, slot);
  store<u8>(entry, <u8>id);
  store<u8>(entry, <u8>family, 1);
  store<u16>(entry, <u16>port, 2);
  store<u32>(entry, 0, 4);
  memory.copy(entry + 8, address, 16);
  return true;
}

/** Forgets the advertised address `id`. */
export function forgetRemote(connection: Connection, id: u32): void {
  for (let i: u32 = 0; i < <u32>connection.remoteCount; i++) {
    if (<u32>load<u8>(remoteAddressEntry(connection, i)) != id) continue;
    forgetEntry(connection, i);
    return;
  }
}

/** Our address `id` is in use again: it is no longer said to be gone. */
export function keepAddress(connection: Connection, id: u32): void {
  let kept: u32 = 0;
  let ids: u32 = 0;
  for (let i: u32 = 0; i < <u32>connection.removedCount; i++) {
    const removed = (connection.removedIds >> (i * 8)) & 0xff;
    if (removed != id) ids |= removed << (kept++ * 8);
  }
  connection.removedIds = ids;
  connection.removedCount = <u8>kept;
}

/** True if we may join `path` for `connection` by ourselves. */
export function joinWanted(connection: Connection, path: u32): bool {
  if (pathAt(path).known == 0 || (pathAt(path).flags & PathFlag.NO_JOIN) != 0) return false;
  return !pathClosed(connection.classId, path);
}

/** True if `connection` could be joined on some other path than `path` now. */
export function joinableBeside(connection: Connection, path: u32): bool {
  for (let other: u32 = 1; other <= PATH_MAX; other++) {
    if (other == path || !joinWanted(connection, other)) continue;
    if (joinObstacle(connection, other) == Reason.NONE) return true;
  }
  return false;
}
