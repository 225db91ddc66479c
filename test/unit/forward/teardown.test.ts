import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import {
  type DssFields,
  delivered,
  type Established,
  FAMILIES,
  joined,
  low32,
  opener,
  type Role,
  responder,
  sent,
} from "../../established.ts";
import * as p from "../../packet.ts";

const ROLES: Role[] = ["opener", "responder"];
const CASES = FAMILIES.flatMap((family) => ROLES.map((role) => ({ family, role })));
const dssOf = (packet: p.Packet | undefined) => packet && p.option(packet, "dss");
const single = { opener, responder };

/** Both directions carry some octets, all acknowledged at both levels: the host 100, the peer 50. */
function after100and50(e: Established, widths: DssFields = {}): Established {
  e.hostData(0, 100);
  e.peerData(0, 50, { acks: 100 }, { dan: 100, ...widths });
  e.fromHost({ at: 100, acks: 50 });
  return e;
}

/** The peer closes, the host acknowledges it and closes, the peer acknowledges that: subflow FINs are due. */
function bothClosed(e: Established): p.Packet[] {
  after100and50(e);
  e.fromPeer({ at: 50, acks: 100 }, [e.dataFin(50, 100)]);
  e.fromHost({ at: 100, acks: 51 });
  e.fromHost({ at: 100, acks: 51, flags: "FA" });
  return e.fromPeer({ at: 50, acks: 100 }, [e.dataAck(101)]).toWire;
}

describe.each(CASES)("closing, $role, IPv$family", ({ family, role }) => {
  it("N-16 the host's FIN becomes a DATA_FIN of its own: M, F, length 1, SSN 0, the FIN's DSN, no FIN flag", () => {
    const e = after100and50(single[role]({ family }));
    const fin = e.fromHost({ at: 100, acks: 50, flags: "FA" });
    expect(sent(fin)).toMatchObject([{ flags: "A", seq: e.tsn(100), ack: e.tan(50), checksumValid: true }]);
    const map = { dsn: low32(e.dsn(100)), ssn: 0, length: 1, fin: true };
    expect(dssOf(fin.packet)).toMatchObject({ dan: low32(e.peerDsn(50)), ...map });
    expect(dssOf(e.fromHost({ at: 100, acks: 50, flags: "FA" }).packet)).toMatchObject(map); // sent again
  });

  it("N-17 a host's FIN with n octets becomes a mapping of n + 1 with F, no FIN flag", () => {
    const e = after100and50(single[role]({ family }));
    const fin = e.hostData(100, 70, { acks: 50, flags: "FPA" });
    expect(sent(fin)).toMatchObject([{ flags: "PA", seq: e.tsn(100), payload: p.payloadPattern(70, 100) }]);
    expect(dssOf(fin.packet)).toMatchObject({ dsn: low32(e.dsn(100)), ssn: 101, length: 71, fin: true });
    const again = e.hostData(100, 70, { acks: 50, flags: "FPA" });
    expect(dssOf(again.packet)).toMatchObject({ dsn: low32(e.dsn(100)), ssn: 101, length: 71, fin: true });
  });

  it("N-17 where the octets are acknowledged already, the FIN leaves alone", () => {
    const e = after100and50(single[role]({ family }));
    e.hostData(100, 70, { acks: 50, flags: "FPA" });
    e.fromPeer({ at: 50, acks: 170 }, [e.dataAck(170)]);
    const again = e.hostData(100, 70, { acks: 50, flags: "FPA" });
    expect(again.packet?.payload).toHaveLength(0);
    expect(dssOf(again.packet)).toMatchObject({ dsn: low32(e.dsn(170)), ssn: 0, length: 1, fin: true });
  });

  it("N-18 a DATA_FIN without payload reaches the host as one FIN at the right number; repetitions do not", () => {
    const e = after100and50(single[role]({ family }));
    const fin = e.fromPeer({ at: 50, acks: 100 }, [e.dataFin(50, 100)]);
    expect(delivered(fin)).toMatchObject([{ flags: "FA", seq: e.tan(50), ack: e.tsn(100), checksumValid: true }]);
    const again = e.fromPeer({ at: 50, acks: 100 }, [e.dataFin(50, 100)]);
    expect(delivered(again).filter(({ flags }) => flags.includes("F"))).toEqual([]);
    e.fromHost({ at: 100, acks: 51 });
    const late = e.fromPeer({ at: 50, acks: 100 }, [e.dataFin(50, 100)]);
    expect(delivered(late)).toEqual([]);
    expect(late.toWire).toMatchObject([{ flags: "A", ack: e.tan(50) }]); // answered, since its sender waits
    expect(dssOf(late.toWire[0])).toMatchObject({ dan: low32(e.peerDsn(51)) });
  });

  it("N-18 a DATA_FIN behind the last octets reaches the host on them, and again only if the host is silent", () => {
    const e = after100and50(single[role]({ family }));
    const last = e.peerData(50, 40, { acks: 100 }, { dan: 100, fin: true });
    expect(delivered(last)).toMatchObject([{ flags: "FPA", seq: e.tan(50), payload: p.payloadPattern(40, 50) }]);
    const retry = e.scene.advance(250_000);
    expect(retry.toHost).toMatchObject([{ flags: "FA", seq: e.tan(90), ack: e.tsn(100) }]);
    e.fromHost({ at: 100, acks: 91 });
    expect(e.scene.advance(5_000_000).toHost).toEqual([]);
  });

  it("N-18 F on a packet that is not the last one of its mapping is no FIN there", () => {
    const e = after100and50(single[role]({ family }));
    const map = [e.dssData(50, 80, { dan: 100, fin: true })];
    const first = e.fromPeer({ at: 50, acks: 100, payload: 40 }, map);
    expect(delivered(first)).toMatchObject([{ flags: "A", seq: e.tan(50) }]);
    const second = e.fromPeer({ at: 90, acks: 100, payload: 40 }, map);
    expect(delivered(second)).toMatchObject([{ flags: "FA", seq: e.tan(90) }]);
  });

  it("N-19 the host's ACK of the FIN moves the DATA_ACK behind the DATA_FIN, the SAN stays", () => {
    const e = after100and50(single[role]({ family }));
    e.fromPeer({ at: 50, acks: 100 }, [e.dataFin(50, 100)]);
    const ack = e.fromHost({ at: 100, acks: 51 });
    expect(sent(ack)).toMatchObject([{ flags: "A", seq: e.tsn(100), ack: e.tan(50) }]);
    expect(dssOf(ack.packet)).toMatchObject({ dan: low32(e.peerDsn(51)) });
  });

  it("N-19 on every subflow, since none of them brought the DATA_FIN", () => {
    const e = after100and50(joined(role, { family }));
    e.fromPeer({ at: 50, acks: 100 }, [e.dataFin(50, 100)]);
    const ack = sent(e.fromHost({ at: 100, acks: 51 }));
    expect(e.on(e.initial, ack).map(dssOf)).toMatchObject([{ dan: low32(e.peerDsn(51)) }]);
    expect(e.on(e.flow2, ack).map(dssOf)).toMatchObject([{ dan: low32(e.peerDsn(51)) }]);
    expect(e.on(e.flow2, ack)).toMatchObject([{ ack: e.flow2.irs + 1 }]);
  });

  it("N-20 both DATA_FINs acknowledged: a FIN leaves on every subflow, again and again until it is acknowledged", () => {
    const e = joined(role, { family });
    const fins = bothClosed(e);
    const [fin1, fin2] = [e.on(e.initial, fins), e.on(e.flow2, fins)];
    expect(fin1).toMatchObject([{ flags: "FA", seq: e.tsn(100), ack: e.tan(50) }]);
    expect(fin2).toMatchObject([{ flags: "FA", seq: (e.flow2.iss + 1) >>> 0, ack: e.flow2.irs + 1 }]);
    const again = e.scene.advance(1_100_000).toWire;
    expect(e.on(e.initial, again)).toMatchObject([{ flags: "FA", seq: e.tsn(100) }]);
    expect(e.on(e.flow2, again)).toMatchObject([{ flags: "FA" }]);
    e.fromPeer({ at: 50, acks: 101 }); // the initial one's FIN
    const third = e.scene.advance(3_000_000).toWire;
    expect(e.on(e.initial, third)).toEqual([]);
    expect(e.on(e.flow2, third)).toMatchObject([{ flags: "FA" }]);
  });

  it("N-20 a FIN that is never acknowledged ends in a RST, at the number the peer has acknowledged", () => {
    const e = joined(role, { family });
    bothClosed(e);
    e.fromPeer({ flow: e.flow2, acks: 1, flags: "FA" });
    const later = Array.from({ length: 70 }, () => e.scene.advance(1_000_000)).flatMap(({ toWire }) => toWire);
    const resets = later.filter(({ flags }) => flags.includes("R"));
    expect(resets).toMatchObject([{ flags: "RA", src: e.initial.local, seq: e.tsn(100), ack: e.tan(50) }]);
    expect(e.scene.engine.header(abi.EngineHeader.CONNECTIONS)).toBe(0);
  });

  it("N-20 not before both are: neither the host's nor the peer's DATA_FIN alone does it", () => {
    const e = after100and50(single[role]({ family }));
    const packets = [
      e.fromHost({ at: 100, acks: 50, flags: "FA" }),
      e.fromPeer({ at: 50, acks: 100 }, [e.dataAck(101)]),
      e.scene.advance(5_000_000),
    ];
    expect(packets.flatMap(sent).filter(({ flags }) => flags.includes("F"))).toEqual([]);
  });

  it("N-20 the peer's FINs are acknowledged; when all is quiet the connection is forgotten", () => {
    const e = single[role]({ family });
    bothClosed(e);
    const fin = e.fromPeer({ at: 50, acks: 101, flags: "FA" });
    expect(delivered(fin)).toEqual([]); // the host has its own FIN behind it
    expect(fin.toWire).toMatchObject([{ flags: "A", seq: e.tsn(101), ack: e.tan(51) }]);
    expect(e.scene.engine.header(abi.EngineHeader.CONNECTIONS)).toBe(1);
    const end = e.scene.advance(30_000_000);
    expect(end.events.map(({ kind }) => kind)).toContain("CONNECTION_CLOSED");
    expect(e.scene.engine.header(abi.EngineHeader.CONNECTIONS)).toBe(0);
    expect(e.scene.engine.header(abi.EngineHeader.SUBFLOWS)).toBe(0);
  });

  it("all is closed while the host is shown the acknowledgement in steps: the window stands beside the last one", () => {
    const e = joined(role, { family });
    e.scene.handover(2);
    e.hostData(0, 1000);
    e.scene.nowUs += 20_000n; // the steps share a quarter of a round trip
    e.fromPeer({ flow: e.flow2, acks: 1000 }, [e.dataAck(1000)]);
    e.scene.handover(1);
    for (let at = 1000; at < 30_000; at += 1000) e.hostData(at, 1000);
    e.fromPeer({}, [e.dataFin(0, 1000)]);
    e.scene.handover(2);
    e.fromHost({ at: 30_000, acks: 1, flags: "FA" });
    const first = delivered(e.fromPeer({ flow: e.flow2, acks: 1000 }, [e.dataAck(30_001)]));
    expect(first.map(({ ack }) => (ack - e.tsn(0)) >>> 0)).not.toContain(30_001);
    const [last] = delivered(e.fromHost({ at: 30_000, acks: 1, flags: "FA" }));
    expect(last).toMatchObject({ flags: "A", ack: e.tsn(30_001), win: 500 });
  });

  it("N-113 the last DATA_ACK is lost, and the peer has closed every subflow: its FINs stand for it", () => {
    for (const connect of [single[role], joined.bind(undefined, role)]) {
      const e = after100and50(connect({ family }), { dsnOctets: 8 }); // as Linux does
      e.fromPeer({ at: 50, acks: 100 }, [{ ...e.dataFin(50, 100), dsnOctets: 8 }]);
      e.fromHost({ at: 100, acks: 51, flags: "FA" }); // LAST_ACK
      // The peer has acknowledged that in a packet that was lost; in TIME_WAIT it speaks without a DSS.
      const first = e.fromPeer({ at: 50, acks: 100, flags: "FA" }, []);
      const outs = [first, ...(e.second ? [e.fromPeer({ flow: e.flow2, flags: "FA" }, [])] : [])];
      const told = outs.map((out) => delivered(out).filter(({ ack }) => ack === e.tsn(101)));
      expect(told.map((packets) => packets.length)).toEqual(e.second ? [0, 1] : [1]); // not before the last one
      expect(told.at(-1)).toMatchObject([{ flags: "A", seq: e.tan(51), checksumValid: true }]);
      const closing = e.scene.advance(2_000_000).toWire.filter(({ flags }) => flags === "FA");
      expect(new Set(closing.map(({ src }) => src)).size).toBe(e.second ? 2 : 1); // our own FINs follow
    }
  });

  it("N-113 the path has taken every DATA_ACK away: a FIN without a DSS stands for them where all has arrived", () => {
    const closing = (e: Established) => {
      after100and50(e);
      e.fromPeer({ at: 50, acks: 100 }, [e.dataFin(50, 100)]);
      e.hostData(100, 50, { acks: 51, flags: "FPA" });
      return e;
    };
    const whole = closing(single[role]({ family }));
    const told = delivered(whole.fromPeer({ at: 50, acks: 150, flags: "FA" }, []));
    expect(told.filter(({ ack }) => ack === whole.tsn(151))).toMatchObject([{ flags: "A", seq: whole.tan(51) }]);
    expect(whole.scene.advance(2_000_000).toWire.map(({ flags }) => flags)).toContain("FA");
    // Not where octets are on their way still, nor beside a DATA_ACK that says otherwise.
    for (const [acks, options] of [
      [149, []],
      [150, [whole.dataAck(100)]],
    ] as const) {
      const e = closing(single[role]({ family }));
      const others = delivered(e.fromPeer({ at: 50, acks, flags: "FA" }, [...options]));
      expect(others.filter(({ ack }) => ack !== e.tsn(100))).toEqual([]);
    }
  });

  it("N-113 not while the host's octets lack an acknowledgement, nor on one of two subflows", () => {
    const e = after100and50(joined(role, { family }));
    e.fromPeer({ at: 50, acks: 100 }, [e.dataFin(50, 100)]);
    e.hostData(100, 50, { acks: 51, flags: "FPA" });
    const outs = [e.fromPeer({ at: 50, acks: 100, flags: "FA" }, []), e.fromPeer({ flow: e.flow2, flags: "FA" }, [])];
    expect(outs.flatMap(delivered).filter(({ ack }) => ack !== e.tsn(100))).toEqual([]);
  });

  it("N-23 the host closes its direction; 10 MB from the peer arrive all the same", () => {
    const e = after100and50(single[role]({ family }));
    e.fromHost({ at: 100, acks: 50, flags: "FA" });
    e.fromPeer({ at: 50, acks: 100 }, [e.dataAck(101)]);
    const payload = new Uint8Array(60_000); // super-packets, as GRO makes them
    const size = payload.length;
    let offset = 50;
    for (; offset < 10_000_000; offset += size) {
      const packets = delivered(e.peerData(offset, size, { acks: 100, payload }, { dan: 101 }));
      if (packets.length !== 1 || packets[0]?.seq !== e.tan(offset) || packets[0].payload.length !== size) {
        throw new Error(`octets from ${offset} on: ${packets.map(p.show)}`);
      }
      const ack = e.fromHost({ at: 101, acks: offset + size });
      if (ack.packet?.ack !== e.tan(offset + size)) throw new Error(`ACK of ${offset + size}`);
    }
    const fin = e.fromPeer({ at: offset, acks: 100 }, [e.dataFin(offset, 101)]);
    expect(delivered(fin)).toMatchObject([{ flags: "FA", seq: e.tan(offset), ack: e.tsn(101) }]);
  });
});

describe.each(CASES)("resets, $role, IPv$family", ({ family, role }) => {
  it("N-21 a host's RST becomes RST with MP_FASTCLOSE and the peer's key on all subflows, at once", () => {
    const e = after100and50(joined(role, { family }));
    const packets = sent(e.fromHost({ at: 100, flags: "R", ack: 0 }));
    const fastclose = [{ kind: "mpFastclose", key: e.peer.key }];
    expect(e.on(e.initial, packets)).toMatchObject([{ flags: "RA", seq: e.tsn(100), options: fastclose }]);
    const flow2 = { flags: "RA", seq: (e.flow2.iss + 1) >>> 0, ack: e.flow2.irs + 1, options: fastclose };
    expect(e.on(e.flow2, packets)).toMatchObject([flow2]);
    expect(packets.every(({ checksumValid }) => checksumValid)).toBe(true);
  });

  it("N-21 a peer that challenges the RST gets one with the number it names", () => {
    const e = after100and50(single[role]({ family }));
    e.fromHost({ at: 100, flags: "R", ack: 0 });
    const challenge = e.fromPeer({ at: 50, acks: 30 });
    expect(delivered(challenge)).toEqual([]);
    expect(challenge.toWire).toMatchObject([{ flags: "RA", seq: e.tsn(30) }]);
  });

  it.each(["A", "RA"])("N-22 MP_FASTCLOSE with our key on a packet with flags %s resets the host", (flags) => {
    const e = after100and50(joined(role, { family }));
    const closed = e.fromPeer({ at: 50, acks: 100, flags }, [p.mpFastclose(e.ourKey)]);
    const rst = { flags: "RA", seq: e.tan(50), ack: e.tsn(100), checksumValid: true };
    expect(delivered(closed)).toMatchObject([rst]);
    expect(e.on(e.flow2, closed.toWire)).toMatchObject([{ flags: "RA" }]);
    expect(e.on(e.initial, closed.toWire).map((packet) => packet.flags)).toEqual(flags === "A" ? ["RA"] : []);
  });

  it("N-22 the host's RST has exactly the number that the host expects, whatever came out of order", () => {
    const e = after100and50(single[role]({ family }));
    e.peerData(90, 40, { acks: 100 }, { dan: 100 }); // a gap before it
    const closed = e.fromPeer({ at: 130, acks: 100 }, [p.mpFastclose(e.ourKey)]);
    expect(delivered(closed)[0]).toMatchObject({ flags: "RA", seq: e.tan(50) });
  });

  it.each(["A", "RA"])("N-22 MP_FASTCLOSE with a wrong key on a packet with flags %s is ignored", (flags) => {
    const e = after100and50(single[role]({ family }));
    const closed = e.fromPeer({ at: 50, acks: 100, flags }, [p.mpFastclose(e.ourKey ^ 1n)]);
    expect(closed).toMatchObject({ verdict: "drop", reason: "FASTCLOSE_BAD_KEY", toHost: [], toWire: [] });
    expect(dssOf(e.hostData(100, 10, { acks: 50 }).packet)).toMatchObject({ dsn: low32(e.dsn(100)), length: 10 });
  });
});

describe.each(CASES)("fallback behind the handshake, $role, IPv$family", ({ family, role }) => {
  it("N-24 first data of the peer without a DSS makes it plain TCP, the stream is whole", () => {
    const e = single[role]({ family });
    e.hostData(0, 100);
    const plain = e.fromPeer({ payload: 60, acks: 100 }, []);
    expect(plain).toMatchObject({ verdict: "accept", toHost: [], toWire: [] });
    expect(plain.packet).toMatchObject({ seq: e.tan(0), ack: e.tsn(100), payload: p.payloadPattern(60) });
    expect(plain.events.map(({ kind }) => kind)).toContain("CONNECTION_FALLBACK");
    expect(e.hostData(100, 100, { acks: 60 })).toMatchObject({
      verdict: "accept",
      packet: { seq: e.tsn(100), options: [] },
    });
    expect(e.fromPeer({ at: 60, acks: 200, payload: 5 }, [])).toMatchObject({ verdict: "accept" });
  });

  it("N-24 not once data has come with a DSS of a Linux kernel's: the packet is dropped, and sent again with one", () => {
    const e = after100and50(single[role]({ family }), { dsnOctets: 8 });
    const plain = e.fromPeer({ at: 50, acks: 100, payload: 60 }, []);
    expect(plain).toMatchObject({ verdict: "drop", reason: "NO_MAPPING" });
    expect(delivered(e.peerData(50, 60, { acks: 100 }, { dan: 100 }))).toMatchObject([{ seq: e.tan(50) }]);
  });

  it("N-25 an infinite mapping on the only subflow makes it plain TCP, the stream is whole", () => {
    const e = after100and50(single[role]({ family }));
    const infinite = p.dss({ dan: e.dsn(100), dsn: e.peerDsn(50), ssn: 51, length: 0 });
    const last = e.fromPeer({ at: 50, acks: 100, payload: 60 }, [infinite]);
    expect(last).toMatchObject({ verdict: "accept", packet: { seq: e.tan(50), ack: e.tsn(100) } });
    expect(last.events.map(({ kind }) => kind)).toContain("CONNECTION_FALLBACK");
    expect(e.hostData(100, 100, { acks: 110 })).toMatchObject({
      verdict: "accept",
      packet: { seq: e.tsn(100), options: [] },
    });
    expect(e.fromPeer({ at: 110, acks: 200, payload: 5 }, [])).toMatchObject({
      verdict: "accept",
      packet: { seq: e.tan(110) },
    });
  });

  it("N-25 on one of two subflows it ends that one: its numbers are not the host's", () => {
    const e = after100and50(joined(role, { family }));
    const infinite = p.dss({ dan: e.dsn(100), dsn: e.peerDsn(50), ssn: 1, length: 0 });
    const refused = e.fromPeer({ flow: e.flow2, payload: 60 }, [infinite]);
    expect(delivered(refused)).toEqual([]);
    const rst = e.on(e.flow2, refused.toWire).filter(({ flags }) => flags.includes("R"));
    expect(rst.map((packet) => p.option(packet, "mpTcprst"))).toMatchObject([{ reason: 6 }]);
    expect(delivered(e.peerData(50, 60, { acks: 100 }, { dan: 100 }))).toMatchObject([{ seq: e.tan(50) }]);
  });
});
