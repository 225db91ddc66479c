// IPv4 and IPv6 headers as bytes: one check at the door, then accessors that check nothing.
//
//   IPv4 (RFC 791 §3.1)                      IPv6 (RFC 8200 §3)
//   byte  size  field                        byte  size  field
//      0     1  version 4, header length/4      0     4  version 6, traffic class, flow label
//      1     1  DSCP, ECN                       4     2  payload length
//      2     2  total length                    6     1  next header
//      4     2  identification                  7     1  hop limit
//      6     2  flags, fragment offset/8        8    16  source
//      8     1  TTL                            24    16  destination
//      9     1  protocol
//     10     2  header checksum
//     12     4  source
//     16     4  destination
//
// What ipCheck() buys: with IpKind.TCP the whole header and ipTotalLength() octets of the packet are
// there, the packet is no fragment, and TCP starts at ipHeaderLength(). A setter of the version, the
// header length or the total length ends that promise.
//
// Setters leave the IPv4 header checksum alone: several are called for one packet, and
// ipSetHeaderChecksum() once behind the last.

import { DropReason } from "../abi";
import { loadU16BE, storeU16BE } from "../memory/bytes";
import { fold, sumOctets } from "./checksum";

@inline const IP4_HEADER_MIN: u32 = 20;
@inline const IP6_HEADER: u32 = 40;
/** Protocol numbers (IPv4) and next headers (IPv6). */
@inline export const IP_PROTOCOL_TCP: u32 = 6;
@inline export const IP_PROTOCOL_ICMP: u32 = 1;
@inline export const IP_PROTOCOL_ICMP6: u32 = 58;
/** TTL or hop limit of the packets that we make. */
@inline const IP_TTL: u32 = 64;
@inline const IP4_DF: u32 = 0x4000;
/** MF and the fragment offset: any of them means a fragment. */
@inline const IP4_FRAGMENT_MASK: u32 = 0x3fff;
/** Octets 8…11 of ::ffff:a.b.c.d as a little-endian load sees them. */
@inline const MAPPED_MARK: u32 = 0xffff0000;

/** What ipCheck() found, where it is not a DropReason; numbers behind the last possible DropReason. */
export const enum IpKind {
  TCP = 0,
  NOT_TCP = 256, // another protocol, or IPv6 with extension headers: none of our business
  ICMP = 257, // ICMP, ICMPv6
}

/**
 * IpKind, or why the `length` octets at `packet` must be dropped (IP_MALFORMED, FRAGMENT).
 * Octets behind the total length are allowed (Ethernet padding): the caller goes by ipTotalLength().
 */
export function ipCheck(packet: usize, length: u32): u32 {
  if (length < IP4_HEADER_MIN) return DropReason.IP_MALFORMED;
  const version = ipVersion(packet);
  if (version == 4) return ip4Check(packet, length);
  if (version == 6) return ip6Check(packet, length);
  return DropReason.IP_MALFORMED;
}

function ip4Check(packet: usize, length: u32): u32 {
  const headerLength = ipHeaderLength(packet);
  const totalLength = ipTotalLength(packet);
  if (headerLength < IP4_HEADER_MIN || headerLength > totalLength || totalLength > length) {
    return DropReason.IP_MALFORMED; // BIG TCP states a total length of 0 and ends here, too
  }
  const fragment = (loadU16BE(packet + 6) & IP4_FRAGMENT_MASK) != 0;
  const protocol = ipProtocol(packet);
  if (protocol == IP_PROTOCOL_TCP) return fragment ? DropReason.FRAGMENT : IpKind.TCP;
  // A fragment of an ICMP message cannot be judged; like other protocols it goes its way.
  return protocol == IP_PROTOCOL_ICMP && !fragment ? IpKind.ICMP : IpKind.NOT_TCP;
}

function ip6Check(packet: usize, length: u32): u32 {
  if (length < IP6_HEADER) return DropReason.IP_MALFORMED;
  // RFC 2675: payload length 0 is a jumbogram, which is also how BIG TCP looks.
  if (loadU16BE(packet + 4) == 0 || ipTotalLength(packet) > length) return DropReason.IP_MALFORMED;
  const protocol = ipProtocol(packet);
  if (protocol == IP_PROTOCOL_TCP) return IpKind.TCP;
  return protocol == IP_PROTOCOL_ICMP6 ? IpKind.ICMP : IpKind.NOT_TCP;
}

/** 4 or 6 (anything up to 15 before ipCheck()). */
@inline export function ipVersion(packet: usize): u32 {
  return <u32>load<u8>(packet) >> 4;
}

/** Octets before the TCP header. */
export function ipHeaderLength(packet: usize): u32 {
  if (ipVersion(packet) == 6) return IP6_HEADER;
  return (<u32>load<u8>(packet) & 15) << 2;
}

/** Octets of the packet with its IP header. */
export function ipTotalLength(packet: usize): u32 {
  if (ipVersion(packet) == 6) return loadU16BE(packet + 4) + IP6_HEADER;
  return loadU16BE(packet + 2);
}

/** Protocol (IPv4) or next header (IPv6). */
export function ipProtocol(packet: usize): u32 {
  return ipVersion(packet) == 6 ? <u32>load<u8>(packet, 6) : <u32>load<u8>(packet, 9);
}

/** Writes the source as 16 octets to `out`, IPv4 as ::ffff:a.b.c.d. */
export function ipCopySource(packet: usize, out: usize): void {
  if (ipVersion(packet) == 6) copyAddress(out, packet + 8);
  else writeMapped(out, load<u32>(packet, 12));
}

/** Writes the destination as 16 octets to `out`, IPv4 as ::ffff:a.b.c.d. */
export function ipCopyDestination(packet: usize, out: usize): void {
  if (ipVersion(packet) == 6) copyAddress(out, packet + 24);
  else writeMapped(out, load<u32>(packet, 16));
}

/** Sets the source; `mapped` must be of the packet's family (::ffff:a.b.c.d in an IPv4 packet). */
export function ipSetSource(packet: usize, mapped: usize): void {
  if (ipVersion(packet) == 6) copyAddress(packet + 8, mapped);
  else store<u32>(packet, load<u32>(mapped, 12), 12);
}

/** Sets the destination; `mapped` must be of the packet's family. */
export function ipSetDestination(packet: usize, mapped: usize): void {
  if (ipVersion(packet) == 6) copyAddress(packet + 24, mapped);
  else store<u32>(packet, load<u32>(mapped, 12), 16);
}

/** Sets the total length in octets, ≤ 65,535; IPv6 stores it less its header. */
export function ipSetTotalLength(packet: usize, total: u32): void {
  if (ipVersion(packet) == 6) storeU16BE(packet + 4, total - IP6_HEADER);
  else storeU16BE(packet + 2, total);
}

/** Makes the IPv4 header checksum right; nothing to do with IPv6. */
export function ipSetHeaderChecksum(packet: usize): void {
  if (ipVersion(packet) == 6) return;
  store<u16>(packet, 0, 10);
  store<u16>(packet, <u16>~fold(sumOctets(packet, ipHeaderLength(packet))), 10);
}

/** True if the 16 octets are ::ffff:a.b.c.d. */
@inline export function ipIsMapped(address16: usize): bool {
  return load<u64>(address16) == 0 && load<u32>(address16, 8) == MAPPED_MARK;
}

/**
 * Writes the IP header of a packet that we make ourselves, checksum included: DF, no options, no
 * ECN, flow label 0. The addresses must be of the family of `version`. Returns its octets (20 or 40).
 */
export function ipBuild(
  packet: usize, version: u32, source16: usize, destination16: usize, totalLength: u32, identification: u32,
  protocol: u32,
): u32 {
  if (version == 6) {
    store<u32>(packet, 0x60); // octet 0 = version 6, traffic class and flow label 0
    storeU16BE(packet + 4, totalLength - IP6_HEADER);
    store<u8>(packet, <u8>protocol, 6);
    store<u8>(packet, <u8>IP_TTL, 7);
    copyAddress(packet + 8, source16);
    copyAddress(packet + 24, destination16);
    return IP6_HEADER;
  }
  store<u16>(packet, 0x45); // octet 0 = version 4, 5 words; octet 1 = DSCP 0, Not-ECT
  storeU16BE(packet + 2, totalLength);
  storeU16BE(packet + 4, identification);
  storeU16BE(packet + 6, IP4_DF);
  store<u8>(packet, <u8>IP_TTL, 8);
  store<u8>(packet, <u8>protocol, 9);
  store<u32>(packet, load<u32>(source16, 12), 12);
  store<u32>(packet, load<u32>(destination16, 12), 16);
  ipSetHeaderChecksum(packet);
  return IP4_HEADER_MIN;
}

/** Writes ::ffff:a.b.c.d from the IPv4 address in memory order. */
@inline function writeMapped(out: usize, address: u32): void {
  store<u64>(out, 0);
  store<u32>(out, MAPPED_MARK, 8);
  store<u32>(out, address, 12);
}

/** 16 octets as two loads: cheaper than the general copy. */
@inline function copyAddress(to: usize, from: usize): void {
  const high = load<u64>(from);
  const low = load<u64>(from, 8);
  store<u64>(to, high);
  store<u64>(to, low, 8);
}
