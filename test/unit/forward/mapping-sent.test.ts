// Mappings of what the host sends (RFC 8684 §3.3.1): docs/CONFORMANCE.md N-44 … N-48.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { type Established, FAMILIES, joined, low32, opener, responder, sent } from "../../established.ts";
import * as p from "../../packet.ts";

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
        const packets = sent(e.hostData(at, length, {}, gso ? GSO : {})).filter(({ payload }) => payload.length > 0);
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
      const packets = sent(e.hostData(at, length)).filter(({ payload }) => payload.length > 0);
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
    const packets = sent(e.hostData(2500, 1000)).filter(({ payload }) => payload.length > 0);
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
    const [left] = e.on(e.initial, out.toWire).filter(({ payload }) => payload.length > 0);
    const [right] = e.on(e.flow2, out.toWire).filter(({ payload }) => payload.length > 0);
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
    const [again] = sent(e.hostData(0, 1000)).filter(({ payload }) => payload.length > 0);
    expect(mapping(e, again as p.Packet)).toEqual([1001, low32(e.dsn(0)), 1000]);
    covered(e, again as p.Packet);
    expect(e.scene.counter(abi.Counter.REINJECTED)).toBe(1);
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
