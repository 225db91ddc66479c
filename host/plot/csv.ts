// The numbers behind a figure, all of them, for a spreadsheet or another plotting program.
import type { TraceEntry } from "../engine/trace-file.ts";

const COLUMNS = [
  "time_s",
  "connection",
  "direction",
  "path",
  "subflow",
  "length",
  "dsn",
  "dan",
  "ssn",
  "san",
  "tsn",
  "tan",
  "window",
  "retransmission",
  "data_fin",
  "forged",
];

/** One line per packet. Empty = the packet had no such number. */
export function csvText(entries: readonly TraceEntry[], startUs: number, pathNames: Record<string, string>): string {
  const flag = (value: boolean) => (value ? "1" : "0");
  const rows = entries.map((entry) =>
    [
      ((entry.timeUs - startUs) / 1e6).toFixed(6),
      entry.token,
      entry.direction,
      pathNames[String(entry.path)] ?? `path ${entry.path}`,
      entry.subflow,
      entry.length,
      entry.dsn ?? "",
      entry.dan ?? "",
      entry.ssn,
      entry.san,
      entry.tsn,
      entry.tan,
      entry.window,
      flag(entry.retransmission),
      flag(entry.dataFin),
      flag(entry.forged),
    ].join(","),
  );
  return `${[COLUMNS.join(","), ...rows].join("\n")}\n`;
}
