// The networks between the two ends: per path and direction delay, jitter, loss, reordering, duplicates, a rate with
// a queue in front of it, and cuts that nobody is told of.

import type { Random } from "../model/random.ts";
import type { Packet } from "../packet.ts";
import { routerError } from "../packet-icmp.ts";
import type { Middlebox } from "./middlebox.ts";
import type { Segment } from "./segment.ts";

export type Side = "a" | "b";
export const SIDES = ["a", "b"] as const;
export const otherSide = (side: Side): Side => (side === "a" ? "b" : "a");

/** The address of `side` on path `k`. */
export function addressOf(side: Side, k: number, family: 4 | 6 = 4): string {
  const host = side === "a" ? 1 : 2;
  return family === 4 ? `10.0.${k}.${host}` : `fd00:${k}::${host}`;
}

/** Which path a packet with this source takes; 0 for an address that is none of ours. */
export function pathOf(address: string): number {
  const known = paths.get(address);
  if (known !== undefined) return known;
  const text = address.includes(":") ? address.split(":")[1] : address.split(".")[2];
  const path = Number.parseInt(text ?? "0", 16) || 0;
  paths.set(address, path);
  return path;
}

const paths = new Map<string, number>();

export interface Conditions {
  delayUs: number;
  /** Up to this much more, without overtaking. */
  jitterUs: number;
  loss: number;
  duplicate: number;
  /** Share of packets that wait `reorderUs` longer, so that others overtake them. */
  reorder: number;
  reorderUs: number;
  /** Octets per second, 0 = as fast as it goes. */
  rate: number;
  /** Octets that wait for the rate at most; more are lost. */
  queue: number;
}

export const CALM: Conditions = {
  delayUs: 5_000,
  jitterUs: 0,
  loss: 0,
  duplicate: 0,
  reorder: 0,
  reorderUs: 0,
  rate: 0,
  queue: 0,
};

/** One direction of one path. */
export class Link {
  conditions: Conditions = CALM;
  /** Longest packet that it takes, octets; 0 = any. */
  mtu = 0;
  middleboxes: Middlebox[] = [];
  private busyUntilUs = 0;
  private lastArrivalUs = 0;

  /** When the copies of a packet arrive that enters at `nowUs`; none if it is lost. */
  arrivals(octets: number, nowUs: number, random: Random): number[] {
    const c = this.conditions;
    if (random.chance(c.loss)) return [];
    let at = nowUs;
    if (c.rate > 0) {
      const start = Math.max(nowUs, this.busyUntilUs);
      if ((start - nowUs) * c.rate > c.queue * 1e6) return [];
      this.busyUntilUs = start + Math.ceil((octets * 1e6) / c.rate);
      at = this.busyUntilUs;
    }
    at = Math.max(this.lastArrivalUs, at + c.delayUs + random.below(c.jitterUs + 1));
    this.lastArrivalUs = at;
    const late = random.chance(c.reorder) ? 1 + random.below(c.reorderUs) : 0;
    return random.chance(c.duplicate) ? [at + late, at + random.below(2_000)] : [at + late];
  }
}

/**
 * Path k joins address k of `a` with whatever address of `b` a packet names: `b` may have one address for all of
 * them. Either end's access to its address k may be cut.
 */
export class Network {
  readonly cut: Record<Side, Set<number>> = { a: new Set(), b: new Set() };
  private readonly links = new Map<string, Link>();
  private readonly random: Random;

  constructor(random: Random, paths: number) {
    this.random = random;
    for (let k = 1; k <= paths; k++) for (const side of SIDES) this.links.set(`${side}${k}`, new Link());
  }

  /** The link that leaves `from` on path `k`. */
  link(from: Side, k: number): Link {
    const link = this.links.get(`${from}${k}`);
    if (link === undefined) throw new Error(`there is no path ${k}`);
    return link;
  }

  get all(): Link[] {
    return [...this.links.values()];
  }

  /** True if nothing gets from `from` to the other end between these two addresses. */
  isCut(from: Side, p: Packet): boolean {
    return this.cut[from].has(pathOf(p.src)) || this.cut[otherSide(from)].has(pathOf(p.dst));
  }

  /** What a router answers to a packet that is too long for its path; undefined if it is not. */
  tooBig(from: Side, { octets, p }: Segment): Uint8Array | undefined {
    const mtu = this.links.get(`${from}${pathOf(from === "a" ? p.src : p.dst)}`)?.mtu ?? 0;
    return mtu === 0 || octets.length <= mtu || this.isCut(from, p) ? undefined : routerError(octets, { mtu });
  }

  /** What becomes of a packet that leaves `from`: packets and the times of their arrival. */
  send(from: Side, segment: Segment, nowUs: number): { at: number; segment: Segment }[] {
    const { p } = segment;
    const link = this.links.get(`${from}${pathOf(from === "a" ? p.src : p.dst)}`);
    if (link === undefined || this.isCut(from, p)) return [];
    let pieces = [segment];
    for (const box of link.middleboxes) pieces = pieces.flatMap((piece) => box.pass(piece, nowUs));
    return pieces.flatMap((piece) =>
      link.arrivals(piece.octets.length, nowUs, this.random).map((at) => ({ at, segment: piece })),
    );
  }
}
