// What if the radio fades, breaks, comes back, or only seems to?
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PathKind, PathState } from "../../../host/policy/abi.ts";
import { type WorldOptions, type WorldPath, worldOf } from "../../sdk/what-if.ts";

const start = worldOf(join(import.meta.dirname, ".."));

const WIFI: WorldPath = { name: "wifi", kind: PathKind.WIFI, state: PathState.ESTABLISHED, signal: -550, slope: 0 };
const LTE: WorldPath = { name: "lte", kind: PathKind.CELLULAR, state: PathState.UP };
const CABLE: WorldPath = { name: "cable", kind: PathKind.ETHERNET, state: PathState.UP };

function world(settings: WorldOptions["settings"] = {}, paths = [WIFI, LTE]) {
  return start({ paths, settings });
}

describe("before the break", () => {
  test("data moves when level and slope leave three seconds", () => {
    const w = world();
    w.advance(1000);
    w.set("wifi", { signal: -700, slope: -40 }); // 15 dB at 4 dB/s: 3.75 s
    expect(w.moves).toEqual([]);
    w.set("wifi", { signal: -740, slope: -40 }); // 2.75 s
    expect(w.moves).toEqual([{ atMs: 1000, from: "wifi", to: "lte", reason: "SIGNAL_FALLING" }]);
  });

  test("data moves when the level is there by surprise", () => {
    const w = world();
    w.advance(1000);
    w.set("wifi", { signal: -860, slope: 0 });
    expect(w.moves).toEqual([{ atMs: 1000, from: "wifi", to: "lte", reason: "SIGNAL_WEAK" }]);
  });

  test("with standby = false the other path is joined ten seconds ahead, and only then", () => {
    const w = world({ standby: false });
    w.advance(5000);
    expect(w.path("lte").state).toBe(PathState.UP);
    w.set("wifi", { signal: -700, slope: -20 }); // 7.5 s
    expect(w.last.standby).toEqual(["lte"]);
    w.advance(200);
    expect(w.path("lte").state).toBe(PathState.ESTABLISHED);
    expect(w.moves).toEqual([]);
  });

  test("with standby = true it is joined from the start", () => {
    const w = world();
    expect(w.last.standby).toEqual(["lte"]);
  });

  test("without a hold data moves all the same, and returns as soon as the radio is good", () => {
    const w = world({ hold_ms: 0 });
    w.advance(1000);
    w.set("wifi", { signal: -860 });
    w.set("wifi", { signal: -800 });
    expect(w.active).toBe("lte");
    w.set("wifi", { signal: -740 });
    expect(w.moves.map(({ to }) => to)).toEqual(["lte", "wifi"]);
  });

  test("a driver that tells no slope is judged by its level alone", () => {
    const w = world();
    w.advance(1000);
    w.set("wifi", { signal: -840, slope: undefined });
    expect(w.active).toBe("wifi");
    w.set("wifi", { signal: -850, slope: undefined });
    expect(w.active).toBe("lte");
  });
});

describe("the way back", () => {
  test("a radio that was left with a level must tell one again", () => {
    const w = world();
    w.advance(1000);
    w.set("wifi", { signal: -860, slope: 0 });
    w.set("wifi", { signal: undefined, slope: undefined });
    w.advance(60_000);
    expect(w.active).toBe("lte");
    w.set("wifi", { signal: -600 });
    w.advance(6000);
    expect(w.active).toBe("wifi");
  });

  test("it must be good for as long as the hold, however long ago it was last looked at", () => {
    const w = world();
    w.set("wifi", { signal: -860, slope: 0 });
    w.advance(10_900);
    w.set("wifi", { signal: -600, slope: 0 });
    w.advance(4900);
    expect(w.active).toBe("lte");
    w.advance(1200);
    expect(w.active).toBe("wifi");
  });
});

describe("no flapping", () => {
  test("a level that trembles around the limit moves data once", () => {
    const w = world();
    w.advance(1000);
    for (let i = 0; i < 120; i++) {
      w.set("wifi", { signal: i % 2 === 0 ? -860 : -800, slope: i % 2 === 0 ? -60 : 60 });
      w.advance(500);
    }
    expect(w.moves.length).toBe(1);
  });

  test("a slow fall is noise", () => {
    const w = world();
    for (let i = 0; i < 60; i++) {
      w.set("wifi", { signal: -840, slope: i % 2 === 0 ? -9 : 9 });
      w.advance(1000);
    }
    expect(w.moves).toEqual([]);
  });

  test("data returns when the radio was good for five seconds in a row, not before", () => {
    const w = world();
    w.advance(1000);
    w.set("wifi", { signal: -860 });
    w.advance(1000);
    w.set("wifi", { signal: -740, slope: 0 });
    w.advance(4000);
    w.set("wifi", { signal: -760 }); // under good_dbm: the five seconds begin anew
    w.advance(1000);
    w.set("wifi", { signal: -740 });
    w.advance(4900);
    expect(w.active).toBe("lte");
    w.advance(1100);
    expect(w.moves.slice(1)).toMatchObject([{ from: "lte", to: "wifi", reason: "SIGNAL_BACK" }]);
  });

  test("a radio that is good but falls is not returned to", () => {
    const w = world();
    w.advance(1000);
    w.set("wifi", { signal: -860 });
    w.set("wifi", { signal: -650, slope: -20 });
    w.advance(20_000);
    expect(w.active).toBe("lte");
  });
});

describe("after a break", () => {
  test("a radio that vanishes is left at once", () => {
    const w = world();
    w.advance(1000);
    w.down("wifi");
    expect(w.moves).toEqual([{ atMs: 1000, from: "wifi", to: "lte", reason: "PATH_LOST" }]);
  });

  test("a radio that falls silent is left at once", () => {
    const w = world();
    w.advance(1000);
    w.set("wifi", { state: PathState.STALE });
    expect(w.moves).toMatchObject([{ to: "lte", reason: "PATH_LOST" }]);
  });

  test("a path that is heard again must be heard for five seconds, a cable too", () => {
    for (const first of [WIFI, { ...CABLE, state: PathState.ESTABLISHED }]) {
      const w = world({}, [first, { ...LTE, state: PathState.ESTABLISHED }]);
      for (let i = 0; i < 10; i++) {
        w.set(first.name, { state: PathState.STALE });
        w.advance(1000);
        w.set(first.name, { state: PathState.ESTABLISHED });
        w.advance(3000);
      }
      expect(w.moves).toMatchObject([{ to: "lte", reason: "PATH_LOST" }]);
      w.advance(3000);
      expect(w.active).toBe(first.name);
    }
  });

  test("one that is back must stay before data returns", () => {
    const w = world();
    w.advance(1000);
    w.down("wifi");
    w.advance(1000);
    w.up("wifi");
    w.advance(4000);
    expect(w.active).toBe("lte");
    w.advance(2000);
    expect(w.active).toBe("wifi");
  });
});

describe("what there is to choose from", () => {
  test("a cable that comes is preferred at once if it stands first", () => {
    const w = world({}, [CABLE, WIFI]);
    expect(w.active).toBe("wifi");
    w.advance(200);
    expect(w.moves).toMatchObject([{ to: "cable", reason: "PREFERRED" }]);
  });

  test("of two fading radios the one that lasts longer, and not to and fro", () => {
    const second = { ...LTE, state: PathState.ESTABLISHED, signal: -830, slope: -20 }; // 1 s
    const w = world({}, [{ ...WIFI, signal: -760, slope: -30 }, second]); // 3 s
    expect(w.active).toBe("wifi");
    w.set("wifi", { signal: -840, slope: -10 }); // 1 s too
    w.set("lte", { signal: -800, slope: -20 }); // 2.5 s: no reason
    expect(w.moves).toEqual([]);
    w.set("lte", { signal: -750, slope: -20 }); // 5 s
    expect(w.moves).toMatchObject([{ to: "lte" }]);
  });

  test("with nowhere to go data stays", () => {
    const w = world({}, [WIFI]);
    w.set("wifi", { signal: -900, slope: -50 });
    expect(w.last).toMatchObject({ active: "wifi", reason: "ONLY_PATH" });
  });
});

test("what was left is remembered across a swap", () => {
  const w = world();
  w.advance(1000);
  w.set("wifi", { signal: -860 });
  w.set("wifi", { signal: -700, slope: 0 }, null);
  w.swap();
  w.advance(4000);
  expect(w.active).toBe("lte");
});

test("settings that contradict each other are an error", () => {
  expect(() => world({ good_dbm: -100, lost_dbm: -90 })).toThrow("BAD_SETTINGS");
});
