// What a trace says about one connection: where in the stream each packet was, when, and on which path. Nothing here
// knows about pictures.
import { existsSync, readFileSync } from "node:fs";
import { type TraceEntry, TraceReader } from "../engine/trace-file.ts";

/** One packet of the drawn direction: payload, or the acknowledgement of it. */
export interface TracePoint {
  /** Seconds since the trace began. */
  timeS: number;
  /** Position in the stream in octets: end of the payload, or the data acknowledgement. */
  position: number;
  /** Name of the path. */
  path: string;
  kind: "data" | "ack";
}

/** A connection changed its path. */
export interface HandoverMark {
  /** Seconds since the trace began: when it was asked for, or (derived from the data) when the path changed. */
  timeS: number;
  /** Seconds; null = unknown. */
  doneS: number | null;
  from: string;
  to: string;
}

export interface ConnectionTrace {
  connection: string;
  /** Which way the drawn payload went, seen from the machine that recorded. */
  direction: "sent" | "received";
  points: TracePoint[];
  handovers: HandoverMark[];
  /** Path names in the order in which they first carried payload. */
  paths: string[];
}

/** Handover events of the trace's companion file, as far as we read them. */
interface EventNote {
  timeUs: number;
  event: string;
  connection?: string;
  path?: string;
  from?: string;
}

interface Notes {
  paths: Record<string, string>;
  events: EventNote[];
}

/** Reads FILE.events.jsonl; a trace without it has numbers for names. */
export function readNotes(trace: string): Notes {
  const file = `${trace}.events.jsonl`;
  if (!existsSync(file)) return { paths: {}, events: [] };
  const [head = "{}", ...lines] = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "");
  const { paths } = JSON.parse(head) as { paths?: Record<string, string> };
  return { paths: paths ?? {}, events: lines.map((line) => JSON.parse(line) as EventNote) };
}

/** All records of a file, and the clock at its start in microseconds. Throws if it is no trace. */
export async function readTrace(file: string): Promise<{ startUs: number; entries: TraceEntry[] }> {
  const reader = await TraceReader.open(file);
  try {
    const entries: TraceEntry[] = [];
    for await (const entry of reader.records()) entries.push(entry);
    return { startUs: reader.header.startUs, entries };
  } finally {
    await reader.close();
  }
}

/** The connection with the most payload. */
export function busiestConnection(entries: readonly TraceEntry[]): string | null {
  const octets = new Map<string, number>();
  for (const { token, length } of entries) octets.set(token, (octets.get(token) ?? 0) + length);
  const ranked = [...octets].sort((a, b) => b[1] - a[1]);
  return ranked[0]?.[0] ?? null;
}

/** The points of one connection in the direction that carried more payload. */
export function connectionTrace(
  entries: readonly TraceEntry[],
  startUs: number,
  notes: Notes,
  connection: string,
): ConnectionTrace {
  const own = entries.filter((entry) => entry.token === connection);
  const octets = { sent: 0, received: 0 };
  for (const entry of own) octets[entry.direction] += entry.length;
  const direction = octets.sent > octets.received ? "sent" : "received";
  const nameOf = (id: number) => notes.paths[String(id)] ?? `path ${id}`;
  const seconds = (us: number) => (us - startUs) / 1e6;
  const points: TracePoint[] = [];
  for (const entry of own) {
    const common = { timeS: seconds(entry.timeUs), path: nameOf(entry.path) };
    if (entry.direction === direction) {
      if (entry.dsn === null || entry.length === 0) continue;
      points.push({ ...common, position: Number(entry.dsn) + entry.length, kind: "data" });
    } else if (entry.dan !== null) {
      points.push({ ...common, position: Number(BigInt.asUintN(64, entry.dan)), kind: "ack" });
    }
  }
  const told = toldHandovers(notes.events, connection, seconds);
  return {
    connection,
    direction,
    points,
    handovers: told.length > 0 ? told : derivedHandovers(points),
    paths: [...new Set(points.filter((point) => point.kind === "data").map((point) => point.path))],
  };
}

function toldHandovers(events: readonly EventNote[], connection: string, seconds: (us: number) => number) {
  const marks: HandoverMark[] = [];
  for (const event of events.filter((candidate) => candidate.connection === connection)) {
    if (event.event === "handover_started") {
      marks.push({ timeS: seconds(event.timeUs), doneS: null, from: event.from ?? "", to: event.path ?? "" });
    } else if (event.event === "handover_done") {
      const mark = marks.findLast((candidate) => candidate.to === event.path && candidate.doneS === null);
      if (mark !== undefined) mark.doneS = seconds(event.timeUs);
    }
  }
  return marks;
}

/** Without events: whenever data that was never seen before comes by another path than the last such data. */
export function derivedHandovers(points: readonly TracePoint[]): HandoverMark[] {
  const marks: HandoverMark[] = [];
  let highest = -1;
  let current: string | null = null;
  for (const point of points) {
    if (point.kind !== "data" || point.position <= highest) continue;
    highest = point.position;
    if (current !== null && current !== point.path) {
      marks.push({ timeS: point.timeS, doneS: null, from: current, to: point.path });
    }
    current = point.path;
  }
  return marks;
}

/**
 * Longest time without progress around a window, in seconds: how long the data acknowledgement, which follows what the
 * application can read, stood still. A pause counts as a whole if it overlaps the window. `points` in order of time.
 */
export function longestPause(points: readonly TracePoint[], fromS: number, toS: number): number {
  let edge = -1;
  let last: number | null = null;
  let longest = 0;
  for (const point of points) {
    if (point.kind !== "ack" || point.position <= edge) continue;
    if (last !== null && point.timeS >= fromS && last <= toS) longest = Math.max(longest, point.timeS - last);
    edge = point.position;
    last = point.timeS;
  }
  return longest;
}

/**
 * The same for the rest of the transfer: what is usual for this application without a handover (a program that reads in
 * bursts pauses between them). Pauses that begin or end within `aroundS` seconds behind a handover do not count.
 */
export function longestPauseElsewhere(trace: ConnectionTrace, aroundS: number): number {
  const edges = [Number.NEGATIVE_INFINITY, ...trace.handovers.map((mark) => mark.timeS), Number.POSITIVE_INFINITY];
  let longest = 0;
  for (const [index, edge] of edges.slice(0, -1).entries()) {
    const next = edges[index + 1] as number;
    const calm = trace.points.filter((point) => point.timeS > edge + aroundS && point.timeS < next);
    longest = Math.max(longest, longestPause(calm, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY));
  }
  return longest;
}

/** Points of a panel at most: more are not seen, and make a picture slow to open. */
export const PANEL_POINTS_MAX = 3000;

/**
 * Points that can be told apart: one per cell of a grid as fine as the panel's pixels, and if those are too many still,
 * every n-th of them. Cells are kept per path and kind, so a lone packet on the wrong path is never lost to thinning.
 */
export function thin(
  points: readonly TracePoint[],
  panel: { width: number; height: number },
  max: number = PANEL_POINTS_MAX,
): TracePoint[] {
  if (points.length === 0) return [];
  let [firstS, lastS, lowest, highest] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const { timeS, position } of points) {
    firstS = Math.min(firstS, timeS);
    lastS = Math.max(lastS, timeS);
    lowest = Math.min(lowest, position);
    highest = Math.max(highest, position);
  }
  const column = (timeS: number) => Math.round(((timeS - firstS) / (lastS - firstS || 1)) * panel.width);
  const row = (position: number) => Math.round(((position - lowest) / (highest - lowest || 1)) * panel.height);
  const cells = new Set<string>();
  const kept = points.filter((point) => {
    const cell = `${column(point.timeS)},${row(point.position)},${point.kind},${point.path}`;
    return !cells.has(cell) && cells.add(cell);
  });
  const step = Math.ceil(kept.length / max);
  return step <= 1 ? kept : kept.filter((_, index) => index % step === 0);
}
