// /metrics for Prometheus. The engine keeps the counters; they are read when somebody asks.
import { Counter, Gauge, Registry } from "prom-client";
import type { Policies } from "../policy/policies.ts";
import type { EnginePort, Snapshot } from "./engine-port.ts";
import { PolicyMetrics } from "./policy-metrics.ts";

/** Text in the exposition format and its content type. */
export interface RenderedMetrics {
  text: string;
  type: string;
}

/** What metrics tell of classes. */
type MetricPolicies = Pick<Policies, "classes" | "className" | "quotas">;

/** Labels are bounded: paths (at most 32) and drop reasons, never connections. */
export class Metrics {
  readonly policy: PolicyMetrics;
  #engine: EnginePort;
  #pathName: (id: number) => string;
  #policies: MetricPolicies;
  #registry = new Registry();
  #packetCounters: Counter<"counter">;
  #drops: Counter<"reason">;
  #pathBytes: Counter<"path" | "direction">;
  #pathUp: Gauge<"path">;
  #pathSubflows: Gauge<"path">;
  #pathSrtt: Gauge<"path">;
  #connections: Gauge<"state" | "class">;
  #started: Gauge;

  constructor(engine: EnginePort, pathName: (id: number) => string, policies: MetricPolicies, startedMs: number) {
    this.#engine = engine;
    this.#pathName = pathName;
    this.#policies = policies;
    const registers = [this.#registry];
    this.#packetCounters = new Counter({
      name: "shunt_engine_total",
      help: "Counters of the engine, by their names",
      labelNames: ["counter"],
      registers,
    });
    this.#drops = new Counter({
      name: "shunt_dropped_packets_total",
      help: "Packets dropped, by reason",
      labelNames: ["reason"],
      registers,
    });
    this.#pathBytes = new Counter({
      name: "shunt_path_bytes_total",
      help: "Payload octets on the subflows of a path",
      labelNames: ["path", "direction"],
      registers,
    });
    this.#pathUp = new Gauge({ name: "shunt_path_up", help: "1 = up", labelNames: ["path"], registers });
    this.#pathSubflows = new Gauge({
      name: "shunt_path_subflows",
      help: "Live subflows",
      labelNames: ["path"],
      registers,
    });
    this.#pathSrtt = new Gauge({
      name: "shunt_path_rtt_seconds",
      help: "Smoothed round-trip time of the subflow heard last",
      labelNames: ["path"],
      registers,
    });
    this.#connections = new Gauge({
      name: "shunt_connections",
      help: "Live connections, by state and class",
      labelNames: ["state", "class"],
      registers,
    });
    this.#started = new Gauge({ name: "shunt_start_time_seconds", help: "Unix time of the start", registers });
    this.#started.set(startedMs / 1000);
    this.policy = new PolicyMetrics(this.#registry);
  }

  async render(): Promise<RenderedMetrics> {
    const [counters, snapshot, statistics] = await Promise.all([
      this.#engine.counters(),
      this.#engine.snapshot(),
      this.#engine.statistics(),
    ]);
    this.#setCounters(counters);
    this.#setState(snapshot);
    this.policy.refresh(this.#policies, statistics);
    return { text: await this.#registry.metrics(), type: this.#registry.contentType };
  }

  // The values are totals already: prom-client's counters only add, so each is emptied first.
  #setCounters(counters: Record<string, number | bigint>): void {
    this.#packetCounters.reset();
    this.#drops.reset();
    for (const [name, value] of Object.entries(counters)) {
      const reason = /^drop[._:]?(.+)$/.exec(name)?.[1];
      if (reason !== undefined && name !== "dropped") this.#drops.inc({ reason }, Number(value));
      else this.#packetCounters.inc({ counter: name }, Number(value));
    }
  }

  #setState(snapshot: Snapshot): void {
    for (const metric of [this.#pathBytes, this.#pathUp, this.#pathSubflows, this.#pathSrtt, this.#connections]) {
      metric.reset();
    }
    for (const path of snapshot.paths) {
      const label = this.#pathName(path.id) || `#${path.id}`;
      this.#pathBytes.inc({ path: label, direction: "sent" }, Number(path.bytesSent));
      this.#pathBytes.inc({ path: label, direction: "received" }, Number(path.bytesReceived));
      this.#pathUp.set({ path: label }, path.up ? 1 : 0);
      this.#pathSubflows.set({ path: label }, path.subflows);
      if (path.srttUs !== 0) this.#pathSrtt.set({ path: label }, path.srttUs / 1e6);
    }
    for (const { state, class: id } of snapshot.connections) {
      this.#connections.inc({ state, class: this.#policies.className(id) ?? `#${id}` });
    }
  }
}
