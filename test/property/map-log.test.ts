import { describe, it } from "vitest";
import { loadInternals, OUT, TABLE, TEST_BUILDS, u32 } from "../internals.ts";
import { forCases, SSN_ORIGINS, same } from "../model/random.ts";

const RUNS_TOTAL = 6;

describe.each(TEST_BUILDS)("map log against its model (%s)", (build) => {
  it("agrees after every operation", () => {
    forCases(300, (random) => {
      const { internals, view } = loadInternals(build, { runs: RUNS_TOTAL });
      const origin = random.pick(SSN_ORIGINS);
      let model: { ssn: number; length: number }[] = [];
      let ssnNext = 0;
      let san = 0;
      for (let i = 0; i < 80; i++) {
        if (random.chance(0.7)) {
          ssnNext += random.pick([0, 0, 5]);
          const length = random.between(1, 9);
          const before = internals.runsFree();
          const added = internals.mapLogAppend(TABLE, u32(origin + ssnNext), length);
          if (added !== 0) model.push({ ssn: ssnNext, length });
          else same(before === 0 || model.length === internals.mapLogMax(), true, "before");
          ssnNext += length;
        } else {
          san = Math.min(ssnNext, san + random.below(20));
          internals.mapLogTrim(TABLE, u32(origin + san));
          while (model[0] !== undefined && model[0].ssn + model[0].length <= san) model = model.slice(1);
        }
        same(internals.mapLogCheck(TABLE), 1, "mapLogCheck");
        same(view.getUint32(TABLE + 8, true), model.length, "getUint32");
        for (let ssn = san - 2; ssn < ssnNext + 3; ssn++) {
          const map = model.find((map) => ssn >= map.ssn && ssn < map.ssn + map.length);
          same(internals.mapLogFind(TABLE, u32(origin + ssn), OUT), map === undefined ? 0 : 1, "mapLogFind");
          if (map === undefined) continue;
          same(view.getUint32(OUT, true), u32(origin + map.ssn), "getUint32");
          same(view.getUint32(OUT + 4, true), map.length, "getUint32");
        }
      }
      internals.mapLogFree(TABLE);
      same(internals.runsFree(), RUNS_TOTAL, "runsFree");
    });
  });
});
