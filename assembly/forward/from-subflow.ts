// A packet from the wire, on its way to the own host.
//
//   lookup by the wire tuple → checksum → handshakes → RST → acceptance of SEQ and ACK (RFC 9293 §3.10.7.4)
//   → control options → DATA_ACK, SAN, window → payload: payload-to-tcp.ts, else ack-to-tcp.ts
//   → FIN of the subflow → has this closed the subflow or the connection?

import {
  ConnectionState, Counter, Direction, DropReason, EventKind, PacketFlag, Reason, SubflowState,
} from "../abi";
import { SEQUENCE_SPAN } from "../config";
import { Connection, connectionAt, ConnectionFlag, hasFlag, setFlag } from "../connection/connection";
import { connectionDestroy, connectionFallback, emitSubflowEvent } from "../connection/lifecycle";
import { Listener, listenerOf } from "../connection/listeners";
import { findConnection, findSubflow, findToken } from "../connection/lookup";
import { measureHeard } from "../connection/measure";
import {
  Subflow, subflowAt, SubflowBit, subflowClear, subflowHas, subflowSet,
} from "../connection/subflow";
import { count, countAdd } from "../counters";
import { abandonSubflow, giveUpStripped, RST_UNSPECIFIED } from "../handover/abandon";
import { stallHeard } from "../handover/stall";
import { standbyNow } from "../handover/standby";
import { reconsider } from "../handover/switch";
import { FORGE_OPTIONS, MPTCP_OPTIONS } from "../scratch";
import { seqLeq } from "../seq/space";
import { handleAddAddr } from "../signalling/addresses";
import { forgeAck, forgePacket } from "../signalling/forge";
import { forgetRemote } from "../signalling/join";
import { preferSubflow, prioPending } from "../signalling/priority";
import {
  ADD_ADDR, DSS, MP_CAPABLE, MP_FAIL, MP_FASTCLOSE, MP_JOIN, MP_PRIO, MptcpOptions, mptcpOptionsAt, REMOVE_ADDR,
  writeTcpRst,
} from "../wire/mptcp-options";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from "../wire/tcp";
import { ackToTcp, passNews, takePeerAck } from "./ack-to-tcp";
import { stranger } from "./from-tcp";
import { parseOptions } from "./handshake";
import { nativeOpened, peerSynAck } from "./host-opens";
import { peerSyn, peerThirdAck } from "./peer-opens";
import { joinAckAgain, joinPacket, peerJoinSyn } from "./join-handshake";
import { finToHost, payloadToTcp, repeatsOldFin, takeMapping } from "./payload-to-tcp";
import { endsPlain, fallBackToo, mayJoinAgain, peerFail, peerFellBack, showsPlain } from "./plain";
import { acceptUntouched, destinationOf, dropSegment, Segment, segmentVerify, sourceOf } from "./segment";
import {
  answerAfterReset, maybeCloseSubflows, peerFastclose, peerSubflowFin, peerSubflowReset, resetBoth,
  subflowCloseProgress,
} from "./teardown";

/** Handles the segment that segmentParse() has just parsed. */
export function fromSubflow(segment: Segment): void {
  count(Counter.PACKETS_SUBFLOW);
  countAdd(Counter.BYTES_SUBFLOW, segment.payloadLength);
  const index = findSubflow(destinationOf(), sourceOf(), segment.destinationPort, segment.sourcePort);
  if (index == 0) {
    unknownTuple(segment);
    return;
  }
  const subflow = subflowAt(index);
  const connection = connectionAt(subflow.connection);
  if ((segment.packetFlags & PacketFlag.TRUNCATED) != 0) {
    dropSegment(segment, DropReason.TRUNCATED);
    return;
  }
  if (!segmentVerify(segment)) {
    dropSegment(segment, DropReason.TCP_CHECKSUM);
    return;
  }
  parseOptions(segment);
  subflow.packetsReceived++;
  const initial = subflowHas(subflow, SubflowBit.INITIAL);
  if (initial && <i32>connection.state <= ConnectionState.SYN_RECEIVED) {
    if (!initialHandshake(connection, subflow, segment)) return;
  } else if (<i32>subflow.state < SubflowState.ESTABLISHED) {
    if (joinPacket(connection, subflow, segment)) return;
  }
  onSubflow(connection, subflow, segment);
}

/** A packet that belongs to no subflow: a SYN, the late packet of a subflow that is gone, or none of our business. */
function unknownTuple(segment: Segment): void {
  const known = findConnection(destinationOf(), sourceOf(), segment.destinationPort, segment.sourcePort);
  const syn = (segment.flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
  if (syn) {
    if (!segmentVerify(segment)) {
      dropSegment(segment, DropReason.TCP_CHECKSUM);
      return;
    }
    parseOptions(segment);
    const mptcp = mptcpOptionsAt(MPTCP_OPTIONS);
    const join = (mptcp.present & (1 << MP_JOIN)) != 0;
    if (join && (mptcp.present & (1 << MP_CAPABLE)) == 0) {
      // A token that is not ours may be our host's own, where it speaks MPTCP itself.
      const forHost = findToken(mptcp.joinToken) == 0 && speaksMptcp(segment.destinationPort);
      if (forHost) acceptUntouched(segment);
      else peerJoinSyn(segment);
      return;
    }
    if (join || known == 0 && (mptcp.present & (1 << MP_CAPABLE)) == 0) acceptUntouched(segment);
    else peerSyn(segment, known);
    return;
  }
  // The host's own tuple, but its subflow is gone: these numbers are not the host's any more.
  if (known != 0) refuseLate(segment);
  else stranger(segment, destinationOf(), segment.destinationPort, sourceOf(), segment.sourcePort);
}

/** True if the host may have MPTCP connections of its own on `port`: it listens there with MPTCP, or opened one. */
function speaksMptcp(port: u32): bool {
  return listenerOf(port) == Listener.MPTCP || nativeOpened();
}

/** For a subflow that we gave up: RST, as a closed socket would, or the peer goes on sending here for ever. */
function refuseLate(segment: Segment): void {
  if ((segment.flags & (TCP_RST | TCP_ACK)) == TCP_ACK) {
    const end = writeTcpRst(FORGE_OPTIONS, 0, RST_UNSPECIFIED);
    forgePacket(
      Direction.WIRE, destinationOf(), sourceOf(), segment.destinationPort, segment.sourcePort,
      segment.segAck, 0, TCP_RST, 0, end, 0, 0,
    );
  }
  dropSegment(segment, DropReason.SUBFLOW_CLOSED);
}

/** A packet of the initial subflow before MPTCP is agreed. True if it goes on as an ordinary one. */
function initialHandshake(connection: Connection, subflow: Subflow, segment: Segment): bool {
  if ((segment.flags & TCP_RST) != 0) {
    acceptUntouched(segment); // refused: the numbers are still the host's own
    connectionDestroy(connection, Reason.PEER_RESET);
    return false;
  }
  const syn = (segment.flags & TCP_SYN) != 0;
  if (connection.state == ConnectionState.SYN_SENT) {
    if (syn && (segment.flags & TCP_ACK) != 0) peerSynAck(connection, subflow, segment);
    else acceptUntouched(segment);
    return false;
  }
  if (syn) {
    peerSyn(segment, subflow.connection);
    return false;
  }
  return peerThirdAck(connection, subflow, segment);
}

/** True if SEQ is near what the subflow can expect, and there is an ACK. */
function nearby(subflow: Subflow, segment: Segment): bool {
  return (segment.flags & TCP_ACK) != 0 && segment.segSeq - subflow.rcvSan + SEQUENCE_SPAN <= 2 * SEQUENCE_SPAN;
}

/** True if SEQ and ACK are near what the subflow can expect. */
function acceptable(subflow: Subflow, segment: Segment): bool {
  if (!nearby(subflow, segment)) return false;
  return seqLeq(segment.segAck, subflow.ssnNxt) && subflow.ssnUna - segment.segAck + SEQUENCE_SPAN <= 2 * SEQUENCE_SPAN;
}

/** A packet of an established subflow. */
function onSubflow(connection: Connection, subflow: Subflow, segment: Segment): void {
  const options = mptcpOptionsAt(MPTCP_OPTIONS);
  if ((options.present & (1 << MP_FASTCLOSE)) != 0) {
    peerFastclose(connection, subflow, segment, options.fastcloseKey);
    return;
  }
  if ((segment.flags & TCP_RST) != 0) {
    peerSubflowReset(connection, subflow, segment);
    return;
  }
  if (hasFlag(connection, ConnectionFlag.RESET)) {
    answerAfterReset(connection, subflow, segment);
    return;
  }
  if ((segment.flags & TCP_SYN) != 0) {
    synOnEstablished(connection, subflow, segment);
    return;
  }
  if (
    endsPlain(connection, subflow, segment, options) && nearby(subflow, segment) && fallBackToo(connection, segment)
  ) return;
  if (!acceptable(subflow, segment)) {
    forgeAck(connection, subflow);
    dropSegment(segment, DropReason.OUT_OF_WINDOW);
    return;
  }
  stallHeard(connection, subflow);
  if (joinAckAgain(connection, subflow, segment)) return;
  if (peerFellBack(connection, subflow, segment, options)) {
    acceptUntouched(segment);
    connectionFallback(connection, Reason.NO_DSS);
    return;
  }
  if (showsPlain(connection, subflow, segment, options)) {
    if (mayJoinAgain(connection, subflow, segment)) {
      dropSegment(segment, DropReason.CONSUMED);
      giveUpStripped(connection, subflow, Reason.MIDDLEBOX);
      return;
    }
    if (fallBackToo(connection, segment)) return;
    dropSegment(segment, DropReason.CONSUMED);
    resetBoth(connection, Reason.NO_DSS);
    return;
  }
  if ((options.present & (1 << MP_FAIL)) != 0 && peerFail(connection, subflow, segment)) return;
  controlOptions(connection, subflow, options);
  if ((options.present & (1 << DSS)) != 0 && options.danOctets != 0) confirm(connection);
  takePeerAck(connection, subflow, segment);
  const fin = (segment.flags & TCP_FIN) != 0;
  if (segment.payloadLength != 0) payloadToTcp(connection, subflow, segment);
  else withoutPayload(connection, subflow, segment, options);
  if ((connection.generation & 1) == 0) return; // fell back: its slot is free
  passNews(connection, segment);
  if ((subflow.generation & 1) == 0) return; // was given up
  afterPacket(connection, subflow, segment, fin);
}

/** The peer has shown a DATA_ACK: it knows that we speak MPTCP, and the opener may join. */
function confirm(connection: Connection): void {
  setFlag(connection, ConnectionFlag.DATA_ACK_SEEN);
  if (hasFlag(connection, ConnectionFlag.CONFIRMED)) return;
  setFlag(connection, ConnectionFlag.CONFIRMED);
  standbyNow(connection);
}

/** A SYN/ACK again: the peer has not had our third ACK. Any other SYN is challenged (RFC 5961 §4). */
function synOnEstablished(connection: Connection, subflow: Subflow, segment: Segment): void {
  const opener = subflowHas(subflow, SubflowBit.OPENER) && subflowHas(subflow, SubflowBit.INITIAL);
  if (opener && (segment.flags & TCP_ACK) != 0 && segment.segSeq == subflow.irs) {
    peerSynAck(connection, subflow, segment);
    return;
  }
  forgeAck(connection, subflow);
  dropSegment(segment, DropReason.OUT_OF_WINDOW);
}

/** ADD_ADDR, REMOVE_ADDR, MP_PRIO. */
function controlOptions(connection: Connection, subflow: Subflow, options: MptcpOptions): void {
  if ((options.present & ~(<u32>1 << DSS)) == 0) return;
  if ((options.present & (1 << ADD_ADDR)) != 0 && handleAddAddr(connection, subflow, options)) standbyNow(connection);
  if ((options.present & (1 << MP_PRIO)) != 0) peerPrio(connection, subflow, options.prioBackup != 0);
  if ((options.present & (1 << REMOVE_ADDR)) != 0) removeAddr(connection, subflow, options);
}

/**
 * MP_PRIO: the peer wishes to receive, or not to receive, on this subflow (RFC 8684 §3.3.8). Our data follows,
 * and where that moves us we ask the peer to follow in turn: a connection is moved as a whole, whichever end
 * was told to.
 */
function peerPrio(connection: Connection, subflow: Subflow, backup: bool): void {
  count(Counter.MP_PRIO_RECEIVED);
  if (subflowHas(subflow, SubflowBit.PEER_BACKUP) == backup) return; // a repetition
  if (backup) subflowSet(subflow, SubflowBit.PEER_BACKUP);
  else subflowClear(subflow, SubflowBit.PEER_BACKUP);
  emitSubflowEvent(EventKind.SUBFLOW_PRIORITY, Reason.NONE, subflow);
  const before = connection.active;
  reconsider(connection, false);
  if (before == 0 || connection.active == before) return;
  // Where both ends have changed their minds at once, one of them must follow without a word: the opener.
  const crossed = hasFlag(connection, ConnectionFlag.OPENER) && prioPending(connection);
  if (!crossed) preferSubflow(connection, connection.active);
}

/** REMOVE_ADDR (RFC 8684 §3.4.2): every subflow to one of these addresses is gone, but for the one that says so. */
function removeAddr(connection: Connection, carrier: Subflow, options: MptcpOptions): void {
  count(Counter.REMOVE_ADDR_RECEIVED);
  for (let i: u32 = 0; i < options.removeCount; i++) {
    const id = <u32>load<u8>(options.removePtr + i);
    forgetRemote(connection, id);
    let index = connection.head;
    while (index != 0) {
      const subflow = subflowAt(index);
      index = subflow.next;
      if (<u32>subflow.remoteId != id || subflow == carrier || <i32>subflow.state < SubflowState.ESTABLISHED) continue;
      emitSubflowEvent(EventKind.ADDRESS_REMOVED, Reason.NONE, subflow);
      abandonSubflow(connection, subflow, Reason.REMOVED, false);
    }
  }
}

/** A packet without payload: DATA_FIN, acknowledgement, probe or control only. */
function withoutPayload(connection: Connection, subflow: Subflow, segment: Segment, options: MptcpOptions): void {
  takeMapping(connection, subflow, segment);
  const keepAlive = segment.segSeq == subflow.rcvHighest - 1;
  if (keepAlive || repeatsOldFin(connection, options)) {
    // Wants nothing but an acknowledgement; the host's view would be out of its window.
    forgeAck(connection, subflow);
    dropSegment(segment, DropReason.CONSUMED);
    return;
  }
  if (finToHost(connection, subflow, segment)) return;
  ackToTcp(connection, subflow, segment);
}

/** What every packet of a subflow may have changed. */
function afterPacket(connection: Connection, subflow: Subflow, segment: Segment, fin: bool): void {
  measureHeard(subflow);
  if (fin) peerSubflowFin(connection, subflow, segment);
  // Octets below its FIN, again: our acknowledgement was lost, and the host's own does not leave on a closing subflow.
  else if (segment.payloadLength != 0 && subflowHas(subflow, SubflowBit.FIN_RECEIVED)) forgeAck(connection, subflow);
  subflowCloseProgress(connection, subflow);
  if (hasFlag(connection, ConnectionFlag.LOCAL_FIN)) maybeCloseSubflows(connection);
}
