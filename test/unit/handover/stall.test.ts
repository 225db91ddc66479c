// A subflow that falls silent with octets in flight (docs/CONFORMANCE.md N-110).

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { type Established, joined, listening, sent } from "../../established.ts";
import * as p from "../../packet.ts";
import type { Outcome } from "../../scene.ts";
import { data } from "../forward/cases.ts";

const GSO = { flags: abi.PacketFlag.GSO | abi.PacketFlag.CHECKSUM_NOT_READY };

/** Stale or not, as events say. */
const stale = (...outs: Outcome[]): [number, number][] =>
  outs.flatMap(({ events }) =>
    events.flatMap(({ kind, path, value }) => (kind === "SUBFLOW_STALE" ? [[path, value] as [number, number]] : [])),
  );

/** Where data packets go: [path, octet of the subflow, octet of the stream, length of the packet]. */
function placed(e: Established, out: Outcome): number[][] {
  return data(sent(out)).map((packet) => {
    const [id, flow] = e.on(e.initial, [packet]).length > 0 ? [1, e.initial] : [2, e.flow2];
    const dss = p.option(packet, "dss") as Required<p.Dss>;
    const into = (packet.seq - flow.iss - dss.ssn) >>> 0;
    const offset = Number(BigInt.asUintN(32, dss.dsn - e.dsn(0))) + into;
    expect(into + packet.payload.length).toBeLessThanOrEqual(dss.length);
    expect(packet.payload).toEqual(p.payloadPattern(packet.payload.length, offset));
    return [id, dss.ssn - 1 + into, offset, packet.payload.length];
  });
}

/** A responder whose initial subflow has a round trip of `rttUs`, with a second subflow. */
function withRtt(rttUs: number): Established {
  const e = listening();
  e.peerSyn();
  e.hostSynAck();
  e.scene.nowUs += BigInt(rttUs);
  e.peerThirdAck();
  return e.join();
}

/** Lets `ms` pass, one at a time; the events about silence, with the millisecond. */
function silence(e: Established, ms: number): { at: number; out: Outcome }[] {
  return Array.from({ length: ms }, (_, i) => ({ at: i + 1, out: e.scene.advance(1000) })).filter(
    ({ out }) => stale(out).length > 0,
  );
}

describe("a silent subflow with octets in flight", () => {
  it.each([
    [20_000, 300],
    [200_000, 600],
  ])("N-110 with a round trip of %i µs is stale after %i ms: new data moves, the host is made to repeat", (rtt, ms) => {
    const e = withRtt(rtt);
    e.hostData(0, 1000);
    const [event, ...others] = silence(e, 1000);
    expect(others).toEqual([]);
    expect(Math.abs((event?.at as number) - ms)).toBeLessThan(3);
    expect(stale(event?.out as Outcome)).toEqual([[1, 1]]);
    expect(event?.out.icmpToHost).toMatchObject([{ error: "too big", quoted: { seq: e.tsn(999) } }]);
    expect(placed(e, e.hostData(1000, 500))).toEqual([[2, 0, 1000, 500]]);
  });

  it("N-110 is not stale while the peer speaks on it, nor with nothing in flight", () => {
    const e = withRtt(20_000);
    e.hostData(0, 1000);
    for (let i = 0; i < 10; i++) {
      expect(silence(e, 200)).toEqual([]);
      e.fromPeer({ acks: 0 });
    }
    e.fromPeer({ acks: 1000 }, [e.dataAck(1000)]);
    expect(silence(e, 3000)).toEqual([]);
  });

  it("N-110 a hole alone is no silence: it was heard long after the last octets left", () => {
    const e = withRtt(20_000);
    for (const at of [0, 1000]) e.hostData(at, 1000);
    silence(e, 290);
    e.scene.advance(200_000); // stale meanwhile
    expect(stale(e.fromPeer({ acks: 1000 }, [e.dataAck(1000)]))).toEqual([[1, 0]]);
    expect(silence(e, 3000)).toEqual([]);
    e.hostData(1000, 1000);
    const [event] = silence(e, 1000);
    expect(stale(event?.out as Outcome)).toEqual([[1, 1]]);
  });

  it("N-110 what the host repeats goes out twice: as it was, and with fresh SSNs on the active subflow", () => {
    const e = withRtt(20_000);
    for (const at of [0, 1000]) e.hostData(at, 1000);
    silence(e, 400);
    e.hostData(2000, 500);
    const again = e.hostData(0, 1000);
    expect(placed(e, again)).toEqual([
      [1, 0, 0, 1000],
      [2, 500, 0, 1000],
    ]);
    expect(e.scene.counter(abi.Counter.REINJECTED)).toBe(1);
    // From now on it is mapped there, and goes there only.
    expect(placed(e, e.hostData(0, 1000))).toEqual([[2, 500, 0, 1000]]);
  });

  it("N-110 any packet on it revives it: what was not copied stays there, and new data may return", () => {
    const e = withRtt(20_000);
    for (const at of [0, 1000]) e.hostData(at, 1000);
    silence(e, 400);
    e.hostData(0, 1000); // copied
    const heard = e.fromPeer({ acks: 0 });
    expect(stale(heard)).toEqual([[1, 0]]);
    expect(placed(e, e.hostData(1000, 1000))).toEqual([[1, 1000, 1000, 1000]]);
    expect(placed(e, e.hostData(2000, 500))).toEqual([[1, 2000, 2000, 500]]);
  });

  it("N-110 without another subflow there is no copy, and nothing is dropped", () => {
    const e = listening();
    e.peerSyn();
    e.hostSynAck();
    e.scene.nowUs += 20_000n;
    e.peerThirdAck();
    e.hostData(0, 1000);
    silence(e, 1000);
    const again = e.hostData(0, 1000);
    expect(again.verdict).toBe("rewritten");
    expect(data(sent(again))).toHaveLength(1);
  });

  it("N-110 a second retransmission of the first octet says the same of a subflow that is not silent", () => {
    const e = withRtt(20_000);
    for (const at of [0, 1000]) e.hostData(at, 1000);
    const block: [number, number] = [(e.initial.iss + 1001) >>> 0, (e.initial.iss + 2001) >>> 0];
    const outs = [1, 2].map(() => {
      e.scene.advance(250_000);
      e.fromPeer({}, [e.dataAck(0), p.sack(block)]);
      return e.hostData(0, 1000);
    });
    expect(outs.map((out) => placed(e, out))).toEqual([
      [[1, 0, 0, 1000]],
      [
        [1, 0, 0, 1000],
        [2, 0, 0, 1000],
      ],
    ]);
  });

  it("N-110 the first octet goes where nothing is in flight, not behind what the active subflow may never bring", () => {
    const e = withRtt(20_000);
    const third = e.joinThird();
    e.hostData(0, 1000);
    e.scene.handover(2);
    e.hostData(1000, 1000);
    const outs = [1, 2].map(() => {
      e.scene.advance(250_000);
      for (const flow of [e.initial, e.flow2]) e.fromPeer({ flow }, [e.dataAck(0)]);
      return sent(e.hostData(0, 2000));
    });
    expect(outs.map((out) => data(e.on(third, out)).length)).toEqual([0, 1]);
    const octets = data(e.on(third, outs[1] as p.Packet[])).map((packet) => p.option(packet, "dss"));
    expect(octets).toMatchObject([{ dsn: BigInt.asUintN(32, e.dsn(0)), ssn: 1, length: 1000 }]);
    expect(data(e.on(e.flow2, outs[1] as p.Packet[]))).toHaveLength(1); // the others stay
  });

  it("N-110 a FIN says it of its subflow, too; nothing beside it names an older SAN than its own packet", () => {
    const e = withRtt(20_000);
    e.fromHost({ flags: "FA" });
    e.scene.advance(250_000);
    e.fromHost({ flags: "FA" });
    e.peerData(0, 100, { flow: e.flow2, at: 0 });
    e.scene.advance(250_000);
    const out = e.fromHost({ flags: "FA", acks: 100 });
    expect(stale(out)).toEqual([[1, 1]]);
    const acks = e.on(e.flow2, sent(out)).map(({ ack }) => (ack - e.flow2.irs - 1) >>> 0);
    expect(acks.length).toBeGreaterThan(1);
    expect(new Set(acks)).toEqual(new Set([100]));
  });

  it.each([500, 0])("N-110 what that brings about says as much as the segment itself (%i octets)", (payload) => {
    const e = withRtt(20_000);
    const outs = [0, 100, 200].map((at) => {
      e.scene.advance(250_000);
      e.peerData(at, 100);
      const out = sent(e.fromHost({ at: 0, acks: at + 100, flags: payload === 0 ? "FA" : "PA", payload }));
      expect(new Set(e.on(e.initial, out).map(({ ack }) => ack))).toEqual(new Set([(e.initial.irs + at + 101) >>> 0]));
      return out;
    });
    expect(outs[2]?.some((packet) => p.option(packet, "mpPrio"))).toBe(true);
  });

  it("N-114 of a super-packet both copies leave whole, in pieces that fit, every octet once under each mapping", () => {
    const e = withRtt(20_000);
    const length = 40_000;
    e.hostData(0, length, {}, GSO);
    silence(e, 400);
    const out = e.hostData(0, length, {}, GSO);
    const places = placed(e, out);
    for (const path of [1, 2]) {
      const own = places.filter(([id]) => id === path).sort(([, a = 0], [, b = 0]) => a - b);
      let next = 0;
      for (const [, at, offset, octets] of own) {
        expect([at, offset]).toEqual([next, next]);
        next += octets as number;
      }
      expect(next).toBe(length);
    }
    expect(Math.max(...data(sent(out)).map(({ totalLength }) => totalLength))).toBeLessThanOrEqual(1500);
    const onFirst = e.on(e.initial, data(sent(out))).map((packet) => p.option(packet, "dss"));
    expect(new Set(onFirst.map((dss) => `${dss?.ssn} ${dss?.length}`))).toEqual(new Set([`1 ${length}`]));
  });
});

describe("a super-packet that must be split", () => {
  it.each([9_000, 60_000])(
    "N-114 over two subflows' mappings, %i octets: each once, none longer than the MTU",
    (length) => {
      const e = joined();
      const half = length / 2;
      e.hostData(0, half, {}, GSO);
      e.scene.handover(2);
      e.hostData(half, half, {}, GSO);
      const out = e.hostData(0, length, {}, GSO);
      expect(out.reason).toBe("SUPERSEDED");
      let next = 0;
      for (const [id, at, offset, octets] of placed(e, out)) {
        expect([id, at, offset]).toEqual(next < half ? [1, next, next] : [2, next - half, next]);
        next += octets as number;
      }
      expect(next).toBe(length);
      expect(Math.max(...data(sent(out)).map(({ totalLength }) => totalLength))).toBeLessThanOrEqual(1500);
      expect(
        data(sent(out)).filter(({ checksumValid, ipChecksumValid }) => !checksumValid || !ipChecksumValid),
      ).toEqual([]);
    },
  );
});
