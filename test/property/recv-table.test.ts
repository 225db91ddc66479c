import { describe, it } from "vitest";
import { type Internals, loadInternals, OUT, TABLE, TABLE_2, TEST_BUILDS, u32, u64 } from "../internals.ts";
import { DSN_ORIGINS, forCases, type Random, SSN_ORIGINS, same } from "../model/random.ts";
import { RangesModel, RecvModel } from "../model/recv-model.ts";

const RUNS_TOTAL = 20;
const OPERATIONS = 60;
const SPREAD = 60;

const OK = 0;
const FULL = 1;
/** Runs that what comes ahead of all others leaves free. */
const RUNS_SPARE = 2;
const CONFLICT = 2;
const RANGES_FULL = 3;

describe.each(TEST_BUILDS)("receive table against its model (%s)", (build) => {
  it("agrees after every operation", () => {
    forCases(300, (random) => {
      const { internals, view } = loadInternals(build, { runs: RUNS_TOTAL });
      const model = new RecvModel();
      const ssnOrigin = random.pick(SSN_ORIGINS);
      const dsnOrigin = random.pick(DSN_ORIGINS);
      const offsets = [0, 0, 7, -3];
      for (let i = 0; i < OPERATIONS; i++) {
        const base = Math.floor(i / 2);
        if (random.chance(0.15)) {
          internals.recvTableTrim(TABLE, u32(ssnOrigin + base));
          model.trim(base);
        } else {
          const ssn = base + random.below(SPREAD);
          const dsn = ssn + random.pick(offsets);
          const length = random.pick([0, 1, 2, 5, 20]);
          const peak = model.peak(ssn, dsn, length);
          const spare = model.endsBefore(ssn) ? RUNS_SPARE : 0;
          const full =
            peak > 0 && (peak + spare > internals.runsFree() || model.runs() + peak + spare > internals.recvRunsMax());
          const expected = full ? FULL : model.add(ssn, dsn, length) ? CONFLICT : OK;
          const added = internals.recvTableAdd(TABLE, u32(ssnOrigin + ssn), u64(dsnOrigin + BigInt(dsn)), length);
          same(added, expected, "added");
        }
        same(internals.recvTableCheck(TABLE), 1, "recvTableCheck");
        same(view.getUint32(TABLE + 8, true), model.runs(), "getUint32");
        for (let ssn = base - 2; ssn < base + SPREAD + 25; ssn++) {
          const length = model.contiguous(ssn);
          same(internals.recvTableFind(TABLE, u32(ssnOrigin + ssn), OUT), length, "recvTableFind");
          const dsn = BigInt(model.octets.get(ssn) ?? 0);
          if (length !== 0) same(view.getBigUint64(OUT, true), u64(dsnOrigin + dsn), "getBigUint64");
        }
      }
      internals.recvTableFree(TABLE);
      same(internals.runsFree(), RUNS_TOTAL, "runsFree");
    });
  });
});

describe.each(TEST_BUILDS)("received ranges against their model (%s)", (build) => {
  it("agree after every operation", () => {
    forCases(300, (random) => {
      const { internals, view } = loadInternals(build, { runs: RUNS_TOTAL });
      const origin = random.pick(SSN_ORIGINS);
      const model = new RangesModel();
      const spread = random.pick([20, 60, 120]);
      for (let i = 0; i < OPERATIONS; i++) {
        const base = i;
        const left = base + random.below(spread);
        const right = left + random.pick([0, 1, 1, 2, 10]);
        if (random.chance(0.1)) {
          internals.rangesTrim(TABLE_2, u32(origin + base));
          model.trim(base);
        } else {
          const copy = new RangesModel();
          copy.octets = new Set(model.octets);
          const arrival = copy.add(left, right);
          const more = copy.ranges() - model.ranges();
          const spare = model.endsBefore(left) ? RUNS_SPARE : 0;
          const noRoom = internals.runsFree() <= spare || model.ranges() + spare >= internals.rangesMax();
          const full = more > 0 && noRoom;
          same(
            internals.rangesAdd(TABLE_2, u32(origin + left), u32(origin + right)),
            full ? RANGES_FULL : arrival,
            "rangesAdd",
          );
          if (!full) model.octets = copy.octets;
        }
        same(internals.rangesCheck(TABLE_2), 1, "rangesCheck");
        same(view.getUint32(TABLE_2 + 8, true), model.ranges(), "getUint32");
        compareContiguous(random, (ssn) => [
          u32(internals.rangesContiguous(TABLE_2, u32(origin + ssn))),
          u32(origin + model.contiguous(ssn)),
        ]);
        compareMissing(random, internals, view, model, origin);
      }
      internals.rangesFree(TABLE_2);
      same(internals.runsFree(), RUNS_TOTAL, "runsFree");
    });
  });

  /** The first octets of an interval that are missing. */
  function compareMissing(
    random: Random,
    internals: Internals,
    view: DataView,
    model: RangesModel,
    origin: number,
  ): void {
    const left = random.below(OPERATIONS + 120);
    const right = left + random.below(30);
    const missing = Array.from({ length: right - left }, (_, i) => left + i).filter((ssn) => !model.octets.has(ssn));
    const found = internals.rangesMissing(TABLE_2, u32(origin + left), u32(origin + right), OUT);
    same(found, missing.length > 0 ? 1 : 0, "rangesMissing");
    const [from] = missing;
    if (from === undefined) return;
    const to = from + missing.findIndex((ssn, i) => missing[i + 1] !== ssn + 1) + 1;
    same(view.getUint32(OUT, true), u32(origin + from), "from");
    same(view.getUint32(OUT + 4, true), u32(origin + to), "to");
  }

  function compareContiguous(random: Random, both: (ssn: number) => [number, number]): void {
    for (let i = 0; i < 20; i++) {
      const [found, expected] = both(random.below(OPERATIONS + 120));
      same(found, expected, "found");
    }
  }
});
