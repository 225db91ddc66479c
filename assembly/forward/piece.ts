// The place of the host's octets on a subflow (paper §3.3): which numbers they get there, and under which mapping
// they leave. Nothing is sent here; payload-to-subflow.ts does.
//
// A piece of a segment lies in one run of the SEND table (one subflow, one offset) and in one mapping. The mapping
// of a super-packet is longer than one packet on the wire: it is logged and repeated to the letter by every
// retransmission inside it, since Linux refuses another mapping while one is half consumed. With checksums that
// holds for every mapping.

import { Counter, DropReason } from "../abi";
import { SEQUENCE_SPAN } from "../config";
import { Connection, ConnectionFlag, hasFlag, sendTableOf } from "../connection/connection";
import { measureMapped } from "../connection/measure";
import { hostRoom, pieceMax, segmentOctets } from "../connection/mtu";
import {
  mapLogOf, noteParts, provenOf, setProven, Subflow, subflowAt, SubflowBit, subflowHas, subflowUsable, wholeFrom,
} from "../connection/subflow";
import { count, countDrop } from "../counters";
import { Fault, faulty } from "../faults";
import { carrierOf, headRestart } from "../handover/head";
import { idleSubflow } from "../handover/switch";
import { mapLogAppend, mapLogFind, mapLogForget, mapLogHasRoom, mapLogNext, mapLogSweep } from "../mapping/map-log";
import { SEND_RESERVED, sendEntryAt, sendTableFind, sendTableMap, sendTableReserve } from "../mapping/send-table";
import { OUT } from "../scratch";
import { Dsn, dsnGt, dsnLt, seqLt, Ssn } from "../seq/space";
import { fold } from "../wire/checksum";
import { payloadSumOf, Segment } from "./segment";

/** One piece of a segment, as pieceAt() found it. */
export let pieceSubflow: u32 = 0;
export let pieceSsn: Ssn = 0;
export let pieceLength: u32 = 0;
export let pieceMapSsn: Ssn = 0; // the mapping that the piece is sent under; may be longer than the piece
export let pieceMapLength: u32 = 0;
export let pieceMapSum: u32 = 0; // of that mapping's payload, folded; 0 without checksums
export let pieceLogged: bool = false; // that mapping is in the subflow's log
export let pieceLate: bool = false; // its SSNs were reserved: the host sends these octets for the first time

/**
 * Logs the map [ssn, ssn + length) of the octets at `at`, which lie in the segment's payload; false, and counted, if
 * there is no room.
 */
function logMap(connection: Connection, subflow: Subflow, segment: Segment, ssn: Ssn, length: u32, at: usize): bool {
  const sum = hasFlag(connection, ConnectionFlag.CHECKSUM) ? fold(payloadSumOf(segment, at, length)) : 0;
  if (mapLogAppend(mapLogOf(subflow), ssn, length, sum)) return true;
  countDrop(DropReason.MAP_LOG_FULL);
  return false;
}

/**
 * True if the mapping of octets from `dsn` and `ssn` on can be logged. A place each is left for the first octet that
 * the subflow waits for and the first that the host waits for: no other is ever acknowledged before them.
 */
function logHasRoom(connection: Connection, subflow: Subflow, dsn: Dsn, ssn: Ssn): bool {
  const log = mapLogOf(subflow);
  const spare: u32 = ssn == subflow.ssnUna ? 0 : dsn == connection.dsnUna ? 1 : 2;
  if (spare != 2 && !mapLogHasRoom(log, spare)) mapLogSweep(log, subflow.ssnUna);
  return mapLogHasRoom(log, spare);
}

/** The subflow for new octets: the active one, but another if that is suspected of a hole (handover/poison.ts). */
export function freshSubflow(connection: Connection): u32 {
  const active = connection.active;
  if (active == 0 || !subflowHas(subflowAt(active), SubflowBit.SUSPECT)) return active;
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    const subflow = subflowAt(index);
    if (subflowUsable(subflow) && !subflowHas(subflow, SubflowBit.SUSPECT | SubflowBit.STALE)) return index;
  }
  return active;
}

/**
 * The subflow for octets that have to move from `from`: that for new ones. Where it is `from` itself (the peer has them
 * there, and has thrown them away or waits for the rest of their mapping) and something is in flight on it, rather one
 * with nothing in flight, as Linux chooses: behind a hole they would wait for what the host sends only when they are
 * acknowledged.
 */
function subflowForMoved(connection: Connection, from: u32): u32 {
  const fresh = freshSubflow(connection);
  if (fresh == 0 || fresh != from || subflowAt(fresh).ssnUna == subflowAt(fresh).ssnNxt) return fresh;
  const idle = idleSubflow(connection);
  return idle == 0 ? fresh : idle;
}

/**
 * Gives octets [dsn, dsn + length) of the segment, at the address `at`, fresh SSN space on the subflow `index`. The
 * mapping is logged if there are checksums and it fits, or if they leave as one super-packet (where the log is full
 * they leave in pieces). NONE, or why they cannot be mapped.
 */
export function mapFresh(
  connection: Connection, segment: Segment, index: u32, dsn: Dsn, at: usize, length: u32, superPacket: bool,
): DropReason {
  const subflow = subflowAt(index);
  const checksums = hasFlag(connection, ConnectionFlag.CHECKSUM);
  // Numbers that are given and cannot be used would leave a hole.
  const ssn = subflow.ssnNxt;
  if (checksums && !logHasRoom(connection, subflow, dsn, ssn)) return DropReason.MAP_LOG_FULL;
  if (!sendTableMap(sendTableOf(connection), dsn, ssn, length, index, 0)) return DropReason.SEND_TABLE_FULL;
  subflow.ssnNxt = ssn + length;
  measureMapped(subflow, length);
  // What has to be cut gets its mappings piece by piece: a peer uses nothing of one with a checksum before it has all.
  // So does what may turn out to be too long in part: the router that says so has let the shorter ones pass.
  const fits = segmentOctets(connection, subflow, length, superPacket) <= hostRoom(connection, subflow);
  const most = pieceMax(connection, subflow);
  const whole = fits && (length <= most || provenOf(subflow) >= most);
  if (checksums ? whole : superPacket) logMap(connection, subflow, segment, ssn, length, at);
  return DropReason.NONE;
}

/**
 * Makes the octets up to `dsn`, which have not come here, known to the SEND table: with SSN space kept for them on the
 * subflow `index`; without one (0) as sent and lost, so that nothing is kept for them on the next.
 */
export function mapGap(connection: Connection, index: u32, dsn: Dsn): DropReason {
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
    measureMapped(subflow, octets);
  }
  connection.dsnNxt = dsn;
  return DropReason.NONE;
}

/** Maps what of the segment, whose first octet is `dsn`, is new; reserves the gap before it. NONE, or why it cannot. */
export function mapNew(connection: Connection, segment: Segment, dsn: Dsn, superPacket: bool): DropReason {
  const length = segment.payloadLength;
  const end = dsn + <u64>length;
  if (!dsnGt(end, connection.dsnNxt)) return DropReason.NONE;
  const index = freshSubflow(connection);
  const before = mapGap(connection, index, index == 0 ? end : dsn);
  if (before != DropReason.NONE) return before;
  if (index == 0) return DropReason.NO_USABLE_SUBFLOW;
  const known = dsnLt(dsn, connection.dsnNxt) ? <u32>(connection.dsnNxt - dsn) : 0;
  // A partly new super-packet is cut into pieces of one packet each.
  const whole = superPacket && known == 0;
  const at = <usize>segment.payload + known;
  const reason = mapFresh(connection, segment, index, connection.dsnNxt, at, length - known, whole);
  if (reason == DropReason.NONE) connection.dsnNxt = end;
  return reason;
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
 * Finds the piece of the segment that begins at `dsn` and at the address `at`, at most `length` octets: its subflow,
 * SSN and mapping. Octets that must move are mapped afresh first. NONE, or why nothing can be sent.
 */
export function pieceAt(connection: Connection, segment: Segment, dsn: Dsn, at: usize, length: u32): DropReason {
  const table = sendTableOf(connection);
  let index = sendTableFind(table, dsn);
  if (index == 0) return DropReason.OUT_OF_WINDOW; // in the place of the FIN that the host has sent before
  let run = sendEntryAt(index);
  let offset = <u32>(dsn - run.dsn);
  let octets = min<u32>(run.length - offset, length);
  const moving = octetsToMove(run.subflow, run.ssn + offset, octets);
  if (moving != 0) {
    const fresh = subflowForMoved(connection, run.subflow);
    if (fresh == 0) return DropReason.NO_USABLE_SUBFLOW;
    octets = min<u32>(moving, connection.mss);
    const reason = mapFresh(connection, segment, fresh, dsn, at, octets, false);
    if (reason != DropReason.NONE) return reason;
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
  return mappingOfPiece(connection, segment, dsn, at) ? DropReason.NONE : DropReason.MAP_LOG_FULL;
}

/**
 * The segment's octets [dsn, end), behind which it goes on with new ones: those without a subflow get their numbers
 * before those, so that they also leave in this order.
 */
export function mapLost(connection: Connection, segment: Segment, dsn: Dsn, end: Dsn): DropReason {
  let at = <usize>segment.payload;
  while (dsnLt(dsn, end) && carrierOf(connection, dsn) == 0) {
    const reason = pieceAt(connection, segment, dsn, at, <u32>min<u64>(end - dsn, connection.mss));
    if (reason != DropReason.NONE) return reason;
    dsn += <u64>pieceLength;
    at += pieceLength;
  }
  return DropReason.NONE;
}

/**
 * A router has refused what is longer than pieceMax(), which was `before`. A peer has all or nothing of a mapping that
 * left in one packet, and nothing of these: their octets are mapped anew by what the host sends now. With checksums
 * nobody could use a part of the old one, and the host may send no more than a part before that is acknowledged.
 */
export function mapAnewWhatIsTooLong(connection: Connection, subflow: Subflow, before: u32): void {
  if (!hasFlag(connection, ConnectionFlag.CHECKSUM)) return;
  setProven(subflow, 0);
  const log = mapLogOf(subflow);
  mapLogForget(log, wholeFrom(subflow), pieceMax(connection, subflow), before);
  mapLogSweep(log, subflow.ssnUna);
}

/** The piece found last leaves under its mapping: in parts, if that was one packet and the piece is less. */
export function pieceLeaves(connection: Connection, subflow: Subflow): void {
  if (pieceLogged && pieceLength < pieceMapLength && pieceMapLength <= connection.mss) {
    noteParts(subflow, pieceMapSsn + pieceMapLength);
  }
}

/**
 * The mapping for the piece: the logged one that contains its start (the piece ends with it), else the piece itself,
 * which runs into none. With checksums that is logged, too; false if there is no room.
 */
function mappingOfPiece(connection: Connection, segment: Segment, dsn: Dsn, at: usize): bool {
  const subflow = subflowAt(pieceSubflow);
  const log = mapLogOf(subflow);
  pieceLogged = mapLogFind(log, pieceSsn, OUT);
  if (!pieceLogged) {
    pieceLength = mapLogNext(log, pieceSsn, pieceSsn + pieceLength) - pieceSsn;
    const checksums = hasFlag(connection, ConnectionFlag.CHECKSUM);
    if (checksums) pieceLength = min<u32>(pieceLength, pieceMax(connection, subflow));
    pieceMapSsn = pieceSsn;
    pieceMapLength = pieceLength;
    if (!checksums) return true;
    if (!logHasRoom(connection, subflow, dsn, pieceSsn)) return false;
    if (!logMap(connection, subflow, segment, pieceSsn, pieceLength, at)) return false;
    pieceLogged = mapLogFind(log, pieceSsn, OUT);
  }
  pieceMapSsn = load<u32>(OUT);
  pieceMapLength = load<u32>(OUT, 4);
  pieceMapSum = load<u32>(OUT, 8);
  pieceLength = min<u32>(pieceLength, pieceMapLength - (pieceSsn - pieceMapSsn));
  return true;
}
