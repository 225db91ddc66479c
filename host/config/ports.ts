// Ports as a configuration writes them.
import type { PortRange } from "./config.ts";
import type { KeyPath } from "./positions.ts";
import type { Report } from "./report.ts";
import type { PortEntry } from "./schema.ts";

/** 80 or "8000-8999". */
export function portRange(entry: PortEntry): PortRange {
  if (typeof entry === "number") return { first: entry, last: entry };
  const [first, last] = entry.split("-").map(Number);
  return { first: first ?? 0, last: last ?? 0 };
}

export function reportRange(range: PortRange, path: KeyPath, report: Report): void {
  if (range.first < 1 || range.last > 65535 || range.first > range.last) {
    report(path, `expected ports from 1 to 65535, the lower one first, found "${range.first}-${range.last}"`);
  }
}
