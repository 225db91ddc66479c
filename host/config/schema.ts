// What a shunt.toml may hold, as JSON Schema. `expected` is our own annotation: the words an error uses for a value of
// the wrong kind. What a schema cannot say (path names that exist, ranges in order) is in load.ts.
import { BATCH_MAX, PATHS_MAX } from "./config.ts";

/** One entry of a port list before it is parsed. */
export type PortEntry = number | string;

/** A shunt.toml that satisfies the schema, before defaults. */
export interface ConfigFile {
  role?: string;
  match?: { ports?: PortEntry[] };
  path: {
    name: string;
    interface: string;
    gateway?: string;
    gateway6?: string;
    backup?: boolean;
    mtu?: number;
  }[];
  policy?: { default?: string; prefer?: string[]; advertise?: boolean; receive_on_all?: boolean };
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

const path = table(
  {
    name: {
      type: "string",
      pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$",
      expected: "a name of letters, digits, '.', '_' and '-', 32 characters at most",
    },
    interface: {
      type: "string",
      pattern: "^[^\\s/]{1,15}$",
      expected: 'an interface name such as "wlan0" (15 characters at most)',
    },
    gateway: { type: "string", format: "ipv4", expected: "an IPv4 address" },
    gateway6: { type: "string", format: "ipv6", expected: "an IPv6 address" },
    backup: flag,
    mtu: integer(576, 65535),
  },
  ["name", "interface"],
);

export const schema = table(
  {
    role: { type: "string", enum: ["host", "anchor"], expected: '"host" or "anchor"' },
    match: table({
      ports: { type: "array", items: portEntry, minItems: 1, expected: 'a list of ports, such as [5201, "8000-8999"]' },
    }),
    path: {
      type: "array",
      items: path,
      minItems: 1,
      maxItems: PATHS_MAX,
      expected: `one to ${PATHS_MAX} [[path]] tables`,
    },
    policy: table({
      default: { type: "string", minLength: 1, expected: 'the name of a policy, such as "active-standby"' },
      prefer: {
        type: "array",
        items: { type: "string", expected: "the name of a path" },
        expected: "a list of path names, most preferred first",
      },
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
