// One run: fresh streams, control windows, events, and proof on the wire of what carried them.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Counters } from "../../test/lab/emulator.ts";
import { type Measure, measure, readArrivals } from "./gap.ts";
import type { Direction, Event, PathName } from "./series.ts";
import { PATHS, recordsIn, type Stand, type Stream } from "./stand.ts";

/** 20 Mbit/s. */
const BYTES_PER_SECOND = 2_500_000;
/** A sender's segments are at least this much of full ones on average, or the stream is not what is to be measured. */
const FULL_MIN = 0.95;
/** From the connect to the first control window: slow start, the standby's join, the programs' compilers. */
const WARM_MS = 900;
/** How long a stream that is told to end may take, ms. */
const END_MS = 10_000;
/** The new path must carry this much behind an event, bytes: far more than what could be there by accident. */
const CARRIED_MIN = 100_000;

export interface RunOptions {
  directions: readonly Direction[];
  /** Writes a capture of each network and each run there. */
  captures?: string | undefined;
  /** The client's proxy records all packets there. */
  trace?: string;
}

/** One receiver's view of one event. */
export interface Sample extends Measure {
  series: string;
  system: string;
  direction: Direction;
  event: string;
  run: number;
  /** CLOCK_MONOTONIC just before the command, ns. */
  atNs: string;
  /** How long the command took, ms. */
  tookMs: number;
  /** New payload per network behind the event, bytes. */
  wire: Record<PathName, number>;
}

interface Happened {
  event: Event;
  atNs: bigint;
  tookMs: number;
  before: Wire;
  after: Wire;
}

type Wire = Record<Direction, Record<PathName, Counters>>;

/** Does one run. Throws an error of one line when anything was not as it should be. */
export async function performRun(stand: Stand, run: number, options: RunOptions): Promise<Sample[]> {
  const { series } = stand;
  await stand.ready();
  await stand.emulator.reset();
  if (options.captures)
    await capture(stand, join(options.captures, `${series.id}-${stand.system.client}-${stand.system.server}-${run}`));
  const streams = await Promise.all(options.directions.map((direction) => stand.stream(direction, BYTES_PER_SECOND)));
  const connected = performance.now();
  try {
    if (series.standby) await stand.joined(streams);
    await sleep(Math.max(0, WARM_MS - (performance.now() - connected)));
    // Only connections that stand already are recorded.
    if (options.trace) await stand.daemon?.call("POST", "/v1/trace", { file: options.trace });
    const happened: Happened[] = [];
    for (const event of series.events) {
      await sleep(series.controlMs);
      if (event === series.events[0]) for (const stream of streams) await checkSegments(stand, stream);
      const before = await readWire(stand);
      const atNs = process.hrtime.bigint();
      await stand.happen(event);
      const tookMs = Number(process.hrtime.bigint() - atNs) / 1e6;
      await sleep(Math.max(0, series.windowMs - tookMs));
      happened.push({ event, atNs, tookMs, before, after: await readWire(stand) });
    }
    if (options.trace) await stand.daemon?.call("DELETE", "/v1/trace");
    for (const stream of streams) await finish(stand, stream);
    await checkFlows(stand);
    // After a break nothing moves again, so whatever came later counts as well.
    for (const one of happened) if (one.event.kind !== "move") one.after = await readWire(stand);
    return happened.flatMap((one) => streams.map((stream) => sampleOf(stand, run, one, stream)));
  } finally {
    for (const { program, file } of streams) {
      if (program.isRunning) await program.stop("SIGKILL");
      rmSync(file, { force: true });
    }
    if (options.captures) await capture(stand);
  }
}

async function capture(stand: Stand, prefix?: string): Promise<void> {
  for (const path of PATHS) await stand.emulator.capture(path, prefix && `${prefix}-${path}.pcap`);
}

async function readWire(stand: Stand): Promise<Wire> {
  return { up: await stand.wire("up"), down: await stand.wire("down") };
}

/** Ends a stream: all that was sent must have arrived, unchanged (the receiver compares) and complete. */
export async function finish(stand: Stand, stream: Stream): Promise<void> {
  const { program, direction } = stream;
  program.signal("SIGTERM");
  const late = sleep(END_MS).then(() => undefined);
  if ((await Promise.race([program.exited, late])) === undefined) {
    if (!stand.daemon) {
      // Without SACK a kernel mends one loss per round trip: its figures stand, and what is left of the stream goes.
      await program.stop("SIGKILL");
      await stand.startServer();
      return;
    }
    throw new Error(`${direction}: the stream did not end within ${END_MS / 1000} s`);
  }
  const said = program.output().split("\n");
  const trouble = said.find((line) => /"(corrupt|error)"/.test(line));
  if (trouble) throw new Error(`${direction}: ${trouble}`);
  const line = said.find((text) => /"(end|sent)"/.test(text));
  if (!line) throw new Error(`${direction}: the client said nothing of its end: ${said.at(-1)}`);
  const [near, far] = [recordsIn(line), await stand.serverSaw(stream)];
  if (near !== far) throw new Error(`${direction}: ${near} records at the client, ${far} at the server`);
}

/** No connection may have fallen back: every flow with payload was MPTCP from beginning to end. */
export async function checkFlows(stand: Stand): Promise<void> {
  for (const path of PATHS) {
    const flows = await stand.emulator.flows(path);
    for (const { source, payloadBytes, packets, withMptcp } of [...flows.forward, ...flows.backward]) {
      if (payloadBytes > 0 && withMptcp < packets / 2) {
        throw new Error(`${path}: ${source} fell back to TCP: ${withMptcp} of ${packets} segments are MPTCP`);
      }
    }
  }
}

/** The stream came in full segments, as far as retransmissions let it. */
async function checkSegments(stand: Stand, { direction, port, size }: Stream): Promise<void> {
  const flows = await stand.emulator.flows("wifi");
  const flow = flows[direction === "up" ? "forward" : "backward"].find(({ source, destination }) =>
    (direction === "up" ? source : destination).endsWith(`:${port}`),
  );
  const mean = (flow?.payloadBytes ?? 0) / (flow?.packets ?? 1);
  if (mean < size * FULL_MIN)
    throw new Error(`${direction}: segments of ${mean.toFixed(0)} bytes, full ones are ${size}`);
}

/** Measures one stream's view of one event, after the wire has proved that the event took place. */
function sampleOf(stand: Stand, run: number, happened: Happened, { direction, file, size }: Stream): Sample {
  const { series, system } = stand;
  const { event, atNs, tookMs, before, after } = happened;
  const carried = (path: PathName): number =>
    after[direction][path].tcp.newPayloadBytes - before[direction][path].tcp.newPayloadBytes;
  const wire = { wifi: carried("wifi"), ethernet: carried("ethernet") };
  const from = event.to === "wifi" ? "ethernet" : "wifi";
  if (before[direction][from].tcp.newPayloadBytes === 0)
    throw new Error(`${direction}: ${from} carried nothing before`);
  if (wire[event.to] < CARRIED_MIN) {
    throw new Error(`${direction}: ${event.to} carried ${wire[event.to]} bytes after the event, ${from} ${wire[from]}`);
  }
  const measured = measure(readArrivals(file, atNs), series.windowMs, series.controlMs, size);
  const what = { series: series.id, system: system.name, direction, event: event.name, run };
  return { ...what, atNs: `${atNs}`, tookMs, wire, ...measured };
}
