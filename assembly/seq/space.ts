// Number spaces and their arithmetic. All numbers wrap, so no two of them may be compared with
// < or > anywhere else: a is before b if the way from a to b is shorter than half the space
// (RFC 1982; RFC 9293 §3.4). The aliases check nothing in AssemblyScript: names carry the space.

import { Fault, faulty } from "../faults";

/** Sequence number on the TCP side. */
export type Tsn = u32;
/** Acknowledgement number on the TCP side. */
export type Tan = u32;
/** Sequence number on a subflow, absolute (a DSS carries it relative to the subflow's first). */
export type Ssn = u32;
/** Acknowledgement number on a subflow. */
export type San = u32;
/** Data sequence number (RFC 8684 §3.3.1), always all 64 bits. */
export type Dsn = u64;
/** Data acknowledgement number (RFC 8684 §3.3.2), always all 64 bits. */
export type Dan = u64;

/** a before b. */
@inline export function seqLt(a: u32, b: u32): bool {
  return <i32>(a - b) < 0;
}

/** a before or equal to b. */
@inline export function seqLeq(a: u32, b: u32): bool {
  return <i32>(a - b) <= 0;
}

/** a behind b. */
@inline export function seqGt(a: u32, b: u32): bool {
  return <i32>(a - b) > 0;
}

/** a behind or equal to b. */
@inline export function seqGeq(a: u32, b: u32): bool {
  return <i32>(a - b) >= 0;
}

/** The later of two. */
@inline export function seqMax(a: u32, b: u32): u32 {
  return seqLt(a, b) ? b : a;
}

/** The earlier of two. */
@inline export function seqMin(a: u32, b: u32): u32 {
  return seqLt(a, b) ? a : b;
}

/** a before b. */
@inline export function dsnLt(a: u64, b: u64): bool {
  return <i64>(a - b) < 0;
}

/** a before or equal to b. */
@inline export function dsnLeq(a: u64, b: u64): bool {
  return <i64>(a - b) <= 0;
}

/** a behind b. */
@inline export function dsnGt(a: u64, b: u64): bool {
  return <i64>(a - b) > 0;
}

/** a behind or equal to b. */
@inline export function dsnGeq(a: u64, b: u64): bool {
  return <i64>(a - b) >= 0;
}

/** The later of two. */
@inline export function dsnMax(a: u64, b: u64): u64 {
  return dsnLt(a, b) ? b : a;
}

/** The earlier of two. */
@inline export function dsnMin(a: u64, b: u64): u64 {
  return dsnLt(a, b) ? a : b;
}

/**
 * Octets from the first to the last edge of [first, end) and [left, left + length), whatever lies
 * between. Right also where the two are so far apart that comparing their edges would not be.
 */
export function seqSpan(first: u32, end: u32, left: u32, length: u32): u64 {
  const offset = <i64><i32>(left - first);
  return <u64>(max<i64>(<i64>(end - first), offset + <i64>length) - min<i64>(0, offset));
}

/** seqSpan() in 64 bits; all ones if the two are more than 2^62 apart. */
export function dsnSpan(first: u64, end: u64, left: u64, length: u32): u64 {
  const offset = <i64>(left - first);
  if (offset > 1 << 62 || offset < -(1 << 62)) return u64.MAX_VALUE;
  return <u64>(max<i64>(<i64>(end - first), offset + <i64>length) - min<i64>(0, offset));
}

/** The 64-bit number with the low half `low` that lies nearest to `near` (RFC 8684 §3.3.1), below or above it. */
@inline export function expand(low: u32, near: u64): u64 {
  if (faulty(Fault.WRAP)) return (near & 0xffffffff00000000) | <u64>low;
  return near + <i64><i32>(low - <u32>near);
}
