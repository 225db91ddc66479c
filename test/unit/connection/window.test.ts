// The two right edges, and the window fields made from them.

import { describe, expect, it } from "vitest";
import { low32, opener, sent } from "../../established.ts";
import * as p from "../../packet.ts";
import { CONNECTION, CONNECTION_AT, loadConnectionInternals } from "./internals.ts";

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
    expect(internals.windowForSubflow(CONNECTION)).toBe(65535);
    expect(internals.windowUnscaled(CONNECTION)).toBe(65535);
    set("rcvDan", 61_000n);
    expect(internals.windowForSubflow(CONNECTION)).toBe(10_000);
    set("dsnUna", 500n);
    set("peerWindowRight", 400n);
    expect(internals.windowForHost(CONNECTION)).toBe(0); // acknowledged beyond the edge: closed, not huge
    set("peerWindowRight", 900n);
    expect(internals.windowForHost(CONNECTION)).toBe(400);
  });

  it("N-69 a smaller window of the peer does not take back what it granted", () => {
    const e = opener({ hostScale: 7, peerScale: 7 });
    e.hostData(0, 1000);
    const edge = (out: ReturnType<typeof e.fromPeer>) => {
      const packet = out.packet as p.Packet;
      return packet.ack + packet.win * 128;
    };
    const before = edge(e.fromPeer({ acks: 500, win: 100 }, [e.dataAck(500)]));
    const after = edge(e.fromPeer({ acks: 1000, win: 10 }, [e.dataAck(1000)]));
    expect(after).toBeGreaterThanOrEqual(before - 127); // a field counts in units of 128
  });

  it("N-70 a window of zero reaches the peer, and so does its reopening", () => {
    const e = opener();
    e.peerData(0, 1000);
    const [closed] = sent(e.fromHost({ acks: 1000, win: 0 }));
    expect(closed).toMatchObject({ win: 0 });
    expect(p.option(closed as p.Packet, "dss")?.dan).toBe(low32(e.peerDsn(1000)));
    const [open] = sent(e.fromHost({ acks: 1000, win: 300 }));
    expect(open).toMatchObject({ win: 300 });
  });
});
