// What a policy in AssemblyScript imports: the ABI's exports, typed access to the table and the intent, settings, state
// and the log. No runtime, no allocation: everything lives in four regions of fixed size.
//
// A policy is a file that hands on the exports and adds its own decide():
//
//   export { shunt_policy_abi_1, region, init, save, load } from "../sdk/as/policy";
//   export function decide(): i32 {
//     intent().activePathId = pathAt(0).id;
//     return Status.OK;
//   }
//
// One with a state of its own exports save() and load() itself: see saveState().
import {
  ABI, Intent, INTENT_SIZE, LOG_LENGTH_MAX, Path, PATH_MAX, Region, SETTING_MAX, STATE_SIZE_MAX, Status, Table,
  UNKNOWN_U32,
} from "./abi";

export {
  Event, Intent, LogLevel, OWN_REASON_FIRST, Path, PathFlag, PathKind, PathState, Power, Reason, Refusal, Status, Table,
  UNKNOWN_I16, UNKNOWN_U16, UNKNOWN_U32, UNKNOWN_U64, UNKNOWN_U8,
} from "./abi";

// Room for records of twice today's size: a later minor version may give longer ones.
@inline const CONFIG_ROOM: i32 = SETTING_MAX * 8;
@inline const TABLE_ROOM: i32 = 128 + PATH_MAX * 128;
@inline const INTENT_ROOM: i32 = 128;
@inline const STATE_ROOM: i32 = STATE_SIZE_MAX;
@inline const LINE_ROOM: i32 = LOG_LENGTH_MAX;

const CONFIG: usize = memory.data(CONFIG_ROOM, 8);
const TABLE: usize = memory.data(TABLE_ROOM, 8);
const INTENT: usize = memory.data(INTENT_ROOM, 8);
const STATE: usize = memory.data(STATE_ROOM, 8);
const LINE: usize = memory.data(LINE_ROOM, 8);

let settings: i32 = 0;

/** Export of the ABI: the minor version that this SDK speaks. */
export function shunt_policy_abi_1(): i32 {
  return ABI & 0xff;
}

/** Export of the ABI: where a region is, 0 if it has not so much room. */
export function region(kind: i32, size: i32): i32 {
  switch (kind) {
    case Region.CONFIG: return size <= CONFIG_ROOM ? <i32>CONFIG : 0;
    case Region.TABLE: return size <= TABLE_ROOM ? <i32>TABLE : 0;
    case Region.INTENT: return size <= INTENT_ROOM ? <i32>INTENT : 0;
    case Region.STATE: return size <= STATE_ROOM ? <i32>STATE : 0;
    default: return 0;
  }
}

/** Export of the ABI: settings are read where they are needed, see setting(). */
export function init(configLength: i32): i32 {
  settings = configLength >> 3;
  return Status.OK;
}

/** The setting at this place in policy.json's list; 0 if the host gave fewer. */
export function setting(index: i32): i64 {
  return index < settings ? load<i64>(CONFIG + (<usize>index << 3)) : 0;
}

/** The table's head. */
export function table(): Table {
  return changetype<Table>(TABLE);
}

/** Path record `index`, which is below pathCount. Records may be longer than we know. */
export function pathAt(index: i32): Path {
  const head = table();
  return changetype<Path>(TABLE + head.headerSize + <usize>index * head.pathSize);
}

/** How many path records there are. */
export function pathCount(): i32 {
  return min<i32>(table().pathCount, PATH_MAX);
}

/** The record of path `id`; -1 if it is not in the table. */
export function indexOf(id: u32): i32 {
  for (let i = 0, n = pathCount(); i < n; i++) if (pathAt(i).id == id) return i;
  return -1;
}

/** The intent, which the host has zeroed, with the version filled in. */
export function intent(): Intent {
  const wanted = changetype<Intent>(INTENT);
  wanted.abi = ABI;
  return wanted;
}

/** Says which path shall carry new data (-1: leave it as it is), and why: a Reason or one of the policy's own. */
export function carry(index: i32, reason: i32): void {
  const wanted = intent();
  wanted.activePathId = index < 0 ? UNKNOWN_U32 : pathAt(index).id;
  wanted.reason = <u16>reason;
}

/** The bit of path record `index` in a mask. */
export function bit(index: i32): u32 {
  return 1 << <u32>index;
}

/** What this SDK keeps between decisions, in front of the policy's own state: who is better, and since when. */
@final @unmanaged
export class Head {
  tag: u32;
  ownSize: u32;
  leaderId: u32;
  zero12: u32;
  leaderSinceUs: u64;
}
@inline const HEAD_SIZE: u32 = 24;
if (offsetof<Head>() != HEAD_SIZE) ERROR("Head: size moved");

export function head(): Head {
  return changetype<Head>(STATE);
}

/** The policy's own state, an unmanaged class; zero at first. It stays as it is from one decision to the next. */
export function ownState<T>(): T {
  if (offsetof<T>() > STATE_SIZE_MAX - HEAD_SIZE) ERROR("the state is too large");
  return changetype<T>(STATE + HEAD_SIZE);
}

/**
 * What the policy keeps about path `id`: an unmanaged class whose first field is `pathId: u32`, zero at first. A state
 * of such records is RECORD_MAX of them, and nothing else; that of a path which is gone is given to a new one.
 */
export function recordOf<T>(id: u32): T {
  const first = STATE + HEAD_SIZE;
  for (let i: usize = 0; i < RECORD_MAX; i++) {
    const record = first + i * offsetof<T>();
    if (load<u32>(record) == id) return changetype<T>(record);
  }
  let free = first;
  for (let i: usize = 0; i < RECORD_MAX; i++) {
    const record = first + i * offsetof<T>();
    const pathId = load<u32>(record);
    if (pathId == 0 || indexOf(pathId) < 0) free = record;
  }
  memory.fill(free, 0, offsetof<T>());
  store<u32>(free, id);
  return changetype<T>(free);
}
@inline export const RECORD_MAX: u32 = PATH_MAX;

/**
 * Body of a save() export: `tag` marks the state as this policy's and of this layout, `size` is offsetof<State>().
 * Change the tag with the layout.
 */
export function saveState(tag: u32, size: u32): i32 {
  head().tag = tag;
  head().ownSize = size;
  return HEAD_SIZE + size;
}

/** Body of a load() export: what another policy or layout left is dropped, but for the SDK's own. */
export function loadState(tag: u32, size: u32, length: i32): i32 {
  if (<u32>length < HEAD_SIZE) return Status.BAD_STATE;
  const ours = head().tag == tag && head().ownSize == size && <u32>length == HEAD_SIZE + size;
  if (!ours) memory.fill(STATE + HEAD_SIZE, 0, size);
  return Status.OK;
}

/** save() of a policy without a state of its own. */
function saveHead(): i32 {
  return saveState(0, 0);
}

/** Its load(). */
function loadHead(length: i32): i32 {
  return loadState(0, 0, length);
}

// Under these names only outside: in here they are AssemblyScript's access to memory.
export { saveHead as save, loadHead as load };

@external("shunt", "log")
declare function shuntLog(level: i32, pointer: usize, length: i32): void;

/** A line in the daemon's log. ASCII; the host takes ten a call and 256 octets a line. */
export function log(level: i32, text: string): void {
  const length = min<i32>(text.length, LINE_ROOM);
  for (let i = 0; i < length; i++) store<u8>(LINE + i, text.charCodeAt(i));
  shuntLog(level, LINE, length);
}
