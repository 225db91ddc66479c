// The picture of a multipath reception: what each path carried over time, and a piece of it packet by packet (the
// paper's Figure 10).

import * as Plot from "@observablehq/plot";
import { busiestConnection, connectionTrace, readNotes, readTrace, type TracePoint } from "../../host/plot/series.ts";
import { INK, QUIET } from "../../host/plot/svg.ts";
import { axis, frame, PATH_COLOURS, type Panel, picture, row, strokeSymbol, traceDots } from "../plot/panels.ts";
import type { Look, Sample } from "./stand.ts";

/** Rates are means over this long, seconds. */
const MEAN_S = 0.25;
const BOTH = "both together";

interface Rate {
  s: number;
  mbit: number;
  what: string;
}

/** One run of one system. */
export interface Curve {
  title: string;
  sample: Sample;
  /** Median of the same system over one path, Mbit/s. */
  single: number;
}

/** Draws runs, and what the client's proxy recorded of one. */
export async function multipathPicture(curves: readonly Curve[], trace: string): Promise<string> {
  const panels = [...curves.map(ratesPanel), ...(await tracePanels(trace))];
  return picture("A native MPTCP sender on two paths at once: download", legend, panels) ?? "";
}

function ratesOf(looks: readonly Look[]): Rate[] {
  return looks.flatMap((look) => {
    const earlier = looks.findLast(({ s }) => s <= look.s - MEAN_S);
    if (!earlier) return [];
    const mbit = (bytes: number) => (bytes * 8) / 1e6 / (look.s - earlier.s);
    const [wifi, ethernet] = [mbit(look.wifi - earlier.wifi), mbit(look.ethernet - earlier.ethernet)];
    return Object.entries({ wifi, ethernet, [BOTH]: wifi + ethernet }).map(([what, rate]) => ({
      s: look.s,
      mbit: rate,
      what,
    }));
  });
}

function ratesPanel({ title, sample, single }: Curve): Panel {
  const rates = ratesOf(sample.looks);
  return {
    title,
    subtitle: `${sample.mbit.toFixed(1)} Mbit/s at the program; over one path ${single.toFixed(1)} (dashed)`,
    draw: (document, box) =>
      Plot.plot({
        ...frame(document, box),
        x: axis("seconds"),
        y: { ...axis("Mbit/s"), zero: true, ticks: 6 },
        marks: [
          Plot.ruleY([single], { stroke: QUIET, strokeDasharray: "5 4" }),
          Plot.line(rates, { x: "s", y: "mbit", z: "what", stroke: colourOf, strokeWidth: 1.8 }),
        ],
      }),
  };
}

function colourOf({ what }: { what: string }): string {
  return PATH_COLOURS[what] ?? INK;
}

/** The recorded piece as a whole, and its middle tenth. */
async function tracePanels(file: string): Promise<Panel[]> {
  const { startUs, entries } = await readTrace(file);
  const { points } = connectionTrace(entries, startUs, readNotes(file), busiestConnection(entries) ?? "");
  const [first = 0, last = 0] = [points[0]?.timeS, points.at(-1)?.timeS];
  const middle = (first + last) / 2;
  const tenth = (last - first) / 20;
  return [
    tracePanel("packet by packet at the client's proxy", points, first, last),
    tracePanel("the same, a tenth of it", points, middle - tenth, middle + tenth),
  ];
}

function tracePanel(title: string, all: readonly TracePoint[], fromS: number, toS: number): Panel {
  const seen = all.filter(({ timeS }) => timeS >= fromS && timeS <= toS);
  const base = Math.min(...seen.map(({ position }) => position));
  const points = seen.map(({ timeS, position, ...point }) => {
    return { timeS: (timeS - fromS) * 1000, position: position - base, ...point };
  });
  return {
    title,
    subtitle: "dots: data (DSN); rings: data acknowledgements (DAN)",
    draw: (document, box) =>
      Plot.plot({
        ...frame(document, box),
        x: axis("milliseconds"),
        y: { ...axis("place in the stream (MB)"), ticks: 6 },
        marks: traceDots(points, box),
      }),
  };
}

function legend(y: number): string {
  const colours = [...Object.entries(PATH_COLOURS), [BOTH, INK] as const];
  return row(
    y,
    colours.map(([what, colour]) => [strokeSymbol(colour, y), what]),
  );
}
