// What a decision costs: tables that make a policy think, and the time that it takes over them.
import { Event, PathKind, PathState, Power, Refusal } from "../abi.ts";
import type { PathRecord, TableRecord } from "../records.ts";
import type { PolicyInstancePort } from "../sandbox-port.ts";
import { tableOctets } from "../table.ts";

/** Tables of one series: a second of the world lies between two of them. */
const TABLES = 64;
/** Decisions that do not count: caches and branch predictors learn what they will know of a policy at work. */
const WARM = 50;

/**
 * A machine on battery with so many paths, whose levels, rates, delays and prices go up and down, so that the best one
 * is now this, now that.
 */
export function benchTables(pathCount: number): Uint8Array[] {
  return Array.from({ length: TABLES }, (_, second) => tableOctets(tableAt(second, pathCount)));
}

function tableAt(second: number, pathCount: number): TableRecord {
  const paths = Array.from({ length: pathCount }, (_, i) => pathAt(second, i));
  return {
    nowUs: 1_000_000_000 + second * 1_000_000,
    entropy: BigInt(second),
    event: second === 0 ? Event.START : Event.TICK,
    classId: 1,
    connections: 3,
    ackedBytes: second * 1_000_000,
    batteryPermille: 400,
    power: Power.BATTERY,
    activePathId: 1 + (Math.floor(second / 8) % pathCount),
    lastRefusal: Refusal.NONE,
    paths,
  };
}

function pathAt(second: number, i: number): PathRecord {
  const wave = Math.round(100 * Math.sin(second / 5 + i));
  return {
    id: i + 1,
    kind: i % 2 === 0 ? PathKind.WIFI : PathKind.CELLULAR,
    state: PathState.ESTABLISHED,
    flags: 0,
    lastAckUs: 1_000_000_000 + second * 1_000_000 - 500_000,
    quotaLeft: 1_000_000_000,
    ackedRateKbps: 5000 + 10 * wave,
    inFlight: 20_000,
    srttUs: 40_000 + 100 * wave,
    rttvarUs: 5000,
    minRttUs: 30_000 + 100 * wave,
    lossPpm: 100,
    costMicroPerGB: 1_000_000 + 1000 * wave,
    energyPerByte: 1000 + wave,
    signal: -700 + wave,
    slope: wave > 50 ? -20 : 5,
    subflows: 3,
  };
}

/** What decisions took, both smallest first. */
interface Decisions {
  nanoseconds: number[];
  /** Instructions, roughly. */
  fuel: number[];
}

/** Times `count` decisions: table and intent copied, decide() called. */
export async function timeDecisions(
  instance: Pick<PolicyInstancePort, "decide">,
  tables: readonly Uint8Array[],
  count: number,
): Promise<Decisions> {
  const times: Decisions = { nanoseconds: [], fuel: [] };
  for (let i = -WARM; i < count; i++) {
    const { nanoseconds, fuel } = await instance.decide(tables[(i + WARM) % tables.length] as Uint8Array);
    if (i < 0) continue;
    times.nanoseconds.push(nanoseconds);
    times.fuel.push(fuel);
  }
  const ascending = (a: number, b: number) => a - b;
  return { nanoseconds: times.nanoseconds.sort(ascending), fuel: times.fuel.sort(ascending) };
}

/** The value below which `part` of ascending `values` lie. */
export function quantile(values: readonly number[], part: number): number {
  return values[Math.floor((values.length - 1) * part)] ?? 0;
}
