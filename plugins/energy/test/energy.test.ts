// What if the battery runs low, a flow is short or long, or the charger comes?
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PathKind, PathState, Power } from "../../../host/policy/abi.ts";
import { type WorldOptions, type WorldPath, worldOf } from "../../sdk/what-if.ts";

const start = worldOf(join(import.meta.dirname, ".."));

const WIFI: WorldPath = { name: "wifi", kind: PathKind.WIFI, state: PathState.ESTABLISHED };
const LTE: WorldPath = { name: "lte", kind: PathKind.CELLULAR, state: PathState.ESTABLISHED };

function world(paths: WorldPath[], options: Partial<WorldOptions> = {}) {
  return start({ power: Power.BATTERY, batteryPermille: 300, paths, ...options });
}

describe("on battery", () => {
  test("nothing is joined in advance", () => {
    const w = world([WIFI, { ...LTE, state: PathState.UP }]);
    w.advance(10_000);
    expect(w.path("lte").state).toBe(PathState.UP);
    expect(w.last).toMatchObject({ active: "wifi", standby: [] });
  });

  test("a short flow does not wake a second radio, although its octets would cost less there", () => {
    // LTE is awake and carries the flow; Wi-Fi costs 1200 nJ less per octet, but waking it 30 mJ: 31 kB at 25 % margin.
    const w = world([LTE, { ...WIFI, state: PathState.UP }]);
    w.set("lte", { ackedRateKbps: 20 }); // 25 kB in ten seconds
    w.advance(20_000);
    expect(w.moves).toEqual([]);
    expect(w.last.reason).toBe("SHORT_FLOW");
    expect(w.path("wifi").state).toBe(PathState.UP);
  });

  test("a long one does", () => {
    const w = world([LTE, { ...WIFI, state: PathState.UP }]);
    w.set("lte", { ackedRateKbps: 8000 });
    w.advance(6000);
    expect(w.moves).toMatchObject([{ from: "lte", to: "wifi", reason: "SAVES_ENERGY" }]);
  });

  test("a burst shorter than the hold does not", () => {
    const w = world([LTE, { ...WIFI, state: PathState.UP }]);
    for (let i = 0; i < 10; i++) {
      w.set("lte", { ackedRateKbps: 8000 });
      w.advance(4000);
      w.set("lte", { ackedRateKbps: 0 });
      w.advance(2000);
    }
    expect(w.moves).toEqual([]);
  });

  test("what saves less than a quarter is not worth a move, nor what saves nothing", () => {
    const cable = { name: "cable", kind: PathKind.ETHERNET, state: PathState.ESTABLISHED, energyPerByte: 900 };
    const w = world([cable, { ...WIFI, energyPerByte: 1000 }], { active: "wifi" });
    w.advance(10_000);
    w.set("wifi", { ackedRateKbps: 8000 });
    w.advance(10_000);
    expect(w.moves).toEqual([]);
    w.set("cable", { energyPerByte: 750 });
    w.advance(6000);
    expect(w.active).toBe("cable");
  });

  test("waking a cellular radio takes a lot to pay off", () => {
    const thirsty = { ...WIFI, energyPerByte: 2600 };
    const w = world([thirsty, { ...LTE, energyPerByte: 1000 }]);
    w.set("wifi", { ackedRateKbps: 4000 }); // 5 MB: 13 J against 5 + 12 J
    w.advance(10_000);
    expect(w.moves).toEqual([]);
    w.set("wifi", { ackedRateKbps: 16_000 }); // 20 MB: 52 J against 20 + 12 J
    w.advance(6000);
    expect(w.active).toBe("lte");
  });

  test("the radio that was left is closed while it is still awake, after a second of quiet", () => {
    const w = world([LTE, WIFI]);
    w.set("lte", { ackedRateKbps: 8000 });
    w.advance(5000);
    expect(w.active).toBe("wifi");
    const lastAckUs = 1_000_123_456 + w.nowMs * 1000;
    w.set("lte", { ackedRateKbps: 0, inFlight: 3000, lastAckUs });
    w.set("wifi", { ackedRateKbps: 8000, lastAckUs });
    w.advance(3000);
    expect(w.path("lte").state, "not with octets in flight").toBe(PathState.ESTABLISHED);
    w.set("lte", { inFlight: 0 });
    expect(w.last.close).toEqual(["lte"]);
  });

  test("one that sleeps already is not woken for that", () => {
    const w = world([WIFI, { ...LTE, lastAckUs: 1_000_123_456 - 60_000_000, inFlight: 0 }]);
    w.advance(10_000);
    expect(w.decisions.flatMap(({ close }) => close)).toEqual([]);
  });

  test("a broken radio is left at once, however dear the other", () => {
    const w = world([WIFI, { ...LTE, state: PathState.UP }]);
    w.advance(1000);
    w.down("wifi");
    expect(w.moves).toEqual([{ atMs: 1000, from: "wifi", to: "lte", reason: "PATH_LOST" }]);
  });
});

describe("when to save", () => {
  test("on mains the order of preference decides and everything is joined", () => {
    const w = world([WIFI, { ...LTE, state: PathState.UP }], { power: Power.MAINS });
    expect(w.last.standby).toEqual(["lte"]);
  });

  test("with nothing known about the battery too", () => {
    const w = start({ paths: [WIFI, { ...LTE, state: PathState.UP }] });
    expect(w.last.standby).toEqual(["lte"]);
  });

  test("it begins below the limit and ends well above it, or with the charger", () => {
    const w = world([WIFI, { ...LTE, state: PathState.UP }], { settings: { save_below: 0.5 }, batteryPermille: 500 });
    const saves = (permille: number, power: Power = Power.BATTERY) => {
      w.supply(power, permille);
      return w.last.standby.length === 0;
    };
    expect([500, 499, 520, 549, 550, 549].map((permille) => saves(permille))).toEqual([
      ...[false, true, true, true, false, false],
    ]);
    expect([saves(100), saves(100, Power.MAINS)]).toEqual([true, false]);
  });
});
