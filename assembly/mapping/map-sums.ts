import { check } from "../memory/check";
import { RUN_SIZE, RUNS_SPARE, runAlloc, runAt, runFree, runsFree } from "../memory/runs";
import { Dsn, Ssn } from "../seq/space";

// Checksums of the peer's mappings that are longer than the packets they came on (RFC 8684 §3.3.1): the sum
// of what has arrived, and how much is still to come. Nothing is kept of the octets themselves, so each may
// be added once only, when it arrives for the first time; in whatever order, since sums do not mind.
//
// A sum is the ones-complement sum in 16 bits, octets in memory order, of the pseudo-header, the checksum and
// the octets that have arrived. When nothing is missing it is 0xffff, or an octet was altered.

/** Octets of a MapSums. */
@inline export const MAP_SUMS_SIZE: usize = 16;
/**
 * Unfinished mappings of a subflow at most, so that a peer cannot use up the shared slab: mappings of many packets
 * with a hole in each. As many as there are received ranges.
 */
@inline export const MAP_SUMS_MAX: u32 = isDefined(ENGINE_DEBUG) ? 16 : 512;

// A mapping of which octets are missing.
//
//   byte  size  field
//      0     8  dsn     first octet, data level
//      8     4  ssn     first octet, absolute
//     12     4  length  octets of payload
//     16     4  next    index of the following one, 0 = last
//     20     4  left    octets that have not arrived
//     24     4  sum     see above, 16 bits
//     28     4  (zero)  the run slab's stride is 32
@final @unmanaged
export class MapSum {
  dsn: Dsn;
  ssn: Ssn;
  length: u32;
  next: u32;
  left: u32;
  sum: u32;
  zero: u32;
}
if (offsetof<MapSum>() != RUN_SIZE) ERROR("MapSum: size moved");
if (offsetof<MapSum>("left") != 20) ERROR("MapSum.left moved");

//   byte  size  field
//      0     4  head   index of the mapping that was opened last, 0 = none
//      4     4  count  mappings
//      8     8  (zero)
//
// Invariants, checked by mapSumsCheck():
//   M1 count is the number of mappings, at most MAP_SUMS_MAX
//   M2 0 < length, left <= length, sum <= 0xffff in each
@final @unmanaged
export class MapSums {
  head: u32;
  count: u32;
  zero: u64;
}
if (offsetof<MapSums>() != MAP_SUMS_SIZE) ERROR("MapSums: size moved");

/** The mapping `index`. */
@inline export function mapSumAt(index: u32): MapSum {
  return changetype<MapSum>(runAt(index));
}

/** Index of the mapping with exactly these numbers, 0 = none. */
export function mapSumsFind(sums: MapSums, ssn: Ssn, dsn: Dsn, length: u32): u32 {
  for (let index = sums.head; index != 0; index = mapSumAt(index).next) {
    const map = mapSumAt(index);
    if (map.ssn == ssn && map.length == length && map.dsn == dsn) return index;
  }
  return 0;
}

/**
 * Opens the mapping [ssn, ssn + length) to [dsn, …), of which nothing has arrived; `sum` is that of its
 * pseudo-header and checksum. `isNext`: it begins where everything else waits. False if there is no room.
 */
export function mapSumsOpen(sums: MapSums, ssn: Ssn, dsn: Dsn, length: u32, sum: u32, isNext: bool): bool {
  // What comes ahead of the others leaves room for what they wait for, or nothing would ever be finished.
  const spare: u32 = isNext ? 0 : RUNS_SPARE;
  if (sums.count + spare >= MAP_SUMS_MAX || runsFree() <= spare) return false;
  const index = runAlloc();
  check(index != 0);
  const map = mapSumAt(index);
  map.dsn = dsn;
  map.ssn = ssn;
  map.length = length;
  map.left = length;
  map.sum = sum;
  map.next = sums.head;
  sums.head = index;
  sums.count += 1;
  return true;
}

/** Adds `octets` octets to `map`; `sum`: theirs, in 16 bits, as if the first stood at an even place of the mapping. */
export function mapSumAdd(map: MapSum, octets: u32, sum: u32): void {
  check(octets <= map.left);
  const total = map.sum + sum;
  map.sum = (total & 0xffff) + (total >> 16);
  map.left -= octets;
}

/** Takes back what mapSumAdd() did with the same values. */
export function mapSumTakeBack(map: MapSum, octets: u32, sum: u32): void {
  const total = map.sum + (sum ^ 0xffff);
  map.sum = (total & 0xffff) + (total >> 16);
  map.left += octets;
  check(map.left <= map.length);
}

/** Forgets the mappings of which nothing is missing. */
export function mapSumsSettle(sums: MapSums): void {
  let before: u32 = 0;
  for (let index = sums.head; index != 0; ) {
    const map = mapSumAt(index);
    const next = map.next;
    if (map.left != 0) {
      before = index;
    } else {
      if (before == 0) sums.head = next;
      else mapSumAt(before).next = next;
      runFree(index);
      sums.count -= 1;
    }
    index = next;
  }
}

/** Forgets everything. */
export function mapSumsFree(sums: MapSums): void {
  while (sums.head != 0) {
    const index = sums.head;
    sums.head = mapSumAt(index).next;
    runFree(index);
  }
  sums.count = 0;
}

/** Whether M1 and M2 hold. */
export function mapSumsCheck(sums: MapSums): bool {
  let count: u32 = 0;
  for (let index = sums.head; index != 0; index = mapSumAt(index).next) {
    const map = mapSumAt(index);
    if (map.length == 0 || map.left > map.length || map.sum > 0xffff || map.zero != 0) return false;
    count += 1;
    if (count > sums.count) return false;
  }
  return count == sums.count && count <= MAP_SUMS_MAX;
}
