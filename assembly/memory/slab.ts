import { check } from "./check";

// Slots of one size, named by index 1 … capacity; 0 is "none". For things that may die while
// others still hold their index (connections, subflows): each slot counts its generations.
//
// The region must be zero when the slab is made, as fresh memory is. Freed slots are used again
// before fresh ones, so that a page of the region is touched when it is first needed and not
// before: a capacity of a million costs nothing until it is used.
//
// A slot:
//
//   byte  size  field
//      0     4  generation  odd = live, even = free; +1 on each change, wraps
//      4     4  link        while free: index of the following free slot, 0 = last
//      8     …  (the owner's fields; the owner uses octets 4 … 7, too, while the slot is live)

/** Octets of a Slab. */
@inline export const SLAB_SIZE: usize = 32;

@inline const LINK: usize = 4;
/** What a freed slot is filled with in debug builds: a stale reader sees nonsense, not old truth. */
@inline const POISON: u8 = 0xa5;

//   byte  size  field
//      0     4  base        address of slot 1
//      4     4  stride      octets per slot, a multiple of 8
//      8     4  capacity    slots
//     12     4  freeHead    index of the first free slot that was live once, 0 = none
//     16     4  live        slots in use
//     20     4  highWater   slots ever used: the slots above were never touched
//     24     8  (zero)
//
// Invariants, checked by slabCheck():
//   B1 live <= highWater <= capacity
//   B2 the free list holds exactly highWater - live slots, each of even generation
@final @unmanaged
export class Slab {
  base: usize;
  stride: u32;
  capacity: u32;
  freeHead: u32;
  live: u32;
  highWater: u32;
  zero0: u64;
}
if (offsetof<Slab>() != SLAB_SIZE) ERROR("Slab: size moved");

/** Makes an empty slab of `capacity` slots of `stride` octets at `base`; the region must be zero. */
export function slabInit(slab: Slab, base: usize, stride: u32, capacity: u32): void {
  check((base & 7) == 0 && (stride & 7) == 0 && stride != 0);
  slab.base = base;
  slab.stride = stride;
  slab.capacity = capacity;
  slab.freeHead = 0;
  slab.live = 0;
  slab.highWater = 0;
  slab.zero0 = 0;
}

/** Takes a slot: its index, or 0 if the slab is full. All of the slot but its generation is zero. */
export function slabAlloc(slab: Slab): u32 {
  let index = slab.freeHead;
  if (index != 0) {
    slab.freeHead = load<u32>(slabAt(slab, index), LINK);
  } else {
    if (slab.highWater == slab.capacity) return 0;
    index = slab.highWater + 1;
    slab.highWater = index;
  }
  slab.live += 1;
  const slot = slabAt(slab, index);
  const generation = load<u32>(slot);
  check((generation & 1) == 0);
  memory.fill(slot, 0, slab.stride);
  store<u32>(slot, generation + 1);
  return index;
}

/** Gives the live slot `index` back. */
export function slabFree(slab: Slab, index: u32): void {
  const slot = slabAt(slab, index);
  const generation = load<u32>(slot);
  check((generation & 1) == 1);
  // Zero in release builds as well: keys must not outlive their connection.
  memory.fill(slot, isDefined(ENGINE_DEBUG) ? POISON : 0, slab.stride);
  store<u32>(slot, generation + 1);
  store<u32>(slot, slab.freeHead, LINK);
  slab.freeHead = index;
  slab.live -= 1;
}

/** Whether `index` names a slot in use; any number may be asked. */
export function slabLive(slab: Slab, index: u32): bool {
  if (index == 0 || index > slab.highWater) return false;
  return (load<u32>(slabAt(slab, index)) & 1) == 1;
}

/** Address of slot `index`. */
@inline export function slabAt(slab: Slab, index: u32): usize {
  check(index - 1 < slab.highWater);
  return slab.base + <usize>(index - 1) * slab.stride;
}

/** Index of the slot at address `slot`. */
@inline export function slabIndexOf(slab: Slab, slot: usize): u32 {
  return <u32>((slot - slab.base) / slab.stride) + 1;
}

/** Generation of slot `index`: what a handle must carry beside the index. */
@inline export function slabGeneration(slab: Slab, index: u32): u32 {
  return load<u32>(slabAt(slab, index));
}

/** Whether B1 and B2 hold; walks the free list. */
export function slabCheck(slab: Slab): bool {
  if (slab.live > slab.highWater || slab.highWater > slab.capacity) return false;
  let free: u32 = 0;
  for (let index = slab.freeHead; index != 0; index = load<u32>(slabAt(slab, index), LINK)) {
    if (index > slab.highWater || (slabGeneration(slab, index) & 1) != 0) return false;
    free += 1;
    if (free > slab.highWater) return false;
  }
  return free == slab.highWater - slab.live;
}
