// The configuration as the rest of the host sees it: checked, complete, defaults filled in.
// schema.ts says what a file may hold, load.ts turns a file into this.

/** Inclusive range of TCP ports. */
export interface PortRange {
  first: number;
  last: number;
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
  };
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
