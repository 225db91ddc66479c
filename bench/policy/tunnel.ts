// A drive through a tunnel: a radio fades, dies, and comes back. How long receivers wait under `signal`, under the
// engine's own `active-standby`, and under the kernel's own MPTCP, and what went where.
//
// Wi-Fi and Ethernet have 30 ms one way each; the standby is joined. Levels come from tunnel.csv, 5 a second (drawn by
// hand, with a dB of noise: a fall of 7 dB/s). At 5.4 s the path swallows everything; 1.5 s later the driver notices
// and takes the link down; at 9 s both are back. The three systems take turns, and each run has fresh streams of 20
// Mbit/s in either direction, stamped (test/lab/apps/stamped.ts). A run counts only if all octets arrived unchanged,
// in MPTCP.

import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Status } from "../../host/control/status.ts";
import { until } from "../../test/lab/mobility.ts";
import { measure, quantile, readArrivals } from "../handover/gap.ts";
import { checkFlows, finish } from "../handover/run.ts";
import { type Direction, NATIVE, PROXIED, type Series, type System } from "../handover/series.ts";
import { Stand } from "../handover/stand.ts";
import { raisePriority } from "../stream/kernel.ts";

const DIRECTIONS: readonly Direction[] = ["up", "down"];
const BYTES_PER_SECOND = 2_500_000;
/** Slow start, the programs' compilers. */
const WARM_MS = 900;
const SWALLOWED_MS = 5400;
const LINK_DOWN_MS = 6900;
const BACK_MS = 9000;
/** `signal` may make a receiver wait this part of what the kernel does. */
const OF_NATIVE = 0.2;

interface Competitor {
  name: string;
  system: System;
  policy?: string;
}

const COMPETITORS: readonly Competitor[] = [
  { name: "`signal`", system: PROXIED, policy: "signal" },
  { name: "`active-standby`", system: PROXIED, policy: "active-standby" },
  { name: "native MPTCP", system: NATIVE },
];

const TUNNEL: Series = {
  id: "tunnel",
  title: "a drive through a tunnel",
  delayMs: { wifi: 30, ethernet: 30 },
  events: [{ name: "tunnel", kind: "blackhole", to: "ethernet" }],
  systems: [PROXIED, NATIVE],
  sack: true,
  standby: true,
  windowMs: 12_000,
  controlMs: 250,
  target: () => ({}),
};

interface Level {
  ms: number;
  /** null = the driver tells none. */
  dbm: number | null;
}

const trace: readonly Level[] = readFileSync(new URL("tunnel.csv", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .slice(1)
  .map((line) => line.split(","))
  .map(([ms = "", dbm = ""]) => ({ ms: Number(ms), dbm: dbm === "" ? null : Number(dbm) }));

interface Sample {
  name: string;
  run: number;
  direction: Direction;
  /** The longest wait of the receiver, ms. */
  gapMs: number;
  /** New payload per network, octets. */
  wifi: number;
  ethernet: number;
}

/** The file of inputs of one stand. */
class Levels {
  readonly file: string;

  constructor(directory: string, name: string) {
    this.file = join(directory, `${name}.json`);
    this.tell(trace[0]?.dbm ?? null);
  }

  tell(dbm: number | null): void {
    const interfaces = { wifi: { kind: "wifi", ...(dbm === null ? {} : { signalDbm: dbm }) } };
    writeFileSync(`${this.file}.new`, JSON.stringify({ interfaces }));
    renameSync(`${this.file}.new`, this.file);
  }
}

async function drive(stand: Stand, levels: Levels): Promise<void> {
  const events = [
    ...trace.map(({ ms, dbm }) => ({ ms, happen: async () => levels.tell(dbm) })),
    { ms: SWALLOWED_MS, happen: () => stand.emulator.set("wifi", { blackhole: true }) },
    { ms: LINK_DOWN_MS, happen: () => stand.client.exec(["ip", "link", "set", "wifi", "down"]) },
    { ms: BACK_MS, happen: () => stand.emulator.set("wifi", { blackhole: false }) },
    { ms: BACK_MS, happen: () => stand.client.exec(["ip", "link", "set", "wifi", "up"]) },
  ].sort((a, b) => a.ms - b.ms);
  const began = performance.now();
  for (const { ms, happen } of events) {
    await sleep(Math.max(0, began + ms - performance.now()));
    await happen();
  }
  await sleep(Math.max(0, began + TUNNEL.windowMs - performance.now()));
}

/** A radio that was left must be trusted again before the next run. */
async function onWifi({ daemon }: Stand): Promise<void> {
  await until("wifi is what new connections are to use", async () => {
    const [entry] = (await daemon?.call<Status>("GET", "/v1/status"))?.classes ?? [];
    return entry === undefined || entry.state === "native" || entry.decision?.active === "wifi";
  });
}

async function oneRun(stand: Stand, levels: Levels, name: string, run: number): Promise<Sample[]> {
  levels.tell(trace[0]?.dbm ?? null);
  await stand.ready();
  await onWifi(stand);
  await stand.emulator.reset();
  const streams = await Promise.all(DIRECTIONS.map((direction) => stand.stream(direction, BYTES_PER_SECOND)));
  try {
    await stand.joined(streams);
    await sleep(WARM_MS);
    const atNs = process.hrtime.bigint();
    await drive(stand, levels);
    for (const stream of streams) await finish(stand, stream);
    await checkFlows(stand);
    const samples: Sample[] = [];
    for (const { direction, file, size } of streams) {
      const { wifi, ethernet } = await stand.wire(direction);
      const { gapMs } = measure(readArrivals(file, atNs), TUNNEL.windowMs, TUNNEL.controlMs, size);
      const carried = { wifi: wifi.tcp.newPayloadBytes, ethernet: ethernet.tcp.newPayloadBytes };
      if (Math.min(carried.wifi, carried.ethernet) < BYTES_PER_SECOND) {
        throw new Error(`${direction}: not both paths carried the stream: ${JSON.stringify(carried)}`);
      }
      samples.push({ name, run, direction, gapMs, ...carried });
    }
    return samples;
  } finally {
    for (const { program, file } of streams) {
      if (program.isRunning) await program.stop("SIGKILL");
      rmSync(file, { force: true });
    }
  }
}

/** Measures, and says whether the targets are met. */
export async function tunnel(runs: number, output: string): Promise<{ text: string; isReached: boolean }> {
  raisePriority();
  const directory = mkdtempSync(join(tmpdir(), "shunt-tunnel-"));
  const lanes: { competitor: Competitor; stand: Stand; levels: Levels }[] = [];
  const samples: Sample[] = [];
  let failed = 0;
  try {
    for (const [index, competitor] of COMPETITORS.entries()) {
      const levels = new Levels(directory, `${index}`);
      const { policy, system } = competitor;
      const prefer = ["wifi", "ethernet"];
      const client = {
        policy: {
          default: policy ?? "active-standby",
          prefer,
          inputs: [`file:${levels.file}`],
          state_directory: directory,
        },
      };
      const options = { congestion: "cubic", keepPmtu: false, ...(policy !== undefined && { client }) };
      lanes.push({ competitor, levels, stand: await Stand.open(TUNNEL, system, options) });
    }
    for (let run = 1; run <= runs; run++) {
      for (const { competitor, stand, levels } of lanes) {
        try {
          samples.push(...(await oneRun(stand, levels, competitor.name, run)));
        } catch (error) {
          failed++;
          console.log(`  FAILED ${competitor.name}, run ${run}: ${(error as Error).message}`);
          if (stand.daemon) console.log(stand.lastWords());
          await stand.startServer();
        }
        stand.restoreLater();
      }
    }
  } finally {
    for (const { stand } of lanes) await stand.close();
    rmSync(directory, { recursive: true });
  }
  writeFileSync(join(output, "policy-tunnel.json"), `${JSON.stringify(samples, null, 1)}\n`);
  const [text, isReached] = report(samples);
  return { text: `${text}${failed > 0 ? `\n\n${failed} runs FAILED` : ""}`, isReached: isReached && failed === 0 };
}

function report(samples: readonly Sample[]): [string, boolean] {
  const head =
    "| longest wait of the receiver, ms | stream | runs | min | p50 | p90 | max | octets on wifi / ethernet, MB |";
  const lines = [head, `|${"---|".repeat(8)}`];
  const verdicts: string[] = [];
  let isReached = true;
  for (const direction of DIRECTIONS) {
    const of = (name: string) => samples.filter((sample) => sample.name === name && sample.direction === direction);
    for (const { name } of COMPETITORS) {
      const own = of(name);
      const gaps = own.map(({ gapMs }) => gapMs);
      const cells = [0, 0.5, 0.9, 1].map((share) => quantile(gaps, share).toFixed(0));
      const mean = (pick: (sample: Sample) => number) =>
        (own.reduce((sum, sample) => sum + pick(sample), 0) / own.length / 1e6).toFixed(1);
      const octets = `${mean(({ wifi }) => wifi)} / ${mean(({ ethernet }) => ethernet)}`;
      lines.push(`| ${name} | ${direction} | ${own.length} | ${cells.join(" | ")} | ${octets} |`);
    }
    const [signal, standby, native] = COMPETITORS.map(({ name }) => of(name)) as [Sample[], Sample[], Sample[]];
    const median = (of: Sample[]) =>
      quantile(
        of.map(({ gapMs }) => gapMs),
        0.5,
      );
    const ratio = median(signal) / median(native);
    const above = signal.filter(
      ({ run, gapMs }) => gapMs > (standby.find((other) => other.run === run)?.gapMs ?? Number.POSITIVE_INFINITY),
    );
    verdicts.push(
      `${direction}: \`signal\` waits ${ratio.toFixed(3)} of native's median (at most ${OF_NATIVE}), and longer than ` +
        `\`active-standby\` in ${above.length} of ${signal.length} runs (0)`,
    );
    isReached &&= ratio <= OF_NATIVE && above.length === 0;
  }
  return [[...lines, "", ...verdicts].join("\n"), isReached];
}
