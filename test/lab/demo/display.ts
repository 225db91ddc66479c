// How the demo looks on a terminal, and in a log.

const isTerminal = process.stdout.isTTY === true;
/** In a log, where no line can be drawn over, a progress line comes only so often, ms. */
const LOG_INTERVAL_MS = 2000;

const colours = { wifi: 36, ethernet: 33, good: 32, bad: 31, bold: 1 } as const;

/** Text in a colour, where colours are shown. */
export function paint(style: string, text: string): string {
  const code = colours[style as keyof typeof colours];
  return isTerminal && code !== undefined ? `\u001b[${code}m${text}\u001b[0m` : text;
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

export interface Progress {
  seconds: number;
  bytes: number;
  totalBytes: number;
  /** Over the last second. */
  mbitPerSecond: number;
  /** Name of the path that carries new data. */
  path: string;
}

/** One line that is drawn over itself, and lines that stay. */
export class Display {
  private lastLogged = 0;
  private drawn = false;

  /** A line that stays. */
  say(text: string): void {
    if (this.drawn) process.stdout.write("\r\u001b[K");
    this.drawn = false;
    console.log(text);
  }

  progress(progress: Progress): void {
    const width = 30;
    const share = Math.min(1, progress.bytes / progress.totalBytes);
    const filled = Math.round(share * width);
    const bar = `[${"█".repeat(filled)}${"·".repeat(width - filled)}]`;
    const numbers = `${megabytes(progress.bytes).padStart(8)} of ${megabytes(progress.totalBytes)}`;
    const rate = `${progress.mbitPerSecond.toFixed(1).padStart(5)} Mbit/s`;
    const line = `${progress.seconds.toFixed(1).padStart(5)} s ${bar} ${numbers}  ${rate}  over ${paint(progress.path, progress.path)}`;
    if (isTerminal) {
      process.stdout.write(`\r\u001b[K${line}`);
      this.drawn = true;
    } else if (Date.now() - this.lastLogged >= LOG_INTERVAL_MS) {
      this.lastLogged = Date.now();
      console.log(line);
    }
  }
}

/** Rows in columns; columns of numbers stand to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const isNumber = head.map((_, i) => rows.every((row) => /^[\d.]/.test(row[i] ?? "")));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => (isNumber[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join("   ");
  const rule = widths.map((width) => "─".repeat(width)).join("───");
  return [line(head), rule, ...rows.map(line)].map((text) => `  ${text.trimEnd()}`).join("\n");
}
