// From a scenario file to a Scenario. Every mistake is reported with file, line, key and what was expected.
import { readFileSync } from "node:fs";
import { Ajv } from "ajv";
import { NO_FACTS, type PathConfig, type SettingValue } from "../../config/config.ts";
import { readDocument } from "../../config/document.ts";
import { ConfigError } from "../../config/error.ts";
import { octets } from "../../config/facts.ts";
import type { KeyPath } from "../../config/positions.ts";
import { type Report, suggestion } from "../../config/report.ts";
import { type Expectation, expectation, NoExpectation, type Vocabulary } from "./expectation.ts";
import type { Scenario, ScenarioPath, ToldTracks } from "./scenario.ts";
import { type ScenarioFile, type ScenarioPathEntry, scenarioSchema, type TrackEntry } from "./schema.ts";
import type { Track } from "./track.ts";

const ajv = new Ajv({
  allErrors: true,
  verbose: true,
  keywords: ["expected"],
  allowUnionTypes: true,
  strictTuples: false,
});
const isScenarioFile = ajv.compile<ScenarioFile>(scenarioSchema);

/** How long a handshake takes if nothing is said. */
const JOIN_MS = 100;
const RTT_MS = 50;
const KBPS = 4000;

/** A scenario, and what is expected of every policy in it and of some. */
export interface JudgedScenario extends Scenario {
  expect: Expectation[];
  policies: Map<string, { settings: Record<string, SettingValue>; expect: Expectation[] }>;
}

/** Reads and checks a file. Throws ConfigError. */
export function loadScenario(file: string): JudgedScenario {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const message = `cannot read the scenario: ${(error as Error).message}`;
    throw new ConfigError([{ file, line: 1, key: "", message }]);
  }
  return parseScenario(text, file);
}

/** Checks the text of a file. Throws ConfigError. */
export function parseScenario(text: string, file: string): JudgedScenario {
  const { document, problems, report, problemAt } = readDocument(text, file, isScenarioFile);
  const scenario = { ...complete(document, file, report), problemAt };
  if (problems.length > 0) throw new ConfigError(problems);
  return scenario;
}

function complete(document: ScenarioFile, file: string, report: Report): Omit<JudgedScenario, "problemAt"> {
  const names = document.path.map(({ name }) => name);
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) < index) report(["path", index, "name"], `"${name}" is already the name of another path`);
  }
  const { starts_on: startsOn, duration } = document;
  if (startsOn !== undefined && !names.includes(startsOn)) {
    report(["starts_on"], `no path is named "${startsOn}"${suggestion(startsOn, names)}`);
  }
  const vocabulary = { paths: names, durationS: duration };
  const policies = Object.entries(document.policy ?? {}).map(([name, { settings, expect }]) => {
    const terms = {
      settings: settings ?? {},
      expect: expectations(expect, ["policy", name, "expect"], vocabulary, report),
    };
    return [name, terms] as const;
  });
  const track = trackReader(report);
  return {
    file,
    title: document.title,
    durationS: duration,
    paths: document.path.map((path, index) => pathOf(path, index, track)),
    startsOn: startsOn === undefined ? null : names.indexOf(startsOn) + 1,
    connections: track(document.connections ?? 1, ["connections"]),
    kbps: track(document.kbps ?? KBPS, ["kbps"]),
    battery: track(document.battery ?? "unknown", ["battery"]),
    power: track(document.power ?? "unknown", ["power"]),
    settings: document.settings ?? {},
    expect: expectations(document.expect, ["expect"], vocabulary, report),
    policies: new Map(policies),
  };
}

type ReadTrack = <T>(entry: TrackEntry<T>, key: KeyPath) => Track<T>;

function trackReader(report: Report): ReadTrack {
  return <T>(entry: TrackEntry<T>, key: KeyPath) => {
    const known = (value: T | "unknown") => (value === "unknown" ? null : value);
    if (!Array.isArray(entry)) return [{ atS: 0, value: known(entry) }];
    const frames = entry.map(([atS, value]) => ({ atS, value: known(value) }));
    const late = frames.findIndex(({ atS }, index) => atS < (frames[index - 1]?.atS ?? 0));
    if (late !== -1)
      report(key, `keyframe ${late + 1} is before the one in front of it; expected them in order of time`);
    return frames;
  };
}

function pathOf(path: ScenarioPathEntry, index: number, track: ReadTrack): ScenarioPath {
  const key = (name: string): KeyPath => ["path", index, name];
  const read = <T>(name: keyof ScenarioPathEntry, otherwise: T | "unknown"): Track<T> =>
    track((path[name] as TrackEntry<T> | undefined) ?? otherwise, key(name));
  const inMicros = read<number>("cost_per_gb", "unknown").map(({ atS, value }) => {
    return { atS, value: value === null ? null : Math.round(value * 1e6) };
  });
  const told: ToldTracks = {
    signalDbm: read<number>("signal_dbm", "unknown"),
    slopeDbPerS: read<number>("slope_db_per_s", "unknown"),
    metered: read<boolean>("metered", "unknown"),
    expensive: read<boolean>("expensive", "unknown"),
    captive: read<boolean>("captive", "unknown"),
    costMicroPerGB: inMicros,
    quotaLeft: read<number>("quota_left", "unknown"),
    energyPerByte: read<number>("energy_per_byte", "unknown"),
  };
  return {
    config: configOf(path, index),
    quotaUsed: path.quota_used === undefined ? 0 : octets(path.quota_used),
    joinMs: path.join_ms ?? JOIN_MS,
    up: read("up", true),
    silent: read("silent", false),
    draining: read("draining", false),
    rttMs: read("rtt_ms", RTT_MS),
    loss: read("loss", 0),
    otherKbps: read("other_kbps", 0),
    told,
  };
}

function configOf(path: ScenarioPathEntry, index: number): PathConfig {
  const facts = {
    ...NO_FACTS,
    kind: path.kind ?? null,
    quota: path.quota === undefined ? null : octets(path.quota),
    billingDay: path.billing_day ?? NO_FACTS.billingDay,
  };
  const address = { gateway: null, gateway6: null, mtu: null, draining: false };
  const { name, backup = false } = path;
  return { id: index + 1, name, interface: path.interface ?? `${name}0`, backup, ...address, facts };
}

function expectations(
  sentences: readonly string[] | undefined,
  key: KeyPath,
  vocabulary: Vocabulary,
  report: Report,
): Expectation[] {
  return (sentences ?? []).flatMap((text, index) => {
    try {
      return [expectation(text, vocabulary)];
    } catch (error) {
      if (!(error instanceof NoExpectation)) throw error;
      report([...key, index], error.message);
      return [];
    }
  });
}
