// What a decision costs: tables that make a policy think, and the time that it takes over them.
import { Event, PathKind, PathState, Power, Refusal } from "../../host/policy/abi.ts";
import type { PathRecord, TableRecord } from "../../host/policy/records.ts";
import type { PolicyInstancePort } from "../../host/policy/sandbox-port.ts";
import { tableOctets } from "../../host/policy/table.ts";

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

/** Nanoseconds of each decision, smallest first: table and intent copied, decide() called. */
export async function timeDecisions(
  instance: Pick<PolicyInstancePort, "decide">,
  tables: readonly Uint8Array[],
  count: number,
): Promise<number[]> {
  const times: number[] = [];
  for (let i = -WARM; i < count; i++) {
    const { nanoseconds } = await instance.decide(tables[(i + WARM) % tables.length] as Uint8Array);
    if (i >= 0) times.push(nanoseconds);
  }
  return times.sort((a, b) => a - b);
}
