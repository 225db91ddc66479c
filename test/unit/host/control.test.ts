import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseConfig } from "../../../host/config/load.ts";
import { ControlClient, ControlError } from "../../../host/control/client.ts";
import { ask } from "../../../host/control/commands.ts";
import { EventFeed, eventLine, logLine, matches } from "../../../host/control/events.ts";
import { controlHandlers } from "../../../host/control/handlers.ts";
import { Metrics } from "../../../host/control/metrics.ts";
import { reasonText } from "../../../host/control/reasons.ts";
import { ControlServer, openApi } from "../../../host/control/server.ts";
import type { Status } from "../../../host/control/status.ts";
import { TraceSession } from "../../../host/control/trace-session.ts";
import { Reason } from "../../../host/engine/abi.ts";
import { PathTable } from "../../../host/net/path-table.ts";
import { Policies } from "../../../host/policy/policies.ts";
import { engineEvent, FakeEngine } from "./fake-engine.ts";
import { ScriptEngine, ScriptSandbox, VirtualClock } from "./policy/world.ts";

const CONFIG = parseConfig(
  '[[path]]\nname = "wifi"\ninterface = "wlan0"\n[[path]]\nname = "ethernet"\ninterface = "eth0"\n',
  "s.toml",
);
const ID = "1234abcd";
const nameOf = (id: number) => ["", "wifi", "ethernet"][id] ?? "";

let directory: string;
let server: ControlServer;
let client: ControlClient;
let engine: FakeEngine;
let feed: EventFeed;
let policies: Policies;

function handlers() {
  engine = new FakeEngine();
  feed = new EventFeed();
  const paths = new PathTable(CONFIG.paths);
  policies = new Policies(CONFIG, {
    clock: new VirtualClock(),
    sandbox: new ScriptSandbox(),
    engine: new ScriptEngine(),
    paths,
    problem: () => {},
  });
  return controlHandlers({
    engine,
    feed,
    paths,
    metrics: new Metrics(engine, nameOf, policies, 0),
    policies,
    trace: new TraceSession(engine, feed, () => ({ "1": "wifi" })),
    config: () => CONFIG,
    reload: async () => ["note"],
    startedMs: Date.now(),
  });
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "shunt-control-"));
  const socket = join(directory, "s.sock");
  server = await ControlServer.start(socket, handlers());
  await policies.start();
  client = new ControlClient(socket);
});

afterEach(async () => {
  await server.stop();
  rmSync(directory, { recursive: true });
});

describe("the description", () => {
  test("has exactly the operations that have handlers", () => {
    const described = Object.values(openApi().paths).flatMap((operations) =>
      Object.values(operations).map((operation) => operation.operationId),
    );
    expect(described.sort()).toEqual(Object.keys(handlers()).sort());
  });

  test("is served", async () => {
    expect(await client.call("GET", "/v1/openapi.json")).toMatchObject({ openapi: "3.1.0" });
  });
});

describe("the socket", () => {
  test("is for its owner only", () => {
    expect(statSync(join(directory, "s.sock")).mode & 0o777).toBe(0o600);
  });

  test("is not taken from a daemon that listens", async () => {
    await expect(ControlServer.start(join(directory, "s.sock"), handlers())).rejects.toThrow(
      "in use by another daemon",
    );
  });

  test("without a daemon says so", async () => {
    const nobody = new ControlClient(join(directory, "none.sock"));
    await expect(nobody.call("GET", "/v1/status")).rejects.toThrow(/no daemon answers.*remedy/);
  });
});

describe("requests that make no sense", () => {
  test.each([
    ["GET", "/v1/nothing", undefined, 404],
    ["PATCH", "/v1/status", undefined, 400],
    ["POST", "/v1/handover", { too: "wifi" }, 400],
    ["POST", "/v1/handover", {}, 400],
    ["POST", "/v1/handover", { to: "wifi", auto: true }, 400],
    ["POST", "/v1/handover", { to: "wifi", connection: "xyz" }, 400],
    ["POST", "/v1/handover", { to: "wifi", timeoutMs: 0 }, 400],
    ["POST", "/v1/handover", { to: "lte" }, 404],
    ["POST", "/v1/handover", { to: "wifi", class: "video" }, 404],
    ["POST", "/v1/paths", { name: "wifi", interface: "x" }, 409],
    ["POST", "/v1/paths", { name: "a b", interface: "x" }, 400],
    ["DELETE", "/v1/paths/lte", undefined, 404],
    ["DELETE", "/v1/trace", undefined, 409],
    ["PATCH", "/v1/paths/wifi", {}, 400],
    ["POST", "/v1/policy/use", {}, 400],
    ["POST", "/v1/policy/use", { policy: "clever" }, 404],
    ["POST", "/v1/policy/use", { policy: "active-standby", class: "video" }, 404],
    ["POST", "/v1/policy/use", { policy: "active-standby", shadow: true }, 409],
    ["POST", "/v1/policy/recording", { file: "relative" }, 400],
    ["POST", "/v1/policy/recording", { file: "/nowhere/r" }, 409],
    ["DELETE", "/v1/policy/recording", undefined, 409],
  ] as const)("%s %s %j is answered with %s", async (method, path, body, status) => {
    const failure = await client.call(method, path, body).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ControlError);
    expect((failure as ControlError).status).toBe(status);
    expect(engine.commands).toEqual([]);
  });
});

describe("handover", () => {
  test("of all connections waits for each answer and for the end", async () => {
    engine.answer = [
      { kind: "handover_started", token: ID, path: 2, value: 1 },
      { kind: "handover_failed", token: "00000002", reason: "path_not_usable" },
      { kind: "command_done", value: 2, value64: 1, reason: "path_not_usable" },
      { kind: "handover_done", token: ID, path: 2, value: 1500 },
    ];
    const answer = await client.call("POST", "/v1/handover", { to: "ethernet" });
    expect(engine.commands).toEqual([
      { kind: "handover", scope: "all", path: 2, mode: "make_before_break", timeoutMs: 10_000 },
    ]);
    expect(answer).toMatchObject({
      ok: false,
      concerned: 2,
      done: [{ connection: ID, durationUs: 1500 }],
      failed: [{ connection: "00000002", reason: "path_not_usable", text: reasonText("path_not_usable") }],
    });
  });

  test("ends for a connection that ends first, or that another handover takes", async () => {
    const [first, second, third] = ["00000001", "00000002", "00000003"];
    engine.answer = [
      { kind: "handover_started", token: first },
      { kind: "handover_started", token: second },
      { kind: "handover_failed", token: second, reason: "replaced" },
      { kind: "handover_started", token: third },
      { kind: "handover_done", token: third, value: 0 },
      { kind: "command_done", value: 3 },
      { kind: "connection_closed", token: first, reason: "peer_reset" },
    ];
    const answer = await client.call("POST", "/v1/handover", { to: "ethernet" });
    expect(answer).toMatchObject({
      concerned: 3,
      done: [{ connection: third }],
      failed: [
        { connection: second, reason: "replaced" },
        { connection: first, reason: "closed" },
      ],
    });
  });

  test("that not every connection answers ends in time, and those count as failed", async () => {
    engine.answer = [
      { kind: "handover_started", token: ID },
      { kind: "command_done", value: 1 },
    ];
    const command = { kind: "handover", scope: "all", path: 1, mode: "make_before_break", timeoutMs: 10 } as const;
    expect(await ask(engine, command, 10, 10)).toMatchObject({ reason: "timeout", concerned: 1, failed: 1 });
  });

  test("of one connection, and back to the policy", async () => {
    await client.call("POST", "/v1/handover", { to: "wifi", connection: ID, mode: "break-before-make", timeoutMs: 50 });
    await client.call("POST", "/v1/handover", { auto: true });
    expect(engine.commands).toEqual([
      { kind: "handover", scope: "connection", token: ID, path: 1, mode: "break_before_make", timeoutMs: 50 },
      { kind: "handover_auto", scope: "all" },
    ]);
  });

  test("of a connection that is not there is a failure", async () => {
    engine.answer = [{ kind: "command_done", reason: "no_connection" }];
    await expect(client.call("POST", "/v1/handover", { to: "wifi", connection: ID })).rejects.toThrow(
      "there is no connection 1234abcd",
    );
  });

  test("without an answer ends in time", async () => {
    engine.answer = null;
    const answer = await ask(engine, { kind: "shutdown" }, 20, 0);
    expect(answer.reason).toBe("timeout");
    expect(engine.listenerCount("event")).toBe(0);
  });
});

test("subflows are joined and closed by path name", async () => {
  engine.answer = [{ kind: "command_done", reason: "peer_opens", value: 1, value64: 1 }];
  const added = await client.call("POST", "/v1/subflows", { connection: ID, path: "ethernet" });
  expect(added).toMatchObject({ ok: false, failed: [{ reason: "peer_opens" }] });
  engine.answer = [
    { kind: "command_done", value: 1 },
    { kind: "new_subflow", token: ID, path: 2 },
  ];
  expect(await client.call("POST", "/v1/subflows", { connection: ID, path: "ethernet" })).toMatchObject({ ok: true });
  engine.commands.pop();
  await client.call("DELETE", `/v1/subflows/${ID}/ethernet`);
  expect(engine.commands).toEqual([
    { kind: "subflow_add", token: ID, path: 2 },
    { kind: "subflow_remove", token: ID, path: 2 },
  ]);
});

test("status has names for paths and ages for times", async () => {
  const subflow = {
    state: "established" as const,
    path: 2,
    number: 0,
    active: true,
    backup: false,
    peerBackup: false,
    stale: true,
    poisoned: false,
    opener: true,
    initial: true,
    local: "10.0.2.1",
    localPort: 40000,
    remote: "10.0.2.2",
    remotePort: 80,
    localId: 0,
    remoteId: 0,
    srttUs: 12345,
    rttvarUs: 10,
    minRttUs: 0,
    bytesSent: 1,
    bytesReceived: 2,
    packetsSent: 3,
    packetsReceived: 4,
    retransmitted: 5,
    recvRuns: 3,
    createdUs: 0,
  };
  const { localPort, remotePort, local, remote } = subflow;
  engine.snapshotValue.connections.push({
    state: "m_estab",
    token: ID,
    peerToken: "00000001",
    serial: 1,
    class: 0,
    activePath: 2,
    pinnedPath: 0,
    local,
    localPort,
    remote,
    remotePort,
    opener: true,
    bytesSent: 1,
    bytesReceived: 2,
    bytesUnacked: 0,
    sendRuns: 2,
    handovers: 0,
    createdUs: Number(process.hrtime.bigint() / 1000n) - 5_000_000,
    subflows: [subflow],
  });
  const status = await client.call<Status>("GET", "/v1/status");
  expect(status.connections[0]).toMatchObject({ id: ID, activePath: "ethernet", pinnedPath: null, sendRuns: 2 });
  expect(status.connections[0]?.ageSeconds).toBeCloseTo(5, 0);
  expect(status.connections[0]?.subflows[0]).toMatchObject({
    path: "ethernet",
    srttMs: 12.35,
    minRttMs: null,
    recvRuns: 3,
    stale: true,
    poisoned: false,
  });
  expect(status.paths.map((path) => path.name)).toEqual(["wifi", "ethernet"]);
});

test("metrics are Prometheus text, and totals do not add up twice", async () => {
  await client.call("GET", "/metrics");
  const text = await client.call<string>("GET", "/metrics");
  expect(text).toContain('shunt_engine_total{counter="packets_tcp"} 3');
  expect(text).toContain('shunt_dropped_packets_total{reason="truncated"} 2');
});

describe("events", () => {
  test("have names, and only fields that say something", () => {
    const event = engineEvent({ kind: "handover_started", token: ID, path: 2, value: 1 });
    const line = eventLine(event, nameOf, new Date(0));
    expect(line).toEqual({
      time: "1970-01-01T00:00:00.000Z",
      timeUs: 1_000_000,
      event: "handover_started",
      connection: ID,
      path: "ethernet",
      from: "wifi",
    });
  });

  test("of subflows have addresses that can be pasted", () => {
    const event = engineEvent({
      kind: "new_subflow",
      local: "fd00::1",
      localPort: 61001,
      remote: "10.0.0.1",
      remotePort: 80,
    });
    expect(eventLine(event, nameOf)).toMatchObject({ local: "[fd00::1]:61001", remote: "10.0.0.1:80", backup: false });
  });

  test("are filtered by connection and kind", () => {
    const line = eventLine(engineEvent({ kind: "handover_done", token: ID }), nameOf);
    expect(matches(line, {})).toBe(true);
    expect(matches(line, { connection: ID })).toBe(true);
    expect(matches(line, { connection: "00000001" })).toBe(false);
    expect(matches(line, { kinds: ["handover_done", "path_up"] })).toBe(true);
    expect(matches(line, { kinds: ["path_up"], connection: ID })).toBe(false);
  });

  test("in the log are key=value, quoted where needed", () => {
    const line = { time: "t", timeUs: 1, event: "path_up", path: "wifi", detail: 'two "words"' };
    expect(logLine(line)).toBe('time=t event=path_up path=wifi detail="two \\"words\\""');
  });

  test("of the past come without follow; a follower gets those to come", async () => {
    feed.publishHost("path_up", { path: "wifi" });
    feed.publishHost("path_down", { path: "wifi" });
    const past: string[] = [];
    for await (const line of client.lines("/v1/events?kind=path_down")) past.push(line);
    expect(past).toHaveLength(1);
    const lines = client.lines("/v1/events?follow=true");
    const next = lines.next();
    await expect.poll(() => feed.listenerCount("line")).toBe(1);
    feed.publishHost("daemon_ready");
    expect(JSON.parse((await next).value as string)).toMatchObject({ event: "daemon_ready" });
    await lines.return(undefined);
    await expect.poll(() => feed.listenerCount("line")).toBe(0);
  });
});

test("every reason of the engine has words of its own", () => {
  for (const name of Object.keys(Reason)) {
    const reason = name.toLowerCase();
    expect(reasonText(reason), reason).not.toBe(reason.replaceAll("_", " "));
  }
});

test("a trace has its events beside it", async () => {
  const file = join(directory, "t.trace");
  await client.call("POST", "/v1/trace", { file });
  await expect(client.call("POST", "/v1/trace", { file })).rejects.toThrow("stop it first");
  feed.publishHost("path_up", { path: "wifi" });
  await client.call("DELETE", "/v1/trace");
  const lines = readFileSync(`${file}.events.jsonl`, "utf8").trim().split("\n");
  expect(JSON.parse(lines[0] ?? "")).toEqual({ version: 1, paths: { "1": "wifi" } });
  expect(JSON.parse(lines[1] ?? "")).toMatchObject({ event: "path_up" });
  expect(engine.commands).toEqual([
    { kind: "trace", on: true, scope: "all" },
    { kind: "trace", on: false, scope: "all" },
  ]);
});
