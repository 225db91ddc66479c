// Octets in network byte order. The only place where the engine swaps bytes: WebAssembly is
// little-endian, headers are big-endian. Addresses may be unaligned, TCP options usually are.

/** The 16-bit field at `ptr`. */
@inline export function loadU16BE(ptr: usize): u32 {
  return (<u32>load<u8>(ptr) << 8) | <u32>load<u8>(ptr, 1);
}

/** The 32-bit field at `ptr`. */
@inline export function loadU32BE(ptr: usize): u32 {
  return bswap<u32>(load<u32>(ptr));
}

/** The 64-bit field at `ptr`. */
@inline export function loadU64BE(ptr: usize): u64 {
  return bswap<u64>(load<u64>(ptr));
}

/** Writes the low 16 bits of `value` to `ptr`. */
@inline export function storeU16BE(ptr: usize, value: u32): void {
  store<u16>(ptr, <u16>(((value & 0xff) << 8) | ((value >> 8) & 0xff)));
}

/** Writes `value` to `ptr`, 4 octets. */
@inline export function storeU32BE(ptr: usize, value: u32): void {
  store<u32>(ptr, bswap<u32>(value));
}

/** Writes `value` to `ptr`, 8 octets. */
@inline export function storeU64BE(ptr: usize, value: u64): void {
  store<u64>(ptr, bswap<u64>(value));
}

/** Copies `length` octets; the two ranges may overlap. */
@inline export function copy(dst: usize, src: usize, length: usize): void {
  memory.copy(dst, src, length);
}

/** Sets `length` octets to `octet`. */
@inline export function fill(dst: usize, octet: u8, length: usize): void {
  memory.fill(dst, octet, length);
}
