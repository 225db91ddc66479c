// What one receiver saw of one event, out of the arrivals that it wrote down.

import { readFileSync } from "node:fs";

/** A pause of the stream that is longer than this is a stall, ms. */
const STALL_MS = 20;
/** Points of a curve are at least this far apart, ms. */
const CURVE_STEP_MS = 1;

/** Times in ms from the event. */
interface Arrivals {
  sent: Float64Array;
  arrived: Float64Array;
}

export interface Measure {
  /** Longest time between two successive in-order bytes that overlaps the window behind the event, ms. */
  gapMs: number;
  /** The second longest. */
  secondMs: number;
  /** Sum of all that are stalls. */
  stalledMs: number;
  /** The longest in the window before the event. */
  controlMs: number;
  /** The longest way of a record sent within the window, above the shortest of one sent before the event, ms. */
  lateMs: number;
  /** [ms from the event, bytes since the first point], for a plot. */
  curve: [number, number][];
}

/** Reads what `apps/stamped.ts` wrote; times count from `atNs` (CLOCK_MONOTONIC). */
export function readArrivals(file: string, atNs: bigint): Arrivals {
  const lines = readFileSync(file, "utf8").split("\n").slice(1, -1);
  const sent = new Float64Array(lines.length);
  const arrived = new Float64Array(lines.length);
  for (const [i, line] of lines.entries()) {
    const [, from = "", to = ""] = line.split(",");
    sent[i] = Number(BigInt(from) - atNs) / 1e6;
    arrived[i] = Number(BigInt(to) - atNs) / 1e6;
  }
  return { sent, arrived };
}

/** Measures an event at time 0. Throws when the stream was not there around it. */
export function measure(arrivals: Arrivals, windowMs: number, controlMs: number, recordBytes: number): Measure {
  const gaps = gapsWithin(arrivals.arrived, 0, windowMs);
  const before = gapsWithin(arrivals.arrived, -controlMs, 0);
  if (gaps.length === 0 || before.length === 0) throw new Error("the stream was not there around the event");
  gaps.sort((a, b) => b - a);
  return {
    gapMs: gaps[0] as number,
    secondMs: gaps[1] ?? 0,
    stalledMs: gaps.filter((gap) => gap > STALL_MS).reduce((sum, gap) => sum + gap, 0),
    controlMs: Math.max(...before),
    lateMs: Math.max(...ways(arrivals, 0, windowMs)) - Math.min(...ways(arrivals, -controlMs, 0)),
    curve: curve(arrivals.arrived, -controlMs, windowMs, recordBytes),
  };
}

/** Times between successive arrivals that overlap a window. The window's control ends where it begins. */
function gapsWithin(arrived: Float64Array, from: number, to: number): number[] {
  const gaps: number[] = [];
  for (let i = 1; i < arrived.length; i++) {
    const [begin, end] = [arrived[i - 1] as number, arrived[i] as number];
    if (end > from && begin < to && (to !== 0 || end <= to)) gaps.push(end - begin);
  }
  return gaps;
}

/** How long each record sent within a window was under way, ms. */
function ways({ sent, arrived }: Arrivals, from: number, to: number): number[] {
  return Array.from(arrived, (at, i) => at - (sent[i] as number)).filter((_, i) => {
    const at = sent[i] as number;
    return at >= from && at < to;
  });
}

function curve(arrived: Float64Array, from: number, to: number, recordBytes: number): [number, number][] {
  const first = Math.max(
    0,
    arrived.findIndex((at) => at >= from),
  );
  const points: [number, number][] = [];
  for (let i = first; i < arrived.length && (arrived[i] as number) <= to; i++) {
    const [at, next] = [arrived[i] as number, arrived[i + 1]];
    const last = points.at(-1);
    const isLast = next === undefined || next > at + CURVE_STEP_MS;
    if (!last || isLast || at >= last[0] + CURVE_STEP_MS) {
      points.push([Math.round(at * 100) / 100, (i + 1 - first) * recordBytes]);
    }
  }
  const last = points.at(-1);
  if (last) points.push([to, last[1]]);
  return points;
}

/** The observed value that a share of all does not exceed (nearest rank); `share` 0 is the smallest, 1 the largest. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
