// What a connection leaves to its owner: a plain socket, or an MPTCP connection that it is a subflow of.

import type * as p from "../../packet.ts";
import type { Chunk } from "./tcp-receiver.ts";

export interface Extension {
  /** Options of the SYN or SYN/ACK besides TCP's own. */
  synOptions(attempt: number): p.Option[];
  /** A SYN or SYN/ACK with what the peer can; false refuses the connection. */
  synArrived(packet: p.Packet): boolean;
  /** Options of a packet with octets [at, at + length), SACK left out. */
  options(at: number, length: number): p.Option[];
  /** How many octets options() takes at most on a packet with payload. */
  optionRoom(): number;
  /** Where a segment that begins at `at` has to end. */
  reach(at: number): number;
  /** A segment that may carry meaning; `opening`: it is the one that ends a handshake. False: it ends here. */
  arrived(packet: p.Packet, at: number, opening: boolean): boolean;
  deliver(chunks: Chunk[]): void;
  /** First octet that is not wanted yet. */
  edge(): number;
  /** Window field of a packet that is about to leave. */
  window(scale: number): number;
  /** A pure ACK is wanted now: to tell of a wider window, or for what only it can carry. */
  wantsAck(): boolean;
  /** SND.WND as a packet states it; what it means for this connection. */
  peerWindow(window: number): number;
  /** Octets beyond the window are nobody's fault. */
  readonly lenientWindow: boolean;
  opened(): void;
  acknowledged(): void;
  /** `rst` is the packet that did it, if a packet did. */
  ended(reset: boolean, rst?: p.Packet): void;
}
