// What if? A policy in a world of paths, under V8 and in virtual time, without root or network:
//
//   const start = worldOf("plugins/signal");
//   const world = start({ paths: [{ name: "wifi", ... }, { name: "lte", ... }] });
//   world.set("wifi", { signal: -800, slope: -40 });
//   world.advance(3000);
//   world.moves   // [{ atMs: 0, from: "wifi", to: "lte", reason: "SIGNAL_FALLING" }]
//
// The world does what the daemon would: it decides on every change, every second and when the policy wants to be woken;
// it joins what it is told to, after joinMs; it moves data to an established path at once. An intent that the daemon's
// guard would refuse for what it asks is an error here: a policy shall not need the guard.
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import * as abi from "../../host/policy/abi.ts";
import { type IntentRecord, type PathRecord, tableSize, writeTable } from "../../host/policy/records.ts";
import { encodeSettings, ownReason, type PolicyManifest, type SettingValue } from "../../host/policy/settings.ts";
import { Instance, nameOf } from "../../host/policy/v8-instance.ts";

/** A path of the world: a record with a name; id and state are given if left out (in order from 1; UP). */
export type WorldPath = Partial<Omit<PathRecord, "id">> & { name: string; id?: number };

export interface WorldOptions {
  /** In the class's order of preference. */
  paths: WorldPath[];
  settings?: Record<string, SettingValue>;
  /** Name of the path that carries the data at first; default: the first that is established. */
  active?: string | undefined;
  /** Live connections of the class, default 1. */
  connections?: number;
  /** How long a handshake takes. */
  joinMs?: number;
  batteryPermille?: number;
  power?: abi.Power;
}

export interface Decision {
  atMs: number;
  event: string;
  /** Names; null = none. */
  active: string | null;
  reason: string;
  standby: string[];
  open: string[];
  close: string[];
  wakeAtMs: number | null;
}

export interface Move {
  atMs: number;
  from: string | null;
  to: string;
  reason: string;
}

/** Where the world's clock starts: at no round number, and not at 0. */
const EPOCH_US = 1_000_123_456;
const TICK_MS = 1000;

type NamedPath = PathRecord & { name: string };

/** A change of a path or of the machine, as one call of set() makes it. */
export type PathChange = Partial<Omit<PathRecord, "id">>;

export class World {
  readonly decisions: Decision[] = [];
  readonly moves: Move[] = [];
  readonly manifest: PolicyManifest;
  /** Milliseconds since the world began. */
  nowMs = 0;
  connections: number;
  ackedBytes = 0;
  batteryPermille: number | undefined;
  power: abi.Power | undefined;
  /** The daemon's guard refuses what this names, every time. */
  refuse: abi.Refusal = abi.Refusal.NONE;
  #module: WebAssembly.Module;
  #settings: Uint8Array;
  #instance: Instance;
  #paths: NamedPath[];
  #activeId: number | undefined;
  #joins = new Map<number, number>();
  #joinMs: number;
  #wakeAtMs: number | undefined;
  #lastRefusal: abi.Refusal = abi.Refusal.NONE;

  /** Loads a compiled policy with its manifest, and takes the first decision. */
  static start(wasm: Uint8Array, manifest: PolicyManifest, options: WorldOptions): World {
    const world = new World(new WebAssembly.Module(new Uint8Array(wasm)), manifest, options);
    world.decide("START");
    return world;
  }

  private constructor(module: WebAssembly.Module, manifest: PolicyManifest, options: WorldOptions) {
    this.manifest = manifest;
    this.connections = options.connections ?? 1;
    this.batteryPermille = options.batteryPermille;
    this.power = options.power;
    this.#joinMs = options.joinMs ?? 100;
    const defaults = { state: abi.PathState.UP, flags: 0, subflows: 0 };
    this.#paths = options.paths.map((path, index) => ({ ...defaults, id: index + 1, ...path }));
    const first = this.#paths.find(({ state }) => state === abi.PathState.ESTABLISHED);
    this.#activeId = options.active === undefined ? first?.id : this.path(options.active).id;
    this.#settings = encodeSettings(manifest, options.settings ?? {}, (name) => this.path(name).id);
    this.#module = module;
    this.#instance = new Instance(module, this.#settings);
  }

  /** Name of the path that carries the data; null = none. */
  get active(): string | null {
    return this.#paths.find(({ id }) => id === this.#activeId)?.name ?? null;
  }

  get last(): Decision {
    const decision = this.decisions.at(-1);
    if (decision === undefined) throw new Error("nothing was decided yet");
    return decision;
  }

  get log(): readonly string[] {
    return this.#instance.log;
  }

  /** The record of a path. */
  path(name: string): Readonly<NamedPath> {
    const path = this.#paths.find((candidate) => candidate.name === name);
    if (path === undefined) throw new Error(`no path is named "${name}"`);
    return path;
  }

  /** Changes a path and decides, unless `event` is null. */
  set(name: string, change: PathChange, event: keyof typeof abi.Event | null = eventOf(change)): void {
    const path = this.path(name) as NamedPath;
    Object.assign(path, change);
    if (change.state === abi.PathState.DOWN) Object.assign(path, { subflows: 0, inFlight: 0 });
    if (event !== null) this.decide(event, path.id);
  }

  /** A path loses its carrier. */
  down(name: string): void {
    this.set(name, { state: abi.PathState.DOWN });
  }

  /** A path is there again, with nothing joined on it. */
  up(name: string): void {
    this.set(name, { state: abi.PathState.UP });
  }

  /** Changes what the machine runs on, and decides. */
  supply(power: abi.Power | undefined, batteryPermille?: number): void {
    this.power = power;
    this.batteryPermille = batteryPermille;
    this.decide("POWER");
  }

  /** Lets time pass. `each` is called before each decision, with the time since the world began. */
  advance(ms: number, each?: (nowMs: number) => void): void {
    const end = this.nowMs + ms;
    for (;;) {
      const tick = (Math.floor(this.nowMs / TICK_MS) + 1) * TICK_MS;
      const next = Math.min(tick, this.#wakeAtMs ?? Infinity, ...this.#joins.values());
      if (next > end) break;
      this.nowMs = Math.max(next, this.nowMs);
      each?.(this.nowMs);
      const joined = [...this.#joins].find(([, at]) => at <= this.nowMs);
      if (joined) this.#establish(joined[0]);
      else if (next === this.#wakeAtMs && next !== tick) this.decide("WAKE");
      else this.decide("TICK");
    }
    this.nowMs = end;
  }

  /** Replaces the instance by a new one (of another module, if given) that gets the state of the old. */
  swap(wasm?: Uint8Array): void {
    const state = this.#instance.save();
    if (wasm) this.#module = new WebAssembly.Module(new Uint8Array(wasm));
    this.#instance = new Instance(this.#module, this.#settings, state);
    this.decide("START");
  }

  /** Asks the policy and does what it says. */
  decide(event: keyof typeof abi.Event, eventPathId?: number): Decision {
    this.#wakeAtMs = undefined;
    const intent = this.#instance.decide(tableSize(this.#paths.length), (view) => {
      writeTable(view, this.#table(abi.Event[event], eventPathId));
    });
    this.#check(intent);
    const decision = this.#describe(event, intent);
    this.decisions.push(decision);
    if (decision.wakeAtMs !== null) this.#wakeAtMs = Math.max(decision.wakeAtMs, this.nowMs + 1);
    this.#lastRefusal = abi.Refusal.NONE;
    this.#obey(intent, decision);
    return decision;
  }

  #table(event: abi.Event, eventPathId: number | undefined): Parameters<typeof writeTable>[1] {
    return {
      nowUs: EPOCH_US + this.nowMs * 1000,
      entropy: (BigInt(this.decisions.length) * 0x9e37_79b9_7f4a_7c15n) & 0xffff_ffff_ffff_ffffn,
      event,
      eventPathId,
      classId: 0,
      connections: this.connections,
      ackedBytes: this.ackedBytes,
      batteryPermille: this.batteryPermille,
      power: this.power,
      activePathId: this.#activeId,
      lastRefusal: this.#lastRefusal,
      paths: this.#paths,
    };
  }

  /** The guard's rules that do not depend on time. */
  #check(intent: IntentRecord): void {
    const fail = (what: string): never => {
      throw new Error(`at ${this.nowMs} ms the guard would refuse the intent: ${what}`);
    };
    if (intent.abi >> 8 !== abi.ABI >> 8) fail(`abi ${intent.abi}`);
    const mask = intent.standbyMask | intent.openMask;
    if ((mask | intent.closeMask) >>> this.#paths.length !== 0) fail("a bit beyond the last path");
    if ((mask & intent.closeMask) !== 0) fail("a path both joined and closed");
    for (const path of this.#named(mask)) {
      if ((path.flags & abi.PathFlag.DRAINING) !== 0) fail(`${path.name} is draining, and is to be joined`);
    }
    if (intent.activePathId === undefined) return;
    const active = this.#paths.find(({ id }) => id === intent.activePathId) ?? fail("no such path");
    if (this.#named(intent.closeMask).includes(active)) fail("the active path is to be closed");
    const { state } = active;
    const established = this.#paths.some((path) => path.state === abi.PathState.ESTABLISHED);
    if (
      active.id !== this.#activeId &&
      state !== abi.PathState.ESTABLISHED &&
      (established || state !== abi.PathState.UP)
    )
      fail(`${active.name} is not usable`);
  }

  #named(mask: number): NamedPath[] {
    return this.#paths.filter((_, index) => ((mask >>> index) & 1) === 1);
  }

  #describe(event: string, intent: IntentRecord): Decision {
    const names = (mask: number): string[] => this.#named(mask).map(({ name }) => name);
    const { reason, wakeAtUs } = intent;
    return {
      atMs: this.nowMs,
      event,
      active: this.#paths.find(({ id }) => id === intent.activePathId)?.name ?? null,
      reason: ownReason(this.manifest, reason) ?? nameOf(abi.Reason, reason) ?? `${reason}`,
      standby: names(intent.standbyMask),
      open: names(intent.openMask),
      close: names(intent.closeMask),
      wakeAtMs: wakeAtUs === undefined ? null : Math.ceil((wakeAtUs - EPOCH_US) / 1000),
    };
  }

  #obey(intent: IntentRecord, { active, reason }: Decision): void {
    const wanted = this.#paths.find(({ id }) => id === intent.activePathId);
    const moves = wanted !== undefined && active !== null && wanted.id !== this.#activeId;
    if (moves && this.refuse !== abi.Refusal.NONE) {
      this.#lastRefusal = this.refuse;
      if (this.last.event !== "REFUSED") this.decide("REFUSED");
      return;
    }
    for (const path of this.#named(intent.closeMask)) Object.assign(path, { state: abi.PathState.UP, subflows: 0 });
    const join = new Set(this.#named(intent.standbyMask | intent.openMask));
    if (wanted) join.add(wanted);
    for (const path of join) {
      const joins = path.state === abi.PathState.UP && this.connections > 0 && !this.#joins.has(path.id);
      if (joins) this.#joins.set(path.id, this.nowMs + this.#joinMs);
    }
    if (!moves) return;
    this.moves.push({ atMs: this.nowMs, from: this.active, to: active, reason });
    this.#activeId = wanted.id;
  }

  #establish(id: number): void {
    this.#joins.delete(id);
    const path = this.#paths.find((candidate) => candidate.id === id);
    if (path?.state !== abi.PathState.UP) return;
    Object.assign(path, { state: abi.PathState.ESTABLISHED, subflows: this.connections });
    this.decide("PATH_ESTABLISHED", id);
  }
}

/** The module of a policy's folder: beside its source, or, of a shipped one, where scripts/build-policies.ts puts it. */
function moduleOf(folder: string): string {
  const own = join(folder, "policy.wasm");
  if (existsSync(own)) return own;
  const build = join(dirname(fileURLToPath(import.meta.url)), "../../build/policies");
  return join(build, `${basename(resolve(folder))}.wasm`);
}

/** A policy that this machine has no compiler for. With ALL_POLICIES set, as on CI, there is no such thing. */
export function isMissing(folder: string): boolean {
  return process.env.ALL_POLICIES === undefined && !existsSync(moduleOf(folder));
}

/** Makes worlds for the policy in this folder. */
export function worldOf(folder: string): (options: WorldOptions) => World {
  const manifest = JSON.parse(readFileSync(join(folder, "policy.json"), "utf8")) as PolicyManifest;
  return (options) => World.start(readFileSync(moduleOf(folder)), manifest, options);
}

/** The event that the daemon would tell this change by. */
function eventOf(change: PathChange): keyof typeof abi.Event {
  if (change.state === abi.PathState.DOWN) return "PATH_DOWN";
  if (change.state === abi.PathState.UP) return "PATH_UP";
  if (change.state === abi.PathState.STALE) return "PATH_STALE";
  if (change.state !== undefined) return "PATH_ESTABLISHED";
  if (change.signal !== undefined || change.slope !== undefined) return "SIGNAL";
  if (change.quotaLeft !== undefined || change.costMicroPerGB !== undefined) return "QUOTA";
  return change.flags === undefined ? "TICK" : "DRAIN";
}
