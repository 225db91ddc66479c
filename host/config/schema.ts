// What a shunt.toml may hold, as JSON Schema. `expected` is our own annotation: the words an error uses for a value of
// the wrong kind. What a schema cannot say (path names that exist, ranges in order) is in load.ts.
import { BATCH_MAX, CLASSES_MAX, PATH_KINDS, PATHS_MAX, type PathKindName, type SettingValue } from "./config.ts";

/** One entry of a port list before it is parsed. */
export type PortEntry = number | string;

/** One [[path]] before defaults. */
export interface PathEntry {
  name: string;
  interface: string;
  gateway?: string;
  gateway6?: string;
  backup?: boolean;
  mtu?: number;
  draining?: boolean;
  kind?: PathKindName;
  metered?: boolean;
  cost_per_gb?: number;
  quota?: number | string;
  billing_day?: number;
  energy_per_byte?: number;
}

/** One [[class]] before defaults. */
export interface ClassEntry {
  name: string;
  match: { ports?: PortEntry[]; prefix?: string[]; uid?: number[] };
  policy?: string;
  prefer?: string[];
  paths?: string[];
  settings?: Record<string, SettingValue>;
}

/** A shunt.toml that satisfies the schema, before defaults. */
export interface ConfigFile {
  role?: string;
  match?: { ports?: PortEntry[] };
  path: PathEntry[];
  class?: ClassEntry[];
  policy?: {
    default?: string;
    prefer?: string[];
    settings?: Record<string, SettingValue>;
    directory?: string;
    inputs?: string[];
    state_directory?: string;
    advertise?: boolean;
    receive_on_all?: boolean;
  };
  capacity?: { connections?: number; subflows?: number; runs?: number };
  engine?: {
    queue?: number;
    batch?: number;
    ports?: string;
    rejoin_grace?: number;
    standby?: boolean;
    checksum?: boolean;
  };
  control?: { socket?: string };
}

const flag = { type: "boolean", expected: "true or false" };

function integer(minimum: number, maximum: number) {
  return { type: "integer", minimum, maximum, expected: `a whole number from ${minimum} to ${maximum}` };
}

function table(properties: Record<string, object>, required: string[] = []) {
  return { type: "object", properties, required, additionalProperties: false, expected: "a table" };
}

const portEntry = {
  anyOf: [integer(1, 65535), { type: "string", pattern: "^[0-9]{1,5}-[0-9]{1,5}$" }],
  expected: 'a port from 1 to 65535 or a range such as "8000-8999"',
};

const name = {
  type: "string",
  pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$",
  expected: "a name of letters, digits, '.', '_' and '-', 32 characters at most",
};

const ports = {
  type: "array",
  items: portEntry,
  minItems: 1,
  expected: 'a list of ports, such as [5201, "8000-8999"]',
};

const policyName = { type: "string", minLength: 1, expected: 'the name of a policy, such as "active-standby"' };

const pathNames = {
  type: "array",
  items: { type: "string", expected: "the name of a path" },
  expected: "a list of path names, most preferred first",
};

const directory = { type: "string", pattern: "^/", expected: "an absolute path of a directory" };

/** What a policy makes of its settings is checked with the policy's own description. */
const settings = {
  type: "object",
  additionalProperties: {
    anyOf: [{ type: "number" }, { type: "boolean" }, { type: "string" }],
    expected: "a number, true or false, or the name of a path",
  },
  expected: "a table",
};

const path = table(
  {
    name,
    interface: {
      type: "string",
      pattern: "^[^\\s/]{1,15}$",
      expected: 'an interface name such as "wlan0" (15 characters at most)',
    },
    gateway: { type: "string", format: "ipv4", expected: "an IPv4 address" },
    gateway6: { type: "string", format: "ipv6", expected: "an IPv6 address" },
    backup: flag,
    mtu: integer(576, 65535),
    draining: flag,
    kind: { type: "string", enum: PATH_KINDS, expected: `one of ${PATH_KINDS.map((kind) => `"${kind}"`).join(", ")}` },
    metered: flag,
    cost_per_gb: { type: "number", minimum: 0, maximum: 4294, expected: "a price per 10^9 octets, from 0 to 4294" },
    quota: {
      anyOf: [
        { type: "integer", minimum: 0 },
        { type: "string", pattern: "^[0-9]+(\\.[0-9]+)? ?[kMGT]i?B$" },
      ],
      expected: 'a number of octets, or a text such as "20 GB"',
    },
    billing_day: integer(1, 31),
    energy_per_byte: integer(0, 4294967294),
  },
  ["name", "interface"],
);

const connectionClass = table(
  {
    name,
    match: {
      ...table({
        ports,
        prefix: {
          type: "array",
          items: { type: "string", format: "prefix", expected: 'an address or a prefix such as "192.0.2.0/24"' },
          minItems: 1,
          expected: 'a list of prefixes, such as ["192.0.2.0/24"]',
        },
        uid: { type: "array", items: integer(0, 4294967294), minItems: 1, expected: "a list of user ids" },
      }),
      minProperties: 1,
      expected: 'at least one of "ports", "prefix" and "uid"',
    },
    policy: policyName,
    prefer: pathNames,
    paths: { ...pathNames, minItems: 1 },
    settings,
  },
  ["name", "match"],
);

export const schema = table(
  {
    role: { type: "string", enum: ["host", "anchor"], expected: '"host" or "anchor"' },
    match: table({ ports }),
    path: {
      type: "array",
      items: path,
      minItems: 1,
      maxItems: PATHS_MAX,
      expected: `one to ${PATHS_MAX} [[path]] tables`,
    },
    class: {
      type: "array",
      items: connectionClass,
      maxItems: CLASSES_MAX - 1,
      expected: `at most ${CLASSES_MAX - 1} [[class]] tables`,
    },
    policy: table({
      default: policyName,
      prefer: pathNames,
      settings,
      directory,
      inputs: {
        type: "array",
        items: { type: "string", minLength: 1, expected: 'a source such as "auto" or "file:/run/inputs.json"' },
        expected: 'a list of sources, such as ["auto", "file:/run/inputs.json"]',
      },
      state_directory: directory,
      advertise: flag,
      receive_on_all: flag,
    }),
    capacity: table({
      connections: integer(16, 1048576),
      subflows: integer(16, 4194304),
      runs: integer(64, 67108864),
    }),
    engine: table({
      queue: integer(0, 65535),
      batch: integer(1, BATCH_MAX),
      ports: {
        type: "string",
        pattern: "^[0-9]{1,5}-[0-9]{1,5}$",
        expected: 'a range of ports, such as "61001-65535"',
      },
      rejoin_grace: {
        type: "number",
        minimum: 0,
        maximum: 86400,
        expected: "seconds, from 0 (at once) to 86400",
      },
      standby: flag,
      checksum: flag,
    }),
    control: table({
      socket: {
        type: "string",
        pattern: "^/.{1,106}$",
        expected: "an absolute path of 107 characters at most",
      },
    }),
  },
  ["path"],
);
