// Addresses are 16 octets in network order everywhere in the engine; IPv4 is ::ffff:a.b.c.d.

/** True if the address is an IPv4 one. */
@inline export function addressIsMapped(address: usize): bool {
  return load<u64>(address) == 0 && load<u32>(address, 8) == 0xffff0000;
}

/** 4 or 6. */
@inline export function addressFamily(address: usize): u32 {
  return addressIsMapped(address) ? 4 : 6;
}

/** True if two addresses are of one family. */
@inline export function sameFamily(a: usize, b: usize): bool {
  return addressIsMapped(a) == addressIsMapped(b);
}

/** True if two addresses are the same. */
@inline export function addressEqual(a: usize, b: usize): bool {
  return load<u64>(a) == load<u64>(b) && load<u64>(a, 8) == load<u64>(b, 8);
}
