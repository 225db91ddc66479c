// Option lists that nobody would send: the parsers must not trap, not look outside of the header, and see
// what the tests' own decoder sees.

import { describe, expect, test } from "vitest";
import { forCases, type Random } from "../model/random.ts";
import { decodeOptions, type Option, option } from "../packet.ts";
import { AT, BUILDS, OUT, Wire } from "../unit/wire/wire.ts";

const KINDS = [0, 1, 2, 3, 4, 5, 8, 19, 29, 30, 30, 30, 30, 34, 99, 172, 174, 254];
const LENGTHS = [0, 1, 2, 3, 4, 6, 8, 10, 11, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 34, 40, 41, 255];
const SUBTYPES = ["mpCapable", "mpJoin", "dss", "addAddr", "removeAddr", "mpPrio", "mpFail", "mpFastclose", "mpTcprst"];

/** 0…40 octets: options whose head is likely to be right and whose body is not. */
function randomOptions(random: Random): Uint8Array {
  const octets: number[] = [];
  const length = random.below(41);
  while (octets.length < length) {
    const kind = random.chance(0.05) ? random.below(256) : random.pick(KINDS);
    const size = random.chance(0.1) ? random.below(256) : random.pick(LENGTHS);
    const head = [kind, size, random.below(9) * 16 + random.below(4), random.pick([0, 1, 4, 5, 7, 13, 15, 21, 0x81])];
    octets.push(...(kind < 2 ? [kind] : head.slice(0, Math.max(1, Math.min(4, size)))));
    for (let i = 4; kind > 1 && i < size && octets.length < length; i++) octets.push(random.below(256));
  }
  return Uint8Array.from(octets.slice(0, length));
}

/** Whether Linux would take an MPTCP option that has one of its subtype's lengths, in a packet with these flags. */
function accepted(candidate: Option, syn: boolean, ack: boolean, rst: boolean): boolean {
  const place = syn ? (ack ? "synack" : "syn") : "ack";
  switch (candidate.kind) {
    case "mpCapable": {
      const { senderKey, receiverKey, version, flags } = candidate;
      const form = receiverKey !== undefined ? "ack" : senderKey !== undefined ? "synack" : "syn";
      if (form !== place || (form === "syn" ? version < 1 : version !== 1)) return false;
      return (flags & 0x5f) === 1;
    }
    case "mpJoin":
      return candidate.form === place;
    case "removeAddr":
      return candidate.ids.length <= 8;
    case "mpTcprst":
      return rst;
    default:
      return SUBTYPES.includes(candidate.kind);
  }
}

describe.each(BUILDS)("options fuzz, %s build", (build) => {
  const wire = new Wire(build);

  test("N-102 tcpOptionsParse sees what the decoder sees, whatever the options", () => {
    forCases(10_000, (random) => {
      const octets = randomOptions(random);
      const decoded = decodeOptions(octets);
      const headerLength = wire.putOptions(octets);
      const got = wire.tcpOptions(headerLength);
      const last = { options: decoded.options.toReversed() };
      expect(got.malformed).toBe(decoded.malformed ? 1 : 0);
      expect(got.mss).toBe(option(last, "mss")?.mss ?? 0);
      const scale = option(last, "ws");
      expect(got.windowScale).toBe(scale ? Math.min(scale.shift, 14) : 0xffffffff);
      const blocks = option(last, "sack")?.blocks;
      expect(got.sackCount).toBe(blocks?.length ?? 0);
      if (blocks) {
        expect(got.sackPtr).toBeGreaterThanOrEqual(AT + 22);
        expect(got.sackPtr + 8 * got.sackCount).toBeLessThanOrEqual(AT + headerLength);
      }
      expect(wire.x.tcpHasMptcp(AT, headerLength)).toBe(got.mptcpCount > 0 ? 1 : 0);
    });
  });

  test("N-102 mptcpParse sees what the decoder sees, whatever the options", () => {
    forCases(10_000, (random) => {
      const octets = randomOptions(random);
      const flags = random.pick([0, 2, 18, 16, 4, 20, 6]);
      const headerLength = wire.putOptions(octets, flags);
      const got = wire.mptcpOptions(headerLength);
      const { options } = decodeOptions(octets);
      const place = [(flags & 2) !== 0, (flags & 16) !== 0, (flags & 4) !== 0] as const;
      const taken = { options: options.filter((candidate) => accepted(candidate, ...place)) };
      expect(got.present).toBe(taken.options.reduce((bits, { kind }) => bits | (1 << SUBTYPES.indexOf(kind)), 0));
      expect(got.count).toBe(wire.tcpOptions(headerLength).mptcpCount);
      const dss = option(taken, "dss");
      if (dss?.dan !== undefined) expect(got.dan).toBe(dss.dan);
      if (dss?.dsn !== undefined) expect(got).toMatchObject({ dsn: dss.dsn, ssnRel: dss.ssn, dataLength: dss.length });
      const remove = option(taken, "removeAddr");
      if (remove)
        expect([...wire.get(Number(got.removePtr), Number(got.removePtr) + remove.ids.length)]).toEqual(remove.ids);
    });
  });

  test("copySynOptions writes a sound list, no longer than promised", () => {
    forCases(10_000, (random) => {
      const headerLength = wire.putOptions(randomOptions(random), 2);
      const clamp = random.pick([0, 535, 536, 1436, 65535]);
      wire.bytes.fill(0xa5, OUT, OUT + 128);
      const length = wire.x.copySynOptions(AT, headerLength, OUT, clamp);
      expect(length).toBeLessThanOrEqual(44);
      expect(wire.bytes[OUT + length]).toBe(0xa5);
      const { options, malformed } = decodeOptions(wire.get(OUT, OUT + length));
      expect(malformed).toBe(false);
      for (const copied of options) {
        expect(["ts", "tfo", "nop", "eol", ...SUBTYPES]).not.toContain(copied.kind);
        if (copied.kind === "mss") expect(copied.mss).toBeLessThanOrEqual(clamp);
      }
    });
  });

  test("ipCheck and tcpCheck take any octets", () => {
    forCases(20_000, (random) => {
      const length = random.below(100);
      const octets = Uint8Array.from({ length }, () => random.below(256));
      if (length > 9) {
        if (random.chance(0.8)) octets[0] = random.pick([0x45, 0x46, 0x4f, 0x60]);
        if (random.chance(0.8)) octets.set([0, random.below(110)], random.pick([2, 4]));
        if (random.chance(0.8)) octets.set([random.pick([0x20, 0x40, 0x06]), 0, 64, 6], 6);
      }
      wire.put(octets);
      const kind = wire.x.ipCheck(AT, length);
      expect([0, 1, 5, 256, 257]).toContain(kind);
      if (kind !== 0) return;
      const header = wire.x.ipHeaderLength(AT);
      const total = wire.x.ipTotalLength(AT);
      expect(header <= total && total <= length).toBe(true);
      if (wire.x.tcpCheck(AT + header, total - header) !== 0) return;
      expect(header + wire.x.tcpHeaderLength(AT + header)).toBeLessThanOrEqual(total);
    });
  });
});
