// Rings and regions that an embedder empties, when it does not: events, outbox, set operations, entropy.

import { describe, expect, it } from "vitest";
import * as abi from "../../host/engine/abi.ts";
import { opener } from "../established.ts";
import { Scene } from "../scene.ts";
import { loadEngine } from "../wasm.ts";

describe("event ring", () => {
  it("keeps the newest EVENT_MAX events; the oldest are lost and counted", () => {
    const { exports, view, header } = loadEngine("test");
    const extra = 5;
    for (let i = 0; i < abi.EVENT_MAX + extra; i++) {
      const at = exports.emitEvent?.(abi.EventKind.COMMAND_DONE, abi.Reason.NONE) as number;
      view.setUint32(at + abi.EventRecord.VALUE, i, true);
    }
    expect(header(abi.EngineHeader.EVENTS_LOST)).toBe(extra);
    expect(header(abi.EngineHeader.EVENT_HEAD)).toBe(abi.EVENT_MAX + extra);
    const tail = header(abi.EngineHeader.EVENT_TAIL);
    expect(tail).toBe(extra);
    expect(view.getUint32(abi.EVENTS + (tail % abi.EVENT_MAX) * abi.EVENT_SIZE + abi.EventRecord.VALUE, true)).toBe(
      tail,
    );
  });

  it("goes on over the end of the 32-bit index", () => {
    const { exports, view, header } = loadEngine("test");
    view.setUint32(abi.HEADER + abi.EngineHeader.EVENT_HEAD, 0xffffffff, true);
    view.setUint32(abi.HEADER + abi.EngineHeader.EVENT_TAIL, 0xffffffff, true);
    exports.emitEvent?.(abi.EventKind.COMMAND_DONE, abi.Reason.LIMIT);
    exports.emitEvent?.(abi.EventKind.COMMAND_DONE, abi.Reason.LIMIT);
    expect(header(abi.EngineHeader.EVENT_HEAD)).toBe(1);
    expect(header(abi.EngineHeader.EVENTS_LOST)).toBe(0);
  });
});

describe("outbox", () => {
  it("holds OUTBOX_MAX packets and no more", () => {
    const { exports, header } = loadEngine("test");
    exports.outboxReset?.();
    for (let i = 0; i < abi.OUTBOX_MAX; i++) {
      const at = exports.outboxReserve?.(40) as number;
      expect(at).not.toBe(0);
      exports.outboxCommit?.(at, 40, abi.Direction.WIRE);
    }
    expect(exports.outboxReserve?.(40)).toBe(0);
    expect(header(abi.EngineHeader.OUTBOX_COUNT)).toBe(abi.OUTBOX_MAX);
    exports.outboxReset?.();
    expect(exports.outboxReserve?.(40)).not.toBe(0);
  });

  it("holds OUTBOX_DATA_SIZE octets and no more, never beyond its region", () => {
    const { exports } = loadEngine("test");
    exports.outboxReset?.();
    let octets = 0;
    for (;;) {
      const at = (exports.outboxReserve?.(1500) as number) >>> 0;
      if (at === 0) break;
      expect(at + 1500).toBeLessThanOrEqual(abi.OUTBOX_DATA + abi.OUTBOX_DATA_SIZE);
      exports.outboxCommit?.(at, 1500, abi.Direction.HOST);
      octets += 1500;
    }
    expect(octets).toBeGreaterThan(abi.OUTBOX_DATA_SIZE - 64_000);
  });
});

describe("set operations", () => {
  it("are asked for only when the embedder keeps sets", () => {
    const e = opener({ flags: 0 });
    expect(e.scene.engine.header(abi.EngineHeader.SET_OPERATION_COUNT)).toBe(0);
  });

  it("that find no room are counted, and the call goes on", () => {
    const connections = 1200;
    const scene = new Scene({ paths: [{ address4: "10.0.1.1" }], connections, config: { HALF_OPEN_MAX: connections } });
    for (let i = 0; i < connections; i++)
      scene.host({ src: "10.0.1.1", dst: "10.0.1.2", sport: 2000 + i, dport: 80, flags: "S" });
    for (let i = 0; i < 80 && scene.engine.header(abi.EngineHeader.CONNECTIONS) > 0; i++) scene.advance(1_000_000);
    expect(scene.engine.header(abi.EngineHeader.CONNECTIONS)).toBe(0);
    expect(scene.counter(abi.Counter.SET_OPERATIONS_LOST)).toBeGreaterThan(0);
  });
});

describe("entropy", () => {
  it("is handed out once: what was drawn is wiped", () => {
    const { exports, view, header } = loadEngine("test");
    const before = header(abi.EngineHeader.ENTROPY_COUNT);
    const at = abi.ENTROPY + before - 4;
    const value = view.getUint32(at, true);
    expect((exports.drawU32?.() as number) >>> 0).toBe(value);
    expect(view.getUint32(at, true)).toBe(0);
    expect(header(abi.EngineHeader.ENTROPY_COUNT)).toBe(before - 4);
  });

  it("runs out: 0 is drawn, and entropyHas() says so before", () => {
    const { exports, view, header } = loadEngine("test");
    view.setUint32(abi.HEADER + abi.EngineHeader.ENTROPY_COUNT, 7, true);
    expect([exports.entropyHas?.(7), exports.entropyHas?.(8)]).toEqual([1, 0]);
    expect(exports.drawU64?.()).toBe(0n);
    expect(exports.keyDraw?.()).toBe(0n);
    expect(exports.drawU32?.()).not.toBe(0);
    expect(exports.drawU32?.()).toBe(0);
    expect(header(abi.EngineHeader.ENTROPY_COUNT)).toBe(3);
  });
});
