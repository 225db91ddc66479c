// MP_CAPABLE in both roles (RFC 8684 §3.1), overlaid on the host's own three-way handshake (paper §3.1).
//
//   host opens      hostSyn ──► peerSynAck ──► (ack-to-subflow adds MP_CAPABLE to the third ACK)
//   peer opens      peerSyn ──► hostSynAck ──► peerThirdAck
//
// Whenever a step shows that the other end does not speak MPTCP v1, the connection becomes plain TCP: up
// to the first join SSN = TSN on the initial subflow, so that nothing but options has ever been changed.

import {
  CONFIG, ConnectionState, Counter, DropReason, EngineConfig, EventKind, Reason, SetOperationKind, SubflowState,
} from "../abi";
import { entropyHas, nowUs } from "../clock";
import { CAPABLE_DATA_OVERHEAD, DSS_OVERHEAD } from "../config";
import {
  clearFlag, Connection, connectionAt, ConnectionFlag, hasFlag, setFlag,
} from "../connection/connection";
import { idsnOfDigest, keyDraw, tokenOf } from "../connection/keys";
import {
  connectionCreate, connectionDestroy, connectionEstablish, connectionFallback, connectionSetOperation,
  emitConnectionEvent, subflowCreate,
} from "../connection/lifecycle";
import { learnListener, Listener, listenerOf } from "../connection/listeners";
import { findToken, insertToken } from "../connection/lookup";
import { pathOfAddress, smallestMtu } from "../connection/paths";
import { rttAcknowledged } from "../connection/rtt";
import { Subflow, subflowAt, SubflowBit } from "../connection/subflow";
import { count, countDrop } from "../counters";
import { addressIsMapped } from "../memory/address";
import { MPTCP_OPTIONS, REWRITE_OPTIONS, TCP_OPTIONS } from "../scratch";
import { setOperation } from "../set-operations";
import { advertiseStart } from "../signalling/addresses";
import { forgeAck } from "../signalling/forge";
import { MP_CAPABLE, MptcpOptions, mptcpOptionsAt, mptcpParse, writeCapableSyn, writeCapableSynAck } from "../wire/mptcp-options";
import { TCP_ACK, TCP_SYN } from "../wire/tcp";
import { copySynOptions, MSS_DEFAULT, NO_WINDOW_SCALE, tcpHasMptcp, TcpOptions, tcpOptionsAt, tcpOptionsParse } from "../wire/tcp-options";
import { acceptUntouched, destinationOf, dropSegment, rewrite, Segment, segmentCut, sourceOf } from "./segment";

@inline const NO_CLAMP: u32 = 65535;
@inline const FLAG_CHECKSUM: u32 = 0x80; // A
@inline const FLAG_EXTENSIBILITY: u32 = 0x40; // B
@inline const FLAG_NO_JOIN: u32 = 0x20; // C
@inline const FLAG_ALGORITHMS: u32 = 0x1f; // D … H
@inline const HMAC_SHA256: u32 = 0x01; // H

/** Parses both kinds of options of the segment into their scratch structs. */
export function parseOptions(segment: Segment): void {
  tcpOptionsParse(segment.tcp, segment.tcpHeaderLength, tcpOptionsAt(TCP_OPTIONS));
  mptcpParse(segment.tcp, segment.tcpHeaderLength, mptcpOptionsAt(MPTCP_OPTIONS));
}

/** True if the MP_CAPABLE just parsed is one of v1 that we can speak: HMAC-SHA256, no checksums, no extension. */
function capableAgreed(options: MptcpOptions, length: u32): bool {
  if ((options.present & (1 << MP_CAPABLE)) == 0 || options.capableLength != length) return false;
  if ((options.capableFlags & (FLAG_EXTENSIBILITY | FLAG_CHECKSUM)) != 0) return false;
  return (options.capableFlags & FLAG_ALGORITHMS) == HMAC_SHA256;
}

/** Draws our key so that its token is unique and its low bits name this shard; false when the entropy is at its end. */
function drawKey(connection: Connection): bool {
  const shards = load<u32>(CONFIG + EngineConfig.SHARD_COUNT);
  for (let tries = 0; tries < 64; tries++) {
    const key = keyDraw();
    if (key == 0) return false;
    const token = tokenOf(key);
    if (token == 0 || findToken(token) != 0) continue;
    if (token % shards != load<u32>(CONFIG + EngineConfig.SHARD)) continue;
    connection.localKey = key;
    connection.localToken = token;
    connection.localIdsn = idsnOfDigest();
    insertToken(connection);
    return true;
  }
  return false;
}

/** Passes a SYN as it is and has the kernel keep the rest of its flow out of the queue. */
function bypass(segment: Segment, opener: usize, openerPort: u32, other: usize): void {
  setOperation(SetOperationKind.ADD_BYPASS, opener, openerPort, other);
  acceptUntouched(segment);
}

/** A SYN of the host. `index`: the connection with its tuple, 0 = none. */
export function hostSyn(segment: Segment, index: u32): void {
  if (index != 0) {
    const known = connectionAt(index);
    const repeated = known.state == ConnectionState.SYN_SENT && known.hostIss == segment.segSeq;
    if (repeated) {
      hostSynAgain(known, segment);
      return;
    }
    connectionDestroy(known, Reason.REPLACED);
  }
  parseOptions(segment);
  const options = tcpOptionsAt(TCP_OPTIONS);
  if (options.mptcpCount != 0) {
    count(Counter.NATIVE_MPTCP_BYPASSED);
    bypass(segment, sourceOf(), segment.sourcePort, destinationOf());
    return;
  }
  // A signature covers what we would rewrite; without entropy there is no key: plain TCP in both cases.
  if (options.md5 != 0 || options.malformed != 0 || !entropyHas(64)) {
    bypass(segment, sourceOf(), segment.sourcePort, destinationOf());
    return;
  }
  const fresh = connectionCreate(
    ConnectionState.SYN_SENT, sourceOf(), destinationOf(), segment.sourcePort, segment.destinationPort,
  );
  if (fresh == 0) {
    countDrop(DropReason.CONNECTIONS_FULL); // counted only: the SYN goes on as plain TCP
    bypass(segment, sourceOf(), segment.sourcePort, destinationOf());
    return;
  }
  const connection = connectionAt(fresh);
  setFlag(connection, ConnectionFlag.OPENER);
  const subflow = drawKey(connection) ? createInitial(connection, segment, SubflowBit.OPENER) : 0;
  if (subflow == 0) {
    connectionDestroy(connection, Reason.LIMIT);
    bypass(segment, sourceOf(), segment.sourcePort, destinationOf());
    return;
  }
  noteHostSyn(connection, segment, options);
  connection.dsnNxt = connection.localIdsn + 1;
  connection.dsnUna = connection.dsnNxt;
  startSubflowSend(subflowAt(subflow), segment.segSeq);
  emitConnectionEvent(EventKind.NEW_CONNECTION, Reason.NONE, connection);
  sendHostSyn(segment);
}

/** The initial subflow: its tuple is the host's own (RFC 8684 §3.2: address id 0 at both ends). */
function createInitial(connection: Connection, segment: Segment, opener: u32): u32 {
  const fromHost = opener != 0;
  const local = fromHost ? sourceOf() : destinationOf();
  const remote = fromHost ? destinationOf() : sourceOf();
  const localPt = fromHost ? segment.sourcePort : segment.destinationPort;
  const remotePt = fromHost ? segment.destinationPort : segment.sourcePort;
  const path = pathOfAddress(local);
  const index = subflowCreate(connection, local, remote, localPt, remotePt, path);
  if (index == 0) return 0;
  const subflow = subflowAt(index);
  subflow.flags = SubflowBit.INITIAL | opener;
  subflow.state = <u8>(fromHost ? SubflowState.SYN_SENT : SubflowState.SYN_RECEIVED);
  connection.initialPath = <u8>path;
  connection.active = index;
  return index;
}

/** What the host announces in its SYN or SYN/ACK, until the other side has spoken. */
function noteHostSyn(connection: Connection, segment: Segment, options: TcpOptions): void {
  connection.hostIss = segment.segSeq;
  connection.hostScale = <u8>(options.windowScale == NO_WINDOW_SCALE ? 255 : options.windowScale);
  if (options.sackPermitted != 0) setFlag(connection, ConnectionFlag.SACK);
  connection.hostWindow = segment.window;
}

/** Initial numbers of our direction on the initial subflow: the host's own (design: SSN = TSN until the first switch). */
function startSubflowSend(subflow: Subflow, iss: u32): void {
  subflow.iss = iss;
  subflow.ssnNxt = iss + 1;
  subflow.ssnUna = iss;
  subflow.rttUs = nowUs();
  subflow.rttSsn = iss + 1;
}

/** The SYN on the wire: no timestamps, no Fast Open, no ECN, no payload, MP_CAPABLE v1. */
function sendHostSyn(segment: Segment): void {
  const octets = copySynOptions(segment.tcp, segment.tcpHeaderLength, REWRITE_OPTIONS, NO_CLAMP);
  const end = writeCapableSyn(REWRITE_OPTIONS + octets, HMAC_SHA256);
  segmentCut(segment, 0);
  keepTuple(segment, TCP_SYN, end);
}

/** Rewrites a segment of the handshake: tuple and numbers stay, options change. */
function keepTuple(segment: Segment, flags: u32, optionsEnd: usize): void {
  if (optionsEnd - REWRITE_OPTIONS > 40) {
    dropSegment(segment, DropReason.TCP_OPTIONS_MALFORMED);
    return;
  }
  rewrite(
    segment, sourceOf(), destinationOf(), segment.sourcePort, segment.destinationPort,
    segment.segSeq, segment.segAck, flags, segment.window, optionsEnd,
  );
}

/** The host repeats its SYN: the first SYN_MPC_RETRIES copies still offer MPTCP, then something may dislike the option. */
function hostSynAgain(connection: Connection, segment: Segment): void {
  connection.synCount++;
  subflowAt(connection.head).rttUs = 0;
  if (<u32>connection.synCount > load<u32>(CONFIG + EngineConfig.SYN_MPC_RETRIES)) {
    acceptUntouched(segment);
    connectionFallback(connection, Reason.SYN_RETRIES);
    return;
  }
  sendHostSyn(segment);
}

/** The MSS shown to the host: what fits all usable paths and the peer, less what we add to its segments. */
function clampedMss(peerMss: u32, like: usize, overhead: u32): u32 {
  const headers: u32 = addressIsMapped(like) ? 40 : 60;
  const path = smallestMtu(like, 1500) - headers;
  return min<u32>(peerMss == 0 ? MSS_DEFAULT : peerMss, path) - overhead;
}

/** Agrees on what both sides of the TCP side have announced: window scale and SACK. */
function agree(connection: Connection, subflow: Subflow, options: TcpOptions): void {
  const scaled = connection.hostScale != 255 && options.windowScale != NO_WINDOW_SCALE;
  if (scaled) {
    setFlag(connection, ConnectionFlag.SCALED);
    connection.peerScale = <u8>options.windowScale;
  } else {
    connection.hostScale = 0;
    connection.peerScale = 0;
  }
  subflow.peerScale = connection.peerScale;
  if (options.sackPermitted == 0) clearFlag(connection, ConnectionFlag.SACK);
}

/** Initial numbers of the peer's direction. */
function startReceive(connection: Connection, subflow: Subflow, irs: u32): void {
  connection.hostIrs = irs;
  subflow.irs = irs;
  subflow.rcvSan = irs + 1;
  subflow.rcvHighest = irs + 1;
}

/** The peer's key is known: derive its token and IDSN and the data-level numbers of its direction. */
function takePeerKey(connection: Connection, key: u64): void {
  connection.remoteKey = key;
  connection.remoteToken = tokenOf(key);
  connection.remoteIdsn = idsnOfDigest();
  connection.rcvDan = connection.remoteIdsn + 1;
  connection.rcvDsnMax = connection.remoteIdsn + 1;
  connection.hostWindowRight = connection.rcvDan + <u64>connection.hostWindow;
}

/** The peer's SYN/ACK for a connection that our host opens. */
export function peerSynAck(connection: Connection, subflow: Subflow, segment: Segment): void {
  if (segment.segAck != subflow.iss + 1) {
    acceptUntouched(segment); // the host answers a wrong ACK itself (RFC 9293 §3.5.2)
    return;
  }
  parseOptions(segment);
  const mptcp = mptcpOptionsAt(MPTCP_OPTIONS);
  const agreed = capableAgreed(mptcp, 12) && mptcp.capableVersion == 1 && mptcp.senderKey != 0;
  if (!agreed) {
    acceptUntouched(segment);
    connectionFallback(connection, Reason.NO_MPTCP_IN_SYNACK);
    return;
  }
  const options = tcpOptionsAt(TCP_OPTIONS);
  if (subflow.state == SubflowState.SYN_SENT) {
    rttAcknowledged(subflow, segment.segAck);
    agree(connection, subflow, options);
    startReceive(connection, subflow, segment.segSeq);
    takePeerKey(connection, mptcp.senderKey);
    subflow.ssnUna = segment.segAck;
    connection.peerWindowRight = connection.dsnUna + <u64>segment.window;
    connection.mss = clampedMss(options.mss, sourceOf(), CAPABLE_DATA_OVERHEAD);
    if ((mptcp.capableFlags & FLAG_NO_JOIN) != 0) setFlag(connection, ConnectionFlag.PEER_NO_JOIN);
    subflow.state = <u8>SubflowState.ESTABLISHED;
    connectionSetOperation(connection, SetOperationKind.ADD_CONVERTED);
    connectionEstablish(connection);
  } else if (segment.segSeq != subflow.irs) {
    acceptUntouched(segment);
    return;
  }
  // A repeated SYN/ACK means that our third ACK was lost: the host answers, and its answer carries both keys again.
  clearFlag(connection, ConnectionFlag.CONFIRMED);
  const octets = copySynOptions(segment.tcp, segment.tcpHeaderLength, REWRITE_OPTIONS, connection.mss);
  segmentCut(segment, 0);
  keepTuple(segment, TCP_SYN | TCP_ACK, REWRITE_OPTIONS + octets);
}

/** A SYN from the wire with MP_CAPABLE for our host. `index`: the connection with its tuple, 0 = none. */
export function peerSyn(segment: Segment, index: u32): void {
  const mptcp = mptcpOptionsAt(MPTCP_OPTIONS);
  const options = tcpOptionsAt(TCP_OPTIONS);
  let connection: Connection;
  if (index != 0) {
    connection = connectionAt(index);
    const first = subflowAt(connection.head);
    const repeated = connection.state == ConnectionState.SYN_RECEIVED && first.irs == segment.segSeq;
    if (!repeated) {
      peerSynOnKnown(connection, segment);
      return;
    }
  } else {
    const offered = capableAgreed(mptcp, 4) && mptcp.capableVersion >= 1;
    const native = listenerOf(segment.destinationPort) == Listener.MPTCP;
    if (!offered || native || options.md5 != 0 || !entropyHas(64)) {
      acceptUntouched(segment);
      return;
    }
    const fresh = connectionCreate(
      ConnectionState.SYN_RECEIVED, destinationOf(), sourceOf(), segment.destinationPort, segment.sourcePort,
    );
    if (fresh == 0) {
      countDrop(DropReason.CONNECTIONS_FULL);
      acceptUntouched(segment);
      return;
    }
    connection = connectionAt(fresh);
    const subflow = drawKey(connection) ? createInitial(connection, segment, 0) : 0;
    if (subflow == 0) {
      connectionDestroy(connection, Reason.LIMIT);
      acceptUntouched(segment);
      return;
    }
    noteSyn(connection, subflowAt(subflow), segment, options, mptcp);
    emitConnectionEvent(EventKind.NEW_CONNECTION, Reason.NONE, connection);
  }
  let end: usize = REWRITE_OPTIONS;
  end += copySynOptions(segment.tcp, segment.tcpHeaderLength, REWRITE_OPTIONS, connection.mss);
  // A port that we have not heard yet may speak MPTCP itself: leave it the chance to say so.
  if (listenerOf(segment.destinationPort) == Listener.UNKNOWN) end = writeCapableSyn(end, HMAC_SHA256);
  segmentCut(segment, 0);
  keepTuple(segment, TCP_SYN, end);
}

/** What the peer's SYN says. */
function noteSyn(
  connection: Connection, subflow: Subflow, segment: Segment, options: TcpOptions, mptcp: MptcpOptions,
): void {
  startReceive(connection, subflow, segment.segSeq);
  subflow.peerScale = <u8>(options.windowScale == NO_WINDOW_SCALE ? 255 : options.windowScale);
  connection.peerScale = subflow.peerScale;
  if (options.sackPermitted != 0) setFlag(connection, ConnectionFlag.SACK);
  if ((mptcp.capableFlags & FLAG_NO_JOIN) != 0) setFlag(connection, ConnectionFlag.PEER_NO_JOIN);
  connection.mss = clampedMss(options.mss, sourceOf(), DSS_OVERHEAD);
  connection.dsnNxt = connection.localIdsn + 1;
  connection.dsnUna = connection.dsnNxt;
  connection.peerWindowRight = connection.dsnUna + <u64>segment.window;
}

/** A SYN on a tuple that is in use: only a connection that is over makes room for it (RFC 5961 §4). */
function peerSynOnKnown(connection: Connection, segment: Segment): void {
  const over = connection.state == ConnectionState.M_TIME_WAIT || connection.state == ConnectionState.SYN_RECEIVED;
  if (over || hasFlag(connection, ConnectionFlag.RESET)) {
    connectionDestroy(connection, Reason.REPLACED);
    peerSyn(segment, 0);
    return;
  }
  if (connection.head != 0) forgeAck(connection, subflowAt(connection.head));
  dropSegment(segment, DropReason.OUT_OF_WINDOW);
}

/** The host answers with MPTCP of its own: both ends speak it, and we are not needed. */
function stepAside(connection: Connection, segment: Segment): void {
  count(Counter.NATIVE_MPTCP_BYPASSED);
  acceptUntouched(segment);
  connectionSetOperation(connection, SetOperationKind.ADD_BYPASS);
  connectionDestroy(connection, Reason.NONE);
}

/** The host's SYN/ACK for a connection that the peer opens: MP_CAPABLE with our key, the same at every repetition. */
export function hostSynAck(connection: Connection, segment: Segment): void {
  const subflow = subflowAt(connection.head);
  const options = tcpOptionsAt(TCP_OPTIONS);
  tcpOptionsParse(segment.tcp, segment.tcpHeaderLength, options);
  learnListener(segment.sourcePort, options.mptcpCount != 0 ? Listener.MPTCP : Listener.TCP);
  if (options.mptcpCount != 0) {
    stepAside(connection, segment);
    return;
  }
  if (connection.synCount == 0) {
    const peerSack = hasFlag(connection, ConnectionFlag.SACK);
    connection.hostIss = segment.segSeq;
    connection.hostWindow = segment.window;
    const scaled = options.windowScale != NO_WINDOW_SCALE && connection.peerScale != 255;
    connection.hostScale = <u8>(scaled ? options.windowScale : 0);
    if (scaled) setFlag(connection, ConnectionFlag.SCALED);
    else connection.peerScale = subflow.peerScale = 0;
    if (!peerSack || options.sackPermitted == 0) clearFlag(connection, ConnectionFlag.SACK);
    startSubflowSend(subflow, segment.segSeq);
  } else {
    subflow.rttUs = 0;
  }
  connection.synCount = 1;
  connectionSetOperation(connection, SetOperationKind.ADD_CONVERTED);
  const octets = copySynOptions(segment.tcp, segment.tcpHeaderLength, REWRITE_OPTIONS, NO_CLAMP);
  const end = writeCapableSynAck(REWRITE_OPTIONS + octets, HMAC_SHA256, connection.localKey);
  segmentCut(segment, 0);
  keepTuple(segment, TCP_SYN | TCP_ACK, end);
}

/**
 * The peer's first packet behind the SYN/ACK. True if MPTCP is agreed and the packet goes on its ordinary
 * way; false if it was passed untouched and the connection is plain TCP from here on.
 */
export function peerThirdAck(connection: Connection, subflow: Subflow, segment: Segment): bool {
  const mptcp = mptcpOptionsAt(MPTCP_OPTIONS);
  const isAck = (segment.flags & TCP_ACK) != 0 && segment.segAck == subflow.iss + 1;
  const length: u32 = segment.payloadLength != 0 ? 22 : 20;
  const agreed =
    capableAgreed(mptcp, length) && mptcp.capableVersion == 1 &&
    mptcp.receiverKey == connection.localKey && mptcp.senderKey != 0;
  if (!isAck) {
    acceptUntouched(segment);
    return false;
  }
  if (!agreed) {
    acceptUntouched(segment);
    connectionFallback(connection, Reason.NO_MPTCP_IN_ACK);
    return false;
  }
  takePeerKey(connection, mptcp.senderKey);
  subflow.state = <u8>SubflowState.ESTABLISHED;
  subflow.ssnUna = segment.segAck;
  rttAcknowledged(subflow, segment.segAck);
  setFlag(connection, ConnectionFlag.CONFIRMED);
  connectionEstablish(connection);
  // RFC 8684 §3.1: the opener may use MPTCP to the full once it has seen a DATA_ACK; do not make it wait for data.
  forgeAck(connection, subflow);
  advertiseStart(connection);
  return true;
}

/** The host's SYN/ACK for a SYN that we passed untouched: what does the port speak now? */
export function hostSynAckAlone(segment: Segment): void {
  const native = tcpHasMptcp(segment.tcp, segment.tcpHeaderLength);
  // Without MP_CAPABLE nothing is learnt: the SYN may not have offered it. Look again at the next one.
  learnListener(segment.sourcePort, native ? Listener.MPTCP : Listener.UNKNOWN);
  if (native) setOperation(SetOperationKind.ADD_BYPASS, destinationOf(), segment.destinationPort, sourceOf());
  acceptUntouched(segment);
}
