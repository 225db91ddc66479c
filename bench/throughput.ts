// Throughput of one TCP stream between two hosts joined by a bare veth pair, every variant against the others.
//
//     node bench/throughput.ts [--rounds 5] [--seconds 2]
//
// All variants stand at the same time, each in namespaces of its own, and take turns within every round: what the
// machine does to one of them it does to all. Medians over the rounds. Absolute figures are this machine's; the
// ratios to the reflector (bench/reflector: the least that a rewriter on NFQUEUE can do) are what is to be compared.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Lab } from "../test/lab/lab.ts";
import { repository } from "../test/lab/shunt.ts";
import { allowCongestionControl } from "./stream/kernel.ts";
import { prepare } from "./stream/prepare.ts";
import { buildReflector } from "./stream/reflector.ts";
import { type Direction, median, receivedGbit, Stand, type Variant, wire } from "./stream/stand.ts";

const CONGESTION = "cubic";

interface Compared extends Variant {
  /** The variant whose figure this one is measured by. */
  reference?: string;
}

const VARIANTS: readonly Compared[] = [
  { name: "plain TCP", client: "plain", server: "plain" },
  { name: "reflector at one end", client: "reflector", server: "plain" },
  { name: "reflector at both ends", client: "reflector", server: "reflector" },
  { name: "proxied ↔ native MPTCP", client: "shunt", server: "native", reference: "reflector at one end" },
  { name: "proxied ↔ proxied", client: "shunt", server: "shunt", reference: "reflector at both ends" },
  { name: "native ↔ native MPTCP", client: "native", server: "native", reference: "reflector at one end" },
];

/** iperf3 against itself over loopback: what the tool can do when no network limits it, Gbit/s. */
async function toolCeiling(): Promise<number> {
  const lab = await Lab.open(wire);
  const host = lab.host("client");
  await host.spawn(["iperf3", "-s", "-1", "--forceflush"]).line(/listening/);
  const report = await host.exec(["iperf3", "-c", "127.0.0.1", "-t", "2", "-J"]);
  await lab.close();
  return receivedGbit(report) ?? Number.NaN;
}

function printTable(stands: readonly Stand<Compared>[]): void {
  const figure = (name: string, direction: Direction): number =>
    median(stands.find(({ variant }) => variant.name === name)?.samples[direction].map(({ gbit }) => gbit) ?? []);
  console.log("\n  one stream, Gbit/s (median)      up    down   ratio up  ratio down   lost   resent");
  for (const { variant, samples, problem } of stands) {
    const name = variant.name.padEnd(28);
    if (problem !== "" || samples.down.length === 0) {
      console.log(`  ${name}  not available${problem && `: ${problem}`}`);
      continue;
    }
    const rates = (["up", "down"] as const).map((direction) => figure(variant.name, direction));
    const ratios = (["up", "down"] as const).map((direction, i) =>
      variant.reference ? ((rates[i] ?? 0) / figure(variant.reference, direction)).toFixed(2) : "",
    );
    const all = [...samples.up, ...samples.down];
    const sum = (key: "lost" | "resent"): string => `${all.reduce((total, sample) => total + sample[key], 0)}`;
    const cells = [
      ...rates.map((rate) => rate.toFixed(2).padStart(6)),
      (ratios[0] ?? "").padStart(9),
      (ratios[1] ?? "").padStart(10),
    ];
    console.log(`  ${name}  ${cells.join("  ")}  ${sum("lost").padStart(5)}  ${sum("resent").padStart(7)}`);
  }
  console.log("\n  ratio: to the reflector at as many ends; lost: packets dropped in NFQUEUE, all rounds\n");
}

async function main(): Promise<number> {
  const options = { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "2" } } as const;
  const { values } = parseArgs({ options });
  const over = prepare();
  if (over !== undefined) return over;
  allowCongestionControl(CONGESTION);
  const reflector = await buildReflector();
  console.log(`  iperf3 over loopback, its own ceiling: ${(await toolCeiling()).toFixed(1)} Gbit/s`);
  const stands: Stand<Compared>[] = [];
  for (const variant of VARIANTS) stands.push(await Stand.open(variant, { reflector, congestion: CONGESTION }));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const direction of ["up", "down"] as const) {
      for (const stand of stands) await stand.measure(direction, Number(values.seconds));
    }
    console.log(`  round ${round + 1} of ${values.rounds}`);
  }
  printTable(stands);
  mkdirSync(join(repository, "out/bench"), { recursive: true });
  const record = stands.map(({ variant, samples, problem }) => ({ ...variant, problem, samples }));
  writeFileSync(join(repository, "out/bench/throughput.json"), `${JSON.stringify(record, null, 1)}\n`);
  for (const stand of stands) await stand.close();
  return 0;
}

process.exitCode = await main();
