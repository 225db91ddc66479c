// A seed and what follows from it: who stands at the ends, what they want of each other, the networks between them, and
// what happens on the way. Nothing here runs; runner.ts does.

import * as abi from "../../host/engine/abi.ts";
import { Random } from "../model/random.ts";
import { type Plan, planned } from "./application.ts";
import type { MptcpOptions } from "./hosts/mptcp-options.ts";
import type { StripKind } from "./middlebox.ts";
import { CALM, type Conditions, SIDES, type Side } from "./network.ts";
import { PLAIN_SEEDS } from "./regressions.ts";

/** Who converts: both ends, one end against an MPTCP stack or a plain one, or one end against nobody. */
export type Cast = "both" | "clientAndNative" | "nativeAndServer" | "clientAndPlain" | "plainAndServer";

export interface HostPlan {
  kind: "tcp" | "smoltcp" | "mptcp";
  sack: boolean;
  /** −1: none is offered. */
  windowScale: number;
  receiveBuffer: number;
  sendBuffer: number;
  gso: number;
  keepAliveUs: number;
  delayedAck: boolean;
  repacketise: number;
  shortWrites: number;
  /** Initial numbers this close below the wrap; undefined: anywhere. */
  issNear: number | undefined;
  /** What an MPTCP stack does, if it is one. */
  native: Partial<MptcpOptions>;
}

export interface ConnectionPlan {
  port: number;
  startUs: number;
  plans: Record<Side, Plan>;
}

export type Action =
  | { what: "handover"; atUs: number; side: Side; path: number; mode: number }
  | { what: "auto"; atUs: number; side: Side }
  | { what: "add" | "remove"; atUs: number; side: Side; path: number }
  /** Nobody is told. */
  | { what: "cut"; atUs: number; side: Side; path: number; forUs: number }
  /** The engine at this end is told `toldUs` later; `addressGone`: its address goes and comes back with the link. */
  | { what: "down"; atUs: number; side: Side; path: number; forUs: number; toldUs: number; addressGone: boolean }
  | { what: "conditions"; atUs: number; path: number; conditions: Conditions }
  /** A policy speaks for a class, or the class is given back to the native one. */
  | { what: "intent"; atUs: number; side: Side; class: number; active: number; standby: number[]; close: number[] }
  | { what: "native"; atUs: number; side: Side; class: number; prefer: number[]; paths: number[]; probeMs: number }
  /** New connections are of class 1, or of class 0 all of them; so are then those that live. */
  | { what: "rules"; atUs: number; side: Side; some: boolean };

export interface BoxPlan {
  path: number;
  side: Side;
  kind: "split" | "coalesce" | "sloppy" | "strip";
  share: number;
  strip: StripKind;
  fromUs: number;
}

export interface Scenario {
  seed: number;
  build: "test" | "test-release";
  cast: Cast;
  paths: number;
  /** Addresses of `b`: one per path, or one for all. */
  serverPaths: number;
  /** Of path 1, on which connections are opened, and of each path. */
  family: 4 | 6;
  families: (4 | 6)[];
  hosts: Record<Side, HostPlan>;
  /** EngineConfig.FLAGS and REJOIN_GRACE_MS of an engine. */
  engineFlags: Record<Side, number>;
  /** Keys whose IDSN lies right before the wrap of its low half, and ISNs of joined subflows likewise. */
  wrap: Record<Side, boolean>;
  connections: ConnectionPlan[];
  conditions: Record<Side, Conditions[]>;
  /** Longest packet that a path takes, octets, 0 = whatever the interfaces send; what is longer is answered by ICMP. */
  mtus: number[];
  boxes: BoxPlan[];
  actions: Action[];
  /** The faults begin only when everything is established. */
  calmStart: boolean;
  faultsEndUs: number;
  /** A path of `a` that stays dead when all others are well again, 0 = none; its engine is told, or not. */
  lostPath: number;
  lostSilently: boolean;
}

/** Seeds from here on have paths that take less than the interfaces before them. */
export const MTU_SEEDS = 1_000_000_000;
/** Seeds from here on have classes, too, for which policies speak at both ends, and whose idle paths are asked. */
export const POLICY_SEEDS = 4_100_000_000;
const SECOND = 1_000_000;
/** Octets that the streams of a scenario have together: what a seed may cost. */
const OCTETS_MAX = 120_000;

export function scenarioOf(seed: number): Scenario {
  // A generator per aspect: who changes how one is drawn leaves the others of all seeds as they were.
  const aspect = (number: number) => new Random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(number, 0x85ebca6b));
  const random = aspect(1);
  const cast = castOf(aspect(2));
  const paths = random.pick([1, 2, 2, 2, 3, 3, 4]);
  const faultsEndUs = random.pick([SECOND, 2 * SECOND, 3 * SECOND, 6 * SECOND]);
  const calmStart = random.chance(0.75);
  const hosts = { a: hostPlan(aspect(3)), b: hostPlan(aspect(4)) };
  if (cast === "clientAndNative") hosts.b.kind = "mptcp";
  if (cast === "nativeAndServer") hosts.a.kind = "mptcp";
  const serverPaths = random.chance(0.4) ? 1 : paths;
  const build = random.chance(0.25) ? "test" : "test-release";
  const family = random.chance(0.15) ? 6 : 4;
  const scenario: Scenario = {
    seed,
    build,
    cast,
    paths,
    serverPaths,
    family,
    families: Array.from({ length: paths }, () => family),
    hosts,
    engineFlags: { a: random.pick([7, 7, 3]), b: random.pick([7, 7, 6, 3]) },
    wrap: { a: random.chance(0.3), b: random.chance(0.3) },
    connections: connectionPlans(aspect(5), faultsEndUs),
    conditions: { a: allConditions(aspect(6), paths), b: allConditions(aspect(7), paths) },
    mtus: [],
    boxes: random.chance(0.25) ? boxPlans(aspect(8), paths, cast === "both") : [],
    actions: actionPlans(aspect(9), paths, calmStart, faultsEndUs),
    calmStart,
    faultsEndUs,
    lostPath: cast === "both" && paths > 1 && calmStart && random.chance(0.2) ? random.between(1, paths) : 0,
    lostSilently: random.chance(0.5),
  };
  // A client that has nothing to send learns of such a loss from what comes on another subflow, if it has one.
  if ((scenario.engineFlags.a & abi.ConfigFlag.STANDBY) === 0) scenario.lostSilently = false;
  if (PLAIN_SEEDS.has(seed)) return scenario;
  mixFamilies(scenario, aspect(MIXING));
  demandChecksums(scenario, aspect(10));
  if (seed >= MTU_SEEDS) {
    scenario.mtus = scenario.families.map(mtuOf(aspect(27)));
    // smoltcp knows no ICMP: where it falls back to plain TCP, nobody could help it.
    for (const side of SIDES) if (hosts[side].kind === "smoltcp") hosts[side].kind = "tcp";
  }
  if (seed >= POLICY_SEEDS) {
    const spoken = policyPlans(aspect(28), paths, faultsEndUs);
    scenario.actions = [...scenario.actions, ...spoken].sort((x, y) => x.atUs - y.atUs);
  }
  return scenario;
}

/** The first number whose draw leaves the seeds of regressions.ts and faults.test.ts as they were. */
const MIXING = 26;

/** Other paths than the first have the other family now and then: where each end has an address on each, and says so. */
function mixFamilies(s: Scenario, random: Random): void {
  if (!random.chance(0.3) || s.cast !== "both" || s.paths === 1 || s.serverPaths !== s.paths) return;
  for (let i = 1; i < s.paths; i++) if (random.chance(0.6)) s.families[i] = s.family === 4 ? 6 : 4;
  if (s.families.every((family) => family === s.family)) return;
  s.engineFlags.b |= abi.ConfigFlag.ADVERTISE;
  s.lostPath = 0; // an ADD_ADDR may be lost three times, and then no other path is known
}

/** In some scenarios an end demands checksums, its engine or its MPTCP stack; or both ends do. */
function demandChecksums(s: Scenario, random: Random): void {
  if (!random.chance(0.25)) return;
  for (const side of random.pick<Side[]>([["a"], ["b"], ["a", "b"]])) {
    s.engineFlags[side] |= abi.ConfigFlag.CHECKSUM;
    s.hosts[side].native.checksum = true;
  }
}

const mtuOf = (random: Random) => (family: 4 | 6) =>
  random.pick(family === 4 ? [0, 1492, 1400, 1280, 600] : [0, 1492, 1400, 1280, 1280]); // RFC 8200 §5: IPv6 has 1280

function castOf(random: Random): Cast {
  if (random.chance(0.35)) return random.pick(["clientAndNative", "nativeAndServer"]);
  return random.pick(["both", "both", "both", "both", "both", "clientAndPlain", "plainAndServer"]);
}

function hostPlan(random: Random): HostPlan {
  return {
    kind: random.chance(0.3) ? "smoltcp" : "tcp",
    sack: random.chance(0.7),
    windowScale: random.pick([7, 7, 2, 0, -1]),
    receiveBuffer: random.pick([262_144, 262_144, 65_535, 16_000, 6_000]),
    sendBuffer: random.pick([262_144, 30_000]),
    gso: random.pick([1, 1, 4, 16]),
    keepAliveUs: random.pick([0, 0, 0, 700_000]),
    delayedAck: random.chance(0.8),
    repacketise: random.pick([0, 0.1, 0.5]),
    shortWrites: random.pick([0, 0, 0.3]),
    issNear: random.chance(0.3) ? 60_000 : undefined,
    native: {
      dsnOctets: random.pick([4, 8, 8]),
      bulk: random.pick([1, 1, 4, 16]),
      dssOnFirst: random.pick([0, 0, 0.5]),
      backlog: random.pick([0, 0, 0.3]),
      dropAtData: random.pick([0, 0, 0.03]),
      obeyPriority: random.chance(0.7),
      spread: random.chance(0.6),
      extraSubflows: random.pick([2, 2, 8]),
      autoJoin: random.chance(0.6),
      announce: random.chance(0.6),
    },
  };
}

function connectionPlans(random: Random, faultsEndUs: number): ConnectionPlan[] {
  const count = random.pick([1, 1, 1, 2]);
  return Array.from({ length: count }, (_, i) => ({
    port: 40_000 + 1_000 * i + random.below(1_000),
    startUs: i === 0 ? 0 : random.below(faultsEndUs / 2),
    plans: {
      a: plan(random, faultsEndUs, OCTETS_MAX / 2 / count),
      b: plan(random, faultsEndUs, OCTETS_MAX / 2 / count),
    },
  }));
}

/** What a program sends: all at once, in a few bursts with pauses, or a stream of records. */
function burstsOf(random: Random, faultsEndUs: number, most: number): Plan["bursts"] {
  const octets = Math.min(most, random.pick([0, 1, 700, 9_000, 30_000, 60_000, 60_000]));
  const pieces = random.pick([1, 1, 4, 30, 60]);
  const bursts: Plan["bursts"] = [];
  let left = octets;
  for (let i = 1; i <= pieces && left > 0; i++) {
    const even = Math.ceil(octets / pieces);
    const size = i === pieces ? left : Math.min(left, pieces > 4 ? even : random.between(1, left));
    const pauseUs = i === 1 ? 0 : pieces > 4 ? Math.ceil(faultsEndUs / pieces) : random.below(faultsEndUs / 2);
    bursts.push({ octets: size, pauseUs });
    left -= size;
  }
  return bursts;
}

function plan(random: Random, faultsEndUs: number, most: number): Plan {
  const bursts = burstsOf(random, faultsEndUs, most);
  const slow = random.chance(0.2);
  const deafFromUs = random.chance(0.15) ? random.below(faultsEndUs) : Infinity;
  return {
    bursts,
    readOctets: slow ? random.pick([100, 1_000, 5_000]) : 0,
    readEveryUs: random.pick([5_000, 50_000]),
    deafFromUs,
    deafUntilUs: deafFromUs + random.below(2 * SECOND),
    close: random.pick(["atOnce", "afterPeer", "late", "late"]),
    abortAfterUs: random.chance(0.06) ? 1 + random.below(faultsEndUs) : 0,
  };
}

function allConditions(random: Random, paths: number): Conditions[] {
  return Array.from({ length: paths }, () => conditions(random));
}

function conditions(random: Random): Conditions {
  const rough = random.chance(0.6);
  return {
    ...CALM,
    delayUs: random.pick([200, 5_000, 15_000, 50_000]),
    jitterUs: random.pick([0, 0, 2_000, 10_000]),
    ...(rough && {
      loss: random.pick([0, 0, 0.01, 0.05, 0.15]),
      duplicate: random.pick([0, 0, 0.03]),
      reorder: random.pick([0, 0, 0.05, 0.2]),
      reorderUs: random.pick([1_000, 20_000]),
    }),
    ...(random.chance(0.3) && { rate: random.pick([30_000, 250_000, 1_250_000]), queue: 30_000 }),
  };
}

/** A native stack gives up when a box loses mappings (as Linux does): `sloppy` ones stand between two engines only. */
function boxPlans(random: Random, paths: number, sloppy: boolean): BoxPlan[] {
  return Array.from({ length: random.between(1, 2) }, () => ({
    path: random.between(1, paths),
    side: random.pick(SIDES),
    kind: random.pick(["split", "split", "coalesce", sloppy ? "sloppy" : "coalesce", "strip"] as const),
    share: random.pick([0.1, 0.5, 1]),
    strip: random.pick<StripKind>(["syn", "synAck", "thirdAck", "all", "join"]),
    fromUs: random.chance(0.5) ? 0 : random.below(3 * SECOND),
  }));
}

function actionPlans(random: Random, paths: number, calm: boolean, endUs: number): Action[] {
  const count = random.pick([0, 1, 3, 6, 10]);
  const fromUs = calm ? 400_000 : 0;
  const actions: Action[] = [];
  for (let i = 0; i < count; i++) {
    const atUs = fromUs + random.below(endUs);
    const side = random.pick(SIDES);
    const path = random.between(1, paths);
    const forUs = random.pick([20_000, 300_000, 1_500_000, 4_000_000]);
    const what = random.pick([
      "handover",
      "handover",
      "handover",
      "auto",
      "add",
      "remove",
      "cut",
      "down",
      "down",
      "both",
      "suspend",
      "conditions",
    ]);
    if (what === "handover") actions.push({ what, atUs, side, path, mode: random.below(2) });
    else if (what === "auto") actions.push({ what, atUs, side });
    else if (what === "add" || what === "remove") actions.push({ what, atUs, side, path });
    else if (what === "cut") actions.push({ what, atUs, side, path, forUs });
    else if (what === "conditions") actions.push({ what, atUs, path, conditions: conditions(random) });
    else if (what === "down") actions.push(down(random, atUs, side, path, forUs));
    else if (what === "both")
      for (const end of SIDES) actions.push(down(random, atUs, end, random.between(1, paths), forUs));
    else for (let k = 1; k <= paths; k++) actions.push({ what: "cut", atUs, side, path: k, forUs });
  }
  return actions.sort((x, y) => x.atUs - y.atUs);
}

/** What policies do at both ends: they begin before the connections do, and change their minds. */
function policyPlans(random: Random, paths: number, endUs: number): Action[] {
  const some = (share: number) => Array.from({ length: paths }, (_, i) => i + 1).filter(() => random.chance(share));
  const count = random.pick([1, 3, 8, 20]);
  const actions: Action[] = [];
  for (const side of SIDES) {
    if (random.chance(0.5)) actions.push({ what: "rules", atUs: 0, side, some: true });
    for (let i = 0; i < count; i++) {
      const atUs = i === 0 ? 0 : random.below(endUs);
      const id = random.below(2);
      const what = random.pick(["intent", "intent", "intent", "intent", "native", "rules"]);
      if (what === "rules") actions.push({ what, atUs, side, some: random.chance(0.7) });
      else if (what === "intent") {
        const active = random.chance(0.8) ? random.between(1, paths) : 0;
        actions.push({ what, atUs, side, class: id, active, standby: some(0.5), close: some(0.3) });
      } else {
        const allowed = random.chance(0.3) ? some(0.7) : [];
        const probeMs = random.pick([0, 50, 200, 1_000]);
        actions.push({ what: "native", atUs, side, class: id, prefer: some(0.7), paths: allowed, probeMs });
      }
    }
  }
  return actions;
}

function down(random: Random, atUs: number, side: Side, path: number, forUs: number): Action {
  const toldUs = random.pick([0, 0, 3_000, 100_000]);
  return { what: "down", atUs, side, path, forUs, toldUs, addressGone: random.chance(0.5) };
}

/** Octets that each side sends in all. */
export function octetsOf(connection: ConnectionPlan): Record<Side, number> {
  return { a: planned(connection.plans.a), b: planned(connection.plans.b) };
}

/** The scenario in a few lines, for whoever reads a trace. */
export function describeScenario(s: Scenario): string {
  const link = (c: Conditions) =>
    Object.entries(c)
      .filter(([, value]) => value !== 0)
      .map(([name, value]) => `${name} ${value}`)
      .join(", ");
  const finite = (_: string, value: unknown) => (value === Infinity ? "never" : value);
  const compact = (value: unknown) => JSON.stringify(value, finite).replaceAll('"', "");
  const host = (side: Side) => {
    const { native, ...tcp } = s.hosts[side];
    return compact(tcp.kind === "mptcp" ? { ...tcp, native } : tcp);
  };
  const bursts = (plan: Plan) => {
    const [first, second] = plan.bursts;
    const even = plan.bursts.length > 4 && first && second;
    return even ? `${plan.bursts.length} x ${first.octets} every ${second.pauseUs}` : compact(plan.bursts);
  };
  const program = (plan: Plan) => {
    const { bursts: _, ...rest } = plan;
    return `writes ${bursts(plan)} ${compact(rest)}`;
  };
  return [
    `seed ${s.seed}: ${s.cast}, build ${s.build}, IPv${s.families.join("/")}, ${s.paths} paths, ${s.serverPaths} at b`,
    ...SIDES.map((side) => `host ${side}: ${host(side)} flags ${s.engineFlags[side]} wrap ${s.wrap[side]}`),
    ...s.connections.flatMap((c) =>
      SIDES.map((side) => `port ${c.port} from ${c.startUs}: ${side} ${program(c.plans[side])}`),
    ),
    ...SIDES.flatMap((side) => s.conditions[side].map((c, i) => `path ${i + 1} from ${side}: ${link(c)}`)),
    ...(s.mtus.length > 0 ? [`MTUs ${compact(s.mtus)}`] : []),
    ...s.boxes.map((box) => `middlebox ${compact(box)}`),
    ...s.actions.map((action) => `action ${compact(action)}`),
    `faults end at ${s.faultsEndUs}, calm start ${s.calmStart}, lost path ${s.lostPath}, silently ${s.lostSilently}`,
  ].join("\n");
}
