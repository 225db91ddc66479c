// A segment of the own host, on its way out.
//
//   lookup by the host's tuple → SYN, SYN/ACK: handshake.ts → RST: teardown.ts
//   → takeHostAck → payload or FIN: payload-to-subflow.ts, else ack-to-subflow.ts
//   → has this closed the connection?

import {
  ConnectionState, Counter, DropReason, PacketFlag, Reason, SetOperationKind,
} from "../abi";
import {
  Connection, connectionAt, ConnectionFlag, hasFlag, shownTan, tsnFromDsn,
} from "../connection/connection";
import { connectionDestroy } from "../connection/lifecycle";
import { findConnection } from "../connection/lookup";
import { armConnection } from "../connection/timers";
import { windowForHost } from "../connection/window";
import { count, countAdd } from "../counters";
import { dsnGt } from "../seq/space";
import { setOperation } from "../set-operations";
import { forgeToHost } from "../signalling/forge";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from "../wire/tcp";
import { ackToSubflow, isHostProbe, takeHostAck } from "./ack-to-subflow";
import { hostSyn } from "./host-opens";
import { hostSynAck, hostSynAckAlone } from "./peer-opens";
import { payloadToSubflow } from "./payload-to-subflow";
import { acceptUntouched, destinationOf, dropSegment, Segment, sourceOf } from "./segment";
import { answerHostAfterReset, hostReset, maybeCloseSubflows } from "./teardown";

/** Handles the segment that segmentParse() has just parsed. */
export function fromTcp(segment: Segment): void {
  count(Counter.PACKETS_TCP);
  countAdd(Counter.BYTES_TCP, segment.payloadLength);
  const index = findConnection(sourceOf(), destinationOf(), segment.sourcePort, segment.destinationPort);
  const handshake = segment.flags & (TCP_SYN | TCP_ACK);
  if (handshake == TCP_SYN && (segment.flags & TCP_RST) == 0) {
    hostSyn(segment, index);
    return;
  }
  if (index == 0) {
    if (handshake == (TCP_SYN | TCP_ACK)) hostSynAckAlone(segment);
    else stranger(segment, sourceOf(), segment.sourcePort, destinationOf(), segment.destinationPort);
    return;
  }
  const connection = connectionAt(index);
  if (connection.state == ConnectionState.SYN_RECEIVED) inHandshake(connection, segment, handshake);
  else if (connection.state == ConnectionState.SYN_SENT) {
    // RST or FIN of a host that gave up before the SYN/ACK came.
    acceptUntouched(segment);
    if ((segment.flags & TCP_RST) != 0) connectionDestroy(connection, Reason.HOST_RESET);
  } else onConnection(connection, segment);
}

/** The peer's SYN was shown to the host; it answers with SYN/ACK or refuses. */
function inHandshake(connection: Connection, segment: Segment, handshake: u32): void {
  if (handshake == (TCP_SYN | TCP_ACK)) {
    hostSynAck(connection, segment);
    return;
  }
  acceptUntouched(segment);
  if ((segment.flags & TCP_RST) != 0) connectionDestroy(connection, Reason.HOST_RESET);
}

/**
 * A flow that was there before us, or one that we never converted: passes untouched, and the kernel is asked
 * not to queue it any more. Who opened it we can only guess: the higher port is the ephemeral one.
 */
export function stranger(segment: Segment, local: usize, localPt: u32, remote: usize, remotePt: u32): void {
  acceptUntouched(segment);
  if ((segment.flags & (TCP_SYN | TCP_RST | TCP_FIN)) != 0) return;
  if (localPt >= remotePt) setOperation(SetOperationKind.ADD_BYPASS, local, localPt, remote);
  else setOperation(SetOperationKind.ADD_BYPASS, remote, remotePt, local);
}

/** A segment of an established connection. */
function onConnection(connection: Connection, segment: Segment): void {
  if ((segment.packetFlags & PacketFlag.TRUNCATED) != 0) {
    dropSegment(segment, DropReason.TRUNCATED);
    return;
  }
  if (hasFlag(connection, ConnectionFlag.RESET)) {
    answerHostAfterReset(connection, segment);
    return;
  }
  if (hasFlag(connection, ConnectionFlag.SUBFLOWS_CLOSING)) {
    afterClose(connection, segment);
    return;
  }
  if ((segment.flags & TCP_RST) != 0) {
    hostReset(connection, segment);
    return;
  }
  if ((segment.flags & TCP_ACK) == 0 || (segment.flags & TCP_SYN) != 0) {
    // A SYN/ACK again: the host had no room when the third ACK came (full accept queue). It gets it again.
    const tsn = tsnFromDsn(connection, connection.rcvDan);
    const tan = shownTan(connection);
    const again = (segment.flags & TCP_SYN) != 0 && segment.segSeq == connection.hostIss;
    if (again) forgeToHost(connection, tsn, tan, TCP_ACK, windowForHost(connection));
    dropSegment(segment, again ? DropReason.CONSUMED : DropReason.OUT_OF_WINDOW);
    return;
  }
  takeHostAck(connection, segment);
  const fin = (segment.flags & TCP_FIN) != 0;
  const payload = segment.payloadLength != 0 && !(segment.payloadLength == 1 && isHostProbe(connection, segment));
  if (payload || fin) payloadToSubflow(connection, segment, fin);
  else ackToSubflow(connection, segment);
  if ((connection.generation & 1) == 0) return; // fell back: its slot is free
  if (!hasFlag(connection, ConnectionFlag.PEER_FIN)) return;
  if (connection.hostFinUs != 0 && dsnGt(connection.rcvDan, connection.peerFinDsn)) {
    connection.hostFinUs = 0;
    armConnection(connection);
  }
  maybeCloseSubflows(connection);
}

/** Both directions are closed and acknowledged: all that the host may still miss is the ACK of its FIN. */
function afterClose(connection: Connection, segment: Segment): void {
  if ((segment.flags & TCP_FIN) != 0) {
    const tsn = tsnFromDsn(connection, connection.peerFinDsn + 1);
    connection.shownDan = connection.dsnUna; // no steps any more: the window stands beside what is shown
    forgeToHost(connection, tsn, shownTan(connection), TCP_ACK, windowForHost(connection));
  }
  dropSegment(segment, DropReason.CONSUMED);
}
