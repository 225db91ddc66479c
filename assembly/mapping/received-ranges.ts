import { check } from "../memory/check";
import { RUN_SIZE, RUNS_SPARE, SPAN_MAX, runAlloc, runAt, runFree, runsFree } from "../memory/runs";
import { Ssn, seqGeq, seqGt, seqLeq, seqLt, seqMax, seqMin, seqSpan } from "../seq/space";

// Which SSNs of the peer have arrived on a subflow. A SAN must never cover an octet that did not
// arrive on that very subflow, whatever the host has acknowledged, and mappings alone do not tell:
// a map may reach beyond the packet that carried it.
//
// The caller trims what it has acknowledged (below SAN) and treats arrivals there as duplicates
// before it asks: the ranges do not remember what was trimmed.

/** Octets of a ReceivedRanges. */
@inline export const RECEIVED_RANGES_SIZE: usize = 16;
/**
 * Ranges at most, so that a peer cannot use up the shared slab: one more than the holes. 512
 * holes in flight are a loss of 7 % of 10 MB in full segments, none of them repaired yet.
 */
@inline export const RANGES_MAX: u32 = isDefined(ENGINE_DEBUG) ? 16 : 512;

/** What rangesAdd() returns. */
export const enum Arrival {
  NEW = 0, // no octet had arrived before
  PARTIAL = 1, // some had
  DUPLICATE = 2, // all had
  FULL = 3, // not recorded: no run left, RANGES_MAX reached or further than SPAN_MAX from the others
}

// A range that has arrived.
//
//   byte  size  field
//      0     4  left   first SSN
//      4     4  right  first SSN behind it
//      8     4  next   index of the following range, 0 = last
//     12    20  (zero) the run slab's stride is 32
//
// Invariants, checked by rangesCheck() in debug builds after every change:
//   A1 ranges are sorted, not empty, and neither overlap nor touch
//   A2 there are at most RANGES_MAX, and they span at most SPAN_MAX octets
@final @unmanaged
export class RangeEntry {
  left: Ssn;
  right: Ssn;
  next: u32;
  zero0: u32;
  zero1: u64;
  zero2: u64;
}
if (offsetof<RangeEntry>() != RUN_SIZE) ERROR("RangeEntry: size moved");

//   byte  size  field
//      0     4  head   index of the first range, 0 = empty
//      4     4  tail   index of the last range
//      8     4  count  ranges
//     12     4  (zero)
@final @unmanaged
export class ReceivedRanges {
  head: u32;
  tail: u32;
  count: u32;
  zero: u32;
}
if (offsetof<ReceivedRanges>() != RECEIVED_RANGES_SIZE) ERROR("ReceivedRanges: size moved");

/** The range `index`. */
@inline export function rangeEntryAt(index: u32): RangeEntry {
  return changetype<RangeEntry>(runAt(index));
}

/** Records that [left, right) has arrived; an Arrival. An empty interval is a duplicate. */
export function rangesAdd(ranges: ReceivedRanges, left: Ssn, right: Ssn): u32 {
  const length = right - left;
  if (length == 0) return Arrival.DUPLICATE;
  if (length > SPAN_MAX) return Arrival.FULL;
  const tail = ranges.tail;
  if (tail != 0) {
    const last = rangeEntryAt(tail);
    if (seqSpan(rangeEntryAt(ranges.head).left, last.right, left, length) > SPAN_MAX) return Arrival.FULL;
    if (last.right == left) {
      last.right = right; // in order: the common case
      return Arrival.NEW;
    }
  }

  // Behind `before` begins the first range that reaches or touches `left`.
  let before: u32 = 0;
  let current = ranges.head;
  if (tail != 0 && seqLt(rangeEntryAt(tail).right, left)) {
    before = tail;
    current = 0;
  }
  while (current != 0 && seqLt(rangeEntryAt(current).right, left)) {
    before = current;
    current = rangeEntryAt(current).next;
  }
  if (current == 0 || seqLt(right, rangeEntryAt(current).left)) return insertAfter(ranges, before, left, right);

  // Widen that range, and take in those that it reaches now.
  const entry = rangeEntryAt(current);
  let known = overlap(entry, left, right);
  if (known == length) return Arrival.DUPLICATE;
  entry.left = seqMin(entry.left, left);
  while (entry.next != 0 && seqGeq(right, rangeEntryAt(entry.next).left)) {
    const next = rangeEntryAt(entry.next);
    known += overlap(next, left, right);
    entry.right = next.right;
    removeAfter(ranges, current);
  }
  entry.right = seqMax(entry.right, right);
  debugCheck(ranges);
  return known == 0 ? Arrival.NEW : Arrival.PARTIAL;
}

/** Octets that a range shares with [left, right). */
function overlap(entry: RangeEntry, left: Ssn, right: Ssn): u32 {
  const first = seqMax(entry.left, left);
  const end = seqMin(entry.right, right);
  return seqLt(first, end) ? end - first : 0;
}

/** Puts a new range behind `before` (0 = first). */
function insertAfter(ranges: ReceivedRanges, before: u32, left: Ssn, right: Ssn): u32 {
  // What comes ahead of the others leaves room for what they wait for, or nothing would ever be trimmed.
  const spare: u32 = before != 0 && before == ranges.tail ? RUNS_SPARE : 0;
  if (ranges.count + spare >= RANGES_MAX || runsFree() <= spare) return Arrival.FULL;
  const index = runAlloc();
  if (index == 0) return Arrival.FULL;
  const entry = rangeEntryAt(index);
  entry.left = left;
  entry.right = right;
  if (before != 0) {
    entry.next = rangeEntryAt(before).next;
    rangeEntryAt(before).next = index;
  } else {
    entry.next = ranges.head;
    ranges.head = index;
  }
  if (entry.next == 0) ranges.tail = index;
  ranges.count += 1;
  debugCheck(ranges);
  return Arrival.NEW;
}

/** Takes out the range behind `before` (0 = the first). */
function removeAfter(ranges: ReceivedRanges, before: u32): void {
  const index = before != 0 ? rangeEntryAt(before).next : ranges.head;
  const next = rangeEntryAt(index).next;
  if (before != 0) rangeEntryAt(before).next = next;
  else ranges.head = next;
  if (ranges.tail == index) ranges.tail = before;
  ranges.count -= 1;
  runFree(index);
}

/** First SSN from `from` on that has not arrived: the right edge of the range that contains `from`, else `from`. */
export function rangesContiguous(ranges: ReceivedRanges, from: Ssn): Ssn {
  for (let index = ranges.head; index != 0; ) {
    const entry = rangeEntryAt(index);
    if (seqLt(from, entry.left)) return from;
    if (seqLt(from, entry.right)) return entry.right;
    index = entry.next;
  }
  return from;
}

/** The first octets of [left, right) that have not arrived: stores {from u32, to u32} at `out`. False if all have. */
export function rangesMissing(ranges: ReceivedRanges, left: Ssn, right: Ssn, out: usize): bool {
  const tail = ranges.tail;
  const ahead = tail == 0 || seqGeq(left, rangeEntryAt(tail).right); // in order: the common case
  for (let index = ahead ? 0 : ranges.head; index != 0; index = rangeEntryAt(index).next) {
    const entry = rangeEntryAt(index);
    if (seqLt(left, entry.left)) {
      right = seqMin(right, entry.left);
      break;
    }
    left = seqMax(left, entry.right);
  }
  if (seqGeq(left, right)) return false;
  store<u32>(out, left);
  store<u32>(out, right, 4);
  return true;
}

/** Forgets everything below `ssn`. */
export function rangesTrim(ranges: ReceivedRanges, ssn: Ssn): void {
  while (ranges.head != 0) {
    const entry = rangeEntryAt(ranges.head);
    if (seqLeq(ssn, entry.left)) return;
    if (seqLt(ssn, entry.right)) {
      entry.left = ssn;
      return;
    }
    removeAfter(ranges, 0);
  }
}

/** Forgets everything. */
export function rangesFree(ranges: ReceivedRanges): void {
  while (ranges.head != 0) removeAfter(ranges, 0);
}

@inline function debugCheck(ranges: ReceivedRanges): void {
  if (isDefined(ENGINE_DEBUG)) check(rangesCheck(ranges));
}

/** Whether A1 and A2 hold. */
export function rangesCheck(ranges: ReceivedRanges): bool {
  let count: u32 = 0;
  let before: u32 = 0;
  for (let index = ranges.head; index != 0; ) {
    const entry = rangeEntryAt(index);
    if (seqGeq(entry.left, entry.right) || entry.zero0 != 0 || entry.zero1 != 0 || entry.zero2 != 0) return false;
    if (before != 0 && !seqGt(entry.left, rangeEntryAt(before).right)) return false; // A1
    count += 1;
    if (count > ranges.count) return false;
    before = index;
    index = entry.next;
  }
  if (count != ranges.count || count > RANGES_MAX || before != ranges.tail) return false;
  return count == 0 || rangeEntryAt(ranges.tail).right - rangeEntryAt(ranges.head).left <= SPAN_MAX; // A2
}
