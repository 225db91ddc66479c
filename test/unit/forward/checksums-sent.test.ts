// Checksums of the mappings that the host's octets leave under (RFC 8684 §3.3.1; docs/decisions/0011).

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { FAMILIES, joined, opener, responder, sent } from "../../established.ts";
import * as p from "../../packet.ts";
import { routerError } from "../../packet-icmp.ts";
import { data } from "./cases.ts";
import { DEMANDED, proven, rightMaps } from "./checksum-cases.ts";

const GSO = { flags: abi.PacketFlag.GSO };

describe.each(FAMILIES)("checksums of what the host sends (IPv%i)", (family) => {
  it("N-92 packets, super-packets and octets sent again: each mapping has the sum of its octets", () => {
    for (const connect of [opener, responder]) {
      const e = connect({ family, ...DEMANDED });
      const start = proven(e);
      const maps = (at: number, length: number, delivery = {}) =>
        rightMaps(e, sent(e.hostData(start + at, length, {}, delivery))).map(([ssn, octets]) => [ssn - start, octets]);
      expect(maps(0, 1)).toEqual([[1, 1]]);
      expect(maps(1, 999)).toEqual([[2, 999]]);
      expect(maps(1000, 5001, GSO)).toEqual([[1001, 5001]]);
      expect(maps(6001, 1400)).toEqual([[6002, 1400]]);
      // Boundaries of its own: inside each mapping that was sent, whose octets are not all here any more.
      expect(maps(500, 1000)).toEqual([
        [2, 999],
        [1001, 5001],
      ]);
      expect(maps(4000, 1400)).toEqual([[1001, 5001]]);
    }
  });

  it("N-92 a super-packet has one mapping only when a packet as long as its parts has got through", () => {
    const e = responder({ family, ...DEMANDED });
    const mss = family === 4 ? 1440 : 1420;
    const lengths = (at: number) =>
      rightMaps(e, data(sent(e.hostData(at, 3 * mss, {}, GSO)))).map(([, octets]) => octets);
    expect(lengths(0)).toEqual([mss, mss, mss]);
    e.fromPeer({ acks: mss }, [e.dataAck(mss)]);
    expect(lengths(3 * mss)).toEqual([3 * mss]);
  });

  it("N-107 a packet that a router refuses has left no trace at the peer: what the host sends now is mapped anew", () => {
    const mss = family === 4 ? 1440 : 1420;
    for (const inParts of [false, true]) {
      const e = responder({ family, ...DEMANDED });
      const refused = e.hostData(0, mss).octets as Uint8Array;
      if (inParts) expect(rightMaps(e, sent(e.hostData(0, 500)))).toEqual([[1, mss]]); // and the peer may have these
      e.scene.wire(routerError(refused, { mtu: 1300 }));
      expect(rightMaps(e, sent(e.hostData(0, 500)))).toEqual([[1, inParts ? mss : 500]]);
      expect(rightMaps(e, sent(e.hostData(500, 600)))).toEqual([inParts ? [1, mss] : [501, 600]]);
    }
  });

  it("N-92 what is too long for its path: each piece has its own mapping, of which the peer needs all", () => {
    const e = opener({ family, ...DEMANDED });
    const headers = family === 4 ? 40 : 60;
    const mss = 1500 - headers - 24;
    e.scene.wire(routerError(e.hostData(0, mss).octets as Uint8Array, { mtu: 1400 }));
    const room = 1400 - headers - 20;
    const pieces = [
      [mss + 1, room],
      [mss + 1 + room, mss - room],
    ];
    expect(rightMaps(e, data(sent(e.hostData(mss, mss))))).toEqual(pieces);
    expect(rightMaps(e, data(sent(e.hostData(mss, mss))))).toEqual(pieces);
    const lengths = rightMaps(e, data(sent(e.hostData(2 * mss, 3 * mss, {}, GSO)))).map(([, length]) => length);
    expect(Math.max(...lengths)).toBe(room);
  });

  it("N-92 what comes early, and what fills its room", () => {
    const e = opener({ family, ...DEMANDED });
    const packets = [
      [0, 100],
      [300, 101],
      [100, 51],
      [151, 149],
      [401, 1],
    ].flatMap(([at = 0, length = 0]) => sent(e.hostData(at, length)));
    expect(rightMaps(e, packets).sort(([a], [b]) => a - b)).toEqual([
      [1, 100],
      [101, 51],
      [152, 149],
      [301, 101],
      [402, 1],
    ]);
    expect(rightMaps(e, sent(e.hostData(0, 402)))).toHaveLength(5);
  });

  it("N-92 octets that go under fresh SSNs, on the same subflow and on another", () => {
    const e = joined("opener", { family, ...DEMANDED });
    e.hostData(0, 1000);
    e.fromPeer({ acks: 1000 }, [e.dataAck(0)]); // taken by the subflow, thrown away behind it
    expect(rightMaps(e, data(sent(e.hostData(0, 700))))).toEqual([[1001, 700]]);
    e.fromPeer({ flags: "RA", at: 0, acks: 1000 }, []);
    expect(rightMaps(e, e.on(e.flow2, sent(e.hostData(0, 1000))))).toEqual([[1, 1000]]);
  });

  it("N-109 the peer waits for the rest of a mapping: what it has goes elsewhere, not behind the hole", () => {
    const e = joined("opener", { family, ...DEMANDED });
    for (const at of [0, 1000]) e.hostData(at, 1000);
    e.fromPeer({ acks: 700 }, [e.dataAck(0)]);
    expect(rightMaps(e, e.on(e.flow2, sent(e.hostData(0, 700))))).toEqual([[1, 700]]);
    expect(rightMaps(e, e.on(e.initial, sent(e.hostData(700, 1300))))).toEqual([
      [1, 1000],
      [1001, 1000],
    ]);
  });

  it("N-92 a DATA_FIN, with the last octets, later with the same ones, and alone", () => {
    const e = responder({ family, ...DEMANDED });
    expect(rightMaps(e, sent(e.hostData(0, 500)))).toEqual([[1, 500]]);
    const alone = e.fromHost({ at: 500, flags: "FA" });
    expect(rightMaps(e, sent(alone))).toEqual([[0, 1]]);
    expect(rightMaps(e, sent(e.hostData(0, 500)))).toEqual([[1, 501]]);
    const together = responder({ family, ...DEMANDED });
    expect(rightMaps(together, sent(together.hostData(0, 333, { flags: "FPA" })))).toEqual([[1, 334]]);
  });

  it("N-92 with SACK blocks beside it a packet is no longer than without", () => {
    const full = family === 4 ? 1440 : 1420;
    for (const checksum of [false, true]) {
      const e = responder({ family, checksum });
      e.peerData(0, 100);
      e.peerData(200, 100);
      e.peerData(400, 100);
      const blocks: [number, number][] = [
        [e.tan(400), e.tan(500)],
        [e.tan(200), e.tan(300)],
      ];
      const out = e.hostData(0, full - 20, { acks: 100, options: [p.sack(...blocks)] });
      expect(out.packet && p.option(out.packet, "sack")?.blocks).toHaveLength(2);
      expect(out.packet?.totalLength).toBeLessThanOrEqual(1500);
      expect(out.packet?.checksumValid).toBe(true);
    }
  });

  it("a segment whose mapping cannot be kept is not sent: it could not be sent again", () => {
    const e = opener({ family, ...DEMANDED, build: "test" });
    const outcomes = Array.from({ length: 30 }, (_, i) => e.hostData(i * 10, 10));
    expect(outcomes.filter(({ verdict }) => verdict === "rewritten")).toHaveLength(22);
    expect(outcomes.at(-1)).toMatchObject({ verdict: "drop", reason: "MAP_LOG_FULL" });
    e.fromPeer({ acks: 220 }, [e.dataAck(220)]);
    expect(rightMaps(e, sent(e.hostData(220, 10)))).toEqual([[221, 10]]);
  });

  it("but the first octet in flight always is, whatever was sent before it: all else waits for it", () => {
    const e = opener({ family, ...DEMANDED, build: "test" });
    const early = [60, 40, 20, ...Array.from({ length: 30 }, (_, i) => 70 + i * 10)].map((at) => e.hostData(at, 10));
    expect(early.at(-1)?.reason).toBe("MAP_LOG_FULL");
    expect(rightMaps(e, sent(e.hostData(0, 20)))).toEqual([[1, 20]]);
    e.fromPeer({ acks: 30 }, [e.dataAck(30)]); // what was sent first is not acknowledged
    expect(rightMaps(e, sent(e.hostData(30, 10)))).toEqual([[31, 10]]);
    e.fromPeer({ acks: 50 }, [e.dataAck(50)]);
    expect(rightMaps(e, sent(e.hostData(50, 10)))).toEqual([[51, 10]]);
  });

  it("so is the first one that the subflow waits for, when the host waited for another before", () => {
    const e = joined("opener", { family, ...DEMANDED, build: "test" });
    e.hostData(0, 10);
    for (let at = 20; at < 400; at += 10) e.hostData(at, 10);
    e.fromPeer({ acks: 10 }, [e.dataAck(0)]); // taken by the subflow, thrown away behind it
    expect(rightMaps(e, e.on(e.flow2, sent(e.hostData(0, 10))))).toEqual([[1, 10]]);
    e.fromPeer({ flow: e.flow2, acks: 10 }, [e.dataAck(10)]);
    expect(rightMaps(e, e.on(e.initial, sent(e.hostData(10, 10))))).toEqual([[11, 10]]);
  });
});
