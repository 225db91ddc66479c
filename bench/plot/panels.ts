// Pictures of several panels: plots in two columns under one title and one legend, a colour per network.

import * as Plot from "@observablehq/plot";
import { type TracePoint, thin } from "../../host/plot/series.ts";
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
} from "../../host/plot/svg.ts";

const WIDTH = 1040;
const MARGIN = 28;
const GUTTER = 24;
const HEAD_HEIGHT = 100;
const PANEL_HEIGHT = 300;
const PANEL_TITLE_HEIGHT = 50;
/** Between a row of panels and the next. */
const ROW_GAP = 18;
export const PATH_COLOURS: Record<string, string> = { wifi: COLOURS[0] as string, ethernet: COLOURS[1] as string };
export const MEGABYTE = 1e6;

/** One plot of a picture. */
export interface Panel {
  title: string;
  subtitle: string;
  draw: (document: Document, box: Box) => ReturnType<typeof Plot.plot>;
}

/** Panels in two columns under a title and a legend; null without panels. */
export function picture(title: string, legend: (y: number) => string, panels: readonly Panel[]): string | null {
  if (panels.length === 0) return null;
  const document = newDocument();
  const columns = Math.min(2, panels.length);
  const width = (WIDTH - GUTTER * (columns - 1)) / columns;
  const rowHeight = PANEL_HEIGHT + PANEL_TITLE_HEIGHT + ROW_GAP;
  const parts = panels.map((panel, index) => {
    const x = (index % columns) * (width + GUTTER);
    const y = HEAD_HEIGHT + Math.floor(index / columns) * rowHeight;
    const box = { x, y: y + PANEL_TITLE_HEIGHT, width, height: PANEL_HEIGHT };
    return [
      text(x + MARGIN, y + 20, panel.title, 15, INK, "bold"),
      text(x + MARGIN, y + 40, panel.subtitle, 12, QUIET),
      place(panel.draw(document, box), box),
    ].join("\n");
  });
  const height = HEAD_HEIGHT + Math.ceil(panels.length / columns) * rowHeight + MARGIN;
  return svgText({ title, width: WIDTH, height }, [text(MARGIN, 36, title, 20, INK, "bold"), legend(70), ...parts]);
}

/** Symbols and words in a row. */
export function row(y: number, entries: [symbol: (x: number) => string, label: string][]): string {
  let x = MARGIN;
  return entries
    .map(([symbol, label]) => {
      const parts = `${symbol(x)}${text(x + 26, y + 4, label, 13, INK)}`;
      x += 26 + label.length * 7.3 + 22;
      return parts;
    })
    .join("\n");
}

export function traceLegend(y: number): string {
  const data = (colour: string) => (x: number) => `<circle cx="${x + 10}" cy="${y}" r="4" fill="${colour}"/>`;
  const ack = (colour: string) => (x: number) =>
    `<circle cx="${x + 10}" cy="${y}" r="4" fill="white" stroke="${colour}" stroke-width="1.3"/>`;
  const paths = Object.entries(PATH_COLOURS);
  return row(y, [
    ...paths.map(([path, colour]): [(x: number) => string, string] => [data(colour), `data over ${path} (DSN)`]),
    ...paths.map(([path, colour]): [(x: number) => string, string] => [ack(colour), `acknowledged over ${path} (DAN)`]),
  ]);
}

/** A line in a legend. */
export function strokeSymbol(colour: string, y: number): (x: number) => string {
  return (x) => `<line x1="${x}" x2="${x + 20}" y1="${y}" y2="${y}" stroke="${colour}" stroke-width="2.4"/>`;
}

/** Data as dots over acknowledgements as rings, in the colours of their paths. Times are in the panel's unit. */
export function traceDots(seen: readonly TracePoint[], box: Box) {
  const points = thin(seen, box);
  const at = { x: "timeS", y: (point: { position: number }) => point.position / MEGABYTE };
  const colour = (point: { path: string }) => PATH_COLOURS[point.path] ?? QUIET;
  const of = (kind: string) => points.filter((point) => point.kind === kind);
  return [
    Plot.dot(of("ack"), { ...at, r: 3.2, stroke: colour, strokeWidth: 0.8, strokeOpacity: 0.5 }),
    Plot.dot(of("data"), { ...at, r: 1.5, fill: colour, fillOpacity: 0.9 }),
  ];
}

/** Size and margins of a panel's plot. */
export function frame(document: Document, box: Box) {
  const margins = { marginLeft: 74, marginRight: 16, marginTop: 10, marginBottom: 44 };
  return { document, width: box.width, height: box.height, ...margins };
}

/** A plain axis with a grid. */
export function axis(label: string) {
  return { label, labelAnchor: "center", labelArrow: "none", grid: true } as const;
}
