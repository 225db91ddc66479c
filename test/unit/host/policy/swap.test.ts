import { beforeEach, describe, expect, test } from "vitest";
import { Event } from "../../../../host/policy/abi.ts";
import { TICK_MS } from "../../../../host/policy/schedule.ts";
import { compiled, fault, NO_SETTINGS, RunnerWorld, type Script, settled, wants } from "./world.ts";

let world: RunnerWorld;

beforeEach(() => {
  world = new RunnerWorld();
});

describe("a swap", () => {
  const counting: Script = {
    keeps: true,
    decide: (_table, memory) => {
      memory.count = (memory.count ?? 0) + 1;
      return { activePathId: 1 };
    },
  };

  test("carries the state over, and no instance stays behind", async () => {
    await world.use(counting, "one");
    await world.clock.pass(3 * TICK_MS);
    await world.use(counting, "two");
    expect(world.sandbox.states).toEqual([null, '{"count":4}']);
    expect(world.sandbox.alive.size).toBe(1);
    expect(world.runner.status.policy).toBe("two");
    expect(world.news.at(-1)).toMatchObject({ kind: "swapped", before: "one", policy: "two" });
  });

  const breaking: Script = {
    decide: () => {
      throw fault("trap");
    },
  };

  test.each([
    ["breaks", breaking, "broken on purpose"],
    ["makes no sense", wants({ activePathId: 9 }), "its first decision was refused: it names a path"],
  ])("to a policy that %s changes nothing", async (_, script, message) => {
    await world.use(counting, "one");
    await expect(world.use(script, "two")).rejects.toThrow(message);
    expect(world.runner.status).toMatchObject({ state: "running", policy: "one", fault: null });
    await world.clock.pass(2 * TICK_MS);
    expect(world.sandbox.alive.size).toBe(1);
    expect(world.engine.actives).toEqual([1]);
  });

  test("is no way around the guard", async () => {
    await world.use(wants({ activePathId: 2 }), "one");
    await world.use(wants({ activePathId: 1 }), "two");
    expect(world.engine.actives).toEqual([2]);
    expect(world.runner.status).toMatchObject({ policy: "two", decision: { refusal: "dwell" } });
    await world.clock.pass(2 * TICK_MS);
    expect(world.engine.actives).toEqual([2, 1]);
  });

  test("every 100 ms for a minute: each decision is made, once, by a policy with all that was known", async () => {
    await world.use(counting, "one");
    for (let i = 0; i < 600; i++) {
      await world.use(counting, i % 2 === 0 ? "two" : "one");
      world.runner.notify({ event: Event.PATH_UP, path: 2 });
      await world.clock.pass(100);
    }
    const decided = world.sandbox.tables.filter(({ event }) => event === Event.PATH_UP);
    expect(decided).toHaveLength(600);
    expect(world.sandbox.tables).toHaveLength(1201);
    await world.use(counting, "last");
    expect(world.sandbox.states.at(-1)).toBe('{"count":1201}');
    expect(world.sandbox.alive.size).toBe(1);
  });

  test("waits for the decision that is being made, and those asked for meanwhile come after", async () => {
    await world.use(counting, "one");
    const release = world.hold();
    world.runner.notify({ event: Event.PATH_DOWN, path: 2 });
    await settled();
    const swap = world.use(counting, "two");
    world.runner.notify({ event: Event.PATH_UP, path: 2 });
    await settled();
    release();
    await swap;
    await settled();
    expect(world.causes).toEqual([Event.START, Event.PATH_DOWN, Event.START, Event.PATH_UP]);
  });

  test("to the native policy tells the engine its preferences, and ends the instance", async () => {
    await world.use(counting, "one");
    await world.runner.useNative();
    expect(world.runner.status).toMatchObject({ state: "native", policy: "active-standby" });
    expect(world.engine.classes.at(-1)).toEqual([0, { prefer: [1, 2], paths: null, probeMs: 0 }]);
    expect(world.sandbox.alive.size).toBe(0);
    expect(world.clock.waiting).toBe(0);
  });

  test("between policies that probe differently tells the engine, and the intent anew", async () => {
    await world.runner.use(compiled("one", wants({ activePathId: 2 })), { ...NO_SETTINGS, probeMs: 500 });
    expect(world.engine.classes).toEqual([[0, { prefer: [1, 2], paths: null, probeMs: 500 }]]);
    await world.clock.pass(2 * TICK_MS);
    await world.runner.use(compiled("two", wants({ activePathId: 2 })), NO_SETTINGS);
    expect(world.engine.classes.at(-1)).toEqual([0, { prefer: [2, 1], paths: null, probeMs: 0 }]);
    expect(world.engine.actives).toEqual([2, 2]);
  });
});

describe("new terms", () => {
  test("move nobody: what is in force stands first, and the intent is told again", async () => {
    await world.use(wants({ activePathId: 2 }));
    await world.runner.renew();
    expect(world.engine.classes).toEqual([[0, { prefer: [2, 1], paths: null, probeMs: 0 }]]);
    expect(world.engine.actives).toEqual([2, 2]);
  });
});

describe("a shadow", () => {
  test("decides on the same tables; what it would do otherwise is told when it begins", async () => {
    await world.use(wants({ activePathId: 1, standbyMask: 2 }));
    let other = 1;
    const follower = { decide: () => ({ activePathId: other, standbyMask: 2 }) };
    await world.runner.shadow(compiled("follower", follower), NO_SETTINGS);
    await world.clock.pass(TICK_MS);
    expect(world.kinds).not.toContain("diverged");
    other = 2;
    await world.clock.pass(3 * TICK_MS);
    const told = world.news.filter((entry) => entry.kind === "diverged");
    expect(told).toMatchObject([{ first: true }, { first: false }, { first: false }]);
    expect(told[0]).toMatchObject({ shadow: "follower", detail: "active lte instead of wifi" });
    expect(world.runner.status.shadow).toEqual({ policy: "follower", decisions: 4, diverged: 3 });
    expect(world.engine.actives).toEqual([1]);
  });

  test("that breaks is gone, and nothing else has happened", async () => {
    await world.use(wants({ activePathId: 1 }));
    const decide = () => {
      throw fault("fuel");
    };
    await world.runner.shadow(compiled("follower", { decide }), NO_SETTINGS);
    await world.clock.pass(2 * TICK_MS);
    expect(world.news.filter(({ kind }) => kind === "shadow_fault")).toMatchObject([
      { fault: "fuel", shadow: "follower" },
    ]);
    expect(world.runner.status).toMatchObject({ state: "running", shadow: null });
    expect(world.sandbox.alive.size).toBe(1);
  });

  test("ends when a policy takes over", async () => {
    await world.use(wants({ activePathId: 1 }));
    await world.runner.shadow(compiled("follower", wants({})), NO_SETTINGS);
    await world.use(wants({ activePathId: 1 }), "follower");
    expect(world.runner.status.shadow).toBeNull();
    expect(world.sandbox.alive.size).toBe(1);
  });

  test("of the native policy is refused", async () => {
    await expect(world.runner.shadow(compiled("follower", wants({})), NO_SETTINGS)).rejects.toThrow("no loaded policy");
  });
});
