// Counters: one u64 each, read by the embedder at any time.

import { COUNTERS, Counter, DROP_COUNTER_BASE, DropReason } from "./abi";

/** Adds one to `counter`. */
@inline export function count(counter: Counter): void {
  countAdd(counter, 1);
}

/** Adds `value` to `counter`. */
@inline export function countAdd(counter: Counter, value: u64): void {
  const at = <usize>COUNTERS + (<usize>counter << 3);
  store<u64>(at, load<u64>(at) + value);
}

/** Adds one to the counter of `reason`. */
@inline export function countDrop(reason: DropReason): void {
  const at = <usize>COUNTERS + ((<usize>DROP_COUNTER_BASE + <usize>reason) << 3);
  store<u64>(at, load<u64>(at) + 1);
}
