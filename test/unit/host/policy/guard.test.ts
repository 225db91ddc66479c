import { describe, expect, test } from "vitest";
import { PathFlag, PathState, Refusal } from "../../../../host/policy/abi.ts";
import {
  CHANGE_REFILL_MS,
  CHANGES_MAX,
  Guard,
  isNonsense,
  MAX_DWELL_MS,
  MIN_DWELL_MS,
} from "../../../../host/policy/guard.ts";
import type { PathRecord, TableRecord } from "../../../../host/policy/records.ts";
import { intentRecord, twoPaths, type Wish } from "./world.ts";

/** The verdict on a wish, by a guard that has seen nothing yet. */
function judge(wish: Wish, table: TableRecord = twoPaths()) {
  return new Guard().judge(intentRecord(wish), table);
}

function withPath(id: number, fields: Partial<PathRecord>, table = twoPaths()): TableRecord {
  return { ...table, paths: table.paths.map((path) => (path.id === id ? { ...path, ...fields } : path)) };
}

/** A guard at a moment: asks, and takes what is accepted. */
class Ward {
  readonly guard = new Guard();
  table = twoPaths();

  ask(wish: Wish, ms = 0): Refusal {
    this.table = { ...this.table, nowUs: this.table.nowUs + ms * 1000 };
    const intent = intentRecord(wish);
    const { refusal, plan } = this.guard.judge(intent, this.table);
    if (refusal === Refusal.NONE && plan !== null) this.guard.take(plan, intent, this.table);
    return refusal;
  }
}

describe("an intent", () => {
  test("becomes path ids", () => {
    const table = twoPaths();
    table.paths = [7, 3, 9].map((id) => ({ id, state: PathState.ESTABLISHED, flags: 0, subflows: 1 }));
    const { refusal, plan } = judge({ activePathId: 3, standbyMask: 0b001, openMask: 0b010, closeMask: 0b100 }, table);
    expect(refusal).toBe(Refusal.NONE);
    expect(plan).toEqual({ active: 3, standby: [7], open: [3], close: [9] });
  });

  test("without an active path leaves it as it is", () => {
    expect(judge({ standbyMask: 2 })).toEqual({
      refusal: Refusal.NONE,
      plan: { active: 0, standby: [2], open: [], close: [] },
    });
  });

  test.each<[string, Wish, Refusal]>([
    ["of another major version", { abi: 512 }, Refusal.BAD_ABI],
    ["of a later minor version", { abi: 257 }, Refusal.NONE],
    ["for a path that is not there", { activePathId: 3 }, Refusal.NO_SUCH_PATH],
    ["for path 0", { activePathId: 0 }, Refusal.NO_SUCH_PATH],
    ["with a bit too far", { standbyMask: 4 }, Refusal.BAD_MASK],
    ["with the highest bit", { openMask: 0x80000000 }, Refusal.BAD_MASK],
    ["that joins and closes a path", { standbyMask: 2, closeMask: 2 }, Refusal.BAD_MASK],
    ["that opens and closes a path", { openMask: 2, closeMask: 2 }, Refusal.BAD_MASK],
    ["that closes its active path", { activePathId: 1, closeMask: 1 }, Refusal.BAD_MASK],
    ["that closes the other one", { activePathId: 1, closeMask: 2 }, Refusal.NONE],
    ["that is active and standby", { activePathId: 1, standbyMask: 3 }, Refusal.NONE],
  ])("%s", (_, wish, refusal) => {
    expect(judge(wish).refusal).toBe(refusal);
  });

  test("may name all of 32 paths", () => {
    const table = twoPaths();
    table.paths = Array.from({ length: 32 }, (_, i) => ({ id: i + 1, state: 2, flags: 0, subflows: 1 }));
    const { refusal, plan } = judge({ activePathId: 32, standbyMask: 0xffffffff }, table);
    expect(refusal).toBe(Refusal.NONE);
    expect(plan?.standby).toHaveLength(32);
  });
});

describe("the active path", () => {
  test("must not be down", () => {
    expect(judge({ activePathId: 1 }, withPath(1, { state: PathState.DOWN })).refusal).toBe(Refusal.NOT_USABLE);
  });

  test("must be joined before a move, while another one is", () => {
    const joining = withPath(2, { state: PathState.UP, subflows: 0 });
    expect(judge({ activePathId: 2 }, joining).refusal).toBe(Refusal.NOT_USABLE);
    expect(judge({ activePathId: 2 }, { ...joining, connections: 0 }).refusal).toBe(Refusal.NONE);
    const nothing = withPath(1, { state: PathState.DOWN }, joining);
    expect(judge({ activePathId: 2 }, nothing).refusal).toBe(Refusal.NONE);
  });

  test("may be stale if it is the present one: nobody moves", () => {
    const stale = withPath(1, { state: PathState.STALE });
    expect(judge({ activePathId: 1 }, stale).refusal).toBe(Refusal.NONE);
  });

  test("is not changed while a manual handover holds the class", () => {
    const pinned = withPath(1, { flags: PathFlag.PINNED });
    expect(judge({ activePathId: 2 }, pinned).refusal).toBe(Refusal.PINNED);
    expect(judge({ activePathId: 1, standbyMask: 2 }, pinned).refusal).toBe(Refusal.NONE);
  });

  test("that is to be left is not joined, but may go on", () => {
    const joined = withPath(2, { flags: PathFlag.DRAINING });
    expect(judge({ standbyMask: 2 }, joined).refusal).toBe(Refusal.NONE);
    const unjoined = withPath(2, { state: PathState.UP, subflows: 0 }, joined);
    for (const wish of [{ standbyMask: 2 }, { openMask: 2 }]) {
      expect(judge(wish, unjoined).refusal).toBe(Refusal.DRAINING);
    }
  });
});

describe("time", () => {
  test("after a move no other for a second", () => {
    const ward = new Ward();
    expect(ward.ask({ activePathId: 2 })).toBe(Refusal.NONE);
    expect(ward.ask({ activePathId: 1 }, MIN_DWELL_MS - 1)).toBe(Refusal.DWELL);
    expect(ward.ask({ activePathId: 2, standbyMask: 1 })).toBe(Refusal.NONE);
    expect(ward.ask({ activePathId: 1 }, 1)).toBe(Refusal.NONE);
  });

  test("or for as long as the policy asked, up to ten minutes", () => {
    const ward = new Ward();
    ward.ask({ activePathId: 2, dwellMs: 30_000 });
    expect(ward.ask({ activePathId: 1 }, 29_999)).toBe(Refusal.DWELL);
    expect(ward.ask({ activePathId: 1, dwellMs: 0xffffffff }, 1)).toBe(Refusal.NONE);
    expect(ward.ask({ activePathId: 2 }, MAX_DWELL_MS - 1)).toBe(Refusal.DWELL);
    expect(ward.ask({ activePathId: 2 }, 1)).toBe(Refusal.NONE);
  });

  test("counts only moves: the first decision for where the class is already is none", () => {
    const ward = new Ward();
    ward.ask({ activePathId: 1, dwellMs: 30_000 });
    expect(ward.ask({ activePathId: 2 })).toBe(Refusal.NONE);
  });

  test.each([
    ["down", { state: PathState.DOWN }],
    ["silent", { state: PathState.STALE }],
    ["behind a captive portal", { flags: PathFlag.CAPTIVE }],
  ])("does not hold a class on a path that is %s", (_, fields) => {
    const ward = new Ward();
    ward.ask({ activePathId: 2, dwellMs: 30_000 });
    ward.table = withPath(2, fields, ward.table);
    expect(ward.ask({ activePathId: 1 }, 1)).toBe(Refusal.NONE);
  });

  test("nor on one that is no longer in the table", () => {
    const ward = new Ward();
    ward.ask({ activePathId: 2, dwellMs: 30_000 });
    ward.table = { ...ward.table, paths: ward.table.paths.slice(0, 1) };
    expect(ward.ask({ activePathId: 1 }, 1)).toBe(Refusal.NONE);
  });

  test("bounds changes of what is joined", () => {
    const ward = new Ward();
    ward.ask({ activePathId: 1 });
    const inForce = () => (ward.guard.plan?.standby.length === 0 ? 0 : 2);
    const flap = (ms = 0) => ward.ask({ activePathId: 1, standbyMask: 2 - inForce() }, ms);
    // The first intent is one change already.
    for (let i = 1; i < CHANGES_MAX; i++) expect(flap()).toBe(Refusal.NONE);
    expect(flap()).toBe(Refusal.RATE);
    expect(ward.ask({ activePathId: 1, standbyMask: inForce() })).toBe(Refusal.NONE);
    expect(flap(CHANGE_REFILL_MS - 1)).toBe(Refusal.RATE);
    expect(flap(1)).toBe(Refusal.NONE);
    expect(flap()).toBe(Refusal.RATE);
  });

  test("a policy that flaps every second moves a class no more than twelve times a minute for long", () => {
    const ward = new Ward();
    const minutes = 20;
    let moves = 0;
    for (let second = 0; second < 60 * minutes; second++) {
      const before = ward.guard.plan?.active;
      ward.ask({ activePathId: 1 + (second % 2) }, 1000);
      if (ward.guard.plan?.active !== before) moves++;
    }
    expect(moves).toBeLessThanOrEqual(CHANGES_MAX + (minutes * 60_000) / CHANGE_REFILL_MS);
    expect(moves).toBeGreaterThan(minutes);
  });
});

test("nonsense is what no moment would make right", () => {
  const words = Object.entries(Refusal).filter(([, value]) => isNonsense(value));
  expect(words.map(([name]) => name).sort()).toEqual(["BAD_ABI", "BAD_MASK", "NOT_USABLE", "NO_SUCH_PATH"]);
});
