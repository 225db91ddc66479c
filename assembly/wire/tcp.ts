// The TCP header as bytes (RFC 9293 §3.1): one check at the door, then accessors that check nothing.
//
//   byte  size  field
//      0     2  source port
//      2     2  destination port
//      4     4  sequence number
//      8     4  acknowledgment number
//     12     1  header length/4 in the high nibble, reserved bits
//     13     1  flags
//     14     2  window, unscaled
//     16     2  checksum
//     18     2  urgent pointer
//     20     …  options, up to 40 octets
//
// What tcpCheck() buys: the 20 octets and all options lie within the packet.
//
// All numbers are in host order; ports, too.

import { DropReason } from "../abi";
import { loadU16BE, loadU32BE, storeU16BE, storeU32BE } from "../memory/bytes";

@inline export const TCP_HEADER_MIN: u32 = 20;
/** Octets of options at most: the data offset is 4 bits. */
@inline export const TCP_OPTIONS_MAX: u32 = 40;

@inline export const TCP_FIN: u32 = 1;
@inline export const TCP_SYN: u32 = 2;
@inline export const TCP_RST: u32 = 4;
@inline export const TCP_PSH: u32 = 8;
@inline export const TCP_ACK: u32 = 16;
@inline export const TCP_URG: u32 = 32;
@inline export const TCP_ECE: u32 = 64;
@inline export const TCP_CWR: u32 = 128;

/** 0, or TCP_MALFORMED. `length`: octets from the first of the TCP header to the packet's end. */
export function tcpCheck(tcp: usize, length: u32): u32 {
  if (length < TCP_HEADER_MIN) return DropReason.TCP_MALFORMED;
  const headerLength = tcpHeaderLength(tcp);
  if (headerLength < TCP_HEADER_MIN || headerLength > length) return DropReason.TCP_MALFORMED;
  return DropReason.NONE;
}

@inline export function tcpSourcePort(tcp: usize): u32 {
  return loadU16BE(tcp);
}

@inline export function tcpDestinationPort(tcp: usize): u32 {
  return loadU16BE(tcp + 2);
}

@inline export function tcpSequence(tcp: usize): u32 {
  return loadU32BE(tcp + 4);
}

@inline export function tcpAcknowledgment(tcp: usize): u32 {
  return loadU32BE(tcp + 8);
}

/** Octets of the header with its options. */
@inline export function tcpHeaderLength(tcp: usize): u32 {
  return (<u32>load<u8>(tcp, 12) >> 4) << 2;
}

/** TCP_FIN … TCP_CWR; the AE bit of AccECN in octet 12 is not among them. */
@inline export function tcpFlags(tcp: usize): u32 {
  return <u32>load<u8>(tcp, 13);
}

/** The 16 bits as they are, before window scaling. */
@inline export function tcpWindow(tcp: usize): u32 {
  return loadU16BE(tcp + 14);
}

/** Writes the 20 octets before the options; reserved bits, checksum and urgent pointer are 0. */
export function tcpBuild(
  tcp: usize, sourcePort: u32, destinationPort: u32, sequence: u32, acknowledgment: u32,
  headerLength: u32, flags: u32, window: u32,
): void {
  storeU16BE(tcp, sourcePort);
  storeU16BE(tcp + 2, destinationPort);
  storeU32BE(tcp + 4, sequence);
  storeU32BE(tcp + 8, acknowledgment);
  store<u8>(tcp, <u8>(headerLength << 2), 12);
  store<u8>(tcp, <u8>flags, 13);
  storeU16BE(tcp + 14, window);
  store<u32>(tcp, 0, 16);
}
