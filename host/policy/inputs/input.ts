// What the outside tells about paths and the machine: radio levels, tariffs, batteries. Each source is an adapter
// that implements Input and puts what it knows into a sink; what nobody knows stays unknown. A source that is missing
// on this machine is nothing to complain about.
import type { PathKind, Power } from "../abi.ts";

/** What a source may know of an interface. Absent = says nothing; null = it knew once and no longer does. */
export interface InterfaceFacts {
  kind?: PathKind | null;
  /** dBm, with a fraction. */
  signalDbm?: number | null;
  /** dB per second; without it the trend of the levels is taken. */
  slopeDbPerS?: number | null;
  /** At which the radio sends, kbit/s. For people to read: policies have the rate that is really moved. */
  bitrateKbps?: number | null;
  metered?: boolean | null;
  /** Roaming, or another tariff that costs extra. */
  expensive?: boolean | null;
  /** A captive portal stands before the network. */
  captive?: boolean | null;
  /** Millionths of a currency per 10^9 octets. */
  costMicroPerGB?: number | null;
  /** Octets left in this billing period, where the network itself counts. */
  quotaLeft?: number | null;
  /** Nanojoules per octet. */
  energyPerByte?: number | null;
}

/** What a source may know of the machine. */
export interface HostFacts {
  batteryPermille?: number | null;
  power?: Power | null;
}

/** Where sources put what they know, whenever it changes. */
export interface InputSink {
  interface(name: string, facts: InterfaceFacts): void;
  host(facts: HostFacts): void;
  /** Something is wrong with a source that is there. One line. */
  problem(line: string): void;
}

/** An interface of a path, as rtnetlink tells of it now. */
export interface InterfaceName {
  name: string;
  /** 0 = there is no such interface. */
  index: number;
}

/** What a source finds on this machine, for `shunt doctor`. */
export interface Finding {
  isThere: boolean;
  /** One line: what it says now, or what would make it say something. */
  detail: string;
}

/** One source. None of this rejects or throws for what it finds on the machine. */
export interface Input {
  readonly name: string;
  /** It is on this machine; undefined = yes. */
  readonly isThere?: boolean;
  /** Begins to fill the sink; resolves when what can be known at once is in it. */
  start(sink: InputSink): Promise<void>;
  stop(): void | Promise<void>;
  /** A link of some path changed: these are all paths' interfaces. */
  linksChanged?(interfaces: readonly InterfaceName[]): void;
}

/** A source that is found by itself. */
export interface FoundInput extends Input {
  readonly isThere: boolean;
  /** Looks once, without being started. */
  look(): Promise<Finding>;
}
