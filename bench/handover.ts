// How long a receiver waits for in-order data around a handover, beside native kernel MPTCP on the same events.
//
//     node bench/handover.ts [--runs 50] [--series mbb,blackhole] [--directions down] [--plot-only] …
//
// In the lab (network namespaces and the path emulator): a client and a server, two paths of 30 ms one way each and
// nothing else done to them, as in §5.4 of the paper. Two streams at once, an upload and a download of 20 Mbit/s
// each in full-size segments, so that every event is seen by data that the client sends and by data that it
// receives. The sender stamps, the receiver notes arrivals itself (test/lab/apps/stamped.ts); "gap" is the longest
// time between two successive in-order bytes at the receiving program that overlaps the window behind the event,
// "control" the same before the event.
//
// Per series, one topology per system stands for all its runs; systems take turns (proxied, native, proxied, …),
// only one of them carries data at a time. Every run has fresh connections and, for moves, two events: there and
// back. What a kernel learnt is taken away between runs (tcp_no_metrics_save, `ip route flush cache`; --keep-pmtu
// leaves the latter). A run counts only if all bytes arrived in order and unchanged, both paths carried the
// streams, and no flow was plain TCP; else the bench names it and ends 1.
//
// The events come by the control API, as from `shunt handover --to`, without that program's own start; by `ip link
// set wifi down` at the client; or from the emulator. Native MPTCP is moved by `ip mptcp endpoint change … backup |
// nobackup`; for "standby joined only after the break" it gets its second endpoint together with the cut.
//
// Results: a table, out/bench/handover.{json,csv} (series measured earlier are kept) and out/bench/handover-*.svg.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { repository } from "../test/lab/shunt.ts";
import { drawAll } from "./handover/plots.ts";
import { readSamples, table, writeCsv, writeSamples } from "./handover/report.ts";
import { performRun, type RunOptions, type Sample } from "./handover/run.ts";
import { type Direction, SERIES, type Series } from "./handover/series.ts";
import { Stand, type StandOptions } from "./handover/stand.ts";
import { readTraces, type TracedEvent, tracedRuns, writeTraces } from "./handover/traces.ts";
import { allowCongestionControl, raisePriority } from "./stream/kernel.ts";
import { prepare } from "./stream/prepare.ts";

const output = join(repository, "out/bench");
const results = join(output, "handover.json");
const recorded = join(output, "handover-traces.json");

interface Options extends StandOptions, RunOptions {
  runs: number;
  series: Series[];
  systems: string[];
}

interface Measured {
  samples: Sample[];
  traces: TracedEvent[];
  /** Runs that do not count. */
  failed: number;
}

/** Measures one series. */
async function measureSeries(series: Series, options: Options): Promise<Measured> {
  const started = Date.now();
  const systems = series.systems.filter((system) => options.systems.includes(nickname(system)));
  const stands: Stand[] = [];
  const [samples, traces]: [Sample[], TracedEvent[]] = [[], []];
  let failed = 0;
  console.log(`  ${series.id}: ${series.title}`);
  try {
    for (const system of systems) stands.push(await Stand.open(series, system, options));
    // A run with two events makes two samples of each stream.
    const rounds = sameEvents(series) ? Math.ceil(options.runs / series.events.length) : options.runs;
    for (let run = 1; run <= rounds; run++) {
      for (const stand of stands) {
        try {
          samples.push(...(await performRun(stand, run, options)));
        } catch (error) {
          failed++;
          console.log(`  FAILED ${series.id}, ${stand.system.name}, run ${run}: ${(error as Error).message}`);
          if (stand.daemon) console.log(stand.lastWords());
          await stand.startServer();
        }
        stand.restoreLater();
      }
    }
    traces.push(...(await tracedRuns(series, stands, options)));
  } finally {
    for (const stand of stands) await stand.close();
  }
  console.log(`    ${samples.length} samples in ${((Date.now() - started) / 1000).toFixed(0)} s\n`);
  return { samples, traces, failed };
}

/** Whether all events of a series are one kind to the reader. */
function sameEvents({ events }: Series): boolean {
  return new Set(events.map(({ name }) => name)).size === 1;
}

function nickname({ client, server }: Series["systems"][number]): string {
  return client === server ? (client === "shunt" ? "proxied" : "native") : "mixed";
}

function readOptions(): Options & { plotOnly: boolean } {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "50" },
      series: { type: "string", default: SERIES.map(({ id }) => id).join() },
      systems: { type: "string", default: "proxied,mixed,native" },
      directions: { type: "string", default: "down,up" },
      congestion: { type: "string", default: "cubic" },
      captures: { type: "string" },
      "keep-pmtu": { type: "boolean", default: false },
      "plot-only": { type: "boolean", default: false },
    },
  });
  const named = values.series.split(",");
  const unknown = named.find((id) => !SERIES.some((series) => series.id === id));
  if (unknown !== undefined)
    throw new Error(`no series ${unknown}; there are ${SERIES.map(({ id }) => id).join(", ")}`);
  return {
    runs: Number(values.runs),
    series: SERIES.filter(({ id }) => named.includes(id)),
    systems: values.systems.split(","),
    directions: values.directions.split(",") as Direction[],
    congestion: values.congestion,
    captures: values.captures,
    keepPmtu: values["keep-pmtu"],
    plotOnly: values["plot-only"],
  };
}

async function main(): Promise<number> {
  const options = readOptions();
  mkdirSync(output, { recursive: true });
  if (options.plotOnly) {
    drawAll(readSamples(results, []), readTraces(recorded, []), output);
    return 0;
  }
  const over = prepare();
  if (over !== undefined) return over;
  raisePriority();
  allowCongestionControl(options.congestion);
  const samples = readSamples(results, options.series);
  const traces = readTraces(recorded, options.series);
  let failed = 0;
  for (const series of options.series) {
    const measured = await measureSeries(series, options);
    samples.push(...measured.samples);
    traces.push(...measured.traces);
    failed += measured.failed;
    writeSamples(results, samples);
    writeTraces(recorded, traces);
  }
  writeCsv(join(output, "handover.csv"), samples);
  const measured = samples.filter((sample) => options.series.some(({ id }) => id === sample.series));
  console.log(`longest gap between in-order data around the event, ms\n\n${table(measured)}\n`);
  drawAll(samples, traces, output);
  if (failed > 0) console.log(`${failed} runs FAILED`);
  return failed > 0 ? 1 : 0;
}

process.exitCode = await main();
