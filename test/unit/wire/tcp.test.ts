import { describe, expect, test } from "vitest";
import { DropReason } from "../../../host/engine/abi.ts";
import { packet } from "../../packet.ts";
import { AT, BUILDS, Wire } from "./wire.ts";

const FIELDS = { src: "192.0.2.1", dst: "198.51.100.7", sport: 0xfedc, dport: 0x8001 };
const TCP = AT + 20;

describe.each(BUILDS)("tcp, %s build", (build) => {
  const wire = new Wire(build);
  const { x } = wire;

  test("every data offset against every length", () => {
    for (let words = 0; words < 16; words++) {
      for (let length = 0; length < 80; length++) {
        const header = new Uint8Array(length);
        if (length > 12) header[12] = (words << 4) | 15; // reserved bits must not matter
        wire.put(header);
        const fits = length >= 20 && words >= 5 && words * 4 <= length;
        expect(x.tcpCheck(AT, length)).toBe(fits ? DropReason.NONE : DropReason.TCP_MALFORMED);
      }
    }
  });

  test("accessors", () => {
    const numbers = { seq: 0xfffefdfc, ack: 0x80706050, win: 0xfffe };
    const octets = packet({ ...FIELDS, ...numbers, flags: "AC", options: [{ kind: "mss", mss: 1460 }] });
    wire.put(octets);
    expect(x.tcpSourcePort(TCP)).toBe(0xfedc);
    expect(x.tcpDestinationPort(TCP)).toBe(0x8001);
    expect(x.tcpSequence(TCP) >>> 0).toBe(0xfffefdfc);
    expect(x.tcpAcknowledgment(TCP) >>> 0).toBe(0x80706050);
    expect(x.tcpHeaderLength(TCP)).toBe(24);
    expect(x.tcpFlags(TCP)).toBe(0x90);
    expect(x.tcpWindow(TCP)).toBe(0xfffe);
  });

  test("build makes what the tests' own builder makes", () => {
    const want = packet({ ...FIELDS, flags: "SA", seq: 0xfffffff0, ack: 0x80000000, win: 0xfffe }).slice(20);
    const octets = wire.written((p) => {
      x.tcpBuild(p, 0xfedc, 0x8001, 0xfffffff0, 0x80000000, 20, 0x12, 0xfffe);
      return p + 20;
    });
    want.fill(0, 16, 18); // the checksum is another function's
    expect(octets).toEqual(want);
  });
});
