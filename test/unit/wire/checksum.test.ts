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
      const sum = x.sumOctets(AT, cut) + x.sumOctets(AT + cut, 1000 - cut);
      expect(x.fold(sum)).toBe(x.fold(x.sumOctets(AT, 1000)));
    }
  });
});

describe.each(BUILDS)("checksum of a mapping, %s build", (build) => {
  const wire = new Wire(build);

  test("as octet by octet, whatever its numbers", () => {
    const next = random(3);
    for (let length = 1; length < 400; length++) {
      const fin = length % 7 === 0 ? 1 : 0; // a DATA_FIN counts
      const octets = Uint8Array.from({ length: length - fin }, () => next());
      const [dsn, ssn] = [(BigInt(next()) << 32n) | BigInt(next()), next()];
      wire.put(octets);
      const sum = wire.x.mappingChecksum(BigInt.asIntN(64, dsn), ssn, length, wire.x.sumOctets(AT, octets.length));
      expect(sum).toBe(dssChecksum(dsn, ssn, length, octets));
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

  /** The checksum field, and whether it is right as the tests' own decoder sees it. */
  const field = (tcp: number) => ((wire.bytes[tcp + 16] ?? 0) << 8) | (wire.bytes[tcp + 17] ?? 0);
  const valid = (at: number, length: number) => decode(wire.get(at, at + length)).checksumValid;

  test.each([V4, V6])("fill, and a corrupted one, %o", (addresses) => {
    for (let payload = 0; payload < 300; payload++) {
      const octets = packet({ ...addresses, flags: "A", seq: payload * 0x1234567, payload, options: [] });
      const at = AT + (payload % 8);
      const { tcp, length, headerLength } = place(octets, at);
      wire.bytes.set([0x12, 0x34], tcp + 16);
      const payloadSum = x.sumOctets(tcp + headerLength, payload);
      x.tcpChecksumFillWithPayloadSum(at, tcp, headerLength, payload, payloadSum);
      expect(wire.get(at, at + octets.length)).toEqual(octets);
      wire.bytes.set([0xff, 0xff], tcp + 16);
      x.tcpChecksumFill(at, tcp, length);
      expect(wire.get(at, at + octets.length)).toEqual(octets);
      x.checksumCorrupt(tcp);
      expect(valid(at, octets.length)).toBe(false);
    }
  });

  test("headerSum leaves the checksum field out, so that it can be summed before and after", () => {
    const { tcp, length, headerLength } = place(packet({ ...V4, flags: "A", payload: 33 }));
    const before = x.headerSum(AT, tcp, headerLength, length);
    wire.bytes.set([0xab, 0xcd], tcp + 16);
    expect(x.headerSum(AT, tcp, headerLength, length)).toBe(before);
    expect(x.headerSum(AT, tcp, headerLength, length + 1)).not.toBe(before);
  });

  test("a corrupted checksum is wrong whatever it was", () => {
    // The acknowledgment number runs through all 65536 values, so the checksum does, too.
    const octets = packet({ ...V4, flags: "A" });
    const { tcp, length } = place(octets);
    const seen = new Set<number>();
    for (let ack = 0; ack < 65536; ack++) {
      wire.bytes.set([ack >> 8, ack & 255], tcp + 10);
      x.tcpChecksumFill(AT, tcp, length);
      seen.add(field(tcp));
      x.checksumCorrupt(tcp);
      if (valid(AT, octets.length)) expect.fail(`still valid with ack ${ack}`);
    }
    expect(seen.size).toBe(65535);
    expect(seen.has(0)).toBe(true); // the case in which flipping all bits would change nothing
    expect(seen.has(0xffff)).toBe(false);
  });
});
