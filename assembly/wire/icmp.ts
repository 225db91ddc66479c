// ICMP errors that we make ourselves, for our own host: a router's answer to a segment that the host has sent
// (RFC 792, RFC 4443 §3). The quoted segment is an IP header and a TCP header without options; a TCP host
// looks at its addresses, its ports and its SEQ (RFC 5927 §4).
//
//   IPv4   20 IP · type 3 · code · checksum · 2 unused · 2 next-hop MTU · 20 quoted IP · 20 quoted TCP
//   IPv6   40 IP · type · code · checksum · 4 MTU or unused · 40 quoted IP · 20 quoted TCP

import { storeU16BE, storeU32BE } from "../memory/bytes";
import { fold, sumOctets } from "./checksum";
import { IP_PROTOCOL_ICMP, IP_PROTOCOL_ICMP6, IP_PROTOCOL_TCP, ipBuild } from "./ip";
import { TCP_ACK, tcpBuild } from "./tcp";

/** What the made-up router says. */
export const enum IcmpError {
  TOO_BIG, // fragmentation needed (3/4), packet too big (2/0); carries an MTU
  UNREACHABLE, // host unreachable (3/1), no route to destination (1/0)
}

/** Octets of an ICMP error with IPv6, the longest. */
@inline export const ICMP_ERROR_MAX: u32 = 108;
@inline const ICMP_HEADER: u32 = 8;
@inline const TCP_HEADER: u32 = 20;

/**
 * Writes `error` at `packet`, as from `remote` to `local` (16 octets each, one family): an answer to the segment
 * of `quotedLength` octets with SEQ `sequence` that `local`:`localPort` sent to `remote`:`remotePort`. `mtu` in
 * octets. Returns the packet's octets.
 */
export function icmpErrorBuild(
  packet: usize, error: IcmpError, mtu: u32, remote: usize, local: usize, remotePort: u32, localPort: u32,
  sequence: u32, quotedLength: u32, version: u32,
): u32 {
  const ipLength: u32 = version == 4 ? 20 : 40;
  const total = 2 * ipLength + ICMP_HEADER + TCP_HEADER;
  const protocol = version == 4 ? IP_PROTOCOL_ICMP : IP_PROTOCOL_ICMP6;
  ipBuild(packet, version, remote, local, total, 0, protocol);
  const icmp = packet + ipLength;
  const quoted = icmp + ICMP_HEADER;
  ipBuild(quoted, version, local, remote, quotedLength, 0, IP_PROTOCOL_TCP);
  tcpBuild(quoted + ipLength, localPort, remotePort, sequence, 0, TCP_HEADER, TCP_ACK, 0);
  store<u64>(icmp, 0);
  const tooBig = error == IcmpError.TOO_BIG;
  if (version == 4) {
    store<u8>(icmp, 3);
    store<u8>(icmp, tooBig ? 4 : 1, 1);
    if (tooBig) storeU16BE(icmp + 6, mtu);
    store<u16>(icmp, <u16>~fold(sumOctets(icmp, total - ipLength)), 2);
    return total;
  }
  store<u8>(icmp, tooBig ? 2 : 1);
  if (tooBig) storeU32BE(icmp + 4, mtu);
  // Pseudo-header (RFC 8200 §8.1): addresses, length, next header; the last two as words in memory order.
  const octets = total - ipLength;
  const pseudo = sumOctets(packet + 8, 32) + <u64>(octets << 8 | octets >> 8) + <u64>(IP_PROTOCOL_ICMP6 << 8);
  store<u16>(icmp, <u16>~fold(pseudo + sumOctets(icmp, octets)), 2);
  return total;
}
