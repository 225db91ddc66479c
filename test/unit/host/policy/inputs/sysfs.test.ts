// Trees as Documentation/ABI/testing/sysfs-class-power and sysfs-class-net of the kernel describe them.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { PathKind, Power } from "../../../../../host/policy/abi.ts";
import { LinkKindInput, linkKind } from "../../../../../host/policy/inputs/link-kind.ts";
import { PowerSupplyInput } from "../../../../../host/policy/inputs/power-supply.ts";
import { VirtualClock } from "../world.ts";
import { Heard } from "./script.ts";

let directory: string;
let clock: VirtualClock;
let heard: Heard;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "shunt-sysfs-"));
  clock = new VirtualClock();
  heard = new Heard();
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A folder of sysfs; a value of {} is a folder in it. */
function device(name: string, files: Record<string, string | number | object>): void {
  mkdirSync(join(directory, name), { recursive: true });
  for (const [file, value] of Object.entries(files)) {
    if (typeof value === "object") mkdirSync(join(directory, name, file), { recursive: true });
    else writeFileSync(join(directory, name, file), `${value}\n`);
  }
}

describe("/sys/class/power_supply", () => {
  const BAT0 = { type: "Battery", present: 1, status: "Discharging", capacity: 61 };

  async function said() {
    const input = new PowerSupplyInput(directory, clock);
    heard = new Heard();
    await input.start(heard);
    input.stop();
    expect(heard.problems).toEqual([]);
    return [heard.machine.batteryPermille, heard.machine.power];
  }

  test("a battery by its energy, finer than its percent", async () => {
    device("AC", { type: "Mains", online: 0 });
    device("BAT0", { ...BAT0, energy_now: 30_450_000, energy_full: 50_000_000, energy_full_design: 57_000_000 });
    expect(await said()).toEqual([609, Power.BATTERY]);
  });

  test("a battery by its charge, or by its percent", async () => {
    device("BAT0", { ...BAT0, charge_now: 1_000_000, charge_full: 4_000_000 });
    expect(await said()).toEqual([250, Power.BATTERY]);
    rmSync(join(directory, "BAT0/charge_full"));
    expect(await said()).toEqual([610, Power.BATTERY]);
  });

  test("several batteries, each by its size", async () => {
    device("BAT0", { ...BAT0, status: "Not charging", energy_now: 10_000_000, energy_full: 10_000_000 });
    device("BAT1", { ...BAT0, energy_now: 5_000_000, energy_full: 40_000_000 });
    expect(await said()).toEqual([300, Power.BATTERY]);
    // One without figures of energy: percents are all there is.
    device("BAT2", { ...BAT0, capacity: 31 });
    expect(await said()).toEqual([510, Power.BATTERY]);
  });

  test.each([
    ["mains, charging", "Charging", 1, Power.MAINS],
    ["mains, full", "Full", 1, Power.MAINS],
    ["a charger too weak", "Discharging", 1, Power.BATTERY],
    ["a driver that does not know", "Unknown", 0, Power.BATTERY],
    ["a driver that does not know, on mains", "Unknown", 1, Power.MAINS],
  ])("%s", async (_, status, online, power) => {
    device("AC", { type: "Mains", online });
    device("BAT0", { ...BAT0, status });
    expect((await said())[1]).toBe(power);
  });

  test("a charger by USB with a voltage of its own choice is mains, too", async () => {
    device("ucsi-source-psy-USBC000:001", { type: "USB", online: 2 });
    expect(await said()).toEqual([null, Power.MAINS]);
  });

  test("a mouse's battery is not the machine's, nor is one that is not there", async () => {
    device("hidpp_battery_0", { ...BAT0, scope: "Device", capacity: 5 });
    device("BAT1", { ...BAT0, present: 0, capacity: 0 });
    expect(await said()).toEqual([null, null]);
    const input = new PowerSupplyInput(directory, clock);
    const detail = "this machine has no battery and tells of no mains";
    expect(await input.look()).toEqual({ isThere: false, detail });
  });

  test("rubbish says nothing", async () => {
    device("BAT0", { type: "Battery", capacity: "-12", energy_now: "x", energy_full: 0, status: "\u0000" });
    device("BAT1", { capacity: {} });
    expect(await said()).toEqual([null, null]);
    device("BAT0", { energy_now: 12, energy_full: 0, capacity: 200 });
    expect(await said()).toEqual([1000, null]);
    rmSync(directory, { recursive: true });
    expect(await said()).toEqual([null, null]);
  });

  test("is read every ten seconds", async () => {
    device("AC", { type: "Mains", online: 1 });
    const input = new PowerSupplyInput(directory, clock);
    await input.start(heard);
    expect([input.isThere, heard.machine.power]).toEqual([true, Power.MAINS]);
    device("AC", { online: 0 });
    device("BAT0", BAT0);
    await clock.pass(9999);
    expect(heard.machine.power).toBe(Power.MAINS);
    await clock.pass(1);
    await expect.poll(() => heard.machine).toEqual({ batteryPermille: 610, power: Power.BATTERY });
    expect(await input.look()).toEqual({ isThere: true, detail: "power battery, 61 %" });
    input.stop();
    await expect.poll(() => clock.waiting).toBe(0);
  });
});

describe("/sys/class/net", () => {
  test.each([
    ["Wi-Fi", { type: 1, uevent: "DEVTYPE=wlan\nINTERFACE=x", phy80211: {}, device: {} }, PathKind.WIFI],
    ["Wi-Fi with wireless extensions alone", { type: 1, wireless: {}, device: {} }, PathKind.WIFI],
    ["a modem that speaks Ethernet", { type: 1, uevent: "DEVTYPE=wwan\nINTERFACE=x", device: {} }, PathKind.CELLULAR],
    ["a modem that speaks IP alone", { type: 65534, uevent: "DEVTYPE=wwan", device: {} }, PathKind.CELLULAR],
    ["a modem's multiplexed link", { type: 519 }, PathKind.CELLULAR],
    ["a card", { type: 1, uevent: "INTERFACE=x", device: {} }, PathKind.ETHERNET],
    ["TUN", { type: 65534, tun_flags: "0x1001" }, PathKind.TUNNEL],
    ["WireGuard", { type: 65534, uevent: "DEVTYPE=wireguard" }, PathKind.TUNNEL],
    ["IP in IP", { type: 768 }, PathKind.TUNNEL],
    ["a bridge", { type: 1, uevent: "DEVTYPE=bridge" }, null],
    ["veth", { type: 1, uevent: "INTERFACE=x" }, null],
    ["PPP", { type: 512, uevent: "DEVTYPE=ppp" }, null],
    ["rubbish", { type: "\u0000", uevent: "DEVTYPE=__proto__" }, null],
  ])("%s", async (_, files, kind) => {
    device("x", { ifindex: 5, ...files });
    expect(await linkKind(directory, "x", 5)).toBe(kind);
    // Another interface of the same name, in another network namespace.
    expect(await linkKind(directory, "x", 6)).toBeNull();
    expect(await linkKind(directory, "y", 5)).toBeNull();
    expect(await linkKind(join(directory, "x"), "..", 5)).toBeNull();
  });

  test("kinds are told when links appear, and forgotten when they go", async () => {
    device("wlan0", { ifindex: 3, type: 1, phy80211: {} });
    device("eth0", { ifindex: 2, type: 1, device: {} });
    const input = new LinkKindInput(directory);
    await input.start(heard);
    const wlan0 = { name: "wlan0", index: 3 };
    input.linksChanged([wlan0, { name: "eth0", index: 0 }]);
    await expect.poll(() => heard.interfaces).toEqual({ wlan0: { kind: PathKind.WIFI }, eth0: { kind: null } });
    input.linksChanged([wlan0, { name: "eth0", index: 2 }]);
    await expect.poll(() => heard.interfaces.eth0?.kind).toBe(PathKind.ETHERNET);
    input.linksChanged([{ name: "wlan0", index: 0 }]);
    await expect.poll(() => heard.interfaces.wlan0?.kind).toBeNull();
    expect(await input.look()).toEqual({ isThere: true, detail: "eth0 ethernet, wlan0 wifi" });
    input.stop();
  });
});
