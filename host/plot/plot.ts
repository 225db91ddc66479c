// `shunt trace plot`: from a trace file to a picture and a table of numbers.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { csvText } from "./csv.ts";
import { figure } from "./figure.ts";
import { busiestConnection, connectionTrace, longestPause, readNotes, readTrace } from "./series.ts";

export interface PlotRequest {
  svg?: string | undefined;
  csv?: string | undefined;
  /** Our token in hex; undefined = the connection with the most payload. */
  connection?: string | undefined;
  /** Seconds since the trace began. */
  fromS: number | null;
  toS: number | null;
  title?: string | undefined;
}

/** What was drawn. */
export interface PlotSummary {
  connection: string;
  direction: "sent" | "received";
  packets: number;
  paths: string[];
  handovers: { timeS: number; from: string; to: string; longestPauseMs: number }[];
  files: string[];
}

/** Draws a trace. Throws an Error of one line. */
export async function plotTrace(file: string, request: PlotRequest): Promise<PlotSummary> {
  const { startUs, entries } = await readTrace(file);
  const notes = readNotes(file);
  const connection = request.connection ?? busiestConnection(entries);
  const own = entries.filter((entry) => entry.token === connection);
  if (connection === null || own.length === 0) {
    const known = [...new Set(entries.map((entry) => entry.token))].join(", ") || "none";
    throw new Error(`${file} holds nothing of connection ${connection ?? "(any)"}; it holds: ${known}`);
  }
  const trace = connectionTrace(own, startUs, notes, connection);
  const files: string[] = [];
  const write = (name: string | undefined, contents: () => string) => {
    if (name === undefined) return;
    mkdirSync(dirname(name), { recursive: true });
    writeFileSync(name, contents());
    files.push(name);
  };
  const title = request.title ?? `Connection ${connection} over ${trace.paths.join(" and ")}`;
  write(request.svg, () => figure(trace, { title, fromS: request.fromS, toS: request.toS }));
  write(request.csv, () => csvText(own, startUs, notes.paths));
  return {
    connection,
    direction: trace.direction,
    packets: own.length,
    paths: trace.paths,
    handovers: trace.handovers.map(({ timeS, from, to }) => ({
      timeS,
      from,
      to,
      longestPauseMs: Math.round(longestPause(trace.points, timeS, timeS + 0.3) * 1e4) / 10,
    })),
    files,
  };
}

/** The summary for people. */
export function summaryText(summary: PlotSummary): string {
  const lines = [
    `connection ${summary.connection}: ${summary.packets} packets, payload ${summary.direction} over ${summary.paths.join(", ")}`,
    ...summary.handovers.map(
      ({ timeS, from, to, longestPauseMs }) =>
        `handover ${from} → ${to} after ${timeS.toFixed(1)} s: longest pause ${longestPauseMs.toFixed(1)} ms`,
    ),
    ...summary.files.map((file) => `wrote ${file}`),
  ];
  return lines.join("\n");
}
