// Payload of the host, towards the peer (paper §3.3).
//
//   1. TSN → DSN by the connection's constant
//   2. octets that the SEND table does not know yet get SSN space on the active subflow; a gap before a
//      late segment is reserved, so that out-of-order TCP stays out of order on the subflow
//   3. the segment is cut into pieces: each lies in one run (one subflow, one offset) and in one mapping
//   4. one piece that fits on its path: the packet is rewritten in place. Else it leaves as packets of at most
//      one MSS through the outbox, and the host's packet ends here
//
// A retransmission keeps its subflow and its mapping while that subflow lives (RFC 8684 §3.3.6); after that,
// or when the peer acknowledged the octets on the subflow but not at data level, it gets fresh SSN space. While the
// subflow is stale it goes out twice: as it was, and as a copy with fresh SSNs on the active subflow.
// What numbers and which mapping octets have is found in piece.ts.

import { Direction, DropReason, Counter, PacketFlag, SubflowState, TraceFlag } from "../abi";
import { DEAD_END_TRIES, DEBUG } from "../config";
import {
  Connection, ConnectionFlag, dsnFromTsn, hasFlag, sendTableOf, setFlag,
} from "../connection/connection";
import { accountSent } from "../connection/lifecycle";
import { hostRoom, pieceMax, segmentOctets } from "../connection/mtu";
import { rttCancel, rttStart } from "../connection/rtt";
import {
  localAddress, localPort, remoteAddress, remotePort, Subflow, subflowAt, SubflowBit, subflowHas,
} from "../connection/subflow";
import { windowForSubflow } from "../connection/window";
import { count } from "../counters";
import { carrierOf, headAgain, headRestart } from "../handover/head";
import { showMtu } from "../handover/path-mtu";
import { noticePayload } from "../handover/moved";
import { stallCopyTo, stallWatch } from "../handover/stall";
import { handoverNoticeData } from "../handover/switch";
import { sendTableCheck } from "../mapping/send-table";
import { check } from "../memory/check";
import { FORGE_OPTIONS, REWRITE_OPTIONS } from "../scratch";
import { Dsn, dsnGt, dsnLt, seqLt } from "../seq/space";
import { forgePacket } from "../signalling/forge";
import { mappingChecksum } from "../wire/checksum";
import { writeCapableData, writeChecksum, writeDss } from "../wire/mptcp-options";
import { TCP_ACK, TCP_PSH } from "../wire/tcp";
import { ackToSubflow, sackBlocksBesideData, tellAll, tellOthers, writeProjectedSack } from "./ack-to-subflow";
import { forgeAckToHost } from "./ack-to-tcp";
import { capableFlags } from "./handshake";
import {
  freshSubflow, mapFresh, mapGap, mapLost, mapNew, pieceAt, pieceLate, pieceLeaves, pieceLength, pieceLogged,
  pieceMapLength, pieceMapSsn, pieceMapSum, pieceSsn, pieceSubflow,
} from "./piece";
import { fallBackToo, mapsAfresh } from "./plain";
import { otherFamily, rewriteToSubflow, traceSent } from "./route";
import { dropSegment, Segment, segmentCut, segmentSkip } from "./segment";

/**
 * Writes the option for the piece at `p`: MP_CAPABLE with data for the opener's first octets, else a DSS. Octets that
 * moved to a fresh SSN cannot have it: it says where it maps them by its place at the front alone (RFC 8684 §3.1).
 */
function writeMapping(connection: Connection, subflow: Subflow, p: usize, pieceDsn: Dsn, dataFin: bool): usize {
  const mapDsn = pieceDsn - <u64>(pieceSsn - pieceMapSsn);
  const atFront = subflowHas(subflow, SubflowBit.INITIAL) && pieceMapSsn == subflow.iss + 1;
  const first = atFront && mapDsn == connection.localIdsn + 1;
  const unconfirmed = hasFlag(connection, ConnectionFlag.OPENER) && !hasFlag(connection, ConnectionFlag.CONFIRMED);
  const ssnRel = pieceMapSsn - subflow.iss;
  if (first && unconfirmed && !dataFin) {
    const flags = capableFlags(connection);
    const end = writeCapableData(p, flags, connection.localKey, connection.remoteKey, pieceMapLength);
    return withChecksum(connection, p, end, mapDsn, ssnRel, pieceMapLength, pieceMapSum);
  }
  const length = pieceMapLength + (dataFin ? 1 : 0);
  const end = writeDss(p, true, <u32>connection.rcvDan, true, <u32>mapDsn, ssnRel, length, dataFin);
  return withChecksum(connection, p, end, mapDsn, ssnRel, length, pieceMapSum);
}

/** Adds the checksum to the option at [p, end), if the connection has them; `sum` is that of the payload. */
function withChecksum(
  connection: Connection, p: usize, end: usize, dsn: Dsn, ssnRel: u32, length: u32, sum: u32,
): usize {
  if (!hasFlag(connection, ConnectionFlag.CHECKSUM)) return end;
  return writeChecksum(p, end, mappingChecksum(dsn, ssnRel, length, sum));
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
  pieceLeaves(connection, subflow);
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
  noticePayload(connection, subflow);
  accountSent(connection, subflow, octets, !fresh);
  traceSent(connection, subflow, dsn, pieceSsn, octets, fresh ? 0 : TraceFlag.RETRANSMISSION);
}

/** Cuts the piece to what fits on its path. */
function cutToPath(connection: Connection): void {
  const most = pieceMax(connection, subflowAt(pieceSubflow));
  if (pieceLength <= most) return;
  pieceLength = most;
  if (!pieceLogged) pieceMapLength = most;
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
 * The piece found last lies on a stale subflow: sends it there once more, and makes the copy on the subflow `to` the
 * piece to be sent. From now on the octets are mapped there.
 */
function copyPiece(connection: Connection, segment: Segment, to: u32, dsn: Dsn, at: usize): DropReason {
  sendPiece(connection, dsn, at, 0, false);
  const reason = mapFresh(connection, segment, to, dsn, at, pieceLength, false);
  if (reason != DropReason.NONE) return reason;
  count(Counter.REINJECTED);
  if (dsn == connection.dsnUna) headRestart(connection);
  return pieceAt(connection, segment, dsn, at, pieceLength);
}

/** The segment lies in several pieces, or is too long: sends each as packets of one MSS at most. */
function sendPieces(connection: Connection, segment: Segment, dsn: Dsn, newFrom: Dsn): void {
  count(Counter.PACKETS_SPLIT);
  tellOthers(connection, 0);
  let at = <usize>segment.payload;
  let left = segment.payloadLength;
  while (left != 0) {
    const reason = pieceAt(connection, segment, dsn, at, min<u32>(left, connection.mss));
    if (reason != DropReason.NONE) {
      dropSegment(segment, reason);
      return;
    }
    cutToPath(connection);
    const to = stallCopyTo(connection, subflowAt(pieceSubflow), dsn);
    if (to != 0) {
      const copied = copyPiece(connection, segment, to, dsn, at);
      if (copied != DropReason.NONE) {
        dropSegment(segment, copied);
        return;
      }
      cutToPath(connection);
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
  const fin = connection.localFinDsn;
  const dss = writeDss(REWRITE_OPTIONS, true, <u32>connection.rcvDan, true, <u32>fin, 0, 1, true);
  const end = withChecksum(connection, REWRITE_OPTIONS, dss, fin, 0, 1, 0);
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

/**
 * True if the peer, which is heard, has acknowledged all but the host's FIN, and that was sent again and again on the
 * only subflow there ever was, into an open window: the path takes the DATA_FIN away (RFC 8684 §3.7). A plain FIN gets
 * through. Not behind the peer's own DATA_FIN, which such a FIN would acknowledge by a number that it never had.
 */
function finStripped(connection: Connection): bool {
  if (hasFlag(connection, ConnectionFlag.PEER_FIN)) return false;
  if (connection.headTries < DEAD_END_TRIES || connection.dsnUna != connection.localFinDsn) return false;
  if (connection.active == 0 || !neverJoined(connection) || mapsAfresh(connection)) return false;
  const subflow = subflowAt(connection.active);
  const heard = subflow.quietUs > connection.headUs && dsnGt(connection.peerWindowRight, connection.localFinDsn);
  return heard && subflowHas(subflow, SubflowBit.INITIAL) && subflow.ssnUna == subflow.ssnNxt;
}

/** True if the active subflow is the only one there ever was; joins of ours may have gone out unanswered. */
function neverJoined(connection: Connection): bool {
  if (hasFlag(connection, ConnectionFlag.JOINED_EVER)) return false;
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    if (index != connection.active && subflowAt(index).state != SubflowState.SYN_SENT) return false;
  }
  return true;
}

/** The host's segment repeats its first octet or its FIN, which the subflow `carrier` has carried. */
function sentAgain(connection: Connection, carrier: u32): void {
  tellAll(connection);
  headAgain(connection, carrier);
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
    if (finStripped(connection) && fallBackToo(connection, segment)) return;
    if (hasFlag(connection, ConnectionFlag.LOCAL_FIN)) sentAgain(connection, connection.active);
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
  if (dsn == connection.dsnUna && dsnLt(dsn, newFrom)) sentAgain(connection, carrierOf(connection, dsn));
  const superPacket = (segment.packetFlags & PacketFlag.GSO) != 0 || segment.payloadLength > connection.mss;
  const end = dsn + <u64>segment.payloadLength;
  let reason = dsnGt(end, newFrom) ? mapLost(connection, segment, dsn, newFrom) : DropReason.NONE;
  if (reason == DropReason.NONE) reason = mapNew(connection, segment, dsn, superPacket);
  if (reason != DropReason.NONE) {
    dropSegment(segment, reason);
    return;
  }
  if (fin) noteFin(connection, end);
  if (DEBUG) check(sendTableCheck(sendTableOf(connection)));
  const first = pieceAt(connection, segment, dsn, segment.payload, segment.payloadLength);
  if (first != DropReason.NONE) {
    dropSegment(segment, first);
    return;
  }
  const carrier = subflowAt(pieceSubflow);
  const octets = segmentOctets(connection, carrier, segment.payloadLength, superPacket);
  const fits = octets <= hostRoom(connection, carrier);
  if (!fits) showMtu(connection, carrier, octets);
  // A super-packet may only leave whole under a mapping that is logged, as long as the kernel thinks it is, and in its
  // own family. With checksums a mapping that fits in one packet leaves in one (mapAnewWhatIsTooLong()).
  const inOne = hasFlag(connection, ConnectionFlag.CHECKSUM) && segment.payloadLength <= connection.mss;
  const cut = superPacket && (trimmed || inOne || otherFamily(localAddress(carrier)));
  const whole = fits && pieceLength == segment.payloadLength && !cut && stallCopyTo(connection, carrier, dsn) == 0;
  if (whole && (pieceLogged || !superPacket)) sendWhole(connection, segment, dsn, !dsnLt(dsn, newFrom));
  else sendPieces(connection, segment, dsn, newFrom);
}
