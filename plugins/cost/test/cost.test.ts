// What if a path costs more, a quota runs out, a month begins, or a free network comes and goes?
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PathFlag, PathState } from "../../../host/policy/abi.ts";
import { type WorldOptions, type WorldPath, worldOf } from "../../sdk/what-if.ts";

const start = worldOf(join(import.meta.dirname, ".."));

const MB = 1_000_000;
const LTE: WorldPath = { name: "lte", state: PathState.ESTABLISHED, costMicroPerGB: 3_000_000, quotaLeft: 5000 * MB };
const DSL: WorldPath = { name: "dsl", state: PathState.ESTABLISHED, costMicroPerGB: 10_000 };
const FREE: WorldPath = { name: "free", state: PathState.UP };

function world(paths: WorldPath[], settings: WorldOptions["settings"] = {}) {
  return start({ paths, settings });
}

describe("price", () => {
  test("data moves to a cheaper path after five seconds", () => {
    const w = world([LTE, DSL]);
    w.advance(4900);
    expect(w.active).toBe("lte");
    expect(w.last.reason).toBe("HOLDING");
    w.advance(100);
    expect(w.moves).toEqual([{ atMs: 5000, from: "lte", to: "dsl", reason: "CHEAPER" }]);
  });

  test("a hold that is no whole second ends on time", () => {
    const w = world([LTE, DSL], { hold_ms: 2500 });
    w.advance(4000);
    expect(w.moves).toMatchObject([{ atMs: 2500, to: "dsl" }]);
  });

  test("a free path is joined first, and its five seconds run meanwhile", () => {
    const w = world([DSL, FREE]);
    expect(w.last.standby).toContain("free");
    w.advance(6000);
    expect(w.moves).toMatchObject([{ atMs: 5000, to: "free" }]);
  });

  test("a free network that comes and goes gets no data", () => {
    const w = world([DSL, FREE]);
    for (let i = 0; i < 20; i++) {
      w.advance(4000);
      w.down("free");
      w.advance(1000);
      w.up("free");
    }
    expect(w.moves).toEqual([]);
  });

  test("between equal prices the order of preference decides", () => {
    const w = world([DSL, { ...DSL, name: "second" }]);
    w.advance(10_000);
    expect(w.moves).toEqual([]);
    const back = start({ paths: [{ ...DSL, name: "first" }, DSL], active: "dsl" });
    back.advance(6000);
    expect(back.moves).toMatchObject([{ to: "first", reason: "PREFERRED" }]);
  });

  test("a metered path of unknown price is taken for dear, any other for free", () => {
    const metered = { name: "hotspot", state: PathState.ESTABLISHED, flags: PathFlag.METERED };
    const w = world([metered, LTE]);
    w.advance(6000);
    expect(w.active).toBe("lte");
    const cheap = world([metered, LTE], { metered_price: 1000 });
    cheap.advance(6000);
    expect(cheap.active).toBe("hotspot");
  });

  test("roaming costs more than any price", () => {
    const w = world([{ ...DSL, flags: PathFlag.EXPENSIVE }, LTE]);
    w.advance(6000);
    expect(w.active).toBe("lte");
  });

  test("with standby = false only what is cheaper is joined", () => {
    const w = world([DSL, { ...LTE, state: PathState.UP }], { standby: false });
    w.advance(6000);
    expect(w.path("lte").state).toBe(PathState.UP);
  });
});

describe("quota", () => {
  const cheap = { ...LTE, costMicroPerGB: 0 };

  test("a path is left at once when less than the reserve remains", () => {
    const w = world([cheap, DSL]);
    w.advance(10_000);
    w.set("lte", { quotaLeft: 100 * MB });
    expect(w.moves).toEqual([]);
    w.set("lte", { quotaLeft: 99 * MB });
    expect(w.moves).toEqual([{ atMs: 10_000, from: "lte", to: "dsl", reason: "QUOTA" }]);
  });

  test("it is used again when the next period begins", () => {
    const w = world([{ ...cheap, quotaLeft: 0 }, DSL]);
    w.advance(20_000);
    expect(w.active).toBe("dsl");
    w.set("lte", { quotaLeft: 5000 * MB });
    w.advance(6000);
    expect(w.active).toBe("lte");
  });

  test("and before that only when nothing else is left", () => {
    const w = world([{ ...cheap, quotaLeft: 0 }, DSL]);
    w.advance(1000);
    w.down("dsl");
    expect(w.active).toBe("lte");
    w.up("dsl");
    w.advance(200);
    expect(w.moves.at(-1)).toMatchObject({ to: "dsl", reason: "QUOTA" });
  });

  test("of two that are used up, the cheaper", () => {
    const w = world([
      { ...LTE, quotaLeft: 0 },
      { ...DSL, quotaLeft: 0 },
    ]);
    w.advance(6000);
    expect(w.active).toBe("dsl");
  });
});

test("a path that breaks is left at once, whatever the other costs", () => {
  const w = world([DSL, LTE]);
  w.advance(500);
  w.down("dsl");
  expect(w.moves).toEqual([{ atMs: 500, from: "dsl", to: "lte", reason: "PATH_LOST" }]);
});
