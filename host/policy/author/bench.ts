// `shunt policy bench`: what a decision costs in the daemon's sandbox, with the daemon's limits and without.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { compilePolicy, isSandboxBuilt, type Metering, PolicyInstance } from "../../engine/index.ts";
import type { PolicyEntry } from "../catalog.ts";
import { encodeSettings } from "../settings.ts";
import { benchTables, quantile, timeDecisions } from "./decisions.ts";
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

/** Decisions that are timed. */
const DECISIONS = 2000;

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
  const tables = benchTables(paths);
  const measure = async (metering: Metering) => {
    const code = await compilePolicy(wasm, metering).catch((error: Error) => {
      throw new AuthorError(`${name} was refused: ${error.message}`);
    });
    const instance = await PolicyInstance.load(code, settings, null);
    const { nanoseconds, fuel } = await timeDecisions(instance, tables, DECISIONS);
    const { memoryBytes } = instance;
    instance.close();
    return {
      p50: quantile(nanoseconds, 0.5),
      p99: quantile(nanoseconds, 0.99),
      fuel: quantile(fuel, 0.5),
      memoryBytes,
    };
  };
  const metered = await measure(METERED);
  const { p50: p50WithoutFuel } = await measure(WITHOUT_FUEL);
  const { p50: p50WithoutLimits } = await measure(WITHOUT_LIMITS);
  return { policy: name, paths, ...metered, p50WithoutFuel, p50WithoutLimits };
}
