// After a switch (docs/CONFORMANCE.md N-112): SACK blocks that stem from the new subflow
// alone are held back from the host for a while.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { delivered, type Established, joined, listening, opener } from "../../established.ts";
import * as p from "../../packet.ts";
import type { Outcome } from "../../scene.ts";

const TRANSITION_MIN_US = 50_000;

/** SACK blocks that the host is shown, as offsets in its stream. */
function shown(e: Established, out: Outcome): [number, number][] {
  const blocks = delivered(out).flatMap((packet) => p.option(packet, "sack")?.blocks ?? []);
  return blocks.map(([left, right]) => [left - e.tsn(0), right - e.tsn(0)]);
}

const held = (e: Established): number => e.scene.counter(abi.Counter.TRANSITION_SACKS_HELD);

/** Octets 0 … 999 are in flight on the old subflow, 1000 … 1999 went out on the new one. */
function switched(e: Established = joined()): Established {
  e.hostData(0, 1000);
  e.scene.handover(2);
  e.hostData(1000, 1000);
  return e;
}

/** The peer has got all that went on the new subflow, and cannot say so at data level. */
const newArrives = (e: Established): Outcome => e.fromPeer({ flow: e.flow2, acks: 1000 });

describe("the transition after a switch", () => {
  it("N-112 holds back what the new subflow alone has delivered, and counts it", () => {
    const e = switched();
    expect(shown(e, newArrives(e))).toEqual([]);
    expect(held(e)).toBe(1);
    expect(shown(e, newArrives(e))).toEqual([]);
    expect(held(e)).toBe(2);
  });

  it("N-112 shows a block of the old subflow", () => {
    const e = joined();
    for (const at of [0, 1000, 2000]) e.hostData(at, 1000);
    e.scene.handover(2);
    e.hostData(3000, 1000);
    const block: [number, number] = [e.initial.iss + 1001, e.initial.iss + 2001];
    expect(shown(e, e.fromPeer({}, [e.dataAck(0), p.sack(block)]))).toEqual([[1000, 2000]]);
    expect(held(e)).toBe(0);
  });

  it("ends when the old subflow has acknowledged all that it carried", () => {
    const e = joined();
    for (const at of [0, 1000]) e.hostData(at, 1000);
    e.scene.handover(2);
    e.hostData(2000, 1000);
    e.fromPeer({ acks: 1000 });
    expect(shown(e, newArrives(e))).toEqual([]);
    e.fromPeer({ acks: 2000 });
    expect(shown(e, newArrives(e))).toContainEqual([2000, 3000]);
    expect(held(e)).toBe(1);
  });

  it("ends after 50 ms where round trips are shorter", () => {
    const e = switched();
    e.scene.advance(TRANSITION_MIN_US - 1000);
    expect(shown(e, newArrives(e))).toEqual([]);
    e.scene.nowUs += 1000n; // without a tick: the packet itself sees that it is over
    expect(shown(e, newArrives(e))).toEqual([[1000, 2000]]);
    e.scene.advance(0);
    expect(shown(e, newArrives(e))).toEqual([[1000, 2000]]);
    expect(held(e)).toBe(1);
  });

  it("lasts one and a half round trips of the old subflow where those are longer", () => {
    const e = listening();
    e.peerSyn();
    e.hostSynAck();
    e.scene.nowUs += 100_000n;
    e.peerThirdAck();
    e.join();
    switched(e);
    e.scene.advance(149_000);
    expect(shown(e, newArrives(e))).toEqual([]);
    e.scene.advance(1_000);
    expect(shown(e, newArrives(e))).toEqual([[1000, 2000]]);
  });

  it("does not begin where nothing is in flight on the old subflow", () => {
    const e = joined();
    e.hostData(0, 1000);
    e.fromPeer({ acks: 1000 }, [e.dataAck(1000)]);
    e.scene.handover(2);
    for (const at of [1000, 2000]) e.hostData(at, 1000);
    const block: [number, number] = [e.flow2.iss + 1001, e.flow2.iss + 2001];
    expect(shown(e, e.fromPeer({ flow: e.flow2 }, [e.dataAck(1000), p.sack(block)]))).toEqual([[2000, 3000]]);
    expect(held(e)).toBe(0);
  });

  it("ends with the old subflow", () => {
    const e = switched();
    e.fromPeer({ flags: "RA" }, []);
    expect(shown(e, newArrives(e))).toEqual([[1000, 2000]]);
    expect(held(e)).toBe(0);
  });

  it("N-112 without SACK the host is not shown the new subflow's duplicate acknowledgements either", () => {
    const e = joined("opener", { sack: false });
    for (const at of [0, 1000]) e.hostData(at, 1000);
    e.scene.handover(2);
    for (const at of [2000, 3000, 4000, 5000]) e.hostData(at, 1000);
    const said = () => delivered(e.fromPeer({ flow: e.flow2, acks: 1000 })); // the SAN stands, as for a duplicate
    said();
    for (let i = 0; i < 4; i++) expect(said()).toEqual([]);
    e.fromPeer({ acks: 2000 }, [e.dataAck(2000)]); // all that was in flight on the old one is there
    said();
    expect(said()).toMatchObject([{ ack: e.tsn(2000), options: [] }]);
  });

  it("N-112 a DSACK that comes meanwhile reaches the host", () => {
    const e = switched();
    e.hostData(0, 1000); // sent again, needlessly
    const twice: [number, number] = [e.tsn(0), e.tsn(1000)];
    expect(shown(e, e.fromPeer({ acks: 1000 }, [e.dataAck(1000), p.sack(twice)]))).toEqual([[0, 1000]]);
  });
});

/** The TAN jumps by `segments` segments of the host's MSS, because the old subflow's last octets have come. */
function jump(e: Established, segments: number): { tans: number[]; us: number } {
  const mss = 1436;
  e.hostData(0, 1000);
  e.scene.handover(2);
  for (let i = 0; i < segments; i++) e.hostData(1000 + i * mss, mss);
  const octets = segments * mss;
  e.fromPeer({ flow: e.flow2, acks: octets });
  const tan = ({ ack }: p.Packet) => ack - e.tsn(0);
  const tans = delivered(e.fromPeer({ flow: e.flow2, acks: octets }, [e.dataAck(1000 + octets)])).map(tan);
  const begun = e.scene.nowUs;
  let last = begun;
  for (let i = 0; i < 1000; i++) {
    const steps = e.scene.advance(100).toHost;
    if (steps.length > 0) last = e.scene.nowUs;
    tans.push(...steps.map(tan));
  }
  return { tans, us: Number(last - begun) };
}

describe("a jump of the TAN behind a switch", () => {
  const STEP = 10 * 1436;
  /** The second subflow's round trip takes 80 ms. */
  function slowSecond(options = {}): Established {
    const e = opener(options);
    const added = e.scene.command(abi.CommandKind.SUBFLOW_ADD, (view, at) => {
      view.setUint32(at + abi.Command.TOKEN, e.ourToken, true);
      view.setUint32(at + abi.Command.PATH, 2, true);
    });
    e.scene.nowUs += 80_000n;
    e.answerJoin(added.toWire);
    e.fromPeer({ flow: e.flow2 });
    return e;
  }

  it("N-112 of up to ten segments is shown at once", () => {
    expect(jump(slowSecond(), 9)).toEqual({ tans: [1000 + 9 * 1436], us: 0 });
  });

  it("N-112 of more is shown in steps of ten segments, all within a quarter of a round trip", () => {
    const { tans, us } = jump(slowSecond(), 35);
    const end = 1000 + 35 * 1436;
    expect(tans).toEqual([STEP, 2 * STEP, 3 * STEP, end]);
    expect(us).toBeLessThanOrEqual(80_000 / 4 + 200);
    expect(us).toBeGreaterThan(10_000);
  });

  it("N-112 that lands on octets which the host was shown as SACKed goes at once", () => {
    const e = slowSecond();
    const mss = 1436;
    for (let i = 0; i < 3; i++) e.hostData(i * mss, mss);
    const block: [number, number] = [e.tsn(mss), e.tsn(2 * mss)];
    expect(shown(e, e.fromPeer({}, [e.dataAck(0), p.sack(block)]))).toEqual([[mss, 2 * mss]]);
    e.scene.handover(2);
    for (let i = 3; i < 40; i++) e.hostData(i * mss, mss);
    const all = delivered(e.fromPeer({ flow: e.flow2, acks: 37 * mss }, [e.dataAck(40 * mss)]));
    expect(all.map(({ ack }) => ack)).toEqual([e.tsn(40 * mss)]);
  });
});
