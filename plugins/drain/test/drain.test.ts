// What if a path, or the whole host, has to be left by a deadline?
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PathFlag, PathState } from "../../../host/policy/abi.ts";
import { type WorldOptions, type WorldPath, worldOf } from "../../sdk/what-if.ts";

const start = worldOf(join(import.meta.dirname, ".."));

const BUSY = { ackedRateKbps: 20_000, inFlight: 60_000 };
const A: WorldPath = { name: "a", state: PathState.ESTABLISHED, ...BUSY };
const B: WorldPath = { name: "b", state: PathState.ESTABLISHED, ackedRateKbps: 0, inFlight: 0 };

function world(settings: WorldOptions["settings"] = {}, paths = [A, B]) {
  const w = start({ paths, settings });
  w.advance(1000);
  return w;
}

const DRAINING = { flags: PathFlag.DRAINING };

test("with nothing to drain the order of preference decides", () => {
  const w = start({ paths: [A, B], active: "b" });
  w.advance(4000);
  expect(w.moves).toMatchObject([{ to: "a", reason: "PREFERRED" }]);
});

describe("a path that is flagged", () => {
  test("is left at the first quiet moment", () => {
    const w = world();
    w.set("a", DRAINING);
    w.advance(3000);
    expect(w.active).toBe("a");
    w.set("a", { ackedRateKbps: 10, inFlight: 0 });
    expect(w.moves).toEqual([{ atMs: 4000, from: "a", to: "b", reason: "QUIET_MOMENT" }]);
  });

  test("is left five seconds before the deadline if there is none", () => {
    const w = world({ within_ms: 30_500 });
    w.set("a", DRAINING);
    w.advance(25_499);
    expect(w.active).toBe("a");
    w.advance(1);
    expect(w.moves).toEqual([{ atMs: 26_500, from: "a", to: "b", reason: "DEADLINE" }]);
  });

  test("is left at once if there is no time", () => {
    const w = world({ within_ms: 0 });
    w.set("a", DRAINING);
    expect(w.moves).toMatchObject([{ atMs: 1000, to: "b", reason: "DEADLINE" }]);
  });

  test("is closed when nothing is in flight any more, and not joined again", () => {
    const w = world({ within_ms: 6000 });
    w.set("a", DRAINING);
    w.advance(1500);
    expect(w.active).toBe("b");
    expect(w.last.close).toEqual([]);
    w.set("a", { inFlight: 0 });
    expect(w.last.close).toEqual(["a"]);
    w.advance(20_000);
    expect(w.path("a").state).toBe(PathState.UP);
    expect(w.decisions.slice(-10).flatMap(({ standby }) => standby)).toEqual([]);
  });

  test("is closed at the deadline in any case, to the millisecond", () => {
    const w = world({ within_ms: 6500 });
    w.set("a", DRAINING);
    w.advance(6499);
    expect(w.path("a").state).toBe(PathState.ESTABLISHED);
    w.advance(1);
    expect(w.path("a").state).toBe(PathState.UP);
    expect(w.decisions.find(({ close }) => close.length > 0)?.atMs).toBe(7500);
  });

  test("waits for the other path to be joined", () => {
    const w = world({ within_ms: 0 }, [A, { ...B, state: PathState.UP }]);
    w.down("b");
    w.set("a", DRAINING);
    expect(w.moves).toEqual([]);
    w.up("b");
    expect(w.last).toMatchObject({ active: "a", reason: "JOINING", standby: ["b"] });
    w.advance(100);
    expect(w.moves).toMatchObject([{ to: "b", reason: "DEADLINE" }]);
  });

  test("gets its data back when the flag goes, after three seconds", () => {
    const w = world({ within_ms: 0 });
    w.set("a", DRAINING);
    w.advance(1000);
    w.set("a", { flags: 0 });
    w.advance(5000);
    expect(w.moves.at(-1)).toMatchObject({ to: "a", reason: "PREFERRED" });
  });
});

test("a flag that comes a second time has a deadline of its own", () => {
  const w = world();
  w.set("a", DRAINING);
  w.advance(20_000);
  w.set("a", { flags: 0 });
  w.set("a", DRAINING);
  w.advance(24_000);
  expect(w.active).toBe("a");
});

test("a path that the settings name is left like one that is flagged", () => {
  const w = world({ path: "a", within_ms: 6000 });
  w.advance(1000);
  expect(w.moves).toEqual([{ atMs: 1000, from: "a", to: "b", reason: "DEADLINE" }]);
  w.set("a", { inFlight: 0 });
  w.advance(10_000);
  expect(w.path("a").state).toBe(PathState.UP);
});

describe("a host that is to be left", () => {
  test("joins nothing, closes what is idle and keeps the active path", () => {
    const w = world();
    w.set("b", DRAINING, null);
    w.set("a", DRAINING);
    expect(w.last).toMatchObject({ active: "a", reason: "HOST_DRAINS", standby: [], close: ["b"] });
    w.advance(60_000);
    expect(w.moves).toEqual([]);
    expect(w.path("a").state).toBe(PathState.ESTABLISHED);
  });
});

test("the log says once that a path is to be left", () => {
  const w = world();
  expect(w.log).toEqual([]);
  w.set("a", DRAINING);
  w.advance(10_000);
  expect(w.log).toEqual(["a path is to be left; its time runs"]);
});

test("the deadline does not begin anew with a swap", () => {
  const w = world();
  w.set("a", DRAINING);
  w.advance(20_000);
  w.swap();
  w.advance(5000);
  expect(w.moves).toMatchObject([{ atMs: 26_000, reason: "DEADLINE" }]);
});
