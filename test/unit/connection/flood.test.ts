// N-101: 100,000 SYNs from as many sources cost no more memory than HALF_OPEN_MAX handshakes, and what is
// established goes on.

import { randomFillSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { responder } from "../../established.ts";
import * as p from "../../packet.ts";

const FLOOD = 100_000;
const HALF_OPEN_MAX = 32;

describe("a flood of SYNs", () => {
  it("N-101 is bounded: the oldest handshakes make room, established connections keep working", () => {
    const e = responder({ connections: 64, subflows: 80, runs: 128, config: { HALF_OPEN_MAX } });
    const { engine } = e.scene;
    const { view, octets } = engine;
    engine.fillEntropy = () => {
      randomFillSync(octets, abi.ENTROPY, abi.ENTROPY_SIZE);
      view.setUint32(abi.HEADER + abi.EngineHeader.ENTROPY_COUNT, abi.ENTROPY_SIZE, true);
    };
    const free = engine.header(abi.EngineHeader.RUNS_FREE);
    for (let i = 0; i < FLOOD; ) {
      const count = Math.min(abi.BATCH_MAX, FLOOD - i);
      for (let slot = 0; slot < count; slot++, i++) {
        const syn = p.packet({
          src: `10.${100 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`,
          dst: e.host.local,
          sport: 1024 + (i % 60_000),
          dport: 80,
          flags: "S",
          seq: i,
          options: [p.mss(1460), p.capableSyn()],
        });
        const offset = abi.BATCH + slot * abi.SLOT_SIZE + abi.SLOT_HEADROOM;
        octets.set(syn, offset);
        const at = abi.DESCRIPTORS + slot * abi.DESCRIPTOR_SIZE;
        view.setUint32(at + abi.Descriptor.OFFSET, offset, true);
        view.setUint32(at + abi.Descriptor.LENGTH, syn.length, true);
        view.setUint32(at + abi.Descriptor.HOOK, abi.Hook.LOCAL_IN, true);
      }
      engine.fillEntropy();
      expect(engine.exports.process?.(count)).toBe(abi.Status.OK);
      expect(engine.header(abi.EngineHeader.CONNECTIONS)).toBeLessThanOrEqual(HALF_OPEN_MAX + 1);
    }
    expect(e.scene.counter(abi.Counter.HALF_OPEN_EVICTED)).toBe(FLOOD - HALF_OPEN_MAX);
    expect(e.hostData(0, 100).verdict).toBe("rewritten");
    expect(e.peerData(0, 100).packet?.payload).toEqual(p.payloadPattern(100));
    e.fromHost({ flags: "RA", at: 100, acks: 100 });
    for (let i = 0; i < 90; i++) e.scene.advance(1_000_000);
    expect(engine.header(abi.EngineHeader.CONNECTIONS)).toBe(0);
    expect(engine.header(abi.EngineHeader.SUBFLOWS)).toBe(0);
    expect(engine.header(abi.EngineHeader.RUNS_FREE)).toBe(free);
    expect(e.scene.nextUs).toBe(Infinity);
  });
});
