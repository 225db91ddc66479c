// Throughput of one TCP stream between two hosts joined by a bare veth pair, every variant against the others.
//
//     node bench/throughput.ts [--rounds 5] [--seconds 2]
//
// All variants stand at the same time, each in namespaces of its own, and take turns within every round: what the
// machine does to one of them it does to all. Medians over the rounds. Absolute figures are this machine's; the
// ratios to the reflector (bench/reflector: the least that a rewriter on NFQUEUE can do) are what is to be compared.

import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Host } from "../test/lab/host.ts";
import { Lab } from "../test/lab/lab.ts";
import { must } from "../test/lab/program.ts";
import { enterUserNamespace, installLine, isRoot, missingPackages } from "../test/lab/requirements.ts";
import { repository, startShunt } from "../test/lab/shunt.ts";
import { bare, type Topology } from "../test/lab/topology.ts";

const PORT = 5201;
const QUEUE = 7;
/** Ends of a proxied or native path: who is converted, and by whom. */
type End = "plain" | "reflector" | "shunt" | "native";

interface Variant {
  name: string;
  client: End;
  server: End;
  /** The variant whose figure this one is measured by. */
  reference?: string;
}

const VARIANTS: readonly Variant[] = [
  { name: "plain TCP", client: "plain", server: "plain" },
  { name: "reflector at one end", client: "reflector", server: "plain" },
  { name: "reflector at both ends", client: "reflector", server: "reflector" },
  { name: "proxied ↔ native MPTCP", client: "shunt", server: "native", reference: "reflector at one end" },
  { name: "proxied ↔ proxied", client: "shunt", server: "shunt", reference: "reflector at both ends" },
  { name: "native ↔ native MPTCP", client: "native", server: "native", reference: "reflector at one end" },
];

interface Sample {
  /** Received by the application, Gbit/s. */
  gbit: number;
  retransmits: number;
  /** Packets lost in queues of either host. */
  lost: number;
}

type Direction = "up" | "down";

const wire: Topology = { ...bare, name: "bench", networks: bare.networks.slice(0, 1) };

/** Builds the reflector when it is missing or older than its source; returns the program. */
async function buildReflector(): Promise<string> {
  const source = join(repository, "bench/reflector/reflector.c");
  const program = join(repository, "build/reflector");
  if (existsSync(program) && statSync(program).mtimeMs >= statSync(source).mtimeMs) return program;
  mkdirSync(join(repository, "build"), { recursive: true });
  await must(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source]);
  return program;
}

async function startReflector(host: Host, program: string): Promise<void> {
  const reflector = host.spawn([program, `${QUEUE}`]);
  await reflector.line(/ready/);
  for (const [table, chain] of [
    ["raw", "OUTPUT"],
    ["mangle", "INPUT"],
  ] as const) {
    for (const side of ["--sport", "--dport"]) {
      const rule = ["-t", table, "-A", chain, "-p", "tcp", side, `${PORT}`];
      await host.exec(["iptables", ...rule, "-j", "NFQUEUE", "--queue-num", `${QUEUE}`]);
    }
  }
}

/** A variant that stands. */
class Stand {
  readonly variant: Variant;
  readonly samples: Record<Direction, Sample[]> = { up: [], down: [] };
  /** Why there is nothing to measure. */
  problem = "";
  private readonly lab: Lab;

  private constructor(variant: Variant, lab: Lab) {
    this.variant = variant;
    this.lab = lab;
  }

  static async open(variant: Variant, reflector: string): Promise<Stand> {
    const isNative = (end: End): boolean => end === "native";
    const roles = Object.entries({ client: variant.client, server: variant.server }).filter(([, end]) => isNative(end));
    const nativeMptcp = Object.fromEntries(roles.map(([host]) => [host, "join" as const]));
    const stand = new Stand(variant, await Lab.open({ ...wire, nativeMptcp }, { congestionControl: "cubic" }));
    try {
      for (const name of ["client", "server"] as const) {
        const host = stand.lab.host(name);
        if (variant[name] === "reflector") await startReflector(host, reflector);
        if (variant[name] === "shunt") await startShunt(host, { match: { ports: [PORT] } });
      }
      const server = stand.lab.host("server").spawn([...stand.tool("server"), "-s", "-p", `${PORT}`, "--forceflush"]);
      await server.line(/listening/);
    } catch (error) {
      stand.problem = (error as Error).message.split("\n")[0] ?? "";
    }
    return stand;
  }

  async measure(direction: Direction, seconds: number): Promise<void> {
    if (this.problem !== "") return;
    const client = this.lab.host("client");
    const to = this.lab.host("server").address("wifi");
    const before = await this.lost();
    const args = [
      "-c",
      to,
      "-p",
      `${PORT}`,
      "-t",
      `${seconds}`,
      "-O",
      "0.5",
      "-J",
      ...(direction === "down" ? ["-R"] : []),
    ];
    const result = await client.try(["timeout", `${seconds + 15}`, ...this.tool("client"), ...args]);
    const report = parseReport(result.stdout);
    if (!report) {
      this.problem = `iperf3 failed ${direction}: ${errorIn(result.stdout) || result.stderr.trim()}`;
      return;
    }
    this.samples[direction].push({ ...report, lost: (await this.lost()) - before });
  }

  async close(): Promise<void> {
    await this.lab.close();
  }

  private tool(end: "client" | "server"): string[] {
    return this.variant[end] === "native" ? ["mptcpize", "run", "iperf3"] : ["iperf3"];
  }

  private async lost(): Promise<number> {
    const queues = await Promise.all(["client", "server"].map((name) => this.lab.host(name).queueCounters()));
    return queues.flat().reduce((sum, queue) => sum + queue.dropped + queue.userDropped, 0);
  }
}

function parseReport(text: string): Omit<Sample, "lost"> | undefined {
  try {
    const { end } = JSON.parse(text) as {
      end: { sum_received?: { bits_per_second: number }; sum_sent?: { retransmits?: number } };
    };
    if (!end.sum_received) return undefined;
    return { gbit: end.sum_received.bits_per_second / 1e9, retransmits: end.sum_sent?.retransmits ?? 0 };
  } catch {
    return undefined;
  }
}

function errorIn(text: string): string {
  try {
    return (JSON.parse(text) as { error?: string }).error ?? "";
  } catch {
    return "";
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** iperf3 against itself over loopback: what the tool can do when no network limits it, Gbit/s. */
async function toolCeiling(): Promise<number> {
  const lab = await Lab.open(wire);
  const host = lab.host("client");
  await host.spawn(["iperf3", "-s", "-1", "--forceflush"]).line(/listening/);
  const report = parseReport(await host.exec(["iperf3", "-c", "127.0.0.1", "-t", "2", "-J"]));
  await lab.close();
  return report?.gbit ?? Number.NaN;
}

function printTable(stands: readonly Stand[]): void {
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
    const sum = (key: "lost" | "retransmits"): string => `${all.reduce((total, sample) => total + sample[key], 0)}`;
    const cells = [
      ...rates.map((rate) => rate.toFixed(2).padStart(6)),
      (ratios[0] ?? "").padStart(9),
      (ratios[1] ?? "").padStart(10),
    ];
    console.log(`  ${name}  ${cells.join("  ")}  ${sum("lost").padStart(5)}  ${sum("retransmits").padStart(7)}`);
  }
  console.log("\n  ratio: to the reflector at as many ends; lost: packets dropped in NFQUEUE, all rounds\n");
}

async function main(): Promise<number> {
  const options = { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "2" } } as const;
  const { values } = parseArgs({ options });
  const missing = missingPackages();
  if (missing.length > 0) {
    console.error(`missing programs; run as root: ${installLine(missing)}`);
    return 1;
  }
  if (!isRoot()) return enterUserNamespace();
  const reflector = await buildReflector();
  console.log(`  iperf3 over loopback, its own ceiling: ${(await toolCeiling()).toFixed(1)} Gbit/s`);
  const stands: Stand[] = [];
  for (const variant of VARIANTS) stands.push(await Stand.open(variant, reflector));
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
