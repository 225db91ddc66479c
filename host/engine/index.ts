// The data path as the rest of the host sees it: objects in, objects and events out. The only importer of the addon.
import { EventEmitter } from "node:events";
import { ConfigFlag } from "./abi.ts";
import { loadAddon, type NativeDataPath, type NativeFailure, type NativeOptions, type SetNames } from "./addon.ts";
import { type EngineCommand, encodeCommand } from "./commands.ts";
import { decodeCounters } from "./counters.ts";
import { decodeEvents, type EngineEvent } from "./events.ts";
import { decodeSnapshot, type Snapshot } from "./snapshot.ts";
import { decodeStatistics, type Statistics } from "./statistics.ts";

export type { SetNames } from "./addon.ts";
export { formatAddress, parseAddress } from "./address.ts";
export type {
  ClassIntentCommand,
  ClassRule,
  CommandScope,
  EngineCommand,
  NumberRange,
  PathSetCommand,
} from "./commands.ts";
export type { EngineEvent, EventKindName, ReasonName } from "./events.ts";
export { type Radio, readRadios } from "./radio.ts";
export {
  compilePolicy,
  type Decision,
  type FaultKind,
  isSandboxBuilt,
  type Metering,
  PolicyCode,
  PolicyFault,
  PolicyInstance,
  type PolicyLogLine,
  PolicyRefused,
} from "./sandbox.ts";
export type { Snapshot, SnapshotConnection, SnapshotPath, SnapshotSubflow } from "./snapshot.ts";
export type { ClassStatistics, Statistics } from "./statistics.ts";

/**
 * Throughput of one TCP connection is the same for 4 … 64 (11.6 of 13.2 Gbit/s without a queue, one end, veth); more
 * packets per call means more memory in the caches and a longer wait for the first of them.
 */
const BATCH_DEFAULT = 32;

/** What a data path is made with. What is left out has the engine's default (EngineConfig in docs/MEMORY.md). */
export interface DataPathOptions {
  /** Path of engine.wasm. */
  wasm: string;
  /** NFQUEUE number, in the network namespace of this process. */
  queue: number;
  /** Packets per call into the engine at most, 1 … BATCH_MAX; default 32. */
  batch?: number | undefined;
  /** Fixes the memory: see the cost of each in docs/MEMORY.md. */
  capacity: { connections: number; subflows: number; runs: number };
  engine: {
    halfOpenMax?: number | undefined;
    portFirst?: number | undefined;
    portLast?: number | undefined;
    synMpcRetries?: number | undefined;
    rejoinGraceMs?: number | undefined;
    subflowsPerConnectionMax?: number | undefined;
    /** Announce our other addresses with ADD_ADDR. */
    advertise: boolean;
    /** Let the peer send on all regular paths at once. */
    receiveOnAll: boolean;
    /** Join every usable path in advance. */
    standby: boolean;
    /** Demand checksums of every peer. */
    checksum: boolean;
  };
  /** ipsets that the engine keeps, null = none. They must exist. */
  sets: SetNames | null;
  /** Marks of the packets that we send, by which the queueing rules let them pass. */
  marks: { wire: number; host: number };
  /** Where a trap leaves its coredump. */
  coredumpDir?: string | undefined;
  /** Lets perf name the engine's functions. */
  perfMap?: boolean | undefined;
}

/** Something went wrong in the data path. `message` is one line. */
export class DataPathError extends Error {
  /**
   * "trap": an engine died, its connections were reset, a fresh one took over. "trace": the trace file could not be
   * written, tracing has stopped. "fatal": the data path has ended.
   */
  readonly kind: string;
  /** Wasm frames of a trap, innermost first, one per line. */
  readonly backtrace: string;
  /** Where the coredump is being written; the batch lies beside it as `.batch`. */
  readonly coredump: string | undefined;

  constructor(failure: NativeFailure) {
    super(failure.message);
    this.name = "DataPathError";
    this.kind = failure.kind;
    this.backtrace = failure.backtrace;
    this.coredump = failure.coredump;
  }
}

interface DataPathEvents {
  event: [EngineEvent];
  /** The data path goes on: kinds "trap" and "trace". */
  problem: [DataPathError];
  /** The data path has ended by itself: kind "fatal". */
  failure: [DataPathError];
}

/** A running data path: NFQUEUE, engine and raw sockets on a thread of their own. */
export class DataPath extends EventEmitter<DataPathEvents> {
  #native: NativeDataPath;
  #nextId = 1;

  private constructor(native: NativeDataPath) {
    super();
    this.#native = native;
  }

  /** Starts one. Rejects with cause and remedy in one line; then nothing is left behind. */
  static async start(options: DataPathOptions): Promise<DataPath> {
    const { DataPath: Native } = loadAddon();
    const native = new Native();
    const path = new DataPath(native);
    await native.start(
      nativeOptions(options),
      (records) => path.#heard(records),
      (failure) => path.#failed(failure),
    );
    return path;
  }

  /** Sends a command. Returns its id, which every event that answers carries. Throws for arguments that cannot be. */
  command(command: EngineCommand): number {
    const id = this.#nextId;
    this.#native.command(encodeCommand(command, id));
    this.#nextId = id === 0xffffffff ? 1 : id + 1;
    return id;
  }

  /** Connections, subflows and paths, taken in pages between batches. */
  async snapshot(): Promise<Snapshot> {
    return decodeSnapshot(await this.#native.snapshot());
  }

  /** Paths and classes, of one moment; what it costs does not grow with the connections. */
  async statistics(): Promise<Statistics> {
    return decodeStatistics(await this.#native.statistics());
  }

  /** Counters of engine and native layer by name. */
  async counters(): Promise<Record<string, number | bigint>> {
    return decodeCounters(await this.#native.counters());
  }

  /** Writes the trace records that the engine makes from now on into a new file; ask for them with a trace command. */
  async startTrace(file: string): Promise<void> {
    await this.#native.startTrace(file);
  }

  /** Closes the trace file; fulfilled when all of it is written. */
  async stopTrace(): Promise<void> {
    await this.#native.stopTrace();
  }

  /** Ends the thread; fulfilled when queue and sockets are closed. Harmless if it has ended already. */
  async stop(): Promise<void> {
    try {
      await this.#native.stop();
    } catch {
      // It has ended by itself, which `failure` has told.
    }
  }

  #heard(records: Buffer): void {
    for (const event of decodeEvents(records)) this.emit("event", event);
  }

  #failed(failure: NativeFailure): void {
    this.emit(failure.kind === "fatal" ? "failure" : "problem", new DataPathError(failure));
  }
}

function nativeOptions(options: DataPathOptions): NativeOptions {
  const { engine, capacity } = options;
  let flags = 0;
  if (engine.advertise) flags |= ConfigFlag.ADVERTISE;
  if (engine.standby) flags |= ConfigFlag.STANDBY;
  if (engine.checksum) flags |= ConfigFlag.CHECKSUM;
  if (engine.receiveOnAll) flags |= ConfigFlag.RECEIVE_ON_ALL;
  if (options.sets !== null) flags |= ConfigFlag.SET_OPERATIONS;
  return {
    wasm: options.wasm,
    queue: options.queue,
    batch: options.batch ?? BATCH_DEFAULT,
    engine: {
      ...capacity,
      role: 0,
      halfOpenMax: engine.halfOpenMax ?? 0,
      portFirst: engine.portFirst ?? 0,
      portLast: engine.portLast ?? 0,
      flags,
      synMpcRetries: engine.synMpcRetries ?? 0,
      rejoinGraceMs: engine.rejoinGraceMs ?? 0,
      subflowsPerConnectionMax: engine.subflowsPerConnectionMax ?? 0,
    },
    markWire: options.marks.wire,
    markHost: options.marks.host,
    ...(options.sets === null ? {} : { sets: options.sets }),
    ...(options.coredumpDir === undefined ? {} : { coredumpDir: options.coredumpDir }),
    ...(options.perfMap === undefined ? {} : { perfMap: options.perfMap }),
  };
}
