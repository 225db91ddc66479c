// Trace records: what each says of its packet, in numbers relative to the initial ones.

import { describe, expect, it } from "vitest";
import * as abi from "../../host/engine/abi.ts";
import { type Established, joined, opener, responder } from "../established.ts";
import { type Engine, loadEngine } from "../wasm.ts";

const { HAS_DSN, HAS_DAN, RETRANSMISSION } = abi.TraceFlag;

/** Switches trace records on or off, for all connections or for the one with `token`. */
const trace = (e: Established, on: boolean, token?: number) =>
  e.scene.command(abi.CommandKind.TRACE, (view, at) => {
    view.setUint8(at + abi.Command.MODE, on ? 1 : 0);
    if (token === undefined) return;
    view.setUint8(at + abi.Command.SCOPE, abi.Scope.CONNECTION);
    view.setUint32(at + abi.Command.TOKEN, token, true);
  });

/** The records of the last call. */
function records({ engine }: { engine: Engine }) {
  const { view } = engine;
  return Array.from({ length: engine.header(abi.EngineHeader.TRACE_COUNT) }, (_, i) => {
    const at = abi.TRACE + i * abi.TRACE_RECORD_SIZE;
    const u64 = (field: number) => view.getBigUint64(at + field, true);
    const u32 = (field: number) => view.getUint32(at + field, true);
    const { TIME_US, DSN, DAN, TOKEN, LENGTH, SSN, SAN, TSN, TAN, WINDOW, PATH, SUBFLOW, SIDE, FLAGS } =
      abi.TraceRecord;
    return {
      ...{ time: u64(TIME_US), dsn: u64(DSN), dan: u64(DAN), token: u32(TOKEN), length: u32(LENGTH) },
      ...{ ssn: u32(SSN), san: u32(SAN), tsn: u32(TSN), tan: u32(TAN), window: u32(WINDOW) },
      ...{ path: view.getUint16(at + PATH, true), subflow: view.getUint16(at + SUBFLOW, true) },
      ...{ side: view.getUint8(at + SIDE), flags: view.getUint8(at + FLAGS) },
    };
  });
}

/** Initial numbers near the end of their spaces: what is relative does not show it. */
const WRAPPING = { hostIss: 0xffff_ff00, peerIss: 0xffff_fff0 };

describe.each([
  ["opener", opener],
  ["responder", responder],
] as const)("a trace record, we are the %s", (_, connect) => {
  it("of a packet with payload that leaves", () => {
    const e = connect(WRAPPING);
    e.peerData(0, 300);
    e.hostData(0, 1000, { acks: 300 });
    trace(e, true);
    e.scene.nowUs += 5n;
    e.hostData(1000, 500, { acks: 300, win: 400 });
    const numbers = { dsn: 1000n, dan: 300n, ssn: 1001, san: 301, tsn: 1001, tan: 301, length: 500 };
    const rest = { window: 400 << 7, path: 1, subflow: 0, side: 0, flags: HAS_DSN | HAS_DAN, token: e.ourToken };
    expect(records(e.scene)).toEqual([{ ...numbers, ...rest, time: e.scene.nowUs }]);
    e.hostData(0, 1000, { acks: 300 });
    expect(records(e.scene)).toMatchObject([{ dsn: 0n, flags: HAS_DSN | HAS_DAN | RETRANSMISSION }]);
  });

  it("of a packet with payload that comes", () => {
    const e = connect(WRAPPING);
    e.hostData(0, 1000);
    e.peerData(0, 300, { acks: 1000 }, { dan: 1000 });
    trace(e, true);
    e.scene.nowUs += 5n;
    e.peerData(300, 200, { acks: 1000, win: 450 }, { dan: 1000 });
    const numbers = { dsn: 300n, dan: 1000n, ssn: 301, san: 1001, tsn: 301, tan: 1001, length: 200 };
    // The edge of 500 << 7 that the packet before granted does not move back.
    const rest = { window: 500 << 7, path: 1, subflow: 0, side: 1, flags: HAS_DSN | HAS_DAN, token: e.ourToken };
    expect(records(e.scene)).toEqual([{ ...numbers, ...rest, time: e.scene.nowUs }]);
  });

  it("of an acknowledgement, either way: no DSN", () => {
    const e = connect(WRAPPING);
    e.hostData(0, 1000);
    e.peerData(0, 300);
    trace(e, true);
    e.fromHost({ at: 1000, acks: 300 });
    expect(records(e.scene)).toMatchObject([{ dan: 300n, san: 301, tan: 301, length: 0, side: 0, flags: HAS_DAN }]);
    e.fromPeer({ at: 300, acks: 1000 }, [e.dataAck(1000)]);
    expect(records(e.scene)).toMatchObject([{ dan: 1000n, san: 1001, tan: 1001, length: 0, side: 1, flags: HAS_DAN }]);
  });
});

describe("trace records", () => {
  it("name path and subflow, whose numbers are its own", () => {
    const e = joined("opener", WRAPPING);
    e.hostData(0, 1000);
    trace(e, true);
    e.scene.handover(2);
    e.hostData(1000, 500);
    expect(records(e.scene)).toMatchObject([{ path: 2, subflow: 1, dsn: 1000n, tsn: 1001, ssn: 1, side: 0 }]);
    e.peerData(0, 100, { flow: e.flow2, at: 0 }, { ssn: 1 });
    expect(records(e.scene)).toMatchObject([{ path: 2, subflow: 1, dsn: 0n, tsn: 1, ssn: 1, side: 1 }]);
  });

  it("are made while it is switched on, and only of the connections named", () => {
    const e = opener();
    e.hostData(0, 10);
    expect(records(e.scene)).toEqual([]);
    trace(e, true, (e.ourToken ^ 1) >>> 0); // somebody else
    e.hostData(0, 10);
    expect(records(e.scene)).toEqual([]);
    trace(e, true, e.ourToken);
    e.hostData(10, 10);
    expect(records(e.scene)).toHaveLength(1);
    e.scene.advance(0);
    expect(records(e.scene)).toEqual([]); // of the last call only
    trace(e, false);
    e.hostData(20, 10);
    expect(records(e.scene)).toEqual([]);
  });

  it("that find no room are counted, and nothing behind the region is written", () => {
    const engine = loadEngine("test");
    const { octets, exports } = engine;
    octets.fill(0xa5, abi.TRACE, abi.TRACE + abi.TRACE_MAX * abi.TRACE_RECORD_SIZE);
    octets.fill(0x5a, abi.OUTBOX, abi.OUTBOX + 64);
    for (let i = 0; i < abi.TRACE_MAX; i++) {
      expect(exports.traceRecord?.()).toBe(abi.TRACE + i * abi.TRACE_RECORD_SIZE);
    }
    const lost = () => engine.view.getBigUint64(abi.COUNTERS + abi.Counter.TRACE_LOST * 8, true);
    expect(lost()).toBe(0n);
    expect([exports.traceRecord?.(), exports.traceRecord?.()]).toEqual([0, 0]);
    expect(lost()).toBe(2n);
    expect(engine.header(abi.EngineHeader.TRACE_COUNT)).toBe(abi.TRACE_MAX);
    expect(octets.slice(abi.OUTBOX, abi.OUTBOX + 64)).toEqual(new Uint8Array(64).fill(0x5a));
    const region = octets.subarray(abi.TRACE, abi.TRACE + abi.TRACE_MAX * abi.TRACE_RECORD_SIZE);
    expect(region.every((octet) => octet === 0)).toBe(true);
  });
});
