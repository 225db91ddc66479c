// Packets of MP_JOIN handshakes, as they come from the wire (RFC 8684 §3.2). What is sent stands in
// signalling/join.ts.
//
// An inbound SYN that we consume is not dropped but passed on with a wrong TCP checksum: conntrack then
// confirms its entry, the host's TCP throws it away, and our forged SYN/ACK is not INVALID for a firewall.

import {
  ConnectionState, Counter, Descriptor, Direction, DropReason, EventKind, Reason, SetOperationKind, SubflowState,
  Verdict,
} from "../abi";
import { drawU32, entropyHas, nowUs } from "../clock";
import { pathClosed } from "../connection/classes";
import {
  Connection, connectionAt, ConnectionFlag, hasFlag, hostAddress, setFlag,
} from "../connection/connection";
import { emitSubflowEvent, subflowCreate, subflowSetOperation } from "../connection/lifecycle";
import { findToken } from "../connection/lookup";
import { learnPeerMss } from "../connection/mtu";
import { pathAddressId, pathOfAddress } from "../connection/paths";
import { rttAcknowledged } from "../connection/rtt";
import {
  localAddress, remoteAddress, Subflow, subflowAt, SubflowBit, subflowHas, subflowIndex, subflowSet, subflowUsable,
} from "../connection/subflow";
import { armConnection, armSubflow } from "../connection/timers";
import { count, countDrop } from "../counters";
import {
  abandonSubflow, announceLost, dropLost, RST_MIDDLEBOX, RST_MPTCP_ERROR, RST_PERFORMANCE, resetSubflow,
} from "../handover/abandon";
import { standbyLater } from "../handover/standby";
import { handoverEnd, handoverProceed, reconsider } from "../handover/switch";
import { addressEqual } from "../memory/address";
import { SEQUENCE_SPAN } from "../config";
import { FORGE_OPTIONS, MPTCP_OPTIONS, TCP_OPTIONS } from "../scratch";
import { forgeAck, forgePacket } from "../signalling/forge";
import { joinFailed, joinHmacValid, keepAddress, sendJoinAck, sendJoinSynAck } from "../signalling/join";
import { ADD_ADDR, DSS, MP_JOIN, mptcpOptionsAt, writeTcpRst } from "../wire/mptcp-options";
import { checksumCorrupt, tcpChecksumFill } from "../wire/checksum";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from "../wire/tcp";
import { NO_WINDOW_SCALE, TcpOptions, tcpOptionsAt } from "../wire/tcp-options";
import { destinationOf, dropSegment, Segment, sourceOf } from "./segment";
import { sendFin } from "./teardown";

/** Verdict for a SYN that ends here: on to the host with a checksum that is surely wrong. */
function consumeSyn(segment: Segment): void {
  tcpChecksumFill(segment.packet, segment.tcp, segment.tcpHeaderLength + segment.payloadLength);
  checksumCorrupt(segment.tcp);
  store<u32>(segment.descriptor, Verdict.ACCEPT_REWRITTEN, Descriptor.VERDICT);
  store<u32>(segment.descriptor, segment.packet, Descriptor.OUT_OFFSET);
  store<u32>(segment.descriptor, segment.length, Descriptor.OUT_LENGTH);
}

/**
 * Refuses a JOIN SYN: RST with MP_TCPRST "MPTCP-specific error", whether the token is unknown or another subflow
 * unwanted (RFC 8684 §3.2). The reason is counted as a drop: nothing of it reaches the host.
 */
function refuseSyn(segment: Segment, reason: DropReason): void {
  count(Counter.DROPPED);
  countDrop(reason);
  const end = writeTcpRst(FORGE_OPTIONS, 0, RST_MPTCP_ERROR);
  forgePacket(
    Direction.WIRE, destinationOf(), sourceOf(), segment.destinationPort, segment.sourcePort,
    0, segment.segSeq + 1, TCP_RST | TCP_ACK, 0, end, 0, 0,
  );
  consumeSyn(segment);
}

/** A SYN with MP_JOIN on a tuple that is not in use. */
export function peerJoinSyn(segment: Segment): void {
  const mptcp = mptcpOptionsAt(MPTCP_OPTIONS);
  count(Counter.JOINS_RECEIVED);
  const found = mptcp.joinLength == 12 ? findToken(mptcp.joinToken) : 0;
  if (found == 0) {
    refuseSyn(segment, DropReason.JOIN_NO_TOKEN);
    return;
  }
  const connection = connectionAt(found);
  const index = takesJoins(connection) && entropyHas(16) ? createJoined(connection, segment) : 0;
  if (index == 0) {
    refuseSyn(segment, DropReason.JOIN_LIMIT);
    return;
  }
  consumeSyn(segment);
}

/** True if the peer may join: what is over on our side is not on its own before it has heard our last DATA_ACK. */
function takesJoins(connection: Connection): bool {
  if (hasFlag(connection, ConnectionFlag.RESET)) return false;
  if (!hasFlag(connection, ConnectionFlag.SUBFLOWS_CLOSING)) return connection.state == ConnectionState.M_ESTAB;
  return !hasFlag(connection, ConnectionFlag.CLOSE_HEARD);
}

/**
 * What is agreed on for this subflow: what both ends announce, and we do as the host did (RFC 7323 §2.2, RFC 2018 §2).
 * A middlebox may have taken an option away on its path only.
 */
function agreeJoined(connection: Connection, subflow: Subflow, options: TcpOptions): void {
  const scaled = hasFlag(connection, ConnectionFlag.SCALED) && options.windowScale != NO_WINDOW_SCALE;
  subflow.peerScale = scaled ? <u8>options.windowScale : 0;
  if (!scaled) subflowSet(subflow, SubflowBit.UNSCALED);
  if (options.sackPermitted == 0) subflowSet(subflow, SubflowBit.NO_SACK);
}

/** The responder's side of a new subflow; sends the SYN/ACK. 0 when a limit is reached, or its path is to be left. */
function createJoined(connection: Connection, segment: Segment): u32 {
  const mptcp = mptcpOptionsAt(MPTCP_OPTIONS);
  const options = tcpOptionsAt(TCP_OPTIONS);
  const local = destinationOf();
  const path = pathOfAddress(local);
  // A path that is to be left takes it only if nothing else is there.
  if (connection.active != 0 && pathClosed(connection.classId, path)) return 0;
  const index = subflowCreate(connection, local, sourceOf(), segment.destinationPort, segment.sourcePort, path);
  if (index == 0) return 0;
  const subflow = subflowAt(index);
  subflow.state = <u8>SubflowState.SYN_RECEIVED;
  subflow.flags = mptcp.joinBackup != 0 ? SubflowBit.PEER_BACKUP : 0;
  subflow.iss = drawU32();
  subflow.ssnNxt = subflow.iss + 1;
  subflow.ssnUna = subflow.iss;
  subflow.irs = segment.segSeq;
  subflow.rcvSan = segment.segSeq + 1;
  subflow.rcvHighest = subflow.rcvSan;
  subflow.nonceLocal = drawU32() | 1;
  subflow.nonceRemote = mptcp.joinNonce;
  subflow.remoteId = <u8>mptcp.joinAddressId;
  subflow.localId = <u8>(addressEqual(local, hostAddress(connection)) ? 0 : pathAddressId(path, local));
  keepAddress(connection, subflow.localId);
  agreeJoined(connection, subflow, options);
  learnPeerMss(subflow, options.mss);
  subflowSetOperation(subflow, SetOperationKind.ADD_CONVERTED);
  sendJoinSynAck(connection, subflow);
  return index;
}

/** The subflow's handshake is complete: data may flow. */
function established(connection: Connection, subflow: Subflow): void {
  subflow.state = <u8>SubflowState.ESTABLISHED;
  subflow.retryUs = 0;
  subflow.tries = 0;
  armSubflow(subflow);
  connection.joinTries = 0;
  setFlag(connection, ConnectionFlag.JOINED_EVER);
  emitSubflowEvent(EventKind.NEW_SUBFLOW, Reason.NONE, subflow);
  if (hasFlag(connection, ConnectionFlag.SUBFLOWS_CLOSING)) {
    sendFin(connection, subflow); // joined for our last DATA_ACK
    return;
  }
  dropLost(connection);
  if (!subflowHas(subflow, SubflowBit.OPENER)) dropForgotten(connection, subflow);
  if (connection.handoverUs != 0 && connection.handoverSubflow == subflowIndex(subflow)) {
    handoverProceed(connection);
  } else {
    // What the peer joins by itself it may use as it likes, unless it was asked for one path by hand.
    reconsider(connection, subflowHas(subflow, SubflowBit.OPENER) || connection.pinnedPath != 0);
  }
  if (connection.removedCount == 0) return;
  connection.controlUs = nowUs(); // what could not be sent before goes out now
  armConnection(connection);
}

/** The peer has come from the same address again, and an older subflow from there is silent: a NAT has forgotten it. */
function dropForgotten(connection: Connection, fresh: Subflow): void {
  let index = connection.head;
  while (index != 0) {
    const subflow = subflowAt(index);
    index = subflow.next;
    if (subflow == fresh || !subflowUsable(subflow) || !subflowHas(subflow, SubflowBit.STALE)) continue;
    const sameEnds = addressEqual(localAddress(subflow), localAddress(fresh)) &&
      addressEqual(remoteAddress(subflow), remoteAddress(fresh));
    if (!sameEnds) continue;
    resetSubflow(subflow, RST_PERFORMANCE);
    abandonSubflow(connection, subflow, Reason.REPLACED, false);
  }
}

/** A packet for a subflow that is not established yet. False if it completed the handshake and goes on as ordinary. */
export function joinPacket(connection: Connection, subflow: Subflow, segment: Segment): bool {
  if ((segment.flags & TCP_RST) != 0) {
    // RFC 9293 §3.10.7.3 for our SYN, §3.10.7.4 behind it: a number that nobody else can know.
    const answersSyn = subflow.state == SubflowState.SYN_SENT;
    const known = answersSyn ? segment.segAck == subflow.ssnNxt : segment.segSeq == subflow.rcvSan;
    dropSegment(segment, known ? DropReason.CONSUMED : DropReason.RST_OUT_OF_WINDOW);
    if (!known) return true;
    failJoin(connection, subflow, Reason.PEER_RESET);
    return true;
  }
  if (subflow.state == SubflowState.SYN_SENT) joinSynAck(connection, subflow, segment);
  else if (subflow.state == SubflowState.SYN_RECEIVED) return joinThirdAck(connection, subflow, segment);
  else return joinFourthAck(connection, subflow, segment);
  return true;
}

/** Ends the join and what waited for it. */
export function failJoin(connection: Connection, subflow: Subflow, reason: Reason): void {
  const waited = connection.handoverUs != 0 && connection.handoverSubflow == subflowIndex(subflow);
  joinFailed(connection, subflow, reason);
  if (waited) handoverEnd(connection, reason);
  standbyLater(connection);
}

/** SYN_SENT: the responder proves that it knows our keys. */
function joinSynAck(connection: Connection, subflow: Subflow, segment: Segment): void {
  const mptcp = mptcpOptionsAt(MPTCP_OPTIONS);
  const synAck = (segment.flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
  if (!synAck || segment.segAck != subflow.ssnNxt) {
    dropSegment(segment, DropReason.NOT_ESTABLISHED);
    return;
  }
  subflow.irs = segment.segSeq;
  subflow.rcvSan = segment.segSeq + 1;
  subflow.rcvHighest = subflow.rcvSan;
  subflow.ssnUna = segment.segAck;
  subflow.nonceRemote = mptcp.joinNonce;
  const carries = (mptcp.present & (1 << MP_JOIN)) != 0 && mptcp.joinLength == 16;
  if (!carries || !joinHmacValid(connection, subflow, mptcp.joinHmacPtr, 8)) {
    resetSubflow(subflow, RST_MPTCP_ERROR);
    dropSegment(segment, carries ? DropReason.JOIN_BAD_HMAC : DropReason.CONSUMED);
    failJoin(connection, subflow, carries ? Reason.BAD_HMAC : Reason.MIDDLEBOX);
    return;
  }
  const options = tcpOptionsAt(TCP_OPTIONS);
  agreeJoined(connection, subflow, options);
  learnPeerMss(subflow, options.mss);
  subflow.remoteId = <u8>mptcp.joinAddressId;
  if (mptcp.joinBackup != 0) subflow.flags |= SubflowBit.PEER_BACKUP;
  rttAcknowledged(subflow, segment.segAck);
  subflow.state = <u8>SubflowState.PRE_ESTABLISHED;
  subflow.tries = 0;
  sendJoinAck(connection, subflow);
  announceLost(connection, subflow);
  dropSegment(segment, DropReason.CONSUMED);
}

/** SYN_RECEIVED: the opener proves that it knows our keys; we answer with the fourth ACK before any data. */
function joinThirdAck(connection: Connection, subflow: Subflow, segment: Segment): bool {
  const mptcp = mptcpOptionsAt(MPTCP_OPTIONS);
  if ((segment.flags & TCP_SYN) != 0) {
    if (segment.segSeq == subflow.irs) sendJoinSynAck(connection, subflow);
    consumeSyn(segment);
    return true;
  }
  const carries = (mptcp.present & (1 << MP_JOIN)) != 0 && mptcp.joinLength == 24;
  const inOrder = segment.segAck == subflow.ssnNxt && segment.segSeq == subflow.rcvSan;
  if (!carries || !inOrder) {
    dropSegment(segment, DropReason.NOT_ESTABLISHED);
    if (segment.segAck != subflow.ssnNxt) refuseAck(segment);
    // Nothing else acknowledges our SYN: its option was taken away (RFC 8684 §3.7).
    if (inOrder && mptcp.count == 0) refuseStripped(connection, subflow);
    return true;
  }
  if (!joinHmacValid(connection, subflow, mptcp.joinHmacPtr, 20)) {
    resetSubflow(subflow, RST_MPTCP_ERROR);
    dropSegment(segment, DropReason.JOIN_BAD_HMAC);
    failJoin(connection, subflow, Reason.BAD_HMAC);
    return true;
  }
  subflow.ssnUna = segment.segAck;
  rttAcknowledged(subflow, segment.segAck);
  forgeAck(connection, subflow);
  established(connection, subflow);
  dropSegment(segment, DropReason.CONSUMED);
  return true;
}

/** It acknowledges another SYN/ACK than ours, of a join that is over: RST (RFC 9293 §3.10.7.4). */
function refuseAck(segment: Segment): void {
  if ((segment.flags & TCP_ACK) == 0) return;
  const end = writeTcpRst(FORGE_OPTIONS, 0, RST_MPTCP_ERROR);
  forgePacket(
    Direction.WIRE, destinationOf(), sourceOf(), segment.destinationPort, segment.sourcePort,
    segment.segAck, 0, TCP_RST, 0, end, 0, 0,
  );
}

/** The handshake of `subflow` has lost its options on the way: it ends with RST. */
function refuseStripped(connection: Connection, subflow: Subflow): void {
  resetSubflow(subflow, RST_MIDDLEBOX);
  failJoin(connection, subflow, Reason.MIDDLEBOX);
}

/** PRE_ESTABLISHED: the fourth ACK is any packet that shows a DATA_ACK, or an ADD_ADDR (as Linux has it). */
function joinFourthAck(connection: Connection, subflow: Subflow, segment: Segment): bool {
  const mptcp = mptcpOptionsAt(MPTCP_OPTIONS);
  if ((segment.flags & TCP_SYN) != 0) {
    sendJoinAck(connection, subflow); // our third ACK was lost
    dropSegment(segment, DropReason.CONSUMED);
    return true;
  }
  const dataAck = (mptcp.present & (1 << DSS)) != 0 && mptcp.danOctets != 0;
  const near = segment.segAck == subflow.ssnNxt && segment.segSeq - subflow.rcvSan < SEQUENCE_SPAN;
  if (!near || (!dataAck && (mptcp.present & (1 << ADD_ADDR)) == 0)) {
    dropSegment(segment, DropReason.NOT_ESTABLISHED);
    return true;
  }
  established(connection, subflow);
  return false;
}

/** A repeated MP_JOIN ACK on an established subflow: our fourth ACK was lost. True if the packet was one. */
export function joinAckAgain(connection: Connection, subflow: Subflow, segment: Segment): bool {
  const mptcp = mptcpOptionsAt(MPTCP_OPTIONS);
  if ((mptcp.present & (1 << MP_JOIN)) == 0 || segment.payloadLength != 0) return false;
  if ((segment.flags & TCP_FIN) != 0) return false; // the peer closes it: what answers the FIN is a fourth ACK, too
  forgeAck(connection, subflow);
  dropSegment(segment, DropReason.CONSUMED);
  return true;
}
