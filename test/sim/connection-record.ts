// What the checkers know of one connection: its two streams, what its hosts have sent, acknowledged and granted, and
// the keys that were seen. All numbers are relative: 0 is the SYN or the IDSN, 1 the first octet of payload.

import { CAPABLE_CHECKSUM, keyDigest, option, type Packet } from "../packet.ts";
import { otherSide, type Side } from "./network.ts";
import { Ranges } from "./ranges.ts";

/** A rule was broken. */
export class Violation extends Error {}

export function demand(condition: boolean, rule: () => string): void {
  if (!condition) throw new Violation(rule());
}

/** The distance from `from` to `to` in 32-bit serial arithmetic. */
export const distance = (from: number, to: number): number => (to - from) | 0;

/** One end as its host speaks, before any engine. */
export class HostRecord {
  iss = -1;
  irs = -1;
  /** Behind the highest number that it has sent. */
  nxt = 0;
  /** The highest number that it has acknowledged. */
  acknowledged = 0;
  /** The highest right edge that it has granted. */
  granted = 0;
  /** Window scale in use, after both SYNs. */
  scale = 0;
  offeredScale = -1;
  /** Number of its FIN, −1 = none yet. */
  fin = -1;
  /** Segments with octets or a FIN. */
  spoken = 0;
  /** Octets of the other stream that it was given. */
  readonly has = new Ranges();
  /** What it was shown: right edge and acknowledgement. */
  shownEdge = 0;
  shownAcknowledged = 0;
  /** It was shown a RST, or has sent one. */
  wasReset = false;
  hasReset = false;

  /** Something of it is not acknowledged, and its peer's window is open. */
  get maySpeak(): boolean {
    return this.nxt > this.shownAcknowledged && this.shownEdge > this.shownAcknowledged;
  }
}

export class ConnectionRecord {
  readonly port: number;
  /** The stream that each side sends, whole. */
  readonly streams: Record<Side, Uint8Array>;
  readonly hosts: Record<Side, HostRecord> = { a: new HostRecord(), b: new HostRecord() };
  readonly idsn: Record<Side, bigint | undefined> = { a: undefined, b: undefined };
  readonly token: Record<Side, number | undefined> = { a: undefined, b: undefined };
  /** This side's engine has given up on MPTCP for the connection. */
  readonly fellBack: Record<Side, boolean> = { a: false, b: false };
  /** This side's engine has forgotten the connection: what still comes passes as it is. */
  readonly gone: Record<Side, boolean> = { a: false, b: false };
  /** An end has demanded checksums. */
  checksums = false;
  /** It has had a second subflow: its ends do not go on as plain TCP any more. */
  joined = false;
  /** An engine has given up a subflow with a hole that nothing fills. */
  poisoned = false;
  /** This side's engine had no room to keep a mapping, and so dropped a segment of its host. */
  readonly starved: Record<Side, boolean> = { a: false, b: false };
  /** Data level, as shown on the wire by a side: highest DATA_ACK and right edge. */
  readonly dan: Record<Side, number> = { a: 0, b: 0 };
  readonly edge: Record<Side, number> = { a: 0, b: 0 };
  /** Right edge that arrived at a side. */
  readonly edgeSeen: Record<Side, number> = { a: 0, b: 0 };
  /** Number of a side's DATA_FIN, −1 = not seen. */
  readonly dataFin: Record<Side, number> = { a: -1, b: -1 };

  constructor(port: number, streams: Record<Side, Uint8Array>) {
    this.port = port;
    this.streams = streams;
  }

  /** Not MPTCP at `side` (any more): sequence numbers are the host's. */
  isPlain(side: Side): boolean {
    return this.fellBack[side] || this.gone[side] || this.idsn.b === undefined;
  }

  /** Keys stand in MP_CAPABLE: the sender's first. */
  learn(side: Side, p: Packet): void {
    const capable = option(p, "mpCapable");
    if (capable === undefined) return;
    if (capable.flags & CAPABLE_CHECKSUM) this.checksums = true;
    for (const [whose, key] of [
      [side, capable.senderKey],
      [otherSide(side), capable.receiverKey],
    ] as const) {
      if (key === undefined || this.idsn[whose] !== undefined) continue;
      const { token, idsn } = keyDigest(key);
      this.token[whose] = token;
      this.idsn[whose] = idsn;
    }
  }

  /** A data-level number of `side` relative to its IDSN; undefined while the key is unknown. */
  relative(side: Side, dsn: bigint): number | undefined {
    const idsn = this.idsn[side];
    return idsn === undefined ? undefined : Number(BigInt.asIntN(32, dsn - idsn));
  }

  /** Octets [left, right) of the stream of `side` as it ought to be. */
  expected(side: Side, left: number, right: number): Uint8Array {
    return this.streams[side].subarray(left - 1, right - 1);
  }
}

/** True if `payload` is what `side` sends from number `left` on. */
export function isStream(record: ConnectionRecord, side: Side, left: number, payload: Uint8Array): boolean {
  const expected = record.expected(side, left, left + payload.length);
  return Buffer.compare(expected, payload) === 0;
}
