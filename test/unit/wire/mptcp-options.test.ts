import { describe, expect, test } from "vitest";
import type { MptcpOption, Option } from "../../packet.ts";
import * as p from "../../packet.ts";
import { AT, BUILDS, type MptcpFields, OUT, Wire } from "./wire.ts";

const KEY_A = 0xfedcba9876543210n;
const KEY_B = 0x8123456789abcdefn;
const HMAC = Uint8Array.from({ length: 20 }, (_, i) => 0xf0 - i);
const SYN = 2;
const ACK = 16;
const RST = 4;
/** Where the option under test starts: everything is parsed behind one octet of padding, so unaligned. */
const START = AT + 21;

const signed = (value: bigint): bigint => BigInt.asIntN(64, value);

describe.each(BUILDS)("MPTCP options, %s build", (build) => {
  const wire = new Wire(build);

  const parse = (flags: number, ...options: Option[]): MptcpFields =>
    wire.mptcpOptions(wire.putOptions(p.encodeOptions([p.nop, ...options]), flags));

  test.each<[string, MptcpOption, number, Partial<MptcpFields>]>([
    [
      "MP_CAPABLE SYN",
      p.capableSyn(0xa1),
      SYN,
      { capableLength: 4, capableVersion: 1, capableFlags: 0xa1, capableHasChecksum: 0 },
    ],
    ["MP_CAPABLE SYN, later version", p.capableSyn(1, 2), SYN, { capableLength: 4, capableVersion: 2 }],
    ["MP_CAPABLE SYN/ACK", p.capableSynAck(KEY_B), SYN | ACK, { capableLength: 12, senderKey: KEY_B, capableFlags: 1 }],
    [
      "MP_CAPABLE ACK",
      p.capableAck(KEY_A, KEY_B),
      ACK,
      { capableLength: 20, senderKey: KEY_A, receiverKey: KEY_B, capableDataLength: 0 },
    ],
    [
      "MP_CAPABLE data",
      p.capableData(KEY_A, KEY_B, 0xfffe),
      ACK,
      { capableLength: 22, receiverKey: KEY_B, capableDataLength: 0xfffe, capableHasChecksum: 0 },
    ],
    [
      "MP_CAPABLE data, checksum",
      { ...p.capableData(KEY_A, KEY_B, 5), checksum: 0x8182 },
      ACK,
      { capableLength: 24, capableDataLength: 5, capableHasChecksum: 1, capableChecksum: 0x8182 },
    ],
    [
      "MP_JOIN SYN",
      p.joinSyn(0xfedcba98, 0x81828384, 200, true),
      SYN,
      { joinLength: 12, joinToken: 0xfedcba98, joinNonce: 0x81828384, joinAddressId: 200, joinBackup: 1 },
    ],
    [
      "MP_JOIN SYN/ACK",
      p.joinSynAck(HMAC.slice(0, 8), 0x81828384, 3),
      SYN | ACK,
      { joinLength: 16, joinNonce: 0x81828384, joinAddressId: 3, joinBackup: 0, joinHmacPtr: START + 4 },
    ],
    ["MP_JOIN ACK", p.joinAck(HMAC), ACK, { joinLength: 24, joinHmacPtr: START + 4 }],
    [
      "ADD_ADDR",
      p.addAddr({ id: 9, address: "10.1.2.3", hmac: HMAC.slice(0, 8) }),
      ACK,
      {
        addAddrEcho: 0,
        addAddrFamily: 4,
        addAddrId: 9,
        addAddrPtr: START + 4,
        addAddrPort: 0,
        addAddrHmacPtr: START + 8,
      },
    ],
    [
      "ADD_ADDR port",
      p.addAddr({ id: 9, address: "10.1.2.3", port: 0x8182, hmac: HMAC.slice(0, 8) }),
      ACK,
      { addAddrFamily: 4, addAddrPort: 0x8182, addAddrHmacPtr: START + 10 },
    ],
    [
      "ADD_ADDR echo",
      p.addAddr({ id: 9, address: "10.1.2.3" }),
      ACK,
      { addAddrEcho: 1, addAddrFamily: 4, addAddrPort: 0, addAddrHmacPtr: 0 },
    ],
    [
      "ADD_ADDR echo, port",
      p.addAddr({ id: 9, address: "10.1.2.3", port: 1 }),
      ACK,
      { addAddrEcho: 1, addAddrFamily: 4, addAddrPort: 1, addAddrHmacPtr: 0 },
    ],
    [
      "ADD_ADDR IPv6",
      p.addAddr({ id: 9, address: "fd00::1", hmac: HMAC.slice(0, 8) }),
      ACK,
      { addAddrFamily: 6, addAddrPtr: START + 4, addAddrPort: 0, addAddrHmacPtr: START + 20 },
    ],
    [
      "ADD_ADDR IPv6, port",
      p.addAddr({ id: 9, address: "fd00::1", port: 80, hmac: HMAC.slice(0, 8) }),
      ACK,
      { addAddrFamily: 6, addAddrPort: 80, addAddrHmacPtr: START + 22 },
    ],
    [
      "ADD_ADDR IPv6 echo",
      p.addAddr({ id: 9, address: "fd00::1" }),
      ACK,
      { addAddrEcho: 1, addAddrFamily: 6, addAddrPort: 0 },
    ],
    [
      "ADD_ADDR IPv6 echo, port",
      p.addAddr({ id: 9, address: "fd00::1", port: 80 }),
      ACK,
      { addAddrEcho: 1, addAddrFamily: 6, addAddrPort: 80 },
    ],
    ["REMOVE_ADDR", p.removeAddr(1), ACK, { removePtr: START + 3, removeCount: 1 }],
    ["REMOVE_ADDR of 8", p.removeAddr(1, 2, 3, 4, 5, 6, 7, 8), ACK, { removePtr: START + 3, removeCount: 8 }],
    ["MP_PRIO", p.mpPrio(true), ACK, { prioBackup: 1 }],
    ["MP_PRIO, no backup", p.mpPrio(false), ACK, { prioBackup: 0 }],
    ["MP_FAIL", p.mpFail(KEY_A), ACK, { failDsn: KEY_A }],
    ["MP_FASTCLOSE", p.mpFastclose(KEY_A), ACK, { fastcloseKey: KEY_A }],
    ["MP_TCPRST", p.mpTcprst(6, true), RST, { rstFlags: 1, rstReason: 6 }],
  ])("reads %s", (_, option, flags, want) => {
    const fields = parse(flags, option);
    expect(fields.present).toBe(1 << ((p.encodeOptions([option])[2] ?? 0) >> 4));
    expect(fields.count).toBe(1);
    expect(fields).toMatchObject(want);
  });

  test("reads DSS in every form", () => {
    for (const dan of [undefined, 0xfedcba98n]) {
      for (const dsn of [undefined, 0x8182838485868788n]) {
        for (const [danOctets, dsnOctets] of [
          [4, 4],
          [4, 8],
          [8, 4],
          [8, 8],
        ] as const) {
          for (const checksum of [undefined, 0xcafe]) {
            for (const fin of [false, true]) {
              const option: p.Dss = { kind: "dss", danOctets, dsnOctets, ssn: 0xfffffffe, length: 0xfffd, fin };
              if (dan !== undefined) option.dan = dan;
              if (dsn !== undefined) option.dsn = dsn;
              if (checksum !== undefined) option.checksum = checksum;
              const fields = parse(ACK, option);
              expect(fields.present).toBe(4);
              expect(fields.danOctets).toBe(dan === undefined ? 0 : danOctets);
              expect(fields.dsnOctets).toBe(dsn === undefined ? 0 : dsnOctets);
              expect(Number(fields.dssFlags) & 16).toBe(fin ? 16 : 0);
              if (dan !== undefined) expect(fields.dan).toBe(dan);
              expect(fields.dssHasChecksum).toBe(dsn !== undefined && checksum !== undefined ? 1 : 0);
              if (dsn === undefined) continue;
              const want = { dsn: dsnOctets === 8 ? dsn : dsn & 0xffffffffn, ssnRel: 0xfffffffe, dataLength: 0xfffd };
              expect(fields).toMatchObject(want);
              if (checksum !== undefined) expect(fields.dssChecksum).toBe(checksum);
            }
          }
        }
      }
    }
  });

  test("the upper three DSS flags do not matter", () => {
    const octets = p.encodeOptions([p.nop, p.dss({ dan: 1n })]);
    octets[4] = (octets[4] ?? 0) | 0xe0;
    expect(wire.mptcpOptions(wire.putOptions(octets))).toMatchObject({ present: 4, dssFlags: 1, dan: 1n });
  });

  test("a length that Linux does not take is as if the option were not there", () => {
    // The lengths that are right for a subtype, its low nibble, the octet behind it and the TCP flags.
    const dssLengths = (flags: number) => {
      const dan = flags & 1 ? (flags & 2 ? 8 : 4) : 0;
      const map = flags & 4 ? (flags & 8 ? 14 : 10) : 0;
      return [4 + dan + map, 6 + dan + map];
    };
    const lengths = (subtype: number, low: number, octet3: number, flags: number): number[] => {
      const syn = flags & SYN;
      const ack = flags & ACK;
      switch (subtype) {
        case 0:
          if (octet3 & 0x40 || (octet3 & 0x1f) !== 1) return [];
          if (syn && !ack) return low >= 1 ? [4] : [];
          if (low !== 1) return [];
          return syn ? [12] : [20, 22, 24];
        case 1:
          return syn ? (ack ? [16] : [12]) : [24];
        case 2:
          return dssLengths(octet3);
        case 3:
          return low & 1 ? [8, 10, 20, 22] : [16, 18, 28, 30];
        case 4:
          return [4, 5, 6, 7, 8, 9, 10, 11];
        case 5:
          return [3];
        case 6:
        case 7:
          return [12];
        case 8:
          return flags & RST ? [4] : [];
        default:
          return [];
      }
    };
    for (const flags of [0, SYN, SYN | ACK, ACK, RST, RST | ACK]) {
      for (let subtypeAndLow = 0; subtypeAndLow < 64; subtypeAndLow++) {
        const octet2 = ((subtypeAndLow >> 2) << 4) | ([0, 1, 2, 15][subtypeAndLow & 3] ?? 0);
        for (const octet3 of [0, 1, 2, 4, 5, 7, 12, 13, 15, 17, 0x41, 0x81, 0xa1, 0xc1, 0xff]) {
          for (let length = 3; length <= 40; length++) {
            const octets = new Uint8Array(40).fill(1);
            octets.set([30, length, octet2, octet3].slice(0, length));
            const { present, count } = wire.mptcpOptions(wire.putOptions(octets, flags));
            const right = lengths(octet2 >> 4, octet2 & 15, octet3, flags).includes(length);
            const want = right ? 1 << (octet2 >> 4) : 0;
            if (present !== want || count !== 1) {
              expect.fail(
                `flags ${flags} octets ${octet2},${octet3} length ${length}: ${present}, not ${want}; ${count}`,
              );
            }
          }
        }
      }
    }
  });

  test("of two options of a subtype the first that is well-formed wins", () => {
    expect(parse(ACK, p.dss({ dan: 1n }), p.dss({ dan: 2n }))).toMatchObject({ present: 4, count: 2, dan: 1n });
    expect(parse(ACK, p.raw(30, 5, 0x20, 1, 9), p.dss({ dan: 2n }))).toMatchObject({ present: 4, count: 2, dan: 2n });
  });

  test("several options beside each other and beside TCP's", () => {
    const fields = parse(ACK, p.sack([5, 6]), p.dss({ dan: 3n }), p.mpPrio(true), p.removeAddr(7));
    expect(fields).toMatchObject({ present: 4 | 32 | 16, count: 3, dan: 3n, prioBackup: 1, removeCount: 1 });
  });

  test("an option cut anywhere is not there", () => {
    const octets = p.encodeOptions([p.nop, p.capableData(KEY_A, KEY_B, 100), p.dss({ dan: 1n, dsn: 2n })]);
    for (let length = 0; length < octets.length; length++) {
      const { present } = wire.mptcpOptions(wire.putOptions(octets.slice(0, length)));
      expect(present).toBe((length >= 23 ? 1 : 0) | (length >= 41 ? 4 : 0));
    }
  });

  test("fields without their option are cleared where the comment says so", () => {
    const cleared = ["capableLength", "capableDataLength", "joinLength", "dssFlags", "danOctets", "dsnOctets"];
    const want = Object.fromEntries(
      [...cleared, "dataLength", "removeCount", "present", "count"].map((name) => [name, 0]),
    );
    expect(parse(ACK)).toMatchObject(want);
  });
});

describe.each(BUILDS)("MPTCP option writers, %s build", (build) => {
  const wire = new Wire(build);
  const { x } = wire;
  const HMAC_AT = OUT;
  const ADDRESS_AT = OUT + 32;
  const setAddress = (text: string) => wire.bytes.set(p.mappedAddress(text), ADDRESS_AT);

  test.each<[string, (at: number) => number, Option]>([
    ["MP_CAPABLE SYN", (at) => x.writeCapableSyn(at, 0x81), p.capableSyn(0x81)],
    ["MP_CAPABLE SYN/ACK", (at) => x.writeCapableSynAck(at, 0x21, signed(KEY_A)), p.capableSynAck(KEY_A, 0x21)],
    ["MP_CAPABLE ACK", (at) => x.writeCapableAck(at, 1, signed(KEY_A), signed(KEY_B)), p.capableAck(KEY_A, KEY_B)],
    [
      "MP_CAPABLE data",
      (at) => x.writeCapableData(at, 1, signed(KEY_A), signed(KEY_B), 0xfffe),
      p.capableData(KEY_A, KEY_B, 0xfffe),
    ],
    [
      "MP_JOIN SYN",
      (at) => x.writeJoinSyn(at, 1, 200, 0xfedcba98, 0x81828384),
      p.joinSyn(0xfedcba98, 0x81828384, 200, true),
    ],
    ["MP_JOIN SYN, no backup", (at) => x.writeJoinSyn(at, 0, 0, 1, 2), p.joinSyn(1, 2, 0)],
    [
      "MP_JOIN SYN/ACK, backup",
      (at) => x.writeJoinSynAck(at, 1, 0, HMAC_AT, 1),
      p.joinSynAck(HMAC.slice(0, 8), 1, 0, true),
    ],
    [
      "MP_JOIN SYN/ACK",
      (at) => x.writeJoinSynAck(at, 0, 3, HMAC_AT, 0x81828384),
      p.joinSynAck(HMAC.slice(0, 8), 0x81828384, 3),
    ],
    ["MP_JOIN ACK", (at) => x.writeJoinAck(at, HMAC_AT), p.joinAck(HMAC)],
    [
      "DSS ack",
      (at) => x.writeDss(at, 1, 0xfedcba98, 0, 0, 0, 0, 0),
      p.dss({ dan: 0xfedcba98n, danOctets: 4, fin: false }),
    ],
    [
      "DSS map",
      (at) => x.writeDss(at, 0, 0, 1, 0xfedcba98, 0x81828384, 0xfffe, 0),
      p.dss({ dsn: 0xfedcba98n, dsnOctets: 4, ssn: 0x81828384, length: 0xfffe, fin: false }),
    ],
    [
      "DSS both, DATA_FIN",
      (at) => x.writeDss(at, 1, 7, 1, 8, 0, 1, 1),
      p.dss({ dan: 7n, danOctets: 4, dsn: 8n, dsnOctets: 4, ssn: 0, length: 1, fin: true }),
    ],
    [
      "DSS both with a checksum",
      (at) => x.writeChecksum(at, x.writeDss(at, 1, 7, 1, 8, 9, 10, 0), 0x8182),
      p.dss({ dan: 7n, danOctets: 4, dsn: 8n, dsnOctets: 4, ssn: 9, length: 10, fin: false, checksum: 0x8182 }),
    ],
    [
      "MP_CAPABLE with data and a checksum",
      (at) => x.writeChecksum(at, x.writeCapableData(at, 0x81, signed(KEY_A), 2n, 300), 0xfe),
      { ...p.capableData(KEY_A, 2n, 300, 0x81), checksum: 0xfe },
    ],
    ["REMOVE_ADDR", (at) => x.writeRemoveAddr(at, HMAC_AT, 3), p.removeAddr(...HMAC.slice(0, 3))],
    ["MP_PRIO", (at) => x.writePrio(at, 1), p.mpPrio(true)],
    ["MP_PRIO, no backup", (at) => x.writePrio(at, 0), p.mpPrio(false)],
    ["MP_FAIL", (at) => x.writeFail(at, signed(KEY_A)), p.mpFail(KEY_A)],
    ["MP_FASTCLOSE", (at) => x.writeFastclose(at, signed(KEY_A)), p.mpFastclose(KEY_A)],
    ["MP_TCPRST", (at) => x.writeTcpRst(at, 1, 3), p.mpTcprst(3, true)],
  ])("writes %s", (_, write, want) => {
    wire.bytes.set(HMAC, HMAC_AT);
    const { options, malformed } = p.decodeOptions(wire.written(write));
    expect(malformed).toBe(false);
    expect(options).toEqual([want]);
  });

  test.each(["10.1.2.3", "fd00::1"])("writes ADD_ADDR of %s with and without port and HMAC", (address) => {
    wire.bytes.set(HMAC, HMAC_AT);
    setAddress(address);
    for (const port of [undefined, 0x8182]) {
      for (const hmac of [undefined, HMAC.slice(0, 8)]) {
        const want = p.addAddr({ id: 5, address, ...(port && { port }), ...(hmac && { hmac }) });
        const octets = wire.written((at) => x.writeAddAddr(at, 5, ADDRESS_AT, port ?? 0, hmac ? HMAC_AT : 0));
        expect(p.decodeOptions(octets).options).toEqual([want]);
      }
    }
  });

  test("what the engine writes the engine reads", () => {
    const octets = wire.written((at) => x.padOptions(at, x.writeDss(at, 1, 1, 1, 2, 3, 4, 1)));
    expect(octets.length).toBe(20); // config.ts DSS_OVERHEAD
    const withSum = (at: number) => x.padOptions(at, x.writeChecksum(at, x.writeDss(at, 1, 1, 1, 2, 3, 4, 1), 5));
    expect(wire.written(withSum).length).toBe(20);
    expect(wire.mptcpOptions(wire.putOptions(octets))).toMatchObject({
      present: 4,
      dssFlags: 0x15,
      dan: 1n,
      dsn: 2n,
      ssnRel: 3,
      dataLength: 4,
    });
    const capable = wire.written((at) => x.padOptions(at, x.writeCapableData(at, 1, 1n, 2n, 4)));
    expect(capable.length).toBe(24); // config.ts CAPABLE_DATA_OVERHEAD
  });
});
