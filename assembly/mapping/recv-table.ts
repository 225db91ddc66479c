import { check } from "../memory/check";
import { RUN_SIZE, RUNS_SPARE, SPAN_MAX, runAlloc, runAt, runFree, runsFree } from "../memory/runs";
import { Dsn, Ssn, seqGeq, seqGt, seqLeq, seqLt, seqMax, seqMin, seqSpan } from "../seq/space";

// The RECV table of a subflow (paper §3.3): which DSN each SSN of the peer stands for, read from
// its DSS options. That an SSN is mapped does not mean that it has arrived: received-ranges.ts.
//
// The same DSN may stand under several SSNs, on one subflow (a window probe) and on several
// (re-injection); so the table is keyed by SSN and is never trimmed by DSN.

/** Octets of a RecvTable. */
@inline export const RECV_TABLE_SIZE: usize = 16;
/**
 * Runs of one table at most, so that a peer cannot use up the shared slab. A peer that sends on
 * two subflows by turns makes one run per turn; 2048 turns of two full segments are 5.7 MB in
 * flight on one subflow.
 */
@inline export const RECV_RUNS_MAX: u32 = isDefined(ENGINE_DEBUG) ? 16 : 2048;

/** What recvTableAdd() returns. */
export const enum RecvAdd {
  OK = 0,
  FULL = 1, // no run left, RECV_RUNS_MAX reached or further than SPAN_MAX from the others; nothing changed
  CONFLICT = 2, // a part was mapped to other DSNs before: the first mapping stays, the rest is added
}

// A run of SSNs with one SSN→DSN offset.
//
//   byte  size  field
//      0     8  dsn     data level, of the first octet
//      8     4  ssn     first octet, absolute
//     12     4  length  octets
//     16     4  next    index of the following run, 0 = last
//     20    12  (zero)  the run slab's stride is 32
//
// Invariants of a RecvTable, checked by recvTableCheck() in debug builds after every change:
//   V1 entries are sorted by ssn and do not overlap in ssn
//   V2 no two neighbours could be merged: same offset, touching
//   V3 a table holds at most RECV_RUNS_MAX runs and spans at most SPAN_MAX octets of SSN
@final @unmanaged
export class RecvEntry {
  dsn: Dsn;
  ssn: Ssn;
  length: u32;
  next: u32;
  zero0: u32;
  zero1: u64;
}
if (offsetof<RecvEntry>() != RUN_SIZE) ERROR("RecvEntry: size moved");
if (offsetof<RecvEntry>("next") != 16) ERROR("RecvEntry.next moved");

//   byte  size  field
//      0     4  head   index of the first run, 0 = empty
//      4     4  tail   index of the last run
//      8     4  count  runs
//     12     4  (zero)
@final @unmanaged
export class RecvTable {
  head: u32;
  tail: u32;
  count: u32;
  zero: u32;
}
if (offsetof<RecvTable>() != RECV_TABLE_SIZE) ERROR("RecvTable: size moved");

/** The run `index`. */
@inline export function recvEntryAt(index: u32): RecvEntry {
  return changetype<RecvEntry>(runAt(index));
}

/** First SSN behind a run. */
@inline function endOf(entry: RecvEntry): Ssn {
  return entry.ssn + entry.length;
}

/** Whether the run maps `ssn`, inside it or not, to `dsn` with its offset. */
@inline function agrees(entry: RecvEntry, ssn: Ssn, dsn: Dsn): bool {
  return entry.dsn + <i64><i32>(ssn - entry.ssn) == dsn;
}

/** Maps [ssn, ssn + length) of the peer to [dsn, …); a RecvAdd. */
export function recvTableAdd(table: RecvTable, ssn: Ssn, dsn: Dsn, length: u32): u32 {
  if (length == 0) return RecvAdd.OK;
  if (length > SPAN_MAX) return RecvAdd.FULL;
  const tail = table.tail;
  if (tail != 0) {
    const last = endOf(recvEntryAt(tail));
    if (seqSpan(recvEntryAt(table.head).ssn, last, ssn, length) > SPAN_MAX) return RecvAdd.FULL;
  }
  if (tail == 0 || seqGeq(ssn, endOf(recvEntryAt(tail)))) return append(table, ssn, dsn, length);
  const end = ssn + length;

  // Behind `before` begins the first run that ends behind ssn.
  let before: u32 = 0;
  let current = table.head;
  while (current != 0 && seqLeq(endOf(recvEntryAt(current)), ssn)) {
    before = current;
    current = recvEntryAt(current).next;
  }
  const needed = runsNeeded(before, current, ssn, dsn, end);
  if (needed > runsFree() || table.count + needed > RECV_RUNS_MAX) return RecvAdd.FULL;

  // Fill the gaps between the runs, from left to right.
  let conflict = false;
  let left = ssn;
  while (seqLt(left, end)) {
    const overlaps = current != 0 && seqLt(recvEntryAt(current).ssn, end);
    const right = overlaps ? seqMax(recvEntryAt(current).ssn, left) : end;
    if (seqLt(left, right)) before = fillGap(table, before, left, dsn + (left - ssn), right - left);
    if (!overlaps) break;
    // fillGap() may have merged `current` into `before`, which then ends where it ended.
    const run = before != 0 && seqGt(endOf(recvEntryAt(before)), right) ? before : current;
    const entry = recvEntryAt(run);
    if (!agrees(entry, ssn, dsn)) conflict = true;
    left = endOf(entry);
    before = run;
    current = entry.next;
  }
  debugCheck(table);
  return conflict ? RecvAdd.CONFLICT : RecvAdd.OK;
}

/** recvTableAdd() behind the last run. */
function append(table: RecvTable, ssn: Ssn, dsn: Dsn, length: u32): u32 {
  if (table.tail != 0) {
    const last = recvEntryAt(table.tail);
    if (endOf(last) == ssn && agrees(last, ssn, dsn)) {
      last.length += length;
      return RecvAdd.OK;
    }
  }
  // What comes ahead of the others leaves room for what they wait for, or nothing would ever be trimmed.
  const spare: u32 = table.count == 0 ? 0 : RUNS_SPARE;
  if (runsFree() <= spare || table.count + spare >= RECV_RUNS_MAX) return RecvAdd.FULL;
  fillGap(table, table.tail, ssn, dsn, length);
  debugCheck(table);
  return RecvAdd.OK;
}

/** Most runs that filling the gaps of [ssn, end) needs beyond those that it frees, at any time on its way. */
function runsNeeded(before: u32, current: u32, ssn: Ssn, dsn: Dsn, end: Ssn): u32 {
  let needed: i32 = 0;
  let peak: i32 = 0;
  let left = ssn;
  let leftRun = before != 0 && endOf(recvEntryAt(before)) == ssn ? before : 0;
  while (seqLt(left, end)) {
    const right = current != 0 ? seqMin(recvEntryAt(current).ssn, end) : end;
    if (seqLt(left, right)) {
      needed += 1;
      if (leftRun != 0 && agrees(recvEntryAt(leftRun), ssn, dsn)) needed -= 1;
      if (current != 0 && recvEntryAt(current).ssn == right && agrees(recvEntryAt(current), ssn, dsn)) needed -= 1;
      peak = max(peak, needed);
    }
    if (current == 0) break;
    left = endOf(recvEntryAt(current));
    leftRun = current;
    current = recvEntryAt(current).next;
  }
  return <u32>peak;
}

/** Writes a run behind `before` (0 = first), merged with neighbours that it continues; returns where it is now. */
function fillGap(table: RecvTable, before: u32, ssn: Ssn, dsn: Dsn, length: u32): u32 {
  const after = before != 0 ? recvEntryAt(before).next : table.head;
  const right = after != 0 && recvEntryAt(after).ssn == ssn + length && agrees(recvEntryAt(after), ssn, dsn);
  if (before != 0 && endOf(recvEntryAt(before)) == ssn && agrees(recvEntryAt(before), ssn, dsn)) {
    const entry = recvEntryAt(before);
    entry.length += length;
    if (right) {
      entry.length += recvEntryAt(after).length;
      removeAfter(table, before);
    }
    return before;
  }
  if (right) {
    const entry = recvEntryAt(after);
    entry.ssn = ssn;
    entry.dsn = dsn;
    entry.length += length;
    return after;
  }
  const index = runAlloc();
  check(index != 0); // runsNeeded() has counted
  const entry = recvEntryAt(index);
  entry.dsn = dsn;
  entry.ssn = ssn;
  entry.length = length;
  entry.next = after;
  if (before != 0) recvEntryAt(before).next = index;
  else table.head = index;
  if (after == 0) table.tail = index;
  table.count += 1;
  return index;
}

/** Takes out the run behind `before` (0 = the first). */
function removeAfter(table: RecvTable, before: u32): void {
  const index = before != 0 ? recvEntryAt(before).next : table.head;
  const next = recvEntryAt(index).next;
  if (before != 0) recvEntryAt(before).next = next;
  else table.head = next;
  if (table.tail == index) table.tail = before;
  table.count -= 1;
  runFree(index);
}

/** Index of the run that contains `ssn`, 0 = none. Fast near both ends of the table. */
export function recvTableRunOf(table: RecvTable, ssn: Ssn): u32 {
  const tail = table.tail;
  if (tail == 0) return 0;
  const last = recvEntryAt(tail);
  if (seqGeq(ssn, last.ssn)) return seqLt(ssn, endOf(last)) ? tail : 0;
  for (let index = table.head; index != 0; ) {
    const entry = recvEntryAt(index);
    if (seqLt(ssn, entry.ssn)) return 0;
    if (seqLt(ssn, endOf(entry))) return index;
    index = entry.next;
  }
  return 0;
}

/**
 * Which DSN the peer's `ssn` stands for: stores it at `out` (u64) and returns the octets from
 * `ssn` on that are mapped with the same offset; 0 = not mapped.
 */
export function recvTableFind(table: RecvTable, ssn: Ssn, out: usize): u32 {
  const index = recvTableRunOf(table, ssn);
  if (index == 0) return 0;
  const entry = recvEntryAt(index);
  const offset = ssn - entry.ssn;
  store<u64>(out, entry.dsn + offset);
  return entry.length - offset;
}

/** Forgets the mappings of all SSNs below `ssn`. */
export function recvTableTrim(table: RecvTable, ssn: Ssn): void {
  while (table.head != 0) {
    const entry = recvEntryAt(table.head);
    if (seqLeq(ssn, entry.ssn)) return;
    if (seqLt(ssn, endOf(entry))) {
      const octets = ssn - entry.ssn;
      entry.ssn = ssn;
      entry.dsn += octets;
      entry.length -= octets;
      return;
    }
    removeAfter(table, 0);
  }
}

/** Forgets everything. */
export function recvTableFree(table: RecvTable): void {
  while (table.head != 0) removeAfter(table, 0);
}

@inline function debugCheck(table: RecvTable): void {
  if (isDefined(ENGINE_DEBUG)) check(recvTableCheck(table));
}

/** Whether V1 to V3 hold. */
export function recvTableCheck(table: RecvTable): bool {
  let count: u32 = 0;
  let before: u32 = 0;
  for (let index = table.head; index != 0; ) {
    const entry = recvEntryAt(index);
    if (entry.length == 0 || entry.zero0 != 0 || entry.zero1 != 0) return false;
    if (before != 0) {
      const left = recvEntryAt(before);
      if (seqGt(endOf(left), entry.ssn)) return false; // V1
      if (endOf(left) == entry.ssn && agrees(left, entry.ssn, entry.dsn)) return false; // V2
    }
    count += 1;
    if (count > table.count) return false;
    before = index;
    index = entry.next;
  }
  if (count != table.count || count > RECV_RUNS_MAX || before != table.tail) return false;
  return count == 0 || endOf(recvEntryAt(table.tail)) - recvEntryAt(table.head).ssn <= SPAN_MAX; // V3
}
