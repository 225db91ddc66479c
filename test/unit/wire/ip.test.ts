import { describe, expect, test } from "vitest";
import { DropReason } from "../../../host/engine/abi.ts";
import { addressOctets, mappedAddress, naiveSum, packet } from "../../packet.ts";
import { AT, BUILDS, OUT, Wire } from "./wire.ts";

const TCP = 0;
const NOT_TCP = 256;
const ICMP = 257;
const { IP_MALFORMED, FRAGMENT } = DropReason;

const V4 = { src: "192.0.2.1", dst: "198.51.100.7", sport: 1, dport: 2, flags: "A", payload: 10 };
const V6 = { ...V4, src: "2001:db8::1", dst: "2001:db8::ffff:7" };

describe.each(BUILDS)("ip, %s build", (build) => {
  const wire = new Wire(build);
  const { x } = wire;

  /** ipCheck() of a packet in which some octets are changed. */
  function check(octets: Uint8Array, changes: Record<number, number> = {}, length = octets.length): number {
    const changed = octets.slice();
    for (const [at, value] of Object.entries(changes)) changed[Number(at)] = value;
    return x.ipCheck(wire.put(changed), length);
  }

  test.each([
    ["IPv4", V4],
    ["IPv6", V6],
  ])("%s: a packet is TCP, one octet less of it is malformed, padding behind it is not", (_, fields) => {
    const octets = packet(fields);
    expect(check(octets)).toBe(TCP);
    for (let length = 0; length < octets.length; length++) expect(check(octets, {}, length)).toBe(IP_MALFORMED);
    expect(check(Uint8Array.from([...octets, 0, 0, 0, 0]))).toBe(TCP);
  });

  test("only versions 4 and 6 exist", () => {
    for (let version = 0; version < 16; version++) {
      const want = version === 4 ? TCP : IP_MALFORMED;
      if (version !== 6) expect(check(packet(V4), { 0: (version << 4) | 5 })).toBe(want);
    }
  });

  test("IPv4 header lengths that lie", () => {
    const octets = packet(V4);
    for (let words = 0; words < 16; words++) {
      const want = words < 5 || words * 4 > octets.length ? IP_MALFORMED : TCP;
      expect(check(octets, { 0: 0x40 | words })).toBe(want);
    }
    expect(check(octets, { 2: 0, 3: 19 })).toBe(IP_MALFORMED); // total length below the header's
    expect(check(octets, { 2: 0, 3: 0 })).toBe(IP_MALFORMED); // BIG TCP
    expect(check(octets, { 2: 0, 3: octets.length + 1 })).toBe(IP_MALFORMED);
  });

  test("IPv6 without a payload length is a jumbogram", () => {
    expect(check(packet(V6), { 4: 0, 5: 0 })).toBe(IP_MALFORMED);
    expect(check(packet(V6), { 4: 0, 5: 29 })).toBe(TCP); // shorter than what is there: the rest is padding
    expect(check(packet(V6), { 4: 1 })).toBe(IP_MALFORMED);
  });

  test.each([
    [0x20, 0, FRAGMENT, "MF"],
    [0x00, 1, FRAGMENT, "offset 1"],
    [0x1f, 0xff, FRAGMENT, "largest offset"],
    [0x40, 0, TCP, "DF"],
    [0x80, 0, TCP, "the reserved bit"],
    [0x00, 0, TCP, "none"],
  ])("fragment bits %i %i", (high, low, want) => {
    expect(check(packet(V4), { 6: high, 7: low })).toBe(want);
  });

  test("other protocols go their way, ICMP is named", () => {
    for (let protocol = 0; protocol < 256; protocol++) {
      expect(check(packet(V4), { 9: protocol })).toBe(protocol === 6 ? TCP : protocol === 1 ? ICMP : NOT_TCP);
      expect(check(packet(V6), { 6: protocol })).toBe(protocol === 6 ? TCP : protocol === 58 ? ICMP : NOT_TCP);
    }
    expect(check(packet(V4), { 6: 0x20, 9: 17 })).toBe(NOT_TCP); // a UDP fragment is none of our business
    expect(check(packet(V4), { 6: 0x20, 9: 1 })).toBe(NOT_TCP);
  });

  test("IPv4 header checksum: filled in whatever the header says; IPv6 has none", () => {
    const octets = packet(V4);
    for (let bit = 8; bit < 160; bit++) {
      wire.put(octets);
      wire.bytes[AT + (bit >> 3)] = (octets[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(naiveSum(wire.get(AT, AT + 20))).not.toBe(0xffff);
      x.ipSetHeaderChecksum(AT);
      expect(naiveSum(wire.get(AT, AT + 20))).toBe(0xffff);
    }
    wire.put(packet(V6));
    x.ipSetHeaderChecksum(AT);
    expect(wire.get(AT, AT + 40)).toEqual(packet(V6).slice(0, 40));
  });

  test.each([
    ["IPv4", V4, 20],
    ["IPv6", V6, 40],
  ])("%s: accessors", (_, fields, headerLength) => {
    const octets = packet(fields);
    wire.put(octets);
    expect(x.ipVersion(AT)).toBe(headerLength === 20 ? 4 : 6);
    expect(x.ipHeaderLength(AT)).toBe(headerLength);
    expect(x.ipTotalLength(AT)).toBe(octets.length);
    x.ipCopySource(AT, OUT);
    x.ipCopyDestination(AT, OUT + 16);
    expect(wire.get(OUT, OUT + 16)).toEqual(mappedAddress(fields.src));
    expect(wire.get(OUT + 16, OUT + 32)).toEqual(mappedAddress(fields.dst));
    expect(x.ipIsMapped(OUT)).toBe(headerLength === 20 ? 1 : 0);
  });

  test.each([
    [V4, "203.0.113.9", "203.0.113.10"],
    [V6, "fd00::9", "fd00:1:2:3:4:5:6:a"],
  ])("setters change what they name and nothing else, %o", (fields, src, dst) => {
    wire.put(packet({ ...fields, payload: 0 }));
    wire.bytes.set([...mappedAddress(src), ...mappedAddress(dst)], OUT);
    x.ipSetSource(AT, OUT);
    x.ipSetDestination(AT, OUT + 16);
    x.ipSetTotalLength(AT, 65531);
    x.ipSetHeaderChecksum(AT);
    expect(x.ipTotalLength(AT)).toBe(65531);
    x.ipSetTotalLength(AT, x.ipHeaderLength(AT) + 20);
    x.ipSetHeaderChecksum(AT);
    x.tcpChecksumFill(AT, AT + x.ipHeaderLength(AT), 20);
    const want = packet({ ...fields, payload: 0, src, dst });
    expect(wire.get(AT, AT + want.length)).toEqual(want);
  });

  test("what is not v4-mapped", () => {
    for (let at = 0; at < 12; at++) {
      const octets = mappedAddress("1.2.3.4");
      octets[at] = (octets[at] ?? 0) ^ 1;
      expect(x.ipIsMapped(wire.put(octets))).toBe(0);
    }
    expect(x.ipIsMapped(wire.put(mappedAddress("0.0.0.0")))).toBe(1);
    expect(x.ipIsMapped(wire.put(mappedAddress("::")))).toBe(0);
  });

  test.each([V4, V6])("build makes what the tests' own builder makes, %o", (fields) => {
    const want = packet({ ...fields, id: 0x1234 });
    const version = addressOctets(fields.src).length === 4 ? 4 : 6;
    wire.bytes.set([...mappedAddress(fields.src), ...mappedAddress(fields.dst)], OUT);
    const octets = wire.written((p) => p + x.ipBuild(p, version, OUT, OUT + 16, want.length, 0x1234, 6));
    expect(octets).toEqual(want.slice(0, version === 4 ? 20 : 40));
  });
});
