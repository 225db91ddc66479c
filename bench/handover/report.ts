// Distributions of what was measured, as a table for a page of documentation and as files.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { quantile } from "./gap.ts";
import type { Sample } from "./run.ts";
import { type Direction, NATIVE, SERIES, type Series, type System } from "./series.ts";

const SHARES = [0, 0.1, 0.5, 0.9, 0.99, 1];

/** All samples of one kind of event, seen by one kind of receiver. */
export interface Group {
  series: Series;
  system: System;
  event: string;
  direction: Direction;
  samples: Sample[];
}

/** Samples of `series`, in the order in which the tables and plots show them. */
export function groupsOf(series: Series, samples: readonly Sample[]): Group[] {
  const events = [...new Set(series.events.map(({ name }) => name))];
  const groups = (["down", "up"] as const).flatMap((direction) =>
    events.flatMap((event) =>
      series.systems.map((system) => {
        const isOwn = (sample: Sample): boolean =>
          sample.series === series.id &&
          sample.system === system.name &&
          sample.event === event &&
          sample.direction === direction;
        return { series, system, event, direction, samples: samples.filter(isOwn) };
      }),
    ),
  );
  return groups.filter((group) => group.samples.length > 0);
}

/** One line per group: the whole distribution, the control beside it, and what is aimed at. */
export function table(samples: readonly Sample[]): string {
  const head =
    "| event | stream | system | runs | min | p10 | p50 | p90 | p99 | max | control p50 / max | late p50 | aim |";
  const lines = [head, "|---|---|---|---|---|---|---|---|---|---|---|---|---|"];
  for (const series of SERIES) {
    const groups = groupsOf(series, samples);
    if (groups.length === 0) continue;
    lines.push(`| **${series.title}** ${"| ".repeat(12)}|`);
    for (const group of groups) lines.push(row(group, groups));
  }
  return lines.join("\n");
}

function row(group: Group, all: readonly Group[]): string {
  const { event, direction, system, samples } = group;
  const gaps = samples.map(({ gapMs }) => gapMs);
  const control = samples.map(({ controlMs }) => controlMs);
  const cells = [
    event,
    direction === "up" ? "upload" : "download",
    system.name,
    `${samples.length}`,
    ...SHARES.map((share) => milliseconds(quantile(gaps, share))),
    `${milliseconds(quantile(control, 0.5))} / ${milliseconds(Math.max(...control))}`,
    milliseconds(
      quantile(
        samples.map(({ lateMs }) => lateMs),
        0.5,
      ),
    ),
    aim(group, all),
  ];
  return `| ${cells.join(" | ")} |`;
}

/** The targets of a group, and which of them are missed. */
function aim(group: Group, all: readonly Group[]): string {
  if (group.system.client !== "shunt") return "";
  const gaps = group.samples.map(({ gapMs }) => gapMs);
  const observed = { p50: quantile(gaps, 0.5), max: Math.max(...gaps) };
  const event = group.series.events.find(({ name }) => name === group.event);
  const target = { ...(event && group.series.target(event, group.system)) };
  const parts = judge(observed, target, "");
  const isPeer = ({ system, event, direction }: Group): boolean =>
    system === NATIVE && event === group.event && direction === group.direction;
  const native = group.series.againstNative ? all.find(isPeer) : undefined;
  if (native) {
    const reference = native.samples.map(({ gapMs }) => gapMs);
    parts.push(...judge(observed, { p50: quantile(reference, 0.5), max: Math.max(...reference) }, " of native"));
  }
  return parts.join(", ");
}

type Bounds = { p50?: number; max?: number };

function judge(observed: Required<Bounds>, bounds: Bounds, whose: string): string[] {
  return (["p50", "max"] as const).flatMap((key) => {
    const bound = bounds[key];
    if (bound === undefined) return [];
    return [`${key} ≤ ${bound.toFixed(0)}${whose}${observed[key] <= bound ? "" : " **missed**"}`];
  });
}

function milliseconds(value: number): string {
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}

const CSV_COLUMNS = ["series", "system", "direction", "event", "run", "gapMs", "secondMs", "stalledMs"] as const;
const MORE_COLUMNS = ["controlMs", "lateMs", "tookMs"] as const;

/** Every sample, without its curve. */
export function writeCsv(file: string, samples: readonly Sample[]): void {
  const columns = [...CSV_COLUMNS, ...MORE_COLUMNS];
  const cell = (value: string | number): string => (typeof value === "number" ? `${+value.toFixed(3)}` : value);
  const lines = samples.map((sample) => columns.map((column) => cell(sample[column])).join(","));
  writeFileSync(file, `${[columns.join(","), ...lines].join("\n")}\n`);
}

/** Samples of earlier invocations, less those of series that are being measured anew. */
export function readSamples(file: string, without: readonly Series[]): Sample[] {
  if (!existsSync(file)) return [];
  const samples = JSON.parse(readFileSync(file, "utf8")) as Sample[];
  return samples.filter(({ series }) => !without.some(({ id }) => id === series));
}

/** Every sample; the curve of each group's median and of its worst are enough to draw. */
export function writeSamples(file: string, samples: readonly Sample[]): void {
  mkdirSync(dirname(file), { recursive: true });
  const drawn = new Set<Sample>();
  for (const group of SERIES.flatMap((series) => groupsOf(series, samples))) {
    drawn.add(atShare(group, 0.5));
    drawn.add(atShare(group, 1));
  }
  const kept = samples.map((sample) => (drawn.has(sample) ? sample : { ...sample, curve: [] }));
  writeFileSync(file, `[\n${kept.map((sample) => JSON.stringify(sample)).join(",\n")}\n]\n`);
}

/** The sample whose gap is that quantile of its group. */
export function atShare({ samples }: Group, share: number): Sample {
  const gap = quantile(
    samples.map(({ gapMs }) => gapMs),
    share,
  );
  return samples.find(({ gapMs }) => gapMs === gap) as Sample;
}
