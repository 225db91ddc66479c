// What if another path is faster, for a moment, for good, or only because we are not on it?
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PathState } from "../../../host/policy/abi.ts";
import { type WorldOptions, type WorldPath, worldOf } from "../../sdk/what-if.ts";

const start = worldOf(join(import.meta.dirname, ".."));

function measured(name: string, ms: number): WorldPath {
  return { name, state: PathState.ESTABLISHED, srttUs: ms * 1000, minRttUs: ms * 1000, rttvarUs: 500, lossPpm: 0 };
}

function world(paths: WorldPath[], settings: WorldOptions["settings"] = {}) {
  return start({ paths, settings });
}

describe("the shortest round-trip time", () => {
  test("carries the data after three seconds", () => {
    const w = world([measured("a", 60), measured("b", 20)]);
    w.advance(2900);
    expect(w.active).toBe("a");
    w.advance(200);
    expect(w.moves).toEqual([{ atMs: 3000, from: "a", to: "b", reason: "FASTER" }]);
  });

  test("does not if the difference is below a fifth", () => {
    const w = world([measured("a", 60), measured("b", 49)]);
    w.advance(20_000);
    expect(w.moves).toEqual([]);
    w.set("b", { srttUs: 47_000 });
    w.advance(4000);
    expect(w.active).toBe("b");
  });

  test("does not if the difference is below five milliseconds", () => {
    const w = world([measured("a", 8), measured("b", 4)]);
    w.advance(20_000);
    expect(w.moves).toEqual([]);
  });

  test("does not if it lasts for less than the hold", () => {
    const w = world([measured("a", 60), measured("b", 60)]);
    for (let i = 0; i < 20; i++) {
      w.set("b", { srttUs: 20_000 });
      w.advance(2500);
      w.set("b", { srttUs: 60_000 });
      w.advance(1500);
    }
    expect(w.moves).toEqual([]);
  });

  test("is not what was never measured, and every path is joined to be measured", () => {
    const w = world([measured("a", 60), { name: "b", state: PathState.UP }]);
    expect(w.last.standby).toEqual(["b"]);
    w.advance(20_000);
    expect(w.moves).toEqual([]);
  });
});

describe("the queue that our own data makes", () => {
  test("is no reason to leave", () => {
    const w = world([measured("a", 20), measured("b", 60)]);
    w.set("a", { srttUs: 180_000, minRttUs: 21_000 });
    w.advance(20_000);
    expect(w.moves).toEqual([]);
  });

  test("that never empties moves data ever more seldom", () => {
    const w = world([measured("a", 20), measured("b", 22)]);
    // Whichever carries the data is slow, the other one fast: as bad as it can be.
    w.advance(3_600_000, () => {
      for (const name of ["a", "b"]) {
        const ms = w.active === name ? 200 : 20;
        w.set(name, { srttUs: ms * 1000, minRttUs: ms * 1000 }, null);
      }
    });
    expect(w.moves.length).toBeGreaterThan(5);
    expect(w.moves.length).toBeLessThan(20);
    const last = w.moves.slice(-2).map(({ atMs }) => atMs);
    expect((last[1] ?? 0) - (last[0] ?? 0)).toBeGreaterThanOrEqual(300_000);
  });
});

describe("loss", () => {
  test("beyond five percent weighs more than any delay", () => {
    const w = world([measured("a", 20), measured("b", 300)]);
    w.set("a", { lossPpm: 60_000 });
    w.advance(4000);
    expect(w.moves).toMatchObject([{ to: "b", reason: "LOSS" }]);
  });

  test("below it weighs nothing", () => {
    const w = world([measured("a", 20), measured("b", 30)]);
    w.set("a", { lossPpm: 50_000 });
    w.advance(10_000);
    expect(w.moves).toEqual([]);
  });
});

test("a doubled hold survives a swap", () => {
  const w = world([measured("a", 60), measured("b", 20)]);
  w.advance(4000);
  w.set("b", { srttUs: 100_000, minRttUs: 100_000 });
  w.swap();
  w.advance(3500);
  expect(w.active).toBe("b");
  w.advance(4000);
  expect(w.active).toBe("a");
});

test("a doubled hold is forgotten after a quiet minute", () => {
  const w = world([measured("a", 60), measured("b", 20)]);
  w.advance(4000);
  w.set("b", { srttUs: 100_000, minRttUs: 100_000 });
  w.advance(7000);
  expect(w.active).toBe("a");
  w.advance(180_000);
  w.set("b", { srttUs: 20_000, minRttUs: 20_000 });
  w.advance(3000);
  expect(w.active).toBe("b");
});
