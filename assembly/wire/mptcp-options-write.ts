// MPTCP v1 options (RFC 8684 §3) as bytes: the writers. Layouts are drawn in mptcp-options.ts, by whose
// name others import these.
//
// Each puts one option at `p`, unaligned and not padded, and returns the address behind it. `flags` of
// MP_CAPABLE are the whole octet, so normally CAPABLE_HMAC_SHA256.

import { Fault, faulty } from "../faults";
import { copy, storeU16BE, storeU32BE, storeU64BE } from "../memory/bytes";
import { ipIsMapped } from "./ip";
import { TCP_OPTION_MPTCP } from "./tcp-options";

/** Writes kind, length, subtype with the low nibble, and octet 3. */
@inline function begin(p: usize, length: u32, octet2: u32, octet3: u32): void {
  storeU32BE(p, (TCP_OPTION_MPTCP << 24) | (length << 16) | (octet2 << 8) | (octet3 & 0xff));
}

/** 4 octets. */
export function writeCapableSyn(p: usize, flags: u32): usize {
  begin(p, 4, 0x01, flags);
  return p + 4;
}

/** 12 octets; `key` is the sender's. */
export function writeCapableSynAck(p: usize, flags: u32, key: u64): usize {
  begin(p, 12, 0x01, flags);
  storeU64BE(p + 4, key);
  return p + 12;
}

/** 20 octets: for a packet without payload. */
export function writeCapableAck(p: usize, flags: u32, senderKey: u64, receiverKey: u64): usize {
  begin(p, 20, 0x01, flags);
  storeU64BE(p + 4, senderKey);
  storeU64BE(p + 12, receiverKey);
  return p + 20;
}

/** 22 octets: for a packet with payload; `dataLength` octets are mapped from IDSN + 1 and SSN 1 on. */
export function writeCapableData(p: usize, flags: u32, senderKey: u64, receiverKey: u64, dataLength: u32): usize {
  begin(p, 22, 0x01, flags);
  storeU64BE(p + 4, senderKey);
  storeU64BE(p + 12, receiverKey);
  storeU16BE(p + 20, dataLength);
  return p + 22;
}

/** 12 octets; `token` is the receiver's. */
export function writeJoinSyn(p: usize, backup: bool, addressId: u32, token: u32, nonce: u32): usize {
  begin(p, 12, 0x10 | <u32>backup, addressId);
  storeU32BE(p + 4, token);
  storeU32BE(p + 8, nonce);
  return p + 12;
}

/** 16 octets, of them 8 from `hmacPtr`. */
export function writeJoinSynAck(p: usize, backup: bool, addressId: u32, hmacPtr: usize, nonce: u32): usize {
  begin(p, 16, 0x10 | <u32>backup, addressId);
  copy(p + 4, hmacPtr, 8);
  storeU32BE(p + 12, nonce);
  return p + 16;
}

/** 24 octets, of them 20 from `hmacPtr`. */
export function writeJoinAck(p: usize, hmacPtr: usize): usize {
  begin(p, 24, 0x10, 0);
  copy(p + 4, hmacPtr, 20);
  return p + 24;
}

/**
 * 4 octets, + 4 with a DATA_ACK, + 10 with a mapping: 4-octet numbers, no checksum. `dataLength` counts
 * the DATA_FIN, too; a DATA_FIN without payload has `ssnRel` 0 and `dataLength` 1.
 */
export function writeDss(
  p: usize, hasDan: bool, dan: u32, hasMap: bool, dsn: u32, ssnRel: u32, dataLength: u32, dataFin: bool,
): usize {
  const length: u32 = 4 + (<u32>hasDan << 2) + (hasMap ? 10 : 0);
  begin(p, length, 0x20, <u32>hasDan | (<u32>hasMap << 2) | (<u32>dataFin << 4));
  p += 4;
  if (hasDan) {
    storeU32BE(p, dan);
    p += 4;
  }
  if (hasMap) {
    storeU32BE(p, faulty(Fault.MAPPING) ? dsn + 1 : dsn);
    storeU32BE(p + 4, ssnRel);
    storeU16BE(p + 8, dataLength);
    p += 10;
  }
  return p;
}

/** Adds `checksum`, 2 octets, to the DSS with a mapping or the MP_CAPABLE with data that stands at [start, p). */
export function writeChecksum(start: usize, p: usize, checksum: u32): usize {
  store<u8>(start, <u8>(p + 2 - start), 1);
  storeU16BE(p, checksum);
  return p + 2;
}

/**
 * 16 or 28 octets by family, + 2 with a `port`, − 8 for an echo. `address16`: 16 octets, ::ffff:a.b.c.d
 * for IPv4; `hmac8Ptr`: 8 octets, 0 for an echo.
 */
export function writeAddAddr(p: usize, addressId: u32, address16: usize, port: u32, hmac8Ptr: usize): usize {
  const mapped = ipIsMapped(address16);
  const echo: u32 = hmac8Ptr == 0 ? 1 : 0;
  const start = p;
  p += 4;
  if (mapped) {
    store<u32>(p, load<u32>(address16, 12));
    p += 4;
  } else {
    copy(p, address16, 16);
    p += 16;
  }
  if (port != 0) {
    storeU16BE(p, port);
    p += 2;
  }
  if (!echo) {
    copy(p, hmac8Ptr, 8);
    p += 8;
  }
  begin(start, <u32>(p - start), 0x30 | echo, addressId);
  return p;
}

/** 3 + `count` octets; `idPtr`: one octet per id, `count` 1…REMOVE_IDS_MAX. */
export function writeRemoveAddr(p: usize, idPtr: usize, count: u32): usize {
  storeU16BE(p, (TCP_OPTION_MPTCP << 8) | (3 + count));
  store<u8>(p, 0x40, 2);
  copy(p + 3, idPtr, count);
  return p + 3 + count;
}

/** 3 octets; speaks of the subflow that carries it. */
export function writePrio(p: usize, backup: bool): usize {
  storeU16BE(p, (TCP_OPTION_MPTCP << 8) | 3);
  store<u8>(p, <u8>(0x50 | <u32>backup), 2);
  return p + 3;
}

/** 12 octets; `dsn`: first octet of the mapping that failed. */
export function writeFail(p: usize, dsn: u64): usize {
  begin(p, 12, 0x60, 0);
  storeU64BE(p + 4, dsn);
  return p + 12;
}

/** 12 octets; `key` is the receiver's. */
export function writeFastclose(p: usize, key: u64): usize {
  begin(p, 12, 0x70, 0);
  storeU64BE(p + 4, key);
  return p + 12;
}

/** 4 octets, in a RST; `flags` 1 = transient; reasons: RFC 8684 §3.6. */
export function writeTcpRst(p: usize, flags: u32, reason: u32): usize {
  begin(p, 4, 0x80 | (flags & 15), reason);
  return p + 4;
}
