// Payload of the host, towards the peer (paper §3.3).
//
//   1. TSN → DSN by the connection's constant
//   2. octets that the SEND table does not know yet get SSN space on the active subflow; a gap before a
//      late segment is reserved, so that out-of-order TCP stays out of order on the subflow
//   3. the segment is cut into pieces: each lies in one run (one subflow, one offset) and in one mapping
//   4. one piece: the packet is rewritten in place. Several: each leaves as packets of at most one MSS
//      through the outbox, and the host's packet ends here
//
// A retransmission keeps its subflow and its mapping while that subflow lives (RFC 8684 §3.3.6); after that,
// or when the peer acknowledged the octets on the subflow but not at data level, it gets fresh SSN space. While the
// subflow is stale it goes out twice: as it was, and as a copy with fresh SSNs on the active subflow.
// The mapping of a super-packet is longer than one packet on the wire: it is logged and repeated to the letter
// by every retransmission inside it, since Linux refuses another mapping while one is half consumed.

import { Direction, DropReason, Counter, PacketFlag, TraceFlag } from "../abi";
import { DEBUG, SEQUENCE_SPAN } from "../config";
import {
  Connection, ConnectionFlag, dsnFromTsn, hasFlag, sendTableOf, setFlag,
} from "../connection/connection";
import { accountSent } from "../connection/lifecycle";
import { rttCancel, rttStart } from "../connection/rtt";
import {
  localAddress, localPort, mapLogOf, remoteAddress, remotePort, Subflow, subflowAt, SubflowBit, subflowHas,
  subflowUsable,
} from "../connection/subflow";
import { windowForSubflow } from "../connection/window";
import { count, countDrop } from "../counters";
import { Fault, faulty } from "../faults";
import { carrierOf, headAgain, headRestart } from "../handover/head";
import { stallCopies, stallWatch } from "../handover/stall";
import { handoverNoticeData } from "../handover/switch";
import { mapLogAppend, mapLogFind } from "../mapping/map-log";
import {
  SEND_RESERVED, sendEntryAt, sendTableCheck, sendTableFind, sendTableMap, sendTableReserve,
} from "../mapping/send-table";
import { check } from "../memory/check";
import { FORGE_OPTIONS, OUT, REWRITE_OPTIONS } from "../scratch";
import { Dsn, dsnGt, dsnLt, seqLt, Ssn } from "../seq/space";
import { forgePacket } from "../signalling/forge";
import { writeCapableData, writeDss } from "../wire/mptcp-options";
import { TCP_ACK, TCP_PSH } from "../wire/tcp";
import { ackToSubflow, sackBlocksBesideData, tellOthers, writeProjectedSack } from "./ack-to-subflow";
import { forgeAckToHost } from "./ack-to-tcp";
import { rewriteToSubflow, traceSent } from "./route";
import { dropSegment, Segment, segmentCut, segmentSkip } from "./segment";
import { fallBackToo } from "./teardown";

/** One piece of a segment, as pieceAt() found it. */
let pieceSubflow: u32 = 0;
let pieceSsn: Ssn = 0;
let pieceLength: u32 = 0;
let pieceMapSsn: Ssn = 0; // the mapping that the piece is sent under; may be longer than the piece
let pieceMapLength: u32 = 0;
let pieceLogged: bool = false; // that mapping is in the subflow's log
let pieceLate: bool = false; // its SSNs were reserved: the host sends these octets for the first time

/** The subflow for new octets: the active one, but another if that is suspected of a hole (handover/poison.ts). */
function freshSubflow(connection: Connection): u32 {
  const active = connection.active;
  if (active == 0 || !subflowHas(subflowAt(active), SubflowBit.SUSPECT)) return active;
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    const subflow = subflowAt(index);
    if (subflowUsable(subflow) && !subflowHas(subflow, SubflowBit.SUSPECT | SubflowBit.STALE)) return index;
  }
  return active;
}

/**
 * Gives octets [dsn, dsn + length) fresh SSN space on the subflow `index`, logged if they leave as one
 * super-packet (where the log is full they are not, and so leave in pieces). False when the SEND table is full.
 */
function mapFresh(connection: Connection, index: u32, dsn: Dsn, length: u32, superPacket: bool): bool {
  const subflow = subflowAt(index);
  const ssn = subflow.ssnNxt;
  if (!sendTableMap(sendTableOf(connection), dsn, ssn, length, index, 0)) return false;
  if (superPacket && !mapLogAppend(mapLogOf(subflow), ssn, length)) countDrop(DropReason.MAP_LOG_FULL);
  subflow.ssnNxt = ssn + length;
  return true;
}

/**
 * Makes the octets up to `dsn`, which have not come here, known to the SEND table: with SSN space kept for them on the
 * subflow `index`; without one (0) as sent and lost, so that nothing is kept for them on the next.
 */
function mapGap(connection: Connection, index: u32, dsn: Dsn): DropReason {
  if (!dsnGt(dsn, connection.dsnNxt)) return DropReason.NONE;
  const gap = dsn - connection.dsnNxt;
  if (gap >= <u64>SEQUENCE_SPAN) return DropReason.OUT_OF_WINDOW;
  const table = sendTableOf(connection);
  const octets = <u32>gap;
  if (index == 0) {
    if (!sendTableMap(table, connection.dsnNxt, 0, octets, 0, 0)) return DropReason.SEND_TABLE_FULL;
  } else {
    const subflow = subflowAt(index);
    if (!sendTableReserve(table, connection.dsnNxt, subflow.ssnNxt, octets, index)) return DropReason.SEND_TABLE_FULL;
    subflow.ssnNxt += octets;
  }
  connection.dsnNxt = dsn;
  return DropReason.NONE;
}

/** Maps what of [dsn, dsn + length) is new; reserves the gap before it. Returns NONE or why it cannot be mapped. */
function mapNew(connection: Connection, dsn: Dsn, length: u32, superPacket: bool): DropReason {
  const end = dsn + <u64>length;
  if (!dsnGt(end, connection.dsnNxt)) return DropReason.NONE;
  const index = freshSubflow(connection);
  const before = mapGap(connection, index, index == 0 ? end : dsn);
  if (before != DropReason.NONE) return before;
  if (index == 0) return DropReason.NO_USABLE_SUBFLOW;
  const known = dsnLt(dsn, connection.dsnNxt) ? <u32>(connection.dsnNxt - dsn) : 0;
  const fresh = length - known;
  // A partly new super-packet is cut into pieces of one packet each: they need no log.
  const logged = superPacket && known == 0;
  if (!mapFresh(connection, index, connection.dsnNxt, fresh, logged)) return DropReason.SEND_TABLE_FULL;
  connection.dsnNxt = end;
  return DropReason.NONE;
}

/** How many of the run's `length` octets from `ssn` on must not be sent there again, but moved to fresh SSN space. */
function octetsToMove(subflowSlot: u32, ssn: Ssn, length: u32): u32 {
  if (subflowSlot == 0) return length;
  const subflow = subflowAt(subflowSlot);
  if (!subflowUsable(subflow)) return length;
  if (faulty(Fault.REINJECTION)) return 0;
  // Acknowledged by the subflow, not at data level: the peer has thrown them away and ignores that SSN for ever.
  return seqLt(ssn, subflow.ssnUna) ? min<u32>(subflow.ssnUna - ssn, length) : 0;
}

/**
 * Finds the piece that begins at `dsn`, at most `length` octets: its subflow, SSN and mapping. Octets that
 * must move are mapped afresh first. NONE, or why nothing can be sent.
 */
function pieceAt(connection: Connection, dsn: Dsn, length: u32): DropReason {
  const table = sendTableOf(connection);
  let index = sendTableFind(table, dsn);
  if (index == 0) return DropReason.OUT_OF_WINDOW; // in the place of the FIN that the host has sent before
  let run = sendEntryAt(index);
  let offset = <u32>(dsn - run.dsn);
  let octets = min<u32>(run.length - offset, length);
  const moving = octetsToMove(run.subflow, run.ssn + offset, octets);
  if (moving != 0) {
    const fresh = freshSubflow(connection);
    if (fresh == 0) return DropReason.NO_USABLE_SUBFLOW;
    octets = min<u32>(moving, connection.mss);
    if (!mapFresh(connection, fresh, dsn, octets, false)) return DropReason.SEND_TABLE_FULL;
    count(Counter.REINJECTED);
    if (dsn == connection.dsnUna) headRestart(connection);
    index = sendTableFind(table, dsn);
    run = sendEntryAt(index);
    offset = <u32>(dsn - run.dsn);
  }
  pieceSubflow = run.subflow;
  pieceSsn = run.ssn + offset;
  pieceLength = octets;
  // A late segment fills the room that was kept for it: from now on its SACK blocks mean something. Where the table
  // is full it stays marked, which only says less.
  pieceLate = (run.flags & SEND_RESERVED) != 0;
  if (pieceLate) sendTableMap(table, dsn, pieceSsn, octets, pieceSubflow, 0);
  mappingOfPiece(subflowAt(pieceSubflow));
  return DropReason.NONE;
}

/**
 * Octets [dsn, end) of a segment that goes on with new ones: those without a subflow get their numbers before those,
 * so that they also leave in this order.
 */
function mapLost(connection: Connection, dsn: Dsn, end: Dsn): DropReason {
  while (dsnLt(dsn, end) && carrierOf(connection, dsn) == 0) {
    const reason = pieceAt(connection, dsn, <u32>min<u64>(end - dsn, connection.mss));
    if (reason != DropReason.NONE) return reason;
    dsn += <u64>pieceLength;
  }
  return DropReason.NONE;
}

/**
 * The mapping for the piece: the logged one that contains its start (the piece ends with it), else the
 * piece itself.
 */
function mappingOfPiece(subflow: Subflow): void {
  const log = mapLogOf(subflow);
  pieceLogged = mapLogFind(log, pieceSsn, OUT);
  if (pieceLogged) {
    pieceMapSsn = load<u32>(OUT);
    pieceMapLength = load<u32>(OUT, 4);
    const rest = pieceMapLength - (pieceSsn - pieceMapSsn);
    if (pieceLength > rest) pieceLength = rest;
    return;
  }
  // Not in a logged mapping; it must not run into one either.
  while (mapLogFind(log, pieceSsn + pieceLength - 1, OUT)) pieceLength = load<u32>(OUT) - pieceSsn;
  pieceMapSsn = pieceSsn;
  pieceMapLength = pieceLength;
}

/**
 * Writes the option for the piece at `p`: MP_CAPABLE with data for the opener's first octets, else a DSS. Octets that
 * moved to a fresh SSN cannot have it: it says where it maps them by its place at the front alone (RFC 8684 §3.1).
 */
function writeMapping(connection: Connection, subflow: Subflow, p: usize, pieceDsn: Dsn, dataFin: bool): usize {
  const mapDsn = pieceDsn - <u64>(pieceSsn - pieceMapSsn);
  const atFront = subflowHas(subflow, SubflowBit.INITIAL) && pieceMapSsn == subflow.iss + 1;
  const first = atFront && mapDsn == connection.localIdsn + 1;
  const unconfirmed = hasFlag(connection, ConnectionFlag.OPENER) && !hasFlag(connection, ConnectionFlag.CONFIRMED);
  if (first && unconfirmed && !dataFin) {
    return writeCapableData(p, 0x01, connection.localKey, connection.remoteKey, pieceMapLength);
  }
  const length = pieceMapLength + (dataFin ? 1 : 0);
  const ssnRel = pieceMapSsn - subflow.iss;
  return writeDss(p, true, <u32>connection.rcvDan, true, <u32>mapDsn, ssnRel, length, dataFin);
}

/** True if the piece's mapping ends where the host's FIN stands, and the FIN may ride on it. */
@inline function carriesFin(connection: Connection, pieceDsn: Dsn): bool {
  if (!hasFlag(connection, ConnectionFlag.LOCAL_FIN)) return false;
  return pieceDsn - <u64>(pieceSsn - pieceMapSsn) + <u64>pieceMapLength == connection.localFinDsn;
}

/** The whole segment is one piece: rewrites it in place. */
function sendWhole(connection: Connection, segment: Segment, dsn: Dsn, fresh: bool): void {
  const subflow = subflowAt(pieceSubflow);
  tellOthers(connection, pieceSubflow);
  let end = writeMapping(connection, subflow, REWRITE_OPTIONS, dsn, carriesFin(connection, dsn));
  if (end - REWRITE_OPTIONS <= 20) end = writeProjectedSack(connection, subflow, end, sackBlocksBesideData());
  const flags = TCP_ACK | (segment.flags & TCP_PSH);
  const octets = segment.payloadLength;
  const window = windowForSubflow(connection, subflow);
  if (!rewriteToSubflow(segment, subflow, pieceSsn, subflow.rcvSan, flags, window, end)) return;
  afterPiece(connection, subflow, dsn, octets, fresh);
}

/** Book-keeping behind each piece that left. */
function afterPiece(connection: Connection, subflow: Subflow, dsn: Dsn, octets: u32, isNew: bool): void {
  const fresh = isNew || pieceLate;
  stallWatch(subflow, pieceSsn == subflow.ssnUna && fresh);
  if (fresh) {
    rttStart(subflow, pieceSsn + octets);
    handoverNoticeData(connection, subflow);
  } else {
    rttCancel(subflow, pieceSsn);
    subflow.rtxSsn = pieceSsn;
    subflow.rtxLength = octets;
    subflow.rtxDsn = <u32>dsn;
  }
  accountSent(connection, subflow, octets, !fresh);
  traceSent(connection, subflow, dsn, pieceSsn, octets, fresh ? 0 : TraceFlag.RETRANSMISSION);
}

/** Sends the piece found last, `octets` from `at`, as a packet of its own. False when the outbox is full. */
function sendPiece(connection: Connection, dsn: Dsn, at: usize, push: u32, fresh: bool): bool {
  const subflow = subflowAt(pieceSubflow);
  const end = writeMapping(connection, subflow, FORGE_OPTIONS, dsn, carriesFin(connection, dsn));
  const sent = forgePacket(
    Direction.WIRE, localAddress(subflow), remoteAddress(subflow), localPort(subflow), remotePort(subflow),
    pieceSsn, subflow.rcvSan, TCP_ACK | push, windowForSubflow(connection, subflow), end, at, pieceLength,
  );
  if (sent) afterPiece(connection, subflow, dsn, pieceLength, fresh);
  return sent;
}

/**
 * The piece found last lies on a stale subflow: sends it there once more, and makes the copy on the active
 * subflow the piece to be sent. From now on the octets are mapped there.
 */
function copyPiece(connection: Connection, dsn: Dsn, at: usize): DropReason {
  sendPiece(connection, dsn, at, 0, false);
  if (!mapFresh(connection, connection.active, dsn, pieceLength, false)) return DropReason.SEND_TABLE_FULL;
  count(Counter.REINJECTED);
  if (dsn == connection.dsnUna) headRestart(connection);
  return pieceAt(connection, dsn, pieceLength);
}

/** The segment lies in several pieces: sends each as packets of one MSS at most. */
function sendPieces(connection: Connection, segment: Segment, dsn: Dsn, newFrom: Dsn): void {
  count(Counter.PACKETS_SPLIT);
  tellOthers(connection, 0);
  let at = <usize>segment.payload;
  let left = segment.payloadLength;
  while (left != 0) {
    const reason = pieceAt(connection, dsn, min<u32>(left, connection.mss));
    if (reason != DropReason.NONE) {
      dropSegment(segment, reason);
      return;
    }
    if (stallCopies(connection, subflowAt(pieceSubflow))) {
      const copied = copyPiece(connection, dsn, at);
      if (copied != DropReason.NONE) {
        dropSegment(segment, copied);
        return;
      }
    }
    const octets = pieceLength;
    if (!sendPiece(connection, dsn, at, left == octets ? segment.flags & TCP_PSH : 0, !dsnLt(dsn, newFrom))) {
      dropSegment(segment, DropReason.OUTBOX_FULL);
      return;
    }
    at += octets;
    left -= octets;
    dsn += <u64>octets;
  }
  dropSegment(segment, DropReason.SUPERSEDED);
}

/** Sends the host's FIN, which no payload carries: DATA_FIN on a packet without payload (RFC 8684 §3.3.3). */
function sendFinAlone(connection: Connection, segment: Segment): void {
  if (connection.active == 0) {
    dropSegment(segment, DropReason.NO_USABLE_SUBFLOW);
    return;
  }
  const subflow = subflowAt(connection.active);
  tellOthers(connection, connection.active);
  const fin = <u32>connection.localFinDsn;
  const end = writeDss(REWRITE_OPTIONS, true, <u32>connection.rcvDan, true, fin, 0, 1, true);
  const flags: u32 = TCP_ACK;
  count(Counter.DATA_FIN_SENT);
  const window = windowForSubflow(connection, subflow);
  if (rewriteToSubflow(segment, subflow, subflow.ssnNxt, subflow.rcvSan, flags, window, end)) {
    traceSent(connection, subflow, connection.localFinDsn, subflow.ssnNxt, 0, TraceFlag.DATA_FIN);
  }
}

/** Notes the host's FIN at `finDsn`; it takes one octet of data sequence space. */
function noteFin(connection: Connection, finDsn: Dsn): void {
  if (hasFlag(connection, ConnectionFlag.LOCAL_FIN)) return;
  setFlag(connection, ConnectionFlag.LOCAL_FIN);
  connection.localFinDsn = finDsn;
  if (dsnGt(finDsn + 1, connection.dsnNxt)) connection.dsnNxt = finDsn + 1;
}

/**
 * True if the host repeats what the peer has acknowledged on the only subflow there ever was, and in a packet without
 * any option: a peer that has gone on as plain TCP, who would take fresh SSNs for new octets.
 */
function peerIsPlain(connection: Connection, dsn: Dsn): bool {
  if (connection.active == 0 || hasFlag(connection, ConnectionFlag.JOINED_EVER)) return false;
  const subflow = subflowAt(connection.active);
  if (!subflowHas(subflow, SubflowBit.INITIAL) || !subflowHas(subflow, SubflowBit.PLAIN_ACKS)) return false;
  return !dsnLt(dsn, connection.dsnUna) && seqLt(subflow.iss + <u32>(dsn - connection.localIdsn), subflow.ssnUna);
}

/** Forwards a segment of the host with payload, FIN or both. takeHostAck() has been called. */
export function payloadToSubflow(connection: Connection, segment: Segment, fin: bool): void {
  let dsn = dsnFromTsn(connection, segment.segSeq);
  let trimmed = false;
  if (segment.payloadLength != 0 && peerIsPlain(connection, dsn) && fallBackToo(connection, segment)) return;
  if (fin && segment.payloadLength == 0) {
    const reason = mapGap(connection, freshSubflow(connection), dsn);
    if (reason != DropReason.NONE) {
      dropSegment(segment, reason);
      return;
    }
    if (hasFlag(connection, ConnectionFlag.LOCAL_FIN)) headAgain(connection, connection.active);
    noteFin(connection, dsn);
    sendFinAlone(connection, segment);
    return;
  }
  // What is acknowledged at data level is not sent again: the host has not seen the TAN yet.
  if (dsnLt(dsn, connection.dsnUna)) {
    const old = connection.dsnUna - dsn;
    trimmed = true;
    if (old >= <u64>segment.payloadLength) {
      if (fin) noteFin(connection, dsn + <u64>segment.payloadLength);
      segmentCut(segment, 0);
      if (fin) sendFinAlone(connection, segment);
      else ackToSubflow(connection, segment);
      forgeAckToHost(connection); // it has missed that
      return;
    }
    segmentSkip(segment, <u32>old);
    dsn += old;
  }
  const newFrom = connection.dsnNxt;
  if (dsn == connection.dsnUna && dsnLt(dsn, newFrom)) headAgain(connection, carrierOf(connection, dsn));
  const superPacket = (segment.packetFlags & PacketFlag.GSO) != 0 || segment.payloadLength > connection.mss;
  const end = dsn + <u64>segment.payloadLength;
  let reason = dsnGt(end, newFrom) ? mapLost(connection, dsn, newFrom) : DropReason.NONE;
  if (reason == DropReason.NONE) reason = mapNew(connection, dsn, segment.payloadLength, superPacket);
  if (reason != DropReason.NONE) {
    dropSegment(segment, reason);
    return;
  }
  if (fin) noteFin(connection, end);
  if (DEBUG) check(sendTableCheck(sendTableOf(connection)));
  const first = pieceAt(connection, dsn, segment.payloadLength);
  if (first != DropReason.NONE) {
    dropSegment(segment, first);
    return;
  }
  // A super-packet may only leave whole under a mapping that is logged, and as long as the kernel thinks it is.
  const copies = stallCopies(connection, subflowAt(pieceSubflow));
  const whole = pieceLength == segment.payloadLength && !(superPacket && trimmed) && !copies;
  if (whole && (pieceLogged || !superPacket)) sendWhole(connection, segment, dsn, !dsnLt(dsn, newFrom));
  else sendPieces(connection, segment, dsn, newFrom);
}
