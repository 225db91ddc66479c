// TCP options other than MPTCP's, as bytes.
//
//   kind  length  option
//      0       1  end of the list
//      1       1  no operation
//      2       4  maximum segment size              RFC 9293 §3.7.1   SYN only
//      3       3  window scale                      RFC 7323 §2.2     SYN only
//      4       2  SACK permitted                    RFC 2018 §2       SYN only
//      5  2 + 8n  SACK, n = 1…4 blocks              RFC 2018 §3
//      8      10  timestamps                        RFC 7323 §3.2
//     19      18  MD5 signature                     RFC 2385
//     29       …  authentication                    RFC 5925
//     30       …  MPTCP                             RFC 8684          mptcp-options.ts
//     34       …  Fast Open cookie                  RFC 7413 §4.1.1
//    172, 174  …  AccECN orders 0 and 1             RFC 9768
//    254  4 + n   experiment; magic 0xF989 is Fast Open               RFC 6994
//
// Everybody who walks a list goes by optionLength(), so that there is one place where a length that
// lies ends the walk, as in Linux' tcp_parse_options(): what came before it counts.
//
// Writers put one option at `p`, unaligned, and return the address behind it. Whether all of it fits
// in 40 octets is the caller's business.

import { copy, loadU16BE, loadU32BE, storeU16BE, storeU32BE } from "../memory/bytes";
import { TCP_HEADER_MIN } from "./tcp";

@inline export const TCP_OPTION_EOL: u32 = 0;
@inline export const TCP_OPTION_NOP: u32 = 1;
@inline export const TCP_OPTION_MSS: u32 = 2;
@inline export const TCP_OPTION_WINDOW_SCALE: u32 = 3;
@inline export const TCP_OPTION_SACK_PERMITTED: u32 = 4;
@inline export const TCP_OPTION_SACK: u32 = 5;
@inline export const TCP_OPTION_TIMESTAMPS: u32 = 8;
@inline export const TCP_OPTION_MD5: u32 = 19;
@inline export const TCP_OPTION_AUTHENTICATION: u32 = 29;
@inline export const TCP_OPTION_MPTCP: u32 = 30;
@inline export const TCP_OPTION_FAST_OPEN: u32 = 34;
@inline export const TCP_OPTION_ACC_ECN_0: u32 = 172;
@inline export const TCP_OPTION_ACC_ECN_1: u32 = 174;
@inline export const TCP_OPTION_EXPERIMENT: u32 = 254;
@inline const FAST_OPEN_MAGIC: u32 = 0xf989;

/** SACK blocks that fit in 40 octets. */
@inline export const SACK_BLOCKS_MAX: u32 = 4;
/** Larger shifts are used as this one (RFC 7323 §2.3). */
@inline export const WINDOW_SCALE_MAX: u32 = 14;
@inline export const NO_WINDOW_SCALE: u32 = 0xffffffff;
/** What an end without an MSS option accepts (RFC 9293 §3.7.1). */
@inline export const MSS_DEFAULT: u32 = 536;

// The options of one header, in the caller's memory.
//
//   byte  size  field
//      0     4  mss            0 = none
//      4     4  windowScale    0…14, NO_WINDOW_SCALE = none
//      8     4  sackPermitted  0 or 1
//     12     4  timestamps     0 or 1
//     16     4  sackCount      0…4 blocks
//     20     4  sackPtr        address of the first block: left, right, 4 octets each, big-endian, unaligned
//     24     4  fastOpen       kind 34 or 254, 0 = none
//     28     4  md5            kind 19 or 29, 0 = none
//     32     4  mptcpCount     options of kind 30
//     36     4  accEcn         kind 172 or 174, 0 = none
//     40     4  malformed      1 = a length lied and the walk ended there
@final @unmanaged
export class TcpOptions {
  mss: u32;
  windowScale: u32;
  sackPermitted: u32;
  timestamps: u32;
  sackCount: u32;
  sackPtr: u32;
  fastOpen: u32;
  md5: u32;
  mptcpCount: u32;
  accEcn: u32;
  malformed: u32;
}
@inline export const TCP_OPTIONS_SIZE: u32 = 44;
if (offsetof<TcpOptions>() != TCP_OPTIONS_SIZE) ERROR("TcpOptions: size moved");
if (offsetof<TcpOptions>("malformed") != 40) ERROR("TcpOptions.malformed moved");

/** The TcpOptions at `ptr`, 4-byte aligned. */
@inline export function tcpOptionsAt(ptr: usize): TcpOptions {
  return changetype<TcpOptions>(ptr);
}

/** Octets of the option at `p` < `end`; 0 where the walk ends: at EOL, or at a length that lies. */
export function optionLength(p: usize, end: usize): u32 {
  const kind: u32 = load<u8>(p);
  if (kind == TCP_OPTION_NOP) return 1;
  if (kind == TCP_OPTION_EOL) return 0;
  if (p + 1 >= end) return 0; // no room for a length
  const length: u32 = load<u8>(p, 1);
  return length < 2 || <usize>length > end - p ? 0 : length;
}

/**
 * Fills `out` from the options of a header that tcpCheck() passed. An option of a known kind with a
 * wrong length is ignored; of two of one kind the last counts, as in Linux.
 */
export function tcpOptionsParse(tcp: usize, headerLength: u32, out: TcpOptions): void {
  memory.fill(changetype<usize>(out), 0, TCP_OPTIONS_SIZE);
  out.windowScale = NO_WINDOW_SCALE;
  const end = tcp + headerLength;
  let p = tcp + TCP_HEADER_MIN;
  while (p < end) {
    const length = optionLength(p, end);
    if (length == 0) {
      if (load<u8>(p) != TCP_OPTION_EOL) out.malformed = 1;
      return;
    }
    if (length > 1) parseOption(p, length, out);
    p += length;
  }
}

/** One option of `length` ≥ 2 octets, all of them there. */
function parseOption(p: usize, length: u32, out: TcpOptions): void {
  const kind: u32 = load<u8>(p);
  switch (kind) {
    case TCP_OPTION_MSS:
      if (length == 4) out.mss = loadU16BE(p + 2);
      break;
    case TCP_OPTION_WINDOW_SCALE:
      if (length == 3) out.windowScale = min<u32>(load<u8>(p, 2), WINDOW_SCALE_MAX);
      break;
    case TCP_OPTION_SACK_PERMITTED:
      if (length == 2) out.sackPermitted = 1;
      break;
    case TCP_OPTION_SACK:
      if (length >= 10 && (length & 7) == 2) {
        out.sackCount = (length - 2) >> 3; // <= 4: the header has 40 octets of options
        out.sackPtr = <u32>(p + 2);
      }
      break;
    case TCP_OPTION_TIMESTAMPS:
      if (length == 10) out.timestamps = 1;
      break;
    case TCP_OPTION_MD5:
    case TCP_OPTION_AUTHENTICATION:
      out.md5 = kind;
      break;
    case TCP_OPTION_MPTCP:
      out.mptcpCount += 1;
      break;
    case TCP_OPTION_FAST_OPEN:
    case TCP_OPTION_EXPERIMENT:
      if (isFastOpen(p, length)) out.fastOpen = kind;
      break;
    case TCP_OPTION_ACC_ECN_0:
    case TCP_OPTION_ACC_ECN_1:
      out.accEcn = kind;
      break;
  }
}

/** True if the option is a Fast Open cookie or the request for one, in either encoding. */
function isFastOpen(p: usize, length: u32): bool {
  const kind: u32 = load<u8>(p);
  if (kind == TCP_OPTION_FAST_OPEN) return true;
  return kind == TCP_OPTION_EXPERIMENT && length >= 4 && loadU16BE(p + 2) == FAST_OPEN_MAGIC;
}

/** True if a header that tcpCheck() passed holds an option of kind 30, well-formed or not. */
export function tcpHasMptcp(tcp: usize, headerLength: u32): bool {
  const end = tcp + headerLength;
  let p = tcp + TCP_HEADER_MIN;
  while (p < end) {
    const length = optionLength(p, end);
    if (length == 0) return false;
    if (length > 1 && load<u8>(p) == TCP_OPTION_MPTCP) return true;
    p += length;
  }
  return false;
}

/**
 * Copies the options of a SYN or SYN/ACK to `out` for the other side and returns their octets, not
 * padded: at most 40, or 44 if an MSS was added.
 *
 * - The MSS is lowered to `mssClamp`. Where there is none the other side takes MSS_DEFAULT; so one is
 *   added if that is too much.
 * - Left out: padding; timestamps, since subflows have unrelated clocks (PAWS would drop segments) and
 *   DSS and SACK need the room; Fast Open, since data in a SYN has no DSN; MPTCP; AccECN, since its
 *   counters are per subflow.
 * - Window scale, SACK permitted and unknown kinds stay. MD5 and authentication cover what we rewrite:
 *   a connection with one of them must not be converted, so they are not looked for here.
 */
export function copySynOptions(tcp: usize, headerLength: u32, out: usize, mssClamp: u32): u32 {
  const end = tcp + headerLength;
  let p = tcp + TCP_HEADER_MIN;
  let to = out;
  let hasMss = false;
  while (p < end) {
    const length = optionLength(p, end);
    if (length == 0) break;
    if (length == 4 && load<u8>(p) == TCP_OPTION_MSS) {
      hasMss = true;
      to = writeMss(to, min<u32>(loadU16BE(p + 2), mssClamp));
    } else if (length > 1 && !isStrippedFromSyn(p, length)) {
      copy(to, p, length);
      to += length;
    }
    p += length;
  }
  if (!hasMss && mssClamp < MSS_DEFAULT) to = writeMss(to, mssClamp);
  return <u32>(to - out);
}

function isStrippedFromSyn(p: usize, length: u32): bool {
  const kind: u32 = load<u8>(p);
  return (
    kind == TCP_OPTION_TIMESTAMPS || kind == TCP_OPTION_MPTCP ||
    kind == TCP_OPTION_ACC_ECN_0 || kind == TCP_OPTION_ACC_ECN_1 || isFastOpen(p, length)
  );
}

/** 4 octets. */
export function writeMss(p: usize, mss: u32): usize {
  storeU16BE(p, (TCP_OPTION_MSS << 8) | 4);
  storeU16BE(p + 2, mss);
  return p + 4;
}

/** 2 octets. */
export function writeSackPermitted(p: usize): usize {
  storeU16BE(p, (TCP_OPTION_SACK_PERMITTED << 8) | 2);
  return p + 2;
}

/** 3 octets. */
export function writeWindowScale(p: usize, shift: u32): usize {
  storeU16BE(p, (TCP_OPTION_WINDOW_SCALE << 8) | 3);
  store<u8>(p, <u8>shift, 2);
  return p + 3;
}

/**
 * 2 + 8 · `count` octets, none for `count` 0. `blocks`: pairs of u32 left, right in native byte order;
 * `count` ≤ SACK_BLOCKS_MAX.
 */
export function writeSackBlocks(p: usize, blocks: usize, count: u32): usize {
  if (count == 0) return p;
  storeU16BE(p, (TCP_OPTION_SACK << 8) | (2 + (count << 3)));
  p += 2;
  for (let i: u32 = 0; i < count; i++) {
    storeU32BE(p, load<u32>(blocks));
    storeU32BE(p + 4, load<u32>(blocks, 4));
    p += 8;
    blocks += 8;
  }
  return p;
}

/** Left edge of SACK block `index` < sackCount of parsed options. */
export function sackLeft(options: TcpOptions, index: u32): u32 {
  return loadU32BE(<usize>options.sackPtr + (<usize>index << 3));
}

/** Right edge of SACK block `index` < sackCount of parsed options. */
export function sackRight(options: TcpOptions, index: u32): u32 {
  return loadU32BE(<usize>options.sackPtr + (<usize>index << 3) + 4);
}

/** Appends NOPs until the octets from `start` are a multiple of 4; returns the new end. */
export function padOptions(start: usize, end: usize): usize {
  while (((end - start) & 3) != 0) {
    store<u8>(end, <u8>TCP_OPTION_NOP);
    end++;
  }
  return end;
}
