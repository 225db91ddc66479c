import { beforeEach, describe, expect, test } from "vitest";
import { Event, PathState, Reason, Refusal } from "../../../../host/policy/abi.ts";
import type { TableRecord } from "../../../../host/policy/records.ts";
import { NONSENSE_MAX, RETRY_MS, STEADY_MS } from "../../../../host/policy/runner.ts";
import { CROWD_MS, REFUSED_MS, TICK_MS, WAKE_MIN_MS } from "../../../../host/policy/schedule.ts";
import { LINES_PER_MINUTE } from "../../../../host/policy/voice.ts";
import { classFigures, compiled, fault, NO_SETTINGS, RunnerWorld, settled, wants } from "./world.ts";

let world: RunnerWorld;

beforeEach(() => {
  world = new RunnerWorld();
});

describe("a decision is made", () => {
  test("at the start, and once a second", async () => {
    await world.use(wants({ activePathId: 1 }));
    expect(world.causes).toEqual([Event.START]);
    await world.clock.pass(3 * TICK_MS);
    expect(world.causes).toEqual([Event.START, Event.TICK, Event.TICK, Event.TICK]);
  });

  test("at once when a link changes, and the second of the next tick begins anew", async () => {
    await world.use(wants({ activePathId: 1 }));
    await world.clock.pass(400);
    world.runner.notify({ event: Event.PATH_DOWN, path: 2 });
    await settled();
    expect(world.sandbox.tables.at(-1)).toMatchObject({ event: Event.PATH_DOWN, eventPathId: 2 });
    await world.clock.pass(TICK_MS - 1);
    expect(world.causes).toHaveLength(2);
    await world.clock.pass(1);
    expect(world.causes).toHaveLength(3);
  });

  test("once for a crowd of causes, told by the first; what is urgent goes first", async () => {
    await world.use(wants({ activePathId: 1 }));
    for (let i = 0; i < 100; i++) world.runner.notify({ event: i === 0 ? Event.MOVED : Event.MOVE_FAILED, path: 1 });
    await world.clock.pass(CROWD_MS);
    expect(world.causes).toEqual([Event.START, Event.MOVED]);
    world.runner.notify({ event: Event.MOVED, path: 1 });
    world.runner.notify({ event: Event.PATH_UP, path: 2 });
    await settled();
    expect(world.causes).toEqual([Event.START, Event.MOVED, Event.PATH_UP]);
  });

  test("while one is being made for what comes meanwhile", async () => {
    await world.use(wants({ activePathId: 1 }));
    const release = world.hold();
    world.runner.notify({ event: Event.PATH_DOWN, path: 1 });
    await settled();
    world.runner.notify({ event: Event.PATH_UP, path: 1 });
    await settled();
    expect(world.causes).toEqual([Event.START, Event.PATH_DOWN]);
    release();
    await settled();
    expect(world.causes).toEqual([Event.START, Event.PATH_DOWN, Event.PATH_UP]);
  });

  test("when the policy asked to be woken, but not without pause", async () => {
    let wakeMs = 300;
    await world.use({ decide: (table) => ({ activePathId: 1, wakeAtUs: table.nowUs + wakeMs * 1000 }) });
    await world.clock.pass(299);
    expect(world.causes).toHaveLength(1);
    await world.clock.pass(1);
    expect(world.causes).toEqual([Event.START, Event.WAKE]);
    wakeMs = -5;
    await world.clock.pass(1000);
    expect(world.causes.length).toBeLessThanOrEqual(2 + 1000 / WAKE_MIN_MS);
    wakeMs = 5000;
    world.sandbox.tables.length = 0;
    await world.clock.pass(WAKE_MIN_MS + TICK_MS);
    expect(world.causes).toEqual([Event.WAKE, Event.TICK]);
  });

  test("with the class's first connection, and its last", async () => {
    world.engine.statisticsValue.classes = [];
    await world.use(wants({ activePathId: 1 }));
    await world.clock.pass(TICK_MS);
    world.engine.statisticsValue.classes = [
      { id: 0, connections: 1, bytesAcked: 0, bytesReceived: 0, activeOn: new Map() },
    ];
    await world.clock.pass(2 * TICK_MS);
    expect(world.causes).toEqual([Event.START, Event.TICK, Event.CONNECTIONS, Event.TICK]);
  });

  test("with a move of the class, once it is seen", async () => {
    await world.use(wants({ activePathId: 2 }));
    world.engine.statisticsValue.classes = [classFigures(0, { activeOn: new Map([[2, 1]]) })];
    await world.clock.pass(2 * TICK_MS);
    expect(world.causes).toEqual([Event.START, Event.MOVED, Event.TICK]);
    expect(world.news.find(({ kind }) => kind === "ordered")).toMatchObject({ reason: "unsaid", concerned: 1 });
  });

  test("again when the figures that were missing are back", async () => {
    await world.use(wants({ activePathId: 1 }));
    world.engine.isDead = true;
    await world.clock.pass(2 * TICK_MS);
    expect(world.causes).toHaveLength(1);
    world.engine.isDead = false;
    await world.clock.pass(TICK_MS);
    expect(world.causes).toHaveLength(2);
  });
});

describe("an intent", () => {
  test("is told to the engine when it changes, and only then", async () => {
    await world.use({ decide: ({ event }) => ({ activePathId: 1, standbyMask: event === Event.PATH_UP ? 2 : 0 }) });
    await world.clock.pass(5 * TICK_MS);
    expect(world.engine.intents).toEqual([[0, { active: 1, standby: [], open: [], close: [] }]]);
    world.runner.notify({ event: Event.PATH_UP, path: 2 });
    await settled();
    expect(world.engine.intents.at(-1)).toEqual([0, { active: 1, standby: [2], open: [], close: [] }]);
    expect(world.runner.status.decision).toMatchObject({ cause: "path_up", active: 1, standby: [2], refusal: "none" });
  });

  test("that is refused is not told to the engine; the policy sees why, soon and once", async () => {
    let wanted = 1;
    await world.use({ decide: () => ({ activePathId: wanted, reason: Reason.FASTER }) });
    wanted = 2;
    await world.clock.pass(TICK_MS);
    wanted = 1;
    world.runner.notify({ event: Event.PATH_UP, path: 1 });
    await settled();
    expect(world.runner.status.decision).toMatchObject({ active: 1, reason: "faster", refusal: "dwell" });
    await world.clock.pass(REFUSED_MS);
    expect(world.sandbox.tables.at(-1)).toMatchObject({ event: Event.REFUSED, lastRefusal: Refusal.DWELL });
    const asked = world.causes.length;
    await world.clock.pass(2 * REFUSED_MS);
    expect(world.causes).toHaveLength(asked);
    await world.clock.pass(TICK_MS);
    expect(world.engine.actives).toEqual([1, 2, 1]);
    await world.clock.pass(TICK_MS);
    expect(world.sandbox.tables.at(-1)?.lastRefusal).toBe(Refusal.NONE);
    expect(world.news.filter((entry) => entry.kind === "refused" && entry.first)).toHaveLength(1);
  });

  test("that no connection could follow is shown as not done", async () => {
    world.engine.outcome = { concerned: 2, refused: 2, reason: "no_remote_address" };
    await world.use(wants({ activePathId: 2 }));
    await world.clock.pass(CROWD_MS);
    expect(world.sandbox.tables.at(-1)).toMatchObject({ event: Event.MOVE_FAILED, lastRefusal: Refusal.NOT_DONE });
  });
});

describe("what a policy can make the daemon say", () => {
  test("is bounded: its own lines, and refusals", async () => {
    let odd = false;
    await world.use({
      decide: () => {
        odd = !odd;
        return { activePathId: odd ? 1 : 2, closeMask: odd ? 0 : 2 };
      },
      log: ["line one", "line two"],
    });
    for (let i = 0; i < 100; i++) {
      world.runner.notify({ event: Event.PATH_UP, path: 2 });
      await settled();
    }
    const told = (kind: string) => world.news.filter((entry) => entry.kind === kind);
    expect(told("log")).toHaveLength(LINES_PER_MINUTE);
    expect(told("refused")).toHaveLength(50);
    expect(told("refused").filter((entry) => "first" in entry && entry.first)).toHaveLength(LINES_PER_MINUTE);
    await world.clock.pass(80_000);
    expect(told("log")).toHaveLength(2 * LINES_PER_MINUTE);
  });
});

describe("a policy that breaks", () => {
  test.each([
    ["loops", fault("fuel"), "fuel"],
    ["waits", fault("time"), "time"],
    ["traps", fault("trap"), "trap"],
    ["takes all memory", fault("memory"), "memory"],
    ["breaks the contract", fault("abi"), "abi"],
  ])("because it %s leaves its class where it is, under the native policy", async (_, error, kind) => {
    let broken = false;
    await world.use({
      decide: () => {
        if (broken) throw error;
        return { activePathId: 2, standbyMask: 1 };
      },
    });
    broken = true;
    await world.clock.pass(TICK_MS);
    expect(world.engine.classes.at(-1)).toEqual([0, { prefer: [2, 1], paths: null, probeMs: 0 }]);
    expect(world.runner.status).toMatchObject({
      state: "fallback",
      policy: "script",
      fault: `${kind}: broken on purpose`,
    });
    expect(world.news.slice(-2)).toMatchObject([
      { kind: "fault", fault: kind, fuel: 7 },
      { kind: "fallback", retryMs: RETRY_MS },
    ]);
    expect(world.sandbox.alive.size).toBe(0);
  });

  test("is tried again with growing pauses, and takes over when it works", async () => {
    let isBroken = true;
    const script = {
      decide: () => {
        if (isBroken) throw fault("trap");
        return { activePathId: 1 };
      },
    };
    await world.runner.adopt(compiled("script", script), NO_SETTINGS);
    const startMs = world.clock.nowUs() / 1000;
    const triedMs = () => world.sandbox.tables.map(({ nowUs }) => nowUs / 1000 - startMs);
    await world.clock.pass(40_000);
    expect(triedMs()).toEqual([0, 1000, 3000, 7000, 15_000, 31_000]);
    expect(world.runner.status.state).toBe("fallback");
    isBroken = false;
    await world.clock.pass(23_000);
    expect(world.runner.status).toMatchObject({ state: "running", fault: null });
    expect(world.engine.actives).toEqual([1]);
    expect(world.news.at(-2)).toMatchObject({ kind: "decided" });
    expect(world.sandbox.states.every((state) => state === null)).toBe(true);
  });

  test("soon after it was tried again has to wait longer than one that held out", async () => {
    let failAt = 0;
    await world.use({
      decide: ({ nowUs }) => {
        if (nowUs >= failAt && failAt !== 0) throw fault("trap");
        return { activePathId: 1 };
      },
    });
    const pauses = () => world.news.flatMap((entry) => (entry.kind === "fallback" ? [entry.retryMs] : []));
    failAt = world.clock.nowUs();
    await world.clock.pass(TICK_MS);
    failAt = world.clock.nowUs() + 3_000_000;
    await world.clock.pass(RETRY_MS + 3000);
    expect(pauses()).toEqual([RETRY_MS, 2 * RETRY_MS]);
    failAt = world.clock.nowUs() + 2 * STEADY_MS * 1000;
    await world.clock.pass(3 * STEADY_MS);
    expect(pauses().slice(0, 3)).toEqual([RETRY_MS, 2 * RETRY_MS, RETRY_MS]);
  });

  test("by nonsense: some is refused, too much of it is a fault", async () => {
    let wish: object = { activePathId: 1 };
    await world.use({ decide: () => wish });
    wish = { activePathId: 77 };
    const ask = async (times: number) => {
      for (let i = 0; i < times; i++) {
        world.runner.notify({ event: Event.PATH_UP, path: 2 });
        await settled();
      }
    };
    await ask(NONSENSE_MAX - 1);
    expect(world.runner.status).toMatchObject({ state: "running", decision: { refusal: "no_such_path" } });
    wish = { activePathId: 1 };
    await ask(1);
    wish = { activePathId: 1, closeMask: 1 };
    await ask(NONSENSE_MAX - 1);
    expect(world.runner.status.state).toBe("running");
    await ask(1);
    expect(world.runner.status.state).toBe("fallback");
    expect(world.runner.status.fault).toMatch(/^nonsense: 5 intents in a row were refused: its masks contradict/);
    expect(world.engine.actives).toEqual([1]);
  });

  test("that asks for a path that is down for ever falls back", async () => {
    await world.use(wants({ activePathId: 1 }));
    world.down.add(1);
    world.runner.notify({ event: Event.PATH_DOWN, path: 1 });
    await world.clock.pass(NONSENSE_MAX * TICK_MS);
    expect(world.runner.status.fault).toContain("the path is down");
  });

  test("cannot be compiled: the class falls back for good", async () => {
    await world.runner.refuse("big", "a module of 300000 octets");
    expect(world.runner.status).toMatchObject({ state: "fallback", fault: "a module of 300000 octets" });
    expect(world.engine.classes).toEqual([[0, { prefer: [1, 2], paths: null, probeMs: 0 }]]);
    await world.clock.pass(600_000);
    expect(world.kinds).toEqual(["fallback"]);
  });
});

test("a table has the class's order, and what is down", async () => {
  world.down.add(2);
  await world.use(wants({ activePathId: 1 }));
  const table = world.sandbox.tables[0] as TableRecord;
  expect(table.paths.map(({ id, state }) => [id, state])).toEqual([
    [1, PathState.ESTABLISHED],
    [2, PathState.DOWN],
  ]);
});

test("closing ends everything", async () => {
  await world.use(wants({ activePathId: 1 }));
  await world.runner.close();
  world.runner.notify({ event: Event.PATH_UP, path: 1 });
  await world.clock.pass(10 * TICK_MS);
  expect([world.sandbox.alive.size, world.clock.waiting, world.sandbox.tables.length]).toEqual([0, 0, 1]);
});
