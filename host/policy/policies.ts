// The policies of all classes: which class is under which, what the operator changes while the daemon runs, and what
// happens to the engine and the paths that they should know of.
import { EventEmitter } from "node:events";
import { join } from "node:path";
import { type ClassConfig, type Config, NATIVE_POLICY, type SettingValue } from "../config/config.ts";
import type { EngineEvent } from "../engine/index.ts";
import type { PathTable } from "../net/path-table.ts";
import { Event } from "./abi.ts";
import { Catalog, type PolicyEntry } from "./catalog.ts";
import { settingProblems } from "./check.ts";
import type { Clock } from "./clock.ts";
import type { ClassTerms, PolicyEngine } from "./engine-port.ts";
import type { KnownInterface } from "./inputs/board.ts";
import type { HostFacts } from "./inputs/input.ts";
import { inputsOf } from "./inputs/sources.ts";
import { type CompiledPolicy, PolicyStore } from "./instance.ts";
import type { PolicyNews } from "./news.ts";
import { QuotaLedger } from "./quota.ts";
import { Recorder } from "./recorder.ts";
import { ClassRunner, type RunnerStatus } from "./runner.ts";
import type { SandboxPort } from "./sandbox-port.ts";
import { type PolicySettings, policySettings } from "./settings.ts";
import { Situations } from "./situations.ts";
import type { Cause } from "./table.ts";

export interface PoliciesPorts {
  clock: Clock;
  sandbox: SandboxPort;
  engine: PolicyEngine;
  paths: Pick<PathTable, "states" | "configs" | "byName" | "nameOf">;
  problem(line: string): void;
}

/** What an operator asked for cannot be done. */
export class PolicyError extends Error {
  readonly code: "unknown_class" | "unknown_policy" | "bad_settings" | "refused" | "recording";

  constructor(code: PolicyError["code"], message: string) {
    super(message);
    this.name = "PolicyError";
    this.code = code;
  }
}

export interface ClassStatus extends RunnerStatus {
  id: number;
  config: ClassConfig;
  /** A manual handover holds the class on this path; 0 = none does. */
  pinned: number;
}

/** What `use` asks for. */
export interface UseRequest {
  policy: string;
  class: string;
  settings?: Record<string, SettingValue> | undefined;
}

interface PoliciesEvents {
  news: [PolicyNews];
}

/** A class and what the daemon knows of it. */
interface Member {
  config: ClassConfig;
  runner: ClassRunner;
  pinned: number;
}

export class Policies extends EventEmitter<PoliciesEvents> {
  #config: Config;
  #ports: PoliciesPorts;
  #store: PolicyStore;
  #situations: Situations;
  #members = new Map<string, Member>();
  #recorder: Recorder | null = null;

  constructor(config: Config, ports: PoliciesPorts) {
    super();
    this.#config = config;
    this.#ports = ports;
    this.#store = new PolicyStore(ports.sandbox);
    const file = join(config.policy.stateDirectory, "quota.json");
    this.#situations = new Situations({
      ...ports,
      quota: new QuotaLedger(file, ports.problem),
      changed: (cause) => this.#notify(cause),
    });
  }

  /** Tells the engine the classes, loads their policies, and starts the sources. What breaks falls back, and is told. */
  async start(): Promise<void> {
    await this.#situations.start(inputsOf(this.#config.policy.inputs));
    this.linksChanged();
    await this.reload(this.#config);
  }

  async stop(): Promise<void> {
    await this.stopRecording().catch(() => {});
    await Promise.all([...this.#members.values()].map(({ runner }) => runner.close()));
    await this.#situations.stop();
  }

  /** Makes classes and policies what a newly read configuration says. What was changed by hand is undone by that. */
  async reload(config: Config): Promise<void> {
    this.#config = config;
    const names = config.classes.map(({ name }) => name);
    const gone = [...this.#members.values()].filter((member) => !names.includes(member.config.name));
    for (const { config: entry, runner } of gone) {
      this.#members.delete(entry.name);
      await runner.close();
    }
    for (const entry of config.classes) this.#place(entry);
    this.#sendRules();
    await Promise.all(config.classes.map((entry) => this.#settle(entry)));
  }

  /** Paths were added, removed or ranked anew. */
  async listed(): Promise<void> {
    await Promise.all([...this.#members.values()].map(({ runner }) => runner.renew()));
  }

  /** The interface of some path is not what it was: sources may have something to say. */
  linksChanged(): void {
    this.#situations.linksChanged();
  }

  /** A link changed. */
  pathChanged(path: number, isUp: boolean): void {
    if (!isUp) for (const member of this.#members.values()) if (member.pinned === path) member.pinned = 0;
    this.#notify({ event: isUp ? Event.PATH_UP : Event.PATH_DOWN, path });
  }

  pathDraining(path: number): void {
    this.#notify({ event: Event.DRAIN, path });
  }

  pathRemoved(path: number): void {
    this.#situations.forget(path);
    this.pathChanged(path, false);
  }

  heard(event: EngineEvent): void {
    this.#situations.heard(event);
  }

  /** A manual handover of a class (null = all) to a path; 0 = given back to the policy. */
  pinned(className: string | null, path: number): void {
    for (const [name, member] of this.#members) if (className === null || name === className) member.pinned = path;
  }

  get catalog(): Catalog {
    return Catalog.of(this.#config);
  }

  get classes(): ClassStatus[] {
    return [...this.#members.values()].map(({ config, runner, pinned }) => {
      return { id: runner.id, config, pinned, ...runner.status };
    });
  }

  /** Octets left, of the paths that have a quota. */
  get quotas(): { path: string; left: number }[] {
    return this.#situations.quotas;
  }

  /** Names of the sources of the outside that are there. */
  get sources(): string[] {
    return this.#situations.board.sources;
  }

  /** What they say of the machine, and of the paths by their names. */
  get known(): { machine: HostFacts; paths: Record<string, Partial<KnownInterface>> } {
    const { board } = this.#situations;
    const paths = this.#ports.paths.configs.map((path) => [path.name, board.known(path.interface)] as const);
    return { machine: board.machine, paths: Object.fromEntries(paths) };
  }

  /** File and length of the recording that runs, null = none does. */
  get recording(): { file: string; decisions: number } | null {
    return this.#recorder === null ? null : { file: this.#recorder.file, decisions: this.#recorder.decisions };
  }

  /** The id of a class. Throws PolicyError. */
  classId(name: string): number {
    return this.#member(name).runner.id;
  }

  className(id: number): string | undefined {
    return [...this.#members.values()].find(({ runner }) => runner.id === id)?.config.name;
  }

  /** Puts a class under another policy, until the configuration is read again. Throws PolicyError. */
  async use(request: UseRequest): Promise<void> {
    const { runner } = this.#member(request.class);
    const entry = this.#entry(request.policy);
    if (entry.kind === "native") {
      await runner.useNative();
      return;
    }
    const settings = this.#settings(entry, request);
    await refusing(async () => runner.use(await this.#store.compile(entry), settings));
  }

  /** Runs a policy beside the one of a class. Throws PolicyError. */
  async shadow(request: UseRequest): Promise<void> {
    const { runner } = this.#member(request.class);
    const entry = this.#entry(request.policy);
    if (entry.kind === "native") {
      throw new PolicyError("refused", `"${entry.name}" is part of the engine: it makes no decisions to compare`);
    }
    const settings = this.#settings(entry, request);
    await refusing(async () => runner.shadow(await this.#store.compile(entry), settings));
  }

  /** Records the decisions of all classes. Throws PolicyError. */
  async startRecording(file: string): Promise<void> {
    if (this.#recorder !== null) {
      throw new PolicyError("recording", `a recording is being written to ${this.#recorder.file}; stop it first`);
    }
    const names = Object.fromEntries(this.#ports.paths.configs.map(({ id, name }) => [String(id), name]));
    try {
      this.#recorder = new Recorder(file, names, (error) => {
        this.#ports.problem(`recording into ${file} has ended: ${error.message}`);
        void this.stopRecording().catch(() => {});
      });
    } catch (error) {
      throw new PolicyError("recording", `cannot write ${file}: ${(error as Error).message}`);
    }
    await this.#record(this.#recorder);
  }

  /** Throws PolicyError if nothing is recorded. */
  async stopRecording(): Promise<{ file: string; decisions: number }> {
    const recorder = this.#recorder;
    if (recorder === null) throw new PolicyError("recording", "no decisions are being recorded");
    this.#recorder = null;
    await this.#record(null);
    recorder.close();
    return { file: recorder.file, decisions: recorder.decisions };
  }

  async #record(recorder: Recorder | null): Promise<void> {
    await Promise.all([...this.#members.values()].map(({ runner }) => runner.record(recorder)));
  }

  #notify(cause: Cause): void {
    for (const { runner } of this.#members.values()) runner.notify(cause);
  }

  /** A runner for a class that has none yet; ids stay with names, since live connections have them. */
  #place(config: ClassConfig): void {
    const member = this.#members.get(config.name);
    if (member !== undefined) {
      member.config = config;
      return;
    }
    const taken = new Set([...this.#members.values()].map(({ runner }) => runner.id));
    let id = config.match === null ? 0 : 1;
    while (taken.has(id)) id++;
    const { clock, sandbox, engine, paths } = this.#ports;
    const runner = new ClassRunner(
      { id, name: config.name, native: NATIVE_POLICY },
      {
        clock,
        sandbox,
        engine,
        situation: () => this.#situations.of(id, this.#terms(config.name).prefer, this.#member(config.name).pinned),
        terms: () => this.#terms(config.name),
        pathName: (path) => paths.nameOf(path) || `#${path}`,
        tell: (policy, news) => this.emit("news", { class: config.name, policy, ...news }),
      },
    );
    this.#members.set(config.name, { config, runner, pinned: 0 });
    void runner.record(this.#recorder);
  }

  /** Brings a class under the policy that the configuration names. */
  async #settle(config: ClassConfig): Promise<void> {
    const { runner } = this.#member(config.name);
    const entry = this.catalog.find(config.policy);
    if (entry === undefined || entry.kind === "native") {
      await runner.useNative();
      return;
    }
    await runner.renew();
    let policy: CompiledPolicy;
    try {
      policy = await this.#store.compile(entry);
    } catch (error) {
      await runner.refuse(entry.name, (error as Error).message);
      return;
    }
    const settings = this.#encode(entry, config.settings);
    if (!runner.isUnder(policy, settings)) await runner.adopt(policy, settings);
  }

  #terms(className: string): Omit<ClassTerms, "probeMs"> {
    const { config } = this.#member(className);
    const mayUse = this.#ports.paths.states.filter(({ name }) => config.paths?.includes(name) ?? true);
    // Paths that the configuration does not rank come last, in their own order.
    const ranked = config.prefer.flatMap((name) => mayUse.find((path) => path.name === name)?.id ?? []);
    const others = mayUse.map((path) => path.id).filter((id) => !ranked.includes(id));
    const paths = config.paths === null ? null : mayUse.map((path) => path.id);
    return { prefer: [...ranked, ...others], paths };
  }

  #sendRules(): void {
    const rules = [...this.#members.values()].flatMap(({ config, runner }) =>
      config.match === null ? [] : [{ class: runner.id, match: config.match }],
    );
    this.#ports.engine.setRules(rules);
  }

  #member(name: string): Member {
    const member = this.#members.get(name);
    if (member !== undefined) return member;
    const names = [...this.#members.keys()].map((other) => `"${other}"`).join(", ");
    throw new PolicyError("unknown_class", `no class is named "${name}"; there is ${names}`);
  }

  #entry(name: string): PolicyEntry {
    const { catalog } = this;
    const entry = catalog.find(name);
    if (entry !== undefined) return entry;
    const names = catalog.entries.map((other) => `"${other.name}"`).join(", ");
    throw new PolicyError("unknown_policy", `no policy is named "${name}"; there are ${names}`);
  }

  /** Settings of a request, or else those of the configuration for the same policy. */
  #settings(entry: PolicyEntry, request: UseRequest): PolicySettings {
    const { config } = this.#member(request.class);
    const values = request.settings ?? (config.policy === entry.name ? config.settings : {});
    const paths = this.#ports.paths.states.map((path) => path.name);
    const problems = settingProblems(entry, values, paths);
    if (problems.length > 0) {
      throw new PolicyError("bad_settings", problems.map(({ name, message }) => `${name}: ${message}`).join("; "));
    }
    return this.#encode(entry, values);
  }

  #encode({ manifest }: PolicyEntry, values: Record<string, SettingValue>): PolicySettings {
    return policySettings(manifest, values, (name) => this.#ports.paths.byName(name)?.id);
  }
}

async function refusing<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw new PolicyError("refused", (error as Error).message);
  }
}
