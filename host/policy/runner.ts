// One class and the policy that it is under: makes decisions when the schedule says so, puts what the guard lets
// through in force, and goes back to the engine's native policy when the loaded one breaks.
//
// Everything that touches an instance goes through one queue, so that it never sees two calls at once, and a swap
// stands between two decisions: none is made twice, none is lost.
import { isDeepStrictEqual } from "node:util";
import { Event, Refusal } from "./abi.ts";
import type { Clock } from "./clock.ts";
import type { ClassTerms, IntentOutcome, PolicyEngine } from "./engine-port.ts";
import { Guard, isNonsense, type Plan, type Verdict } from "./guard.ts";
import { type CompiledPolicy, decideOnce, type GoodDecision, InstanceFault, instanceFault } from "./instance.ts";
import type { DecisionReport, NewsBody } from "./news.ts";
import type { Recorder } from "./recorder.ts";
import type { TableRecord } from "./records.ts";
import type { PolicyInstancePort, SandboxPort } from "./sandbox-port.ts";
import { Schedule } from "./schedule.ts";
import type { PolicySettings } from "./settings.ts";
import { Shadow, type ShadowStatus } from "./shadow.ts";
import { type Cause, type Situation, tableOctets, tableOf } from "./table.ts";
import { Voice } from "./voice.ts";
import { refusalText, refusalWord } from "./words.ts";

/** Nonsense in a row that is a fault: a policy may be a moment behind the truth, not many. */
export const NONSENSE_MAX = 5;
/** Before a broken policy is tried again, the first time; then twice as long each time … */
export const RETRY_MS = 1000;
/** … up to this. */
export const RETRY_MAX_MS = 300_000;
/** A policy that has held out for so long has a clean record again. */
export const STEADY_MS = 60_000;

export interface RunnerPorts {
  clock: Clock;
  sandbox: SandboxPort;
  engine: Pick<PolicyEngine, "setClass" | "setIntent">;
  /** All that is known now. */
  situation(): Promise<Situation>;
  /** What the configuration says of the class. */
  terms(): Omit<ClassTerms, "probeMs">;
  pathName(id: number): string;
  tell(policy: string, news: NewsBody): void;
}

/** A loaded policy at work. */
interface Running {
  policy: CompiledPolicy;
  settings: PolicySettings;
  instance: PolicyInstancePort;
  /** Its number in the recording that runs. */
  recorded: number;
  sinceUs: number;
}

/** A policy that broke, and when it is tried again. */
interface Broken {
  policy: CompiledPolicy;
  settings: PolicySettings;
  retryMs: number;
}

export interface RunnerStatus {
  /** "native": the engine's own policy, as asked for; "fallback": because the loaded one broke. */
  state: "native" | "running" | "fallback";
  policy: string;
  /** Why it fell back, null = it did not. */
  fault: string | null;
  decision: DecisionReport | null;
  shadow: ShadowStatus | null;
  memoryBytes: number | null;
}

/** Name of the policy that is part of the engine, and the class that it runs. */
export interface RunnerName {
  id: number;
  name: string;
  native: string;
}

export class ClassRunner {
  readonly id: number;
  readonly name: string;
  #native: string;
  #ports: RunnerPorts;
  #schedule: Schedule;
  #voice: Voice;
  #guard = new Guard();
  #running: Running | null = null;
  #broken: Broken | null = null;
  #fault: string | null = null;
  #shadow: Shadow | null = null;
  #recorder: Recorder | null = null;
  #queue: Promise<unknown> = Promise.resolve();
  #cancelRetry: () => void = () => {};
  #isConnected = false;
  /** Path of most connections when the last table was made. */
  #active: number | undefined;
  #probeMs = 0;
  #refusal: Refusal = Refusal.NONE;
  #nonsense = 0;
  #report: DecisionReport | null = null;

  constructor({ id, name, native }: RunnerName, ports: RunnerPorts) {
    this.id = id;
    this.name = name;
    this.#native = native;
    this.#ports = ports;
    this.#voice = new Voice(ports.clock, ports.tell);
    this.#schedule = new Schedule(ports.clock, () => void this.#enqueue(() => this.#decide(this.#schedule.take())));
  }

  get status(): RunnerStatus {
    const policy = this.#running?.policy ?? this.#broken?.policy;
    return {
      state: this.#running !== null ? "running" : this.#fault !== null ? "fallback" : "native",
      policy: policy?.name ?? this.#native,
      fault: this.#fault,
      decision: this.#report,
      shadow: this.#shadow?.status ?? null,
      memoryBytes: this.#running?.instance.memoryBytes ?? null,
    };
  }

  /** Whether this very module runs with these very settings. */
  isUnder(policy: CompiledPolicy, settings: PolicySettings): boolean {
    const running = this.#running;
    return running?.policy.sha256 === policy.sha256 && isDeepStrictEqual(running.settings, settings);
  }

  /** Something happened that a policy may care about. */
  notify(cause: Cause): void {
    this.#schedule.notify(cause);
  }

  /** The order of the paths has changed, or the engine has forgotten what it was told. */
  renew(): Promise<void> {
    return this.#enqueue(async () => {
      this.#tellAgain();
      await this.#decide({ event: Event.TICK });
    });
  }

  /** Puts the class under the engine's native policy. */
  useNative(): Promise<void> {
    return this.#enqueue(async () => {
      const before = this.status.policy;
      this.#end();
      this.#broken = null;
      this.#fault = null;
      this.#setClass();
      if (before !== this.#native) this.#voice.tell(this.#native, { kind: "swapped", before, detail: "" });
    });
  }

  /**
   * Swaps to a policy: it gets the saved state of the one before and must make a valid first decision; until then the
   * one before serves. Rejects with one line, and then nothing has changed.
   */
  use(policy: CompiledPolicy, settings: PolicySettings): Promise<void> {
    return this.#enqueue(async () => {
      const before = this.status.policy;
      const state = (await this.#running?.instance.save().catch(() => null)) ?? null;
      await this.#takeOver(policy, settings, state);
      this.#endShadow();
      const detail = state === null ? "without state" : `with ${state.length} octets of state`;
      this.#voice.tell(policy.name, { kind: "swapped", before, detail });
    });
  }

  /** As use(), but if it breaks the class falls back, and the policy is tried again later. */
  async adopt(policy: CompiledPolicy, settings: PolicySettings): Promise<void> {
    await this.use(policy, settings).catch((error: unknown) =>
      this.#enqueue(async () => this.#broke({ policy, settings, retryMs: RETRY_MS }, instanceFault(error))),
    );
  }

  /** The policy that the class should have cannot be compiled: the class falls back for good. */
  refuse(policy: string, message: string): Promise<void> {
    return this.#enqueue(async () => {
      this.#end();
      this.#broken = null;
      this.#fault = message;
      this.#setClass();
      this.#voice.tell(policy, { kind: "fallback", detail: message, retryMs: null });
    });
  }

  /** Runs a policy beside the one in force. Rejects with one line. */
  shadow(policy: CompiledPolicy, settings: PolicySettings): Promise<void> {
    return this.#enqueue(async () => {
      const running = this.#running;
      if (running === null) throw new Error(`class "${this.name}" is under no loaded policy to run beside`);
      const instance = await this.#ports.sandbox.load(policy.code, settings.octets, null);
      this.#endShadow();
      this.#shadow = new Shadow(policy, instance, (news) => this.#voice.tell(running.policy.name, news));
    });
  }

  /** Begins or ends a recording. The policy begins anew from its saved state, so that a replay can begin there too. */
  record(recorder: Recorder | null): Promise<void> {
    return this.#enqueue(async () => {
      this.#recorder = recorder;
      const running = this.#running;
      if (recorder === null || running === null) return;
      const { policy, settings } = running;
      try {
        await this.#takeOver(policy, settings, await running.instance.save());
      } catch (error) {
        this.#broke({ policy, settings, retryMs: RETRY_MS }, instanceFault(error));
      }
    });
  }

  /** Ends the instances. What the engine was told last stays in force. */
  close(): Promise<void> {
    return this.#enqueue(async () => this.#end());
  }

  #enqueue<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(step);
    this.#queue = done.catch((error: Error) => {
      // Who asked is told by the promise; a decision of the schedule's is asked for by nobody.
      this.#voice.tell(this.status.policy, { kind: "log", level: 0, detail: error.message });
    });
    return done;
  }

  async #decide(cause: Cause): Promise<void> {
    const running = this.#running;
    if (running === null) return;
    // Without figures there is nothing to decide on; the next tick looks again.
    this.#schedule.made({ cause, wakeAtUs: undefined, isRefused: false });
    const { table, octets } = await this.#table(cause, this.#refusal);
    try {
      const good = await this.#ask(running, octets);
      this.#obey(running, good, table, this.#guard.judge(good.intent, table));
      this.#schedule.made({ cause, wakeAtUs: good.intent.wakeAtUs, isRefused: this.#refusal !== Refusal.NONE });
      await this.#followShadow(octets, table, good);
    } catch (error) {
      this.#brokeAtWork(running, instanceFault(error));
    }
  }

  async #table(cause: Cause, lastRefusal: Refusal): Promise<{ table: TableRecord; octets: Uint8Array }> {
    const situation = await this.#ports.situation();
    const figures = situation.statistics.classes.find((entry) => entry.id === this.id);
    const isConnected = (figures?.connections ?? 0) > 0;
    const changed = isConnected !== this.#isConnected;
    this.#isConnected = isConnected;
    const table = tableOf(situation, cause, lastRefusal);
    const moved = table.activePathId !== this.#active;
    this.#active = table.activePathId;
    // A tick in which the first connection came, the last one went, or the class has moved is told as that.
    if (cause.event === Event.TICK && changed) table.event = Event.CONNECTIONS;
    else if (cause.event === Event.TICK && moved) {
      table.event = Event.MOVED;
      table.eventPathId = table.activePathId;
    }
    return { table, octets: tableOctets(table) };
  }

  async #ask({ instance, recorded }: Running, octets: Uint8Array): Promise<GoodDecision> {
    try {
      const good = await decideOnce(instance, octets);
      this.#recorder?.decision(recorded, octets, good.decision);
      return good;
    } catch (error) {
      const fault = instanceFault(error);
      this.#recorder?.fault(recorded, octets, fault);
      throw fault;
    }
  }

  /** A new instance makes its first decision; if that is valid, it is the one in force from then on. */
  async #takeOver(policy: CompiledPolicy, settings: PolicySettings, state: Uint8Array | null): Promise<void> {
    const instance = await this.#ports.sandbox.load(policy.code, settings.octets, state);
    const recorded = this.#recorder?.instance(this.name, policy, settings.octets, state) ?? 0;
    const next: Running = { policy, settings, instance, recorded, sinceUs: this.#ports.clock.nowUs() };
    const cause = { event: Event.START };
    this.#voice.log(policy, instance.cost.log);
    try {
      const { table, octets } = await this.#table(cause, Refusal.NONE);
      const good = await this.#ask(next, octets);
      const verdict = this.#guard.judge(good.intent, table);
      if (isNonsense(verdict.refusal)) {
        const text = refusalText(refusalWord(verdict.refusal));
        throw new InstanceFault("nonsense", `its first decision was refused: ${text}`);
      }
      this.#running?.instance.close();
      this.#running = next;
      this.#fault = null;
      this.#nonsense = 0;
      this.#cancelRetry();
      if (settings.probeMs !== this.#probeMs) this.#tellAgain();
      this.#obey(next, good, table, verdict);
      this.#schedule.made({ cause, wakeAtUs: good.intent.wakeAtUs, isRefused: verdict.refusal !== Refusal.NONE });
    } catch (error) {
      instance.close();
      throw error;
    }
  }

  /** Puts an intent in force, or refuses it. Throws InstanceFault when there was too much nonsense. */
  #obey(running: Running, good: GoodDecision, table: TableRecord, { refusal, plan }: Verdict): void {
    const { policy } = running;
    const before = this.#refusal;
    this.#refusal = refusal;
    const report = this.#voice.report(policy, good, table, { refusal, plan });
    this.#report = report;
    this.#voice.log(policy, good.decision.log);
    if (refusal !== Refusal.NONE) {
      this.#voice.refused(policy, report, refusal !== before);
      this.#nonsense = isNonsense(refusal) ? this.#nonsense + 1 : 0;
      if (this.#nonsense < NONSENSE_MAX) return;
      const text = refusalText(refusalWord(refusal));
      throw new InstanceFault("nonsense", `${NONSENSE_MAX} intents in a row were refused: ${text}`);
    }
    this.#nonsense = 0;
    const accepted = plan as Plan;
    const from = this.#guard.plan?.active || table.activePathId;
    const changed = this.#guard.take(accepted, good.intent, table);
    this.#voice.tell(policy.name, { kind: "decided", report, changed });
    if (changed) this.#send(accepted, accepted.active !== from && accepted.active !== 0 ? report.reason : null);
  }

  /** `reason`: why connections are to move; null = they are not. */
  #send(plan: Plan, reason: string | null = null): void {
    this.#ports.engine.setIntent(this.id, plan).then(
      (outcome) => this.#answered(plan, outcome, reason),
      (error: Error) => this.#voice.tell(this.status.policy, { kind: "log", level: 3, detail: error.message }),
    );
  }

  #answered(plan: Plan, { concerned, refused, reason: obstacle }: IntentOutcome, reason: string | null): void {
    if (reason !== null) {
      this.#voice.tell(this.status.policy, { kind: "ordered", reason, concerned, refused, obstacle });
    }
    if (concerned === 0 || refused < concerned || this.#guard.plan !== plan) return;
    this.#refusal = Refusal.NOT_DONE;
    this.notify({ event: Event.MOVE_FAILED, path: plan.active === 0 ? undefined : plan.active });
  }

  async #followShadow(octets: Uint8Array, table: TableRecord, { intent }: GoodDecision): Promise<void> {
    if (this.#shadow === null) return;
    const { plan } = new Guard().judge(intent, table);
    if (!(await this.#shadow.follow(octets, table, plan, this.#ports.pathName))) this.#shadow = null;
  }

  #brokeAtWork({ policy, settings, sinceUs }: Running, fault: InstanceFault): void {
    const steady = this.#ports.clock.nowUs() - sinceUs >= STEADY_MS * 1000;
    const retryMs = steady || this.#broken === null ? RETRY_MS : Math.min(this.#broken.retryMs * 2, RETRY_MAX_MS);
    this.#broke({ policy, settings, retryMs }, fault);
  }

  /** Back to the native policy, visibly; the broken one is tried again after a while. */
  #broke(broken: Broken, { kind, message, fuel, nanoseconds }: InstanceFault): void {
    const stood = this.#guard.plan;
    this.#end();
    this.#broken = broken;
    this.#fault = `${kind}: ${message}`;
    this.#setClass(stood);
    const { policy, retryMs } = broken;
    this.#voice.tell(policy.name, { kind: "fault", fault: kind, detail: message, fuel, nanoseconds });
    this.#voice.tell(policy.name, { kind: "fallback", detail: `${kind}: ${message}`, retryMs });
    this.#cancelRetry = this.#ports.clock.after(retryMs, () => void this.#enqueue(() => this.#retry()));
  }

  /** The state of an instance that broke may be what broke it: the next one begins without. */
  async #retry(): Promise<void> {
    const broken = this.#broken;
    if (broken === null || this.#running !== null) return;
    const { policy, settings } = broken;
    try {
      await this.#takeOver(policy, settings, null);
      this.#voice.tell(policy.name, { kind: "swapped", before: this.#native, detail: "tried again" });
    } catch (error) {
      const retryMs = Math.min(broken.retryMs * 2, RETRY_MAX_MS);
      this.#broke({ policy, settings, retryMs }, instanceFault(error));
    }
  }

  /** The class's terms, which void the intent that stood, and that intent again. */
  #tellAgain(): void {
    const { plan } = this.#guard;
    this.#setClass(plan);
    if (plan !== null) this.#send(plan);
  }

  /** Back to the native policy. What a policy decided last stands as the first preference: so nobody is moved by it. */
  #setClass(stood: Plan | null = null): void {
    const terms = this.#ports.terms();
    const first = stood === null ? [] : [stood.active, ...stood.open, ...stood.standby];
    const prefer = [...first.filter((id) => terms.prefer.includes(id)), ...terms.prefer];
    this.#probeMs = this.#running?.settings.probeMs ?? 0;
    this.#ports.engine.setClass(this.id, { ...terms, prefer: [...new Set(prefer)], probeMs: this.#probeMs });
  }

  #endShadow(): void {
    this.#shadow?.close();
    this.#shadow = null;
  }

  #end(): void {
    this.#schedule.stop();
    this.#cancelRetry();
    this.#endShadow();
    this.#running?.instance.close();
    this.#running = null;
    this.#guard.forget();
    this.#refusal = Refusal.NONE;
    this.#nonsense = 0;
  }
}
