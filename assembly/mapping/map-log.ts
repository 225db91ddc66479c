import { check } from "../memory/check";
import { RUN_SIZE, runAlloc, runAt, runFree, runsFree } from "../memory/runs";
import { San, Ssn, seqGeq, seqGt, seqLeq, seqLt } from "../seq/space";

// The log of a subflow's maps that have to be repeated as they were. A super-packet gets one DSS, and the
// kernel copies it to every segment; a Linux receiver that holds a part of such a map resets the subflow if
// a retransmission in it carries another triple. So the maps that are longer than one packet are kept until
// the subflow has acknowledged them. With checksums all are: Linux sums what follows the octets that it has
// read, so that a map over a part of them and new ones would never be right; and the sum of a map's payload
// is known only while all of it is there.
//
// The DSN is not kept: the SEND table has it. Maps are kept in the order in which they were
// sent; that is SSN order but for segments that the host sent late. Nothing depends on the order
// except when a map is forgotten.

/** Octets of a MapLog. */
@inline export const MAP_LOG_SIZE: usize = 16;
/**
 * Maps of one log at most: super-packets in flight on one subflow. Linux makes about one per
 * millisecond of round-trip time, so this is a second's worth, with room for bursts of small ones.
 */
@inline export const MAP_LOG_MAX: u32 = isDefined(ENGINE_DEBUG) ? 24 : 1536;
@inline const PER_CHUNK: u32 = 3;
/** Runs that sendTableMap() takes at most. */
@inline const RUNS_BESIDE: u32 = 2;

// A chunk of the log, one run slot:
//
//   byte  size  field
//      0     4  next   index of the following chunk, 0 = last
//      4     2  first  entries before this one are forgotten
//      6     2  used   entries before this one are written
//      8     8  entry 0: ssn u32, absolute; length u16, octets; sum u16 of them, folded, 0 without checksums
//     16     8  entry 1
//     24     8  entry 2
//
// Invariants, checked by mapLogCheck():
//   L1 first < used <= 3 in every chunk, used == 3 in all but the last
//   L2 count is the number of entries that are written and not forgotten
@final @unmanaged
export class MapChunk {
  next: u32;
  first: u16;
  used: u16;
  ssn0: Ssn;
  length0: u16;
  sum0: u16;
  ssn1: Ssn;
  length1: u16;
  sum1: u16;
  ssn2: Ssn;
  length2: u16;
  sum2: u16;
}
if (offsetof<MapChunk>() != RUN_SIZE) ERROR("MapChunk: size moved");
if (offsetof<MapChunk>("ssn0") != 8) ERROR("MapChunk.ssn0 moved");

//   byte  size  field
//      0     4  head   index of the oldest chunk, 0 = empty
//      4     4  tail   index of the newest chunk
//      8     4  count  maps
//     12     4  end    behind the highest map that was ever added
@final @unmanaged
export class MapLog {
  head: u32;
  tail: u32;
  count: u32;
  end: Ssn;
}
if (offsetof<MapLog>() != MAP_LOG_SIZE) ERROR("MapLog: size moved");

@inline function chunkAt(index: u32): MapChunk {
  return changetype<MapChunk>(runAt(index));
}

/** Address of entry `entry` of chunk `index`. */
@inline function entryAt(index: u32, entry: u32): usize {
  return runAt(index) + 8 + <usize>entry * 8;
}

/** Octets of the map at `entry`. */
@inline function lengthAt(entry: usize): u32 {
  return load<u16>(entry, 4);
}

/**
 * Adds the map [ssn, ssn + length), at most 65,535 octets, whose payload has the folded sum `sum`. False, and nothing
 * changed, if there is no room.
 */
export function mapLogAppend(log: MapLog, ssn: Ssn, length: u32, sum: u32): bool {
  check(length <= 0xffff);
  if (log.count >= MAP_LOG_MAX) return false;
  let index = log.tail;
  if (index == 0 || chunkAt(index).used == PER_CHUNK) {
    index = runAlloc();
    if (index == 0) return false;
    if (log.tail == 0) log.head = index;
    else chunkAt(log.tail).next = index;
    log.tail = index;
  }
  const chunk = chunkAt(index);
  const entry = entryAt(index, chunk.used);
  store<u32>(entry, ssn);
  store<u32>(entry, length | (sum << 16), 4);
  const end = ssn + length;
  if (log.count == 0 || seqGt(end, log.end)) log.end = end;
  chunk.used += 1;
  log.count += 1;
  return true;
}

/** True if one more map, and `spare` others, can surely be added, behind a change of a SEND table. */
export function mapLogHasRoom(log: MapLog, spare: u32): bool {
  return log.count + spare < MAP_LOG_MAX && runsFree() > RUNS_BESIDE;
}

/** Finds the logged map that contains `ssn`: stores its first SSN at `out`, its length at `out + 4`, its sum behind. */
export function mapLogFind(log: MapLog, ssn: Ssn, out: usize): bool {
  // What is asked for is nearly always the map just appended, or octets behind all maps.
  if (log.count == 0 || seqGeq(ssn, log.end)) return false;
  if (found(entryAt(log.tail, <u32>chunkAt(log.tail).used - 1), ssn, out)) return true;
  for (let index = log.head; index != 0; index = chunkAt(index).next) {
    const used: u32 = chunkAt(index).used;
    for (let i: u32 = chunkAt(index).first; i < used; i++) {
      if (found(entryAt(index, i), ssn, out)) return true;
    }
  }
  return false;
}

/** Writes the map at `entry` to `out` if it contains `ssn`. */
function found(entry: usize, ssn: Ssn, out: usize): bool {
  if (ssn - load<u32>(entry) >= lengthAt(entry)) return false;
  store<u32>(out, load<u32>(entry));
  store<u32>(out, lengthAt(entry), 4);
  store<u32>(out, load<u16>(entry, 6), 8);
  return true;
}

/** The first SSN of (ssn, end) that lies in a logged map; `end` if there is none. */
export function mapLogNext(log: MapLog, ssn: Ssn, end: Ssn): Ssn {
  if (log.count == 0 || seqGeq(ssn, log.end)) return end;
  for (let index = log.head; index != 0; index = chunkAt(index).next) {
    const used: u32 = chunkAt(index).used;
    for (let i: u32 = chunkAt(index).first; i < used; i++) {
      const first = load<u32>(entryAt(index, i));
      if (seqGt(first, ssn) && seqLt(first, end)) end = first;
    }
  }
  return end;
}

/**
 * Forgets the maps that lie wholly below `san`; one behind a map that does not, when that one goes. Returns the octets
 * of the longest of them that has at most `most`.
 */
export function mapLogTrim(log: MapLog, san: San, most: u32): u32 {
  let longest: u32 = 0;
  while (log.head != 0) {
    const chunk = chunkAt(log.head);
    while (chunk.first < chunk.used) {
      const entry = entryAt(log.head, chunk.first);
      const length = lengthAt(entry);
      if (seqGt(load<u32>(entry) + length, san)) return longest;
      if (length <= most && length > longest) longest = length;
      chunk.first += 1;
      log.count -= 1;
    }
    dropHead(log);
  }
  return longest;
}

/**
 * Forgets the maps from `ssn` on that have more than `less` octets, and `most` at most; mapLogSweep() frees their room.
 */
export function mapLogForget(log: MapLog, ssn: Ssn, less: u32, most: u32): void {
  for (let index = log.head; index != 0; index = chunkAt(index).next) {
    const used: u32 = chunkAt(index).used;
    for (let i: u32 = chunkAt(index).first; i < used; i++) {
      const entry = entryAt(index, i);
      const length = lengthAt(entry);
      if (length > less && length <= most && seqGeq(load<u32>(entry), ssn)) store<u16>(entry, 0, 4);
    }
  }
}

/** Frees the room of maps that lie wholly below `san` behind an older one, and of those that mapLogForget() left. */
export function mapLogSweep(log: MapLog, san: San): void {
  let to = log.head;
  let at: u32 = 0;
  log.count = 0;
  for (let index = log.head; index != 0; index = chunkAt(index).next) {
    const used: u32 = chunkAt(index).used;
    for (let i: u32 = chunkAt(index).first; i < used; i++) {
      const from = entryAt(index, i);
      if (lengthAt(from) == 0 || seqLeq(load<u32>(from) + lengthAt(from), san)) continue;
      if (at == PER_CHUNK) {
        to = chunkAt(to).next;
        at = 0;
      }
      store<u64>(entryAt(to, at++), load<u64>(from));
      log.count += 1;
    }
  }
  closeBehind(log, to, at);
}

/** The log ends with the entry before `at` of the chunk `to`; all before are in use. */
function closeBehind(log: MapLog, to: u32, at: u32): void {
  if (log.count == 0) {
    mapLogFree(log);
    return;
  }
  for (let index = log.head; index != to; index = chunkAt(index).next) {
    chunkAt(index).first = 0;
    chunkAt(index).used = <u16>PER_CHUNK;
  }
  chunkAt(to).first = 0;
  chunkAt(to).used = <u16>at;
  for (let index = chunkAt(to).next; index != 0; ) {
    const next = chunkAt(index).next;
    runFree(index);
    index = next;
  }
  chunkAt(to).next = 0;
  log.tail = to;
}

function dropHead(log: MapLog): void {
  const index = log.head;
  log.head = chunkAt(index).next;
  if (log.head == 0) log.tail = 0;
  runFree(index);
}

/** Forgets everything. */
export function mapLogFree(log: MapLog): void {
  while (log.head != 0) dropHead(log);
  log.count = 0;
}

/** Whether L1 and L2 hold. */
export function mapLogCheck(log: MapLog): bool {
  let count: u32 = 0;
  let last: u32 = 0;
  for (let index = log.head; index != 0; index = chunkAt(index).next) {
    const chunk = chunkAt(index);
    if (chunk.first >= chunk.used || chunk.used > PER_CHUNK) return false;
    if (chunk.next != 0 && chunk.used != PER_CHUNK) return false;
    count += <u32>(chunk.used - chunk.first);
    if (count > log.count) return false;
    last = index;
  }
  return count == log.count && last == log.tail;
}
