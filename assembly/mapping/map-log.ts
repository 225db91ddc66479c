import { RUN_SIZE, runAlloc, runAt, runFree } from "../memory/runs";
import { San, Ssn, seqGeq, seqGt } from "../seq/space";

// The log of a subflow's long maps. A super-packet gets one DSS, and the kernel copies it to every
// segment; a Linux receiver that holds a part of such a map resets the subflow if a retransmission
// in it carries another triple. So the maps that are longer than one packet are kept until the
// subflow has acknowledged them, and are repeated identically.
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

// A chunk of the log, one run slot:
//
//   byte  size  field
//      0     4  next   index of the following chunk, 0 = last
//      4     2  first  entries before this one are forgotten
//      6     2  used   entries before this one are written
//      8     8  entry 0: ssn u32, absolute; length u32, octets
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
  length0: u32;
  ssn1: Ssn;
  length1: u32;
  ssn2: Ssn;
  length2: u32;
}
if (offsetof<MapChunk>() != RUN_SIZE) ERROR("MapChunk: size moved");
if (offsetof<MapChunk>("ssn0") != 8) ERROR("MapChunk.ssn0 moved");

//   byte  size  field
//      0     4  head   index of the oldest chunk, 0 = empty
//      4     4  tail   index of the newest chunk
//      8     4  count  maps
//     12     4  (zero)
@final @unmanaged
export class MapLog {
  head: u32;
  tail: u32;
  count: u32;
  zero: u32;
}
if (offsetof<MapLog>() != MAP_LOG_SIZE) ERROR("MapLog: size moved");

@inline function chunkAt(index: u32): MapChunk {
  return changetype<MapChunk>(runAt(index));
}

/** Address of entry `entry` of chunk `index`. */
@inline function entryAt(index: u32, entry: u32): usize {
  return runAt(index) + 8 + <usize>entry * 8;
}

/** Adds the map [ssn, ssn + length). False, and nothing changed, if there is no room. */
export function mapLogAppend(log: MapLog, ssn: Ssn, length: u32): bool {
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
  store<u32>(entry, length, 4);
  chunk.used += 1;
  log.count += 1;
  return true;
}

/** Finds the logged map that contains `ssn`: stores its first SSN at `out` and its length at `out + 4`. */
export function mapLogFind(log: MapLog, ssn: Ssn, out: usize): bool {
  if (log.count == 0) return false;
  // What is asked for is nearly always the map just appended, or octets behind all maps.
  const newest = entryAt(log.tail, <u32>chunkAt(log.tail).used - 1);
  if (ssn - load<u32>(newest) < load<u32>(newest, 4)) {
    store<u64>(out, load<u64>(newest));
    return true;
  }
  if (seqGeq(ssn, load<u32>(newest) + load<u32>(newest, 4))) return false;
  for (let index = log.head; index != 0; index = chunkAt(index).next) {
    const used: u32 = chunkAt(index).used;
    for (let i: u32 = chunkAt(index).first; i < used; i++) {
      const entry = entryAt(index, i);
      if (ssn - load<u32>(entry) < load<u32>(entry, 4)) {
        store<u64>(out, load<u64>(entry));
        return true;
      }
    }
  }
  return false;
}

/** Forgets the maps that lie wholly below `san`; one behind a map that does not, when that one goes. */
export function mapLogTrim(log: MapLog, san: San): void {
  while (log.head != 0) {
    const chunk = chunkAt(log.head);
    while (chunk.first < chunk.used) {
      const entry = entryAt(log.head, chunk.first);
      if (seqGt(load<u32>(entry) + load<u32>(entry, 4), san)) return;
      chunk.first += 1;
      log.count -= 1;
    }
    dropHead(log);
  }
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
