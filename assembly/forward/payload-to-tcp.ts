// Payload of the peer, towards the host (paper §3.3, RFC 8684 §3.3).
//
//   1. the packet's mapping goes into the subflow's RECV table; a DATA_FIN is noted
//   2. the packet's SSN range is looked up there: by the mapping it carries or by an earlier, longer one
//   3. what lies wholly below the host's acknowledgement is answered here, unless it repeats an SSN (then the
//      host must see it, to report it as a duplicate)
//   4. SEQ becomes the TSN; where mappings of different offset meet, the packet is cut
//   5. the FIN goes to the host exactly where the DATA_FIN stands

import { Counter, Direction, DropReason, Reason, TraceFlag } from "../abi";
import { HOST_FIN_RETRY_US, HOST_FIN_TRIES_MAX, SEQUENCE_SPAN, UNMAPPED_MAX } from "../config";
import { nowUs } from "../clock";
import {
  Connection, ConnectionFlag, hasFlag, hostAddress, hostPort, peerAddress, peerPort, setFlag, shownTan,
  tsnFromDsn,
} from "../connection/connection";
import { accountReceived, connectionFallback } from "../connection/lifecycle";
import { measureRepeated } from "../connection/measure";
import {
  rangesOf, recvTableOf, repeatDsnOf, setRepeatDsn, Subflow, SubflowBit, subflowClear, subflowIndex, subflowSet,
} from "../connection/subflow";
import { armConnection } from "../connection/timers";
import { windowForHost } from "../connection/window";
import { count } from "../counters";
import { Fault, faulty } from "../faults";
import { giveUpStripped } from "../handover/abandon";
import { noticePayload } from "../handover/moved";
import { handoverNoticeData } from "../handover/switch";
import { Arrival, rangesAdd, rangesContiguous, rangesTrim } from "../mapping/received-ranges";
import { RecvAdd, recvTableAdd, recvTableFind, recvTableTrim } from "../mapping/recv-table";
import { FORGE_OPTIONS, MPTCP_OPTIONS, OUT } from "../scratch";
import { Dsn, dsnGeq, dsnGt, dsnLeq, dsnLt, expand, seqGt, seqLeq, seqLt, Ssn } from "../seq/space";
import { forgeAck, forgePacket, forgeToHost } from "../signalling/forge";
import { DSS, DSS_DATA_FIN, MP_CAPABLE, MptcpOptions, mptcpOptionsAt } from "../wire/mptcp-options";
import { TCP_ACK, TCP_FIN, TCP_PSH } from "../wire/tcp";
import { advanceSan, forgetHostBlocks } from "./ack-to-subflow";
import { passNewsBesideOld, writeHostOptions } from "./ack-to-tcp";
import { Judged, judgeMapping, mappingAltered, sumArrival, sumSettle, sumTakeBack } from "./checksums";
import { fallBackToo, joinIsUnderWay, mayBecomePlain } from "./plain";
import { rewriteToHost, traceReceived } from "./route";
import { acceptUntouched, dropSegment, Segment, segmentCut, segmentSkip } from "./segment";

const enum Mapping {
  NONE = 0, // the packet carries no mapping
  TAKEN = 1,
  REFUSED = 2, // table full: the packet is lost, the peer sends it again
  INFINITE = 3, // data-level length 0: fallback (RFC 8684 §3.7)
  ALTERED = 4, // its octets do not have its checksum
}

/** The mapping of a packet, as readMapping() found it. */
let mapDsn: Dsn = 0;
let mapSsnRel: u32 = 0;
let mapLength: u32 = 0; // octets of payload
let mapFin: u32 = 0; // 1 if its length counts a DATA_FIN, too
let mapHasChecksum: bool = false;
let mapChecksum: u32 = 0;

/** Reads what the packet's options map. */
function readMapping(connection: Connection, options: MptcpOptions): Mapping {
  if ((options.present & (1 << DSS)) != 0 && options.dsnOctets != 0) {
    if (options.dataLength == 0) return Mapping.INFINITE;
    mapDsn = options.dsnOctets == 8 ? options.dsn : expand(<u32>options.dsn, connection.rcvDsnMax);
    mapSsnRel = options.ssnRel;
    mapFin = (options.dssFlags & DSS_DATA_FIN) != 0 ? 1 : 0;
    mapLength = options.dataLength - mapFin;
    mapHasChecksum = options.dssHasChecksum != 0;
    mapChecksum = options.dssChecksum;
    if (options.dsnOctets == 4) setFlag(connection, ConnectionFlag.SHORT_DSN);
    return Mapping.TAKEN;
  }
  if ((options.present & (1 << MP_CAPABLE)) == 0 || options.capableLength < 22) return Mapping.NONE;
  mapDsn = connection.remoteIdsn + 1;
  mapSsnRel = 1;
  mapFin = 0;
  mapLength = options.capableDataLength;
  mapHasChecksum = options.capableHasChecksum != 0;
  mapChecksum = options.capableChecksum;
  return Mapping.TAKEN;
}

/** Takes the packet's mapping into the RECV table, if its checksum is right so far, and notes a DATA_FIN. */
export function takeMapping(connection: Connection, subflow: Subflow, segment: Segment): Mapping {
  const found = readMapping(connection, mptcpOptionsAt(MPTCP_OPTIONS));
  if (found != Mapping.TAKEN) return found;
  const checksums = hasFlag(connection, ConnectionFlag.CHECKSUM);
  if (checksums != mapHasChecksum) return Mapping.NONE; // not what was agreed on: as if it were not there
  const ssn = subflow.irs + mapSsnRel;
  // A mapping far from the packet or from the stream is none that a sane peer sends.
  const near = ssn - segment.segSeq + SEQUENCE_SPAN <= 2 * SEQUENCE_SPAN &&
    mapDsn - connection.rcvDan + <u64>SEQUENCE_SPAN <= <u64>(2 * SEQUENCE_SPAN);
  if (checksums && (near || mapLength == 0)) {
    const judged = judgeMapping(subflow, segment, ssn, mapDsn, mapLength, mapFin, mapSsnRel, mapChecksum);
    if (judged == Judged.WRONG) return mapLength == 0 ? Mapping.NONE : Mapping.ALTERED;
    if (judged == Judged.NO_ROOM) return Mapping.REFUSED;
  }
  if (mapFin != 0) notePeerFin(connection, mapDsn + <u64>mapLength, segment.payloadLength != 0);
  if (mapLength == 0) return Mapping.TAKEN; // DATA_FIN alone
  if (!near) return Mapping.NONE;
  return recvTableAdd(recvTableOf(subflow), ssn, mapDsn, mapLength) == RecvAdd.FULL ? Mapping.REFUSED : Mapping.TAKEN;
}

/**
 * Notes the peer's DATA_FIN at `dsn`, once; what lies below data already received is not believed. `withPayload`: F
 * came on octets of its mapping, maybe not the last ones (segmentation copies it): the FIN waits for those.
 */
function notePeerFin(connection: Connection, dsn: Dsn, withPayload: bool): void {
  if (hasFlag(connection, ConnectionFlag.PEER_FIN) || dsnLt(dsn, connection.rcvDsnMax)) return;
  if (dsn - connection.rcvDan > <u64>SEQUENCE_SPAN) return;
  setFlag(connection, ConnectionFlag.PEER_FIN);
  connection.peerFinDsn = dsn;
  // finToHost() or payloadToTcp() decides, once the packet has been looked at.
  connection.hostFinUs = nowUs() + (withPayload ? HOST_FIN_RETRY_US : 1);
  count(Counter.DATA_FIN_RECEIVED);
  armConnection(connection);
}

/** A packet with payload that no mapping covers. */
function unmapped(connection: Connection, subflow: Subflow, segment: Segment): void {
  const ssnEnd = segment.segSeq + segment.payloadLength;
  const next = rangesContiguous(rangesOf(subflow), subflow.rcvSan);
  if (seqLeq(ssnEnd, next)) {
    // A probe or keep-alive: one octet that we have. Answered here, never shown to the host.
    forgeAck(connection, subflow);
    dropSegment(segment, DropReason.CONSUMED);
    return;
  }
  const bare = mptcpOptionsAt(MPTCP_OPTIONS).present == 0;
  const plain = bare && segment.segSeq == next; // else its mapping may yet come
  const fresh = connection.rcvDsnMax == connection.remoteIdsn + 1;
  if (plain && fresh && !hasFlag(connection, ConnectionFlag.JOINED_EVER)) {
    // RFC 8684 §3.7: data without a mapping right after the handshake means that options are being stripped.
    acceptUntouched(segment);
    connectionFallback(connection, Reason.NO_DSS);
    return;
  }
  if (bare && mayBecomePlain(connection, subflow)) {
    if (!plain || !fallBackToo(connection, segment)) dropSegment(segment, DropReason.NO_MAPPING);
    return;
  }
  if (!joinIsUnderWay(connection)) subflow.unmapped += segment.payloadLength; // else their meaning is known soon
  dropSegment(segment, DropReason.NO_MAPPING);
  if (subflow.unmapped > UNMAPPED_MAX) giveUpStripped(connection, subflow, Reason.MIDDLEBOX);
}

/** True if the octets up to `dsnEnd` end where the peer's DATA_FIN stands. */
@inline function endsWithFin(connection: Connection, dsnEnd: Dsn): bool {
  return hasFlag(connection, ConnectionFlag.PEER_FIN) && dsnEnd == connection.peerFinDsn;
}

/** Moves the highest numbers on and counts `octets` from `ssn`/`dsn` on; returns how many were never seen before. */
function noteHighest(connection: Connection, subflow: Subflow, ssn: Ssn, dsn: Dsn, octets: u32): u32 {
  if (seqGt(ssn + octets, subflow.rcvHighest)) subflow.rcvHighest = ssn + octets;
  const dsnEnd = dsn + <u64>octets;
  let fresh: u32 = 0;
  if (dsnGt(dsnEnd, connection.rcvDsnMax)) {
    const ahead = dsnEnd - connection.rcvDsnMax;
    fresh = ahead < <u64>octets ? <u32>ahead : octets;
    connection.rcvDsnMax = dsnEnd;
  }
  noticePayload(connection, subflow);
  accountReceived(connection, subflow, octets);
  return fresh;
}

/**
 * A host without SACK never says that it keeps octets out of order, so the SAN waits at them; and if the octets that
 * the host waits for come behind them on the same subflow, that may be beyond the window: a deadlock. What the peer
 * has had to repeat at the SAN was handed over twice: the SAN passes it. The DATA_ACK does not, so nothing is lost.
 */
function handedOverTwice(connection: Connection, subflow: Subflow, dsn: Dsn, octets: u32): void {
  if (hasFlag(connection, ConnectionFlag.SACK) || dsnLeq(dsn, connection.rcvDan)) return;
  subflow.rcvSan += octets;
  forgeAck(connection, subflow);
}

/** Books the arrival of `octets` from `ssn`/`dsn` on. Returns false if the packet must not go to the host. */
function bookArrival(
  connection: Connection, subflow: Subflow, segment: Segment, ssn: Ssn, dsn: Dsn, octets: u32,
): bool {
  const arrival = rangesAdd(rangesOf(subflow), ssn, ssn + octets);
  if (arrival == Arrival.FULL) {
    sumTakeBack(subflow, segment, segment.segSeq);
    dropSegment(segment, DropReason.RECV_TABLE_FULL);
    return false;
  }
  const fresh = noteHighest(connection, subflow, ssn, dsn, octets);
  if (fresh != 0) subflowClear(subflow, SubflowBit.REPEATS);
  const dsnEnd = dsn + <u64>octets;
  const seenBelow = seqLt(ssn, subflow.rcvSan) || arrival == Arrival.DUPLICATE;
  if (seenBelow) {
    count(Counter.PEER_RETRANSMISSIONS);
    measureRepeated(subflow);
    subflowSet(subflow, SubflowBit.RETRANSMISSION_SEEN);
    connection.duplicateSubflow = subflowIndex(subflow);
    connection.duplicateSsn = ssn;
    connection.duplicateLength = octets;
    connection.duplicateDsn = <u32>dsn;
    if (arrival == Arrival.DUPLICATE && ssn == subflow.rcvSan) handedOverTwice(connection, subflow, dsn, octets);
    recvTableTrim(recvTableOf(subflow), subflow.rcvSan);
    rangesTrim(rangesOf(subflow), subflow.rcvSan);
    return true; // the host answers, with a DSACK if it knows how
  }
  if (!dsnLeq(dsnEnd, connection.rcvDan)) {
    if (fresh != 0) handoverNoticeData(connection, subflow);
    return true;
  }
  // Fresh SSNs, old data (re-injection, window probe): the host's ACK would not move, so this subflow's is ours.
  dropSegment(segment, DropReason.DUPLICATE);
  if (dataAcksLost(connection, subflow, dsn, octets)) {
    giveUpStripped(connection, subflow, Reason.MIDDLEBOX);
    return false;
  }
  forgetHostBlocks();
  advanceSan(connection, subflow);
  forgeAck(connection, subflow);
  return false;
}

/**
 * True if the peer sends the same old octets for the fourth time, each time under fresh SSNs and nothing new in
 * between. It has had the acknowledgements of the subflow, then, and no DATA_ACK on any: the path takes options away on
 * their way (RFC 8684 §3.7). A window probe, one octet, is no such sign.
 */
function dataAcksLost(connection: Connection, subflow: Subflow, dsn: Dsn, octets: u32): bool {
  const times = subflow.flags & SubflowBit.REPEATS;
  if (octets == 1 || (times != 0 && repeatDsnOf(subflow) != <u32>dsn)) return false;
  if (times == SubflowBit.REPEATS) return true;
  setRepeatDsn(subflow, <u32>dsn);
  subflow.flags += SubflowBit.REPEAT;
  return false;
}

/** The packet's octets behind the first `octets` belong to other mappings: each part leaves by the outbox. */
function forwardRest(connection: Connection, subflow: Subflow, segment: Segment, octets: u32): void {
  count(Counter.PACKETS_SPLIT);
  let at = <usize>segment.payload + octets;
  let ssn = segment.segSeq + octets;
  let left = segment.payloadLength - octets;
  while (left != 0) {
    const mapped = recvTableFind(recvTableOf(subflow), ssn, OUT);
    const dsn = load<u64>(OUT);
    const piece = min<u32>(min<u32>(mapped, left), 1400); // any MTU that carries IPv6 will do over lo
    if (mapped == 0 || rangesAdd(rangesOf(subflow), ssn, ssn + piece) == Arrival.FULL) {
      sumTakeBack(subflow, segment, ssn); // the peer sends it again, with a mapping
      return;
    }
    noteHighest(connection, subflow, ssn, dsn, piece);
    const flags = TCP_ACK | TCP_PSH | (endsWithFin(connection, dsn + <u64>piece) ? TCP_FIN : 0);
    forgePacket(
      Direction.HOST, peerAddress(connection), hostAddress(connection), peerPort(connection), hostPort(connection),
      tsnFromDsn(connection, dsn), shownTan(connection), flags, windowForHost(connection),
      FORGE_OPTIONS, at, piece,
    );
    at += piece;
    ssn += piece;
    left -= piece;
  }
}

/** Forwards a packet of the peer with payload. takePeerAck() has been called. */
export function payloadToTcp(connection: Connection, subflow: Subflow, segment: Segment): void {
  const mapping = takeMapping(connection, subflow, segment);
  if (mapping == Mapping.REFUSED) {
    dropSegment(segment, DropReason.RECV_TABLE_FULL);
    return;
  }
  if (mapping == Mapping.INFINITE) {
    infiniteMapping(connection, subflow, segment);
    return;
  }
  if (mapping == Mapping.ALTERED) {
    mappingAltered(connection, subflow, segment, false);
    return;
  }
  let mapped = recvTableFind(recvTableOf(subflow), segment.segSeq, OUT);
  // A repetition without a mapping of its own, partly acknowledged: what the table still knows begins at the SAN.
  const below = subflow.rcvSan - segment.segSeq;
  if (mapped == 0 && below < segment.payloadLength) {
    segmentSkip(segment, below);
    mapped = recvTableFind(recvTableOf(subflow), segment.segSeq, OUT);
  }
  if (mapped == 0) {
    unmapped(connection, subflow, segment);
    return;
  }
  const dsn = load<u64>(OUT);
  if (!sumArrival(subflow, segment)) {
    mappingAltered(connection, subflow, segment, true);
    return;
  }
  forwardMapped(connection, subflow, segment, dsn, min<u32>(mapped, segment.payloadLength));
  if ((subflow.generation & 1) != 0) sumSettle(subflow); // else it was given up
}

/** Forwards a packet whose first `octets` octets are mapped to [dsn, …). */
function forwardMapped(connection: Connection, subflow: Subflow, segment: Segment, dsn: Dsn, octets: u32): void {
  const ssn = segment.segSeq;
  if (!bookArrival(connection, subflow, segment, ssn, dsn, octets)) return;
  if (dsnLeq(dsn + <u64>octets, connection.rcvDan)) passNewsBesideOld(connection);
  if (octets < segment.payloadLength) {
    forwardRest(connection, subflow, segment, octets);
    segmentCut(segment, octets);
  }
  let fin = endsWithFin(connection, dsn + <u64>octets);
  if (faulty(Fault.FIN)) fin = endsWithFin(connection, dsn + <u64>octets + 1);
  if (fin) connection.hostFinUs = nowUs() + HOST_FIN_RETRY_US;
  const flags = TCP_ACK | (segment.flags & TCP_PSH) | (fin ? TCP_FIN : 0);
  const end = writeHostOptions(connection, subflow, segment);
  const tan = shownTan(connection);
  if (rewriteToHost(segment, connection, tsnFromDsn(connection, dsn), tan, flags, end)) {
    traceReceived(connection, subflow, dsn, ssn, octets, fin ? TraceFlag.DATA_FIN : 0);
  }
}

/** RFC 8684 §3.7: the peer gives MPTCP up. With one subflow its numbers are the host's: nothing is left to rewrite. */
function infiniteMapping(connection: Connection, subflow: Subflow, segment: Segment): void {
  if (hasFlag(connection, ConnectionFlag.JOINED_EVER)) {
    dropSegment(segment, DropReason.NO_MAPPING);
    giveUpStripped(connection, subflow, Reason.INFINITE_MAPPING);
    return;
  }
  acceptUntouched(segment);
  connectionFallback(connection, Reason.INFINITE_MAPPING);
}

/**
 * A packet without payload that brought the DATA_FIN becomes the FIN for the host. False if the host has it
 * already.
 */
export function finToHost(connection: Connection, subflow: Subflow, segment: Segment): bool {
  if (!hasFlag(connection, ConnectionFlag.PEER_FIN) || connection.hostFinUs == 0) return false;
  if (nowUs() + 1 < connection.hostFinUs) return false; // delivered a moment ago: give the host time to answer
  connection.hostFinUs = nowUs() + HOST_FIN_RETRY_US;
  armConnection(connection);
  segmentCut(segment, 0);
  const tan = shownTan(connection);
  const tsn = tsnFromDsn(connection, connection.peerFinDsn);
  if (rewriteToHost(segment, connection, tsn, tan, TCP_ACK | TCP_FIN, writeHostOptions(connection, subflow, segment))) {
    traceReceived(connection, subflow, connection.peerFinDsn, segment.segSeq, 0, TraceFlag.DATA_FIN);
  }
  return true;
}

/** The FIN timer fired: the host has not acknowledged the peer's FIN, so it is delivered again. */
export function finRetry(connection: Connection): void {
  connection.hostFinUs = 0;
  if (dsnGt(connection.rcvDan, connection.peerFinDsn) || connection.hostFinTries >= <u8>HOST_FIN_TRIES_MAX) return;
  const tsn = tsnFromDsn(connection, connection.peerFinDsn);
  forgeToHost(connection, tsn, shownTan(connection), TCP_ACK | TCP_FIN, windowForHost(connection));
  const shift = connection.hostFinTries < 6 ? connection.hostFinTries : 6;
  connection.hostFinUs = nowUs() + (HOST_FIN_RETRY_US << shift);
  connection.hostFinTries++;
}

/** True if the packet's DATA_FIN is one that the host has acknowledged long ago: its sender waits for our DATA_ACK. */
export function repeatsOldFin(connection: Connection, options: MptcpOptions): bool {
  const isFin = (options.present & (1 << DSS)) != 0 && (options.dssFlags & DSS_DATA_FIN) != 0;
  return isFin && hasFlag(connection, ConnectionFlag.PEER_FIN) && dsnGeq(connection.rcvDan, connection.peerFinDsn + 1);
}
