// Pictures of the results: traces in the form of the paper's Figures 8 and 9, what the receiving program got, and the
// distributions.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as Plot from "@observablehq/plot";
import { COLOURS, INK } from "../../host/plot/svg.ts";
import {
  axis,
  frame,
  MEGABYTE,
  type Panel,
  picture,
  row,
  strokeSymbol,
  traceDots,
  traceLegend,
} from "../plot/panels.ts";
import { quantile } from "./gap.ts";
import { atShare, type Group, groupsOf } from "./report.ts";
import type { Sample } from "./run.ts";
import { MIXED, NATIVE, PROXIED, SERIES, type System } from "./series.ts";
import { type TracedEvent, tracesOf } from "./traces.ts";

const SYSTEM_COLOURS = new Map([
  [PROXIED.name, COLOURS[0] as string],
  [MIXED.name, COLOURS[2] as string],
  [NATIVE.name, COLOURS[4] as string],
]);
const CONTROL_COLOUR = "#9aa0a6";

/** Draws whatever there are samples or traces for. */
export function drawAll(samples: readonly Sample[], traces: readonly TracedEvent[], directory: string): void {
  const write = (name: string, picture: string | null): void => {
    if (picture === null) return;
    writeFileSync(join(directory, name), picture);
    console.log(`  wrote ${join(directory, name)}`);
  };
  write("handover-move.svg", figure8(traces));
  write("handover-break.svg", figure9(traces));
  for (const direction of ["down", "up"] as const) {
    write(`handover-stream-${direction}.svg`, streams(samples, direction));
    write(`handover-gaps-${direction}.svg`, distributions(samples, direction));
  }
}

/** Make-before-break: there and back, both ends proxied and against a native peer. */
function figure8(traces: readonly TracedEvent[]): string | null {
  const rows = [PROXIED, MIXED].flatMap((system) => tracesOf(traces, "mbb", system));
  const panels = rows.map((trace) => tracePanel(trace, trace.system, -100, 200));
  return picture("Make-before-break: data and data acknowledgements at the client's proxy", traceLegend, panels);
}

/** Break-before-make, and the silent blackhole. */
function figure9(traces: readonly TracedEvent[]): string | null {
  const titles: Record<string, string> = {
    "bbm-sack": "link down, with SACK",
    "bbm-nosack": "link down, without SACK",
    late: "link down, standby joined after it",
    blackhole: "silent blackhole",
  };
  const panels = Object.entries(titles).flatMap(([id, title]) =>
    tracesOf(traces, id, PROXIED).map((trace) => tracePanel(trace, title, -100, 500)),
  );
  return picture("Break-before-make: data and data acknowledgements at the client's proxy", traceLegend, panels);
}

function tracePanel(trace: TracedEvent, what: string, fromMs: number, toMs: number): Panel {
  const seen = trace.points.filter(({ ms }) => ms >= fromMs && ms <= toMs);
  const base = seen.reduce((lowest, { position }) => Math.min(lowest, position), Number.POSITIVE_INFINITY);
  return {
    title: `${what}: ${trace.from} → ${trace.to}`,
    subtitle: `longest gap between in-order data at the program: ${trace.gapMs.toFixed(0)} ms`,
    draw: (document, box) => {
      const points = seen.map(({ ms, position, ...point }) => ({ timeS: ms, position: position - base, ...point }));
      return Plot.plot({
        ...frame(document, box),
        x: timeScale(fromMs, toMs),
        y: { ...axis("place in the stream (MB)"), tickFormat: ".1f", ticks: 6 },
        marks: [eventRule(), ...traceDots(points, box)],
      });
    },
  };
}

/** What the receiving program had got by when: the median run of each system. */
function streams(samples: readonly Sample[], direction: string): string | null {
  const panels = eventGroups(samples, direction).map((groups): Panel => {
    const { series, event } = groups[0] as Group;
    const curves = groups.flatMap((group) => {
      const { curve } = atShare(group, 0.5);
      const start = curve.findLast(([ms]) => ms <= 0)?.[1] ?? 0;
      return curve.map(([ms, bytes]) => ({ ms, position: (bytes - start) / MEGABYTE, system: group.system.name }));
    });
    const [fromMs, toMs] = [-100, series.windowMs];
    return {
      title: panelTitle(series.title, event, series.events.length),
      subtitle: `median runs, longest gap ${each(groups, gapOf)} ms`,
      draw: (document, box) =>
        Plot.plot({
          ...frame(document, box),
          x: timeScale(fromMs, toMs),
          y: { ...axis("received since the event (MB)"), ticks: 6 },
          marks: [
            eventRule(),
            Plot.line(
              curves.filter(({ ms }) => ms >= fromMs && ms <= toMs),
              { x: "ms", y: "position", stroke: systemColour, z: "system", curve: "step-after", strokeWidth: 1.8 },
            ),
          ],
        }),
    };
  });
  const way = direction === "up" ? "upload" : "download";
  return picture(`What the receiving program got around the event: ${way}, 20 Mbit/s`, systemLegend(false), panels);
}

/** One word per system, in the order of the legend. */
function each(groups: readonly Group[], word: (samples: readonly Sample[]) => string): string {
  return groups.map(({ samples }) => word(samples)).join(" / ");
}

function gapOf(samples: readonly Sample[]): string {
  const gaps = samples.map(({ gapMs }) => gapMs);
  return quantile(gaps, 0.5).toFixed(0);
}

/** Distributions of the longest gap, as steps. */
function distributions(samples: readonly Sample[], direction: string): string | null {
  const panels = eventGroups(samples, direction).map((groups): Panel => {
    const { series, event } = groups[0] as Group;
    const control = groups.flatMap(({ samples: all }) => all.map(({ controlMs }) => controlMs));
    const steps = [
      ...stepsOf(control, ""),
      ...groups.flatMap(({ system, samples: all }) =>
        stepsOf(
          all.map(({ gapMs }) => gapMs),
          system.name,
        ),
      ),
    ];
    const highest = Math.max(1000, ...steps.map(({ ms }) => ms));
    return {
      title: panelTitle(series.title, event, series.events.length),
      subtitle: `${each(groups, (all) => `${all.length}`)} runs, median ${each(groups, gapOf)} ms`,
      draw: (document, box) =>
        Plot.plot({
          ...frame(document, box),
          x: {
            ...axis("longest gap (ms)"),
            type: "log",
            domain: [1, highest],
            ticks: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].filter((ms) => ms <= highest),
            tickFormat: (ms: number) => `${ms}`,
          },
          y: { ...axis("share of runs"), domain: [0, 1], ticks: 5, tickFormat: ".0%" },
          marks: [Plot.line(steps, { x: "ms", y: "share", stroke: systemColour, z: "system", strokeWidth: 1.8 })],
        }),
    };
  });
  const way = direction === "up" ? "upload" : "download";
  return picture(`How long the receiving program waited: ${way}, 20 Mbit/s`, systemLegend(true), panels);
}

/** Corners of a distribution's stairs, from the left edge to the top. */
function stepsOf(values: readonly number[], system: string): { ms: number; share: number; system: string }[] {
  const sorted = values.map((value) => Math.max(1, value)).toSorted((a, b) => a - b);
  return sorted.flatMap((ms, index) => [
    { ms, share: index / sorted.length, system },
    { ms, share: (index + 1) / sorted.length, system },
  ]);
}

/** Groups that belong into one panel: the systems of an event. */
function eventGroups(samples: readonly Sample[], direction: string): Group[][] {
  return SERIES.flatMap((series) => {
    const groups = groupsOf(series, samples).filter((group) => group.direction === direction);
    return [...new Set(groups.map(({ event }) => event))].map((event) =>
      groups.filter((group) => group.event === event),
    );
  });
}

function panelTitle(series: string, event: string, events: number): string {
  return events > 1 && event.includes("→") ? `make-before-break, ${event}` : series;
}

function systemColour({ system }: { system: string }): string {
  return SYSTEM_COLOURS.get(system) ?? CONTROL_COLOUR;
}

function timeScale(fromMs: number, toMs: number) {
  return { ...axis("milliseconds from the event"), domain: [fromMs, toMs], ticks: 7 };
}

function eventRule() {
  return Plot.ruleX([0], { stroke: INK, strokeWidth: 1.3, strokeDasharray: "5 4" });
}

function systemLegend(withControl: boolean): (y: number) => string {
  const entries: [System | null, string, string][] = [PROXIED, MIXED, NATIVE].map((system) => [
    system,
    system.name,
    SYSTEM_COLOURS.get(system.name) as string,
  ]);
  if (withControl) entries.push([null, "the same streams without a handover", CONTROL_COLOUR]);
  return (y) =>
    row(
      y,
      entries.map(([, label, colour]) => [strokeSymbol(colour, y), label]),
    );
}
