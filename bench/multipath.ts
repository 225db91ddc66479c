// A sender that speaks MPTCP itself uses two paths at once (§5.5 of the paper): how much of both arrives at a host
// behind Shunt, beside the same sender and a native receiver, and beside one path alone.
//
//     node bench/multipath.ts [--rounds 5] [--seconds 6]
//
// Each link is two paths in the lab's emulator, with a queue of 100 ms, the first of which is the single one. All
// systems stand at the same time and take turns within every round. A run counts only if its stream used the paths that
// it is named for, by new payload on the wire. Results: a table, out/bench/multipath.json and, of the first link's last
// round, out/bench/multipath.svg.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { repository } from "../test/lab/shunt.ts";
import { multipathPicture } from "./multipath/plots.ts";
import { type Link, type Sample, Stand, type Variant } from "./multipath/stand.ts";
import { allowBacklog, allowCongestionControl, raisePriority } from "./stream/kernel.ts";
import { prepare } from "./stream/prepare.ts";
import { median } from "./stream/stand.ts";

const output = join(repository, "out/bench");
const CONGESTION = "cubic";
/** Packets: more than the emulated links' delay and queue hold. */
const BACKLOG = 16_384;

const PROXIED: Variant = { name: "native → proxied, both paths", client: "shunt", paths: 2 };
const PROXIED_SINGLE: Variant = { name: "native → proxied, one path", client: "shunt", paths: 1 };
const NATIVE: Variant = { name: "native → native, both paths", client: "native", paths: 2 };
const NATIVE_SINGLE: Variant = { name: "native → native, one path", client: "native", paths: 1 };
const VARIANTS = [PROXIED, PROXIED_SINGLE, NATIVE, NATIVE_SINGLE];

const path = (roundTripMs: number, rateMbit: number) => ({ delayMs: roundTripMs / 2, rateMbit, queueMs: 100 });
const LINKS: readonly Link[] = [
  { title: "20 + 20 Mbit/s, 20 ms RTT both", wifi: path(20, 20), ethernet: path(20, 20) },
  { title: "20 + 20 Mbit/s, 20 and 60 ms RTT", wifi: path(20, 20), ethernet: path(60, 20) },
  { title: "100 + 50 Mbit/s, 10 and 30 ms RTT", wifi: path(10, 100), ethernet: path(30, 50) },
];

interface Result {
  link: Link;
  systems: { variant: Variant; samples: Sample[] }[];
}

async function measureLink(link: Link, rounds: number, seconds: number, trace: string): Promise<Result> {
  const stands: Stand[] = [];
  try {
    for (const variant of VARIANTS) stands.push(await Stand.open(variant, link, CONGESTION));
    for (let round = 1; round <= rounds; round++) {
      const isDrawn = link === LINKS[0] && round === rounds;
      for (const stand of stands) {
        await stand.measure(seconds, isDrawn && stand.variant === PROXIED ? trace : undefined);
      }
      console.log(`  ${link.title}: round ${round} of ${rounds}`);
    }
    return { link, systems: stands.map(({ variant, samples }) => ({ variant, samples })) };
  } finally {
    for (const stand of stands) await stand.close();
  }
}

function samplesOf({ systems }: Result, variant: Variant): Sample[] {
  return systems.find((system) => system.variant === variant)?.samples ?? [];
}

function rateOf(result: Result, variant: Variant): number {
  return median(samplesOf(result, variant).map(({ mbit }) => mbit));
}

/** The first path's part of all that was carried, per cent. */
function firstShare(samples: readonly Sample[]): number {
  const shares = samples.map(({ looks }) => {
    const { wifi = 0, ethernet = 0 } = looks.at(-1) ?? {};
    return (100 * wifi) / (wifi + ethernet);
  });
  return median(shares);
}

function table(results: readonly Result[]): string {
  const head = ["link", "system", "Mbit/s", "to one path", "to native", "first path", "resent", "reinjected"];
  const lines = [head, head.map(() => "---")];
  for (const result of results) {
    for (const { variant, samples } of result.systems) {
      const rate = rateOf(result, variant);
      const single = rateOf(result, variant.client === "shunt" ? PROXIED_SINGLE : NATIVE_SINGLE);
      const native = rateOf(result, variant.paths === 2 ? NATIVE : NATIVE_SINGLE);
      const sum = (key: "resent" | "reinjected") => `${samples.reduce((total, sample) => total + sample[key], 0)}`;
      lines.push([
        result.link.title,
        variant.name,
        rate.toFixed(1),
        variant.paths === 2 ? (rate / single).toFixed(2) : "",
        variant.client === "shunt" ? (rate / native).toFixed(2) : "",
        `${firstShare(samples).toFixed(0)} %`,
        sum("resent"),
        sum("reinjected"),
      ]);
    }
  }
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

async function draw(result: Result, trace: string): Promise<void> {
  const curves = [
    { title: PROXIED.name, sample: samplesOf(result, PROXIED).at(-1), single: rateOf(result, PROXIED_SINGLE) },
    { title: NATIVE.name, sample: samplesOf(result, NATIVE).at(-1), single: rateOf(result, NATIVE_SINGLE) },
  ].flatMap(({ sample, ...curve }) => (sample ? [{ ...curve, sample }] : []));
  writeFileSync(join(output, "multipath.svg"), await multipathPicture(curves, trace));
  console.log(`wrote ${join(output, "multipath.svg")}`);
}

async function main(): Promise<number> {
  const options = { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "6" } } as const;
  const { values } = parseArgs({ options });
  const over = prepare();
  if (over !== undefined) return over;
  raisePriority();
  allowCongestionControl(CONGESTION);
  allowBacklog(BACKLOG);
  mkdirSync(output, { recursive: true });
  const trace = join(output, "multipath.trace");
  const results: Result[] = [];
  for (const link of LINKS) {
    results.push(await measureLink(link, Number(values.rounds), Number(values.seconds), trace));
  }
  const load = loadavg()[0]?.toFixed(1);
  console.log(`\none download, medians of ${values.rounds} × ${values.seconds} s, ${CONGESTION}, load ${load}`);
  console.log(`\n${table(results)}\n\nresent, reinjected: of the sender's kernel, all runs together\n`);
  writeFileSync(join(output, "multipath.json"), `${JSON.stringify(results)}\n`);
  await draw(results[0] as Result, trace);
  for (const file of [trace, `${trace}.events.jsonl`]) rmSync(file, { force: true });
  const missed = results.filter((result) => rateOf(result, PROXIED) <= rateOf(result, PROXIED_SINGLE));
  for (const { link } of missed) console.log(`${link.title}: both paths carried no more than one: MISSED`);
  return missed.length > 0 ? 1 : 0;
}

process.exitCode = await main();
