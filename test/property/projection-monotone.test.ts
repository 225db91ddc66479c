// Where numbers were given in the order of the octets projection is nothing but a reverse look-up (paper §3.5).

import { describe, it } from "vitest";
import { BLOCKS, loadInternals, TABLE, TABLE_2, TEST_BUILDS, u32, u64 } from "../internals.ts";
import { DSN_ORIGINS, forCases, type Random, SSN_ORIGINS, same } from "../model/random.ts";

const RANGES = TABLE_2 + 0x40;
const BLOCKS_MAX = 64;
/** How far below a SAN its block begins: further than any window reaches. */
const SPAN = 2 ** 30;

type Loaded = ReturnType<typeof loadInternals>;

/** Octets 0, 1, 2, … leave in this order, some on subflow 1, some on another one: what stands at each SSN of the first. */
function fill({ internals }: Loaded, random: Random, ssnOrigin: number, dsnOrigin: bigint): number[] {
  const dsnOf: number[] = [];
  let [octets, elsewhere] = [0, 0];
  for (let i = 0; i < 10; i++) {
    const length = random.between(1, 9);
    const here = random.chance(0.6);
    const ssn = u32(ssnOrigin + (here ? dsnOf.length : elsewhere));
    const dsn = u64(dsnOrigin + BigInt(octets));
    internals.sendTableMap(TABLE, dsn, ssn, length, here ? 1 : 2, 0);
    if (here) internals.recvTableAdd(TABLE_2, ssn, dsn, length);
    if (here) for (let k = 0; k < length; k++) dsnOf.push(octets + k);
    else elsewhere += length;
    octets += length;
  }
  if (dsnOf.length > 0) internals.rangesAdd(RANGES, ssnOrigin, u32(ssnOrigin + dsnOf.length));
  return dsnOf;
}

describe.each(TEST_BUILDS)("projection through a monotone mapping (%s)", (build) => {
  it("N-72 says of each SAN and TAN what a plain reverse look-up says", () => {
    forCases(200, (random) => {
      const loaded = loadInternals(build, { runs: 40 });
      const { internals, view } = loaded;
      const [ssnOrigin, dsnOrigin] = [random.pick(SSN_ORIGINS), random.pick(DSN_ORIGINS)];
      const dsnOf = fill(loaded, random, ssnOrigin, dsnOrigin);
      for (let san = 0; san <= dsnOf.length; san++) {
        const [left, right] = [u32(ssnOrigin + san - SPAN), u32(ssnOrigin + san)];
        const count = internals.projectSsnBlock(TABLE, 1, left, right, BLOCKS, 0, BLOCKS_MAX);
        const ends = Array.from({ length: internals.mergeBlocks(BLOCKS, count) }, (_, i) =>
          Number(BigInt.asIntN(64, view.getBigUint64(BLOCKS + i * 16 + 8, true) - dsnOrigin)),
        );
        same(Math.max(0, ...ends), san === 0 ? 0 : (dsnOf[san - 1] as number) + 1, `what SAN ${san} stands for`);
      }
      for (let tan = 0; tan <= (dsnOf.at(-1) ?? 0) + 9; tan++) {
        const san = internals.projectSan(TABLE_2, RANGES, ssnOrigin, u64(dsnOrigin + BigInt(tan)), BLOCKS, 0);
        same(u32(san), u32(ssnOrigin + dsnOf.filter((dsn) => dsn < tan).length), `SAN for TAN ${tan}`);
      }
    });
  });
});
