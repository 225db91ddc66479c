// What if several measures disagree?
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PathState, Power } from "../../../host/policy/abi.ts";
import { type WorldOptions, type WorldPath, worldOf } from "../../sdk/what-if.ts";

const start = worldOf(join(import.meta.dirname, ".."));

const WIFI: WorldPath = {
  ...{ name: "wifi", state: PathState.ESTABLISHED, signal: -550, slope: 0 },
  ...{ costMicroPerGB: 0, energyPerByte: 1300 },
};
const LTE: WorldPath = {
  ...{ name: "lte", state: PathState.ESTABLISHED, signal: -600, slope: 0 },
  ...{ costMicroPerGB: 3_000_000, energyPerByte: 2500 },
};

function world(options: Partial<WorldOptions> = {}) {
  return start({ paths: [WIFI, LTE], power: Power.BATTERY, batteryPermille: 500, ...options });
}

describe("weights", () => {
  // With the defaults LTE's price and hunger weigh 0.3 + 0.2 × (1 − 0.52): Wi-Fi may fade by 0.79 + 0.2 of its range.
  test("price and energy keep data on a radio that fades", () => {
    const w = world();
    w.set("wifi", { signal: -790 });
    w.advance(10_000);
    expect(w.active).toBe("wifi");
  });

  test("signal alone moves it earlier", () => {
    const w = world({ settings: { cost: 0, energy: 0, signal: 1 } });
    w.set("wifi", { signal: -640 });
    w.advance(10_000);
    expect(w.moves).toMatchObject([{ to: "lte", reason: "SCORE" }]);
  });

  test("cost alone ignores the signal, until it is lost", () => {
    const w = world({ settings: { cost: 1, energy: 0, signal: 0 } });
    w.set("wifi", { signal: -840 });
    w.advance(10_000);
    expect(w.active).toBe("wifi");
    w.set("wifi", { signal: -850 });
    expect(w.moves).toMatchObject([{ to: "lte", reason: "SIGNAL_FALLING" }]);
  });

  test("energy counts on battery only", () => {
    const settings = { cost: 0, energy: 1, signal: 0 };
    const onBattery = world({ settings, active: "lte" });
    onBattery.advance(6000);
    expect(onBattery.active).toBe("wifi");
    const onMains = world({ settings, active: "lte", power: Power.MAINS });
    onMains.advance(6000);
    expect(onMains.active).toBe("lte");
  });

  test("all zero are an error", () => {
    expect(() => world({ settings: { cost: 0, energy: 0, signal: 0 } })).toThrow("BAD_SETTINGS");
  });
});

describe("no flapping", () => {
  test("a lead of less than the margin is none", () => {
    const w = world({ settings: { cost: 0, energy: 0, signal: 1 } });
    w.set("wifi", { signal: -620 }); // 0.08 of the range
    w.advance(20_000);
    expect(w.moves).toEqual([]);
  });

  test("a lead of less than the hold is none", () => {
    const w = world({ settings: { cost: 0, energy: 0, signal: 1 } });
    for (let i = 0; i < 20; i++) {
      w.set("wifi", { signal: -800 });
      w.advance(4000);
      w.set("wifi", { signal: -550 });
      w.advance(1000);
    }
    expect(w.moves).toEqual([]);
  });
});

test("a radio that will be lost within three seconds is left at once", () => {
  const w = world();
  w.advance(1000);
  w.set("wifi", { signal: -700, slope: -60 });
  expect(w.moves).toEqual([{ atMs: 1000, from: "wifi", to: "lte", reason: "SIGNAL_FALLING" }]);
});

test("a rise is not extrapolated", () => {
  const w = world({ active: "lte", settings: { cost: 0, energy: 0, signal: 1 } });
  w.set("lte", { signal: -700 });
  w.set("wifi", { signal: -860, slope: 300 });
  w.advance(10_000);
  expect(w.active).toBe("lte");
});

test("what is not known counts for nothing", () => {
  const w = start({ paths: [{ name: "a", state: PathState.ESTABLISHED }, LTE], active: "lte" });
  w.advance(6000);
  expect(w.active).toBe("a");
});
