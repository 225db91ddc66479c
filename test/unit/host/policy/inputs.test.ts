import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Event, PathKind, Power } from "../../../../host/policy/abi.ts";
import { InputBoard } from "../../../../host/policy/inputs/board.ts";
import { FileInput } from "../../../../host/policy/inputs/file.ts";
import type { InputSink } from "../../../../host/policy/inputs/input.ts";
import { Trend } from "../../../../host/policy/inputs/trend.ts";
import { VirtualClock } from "./world.ts";

let clock: VirtualClock;
let changes: [Event, string | null][];
let problems: string[];
let board: InputBoard;
let sink: InputSink;

beforeEach(() => {
  clock = new VirtualClock();
  changes = [];
  problems = [];
  board = new InputBoard({
    clock,
    changed: (event, name) => changes.push([event, name]),
    problem: (line) => problems.push(line),
  });
  sink = board.sink();
});

describe("the board", () => {
  test("puts together what sources say, and forgets what they no longer know", () => {
    sink.interface("wlan0", { signalDbm: -60, metered: true });
    sink.interface("wlan0", { kind: PathKind.WIFI });
    expect(board.known("wlan0")).toEqual({ signalDbm: -60, metered: true, kind: PathKind.WIFI });
    sink.interface("wlan0", { signalDbm: null });
    expect(board.known("wlan0")).toEqual({ metered: true, kind: PathKind.WIFI });
    expect(board.known("eth0")).toEqual({});
  });

  test("tells of changes that matter, and what they are about", () => {
    sink.interface("wlan0", { signalDbm: -60 });
    sink.interface("wlan0", { signalDbm: -60.4 });
    sink.interface("wlan0", { signalDbm: -61.2 });
    sink.interface("wlan0", { metered: true });
    sink.interface("wlan0", { metered: true, captive: true });
    sink.host({ batteryPermille: 900 });
    sink.host({ batteryPermille: 900, power: Power.BATTERY });
    expect(changes).toEqual([
      [Event.SIGNAL, "wlan0"],
      [Event.SIGNAL, "wlan0"],
      [Event.QUOTA, "wlan0"],
      [Event.TICK, "wlan0"],
      [Event.POWER, null],
      [Event.POWER, null],
    ]);
  });

  test("believes the later source, as far as it knows something", async () => {
    const second = board.sink();
    second.interface("wlan0", { signalDbm: -80, metered: null });
    sink.interface("wlan0", { signalDbm: -60, metered: true });
    sink.host({ batteryPermille: 500, power: Power.MAINS });
    second.host({ batteryPermille: null, power: Power.BATTERY });
    expect(board.known("wlan0")).toEqual({ signalDbm: -80, metered: true });
    expect(board.machine).toEqual({ batteryPermille: 500, power: Power.BATTERY });
    // The trend is of the levels that are believed.
    for (let i = 0; i < 5; i++) {
      sink.interface("wlan0", { signalDbm: -60 + 3 * i });
      second.interface("wlan0", { signalDbm: -80 - i });
      await clock.pass(500);
    }
    expect(board.known("wlan0").slopeDbPerS).toBeCloseTo(-2, 5);
    second.interface("wlan0", { signalDbm: null });
    expect(board.known("wlan0").signalDbm).toBe(-48);
  });

  test("takes the trend of the levels unless a source says it", async () => {
    for (let i = 0; i < 5; i++) {
      sink.interface("wlan0", { signalDbm: -60 - 2 * i });
      await clock.pass(500);
    }
    expect(board.known("wlan0").slopeDbPerS).toBeCloseTo(-4, 5);
    sink.interface("wlan0", { slopeDbPerS: -1 });
    expect(board.known("wlan0").slopeDbPerS).toBe(-1);
    sink.interface("wlan0", { slopeDbPerS: null });
    expect(board.known("wlan0").slopeDbPerS).toBeCloseTo(-4, 5);
    await clock.pass(10_000);
    expect(board.known("wlan0")).toEqual({ signalDbm: -68 });
  });

  test("goes on without a source that fails", async () => {
    const failing = { name: "bad", start: () => Promise.reject(new Error("no bus")), stop: () => {} };
    let started = false;
    const other = {
      name: "good",
      start: async () => {
        started = true;
      },
      stop: () => {},
    };
    const told: unknown[] = [];
    await board.start([failing, { ...other, linksChanged: (interfaces) => told.push(interfaces) }]);
    board.linksChanged([{ name: "wlan0", index: 3 }]);
    expect(told).toEqual([[{ name: "wlan0", index: 3 }]]);
    expect([started, problems]).toEqual([true, ["input bad: no bus"]]);
    expect(board.sources).toEqual(["bad", "good"]);
    await board.start([{ ...other, isThere: false }, other]);
    expect(board.sources).toEqual(["good"]);
    await board.stop();
  });
});

describe("a trend", () => {
  const trendOf = (samples: [number, number][]) => {
    const trend = new Trend();
    for (const [ms, level] of samples) trend.add(ms * 1000, level);
    return trend.slope((samples.at(-1)?.[0] ?? 0) * 1000);
  };

  test("needs nine tenths of a second", () => {
    expect(trendOf([])).toBeNull();
    expect(trendOf([[0, -60]])).toBeNull();
    expect(
      trendOf([
        [0, -60],
        [800, -50],
      ]),
    ).toBeNull();
    expect(
      trendOf([
        [0, -60],
        [1000, -50],
      ]),
    ).toBeCloseTo(10, 9);
  });

  test("is hardly moved by one odd sample", () => {
    const flat = Array.from({ length: 20 }, (_, i): [number, number] => [i * 200, i === 10 ? -70 : -60]);
    expect(Math.abs(trendOf(flat) ?? 99)).toBeLessThan(0.2);
  });

  test("forgets", () => {
    expect(
      trendOf([
        [0, 0],
        [1000, -60],
        [5000, -60],
        [6000, -50],
      ]),
    ).toBeCloseTo(10, 9);
  });
});

describe("a file", () => {
  let directory: string;
  let file: string;
  let input: FileInput;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "shunt-input-"));
    file = join(directory, "inputs.json");
    input = new FileInput(file);
  });

  afterEach(() => {
    input.stop();
    rmSync(directory, { recursive: true });
  });

  /** Writes as a careful program does. */
  function write(value: unknown): void {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  }

  test("says what is in it, at the start and after each change", async () => {
    write({
      host: { batteryPermille: 800, power: "battery" },
      interfaces: { wlan0: { signalDbm: -71.5, kind: "wifi", metered: false } },
    });
    await board.start([input]);
    expect(board.machine).toEqual({ batteryPermille: 800, power: Power.BATTERY });
    expect(board.known("wlan0")).toEqual({ signalDbm: -71.5, kind: PathKind.WIFI, metered: false });
    write({ interfaces: { wwan0: { expensive: true, colour: "red", signalDbm: "loud" } } });
    await expect.poll(() => board.known("wwan0")).toEqual({ expensive: true });
    expect(board.known("wlan0")).toEqual({});
    expect(board.machine).toEqual({});
  });

  test("that is not there yet is no complaint, nor is half a file", async () => {
    await board.start([input]);
    write("{ half");
    write({ interfaces: { wlan0: { signalDbm: -60 } } });
    await expect.poll(() => board.known("wlan0").signalDbm).toBe(-60);
    rmSync(file);
    await expect.poll(() => board.known("wlan0")).toEqual({});
    expect(problems).toEqual([]);
  });

  test("in a directory that is not there is told", async () => {
    await board.start([new FileInput("/nowhere/inputs.json")]);
    expect(problems[0]).toMatch(/^file:\/nowhere\/inputs.json is not watched/);
  });
});
