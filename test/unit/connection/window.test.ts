// The two right edges, and the window fields made from them.

import { describe, expect, it } from "vitest";
import { delivered, type Established, type Flow, joined, low32, sent } from "../../established.ts";
import type { Packet } from "../../packet.ts";
import { danOf } from "../forward/cases.ts";
import { CONNECTION, CONNECTION_AT, loadConnectionInternals, SUBFLOW } from "./internals.ts";

function fresh() {
  const { internals, view } = loadConnectionInternals();
  const set = (field: keyof typeof CONNECTION_AT, value: bigint) =>
    view.setBigUint64(CONNECTION + CONNECTION_AT[field], value, true);
  const get = (field: keyof typeof CONNECTION_AT) => view.getBigUint64(CONNECTION + CONNECTION_AT[field], true);
  return { internals, set, get };
}

describe("window", () => {
  it("the peer's right edge never moves back, also across the end of the numbers", () => {
    const { internals, set, get } = fresh();
    const near = (1n << 64n) - 100n;
    set("peerWindowRight", near);
    expect(internals.peerWindowUpdate(CONNECTION, near - 50n, 20)).toBe(0);
    expect(internals.peerWindowUpdate(CONNECTION, near, 200)).toBe(1);
    expect(get("peerWindowRight")).toBe(100n);
    expect(internals.peerWindowUpdate(CONNECTION, near, 150)).toBe(0);
    expect(get("peerWindowRight")).toBe(100n);
  });

  it("fields are the edge less the acknowledgement, and 65535 at most", () => {
    const { internals, set } = fresh();
    set("rcvDan", 1000n);
    internals.hostWindowUpdate(CONNECTION, 1000n, 70_000);
    expect(internals.windowForSubflow(CONNECTION, SUBFLOW)).toBe(65535);
    expect(internals.windowUnscaled(CONNECTION)).toBe(65535);
    set("rcvDan", 61_000n);
    expect(internals.windowForSubflow(CONNECTION, SUBFLOW)).toBe(10_000);
    set("shownDan", 500n);
    set("peerWindowRight", 400n);
    expect(internals.windowForHost(CONNECTION)).toBe(0); // acknowledged beyond the edge: closed, not huge
    set("peerWindowRight", 900n);
    expect(internals.windowForHost(CONNECTION)).toBe(400);
  });
});

const ROLES = ["opener", "responder"] as const;

/** What the packets on `flow` say, each once: window field and octets acknowledged. */
function said(e: Established, flow: Flow, packets: Packet[]): [number, number][] {
  const all = e.on(flow, packets).map(({ win, ack }) => [win, ack - flow.irs - 1] as [number, number]);
  return all.filter(([win, ack], i) => all.findIndex((other) => other[0] === win && other[1] === ack) === i);
}

describe.each(ROLES)("the windows of a connection, we are the %s", (role) => {
  it.each([
    ["larger", 10],
    ["smaller", 2],
    ["none", undefined],
  ] as const)("N-69 the host is shown one edge, the highest that was granted, second scale %s", (_, joinScale) => {
    const e = joined(role, { peerScale: 7, joinScale });
    e.hostData(0, 2000);
    let granted = 500 << 7; // behind octet 0, in the handshake
    let told = 0;
    const said = [
      [e.initial, 7, 100, 0],
      [e.flow2, joinScale ?? 0, 65535, 0],
      [e.initial, 7, 700, 500],
      [e.flow2, joinScale ?? 0, 60, 501],
      [e.initial, 7, 699, 501], // overtaken: less than before
      [e.flow2, joinScale ?? 0, 65000, 900],
      [e.initial, 7, 0, 1000],
      [e.initial, 7, 65535, 1999],
      [e.flow2, joinScale ?? 0, 65535, 1999],
      [e.initial, 7, 1000, 2000],
    ] as const;
    for (const [flow, scale, win, dan] of said) {
      granted = Math.max(granted, dan + win * 2 ** scale);
      for (const { ack, win: field } of delivered(e.fromPeer({ flow, win }, [e.dataAck(dan)]))) {
        const octets = field * 128;
        expect((ack - e.tsn(0)) | 0).toBe(dan);
        expect(octets + dan).toBeLessThanOrEqual(granted);
        if (field !== 65535) expect(octets + dan).toBeGreaterThan(granted - 128); // a field counts in units of 128
        told++;
      }
    }
    expect(told).toBeGreaterThan(5);
  });

  it("N-70 a window of zero reaches the peer on every subflow, and so does its reopening, at once", () => {
    const e = joined(role);
    e.peerData(0, 1000);
    e.peerData(1000, 500, { flow: e.flow2, at: 0 });
    const closed = sent(e.fromHost({ acks: 1500, win: 0 }));
    expect(said(e, e.initial, closed)).toEqual([[0, 1000]]);
    expect(said(e, e.flow2, closed)).toEqual([[0, 500]]);
    const open = sent(e.fromHost({ acks: 1500, win: 300 }));
    expect([said(e, e.initial, open), said(e, e.flow2, open)]).toEqual([[[300, 1000]], [[300, 500]]]);
    expect(new Set([...closed, ...open].map(danOf))).toEqual(new Set([low32(e.peerDsn(1500))]));
  });

  it("N-70 nor is the peer shown more than the host has, where octets of the one subflow fill it", () => {
    const e = joined(role);
    e.fromHost({ win: 100 });
    e.peerData(0, 6_400);
    e.peerData(6_400, 6_400, { flow: e.flow2, at: 0 });
    const filled = sent(e.fromHost({ acks: 6_400, win: 50 }));
    expect(e.on(e.initial, filled)).toMatchObject([{ win: 50 }]);
    const closed = sent(e.hostData(0, 10, { acks: 12_800, win: 0 }));
    expect([e.on(e.initial, closed), e.on(e.flow2, closed)].map(([packet]) => packet?.win)).toEqual([0, 0]);
  });
});
