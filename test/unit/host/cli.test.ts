import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checksText } from "../../../host/cli/doctor.ts";
import { handoverRequest, handoverText } from "../../../host/cli/handover.ts";
import { age, bytes, connectionId, duration, table } from "../../../host/cli/options.ts";
import { settingsOf } from "../../../host/cli/policy.ts";
import { statusText } from "../../../host/cli/status.ts";
import { VERSION } from "../../../host/config/version.ts";
import type { ClassView } from "../../../host/control/policy.ts";
import { ControlServer } from "../../../host/control/server.ts";

const SHUNT = join(import.meta.dirname, "../../../bin/shunt");

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "shunt-cli-"));
});

afterAll(() => {
  rmSync(directory, { recursive: true });
});

function shunt(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(SHUNT, args, { encoding: "utf8" });
  return { status, stdout, stderr };
}

describe("exit codes", () => {
  test.each([
    ["help", ["--help"], 0],
    ["no command", [], 2],
    ["unknown command", ["foo"], 2],
    ["unknown option", ["status", "--colour"], 2],
    ["too many arguments", ["status", "x"], 2],
    ["missing option", ["up"], 2],
    ["missing sub-command", ["path"], 2],
    ["handover to nowhere", ["handover"], 2],
    ["handover both ways", ["handover", "--to", "wifi", "--auto"], 2],
    ["handover with two scopes", ["handover", "--to", "wifi", "--all", "--connection", "1"], 2],
    ["handover of no connection", ["handover", "--to", "wifi", "--connection", "xyz"], 2],
    ["handover in an unknown mode", ["handover", "--to", "wifi", "--mode", "x"], 2],
    ["handover within no time", ["handover", "--to", "wifi", "--timeout", "soon"], 2],
    ["plot of nothing", ["trace", "plot", "/nowhere"], 2],
    ["configuration that is not there", ["up", "-c", "/nowhere"], 2],
    ["relative socket", ["up", "-c", "/nowhere", "--socket", "x"], 2],
    ["no daemon", ["status", "--socket", "/nowhere/s.sock"], 1],
    ["policy of an impossible name", ["policy", "new", "a/b"], 2],
    ["policy of a shipped one's name", ["policy", "new", "signal"], 2],
    ["policy in an unknown language", ["policy", "new", "x", "--lang", "go"], 2],
    ["policy where nothing can be", ["policy", "new", "x", "--dir", "/dev/null/x"], 1],
    ["test of an unknown policy", ["policy", "test", "nobody"], 2],
    ["test of a folder that is no policy", ["policy", "test", "/"], 2],
    ["test with a scenario that is not there", ["policy", "test", "signal", "/nowhere.toml"], 2],
    ["test without a scenario", ["policy", "test", "quietest-rust"], 1],
    ["build of nothing", ["policy", "build", "/nowhere"], 2],
    ["bench with no paths", ["policy", "bench", "signal", "--paths", "0"], 2],
    ["use of a folder", ["policy", "use", "./mine"], 2],
    ["recording of nothing", ["policy", "record"], 2],
    ["recording that begins and ends", ["policy", "record", "f", "--stop"], 2],
    ["setting that is none", ["policy", "use", "x", "--set", "margin"], 2],
    ["replay of what is not there", ["policy", "replay", "/nowhere"], 1],
    ["another", ["migrate"], 1],
  ])("%s", (_, args, code) => {
    const result = shunt(...args);
    expect(result.status, result.stderr).toBe(code);
    if (code !== 0) expect(result.stderr.trim()).not.toBe("");
    expect(result.stderr).not.toMatch(/\n\s+at .*:\d+/);
  });
});

test("names of issues to come are not in the help", () => {
  expect(shunt("--help").stdout).not.toMatch(/export|import|migrate/);
  expect(shunt("migrate", "--whatever").stderr).toBe("shunt: migrate is not built yet\n");
});

test("config check", () => {
  const file = join(directory, "s.toml");
  writeFileSync(file, '[[path]]\nname = "wifi"\ninterface = "wlan0"\n');
  expect(shunt("config", "check", file)).toEqual({ status: 0, stdout: `${file}: fine (wifi)\n`, stderr: "" });
  expect(JSON.parse(shunt("config", "check", file, "--json").stdout)).toMatchObject({ role: "host" });
  writeFileSync(file, '[[path]]\nname = "wifi"\n');
  const wrong = shunt("config", "check", file);
  expect(wrong.status).toBe(2);
  expect(wrong.stderr).toContain(`${file}:1: path[1]: key "interface" is missing`);
});

test("a daemon's refusal is one line and exit 1", async () => {
  const socket = join(directory, "s.sock");
  const refuse = () => {
    throw new Error("broken");
  };
  const { openApi } = await import("../../../host/control/server.ts");
  const names = Object.values(openApi().paths).flatMap((path) =>
    Object.values(path).map(({ operationId }) => operationId),
  );
  const server = await ControlServer.start(socket, Object.fromEntries(names.map((name) => [name, refuse])));
  const { spawn } = await import("node:child_process");
  const child = spawn(SHUNT, ["status", "--socket", socket]);
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  await server.stop();
  expect([code, stderr]).toEqual([1, "shunt: broken\n"]);
});

test("the version is the package's", () => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../../../package.json"), "utf8"));
  expect(VERSION).toBe(version);
});

describe("handover", () => {
  test("request", () => {
    expect(handoverRequest({ to: "wifi", timeout: "500ms", connection: "ab" })).toEqual({
      to: "wifi",
      mode: "make-before-break",
      timeoutMs: 500,
      connection: "000000ab",
    });
    expect(handoverRequest({ auto: true, class: "default" })).toEqual({ auto: true, class: "default" });
  });

  test("has a line for each connection that could not move", () => {
    const answer = {
      ok: false,
      to: "wifi",
      concerned: 3,
      done: [{ connection: "00000001", durationUs: 1500 }],
      failed: [{ connection: "00000002", reason: "peer_opens", text: "only the end that opened it can" }],
      reason: "none",
      text: "done",
    };
    expect(handoverText(answer)).toBe(
      "00000002: not moved: only the end that opened it can\n2 moved to wifi within 1.5 ms",
    );
  });
});

test("figures for people", () => {
  expect([0, 999, 1000, 1_234_567, 999_600, 2.5e12].map(bytes)).toEqual([
    "0 B",
    "999 B",
    "1.00 kB",
    "1.23 MB",
    "1.00 MB",
    "2.50 TB",
  ]);
  expect([5, 120, 7200].map(age)).toEqual(["5 s", "2 min", "2.0 h"]);
  expect(["10", "10s", "500ms", "2m"].map(duration)).toEqual([10_000, 10_000, 500, 120_000]);
  expect(connectionId("0xAB")).toBe("000000ab");
  expect(
    table(
      ["NAME", "SENT"],
      [
        ["a", "1 B"],
        ["bc", "10 B"],
      ],
    ),
  ).toBe("NAME  SENT\na      1 B\nbc    10 B");
});

const CLASS: ClassView = {
  class: "default",
  state: "native",
  policy: "active-standby",
  prefer: ["wifi"],
  paths: null,
  match: null,
  settings: {},
  pinnedPath: null,
  fault: null,
  decision: null,
  shadow: null,
  memoryBytes: null,
};

test("status says of each class what its policy decided, and whether it broke", () => {
  const status = {
    version: VERSION,
    pid: 1,
    role: "host",
    queue: 5348,
    uptimeSeconds: 3,
    paths: [],
    connections: [],
    inputs: [],
  };
  const decision = {
    time: "2026-03-10T12:00:00.250Z",
    cause: "signal",
    active: "lte",
    standby: ["wifi"],
    open: [],
    close: [],
    reason: "signal_falling",
    refused: null,
    fuel: 900,
    microseconds: 3.4,
  };
  const text = statusText({
    ...status,
    classes: [
      { ...CLASS, class: "video", state: "running", policy: "signal", decision },
      { ...CLASS, class: "bulk", state: "fallback", policy: "mine", fault: "fuel: more than 20 million instructions" },
      { ...CLASS, pinnedPath: "wifi", shadow: { policy: "cost", decisions: 9, diverged: 2 } },
    ],
  });
  expect(text).toContain(
    "class video: policy signal, prefers wifi\n  decided 12:00:00.250: use lte, standby wifi (signal_falling)\n",
  );
  expect(text).toContain("  broken, the engine's own policy serves: fuel: more than 20 million instructions\n");
  expect(text).toContain("  held on wifi by a manual handover\n  in its shadow cost: 2 of 9 decisions otherwise");
});

test("settings are numbers, flags, or names", () => {
  expect(settingsOf(["margin=0.2", "strict=true", "home=lte", "limit=-3"])).toEqual({
    margin: 0.2,
    strict: true,
    home: "lte",
    limit: -3,
  });
});

test("status marks the subflow that carries new data", () => {
  const subflow = {
    number: 0,
    path: "wifi",
    state: "established",
    active: true,
    backup: false,
    peerBackup: false,
    stale: false,
    poisoned: false,
    opener: true,
    local: "10.0.1.1",
    localPort: 40000,
    remote: "10.0.1.2",
    remotePort: 80,
    srttMs: 20.1,
    minRttMs: 20,
    bytesSent: 10,
    bytesReceived: 2_000_000,
    packetsSent: 1,
    packetsReceived: 1,
    bytesRetransmitted: 0,
    recvRuns: 1,
  };
  const text = statusText({
    version: VERSION,
    pid: 1,
    role: "host",
    queue: 5348,
    uptimeSeconds: 3,
    paths: [],
    classes: [CLASS],
    inputs: [],
    connections: [
      {
        id: "1234abcd",
        peerToken: "00000001",
        serial: 1,
        state: "m_estab",
        class: "default",
        opener: true,
        local: "10.0.1.1",
        localPort: 40000,
        remote: "10.0.1.2",
        remotePort: 80,
        activePath: "wifi",
        pinnedPath: null,
        ageSeconds: 3,
        bytesSent: 10,
        bytesReceived: 2_000_000,
        bytesUnacked: 0,
        sendRuns: 1,
        handovers: 1,
        subflows: [
          subflow,
          { ...subflow, number: 1, path: "ethernet", active: false, srttMs: null },
          { ...subflow, number: 2, path: "mobile", active: false, stale: true, poisoned: true },
        ],
      },
    ],
  });
  expect(text).toContain("connection 1234abcd  10.0.1.1:40000 → 10.0.1.2:80");
  expect(text).toMatch(/^ {2}\* {2}wifi/m);
  expect(text).toMatch(/^ {5}ethernet .* - {2}/m);
  expect(text).toMatch(/^ {5}mobile {4}established, stale, poisoned /m);
  expect(text).toContain("on wifi, 1 handover");
});

test("doctor shows what is absent and not needed as neither good nor bad", () => {
  const check = { name: "input nl80211", detail: "no Wi-Fi interface", remedy: "" };
  expect(checksText([{ ...check, result: "absent" }])).toBe("-        input nl80211: no Wi-Fi interface");
});
