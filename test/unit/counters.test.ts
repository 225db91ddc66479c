// Counters: one u64 each, and one per drop reason behind them.

import { describe, expect, it } from "vitest";
import * as abi from "../../host/engine/abi.ts";
import { opener } from "../established.ts";
import { type Engine, loadEngine } from "../wasm.ts";

const slots = (engine: Engine): bigint[] =>
  Array.from({ length: abi.COUNTER_MAX }, (_, i) => engine.view.getBigUint64(abi.COUNTERS + i * 8, true));

/** Index and value of the counters that are not zero. */
const counted = (engine: Engine): [number, bigint][] =>
  slots(engine).flatMap((value, i) => (value === 0n ? [] : [[i, value] as [number, bigint]]));

describe("counters", () => {
  it("count() adds one to its counter and leaves all others alone", () => {
    const engine = loadEngine("test");
    expect(counted(engine)).toEqual([]);
    for (const counter of Object.values(abi.Counter)) {
      const before = slots(engine);
      engine.exports.count?.(counter);
      before[counter] = (before[counter] as bigint) + 1n;
      expect(slots(engine)).toEqual(before);
    }
  });

  it("countAdd() goes on beyond 32 bits", () => {
    const engine = loadEngine("test");
    for (const value of [0xffff_ffffn, 1n, 5n]) engine.exports.countAdd?.(abi.Counter.BYTES_SENT, value);
    expect(counted(engine)).toEqual([[abi.Counter.BYTES_SENT, 0x1_0000_0005n]]);
  });

  it("countDrop() counts each reason at a place of its own, behind the counters", () => {
    const engine = loadEngine("test");
    for (const reason of Object.values(abi.DropReason)) engine.exports.countDrop?.(reason);
    const expected = Object.values(abi.DropReason).map((reason) => [abi.DROP_COUNTER_BASE + reason, 1n]);
    expect(counted(engine)).toEqual(expected);
    expect(Math.max(...Object.values(abi.Counter))).toBeLessThan(abi.DROP_COUNTER_BASE);
  });

  it("a packet that is dropped counts once in all, and once with its reason", () => {
    const e = opener();
    const before = [e.scene.counter(abi.Counter.DROPPED), e.scene.dropped(abi.DropReason.OUT_OF_WINDOW)];
    expect(e.fromPeer({ at: 2 ** 31 })).toMatchObject({ verdict: "drop", reason: "OUT_OF_WINDOW" });
    const after = [e.scene.counter(abi.Counter.DROPPED), e.scene.dropped(abi.DropReason.OUT_OF_WINDOW)];
    expect(after).toEqual(before.map((value) => value + 1));
  });
});
