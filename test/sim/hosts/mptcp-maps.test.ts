// Which mappings Linux takes and which it refuses, packet by packet.

import { describe, expect, it } from "vitest";
import { dssChecksum, type Packet } from "../../packet.ts";
import { IncomingMaps, type Mapping } from "./mptcp-maps.ts";

const packet = {} as Packet;

/** Takes octets [ssn, ssn + length) of the subflow; the numbers of what is new data, or what is wrong. */
function take(maps: IncomingMaps, ssn: number, length: number, map?: Mapping, acked = 1) {
  const found = maps.take({ start: ssn, octets: new Uint8Array(length), packet }, map, acked);
  return typeof found === "object" ? [found.start, found.start + found.octets.length] : found;
}

const map = (data: number, ssn: number, length: number): Mapping => ({ data, ssn, length });

describe("maps that are taken", () => {
  it("one per packet", () => {
    const maps = new IncomingMaps();
    expect(take(maps, 1, 100, map(1, 1, 100))).toEqual([1, 101]);
    expect(take(maps, 101, 100, map(501, 101, 100))).toEqual([501, 601]);
  });

  it("one for many packets, on all of them or on the first only", () => {
    const maps = new IncomingMaps();
    expect(take(maps, 1, 100, map(1, 1, 300))).toEqual([1, 101]);
    expect(take(maps, 101, 100)).toEqual([101, 201]);
    expect(take(maps, 201, 100, map(1, 1, 300))).toEqual([201, 301]);
    expect(take(maps, 301, 100)).toBe("no DSS");
  });

  it("one that begins before the packet", () => {
    const maps = new IncomingMaps();
    maps.copied = 101;
    expect(take(maps, 101, 100, map(1, 1, 300))).toEqual([101, 201]);
  });

  it("what was read before is passed over, in the subflow and at data level", () => {
    const maps = new IncomingMaps();
    expect(take(maps, 1, 100, map(1, 1, 100))).toEqual([1, 101]);
    expect(take(maps, 51, 100, map(51, 51, 100))).toEqual([101, 151]);
    expect(take(maps, 151, 100, map(51, 151, 100), 151)).toBeUndefined();
    expect(maps.copied).toBe(251);
    expect(take(maps, 251, 100, map(101, 251, 100), 151)).toEqual([151, 201]);
  });
});

/** `map` of octets that are all 0, but for what `wrong` adds to its checksum. */
const summed = (data: number, ssn: number, length: number, wrong = 0): Mapping => {
  const checksum = dssChecksum(BigInt(data), ssn, length, new Uint8Array(length)) + wrong;
  return { ...map(data, ssn, length), check: { dsn: BigInt(data), stated: length, checksum } };
};

describe("maps with a checksum", () => {
  it("give nothing before all of it is there, and all of it then", () => {
    const maps = new IncomingMaps();
    expect(take(maps, 1, 100, summed(1, 1, 100))).toEqual([1, 101]);
    expect(take(maps, 101, 100, summed(101, 101, 300))).toBeUndefined();
    expect(take(maps, 201, 99)).toBeUndefined();
    expect(take(maps, 300, 101, summed(101, 101, 300))).toEqual([101, 401]);
  });

  it("of octets that are old at data level are summed up, too", () => {
    const maps = new IncomingMaps();
    expect(take(maps, 1, 100, summed(1, 1, 100), 51)).toEqual([51, 101]);
    expect(take(maps, 101, 100, summed(51, 101, 200), 201)).toBeUndefined();
    expect(take(maps, 201, 100, summed(51, 101, 200), 201)).toEqual([201, 251]);
  });

  it("are refused if it is wrong, or if they begin where the subflow was read before", () => {
    expect(take(new IncomingMaps(), 1, 100, summed(1, 1, 100, 1))).toBe("DataCsumErr");
    const maps = new IncomingMaps();
    expect(take(maps, 1, 100, summed(1, 1, 100))).toEqual([1, 101]);
    expect(take(maps, 51, 100, summed(51, 51, 100))).toBe("DataCsumErr");
  });
});

describe("maps that are refused", () => {
  it("a packet without one", () => {
    expect(take(new IncomingMaps(), 1, 100)).toBe("no DSS");
  });

  it("one for later octets, or for earlier ones only", () => {
    expect(take(new IncomingMaps(), 1, 100, map(101, 101, 100))).toBe("DSSNoMatchTCP");
    const maps = new IncomingMaps();
    maps.copied = 101;
    expect(take(maps, 101, 100, map(1, 1, 100))).toBe("DSSNoMatchTCP");
  });

  it("one that is shorter than its packet", () => {
    expect(take(new IncomingMaps(), 1, 100, map(1, 1, 99))).toBe("DSSCorruption");
    const maps = new IncomingMaps();
    expect(take(maps, 1, 100, map(1, 1, 150))).toEqual([1, 101]);
    expect(take(maps, 101, 100)).toBe("DSSCorruption");
  });

  it("one that is shorter than its packet, and old: what is left new has none", () => {
    expect(take(new IncomingMaps(), 1, 100, map(1, 1, 50), 60)).toBe("no DSS");
  });

  it("another one while the current one still covers the packet", () => {
    const maps = new IncomingMaps();
    expect(take(maps, 1, 100, map(1, 1, 300))).toEqual([1, 101]);
    expect(take(maps, 101, 100, map(101, 101, 100))).toBe("DSSNotMatching");
  });

  it("the infinite one", () => {
    expect(take(new IncomingMaps(), 1, 100, map(1, 1, 0))).toBe("infinite map");
  });
});
