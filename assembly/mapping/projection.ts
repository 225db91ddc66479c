import { Fault, faulty } from "../faults";
import { Dan, Dsn, San, Ssn } from "../seq/space";
import { dsnGeq, dsnGt, dsnLt, dsnMax, dsnMin, seqGt, seqLt, seqMax, seqMin } from "../seq/space";
import { ReceivedRanges, rangeEntryAt, rangesContiguous } from "./received-ranges";
import { RecvTable, recvEntryAt, recvTableRunOf } from "./recv-table";
import { SEND_RESERVED, SendTable, sendEntryAt } from "./send-table";

// Projection of acknowledgements from one number space to another (paper §3.5). It holds for any
// mapping, monotone or not: a cumulative acknowledgement is one more block [SAN - window, SAN),
// every block is cut along the runs of the table, and each piece moves by its run's offset.
//
//   from a subflow to the host   projectSsnBlock() for the SAN and each SACK block, mergeBlocks(),
//                                blocksAbove(); DSN→TSN is a constant that the caller adds
//   from the host to a subflow   projectSan(), projectDsnBlock() for each SACK block
//
// Lists of blocks are arrays in the caller's memory, most recent first (RFC 2018 §4):
// {left u64, right u64} in DSN space, {left u32, right u32} in SSN space, half open.

/** Octets of a block in DSN space. */
@inline export const DSN_BLOCK_SIZE: usize = 16;
/** Octets of a block in SSN space. */
@inline export const SSN_BLOCK_SIZE: usize = 8;

@inline function leftOf(blocks: usize, i: u32): Dsn {
  return load<u64>(blocks + <usize>i * DSN_BLOCK_SIZE);
}

@inline function rightOf(blocks: usize, i: u32): Dsn {
  return load<u64>(blocks + <usize>i * DSN_BLOCK_SIZE, 8);
}

@inline function storeBlock(blocks: usize, i: u32, left: Dsn, right: Dsn): void {
  store<u64>(blocks + <usize>i * DSN_BLOCK_SIZE, left);
  store<u64>(blocks + <usize>i * DSN_BLOCK_SIZE, right, 8);
}

/**
 * Appends to the `count` DSN blocks at `out` what [left, right) of `subflow` stands for; returns
 * the new count, never more than `max`: pieces beyond it are left out, which only says less.
 * Reserved runs are skipped: they were never sent, so nobody can have received them.
 */
export function projectSsnBlock(
  table: SendTable,
  subflow: u32,
  left: Ssn,
  right: Ssn,
  out: usize,
  count: u32,
  max: u32,
): u32 {
  const length = right - left;
  const first = count;
  let index = subflow != 0 ? table.head : 0; // the dead say nothing
  while (index != 0) {
    const entry = sendEntryAt(index);
    index = entry.next;
    if (entry.subflow != subflow || (entry.flags & SEND_RESERVED) != 0) continue;

    // The piece that the run and the block share, as an offset into the run. Differences, not
    // comparisons: runs of a subflow need not lie within half the number space of the block.
    const behind = entry.ssn - left;
    const into = left - entry.ssn;
    let offset: u32 = 0;
    let octets: u32 = 0;
    if (behind < length) {
      octets = min(entry.length, length - behind);
    } else if (into < entry.length) {
      offset = into;
      octets = min(entry.length - into, length);
    }
    if (octets == 0) continue;

    const dsn = entry.dsn + offset;
    if (count > first && rightOf(out, count - 1) == dsn) {
      storeBlock(out, count - 1, leftOf(out, count - 1), dsn + octets);
    } else if (count < max) {
      if (faulty(Fault.PROJECTION)) octets += 1;
      storeBlock(out, count, dsn, dsn + octets);
      count += 1;
    } else {
      break;
    }
  }
  return count;
}

/**
 * Unites the DSN blocks that overlap or touch; returns the new count. A united block takes the
 * place of the most recent of its parts.
 */
export function mergeBlocks(blocks: usize, count: u32): u32 {
  for (let i: u32 = 0; i < count; i++) {
    let j = i + 1;
    while (j < count) {
      const left = leftOf(blocks, j);
      const right = rightOf(blocks, j);
      if (dsnGt(left, rightOf(blocks, i)) || dsnLt(right, leftOf(blocks, i))) {
        j += 1;
        continue;
      }
      storeBlock(blocks, i, dsnMin(left, leftOf(blocks, i)), dsnMax(right, rightOf(blocks, i)));
      removeBlock(blocks, j, count);
      count -= 1;
      j = i + 1; // block i is wider now: look again at those that it did not reach
    }
  }
  return count;
}

/** Closes the gap that block `i` of `count` leaves. */
function removeBlock(blocks: usize, i: u32, count: u32): void {
  const from = blocks + <usize>(i + 1) * DSN_BLOCK_SIZE;
  memory.copy(from - DSN_BLOCK_SIZE, from, <usize>(count - i - 1) * DSN_BLOCK_SIZE);
}

/**
 * Keeps the DSN blocks that begin behind `dan`; returns the new count. What lies below is
 * acknowledged; a block that touches or contains `dan` would begin at `dan` when cut, and Linux
 * takes a SACK block at its first unacknowledged octet for reneging.
 */
export function blocksAbove(blocks: usize, count: u32, dan: Dan): u32 {
  let kept: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const left = leftOf(blocks, i);
    if (!dsnGt(left, dan)) continue;
    storeBlock(blocks, kept, left, rightOf(blocks, i));
    kept += 1;
  }
  return kept;
}

/** Octets from `dsn` on, `length` at most, that the host has: below `dan` or in one of its SACK blocks. */
function octetsAcked(dsn: Dsn, length: u32, dan: Dan, blocks: usize, count: u32): u32 {
  const end = dsn + length;
  let right = dsn;
  let grown = true;
  while (grown && dsnLt(right, end)) {
    grown = false;
    if (dsnLt(right, dan)) {
      right = dan;
      grown = true;
    }
    for (let i: u32 = 0; i < count; i++) {
      if (dsnGeq(right, leftOf(blocks, i)) && dsnLt(right, rightOf(blocks, i))) {
        right = rightOf(blocks, i);
        grown = true;
      }
    }
  }
  return <u32>(dsnMin(right, end) - dsn);
}

/**
 * The SAN that a subflow may be told: the first SSN from `san` on that has not arrived on it, or
 * whose octet the host does not have, that is whose DSN is neither below `dan` nor in one of the
 * host's SACK blocks (`blocks`, DSN space). Never goes back behind `san`.
 */
export function projectSan(
  recv: RecvTable,
  ranges: ReceivedRanges,
  san: San,
  dan: Dan,
  blocks: usize,
  count: u32,
): San {
  const edge = rangesContiguous(ranges, san);
  let index = edge != san ? recvTableRunOf(recv, san) : 0;
  while (index != 0 && seqLt(san, edge)) {
    const entry = recvEntryAt(index);
    if (seqGt(entry.ssn, san)) break; // not mapped: nobody knows what it stands for
    const offset = san - entry.ssn;
    const length = min(entry.length - offset, edge - san);
    const acked = octetsAcked(entry.dsn + offset, length, dan, blocks, count);
    san += acked;
    if (acked != length) break;
    index = entry.next;
  }
  return san;
}

/**
 * Appends to the `count` SSN blocks at `out` what has arrived on a subflow of the data
 * [left, right); returns the new count, never more than `max`.
 */
export function projectDsnBlock(
  recv: RecvTable,
  ranges: ReceivedRanges,
  left: Dsn,
  right: Dsn,
  out: usize,
  count: u32,
  max: u32,
): u32 {
  const first = count;
  let range = ranges.head;
  let index = recv.head;
  while (index != 0 && range != 0) {
    const entry = recvEntryAt(index);
    index = entry.next;
    const dsnFirst = dsnMax(left, entry.dsn);
    const dsnEnd = dsnMin(right, entry.dsn + entry.length);
    if (dsnGeq(dsnFirst, dsnEnd)) continue;
    const ssnFirst = entry.ssn + <u32>(dsnFirst - entry.dsn);
    const ssnEnd = entry.ssn + <u32>(dsnEnd - entry.dsn);

    // Both lists are sorted by SSN: ranges that end before this piece concern no later one.
    while (range != 0 && !seqGt(rangeEntryAt(range).right, ssnFirst)) range = rangeEntryAt(range).next;
    for (let i = range; i != 0 && seqLt(rangeEntryAt(i).left, ssnEnd); i = rangeEntryAt(i).next) {
      const ssnLeft = seqMax(ssnFirst, rangeEntryAt(i).left);
      const ssnRight = seqMin(ssnEnd, rangeEntryAt(i).right);
      const last = out + <usize>(count - 1) * SSN_BLOCK_SIZE;
      if (count > first && load<u32>(last, 4) == ssnLeft) {
        store<u32>(last, ssnRight, 4);
      } else if (count < max) {
        store<u32>(last + SSN_BLOCK_SIZE, ssnLeft);
        store<u32>(last + SSN_BLOCK_SIZE, ssnRight, 4);
        count += 1;
      } else {
        return count;
      }
    }
  }
  return count;
}
