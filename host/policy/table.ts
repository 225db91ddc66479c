// The table that a policy decides on, put together from all who know something: link state and configuration, the
// engine's figures, quota counters, and the sources of the outside.
import { randomBytes } from "node:crypto";
import type { PathConfig } from "../config/config.ts";
import type { PathState as LinkState } from "../net/path-state.ts";
import { type Event, PathFlag, PathKind, PathState, type Refusal } from "./abi.ts";
import type { PathFigures, Statistics } from "./engine-port.ts";
import type { KnownInterface } from "./inputs/board.ts";
import type { HostFacts } from "./inputs/input.ts";
import type { PathRates } from "./measurements.ts";
import { type PathRecord, type TableRecord, tableSize, writeTable } from "./records.ts";

/** All that is known of one path. */
export interface PathSituation {
  config: PathConfig;
  link: LinkState;
  figures: PathFigures | undefined;
  rates: PathRates;
  known: Partial<KnownInterface>;
  /** Octets, undefined = no quota. */
  quotaLeft: number | undefined;
  /** When a subflow on it fell silent with octets in flight and was not heard since; undefined = none has. */
  staleSinceUs: number | undefined;
}

/** All that is known at one moment, in the order of preference of one class. */
export interface Situation {
  nowUs: number;
  classId: number;
  paths: PathSituation[];
  statistics: Statistics;
  machine: HostFacts;
  /** Path that a manual handover holds the class on, 0 = none. */
  pinned: number;
  /** For policies that draw lots; undefined = drawn from the machine's. */
  entropy?: bigint | undefined;
}

/** Why a decision is asked for. */
export interface Cause {
  event: Event;
  /** undefined = it is about no path. */
  path?: number | undefined;
}

/** The table for one decision. */
export function tableOf(situation: Situation, cause: Cause, lastRefusal: Refusal): TableRecord {
  const { nowUs, classId, machine, statistics } = situation;
  const figures = statistics.classes.find((entry) => entry.id === classId);
  const paths = situation.paths.map((path) => pathRecord(path, situation.pinned));
  return {
    nowUs,
    entropy: situation.entropy ?? randomBytes(8).readBigUInt64LE(),
    event: cause.event,
    eventPathId: cause.path,
    classId,
    connections: figures?.connections ?? 0,
    ackedBytes: (figures?.bytesAcked ?? 0) + (figures?.bytesReceived ?? 0),
    batteryPermille: machine.batteryPermille ?? undefined,
    power: machine.power ?? undefined,
    activePathId: commonest(figures?.activeOn ?? new Map()),
    lastRefusal,
    paths,
  };
}

/** The octets of a table. */
export function tableOctets(table: TableRecord): Uint8Array {
  const octets = new Uint8Array(tableSize(table.paths.length));
  writeTable(new DataView(octets.buffer), table);
  return octets;
}

/** The path that most connections send on; undefined = none sends. */
function commonest(activeOn: ReadonlyMap<number, number>): number | undefined {
  const onPaths = [...activeOn].filter(([path]) => path !== 0);
  return onPaths.sort(([, a], [, b]) => b - a)[0]?.[0];
}

const KINDS = {
  ethernet: PathKind.ETHERNET,
  wifi: PathKind.WIFI,
  cellular: PathKind.CELLULAR,
  satellite: PathKind.SATELLITE,
  tunnel: PathKind.TUNNEL,
  other: PathKind.OTHER,
} as const;

function pathRecord(path: PathSituation, pinned: number): PathRecord {
  const { config, link, figures, known, rates } = path;
  const { facts } = config;
  const { signalDbm, slopeDbPerS } = known;
  return {
    id: config.id,
    kind: facts.kind === null ? known.kind : KINDS[facts.kind],
    state: stateOf(path),
    flags: flagsOf(path, pinned),
    lastAckUs: measured(figures?.lastAckUs),
    quotaLeft: path.quotaLeft ?? known.quotaLeft,
    ackedRateKbps: rates.ackedRateKbps,
    inFlight: figures?.inFlight,
    srttUs: measured(figures?.srttUs),
    rttvarUs: figures?.srttUs === 0 ? undefined : figures?.rttvarUs,
    minRttUs: measured(figures?.minRttUs),
    lossPpm: rates.lossPpm,
    costMicroPerGB: facts.costMicroPerGb ?? known.costMicroPerGB,
    energyPerByte: facts.energyPerByte ?? known.energyPerByte,
    // A radio that is off has no level, whatever was heard of it last.
    signal: signalDbm === undefined || link.index === 0 ? undefined : signalDbm * 10,
    slope: slopeDbPerS === undefined || link.index === 0 ? undefined : slopeDbPerS * 10,
    subflows: figures?.subflows ?? 0,
  };
}

/** The engine says 0 for what it has not measured yet. */
function measured(value: number | undefined): number | undefined {
  return value === 0 ? undefined : value;
}

function stateOf({ link, figures, staleSinceUs }: PathSituation): PathState {
  if (!link.up) return PathState.DOWN;
  if ((figures?.subflows ?? 0) === 0) return PathState.UP;
  // One silent subflow is the path's fault as long as no other one was heard since.
  const isStale = staleSinceUs !== undefined && (figures?.lastAckUs ?? 0) <= staleSinceUs;
  return isStale ? PathState.STALE : PathState.ESTABLISHED;
}

function flagsOf({ config, known }: PathSituation, pinned: number): number {
  let flags = 0;
  if (config.backup) flags |= PathFlag.BACKUP;
  if (config.facts.metered ?? known.metered) flags |= PathFlag.METERED;
  if (known.expensive) flags |= PathFlag.EXPENSIVE;
  if (config.draining) flags |= PathFlag.DRAINING;
  if (pinned === config.id) flags |= PathFlag.PINNED;
  if (known.captive) flags |= PathFlag.CAPTIVE;
  return flags;
}
