import { describe, expect, test } from "vitest";
import type { Option } from "../../packet.ts";
import {
  capableSyn,
  decodeOptions,
  encodeOptions,
  eol,
  mss,
  nop,
  raw,
  sack,
  sackOk,
  tfo,
  ts,
  ws,
} from "../../packet.ts";
import { AT, BUILDS, OUT, type TcpFields, Wire } from "./wire.ts";

const NONE: TcpFields = {
  mss: 0,
  windowScale: 0xffffffff,
  sackPermitted: 0,
  timestamps: 0,
  sackCount: 0,
  sackPtr: 0,
  fastOpen: 0,
  md5: 0,
  mptcpCount: 0,
  accEcn: 0,
  malformed: 0,
};
const LINUX_SYN = [mss(1460), sackOk, ts(1000), nop, ws(7)];

describe.each(BUILDS)("TCP options, %s build", (build) => {
  const wire = new Wire(build);
  const { x } = wire;

  const parse = (options: Option[]): TcpFields => wire.tcpOptions(wire.putOptions(encodeOptions(options)));
  const parseRaw = (...octets: number[]): TcpFields => wire.tcpOptions(wire.putOptions(octets));

  test.each<[string, Option[], Partial<TcpFields>]>([
    ["none", [], {}],
    ["Linux SYN", LINUX_SYN, { mss: 1460, sackPermitted: 1, timestamps: 1, windowScale: 7 }],
    ["window scale 0", [ws(0)], { windowScale: 0 }],
    ["window scale above 14 counts as 14", [ws(15)], { windowScale: 14 }],
    ["window scale 255", [ws(255)], { windowScale: 14 }],
    ["Fast Open", [tfo(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8))], { fastOpen: 34 }],
    ["Fast Open request", [tfo()], { fastOpen: 34 }],
    ["experimental Fast Open", [tfo(Uint8Array.of(1, 2, 3, 4), true)], { fastOpen: 254 }],
    ["experimental Fast Open request", [tfo(undefined, true)], { fastOpen: 254 }],
    ["another experiment", [raw(254, 4, 0xf9, 0x8a)], {}],
    ["an experiment too short for a magic", [raw(254, 3, 0xf9), nop], {}],
    ["MD5", [raw(19, 18, ...new Array<number>(16).fill(7))], { md5: 19 }],
    ["authentication", [raw(29, 4, 1, 2)], { md5: 29 }],
    ["two of MPTCP", [capableSyn(), capableSyn()], { mptcpCount: 2 }],
    ["AccECN", [raw(172, 11, ...new Array<number>(9).fill(0))], { accEcn: 172 }],
    ["AccECN, other order", [raw(174, 2)], { accEcn: 174 }],
    ["the last MSS wins", [mss(1), mss(2)], { mss: 2 }],
    ["nothing counts behind EOL", [mss(1), eol, raw(3, 3, 7)], { mss: 1 }],
  ])("%s", (_, options, want) => {
    expect(parse(options)).toEqual({ ...NONE, ...want });
  });

  test("SACK blocks, 1 to 4", () => {
    for (let count = 1; count <= 4; count++) {
      const blocks = Array.from({ length: count }, (_, i): [number, number] => [0xfffffff0 + i, 100 * i]);
      const fields = wire.tcpOptions(
        wire.putOptions(encodeOptions(count < 4 ? [nop, nop, sack(...blocks)] : [sack(...blocks)])),
      );
      expect(fields).toEqual({ ...NONE, sackCount: count, sackPtr: AT + 20 + (count < 4 ? 4 : 2) });
      for (const [i, [left, right]] of blocks.entries()) {
        expect([x.sackLeft(OUT, i) >>> 0, x.sackRight(OUT, i) >>> 0]).toEqual([left, right]);
      }
    }
  });

  test.each([
    ["MSS of 3", [2, 3, 5, 1]],
    ["MSS of 5", [2, 5, 5, 5, 5, 1, 1, 1]],
    ["window scale of 4", [3, 4, 1, 1]],
    ["SACK permitted of 3", [4, 3, 1, 1]],
    ["SACK of 2", [5, 2, 1, 1]],
    ["SACK of 9", [5, 9, 1, 2, 3, 4, 5, 6, 7, 1, 1, 1]],
    ["timestamps of 9", [8, 9, 1, 2, 3, 4, 5, 6, 7, 1, 1, 1]],
  ])("wrong length: %s is ignored, what follows is not", (_, octets) => {
    expect(parseRaw(...octets, 4, 2, 1, 1)).toEqual({ ...NONE, sackPermitted: 1 });
  });

  test("lengths that lie end the walk; what came before counts", () => {
    for (let kind = 2; kind < 256; kind++) {
      expect(parseRaw(4, 2, 1, kind)).toEqual({ ...NONE, sackPermitted: 1, malformed: 1 });
      for (const length of [0, 1, 3, 40, 255]) {
        expect(parseRaw(4, 2, kind, length)).toEqual({ ...NONE, sackPermitted: 1, malformed: 1 });
      }
    }
  });

  test("a full list cut after any octet reads as far as it is whole", () => {
    const octets = encodeOptions([mss(1460), sackOk, ts(9), ws(7), nop, tfo(Uint8Array.of(1, 2, 3, 4)), ws(3)]);
    for (let length = 0; length <= octets.length; length++) {
      const cut = Uint8Array.from(octets.slice(0, length));
      const want = decodeOptions(cut);
      const got = wire.tcpOptions(wire.putOptions(cut));
      expect(got.malformed).toBe(want.malformed ? 1 : 0);
      expect(got.mss).toBe(length >= 4 ? 1460 : 0);
      expect(got.timestamps).toBe(length >= 16 ? 1 : 0);
      expect(got.windowScale).toBe(length >= 29 ? 3 : length >= 19 ? 7 : 0xffffffff);
    }
  });

  test("tcpHasMptcp", () => {
    const has = (...octets: number[]) => x.tcpHasMptcp(AT, wire.putOptions(octets));
    expect(has()).toBe(0);
    expect(has(...encodeOptions([...LINUX_SYN, capableSyn()]))).toBe(1);
    expect(has(30, 2, 1, 1)).toBe(1); // not even a subtype
    expect(has(2, 4, 30, 4)).toBe(0); // inside another option
    expect(has(1, 1, 1, 30)).toBe(0); // no length
    expect(has(30, 5, 0, 1)).toBe(0); // a length that lies
    expect(has(0, 30, 3, 0)).toBe(0); // behind EOL
    expect(has(7, 1, 30, 2)).toBe(0); // behind a length that lies
  });

  test.each<[string, Option[], number, Option[]]>([
    ["Linux SYN", LINUX_SYN, 1436, [mss(1436), sackOk, ws(7)]],
    ["a small MSS stays", [mss(536)], 1436, [mss(536)]],
    ["no MSS, clamp above the default", [sackOk], 536, [sackOk]],
    ["no MSS, clamp below the default", [sackOk], 535, [sackOk, mss(535)]],
    ["two MSS", [mss(9000), mss(1400)], 1436, [mss(1436), mss(1400)]],
    ["MPTCP and Fast Open", [capableSyn(), tfo(), tfo(undefined, true), ws(3)], 1436, [ws(3)]],
    ["AccECN", [raw(172, 2), raw(174, 5, 1, 2, 3), ws(3)], 1436, [ws(3)]],
    [
      "unknown kinds stay, other experiments too",
      [raw(99, 5, 1, 2, 3), raw(254, 4, 1, 2)],
      1436,
      [raw(99, 5, 1, 2, 3), raw(254, 4, 1, 2)],
    ],
    ["nothing behind EOL", [ws(3), eol, mss(5)], 1436, [ws(3)]],
    ["what precedes a lying length", [ws(3), raw(99, 40)], 1436, [ws(3)]],
  ])("copySynOptions: %s", (_, options, clamp, want) => {
    const headerLength = wire.putOptions(encodeOptions(options), 2);
    wire.bytes.fill(0xa5, OUT, OUT + 64);
    const length = x.copySynOptions(AT, headerLength, OUT, clamp);
    expect(decodeOptions(wire.get(OUT, OUT + length))).toEqual({ options: want, malformed: false });
    expect(wire.bytes[OUT + length]).toBe(0xa5);
  });

  test("writers", () => {
    const blocks: [number, number][] = [
      [1, 2],
      [0xfffffff0, 5],
      [300, 400],
      [7, 8],
    ];
    wire.bytes.set(new Uint8Array(Uint32Array.from(blocks.flat()).buffer), OUT);
    const back = (write: (p: number) => number) => decodeOptions(wire.written(write)).options;
    expect(back((p) => x.writeMss(p, 0xfedc))).toEqual([mss(0xfedc)]);
    expect(back(x.writeSackPermitted)).toEqual([sackOk]);
    expect(back((p) => x.writeWindowScale(p, 14))).toEqual([ws(14)]);
    expect(back((p) => x.writeSackBlocks(p, OUT, 0))).toEqual([]);
    for (const count of [1, 2, 3, 4]) {
      expect(back((p) => x.writeSackBlocks(p, OUT, count))).toEqual([sack(...blocks.slice(0, count))]);
    }
    for (let length = 0; length < 9; length++) {
      const octets = wire.written((p) => x.padOptions(p, p + length));
      expect(octets.length).toBe(Math.ceil(length / 4) * 4);
      expect([...octets.slice(length)]).toEqual(new Array(octets.length - length).fill(1));
    }
  });
});
