// The picture of a timeline: who carried the data on top, below it what was decided and why, below that what the policy
// was told. One axis of time for all.
import * as Plot from "@observablehq/plot";
import {
  COLOURS,
  type Document,
  INK,
  newDocument,
  place,
  QUIET,
  svgText,
  text,
  UNKNOWN_COLOUR,
} from "../../plot/svg.ts";
import { type Chart, chartsOf, type Sample } from "./charts.ts";
import { type Place, placeLabels } from "./labels.ts";
import type { DecisionMark, Span, Timeline } from "./timeline.ts";
import { valueAt } from "./track.ts";

const WIDTH = 1040;
const LEFT = 148;
const RIGHT = 24;
const HEAD_HEIGHT = 96;
const LANE_HEIGHT = 30;
const BAND_HEIGHT = 18;
const LABEL_HEIGHT = 17;
const LABEL_ROWS_MAX = 6;
const CHART_HEIGHT = 96;
const AXIS_HEIGHT = 44;
const SECTION_GAP = 26;
const REFUSED = "#b00020";
const GROUND = "#eceff1";

type Scale = (atS: number) => number;

/** A complete SVG document. */
export function timelineFigure(timeline: Timeline): string {
  const { scenario, policy } = timeline;
  const scale: Scale = (atS) => LEFT + (atS / scenario.durationS) * (WIDTH - LEFT - RIGHT);
  const document = newDocument();
  const title = `${scenario.title}: ${policy}`;
  const head = [text(24, 34, title, 20, INK, "bold"), text(24, 56, summary(timeline), 13, QUIET), legend(timeline, 80)];
  const lanes = lanesOf(timeline, scale, HEAD_HEIGHT + 12);
  const marks = decisionsOf(timeline, scale, lanes.bottom + SECTION_GAP);
  const charts = chartsOf(timeline);
  let y = marks.bottom + SECTION_GAP;
  const bottom = y + charts.length * CHART_HEIGHT;
  const moves = timeline.moves.map(({ atS }) => rule(scale(atS), HEAD_HEIGHT + 8, bottom));
  const parts = [...head, ...lanes.parts, ...moves, ...marks.parts];
  for (const chart of charts) {
    parts.push(text(24, y + 16, chart.title, 13, INK, "bold"), text(24, y + 33, chart.unit, 12, QUIET));
    parts.push(drawChart(document, timeline, chart, y));
    y += CHART_HEIGHT;
  }
  parts.push(axis(document, scenario.durationS, y));
  return svgText({ title, width: WIDTH, height: y + AXIS_HEIGHT }, parts);
}

function summary({ moves, decisions, stalls, scenario }: Timeline): string {
  const refused = decisions.filter(({ refusal }) => refusal !== "none").length;
  const stalledMs = Math.round(stalls.reduce((sum, { fromS, toS }) => sum + (toS - fromS), 0) * 1000);
  const count = (number: number, what: string) => `${number} ${what}${number === 1 ? "" : "s"}`;
  return [
    `${scenario.durationS} s of virtual time`,
    count(decisions.length, "decision"),
    count(moves.length, "move"),
    `${refused} refused`,
    stalledMs === 0 ? "never without a path that carries" : `${stalledMs} ms without a path that carries`,
  ].join(" · ");
}

export function colourOf(timeline: Timeline, path: string): string {
  return COLOURS[timeline.scenario.paths.findIndex(({ config }) => config.name === path)] ?? UNKNOWN_COLOUR;
}

function legend(timeline: Timeline, y: number): string {
  const parts: string[] = [];
  let x = 24;
  const entry = (symbol: (x: number) => string, width: number, label: string) => {
    parts.push(symbol(x), text(x + width + 6, y + 4, label, 12, INK));
    x += width + 6 + label.length * 6.6 + 20;
  };
  const band = (height: number, fill: string, opacity: number) => (at: number) =>
    `<rect x="${at}" y="${y - height / 2}" width="22" height="${height}" fill="${fill}" fill-opacity="${opacity}"/>`;
  const [first = ""] = timeline.scenario.paths.map(({ config }) => config.name);
  entry(band(BAND_HEIGHT - 4, colourOf(timeline, first), 1), 22, "carries the data");
  entry(band(8, colourOf(timeline, first), 0.35), 22, "joined");
  entry(band(2, UNKNOWN_COLOUR, 1), 22, "up");
  entry((at) => hatch(at, y - 6, 22, 12), 22, "silent");
  entry((at) => `<circle cx="${at + 5}" cy="${y}" r="4.5" fill="${INK}"/>`, 10, "decision that changes something");
  if (timeline.decisions.some(({ refusal }) => refusal !== "none")) entry((at) => cross(at + 5, y), 10, "refused");
  entry((at) => rule(at + 3, y - 9, y + 9), 6, "data moves");
  return parts.join("\n");
}

function rule(x: number, fromY: number, toY: number): string {
  return `<line x1="${n(x)}" x2="${n(x)}" y1="${fromY}" y2="${n(toY)}" stroke="${INK}" stroke-opacity="0.55" stroke-dasharray="4 3"/>`;
}

function cross(x: number, y: number): string {
  return `<path d="M${n(x - 4)},${y - 4}l8,8m0,-8l-8,8" stroke="${REFUSED}" stroke-width="2" fill="none"/>`;
}

function hatch(x: number, y: number, width: number, height: number): string {
  const lines = Array.from({ length: Math.floor(width / 5) }, (_, i) => `M${n(x + i * 5)},${y + height}l5,${-height}`);
  return `<path d="${lines.join("")}" stroke="${QUIET}" stroke-width="1" fill="none"/>`;
}

function n(value: number): string {
  return value.toFixed(1);
}

/** One lane per path: a line while it is up, a band while it is joined, a broad one while it carries the data. */
function lanesOf(timeline: Timeline, scale: Scale, top: number): { parts: string[]; bottom: number } {
  const { paths, durationS } = timeline.scenario;
  const parts = paths.flatMap(({ config, up, silent }, index) => {
    const y = top + index * LANE_HEIGHT + LANE_HEIGHT / 2;
    const colour = colourOf(timeline, config.name);
    const band =
      (height: number, opacity: number, fill = colour) =>
      ({ fromS, toS }: Span) =>
        `<rect x="${n(scale(fromS))}" y="${y - height / 2}" width="${n(scale(toS) - scale(fromS))}" height="${height}" fill="${fill}" fill-opacity="${opacity}"/>`;
    const isPath = ({ path }: { path: string | null }) => path === config.name;
    return [
      `<rect x="${LEFT}" y="${y - BAND_HEIGHT / 2}" width="${WIDTH - LEFT - RIGHT}" height="${BAND_HEIGHT}" fill="${GROUND}" fill-opacity="0.6"/>`,
      text(24, y + 4, config.name, 13, colour, "bold"),
      ...spansOf(durationS, (atS) => valueAt(up, atS) === true).map(band(2, 1, UNKNOWN_COLOUR)),
      ...timeline.joined.filter(isPath).map(band(8, 0.35)),
      ...timeline.active.filter(isPath).map(band(BAND_HEIGHT - 4, 1)),
      ...spansOf(durationS, (atS) => valueAt(silent, atS) === true).map(({ fromS, toS }) =>
        hatch(scale(fromS), y - BAND_HEIGHT / 2, scale(toS) - scale(fromS), BAND_HEIGHT),
      ),
    ];
  });
  let bottom = top + paths.length * LANE_HEIGHT;
  if (timeline.stalls.length > 0) {
    parts.push(text(24, bottom + LANE_HEIGHT / 2 + 4, "no path carries", 13, REFUSED));
    for (const { fromS, toS } of timeline.stalls) {
      const width = Math.max(2, scale(toS) - scale(fromS));
      parts.push(`<rect x="${n(scale(fromS))}" y="${bottom + 8}" width="${n(width)}" height="14" fill="${REFUSED}"/>`);
    }
    bottom += LANE_HEIGHT;
  }
  return { parts, bottom };
}

/** Times at which something is so, to a twentieth of a second. */
function spansOf(durationS: number, isSo: (atS: number) => boolean): Span[] {
  const spans: Span[] = [];
  for (let atS = 0; atS < durationS; atS = Math.round((atS + 0.05) * 100) / 100) {
    if (!isSo(atS)) continue;
    const last = spans.at(-1);
    const toS = Math.min(durationS, atS + 0.05);
    if (last !== undefined && atS - last.toS < 0.01) last.toS = toS;
    else spans.push({ fromS: atS, toS });
  }
  return spans;
}

/** Decisions that change what is in force, and the first of each row of refusals, with their reasons. */
function decisionsOf(timeline: Timeline, scale: Scale, top: number): { parts: string[]; bottom: number } {
  const shown = timeline.decisions.filter(
    ({ changed, refusal }, index) =>
      changed || (refusal !== "none" && refusal !== timeline.decisions[index - 1]?.refusal),
  );
  const isRefused = ({ refusal }: DecisionMark) => refusal !== "none";
  const labels = shown.map((mark) => ({
    x: scale(mark.atS),
    text: labelOf(mark),
    weight: isMove(timeline, mark) ? 1 : 0,
  }));
  const places = placeLabels(labels, WIDTH - 8, LABEL_ROWS_MAX);
  const y = top + 6;
  const parts = [
    text(24, y + 4, "decisions", 13, INK, "bold"),
    `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}" stroke="${UNKNOWN_COLOUR}"/>`,
  ];
  const colours = shown.map((mark) => {
    if (isRefused(mark)) return REFUSED;
    return mark.active === null ? INK : colourOf(timeline, mark.active);
  });
  const labelled: string[] = [];
  for (const [index, mark] of shown.entries()) {
    const x = scale(mark.atS);
    const [place, colour = INK] = [places[index], colours[index]];
    if (place) {
      const base = y + 22 + place.row * LABEL_HEIGHT;
      parts.push(`<line x1="${n(x)}" x2="${n(x)}" y1="${y}" y2="${base}" stroke="${colour}" stroke-opacity="0.5"/>`);
      labelled.push(words(place, base, labels[index]?.text ?? "", colour, isMove(timeline, mark)));
    }
    parts.push(isRefused(mark) ? cross(x, y) : `<circle cx="${n(x)}" cy="${y}" r="4.5" fill="${colour}"/>`);
  }
  const left = places.filter((place) => place === null).length;
  if (left > 0) parts.push(text(24, y + 22, `${left} without a label`, 12, QUIET));
  const rows = Math.max(0, ...places.map((place) => (place?.row ?? -1) + 1));
  return { parts: [...parts, ...labelled], bottom: y + 22 + rows * LABEL_HEIGHT };
}

/** A label on white ground, so that it is read over what passes behind it. */
function words({ fromX, toX }: Place, base: number, label: string, colour: string, bold: boolean): string {
  const ground = `<rect x="${n(fromX + 2)}" y="${base - 12}" width="${n(toX - fromX - 6)}" height="15" fill="white" fill-opacity="0.85"/>`;
  return ground + text(Math.round(fromX) + 4, base, label, 12, colour, bold ? "bold" : "normal");
}

function isMove(timeline: Timeline, { atS, active, changed }: DecisionMark): boolean {
  const before = timeline.decisions.findLast((other) => other.atS < atS && other.changed);
  return changed && before?.active !== active;
}

function labelOf({ reason, refusal }: DecisionMark): string {
  return refusal === "none" ? reason : `${reason}: refused, ${refusal}`;
}

function drawChart(document: Document, timeline: Timeline, { samples, from, to, ticks }: Chart, y: number): string {
  const { durationS } = timeline.scenario;
  const colour = (sample: Sample) => (sample.path === null ? INK : colourOf(timeline, sample.path));
  const plot = Plot.plot({
    document,
    width: WIDTH,
    height: CHART_HEIGHT,
    marginLeft: LEFT,
    marginRight: RIGHT,
    marginTop: 10,
    marginBottom: 14,
    x: { domain: [0, durationS], axis: null, grid: true },
    y:
      ticks === null
        ? { domain: [from, to], grid: true, ticks: 4, label: null, nice: true }
        : {
            domain: [from, to],
            grid: true,
            ticks: [0, 1],
            tickFormat: (value: number) => ticks[value] ?? "",
            label: null,
          },
    marks: [
      Plot.line(samples, {
        x: "atS",
        y: "value",
        z: "path",
        stroke: colour,
        strokeWidth: 1.8,
      }),
    ],
  });
  return place(plot, { x: 0, y, width: WIDTH, height: CHART_HEIGHT });
}

function axis(document: Document, durationS: number, y: number): string {
  const plot = Plot.plot({
    document,
    width: WIDTH,
    height: AXIS_HEIGHT,
    marginLeft: LEFT,
    marginRight: RIGHT,
    marginTop: 4,
    marginBottom: 36,
    x: { domain: [0, durationS], label: "time (seconds)", labelAnchor: "center", labelArrow: "none" },
    marks: [Plot.ruleX([], {})],
  });
  return place(plot, { x: 0, y, width: WIDTH, height: AXIS_HEIGHT });
}
