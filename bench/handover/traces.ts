// What the client's proxy saw of a download around an event, packet by packet: the paper's Figures 8 and 9 are such.

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { busiestConnection, connectionTrace, readNotes, readTrace } from "../../host/plot/series.ts";
import { performRun } from "./run.ts";
import { MIXED, type Series, type System } from "./series.ts";
import { Stand, type StandOptions } from "./stand.ts";

/** What is kept of a trace before and behind an event, ms. */
const BEFORE_MS = 200;
const BEHIND_MS = 900;

export interface TracedPoint {
  /** From the event. */
  ms: number;
  /** Place in the stream, bytes. */
  position: number;
  path: string;
  kind: "data" | "ack";
}

/** One event of a run that was recorded, and not counted among the others. */
export interface TracedEvent {
  series: string;
  system: string;
  event: string;
  from: string;
  to: string;
  gapMs: number;
  points: TracedPoint[];
}

/** Records one run of each system with a proxied client; make-before-break also against a native peer. */
export async function tracedRuns(
  series: Series,
  stands: readonly Stand[],
  options: StandOptions,
): Promise<TracedEvent[]> {
  const traced: TracedEvent[] = [];
  for (const stand of stands.filter(({ daemon }) => daemon)) traced.push(...(await tracedRun(stand)));
  if (series.id !== "mbb") return traced;
  const mixed = await Stand.open(series, MIXED, options);
  try {
    return [...traced, ...(await tracedRun(mixed))];
  } finally {
    await mixed.close();
  }
}

async function tracedRun(stand: Stand): Promise<TracedEvent[]> {
  const file = join(stand.lab.directory, "trace");
  try {
    const samples = await performRun(stand, 0, { directions: ["down"], trace: file });
    const { startUs, entries } = await readTrace(file);
    const { points } = connectionTrace(entries, startUs, readNotes(file), busiestConnection(entries) ?? "");
    return samples.map(({ atNs, gapMs }, index) => {
      const { name: event, to } = stand.series.events[index] as Series["events"][number];
      const offsetMs = (Number(atNs) / 1e3 - startUs) / 1e3;
      const near = points.map(({ timeS, ...point }) => ({ ms: round(timeS * 1e3 - offsetMs), ...point }));
      const kept = near.filter(({ ms }) => ms >= -BEFORE_MS && ms <= BEHIND_MS);
      const from = to === "wifi" ? "ethernet" : "wifi";
      return { series: stand.series.id, system: stand.system.name, event, from, to, gapMs, points: kept };
    });
  } catch (error) {
    console.log(`    no trace of ${stand.system.name}: ${(error as Error).message}`);
    return [];
  } finally {
    stand.restoreLater();
    rmSync(file, { force: true });
  }
}

function round(ms: number): number {
  return Math.round(ms * 1e3) / 1e3;
}

/** Traces of earlier invocations, less those of series that are recorded anew. */
export function readTraces(file: string, without: readonly Series[]): TracedEvent[] {
  if (!existsSync(file)) return [];
  const traces = JSON.parse(readFileSync(file, "utf8")) as TracedEvent[];
  return traces.filter(({ series }) => !without.some(({ id }) => id === series));
}

export function writeTraces(file: string, traces: readonly TracedEvent[]): void {
  writeFileSync(file, `[\n${traces.map((trace) => JSON.stringify(trace)).join(",\n")}\n]\n`);
}

/** The traces of a series and a system, in the order of its events. */
export function tracesOf(traces: readonly TracedEvent[], series: string, system: System): TracedEvent[] {
  return traces.filter((trace) => trace.series === series && trace.system === system.name);
}
