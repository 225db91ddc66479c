// MPTCP v1 options (RFC 8684 §3) as bytes: the parser. mptcp-options-write.ts has the writers.
//
// All begin with kind 30, length, and a nibble that names the subtype. Lengths are taken as strictly as
// Linux takes them (net/mptcp/options.c): what has another length, version or cryptographic algorithm
// is ignored as if it were not there.
//
//   subtype         octets, and what lies behind octet 2 (b = low bit of octet 2)
//   0 MP_CAPABLE    SYN 4: flags | SYN/ACK 12: flags, key 8 | ACK 20: flags, keys 8 + 8 |
//                   with data 22 or 24: flags, keys 8 + 8, length 2 [, checksum 2]
//   1 MP_JOIN       SYN 12: b backup, id, token 4, nonce 4 | SYN/ACK 16: b, id, HMAC 8, nonce 4 |
//                   ACK 24: 0, HMAC 20
//   2 DSS           flags [, DATA_ACK 4/8] [, DSN 4/8, SSN 4, length 2 [, checksum 2]]
//   3 ADD_ADDR      b echo, id, address 4/16 [, port 2] [, HMAC 8 unless echo]
//   4 REMOVE_ADDR   1…8 ids
//   5 MP_PRIO       3: b backup, nothing behind
//   6 MP_FAIL       12: 0, DSN 8
//   7 MP_FASTCLOSE  12: 0, key 8
//   8 MP_TCPRST     4, with RST only: b transient, reason

import { loadU16BE, loadU32BE, loadU64BE } from "../memory/bytes";
import { TCP_ACK, tcpFlags, TCP_HEADER_MIN, TCP_RST, TCP_SYN } from "./tcp";
import { optionLength, TCP_OPTION_MPTCP } from "./tcp-options";

export {
  writeAddAddr, writeCapableAck, writeCapableData, writeCapableSyn, writeCapableSynAck, writeChecksum, writeDss,
  writeFail, writeFastclose, writeJoinAck, writeJoinSyn, writeJoinSynAck, writePrio, writeRemoveAddr, writeTcpRst,
} from "./mptcp-options-write";

@inline export const MP_CAPABLE: u32 = 0;
@inline export const MP_JOIN: u32 = 1;
@inline export const DSS: u32 = 2;
@inline export const ADD_ADDR: u32 = 3;
@inline export const REMOVE_ADDR: u32 = 4;
@inline export const MP_PRIO: u32 = 5;
@inline export const MP_FAIL: u32 = 6;
@inline export const MP_FASTCLOSE: u32 = 7;
@inline export const MP_TCPRST: u32 = 8;

/** Flags of MP_CAPABLE (RFC 8684 §3.1). */
@inline export const CAPABLE_CHECKSUM: u32 = 0x80; // A
@inline export const CAPABLE_EXTENSIBILITY: u32 = 0x40; // B: must be 0, else the option is ignored
@inline export const CAPABLE_NO_JOIN: u32 = 0x20; // C: no subflows to this address and port
@inline export const CAPABLE_HMAC_SHA256: u32 = 0x01; // H
@inline const CAPABLE_ALGORITHM_MASK: u32 = 0x1f; // D…H; D…G are unassigned
@inline const MPTCP_VERSION: u32 = 1;

/** Flags of DSS (RFC 8684 §3.3). */
@inline export const DSS_DATA_FIN: u32 = 0x10; // F
@inline export const DSS_DSN8: u32 = 0x08; // m
@inline export const DSS_MAP: u32 = 0x04; // M
@inline export const DSS_DAN8: u32 = 0x02; // a
@inline export const DSS_DAN: u32 = 0x01; // A
@inline const DSS_FLAG_MASK: u32 = 0x1f;

/** Ids in one REMOVE_ADDR that Linux takes at most. */
@inline export const REMOVE_IDS_MAX: u32 = 8;

// The MPTCP options of one header, in the caller's memory. 64-bit keys are the big-endian octets read as
// a number. mptcpParse() clears the fields marked *; all others hold something only if their option's
// bit in `present` is set.
//
//   byte  size  field
//      0     8  senderKey           MP_CAPABLE of 12 octets and more
//      8     8  receiverKey         MP_CAPABLE of 20 octets and more
//     16     8  dan                 as many of its octets as danOctets says
//     24     8  dsn                 as many of its octets as dsnOctets says
//     32     8  failDsn
//     40     8  fastcloseKey        the receiver's
//     48     4  present           * 1 << subtype of each option that is well-formed; the first of a subtype wins
//     52     4  count             * options of kind 30, ill-formed ones too
//     56     4  capableLength     * 4, 12, 20, 22 or 24; whether 20 or 22/24 suits the packet's payload is
//                                   for the caller to see (RFC 8684 §3.1: 20 without, 22/24 with payload)
//     60     4  capableVersion      1; in a SYN also more
//     64     4  capableFlags        CAPABLE_…
//     68     4  capableDataLength * octets mapped, with 22 and 24
//     72     4  capableHasChecksum
//     76     4  capableChecksum
//     80     4  joinLength        * 12, 16 or 24
//     84     4  joinBackup          0 or 1
//     88     4  joinAddressId
//     92     4  joinToken           12 octets: ours
//     96     4  joinNonce           12 and 16 octets
//    100     4  joinHmacPtr         address of 8 (16 octets) or 20 octets (24 octets)
//    104     4  dssFlags          * DSS_…
//    108     4  danOctets         * 0, 4 or 8
//    112     4  dsnOctets         * 0 (no mapping), 4 or 8
//    116     4  ssnRel              relative to the subflow's initial number
//    120     4  dataLength        * octets mapped, with the DATA_FIN's; 0 = infinite mapping
//    124     4  dssHasChecksum
//    128     4  dssChecksum
//    132     4  addAddrEcho         0 or 1
//    136     4  addAddrFamily       4 or 6
//    140     4  addAddrId
//    144     4  addAddrPtr          address of 4 or 16 octets
//    148     4  addAddrPort         0 = none
//    152     4  addAddrHmacPtr      address of 8 octets, 0 in an echo
//    156     4  removePtr           address of the ids
//    160     4  removeCount       * 1…8
//    164     4  prioBackup          0 or 1
//    168     4  rstFlags            1 = transient
//    172     4  rstReason
@final @unmanaged
export class MptcpOptions {
  senderKey: u64;
  receiverKey: u64;
  dan: u64;
  dsn: u64;
  failDsn: u64;
  fastcloseKey: u64;
  present: u32;
  count: u32;
  capableLength: u32;
  capableVersion: u32;
  capableFlags: u32;
  capableDataLength: u32;
  capableHasChecksum: u32;
  capableChecksum: u32;
  joinLength: u32;
  joinBackup: u32;
  joinAddressId: u32;
  joinToken: u32;
  joinNonce: u32;
  joinHmacPtr: u32;
  dssFlags: u32;
  danOctets: u32;
  dsnOctets: u32;
  ssnRel: u32;
  dataLength: u32;
  dssHasChecksum: u32;
  dssChecksum: u32;
  addAddrEcho: u32;
  addAddrFamily: u32;
  addAddrId: u32;
  addAddrPtr: u32;
  addAddrPort: u32;
  addAddrHmacPtr: u32;
  removePtr: u32;
  removeCount: u32;
  prioBackup: u32;
  rstFlags: u32;
  rstReason: u32;
}
@inline export const MPTCP_OPTIONS_SIZE: u32 = 176;
if (offsetof<MptcpOptions>() != MPTCP_OPTIONS_SIZE) ERROR("MptcpOptions: size moved");
if (offsetof<MptcpOptions>("present") != 48) ERROR("MptcpOptions.present moved");
if (offsetof<MptcpOptions>("rstReason") != 172) ERROR("MptcpOptions.rstReason moved");

/** The MptcpOptions at `ptr`, 8-byte aligned. */
@inline export function mptcpOptionsAt(ptr: usize): MptcpOptions {
  return changetype<MptcpOptions>(ptr);
}

/** Fills `out` from a header that tcpCheck() passed. The pointers in it point into the header. */
export function mptcpParse(tcp: usize, headerLength: u32, out: MptcpOptions): void {
  out.present = 0;
  out.count = 0;
  out.capableLength = 0;
  out.capableDataLength = 0;
  out.joinLength = 0;
  out.dssFlags = 0;
  out.danOctets = 0;
  out.dsnOctets = 0;
  out.dataLength = 0;
  out.removeCount = 0;
  const flags = tcpFlags(tcp);
  const end = tcp + headerLength;
  let p = tcp + TCP_HEADER_MIN;
  while (p < end) {
    const length = optionLength(p, end);
    if (length == 0) return;
    if (length > 1 && load<u8>(p) == TCP_OPTION_MPTCP) {
      out.count += 1;
      if (length > 2) parseOne(p, length, flags, out);
    }
    p += length;
  }
}

/** One option of `length` ≥ 3 octets, all of them there; `flags` are the TCP header's. */
function parseOne(p: usize, length: u32, flags: u32, out: MptcpOptions): void {
  const subtype = <u32>load<u8>(p, 2) >> 4;
  const bit: u32 = 1 << subtype;
  if (out.present & bit) return;
  let accepted = false;
  switch (subtype) {
    case MP_CAPABLE:
      accepted = parseCapable(p, length, flags, out);
      break;
    case MP_JOIN:
      accepted = parseJoin(p, length, flags, out);
      break;
    case DSS:
      accepted = parseDss(p, length, out);
      break;
    case ADD_ADDR:
      accepted = parseAddAddr(p, length, out);
      break;
    default:
      accepted = parseShort(subtype, p, length, flags, out);
      break;
  }
  if (accepted) out.present |= bit;
}

/** RFC 8684 §3.1. The length must be that of the packet's place in the handshake. */
function parseCapable(p: usize, length: u32, flags: u32, out: MptcpOptions): bool {
  const syn = (flags & TCP_SYN) != 0;
  if (syn) {
    if (length != (flags & TCP_ACK ? 12 : 4)) return false;
  } else if (length != 20 && length != 22 && length != 24) {
    return false;
  }
  const version = <u32>load<u8>(p, 2) & 15;
  // A SYN may ask for a later version and gets ours for an answer; everybody else must have agreed to it.
  if (length == 4 ? version < MPTCP_VERSION : version != MPTCP_VERSION) return false;
  const capableFlags: u32 = load<u8>(p, 3);
  if (capableFlags & CAPABLE_EXTENSIBILITY) return false;
  if ((capableFlags & CAPABLE_ALGORITHM_MASK) != CAPABLE_HMAC_SHA256) return false;
  out.capableLength = length;
  out.capableVersion = version;
  out.capableFlags = capableFlags;
  out.capableHasChecksum = length == 24 ? 1 : 0;
  if (length >= 12) out.senderKey = loadU64BE(p + 4);
  if (length >= 20) out.receiverKey = loadU64BE(p + 12);
  if (length >= 22) out.capableDataLength = loadU16BE(p + 20);
  if (length == 24) out.capableChecksum = loadU16BE(p + 22);
  return true;
}

/** RFC 8684 §3.2. */
function parseJoin(p: usize, length: u32, flags: u32, out: MptcpOptions): bool {
  const syn = (flags & TCP_SYN) != 0;
  const ack = (flags & TCP_ACK) != 0;
  if (length != (syn ? (ack ? 16 : 12) : 24)) return false;
  out.joinLength = length;
  out.joinBackup = <u32>load<u8>(p, 2) & 1;
  out.joinAddressId = load<u8>(p, 3);
  if (length == 12) {
    out.joinToken = loadU32BE(p + 4);
    out.joinNonce = loadU32BE(p + 8);
  } else {
    out.joinHmacPtr = <u32>(p + 4);
    if (length == 16) out.joinNonce = loadU32BE(p + 12);
  }
  return true;
}

/** RFC 8684 §3.3. Two octets more than the flags ask for are the checksum of a mapping. */
function parseDss(p: usize, length: u32, out: MptcpOptions): bool {
  if (length < 4) return false;
  const flags = <u32>load<u8>(p, 3) & DSS_FLAG_MASK;
  const danOctets: u32 = flags & DSS_DAN ? (flags & DSS_DAN8 ? 8 : 4) : 0;
  const dsnOctets: u32 = flags & DSS_MAP ? (flags & DSS_DSN8 ? 8 : 4) : 0;
  const expected = 4 + danOctets + (dsnOctets ? dsnOctets + 6 : 0);
  if (length != expected && length != expected + 2) return false;
  out.dssFlags = flags;
  out.danOctets = danOctets;
  out.dsnOctets = dsnOctets;
  p += 4;
  if (danOctets) {
    out.dan = danOctets == 8 ? loadU64BE(p) : <u64>loadU32BE(p);
    p += danOctets;
  }
  out.dssHasChecksum = 0;
  if (dsnOctets == 0) return true; // two octets more say nothing without a mapping
  out.dsn = dsnOctets == 8 ? loadU64BE(p) : <u64>loadU32BE(p);
  p += dsnOctets;
  out.ssnRel = loadU32BE(p);
  out.dataLength = loadU16BE(p + 4);
  if (length != expected) {
    out.dssHasChecksum = 1;
    out.dssChecksum = loadU16BE(p + 6);
  }
  return true;
}

/** RFC 8684 §3.4.1. The length tells the family and whether there is a port. */
function parseAddAddr(p: usize, length: u32, out: MptcpOptions): bool {
  const echo = <u32>load<u8>(p, 2) & 1;
  const rest = echo ? length : length - 8; // without the HMAC; a length below 8 wraps and matches nothing
  const family: u32 = rest == 8 || rest == 10 ? 4 : 6;
  if (family == 6 && rest != 20 && rest != 22) return false;
  const addressOctets: u32 = family == 4 ? 4 : 16;
  out.addAddrEcho = echo;
  out.addAddrFamily = family;
  out.addAddrId = load<u8>(p, 3);
  out.addAddrPtr = <u32>(p + 4);
  p += 4 + addressOctets;
  const hasPort = rest != 4 + addressOctets;
  out.addAddrPort = hasPort ? loadU16BE(p) : 0;
  if (hasPort) p += 2;
  out.addAddrHmacPtr = echo ? 0 : <u32>p;
  return true;
}

/** RFC 8684 §3.4.2, §3.3.8, §3.7, §3.5, §3.6: what has one or two fields. */
function parseShort(subtype: u32, p: usize, length: u32, flags: u32, out: MptcpOptions): bool {
  const bit0 = <u32>load<u8>(p, 2) & 1;
  switch (subtype) {
    case REMOVE_ADDR:
      if (length < 4 || length > 3 + REMOVE_IDS_MAX) return false;
      out.removePtr = <u32>(p + 3);
      out.removeCount = length - 3;
      return true;
    case MP_PRIO:
      if (length != 3) return false;
      out.prioBackup = bit0;
      return true;
    case MP_FAIL:
      if (length != 12) return false;
      out.failDsn = loadU64BE(p + 4);
      return true;
    case MP_FASTCLOSE:
      if (length != 12) return false;
      out.fastcloseKey = loadU64BE(p + 4);
      return true;
    case MP_TCPRST:
      if (length != 4 || !(flags & TCP_RST)) return false;
      out.rstFlags = bit0;
      out.rstReason = load<u8>(p, 3);
      return true;
    default:
      return false;
  }
}
