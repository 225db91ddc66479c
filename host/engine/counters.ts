// Counters by name: the engine's (`packets_tcp` …, `drop_<reason>` …) and the native layer's.
import { Counter, DROP_COUNTER_BASE, DropReason } from "./abi.ts";
import type { NativeCounters } from "./addon.ts";

/** Values above 2^53 are bigint, all others numbers. */
export function decodeCounters({ engine, names, values }: NativeCounters): Record<string, number | bigint> {
  const at = (index: number): number | bigint => {
    const value = engine.readBigUInt64LE(index * 8);
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
  };
  const counters: Record<string, number | bigint> = {};
  for (const [name, index] of Object.entries(Counter)) counters[name.toLowerCase()] = at(index);
  for (const [name, reason] of Object.entries(DropReason)) {
    if (reason !== DropReason.NONE) counters[`drop_${name.toLowerCase()}`] = at(DROP_COUNTER_BASE + reason);
  }
  names.forEach((name, index) => {
    counters[name] = values[index] ?? 0;
  });
  return counters;
}
