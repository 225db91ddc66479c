import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseConfig } from "../../../host/config/load.ts";
import { newsLine, policyAnswer, withPolicies } from "../../../host/control/policy.ts";
import { CommandedEngine, engineRules } from "../../../host/control/policy-engine.ts";
import { PolicyMetrics } from "../../../host/control/policy-metrics.ts";
import type { DecisionReport, PolicyNews } from "../../../host/policy/news.ts";
import { Policies, PolicyError } from "../../../host/policy/policies.ts";
import { engineEvent, FakeEngine } from "./fake-engine.ts";
import { classFigures, link, ScriptEngine, ScriptSandbox, VirtualClock, wants } from "./policy/world.ts";

const nameOf = (id: number) => ["", "wifi", "lte"][id] ?? `#${id}`;

const REPORT: DecisionReport = {
  atMs: 0,
  cause: "signal",
  active: 2,
  standby: [1],
  open: [],
  close: [],
  reason: "signal_falling",
  refusal: "none",
  fuel: 900,
  nanoseconds: 2500,
};
const ORIGIN = { class: "video", policy: "signal" };

describe("news becomes events", () => {
  const refused = { ...REPORT, refusal: "dwell" };
  const fallback = { kind: "fallback", detail: "fuel: too much" } as const;
  test.each<[string, PolicyNews, object | null]>([
    [
      "a decision that changes something",
      { ...ORIGIN, kind: "decided", report: REPORT, changed: true },
      { event: "policy_decided", path: "lte", reason: "signal_falling", detail: "at signal, standby wifi" },
    ],
    ["one that does not", { ...ORIGIN, kind: "decided", report: REPORT, changed: false }, null],
    [
      "the first refusal",
      { ...ORIGIN, kind: "refused", report: refused, first: true },
      {
        event: "policy_refused",
        path: "lte",
        reason: "dwell",
        detail: "too soon after the last move (signal_falling)",
      },
    ],
    ["the second", { ...ORIGIN, kind: "refused", report: refused, first: false }, null],
    [
      "a fault",
      { ...ORIGIN, kind: "fault", fault: "fuel", detail: "too much", fuel: 1, nanoseconds: 1 },
      { event: "policy_fault", reason: "fuel", detail: "too much" },
    ],
    [
      "what follows it",
      { ...ORIGIN, ...fallback, retryMs: 2000 },
      { event: "policy_fallback", detail: "fuel: too much; tried again in 2 s" },
    ],
    ["for good", { ...ORIGIN, ...fallback, retryMs: null }, { event: "policy_fallback", detail: "fuel: too much" }],
    [
      "a swap",
      { ...ORIGIN, kind: "swapped", before: "cost", detail: "with 8 octets of state" },
      { event: "policy_swapped", detail: "after cost, with 8 octets of state" },
    ],
    [
      "a divergence",
      { ...ORIGIN, kind: "diverged", shadow: "cost", detail: "active lte instead of wifi", first: true },
      { event: "policy_diverged", detail: "cost: active lte instead of wifi" },
    ],
    ["the same again", { ...ORIGIN, kind: "diverged", shadow: "cost", detail: "x", first: false }, null],
    [
      "a fault in the shadow",
      { ...ORIGIN, kind: "shadow_fault", shadow: "cost", fault: "trap", detail: "unreachable" },
      { event: "policy_fault", reason: "trap", detail: "in the shadow cost: unreachable" },
    ],
    ["what a policy says", { ...ORIGIN, kind: "log", level: 2, detail: "hm" }, { event: "policy_log", detail: "hm" }],
    ["unless it is for debugging", { ...ORIGIN, kind: "log", level: 0, detail: "hm" }, null],
  ])("%s", (_, news, expected) => {
    const line = newsLine(news, nameOf);
    if (expected === null) expect(line).toBeNull();
    else expect({ event: line?.event, ...line?.fields }).toEqual({ ...ORIGIN, ...expected });
  });
});

describe("the classifier's rules", () => {
  test("are one of each combination", () => {
    const match = {
      ports: [
        { first: 80, last: 80 },
        { first: 443, last: 444 },
      ],
      prefixes: [{ address: "10.0.0.0", length: 8, family: 4 } as const],
      uids: [5, 6],
    };
    const prefix = "10.0.0.0/8";
    const rule = (first: number, last: number, uid: number) => {
      return { class: 3, ports: { first, last }, prefix, uids: { first: uid, last: uid } };
    };
    expect(engineRules(3, match)).toEqual([rule(80, 80, 5), rule(80, 80, 6), rule(443, 444, 5), rule(443, 444, 6)]);
  });

  test("name only what is said", () => {
    expect(engineRules(1, { ports: null, prefixes: null, uids: [5] })).toEqual([
      { class: 1, uids: { first: 5, last: 5 } },
    ]);
  });
});

describe("the data path", () => {
  test("is told classes, and answers intents", async () => {
    const fake = new FakeEngine();
    const engine = new CommandedEngine(fake, (command) => fake.command(command));
    engine.setClass(1, { prefer: [2, 1], paths: null, probeMs: 0 });
    engine.setClass(1, { prefer: [2], paths: [2], probeMs: 500 });
    engine.setRules([{ class: 1, match: { ports: null, prefixes: null, uids: [5] } }]);
    expect(fake.commands.splice(0)).toEqual([
      { kind: "class_set", class: 1, prefer: [2, 1], probeMs: 0 },
      { kind: "class_set", class: 1, prefer: [2], paths: [2], probeMs: 500 },
      { kind: "class_rules", rules: [{ class: 1, uids: { first: 5, last: 5 } }] },
    ]);
    fake.answer = [{ kind: "command_done", value: 3, value64: 2, reason: "peer_opens" }];
    const outcome = await engine.setIntent(1, { active: 0, standby: [2], open: [], close: [1] });
    expect(outcome).toEqual({ concerned: 3, refused: 2, reason: "peer_opens" });
    expect(fake.commands).toEqual([
      { kind: "class_intent", class: 1, active: null, standby: [2], open: [], close: [1] },
    ]);
  });
});

describe("metrics", () => {
  let registry: Registry;
  let metrics: PolicyMetrics;

  beforeEach(() => {
    registry = new Registry();
    metrics = new PolicyMetrics(registry);
  });

  test("count decisions, refusals, faults, swaps and divergences by class", async () => {
    const decided = { ...ORIGIN, kind: "decided", report: REPORT } as const;
    metrics.noteNews({ ...decided, changed: true });
    metrics.noteNews({ ...decided, changed: false });
    metrics.noteNews({ ...ORIGIN, kind: "refused", report: { ...REPORT, refusal: "rate" }, first: false });
    metrics.noteNews({ ...ORIGIN, kind: "fault", fault: "fuel", detail: "", fuel: 1, nanoseconds: 1 });
    metrics.noteNews({ ...ORIGIN, kind: "shadow_fault", shadow: "cost", fault: "trap", detail: "" });
    metrics.noteNews({ ...ORIGIN, kind: "swapped", before: "", detail: "" });
    metrics.noteNews({ ...ORIGIN, kind: "diverged", shadow: "cost", detail: "", first: false });
    const text = await registry.metrics();
    for (const line of [
      'shunt_policy_decisions_total{class="video",policy="signal",result="changed"} 1',
      'shunt_policy_decisions_total{class="video",policy="signal",result="kept"} 1',
      'shunt_policy_decisions_total{class="video",policy="signal",result="refused"} 1',
      'shunt_policy_refusals_total{class="video",policy="signal",reason="rate"} 1',
      'shunt_policy_faults_total{class="video",policy="signal",fault="fuel"} 1',
      'shunt_policy_faults_total{class="video",policy="cost",fault="trap"} 1',
      'shunt_policy_swaps_total{class="video"} 1',
      'shunt_policy_divergences_total{class="video",policy="cost"} 1',
      'shunt_policy_fuel_total{class="video",policy="signal"} 2700',
      'shunt_policy_decide_seconds_bucket{le="0.000002",class="video",policy="signal"} 0',
      'shunt_policy_decide_seconds_bucket{le="0.000005",class="video",policy="signal"} 3',
    ]) {
      expect(text.split("\n")).toContain(line);
    }
  });

  test("count handovers by reason, and how long they took", async () => {
    const ordered = { ...ORIGIN, kind: "ordered", reason: "cheaper", concerned: 5, refused: 2 } as const;
    metrics.noteNews({ ...ordered, obstacle: "peer_opens" });
    metrics.noteHandover(engineEvent({ kind: "handover_done", value: 30_000 }));
    metrics.noteHandover(engineEvent({ kind: "handover_failed", reason: "timeout" }));
    metrics.noteMove(engineEvent({ kind: "connection_moved", reason: "path_down", value: 30_000 }));
    metrics.noteMove(engineEvent({ kind: "connection_moved", reason: "policy", value: 0 }));
    const text = await registry.metrics();
    expect(text).toContain('shunt_handovers_total{reason="cheaper",result="ordered"} 3');
    expect(text).toContain('shunt_handovers_total{reason="cheaper",result="peer_opens"} 2');
    expect(text).toContain('shunt_handovers_total{reason="manual",result="done"} 1');
    expect(text).toContain('shunt_handovers_total{reason="manual",result="timeout"} 1');
    expect(text).toContain('shunt_handover_seconds_bucket{le="0.02"} 0');
    expect(text).toContain('shunt_handover_seconds_bucket{le="0.05"} 1');
    expect(text).toContain('shunt_moves_total{reason="path_down"} 1');
    expect(text).toContain('shunt_moves_total{reason="policy"} 1');
    expect(text).toContain('shunt_move_pause_seconds_bucket{le="0.05"} 1');
    expect(text).toContain("shunt_move_pause_seconds_count 1");
  });
});

describe("policies of a daemon", () => {
  let directory: string;
  let policies: Policies;
  let engine: ScriptEngine;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "shunt-policy-control-"));
    mkdirSync(join(directory, "calm"));
    const manifest = { name: "calm", description: "waits", settings: [], reasons: ["TIRED"] };
    writeFileSync(join(directory, "calm", "policy.json"), JSON.stringify(manifest));
    writeFileSync(join(directory, "calm", "policy.wasm"), "calm");
    const config = parseConfig(
      [
        '[[path]]\nname = "wifi"\ninterface = "wlan0"\n[[path]]\nname = "lte"\ninterface = "wwan0"\nquota = 1000',
        `[policy]\ndirectory = "${directory}"\nstate_directory = "${directory}"\ninputs = []`,
        '[[class]]\nname = "video"\npolicy = "calm"\nmatch = { ports = [443, "8000-8999"], uid = [5] }',
      ].join("\n"),
      "s.toml",
    );
    const sandbox = new ScriptSandbox();
    sandbox.modules.set("calm", wants({ activePathId: 2, standbyMask: 1, reason: 256 }));
    engine = new ScriptEngine();
    policies = new Policies(config, {
      clock: new VirtualClock(),
      sandbox,
      engine,
      paths: {
        states: config.paths.map((path) => link(path)),
        configs: config.paths,
        byName: (name) => config.paths.filter((path) => path.name === name).map((path) => link(path))[0],
        nameOf,
      },
      problem: () => {},
    });
    await policies.start();
  });

  afterEach(async () => {
    await policies.stop();
    rmSync(directory, { recursive: true });
  });

  test("are told with names for paths and reasons", () => {
    const { classes, policies: offered, inputs, known, recording } = policyAnswer(policies, nameOf);
    expect(offered.find(({ name }) => name === "calm")).toEqual({
      name: "calm",
      kind: "own",
      description: "waits",
      settings: [],
    });
    expect(classes[1]).toMatchObject({
      class: "video",
      state: "running",
      policy: "calm",
      match: "ports 443, 8000-8999; uid 5",
      fault: null,
      memoryBytes: 65536,
      decision: { cause: "start", active: "lte", standby: ["wifi"], reason: "tired", refused: null, microseconds: 1 },
    });
    expect([inputs, known, recording]).toEqual([[], { machine: {}, paths: { wifi: {}, lte: {} } }, null]);
  });

  test("have gauges", async () => {
    const registry = new Registry();
    const metrics = new PolicyMetrics(registry);
    engine.statisticsValue.classes = [classFigures(1, { bytesAcked: 5, bytesReceived: 7 })];
    for (let i = 0; i < 2; i++) metrics.refresh(policies, engine.statisticsValue);
    const text = await registry.metrics();
    expect(text).toContain('shunt_class_policy_info{class="video",policy="calm",state="running"} 1');
    expect(text).toContain('shunt_class_fallback{class="video"} 0');
    expect(text).toContain('shunt_class_bytes_total{class="video",direction="received"} 7');
    expect(text).toContain('shunt_path_quota_left_bytes{path="lte"} 1000');
    expect(text).toContain('shunt_policy_memory_bytes{class="video"} 65536');
  });
});

test("what policies refuse has a status", async () => {
  const refuse = (code: PolicyError["code"]) => () => {
    throw new PolicyError(code, "no");
  };
  await expect(withPolicies(refuse("unknown_class"))).rejects.toMatchObject({ status: 404, code: "unknown_class" });
  await expect(withPolicies(refuse("bad_settings"))).rejects.toMatchObject({ status: 400 });
  await expect(withPolicies(refuse("refused"))).rejects.toMatchObject({ status: 409 });
  await expect(withPolicies(() => Promise.reject(new Error("other")))).rejects.toThrow("other");
});
