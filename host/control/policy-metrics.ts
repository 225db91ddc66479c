// Metrics of policies, classes and handovers. Labels are bounded: classes (64), policies, paths (32), and words of
// ours.
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { PolicyNews } from "../policy/news.ts";
import type { Policies } from "../policy/policies.ts";
import type { EngineEvent, Statistics } from "./engine-port.ts";

/** From 1 ms to 10 s: a make-before-break takes a round trip, a break some hundred milliseconds. */
const GAP_BUCKETS_S = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
/** From 1 µs to the 50 ms at which a call is ended. */
const DECIDE_BUCKETS_S = [1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3, 0.02, 0.05];

export class PolicyMetrics {
  #decisions: Counter<"class" | "policy" | "result">;
  #refusals: Counter<"class" | "policy" | "reason">;
  #faults: Counter<"class" | "policy" | "fault">;
  #seconds: Histogram<"class" | "policy">;
  #fuel: Counter<"class" | "policy">;
  #fallback: Gauge<"class">;
  #info: Gauge<"class" | "policy" | "state">;
  #memory: Gauge<"class">;
  #swaps: Counter<"class">;
  #divergences: Counter<"class" | "policy">;
  #handovers: Counter<"reason" | "result">;
  #handoverTimes: Histogram;
  #moves: Counter<"reason">;
  #pauses: Histogram;
  #bytes: Counter<"class" | "direction">;
  #quotaLeft: Gauge<"path">;

  constructor(registry: Registry) {
    const registers = [registry];
    const name = (text: string, help: string) => ({ name: `shunt_${text}`, help, registers });
    this.#decisions = new Counter({
      ...name("policy_decisions_total", "Decisions, by result: changed, kept or refused"),
      labelNames: ["class", "policy", "result"],
    });
    this.#refusals = new Counter({
      ...name("policy_refusals_total", "Intents that the guard refused, by its reason"),
      labelNames: ["class", "policy", "reason"],
    });
    this.#faults = new Counter({
      ...name("policy_faults_total", "Calls that ended an instance of a policy"),
      labelNames: ["class", "policy", "fault"],
    });
    this.#seconds = new Histogram({
      ...name("policy_decide_seconds", "Time that decide() took"),
      labelNames: ["class", "policy"],
      buckets: DECIDE_BUCKETS_S,
    });
    this.#fuel = new Counter({
      ...name("policy_fuel_total", "Fuel that decide() used: about one unit per instruction"),
      labelNames: ["class", "policy"],
    });
    this.#fallback = new Gauge({
      ...name("class_fallback", "1 = the class's policy broke, the engine's own serves"),
      labelNames: ["class"],
    });
    this.#info = new Gauge({
      ...name("class_policy_info", "The policy of each class: always 1"),
      labelNames: ["class", "policy", "state"],
    });
    this.#memory = new Gauge({ ...name("policy_memory_bytes", "Memory of an instance"), labelNames: ["class"] });
    this.#swaps = new Counter({ ...name("policy_swaps_total", "Policies that took over"), labelNames: ["class"] });
    this.#divergences = new Counter({
      ...name("policy_divergences_total", "Decisions that a shadow would have made otherwise"),
      labelNames: ["class", "policy"],
    });
    this.#handovers = new Counter({
      ...name(
        "handovers_total",
        "Handovers of connections: by the policy's reason and what the engine made of it, or manual",
      ),
      labelNames: ["reason", "result"],
    });
    this.#handoverTimes = new Histogram({
      ...name("handover_seconds", "From a manual handover's start to the first new data on the new path"),
      buckets: GAP_BUCKETS_S,
    });
    this.#moves = new Counter({
      ...name("moves_total", "Connections whose data changed its path, by what made it"),
      labelNames: ["reason"],
    });
    this.#pauses = new Histogram({
      ...name("move_pause_seconds", "From the last payload on the old path to the first on the new one"),
      buckets: GAP_BUCKETS_S,
    });
    this.#bytes = new Counter({
      ...name("class_bytes_total", "Payload octets of a class's connections, each counted once"),
      labelNames: ["class", "direction"],
    });
    this.#quotaLeft = new Gauge({
      ...name("path_quota_left_bytes", "Octets left of a path's quota in this billing period"),
      labelNames: ["path"],
    });
  }

  /** Something that a class's policy did. */
  noteNews(news: PolicyNews): void {
    const labels = { class: news.class, policy: news.policy };
    switch (news.kind) {
      case "decided":
      case "refused": {
        const result = news.kind === "refused" ? "refused" : news.changed ? "changed" : "kept";
        this.#decisions.inc({ ...labels, result });
        if (news.kind === "refused") this.#refusals.inc({ ...labels, reason: news.report.refusal });
        this.#seconds.observe(labels, news.report.nanoseconds / 1e9);
        this.#fuel.inc(labels, news.report.fuel);
        break;
      }
      case "fault":
        this.#faults.inc({ ...labels, fault: news.fault });
        break;
      case "shadow_fault":
        this.#faults.inc({ class: news.class, policy: news.shadow, fault: news.fault });
        break;
      case "ordered":
        this.#handovers.inc({ reason: news.reason, result: "ordered" }, news.concerned - news.refused);
        if (news.refused > 0) this.#handovers.inc({ reason: news.reason, result: news.obstacle }, news.refused);
        break;
      case "swapped":
        this.#swaps.inc({ class: news.class });
        break;
      case "diverged":
        this.#divergences.inc({ class: news.class, policy: news.shadow });
        break;
    }
  }

  /** A manual handover of one connection ended. */
  noteHandover(event: EngineEvent): void {
    const isDone = event.kind === "handover_done";
    this.#handovers.inc({ reason: "manual", result: isDone ? "done" : event.reason });
    if (isDone) this.#handoverTimes.observe(event.value / 1e6);
  }

  /** A connection's data goes by another path, whoever wanted that. One that was idle has not paused. */
  noteMove(event: EngineEvent): void {
    this.#moves.inc({ reason: event.reason });
    if (event.value !== 0) this.#pauses.observe(event.value / 1e6);
  }

  /** Sets what is true now. */
  refresh(policies: Pick<Policies, "classes" | "quotas">, { classes }: Pick<Statistics, "classes">): void {
    for (const metric of [this.#fallback, this.#info, this.#memory, this.#bytes, this.#quotaLeft]) metric.reset();
    for (const { path, left } of policies.quotas) this.#quotaLeft.set({ path }, left);
    for (const { id, config } of policies.classes) {
      const figures = classes.find((entry) => entry.id === id);
      this.#bytes.inc({ class: config.name, direction: "acknowledged" }, figures?.bytesAcked ?? 0);
      this.#bytes.inc({ class: config.name, direction: "received" }, figures?.bytesReceived ?? 0);
    }
    for (const { config, state, policy, memoryBytes } of policies.classes) {
      this.#fallback.set({ class: config.name }, state === "fallback" ? 1 : 0);
      this.#info.set({ class: config.name, policy, state }, 1);
      if (memoryBytes !== null) this.#memory.set({ class: config.name }, memoryBytes);
    }
  }
}
