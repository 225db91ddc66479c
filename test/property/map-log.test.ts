import { describe, it } from "vitest";
import { loadInternals, OUT, TABLE, TEST_BUILDS, u32 } from "../internals.ts";
import { forCases, SSN_ORIGINS, same } from "../model/random.ts";

const RUNS_TOTAL = 6;

interface Logged {
  ssn: number;
  length: number;
  sum: number;
}

describe.each(TEST_BUILDS)("map log against its model (%s)", (build) => {
  it("agrees after every operation", () => {
    forCases(300, (random) => {
      const { internals, view } = loadInternals(build, { runs: RUNS_TOTAL });
      const origin = random.pick(SSN_ORIGINS);
      let model: Logged[] = []; // in the order of their coming
      let holes: [number, number][] = []; // left out: what the host sends late
      let ssnNext = 0;
      let san = 0;
      const append = (ssn: number, length: number): void => {
        const sum = random.below(0x10000);
        const before = internals.runsFree();
        const added = internals.mapLogAppend(TABLE, u32(origin + ssn), length, sum);
        if (added !== 0) model.push({ ssn, length, sum });
        else same(before === 0 || model.length === internals.mapLogMax(), true, "before");
      };
      const grow = (): void => {
        const gap = random.pick([0, 0, 5]);
        if (gap > 0) holes.push([ssnNext, gap]);
        ssnNext += gap;
        const length = random.between(1, 9);
        append(ssnNext, length);
        ssnNext += length;
      };
      for (let i = 0; i < 80; i++) {
        const late = random.chance(0.2) ? holes.shift() : undefined;
        if (late !== undefined && late[0] >= san) append(...late);
        else if (random.chance(0.7)) grow();
        else {
          san = Math.min(ssnNext, san + random.below(20));
          internals.mapLogTrim(TABLE, u32(origin + san), 0xffff);
          while (model[0] !== undefined && model[0].ssn + model[0].length <= san) model = model.slice(1);
          holes = holes.filter(([ssn]) => ssn >= san);
        }
        same(internals.mapLogCheck(TABLE), 1, "mapLogCheck");
        same(view.getUint32(TABLE + 8, true), model.length, "getUint32");
        for (let ssn = san - 2; ssn < ssnNext + 3; ssn++) {
          const map = model.find((map) => ssn >= map.ssn && ssn < map.ssn + map.length);
          same(internals.mapLogFind(TABLE, u32(origin + ssn), OUT), map === undefined ? 0 : 1, "mapLogFind");
          const end = ssn + random.between(1, 20);
          const next = Math.min(end, ...model.filter((map) => map.ssn > ssn).map((map) => map.ssn));
          same(
            u32(internals.mapLogNext(TABLE, u32(origin + ssn), u32(origin + end))),
            u32(origin + next),
            "mapLogNext",
          );
          if (map === undefined) continue;
          same(view.getUint32(OUT, true), u32(origin + map.ssn), "ssn");
          same(view.getUint32(OUT + 4, true), map.length, "length");
          same(view.getUint32(OUT + 8, true), map.sum, "sum");
        }
      }
      internals.mapLogFree(TABLE);
      same(internals.runsFree(), RUNS_TOTAL, "runsFree");
    });
  });
});
