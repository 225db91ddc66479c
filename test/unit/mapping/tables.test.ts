import { describe, expect, it } from "vitest";
import { BLOCKS, loadInternals, OUT, TABLE, TABLE_2, TEST_BUILDS, u32, u64 } from "../../internals.ts";

const SPAN_MAX = 2 ** 30;
const RESERVED = 1;
const RETRANSMITTED = 2;
const RUNS_TOTAL = 64;

const load = (build: (typeof TEST_BUILDS)[number]) => loadInternals(build, { runs: RUNS_TOTAL });
type Loaded = ReturnType<typeof load>;

/** The runs of a SEND table as `dsn+length→subflow:ssn/flags`. */
function sendRuns({ internals, view }: Loaded): string[] {
  const runs: string[] = [];
  for (let index = view.getUint32(TABLE, true); index !== 0; ) {
    const at = internals.runAt(index);
    const [ssn, length, subflow, next] = [8, 12, 16, 20].map((offset) => view.getUint32(at + offset, true));
    runs.push(`${view.getBigUint64(at, true)}+${length}→${subflow}:${ssn}/${view.getUint16(at + 24, true)}`);
    index = next ?? 0;
  }
  return runs;
}

describe.each(TEST_BUILDS)("send table (%s)", (build) => {
  it("stays one run while data leave in order on one subflow", () => {
    const loaded = load(build);
    for (let i = 0; i < 1000; i++) {
      expect(loaded.internals.sendTableMap(TABLE, 5000n + BigInt(i * 1400), 100 + i * 1400, 1400, 1, 0)).toBe(1);
    }
    expect(sendRuns(loaded)).toEqual(["5000+1400000→1:100/0"]);
  });

  it("adds one run per handover", () => {
    const loaded = load(build);
    loaded.internals.sendTableMap(TABLE, 0n, 100, 50, 1, 0);
    loaded.internals.sendTableMap(TABLE, 50n, 700, 50, 2, 0);
    loaded.internals.sendTableMap(TABLE, 100n, 150, 50, 1, 0);
    expect(sendRuns(loaded)).toEqual(["0+50→1:100/0", "50+50→2:700/0", "100+50→1:150/0"]);
  });

  it("replaces the middle of a run that is sent again elsewhere", () => {
    const loaded = load(build);
    loaded.internals.sendTableMap(TABLE, 0n, 100, 50, 1, 0);
    loaded.internals.sendTableMap(TABLE, 10n, 700, 5, 2, RETRANSMITTED);
    expect(sendRuns(loaded)).toEqual(["0+10→1:100/0", "10+5→2:700/2", "15+35→1:115/0"]);
  });

  it("clears a reservation part by part and merges what it leaves", () => {
    const loaded = load(build);
    loaded.internals.sendTableMap(TABLE, 0n, 100, 10, 1, 0);
    loaded.internals.sendTableReserve(TABLE, 10n, 110, 20, 1);
    loaded.internals.sendTableMap(TABLE, 30n, 130, 10, 1, 0);
    expect(sendRuns(loaded)).toEqual(["0+10→1:100/0", `10+20→1:110/${RESERVED}`, "30+10→1:130/0"]);
    loaded.internals.sendTableMap(TABLE, 10n, 110, 8, 1, 0);
    expect(sendRuns(loaded)).toEqual(["0+18→1:100/0", `18+12→1:118/${RESERVED}`, "30+10→1:130/0"]);
    loaded.internals.sendTableMap(TABLE, 18n, 118, 12, 1, 0);
    expect(sendRuns(loaded)).toEqual(["0+40→1:100/0"]);
  });

  it("takes the same mapping again as nothing new", () => {
    const loaded = load(build);
    loaded.internals.sendTableMap(TABLE, 0n, 100, 50, 1, 0);
    expect(loaded.internals.sendTableMap(TABLE, 10n, 110, 20, 1, 0)).toBe(1);
    expect(sendRuns(loaded)).toEqual(["0+50→1:100/0"]);
  });

  it("keeps the runs of a dead subflow without their numbers", () => {
    const loaded = load(build);
    loaded.internals.sendTableMap(TABLE, 0n, 100, 10, 1, 0);
    loaded.internals.sendTableMap(TABLE, 10n, 700, 10, 2, 0);
    loaded.internals.sendTableMap(TABLE, 20n, 110, 10, 1, 0);
    loaded.internals.sendTableFreeSubflow(TABLE, 1, 5n);
    expect(sendRuns(loaded)).toEqual(["0+10→0:0/0", "10+10→2:700/0", "20+10→0:0/0"]);
    loaded.internals.sendTableFreeSubflow(TABLE, 2, 5n);
    expect(sendRuns(loaded)).toEqual(["0+30→0:0/0"]);
    loaded.internals.sendTableMap(TABLE, 5n, 900, 10, 3, 0);
    expect(sendRuns(loaded)).toEqual(["0+5→0:0/0", "5+10→3:900/0", "15+15→0:0/0"]);
    expect(loaded.internals.projectSsnBlock(TABLE, 0, 0, 50, OUT, 0, 8)).toBe(0);
  });

  it("leaves acknowledged runs of a dead subflow alone", () => {
    const loaded = load(build);
    loaded.internals.sendTableMap(TABLE, 0n, 100, 10, 1, 0);
    loaded.internals.sendTableFreeSubflow(TABLE, 1, 10n);
    expect(sendRuns(loaded)).toEqual(["0+10→1:100/0"]);
  });

  it("refuses what would span more than a window, and stays as it was", () => {
    const loaded = load(build);
    expect(loaded.internals.sendTableMap(TABLE, 0n, 0, SPAN_MAX + 1, 1, 0)).toBe(0);
    expect(loaded.internals.sendTableMap(TABLE, 0n, 0, SPAN_MAX, 1, 0)).toBe(1);
    expect(loaded.internals.sendTableMap(TABLE, BigInt(SPAN_MAX), SPAN_MAX, 1, 1, 0)).toBe(0);
    expect(loaded.internals.sendTableMap(TABLE, u64(-1n), 0xffffffff, 1, 1, 0)).toBe(0);
    expect(sendRuns(loaded)).toEqual([`0+${SPAN_MAX}→1:0/0`]);
  });

  it("refuses a run beyond its limit or the slab's, and stays as it was", () => {
    const loaded = load(build);
    const max = Math.min(loaded.internals.sendRunsMax(), RUNS_TOTAL);
    for (let i = 0; i < max; i++) loaded.internals.sendTableMap(TABLE, BigInt(i * 20), i * 30, 10, 1, 0);
    const before = sendRuns(loaded);
    expect(before.length).toBe(max);
    expect(loaded.internals.sendTableMap(TABLE, 10_000n, 5, 10, 2, 0)).toBe(0);
    expect(loaded.internals.sendTableMap(TABLE, 3n, 5, 2, 2, 0)).toBe(0);
    expect(sendRuns(loaded)).toEqual(before);
    // Where no run is needed it still works.
    expect(loaded.internals.sendTableMap(TABLE, 0n, 5, 10, 2, 0)).toBe(1);
    expect(loaded.internals.sendTableMap(TABLE, 10n, 15, 10, 2, 0)).toBe(1);
  });
});

describe.each(TEST_BUILDS)("receive side (%s)", (build) => {
  it("stays one run for one subflow's stream, however it is cut into maps", () => {
    const { internals, view } = load(build);
    for (let i = 0; i < 500; i++) internals.recvTableAdd(TABLE, u32(-5000 + i * 100), 7n + BigInt(i * 100), 100);
    expect(view.getUint32(TABLE + 8, true)).toBe(1);
    expect(internals.recvTableFind(TABLE, u32(-1), OUT)).toBe(45001);
    expect(view.getBigUint64(OUT, true)).toBe(7n + 4999n);
  });

  it("keeps the first of two mappings and says so", () => {
    const { internals, view } = load(build);
    expect(internals.recvTableAdd(TABLE, 100, 1000n, 10)).toBe(0);
    expect(internals.recvTableAdd(TABLE, 95, 5000n, 20)).toBe(2);
    expect(internals.recvTableFind(TABLE, 95, OUT)).toBe(5);
    expect(internals.recvTableFind(TABLE, 100, OUT)).toBe(10);
    expect(view.getBigUint64(OUT, true)).toBe(1000n);
    expect(internals.recvTableFind(TABLE, 110, OUT)).toBe(5);
    expect(view.getBigUint64(OUT, true)).toBe(5015n);
  });

  it("maps a window probe's octet beside the stream: an old DSN under a fresh SSN", () => {
    const { internals, view } = load(build);
    internals.recvTableAdd(TABLE, 100, 1000n, 10);
    internals.recvTableAdd(TABLE, 110, 999n, 1);
    internals.recvTableAdd(TABLE, 111, 1010n, 10);
    expect(internals.recvTableFind(TABLE, 110, OUT)).toBe(1);
    expect(view.getBigUint64(OUT, true)).toBe(999n);
    internals.rangesAdd(TABLE_2, 100, 121);
    // The host's TAN did not move for the probe, the subflow's SAN passes it all the same.
    expect(internals.projectSan(TABLE, TABLE_2, 100, 1010n, BLOCKS, 0)).toBe(111);
  });

  it("bounds what a peer can make it hold", () => {
    const { internals, view } = load(build);
    expect(internals.recvTableAdd(TABLE, 0, 0n, SPAN_MAX + 1)).toBe(1);
    expect(internals.rangesAdd(TABLE_2, 0, SPAN_MAX + 1)).toBe(3);
    internals.recvTableAdd(TABLE, 0, 0n, 10);
    internals.rangesAdd(TABLE_2, 0, 10);
    expect(internals.recvTableAdd(TABLE, SPAN_MAX, 0n, 1)).toBe(1);
    expect(internals.recvTableAdd(TABLE, u32(-SPAN_MAX), 0n, 1)).toBe(1);
    expect(internals.recvTableAdd(TABLE, 2 ** 31 + 5, 0n, 1)).toBe(1);
    expect(internals.rangesAdd(TABLE_2, SPAN_MAX, SPAN_MAX + 1)).toBe(3);
    expect(internals.rangesAdd(TABLE_2, 2 ** 31 + 5, 2 ** 31 + 6)).toBe(3);
    for (let i = 1; i < 3000; i++) internals.recvTableAdd(TABLE, i * 20, BigInt(i * 40), 10);
    expect(view.getUint32(TABLE + 8, true)).toBeLessThanOrEqual(internals.recvRunsMax());
    expect(internals.recvTableCheck(TABLE)).toBe(1);
  });

  it("says what of an arrival is new", () => {
    const { internals } = load(build);
    expect(internals.rangesAdd(TABLE_2, 10, 20)).toBe(0);
    expect(internals.rangesAdd(TABLE_2, 10, 20)).toBe(2);
    expect(internals.rangesAdd(TABLE_2, 15, 25)).toBe(1);
    expect(internals.rangesAdd(TABLE_2, 30, 40)).toBe(0);
    expect(internals.rangesAdd(TABLE_2, 25, 30)).toBe(0);
    expect(internals.rangesAdd(TABLE_2, 5, 50)).toBe(1);
    expect(internals.rangesAdd(TABLE_2, 7, 7)).toBe(2);
    expect(internals.rangesContiguous(TABLE_2, 5)).toBe(50);
    expect(internals.rangesContiguous(TABLE_2, 50)).toBe(50);
  });
});

describe.each(TEST_BUILDS)("map log (%s)", (build) => {
  it("finds the map that a retransmission must repeat, until it is acknowledged whole", () => {
    const { internals, view } = load(build);
    internals.mapLogAppend(TABLE, 0xffff0000, 64000, 0);
    internals.mapLogAppend(TABLE, u32(0xffff0000 + 64000), 30000, 0);
    expect(internals.mapLogFind(TABLE, 20, OUT)).toBe(1);
    expect(view.getUint32(OUT, true)).toBe(u32(0xffff0000 + 64000));
    expect(view.getUint32(OUT + 4, true)).toBe(30000);
    expect(internals.mapLogTrim(TABLE, u32(0xffff0000 + 63999), 65535)).toBe(0);
    expect(internals.mapLogFind(TABLE, 0xffff0000, OUT)).toBe(1);
    expect(internals.mapLogTrim(TABLE, u32(0xffff0000 + 64000), 65535)).toBe(64000);
    expect(internals.mapLogFind(TABLE, 0xffff0000, OUT)).toBe(0);
    expect(internals.mapLogFind(TABLE, 20, OUT)).toBe(1);
  });

  it("swept, it keeps what is not acknowledged, in whatever order it came", () => {
    const { internals } = load(build);
    const starts = [40, 20, 0, 50, 10, 30, 60, 70];
    for (let kept = 0; kept <= 80; kept += 10) {
      for (const ssn of starts) internals.mapLogAppend(TABLE, u32(ssn - 35), 10, ssn);
      internals.mapLogSweep(TABLE, u32(kept - 35));
      expect(internals.mapLogCheck(TABLE)).toBe(1);
      for (const ssn of starts) expect(internals.mapLogFind(TABLE, u32(ssn - 35), OUT)).toBe(ssn >= kept ? 1 : 0);
      internals.mapLogFree(TABLE);
      expect(internals.runsFree()).toBe(RUNS_TOTAL);
    }
  });

  it("forgets by length, and says how long a map was that has got through", () => {
    const { internals } = load(build);
    const lengths = [5, 20, 21, 30, 31, 20];
    const starts = lengths.map((_, i) => u32(-60 + lengths.slice(0, i).reduce((sum, length) => sum + length, 0)));
    const kept = () => starts.map((ssn) => internals.mapLogFind(TABLE, ssn, OUT));
    for (const [i, ssn] of starts.entries()) internals.mapLogAppend(TABLE, ssn, lengths[i] as number, 0);
    internals.mapLogForget(TABLE, u32(-34), 20, 30);
    expect(kept()).toEqual([1, 1, 1, 0, 1, 1]);
    internals.mapLogForget(TABLE, u32(-60), 20, 30);
    expect(kept()).toEqual([1, 1, 0, 0, 1, 1]);
    internals.mapLogSweep(TABLE, u32(-60));
    expect(internals.mapLogCheck(TABLE)).toBe(1);
    expect(kept()).toEqual([1, 1, 0, 0, 1, 1]);
    expect(internals.mapLogTrim(TABLE, 1000, 20)).toBe(20);
    expect(kept()).toEqual([0, 0, 0, 0, 0, 0]);
    expect(internals.runsFree()).toBe(RUNS_TOTAL);
  });

  it("has a limit and keeps what it holds", () => {
    const { internals } = loadInternals(build, { runs: 1000 });
    for (let i = 0; i < internals.mapLogMax(); i++) expect(internals.mapLogAppend(TABLE, i * 10, 10, 0)).toBe(1);
    expect(internals.mapLogAppend(TABLE, 999_999, 10, 0)).toBe(0);
    expect(internals.mapLogFind(TABLE, 15, OUT)).toBe(1);
    internals.mapLogFree(TABLE);
    expect(internals.runsFree()).toBe(1000);
  });
});
