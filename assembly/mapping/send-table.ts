import { Fault, faulty } from "../faults";
import { check } from "../memory/check";
import { RUN_SIZE, SPAN_MAX, runAlloc, runAt, runFree, runsFree } from "../memory/runs";
import { Dsn, Ssn, dsnGeq, dsnGt, dsnLeq, dsnLt, dsnSpan } from "../seq/space";

// The SEND table of a connection (paper §3.3): which octets of the data sequence space left on
// which subflow, and with which number there. Steady traffic is one run; a handover, a segment
// that the host sent late and a retransmission on another subflow each add a few.
//
// An octet has one mapping, the latest: sending it again elsewhere replaces the old mapping. What
// the old subflow says about it from then on is not projected any more; DATA_ACKs cover it.

/** Octets of a SendTable. */
@inline export const SEND_TABLE_SIZE: usize = 16;
/**
 * Runs of one table at most, so that a single connection cannot use up the shared slab. 512
 * stand for about 250 separate retransmissions in one window, more than a loss rate of 3 % makes
 * with 10 MB in flight.
 */
@inline export const SEND_RUNS_MAX: u32 = isDefined(ENGINE_DEBUG) ? 16 : 512;

/** SendEntry.flags: SSNs set aside for octets that the host has not shown us yet; never on the wire. */
@inline export const SEND_RESERVED: u16 = 1;

// A run of payload that left on one subflow with one DSN→SSN offset.
//
//   byte  size  field
//      0     8  dsn      first octet, data level
//      8     4  ssn      first octet, on `subflow`, absolute; 0 if subflow is 0
//     12     4  length   octets
//     16     4  subflow  slab index; 0 = its subflow is dead, to be mapped afresh
//     20     4  next     index of the following run, 0 = last
//     24     2  flags    SEND_RESERVED or 0
//     26     6  (zero)   the run slab's stride is 32
//
// Invariants of a SendTable, checked by sendTableCheck() in debug builds after every change:
//   I1 entries are sorted by dsn and do not overlap in dsn
//   I2 no two neighbours could be merged: same subflow, same offset, same flags, touching
//   I3 on one subflow, runs do not overlap in ssn; the caller keeps it by giving each SSN once
//   I4 a table holds at most SEND_RUNS_MAX runs and spans at most SPAN_MAX octets of DSN
@final @unmanaged
export class SendEntry {
  dsn: Dsn;
  ssn: Ssn;
  length: u32;
  subflow: u32;
  next: u32;
  flags: u16;
  zero0: u16;
  zero1: u32;
}
if (offsetof<SendEntry>() != RUN_SIZE) ERROR("SendEntry: size moved");
if (offsetof<SendEntry>("length") != 12) ERROR("SendEntry.length moved");
if (offsetof<SendEntry>("flags") != 24) ERROR("SendEntry.flags moved");

//   byte  size  field
//      0     4  head   index of the first run, 0 = empty
//      4     4  tail   index of the last run
//      8     4  count  runs
//     12     4  (zero)
@final @unmanaged
export class SendTable {
  head: u32;
  tail: u32;
  count: u32;
  zero: u32;
}
if (offsetof<SendTable>() != SEND_TABLE_SIZE) ERROR("SendTable: size moved");

/** The run `index`. */
@inline export function sendEntryAt(index: u32): SendEntry {
  return changetype<SendEntry>(runAt(index));
}

/** First DSN behind a run. */
@inline function endOf(entry: SendEntry): Dsn {
  return entry.dsn + entry.length;
}

/** Whether `index` ends at `dsn` and (ssn, subflow, flags) go on where it ends. */
function joinsLeft(index: u32, dsn: Dsn, ssn: Ssn, subflow: u32, flags: u16): bool {
  if (index == 0) return false;
  const entry = sendEntryAt(index);
  if (entry.subflow != subflow || entry.flags != flags || endOf(entry) != dsn) return false;
  return subflow == 0 || entry.ssn + entry.length == ssn;
}

/** Whether `index` goes on at `dsn` where (ssn, subflow, flags) end. */
function joinsRight(index: u32, dsn: Dsn, ssn: Ssn, subflow: u32, flags: u16): bool {
  if (index == 0) return false;
  const entry = sendEntryAt(index);
  if (entry.subflow != subflow || entry.flags != flags || entry.dsn != dsn) return false;
  return subflow == 0 || entry.ssn == ssn;
}

/** Puts a new run behind `previous` (0 = first); the caller has seen to it that there is one. */
function insertAfter(table: SendTable, previous: u32, dsn: Dsn, ssn: Ssn, length: u32, subflow: u32, flags: u16): u32 {
  const index = runAlloc();
  check(index != 0);
  const entry = sendEntryAt(index);
  entry.dsn = dsn;
  entry.ssn = ssn;
  entry.length = length;
  entry.subflow = subflow;
  entry.flags = flags;
  if (previous == 0) {
    entry.next = table.head;
    table.head = index;
  } else {
    const before = sendEntryAt(previous);
    entry.next = before.next;
    before.next = index;
  }
  if (table.tail == previous) table.tail = index;
  table.count += 1;
  return index;
}

/** Takes out the run behind `previous` (0 = the first). */
function removeAfter(table: SendTable, previous: u32): void {
  const index = previous == 0 ? table.head : sendEntryAt(previous).next;
  const next = sendEntryAt(index).next;
  if (previous == 0) table.head = next;
  else sendEntryAt(previous).next = next;
  if (table.tail == index) table.tail = previous;
  table.count -= 1;
  runFree(index);
}

/** Drops the first `octets` of a run; there are more in it. */
function cutFront(entry: SendEntry, octets: u32): void {
  entry.dsn += octets;
  if (entry.subflow != 0) entry.ssn += octets;
  entry.length -= octets;
}

/** Whether `more` runs may be added. */
@inline function room(table: SendTable, more: i32): bool {
  return more <= 0 || (<u32>more <= runsFree() && table.count + <u32>more <= SEND_RUNS_MAX);
}

/**
 * Maps [dsn, dsn + length) to [ssn, …) on `subflow`. Where octets are mapped already the new
 * mapping replaces the old one, splitting its run if need be. False, and nothing changed, if that
 * takes more runs than there are or the table would span more than SPAN_MAX.
 */
export function sendTableMap(table: SendTable, dsn: Dsn, ssn: Ssn, length: u32, subflow: u32, flags: u16): bool {
  if (length == 0) return true;
  const tail = table.tail;
  if (tail != 0) {
    const last = sendEntryAt(tail);
    if (dsnSpan(sendEntryAt(table.head).dsn, endOf(last), dsn, length) > SPAN_MAX) return false;
    if (joinsLeft(tail, dsn, ssn, subflow, flags)) {
      last.length += length;
      return true;
    }
    if (dsnGt(endOf(last), dsn)) return replace(table, dsn, ssn, length, subflow, flags);
  } else if (length > SPAN_MAX) {
    return false;
  }
  if (!room(table, 1)) return false;
  insertAfter(table, tail, dsn, ssn, length, subflow, flags);
  debugCheck(table);
  return true;
}

/** sendTableMap() where the new part lies before the end of the table. */
function replace(table: SendTable, dsn: Dsn, ssn: Ssn, length: u32, subflow: u32, flags: u16): bool {
  const end = dsn + length;

  // The runs behind `before` and up to `after` are those that overlap the new part.
  let before: u32 = 0;
  let current = table.head;
  while (dsnLeq(endOf(sendEntryAt(current)), dsn)) {
    before = current;
    current = sendEntryAt(current).next;
  }
  let overlapped: i32 = 0;
  let last: u32 = 0;
  let after = current;
  while (after != 0 && dsnLt(sendEntryAt(after).dsn, end)) {
    overlapped += 1;
    last = after;
    after = sendEntryAt(after).next;
  }

  // What stays of the first and the last of them.
  const keepLeft = overlapped != 0 && dsnLt(sendEntryAt(current).dsn, dsn);
  const keepRight = overlapped != 0 && dsnGt(endOf(sendEntryAt(last)), end);
  if (overlapped == 1 && keepLeft && keepRight) return split(table, current, dsn, ssn, length, subflow, flags);
  if (keepLeft) {
    before = current;
    overlapped -= 1;
  }
  if (keepRight) {
    after = last;
    overlapped -= 1;
  }

  // A part that stays touches the new one as soon as it is cut, so look at what it would be then.
  const left = keepLeft ? continues(before, dsn, ssn, subflow, flags) : joinsLeft(before, dsn, ssn, subflow, flags);
  const right = keepRight
    ? continues(after, end, ssn + length, subflow, flags)
    : joinsRight(after, end, ssn + length, subflow, flags);
  if (!room(table, 1 - <i32>left - <i32>right - overlapped)) return false;

  if (keepLeft) sendEntryAt(before).length = <u32>(dsn - sendEntryAt(before).dsn);
  if (keepRight) cutFront(sendEntryAt(after), <u32>(end - sendEntryAt(after).dsn));
  for (; overlapped > 0; overlapped--) removeAfter(table, before);
  fillGap(table, before, left, right, dsn, ssn, length, subflow, flags);
  debugCheck(table);
  return true;
}

/** Whether run `index`, which contains `dsn` or ends there, maps it to (ssn, subflow, flags). */
function continues(index: u32, dsn: Dsn, ssn: Ssn, subflow: u32, flags: u16): bool {
  const entry = sendEntryAt(index);
  if (entry.subflow != subflow || entry.flags != flags) return false;
  return subflow == 0 || entry.ssn + <u32>(dsn - entry.dsn) == ssn;
}

/** Writes the new part between `before` and its follower, merging it with those that it joins. */
function fillGap(
  table: SendTable,
  before: u32,
  left: bool,
  right: bool,
  dsn: Dsn,
  ssn: Ssn,
  length: u32,
  subflow: u32,
  flags: u16,
): void {
  if (left) {
    const entry = sendEntryAt(before);
    entry.length += length;
    if (right) {
      entry.length += sendEntryAt(entry.next).length;
      removeAfter(table, before);
    }
  } else if (right) {
    const entry = sendEntryAt(before == 0 ? table.head : sendEntryAt(before).next);
    entry.dsn = dsn;
    entry.ssn = ssn;
    entry.length += length;
  } else {
    insertAfter(table, before, dsn, ssn, length, subflow, flags);
  }
}

/** Maps the middle of run `index` anew. */
function split(table: SendTable, index: u32, dsn: Dsn, ssn: Ssn, length: u32, subflow: u32, flags: u16): bool {
  if (continues(index, dsn, ssn, subflow, flags)) return true; // mapped so already
  if (!room(table, 2)) return false;
  const entry = sendEntryAt(index);
  const octets = <u32>(dsn - entry.dsn) + length; // up to the end of the new part
  let endSsn = entry.subflow != 0 ? entry.ssn + octets : 0;
  if (faulty(Fault.SPLIT) && endSsn != 0) endSsn += 1;
  insertAfter(table, index, dsn + length, endSsn, entry.length - octets, entry.subflow, entry.flags);
  entry.length = octets - length;
  insertAfter(table, index, dsn, ssn, length, subflow, flags);
  debugCheck(table);
  return true;
}

/**
 * Sets SSNs aside for octets that the host has skipped (paper §3.3): sendTableMap() with
 * SEND_RESERVED. Mapping a part with the same numbers later clears the flag there.
 */
export function sendTableReserve(table: SendTable, dsn: Dsn, ssn: Ssn, length: u32, subflow: u32): bool {
  return sendTableMap(table, dsn, ssn, length, subflow, SEND_RESERVED);
}

/** Index of the run that contains `dsn`, 0 = none. Fast near both ends of the table. */
export function sendTableFind(table: SendTable, dsn: Dsn): u32 {
  const tail = table.tail;
  if (tail == 0) return 0;
  const last = sendEntryAt(tail);
  if (dsnGeq(dsn, last.dsn)) return dsnLt(dsn, endOf(last)) ? tail : 0;
  for (let index = table.head; index != 0; ) {
    const entry = sendEntryAt(index);
    if (dsnLt(dsn, entry.dsn)) return 0;
    if (dsnLt(dsn, endOf(entry))) return index;
    index = entry.next;
  }
  return 0;
}

/** Index of the run in which `ssn` on `subflow` stands for an octet, or is set aside for one; 0 = none. */
export function sendTableFindSsn(table: SendTable, subflow: u32, ssn: Ssn): u32 {
  for (let index = table.head; index != 0; index = sendEntryAt(index).next) {
    const entry = sendEntryAt(index);
    if (entry.subflow == subflow && ssn - entry.ssn < entry.length) return index;
  }
  return 0;
}

/** True if there is such a run. */
export function sendTableCarries(table: SendTable, subflow: u32, ssn: Ssn): bool {
  return sendTableFindSsn(table, subflow, ssn) != 0;
}

/** True if octets of the table are mapped to `subflow`. */
export function sendTableUses(table: SendTable, subflow: u32): bool {
  for (let index = table.head; index != 0; index = sendEntryAt(index).next) {
    if (sendEntryAt(index).subflow == subflow) return true;
  }
  return false;
}

/** Forgets all octets below `dsn`. */
export function sendTableTrim(table: SendTable, dsn: Dsn): void {
  while (table.head != 0) {
    const entry = sendEntryAt(table.head);
    if (dsnLeq(dsn, entry.dsn)) return;
    if (dsnLt(dsn, endOf(entry))) {
      cutFront(entry, <u32>(dsn - entry.dsn));
      return;
    }
    removeAfter(table, 0);
  }
}

/** Forgets everything. */
export function sendTableFree(table: SendTable): void {
  while (table.head != 0) removeAfter(table, 0);
}

/**
 * `subflow` is dead: the runs that reach beyond `dsnFrom` stay, but without a subflow, so that
 * their octets are mapped afresh when the host sends them again.
 */
export function sendTableFreeSubflow(table: SendTable, subflow: u32, dsnFrom: Dsn): void {
  let before: u32 = 0;
  for (let index = table.head; index != 0; ) {
    const entry = sendEntryAt(index);
    if (entry.subflow == subflow && dsnGt(endOf(entry), dsnFrom)) {
      entry.subflow = 0;
      entry.ssn = 0;
      entry.flags = 0;
    }
    const next = entry.next;
    if (entry.subflow == 0 && joinsLeft(before, entry.dsn, 0, 0, 0)) {
      sendEntryAt(before).length += entry.length;
      removeAfter(table, before);
    } else {
      before = index;
    }
    index = next;
  }
  debugCheck(table);
}

@inline function debugCheck(table: SendTable): void {
  if (isDefined(ENGINE_DEBUG)) check(sendTableCheck(table));
}

/** Whether I1, I2 and I4 hold. */
export function sendTableCheck(table: SendTable): bool {
  let count: u32 = 0;
  let before: u32 = 0;
  for (let index = table.head; index != 0; ) {
    const entry = sendEntryAt(index);
    if (entry.length == 0 || entry.zero0 != 0 || entry.zero1 != 0) return false;
    if (entry.subflow == 0 && (entry.ssn != 0 || entry.flags != 0)) return false;
    if (before != 0) {
      if (dsnGt(endOf(sendEntryAt(before)), entry.dsn)) return false; // I1
      if (joinsLeft(before, entry.dsn, entry.ssn, entry.subflow, entry.flags)) return false; // I2
    }
    count += 1;
    if (count > table.count) return false;
    before = index;
    index = entry.next;
  }
  if (count != table.count || count > SEND_RUNS_MAX || before != table.tail) return false;
  return count == 0 || endOf(sendEntryAt(table.tail)) - sendEntryAt(table.head).dsn <= SPAN_MAX; // I4
}
