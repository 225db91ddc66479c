// The class table: connections of a class share a policy. A connection gets its class at the SYN; class 0
// is the default one.
//
//   byte  size  field (ClassRecord, stride 256)
//      0     4  preferCount
//      4     4  known          1 = the host has named it
//      8     4  connections    see measurePlace()
//     12     4  rules          of the classifier that name it
//     16     4  denied         paths that it must not use, bit (path - 1)
//     20     4  intent         1 = a policy's intent stands; else the native policy decides, and all of these are 0:
//     24     4  active         path id, 0 = no wish
//     28     4  joined         paths that are to be joined, active too, 32 standby: those of them as backup
//     36     4  left           paths that are to be left
//     40     4  changed        IntentChange bits: what the latest intent wants that the one before did not
//     44     4  probeMs        its idle paths are asked this often for their round trip; 0 = never
//     48     8  bytesAcked, 56 bytesReceived
//     64    32  prefer         path ids, most preferred first
//     96   132  activeOn       u32 per path id, 0 first: see SnapshotClass in abi.ts

import { CLASS_MAX, PATH_MAX, PathFlag } from "../abi";
import { pathAt } from "./paths";
import { CLASS_RECORD_SIZE, CLASS_TABLE } from "./store";

@inline const PREFER: usize = 64;
@inline const ACTIVE_ON: usize = 96;
/** Ranks from here on are those of paths that are not to be used: more than PATH_MAX + PATH_MAX. */
@inline const UNWANTED: u32 = 512;

/** Bits of ClassRecord.changed. */
export const enum IntentChange {
  ACTIVE = 1, // another path is to carry the data
  OPENED = 2, // a path is not to be left any more
}

@final @unmanaged
export class ClassRecord {
  preferCount: u32;
  known: u32;
  connections: u32;
  rules: u32;
  denied: u32;
  intent: u32;
  active: u32;
  joined: u32;
  standby: u32;
  left: u32;
  changed: u32;
  probeMs: u32;
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

/** The shortest pause, in microseconds, at which a class wants its idle paths asked; 0 = none wants it. */
export let probeIntervalUs: u64 = 0;

/** Idle paths of class `id` are to be asked every `ms` milliseconds, 0 = never. */
export function probesSet(id: u32, ms: u32): void {
  classAt(id).probeMs = ms;
  let shortest: u32 = 0;
  for (let i: u32 = 0; i < CLASS_MAX; i++) {
    const wanted = classAt(i).probeMs;
    if (wanted != 0 && (shortest == 0 || wanted < shortest)) shortest = wanted;
  }
  probeIntervalUs = <u64>shortest * 1000;
}

/**
 * Class `id` has the native policy, with the `preferCount` path ids at `prefer` as its preferences, and may use the
 * paths of the mask `allowed`, 0 = all. False for what cannot be.
 */
export function classSet(id: u32, preferCount: u32, prefer: usize, allowed: u32): bool {
  if (id >= CLASS_MAX || preferCount > PATH_MAX) return false;
  const record = classAt(id);
  record.known = 1;
  record.preferCount = preferCount;
  record.denied = allowed == 0 ? 0 : ~allowed;
  memory.copy(changetype<usize>(record) + PREFER, prefer, preferCount);
  intentTake(record, 0, 0, 0, 0, 0);
  return true;
}

/**
 * What a policy wants of class `id`: new data on the path `active` (0 = no wish), subflows on the paths of `standby`
 * (as backup) and `open`, none on those of `left` that are not named before.
 */
export function intentSet(id: u32, active: u32, standby: u32, open: u32, left: u32): void {
  const joined = standby | open | pathBit(active);
  intentTake(classAt(id), 1, active, joined, standby & ~pathBit(active), left & ~joined);
}

function intentTake(record: ClassRecord, stands: u32, active: u32, joined: u32, standby: u32, left: u32): void {
  record.changed = active != 0 && active != record.active ? IntentChange.ACTIVE : 0;
  if ((record.left & ~left) != 0) record.changed |= IntentChange.OPENED;
  record.known = 1;
  record.intent = stands;
  record.active = active;
  record.joined = joined;
  record.standby = standby;
  record.left = left;
}

/** Paths that class `id` must not use, or is to leave. */
@inline function unwanted(id: u32): u32 {
  const record = classAt(id);
  return (record.denied | record.left) & ~pathBit(record.active);
}

/** True if `path` is to be joined in advance by connections of class `id`; `natively`: as the native policy has it. */
export function pathJoined(id: u32, path: u32, natively: bool): bool {
  const record = classAt(id);
  return record.intent == 0 ? natively : (record.joined & pathBit(path)) != 0;
}

/** True if subflows of class `id` on `path` are to end. */
export function pathLeft(id: u32, path: u32): bool {
  return (classAt(id).left & pathBit(path)) != 0;
}

/** True if the peer may send on `path` beside the preferred one, where it may at all. */
export function pathShared(id: u32, path: u32): bool {
  return !pathHeldBack(id, path) && (classAt(id).standby & pathBit(path)) == 0;
}

/** True if no subflow of class `id` is to be opened on `path`, by whichever end. */
export function pathClosed(id: u32, path: u32): bool {
  return (pathAt(path).flags & PathFlag.DRAINING) != 0 || (unwanted(id) & pathBit(path)) != 0;
}

/** True if class `id` uses `path` only where nothing else is left. */
export function pathHeldBack(id: u32, path: u32): bool {
  if (path == 0 || path == classAt(id).active) return false;
  return (pathAt(path).flags & PathFlag.BACKUP) != 0 || (unwanted(id) & pathBit(path)) != 0;
}

/**
 * Rank of path `path` in class `id`, below 8192, 0 is best: the one that its intent wants active, then in the order of
 * preference; paths that are not named come behind, in the order of their ids; then what is not to be used.
 */
export function pathRank(id: u32, path: u32): u32 {
  const active = classAt(id).active;
  if (active != 0 && active == path) return 0;
  const rank = preferRank(id, path) + (active == 0 ? 0 : 1);
  return (unwanted(id) & pathBit(path)) != 0 ? UNWANTED + rank : rank;
}

function preferRank(id: u32, path: u32): u32 {
  const record = classAt(id);
  const prefer = changetype<usize>(record) + PREFER;
  for (let i: u32 = 0; i < record.preferCount; i++) {
    if (<u32>load<u8>(prefer + i) == path) return i;
  }
  return PATH_MAX + path;
}
