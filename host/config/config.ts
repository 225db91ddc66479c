// The configuration as the rest of the host sees it: checked, complete, defaults filled in.
// schema.ts says what a file may hold, load.ts turns a file into this.

/** Inclusive range of TCP ports. */
export interface PortRange {
  first: number;
  last: number;
}

/** What the operator says a path is and costs; null = not said. Policies see it, the engine does not. */
export interface PathFacts {
  kind: PathKindName | null;
  metered: boolean | null;
  /** In millionths of the operator's currency per 10^9 octets. */
  costMicroPerGb: number | null;
  /** Octets per billing period. */
  quota: number | null;
  /** Day of the month on which a billing period begins, 1 … 31; a shorter month's last day stands for later ones. */
  billingDay: number;
  /** Nanojoules per octet. */
  energyPerByte: number | null;
}

/** One [[path]]: an interface and what the operator says about it. */
export interface PathConfig {
  /** 1 … PATHS_MAX, the number that the engine knows it by: its position in the file. */
  id: number;
  name: string;
  interface: string;
  /** IPv4 next hop; null = the interface's own default route. */
  gateway: string | null;
  gateway6: string | null;
  /** Joined in advance, used only when nothing else is left. */
  backup: boolean;
  /** Octets; null = the interface's own. */
  mtu: number | null;
  /** About to be left: nothing is joined there any more, and policies are told. */
  draining: boolean;
  facts: PathFacts;
}

/** Which connections are in a class: all criteria that are given must hold; null = any. */
export interface ClassMatch {
  /** Ports of either end. */
  ports: PortRange[] | null;
  /** The peer's address. */
  prefixes: Prefix[] | null;
  /** Owner of the local socket. */
  uids: number[] | null;
}

/** "10.0.0.0/8", checked. */
export interface Prefix {
  address: string;
  /** Bits. */
  length: number;
  family: 4 | 6;
}

/** A value of a policy's setting: what it may be is said by the policy (host/policy/settings.ts). */
export type SettingValue = number | boolean | string;

/** One [[class]], or the default one: connections that share a policy. */
export interface ClassConfig {
  name: string;
  /** null = the default class, which has what no other matches. */
  match: ClassMatch | null;
  /** Name of its policy. */
  policy: string;
  settings: Record<string, SettingValue>;
  /** Path names, most preferred first. */
  prefer: string[];
  /** Names of the paths it may use, null = all. */
  paths: string[] | null;
}

export interface Config {
  /** File it came from, for messages. */
  file: string;
  role: "host";
  match: {
    /** Ports of either end; null = everything but ssh to this machine. */
    ports: PortRange[] | null;
  };
  paths: PathConfig[];
  policy: {
    /** Name of the policy of the default class. */
    default: string;
    /** Path names, most preferred first. */
    prefer: string[];
    /** Announce our other addresses to the peer (ADD_ADDR). */
    advertise: boolean;
    /** Let the peer send on all regular paths at once. */
    receiveOnAll: boolean;
    /** Where policies of the operator's own lie, null = nowhere. */
    directory: string | null;
    /** What feeds policies besides the daemon's own measurements: "auto", names, "file:/run/inputs.json". */
    inputs: string[];
    /** Where quota counters are kept. */
    stateDirectory: string;
  };
  /** The default class first, then those of the file in its order: the first that matches a connection has it. */
  classes: ClassConfig[];
  capacity: { connections: number; subflows: number; runs: number };
  engine: {
    /** NFQUEUE number. */
    queue: number;
    /** Packets per call of the engine. */
    batch: number;
    /** Source ports of subflows that we open. */
    ports: PortRange;
    rejoinGraceMs: number;
    /** Join every usable path in advance. */
    standby: boolean;
    /** Demand checksums of every peer; who demands them of us gets them anyway. */
    checksum: boolean;
  };
  control: { socket: string };
}

/** Paths an engine knows at most (PATH_MAX of the engine's ABI). */
export const PATHS_MAX = 32;
/** Classes an engine knows at most (CLASS_MAX of the engine), the default one among them. */
export const CLASSES_MAX = 64;
/** Rules of the engine's classifier at most (CLASS_RULES_MAX of its ABI): a class has one per port, prefix and uid. */
export const CLASS_RULES_MAX = 256;
/** Name of the class of what no other class matches. */
export const DEFAULT_CLASS = "default";
/** The policy that is part of the engine. */
export const NATIVE_POLICY = "active-standby";
export const PATH_KINDS = ["ethernet", "wifi", "cellular", "satellite", "tunnel", "other"] as const;
export type PathKindName = (typeof PATH_KINDS)[number];
export const NO_FACTS: PathFacts = {
  kind: null,
  metered: null,
  costMicroPerGb: null,
  quota: null,
  billingDay: 1,
  energyPerByte: null,
};
/** systemd gives a service with StateDirectory= its own. */
export const DEFAULT_STATE_DIRECTORY = "/var/lib/shunt";
/** Packets per call at most (BATCH_MAX of the engine's ABI). */
export const BATCH_MAX = 64;
export const DEFAULT_SOCKET = "/run/shunt/shunt.sock";
export const DEFAULT_QUEUE = 5348;
export const DEFAULT_PORTS: PortRange = { first: 61001, last: 65535 };
/** 16,384 connections cost about 37 MB, touched on first use. */
export const DEFAULT_CONNECTIONS = 16384;
export const DEFAULT_SUBFLOWS_PER_CONNECTION = 2;
export const DEFAULT_RUNS_PER_CONNECTION = 16;
/** Linux keeps an MPTCP connection without a subflow for 60 s (close_timeout): the peer gives up then. */
export const DEFAULT_REJOIN_GRACE_S = 60;
