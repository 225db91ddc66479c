// A world for the policy runtime without a network, a sandbox or a clock: policies are functions, time is turned by
// hand.
import { NO_FACTS, type PathConfig, type PathFacts } from "../../../../host/config/config.ts";
import type { PathState as LinkState } from "../../../../host/net/path-state.ts";
import { ABI, INTENT_SIZE, IntentOffset, type Refusal, UNKNOWN_U32 } from "../../../../host/policy/abi.ts";
import type {
  ClassFigures,
  ClassifierRule,
  ClassTerms,
  IntentOutcome,
  PathFigures,
  PolicyEngine,
  Statistics,
} from "../../../../host/policy/engine-port.ts";
import type { Plan } from "../../../../host/policy/guard.ts";
import type { CompiledPolicy } from "../../../../host/policy/instance.ts";
import type { NewsBody } from "../../../../host/policy/news.ts";
import { type IntentRecord, readTable, type TableRecord } from "../../../../host/policy/records.ts";
import { ClassRunner } from "../../../../host/policy/runner.ts";
import type { Decision, FaultKind, PolicyInstancePort, SandboxPort } from "../../../../host/policy/sandbox-port.ts";
import { VirtualClock as StoppedClock, settled } from "../../../../host/policy/scenario/virtual-clock.ts";
import type { PolicyManifest } from "../../../../host/policy/settings.ts";
import type { Situation } from "../../../../host/policy/table.ts";

export { settled };

/** A clock that stands still until a test turns it, by day. */
export class VirtualClock extends StoppedClock {
  constructor() {
    super({ us: 1_000_000_000, wallMs: new Date(2026, 2, 10, 12).getTime() });
  }
}

/** What a policy of a test wants; what is left out is zero. */
export type Wish = Partial<Omit<IntentRecord, "weights">>;
/** Its memory: anything that save() shall keep. */
export type Memory = Record<string, number>;

/** A policy of a test. Throws a fault() to break. */
export interface Script {
  decide(table: TableRecord, memory: Memory, settings: Uint8Array): Wish;
  /** It has save() and load(). */
  keeps?: boolean;
  /** What it logs at each decision. */
  log?: string[];
}

/** What an instance throws that breaks. */
export function fault(kind: FaultKind, message = "broken on purpose"): Error {
  return Object.assign(new Error(message), { kind, fuel: 7, nanoseconds: 9 });
}

/** Octets of an intent. */
export function intentOctets(wish: Wish): Uint8Array {
  const octets = new Uint8Array(INTENT_SIZE);
  const view = new DataView(octets.buffer);
  view.setUint16(IntentOffset.ABI, wish.abi ?? ABI, true);
  view.setUint16(IntentOffset.REASON, wish.reason ?? 0, true);
  view.setUint32(IntentOffset.ACTIVE_PATH_ID, wish.activePathId ?? UNKNOWN_U32, true);
  view.setUint32(IntentOffset.STANDBY_MASK, wish.standbyMask ?? 0, true);
  view.setUint32(IntentOffset.OPEN_MASK, wish.openMask ?? 0, true);
  view.setUint32(IntentOffset.CLOSE_MASK, wish.closeMask ?? 0, true);
  view.setUint32(IntentOffset.DWELL_MS, wish.dwellMs ?? 0, true);
  view.setBigUint64(IntentOffset.WAKE_AT_US, BigInt(wish.wakeAtUs ?? 0), true);
  return octets;
}

/** A record as readIntent() would make it. */
export function intentRecord(wish: Wish): IntentRecord {
  return {
    abi: ABI,
    reason: 0,
    activePathId: undefined,
    standbyMask: 0,
    openMask: 0,
    closeMask: 0,
    dwellMs: 0,
    wakeAtUs: undefined,
    weights: [],
    ...wish,
  };
}

class ScriptInstance implements PolicyInstancePort {
  readonly memoryBytes = 65536;
  readonly stateLoaded: boolean;
  readonly cost = { log: [] };
  #script: Script;
  #settings: Uint8Array;
  #memory: Memory;
  #sandbox: ScriptSandbox;

  constructor(script: Script, settings: Uint8Array, state: Uint8Array | null, sandbox: ScriptSandbox) {
    this.#script = script;
    this.#settings = settings;
    this.#memory = state === null ? {} : (JSON.parse(Buffer.from(state).toString()) as Memory);
    this.stateLoaded = state !== null;
    this.#sandbox = sandbox;
    sandbox.alive.add(this);
  }

  async decide(octets: Uint8Array): Promise<Decision> {
    if (!this.#sandbox.alive.has(this)) throw new Error("a dead instance was asked");
    const table = readTable(new DataView(octets.buffer, octets.byteOffset, octets.length));
    this.#sandbox.tables.push(table);
    await this.#sandbox.hold;
    const wish = this.#script.decide(table, this.#memory, this.#settings);
    const fuel = 100 + table.paths.length;
    const log = (this.#script.log ?? []).map((text) => ({ level: 1, text }));
    return { status: 0, intent: intentOctets(wish), fuel, nanoseconds: 1000, log };
  }

  async save(): Promise<Uint8Array | null> {
    return this.#script.keeps === true ? Buffer.from(JSON.stringify(this.#memory)) : null;
  }

  close(): void {
    this.#sandbox.alive.delete(this);
  }
}

/** Runs scripts. Compiled code is the script itself. */
export class ScriptSandbox implements SandboxPort {
  readonly alive = new Set<PolicyInstancePort>();
  /** Tables that policies were shown. */
  readonly tables: TableRecord[] = [];
  /** States that instances were given. */
  readonly states: (string | null)[] = [];
  /** Modules by their octets as text, for what is compiled from a file or a recording. */
  readonly modules = new Map<string, Script>();
  /** Decisions wait for this. */
  hold: Promise<void> = Promise.resolve();
  compiled = 0;

  async compile(wasm: Uint8Array): Promise<Script> {
    this.compiled++;
    const script = this.modules.get(Buffer.from(wasm).toString());
    if (script === undefined) throw new Error("not a module");
    return script;
  }

  async load(code: unknown, settings: Uint8Array, state: Uint8Array | null): Promise<PolicyInstancePort> {
    this.states.push(state === null ? null : Buffer.from(state).toString());
    return new ScriptInstance(code as Script, settings, state, this);
  }
}

/** A script as if it had been compiled. */
export function compiled(name: string, script: Script, manifest: Partial<PolicyManifest> = {}): CompiledPolicy {
  const whole = { name, description: "", settings: [], ...manifest };
  return { name, manifest: whole, sha256: `of ${name}`, wasm: Buffer.from(name), code: script };
}

/** A policy that wants the same all the time. */
export function wants(wish: Wish): Script {
  return { decide: () => wish };
}

export const NO_SETTINGS = { octets: new Uint8Array(0), probeMs: 0 };

export function pathConfig(id: number, name: string, facts: Partial<PathFacts> = {}): PathConfig {
  const address = { gateway: null, gateway6: null, backup: false, mtu: null, draining: false };
  return { id, name, interface: `${name}0`, ...address, facts: { ...NO_FACTS, ...facts } };
}

export function link(config: PathConfig, up = true): LinkState {
  const { id, name, interface: device, backup, draining } = config;
  const none = { address4: null, address6: null, addresses: [], gateway4: null, gateway6: null };
  return { id, name, interface: device, backup, draining, index: id, mtu: 1500, up, ...none };
}

export function pathFigures(id: number, fields: Partial<PathFigures> = {}): PathFigures {
  const rtt = { srttUs: 0, rttvarUs: 0, minRttUs: 0, inFlight: 0, lastAckUs: 0 };
  const totals = { bytesSent: 0, bytesReceived: 0, bytesAcked: 0, bytesRetransmitted: 0, packetsSent: 0 };
  return { id, subflows: 1, ...rtt, ...totals, ...fields };
}

export function classFigures(id: number, fields: Partial<ClassFigures> = {}): ClassFigures {
  return { id, connections: 1, bytesAcked: 0, bytesReceived: 0, activeOn: new Map([[1, 1]]), ...fields };
}

/** Remembers what it was told. */
export class ScriptEngine implements PolicyEngine {
  statisticsValue: Statistics = { paths: [pathFigures(1), pathFigures(2)], classes: [classFigures(0)] };
  readonly classes: [number, ClassTerms][] = [];
  readonly intents: [number, Plan][] = [];
  readonly rules: ClassifierRule[][] = [];
  outcome: IntentOutcome = { concerned: 1, refused: 0, reason: "none" };
  isDead = false;

  async statistics(): Promise<Statistics> {
    if (this.isDead) throw new Error("the data path has ended");
    return this.statisticsValue;
  }

  setClass(classId: number, terms: ClassTerms): void {
    this.classes.push([classId, terms]);
  }

  async setIntent(classId: number, plan: Plan): Promise<IntentOutcome> {
    this.intents.push([classId, plan]);
    return this.outcome;
  }

  setRules(rules: ClassifierRule[]): void {
    this.rules.push(rules);
  }

  /** Active paths of the intents, oldest first. */
  get actives(): number[] {
    return this.intents.map(([, plan]) => plan.active);
  }
}

/** A table of two established paths, 1 active. */
export function twoPaths(fields: Partial<TableRecord> = {}): TableRecord {
  const path = { state: 2, flags: 0, subflows: 1 } as const;
  return {
    nowUs: 1_000_000_000,
    entropy: 0n,
    event: 1,
    classId: 0,
    connections: 1,
    ackedBytes: 0,
    activePathId: 1,
    lastRefusal: 0 as Refusal,
    paths: [
      { id: 1, ...path },
      { id: 2, ...path },
    ],
    ...fields,
  };
}

/** A class on two paths, "wifi" and "lte", and all that it sees and does. */
export class RunnerWorld {
  readonly clock = new VirtualClock();
  readonly engine = new ScriptEngine();
  readonly sandbox = new ScriptSandbox();
  readonly news: (NewsBody & { policy: string })[] = [];
  /** Path ids that are down. */
  readonly down = new Set<number>();
  readonly runner: ClassRunner;

  constructor() {
    const configs = [pathConfig(1, "wifi"), pathConfig(2, "lte")];
    const { clock, engine, sandbox, news, down } = this;
    const situation = async (): Promise<Situation> => {
      const statistics = await engine.statistics();
      const paths = configs.map((config) => ({
        config,
        link: link(config, !down.has(config.id)),
        figures: statistics.paths.find((path) => path.id === config.id),
        rates: { ackedRateKbps: undefined, lossPpm: undefined },
        known: {},
        quotaLeft: undefined,
        staleSinceUs: undefined,
      }));
      return { nowUs: clock.nowUs(), classId: 0, paths, statistics, machine: {}, pinned: 0 };
    };
    this.runner = new ClassRunner(
      { id: 0, name: "default", native: "active-standby" },
      {
        clock,
        sandbox,
        engine,
        situation,
        terms: () => ({ prefer: [1, 2], paths: null }),
        pathName: (id) => ["", "wifi", "lte"][id] ?? "",
        tell: (policy, body) => news.push({ policy, ...body }),
      },
    );
  }

  /** Kinds of the news so far. */
  get kinds(): string[] {
    return this.news.map(({ kind }) => kind);
  }

  /** Why policies were asked so far. */
  get causes(): number[] {
    return this.sandbox.tables.map(({ event }) => event);
  }

  /** Puts the class under a script. */
  use(script: Script, name = "script"): Promise<void> {
    return this.runner.use(compiled(name, script), NO_SETTINGS);
  }

  /** Decisions wait from now on until the function that it returns is called. */
  hold(): () => void {
    let release = () => {};
    this.sandbox.hold = new Promise((resolve) => {
      release = resolve;
    });
    return () => release();
  }
}
