// Plays a scenario to a policy in virtual time. Table, guard, schedule and fall-back are the daemon's own; only the
// clock and the data path are made up.
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NATIVE_POLICY } from "../../config/config.ts";
import { Event } from "../abi.ts";
import { Teller } from "../inputs/file.ts";
import type { InputSink } from "../inputs/input.ts";
import type { CompiledPolicy } from "../instance.ts";
import type { DecisionReport, NewsBody } from "../news.ts";
import { periodStart, QuotaLedger } from "../quota.ts";
import { ClassRunner } from "../runner.ts";
import type { PolicyInstancePort, SandboxPort } from "../sandbox-port.ts";
import { type PolicySettings, policySettings } from "../settings.ts";
import { Situations } from "../situations.ts";
import { linkOf, type PathWeather, SimulatedEngine } from "./engine.ts";
import { inputsAt, momentsOf, type Scenario, type ScenarioPath } from "./scenario.ts";
import type { Timeline } from "./timeline.ts";
import { valueAt } from "./track.ts";
import { settled, VirtualClock } from "./virtual-clock.ts";

/** A day in the middle of a month, so that no billing period ends by chance. */
const WALL = new Date(2026, 2, 10, 12);

/** `policy`: null = the engine's native one. */
export async function runScenario(
  policy: CompiledPolicy | null,
  scenario: Scenario,
  sandbox: SandboxPort,
): Promise<Timeline> {
  const directory = mkdtempSync(join(tmpdir(), "shunt-scenario-"));
  try {
    return await new Stage(policy, scenario, sandbox, directory).play();
  } finally {
    rmSync(directory, { recursive: true });
  }
}

class Stage {
  #policy: CompiledPolicy | null;
  #scenario: Scenario;
  #timeline: Timeline;
  #clock: VirtualClock;
  #engine: SimulatedEngine;
  #situations: Situations;
  #runner: ClassRunner;
  #teller = new Teller();
  #sink: InputSink;
  #startUs: number;
  /** Calls into the sandbox that have not been answered: its thread runs in real time. */
  #calls = new Set<Promise<unknown>>();
  #tables = 0;
  /** The last decision that asked for another active path than the one before. */
  #order: DecisionReport | null = null;

  constructor(policy: CompiledPolicy | null, scenario: Scenario, sandbox: SandboxPort, directory: string) {
    this.#policy = policy;
    this.#scenario = scenario;
    const name = policy?.name ?? NATIVE_POLICY;
    const marks = { active: [], joined: [], stalls: [], decisions: [], moves: [], faults: [], log: [] };
    this.#timeline = { scenario, policy: name, ...marks, quotas: new Map() };
    this.#clock = new VirtualClock({ wallMs: WALL.getTime(), settle: () => this.#quiet() });
    this.#startUs = this.#clock.nowUs();
    const paths = scenario.paths.map((path) => ({
      id: path.config.id,
      joinMs: path.joinMs,
      weather: weatherOf(path, 0),
    }));
    this.#engine = new SimulatedEngine(this.#clock, paths, {
      joined: (path) => this.#heard("new_subflow", path, 0),
      stale: (path, isStale) => this.#heard("subflow_stale", path, isStale ? 1 : 0),
      subflow: (path, isThere) => this.#noteSubflow(path, isThere),
      moved: (from, to) => this.#noteMove(from, to),
    });
    this.#situations = new Situations({
      clock: this.#clock,
      engine: this.#engine,
      paths: this.#paths,
      quota: this.#quota(directory),
      changed: (cause) => this.#runner.notify(cause),
      problem: (text) => this.#timeline.log.push({ atS: this.#nowS, text }),
    });
    this.#sink = this.#situations.board.sink();
    this.#runner = this.#makeRunner(sandbox);
  }

  async play(): Promise<Timeline> {
    const { durationS, startsOn } = this.#scenario;
    await this.#situations.start([]);
    this.#tell(0);
    this.#engine.set(this.#weather(0), this.#demand(0), startsOn);
    this.#noteStall();
    if (this.#policy === null) await this.#runner.useNative();
    else await this.#runner.adopt(this.#policy, this.#settings(this.#policy));
    for (const atS of momentsOf(this.#scenario).slice(1)) {
      await this.#clock.pass(atS * 1000 - this.#nowS * 1000);
      this.#change(atS);
    }
    await this.#clock.pass(durationS * 1000 - this.#nowS * 1000);
    await this.#runner.close();
    await this.#situations.stop();
    this.#end();
    return this.#timeline;
  }

  get #nowS(): number {
    return Math.round((this.#clock.nowUs() - this.#startUs) / 1000) / 1000;
  }

  #makeRunner(sandbox: SandboxPort): ClassRunner {
    const { clock, prefer } = { clock: this.#clock, prefer: this.#scenario.paths.map(({ config }) => config.id) };
    return new ClassRunner(
      { id: 0, name: "default", native: NATIVE_POLICY },
      {
        clock,
        sandbox: this.#awaited(sandbox),
        engine: this.#engine,
        situation: async () => ({ ...(await this.#situations.of(0, prefer, 0)), entropy: entropy(this.#tables++) }),
        terms: () => ({ prefer, paths: null }),
        pathName: (id) => this.#nameOf(id) ?? "",
        tell: (_, news) => this.#note(news),
      },
    );
  }

  /** The same sandbox; quiet() knows of the calls that are under way. */
  #awaited(sandbox: SandboxPort): SandboxPort {
    const count = <T>(call: Promise<T>): Promise<T> => {
      const forget = () => void this.#calls.delete(call);
      this.#calls.add(call);
      call.then(forget, forget);
      return call;
    };
    return {
      compile: (wasm) => count(sandbox.compile(wasm)),
      load: async (code, settings, state) => {
        const instance = await count(sandbox.load(code, settings, state));
        const asked: Pick<PolicyInstancePort, "decide" | "save"> = {
          decide: (table) => count(instance.decide(table)),
          save: () => count(instance.save()),
        };
        const { stateLoaded, cost, memoryBytes } = instance;
        return { ...asked, stateLoaded, cost, memoryBytes, close: () => instance.close() };
      },
    };
  }

  async #quiet(): Promise<void> {
    do {
      await Promise.allSettled(this.#calls);
      await settled();
    } while (this.#calls.size > 0);
  }

  get #paths() {
    const states = () =>
      this.#scenario.paths.map(({ config }) => linkOf(config, this.#weatherNow.get(config.id) as PathWeather));
    const configs = () =>
      this.#scenario.paths.map(({ config }) => ({
        ...config,
        draining: this.#weatherNow.get(config.id)?.draining === true,
      }));
    return {
      get states() {
        return states();
      },
      get configs() {
        return configs();
      },
    };
  }

  get #weatherNow(): Map<number, PathWeather> {
    return this.#weather(this.#nowS);
  }

  #weather(atS: number): Map<number, PathWeather> {
    return new Map(this.#scenario.paths.map((path) => [path.config.id, weatherOf(path, atS)]));
  }

  #demand(atS: number) {
    const { connections, kbps } = this.#scenario;
    return { connections: Math.round(valueAt(connections, atS) ?? 0), kbps: valueAt(kbps, atS) ?? 0 };
  }

  #settings({ manifest, name }: CompiledPolicy): PolicySettings {
    const values = { ...this.#scenario.settings, ...this.#scenario.policies.get(name)?.settings };
    const idOf = (path: string) => this.#scenario.paths.find(({ config }) => config.name === path)?.config.id;
    return policySettings(manifest, values, idOf);
  }

  /** Counters that have used already what the scenario says. */
  #quota(directory: string): QuotaLedger {
    const file = join(directory, "quota.json");
    const accounts = this.#scenario.paths.map(({ config, quotaUsed }) => {
      const periodMs = periodStart(WALL.getTime(), config.facts.billingDay);
      return [config.name, { periodMs, used: quotaUsed }] as const;
    });
    writeFileSync(file, JSON.stringify({ version: 1, paths: Object.fromEntries(accounts) }));
    return new QuotaLedger(file, () => {});
  }

  /** The world changes: the engine is told first, as the daemon does it, then the policy. */
  #change(atS: number): void {
    const before = this.#paths.states.map(({ id }) => weatherOf(this.#pathOf(id), beforeS(atS)));
    const weather = this.#weather(atS);
    this.#engine.set(weather, this.#demand(atS));
    this.#noteStall();
    for (const [index, { config }] of this.#scenario.paths.entries()) {
      const [was, is] = [before[index] as PathWeather, weather.get(config.id) as PathWeather];
      if (was.up !== is.up) this.#runner.notify({ event: is.up ? Event.PATH_UP : Event.PATH_DOWN, path: config.id });
      if (!was.draining && is.draining) this.#runner.notify({ event: Event.DRAIN, path: config.id });
    }
    this.#tell(atS);
  }

  #tell(atS: number): void {
    this.#teller.tell(inputsAt(this.#scenario, atS), this.#sink);
    for (const { path, left } of this.#situations.quotas) {
      const samples = this.#timeline.quotas.get(path) ?? [];
      this.#timeline.quotas.set(path, samples);
      samples.push({ atS, left });
    }
  }

  #heard(kind: "new_subflow" | "subflow_stale", path: number, value: number): void {
    this.#situations.heard({ kind, path, value, timeUs: this.#clock.nowUs() });
    this.#noteStall();
  }

  #pathOf(id: number): ScenarioPath {
    return this.#scenario.paths.find(({ config }) => config.id === id) as ScenarioPath;
  }

  #nameOf(id: number): string | null {
    return this.#scenario.paths.find(({ config }) => config.id === id)?.config.name ?? null;
  }

  #note(news: NewsBody): void {
    const atS = this.#nowS;
    const { decisions, faults, log } = this.#timeline;
    if (news.kind === "decided" || news.kind === "refused") {
      const { report } = news;
      const changed = news.kind === "decided" && news.changed;
      const names = (ids: number[]) => ids.flatMap((id) => this.#nameOf(id) ?? []);
      const { cause, reason, refusal, fuel } = report;
      const masks = { standby: names(report.standby), open: names(report.open), close: names(report.close) };
      decisions.push({ atS, cause, active: this.#nameOf(report.active), ...masks, reason, refusal, changed, fuel });
      if (news.kind === "decided" && report.active !== this.#order?.active) this.#order = report;
    } else if (news.kind === "fallback") faults.push({ atS, detail: news.detail });
    else if (news.kind === "log") log.push({ atS, text: news.detail });
  }

  #noteMove(from: number, to: number): void {
    const atS = this.#nowS;
    const { active, moves } = this.#timeline;
    const last = active.at(-1);
    if (last !== undefined) last.toS = atS;
    active.push({ path: this.#nameOf(to), fromS: atS, toS: Number.POSITIVE_INFINITY });
    const [left, taken] = [this.#nameOf(from), this.#nameOf(to)];
    const reason = this.#order?.active === to ? this.#order.reason : null;
    if (left !== null && taken !== null) moves.push({ atS, from: left, to: taken, reason });
    this.#noteStall();
  }

  #noteSubflow(id: number, isThere: boolean): void {
    const path = this.#nameOf(id) ?? "";
    const { joined } = this.#timeline;
    if (isThere) joined.push({ path, fromS: this.#nowS, toS: Number.POSITIVE_INFINITY });
    const open = joined.findLast((span) => span.path === path);
    if (!isThere && open !== undefined) open.toS = this.#nowS;
  }

  #noteStall(): void {
    const { stalls } = this.#timeline;
    const open = stalls.find(({ toS }) => toS === Number.POSITIVE_INFINITY);
    if (this.#engine.isStalled && open === undefined) stalls.push({ fromS: this.#nowS, toS: Number.POSITIVE_INFINITY });
    else if (!this.#engine.isStalled && open !== undefined) open.toS = this.#nowS;
  }

  /** What goes on at the end ends there; what took no time was nothing. */
  #end(): void {
    const { durationS } = this.#scenario;
    for (const list of ["active", "joined", "stalls"] as const) {
      const spans = this.#timeline[list] as { fromS: number; toS: number }[];
      for (const span of spans) span.toS = Math.min(span.toS, durationS);
      const kept = spans.filter(({ fromS, toS }) => toS > fromS);
      spans.splice(0, spans.length, ...kept);
    }
  }
}

/** Just before a moment; times are whole milliseconds. */
function beforeS(atS: number): number {
  return atS - 0.0005;
}

function weatherOf({ up, silent, draining, rttMs, loss, otherKbps }: ScenarioPath, atS: number): PathWeather {
  return {
    up: valueAt(up, atS) ?? true,
    silent: valueAt(silent, atS) ?? false,
    draining: valueAt(draining, atS) ?? false,
    rttMs: valueAt(rttMs, atS) ?? 0,
    loss: valueAt(loss, atS) ?? 0,
    otherKbps: valueAt(otherKbps, atS) ?? 0,
  };
}

/** The same for every run. */
function entropy(index: number): bigint {
  return createHash("sha256").update(String(index)).digest().readBigUInt64LE();
}
