import { describe, expect, it } from "vitest";
import { delivered, type Established, joined, low32, sent } from "../../established.ts";
import * as p from "../../packet.ts";
import { CASES, data, san, single } from "./cases.ts";

// Payload of the peer, towards the host.

/** The octets that the host is given, as [offset, octets that are right]. */
const given = (e: Established, packets: p.Packet[]) =>
  data(packets).map(({ seq, payload }) => {
    const at = (seq - e.tan(0)) | 0;
    expect(payload).toEqual(p.payloadPattern(payload.length, at));
    return [at, payload.length];
  });

describe.each(CASES)("the peer's payload, $name", ({ role, options }) => {
  it("N-51 4 or 8 octets of DSN, with a DATA_ACK or without: the host is given the same", () => {
    const e = single[role](options);
    const maps: p.Dss[] = [
      e.dssData(0, 100),
      e.dssData(100, 100, { dsnOctets: 8 }),
      e.dssData(200, 100, { dsnOctets: 8, danOctets: 8 }),
      e.dssData(300, 100, { danOctets: 8 }),
      p.dss({ dsn: e.peerDsn(400), ssn: 401, length: 100 }),
      p.dss({ dsn: e.peerDsn(500), dsnOctets: 8, ssn: 501, length: 100 }),
    ];
    maps.forEach((map, i) => {
      const outcome = e.fromPeer({ at: 100 * i, payload: p.payloadPattern(100, 100 * i) }, [map]);
      expect(given(e, delivered(outcome))).toEqual([[100 * i, 100]]);
      expect(delivered(outcome)).toMatchObject([{ options: [], ack: e.tsn(0), checksumValid: true }]);
    });
  });

  it("N-51 an 8-octet DSN that only looks right in its low half maps nothing", () => {
    const e = single[role](options);
    e.peerData(0, 100);
    const far = p.dss({ dan: e.dsn(0), dsn: e.peerDsn(100) + (1n << 32n), dsnOctets: 8, ssn: 101, length: 100 });
    expect(delivered(e.fromPeer({ at: 100, payload: 100 }, [far]))).toEqual([]);
  });

  it("N-52 a mapping that only the first of several packets carries holds for all", () => {
    const e = single[role](options);
    expect(given(e, delivered(e.fromPeer({ payload: 100 }, [e.dssData(0, 300)])))).toEqual([[0, 100]]);
    for (const at of [100, 200]) {
      const outcome = e.fromPeer({ at, payload: p.payloadPattern(100, at) });
      expect(given(e, delivered(outcome))).toEqual([[at, 100]]);
    }
  });

  it("N-52 one of them that comes again, partly acknowledged, is given from there on", () => {
    const e = joined(role, options);
    e.fromPeer({ payload: 100 }, [e.dssData(0, 300)]);
    e.fromPeer({ at: 100, payload: p.payloadPattern(200, 100) }); // the host loses this one
    e.peerData(100, 50, { flow: e.flow2, at: 0 }); // and gets a part of it by the other subflow
    e.fromHost({ acks: 150 });
    const again = e.fromPeer({ at: 100, payload: p.payloadPattern(200, 100) });
    expect(given(e, delivered(again))).toEqual([[150, 150]]);
    expect(delivered(again)[0]?.checksumValid).toBe(true);
  });

  it("N-53 the same mapping on each of several packets, as segmentation copies it", () => {
    const e = single[role](options);
    for (const at of [200, 0, 100]) {
      const outcome = e.fromPeer({ at, payload: p.payloadPattern(100, at) }, [e.dssData(0, 300)]);
      expect(given(e, delivered(outcome))).toEqual([[at, 100]]);
    }
  });

  it("N-53 with F on each of them, too: one FIN, behind the last octet, and no sooner", () => {
    const e = single[role](options);
    const map = [e.dssData(0, 300, { fin: true })];
    const packets: p.Packet[] = [];
    for (const at of [0, 200, 100]) {
      packets.push(...delivered(e.fromPeer({ at, payload: p.payloadPattern(100, at) }, map)));
      packets.push(...e.scene.advance(1_000).toHost);
    }
    expect(given(e, packets)).toEqual([
      [0, 100],
      [200, 100],
      [100, 100],
    ]);
    const fins = packets.filter(({ flags }) => flags.includes("F"));
    expect(fins.map(({ seq, payload }) => (seq + payload.length) >>> 0)).toEqual([e.tan(300)]);
  });

  it("N-53 F is no part of a mapping: it comes again with F and one octet more, and as a DSS after MP_CAPABLE", () => {
    const e = single[role](options);
    const first = role === "responder" ? p.capableData(e.peer.key, e.ourKey, 300) : e.dssData(0, 300, { dsnOctets: 8 });
    expect(given(e, delivered(e.fromPeer({ payload: 100 }, [first])))).toEqual([[0, 100]]);
    const dss = e.fromPeer({ at: 100, payload: p.payloadPattern(100, 100) }, [e.dssData(0, 300)]);
    expect(given(e, delivered(dss))).toEqual([[100, 100]]);
    const again = e.fromPeer({ at: 100, payload: p.payloadPattern(200, 100) }, [e.dssData(0, 300, { fin: true })]);
    expect(given(e, delivered(again))).toEqual([[100, 200]]);
    expect(delivered(again)).toMatchObject([{ flags: expect.stringContaining("F") }]);
    expect(sent(e.fromHost({ acks: 301 }))).toMatchObject([{ ack: san(e.initial, 300) }]);
  });

  it("N-54 a packet that two mappings cover is cut where they meet, both parts arrive", () => {
    const e = joined(role, options);
    // On the initial subflow SSNs 1 … 100 are octets 0 … 99, and 101 … 200 are octets 300 … 399.
    e.fromPeer({}, [p.dss({ dan: e.dsn(0), dsn: e.peerDsn(300), ssn: 101, length: 100 })]);
    const payload = Uint8Array.from([...p.payloadPattern(100), ...p.payloadPattern(100, 300)]);
    const outcome = e.fromPeer({ payload }, [e.dssData(0, 100)]);
    expect(given(e, delivered(outcome))).toEqual([
      [0, 100],
      [300, 100],
    ]);
    expect(delivered(outcome).every(({ checksumValid, ipChecksumValid }) => checksumValid && ipChecksumValid)).toBe(
      true,
    );
  });

  it("N-55 payload without a mapping is dropped; 64 KB of it, and the subflow is reset for a middlebox", () => {
    const e = joined(role, options);
    e.peerData(0, 100);
    let resets: p.Packet[] = [];
    for (let i = 0; i < 70 && resets.length === 0; i++) {
      const outcome = e.fromPeer({ flow: e.flow2, at: 1000 * i, payload: 1000 });
      expect(delivered(outcome)).toEqual([]);
      resets = outcome.toWire.filter(({ flags }) => flags.includes("R"));
      if (resets.length === 0) expect(outcome.reason).toBe("NO_MAPPING");
    }
    expect(e.on(e.flow2, resets).map((packet) => p.option(packet, "mpTcprst"))).toMatchObject([{ reason: 6 }]);
    expect(given(e, delivered(e.peerData(100, 100)))).toEqual([[100, 100]]);
  });

  it("N-56 data that the host has acknowledged, on another subflow: acknowledged there, the host sees nothing", () => {
    const e = joined(role, options);
    e.peerData(0, 100);
    e.fromHost({ acks: 100 });
    const again = e.peerData(0, 100, { flow: e.flow2, at: 0 });
    expect(again).toMatchObject({ verdict: "drop", reason: "DUPLICATE", toHost: [] });
    expect(e.on(e.flow2, again.toWire)).toMatchObject([{ flags: "A", ack: san(e.flow2, 100) }]);
    expect(p.option(again.toWire[0] ?? { options: [] }, "dss")).toMatchObject({ dan: low32(e.peerDsn(100)) });
  });

  it("N-56 data that the host has not acknowledged yet: its ACK moves both subflows", () => {
    const e = joined(role, options);
    e.peerData(0, 100);
    e.peerData(0, 100, { flow: e.flow2, at: 0 });
    const acks = sent(e.fromHost({ acks: 100 }));
    expect(e.on(e.initial, acks)).toMatchObject([{ ack: san(e.initial, 100) }]);
    expect(e.on(e.flow2, acks)).toMatchObject([{ ack: san(e.flow2, 100) }]);
  });

  it("N-57 a window probe of the peer (fresh SSN, old DSN) moves that SAN by one, and shifts nothing", () => {
    const e = single[role](options);
    e.peerData(0, 100);
    e.fromHost({ acks: 100, win: 0 });
    const probe = e.fromPeer({ at: 100, payload: p.payloadPattern(1, 99) }, [e.dssData(99, 1, { ssn: 101 })]);
    expect(probe.toHost).toEqual([]);
    expect(probe.toWire).toMatchObject([{ flags: "A", ack: san(e.initial, 101), win: 0 }]);
    const next = e.peerData(100, 50, { at: 101 });
    expect(given(e, delivered(next))).toEqual([[100, 50]]);
    expect(sent(e.fromHost({ acks: 150 }))).toMatchObject([{ ack: san(e.initial, 151) }]);
  });

  it("N-57 a keep-alive without a DSS, of no octet or one, is answered here", () => {
    const e = single[role](options);
    e.peerData(0, 100);
    e.fromHost({ acks: 100 });
    for (const payload of [0, 1]) {
      const probe = e.fromPeer({ at: 99, payload }, []);
      expect(probe).toMatchObject({ verdict: "drop", reason: "CONSUMED", toHost: [] });
      expect(probe.toWire).toMatchObject([{ flags: "A", seq: e.tsn(0), ack: san(e.initial, 100) }]);
    }
  });
});
