// What a policy was told, as series to draw: only what somebody told, and of what never changes nothing.
import type { ScenarioPath } from "./scenario.ts";
import type { Timeline } from "./timeline.ts";
import { type Track, valueAt } from "./track.ts";

export interface Sample {
  atS: number;
  /** null = of the machine, or of the class. */
  path: string | null;
  /** NaN = unknown: the line has a gap. */
  value: number;
}

export interface Chart {
  title: string;
  unit: string;
  samples: Sample[];
  from: number;
  to: number;
  /** Words for 0 and 1; null = numbers. */
  ticks: [string, string] | null;
}

interface Kind {
  title: string;
  unit: string;
  track(path: ScenarioPath): Track<number>;
  factor: number;
  /** The chart begins at zero. */
  zero: boolean;
  /** Also drawn if it never changes. */
  always: boolean;
}

const KINDS: Kind[] = [
  { title: "signal", unit: "dBm", track: ({ told }) => told.signalDbm, factor: 1, zero: false, always: true },
  { title: "round trip", unit: "ms", track: ({ rttMs }) => rttMs, factor: 1, zero: true, always: false },
  { title: "loss", unit: "%", track: ({ loss }) => loss, factor: 100, zero: true, always: false },
  { title: "price", unit: "per GB", track: ({ told }) => told.costMicroPerGB, factor: 1e-6, zero: true, always: true },
  { title: "energy", unit: "nJ/octet", track: ({ told }) => told.energyPerByte, factor: 1, zero: true, always: true },
  { title: "of others", unit: "Mbit/s", track: ({ otherKbps }) => otherKbps, factor: 1e-3, zero: true, always: false },
];

/** Samples of a series: as many as there are pixels to see them. */
const SAMPLES = 400;

export function chartsOf(timeline: Timeline): Chart[] {
  const { scenario } = timeline;
  const charts = KINDS.flatMap((kind) => {
    const shown = scenario.paths.filter((path) => isWorthwhile(kind, path));
    const samples = shown.flatMap((path) => sampled(timeline, kind.track(path), path.config.name, scaled(kind.factor)));
    return samples.length === 0 ? [] : [chart(kind, samples, kind.zero)];
  });
  const flags = FLAGS.flatMap(([title, track]) => {
    const shown = scenario.paths.filter((path) => track(path).some(({ value }) => value === true));
    const samples = shown.flatMap((path) => sampled(timeline, track(path), path.config.name, Number));
    return samples.length === 0 ? [] : [flagChart(title, samples)];
  });
  return [...charts, ...flags, ...quotas(timeline), ...ofMachine(timeline)];
}

const FLAGS: [string, (path: ScenarioPath) => Track<boolean>][] = [
  ["captive", ({ told }) => told.captive],
  ["draining", ({ draining }) => draining],
  ["roaming", ({ told }) => told.expensive],
];

function isWorthwhile({ track, always }: Kind, path: ScenarioPath): boolean {
  const values = track(path).map(({ value }) => value);
  return values.some((value) => value !== null) && (always || values.some((value) => value !== values[0]));
}

const scaled = (factor: number) => (value: number) => value * factor;

function sampled<T>(
  { scenario }: Timeline,
  track: Track<T>,
  path: string | null,
  number: (value: T) => number,
): Sample[] {
  const step = scenario.durationS / SAMPLES;
  const times = [...Array.from({ length: SAMPLES }, (_, index) => index * step), scenario.durationS];
  // Just before and at each keyframe, so that a step is upright.
  for (const { atS } of track) times.push(Math.max(0, atS - 1e-6), atS);
  return times
    .filter((atS) => atS <= scenario.durationS)
    .sort((a, b) => a - b)
    .map((atS) => {
      const value = valueAt(track, atS);
      return { atS, path, value: value === null ? Number.NaN : number(value) };
    });
}

/** One that is either so or not. */
function flagChart(title: string, samples: Sample[]): Chart {
  return { title, unit: "", samples, from: 0, to: 1, ticks: ["no", "yes"] };
}

function chart({ title, unit }: Pick<Kind, "title" | "unit">, samples: Sample[], zero: boolean): Chart {
  const values = samples.map(({ value }) => value).filter((value) => !Number.isNaN(value));
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = (most - least) * 0.1 || 1;
  return {
    title,
    unit,
    samples,
    from: zero ? 0 : least - room,
    to: zero ? most * 1.05 || 1 : most + room,
    ticks: null,
  };
}

function quotas({ quotas: known, scenario }: Timeline): Chart[] {
  const samples = scenario.paths.flatMap(({ config }) =>
    (known.get(config.name) ?? []).map(({ atS, left }) => ({ atS, path: config.name, value: left / 1e6 })),
  );
  return samples.length === 0 ? [] : [chart({ title: "quota left", unit: "MB" }, samples, true)];
}

function ofMachine(timeline: Timeline): Chart[] {
  const { battery, power, kbps, connections } = timeline.scenario;
  const tells = (track: Track<unknown>) => track.some(({ value }) => value !== null);
  const moves = (track: Track<number>) => new Set(track.map(({ value }) => value)).size > 1;
  const of = (title: string, unit: string, track: Track<number>, factor: number) =>
    chart({ title, unit }, sampled(timeline, track, null, scaled(factor)), true);
  const charts: Chart[] = [];
  if (tells(battery)) charts.push({ ...of("battery", "%", battery, 100), to: 100 });
  if (tells(power)) {
    charts.push(
      flagChart(
        "on mains",
        sampled(timeline, power, null, (value) => Number(value === "mains")),
      ),
    );
  }
  if (moves(kbps)) charts.push(of("class sends", "Mbit/s", kbps, 1e-3));
  if (moves(connections)) charts.push(of("connections", "", connections, 1));
  return charts;
}
