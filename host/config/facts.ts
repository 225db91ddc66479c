// What a [[path]] says about its price, quota and energy.
import { NO_FACTS, type PathFacts } from "./config.ts";
import type { PathEntry } from "./schema.ts";

const UNITS: Record<string, number> = {
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  kiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** 500 or "20 GB" in octets. */
export function octets(entry: number | string): number {
  if (typeof entry === "number") return entry;
  const [, number, unit] = /^([0-9.]+) ?(\w+)$/.exec(entry) ?? [];
  return Math.round(Number(number) * (UNITS[unit ?? ""] ?? 1));
}

export function pathFacts(path: PathEntry): PathFacts {
  return {
    kind: path.kind ?? null,
    metered: path.metered ?? null,
    costMicroPerGb: path.cost_per_gb === undefined ? null : Math.round(path.cost_per_gb * 1e6),
    quota: path.quota === undefined ? null : octets(path.quota),
    billingDay: path.billing_day ?? NO_FACTS.billingDay,
    energyPerByte: path.energy_per_byte ?? null,
  };
}
