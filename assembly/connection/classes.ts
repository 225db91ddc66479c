// The class table: connections of a class share a policy. A connection gets its class at the SYN; class 0
// is the default one.
//
//   byte  size  field (ClassRecord, stride 256)
//      0     4  preferCount
//      4     4  known          1 = the host has named it
//      8     4  connections    see measurePlace()
//     12     4  rules          of the classifier that name it
//     16     4  denied         paths that it must not use, bit (path - 1)
//     40     8  bytesAcked, 48 bytesReceived
//     56    32  prefer         path ids, most preferred first
//     88   132  activeOn       u32 per path id, 0 first: see SnapshotClass in abi.ts

import { CLASS_MAX, PATH_MAX, PathFlag } from "../abi";
import { pathAt } from "./paths";
import { CLASS_RECORD_SIZE, CLASS_TABLE } from "./store";

@inline const PREFER: usize = 56;
@inline const ACTIVE_ON: usize = 88;
/** Ranks from here on are those of paths that the class must not use; more than PATH_MAX + PATH_MAX. */
@inline const DENIED: u32 = 512;

@final @unmanaged
export class ClassRecord {
  preferCount: u32;
  known: u32;
  connections: u32;
  rules: u32;
  denied: u32;
  bytesAcked: u64;
  bytesReceived: u64;
}
if (offsetof<ClassRecord>() > PREFER) ERROR("ClassRecord: fields run into the preferences");
if (ACTIVE_ON + 4 * (PATH_MAX + 1) > CLASS_RECORD_SIZE) ERROR("ClassRecord: too large");

/** The record of class `id`, below CLASS_MAX. */
@inline export function classAt(id: u32): ClassRecord {
  return changetype<ClassRecord>(<usize>CLASS_TABLE + <usize>id * CLASS_RECORD_SIZE);
}

/** Address of the number of connections of class `id` that send new data on `path`; 0: on none. */
@inline export function classOn(id: u32, path: u32): usize {
  return changetype<usize>(classAt(id)) + ACTIVE_ON + <usize>path * 4;
}

/** Bit of `path` in a mask of paths; none for path 0. */
@inline function pathBit(path: u32): u32 {
  return path == 0 ? 0 : 1 << (path - 1);
}

/**
 * Replaces the preferences of class `id` by `preferCount` path ids at `prefer`, and the paths that it may use by the
 * mask `allowed`, 0 = all. False for what cannot be.
 */
export function classSet(id: u32, preferCount: u32, prefer: usize, allowed: u32): bool {
  if (id >= CLASS_MAX || preferCount > PATH_MAX) return false;
  const record = classAt(id);
  record.known = 1;
  record.preferCount = preferCount;
  record.denied = allowed == 0 ? 0 : ~allowed;
  memory.copy(changetype<usize>(record) + PREFER, prefer, preferCount);
  return true;
}

/** True if no subflow of class `id` is to be opened on `path`, by whichever end. */
export function pathClosed(id: u32, path: u32): bool {
  if ((pathAt(path).flags & PathFlag.DRAINING) != 0) return true;
  return (classAt(id).denied & pathBit(path)) != 0;
}

/** True if class `id` uses `path` only where nothing else is left. */
export function pathHeldBack(id: u32, path: u32): bool {
  if (path == 0) return false;
  if ((pathAt(path).flags & PathFlag.BACKUP) != 0) return true;
  return (classAt(id).denied & pathBit(path)) != 0;
}

/**
 * Rank of path `path` in class `id`, below 8192, 0 is best: in the order of preference; paths that are not named come
 * behind, in the order of their ids; then those that it must not use.
 */
export function pathRank(id: u32, path: u32): u32 {
  const layer: u32 = (classAt(id).denied & pathBit(path)) != 0 ? DENIED : 0;
  return layer + preferRank(id, path);
}

function preferRank(id: u32, path: u32): u32 {
  const record = classAt(id);
  const prefer = changetype<usize>(record) + PREFER;
  for (let i: u32 = 0; i < record.preferCount; i++) {
    if (<u32>load<u8>(prefer + i) == path) return i;
  }
  return PATH_MAX + path;
}
