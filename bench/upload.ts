// Upload of a proxied host to a server whose kernel speaks MPTCP itself: the hard direction. What the receiver's
// DATA_ACK does not cover yet the host must keep, and Linux lets it lag; that must neither slow the host nor make it
// probe.
//
//     node bench/upload.ts [--links veth,20ms] [--rounds 5] [--seconds 3] [--rate 500] [--queue 100] [--buffer 4194304]
//
// Beside it, taking turns within every round: the kernel's own MPTCP at both ends, and plain TCP with the C reflector
// at one end (bench/reflector: the least that a rewriter on NFQUEUE can do). The ratio is to the smaller of the two.
//
// Two links: a bare veth pair, where every microsecond of DATA_ACK counts, and one of 20 ms RTT through the lab's path
// emulator. That one carries 1.9 Gbit/s here; its rate (--rate, Mbit/s) is kept far below, so that neither the emulator
// nor any end's CPU limits the stream, but the acknowledgements may. Buffers (--buffer, bytes) hold three times what
// the path does and less than path and queue together: the window limits nobody, and nothing is lost, so that what a
// sender repeats, probes for or waits for is its own fault. Kernel settings are the same for all systems.

import { mkdirSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { repository } from "../test/lab/shunt.ts";
import type { PathParams } from "../test/lab/topology.ts";
import { allowBacklog, allowCongestionControl, raisePriority } from "./stream/kernel.ts";
import { prepare } from "./stream/prepare.ts";
import { buildReflector } from "./stream/reflector.ts";
import { median, type Sample, Stand, type Variant } from "./stream/stand.ts";

const TARGET = 0.9;
const ONE_WAY_MS = 10;

const PROXIED: Variant = { name: "proxied → native MPTCP", client: "shunt", server: "native" };
const NATIVE: Variant = { name: "native → native MPTCP", client: "native", server: "native" };
const REFLECTED: Variant = { name: "reflector at one end", client: "reflector", server: "plain" };

/** Packets: more than the emulated link's delay and queue hold. */
const BACKLOG = 16_384;

interface Link {
  id: string;
  title: string;
  path?: PathParams;
  /** Seconds of each run that do not count: slow start. */
  warmup: number;
}

interface Options {
  links: Link[];
  rounds: number;
  seconds: number;
  congestion: string;
  /** Kernel settings of both hosts. */
  settings: string[];
}

/** One link, measured. */
interface Result {
  link: Link;
  stands: Stand[];
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      links: { type: "string", default: "veth,20ms" },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "3" },
      rate: { type: "string", default: "500" },
      queue: { type: "string", default: "100" },
      buffer: { type: "string", default: "4194304" },
      congestion: { type: "string", default: "cubic" },
    },
  });
  const path = { delayMs: ONE_WAY_MS, rateMbit: Number(values.rate), queueMs: Number(values.queue) };
  const known: Link[] = [
    { id: "veth", title: "bare veth", warmup: 0.5 },
    { id: "20ms", title: `${2 * ONE_WAY_MS} ms RTT, ${values.rate} Mbit/s`, path, warmup: 1 },
  ];
  const named = values.links.split(",");
  const unknown = named.find((id) => !known.some((link) => link.id === id));
  if (unknown !== undefined) throw new Error(`no link ${unknown}; there are ${known.map(({ id }) => id).join(", ")}`);
  return {
    links: known.filter(({ id }) => named.includes(id)),
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    congestion: values.congestion,
    // No run learns from the one before.
    settings: ["rmem", "wmem"]
      .map((name) => `net.ipv4.tcp_${name}=4096 131072 ${values.buffer}`)
      .concat("net.ipv4.tcp_no_metrics_save=1"),
  };
}

async function measureLink(link: Link, reflector: string, options: Options): Promise<Result> {
  const { path, warmup } = link;
  const { congestion, settings, rounds, seconds } = options;
  const stands: Stand[] = [];
  try {
    for (const variant of [PROXIED, NATIVE, REFLECTED]) {
      stands.push(await Stand.open(variant, { reflector, congestion, settings, ...(path && { path }) }));
    }
    for (let round = 1; round <= rounds; round++) {
      for (const stand of stands) await stand.measure("up", seconds, warmup);
      console.log(`  ${link.title}: round ${round} of ${rounds}`);
    }
  } finally {
    for (const stand of stands) await stand.close();
  }
  return { link, stands };
}

function medianRate(stand: Stand | undefined): number {
  return median(stand?.samples.up.map(({ gbit }) => gbit) ?? []);
}

/** To the smaller of the two that stand beside it; NaN when one of the three was not measured. */
function ratioOf({ stands: [proxied, native, reflected] }: Result): number {
  return medianRate(proxied) / Math.min(medianRate(native), medianRate(reflected));
}

const COUNTED = ["probes", "timeouts", "resent", "pulls", "lost"] as const satisfies readonly (keyof Sample)[];

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function head(cells: readonly string[]): string {
  return `${row(cells)}\n${row(cells.map(() => "---"))}`;
}

/** A line per system: median rate, counters of all runs together. */
function summary(results: readonly Result[]): string {
  const lines = [head(["link", "system", "Gbit/s", "ratio", ...COUNTED])];
  for (const result of results) {
    for (const stand of result.stands) {
      const { variant, samples, problem } = stand;
      const start = [result.link.title, variant.name];
      if (problem !== "") {
        lines.push(row([...start, `not available: ${problem}`, ...COUNTED.map(() => ""), ""]));
        continue;
      }
      const ratio = variant === PROXIED ? `**${ratioOf(result).toFixed(2)}**` : "";
      const counted = COUNTED.map((key) => `${samples.up.reduce((total, sample) => total + sample[key], 0)}`);
      lines.push(row([...start, medianRate(stand).toFixed(3), ratio, ...counted]));
    }
  }
  return lines.join("\n");
}

/** A line per proxied run, the others' rates of the same round beside it. */
function everyRun(results: readonly Result[]): string {
  const lines = [head(["link", "round", "proxied", "native", "reflector", ...COUNTED])];
  for (const { link, stands } of results) {
    for (const [index, sample] of (stands[0]?.samples.up ?? []).entries()) {
      const rates = stands.map(({ samples }) => samples.up[index]?.gbit.toFixed(3) ?? "");
      lines.push(row([link.title, `${index + 1}`, ...rates, ...COUNTED.map((key) => `${sample[key]}`)]));
    }
  }
  return lines.join("\n");
}

async function main(): Promise<number> {
  const options = readOptions();
  const over = prepare();
  if (over !== undefined) return over;
  raisePriority();
  allowCongestionControl(options.congestion);
  allowBacklog(BACKLOG);
  const reflector = await buildReflector();
  const results: Result[] = [];
  for (const link of options.links) results.push(await measureLink(link, reflector, options));
  const load = loadavg()[0]?.toFixed(1);
  console.log(
    `\none stream up, medians of ${options.rounds} × ${options.seconds} s, ${options.congestion}, load ${load}`,
  );
  console.log(`\n${summary(results)}\n\nproxied, run by run:\n\n${everyRun(results)}\n`);
  console.log(
    "probes, timeouts, resent: of the sender's kernel, all runs; lost: packets, in NFQUEUE and in the emulated link\n",
  );
  for (const result of results) {
    const ratio = ratioOf(result);
    console.log(`${result.link.title}: ${ratio.toFixed(2)}, aim ${TARGET}: ${ratio >= TARGET ? "met" : "MISSED"}`);
  }
  mkdirSync(join(repository, "out/bench"), { recursive: true });
  const record = results.map(({ link, stands }) => ({
    link,
    ratio: ratioOf({ link, stands }),
    systems: stands.map(({ variant, problem, samples }) => ({ ...variant, problem, samples: samples.up })),
  }));
  writeFileSync(join(repository, "out/bench/upload.json"), `${JSON.stringify(record, null, 1)}\n`);
  return 0;
}

process.exitCode = await main();
