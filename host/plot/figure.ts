// The picture of a handover: an overview of the whole transfer, and below it each handover enlarged. Drawn for a reader
// who has never heard of this program: position in the stream against time, one colour per network.
import * as Plot from "@observablehq/plot";
import {
  type ConnectionTrace,
  type HandoverMark,
  longestPause,
  longestPauseElsewhere,
  type TracePoint,
  thin,
} from "./series.ts";
import {
  type Box,
  COLOURS,
  type Document,
  INK,
  newDocument,
  place,
  QUIET,
  svgText,
  text,
  UNKNOWN_COLOUR,
} from "./svg.ts";

export interface FigureOptions {
  title: string;
  /** Part of the trace that is drawn, in seconds; null = all of it. */
  fromS: number | null;
  toS: number | null;
}

const WIDTH = 1040;
const MARGIN = 28;
const HEAD_HEIGHT = 108;
const OVERVIEW_HEIGHT = 330;
const ZOOM_HEIGHT = 330;
const ZOOM_TITLE_HEIGHT = 52;
const GUTTER = 24;
/** A zoomed panel shows this much before and after its handover. */
const ZOOM_S = 0.3;
/** More handovers than this are marked in the overview only. */
const ZOOMS_MAX = 6;
const ASKED_DASHES = "5 4";
const DONE_DASHES = "1.5 3";
const MEGABYTE = 1e6;

/** A complete SVG document. */
export function figure(trace: ConnectionTrace, options: FigureOptions): string {
  const document = newDocument();
  const zooms = trace.handovers.filter((mark) => inRange(mark.timeS, options.fromS, options.toS)).slice(0, ZOOMS_MAX);
  const zoomRows = Math.ceil(zooms.length / 2);
  const height = HEAD_HEIGHT + OVERVIEW_HEIGHT + zoomRows * (ZOOM_HEIGHT + ZOOM_TITLE_HEIGHT) + MARGIN;
  const parts = [
    text(MARGIN, 34, options.title, 20, INK, "bold"),
    text(MARGIN, 58, caption(trace), 13, QUIET),
    legend(trace, 86),
    overview(document, trace, options, { x: 0, y: HEAD_HEIGHT, width: WIDTH, height: OVERVIEW_HEIGHT }),
  ];
  const zoomWidth = (WIDTH - GUTTER) / 2;
  for (const [index, mark] of zooms.entries()) {
    const row = Math.floor(index / 2);
    const box = {
      x: (index % 2) * (zoomWidth + GUTTER),
      y: HEAD_HEIGHT + OVERVIEW_HEIGHT + row * (ZOOM_HEIGHT + ZOOM_TITLE_HEIGHT),
      width: zoomWidth,
      height: ZOOM_HEIGHT,
    };
    parts.push(zoom(document, trace, mark, index + 1, box));
  }
  return svgText({ title: options.title, width: WIDTH, height }, parts);
}

function caption(trace: ConnectionTrace): string {
  const what = trace.direction === "received" ? "a download" : "an upload";
  return `Every dot is a packet of ${what}, placed by time and by its place in the file; its colour is the network that carried it.`;
}

function inRange(timeS: number, fromS: number | null, toS: number | null): boolean {
  return (fromS === null || timeS >= fromS) && (toS === null || timeS <= toS);
}

function colourOf(trace: ConnectionTrace, path: string): string {
  return COLOURS[trace.paths.indexOf(path)] ?? UNKNOWN_COLOUR;
}

function legend(trace: ConnectionTrace, y: number): string {
  const parts: string[] = [];
  let x = MARGIN;
  const entry = (symbol: string, label: string) => {
    parts.push(symbol, text(x + 14, y + 4, label, 13, INK));
    x += 14 + label.length * 7.3 + 22;
  };
  for (const path of trace.paths) {
    entry(`<circle cx="${x + 5}" cy="${y}" r="4.5" fill="${colourOf(trace, path)}"/>`, `data over ${path}`);
  }
  for (const path of trace.paths) {
    const colour = colourOf(trace, path);
    entry(
      `<circle cx="${x + 5}" cy="${y}" r="4" fill="white" stroke="${colour}" stroke-width="1.3"/>`,
      `acknowledgement over ${path}`,
    );
  }
  const upright = (dashes: string, colour: string) =>
    `<line x1="${x + 6}" x2="${x + 6}" y1="${y - 9}" y2="${y + 9}" stroke="${colour}" stroke-width="1.4" stroke-dasharray="${dashes}"/>`;
  if (trace.handovers.length > 0) entry(upright(ASKED_DASHES, INK), "move begins");
  if (trace.handovers.some((mark) => mark.doneS !== null)) entry(upright(DONE_DASHES, QUIET), "move done");
  return parts.join("\n");
}

function overview(document: Document, trace: ConnectionTrace, options: FigureOptions, box: Box): string {
  const points = trace.points.filter((point) => inRange(point.timeS, options.fromS, options.toS));
  const marks = trace.handovers.filter((mark) => inRange(mark.timeS, options.fromS, options.toS));
  const highest = points.reduce((top, point) => Math.max(top, point.position), 0) / MEGABYTE;
  const plot = Plot.plot({
    document,
    width: box.width,
    height: box.height,
    marginLeft: 74,
    marginRight: MARGIN,
    marginTop: 26,
    marginBottom: 44,
    x: { label: "time (seconds)", labelAnchor: "center", labelArrow: "none", grid: true },
    y: { label: "position in the stream (MB)", labelAnchor: "center", labelArrow: "none", grid: true, nice: true },
    marks: [
      Plot.ruleX(marks, { x: "timeS", stroke: INK, strokeWidth: 1.2, strokeDasharray: ASKED_DASHES }),
      ...dots(trace, thin(points, box), 1.4),
      Plot.text(marks, {
        x: "timeS",
        y: highest,
        text: (mark: HandoverMark, index: number) => `${index + 1}: ${mark.from} → ${mark.to}`,
        textAnchor: "start",
        dx: 6,
        dy: -4,
        fill: INK,
        fontSize: 13,
        fontWeight: "bold",
        stroke: "white",
        strokeWidth: 4,
      }),
    ],
  });
  return place(plot, box);
}

function zoom(document: Document, trace: ConnectionTrace, mark: HandoverMark, number: number, box: Box): string {
  const from = mark.timeS - ZOOM_S;
  const to = mark.timeS + ZOOM_S;
  const points = trace.points
    .filter((point) => point.timeS >= from && point.timeS <= to)
    .map((point) => ({ ...point, timeS: (point.timeS - mark.timeS) * 1000 }));
  const pause = `longest pause ${pauseMs(longestPause(trace.points, mark.timeS, to))}`;
  const usual = `in the rest of the transfer ${pauseMs(longestPauseElsewhere(trace, ZOOM_S))}`;
  const rules = mark.doneS === null ? [] : [(mark.doneS - mark.timeS) * 1000].filter((ms) => ms <= ZOOM_S * 1000);
  const plot = Plot.plot({
    document,
    width: box.width,
    height: box.height,
    marginLeft: 74,
    marginRight: MARGIN,
    marginTop: 10,
    marginBottom: 44,
    x: {
      label: "milliseconds from the handover",
      labelAnchor: "center",
      labelArrow: "none",
      domain: [-ZOOM_S * 1000, ZOOM_S * 1000],
      grid: true,
      ticks: 7,
    },
    y: { label: "MB", labelAnchor: "center", labelArrow: "none", grid: true, tickFormat: ".1f", ticks: 6 },
    marks: [
      Plot.ruleX([0], { stroke: INK, strokeWidth: 1.4, strokeDasharray: ASKED_DASHES }),
      Plot.ruleX(rules, { stroke: QUIET, strokeWidth: 1.2, strokeDasharray: DONE_DASHES }),
      ...dots(trace, thin(points, box), 1.5),
    ],
  });
  const title = `Handover ${number}: ${mark.from} → ${mark.to}, at ${mark.timeS.toFixed(1)} s`;
  return [
    text(box.x + MARGIN, box.y + 22, title, 15, INK, "bold"),
    text(box.x + MARGIN, box.y + 42, `${pause} (${usual})`, 13, QUIET),
    place(plot, { ...box, y: box.y + ZOOM_TITLE_HEIGHT }),
  ].join("\n");
}

function pauseMs(seconds: number): string {
  return `${(seconds * 1000).toFixed(0)} ms`;
}

/** Data as filled dots over acknowledgements as rings, both in the colour of their path. */
function dots(trace: ConnectionTrace, points: TracePoint[], radius: number) {
  const kind = (wanted: TracePoint["kind"]) => points.filter((point) => point.kind === wanted);
  const place = { x: "timeS", y: (point: TracePoint) => point.position / MEGABYTE };
  const colour = (point: TracePoint) => colourOf(trace, point.path);
  return [
    Plot.dot(kind("ack"), { ...place, r: radius * 2.1, stroke: colour, strokeWidth: 0.8, strokeOpacity: 0.5 }),
    Plot.dot(kind("data"), { ...place, r: radius, fill: colour, fillOpacity: 0.9 }),
  ];
}
