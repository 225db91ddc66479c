// Mistakes on purpose, for the simulator's test of its own checkers (test/sim/faults.test.ts): one of them at a time
// is planted in a running test build. A release has none: DEBUG is a constant, and the branch goes with it.

import { DEBUG } from "./config";

export const enum Fault {
  MAPPING = 1, // DSNs in mappings are one too high
  SAN = 2, // a SAN covers holes
  TAN = 3, // the host is told that one octet more has arrived
  WINDOW = 4, // the host is granted more than the peer grants
  FIN = 5, // the FIN stands one octet too early
  WRAP = 6, // the low half of a data sequence number wraps without a carry
  JOIN = 7, // a joined subflow counts from its SYN
  REINJECTION = 8, // what a peer has acknowledged on a subflow and thrown away keeps its place there
  TRIM = 9, // one octet too much is forgotten when a DATA_ACK comes
  SPLIT = 10, // the second half of a split run is numbered one too high
  PROJECTION = 11, // a SACK block for the host is one octet too long
  CHECKSUM = 12, // the last octet of an odd number of them is left out of sums
  DATA_ACK = 13, // a DATA_ACK covers what has arrived, not what the host has acknowledged
  SUBFLOW_WINDOW = 14, // the peer is granted more than the host grants
  DSS_CHECKSUM = 15, // a mapping's checksum is one too low
  CHECKSUM_ODD = 16, // octets from an odd place of a mapping on are summed as if it were even
}

let planted: u32 = 0;

/** Makes this instance wrong in one way from now on; 0 = right again. */
export function plantFault(fault: u32): void {
  planted = fault;
}

/** True if `fault` is planted; false, and no code at all, in a release. */
@inline export function faulty(fault: Fault): bool {
  return DEBUG && planted == <u32>fault;
}
