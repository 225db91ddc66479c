// What a scenario file may hold, as JSON Schema with the words that an error uses (`expected`). docs/SCENARIOS.md says what
// the keys mean.
import { PATH_KINDS, PATHS_MAX, type PathKindName, type SettingValue } from "../../config/config.ts";

/** A value, or keyframes: [[seconds, value], …]. "unknown" = nobody tells. */
export type TrackEntry<T> = T | "unknown" | [number, T | "unknown"][];

export interface ScenarioPathEntry {
  name: string;
  interface?: string;
  kind?: PathKindName;
  backup?: boolean;
  join_ms?: number;
  quota?: number | string;
  quota_used?: number | string;
  billing_day?: number;
  up?: TrackEntry<boolean>;
  silent?: TrackEntry<boolean>;
  draining?: TrackEntry<boolean>;
  rtt_ms?: TrackEntry<number>;
  loss?: TrackEntry<number>;
  other_kbps?: TrackEntry<number>;
  signal_dbm?: TrackEntry<number>;
  slope_db_per_s?: TrackEntry<number>;
  metered?: TrackEntry<boolean>;
  expensive?: TrackEntry<boolean>;
  captive?: TrackEntry<boolean>;
  cost_per_gb?: TrackEntry<number>;
  quota_left?: TrackEntry<number>;
  energy_per_byte?: TrackEntry<number>;
}

export interface PolicyEntry {
  settings?: Record<string, SettingValue>;
  expect?: string[];
}

/** A scenario file that satisfies the schema, before defaults. */
export interface ScenarioFile {
  title: string;
  about?: string;
  duration: number;
  starts_on?: string;
  connections?: TrackEntry<number>;
  kbps?: TrackEntry<number>;
  battery?: TrackEntry<number>;
  power?: TrackEntry<"mains" | "battery">;
  settings?: Record<string, SettingValue>;
  expect?: string[];
  path: ScenarioPathEntry[];
  policy?: Record<string, PolicyEntry>;
}

function track(value: object, words: string) {
  const known = { anyOf: [value, { const: "unknown" }] };
  const keyframe = { type: "array", items: [{ type: "number", minimum: 0 }, known], minItems: 2, maxItems: 2 };
  const frames = { type: "array", items: keyframe, minItems: 1 };
  return {
    anyOf: [...known.anyOf, frames],
    expected: `${words}, "unknown", or keyframes such as [[0, …], [10, …]] (seconds, value)`,
  };
}

function numbers(minimum: number, maximum: number) {
  return track({ type: "number", minimum, maximum }, `a number from ${minimum} to ${maximum}`);
}

const flags = track({ type: "boolean" }, "true or false");

function table(properties: Record<string, object>, required: string[] = []) {
  return { type: "object", properties, required, additionalProperties: false, expected: "a table" };
}

const octets = {
  anyOf: [
    { type: "number", minimum: 0 },
    { type: "string", pattern: "^[0-9]+(\\.[0-9]+)? ?(k|M|G|T)i?B$" },
  ],
  expected: 'octets: a number, or a text such as "20 GB"',
};

const sentences = {
  type: "array",
  items: { type: "string", expected: "a sentence in quotes" },
  expected: 'a list of sentences, such as ["on wifi at 3 s"]',
};

const settings = {
  type: "object",
  additionalProperties: {
    anyOf: [{ type: "number" }, { type: "boolean" }, { type: "string" }],
    expected: "a number, true or false, or the name of a path",
  },
  expected: "a table of settings",
};

const path = table(
  {
    name: {
      type: "string",
      pattern: "^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$",
      expected: "a name of letters, digits, '_' and '-'",
    },
    interface: { type: "string", minLength: 1, expected: "the name of an interface" },
    kind: { enum: PATH_KINDS, expected: `one of ${PATH_KINDS.map((kind) => `"${kind}"`).join(", ")}` },
    backup: { type: "boolean", expected: "true or false" },
    join_ms: { type: "number", minimum: 1, maximum: 60_000, expected: "milliseconds from 1 to 60000" },
    quota: octets,
    quota_used: octets,
    billing_day: { type: "integer", minimum: 1, maximum: 31, expected: "a day from 1 to 31" },
    up: flags,
    silent: flags,
    draining: flags,
    rtt_ms: numbers(0.01, 60_000),
    loss: numbers(0, 0.99),
    other_kbps: numbers(0, 1e9),
    signal_dbm: numbers(-200, 0),
    slope_db_per_s: numbers(-100, 100),
    metered: flags,
    expensive: flags,
    captive: flags,
    cost_per_gb: numbers(0, 4294),
    quota_left: numbers(0, 1e15),
    energy_per_byte: numbers(0, 4e9),
  },
  ["name"],
);

export const scenarioSchema = table(
  {
    title: { type: "string", minLength: 1, expected: "a title" },
    about: { type: "string", expected: "a text" },
    duration: { type: "number", exclusiveMinimum: 0, maximum: 3600, expected: "seconds, 3600 at most" },
    starts_on: { type: "string", expected: "the name of a path" },
    connections: numbers(0, 1e6),
    kbps: numbers(0, 1e9),
    battery: numbers(0, 1),
    power: track({ enum: ["mains", "battery"] }, '"mains" or "battery"'),
    settings,
    expect: sentences,
    path: {
      type: "array",
      items: path,
      minItems: 1,
      maxItems: PATHS_MAX,
      expected: `1 to ${PATHS_MAX} [[path]] tables`,
    },
    policy: {
      type: "object",
      additionalProperties: table({ settings, expect: sentences }),
      expected: "[policy.NAME] tables",
    },
  },
  ["title", "duration", "path"],
);
