// The native addon as it is (host/native/src/lib.rs and replay.rs): classes and plain records of numbers. Everything
// else in host/engine makes this pleasant; nothing outside host/engine and test/contract imports it.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

/** Numbers for EngineConfig; zero = the engine's default. */
export interface NativeEngineOptions {
  connections: number;
  subflows: number;
  runs: number;
  role: number;
  halfOpenMax: number;
  portFirst: number;
  portLast: number;
  /** ConfigFlag bits. */
  flags: number;
  synMpcRetries: number;
  rejoinGraceMs: number;
  subflowsPerConnectionMax: number;
}

/** Names of ipsets of type hash:ip,port,ip. */
export interface SetNames {
  converted4: string;
  converted6: string;
  bypass4: string;
  bypass6: string;
}

export interface NativeOptions {
  wasm: string;
  queue: number;
  batch: number;
  engine: NativeEngineOptions;
  sets?: SetNames;
  markWire: number;
  markHost: number;
  coredumpDir?: string;
  perfMap?: boolean;
  explicitChecks?: boolean;
}

export interface NativeFailure {
  kind: string;
  message: string;
  backtrace: string;
  coredump?: string;
}

export interface NativeCounters {
  /** The engine's counter region: COUNTER_MAX × u64. */
  engine: Buffer;
  /** Counters of the native layer. */
  names: string[];
  values: number[];
}

/** One shard's data path. Every method but the constructor throws once it has ended. */
export interface NativeDataPath {
  start(
    options: NativeOptions,
    onEvents: (records: Buffer) => void,
    onFailure: (failure: NativeFailure) => void,
  ): Promise<void>;
  command(records: Uint8Array): void;
  snapshot(): Promise<Buffer[]>;
  /** The page behind STATISTICS_CURSOR. */
  statistics(): Promise<Buffer>;
  counters(): Promise<NativeCounters>;
  startTrace(path: string): Promise<void>;
  /** Fulfilled with the number of records written. */
  stopTrace(): Promise<number>;
  stop(): Promise<void>;
}

/** A bare wasmtime instance under test. */
export interface Replay {
  /** Copies octets into memory. Throws outside of it. */
  write(offset: number, octets: Uint8Array): void;
  /** A copy of octets of memory. Throws outside of it. */
  read(offset: number, length: number): Buffer;
  /** Calls an export of 32-bit integers. Throws on a trap, after 100 ms, and ever after. */
  call(name: string, args?: number[]): number;
  /** Calls an export of one argument often; nanoseconds for all calls together. */
  bench(name: string, argument: number, iterations: number): number;
}

/** What became of one operation on a policy instance (host/native/src/policy/addon.rs). */
export interface NativePolicyOutcome {
  /** load: the number of the new instance. */
  instance: number;
  /** load: load() took the state it was given. */
  stateLoaded: boolean;
  /** decide: what decide() returned. */
  status: number;
  /** decide: the intent. save: the state, empty if there is none. */
  octets: Buffer;
  /** Octets of linear memory. */
  memory: number;
  fuel: number;
  nanoseconds: number;
  log: { level: number; text: string }[];
  /** Lines beyond the limit of one operation. */
  logDropped: number;
  /** Why the instance is dead. */
  fault?: { kind: string; message: string };
}

/** The thread on which policies run, with a wasmtime Engine of its own. */
export interface NativePolicyThread {
  load(code: Uint8Array, settings: Uint8Array, state?: Uint8Array): Promise<NativePolicyOutcome>;
  decide(instance: number, table: Uint8Array): Promise<NativePolicyOutcome>;
  save(instance: number): Promise<NativePolicyOutcome>;
  close(instance: number): void;
}

/** A Wi-Fi interface that is a client (host/native/src/radio.rs). */
export interface NativeRadio {
  name: string;
  associated: boolean;
  signalDbm?: number;
  bitrateKbps?: number;
  beaconsLost?: number;
}

export interface Addon {
  DataPath: new () => NativeDataPath;
  PolicyThread: new (fuel: boolean, epoch: boolean) => NativePolicyThread;
  Replay: new (wasm: Uint8Array, memorySize: number, explicitChecks?: boolean) => Replay;
  /** null: the kernel has no nl80211. */
  readRadios(): Promise<NativeRadio[] | null>;
}

/** Where scripts/build-addon.sh puts the addon for this machine. */
export function addonPath(): string {
  return join(import.meta.dirname, "..", "native", `shunt.${process.platform}-${process.arch}.node`);
}

/** Where scripts/build-addon.sh puts the program that compiles policies. */
export function policyCompilerPath(): string {
  return join(import.meta.dirname, "..", "native", `shunt-policy-compile.${process.platform}-${process.arch}`);
}

let loaded: Addon | undefined;

/** Loads the addon, once. Throws one line that says how to get it. */
export function loadAddon(): Addon {
  if (loaded === undefined) {
    const path = addonPath();
    if (!existsSync(path)) throw new Error(`the native addon is not built (${path}); remedy: make build`);
    loaded = createRequire(import.meta.url)(path) as Addon;
  }
  return loaded;
}
