import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import type { Radio } from "../../../../../host/engine/index.ts";
import { PathKind } from "../../../../../host/policy/abi.ts";
import { LOST_DBM, Nl80211Input } from "../../../../../host/policy/inputs/nl80211.ts";
import { WirelessInput, wirelessRows } from "../../../../../host/policy/inputs/wireless.ts";
import { VirtualClock } from "../world.ts";
import { fixture, Heard } from "./script.ts";

let clock: VirtualClock;
let heard: Heard;

beforeEach(() => {
  clock = new VirtualClock();
  heard = new Heard();
});

describe("nl80211", () => {
  const WLAN: Radio = { name: "wlan0", associated: true, signalDbm: -61, bitrateKbps: 130_000, beaconsLost: 2 };
  let now: Radio[] | null | Error;
  let asked: number;
  let input: Nl80211Input;

  beforeEach(() => {
    asked = 0;
    input = new Nl80211Input(async () => {
      asked++;
      if (now instanceof Error) throw now;
      return now;
    }, clock);
  });

  test("is asked once a second while there is Wi-Fi", async () => {
    now = [WLAN, { name: "wlan1", associated: false }];
    await input.start(heard);
    expect(heard.interfaces).toEqual({
      wlan0: { kind: PathKind.WIFI, signalDbm: -61, bitrateKbps: 130_000 },
      wlan1: { kind: PathKind.WIFI, signalDbm: null, bitrateKbps: null },
    });
    now = [{ ...WLAN, signalDbm: -64 }];
    await clock.pass(1000);
    expect(heard.interfaces.wlan0?.signalDbm).toBe(-64);
    expect(heard.interfaces.wlan1).toEqual({ kind: null, signalDbm: null, bitrateKbps: null });
    expect([asked, input.isThere]).toEqual([2, true]);
    input.stop();
    await clock.pass(60_000);
    expect([asked, clock.waiting]).toEqual([2, 0]);
  });

  test("without a driver is silent, and looks again when a link changes", async () => {
    now = null;
    await input.start(heard);
    await clock.pass(60_000);
    expect([asked, input.isThere, heard.interfaces, heard.problems]).toEqual([7, false, {}, []]);
    now = [WLAN];
    input.linksChanged();
    await clock.pass(0);
    expect(heard.interfaces.wlan0?.signalDbm).toBe(-61);
  });

  test("says that a radio is lost while beacons are missed, whatever the last level was", async () => {
    now = [WLAN];
    await input.start(heard);
    now = [{ ...WLAN, beaconsLost: 3 }];
    await clock.pass(1000);
    expect(heard.interfaces.wlan0?.signalDbm).toBe(LOST_DBM);
    await clock.pass(1000);
    expect(heard.interfaces.wlan0?.signalDbm).toBe(-61);
    // Another association counts from zero, and its first count is no loss.
    now = [{ name: "wlan0", associated: false }];
    await clock.pass(1000);
    now = [{ ...WLAN, beaconsLost: 9 }];
    await clock.pass(1000);
    expect(heard.interfaces.wlan0?.signalDbm).toBe(-61);
  });

  test("that fails is complained of once, and forgets its levels", async () => {
    now = [WLAN];
    await input.start(heard);
    now = new Error("netlink: No buffer space");
    await clock.pass(120_000);
    expect(heard.problems).toEqual(["input nl80211: netlink: No buffer space"]);
    expect(heard.interfaces.wlan0).toEqual({ kind: null, signalDbm: null, bitrateKbps: null });
    now = [WLAN];
    await clock.pass(30_000);
    expect(heard.interfaces.wlan0?.signalDbm).toBe(-61);
  });

  test("tells an operator what it finds", async () => {
    const found: unknown[] = [];
    for (now of [null, [], [WLAN, { name: "wlan1", associated: false }], new Error("no")])
      found.push(await input.look());
    expect(found).toEqual([
      { isThere: false, detail: "no driver for Wi-Fi is loaded" },
      { isThere: false, detail: "no Wi-Fi interface" },
      { isThere: true, detail: "wlan0 -61 dBm, wlan1 not associated" },
      { isThere: false, detail: "no" },
    ]);
  });
});

describe("/proc/net/wireless", () => {
  test("has a level in dBm, or none", () => {
    expect(wirelessRows(fixture("wireless.txt"))).toEqual([
      { name: "wlan0", signalDbm: -55, beacons: 0 },
      { name: "wlp3s0", signalDbm: -79, beacons: 7 },
      { name: "ra0", signalDbm: undefined, beacons: 0 },
    ]);
    expect(wirelessRows("wlan0: 0000 garbage here\nwlan0:\n: 1 2 3\n\u0000")).toEqual([]);
  });

  test("is read once a second, unless nl80211 tells the same", async () => {
    const directory = mkdtempSync(join(tmpdir(), "shunt-wireless-"));
    const file = join(directory, "wireless");
    let isSuperseded = false;
    const input = new WirelessInput({ file, isSuperseded: () => isSuperseded, clock });
    const text = fixture("wireless.txt");
    await input.start(heard);
    expect([input.isThere, heard.interfaces]).toEqual([false, {}]);
    writeFileSync(file, text);
    input.linksChanged();
    await clock.pass(0);
    await expect.poll(() => heard.interfaces.wlan0).toEqual({ kind: PathKind.WIFI, signalDbm: -55 });
    expect(heard.interfaces.ra0).toEqual({ kind: PathKind.WIFI, signalDbm: null });
    writeFileSync(file, text.replace("12        0", "12        1").replace(/.*ra0.*\n/, ""));
    await clock.pass(1000);
    await expect.poll(() => heard.interfaces.wlan0?.signalDbm).toBe(LOST_DBM);
    expect(heard.interfaces.ra0).toEqual({ kind: null, signalDbm: null });
    isSuperseded = true;
    await clock.pass(1000);
    await expect.poll(() => heard.interfaces.wlp3s0).toEqual({ kind: null, signalDbm: null });
    expect([input.isThere, heard.problems]).toEqual([false, []]);
    input.stop();
    rmSync(directory, { recursive: true });
  });
});
