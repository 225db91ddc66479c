import { check } from "./check";

// The shared slab of runs: 32-octet slots for the entries of all mapping tables. One slab for
// all of them, since a connection needs few runs as a rule and many for a short time.
//
// Slots are named by index 1 … capacity; 0 is "none". They have no generation: a run belongs to
// exactly one table and is never named from elsewhere. A free slot holds the index of the
// following free slot at offset 0. The region must be zero when the slab is made; slots that were
// never used are taken last, so that pages are touched on first use only.
//
// A slot that is taken is zero. A slot that is given back is filled with 0xa5 in debug builds.

/** Octets per run. */
@inline export const RUN_SIZE: u32 = 32;
/** No two numbers in one table lie further apart: TCP's largest window (RFC 7323 §2.3); so serial comparison holds. */
@inline export const SPAN_MAX: u32 = 1 << 30;
/** Runs that a receiver's tables keep for what fills their first gap. */
@inline export const RUNS_SPARE: u32 = 2;

let runBase: usize = 0;
let runCapacity: u32 = 0;
let runFreeHead: u32 = 0;
let runHighWater: u32 = 0;
let runLive: u32 = 0;

/** Makes the slab: `capacity` runs at `base`, which must be zero and a multiple of 8. */
export function runsInit(base: usize, capacity: u32): void {
  check((base & 7) == 0);
  runBase = base;
  runCapacity = capacity;
  runFreeHead = 0;
  runHighWater = 0;
  runLive = 0;
}

/** Takes a run: its index, all zero; or 0 if none is left. */
export function runAlloc(): u32 {
  let index = runFreeHead;
  if (index != 0) {
    const run = runAt(index);
    runFreeHead = load<u32>(run);
    memory.fill(run, 0, RUN_SIZE);
  } else {
    if (runHighWater == runCapacity) return 0;
    index = runHighWater + 1;
    runHighWater = index;
  }
  runLive += 1;
  return index;
}

/** Gives run `index` back. */
export function runFree(index: u32): void {
  const run = runAt(index);
  check(runLive != 0);
  if (isDefined(ENGINE_DEBUG)) memory.fill(run, 0xa5, RUN_SIZE);
  store<u32>(run, runFreeHead);
  runFreeHead = index;
  runLive -= 1;
}

/** Address of run `index`. */
@inline export function runAt(index: u32): usize {
  check(index - 1 < runHighWater);
  return runBase + <usize>(index - 1) * RUN_SIZE;
}

/** Runs that can still be taken. */
export function runsFree(): u32 {
  return runCapacity - runLive;
}
