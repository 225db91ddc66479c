// The class table: connections of a class share a policy. A connection gets its class at the SYN; class 0
// is the default one.
//
//   byte  size  field (ClassRecord, stride 256)
//      0     4  preferCount
//      4     4  known          1 = the host has named it
//      8     4  connections    see measurePlace()
//     40     8  bytesAcked, 48 bytesReceived
//     56    32  prefer         path ids, most preferred first
//     88   132  activeOn       u32 per path id, 0 first: see SnapshotClass in abi.ts

import { PATH_MAX } from "../abi";
import { CLASS_MAX, CLASS_RECORD_SIZE, CLASS_TABLE } from "./store";

@inline const PREFER: usize = 56;
@inline const ACTIVE_ON: usize = 88;

@final @unmanaged
export class ClassRecord {
  preferCount: u32;
  known: u32;
  connections: u32;
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

/** Replaces the preferences of class `id` by `preferCount` path ids at `prefer`. */
export function classSet(id: u32, preferCount: u32, prefer: usize): bool {
  if (id >= CLASS_MAX || preferCount > PATH_MAX) return false;
  const record = classAt(id);
  record.known = 1;
  record.preferCount = preferCount;
  memory.copy(changetype<usize>(record) + PREFER, prefer, preferCount);
  return true;
}

/** Rank of path `path` in class `id`, 0 is best; paths that are not named come behind, in the order of their ids. */
export function pathRank(id: u32, path: u32): u32 {
  const record = classAt(id);
  const prefer = changetype<usize>(record) + PREFER;
  for (let i: u32 = 0; i < record.preferCount; i++) {
    if (<u32>load<u8>(prefer + i) == path) return i;
  }
  return PATH_MAX + path;
}
