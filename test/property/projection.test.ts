import { describe, expect, it } from "vitest";
import { BLOCKS, loadInternals, TEST_BUILDS, u64 } from "../internals.ts";
import { DSN_ORIGINS, forCases } from "../model/random.ts";

// Lists of blocks, of any shape. What projection makes of whole tables is in projection-to-host.test.ts and
// projection-to-subflow.test.ts.

type Loaded = ReturnType<typeof loadInternals>;

describe.each(TEST_BUILDS)("lists of blocks against their model (%s)", (build) => {
  it("keeps the order of recency and never shows a block at or below DAN", () => {
    const loaded = loadInternals(build, { pages: 4 });
    const { internals } = loaded;
    forCases(2000, (random) => {
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
});

type Block = { left: number; right: number };

/** Unites blocks until nothing touches; the most recent part gives the place. */
function mergeModel(blocks: Block[]): Block[] {
  const octets = new Set<number>();
  for (const block of blocks) for (let octet = block.left; octet < block.right; octet++) octets.add(octet);
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
