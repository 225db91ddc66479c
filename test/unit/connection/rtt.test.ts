// Round-trip time per subflow (RFC 6298, Karn's rule).

import { describe, expect, it } from "vitest";
import { loadConnectionInternals, SUBFLOW, SUBFLOW_AT } from "./internals.ts";

function fresh() {
  const { engine, internals, view } = loadConnectionInternals();
  const get = (field: keyof typeof SUBFLOW_AT) => view.getUint32(SUBFLOW + SUBFLOW_AT[field], true);
  return { engine, internals, get };
}

describe("rtt", () => {
  it("the first sample is the estimate, half of it the variance; later ones weigh an eighth and a quarter", () => {
    const { internals, get } = fresh();
    internals.rttSample(SUBFLOW, 80_000n);
    expect([get("srttUs"), get("rttvarUs"), get("minRttUs")]).toEqual([80_000, 40_000, 80_000]);
    internals.rttSample(SUBFLOW, 40_000n);
    expect([get("srttUs"), get("rttvarUs"), get("minRttUs")]).toEqual([75_000, 40_000, 40_000]);
    internals.rttSample(SUBFLOW, 160_000n);
    expect(get("srttUs")).toBe(75_000 - 9_375 + 20_000);
    expect(get("minRttUs")).toBe(40_000);
  });

  it("samples are at least 1 µs and at most a minute", () => {
    const { internals, get } = fresh();
    internals.rttSample(SUBFLOW, 0n);
    expect(get("srttUs")).toBe(1);
    const other = fresh();
    other.internals.rttSample(SUBFLOW, 1n << 40n);
    expect(other.get("srttUs")).toBe(60_000_000);
  });

  it("the time-out is a second while nothing is known, and 200 ms at least", () => {
    const { internals, get } = fresh();
    expect(internals.rtoUs(SUBFLOW)).toBe(1_000_000n);
    internals.rttSample(SUBFLOW, 1_000n);
    expect(internals.rtoUs(SUBFLOW)).toBe(200_000n);
    for (let i = 0; i < 40; i++) internals.rttSample(SUBFLOW, 400_000n);
    expect(internals.rtoUs(SUBFLOW)).toBe(BigInt(get("srttUs") + 4 * get("rttvarUs")));
  });

  it("one sample at a time, ended by the acknowledgement that covers it, across the end of the numbers", () => {
    const { engine, internals, get } = fresh();
    engine.setNow(1_000_000n);
    internals.rttStart(SUBFLOW, 5);
    engine.setNow(1_010_000n);
    internals.rttStart(SUBFLOW, 9); // one runs
    internals.rttAcknowledged(SUBFLOW, 0xfffffff0);
    expect(get("srttUs")).toBe(0);
    engine.setNow(1_030_000n);
    internals.rttAcknowledged(SUBFLOW, 6);
    expect(get("srttUs")).toBe(30_000);
    internals.rttAcknowledged(SUBFLOW, 7);
    expect(get("srttUs")).toBe(30_000);
  });

  it("Karn: a retransmission below the sample's end voids it, one behind it does not", () => {
    const { engine, internals, get } = fresh();
    internals.rttStart(SUBFLOW, 1000);
    internals.rttCancel(SUBFLOW, 1000);
    engine.setNow(1_020_000n);
    internals.rttAcknowledged(SUBFLOW, 1000);
    expect(get("srttUs")).toBe(20_000);
    internals.rttStart(SUBFLOW, 2000);
    internals.rttCancel(SUBFLOW, 1999);
    engine.setNow(1_090_000n);
    internals.rttAcknowledged(SUBFLOW, 2000);
    expect(get("srttUs")).toBe(20_000);
  });
});
