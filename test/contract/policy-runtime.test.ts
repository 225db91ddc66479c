// The policy runtime with the real sandbox and real modules: what the unit tests show of scripts holds of them, too.
import { execFileSync, spawnSync } from "node:child_process";
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import binaryen from "binaryen";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parseConfig } from "../../host/config/load.ts";
import { compilePolicy, PolicyInstance } from "../../host/engine/index.ts";
import { checkPolicies } from "../../host/policy/check.ts";
import type { PolicyNews } from "../../host/policy/news.ts";
import { Policies } from "../../host/policy/policies.ts";
import type { SandboxPort } from "../../host/policy/sandbox-port.ts";
import { classFigures, link, pathFigures, ScriptEngine, settled, VirtualClock } from "../unit/host/policy/world.ts";
import { ROOT } from "./sources.ts";

const HOSTILE = path.join(ROOT, "test/hostile-policies");
const SHUNT = path.join(ROOT, "bin/shunt");

beforeAll(() => {
  execFileSync(path.join(ROOT, "scripts/build-addon.sh"), { stdio: "inherit" });
}, 900_000);

let directory: string;
let clock: VirtualClock;
let engine: ScriptEngine;
let policies: Policies;
let news: PolicyNews[];
/** Calls into the sandbox that have not been answered yet. */
let calls: Set<Promise<unknown>>;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), "shunt-runtime-"));
  clock = new VirtualClock();
  engine = new ScriptEngine();
  news = [];
  calls = new Set();
});

afterEach(async () => {
  await policies.stop();
  rmSync(directory, { recursive: true });
});

function counted<T>(call: Promise<T>): Promise<T> {
  const forget = () => void calls.delete(call);
  calls.add(call);
  call.then(forget, forget);
  return call;
}

/** Until nothing is under way any more: the policy thread runs in real time. */
async function quiet(): Promise<void> {
  do {
    await Promise.allSettled(calls);
    await settled();
  } while (calls.size > 0);
}

const SANDBOX: SandboxPort = {
  compile: compilePolicy,
  load: async (code, settings, state) => {
    const instance = await counted(PolicyInstance.load(code as never, settings, state));
    return {
      decide: (table) => counted(instance.decide(table)),
      save: () => counted(instance.save()),
      close: () => instance.close(),
      stateLoaded: instance.stateLoaded,
      cost: instance.cost,
      get memoryBytes() {
        return instance.memoryBytes;
      },
    };
  },
};

const PATHS = `
[[path]]
name = "wifi"
interface = "wlan0"
kind = "wifi"
[[path]]
name = "lte"
interface = "wwan0"
cost_per_gb = 2
[policy]
`;

async function start(policy: string): Promise<void> {
  const places = `directory = "${directory}"\nstate_directory = "${directory}"\n`;
  const config = parseConfig(`${PATHS}${places}${policy}`, "s.toml", checkPolicies);
  policies = new Policies(config, {
    clock,
    sandbox: SANDBOX,
    engine,
    paths: {
      states: config.paths.map((entry) => link(entry)),
      configs: config.paths,
      byName: (name) => config.paths.filter((entry) => entry.name === name).map((entry) => link(entry))[0],
      nameOf: (id) => config.paths.find((entry) => entry.id === id)?.name ?? "",
    },
    problem: () => {},
  });
  policies.on("news", (entry) => news.push(entry));
  await policies.start();
}

/** A radio that fades: what a decision is made on is written as an input would. */
function fade(dbm: number): void {
  const interfaces = { wlan0: { signalDbm: dbm, slopeDbPerS: -3 } };
  writeFileSync(path.join(directory, "inputs.json"), JSON.stringify({ interfaces }));
}

describe("a shipped policy", () => {
  test("moves its class before the radio is lost; its recording is played bit for bit, by the command line too", async () => {
    fade(-60);
    await start(`default = "signal"\ninputs = ["file:${directory}/inputs.json"]\n`);
    expect(policies.classes[0]).toMatchObject({ state: "running", policy: "signal", fault: null });
    const file = path.join(directory, "r.jsonl");
    await policies.startRecording(file);
    for (let dbm = -60; dbm > -90; dbm -= 3) {
      fade(dbm);
      await expect.poll(() => policies.sources.length).toBe(1);
      policies.pathChanged(1, true);
      await quiet();
      await clock.pass(1000);
      await quiet();
    }
    await policies.stopRecording();
    expect(engine.actives.at(-1)).toBe(2);
    const replay = (...args: string[]) => {
      const { status, stdout, stderr } = spawnSync(SHUNT, ["policy", "replay", file, ...args], { encoding: "utf8" });
      return { status, stdout, stderr };
    };
    const decisions = readFileSync(file, "utf8").match(/"decision"/g)?.length ?? 0;
    expect(decisions).toBeGreaterThan(20);
    const same = `${decisions} of ${decisions} decisions of 1 instances came out the same\n`;
    expect(replay()).toEqual({ status: 0, stdout: same, stderr: "" });
    expect(replay("--with", path.join(ROOT, "build/policies/signal.wasm"))).toEqual({
      status: 0,
      stdout: same,
      stderr: "",
    });
    const other = replay("--with", "cost");
    expect(other.status).toBe(1);
    expect(other.stdout).toMatch(/^line \d+: \d+\.\d{3} s, default, \w+: active wifi instead of lte/m);
  });

  test("hands its state to the next one on live traffic, over and over", async () => {
    await start('default = "signal"\n');
    for (let i = 0; i < 50; i++) {
      await policies.use({ policy: i % 2 === 0 ? "cost" : "signal", class: "default" });
      policies.pathChanged(1, true);
      await quiet();
      await clock.pass(100);
    }
    await quiet();
    const kinds = news.map(({ kind }) => kind);
    expect(kinds).not.toContain("fault");
    expect(kinds.filter((kind) => kind === "swapped")).toHaveLength(51);
    expect(policies.classes[0]).toMatchObject({ state: "running", policy: "signal" });
  });
});

describe("a hostile policy", () => {
  /** First line of each: when and how it ends, or "served". */
  const modules = globSync("*.wat", { cwd: HOSTILE })
    .sort()
    .map((file) => {
      const text = readFileSync(path.join(HOSTILE, file), "utf8");
      const [, when = "", how = ""] = /^;; (\w+)(?: (\w+))?:/.exec(text) ?? [];
      return { name: path.basename(file, ".wat"), text, when, how };
    });

  function install(name: string, text: string): void {
    const module = binaryen.parseText(text);
    module.setFeatures(binaryen.Features.All);
    mkdirSync(path.join(directory, name), { recursive: true });
    writeFileSync(path.join(directory, name, "policy.wasm"), module.emitBinary());
    module.dispose();
    writeFileSync(path.join(directory, name, "policy.json"), JSON.stringify({ name, description: "", settings: [] }));
  }

  test.each(modules)("$name ($when $how) breaks its own class at most", async ({ name, text, when, how }) => {
    install(name, text);
    engine.statisticsValue = { paths: [pathFigures(1), pathFigures(2)], classes: [classFigures(0), classFigures(1)] };
    await start(`default = "cost"\n[[class]]\nname = "bad"\nmatch = { uid = [7] }\npolicy = "${name}"\n`);
    for (let second = 0; second < 8; second++) {
      await clock.pass(1000);
      await quiet();
    }
    const [good, bad] = policies.classes;
    expect(good).toMatchObject({ state: "running", policy: "cost", fault: null });
    const decided = news.filter(({ class: owner, kind }) => owner === "default" && kind === "decided");
    expect(decided).toHaveLength(9);
    // Most write no intent that makes sense before they come to their point.
    if (bad?.state === "fallback") expect(bad.fault).toMatch(new RegExp(`^(${how || "status"}|nonsense): `));
    // One that breaks at work has been tried again meanwhile.
    else if (/load|decide/.test(when))
      expect(news).toContainEqual(expect.objectContaining({ class: "bad", kind: "fault" }));
    // Whatever it was, the engine was never asked for more than the guard allows.
    const orders = engine.intents.filter(([id]) => id === 1);
    expect(orders.length).toBeLessThanOrEqual(10);
    for (const [, plan] of orders) expect([0, 1, 2]).toContain(plan.active);
  });
});
