import { beforeEach, expect, test } from "vitest";
import { PathKind } from "../../../../../host/policy/abi.ts";
import { ModemManagerInput } from "../../../../../host/policy/inputs/modem-manager.ts";
import { bearerInterface, modemLevel, modemList, modemReport } from "../../../../../host/policy/inputs/modem-report.ts";
import { VirtualClock } from "../world.ts";
import { fixture, Heard, ScriptPrograms } from "./script.ts";

const MODEM = "/org/freedesktop/ModemManager1/Modem/0";
const BEARER = "/org/freedesktop/ModemManager1/Bearer";
const LIST = "mmcli -L -J";
const SIGNAL = `mmcli -m ${MODEM} --signal-get -J`;

let clock: VirtualClock;
let heard: Heard;
let programs: ScriptPrograms;
let input: ModemManagerInput;

beforeEach(() => {
  clock = new VirtualClock();
  heard = new Heard();
  programs = new ScriptPrograms();
  programs.answers.set(LIST, fixture("mmcli-list.json"));
  programs.answers.set(`mmcli -m ${MODEM} -J`, fixture("mmcli-modem.json"));
  programs.answers.set(`mmcli -b ${BEARER}/1 -J`, fixture("mmcli-bearer.json"));
  programs.answers.set(SIGNAL, fixture("mmcli-signal.json"));
  input = new ModemManagerInput(programs.run, clock);
});

async function start(): Promise<void> {
  await input.start(heard);
  await clock.pass(0);
}

test("a modem's level, roaming and interfaces are told", async () => {
  await start();
  const facts = { kind: PathKind.CELLULAR, expensive: true, signalDbm: -68.5 };
  // The port, and what a multiplexed bearer made of it; a bearer that is not there any more is passed over.
  expect(heard.interfaces).toEqual({ wwan0: facts, "qmapmux0.0": facts });
  expect([input.isThere, heard.problems]).toEqual([true, []]);
});

test("levels are asked for every two seconds, everything else every ten", async () => {
  await start();
  programs.calls = [];
  programs.answers.set(SIGNAL, fixture("mmcli-signal.json").replace("-68.50", "-75.25"));
  await clock.pass(9000);
  expect(heard.interfaces.wwan0?.signalDbm).toBe(-75.25);
  expect(programs.calls).toEqual([SIGNAL, SIGNAL, SIGNAL, SIGNAL]);
  await clock.pass(1000);
  expect(programs.calls[4]).toBe(LIST);
  input.stop();
  await clock.pass(60_000);
  expect([programs.calls.length, clock.waiting]).toEqual([9, 0]);
});

test("without a refresh rate the quality in percent must do, and is asked for less often", async () => {
  programs.answers.set(SIGNAL, fixture("mmcli-signal-off.json"));
  await start();
  expect(heard.interfaces.wwan0?.signalDbm).toBe(-82);
  programs.calls = [];
  await clock.pass(9000);
  expect(programs.calls).toEqual([]);
  const detail = "wwan0 qmapmux0.0 about -82 dBm; for exact levels: mmcli -m any --signal-setup=2";
  expect(await input.look()).toEqual({ isThere: true, detail });
});

test("a modem that is gone is forgotten", async () => {
  await start();
  programs.answers.set(LIST, '{"modem-list":[]}\n');
  await clock.pass(10_000);
  expect(heard.interfaces.wwan0).toEqual({ kind: null, expensive: null, signalDbm: null });
  programs.calls = [];
  await clock.pass(29_000);
  expect(programs.calls).toEqual([]);
  // One that is plugged in makes a link.
  programs.answers.set(LIST, fixture("mmcli-list.json"));
  input.linksChanged();
  await clock.pass(1000);
  expect(heard.interfaces.wwan0?.signalDbm).toBe(-68.5);
});

test.each([
  ["is not installed", { kind: "absent" as const }, "mmcli is not installed: ModemManager tells of modems"],
  [
    "has no service to ask",
    { kind: "failed" as const, line: "error: couldn't find the ModemManager process in the bus" },
  ],
  ["knows of no modem", '{"modem-list":[]}', "ModemManager knows of no modem"],
])("mmcli that %s is no complaint", async (_, answer, detail?: string) => {
  programs.answers.set(LIST, answer);
  await start();
  await clock.pass(60_000);
  expect([heard.interfaces, heard.problems]).toEqual([{}, []]);
  const line = typeof answer === "object" && answer.kind === "failed" ? answer.line : detail;
  expect(await input.look()).toEqual({ isThere: false, detail: line });
});

test("what is no JSON is complained of once", async () => {
  programs.answers.set(SIGNAL, "Successfully\n");
  await start();
  await clock.pass(60_000);
  expect(heard.problems).toEqual(["input modemmanager: mmcli answers what is no JSON"]);
  expect(heard.interfaces.wwan0?.signalDbm).toBe(-82);
});

test("the level is that of the technology in use, on one scale", () => {
  const signal = fixture("mmcli-signal.json");
  expect(modemLevel(signal, ["lte", "5gnr"])).toBe(-68.5);
  expect(modemLevel(signal, ["umts", "hspa-plus"])).toBe(-90);
  // RSRP -85 is half of its scale, as RSSI -82 is.
  expect(modemLevel(signal, ["5gnr"])).toBe(-82);
  expect(modemLevel(signal, ["gsm"])).toBeNull();
  expect(modemLevel(signal, ["unknown"])).toBe(-68.5);
  expect(modemLevel(fixture("mmcli-signal-off.json"), ["lte"])).toBeNull();
});

test("roaming, home, and nothing", () => {
  const state = (text: string) => modemReport(fixture("mmcli-modem.json").replace('"roaming"', `"${text}"`));
  expect(state("roaming").facts.expensive).toBe(true);
  expect(state("roaming-csfb-not-preferred").facts.expensive).toBe(true);
  expect(state("home").facts.expensive).toBe(false);
  expect(state("searching").facts.expensive).toBeNull();
  expect(state("--").facts.expensive).toBeNull();
});

test("JSON of any other shape says nothing", () => {
  for (const odd of ["{}", "[]", "null", "7", '{"modem":[]}', '{"modem":{"generic":7,"signal":"x"},"bearer":[]}']) {
    expect(modemList(odd)).toEqual([]);
    expect(modemReport(odd)).toMatchObject({ interfaces: [], bearers: [], roughDbm: null });
    expect(modemLevel(odd, ["lte"])).toBeNull();
    expect(bearerInterface(odd)).toBeNull();
  }
});
