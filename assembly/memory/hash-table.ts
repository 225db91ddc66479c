import { check } from "./check";

// Open addressing with linear probing; deletion shifts the followers back, so that there are no
// tombstones and a table never has to be rebuilt.
//
// The table maps a 32-bit hash to values; the caller compares what the value names with what it
// looks for, since different keys may share a hash:
//
//   for (let slot = hashFirst(table, hash); slot != 0; slot = hashNext(table, hash, slot)) {
//     const index = hashValue(table, slot);
//     …
//   }
//
// An entry:
//
//   byte  size  field
//      0     4  hash   as given
//      4     4  value  0 = empty entry
//
// The home of an entry comes from the hash's product with an odd constant (its high bits): the
// low bits of our tokens name the shard and are the same in the whole table.

/** Octets of a HashTable. */
@inline export const HASH_TABLE_SIZE: usize = 16;
/** Octets per entry. */
@inline export const HASH_ENTRY_SIZE: u32 = 8;

@inline const VALUE: usize = 4;
/** 2^32 divided by the golden ratio, odd (Knuth, TAOCP vol. 3 §6.4). */
@inline const GOLDEN: u32 = 0x9e3779b1;

//   byte  size  field
//      0     4  base     address of the entries, which start zero
//      4     4  mask     entries - 1; their number is a power of two
//      8     4  count    entries in use, at most mask: one stays empty to end every search
//     12     4  shift    32 - log2(entries)
@final @unmanaged
export class HashTable {
  base: usize;
  mask: u32;
  count: u32;
  shift: u32;
}
if (offsetof<HashTable>() != HASH_TABLE_SIZE) ERROR("HashTable: size moved");

/** Makes an empty table of `capacityPow2` entries (a power of two, at least 2) at `base`; the region must be zero. */
export function hashInit(table: HashTable, base: usize, capacityPow2: u32): void {
  check(capacityPow2 >= 2 && popcnt(capacityPow2) == 1 && (base & 7) == 0);
  table.base = base;
  table.mask = capacityPow2 - 1;
  table.count = 0;
  table.shift = clz(table.mask);
}

@inline function entryAt(table: HashTable, position: u32): usize {
  return table.base + <usize>position * HASH_ENTRY_SIZE;
}

@inline function homeOf(table: HashTable, hash: u32): u32 {
  return (hash * GOLDEN) >> table.shift;
}

/** Adds an entry; false if the table is full. `value` is not 0; the same pair must not be added twice. */
export function hashInsert(table: HashTable, hash: u32, value: u32): bool {
  check(value != 0);
  const mask = table.mask;
  if (table.count == mask) return false;
  let position = homeOf(table, hash);
  while (load<u32>(entryAt(table, position), VALUE) != 0) position = (position + 1) & mask;
  const entry = entryAt(table, position);
  store<u32>(entry, hash);
  store<u32>(entry, value, VALUE);
  table.count += 1;
  return true;
}

/** Position of the first entry with `hash` at or behind `position`, plus 1; 0 = none. */
function scan(table: HashTable, hash: u32, position: u32): u32 {
  const mask = table.mask;
  while (true) {
    const entry = entryAt(table, position);
    if (load<u32>(entry, VALUE) == 0) return 0;
    if (load<u32>(entry) == hash) return position + 1;
    position = (position + 1) & mask;
  }
}

/** First slot with this hash; 0 = none. A slot is valid until the table changes. */
export function hashFirst(table: HashTable, hash: u32): u32 {
  return scan(table, hash, homeOf(table, hash));
}

/** The slot with this hash that follows `slot`; 0 = none. */
export function hashNext(table: HashTable, hash: u32, slot: u32): u32 {
  return scan(table, hash, slot & table.mask); // slot is position + 1 already
}

/** The value in a slot that hashFirst or hashNext gave. */
@inline export function hashValue(table: HashTable, slot: u32): u32 {
  check(slot - 1 <= table.mask);
  return load<u32>(entryAt(table, slot - 1), VALUE);
}

/** Removes the entry; false if there is none. */
export function hashRemove(table: HashTable, hash: u32, value: u32): bool {
  const mask = table.mask;
  let slot = hashFirst(table, hash);
  while (slot != 0 && hashValue(table, slot) != value) slot = hashNext(table, hash, slot);
  if (slot == 0) return false;
  let hole = slot - 1;
  let position = hole;
  while (true) {
    position = (position + 1) & mask;
    const entry = entryAt(table, position);
    const moved = load<u64>(entry);
    if (moved >> 32 == 0) break;
    // An entry may fill the hole if its home does not lie behind the hole, seen from the entry.
    const home = homeOf(table, <u32>moved);
    if (((position - home) & mask) >= ((position - hole) & mask)) {
      store<u64>(entryAt(table, hole), moved);
      hole = position;
    }
  }
  store<u64>(entryAt(table, hole), 0);
  table.count -= 1;
  return true;
}
