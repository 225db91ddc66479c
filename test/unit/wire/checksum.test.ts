import { describe, expect, test } from "vitest";
import { decode, dssChecksum, naiveSum, packet, payloadPattern } from "../../packet.ts";
import { AT, BUILDS, Wire } from "./wire.ts";

/** Octets in memory order as a number: what fold() speaks. */
const swap = (n: number): number => ((n & 0xff) << 8) | (n >> 8);

/** A stream of u32 that a seed repeats (xorshift32). */
function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

describe.each(BUILDS)("checksum, %s build", (build) => {
  const wire = new Wire(build);
  const { x } = wire;

  test("every length 0…9001 from every alignment sums as octet by octet", () => {
    const next = random(1);
    const octets = Uint8Array.from({ length: 9001 + 16 }, () => next());
    wire.bytes.set(octets, AT);
    for (let start = 0; start < 9; start++) {
      let sum = 0; // of `length` octets from `start`, in network order
      for (let length = 0; length <= 9001; length++) {
        const got = swap(x.fold(x.sumOctets(AT + start, length)));
        if (got !== sum) expect.fail(`start ${start} length ${length}: ${got}, naive ${sum}`);
        sum += (octets[start + length] ?? 0) << (length % 2 === 0 ? 8 : 0);
        if (sum > 0xffff) sum -= 0xffff;
      }
    }
  });

  test("64 KiB of ones, the largest sum", () => {
    wire.bytes.fill(0xff, AT, AT + 65536);
    for (const length of [65535, 65536]) {
      const naive = naiveSum(wire.bytes.subarray(AT, AT + length));
      expect(swap(x.fold(x.sumOctets(AT, length)))).toBe(naive);
    }
    const many = x.sumOctets(AT, 65536) * 131072n; // as many as checksum.ts promises
    expect(x.fold(many)).toBe(0xffff);
  });

  test("fold agrees with the remainder by 65535, and gives 0 for 0 only", () => {
    const next = random(2);
    const sums = [0n, 1n, 0xfffen, 0xffffn, 0x10000n, 0x1fffen, 0xffffffffn, 0x100000000n, 2n ** 64n - 1n];
    for (let i = 0; i < 20000; i++) sums.push(((BigInt(next()) << 32n) | BigInt(next())) >> BigInt(next() % 64));
    for (const sum of sums) {
      const remainder = Number(sum % 65535n);
      const want = sum === 0n ? 0 : remainder === 0 ? 0xffff : remainder;
      expect(x.fold(BigInt.asIntN(64, sum))).toBe(want);
    }
  });

  test("sums of parts that start at even offsets add up", () => {
    const octets = payloadPattern(1000);
    wire.put(octets);
    for (let cut = 0; cut <= 1000; cut += 2) {
      const sum = x.sumAdd(x.sumOctets(AT, cut), x.sumOctets(AT + cut, 1000 - cut));
      expect(x.fold(sum)).toBe(x.fold(x.sumOctets(AT, 1000)));
    }
  });
});

const V4 = { src: "192.0.2.1", dst: "198.51.100.255", sport: 40000, dport: 443 };
const V6 = { src: "2001:db8::1", dst: "2001:db8:ffff::fe", sport: 40000, dport: 443 };

describe.each(BUILDS)("TCP checksum, %s build", (build) => {
  const wire = new Wire(build);
  const { x } = wire;

  /** Puts a packet and returns where its TCP header is and how long the segment. */
  function place(octets: Uint8Array, at = AT): { tcp: number; length: number; headerLength: number } {
    wire.put(octets, at);
    const { ipHeaderLength, tcpHeaderLength, totalLength } = decode(octets);
    return { tcp: at + ipHeaderLength, length: totalLength - ipHeaderLength, headerLength: tcpHeaderLength };
  }

  test.each([V4, V6])("fill and valid, %o", (addresses) => {
    for (let payload = 0; payload < 300; payload++) {
      const octets = packet({ ...addresses, flags: "A", seq: payload * 0x1234567, payload, options: [] });
      const { tcp, length, headerLength } = place(octets, AT + (payload % 8));
      const at = AT + (payload % 8);
      expect(x.tcpChecksumValid(at, tcp, length)).toBe(1);
      x.tcpSetChecksum(tcp, 0x1234);
      const payloadSum = x.sumOctets(tcp + headerLength, payload);
      x.tcpChecksumFillWithPayloadSum(at, tcp, headerLength, payload, payloadSum);
      expect(wire.get(at, at + octets.length)).toEqual(octets);
      x.tcpSetChecksum(tcp, 0xffff);
      x.tcpChecksumFill(at, tcp, length);
      expect(wire.get(at, at + octets.length)).toEqual(octets);
      x.checksumCorrupt(tcp);
      expect(x.tcpChecksumValid(at, tcp, length)).toBe(0);
    }
  });

  test("a corrupted checksum is wrong whatever it was", () => {
    // The acknowledgment number runs through all 65536 values, so the checksum does, too.
    const { tcp, length } = place(packet({ ...V4, flags: "A" }));
    const seen = new Set<number>();
    for (let ack = 0; ack < 65536; ack++) {
      x.tcpSetAcknowledgment(tcp, ack);
      x.tcpChecksumFill(AT, tcp, length);
      seen.add(x.tcpChecksum(tcp));
      x.checksumCorrupt(tcp);
      if (x.tcpChecksumValid(AT, tcp, length)) expect.fail(`still valid with ack ${ack}`);
    }
    expect(seen.size).toBe(65535);
    expect(seen.has(0)).toBe(true); // the case in which flipping all bits would change nothing
    expect(seen.has(0xffff)).toBe(false);
  });

  test.each([V4, V6])("adjust comes to what fill comes to, %o", (addresses) => {
    const next = random(3);
    for (let i = 0; i < 3000; i++) {
      const octets = packet({ ...addresses, flags: "A", seq: next(), ack: next(), payload: next() % 64 });
      const { tcp, length, headerLength } = place(octets);
      const old = x.tcpChecksum(tcp);
      const oldSum = x.headerSum(AT, tcp, headerLength, length);
      x.tcpSetSequence(tcp, next());
      x.tcpSetWindow(tcp, next() & 0xffff);
      x.tcpSetSourcePort(tcp, next() & 0xffff);
      x.tcpChecksumAdjust(AT, tcp, oldSum, x.headerSum(AT, tcp, headerLength, length), old);
      const adjusted = x.tcpChecksum(tcp);
      x.tcpChecksumFill(AT, tcp, length);
      expect(adjusted).toBe(x.tcpChecksum(tcp));
    }
  });

  test("adjust from and to every checksum, the two zeros included", () => {
    const { tcp, length, headerLength } = place(packet({ ...V4, flags: "A", payload: 33 }));
    x.tcpSetAcknowledgment(tcp, 0);
    x.tcpChecksumFill(AT, tcp, length);
    const oldSum = x.headerSum(AT, tcp, headerLength, length);
    const old = x.tcpChecksum(tcp);
    for (let ack = 0; ack < 65536; ack++) {
      x.tcpSetAcknowledgment(tcp, ack);
      const sum = x.headerSum(AT, tcp, headerLength, length);
      x.tcpChecksumAdjust(AT, tcp, oldSum, sum, old);
      const there = x.tcpChecksum(tcp);
      if (!x.tcpChecksumValid(AT, tcp, length)) expect.fail(`wrong checksum for ack ${ack}`);
      x.tcpChecksumAdjust(AT, tcp, sum, oldSum, there);
      if (x.tcpChecksum(tcp) !== old) expect.fail(`not back for ack ${ack}`);
    }
    // A sender may write 0xffff for 0x0000: the adjusted checksum must be right all the same.
    for (let ack = 0; ack < 65536; ack++) {
      x.tcpSetAcknowledgment(tcp, ack);
      x.tcpChecksumFill(AT, tcp, length);
      if (x.tcpChecksum(tcp) !== 0) continue;
      const sum = x.headerSum(AT, tcp, headerLength, length);
      x.tcpSetAcknowledgment(tcp, 77);
      x.tcpChecksumAdjust(AT, tcp, sum, x.headerSum(AT, tcp, headerLength, length), 0xffff);
      expect(x.tcpChecksumValid(AT, tcp, length)).toBe(1);
    }
  });

  test("a wrong checksum stays wrong through adjust", () => {
    const { tcp, length, headerLength } = place(packet({ ...V4, flags: "A", payload: 33, checksum: "bad" }));
    const oldSum = x.headerSum(AT, tcp, headerLength, length);
    const old = x.tcpChecksum(tcp);
    x.tcpSetSequence(tcp, 0x01020304);
    x.tcpChecksumAdjust(AT, tcp, oldSum, x.headerSum(AT, tcp, headerLength, length), old);
    expect(x.tcpChecksumValid(AT, tcp, length)).toBe(0);
  });

  test("adjust where header, addresses and length change", () => {
    const payload = payloadPattern(101);
    const before = packet({ ...V4, flags: "A", payload });
    const { tcp, length, headerLength } = place(before);
    const oldSum = x.headerSum(AT, tcp, headerLength, length);
    const old = x.tcpChecksum(tcp);
    const options = [{ kind: "dss" as const, dan: 1n, dsn: 2n, ssn: 3, length: 101 }];
    const after = packet({ ...V4, src: "10.9.8.7", flags: "A", payload, options });
    const grown = place(after);
    x.tcpChecksumAdjust(AT, grown.tcp, oldSum, x.headerSum(AT, grown.tcp, 40, grown.length), old);
    expect(wire.get(AT, AT + after.length)).toEqual(after);
  });

  test("DSS checksum, odd lengths and both halves of the DSN", () => {
    const next = random(4);
    for (let length = 0; length < 200; length++) {
      const payload = payloadPattern(length, next() & 0xffff);
      wire.put(payload, AT + (length % 3));
      const dsn = (BigInt(next()) << 32n) | BigInt(next());
      const ssn = next();
      const got = x.dssChecksum(BigInt.asIntN(64, dsn), ssn, length + 1, x.sumOctets(AT + (length % 3), length));
      expect(got).toBe(dssChecksum(dsn, ssn, length + 1, payload));
    }
  });
});
