import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { PathConfig } from "../../../../host/config/config.ts";
import { parseConfig } from "../../../../host/config/load.ts";
import { Event, PathKind, PathState, Power } from "../../../../host/policy/abi.ts";
import { checkPolicies } from "../../../../host/policy/check.ts";
import type { PolicyNews } from "../../../../host/policy/news.ts";
import { Policies, PolicyError } from "../../../../host/policy/policies.ts";
import { CROWD_MS, TICK_MS } from "../../../../host/policy/schedule.ts";
import { engineEvent } from "../fake-engine.ts";
import {
  classFigures,
  fault,
  link,
  pathFigures,
  type Script,
  ScriptEngine,
  ScriptSandbox,
  settled,
  VirtualClock,
  wants,
} from "./world.ts";

const CONFIG = `
[[path]]
name = "wifi"
interface = "wlan0"
[[path]]
name = "lte"
interface = "wwan0"
quota = "1 GB"
`;

let directory: string;
let clock: VirtualClock;
let engine: ScriptEngine;
let sandbox: ScriptSandbox;
let policies: Policies;
let news: PolicyNews[];
let problems: string[];
let paths: PathConfig[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "shunt-policies-"));
  clock = new VirtualClock();
  engine = new ScriptEngine();
  sandbox = new ScriptSandbox();
  news = [];
  problems = [];
});

afterEach(async () => {
  await policies.stop();
  rmSync(directory, { recursive: true });
});

/** Puts a policy into the operator's directory. */
function install(name: string, script: Script, manifest: object = {}): void {
  mkdirSync(join(directory, name), { recursive: true });
  const whole = { name, description: "", settings: [], ...manifest };
  writeFileSync(join(directory, name, "policy.json"), JSON.stringify(whole));
  writeFileSync(join(directory, name, "policy.wasm"), name);
  sandbox.modules.set(name, script);
}

/** `policy`: the insides of [policy], and tables after it. */
function configOf(policy: string) {
  // None that look at the machine that the test runs on.
  const inputs = policy.includes("inputs =") ? "" : "inputs = []\n";
  const head = `[policy]\ndirectory = "${directory}"\nstate_directory = "${directory}"\n${inputs}`;
  return parseConfig(`${CONFIG}${head}${policy}`, "s.toml", checkPolicies);
}

async function start(policy: string): Promise<void> {
  const config = configOf(policy);
  paths = config.paths;
  policies = new Policies(config, {
    clock,
    sandbox,
    engine,
    paths: {
      get states() {
        return paths.map((path) => link(path));
      },
      get configs() {
        return paths;
      },
      byName: (name) => paths.filter((path) => path.name === name).map((path) => link(path))[0],
      nameOf: (id) => paths.find((path) => path.id === id)?.name ?? "",
    },
    problem: (line) => problems.push(line),
  });
  policies.on("news", (entry) => news.push(entry));
  await policies.start();
}

const VIDEO = '[[class]]\nname = "video"\nmatch = { ports = [443] }\n';

describe("at the start", () => {
  test("the engine has the native policy for every class, and the rules of the classifier", async () => {
    await start(`prefer = ["lte"]\n${VIDEO}paths = ["wifi"]\n`);
    expect(engine.classes).toEqual([
      [0, { prefer: [2, 1], paths: null, probeMs: 0 }],
      [1, { prefer: [1], paths: [1], probeMs: 0 }],
    ]);
    expect(engine.rules.at(-1)).toEqual([
      { class: 1, match: { ports: [{ first: 443, last: 443 }], prefixes: null, uids: null } },
    ]);
    expect(sandbox.compiled).toBe(0);
  });

  test("loaded policies decide on the paths of their class, in its order", async () => {
    install("calm", wants({ activePathId: 2 }));
    await start(`default = "calm"\nprefer = ["lte"]\n${VIDEO}policy = "calm"\npaths = ["lte"]\n`);
    expect(sandbox.tables.map(({ classId, paths: rows }) => [classId, rows.map(({ id }) => id)])).toEqual([
      [0, [2, 1]],
      [1, [2]],
    ]);
    expect(engine.intents.map(([id]) => id)).toEqual([0, 1]);
    expect(sandbox.compiled).toBe(1);
    expect(policies.classes.map(({ state, policy }) => [state, policy])).toEqual([
      ["running", "calm"],
      ["running", "calm"],
    ]);
  });

  test("what sources say is in the table, and can be asked for by the names of paths", async () => {
    const file = join(directory, "inputs.json");
    const wlan0 = { kind: "wifi", signalDbm: -71.5, bitrateKbps: 54_000 };
    writeFileSync(file, JSON.stringify({ host: { power: "battery" }, interfaces: { wlan0, eth7: wlan0 } }));
    install("calm", wants({}));
    await start(`default = "calm"\ninputs = ["file:${file}"]\n`);
    expect(sandbox.tables[0]?.paths[0]).toMatchObject({ kind: PathKind.WIFI, signal: -715 });
    expect(policies.sources).toEqual([`file:${file}`]);
    const known = { kind: PathKind.WIFI, signalDbm: -71.5, bitrateKbps: 54_000 };
    expect(policies.known).toEqual({ machine: { power: Power.BATTERY }, paths: { wifi: known, lte: {} } });
  });

  test("a policy that is not built does not keep the daemon from starting: its class falls back", async () => {
    install("calm", wants({}));
    rmSync(join(directory, "calm", "policy.wasm"));
    await start('default = "calm"\n');
    expect(policies.classes[0]).toMatchObject({ state: "fallback" });
    expect(policies.classes[0]?.fault).toMatch(/cannot be read .*it is not built/);
    expect(news).toMatchObject([{ kind: "fallback", policy: "calm", class: "default" }]);
  });

  test("nor does one that is refused, or that breaks", async () => {
    install("foreign", wants({}));
    sandbox.modules.delete("foreign");
    install("broken", {
      decide: () => {
        throw fault("trap");
      },
    });
    await start(`default = "foreign"\n${VIDEO}policy = "broken"\n`);
    expect(policies.classes.map(({ state, fault: why }) => [state, why])).toEqual([
      ["fallback", "not a module"],
      ["fallback", "trap: broken on purpose"],
    ]);
  });

  test("settings reach the policy, defaults filled in, paths by their ids", async () => {
    const seen: number[][] = [];
    const script: Script = {
      decide: (_table, _memory, settings) => {
        const view = new DataView(settings.buffer, settings.byteOffset);
        seen.push([0, 8, 16].map((at) => Number(view.getBigInt64(at, true))));
        return {};
      },
    };
    const settings = [
      { name: "margin", type: "fraction", default: 0.5, doc: "" },
      { name: "probe_ms", type: "integer", default: 700, doc: "" },
      { name: "home", type: "path", doc: "" },
    ];
    install("calm", script, { settings });
    await start('default = "calm"\nsettings = { home = "lte" }\n');
    expect(seen).toEqual([[500_000, 700, 2]]);
    expect(engine.classes.at(-1)).toEqual([0, { prefer: [1, 2], paths: null, probeMs: 700 }]);
  });
});

describe("a reload", () => {
  test("keeps ids with names, adds and removes classes", async () => {
    await start(`${VIDEO}[[class]]\nname = "bulk"\nmatch = { uid = [7] }\n`);
    expect(policies.classId("bulk")).toBe(2);
    await policies.reload(configOf('[[class]]\nname = "bulk"\nmatch = { uid = [7] }\n'));
    expect(policies.classId("bulk")).toBe(2);
    expect(engine.rules.at(-1)?.map((rule) => rule.class)).toEqual([2]);
    expect(() => policies.classId("video")).toThrow(PolicyError);
    await policies.reload(configOf(`[[class]]\nname = "bulk"\nmatch = { uid = [7] }\n${VIDEO}`));
    expect(policies.classId("video")).toBe(1);
    expect(engine.rules.at(-1)?.map((rule) => rule.class)).toEqual([2, 1]);
  });

  test("leaves a policy at work that has not changed, and swaps one whose module or settings have", async () => {
    const settings = [{ name: "margin", type: "fraction", default: 0.5, doc: "" }];
    install("calm", wants({ activePathId: 1 }), { settings });
    await start('default = "calm"\n');
    const swaps = () => news.filter(({ kind }) => kind === "swapped").length;
    await policies.reload(configOf('default = "calm"\n'));
    expect(swaps()).toBe(1);
    await policies.reload(configOf('default = "calm"\nsettings = { margin = 0.1 }\n'));
    expect(swaps()).toBe(2);
    sandbox.modules.set("calmer", wants({ activePathId: 1 }));
    writeFileSync(join(directory, "calm", "policy.wasm"), "calmer");
    await policies.reload(configOf('default = "calm"\nsettings = { margin = 0.1 }\n'));
    expect(swaps()).toBe(3);
    expect(sandbox.alive.size).toBe(1);
  });

  test("undoes what was changed by hand", async () => {
    install("calm", wants({ activePathId: 1 }));
    await start("");
    await policies.use({ policy: "calm", class: "default" });
    await policies.reload(configOf(""));
    expect(policies.classes[0]).toMatchObject({ state: "native", policy: "active-standby" });
  });
});

describe("by hand", () => {
  test("a class gets another policy, and goes back", async () => {
    install("calm", wants({ activePathId: 2 }));
    await start(VIDEO);
    await policies.use({ policy: "calm", class: "video" });
    expect(policies.classes.map(({ policy }) => policy)).toEqual(["active-standby", "calm"]);
    expect(engine.intents.map(([id]) => id)).toEqual([1]);
    await policies.use({ policy: "active-standby", class: "video" });
    expect(engine.classes.at(-1)?.[0]).toBe(1);
  });

  test.each([
    ["an unknown class", { policy: "calm", class: "audio" }, "unknown_class"],
    ["an unknown policy", { policy: "clam", class: "default" }, "unknown_policy"],
    ["a setting that is none", { policy: "calm", class: "default", settings: { x: 1 } }, "bad_settings"],
    ["a policy that breaks", { policy: "broken", class: "default" }, "refused"],
  ])("%s is refused, and changes nothing", async (_, request, code) => {
    install("calm", wants({}));
    install("broken", {
      decide: () => {
        throw fault("trap");
      },
    });
    await start("");
    await expect(policies.use(request)).rejects.toMatchObject({ code });
    expect(policies.classes[0]).toMatchObject({ state: "native", fault: null });
  });

  test("a shadow runs beside a loaded policy, not beside or as the native one", async () => {
    install("calm", wants({ activePathId: 1 }));
    install("bold", wants({ activePathId: 2 }));
    await start(`default = "calm"\n${VIDEO}policy = "active-standby"\n`);
    await policies.shadow({ policy: "bold", class: "default" });
    await clock.pass(TICK_MS);
    expect(policies.classes[0]?.shadow).toEqual({ policy: "bold", decisions: 1, diverged: 1 });
    await expect(policies.shadow({ policy: "bold", class: "video" })).rejects.toMatchObject({ code: "refused" });
    const native = { policy: "active-standby", class: "default" };
    await expect(policies.shadow(native)).rejects.toMatchObject({ code: "refused" });
  });

  test("decisions of all classes are recorded, one recording at a time", async () => {
    install("calm", wants({ activePathId: 1 }));
    await start(`default = "calm"\n${VIDEO}policy = "calm"\n`);
    const file = join(directory, "r.jsonl");
    await policies.startRecording(file);
    await expect(policies.startRecording(file)).rejects.toMatchObject({ code: "recording" });
    await clock.pass(2 * TICK_MS);
    expect(policies.recording).toEqual({ file, decisions: 6 });
    expect(await policies.stopRecording()).toEqual({ file, decisions: 6 });
    await expect(policies.stopRecording()).rejects.toMatchObject({ code: "recording" });
    expect(readFileSync(file, "utf8").trim().split("\n")).toHaveLength(1 + 1 + 2 + 6);
    await expect(policies.startRecording("/nowhere/r")).rejects.toThrow(/cannot write/);
  });
});

describe("what happens", () => {
  beforeEach(async () => {
    install("calm", wants({ activePathId: 1 }));
    await start('default = "calm"\n');
    sandbox.tables.length = 0;
  });

  const causes = () => sandbox.tables.map(({ event, eventPathId }) => [event, eventPathId]);

  test("to links reaches policies at once", async () => {
    policies.pathChanged(2, false);
    await settled();
    policies.pathChanged(2, true);
    await settled();
    policies.pathDraining(2);
    await settled();
    policies.pathRemoved(2);
    await settled();
    expect(causes()).toEqual([
      [Event.PATH_DOWN, 2],
      [Event.PATH_UP, 2],
      [Event.DRAIN, 2],
      [Event.PATH_DOWN, 2],
    ]);
  });

  test("on the wire reaches them, too: a silent path is stale until it is heard", async () => {
    const table = () => sandbox.tables.at(-1)?.paths[0]?.state;
    engine.statisticsValue.paths[0] = pathFigures(1, { lastAckUs: 1000 });
    policies.heard(engineEvent({ kind: "subflow_stale", path: 1, value: 1, timeUs: 2000 }));
    await settled();
    expect([causes().at(-1), table()]).toEqual([[Event.PATH_STALE, 1], PathState.STALE]);
    engine.statisticsValue.paths[0] = pathFigures(1, { lastAckUs: 3000 });
    await clock.pass(TICK_MS);
    expect(table()).toBe(PathState.ESTABLISHED);
    engine.statisticsValue.paths[0] = pathFigures(1, { lastAckUs: 1000 });
    policies.heard(engineEvent({ kind: "subflow_stale", path: 1, value: 0, timeUs: 4000 }));
    await settled();
    expect(table()).toBe(PathState.ESTABLISHED);
  });

  test("a path's first subflow is told, not its second", async () => {
    engine.statisticsValue.paths[1] = pathFigures(2, { subflows: 0 });
    await clock.pass(TICK_MS);
    sandbox.tables.length = 0;
    policies.heard(engineEvent({ kind: "new_subflow", path: 2 }));
    policies.heard(engineEvent({ kind: "new_subflow", path: 2 }));
    policies.heard(engineEvent({ kind: "new_subflow", path: 1 }));
    await clock.pass(2 * CROWD_MS);
    expect(causes()).toEqual([[Event.PATH_ESTABLISHED, 2]]);
  });

  test("a manual handover is shown until the path is lost, or it is given back", async () => {
    const flags = async () => {
      await clock.pass(TICK_MS);
      return sandbox.tables.at(-1)?.paths.map((path) => path.flags);
    };
    policies.pinned("default", 2);
    expect(await flags()).toEqual([0, 16]);
    policies.pinned(null, 0);
    expect(await flags()).toEqual([0, 0]);
    policies.pinned(null, 2);
    policies.pathChanged(2, false);
    expect(await flags()).toEqual([0, 0]);
  });

  test("paths that were added or ranked anew make the engine hear its terms again, and the intent that stands", async () => {
    const [classes, intents] = [engine.classes.length, engine.intents.length];
    await policies.listed();
    expect(engine.classes.length - classes).toBe(1);
    expect(engine.intents.slice(intents)).toEqual([[0, { active: 1, standby: [], open: [], close: [] }]]);
  });

  test("quota counters are kept every ten seconds, and at the end", async () => {
    engine.statisticsValue.paths[1] = pathFigures(2, { bytesSent: 4e8 });
    await clock.pass(10_000);
    const used = () => JSON.parse(readFileSync(join(directory, "quota.json"), "utf8")).paths.lte.used as number;
    expect(used()).toBe(4e8);
    expect(sandbox.tables.at(-1)?.paths[1]?.quotaLeft).toBe(6e8);
    expect(policies.quotas).toEqual([{ path: "lte", left: 6e8 }]);
    engine.statisticsValue.paths[1] = pathFigures(2, { bytesSent: 5e8 });
    await policies.stop();
    expect(used()).toBe(5e8);
  });

  test("counters that cannot be kept are told once", async () => {
    rmSync(directory, { recursive: true });
    writeFileSync(directory, "in the way");
    for (let i = 1; i < 4; i++) {
      engine.statisticsValue.paths[1] = pathFigures(2, { bytesSent: i * 1e8 });
      await clock.pass(10_000);
    }
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^quota counters are not kept: /);
  });

  test("connections of a class are its own", async () => {
    engine.statisticsValue.classes = [classFigures(0, { connections: 3, activeOn: new Map([[2, 3]]) })];
    await clock.pass(TICK_MS);
    expect(sandbox.tables.at(-1)).toMatchObject({ connections: 3, activePathId: 2 });
  });
});
