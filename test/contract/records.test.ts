// host/engine between records and objects: every field at its offset, every address in its one spelling.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import * as abi from "../../host/engine/abi.ts";
import { formatAddress, parseAddress } from "../../host/engine/address.ts";
import { type EngineCommand, encodeCommand } from "../../host/engine/commands.ts";
import { decodeCounters } from "../../host/engine/counters.ts";
import { decodeEvents } from "../../host/engine/events.ts";
import { decodeSnapshot } from "../../host/engine/snapshot.ts";
import { decodeStatistics } from "../../host/engine/statistics.ts";
import { type TraceEntry, TraceReader } from "../../host/engine/trace-file.ts";
import { Random } from "../model/random.ts";

describe("addresses", () => {
  test.each([
    ["10.0.1.2", "10.0.1.2"],
    ["255.255.255.255", "255.255.255.255"],
    ["fd00::1", "fd00::1"],
    ["FD00:0:0:0:0:0:0:1", "fd00::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["fe80::", "fe80::"],
    ["::1", "::1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
  ])("%s is written %s", (text, written) => {
    expect(formatAddress(parseAddress(text))).toBe(written);
  });

  test("none is sixteen zeros and the empty text", () => {
    expect(parseAddress(null)).toEqual(new Uint8Array(16));
    expect(formatAddress(new Uint8Array(16))).toBe("");
  });

  test("any address reads back as it was", () => {
    const random = new Random(1);
    for (let round = 0; round < 1000; round++) {
      const octets = Uint8Array.from({ length: 16 }, () => (random.chance(0.6) ? 0 : random.below(256)));
      if (octets.every((octet) => octet === 0)) continue;
      expect(parseAddress(formatAddress(octets))).toEqual(octets);
    }
  });

  test.each(["", "10.0.0", "fd00::1%eth0", "host"])("%j is refused", (text) => {
    expect(() => parseAddress(text)).toThrow(/no IP address/);
  });
});

describe("commands", () => {
  const view = (command: EngineCommand) => new DataView(encodeCommand(command, 9).buffer);

  test("a path has all its fields", () => {
    const address6 = "fd00::5";
    const numbers = { path: 3, flags: 5, mtu: 1400, interface: 7, prefix4: 24, prefix6: 64 };
    const record = view({ kind: "path_set", ...numbers, address4: "10.0.0.5", address6 });
    expect(record.byteLength).toBe(abi.COMMAND_SIZE);
    expect(record.getUint32(abi.Command.ID, true)).toBe(9);
    expect(record.getUint16(abi.Command.KIND, true)).toBe(abi.CommandKind.PATH_SET);
    expect(record.getUint32(abi.Command.PATH, true)).toBe(3);
    expect(record.getUint32(abi.Command.FLAGS, true)).toBe(5);
    expect(record.getUint32(abi.Command.MTU, true)).toBe(1400);
    expect(record.getUint32(abi.Command.INTERFACE, true)).toBe(7);
    expect([record.getUint8(abi.Command.PREFIX4), record.getUint8(abi.Command.PREFIX6)]).toEqual([24, 64]);
    const octets = new Uint8Array(record.buffer);
    expect(formatAddress(octets.subarray(abi.Command.ADDRESS4, abi.Command.ADDRESS4 + 16))).toBe("10.0.0.5");
    expect(formatAddress(octets.subarray(abi.Command.ADDRESS6, abi.Command.ADDRESS6 + 16))).toBe(address6);
  });

  test("a handover names scope, mode and time", () => {
    const rest = { path: 2, mode: "break_before_make", timeoutMs: 500 } as const;
    const record = view({ kind: "handover", ...rest, scope: "connection", token: "0000beef" });
    expect(record.getUint8(abi.Command.SCOPE)).toBe(abi.Scope.CONNECTION);
    expect(record.getUint8(abi.Command.MODE)).toBe(abi.HandoverMode.BREAK_BEFORE_MAKE);
    expect(record.getUint32(abi.Command.TOKEN, true)).toBe(0xbeef);
    expect(record.getUint32(abi.Command.TIMEOUT_MS, true)).toBe(500);
    expect(view({ kind: "handover_auto", scope: "class", class: 4 }).getUint32(abi.Command.CLASS, true)).toBe(4);
  });

  test("a subflow command is about one connection, a trace may be switched", () => {
    const record = view({ kind: "subflow_add", token: "1", path: 1 });
    expect(record.getUint8(abi.Command.SCOPE)).toBe(abi.Scope.CONNECTION);
    expect(view({ kind: "trace", on: true, scope: "all" }).getUint8(abi.Command.MODE)).toBe(1);
    expect(view({ kind: "trace", on: false, scope: "all" }).getUint8(abi.Command.MODE)).toBe(0);
  });

  test("preferences are counted", () => {
    const record = view({ kind: "class_set", class: 0, prefer: [2, 1] });
    expect(record.getUint32(abi.Command.PREFER_COUNT, true)).toBe(2);
    expect([record.getUint8(abi.Command.PREFER), record.getUint8(abi.Command.PREFER + 1)]).toEqual([2, 1]);
  });

  test("a class may have paths of its own", () => {
    const record = view({ kind: "class_set", class: 5, prefer: [2, 1], paths: [1, 32], probeMs: 300 });
    expect(record.getUint32(abi.Command.PROBE_MS, true)).toBe(300);
    expect(record.getUint32(abi.Command.CLASS, true)).toBe(5);
    expect(record.getUint32(abi.Command.ALLOWED, true)).toBe(0x80000001);
  });

  test("rules are a record each, or one that says that there is none", () => {
    const R = abi.ClassRule;
    const octets = encodeCommand(
      {
        kind: "class_rules",
        rules: [
          { class: 1, prefix: "10.0.0.0/8", uids: { first: 5, last: 9 } },
          { class: 2, ports: { first: 80, last: 81 } },
        ],
      },
      7,
    );
    const [one, two] = [0, 1].map((i) => new DataView(octets.buffer, i * abi.COMMAND_SIZE)) as [DataView, DataView];
    expect(octets.length).toBe(2 * abi.COMMAND_SIZE);
    const { ID, KIND, CLASS } = abi.Command;
    for (const record of [one, two]) {
      expect([record.getUint32(ID, true), record.getUint16(KIND, true)]).toEqual([7, abi.CommandKind.CLASS_RULE]);
      expect(record.getUint32(R.COUNT, true)).toBe(2);
    }
    const numbers = (record: DataView, ...fields: number[]) => fields.map((field) => record.getUint32(field, true));
    const { PREFIX, UIDS, PORTS } = abi.ClassRuleFlag;
    expect(numbers(one, CLASS, R.INDEX, R.FLAGS, R.PREFIX_LENGTH)).toEqual([1, 0, PREFIX | UIDS, 104]);
    expect(numbers(one, R.UID_FIRST, R.UID_LAST)).toEqual([5, 9]);
    expect(formatAddress(octets.subarray(R.PREFIX, R.PREFIX + 16))).toBe("10.0.0.0");
    expect(numbers(two, CLASS, R.INDEX, R.FLAGS)).toEqual([2, 1, PORTS]);
    expect([two.getUint16(R.PORT_FIRST, true), two.getUint16(R.PORT_LAST, true)]).toEqual([80, 81]);
    const none = view({ kind: "class_rules", rules: [] });
    expect([none.byteLength, none.getUint32(R.COUNT, true)]).toEqual([abi.COMMAND_SIZE, 0]);
  });

  test("what cannot be is refused before it reaches the engine", () => {
    expect(() => view({ kind: "path_remove", path: 0 })).toThrow(/expected 1 … 32/);
    expect(() => view({ kind: "subflow_add", token: "xyz", path: 1 })).toThrow(/hex/);
    expect(() => view({ kind: "class_set", class: 0, prefer: [33] })).toThrow(/expected 1 … 32/);
    expect(() => view({ kind: "class_set", class: 0, prefer: [], paths: [0] })).toThrow(/expected 1 … 32/);
    expect(() => view({ kind: "class_set", class: 64, prefer: [] })).toThrow(/expected 0 … 63/);
    const rule = (prefix: string) => view({ kind: "class_rules", rules: [{ class: 1, prefix }] });
    for (const prefix of ["10.0.0.0", "10.0.0.0/33", "fd00::/129", "/8", "x/8"]) {
      expect(() => rule(prefix), prefix).toThrow(/no prefix|no IP address/);
    }
    const many = Array.from({ length: 257 }, () => ({ class: 1 }));
    expect(() => view({ kind: "class_rules", rules: many })).toThrow(/at most 256/);
  });
});

/** A record with numbers at offsets. */
function record(size: number, ...fields: [offset: number, bits: 8 | 16 | 32 | 64, value: number][]): Buffer {
  const octets = Buffer.alloc(size);
  for (const [offset, bits, value] of fields) {
    if (bits === 64) octets.writeBigUInt64LE(BigInt(value), offset);
    else octets.writeUIntLE(value, offset, bits / 8);
  }
  return octets;
}

test("events have words for numbers", () => {
  const E = abi.EventRecord;
  const octets = record(
    abi.EVENT_SIZE,
    [E.KIND, 16, 12],
    [E.REASON, 16, 18],
    [E.TOKEN, 32, 0xab],
    [E.TIME_US, 64, 5e12],
  );
  octets.set(parseAddress("10.0.1.2"), E.LOCAL);
  const unknown = record(abi.EVENT_SIZE, [E.KIND, 16, 999]);
  const [event, other] = decodeEvents(Buffer.concat([octets, unknown]));
  expect(event).toMatchObject({
    kind: "handover_failed",
    reason: "path_not_usable",
    token: "000000ab",
    timeUs: 5e12,
    local: "10.0.1.2",
    remote: "",
  });
  expect(other?.kind).toBe("unknown_999");
});

test("a snapshot puts subflows under their connection, across pages", () => {
  const { SnapshotConnection: C, SnapshotSubflow: S, SnapshotPath: P, SnapshotKind: K } = abi;
  const size = abi.SNAPSHOT_RECORD_SIZE;
  const connection = record(
    size,
    [C.KIND, 16, K.CONNECTION],
    [C.STATE, 16, 3],
    [C.TOKEN, 32, 1],
    [C.BYTES_SENT, 64, 2 ** 40],
  );
  const flags = abi.SubflowFlag.ACTIVE | abi.SubflowFlag.PEER_BACKUP;
  const subflow = record(size, [S.KIND, 16, K.SUBFLOW], [S.STATE, 16, 4], [S.FLAGS, 32, flags]);
  const way = record(size, [P.KIND, 16, K.PATH], [P.STATE, 16, 1], [P.ID, 32, 2]);
  const snapshot = decodeSnapshot([Buffer.concat([connection, subflow]), Buffer.concat([subflow, way])]);
  expect(snapshot.connections).toHaveLength(1);
  expect(snapshot.connections[0]).toMatchObject({ state: "m_estab", token: "00000001", bytesSent: 2 ** 40 });
  expect(snapshot.connections[0]?.subflows).toHaveLength(2);
  expect(snapshot.connections[0]?.subflows[1]).toMatchObject({ state: "established", active: true, backup: false });
  expect(snapshot.connections[0]?.subflows[1]?.peerBackup).toBe(true);
  expect(snapshot.paths).toMatchObject([{ id: 2, up: true, address4: null }]);
});

test("statistics are paths and classes with how many connections send where", () => {
  const { SnapshotClass: C, SnapshotPath: P, SnapshotKind: K } = abi;
  const size = abi.SNAPSHOT_RECORD_SIZE;
  const way = record(
    size,
    [P.KIND, 16, K.PATH],
    [P.ID, 32, 2],
    [P.IN_FLIGHT, 32, 7],
    [P.LAST_ACK_US, 64, 5e12],
    [P.PACKETS_REPEATED, 64, 3],
  );
  const counts: [number, 32, number][] = [
    [C.ACTIVE_ON, 32, 1],
    [C.ACTIVE_ON + 4 * 32, 32, 9],
  ];
  const one = record(size, [C.KIND, 16, K.CLASS], [C.ID, 32, 5], [C.CONNECTIONS, 32, 10], ...counts);
  const { paths, classes } = decodeStatistics(Buffer.concat([way, one]));
  expect(paths).toMatchObject([{ id: 2, inFlight: 7, lastAckUs: 5e12, packetsRepeated: 3 }]);
  expect(classes).toMatchObject([{ id: 5, connections: 10 }]);
  expect([...(classes[0]?.activeOn ?? [])]).toEqual([
    [0, 1],
    [32, 9],
  ]);
});

test("counters have names, drop reasons a prefix", () => {
  const engine = Buffer.alloc(abi.COUNTER_MAX * 8);
  engine.writeBigUInt64LE(7n, abi.Counter.REWRITTEN * 8);
  engine.writeBigUInt64LE(1n << 60n, (abi.DROP_COUNTER_BASE + abi.DropReason.NO_MAPPING) * 8);
  const counters = decodeCounters({ engine, names: ["batches"], values: [3] });
  expect(counters).toMatchObject({ rewritten: 7, drop_no_mapping: 1n << 60n, batches: 3 });
});

describe("trace files", () => {
  const directory = mkdtempSync(path.join(tmpdir(), "shunt-trace-"));
  const file = path.join(directory, "trace");
  const header = record(64, [8, 32, 1], [12, 32, 64], [16, 32, abi.ABI_VERSION], [24, 64, 1000]);
  header.write("SHUNTTRC");

  test("give their records, the one still being written excepted", async () => {
    const T = abi.TraceRecord;
    const flags = abi.TraceFlag.HAS_DSN | abi.TraceFlag.FORGED;
    const first = record(64, [T.DSN, 64, 2 ** 40], [T.SSN, 32, 5], [T.FLAGS, 8, flags], [T.SIDE, 8, 1]);
    writeFileSync(file, Buffer.concat([header, first, first.subarray(0, 20)]));
    await using reader = await TraceReader.open(file);
    expect(reader.header.startUs).toBe(1000);
    const entries: TraceEntry[] = [];
    for await (const entry of reader.records()) entries.push(entry);
    expect(entries).toHaveLength(1);
    const expected = { dsn: 1n << 40n, dan: null, ssn: 5, direction: "received", forged: true, dataFin: false };
    expect(entries[0]).toMatchObject(expected);
  });

  test("of another kind or version are refused", async () => {
    writeFileSync(file, "hello");
    await expect(TraceReader.open(file)).rejects.toThrow(/no Shunt trace/);
    header.writeUInt32LE(2, 8);
    writeFileSync(file, header);
    await expect(TraceReader.open(file)).rejects.toThrow(/another version/);
    rmSync(directory, { recursive: true });
  });
});
