// The handshake of a connection that our host opens: hostSyn ──► peerSynAck. The third ACK is an ordinary
// segment of the host; ack-to-subflow.ts and payload-to-subflow.ts add MP_CAPABLE to it.

import {
  CONFIG, ConnectionState, Counter, Descriptor, DropReason, EngineConfig, EventKind, PacketFlag, Reason,
  SetOperationKind, SubflowState,
} from "../abi";
import { CAPABLE_DATA_OVERHEAD } from "../config";
import { classify } from "../connection/classify";
import { clearFlag, Connection, connectionAt, ConnectionFlag, hasFlag, setFlag } from "../connection/connection";
import {
  connectionCreate, connectionDestroy, connectionEstablish, connectionFallback, connectionSetOperation,
  emitConnectionEvent,
} from "../connection/lifecycle";
import { rttAcknowledged } from "../connection/rtt";
import { Subflow, subflowAt, SubflowBit } from "../connection/subflow";
import { count, countDrop } from "../counters";
import { MPTCP_OPTIONS, REWRITE_OPTIONS, TCP_OPTIONS } from "../scratch";
import {
  CAPABLE_CHECKSUM, CAPABLE_HMAC_SHA256, CAPABLE_NO_JOIN, mptcpOptionsAt, writeCapableSyn,
} from "../wire/mptcp-options";
import { TCP_ACK, TCP_SYN } from "../wire/tcp";
import { copySynOptions, NO_WINDOW_SCALE, TcpOptions, tcpOptionsAt } from "../wire/tcp-options";
import {
  asksForChecksums, bypass, capableAgreed, checksumsWanted, clampedMss, createInitial, drawKey, keepTuple, mayConvert,
  NO_CLAMP, parseOptions, startReceive, startSubflowSend, takePeerKey,
} from "./handshake";
import { acceptUntouched, destinationOf, dropSegment, Segment, segmentCut, sourceOf } from "./segment";

let nativeSeen: bool = false;

/** True once the host has opened an MPTCP connection of its own: joins to it must reach it. */
export function nativeOpened(): bool {
  return nativeSeen;
}

/** A SYN of the host. `index`: the connection with its tuple, 0 = none. */
export function hostSyn(segment: Segment, index: u32): void {
  if (index != 0) {
    const known = connectionAt(index);
    const same = known.hostIss == segment.segSeq && hasFlag(known, ConnectionFlag.OPENER);
    if (same && known.state == ConnectionState.SYN_SENT) {
      hostSynAgain(known, segment);
      return;
    }
    // The SYN/ACK is on its way to the host, and has crossed this repetition.
    if (same && known.state == ConnectionState.M_ESTAB && known.dsnNxt == known.localIdsn + 1) {
      sendHostSyn(segment);
      return;
    }
    connectionDestroy(known, Reason.REPLACED);
  }
  parseOptions(segment);
  const options = tcpOptionsAt(TCP_OPTIONS);
  if (options.mptcpCount != 0) {
    count(Counter.NATIVE_MPTCP_BYPASSED);
    nativeSeen = true;
    bypass(segment, sourceOf(), segment.sourcePort, destinationOf());
    return;
  }
  // A signature covers what we would rewrite; without entropy there is no key: plain TCP in both cases.
  if (options.md5 != 0 || options.malformed != 0 || !mayConvert()) {
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
  const uid = load<u32>(segment.descriptor, Descriptor.UID);
  const uidKnown = (segment.packetFlags & PacketFlag.UID) != 0;
  connection.classId = classify(destinationOf(), segment.sourcePort, segment.destinationPort, uid, uidKnown);
  const subflow = drawKey(connection) ? createInitial(connection, segment, SubflowBit.OPENER) : 0;
  if (subflow == 0) {
    connectionDestroy(connection, Reason.LIMIT);
    bypass(segment, sourceOf(), segment.sourcePort, destinationOf());
    return;
  }
  noteHostSyn(connection, segment, options);
  connection.dsnNxt = connection.localIdsn + 1;
  connection.dsnUna = connection.dsnNxt;
  connection.shownDan = connection.dsnNxt;
  connection.shownSackRight = connection.dsnNxt;
  startSubflowSend(subflowAt(subflow), segment.segSeq);
  emitConnectionEvent(EventKind.NEW_CONNECTION, Reason.NONE, connection);
  sendHostSyn(segment);
}

/** What the host announces in its SYN or SYN/ACK, until the other side has spoken. */
function noteHostSyn(connection: Connection, segment: Segment, options: TcpOptions): void {
  connection.hostIss = segment.segSeq;
  connection.hostScale = <u8>(options.windowScale == NO_WINDOW_SCALE ? 255 : options.windowScale);
  if (options.sackPermitted != 0) setFlag(connection, ConnectionFlag.SACK);
  connection.hostWindow = segment.window;
}

/** The SYN on the wire: no timestamps, no Fast Open, no ECN, no payload, MP_CAPABLE v1. */
function sendHostSyn(segment: Segment): void {
  const octets = copySynOptions(segment.tcp, segment.tcpHeaderLength, REWRITE_OPTIONS, NO_CLAMP);
  const flags = CAPABLE_HMAC_SHA256 | (checksumsWanted() ? CAPABLE_CHECKSUM : 0);
  const end = writeCapableSyn(REWRITE_OPTIONS + octets, flags);
  segmentCut(segment, 0);
  keepTuple(segment, TCP_SYN, end);
}

/**
 * The host repeats its SYN: the first SYN_MPC_RETRIES copies still offer MPTCP, then something may dislike
 * the option.
 */
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

/** The peer's SYN/ACK for a connection that our host opens. */
export function peerSynAck(connection: Connection, subflow: Subflow, segment: Segment): void {
  if (segment.segAck != subflow.iss + 1) {
    // Before anything is agreed the host answers a wrong ACK itself (RFC 9293 §3.10.7.3).
    if (subflow.state == SubflowState.SYN_SENT) acceptUntouched(segment);
    else dropSegment(segment, DropReason.OUT_OF_WINDOW);
    return;
  }
  parseOptions(segment);
  const mptcp = mptcpOptionsAt(MPTCP_OPTIONS);
  const agreed = capableAgreed(mptcp, 12) && mptcp.senderKey != 0;
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
    connection.mss = clampedMss(options.mss, sourceOf(), CAPABLE_DATA_OVERHEAD, true);
    if ((mptcp.capableFlags & CAPABLE_NO_JOIN) != 0) setFlag(connection, ConnectionFlag.PEER_NO_JOIN);
    if (checksumsWanted() || asksForChecksums(mptcp)) setFlag(connection, ConnectionFlag.CHECKSUM);
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
