// Gaps in a stamped stream (`apps/stamped.ts`): how long an application waited around a handover.

import { readFileSync } from "node:fs";

export interface Arrival {
  index: number;
  /** CLOCK_MONOTONIC, ns. */
  sentNs: bigint;
  /** CLOCK_MONOTONIC, ns. */
  arrivedNs: bigint;
}

/** Reads what the receiver wrote; a last line still being written is left out. */
export function readArrivals(file: string): Arrival[] {
  const lines = readFileSync(file, "utf8").split("\n").slice(1, -1);
  return lines.map((line) => {
    const [index = "", sent = "", arrived = ""] = line.split(",");
    return { index: Number(index), sentNs: BigInt(sent), arrivedNs: BigInt(arrived) };
  });
}

/**
 * Longest time between two successive arrivals, ms, of those that end within [from, to]. A stream that stood still
 * until `to` counts with the time since its last record. Infinity when nothing arrived before `to` at all.
 */
export function longestGapMs(arrivals: readonly Arrival[], fromNs: bigint, toNs: bigint): number {
  const times = arrivals.map((arrival) => arrival.arrivedNs).filter((at) => at <= toNs);
  const first = Math.max(
    1,
    times.findIndex((at) => at >= fromNs),
  );
  const last = times.at(-1);
  if (last === undefined) return Number.POSITIVE_INFINITY;
  let longest = toNs - last;
  if (last >= fromNs) {
    for (let i = first; i < times.length; i++) {
      const gap = (times[i] as bigint) - (times[i - 1] as bigint);
      if (gap > longest) longest = gap;
    }
  }
  return Number(longest) / 1e6;
}
