// The class table: connections of a class share a policy. A connection gets its class at the SYN; class 0
// is the default one, and the only one until policies can be loaded.
//
//   byte  size  field (ClassRecord, stride 64)
//      0     4  preferCount
//      4    32  prefer      path ids, most preferred first

import { PATH_MAX } from "../abi";
import { CLASS_MAX, CLASS_RECORD_SIZE, CLASS_TABLE } from "./store";

/** Replaces the preferences of class `id` by `preferCount` path ids at `prefer`. */
export function classSet(id: u32, preferCount: u32, prefer: usize): bool {
  if (id >= CLASS_MAX || preferCount > PATH_MAX) return false;
  const record = <usize>CLASS_TABLE + <usize>id * CLASS_RECORD_SIZE;
  store<u32>(record, preferCount);
  memory.copy(record + 4, prefer, preferCount);
  return true;
}

/** Rank of path `path` in class `id`, 0 is best; paths that are not named come behind, in the order of their ids. */
export function pathRank(id: u32, path: u32): u32 {
  const record = <usize>CLASS_TABLE + <usize>id * CLASS_RECORD_SIZE;
  const count = load<u32>(record);
  for (let i: u32 = 0; i < count; i++) {
    if (<u32>load<u8>(record + 4 + i) == path) return i;
  }
  return PATH_MAX + path;
}
