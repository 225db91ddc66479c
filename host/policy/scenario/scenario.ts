// What a scenario file says: a world of paths over time, and what a policy is expected to do in it. docs/SCENARIOS.md
// describes the file, load.ts reads it.
import type { PathConfig, SettingValue } from "../../config/config.ts";
import type { ConfigProblem } from "../../config/error.ts";
import type { KeyPath } from "../../config/positions.ts";
import type { FileContents } from "../inputs/file.ts";
import { type Track, valueAt } from "./track.ts";

/** What sources tell of an interface, under the names of the `file:` input. */
export interface ToldTracks {
  signalDbm: Track<number>;
  slopeDbPerS: Track<number>;
  metered: Track<boolean>;
  expensive: Track<boolean>;
  captive: Track<boolean>;
  costMicroPerGB: Track<number>;
  quotaLeft: Track<number>;
  energyPerByte: Track<number>;
}

export interface ScenarioPath {
  /** Name, interface, kind, price, quota … as in a configuration. */
  config: PathConfig;
  /** Octets of the quota that were used before the scenario begins. */
  quotaUsed: number;
  /** How long a handshake takes. */
  joinMs: number;
  /** Its link has a carrier and an address. */
  up: Track<boolean>;
  /** Nothing gets through although the link is up. */
  silent: Track<boolean>;
  draining: Track<boolean>;
  rttMs: Track<number>;
  /** Part of the octets that is lost, 0 … 1. */
  loss: Track<number>;
  /** What connections of other classes move on it. */
  otherKbps: Track<number>;
  told: ToldTracks;
}

export interface Scenario {
  file: string;
  title: string;
  durationS: number;
  /** In the class's order of preference. */
  paths: ScenarioPath[];
  /** Id of the path that carries the data at first; null = the most preferred one that is up. */
  startsOn: number | null;
  connections: Track<number>;
  /** What the class would move, if its path lets it. */
  kbps: Track<number>;
  /** 0 … 1 */
  battery: Track<number>;
  power: Track<"mains" | "battery">;
  settings: Record<string, SettingValue>;
  /** By the name of the policy: those that the scenario is meant for, with their settings; empty = any. */
  policies: Map<string, { settings: Record<string, SettingValue> }>;
  /** What is wrong with a key of the file, for a ConfigError. */
  problemAt(key: KeyPath, message: string): ConfigProblem;
}

/** Sources tell what they know this often, and at once when a keyframe says something new. */
export const TELL_S = 0.5;

/** Times at which something is told or changes, in order, each once. */
export function momentsOf(scenario: Scenario): number[] {
  const { paths, connections, kbps, battery, power, durationS } = scenario;
  const tracks: Track<unknown>[] = [connections, kbps, battery, power];
  for (const { up, silent, draining, rttMs, loss, otherKbps, told } of paths) {
    tracks.push(up, silent, draining, rttMs, loss, otherKbps, ...Object.values(told));
  }
  const regular = Array.from({ length: Math.ceil(durationS / TELL_S) }, (_, index) => index * TELL_S);
  // Milliseconds, so that two times that are meant to be one are one.
  const times = [...regular, ...tracks.flat().map(({ atS }) => atS)].map((atS) => Math.round(atS * 1000));
  return [...new Set(times)]
    .filter((ms) => ms < durationS * 1000)
    .sort((a, b) => a - b)
    .map((ms) => ms / 1000);
}

const WITH_FRACTION: ReadonlySet<string> = new Set(["signalDbm", "slopeDbPerS"]);

/**
 * What sources tell at a time, as the `file:` input reads it: the same scenario can be played to a daemon by writing
 * this into a file at each of its moments.
 */
export function inputsAt(scenario: Scenario, atS: number): FileContents {
  const battery = valueAt(scenario.battery, atS);
  const host = {
    batteryPermille: battery === null ? null : Math.round(battery * 1000),
    power: valueAt(scenario.power, atS),
  };
  const interfaces = scenario.paths.map(({ config, told }) => {
    const facts = Object.entries(told).flatMap(([name, track]) => {
      const value = valueAt<number | boolean>(track, atS);
      if (value === null) return [];
      // A level has a fraction; octets, prices and energies are whole numbers.
      const whole = typeof value === "number" && !WITH_FRACTION.has(name);
      return [[name, whole ? Math.round(value) : value] as const];
    });
    return [config.interface, Object.fromEntries(facts)] as const;
  });
  return { host, interfaces: Object.fromEntries(interfaces) };
}
