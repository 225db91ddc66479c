// The DAN pull (docs/CONFORMANCE.md N-108): one octet below the window makes the peer say what its
// DATA_ACK has not said yet.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { delivered, type Established, joined, listening, opener } from "../../established.ts";
import * as p from "../../packet.ts";

const RTT_US = 100_000;
const MIN_US = 100;

/** A connection whose initial subflow has a round-trip time of 100 ms; the host has sent 1000 octets. */
function slow(options = {}): Established {
  const e = listening(options);
  e.peerSyn();
  e.hostSynAck();
  e.scene.nowUs += BigInt(RTT_US);
  e.peerThirdAck();
  e.hostData(0, 1000);
  e.scene.nowUs += BigInt(RTT_US);
  return e;
}

const pulls = (e: Established): number => e.scene.counter(abi.Counter.DAN_PULLS);
const lag = (e: Established) => e.fromPeer({ acks: 1000 });

/** Milliseconds from now after which pulls left, in steps of 5. */
function pullTimes(e: Established, ms: number): number[] {
  const times = Array.from({ length: ms }, (_, i) => (e.scene.advance(1000).toWire.length > 0 ? i + 1 : 0));
  return times.filter(Boolean).map((time) => Math.round(time / 5) * 5);
}

describe("a DAN pull", () => {
  it("N-108 leaves half a round trip after the peer has acknowledged on the subflow only: one octet, no DSS", () => {
    const e = slow();
    expect(lag(e).toWire).toEqual([]);
    expect(e.scene.advance(RTT_US / 2 - 1000).toWire).toEqual([]);
    const { toWire, toHost } = e.scene.advance(1100);
    expect(toHost).toEqual([]);
    expect(e.on(e.initial, toWire)).toHaveLength(1);
    const [pull] = toWire as [p.Packet];
    expect(pull).toMatchObject({ flags: "A", seq: e.initial.iss + 1000, ack: e.initial.irs + 1, checksumValid: true });
    expect(pull.payload).toHaveLength(1);
    expect(pull.options).toEqual([]);
    expect(pulls(e)).toBe(1);
  });

  it("waits 100 µs at least", () => {
    const e = opener(); // its round trip took no time
    e.hostData(0, 1000);
    lag(e);
    expect(e.scene.nextUs).toBeLessThanOrEqual(2 * MIN_US);
    expect(e.scene.advance(MIN_US - 40).toWire).toEqual([]);
    expect(e.scene.advance(MIN_US).toWire).toHaveLength(1);
  });

  it("N-108 is not armed where the DATA_ACK covers what the subflow has acknowledged", () => {
    const e = slow();
    e.fromPeer({ acks: 1000 }, [e.dataAck(1000)]);
    expect(pullTimes(e, 1000)).toEqual([]);
    const other = slow();
    other.fromPeer({ acks: 0 }); // nothing is acknowledged, on either level
    expect(pullTimes(other, 1000)).toEqual([]);
  });

  it.each([0, 2 ** 31])("is not armed for octets that another subflow carries, initial number %i", (hostIss) => {
    const e = joined("opener", { hostIss });
    e.hostData(0, 1000);
    e.scene.handover(2);
    e.hostData(1000, 1000);
    e.scene.advance(1_000_000);
    e.fromPeer({ flow: e.flow2, acks: 1000 }); // behind a hole of the first subflow: no lag
    e.scene.advance(1_000_000);
    expect(pulls(e)).toBe(0);
  });

  it("looks again when it fires: what has caught up is not asked for", () => {
    const e = slow();
    lag(e);
    e.fromPeer({ acks: 1000 }, [e.dataAck(1000)]);
    expect(pullTimes(e, 1000)).toEqual([]);
    expect(pulls(e)).toBe(0);
  });

  it("N-108 is tried four times, each pause twice as long; a DATA_ACK that moves allows four more", () => {
    const e = slow();
    lag(e);
    expect(pullTimes(e, 2000)).toEqual([50, 150, 350, 750]);
    lag(e);
    expect(pullTimes(e, 2000)).toEqual([]);
    e.fromPeer({ acks: 1000 }, [e.dataAck(500)]);
    expect(pullTimes(e, 2000)).toEqual([50, 150, 350, 750]);
    expect(pulls(e)).toBe(8);
  });

  it("ends with its subflow", () => {
    const e = joined();
    e.hostData(0, 1000);
    lag(e);
    e.fromPeer({ flags: "FA", acks: 1000 });
    for (let i = 0; i < 20; i++) e.scene.advance(100_000);
    expect(pulls(e)).toBe(0);
  });
});

describe("the answer to a DAN pull", () => {
  /** The peer's report of the octet that it had already. */
  const report = (e: Established) => p.sack([e.initial.iss + 1000, e.initial.iss + 1001]);
  function asked(options = {}): Established {
    const e = slow(options);
    lag(e);
    expect(e.scene.advance(RTT_US / 2 + 100).toWire).toHaveLength(1);
    return e;
  }

  it("N-108 with a fresh DATA_ACK moves the host's TAN; its DSACK is for us, not for the host", () => {
    const e = asked();
    const out = e.fromPeer({ acks: 1000 }, [e.dataAck(1000), report(e)]);
    expect(delivered(out)).toMatchObject([{ flags: "A", ack: e.tsn(1000) }]);
    expect(p.option(delivered(out)[0] as p.Packet, "sack")).toBeUndefined();
    expect(pullTimes(e, 1000)).toEqual([]);
  });

  it("without news is absorbed, and so it is where there is no SACK", () => {
    const e = asked();
    expect(e.fromPeer({ acks: 1000 }, [e.dataAck(0), report(e)])).toMatchObject({
      verdict: "drop",
      reason: "ACK_REDUNDANT",
    });
    const plain = asked({ sack: false });
    plain.hostData(1000, 1000); // in flight: an equal ACK would look like a duplicate
    expect(plain.fromPeer({ acks: 1000 })).toMatchObject({ verdict: "drop", reason: "ACK_REDUNDANT" });
    expect(delivered(plain.fromPeer({ acks: 1000 }))).toHaveLength(1); // one answer only, the next is for the host
  });

  it("hides no duplicate acknowledgement that the host needs", () => {
    const e = asked();
    e.hostData(1000, 1000);
    e.hostData(2000, 1000);
    const block: [number, number] = [e.initial.iss + 2001, e.initial.iss + 3001];
    const out = e.fromPeer({ acks: 1000 }, [e.dataAck(0), p.sack(block)]);
    expect(delivered(out)).toHaveLength(1);
    expect(p.option(delivered(out)[0] as p.Packet, "sack")?.blocks).toContainEqual([e.tsn(2000), e.tsn(3000)]);
  });
});
