// Mappings of what the host sends (RFC 8684 §3.3.1): docs/CONFORMANCE.md N-44 … N-50, N-53.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { type Established, FAMILIES, type Flow, joined, low32, opener, responder, sent } from "../../established.ts";
import * as p from "../../packet.ts";
import { data } from "./cases.ts";

const GSO = { flags: abi.PacketFlag.GSO };

/** The mapping of a packet as [SSN, DSN, length], whichever option carries it. */
function mapping(e: Established, packet: p.Packet): [number, bigint, number] {
  const dss = p.option(packet, "dss");
  const capable = p.option(packet, "mpCapable");
  if (capable?.dataLength !== undefined) return [1, low32(e.dsn(0)), capable.dataLength];
  if (dss?.dsn === undefined) throw new Error(`no mapping: ${p.show(packet)}`);
  return [dss.ssn as number, dss.dsn, dss.length as number];
}

/** Throws unless the packet's mapping covers its payload, and the payload is the stream's at that place. */
function covered(e: Established, packet: p.Packet, iss = e.initial.iss): void {
  const [ssn, dsn, length] = mapping(e, packet);
  const at = (packet.seq - iss - ssn) >>> 0;
  expect(at + packet.payload.length).toBeLessThanOrEqual(length);
  const offset = Number(BigInt.asUintN(32, dsn - low32(e.dsn(0)))) + at;
  expect(packet.payload).toEqual(p.payloadPattern(packet.payload.length, offset));
}

describe.each(FAMILIES)("payload of the host (IPv%i)", (family) => {
  it("N-44 every data packet carries a mapping that covers all of its payload", () => {
    for (const connect of [opener, responder]) {
      const e = connect({ family });
      let octets = 0;
      for (const [at, length, gso] of [
        [0, 1000, false],
        [1000, 1, false],
        [1001, 1400, false],
        [2401, 9000, true],
      ] as const) {
        const packets = data(sent(e.hostData(at, length, {}, gso ? GSO : {})));
        expect(packets.length).toBeGreaterThan(0);
        for (const packet of packets) {
          covered(e, packet);
          octets += packet.payload.length;
          expect(packet.checksumValid || gso).toBe(true);
        }
      }
      expect(octets).toBe(11401);
    }
  });

  it("N-114 a super-packet of nothing but acknowledged octets: what is left of it, an ACK, is no super-packet", () => {
    const e = opener({ family });
    e.hostData(0, 2800, {}, GSO);
    e.fromPeer({ acks: 2800 }, [e.dataAck(2800)]);
    e.peerData(0, 100, { acks: 2800 }, { dan: 2800 });
    const again = e.hostData(0, 2800, { acks: 100 }, GSO); // the kernel would throw it away with only a header in it
    expect(again.verdict).toBe("drop");
    expect(again.toWire).toMatchObject([{ flags: "A", seq: e.tsn(2800), ack: e.tan(100), checksumValid: true }]);
    expect(again.toHost).toMatchObject([{ ack: e.tsn(2800) }]);
  });

  it("N-24 a keep-alive of the peer has no option from some; it is no sign of plain TCP", () => {
    const e = opener({ family });
    e.peerData(0, 100);
    e.fromHost({ acks: 100 });
    e.hostData(0, 1000, { acks: 100 });
    e.fromPeer({ at: 99, acks: 1000 }, []); // acknowledges on the subflow what its DATA_ACK does not yet
    const again = sent(e.hostData(0, 1000, { acks: 100 }));
    expect(mapping(e, data(again)[0] as p.Packet)).toEqual([1001, low32(e.dsn(0)), 1000]);
  });

  it("N-44 the opener's first data before any DSS carries MP_CAPABLE with the length of its payload", () => {
    const e = opener({ family, confirmed: false });
    const [first] = sent(e.hostData(0, 700));
    expect(p.option(first as p.Packet, "mpCapable")).toMatchObject({
      senderKey: e.ourKey,
      receiverKey: e.peer.key,
      dataLength: 700,
    });
    const [second] = sent(e.hostData(700, 700));
    expect(mapping(e, second as p.Packet)).toEqual([701, low32(e.dsn(700)), 700]);
  });

  it("N-44 on a second subflow SSNs begin at 1, the DSN goes on", () => {
    const e = joined("opener", { family });
    e.hostData(0, 500);
    e.scene.handover(2);
    const [packet] = e.on(e.flow2, sent(e.hostData(500, 300)));
    expect(mapping(e, packet as p.Packet)).toEqual([1, low32(e.dsn(500)), 300]);
    expect(packet?.seq).toBe((e.flow2.iss + 1) >>> 0);
    covered(e, packet as p.Packet, e.flow2.iss);
  });

  it("N-45 a retransmission with the same boundaries has the same SSN and the same mapping", () => {
    for (const gso of [false, true]) {
      const e = joined("opener", { family });
      const first = sent(e.hostData(0, gso ? 5000 : 1000, {}, gso ? GSO : {}))[0] as p.Packet;
      e.hostData(gso ? 5000 : 1000, 1000);
      e.scene.handover(2); // a switch does not move what is in flight (RFC 8684 §3.3.6)
      const again = sent(e.hostData(0, gso ? 5000 : 1000, {}, gso ? GSO : {}))[0] as p.Packet;
      expect([again.src, again.seq]).toEqual([first.src, first.seq]);
      expect(mapping(e, again)).toEqual(mapping(e, first));
      expect(again.payload).toEqual(first.payload);
      expect(e.scene.counter(abi.Counter.HOST_RETRANSMISSIONS)).toBe(1);
    }
  });

  it("N-46 a retransmission inside a super-packet's mapping repeats that mapping to the letter", () => {
    const e = opener({ family });
    const first = sent(e.hostData(0, 5000, {}, GSO))[0] as p.Packet;
    expect(mapping(e, first)).toEqual([1, low32(e.dsn(0)), 5000]);
    for (const [at, length] of [
      [0, 1400],
      [1400, 1400],
      [700, 900],
      [4000, 1000],
    ] as const) {
      const packets = data(sent(e.hostData(at, length)));
      expect(packets).toHaveLength(1);
      expect(mapping(e, packets[0] as p.Packet)).toEqual(mapping(e, first));
      expect(packets[0]?.seq).toBe((e.initial.iss + 1 + at) >>> 0);
      covered(e, packets[0] as p.Packet);
    }
  });

  it("N-46 one that reaches over the end of a super-packet's mapping is cut there", () => {
    const e = opener({ family });
    e.hostData(0, 3000, {}, GSO);
    e.hostData(3000, 1000);
    const packets = data(sent(e.hostData(2500, 1000)));
    expect(packets.map((packet) => mapping(e, packet))).toEqual([
      [1, low32(e.dsn(0)), 3000],
      [3001, low32(e.dsn(3000)), 500],
    ]);
    for (const packet of packets) covered(e, packet);
    expect(packets.map(({ payload }) => payload.length)).toEqual([500, 500]);
  });

  it("N-47 one that spans two subflows' mappings is split, each part on its own subflow", () => {
    const e = joined("opener", { family });
    e.hostData(0, 1000);
    e.scene.handover(2);
    e.hostData(1000, 1000);
    const out = e.hostData(500, 1000);
    expect(out).toMatchObject({ verdict: "drop", reason: "SUPERSEDED" });
    const [left] = e.on(e.initial, data(out.toWire));
    const [right] = e.on(e.flow2, data(out.toWire));
    expect([left, right].map((packet) => mapping(e, packet as p.Packet))).toEqual([
      [501, low32(e.dsn(500)), 500],
      [1, low32(e.dsn(1000)), 500],
    ]);
    covered(e, left as p.Packet);
    covered(e, right as p.Packet, e.flow2.iss);
  });

  it("N-48 octets that the subflow acknowledged and the DATA_ACK does not cover leave with fresh SSNs", () => {
    const e = opener({ family });
    e.hostData(0, 1000);
    e.fromPeer({ acks: 1000 }, [e.dataAck(0)]); // taken by the subflow, thrown away behind it
    const [again] = data(sent(e.hostData(0, 1000)));
    expect(mapping(e, again as p.Packet)).toEqual([1001, low32(e.dsn(0)), 1000]);
    covered(e, again as p.Packet);
    expect(e.scene.counter(abi.Counter.REINJECTED)).toBe(1);
  });
});

/** The mappings of data packets on `flow`, as [octet of the subflow, octet of the stream, length]. */
function placed(e: Established, flow: Flow, packets: p.Packet[]): [number, number, number][] {
  return e.on(flow, data(packets)).map((packet) => {
    covered(e, packet, flow.iss);
    const [ssn, dsn, length] = mapping(e, packet);
    return [ssn - 1, Number(BigInt.asUintN(32, dsn - low32(e.dsn(0)))), length];
  });
}

describe.each(FAMILIES)("segments that the host sends out of order (IPv%i)", (family) => {
  it("N-49 one that comes early leaves room for those before it: as late on the subflow, and no hole stays", () => {
    for (const connect of [opener, responder]) {
      const e = connect({ family });
      const packets = [
        [0, 100],
        [300, 100], // early
        [150, 150],
        [400, 50],
        [100, 50],
      ].flatMap(([at = 0, length = 0]) => sent(e.hostData(at, length)));
      const places = placed(e, e.initial, packets);
      expect(places.map(([ssn, dsn, length]) => [ssn - dsn, dsn, length])).toEqual([
        [0, 0, 100],
        [0, 300, 100],
        [0, 150, 150],
        [0, 400, 50],
        [0, 100, 50],
      ]);
      expect(e.scene.counter(abi.Counter.HOST_RETRANSMISSIONS)).toBe(0); // nothing of this was sent before
      expect(
        packets.every(({ seq, payload }, i) => seq === e.tsn(places[i]?.[1] as number) && payload.length > 0),
      ).toBe(true);
    }
  });

  it("N-49 across a switch: the late one fills the room on the old subflow, the new one has no hole either", () => {
    const e = joined("opener", { family });
    e.hostData(0, 100);
    e.hostData(300, 100); // early
    e.scene.handover(2);
    e.hostData(600, 100); // early again, on the new one
    expect(placed(e, e.initial, sent(e.hostData(100, 200)))).toEqual([[100, 100, 200]]);
    expect(placed(e, e.flow2, sent(e.hostData(400, 200)))).toEqual([[0, 400, 200]]);
    expect(placed(e, e.flow2, sent(e.hostData(700, 100)))).toEqual([[300, 700, 100]]);
  });

  it("N-49 where the subflow with the room is gone, the late one goes elsewhere under fresh SSNs", () => {
    const e = joined("opener", { family });
    e.hostData(0, 100);
    e.hostData(300, 100); // early
    e.fromPeer({ flags: "RA", acks: 100 }, []);
    expect(placed(e, e.flow2, sent(e.hostData(100, 200)))).toEqual([[0, 100, 200]]);
    expect(placed(e, e.flow2, sent(e.hostData(300, 100)))).toEqual([[200, 300, 100]]);
    expect(placed(e, e.flow2, sent(e.hostData(400, 100)))).toEqual([[300, 400, 100]]);
  });
});

describe.each(FAMILIES)("the SEND table (IPv%i)", (family) => {
  const free = (e: Established) => e.scene.engine.header(abi.EngineHeader.RUNS_FREE);

  it("N-50 does not grow with the packets between handovers, acknowledged or not", () => {
    const e = joined("opener", { family });
    const before = free(e);
    e.hostData(0, 100);
    const one = free(e);
    expect(one).toBe(before - 1);
    for (let at = 100; at < 50_000; at += 100) {
      e.hostData(at, 100);
      if (at % 1000 === 0) e.hostData(at - 300, 100); // a retransmission
      if (at > 20_000 && at % 500 === 0) e.fromPeer({ acks: at - 10_000 }, [e.dataAck(at - 10_000)]);
      expect(free(e)).toBe(one);
    }
    e.scene.handover(2);
    for (let at = 50_000; at < 80_000; at += 100) {
      e.hostData(at, 100);
      expect(free(e)).toBe(one - 1); // one more, for the other subflow
    }
    e.fromPeer({ acks: 50_000 }, [e.dataAck(50_000)]);
    e.fromPeer({ flow: e.flow2, acks: 30_000 }, [e.dataAck(80_000)]);
    expect(free(e)).toBe(before);
  });
});

describe.each(FAMILIES)("F is no part of a mapping's identity (IPv%i)", (family) => {
  it("N-53 what is sent again once the FIN is known has the same DSN and SSN, F and one octet more", () => {
    for (const connect of [opener, responder]) {
      const e = connect({ family });
      e.hostData(0, 1000);
      const first = sent(e.hostData(1000, 5000, {}, GSO))[0] as p.Packet;
      e.fromHost({ at: 6000, flags: "FA" });
      const again = sent(e.hostData(1000, 5000, { flags: "FPA" }, GSO))[0] as p.Packet;
      const map = { dsn: low32(e.dsn(1000)), ssn: 1001 };
      expect(p.option(first, "dss")).toMatchObject({ ...map, length: 5000, fin: false });
      expect(p.option(again, "dss")).toMatchObject({ ...map, length: 5001, fin: true });
      const inside = sent(e.hostData(2400, 1400))[0] as p.Packet; // and so has each part of it
      expect(p.option(inside, "dss")).toMatchObject({ ...map, length: 5001, fin: true });
      expect(inside).toMatchObject({ flags: "PA", payload: p.payloadPattern(1400, 2400) });
      const before = sent(e.hostData(0, 1000))[0] as p.Packet; // another mapping: the FIN is none of its business
      expect(p.option(before, "dss")).toMatchObject({ dsn: low32(e.dsn(0)), length: 1000, fin: false });
    }
  });

  it("N-53 the super-packet that left with MP_CAPABLE comes again with a DSS of the same length", () => {
    const e = opener({ family, confirmed: false });
    const first = sent(e.hostData(0, 5000, {}, GSO))[0] as p.Packet;
    expect(p.option(first, "mpCapable")).toMatchObject({ dataLength: 5000 });
    e.fromPeer();
    for (const [at, length] of [
      [0, 1400],
      [1400, 1400],
      [2800, 2200],
    ] as const) {
      const again = data(sent(e.hostData(at, length, {}, length > 1400 ? GSO : {})));
      expect(again.length).toBeGreaterThan(0);
      for (const packet of again) {
        expect(p.option(packet, "mpCapable")).toBeUndefined();
        expect(p.option(packet, "dss")).toMatchObject({ dsn: low32(e.dsn(0)), ssn: 1, length: 5000 });
        covered(e, packet);
      }
    }
  });
});

describe("a peer that speaks plain TCP after all", () => {
  it("N-13 acknowledges data without ever showing a DATA_ACK: fallback, and its packet passes as it is", () => {
    const e = opener({ confirmed: false });
    e.hostData(0, 1000);
    const out = e.fromPeer({ acks: 1000 }, []);
    expect(out.verdict).toBe("accept");
    expect(out.events).toContainEqual(expect.objectContaining({ kind: "CONNECTION_FALLBACK", reason: "NO_DSS" }));
    const next = e.hostData(1000, 1000);
    expect(next.verdict).toBe("accept");
    expect(p.realOptions(next.packet as p.Packet)).toEqual([]);
  });

  it("N-68 once a DATA_ACK was seen, an ACK without DSS is no such sign", () => {
    const e = opener();
    e.hostData(0, 1000);
    const out = e.fromPeer({ acks: 1000 }, []);
    expect(out.events).toEqual([]);
    expect(e.scene.engine.header(abi.EngineHeader.CONNECTIONS)).toBe(1);
  });

  it("N-12 a responder's peer without a DATA_ACK is treated alike", () => {
    const e = responder();
    e.hostData(0, 1000);
    const out = e.fromPeer({ acks: 1000 }, []);
    expect(out.verdict).toBe("accept");
    expect(out.events.map(({ kind }) => kind)).toContain("CONNECTION_FALLBACK");
  });
});
