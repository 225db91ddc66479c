import { check } from "./check";

// All timers of the engine: a hierarchical wheel. Setting and cancelling take constant time, and
// so does expiry but for a timer's few moves to lower levels on its way.
//
// Time is cut into ticks of 64 µs. Level l has 64 slots of 64^l ticks. A timer stands on the level
// of the highest 6-bit digit in which its tick differs from `current`, in the slot that this digit
// names. So the lowest occupied level holds the next timer, in its lowest occupied slot; when
// `current` reaches the start of a slot, its timers move down or become due. Ten levels hold
// every u64 deadline: no timer is out of range.
//
// A timer is due at the first tick at or behind its deadline: never early, at most 64 µs late.
// Timers are named by index 1 … capacity, fixed to their owners; timers that become due with the
// same tick come out in the order in which they were set or moved there.
//
// The region must be zero when the wheel is made: an entry is touched when first set.
//
// Layout from `wheelBase` on:
//
//   byte  size        field
//      0     8        current    tick; every timer of an earlier or the same tick is due
//      8     4        due        index of the first due timer, 0 = none
//     12     4        capacity
//     16    80        occupied   10 × u64: bit s = slot s of the level holds a timer
//     96  2560        heads      10 × 64 × u32: index of the slot's first timer, 0 = none
//   2656  24 each     entries    one per timer
//
// An entry; the timers of a slot form a ring, the head's prev is the last:
//
//   byte  size  field
//      0     8  deadlineUs
//      8     4  next
//     12     4  prev
//     16     4  place       level × 64 + slot + 1; DUE; 0 = not set
//     20     4  (zero)
//
// Invariants, checked by wheelCheck():
//   W1 a timer on level l agrees with `current` in all digits above l and is larger in digit l
//   W2 bit s of occupied[l] is set if and only if the head of (l, s) is not 0
//   W3 every timer in a ring names that ring as its place

/** timerDeadline() and wheelNextDeadline(): there is none. */
@inline export const NEVER: u64 = 0xffff_ffff_ffff_ffff;

@inline const TICK_BITS: u64 = 6; // 64 µs: well below any round-trip time that a timer is derived from
@inline const DIGIT_BITS: u32 = 6;
@inline const SLOTS: u32 = 64;
@inline const LEVELS: u32 = 10; // ceil((64 - TICK_BITS) / DIGIT_BITS)
@inline const DUE: u32 = LEVELS * SLOTS + 1;
/** wheelNextDeadline() looks at so many timers of one slot at most. */
@inline const LOOK_MAX: u32 = 8;

@inline const CURRENT: usize = 0;
@inline const DUE_HEAD: usize = 8;
@inline const CAPACITY: usize = 12;
@inline const OCCUPIED: usize = 16;
@inline const HEADS: usize = OCCUPIED + LEVELS * 8;
@inline const ENTRIES: usize = HEADS + LEVELS * SLOTS * 4;
@inline const ENTRY_SIZE: u32 = 24;

@inline const NEXT: usize = 8;
@inline const PREV: usize = 12;
@inline const PLACE: usize = 16;

let wheelBase: usize = 0;

/** Octets that a wheel of `capacity` timers takes. */
export function wheelBytes(capacity: u32): u32 {
  return <u32>ENTRIES + capacity * ENTRY_SIZE;
}

/** Makes an empty wheel at `base`, a multiple of 8, whose region is zero. */
export function wheelInit(base: usize, capacity: u32, nowUs: u64): void {
  check((base & 7) == 0);
  wheelBase = base;
  memory.fill(base, 0, ENTRIES);
  store<u64>(base, nowUs >> TICK_BITS, CURRENT);
  store<u32>(base, capacity, CAPACITY);
}

@inline function entryAt(index: u32): usize {
  check(index - 1 < load<u32>(wheelBase, CAPACITY));
  return wheelBase + ENTRIES + <usize>(index - 1) * ENTRY_SIZE;
}

/** First tick at or behind `deadlineUs`. */
@inline function tickOf(deadlineUs: u64): u64 {
  return (deadlineUs >> TICK_BITS) + <u64>((deadlineUs & ((1 << TICK_BITS) - 1)) != 0);
}

/** Address of the head of the ring `place`. */
@inline function headAt(place: u32): usize {
  return wheelBase + (place == DUE ? DUE_HEAD : HEADS + <usize>(place - 1) * 4);
}

/** The place of a timer with the tick `tick`, seen from `current`. */
function placeOf(tick: u64): u32 {
  const current = load<u64>(wheelBase, CURRENT);
  if (tick <= current) return DUE;
  const level = <u32>(63 - clz(tick ^ current)) / DIGIT_BITS;
  return level * SLOTS + (<u32>(tick >> (level * DIGIT_BITS)) & (SLOTS - 1)) + 1;
}

/** Puts timer `index` at the end of its ring. */
function link(index: u32): void {
  const entry = entryAt(index);
  const place = placeOf(tickOf(load<u64>(entry)));
  const headPtr = headAt(place);
  const head = load<u32>(headPtr);
  store<u32>(entry, place, PLACE);
  if (head != 0) {
    const headEntry = entryAt(head);
    const last = load<u32>(headEntry, PREV);
    store<u32>(entry, head, NEXT);
    store<u32>(entry, last, PREV);
    store<u32>(headEntry, index, PREV);
    store<u32>(entryAt(last), index, NEXT);
    return;
  }
  store<u32>(entry, index, NEXT);
  store<u32>(entry, index, PREV);
  store<u32>(headPtr, index);
  if (place != DUE) {
    const bits = wheelBase + OCCUPIED + <usize>((place - 1) / SLOTS) * 8;
    store<u64>(bits, load<u64>(bits) | (<u64>1 << ((place - 1) % SLOTS)));
  }
}

/** Takes timer `index` out of its ring; it must be in one. */
function unlink(index: u32): void {
  const entry = entryAt(index);
  const place = load<u32>(entry, PLACE);
  const next = load<u32>(entry, NEXT);
  const headPtr = headAt(place);
  store<u32>(entry, 0, PLACE);
  if (next == index) {
    store<u32>(headPtr, 0);
    if (place != DUE) {
      const bits = wheelBase + OCCUPIED + <usize>((place - 1) / SLOTS) * 8;
      store<u64>(bits, load<u64>(bits) & ~(<u64>1 << ((place - 1) % SLOTS)));
    }
    return;
  }
  const prev = load<u32>(entry, PREV);
  store<u32>(entryAt(prev), next, NEXT);
  store<u32>(entryAt(next), prev, PREV);
  if (load<u32>(headPtr) == index) store<u32>(headPtr, next);
}

/** Sets timer `index`, also if it is set already; NEVER cancels it. A deadline in the past is due at once. */
export function timerSet(index: u32, deadlineUs: u64): void {
  timerCancel(index);
  if (deadlineUs == NEVER) return;
  store<u64>(entryAt(index), deadlineUs);
  link(index);
}

/** Cancels timer `index` if it is set. */
export function timerCancel(index: u32): void {
  if (load<u32>(entryAt(index), PLACE) != 0) unlink(index);
}

/** When timer `index` was set to go off; NEVER if it is not set. */
export function timerDeadline(index: u32): u64 {
  const entry = entryAt(index);
  return load<u32>(entry, PLACE) != 0 ? load<u64>(entry) : NEVER;
}

/** The lowest level that holds a timer, LEVELS if none does. */
@inline function lowestLevel(): u32 {
  let level: u32 = 0;
  while (level < LEVELS && load<u64>(wheelBase + <usize>level * 8, OCCUPIED) == 0) level += 1;
  return level;
}

/** First tick of the lowest occupied slot on `level`. */
@inline function slotTick(level: u32): u64 {
  const slot = ctz(load<u64>(wheelBase + <usize>level * 8, OCCUPIED));
  const shift = <u64>(level * DIGIT_BITS);
  const above = (load<u64>(wheelBase, CURRENT) >> (shift + DIGIT_BITS)) << (shift + DIGIT_BITS);
  return above | (slot << shift);
}

/** Moves `current` on to `nowUs`, but not beyond a tick at which a timer becomes due. */
function advance(nowTick: u64): void {
  while (load<u32>(wheelBase, DUE_HEAD) == 0) {
    const level = lowestLevel();
    const tick = level < LEVELS ? slotTick(level) : NEVER;
    if (tick > nowTick) {
      // No occupied slot begins on the way, so that every timer keeps its place (W1).
      if (nowTick > load<u64>(wheelBase, CURRENT)) store<u64>(wheelBase, nowTick, CURRENT);
      return;
    }
    const headPtr = headAt(level * SLOTS + <u32>ctz(load<u64>(wheelBase + <usize>level * 8, OCCUPIED)) + 1);
    store<u64>(wheelBase, tick, CURRENT);
    for (let index = load<u32>(headPtr); index != 0; index = load<u32>(headPtr)) {
      unlink(index);
      link(index);
    }
  }
}

/** One timer that is due at `nowUs`, not set any more; 0 if there is none. Call it until it returns 0. */
export function wheelAdvance(nowUs: u64): u32 {
  if (load<u32>(wheelBase, DUE_HEAD) == 0) advance(nowUs >> TICK_BITS);
  const index = load<u32>(wheelBase, DUE_HEAD);
  if (index != 0) unlink(index);
  return index;
}

/**
 * When wheelAdvance() should be called next, in µs; NEVER if no timer is set. Exact to the tick
 * unless more than LOOK_MAX timers stand in a slot above the lowest level: then the slot's start,
 * which is early. Never later than the tick at which the next timer becomes due.
 */
export function wheelNextDeadline(): u64 {
  if (load<u32>(wheelBase, DUE_HEAD) != 0) return load<u64>(wheelBase, CURRENT) << TICK_BITS;
  const level = lowestLevel();
  if (level == LEVELS) return NEVER;
  const start = slotTick(level);
  if (level == 0) return saturatingUs(start);
  const head = load<u32>(headAt(level * SLOTS + <u32>ctz(load<u64>(wheelBase + <usize>level * 8, OCCUPIED)) + 1));
  let first: u64 = NEVER;
  let index = head;
  for (let looked: u32 = 0; looked < LOOK_MAX; looked++) {
    const entry = entryAt(index);
    first = min(first, tickOf(load<u64>(entry)));
    index = load<u32>(entry, NEXT);
    if (index == head) return saturatingUs(first);
  }
  return saturatingUs(start);
}

/** The tick in µs; one microsecond before NEVER for a tick that begins beyond 64 bits. */
@inline function saturatingUs(tick: u64): u64 {
  return tick > NEVER >> TICK_BITS ? NEVER - 1 : tick << TICK_BITS;
}

/** Whether the ring `place` obeys W1 and W3. */
function ringCheck(place: u32): bool {
  const head = load<u32>(headAt(place));
  if (head == 0) return true;
  let index = head;
  let steps: u32 = 0;
  do {
    const entry = entryAt(index);
    const next = load<u32>(entry, NEXT);
    if (load<u32>(entry, PLACE) != place || placeOf(tickOf(load<u64>(entry))) != place) return false;
    if (load<u32>(entryAt(next), PREV) != index) return false;
    index = next;
    steps += 1;
    if (steps > load<u32>(wheelBase, CAPACITY)) return false;
  } while (index != head);
  return true;
}

/** Whether W1 to W3 hold; walks every ring. */
export function wheelCheck(): bool {
  if (!ringCheck(DUE)) return false;
  for (let place: u32 = 1; place < DUE; place++) {
    const bits = load<u64>(wheelBase + <usize>((place - 1) / SLOTS) * 8, OCCUPIED);
    const occupied = ((bits >> ((place - 1) % SLOTS)) & 1) != 0;
    if (occupied != (load<u32>(headAt(place)) != 0) || !ringCheck(place)) return false;
  }
  return true;
}
