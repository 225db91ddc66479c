// What is measured: which event, on which paths, with which systems, and what is aimed at.

import type { PathParams } from "../../test/lab/topology.ts";

export type Direction = "up" | "down";
export type PathName = "wifi" | "ethernet";
/** Who speaks MPTCP at an end: a proxy under plain TCP sockets, or the kernel by itself. */
export type End = "shunt" | "native";

export interface System {
  name: string;
  client: End;
  server: End;
}

export const PROXIED: System = { name: "proxied ↔ proxied", client: "shunt", server: "shunt" };
export const MIXED: System = { name: "proxied ↔ native", client: "shunt", server: "native" };
export const NATIVE: System = { name: "native ↔ native", client: "native", server: "native" };

/**
 * move: both paths are fine, and the client asks for the other one;
 * cut: `ip link set wifi down` at the client, so that only its own end is told;
 * blackhole: the path drops everything, and nobody is told.
 */
export type EventKind = "move" | "cut" | "blackhole";

export interface Event {
  name: string;
  kind: EventKind;
  to: PathName;
}

/** Upper bounds in ms; a bound that is missing is not judged. */
export interface Target {
  p50?: number;
  max?: number;
}

export interface Series {
  id: string;
  title: string;
  /** One-way delays, ms. */
  delayMs: Record<PathName, number>;
  events: readonly Event[];
  systems: readonly System[];
  sack: boolean;
  /** The other path was joined before the event. */
  standby: boolean;
  /** How long after an event its gap is looked for, ms. A gap that began by then counts as a whole. */
  windowMs: number;
  /** The same before the event, without one. */
  controlMs: number;
  /** What a proxied client has to reach. */
  target: (event: Event, system: System) => Target;
  /** Both ends are held to what native MPTCP makes of the same event. */
  againstNative?: boolean;
}

const EQUAL = { wifi: 30, ethernet: 30 };
const UNEQUAL = { wifi: 30, ethernet: 10 };
/** Round trip of the new path where both are alike, ms. */
const ROUND_TRIP_MS = 60;

const CUT: Event = { name: "cut", kind: "cut", to: "ethernet" };
const BLACKHOLE: Event = { name: "blackhole", kind: "blackhole", to: "ethernet" };

function moves(delayMs: Record<PathName, number>): Event[] {
  const name = (from: PathName, to: PathName): string =>
    delayMs[from] === delayMs[to] ? "move" : `${delayMs[from]} → ${delayMs[to]} ms`;
  return [
    { name: name("wifi", "ethernet"), kind: "move", to: "ethernet" },
    { name: name("ethernet", "wifi"), kind: "move", to: "wifi" },
  ];
}

/** What the receiver must wait for when nothing is lost: the difference of the delays, and a round trip at worst. */
function moveTarget(delayMs: Record<PathName, number>) {
  return ({ to }: Event, { server }: System): Target => {
    // A native sender begins with a fresh congestion window on the other path, whoever it speaks to.
    if (server !== "shunt") return {};
    const from = to === "wifi" ? "ethernet" : "wifi";
    const difference = Math.max(0, delayMs[to] - delayMs[from]);
    return { p50: difference + 10, max: difference + 2 * delayMs[to] + 10 };
  };
}

/** Of a proxied pair: from the cut to the first byte sent again, one round trip and what the two programs take. */
const cutTarget = (_: Event, { server }: System): Target =>
  server === "shunt" ? { p50: ROUND_TRIP_MS + 30, max: 250 } : {};

const broken = { delayMs: EQUAL, sack: true, standby: true, windowMs: 850, controlMs: 250 };

export const SERIES: readonly Series[] = [
  {
    id: "mbb",
    title: "make-before-break, both paths 30 ms",
    delayMs: EQUAL,
    events: moves(EQUAL),
    systems: [PROXIED, NATIVE],
    sack: true,
    standby: true,
    windowMs: 350,
    controlMs: 350,
    target: moveTarget(EQUAL),
  },
  {
    id: "unequal",
    title: "make-before-break, 30 ms and 10 ms",
    delayMs: UNEQUAL,
    events: moves(UNEQUAL),
    systems: [PROXIED, NATIVE],
    sack: true,
    standby: true,
    windowMs: 350,
    controlMs: 350,
    target: moveTarget(UNEQUAL),
  },
  {
    ...broken,
    id: "bbm-sack",
    title: "break-before-make with SACK, standby joined",
    events: [CUT],
    systems: [PROXIED, MIXED, NATIVE],
    target: cutTarget,
    againstNative: true,
  },
  {
    ...broken,
    id: "bbm-nosack",
    title: "break-before-make without SACK, standby joined",
    events: [CUT],
    systems: [PROXIED, NATIVE],
    sack: false,
    target: cutTarget,
  },
  {
    ...broken,
    id: "late",
    title: "break-before-make, standby joined after the break",
    events: [CUT],
    systems: [PROXIED, NATIVE],
    standby: false,
    target: () => ({ p50: 2.5 * ROUND_TRIP_MS + 30, max: 1.5 * ROUND_TRIP_MS + 250 }),
  },
  {
    ...broken,
    id: "blackhole",
    title: "silent blackhole, standby joined",
    events: [BLACKHOLE],
    systems: [PROXIED, NATIVE],
    target: () => ({ p50: 300 + 2 * ROUND_TRIP_MS, max: 300 + 2 * ROUND_TRIP_MS }),
  },
];

/** Parameters of the emulated paths: a delay and nothing else, as in the paper's §5.4. */
export function pathParams({ delayMs }: Series): Record<PathName, PathParams> {
  return { wifi: { delayMs: delayMs.wifi }, ethernet: { delayMs: delayMs.ethernet } };
}
