import { describe, expect, it } from "vitest";
import { BLOCKS, loadInternals, TABLE, TABLE_2, TEST_BUILDS, u32, u64 } from "../internals.ts";
import { DSN_ORIGINS, forCases, type Random, SSN_ORIGINS, same } from "../model/random.ts";
import { RangesModel, RecvModel } from "../model/recv-model.ts";
import { RESERVED, SendModel } from "../model/send-model.ts";

// Paper §3.5, octet by octet. Blocks are compared as sets of octets and as normal lists: no two of one
// call touch. Positions are distances from random origins, so that the numbers wrap in every possible place.

const SUBFLOWS = [1, 2];
const MAX = 64;

type Loaded = ReturnType<typeof loadInternals>;

describe.each(TEST_BUILDS)("projection against its model (%s)", (build) => {
  it("projects what a subflow says to what the host may hear", () => {
    forCases(400, (random) => {
      const loaded = loadInternals(build, { runs: 40 });
      const { internals } = loaded;
      const model = new SendModel(random.pick(DSN_ORIGINS));
      const ssnOrigin = random.pick(SSN_ORIGINS);
      const ssnNext = new Map(SUBFLOWS.map((subflow) => [subflow, 0]));
      for (let i = 0; i < 12; i++) mapSome(loaded, model, random, ssnOrigin, ssnNext);
      for (let i = 0; i < 20; i++) {
        const subflow = random.pick(SUBFLOWS);
        const left = random.below(80) - 10;
        const right = left + random.below(60);
        const max = random.pick([MAX, MAX, 2]);
        const from = random.pick([0, 0, 1]);
        const count = internals.projectSsnBlock(
          TABLE,
          subflow,
          u32(ssnOrigin + left),
          u32(ssnOrigin + right),
          BLOCKS,
          from,
          max,
        );
        const found = octetsOf(readDsnBlocks(loaded, BLOCKS, count, model.origin).slice(from), true);
        const expected = new Set<number>();
        for (let ssn = left; ssn < right; ssn++) {
          const position = model.positionOf(subflow, u32(ssnOrigin + ssn), false);
          if (position !== undefined) expected.add(position);
        }
        for (const position of found) same(expected.has(position), true, `octet ${position} projected`);
        if (count < max) same(found.size, expected.size, "octets projected");
      }
    });
  });

  it("keeps the order of recency and never shows a block at or below DAN", () => {
    forCases(2000, (random) => {
      const loaded = loadInternals(build, { pages: 4 });
      const { internals } = loaded;
      const origin = random.pick(DSN_ORIGINS);
      const blocks = Array.from({ length: random.below(9) }, () => {
        const left = random.below(60);
        return { left, right: left + random.between(1, 12) };
      });
      writeDsnBlocks(loaded, BLOCKS, blocks, origin);
      const merged = internals.mergeBlocks(BLOCKS, blocks.length);
      const found = readDsnBlocks(loaded, BLOCKS, merged, origin);
      expect(found).toEqual(mergeModel(blocks));

      const dan = random.below(70);
      const above = internals.blocksAbove(BLOCKS, merged, u64(origin + BigInt(dan)));
      expect(readDsnBlocks(loaded, BLOCKS, above, origin)).toEqual(found.filter((block) => block.left > dan));
    });
  });

  it("projects what the host says to what a subflow may hear", () => {
    forCases(400, (random) => {
      const loaded = loadInternals(build, { runs: 60 });
      const { internals } = loaded;
      const side = receive(loaded, random);
      for (let i = 0; i < 20; i++) {
        const dan = random.below(90);
        const blocks = Array.from({ length: random.below(4) }, () => {
          const left = random.below(90);
          return { left, right: left + random.below(20) };
        });
        writeDsnBlocks(loaded, BLOCKS, blocks, side.dsnOrigin);
        const san = random.below(60);
        const has = (dsn: number) => dsn < dan || blocks.some((block) => dsn >= block.left && dsn < block.right);
        let expected = san;
        for (;;) {
          const dsn = side.recv.octets.get(expected);
          if (dsn === undefined || !side.ranges.octets.has(expected) || !has(dsn)) break;
          expected += 1;
        }
        const found = internals.projectSan(
          TABLE,
          TABLE_2,
          u32(side.ssnOrigin + san),
          u64(side.dsnOrigin + BigInt(dan)),
          BLOCKS,
          blocks.length,
        );
        same(u32(found), u32(side.ssnOrigin + expected), "projectSan");
      }
    });
  });

  it("projects the host's SACK blocks to what has arrived on a subflow", () => {
    forCases(400, (random) => {
      const loaded = loadInternals(build, { runs: 60 });
      const { internals } = loaded;
      const side = receive(loaded, random);
      for (let i = 0; i < 20; i++) {
        const left = random.below(90) - 5;
        const right = left + random.below(40);
        const max = random.pick([MAX, MAX, 1]);
        const from = random.pick([0, 0, 1]);
        const count = internals.projectDsnBlock(
          TABLE,
          TABLE_2,
          u64(side.dsnOrigin + BigInt(left)),
          u64(side.dsnOrigin + BigInt(right)),
          BLOCKS,
          from,
          max,
        );
        const found = octetsOf(readSsnBlocks(loaded, BLOCKS, count, side.ssnOrigin).slice(from), true);
        const expected = new Set<number>();
        for (const [ssn, dsn] of side.recv.octets) {
          if (dsn >= left && dsn < right && side.ranges.octets.has(ssn)) expected.add(ssn);
        }
        for (const ssn of found) same(expected.has(ssn), true, `octet ${ssn} projected`);
        if (count < max) same(found.size, expected.size, "octets projected");
      }
    });
  });
});

/** Maps a few octets on a random subflow: new ones, or old ones afresh, which makes the mapping non-monotone. */
function mapSome(
  { internals }: Loaded,
  model: SendModel,
  random: Random,
  ssnOrigin: number,
  ssnNext: Map<number, number>,
): void {
  const subflow = random.pick(SUBFLOWS);
  const position = random.below(60);
  const length = random.between(1, 12);
  const flags = random.pick([0, 0, 0, RESERVED]);
  const ssn = ssnNext.get(subflow) as number;
  const dsn = model.dsn(position);
  if (internals.sendTableMap(TABLE, dsn, u32(ssnOrigin + ssn), length, subflow, flags) === 0) return;
  model.map(position, u32(ssnOrigin + ssn), length, subflow, flags);
  ssnNext.set(subflow, ssn + length);
}

/** A subflow's receive side at random: mappings that jump and repeat, and holes. */
function receive({ internals }: Loaded, random: Random) {
  const side = {
    ssnOrigin: random.pick(SSN_ORIGINS),
    dsnOrigin: random.pick(DSN_ORIGINS),
    recv: new RecvModel(),
    ranges: new RangesModel(),
  };
  for (let ssn = 0; ssn < 60; ) {
    const length = random.between(1, 12);
    const dsn = random.below(90);
    const at = u32(side.ssnOrigin + ssn);
    if (random.chance(0.9) && internals.recvTableAdd(TABLE, at, u64(side.dsnOrigin + BigInt(dsn)), length) !== 1) {
      side.recv.add(ssn, dsn, length);
    }
    const arrived = random.chance(0.8) ? length : random.below(length);
    if (internals.rangesAdd(TABLE_2, at, u32(at + arrived)) !== 3) side.ranges.add(ssn, ssn + arrived);
    ssn += length;
  }
  return side;
}

type Block = { left: number; right: number };

/** The octets of blocks; with `normal`, each of them once, and no two blocks in a row touch. */
function octetsOf(blocks: Block[], normal: boolean): Set<number> {
  const octets = new Set<number>();
  let before: Block | undefined;
  for (const block of blocks) {
    if (block.left >= block.right) throw new Error(`empty block ${block.left}`);
    if (normal && before?.right === block.left) throw new Error(`blocks touch at ${block.left}`);
    for (let octet = block.left; octet < block.right; octet++) {
      if (normal && octets.has(octet)) throw new Error(`octet ${octet} twice`);
      octets.add(octet);
    }
    before = block;
  }
  return octets;
}

/** Unites blocks until nothing touches; the most recent part gives the place. */
function mergeModel(blocks: Block[]): Block[] {
  const octets = octetsOf(blocks, false);
  const united: Block[] = [];
  for (const block of blocks) {
    if (united.some((other) => block.left >= other.left && block.right <= other.right)) continue;
    let { left, right } = block;
    while (octets.has(left - 1)) left -= 1;
    while (octets.has(right)) right += 1;
    united.push({ left, right });
  }
  return united;
}

function writeDsnBlocks({ view }: Loaded, at: number, blocks: Block[], origin: bigint): void {
  blocks.forEach((block, i) => {
    view.setBigUint64(at + i * 16, u64(origin + BigInt(block.left)), true);
    view.setBigUint64(at + i * 16 + 8, u64(origin + BigInt(block.right)), true);
  });
}

function readDsnBlocks({ view }: Loaded, at: number, count: number, origin: bigint): Block[] {
  const distance = (ptr: number) => Number(BigInt.asIntN(64, view.getBigUint64(ptr, true) - origin));
  return Array.from({ length: count }, (_, i) => ({
    left: distance(at + i * 16),
    right: distance(at + i * 16 + 8),
  }));
}

function readSsnBlocks({ view }: Loaded, at: number, count: number, origin: number): Block[] {
  const distance = (ptr: number) => (view.getUint32(ptr, true) - origin) | 0;
  return Array.from({ length: count }, (_, i) => ({
    left: distance(at + i * 8),
    right: distance(at + i * 8 + 4),
  }));
}
