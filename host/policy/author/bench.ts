// `shunt policy bench`: what a decision costs in the daemon's sandbox, with the daemon's limits and without.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { compilePolicy, isSandboxBuilt, type Metering, PolicyInstance } from "../../engine/index.ts";
import { Event, PathKind, PathState, Power, Refusal } from "../abi.ts";
import type { PolicyEntry } from "../catalog.ts";
import type { PathRecord, TableRecord } from "../records.ts";
import { encodeSettings } from "../settings.ts";
import { tableOctets } from "../table.ts";
import { AuthorError } from "./new.ts";
import { buildOwn, subjectOf } from "./subject.ts";

export interface BenchRow {
  policy: string;
  paths: number;
  /** Nanoseconds per decision under the daemon's limits, copies of table and intent included. */
  p50: number;
  p99: number;
  /** The same without fuel, and without any limit. */
  p50WithoutFuel: number;
  p50WithoutLimits: number;
  /** Instructions, roughly. */
  fuel: number;
  /** Octets of linear memory. */
  memoryBytes: number;
}

/** Decisions that are timed, after as many that are not. */
const DECISIONS = 2000;
/** Tables that differ from each other, shown in turn. */
const TABLES = 64;

const METERED: Metering = { fuel: true, epoch: true };
const WITHOUT_FUEL: Metering = { fuel: false, epoch: true };
const WITHOUT_LIMITS: Metering = { fuel: false, epoch: false };

interface Candidate {
  name: string;
  wasm: Uint8Array;
  settings: Uint8Array;
}

/** `policies`: names, folders or .wasm files. Throws AuthorError. */
export async function benchPolicies(policies: readonly string[], pathCounts: readonly number[]): Promise<BenchRow[]> {
  if (!isSandboxBuilt()) throw new AuthorError("the daemon's sandbox is not built; remedy: make addon");
  const rows: BenchRow[] = [];
  for (const policy of policies) {
    const candidate = await candidateOf(policy);
    for (const paths of pathCounts) rows.push(await row(candidate, paths));
  }
  return rows;
}

async function candidateOf(policy: string): Promise<Candidate> {
  if (policy.endsWith(".wasm")) {
    // Without its policy.json nobody knows its settings: it gets none.
    return { name: basename(policy), wasm: readModule(policy), settings: new Uint8Array(0) };
  }
  const { entry, folder } = subjectOf(policy);
  if (folder !== null) await buildOwn(folder);
  if (entry.file === null)
    throw new AuthorError(`"${entry.name}" is part of the engine: it makes no decisions to time`);
  return { name: entry.name, wasm: readModule(entry.file), settings: settingsOf(entry) };
}

function readModule(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new AuthorError(
      `cannot read the module: ${(error as Error).message}; remedy: make policies, or shunt policy build`,
    );
  }
}

function settingsOf({ manifest }: PolicyEntry): Uint8Array {
  return manifest === null ? new Uint8Array(0) : encodeSettings(manifest, {}, () => undefined);
}

async function row({ name, wasm, settings }: Candidate, paths: number): Promise<BenchRow> {
  const tables = Array.from({ length: TABLES }, (_, index) => tableOctets(exampleTable(index, paths)));
  const measure = async (metering: Metering) => {
    const code = await compilePolicy(wasm, metering).catch((error: Error) => {
      throw new AuthorError(`${name} was refused: ${error.message}`);
    });
    const instance = await PolicyInstance.load(code, settings, null);
    const times: number[] = [];
    const fuels: number[] = [];
    for (let round = 0; round < DECISIONS * 2; round++) {
      const { nanoseconds, fuel } = await instance.decide(tables[round % TABLES] as Uint8Array);
      if (round < DECISIONS) continue;
      times.push(nanoseconds);
      fuels.push(fuel);
    }
    const { memoryBytes } = instance;
    instance.close();
    return { p50: quantile(times, 0.5), p99: quantile(times, 0.99), fuel: quantile(fuels, 0.5), memoryBytes };
  };
  const metered = await measure(METERED);
  const { p50: p50WithoutFuel } = await measure(WITHOUT_FUEL);
  const { p50: p50WithoutLimits } = await measure(WITHOUT_LIMITS);
  return { policy: name, paths, ...metered, p50WithoutFuel, p50WithoutLimits };
}

function quantile(values: number[], part: number): number {
  return values.sort((a, b) => a - b)[Math.floor((values.length - 1) * part)] ?? 0;
}

/** A table in which everything is known, and some of it moves, so that a policy has something to think about. */
function exampleTable(round: number, count: number): TableRecord {
  const paths = Array.from({ length: count }, (_, index): PathRecord => {
    const isRadio = index % 2 === 1;
    const wave = Math.round(150 * Math.sin(round / 10 + index));
    return {
      id: index + 1,
      kind: isRadio ? PathKind.CELLULAR : PathKind.WIFI,
      state: index % 5 === 4 ? PathState.UP : PathState.ESTABLISHED,
      flags: 0,
      lastAckUs: round * 1e6,
      quotaLeft: isRadio ? 5e9 - round * 1e7 : undefined,
      ackedRateKbps: 4000 + wave,
      inFlight: 20_000,
      srttUs: 30_000 + index * 1000 + wave * 20,
      rttvarUs: 4000,
      minRttUs: 20_000,
      lossPpm: 100 * index,
      costMicroPerGB: isRadio ? 2_000_000 : 0,
      energyPerByte: isRadio ? 2500 : 1300,
      signal: -700 + wave,
      slope: -Math.round(wave / 10),
      subflows: index % 5 === 4 ? 0 : 3,
    };
  });
  return {
    nowUs: 1e9 + round * 1e6,
    entropy: BigInt(round),
    event: Event.TICK,
    eventPathId: undefined,
    classId: 0,
    connections: 3,
    ackedBytes: round * 1e6,
    batteryPermille: 500 + (round % 100),
    power: Power.BATTERY,
    activePathId: 1 + (Math.floor(round / 16) % Math.min(count, 4)),
    lastRefusal: Refusal.NONE,
    paths,
  };
}
