import { describe, expect, it } from "vitest";
import { delivered, type Established, FAMILIES, joined, opener, sent } from "../../established.ts";
import * as p from "../../packet.ts";
import type { Outcome } from "../../scene.ts";
import { CASES, sacked, single } from "./cases.ts";

// Acknowledgements of the peer, towards the host.

/** What the host is told: the acknowledgement number of each packet, as octets of its stream. */
const tans = (e: Established, outcome: Outcome) => delivered(outcome).map(({ ack }) => (ack - e.tsn(0)) | 0);

describe.each(CASES)("the peer's acknowledgements, $name", ({ role, options }) => {
  it("N-66 the host's TAN is the peer's DATA_ACK in its own numbers, of 4 or 8 octets", () => {
    const e = single[role](options);
    e.hostData(0, 300);
    const ack = e.fromPeer({ acks: 100 }, [e.dataAck(100)]);
    expect(delivered(ack)).toMatchObject([
      { flags: "A", seq: e.tan(0), ack: e.tsn(100), options: [], checksumValid: true },
    ]);
    const long = e.fromPeer({ acks: 200 }, [p.dss({ dan: e.dsn(200), danOctets: 8 })]);
    expect(tans(e, long)).toEqual([200]);
    expect(tans(e, e.peerData(0, 10, { acks: 300 }, { dan: 300 }))).toEqual([300]);
  });

  it("N-66 whichever subflow brings it", () => {
    const e = joined(role, options);
    e.hostData(0, 300); // on the initial one
    expect(tans(e, e.fromPeer({ flow: e.flow2 }, [e.dataAck(300)]))).toEqual([300]);
  });

  it("N-66 TAN never goes back, though DATA_ACKs of two subflows overtake each other", () => {
    const e = joined(role, options);
    e.hostData(0, 300);
    expect(tans(e, e.fromPeer({ acks: 200 }, [e.dataAck(200)]))).toEqual([200]);
    expect(tans(e, e.fromPeer({ flow: e.flow2 }, [e.dataAck(100)])).filter((tan) => tan !== 200)).toEqual([]);
    expect(tans(e, e.peerData(0, 10, { flow: e.flow2, at: 0 }, { dan: 100 }))).toEqual([200]);
  });

  it("N-66 nor beyond what the host has sent", () => {
    const e = single[role](options);
    e.hostData(0, 300);
    expect(tans(e, e.fromPeer({ acks: 300 }, [e.dataAck(301)])).filter((tan) => tan !== 0)).toEqual([]);
    expect(tans(e, e.fromPeer({ acks: 300 }, [e.dataAck(300)]))).toEqual([300]);
  });

  it("N-66 nor by an 8-octet DATA_ACK that only looks right in its low half", () => {
    const e = single[role](options);
    e.hostData(0, 300);
    const ack = e.fromPeer({ acks: 300 }, [p.dss({ dan: e.dsn(200) + (1n << 32n), danOctets: 8 })]);
    expect(tans(e, ack).filter((tan) => tan !== 0)).toEqual([]);
  });

  it("N-67 where the DATA_ACK lags the SAN the host is told no more than the DATA_ACK", () => {
    const e = single[role](options);
    e.hostData(0, 300);
    expect(tans(e, e.fromPeer({ acks: 300 }, [e.dataAck(100)]))).toEqual([100]);
    expect(tans(e, e.fromPeer({ acks: 300 }, []))).toEqual([]); // no DSS: nothing new
    expect(tans(e, e.peerData(0, 10, { acks: 300 }, { dan: 200 }))).toEqual([200]);
  });

  it("N-67, N-79 the SAN is not shown as a SACK block either, when it starts where TAN stands", () => {
    const e = single[role](options);
    e.hostData(0, 300);
    const ack = e.fromPeer({ acks: 300 }, [e.dataAck(100)]);
    expect(delivered(ack).map((packet) => p.option(packet, "sack"))).toEqual([undefined]);
  });

  it("N-67, N-79 nor when it is another subflow's", () => {
    const e = joined(role, options);
    e.hostData(0, 100);
    e.scene.handover(2);
    e.hostData(100, 100);
    e.scene.handover(1);
    e.hostData(200, 100);
    e.scene.advance(200_000); // the transition is over
    const behind = delivered(e.fromPeer({ flow: e.flow2, acks: 100 }, [e.dataAck(0)]));
    expect(behind.map((packet) => p.option(packet, "sack")?.blocks)).toEqual([[[e.tsn(100), e.tsn(200)]]]);
    const adjacent = delivered(e.fromPeer({ flow: e.flow2, acks: 100 }, [e.dataAck(100)]));
    expect(adjacent).toMatchObject([{ ack: e.tsn(100), options: [] }]);
  });

  it("N-67 what lies behind a gap is", () => {
    const e = single[role](options);
    e.hostData(0, 300);
    const sack = e.fromPeer({ acks: 100 }, [e.dataAck(100), p.sack([e.tsn(200), e.tsn(300)])]);
    expect(delivered(sack).map((packet) => p.option(packet, "sack"))).toMatchObject([
      { blocks: [[e.tsn(200), e.tsn(300)]] },
    ]);
  });

  it("N-68 an ACK without a DSS brings its SACK blocks, and never moves TAN", () => {
    const e = single[role](options);
    e.hostData(0, 400);
    expect(tans(e, e.fromPeer({ acks: 100 }, [e.dataAck(100)]))).toEqual([100]);
    const bare = delivered(e.fromPeer({ acks: 200 }, [p.sack([e.tsn(300), e.tsn(400)])]));
    expect(bare).toMatchObject([{ ack: e.tsn(100) }]);
    expect(sacked(e, bare)).toEqual([[300, 400]]);
    expect(tans(e, e.fromPeer({ acks: 400 }, []))).toEqual([]);
    expect(tans(e, e.fromPeer({ acks: 400, win: 600 }, []))).toEqual([]); // nor a window: of which DATA_ACK?
    expect(tans(e, e.fromPeer({ acks: 400 }, [e.dataAck(400)]))).toEqual([400]);
  });

  it("N-67 a DATA_ACK that lags is pulled: one octet below the window, no DSS, until it has caught up", () => {
    const e = single[role](options);
    e.hostData(0, 300);
    e.scene.advance(10_000);
    e.fromPeer({ acks: 300 }, [e.dataAck(100)]);
    const pull = sent(e.scene.advance(60_000));
    expect(pull).toMatchObject([{ flags: "A", seq: e.tsn(299), ack: e.tan(0), options: [] }]);
    expect(pull[0]?.payload).toHaveLength(1);
    expect(tans(e, e.fromPeer({ acks: 300 }, [e.dataAck(300)]))).toEqual([300]);
    expect(sent(e.scene.advance(1_000_000))).toEqual([]);
  });
});

describe.each(FAMILIES)("checksums towards the host, IPv%d", (family) => {
  it("N-59 every rewritten packet of the peer has valid sums, verified before or not", () => {
    const e = opener({ family });
    let at = 0;
    for (const length of [1, 2, 3, 7, 8, 31, 32, 33, 535, 1435, 1436, 60_001]) {
      for (const flags of [undefined, 0]) {
        const fields = e.peerPacket({ at, payload: p.payloadPattern(length, at), flags: "PA" }, [
          e.dssData(at, length),
        ]);
        const { packet } = flags === undefined ? e.scene.wire(fields) : e.scene.wire(fields, { flags });
        expect(packet).toMatchObject({ seq: e.tan(at), checksumValid: true, ipChecksumValid: true, options: [] });
        expect(packet?.payload).toEqual(p.payloadPattern(length, at));
        at += length;
        e.fromHost({ acks: at });
      }
    }
  });

  it("N-59 a packet of the peer with a wrong sum ends here", () => {
    const e = opener({ family });
    const bad = e.fromPeer({ payload: 100, checksum: "bad" }, [e.dssData(0, 100)]);
    expect(bad).toMatchObject({ verdict: "drop", reason: "TCP_CHECKSUM", toHost: [], toWire: [] });
  });

  it("N-59 packets that we make for the host, too", () => {
    const e = opener({ family });
    e.fromPeer({ payload: 80 }, [e.dssData(0, 80, { fin: true })]);
    const made = [...e.scene.advance(300_000).toHost, ...e.fromPeer({ at: 80 }, [p.mpFastclose(e.ourKey)]).toHost];
    expect(new Set(made.map(({ flags }) => flags))).toEqual(new Set(["FA", "RA"]));
    expect(made.filter(({ checksumValid, ipChecksumValid }) => !checksumValid || !ipChecksumValid)).toEqual([]);
  });
});
