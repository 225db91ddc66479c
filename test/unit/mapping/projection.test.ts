import { describe, expect, it } from "vitest";
import { BLOCKS, loadInternals, TABLE, TABLE_2, TEST_BUILDS } from "../../internals.ts";

// The situations of paper §3.5 one by one; random ones are in test/property/projection.test.ts.

const load = (build: (typeof TEST_BUILDS)[number]) => loadInternals(build, { runs: 32 });
type Loaded = ReturnType<typeof load>;

function write({ view }: Loaded, blocks: [bigint, bigint][]): number {
  blocks.forEach(([left, right], i) => {
    view.setBigUint64(BLOCKS + i * 16, left, true);
    view.setBigUint64(BLOCKS + i * 16 + 8, right, true);
  });
  return blocks.length;
}

function read({ view }: Loaded, count: number): [bigint, bigint][] {
  return Array.from({ length: count }, (_, i) => [
    view.getBigUint64(BLOCKS + i * 16, true),
    view.getBigUint64(BLOCKS + i * 16 + 8, true),
  ]);
}

describe.each(TEST_BUILDS)("from a subflow to the host (%s)", (build) => {
  // Figure 5: DSN 20…29 was sent again as SSN 130…139 after DSN 30…39 had left as SSN 120…129.
  const nonMonotone = () => {
    const loaded = load(build);
    loaded.internals.sendTableMap(TABLE, 10n, 100, 10, 1, 0);
    loaded.internals.sendTableMap(TABLE, 20n, 110, 10, 1, 0);
    loaded.internals.sendTableMap(TABLE, 30n, 120, 10, 1, 0);
    loaded.internals.sendTableMap(TABLE, 20n, 130, 10, 1, 0);
    return loaded;
  };

  it("a SAN in the middle of a non-monotone mapping leaves a hole where a reverse look-up would not", () => {
    const loaded = nonMonotone();
    // SAN 130 as a block from far below: all but the octets that were moved behind it.
    const count = loaded.internals.projectSsnBlock(TABLE, 1, 0, 130, BLOCKS, 0, 16);
    expect(read(loaded, count)).toEqual([
      [10n, 20n],
      [30n, 40n],
    ]);
  });

  it("pieces that touch become one block", () => {
    const loaded = nonMonotone();
    const count = loaded.internals.projectSsnBlock(TABLE, 1, 0, 140, BLOCKS, 0, 16);
    expect(read(loaded, count)).toEqual([[10n, 40n]]);
  });

  it("one block across a break of the mapping becomes two", () => {
    const loaded = nonMonotone();
    const count = loaded.internals.projectSsnBlock(TABLE, 1, 105, 125, BLOCKS, 0, 16);
    expect(read(loaded, count)).toEqual([
      [15n, 20n],
      [30n, 35n],
    ]);
  });

  it("other subflows and reserved numbers say nothing", () => {
    const loaded = nonMonotone();
    loaded.internals.sendTableReserve(TABLE, 40n, 140, 10, 1);
    expect(loaded.internals.projectSsnBlock(TABLE, 2, 0, 200, BLOCKS, 0, 16)).toBe(0);
    const count = loaded.internals.projectSsnBlock(TABLE, 1, 135, 150, BLOCKS, 0, 16);
    expect(read(loaded, count)).toEqual([[25n, 30n]]);
  });

  it("the most recent block stays first when it swallows older ones", () => {
    const loaded = load(build);
    const count = write(loaded, [
      [50n, 60n],
      [10n, 20n],
      [60n, 70n],
      [18n, 30n],
      [90n, 95n],
    ]);
    expect(read(loaded, loaded.internals.mergeBlocks(BLOCKS, count))).toEqual([
      [50n, 70n],
      [10n, 30n],
      [90n, 95n],
    ]);
  });

  it("no block begins at DAN: Linux would take it for reneging", () => {
    const loaded = load(build);
    const count = write(loaded, [
      [20n, 30n],
      [5n, 15n],
      [10n, 12n],
      [11n, 13n],
    ]);
    expect(read(loaded, loaded.internals.blocksAbove(BLOCKS, count, 10n))).toEqual([
      [20n, 30n],
      [11n, 13n],
    ]);
  });
});

describe.each(TEST_BUILDS)("from the host to a subflow (%s)", (build) => {
  it("a SAN stops at an octet that the map covers but that never arrived", () => {
    const { internals } = load(build);
    internals.recvTableAdd(TABLE, 100, 10n, 40); // a bulk map, the packet brought 30 octets
    internals.rangesAdd(TABLE_2, 100, 130);
    expect(internals.projectSan(TABLE, TABLE_2, 100, 60n, BLOCKS, 0)).toBe(130);
  });

  it("a SAN passes octets that the host has only SACKed", () => {
    const loaded = load(build);
    loaded.internals.recvTableAdd(TABLE, 100, 50n, 10);
    loaded.internals.rangesAdd(TABLE_2, 100, 110);
    expect(loaded.internals.projectSan(TABLE, TABLE_2, 100, 20n, BLOCKS, 0)).toBe(100);
    const count = write(loaded, [
      [55n, 60n],
      [40n, 55n],
    ]);
    expect(loaded.internals.projectSan(TABLE, TABLE_2, 100, 20n, BLOCKS, count)).toBe(110);
  });

  it("a SAN never goes back and stays where nothing has arrived", () => {
    const { internals } = load(build);
    internals.recvTableAdd(TABLE, 100, 50n, 10);
    expect(internals.projectSan(TABLE, TABLE_2, 105, 99n, BLOCKS, 0)).toBe(105);
    internals.rangesAdd(TABLE_2, 100, 110);
    expect(internals.projectSan(TABLE, TABLE_2, 105, 0n, BLOCKS, 0)).toBe(105);
  });

  it("a SACK block shows what arrived on this subflow, wherever its DSN stand", () => {
    const { internals, view } = load(build);
    internals.recvTableAdd(TABLE, 100, 50n, 10);
    internals.recvTableAdd(TABLE, 110, 20n, 10);
    internals.recvTableAdd(TABLE, 120, 60n, 10);
    internals.rangesAdd(TABLE_2, 100, 105);
    internals.rangesAdd(TABLE_2, 112, 130);
    const count = internals.projectDsnBlock(TABLE, TABLE_2, 50n, 70n, BLOCKS, 0, 8);
    const edges = Array.from({ length: count * 2 }, (_, i) => view.getUint32(BLOCKS + i * 4, true));
    expect(edges).toEqual([100, 105, 120, 130]);
  });
});
