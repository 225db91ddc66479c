// ICMP errors about TCP segments (RFC 792, RFC 4443 §3): those that routers send, taken apart, and those that we make
// for our own host, a router's answer to a segment that the host has sent. A TCP host looks at the addresses, the ports
// and the SEQ of the quoted segment (RFC 5927 §4), so what we make quotes an IP and a TCP header without options.
//
//   IPv4   20 IP · type 3 · code · checksum · 2 unused · 2 next-hop MTU · 20 quoted IP · 20 quoted TCP
//   IPv6   40 IP · type · code · checksum · 4 MTU or unused · 40 quoted IP · 20 quoted TCP
//
// Routers quote at least 8 octets behind the IP header, as many as hold ports and SEQ.

import { loadU16BE, loadU32BE, storeU16BE, storeU32BE } from "../memory/bytes";
import { fold, sumOctets } from "./checksum";
import {
  IP_PROTOCOL_ICMP, IP_PROTOCOL_ICMP6, IP_PROTOCOL_TCP, ipBuild, ipCopyDestination, ipCopySource, ipHeaderLength,
  ipProtocol, ipTotalLength, ipVersion,
} from "./ip";
import { TCP_ACK, tcpBuild, tcpDestinationPort, tcpSequence, tcpSourcePort } from "./tcp";

/** What a router says. */
export const enum IcmpError {
  TOO_BIG, // fragmentation needed (3/4), packet too big (2/0); its detail is the MTU, octets
  UNREACHABLE, // destination unreachable (3/…, 1/…); its detail is the code
}

/** Octets of an ICMP error of ours with IPv6, the longest. */
@inline export const ICMP_ERROR_MAX: u32 = 108;
@inline const ICMP_HEADER: u32 = 8;
@inline const TCP_HEADER: u32 = 20;
/** Octets of the TCP header that every router quotes. */
@inline const QUOTED_MIN: u32 = 8;
@inline const IP4_OFFSET_MASK: u32 = 0x1fff;
@inline const TYPE4_UNREACHABLE: u32 = 3;
@inline const CODE4_TOO_BIG: u32 = 4;
@inline const TYPE6_UNREACHABLE: u32 = 1;
@inline const TYPE6_TOO_BIG: u32 = 2;

/** An ICMP error as it came. */
@final @unmanaged
export class IcmpQuote {
  error: u32; // IcmpError
  detail: u32;
  segSeq: u32; // of the quoted segment
  length: u32; // octets of the quoted packet, by its own header
  sourcePort: u32;
  destinationPort: u32;
  version: u32; // 4 or 6, of both packets
  zero: u32;
}
if (offsetof<IcmpQuote>() != 32) ERROR("IcmpQuote runs into its addresses");

/** The IcmpQuote at `at`, 80 octets. */
@inline export function icmpQuoteAt(at: usize): IcmpQuote {
  return changetype<IcmpQuote>(at);
}

/** Source of the quoted segment, 16 octets. */
@inline export function quotedSource(quote: IcmpQuote): usize {
  return changetype<usize>(quote) + 32;
}

/** Destination of the quoted segment, 16 octets. */
@inline export function quotedDestination(quote: IcmpQuote): usize {
  return changetype<usize>(quote) + 48;
}

/** Who sent the error, 16 octets. */
@inline export function quotedBy(quote: IcmpQuote): usize {
  return changetype<usize>(quote) + 64;
}

/**
 * Reads the packet at `packet`, of which ipCheck() said that it is ICMP. False unless it is an error that quotes enough
 * of a TCP segment, and its checksum is right.
 */
export function icmpErrorParse(packet: usize, quote: IcmpQuote): bool {
  const ipLength = ipHeaderLength(packet);
  const octets = ipTotalLength(packet) - ipLength;
  if (octets < ICMP_HEADER) return false;
  const icmp = packet + ipLength;
  quote.version = ipVersion(packet);
  if (!readKind(icmp, quote) || !readSegment(icmp + ICMP_HEADER, octets - ICMP_HEADER, quote)) return false;
  ipCopySource(packet, quotedBy(quote));
  return fold(icmpSum(packet, icmp, octets, quote.version)) == 0xffff;
}

function readKind(icmp: usize, quote: IcmpQuote): bool {
  const type = <u32>load<u8>(icmp);
  const code = <u32>load<u8>(icmp, 1);
  const four = quote.version == 4;
  const tooBig = four ? type == TYPE4_UNREACHABLE && code == CODE4_TOO_BIG : type == TYPE6_TOO_BIG;
  quote.error = tooBig ? IcmpError.TOO_BIG : IcmpError.UNREACHABLE;
  quote.detail = !tooBig ? code : four ? loadU16BE(icmp + 6) : loadU32BE(icmp + 4);
  return tooBig || (four ? type == TYPE4_UNREACHABLE : type == TYPE6_UNREACHABLE);
}

/** Reads the quoted packet, of which `octets` are there. */
function readSegment(quoted: usize, octets: u32, quote: IcmpQuote): bool {
  const four = quote.version == 4;
  const least: u32 = four ? 20 : 40;
  if (octets < least || ipVersion(quoted) != quote.version) return false;
  const ipLength = ipHeaderLength(quoted);
  if (ipLength < 20 || octets < ipLength + QUOTED_MIN || ipProtocol(quoted) != IP_PROTOCOL_TCP) return false;
  if (four && (loadU16BE(quoted + 6) & IP4_OFFSET_MASK) != 0) return false; // its ports are in another fragment
  const tcp = quoted + ipLength;
  quote.length = ipTotalLength(quoted);
  quote.segSeq = tcpSequence(tcp);
  quote.sourcePort = tcpSourcePort(tcp);
  quote.destinationPort = tcpDestinationPort(tcp);
  ipCopySource(quoted, quotedSource(quote));
  ipCopyDestination(quoted, quotedDestination(quote));
  return true;
}

/** Sum of the message and, with IPv6, of its pseudo-header (RFC 8200 §8.1). */
function icmpSum(packet: usize, icmp: usize, octets: u32, version: u32): u64 {
  const message = sumOctets(icmp, octets);
  if (version == 4) return message;
  // Length and next header as words in memory order.
  const length = (octets & 0xff) << 8 | octets >> 8;
  return message + sumOctets(packet + 8, 32) + <u64>length + <u64>(IP_PROTOCOL_ICMP6 << 8);
}

/** Octets of what icmpErrorBuild() writes. */
@inline export function icmpErrorLength(version: u32): u32 {
  return 2 * (version == 4 ? 20 : 40) + ICMP_HEADER + TCP_HEADER;
}

/**
 * Writes an error at `packet`, as from `router` to `local` (16 octets each, one family): an answer to the segment of
 * `quotedLength` octets with SEQ `sequence` that `local`:`localPort` sent to `remote`:`remotePort`. Returns the
 * packet's octets.
 */
export function icmpErrorBuild(
  packet: usize, error: IcmpError, detail: u32, router: usize, remote: usize, local: usize, remotePort: u32,
  localPort: u32, sequence: u32, quotedLength: u32, version: u32,
): u32 {
  const four = version == 4;
  const ipLength: u32 = four ? 20 : 40;
  const total = icmpErrorLength(version);
  ipBuild(packet, version, router, local, total, 0, four ? IP_PROTOCOL_ICMP : IP_PROTOCOL_ICMP6);
  const icmp = packet + ipLength;
  const quoted = icmp + ICMP_HEADER;
  ipBuild(quoted, version, local, remote, quotedLength, 0, IP_PROTOCOL_TCP);
  tcpBuild(quoted + ipLength, localPort, remotePort, sequence, 0, TCP_HEADER, TCP_ACK, 0);
  store<u64>(icmp, 0);
  const tooBig = error == IcmpError.TOO_BIG;
  if (four) {
    store<u8>(icmp, <u8>TYPE4_UNREACHABLE);
    store<u8>(icmp, <u8>(tooBig ? CODE4_TOO_BIG : detail), 1);
    if (tooBig) storeU16BE(icmp + 6, detail);
  } else {
    store<u8>(icmp, <u8>(tooBig ? TYPE6_TOO_BIG : TYPE6_UNREACHABLE));
    if (tooBig) storeU32BE(icmp + 4, detail);
    else store<u8>(icmp, <u8>detail, 1);
  }
  store<u16>(icmp, <u16>~fold(icmpSum(packet, icmp, total - ipLength, version)), 2);
  return total;
}
