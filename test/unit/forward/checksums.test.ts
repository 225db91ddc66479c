// Checksums of mappings (RFC 8684 §3.3.1, §3.7; docs/decisions/0011): what we compute, and what we make of the peer's.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import {
  delivered,
  type Established,
  FAMILIES,
  type Flow,
  joined,
  listening,
  opener,
  opening,
  type Role,
  sent,
} from "../../established.ts";
import * as p from "../../packet.ts";
import type { Outcome } from "../../scene.ts";
import { single } from "./cases.ts";
import { DEMANDED, mapOf, rightMaps } from "./checksum-cases.ts";

const ROLES: Role[] = ["opener", "responder"];

const flagsOf = (outcome: Outcome) => outcome.packet && p.option(outcome.packet, "mpCapable")?.flags;

describe.each(FAMILIES)("checksums are agreed on (IPv%i)", (family) => {
  it("N-92 a peer whose SYN/ACK demands them: our third ACK and first data confirm it, the data has one", () => {
    const e = opening({ family, ...DEMANDED });
    expect(flagsOf(e.hostSyn())).toBe(0x01);
    const synAck = e.peerSynAck();
    expect(synAck.packet && p.option(synAck.packet, "mss")).toEqual({
      kind: "mss",
      mss: (family === 4 ? 1460 : 1440) - 24,
    });
    const third = e.fromHost();
    expect(flagsOf(third)).toBe(0x81);
    const unconfirmed = opener({ family, ...DEMANDED, confirmed: false });
    const first = unconfirmed.hostData(0, family === 4 ? 1436 : 1416);
    expect(flagsOf(first)).toBe(0x81);
    expect(rightMaps(unconfirmed, sent(first))).toEqual([[1, family === 4 ? 1436 : 1416]]);
    expect(first.packet).toMatchObject({ totalLength: 1500, checksumValid: true });
  });

  it("N-92 a peer whose SYN demands them: our SYN/ACK says so, too", () => {
    const e = listening({ family, ...DEMANDED });
    expect(flagsOf(e.peerSyn())).toBe(0x81); // the port may speak MPTCP itself
    expect(flagsOf(e.hostSynAck())).toBe(0x81);
    expect(e.peerThirdAck().events).toMatchObject([{ kind: "CONNECTION_ESTABLISHED" }, {}]);
    const full = family === 4 ? 1440 : 1420;
    const out = e.hostData(0, full);
    expect(rightMaps(e, sent(out))).toEqual([[1, full]]);
    expect(out.packet).toMatchObject({ totalLength: 1500, checksumValid: true });
  });

  it("N-92 a third ACK is the last to demand them, data with it has one; what a SYN has demanded it must confirm", () => {
    const late = listening({ family });
    late.peerSyn();
    expect(flagsOf(late.hostSynAck())).toBe(0x01);
    const map = { dsn: late.peerDsn(0), ssn: 1, length: 300 };
    const checksum = p.dssChecksum(map.dsn, map.ssn, map.length, p.payloadPattern(300));
    const capable = { ...p.capableData(late.peer.key, late.ourKey, 300, 0x81), checksum };
    expect(delivered(late.peerThirdAck({ payload: 300, flags: "PA" }, [capable]))).toMatchObject([
      { seq: late.tan(0) },
    ]);
    expect(rightMaps(late, sent(late.hostData(0, 100)))).toEqual([[1, 100]]);

    const silent = listening({ family, ...DEMANDED });
    silent.peerSyn();
    silent.hostSynAck();
    const third = silent.peerThirdAck({}, [p.capableAck(silent.peer.key, silent.ourKey, 0x01)]);
    expect(third.events).toMatchObject([{ kind: "CONNECTION_FALLBACK", reason: "NO_MPTCP_IN_ACK" }]);
  });

  it("N-92 nobody demands them: there are none; with engine.checksum we do", () => {
    for (const role of ROLES) {
      const e = single[role]({ family });
      expect(sent(e.hostData(0, 100)).map((packet) => mapOf(e, packet)?.checksum)).toEqual([undefined]);
    }
    const flags = abi.ConfigFlag.SET_OPERATIONS | abi.ConfigFlag.CHECKSUM;
    const asking = opening({ family, flags });
    expect(flagsOf(asking.hostSyn())).toBe(0x81);
    expect(asking.peerSynAck().verdict).toBe("rewritten");
    expect(flagsOf(asking.fromHost())).toBe(0x81);
    const asked = listening({ family, flags });
    asked.peerSyn();
    expect(flagsOf(asked.hostSynAck())).toBe(0x81);
    asked.peerThirdAck({}, [p.capableAck(asked.peer.key, asked.ourKey, 0x81)]);
    expect(rightMaps(asked, sent(asked.hostData(0, 100)))).toEqual([[1, 100]]);
  });
});

/** `payload` with one octet changed. */
function altered(payload: Uint8Array, at = payload.length >> 1): Uint8Array {
  const copy = payload.slice();
  copy[at] = (copy[at] ?? 0) ^ 0x20;
  return copy;
}

const rstOf = (packets: p.Packet[]) => packets.filter(({ flags }) => flags.includes("R"));

/** Both ends are reset, the peer hears which mapping was altered, and nobody gets an octet more. */
function expectReset(e: Established, outcome: Outcome, dsn: bigint, flow: Flow = e.initial): void {
  expect(outcome).toMatchObject({ verdict: "drop", reason: "DSS_CHECKSUM" });
  const [first] = rstOf(e.on(flow, outcome.toWire));
  expect(first && p.option(first, "mpFail")?.dsn).toBe(dsn);
  expect(first && p.option(first, "mpFastclose")?.key).toBe(e.peer.key);
  expect(outcome.toHost.every(({ flags, payload }) => flags.includes("R") && payload.length === 0)).toBe(true);
  expect(outcome.toHost.length).toBeGreaterThan(0);
  expect(e.peerData(2000, 10).packet).toBeUndefined();
}

describe.each(FAMILIES)("checksums of what the peer sends (IPv%i)", (family) => {
  it("N-92 octets whose checksum is right reach the host, whatever their numbers are", () => {
    for (const role of ROLES) {
      const e = single[role]({ family, ...DEMANDED });
      expect(delivered(e.peerData(0, 1))).toMatchObject([{ seq: e.tan(0), payload: p.payloadPattern(1) }]);
      expect(delivered(e.peerData(1, 777, {}, { dsnOctets: 8 }))).toMatchObject([
        { payload: p.payloadPattern(777, 1) },
      ]);
      expect(delivered(e.peerData(778, 100, {}, { fin: true }))).toMatchObject([{ flags: "FPA" }]);
      expect(e.scene.counter(abi.Counter.CHECKSUM_ERRORS)).toBe(0);
    }
  });

  it("N-92 altered octets of one packet end there; its subflow is reset with MP_FAIL, the octets come elsewhere", () => {
    for (const role of ROLES) {
      const e = joined(role, { family, ...DEMANDED });
      const bad = e.peerData(0, 101, { payload: altered(p.payloadPattern(101)) });
      expect(bad).toMatchObject({ verdict: "drop", reason: "DSS_CHECKSUM", toHost: [] });
      const [rst, ...more] = e.on(e.initial, bad.toWire);
      expect(more).toEqual([]);
      expect(rst?.flags).toBe("RA");
      expect(rst && p.option(rst, "mpFail")?.dsn).toBe(e.peerDsn(0));
      expect(rst && p.option(rst, "mpTcprst")?.reason).toBe(6);
      expect(bad.events).toMatchObject([{ kind: "SUBFLOW_CLOSED", reason: "CHECKSUM" }]);
      const again = e.peerData(0, 101, { flow: e.flow2 }, { ssn: 1 });
      expect(delivered(again)).toMatchObject([{ seq: e.tan(0), payload: p.payloadPattern(101) }]);
      expect(e.scene.counter(abi.Counter.CHECKSUM_ERRORS)).toBe(1);
    }
  });

  it("N-92 on a connection that was never joined they end it on both sides", () => {
    for (const role of ROLES) {
      const e = single[role]({ family, ...DEMANDED });
      e.peerData(0, 100);
      expectReset(e, e.peerData(100, 50, { payload: altered(p.payloadPattern(50, 100)) }), e.peerDsn(100));
    }
  });

  it("N-92 a network that alters one subflow after the other ends the connection", () => {
    const e = joined("responder", { family, ...DEMANDED });
    const fail = (flow: Flow) => e.peerData(0, 10, { flow, payload: altered(p.payloadPattern(10)), at: 0 }, { ssn: 1 });
    fail(e.initial);
    for (let i = 0; i < 2; i++) {
      expect(rstOf(fail(e.flow2).toWire).map((rst) => p.option(rst, "mpFastclose"))).toEqual([undefined]);
      e.join();
    }
    expectReset(e, fail(e.flow2), e.peerDsn(0), e.flow2);
  });

  /** Octets [from, to) of the mapping of 1001 octets from stream octet `start` on. */
  function part(e: Established, from: number, to: number, start = 0, change = (octets: Uint8Array) => octets): Outcome {
    const payload = change(p.payloadPattern(to - from, start + from));
    return e.fromPeer({ at: start + from, payload, flags: "A" }, [e.dssData(start, 1001)]);
  }

  const ORDERS: [string, [number, number][]][] = [
    [
      "in order",
      [
        [0, 400],
        [400, 777],
        [777, 1001],
      ],
    ],
    [
      "odd cuts out of order",
      [
        [777, 1001],
        [1, 400],
        [400, 777],
        [0, 1],
      ],
    ],
    [
      "repeated and overlapping",
      [
        [0, 400],
        [0, 400],
        [300, 500],
        [499, 999],
        [0, 1000],
        [998, 1001],
      ],
    ],
  ];
  it.each(ORDERS)("N-92 a mapping of several packets is summed up as they come: %s", (_, cuts) => {
    for (const role of ROLES) {
      const e = joined(role, { family, ...DEMANDED });
      const free = () => e.scene.engine.header(abi.EngineHeader.RUNS_FREE);
      const got = new Set<number>();
      for (const [from, to] of cuts) {
        for (const packet of delivered(part(e, from, to))) {
          packet.payload.forEach((octet, i) => {
            const offset = (packet.seq - e.tan(0) + i) >>> 0;
            expect(octet).toBe(p.payloadPattern(1, offset)[0]);
            got.add(offset);
          });
        }
      }
      expect(got.size).toBe(1001);
      expect(e.scene.counter(abi.Counter.CHECKSUM_ERRORS)).toBe(0);
      e.fromHost({ acks: 1001 });
      const before = free();
      e.peerData(1001, 10);
      e.fromHost({ acks: 1011 });
      expect(free()).toBe(before); // nothing is kept of what was right
    }
  });

  it.each(ORDERS)("N-92 and if an octet of it was altered both ends are reset with its last packet: %s", (_, cuts) => {
    for (const role of ROLES) {
      const e = joined(role, { family, ...DEMANDED });
      const outcomes = cuts.map(([from, to], i) => part(e, from, to, 0, i === 0 ? altered : undefined));
      for (const outcome of outcomes.slice(0, -1)) expect(outcome.reason).not.toBe("DSS_CHECKSUM");
      expectReset(e, outcomes.at(-1) as Outcome, e.peerDsn(0));
    }
  });

  it("N-92 the end of one mapping and the beginning of the next in one packet", () => {
    for (const wrong of [false, true]) {
      const e = joined("opener", { family, ...DEMANDED });
      const tail = e.fromPeer({ at: 300, payload: p.payloadPattern(100, 300) }, [e.dssData(101, 299)]);
      expect(delivered(tail)).toHaveLength(1);
      const octets = p.payloadPattern(300);
      const both = e.fromPeer({ at: 0, payload: wrong ? altered(octets, 250) : octets }, [e.dssData(0, 101)]);
      if (wrong) expectReset(e, both, e.peerDsn(101));
      else expect(delivered(both).map(({ payload }) => payload.length)).toEqual([300]);
    }
  });

  it("N-92 a mapping without a checksum where they are agreed on is none, nor is one with where they are not", () => {
    for (const checksum of [true, false]) {
      const e = joined("opener", { family, checksum });
      const { checksum: right, ...bare } = e.dssData(0, 100);
      const other: p.Dss = checksum ? bare : { ...bare, checksum: right ?? 0x1234 };
      expect(e.fromPeer({ payload: 100 }, [other])).toMatchObject({
        verdict: "drop",
        reason: "NO_MAPPING",
        toWire: [],
      });
      expect(delivered(e.peerData(0, 100))).toHaveLength(1);
    }
  });

  it("N-92 a DATA_FIN alone counts if its checksum is right", () => {
    const e = opener({ family, ...DEMANDED });
    const fin = e.dataFin(0);
    const wrong = e.fromPeer({}, [{ ...fin, checksum: (fin.checksum ?? 0) ^ 1 }]);
    expect(delivered(wrong).some(({ flags }) => flags.includes("F"))).toBe(false);
    expect(delivered(e.fromPeer({}, [fin]))).toMatchObject([{ flags: "FA", seq: e.tan(0) }]);
  });

  it("N-92 a repetition of a whole mapping is judged again: the host may have lost the first", () => {
    const e = joined("opener", { family, ...DEMANDED });
    e.peerData(0, 100);
    expect(e.peerData(0, 100, { payload: altered(p.payloadPattern(100)) }).reason).toBe("DSS_CHECKSUM");
  });
});

describe.each(FAMILIES)("MP_FAIL of the peer (IPv%i)", (family) => {
  it("N-92 on an acknowledgement: it is answered, and the connection is plain TCP from then on", () => {
    for (const role of ROLES) {
      const e = single[role]({ family, ...DEMANDED });
      e.hostData(0, 100);
      const fail = e.fromPeer({ acks: 100 }, [e.dataAck(0), p.mpFail(e.dsn(0))]);
      expect(fail).toMatchObject({ verdict: "accept", toHost: [] });
      expect(fail.toWire.map((packet) => p.option(packet, "mpFail")?.dsn)).toEqual([e.peerDsn(0)]);
      expect(fail.events.map(({ kind }) => kind)).toContain("CONNECTION_FALLBACK");
      expect(e.hostData(100, 100)).toMatchObject({ verdict: "accept", packet: { seq: e.tsn(100), options: [] } });
    }
  });

  it("N-92 not where octets have gone under other numbers than the host's, nor on one of two subflows", () => {
    const moved = opener({ family, ...DEMANDED });
    moved.hostData(0, 100);
    moved.fromPeer({ acks: 100 }, [moved.dataAck(0)]);
    moved.hostData(0, 100);
    for (const e of [moved, joined("opener", { family, ...DEMANDED })]) {
      const fail = e.fromPeer({}, [e.dataAck(0), p.mpFail(e.dsn(0))]);
      expect(fail.events).toEqual([]);
      expect(sent(e.hostData(100, 100)).map((packet) => mapOf(e, packet)?.length)).toEqual([100]);
    }
  });

  it("N-92 on a RST: the subflow ends, and its octets go elsewhere", () => {
    const e = joined("opener", { family, ...DEMANDED });
    e.hostData(0, 100);
    const rst = e.fromPeer({ flags: "RA", acks: 0 }, [p.mpFail(e.dsn(0)), p.mpTcprst(6)]);
    expect(rst.events).toMatchObject([{ kind: "SUBFLOW_CLOSED", reason: "PEER_RESET" }, {}]);
    expect(rightMaps(e, e.on(e.flow2, sent(e.hostData(0, 100))))).toEqual([[1, 100]]);
  });
});
