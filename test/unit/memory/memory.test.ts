import { describe, expect, it } from "vitest";
import { loadInternals, OUT, RUNS, TABLE, TEST_BUILDS, u32, u64 } from "../../internals.ts";

const NEVER = (1n << 64n) - 1n;

describe.each(TEST_BUILDS)("bytes (%s)", (build) => {
  const { internals, octets } = loadInternals(build, { pages: 2 });

  it("are read in network order at any address", () => {
    for (const at of [OUT, OUT + 1, OUT + 3]) {
      octets.set([0xf1, 0xe2, 0xd3, 0xc4, 0xb5, 0xa6, 0x97, 0x88], at);
      expect(internals.loadU16BE(at)).toBe(0xf1e2);
      expect(u32(internals.loadU32BE(at))).toBe(0xf1e2d3c4);
      expect(u64(internals.loadU64BE(at))).toBe(0xf1e2d3c4b5a69788n);
    }
  });

  it("are written in network order, and no octet beside them", () => {
    octets.fill(0xa5, OUT, OUT + 32);
    internals.storeU16BE(OUT + 1, 0xdead_f1e2);
    internals.storeU32BE(OUT + 5, 0xf1e2d3c4);
    internals.storeU64BE(OUT + 11, 0xf1e2d3c4b5a69788n);
    expect([...octets.slice(OUT, OUT + 20)]).toEqual([
      ...[0xa5, 0xf1, 0xe2, 0xa5, 0xa5, 0xf1, 0xe2, 0xd3, 0xc4, 0xa5],
      ...[0xa5, 0xf1, 0xe2, 0xd3, 0xc4, 0xb5, 0xa6, 0x97, 0x88, 0xa5],
    ]);
  });

  it("are copied as if by a third place when the ranges overlap", () => {
    octets.set([1, 2, 3, 4, 5, 6], OUT);
    internals.copy(OUT + 2, OUT, 4);
    expect([...octets.slice(OUT, OUT + 6)]).toEqual([1, 2, 1, 2, 3, 4]);
    internals.fill(OUT, 9, 3);
    expect([...octets.slice(OUT, OUT + 6)]).toEqual([9, 9, 9, 2, 3, 4]);
  });
});

describe.each(TEST_BUILDS)("slab (%s)", (build) => {
  it("uses a freed slot before a fresh one: pages are touched late", () => {
    const { internals } = loadInternals(build);
    internals.slabInit(TABLE, RUNS, 32, 100);
    expect([1, 2, 3].map(() => internals.slabAlloc(TABLE))).toEqual([1, 2, 3]);
    internals.slabFree(TABLE, 2);
    expect(internals.slabAlloc(TABLE)).toBe(2);
    expect(internals.slabAlloc(TABLE)).toBe(4);
  });

  it("touches nothing when it is made", () => {
    const { internals, octets } = loadInternals(build);
    octets.fill(0x77, RUNS, RUNS + 320);
    internals.slabInit(TABLE, RUNS, 32, 10);
    expect(octets.slice(RUNS, RUNS + 320).every((octet) => octet === 0x77)).toBe(true);
  });

  it("leaves nothing of a freed slot: keys must not outlive their connection", () => {
    const { internals, octets } = loadInternals(build);
    internals.slabInit(TABLE, RUNS, 64, 2);
    const at = internals.slabAt(TABLE, internals.slabAlloc(TABLE));
    octets.fill(0x42, at + 4, at + 64);
    internals.slabFree(TABLE, 1);
    expect(octets.slice(at, at + 64)).not.toContain(0x42);
  });

  it("traps on a slot that is not live, a mistake of our own", () => {
    const { internals } = loadInternals(build);
    internals.slabInit(TABLE, RUNS, 32, 4);
    internals.slabAlloc(TABLE);
    internals.slabFree(TABLE, 1);
    expect(() => internals.slabFree(TABLE, 1)).toThrow(WebAssembly.RuntimeError);
    expect(() => internals.slabAt(TABLE, 0)).toThrow(WebAssembly.RuntimeError);
    expect(() => internals.slabAt(TABLE, 2)).toThrow(WebAssembly.RuntimeError);
  });
});

describe.each(TEST_BUILDS)("runs (%s)", (build) => {
  it("come zeroed, are counted, and end", () => {
    const { internals, octets } = loadInternals(build, { runs: 2 });
    const first = internals.runAlloc();
    octets.fill(0xff, internals.runAt(first), internals.runAt(first) + 32);
    expect(internals.runsFree()).toBe(1);
    expect(internals.runAlloc()).toBe(2);
    expect(internals.runAlloc()).toBe(0);
    internals.runFree(first);
    const again = internals.runAlloc();
    expect(again).toBe(first);
    const at = internals.runAt(again);
    expect(octets.slice(at, at + 32).every((octet) => octet === 0)).toBe(true);
  });

  it("trap on index 0 and beyond those in use", () => {
    const { internals } = loadInternals(build, { runs: 2 });
    expect(() => internals.runAt(0)).toThrow(WebAssembly.RuntimeError);
    expect(() => internals.runAt(1)).toThrow(WebAssembly.RuntimeError);
  });
});

describe.each(TEST_BUILDS)("hash table (%s)", (build) => {
  it("spreads hashes whose low bits are equal, as those of our tokens", () => {
    const { internals, view } = loadInternals(build);
    const entries = 4096;
    internals.hashInit(TABLE, RUNS, entries);
    let state = 1;
    for (let i = 0; i < entries / 2; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      internals.hashInsert(TABLE, (state & ~0xff) | 3, i + 1);
    }
    // The longest row of used entries bounds every search.
    let longest = 0;
    let row = 0;
    for (let i = 0; i < entries; i++) {
      row = view.getUint32(RUNS + i * 8 + 4, true) === 0 ? 0 : row + 1;
      longest = Math.max(longest, row);
    }
    expect(longest).toBeLessThan(60);
  });

  it("refuses the last entry, which ends every search", () => {
    const { internals } = loadInternals(build);
    internals.hashInit(TABLE, RUNS, 2);
    expect(internals.hashInsert(TABLE, 5, 1)).toBe(1);
    expect(internals.hashInsert(TABLE, 5, 2)).toBe(0);
    expect(internals.hashFirst(TABLE, 6)).toBe(0);
  });
});

describe.each(TEST_BUILDS)("wheel (%s)", (build) => {
  const wheel = (capacity: number, nowUs: bigint) => {
    const { internals } = loadInternals(build);
    internals.wheelInit(RUNS, capacity, nowUs);
    return internals;
  };

  it("goes off at the first tick at or behind the deadline", () => {
    const internals = wheel(4, 0n);
    internals.timerSet(1, 100n);
    expect(u64(internals.wheelNextDeadline())).toBe(128n);
    expect(internals.wheelAdvance(127n)).toBe(0);
    expect(internals.wheelAdvance(128n)).toBe(1);
    expect(internals.wheelAdvance(128n)).toBe(0);
    expect(u64(internals.timerDeadline(1))).toBe(NEVER);
  });

  it("does not go off with a deadline set to never, nor after it was cancelled", () => {
    const internals = wheel(4, 5000n);
    internals.timerSet(1, 6000n);
    internals.timerSet(1, NEVER);
    internals.timerSet(2, 6000n);
    internals.timerCancel(2);
    internals.timerCancel(3);
    expect(u64(internals.wheelNextDeadline())).toBe(NEVER);
    expect(internals.wheelAdvance(1n << 50n)).toBe(0);
  });

  it("takes a deadline in the past for due at once", () => {
    const internals = wheel(4, 1_000_000n);
    internals.timerSet(2, 5n);
    expect(u64(internals.wheelNextDeadline())).toBeLessThanOrEqual(1_000_000n);
    expect(internals.wheelAdvance(1_000_000n)).toBe(2);
  });

  it("holds the last deadline there is", () => {
    const internals = wheel(2, 0n);
    internals.timerSet(1, NEVER - 1n);
    expect(u64(internals.timerDeadline(1))).toBe(NEVER - 1n);
    expect(u64(internals.wheelNextDeadline())).toBe(NEVER - 1n);
    expect(internals.wheelAdvance(1n << 60n)).toBe(0);
    expect(internals.wheelCheck()).toBe(1);
  });

  it("keeps the order in which timers of one tick were set", () => {
    const internals = wheel(8, 0n);
    for (const index of [5, 1, 7, 3]) internals.timerSet(index, 1000n);
    const order = [1, 2, 3, 4, 5].map(() => internals.wheelAdvance(1024n));
    expect(order).toEqual([5, 1, 7, 3, 0]);
  });

  it("lets a timer be set again while others are due", () => {
    const internals = wheel(8, 0n);
    internals.timerSet(1, 64n);
    internals.timerSet(2, 64n);
    expect(internals.wheelAdvance(64n)).toBe(1);
    internals.timerSet(1, 200n);
    internals.timerCancel(2);
    expect(internals.wheelAdvance(64n)).toBe(0);
    expect(internals.wheelAdvance(256n)).toBe(1);
  });

  it("is never late with many timers in one slot, only early", () => {
    const internals = wheel(100, 0n);
    for (let index = 1; index <= 100; index++) internals.timerSet(index, 10_000_000n + BigInt(index));
    let now = u64(internals.wheelNextDeadline());
    let calls = 0;
    while (internals.wheelAdvance(now) === 0) {
      const next = u64(internals.wheelNextDeadline());
      expect(next).toBeGreaterThan(now);
      now = next;
      calls += 1;
    }
    expect(now).toBeGreaterThanOrEqual(10_000_001n);
    expect(now).toBeLessThan(10_000_001n + 64n);
    expect(calls).toBeLessThan(6);
  });
});
