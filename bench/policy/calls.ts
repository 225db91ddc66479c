// What decisions cost: each policy with a few paths and with many, and what its limits cost beside that.

import { readFileSync } from "node:fs";
import binaryen from "binaryen";
import { compilePolicy, type Metering, PolicyInstance } from "../../host/engine/index.ts";
import { benchTables, quantile, timeDecisions } from "../../host/policy/author/decisions.ts";
import { Catalog } from "../../host/policy/catalog.ts";
import { encodeSettings } from "../../host/policy/settings.ts";

const PATHS = [2, 8, 32] as const;
/** Decisions per instance and round; all variants take turns. */
const DECISIONS = 2000;

const METERINGS: Record<string, Metering> = {
  "fuel and epoch": { fuel: true, epoch: true },
  "fuel alone": { fuel: true, epoch: false },
  "epoch alone": { fuel: false, epoch: true },
  neither: { fuel: false, epoch: false },
};
const METERED = METERINGS["fuel and epoch"] as Metering;

/** A policy that leaves everything as it is: what is left is the call itself. */
const NOTHING = `(module
  (memory (export "memory") 1)
  (func (export "shunt_policy_abi_1") (result i32) (i32.const 0))
  (func (export "region") (param $kind i32) (param $size i32) (result i32)
    (i32.mul (i32.add (local.get $kind) (i32.const 1)) (i32.const 8192)))
  (func (export "init") (param $length i32) (result i32) (i32.const 0))
  (func (export "decide") (result i32) (i32.const 0)))`;

interface Variant {
  name: string;
  wasm: Uint8Array;
  settings: Uint8Array;
  metering: Metering;
}

function emptyPolicy(): Uint8Array {
  const module = binaryen.parseText(NOTHING);
  const octets = module.emitBinary();
  module.dispose();
  return octets;
}

function shipped(): Omit<Variant, "metering">[] {
  return Catalog.in(null).entries.flatMap(({ name, manifest, file }) => {
    if (manifest === null || file === null) return [];
    return [{ name, wasm: readFileSync(file), settings: encodeSettings(manifest, {}, () => undefined) }];
  });
}

/** "p50 / p99" in ns, per variant and number of paths. */
async function measure(variants: readonly Variant[], rounds: number): Promise<string[][]> {
  const codes = await Promise.all(variants.map(({ wasm, metering }) => compilePolicy(wasm, metering)));
  const times = variants.map(() => PATHS.map((): number[] => []));
  for (let round = 0; round < rounds; round++) {
    for (const [row, { settings }] of variants.entries()) {
      for (const [column, paths] of PATHS.entries()) {
        const instance = await PolicyInstance.load(codes[row] as (typeof codes)[number], settings, null);
        const { nanoseconds } = await timeDecisions(instance, benchTables(paths), DECISIONS);
        times[row]?.[column]?.push(...nanoseconds);
        instance.close();
      }
    }
  }
  return times.map((row) => row.map(quantiles));
}

function quantiles(times: number[]): string {
  const sorted = times.sort((a, b) => a - b);
  return `${quantile(sorted, 0.5)} / ${quantile(sorted, 0.99)}`;
}

function table(head: string, names: readonly string[], cells: readonly string[][]): string {
  const lines = [
    `| ${head} | ${PATHS.map((paths) => `${paths} paths`).join(" | ")} |`,
    `|---|${"---|".repeat(PATHS.length)}`,
  ];
  return [...lines, ...names.map((name, i) => `| ${name} | ${cells[i]?.join(" | ")} |`)].join("\n");
}

/** Both tables. */
export async function callCosts(rounds: number): Promise<string> {
  const policies = shipped();
  const limits = Object.entries(METERINGS);
  const bare: Variant[] = limits.map(([name, metering]) => ({
    name: `nothing at all, ${name}`,
    wasm: emptyPolicy(),
    settings: new Uint8Array(0),
    metering,
  }));
  const composite = policies.filter(({ name }) => name === "composite");
  const limited = limits.flatMap(([name, metering]) =>
    composite.map((policy) => ({ ...policy, name: `composite, ${name}`, metering })),
  );
  const variants = [...policies.map((policy) => ({ ...policy, metering: METERED })), ...bare, ...limited];
  const cells = await measure(variants, rounds);
  const names = variants.map(({ name }) => name);
  const of = (from: number, to?: number) => [names.slice(from, to), cells.slice(from, to)] as const;
  return [
    table("ns per decision, p50 / p99", ...of(0, policies.length)),
    table("ns per call, p50 / p99", ...of(policies.length)),
  ].join("\n\n");
}
