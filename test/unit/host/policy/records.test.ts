// Tables and intents between objects and octets. The offsets are written out: they are the contract.
import { expect, test } from "vitest";
import { Event, PathFlag, PathKind, PathState, Power, Refusal } from "../../../../host/policy/abi.ts";
import { readIntent, readTable, type TableRecord, tableSize, writeTable } from "../../../../host/policy/records.ts";

const TABLE: TableRecord = {
  nowUs: 5_000_000_123,
  entropy: 0x0123_4567_89ab_cdefn,
  event: Event.SIGNAL,
  eventPathId: 7,
  classId: 3,
  connections: 12,
  ackedBytes: 6_000_000_000,
  batteryPermille: 431,
  power: Power.BATTERY,
  activePathId: 7,
  lastRefusal: Refusal.DWELL,
  paths: [
    {
      ...{ id: 7, kind: PathKind.WIFI, state: PathState.ESTABLISHED, flags: PathFlag.METERED | PathFlag.DRAINING },
      ...{ lastAckUs: 4_999_000_000, quotaLeft: 10_000_000_000, ackedRateKbps: 48_000, inFlight: 65_000 },
      ...{ srttUs: 21_000, rttvarUs: 900, minRttUs: 19_500, lossPpm: 1200, costMicroPerGB: 3_500_000 },
      ...{ energyPerByte: 1100, signal: -675, slope: -21, subflows: 4 },
    },
    { id: 2, state: PathState.UP, flags: 0, subflows: 0 },
  ],
};

function view(octets: number): DataView {
  return new DataView(new Uint8Array(octets).fill(0xa5).buffer);
}

test("a table's octets stand where the ABI says", () => {
  const octets = view(200);
  expect(writeTable(octets, TABLE)).toBe(192);
  const u16 = (at: number) => octets.getUint16(at, true);
  const u32 = (at: number) => octets.getUint32(at, true);
  const u64 = (at: number) => octets.getBigUint64(at, true);
  expect([u16(0), u16(2), u16(4), u16(6)]).toEqual([256, 64, 64, 2]);
  expect([u64(8), u64(16), u64(40)]).toEqual([5_000_000_123n, 0x0123_4567_89ab_cdefn, 6_000_000_000n]);
  expect([u32(24), u32(28), u32(32), u32(36), u32(52), u32(56), u32(60)]).toEqual([7, 7, 3, 12, 7, 5, 0]);
  expect([u16(48), octets.getUint8(50), octets.getUint8(51)]).toEqual([431, 2, 0]);
  expect([u32(64), octets.getUint8(68), octets.getUint8(69), u16(70)]).toEqual([7, 2, 2, 10]);
  expect([u64(72), u64(80)]).toEqual([4_999_000_000n, 10_000_000_000n]);
  expect([88, 92, 96, 100, 104, 108, 112, 116].map(u32)).toEqual([
    ...[48_000, 65_000, 21_000, 900, 19_500, 1200, 3_500_000, 1100],
  ]);
  expect([octets.getInt16(120, true), octets.getInt16(122, true), u16(124), u16(126)]).toEqual([-675, -21, 4, 0]);
  expect(octets.getUint8(192), "nothing behind the table is touched").toBe(0xa5);
});

test("what is not known is all ones, 0x8000 in a signed field", () => {
  const octets = view(192);
  writeTable(octets, TABLE);
  expect(octets.getUint8(128 + 4)).toBe(0xff);
  expect(octets.getBigUint64(128 + 8, true)).toBe(0xffff_ffff_ffff_ffffn);
  expect(octets.getBigUint64(128 + 16, true)).toBe(0xffff_ffff_ffff_ffffn);
  for (const at of [24, 28, 32, 36, 40, 44, 48, 52]) expect(octets.getUint32(128 + at, true)).toBe(0xffffffff);
  expect([octets.getInt16(128 + 56, true), octets.getInt16(128 + 58, true)]).toEqual([-32768, -32768]);
});

test("a table is read as it was written", () => {
  const octets = view(192);
  writeTable(octets, TABLE);
  expect(readTable(octets)).toEqual(TABLE);
});

test("a value too large to say is the largest, never the sentinel", () => {
  const octets = view(128);
  const path = { id: 1, state: PathState.UP, flags: 0, subflows: 0, signal: -40_000, inFlight: 2 ** 40, srttUs: -1 };
  writeTable(octets, { ...TABLE, paths: [path] });
  expect(octets.getInt16(64 + 56, true)).toBe(-0x7fff);
  expect(octets.getUint32(64 + 28, true)).toBe(0xfffffffe);
  expect(octets.getUint32(64 + 32, true)).toBe(0);
});

test("longer records of a later minor version are read as far as they are known", () => {
  const short = view(192);
  writeTable(short, TABLE);
  const long = new Uint8Array(80 + 2 * 96).fill(0x77);
  const octets = new Uint8Array(short.buffer);
  long.set(octets.subarray(0, 64));
  long.set(octets.subarray(64, 128), 80);
  long.set(octets.subarray(128, 192), 80 + 96);
  const grown = new DataView(long.buffer);
  grown.setUint16(2, 80, true);
  grown.setUint16(4, 96, true);
  expect(readTable(grown)).toEqual(TABLE);
});

test("33 paths, or a region that is too short, are refused", () => {
  const paths = Array.from({ length: 33 }, (_, i) => ({ id: i + 1, state: PathState.UP, flags: 0, subflows: 0 }));
  expect(() => writeTable(view(tableSize(33)), { ...TABLE, paths })).toThrow("32 paths");
  expect(() => writeTable(view(100), TABLE)).toThrow(RangeError);
});

test("an intent is read from where the ABI says", () => {
  const octets = new DataView(new ArrayBuffer(64));
  octets.setUint16(0, 256, true);
  octets.setUint16(2, 11, true);
  octets.setUint32(4, 7, true);
  [0b10, 0b100, 0b1000, 4000].forEach((value, i) => {
    octets.setUint32(8 + 4 * i, value, true);
  });
  octets.setBigUint64(24, 77_000_000n, true);
  octets.setUint8(32 + 31, 9);
  const intent = readIntent(octets);
  expect(intent).toMatchObject({ abi: 256, reason: 11, activePathId: 7, standbyMask: 2, openMask: 4, closeMask: 8 });
  expect(intent).toMatchObject({ dwellMs: 4000, wakeAtUs: 77_000_000 });
  expect([intent.weights.length, intent.weights[31]]).toEqual([32, 9]);
  octets.setUint32(4, 0xffffffff, true);
  octets.setBigUint64(24, 0n, true);
  expect(readIntent(octets)).toMatchObject({ activePathId: undefined, wakeAtUs: undefined });
});
