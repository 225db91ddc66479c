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

/** One source. */
export interface Input {
  readonly name: string;
  /** Begins to fill the sink; resolves when what is known now is in it. */
  start(sink: InputSink): Promise<void>;
  stop(): void | Promise<void>;
}
