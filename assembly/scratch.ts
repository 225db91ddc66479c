// The engine's working space: fixed addresses that live for one packet (or one forged packet) only.
//
//   offset  size  what
//        0   256  Segment: the packet being handled, parsed (forward/segment.ts)
//      256   128  TcpOptions of it
//      512   256  MptcpOptions of it
//      768    64  options being written for the packet that is rewritten
//      832    64  options being written for a forged packet
//     1024   128  the host's SACK blocks, DSN space: up to 8 × {left u64, right u64}
//     1280   256  SACK blocks for the subflow, SSN space: up to 32 × {left u32, right u32}
//     2048  1024  SACK blocks for the host, DSN space: up to 64 × 16
//     3072   256  SACK blocks for the host, TSN space
//     4096    16  crypto key · 4128 64 message · 4224 32 digest
//     4352    16  an address, for look-ups
//     4480    16  out parameters of mapping functions
//     4608   128  IcmpQuote: what an ICMP error says, and about which segment (wire/icmp.ts)

import { SCRATCH } from "./abi";

@inline export const SEGMENT: usize = SCRATCH;
@inline export const TCP_OPTIONS: usize = SCRATCH + 256;
@inline export const MPTCP_OPTIONS: usize = SCRATCH + 512;
@inline export const REWRITE_OPTIONS: usize = SCRATCH + 768;
@inline export const FORGE_OPTIONS: usize = SCRATCH + 832;
@inline export const HOST_BLOCKS: usize = SCRATCH + 1024;
@inline export const HOST_BLOCKS_MAX: u32 = 8;
@inline export const SSN_BLOCKS: usize = SCRATCH + 1280;
@inline export const SSN_BLOCKS_MAX: u32 = 32;
@inline export const DSN_BLOCKS: usize = SCRATCH + 2048;
@inline export const DSN_BLOCKS_MAX: u32 = 64;
@inline export const TSN_BLOCKS: usize = SCRATCH + 3072;
@inline export const CRYPTO_KEY: usize = SCRATCH + 4096;
@inline export const CRYPTO_MESSAGE: usize = SCRATCH + 4128;
@inline export const CRYPTO_DIGEST: usize = SCRATCH + 4224;
@inline export const ADDRESS_A: usize = SCRATCH + 4352;
@inline export const OUT: usize = SCRATCH + 4480;
@inline export const ICMP_QUOTE: usize = SCRATCH + 4608;
