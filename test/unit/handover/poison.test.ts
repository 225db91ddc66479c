// A subflow with a hole that nobody can fill any more (docs/CONFORMANCE.md N-109).

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { type Established, joined, listening, sent } from "../../established.ts";
import * as p from "../../packet.ts";
import type { Outcome } from "../../scene.ts";
import { data } from "../forward/cases.ts";

const RTT_US = 100_000;

/**
 * Octets 0 … 999 were lost on the initial subflow and have come as a copy on the second one; 1000 … 1999 wait behind
 * the hole. `settled` is what the peer's news of it caused.
 */
function holed(e: Established = rtt()): { e: Established; settled: Outcome } {
  for (const at of [0, 1000]) e.hostData(at, 1000);
  for (let i = 0; i < 400; i++) e.scene.advance(1000); // silent: stale
  e.hostData(0, 1000);
  const block: [number, number] = [(e.initial.iss + 1001) >>> 0, (e.initial.iss + 2001) >>> 0];
  e.fromPeer({}, [e.dataAck(0), p.sack(block)]); // it was a loss only: the subflow lives
  const settled = e.fromPeer({ flow: e.flow2, acks: 1000 }, [e.dataAck(1000)]);
  return { e, settled };
}

/** A responder's connection; the initial subflow has a round trip of 100 ms, or another. */
function rtt(roundTripUs = RTT_US): Established {
  const e = listening();
  e.peerSyn();
  e.hostSynAck();
  e.scene.nowUs += BigInt(roundTripUs);
  e.peerThirdAck();
  return e.join();
}

const resets = (e: Established, packets: p.Packet[]) =>
  e.on(e.initial, packets).filter(({ flags }) => flags.includes("R"));
const poisoned = (e: Established) => e.scene.counter(abi.Counter.SUBFLOWS_POISONED);

describe("a hole whose octets are acknowledged at data level", () => {
  it("N-109 the peer is asked at once whether it is one: an octet that it has, no mapping", () => {
    const { e, settled } = holed();
    const asked = e.on(e.initial, settled.toWire).filter(({ payload }) => payload.length === 1);
    expect(asked).toMatchObject([{ flags: "A", seq: e.initial.iss, options: [] }]);
  });

  it("N-109 no new data goes on it, though it would be preferred", () => {
    const { e } = holed();
    e.fromPeer({}, [e.dataAck(1000)]); // one packet that shows both: the octets are there, that SSN is not
    expect(e.on(e.flow2, data(sent(e.hostData(2000, 500))))).toHaveLength(1);
    e.scene.handover(1);
    expect(e.on(e.flow2, data(sent(e.hostData(2500, 500))))).toHaveLength(1);
    expect(e.on(e.initial, data(sent(e.hostData(1000, 1000))))).toHaveLength(1); // what lives there stays
  });

  it("N-109 a round trip later it is closed with RST and MP_TCPRST, and its address is taken back elsewhere", () => {
    const { e } = holed();
    const wait = (us: number) => Array.from({ length: us / 5000 }, () => e.scene.advance(5000).toWire).flat();
    expect(resets(e, wait(RTT_US - 5000))).toEqual([]);
    expect(poisoned(e)).toBe(0);
    const later = wait(5 * RTT_US);
    const [rst, ...others] = resets(e, later) as [p.Packet];
    expect(others).toEqual([]);
    expect(rst).toMatchObject({ seq: (e.initial.iss + 2001) >>> 0, ack: e.initial.irs + 1 });
    expect(p.option(rst, "mpTcprst")).toMatchObject({ reason: 5 });
    const removed = e.on(e.flow2, later).filter((packet) => p.option(packet, "removeAddr"));
    expect(removed.length).toBeGreaterThan(0);
    expect(p.option(removed[0] as p.Packet, "removeAddr")).toMatchObject({ ids: [0] });
    expect(poisoned(e)).toBe(1);
    expect(e.scene.engine.header(abi.EngineHeader.SUBFLOWS)).toBe(1);
    // What waited behind the hole can be sent again elsewhere.
    expect(e.on(e.flow2, data(sent(e.hostData(1000, 1000))))).toHaveLength(1);
  });

  it("N-109 not where the SAN passes it in time: then it was late, and the subflow carries data again", () => {
    const { e } = holed();
    e.scene.advance(RTT_US / 2);
    e.fromPeer({ acks: 2000 }, [e.dataAck(2000)]);
    for (let i = 0; i < 100; i++) expect(resets(e, e.scene.advance(10_000).toWire)).toEqual([]);
    expect(poisoned(e)).toBe(0);
    e.scene.handover(1);
    expect(e.on(e.initial, data(sent(e.hostData(2000, 500))))).toHaveLength(1);
  });

  it("N-109 nor where its answer stands in a queue that was empty a moment ago", () => {
    const { e } = holed(rtt(5_000));
    for (let i = 0; i < 19; i++) expect(resets(e, e.scene.advance(10_000).toWire)).toEqual([]);
    e.fromPeer({ acks: 2000 }, [e.dataAck(2000)]);
    for (let i = 0; i < 100; i++) expect(resets(e, e.scene.advance(10_000).toWire)).toEqual([]);
    expect(poisoned(e)).toBe(0);
  });

  it("N-109 nor where its acknowledgements come late all the time, but come", () => {
    const e = rtt(5_000);
    for (let at = 0; at < 40_000; at += 1000) {
      e.hostData(at, 1000);
      e.scene.advance(20_000);
      e.fromPeer({ flow: e.flow2 }, [e.dataAck(at + 1000)]); // by the quicker path
      const late = Math.max(0, at - 3000);
      e.fromPeer({ acks: late }, [e.dataAck(late)]);
    }
    expect(poisoned(e)).toBe(0);
  });

  it("N-109 nor has a DATA_ACK to move: what is silent for its hole is asked, and then closed", () => {
    const e = rtt();
    e.hostData(0, 1000);
    for (let i = 0; i < 400; i++) e.scene.advance(1000); // silent: stale
    e.hostData(0, 1000); // moves to the second one, and is lost there, too
    const later = Array.from({ length: 400 }, () => {
      e.fromPeer({ flow: e.flow2 }); // says nothing new
      return e.scene.advance(5000).toWire;
    });
    expect(resets(e, later.flat())).toHaveLength(1);
    expect(poisoned(e)).toBe(1);
  });

  it("N-109 the only one stays while its path is silent, which proves no hole; heard again, it is closed", () => {
    const { e } = holed();
    e.fromPeer({ flow: e.flow2, acks: 1000, flags: "RA" }, []);
    expect(e.scene.engine.header(abi.EngineHeader.SUBFLOWS)).toBe(1);
    e.hostData(1000, 1000);
    for (let i = 0; i < 100; i++) e.scene.advance(20_000);
    expect(poisoned(e)).toBe(0);
    e.fromPeer({ acks: 0 }, [e.dataAck(1000)]);
    for (let i = 0; i < 100; i++) e.scene.advance(20_000);
    expect(poisoned(e)).toBe(1);
  });

  it("N-109 nor while the others are silent, too: where nothing is heard at all the peer would not hear of it", () => {
    const e = rtt();
    e.hostData(0, 1000);
    for (let i = 0; i < 400; i++) e.scene.advance(1000); // silent: stale
    e.hostData(0, 1000); // moves to the second one, which is silent from now on, too
    for (let i = 0; i < 400; i++) e.scene.advance(5000);
    expect(poisoned(e)).toBe(0);
    expect(e.scene.engine.header(abi.EngineHeader.SUBFLOWS)).toBe(2);
  });

  it("N-109 the path is joined anew when it is wanted again", () => {
    const { e } = holed(joined("opener"));
    for (let i = 0; i < 100; i++) {
      e.scene.advance(20_000);
      e.fromPeer({ flow: e.flow2, acks: 1000 }, [e.dataAck(1000)]); // the other one is heard
    }
    expect(poisoned(e)).toBe(1);
    const old = e.initial.iss;
    const wanted = e.scene.handover(1);
    const answered = e.answerJoin([wanted, e.scene.advance(64)].flatMap(sent));
    expect(answered.toWire.length).toBeGreaterThan(0);
    expect(e.flow2.local).toBe(e.addresses.host);
    expect(e.flow2.iss).not.toBe(old);
    e.fromPeer({ flow: e.flow2 }, [e.dataAck(2000)]);
    const fresh = e.on(e.flow2, data(sent(e.hostData(2000, 500))));
    expect(fresh.map((packet) => p.option(packet, "dss"))).toMatchObject([{ ssn: 1, length: 500 }]);
  });
});
