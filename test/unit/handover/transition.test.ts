// After a switch: SACK blocks that stem from the new subflow alone are held back from the host for a while.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { delivered, type Established, joined, listening } from "../../established.ts";
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
  it("holds back what the new subflow alone has delivered, and counts it", () => {
    const e = switched();
    expect(shown(e, newArrives(e))).toEqual([]);
    expect(held(e)).toBe(1);
    expect(shown(e, newArrives(e))).toEqual([]);
    expect(held(e)).toBe(2);
  });

  it("shows a block of the old subflow", () => {
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
});
