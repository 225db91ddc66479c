import { describe, it } from "vitest";
import { loadInternals, RUNS, TABLE, TEST_BUILDS, u32, u64 } from "../internals.ts";
import { forCases, same } from "../model/random.ts";

const NEVER = (1n << 64n) - 1n;

describe.each(TEST_BUILDS)("memory against its models (%s)", (build) => {
  it("slab: live slots are those taken and not given back; generations count", () => {
    forCases(200, (random) => {
      const { internals, view, octets } = loadInternals(build, { pages: 4 });
      const capacity = random.between(1, 12);
      const stride = random.pick([8, 24, 64]);
      internals.slabInit(TABLE, RUNS, stride, capacity);
      const live = new Map<number, number>();
      const generations = new Map<number, number>();
      for (let i = 0; i < 80; i++) {
        if (random.chance(0.55)) {
          const index = internals.slabAlloc(TABLE);
          same(index === 0, live.size === capacity, "full");
          if (index === 0) continue;
          same(live.has(index), false, "taken twice");
          const at = internals.slabAt(TABLE, index);
          same(at, RUNS + (index - 1) * stride, "slabAt");
          same(internals.slabIndexOf(TABLE, at), index, "slabIndexOf");
          for (let octet = 4; octet < stride; octet++) same(octets[at + octet], 0, "octet of a new slot");
          const generation = u32(internals.slabGeneration(TABLE, index));
          same(generation, (generations.get(index) ?? 0) + 1, "generation");
          generations.set(index, generation);
          octets.fill(0xee, at + 4, at + stride);
          live.set(index, at);
        } else if (live.size > 0) {
          const index = random.pick([...live.keys()]);
          internals.slabFree(TABLE, index);
          live.delete(index);
          generations.set(index, (generations.get(index) as number) + 1);
        }
        same(internals.slabCheck(TABLE), 1, "slabCheck");
        same(view.getUint32(TABLE + 16, true), live.size, "live");
        for (let index = 0; index <= capacity + 1; index++) {
          same(internals.slabLive(TABLE, index), live.has(index) ? 1 : 0, `slabLive(${index})`);
        }
      }
    });
  });

  it("hash table: finds all values of a hash and nothing else", () => {
    forCases(200, (random) => {
      const { internals, view } = loadInternals(build, { pages: 4 });
      const capacity = random.pick([2, 8, 32]);
      internals.hashInit(TABLE, RUNS, capacity);
      const hashes = Array.from({ length: 6 }, () => random.bits());
      const model: { hash: number; value: number }[] = [];
      for (let i = 0; i < 120; i++) {
        const hash = random.pick(hashes);
        if (random.chance(0.55)) {
          const inserted = internals.hashInsert(TABLE, hash, i + 1);
          same(inserted !== 0, model.length < capacity - 1, "hashInsert");
          if (inserted !== 0) model.push({ hash, value: i + 1 });
        } else {
          const entry = random.chance(0.8) && model.length > 0 ? random.pick(model) : { hash, value: 9999 };
          const known = model.indexOf(entry);
          same(internals.hashRemove(TABLE, entry.hash, entry.value), known === -1 ? 0 : 1, "hashRemove");
          if (known !== -1) model.splice(known, 1);
        }
        same(view.getUint32(TABLE + 8, true), model.length, "count");
        for (const hash of hashes) {
          const found: number[] = [];
          for (let slot = internals.hashFirst(TABLE, hash); slot !== 0; ) {
            found.push(internals.hashValue(TABLE, slot));
            slot = internals.hashNext(TABLE, hash, slot);
          }
          const expected = model.filter((entry) => entry.hash === hash).map((entry) => entry.value);
          same(`${found.sort((a, b) => a - b)}`, `${expected.sort((a, b) => a - b)}`, "values");
        }
      }
    });
  });

  it("wheel: every timer goes off once, not early and not a tick late", () => {
    forCases(300, (random) => {
      const { internals } = loadInternals(build, { pages: 4 });
      const capacity = random.pick([3, 12, 40]);
      let now = random.pick([0n, 1_000_000n, (1n << 32n) - 5000n, (1n << 40n) - 1n, (1n << 52n) - 70n]);
      internals.wheelInit(RUNS, capacity, now);
      const model = new Map<number, bigint>();
      const distances = [1n, 64n, 4096n, 300_000n, 20_000_000n, 5_000_000_000n, 1n << 45n];
      for (let i = 0; i < 120; i++) {
        const index = random.between(1, capacity);
        const choice = random.below(10);
        if (choice < 5) {
          const distance = BigInt(random.below(Number(random.pick(distances.slice(0, 5)))));
          const far = random.chance(0.05) ? (random.pick(distances) as bigint) : 0n;
          const deadline = random.chance(0.05) ? (now * 9n) / 10n : now + distance + far;
          internals.timerSet(index, deadline);
          model.set(index, deadline);
        } else if (choice === 5) {
          internals.timerCancel(index);
          model.delete(index);
        } else {
          now = random.chance(0.3)
            ? later(now, u64(internals.wheelNextDeadline()))
            : now + BigInt(random.below(100_000));
          if (random.chance(0.02)) now += random.pick(distances);
          expire(internals, model, now);
        }
        same(internals.wheelCheck(), 1, "wheelCheck");
        for (let timer = 1; timer <= capacity; timer++) {
          same(u64(internals.timerDeadline(timer)), model.get(timer) ?? NEVER, "timerDeadline");
        }
        checkNext(u64(internals.wheelNextDeadline()), model, now);
      }
    });
  });

  /** The tick, in µs, at which a timer may go off. */
  const tickUs = (deadline: bigint): bigint => ((deadline + 63n) / 64n) * 64n;
  const later = (a: bigint, b: bigint): bigint => (b === NEVER || b < a ? a : b);

  function expire(
    internals: ReturnType<typeof loadInternals>["internals"],
    model: Map<number, bigint>,
    now: bigint,
  ): void {
    for (let index = internals.wheelAdvance(now); index !== 0; index = internals.wheelAdvance(now)) {
      const deadline = model.get(index);
      if (deadline === undefined) throw new Error(`timer ${index} was not set`);
      if (deadline > now) throw new Error(`timer ${index} went off early`);
      model.delete(index);
    }
    for (const [index, deadline] of model) {
      if (tickUs(deadline) <= now) throw new Error(`timer ${index} is late`);
    }
  }

  function checkNext(next: bigint, model: Map<number, bigint>, now: bigint): void {
    const first = [...model.values()].reduce((a, b) => (a < b ? a : b), NEVER);
    const exact = first === NEVER ? NEVER : tickUs(first);
    if (exact <= now) {
      same(next <= now, true, "next deadline of a due timer");
    } else if (model.size <= 8) {
      same(next, exact, "next deadline"); // with so few timers in a slot it is exact
    } else {
      same(next <= exact, true, "next deadline is not late");
    }
  }
});
