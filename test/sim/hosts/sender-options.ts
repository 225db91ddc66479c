// What a TCP sender is told, and what it asks of the connection around it.

import type { Random } from "../../model/random.ts";

/** What the sender asks of the connection around it. */
export interface Wire {
  /** Octets [at, at + length), FIN behind them if `fin`; a super-packet if `gsoSize` is not 0. */
  transmit(at: number, length: number, fin: boolean, gsoSize: number): void;
  /** An empty segment one octet below SND.UNA. */
  probe(): void;
  /** Where a segment that begins at `at` must end at the latest. */
  reach(at: number): number;
  /** Octets of TCP options on a segment that carries data. */
  optionRoom(): number;
  timedOut(): void;
}

export interface SenderOptions {
  random: Random;
  sendBuffer: number;
  /** Segments per super-packet, 1 for none. */
  gso: number;
  /** Share of retransmissions with other boundaries than the first time. */
  repacketise: number;
  /** Share of new segments that are shorter than they could be. */
  shortWrites: number;
  tailLossProbe: boolean;
  rtoMaxUs: number;
  /** Time-outs in a row until the connection is given up. */
  retries: number;
}
