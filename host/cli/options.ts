// Options that every command has, and the ways in which all of them print.
import { Command } from "commander";
import { DEFAULT_SOCKET } from "../config/config.ts";
import { ControlClient } from "../control/client.ts";
import { WrongUse } from "./outcome.ts";

export interface CommonOptions {
  json?: boolean;
  socket: string;
}

/** A command with --json and --socket. */
export function command(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option("--json", "print JSON")
    .option("--socket <path>", "the daemon's control socket", DEFAULT_SOCKET)
    .allowExcessArguments(false);
}

/** A command that only has sub-commands: the options are theirs. */
export function group(name: string, description: string): Command {
  return new Command(name).description(description);
}

export function client(options: CommonOptions): ControlClient {
  return new ControlClient(options.socket);
}

/** Prints a value as JSON, or as the text that `plain` makes of it. */
export function print<T>(options: CommonOptions, value: T, plain: (value: T) => string): void {
  const text = options.json === true ? JSON.stringify(value, null, 2) : plain(value);
  if (text !== "") process.stdout.write(`${text}\n`);
}

/** A connection's id as the daemon knows it: eight hex digits. Throws WrongUse. */
export function connectionId(text: string): string {
  const id = text.toLowerCase().replace(/^0x/, "");
  if (!/^[0-9a-f]{1,8}$/.test(id))
    throw new WrongUse(`"${text}" is no connection ID; expected up to 8 hex digits (see shunt status)`);
  return id.padStart(8, "0");
}

/** "10s", "500ms", "10" (seconds) in milliseconds. Throws WrongUse. */
export function duration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text);
  const factor = { ms: 1, s: 1000, m: 60_000 }[match?.[2] ?? "s"] as number;
  const ms = Math.round(Number(match?.[1] ?? 0) * factor);
  if (match === null || ms < 1 || ms > 600_000) {
    throw new WrongUse(`"${text}" is no time; expected seconds such as 10, or 500ms, at most 10m`);
  }
  return ms;
}

/** Columns of equal width, two blanks apart; numbers to the right. */
export function table(head: string[], rows: string[][]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const isNumber = head.map(
    (_, i) => rows.length > 0 && rows.every((row) => /^[\d.,-]*( ?[kMGT]?B| ?ms|s)?$/.test(row[i] ?? "")),
  );
  const line = (cells: string[]) =>
    cells
      .map((cell, i) => (isNumber[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd();
  return [line(head), ...rows.map(line)].join("\n");
}

/** Octets for people: "1.23 GB". */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return unit === 0 ? `${value} B` : `${value.toPrecision(3)} ${units[unit]}`;
}

/** Seconds for people: "3 s", "4 min", "2.1 h". */
export function age(seconds: number): string {
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
