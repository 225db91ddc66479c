// Checksums of the peer's mappings (RFC 8684 §3.3.1, §3.7; docs/decisions/0011): were its octets altered on their way?
//
// Nothing is kept back, so a mapping of several packets is judged when its last octet comes; what came before is with
// the host by then. A mapping that lies wholly in one packet is judged before anything of it is passed on.
//
//   the packet itself is all that is wrong    it ends here, its subflow is reset, the octets come again elsewhere
//   the host may have wrong octets            they cannot be taken back: the connection is reset on both sides
//
// Each octet counts when it arrives for the first time. A repetition of a part of a mapping is not judged again.

import { Counter, DropReason, Reason } from "../abi";
import { CHECKSUM_ERRORS_MAX } from "../config";
import { Connection, ConnectionFlag, hasFlag } from "../connection/connection";
import { mapSumsOf, rangesOf, recvTableOf, Subflow } from "../connection/subflow";
import { count } from "../counters";
import { Fault, faulty } from "../faults";
import { abandonSubflow, resetSubflowWith, RST_MIDDLEBOX } from "../handover/abandon";
import {
  mapSumAdd, mapSumAt, mapSumsFind, mapSumsOpen, mapSumsSettle, mapSumTakeBack,
} from "../mapping/map-sums";
import { rangesMissing } from "../mapping/received-ranges";
import { recvTableFind } from "../mapping/recv-table";
import { FORGE_OPTIONS, OUT } from "../scratch";
import { Dsn, seqLeq, seqLt, seqMax, seqMin, Ssn } from "../seq/space";
import { fold, mappingSum, swap16 } from "../wire/checksum";
import { writeFail } from "../wire/mptcp-options";
import { dropSegment, payloadSumOf, Segment } from "./segment";
import { resetAltered } from "./teardown";

/** What a sum is when every octet is there and none was altered. */
@inline const WHOLE: u32 = 0xffff;

/** What became of a mapping that a packet brought. */
export const enum Judged {
  RIGHT = 0, // or not yet to be judged
  WRONG = 1, // all of it is in this packet
  NO_ROOM = 2, // to remember what has come of it
}

let failedDsn: Dsn = 0; // first octet of the mapping found wrong last

/** True if nothing of [ssn, ssn + length) has arrived on `subflow`. */
function nothingCame(subflow: Subflow, ssn: Ssn, length: u32): bool {
  if (seqLt(ssn, subflow.rcvSan) || !rangesMissing(rangesOf(subflow), ssn, ssn + length, OUT)) return false;
  return load<u32>(OUT) == ssn && load<u32>(OUT, 4) == ssn + length;
}

/**
 * Judges the mapping [ssn, ssn + length) to [dsn, …) of the packet, or begins to sum it up. `fin`: 1 if its length
 * counts a DATA_FIN; `checksum` is the option's.
 */
export function judgeMapping(
  subflow: Subflow, segment: Segment, ssn: Ssn, dsn: Dsn, length: u32, fin: u32, ssnRel: u32, checksum: u32,
): Judged {
  failedDsn = dsn;
  const sum = fold(mappingSum(dsn, ssnRel, length + fin) + <u64>swap16(checksum));
  if (length == 0) return sum == WHOLE ? Judged.RIGHT : Judged.WRONG; // a DATA_FIN alone
  const start = ssn - segment.segSeq;
  if (start <= segment.payloadLength && length <= segment.payloadLength - start) {
    const payload = payloadSumOf(segment, segment.payload + start, length);
    return fold(<u64>sum + payload) == WHOLE ? Judged.RIGHT : Judged.WRONG;
  }
  const sums = mapSumsOf(subflow);
  if (mapSumsFind(sums, ssn, dsn, length) != 0) return Judged.RIGHT;
  // Octets of it came under another mapping, or all of it has been judged.
  if (!nothingCame(subflow, ssn, length)) return Judged.RIGHT;
  return mapSumsOpen(sums, ssn, dsn, length, sum, seqLeq(ssn, subflow.rcvSan)) ? Judged.RIGHT : Judged.NO_ROOM;
}

/** Octets [left, right) of the segment as a part of a mapping that begins at `mapSsn`: their sum in 16 bits. */
function partSum(segment: Segment, mapSsn: Ssn, left: Ssn, right: Ssn): u32 {
  const sum = fold(payloadSumOf(segment, segment.payload + (left - segment.segSeq), right - left));
  return ((left - mapSsn) & 1) != 0 && !faulty(Fault.CHECKSUM_ODD) ? swap16(sum) : sum;
}

/**
 * Adds what of the segment's octets [ssn, ssn + octets) has not arrived before to the mappings that are summed up, or
 * takes the same back. False if a mapping is complete now, and wrong.
 */
function sumUp(subflow: Subflow, segment: Segment, ssn: Ssn, octets: u32, back: bool): bool {
  let right = true;
  for (let index = mapSumsOf(subflow).head; index != 0; index = mapSumAt(index).next) {
    const map = mapSumAt(index);
    let from = seqMax(seqMax(ssn, map.ssn), subflow.rcvSan);
    const end = seqMin(ssn + octets, map.ssn + map.length);
    while (seqLt(from, end) && rangesMissing(rangesOf(subflow), from, end, OUT)) {
      from = load<u32>(OUT, 4);
      const sum = partSum(segment, map.ssn, load<u32>(OUT), from);
      if (back) mapSumTakeBack(map, from - load<u32>(OUT), sum);
      else mapSumAdd(map, from - load<u32>(OUT), sum);
    }
    if (map.left != 0 || map.sum == WHOLE) continue;
    failedDsn = map.dsn;
    right = false;
  }
  return right;
}

let summedEnd: Ssn = 0; // behind the octets that sumArrival() has added last

/**
 * The segment's octets are about to be booked as arrived, as far as they are mapped: false if they complete a mapping
 * that is wrong.
 */
export function sumArrival(subflow: Subflow, segment: Segment): bool {
  if (mapSumsOf(subflow).head == 0) return true;
  const end = segment.segSeq + segment.payloadLength;
  summedEnd = segment.segSeq;
  while (seqLt(summedEnd, end)) {
    const mapped = recvTableFind(recvTableOf(subflow), summedEnd, OUT);
    if (mapped == 0) break;
    summedEnd += mapped;
  }
  summedEnd = seqMin(summedEnd, end);
  return sumUp(subflow, segment, segment.segSeq, summedEnd - segment.segSeq, false);
}

/** The segment's octets from `ssn` on could not be booked: they will come again. */
export function sumTakeBack(subflow: Subflow, segment: Segment, ssn: Ssn): void {
  if (mapSumsOf(subflow).head != 0 && seqLt(ssn, summedEnd)) sumUp(subflow, segment, ssn, summedEnd - ssn, true);
}

/** What is complete is not needed any more. */
export function sumSettle(subflow: Subflow): void {
  if (mapSumsOf(subflow).head != 0) mapSumsSettle(mapSumsOf(subflow));
}

/**
 * The mapping judged last was altered. `handedOver`: the host has octets of it. A connection that has never been joined
 * is reset, too: behind a MP_FAIL Linux takes no join, so what is left is the stream as somebody has altered it.
 */
export function mappingAltered(connection: Connection, subflow: Subflow, segment: Segment, handedOver: bool): void {
  count(Counter.CHECKSUM_ERRORS);
  dropSegment(segment, DropReason.DSS_CHECKSUM);
  connection.checksumErrors++;
  const joined = hasFlag(connection, ConnectionFlag.JOINED_EVER);
  if (handedOver || !joined || connection.checksumErrors >= CHECKSUM_ERRORS_MAX) {
    resetAltered(connection, subflow, failedDsn);
    return;
  }
  resetSubflowWith(subflow, RST_MIDDLEBOX, writeFail(FORGE_OPTIONS, failedDsn));
  abandonSubflow(connection, subflow, Reason.CHECKSUM, false);
}
