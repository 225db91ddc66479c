// Internet checksums (RFC 1071) over linear memory.
//
// A *sum* is a u64: the plain sum of 16-bit words in memory order, not yet folded. Memory is little
// endian, the network is big endian, and the ones-complement sum does not care: folded, a sum has its
// octets in memory order, so that `store<u16>(field, ~fold(sum))` writes the network's checksum
// without a swap (RFC 1071 §2 (B)). A sum over 64 KiB is below 2^47, so that 2^17 of them can be added.
//
// Partial sums may be added if each starts at an even offset of the whole: TCP headers are multiples
// of 4, so header and payload can be summed apart.
//
// Two numbers, 0x0000 and 0xffff, mean zero. fold() gives 0 for the sum 0 only, and no TCP packet has
// that (its pseudo-header holds a 6), so the field never becomes 0xffff, however the sum was put together.

import { Fault, faulty } from "../faults";
import { loadU16BE, storeU16BE } from "../memory/bytes";

@inline const PROTOCOL_TCP: u32 = 6; // not from ip.ts, which needs this file
@inline const CHECKSUM: usize = 16; // offset of the field in the TCP header
@inline const LOW: u64 = 0xffffffff;

/** Sum of `length` octets from any address; an odd last octet is padded with zero. */
export function sumOctets(ptr: usize, length: u32): u64 {
  // u64 loads, their 32-bit halves added up apart: no carry can get lost, and a stride of 32 octets
  // keeps the loop's own cost small. bench/checksum.ts compares.
  let low: u64 = 0;
  let high: u64 = 0;
  const strideEnd = ptr + <usize>(length & ~31);
  while (ptr < strideEnd) {
    const a = load<u64>(ptr);
    const b = load<u64>(ptr, 8);
    const c = load<u64>(ptr, 16);
    const d = load<u64>(ptr, 24);
    low += (a & LOW) + (b & LOW) + (c & LOW) + (d & LOW);
    high += (a >> 32) + (b >> 32) + (c >> 32) + (d >> 32);
    ptr += 32;
  }
  if (length & 16) {
    const a = load<u64>(ptr);
    const b = load<u64>(ptr, 8);
    low += (a & LOW) + (b & LOW);
    high += (a >> 32) + (b >> 32);
    ptr += 16;
  }
  if (length & 8) {
    const a = load<u64>(ptr);
    low += a & LOW;
    high += a >> 32;
    ptr += 8;
  }
  if (length & 4) {
    low += <u64>load<u32>(ptr);
    ptr += 4;
  }
  if (length & 2) {
    low += <u64>load<u16>(ptr);
    ptr += 2;
  }
  if (faulty(Fault.CHECKSUM)) return low + high;
  if (length & 1) low += <u64>load<u8>(ptr); // in memory order the zero comes behind it
  return low + high;
}

/** Ones-complement sum in 16 bits, octets in memory order; its complement is what a checksum field holds. */
export function fold(sum: u64): u32 {
  sum = (sum & LOW) + (sum >> 32); // < 2^33
  sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32); // <= 0x1ffff
  sum = (sum & 0xffff) + (sum >> 16); // <= 0x10000
  return <u32>((sum & 0xffff) + (sum >> 16));
}

/** Sum of the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1); `tcpLength`: TCP header and payload, octets. */
function pseudoHeaderSum(packet: usize, tcpLength: u32): u64 {
  const addresses = <u32>load<u8>(packet) >> 4 == 6 ? sumOctets(packet + 8, 32) : sumOctets(packet + 12, 8);
  return addresses + <u64>(PROTOCOL_TCP << 8) + <u64>swap16(tcpLength);
}

/** Fills in the TCP checksum from all octets. */
export function tcpChecksumFill(packet: usize, tcp: usize, tcpLength: u32): void {
  store<u16>(tcp, 0, CHECKSUM);
  store<u16>(tcp, <u16>~fold(pseudoHeaderSum(packet, tcpLength) + sumOctets(tcp, tcpLength)), CHECKSUM);
}

/** Fills in the TCP checksum where the payload's sum is known already. */
export function tcpChecksumFillWithPayloadSum(
  packet: usize, tcp: usize, headerLength: u32, payloadLength: u32, payloadSum: u64,
): void {
  const sum = headerSum(packet, tcp, headerLength, headerLength + payloadLength);
  store<u16>(tcp, <u16>~fold(sum + payloadSum), CHECKSUM);
}

/** Sum of pseudo-header and TCP header, the checksum field taken as zero. */
export function headerSum(packet: usize, tcp: usize, tcpHeaderLength: u32, tcpLength: u32): u64 {
  // The field is an even word of the header: what it added is taken away exactly.
  return pseudoHeaderSum(packet, tcpLength) + sumOctets(tcp, tcpHeaderLength) - <u64>load<u16>(tcp, CHECKSUM);
}

/**
 * Makes a right TCP checksum surely wrong: flipping the lowest bit moves the sum by one, which is never
 * a multiple of 0xffff. (Flipping all bits of 0x0000 would not do.) The field must be right before.
 */
export function checksumCorrupt(tcp: usize): void {
  storeU16BE(tcp + CHECKSUM, loadU16BE(tcp + CHECKSUM) ^ 1);
}

/** Sum of a mapping's pseudo-header (RFC 8684 §3.3.1); `length`, octets, counts the DATA_FIN. */
export function mappingSum(dsn: u64, ssnRel: u32, length: u32): u64 {
  const number = bswap<u64>(dsn);
  return (number & LOW) + (number >> 32) + <u64>bswap<u32>(ssnRel) + <u64>swap16(length);
}

/** A mapping's checksum, as a number; `payloadSum`: of all the payload that it maps. */
export function mappingChecksum(dsn: u64, ssnRel: u32, length: u32, payloadSum: u64): u32 {
  if (faulty(Fault.DSS_CHECKSUM)) payloadSum += 1;
  return swap16(~fold(mappingSum(dsn, ssnRel, length) + payloadSum) & 0xffff);
}

/** A sum in 16 bits that began at an odd offset, as if it had begun at an even one; and a number as a sum. */
@inline export function swap16(value: u32): u32 {
  return ((value & 0xff) << 8) | ((value >> 8) & 0xff);
}
