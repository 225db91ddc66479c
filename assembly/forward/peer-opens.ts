// The handshake of a connection that the peer opens: peerSyn ──► hostSynAck ──► peerThirdAck.

import { ConnectionState, Counter, DropReason, EventKind, Reason, SetOperationKind, SubflowState } from "../abi";
import { DSS_OVERHEAD } from "../config";
import { classify } from "../connection/classify";
import { clearFlag, Connection, connectionAt, ConnectionFlag, hasFlag, setFlag } from "../connection/connection";
import {
  connectionCreate, connectionDestroy, connectionEstablish, connectionFallback, connectionSetOperation,
  emitConnectionEvent,
} from "../connection/lifecycle";
import { learnListener, Listener, listenerOf } from "../connection/listeners";
import { rttAcknowledged } from "../connection/rtt";
import { Subflow, subflowAt } from "../connection/subflow";
import { count, countDrop } from "../counters";
import { owesLastWord } from "../handover/standby";
import { MPTCP_OPTIONS, REWRITE_OPTIONS, TCP_OPTIONS } from "../scratch";
import { setOperation } from "../set-operations";
import { advertiseStart } from "../signalling/addresses";
import { forgeAck } from "../signalling/forge";
import {
  CAPABLE_CHECKSUM, CAPABLE_HMAC_SHA256, CAPABLE_NO_JOIN, MptcpOptions, mptcpOptionsAt, writeCapableSyn,
  writeCapableSynAck,
} from "../wire/mptcp-options";
import { TCP_ACK, TCP_SYN } from "../wire/tcp";
import {
  copySynOptions, NO_WINDOW_SCALE, tcpHasMptcp, TcpOptions, tcpOptionsAt, tcpOptionsParse,
} from "../wire/tcp-options";
import {
  asksForChecksums, capableAgreed, capableFlags, checksumsWanted, clampedMss, createInitial, drawKey, keepTuple,
  mayConvert, NO_CLAMP, startReceive, startSubflowSend, takePeerKey,
} from "./handshake";
import { acceptUntouched, destinationOf, dropSegment, Segment, segmentCut, sourceOf } from "./segment";

/** A SYN from the wire with MP_CAPABLE for our host. `index`: the connection with its tuple, 0 = none. */
export function peerSyn(segment: Segment, index: u32): void {
  const mptcp = mptcpOptionsAt(MPTCP_OPTIONS);
  const options = tcpOptionsAt(TCP_OPTIONS);
  let connection: Connection;
  if (index != 0) {
    connection = connectionAt(index);
    const waiting = connection.state == ConnectionState.SYN_RECEIVED && connection.head != 0;
    const repeated = waiting && subflowAt(connection.head).irs == segment.segSeq;
    if (!repeated) {
      peerSynOnKnown(connection, segment);
      return;
    }
    // Its first SYNs, or our answers to them, have died of their option: the answer to this one must have none.
    if (!capableAgreed(mptcp, 4)) {
      acceptUntouched(segment);
      connectionFallback(connection, Reason.SYN_RETRIES);
      return;
    }
  } else {
    const offered = capableAgreed(mptcp, 4);
    const native = listenerOf(segment.destinationPort) == Listener.MPTCP;
    if (!offered || native || options.md5 != 0 || !mayConvert()) {
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
    connection.classId = classify(sourceOf(), segment.destinationPort, segment.sourcePort, 0, false);
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
  const flags = CAPABLE_HMAC_SHA256 | (mptcp.capableFlags & CAPABLE_CHECKSUM);
  if (listenerOf(segment.destinationPort) == Listener.UNKNOWN) end = writeCapableSyn(end, flags);
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
  if ((mptcp.capableFlags & CAPABLE_NO_JOIN) != 0) setFlag(connection, ConnectionFlag.PEER_NO_JOIN);
  if (checksumsWanted() || asksForChecksums(mptcp)) setFlag(connection, ConnectionFlag.CHECKSUM);
  connection.mss = clampedMss(options.mss, sourceOf(), DSS_OVERHEAD, false);
  connection.dsnNxt = connection.localIdsn + 1;
  connection.dsnUna = connection.dsnNxt;
  connection.shownDan = connection.dsnNxt;
  connection.shownSackRight = connection.dsnNxt;
  connection.peerWindowRight = connection.dsnUna + <u64>segment.window;
}

/** A SYN on a tuple that is in use: only a connection that is over makes room for it (RFC 5961 §4). */
function peerSynOnKnown(connection: Connection, segment: Segment): void {
  const over = connection.state == ConnectionState.M_TIME_WAIT || connection.state == ConnectionState.SYN_RECEIVED;
  if (over || owesLastWord(connection) || hasFlag(connection, ConnectionFlag.RESET)) {
    connectionDestroy(connection, Reason.REPLACED);
    peerSyn(segment, 0);
    return;
  }
  if (connection.head != 0) forgeAck(connection, subflowAt(connection.head));
  dropSegment(segment, DropReason.OUT_OF_WINDOW);
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
  const end = writeCapableSynAck(REWRITE_OPTIONS + octets, capableFlags(connection), connection.localKey);
  segmentCut(segment, 0);
  keepTuple(segment, TCP_SYN | TCP_ACK, end);
}

/** The host answers with MPTCP of its own: both ends speak it, and we are not needed. */
function stepAside(connection: Connection, segment: Segment): void {
  count(Counter.NATIVE_MPTCP_BYPASSED);
  acceptUntouched(segment);
  connectionSetOperation(connection, SetOperationKind.ADD_BYPASS);
  connectionDestroy(connection, Reason.NONE);
}

/**
 * The peer's first packet behind the SYN/ACK. True if MPTCP is agreed and the packet goes on its ordinary
 * way; false if it was passed untouched and the connection is plain TCP from here on.
 */
export function peerThirdAck(connection: Connection, subflow: Subflow, segment: Segment): bool {
  const mptcp = mptcpOptionsAt(MPTCP_OPTIONS);
  const isAck = (segment.flags & TCP_ACK) != 0 && segment.segAck == subflow.iss + 1;
  // What the SYNs have agreed on is confirmed by its A flag (RFC 8684 §3.1), which may also be the first to say so.
  const checksums = asksForChecksums(mptcp);
  const length: u32 = segment.payloadLength == 0 ? 20 : checksums ? 24 : 22;
  const confirmed = checksums || !hasFlag(connection, ConnectionFlag.CHECKSUM);
  const keysFit = mptcp.receiverKey == connection.localKey && mptcp.senderKey != 0;
  const agreed = capableAgreed(mptcp, length) && keysFit && confirmed;
  if (!isAck) {
    acceptUntouched(segment);
    return false;
  }
  if (!agreed) {
    acceptUntouched(segment);
    connectionFallback(connection, Reason.NO_MPTCP_IN_ACK);
    return false;
  }
  if (checksums) setFlag(connection, ConnectionFlag.CHECKSUM);
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
