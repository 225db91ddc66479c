// The last DATA_ACK of a connection, where the last path goes with it: the peer's host still waits for the end.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { type Established, low32, opener, responder } from "../../established.ts";
import * as p from "../../packet.ts";

const single = { opener, responder };
const ROLES = ["opener", "responder"] as const;

/** Both ends have closed, and our host knows it; our first FIN, with the last DATA_ACK, is on its way. */
function through(e: Established): Established {
  e.fromPeer({}, [e.dataFin(0)]);
  e.fromHost({ acks: 1 });
  e.fromHost({ acks: 1, flags: "FA" });
  e.fromPeer({}, [e.dataAck(1)]);
  return e;
}

/** What leaves when path 1 goes, and shortly afterwards. */
function lose(e: Established): p.Packet[] {
  const now = e.scene.setPath(1, { address4: "10.0.1.1", flags: 0 }).toWire;
  return [...now, ...e.scene.advance(1).toWire];
}

const connections = (e: Established): number => e.scene.engine.header(abi.EngineHeader.CONNECTIONS);
const joins = (packets: p.Packet[]): p.Packet[] => packets.filter((packet) => p.option(packet, "mpJoin"));

describe("the last path goes before the peer has our last DATA_ACK", () => {
  it("N-20 the opener joins another path, says it there with a FIN, and is through", () => {
    const e = through(opener());
    const answer = e.answerJoin(joins(lose(e)));
    const fourth = e.fromPeer({ flow: e.flow2 }, [e.dataAck(1)]);
    const fin = e.on(e.flow2, [...answer.toWire, ...fourth.toWire]).filter(({ flags }) => flags === "FA");
    expect(fin).toHaveLength(1);
    expect(p.option(fin[0] as p.Packet, "dss")).toMatchObject({ dan: low32(e.peerDsn(1)) });
    e.fromPeer({ flow: e.flow2, acks: 1, flags: "FA" }, [e.dataAck(1)]);
    e.scene.advance(20_000_000);
    expect(connections(e)).toBe(0);
  });

  it("N-20 the responder takes the peer's join, answers it with the DATA_ACK, and closes it", () => {
    const e = through(responder());
    lose(e);
    e.join();
    const repeated = e.scene.advance(2_000_000).toWire; // the FIN, not acknowledged yet
    const fin = e.on(e.flow2, repeated).filter(({ flags }) => flags === "FA");
    expect(fin.length).toBeGreaterThan(0);
    expect(p.option(fin[0] as p.Packet, "dss")).toMatchObject({ dan: low32(e.peerDsn(1)) });
    e.fromPeer({ flow: e.flow2, acks: 1, flags: "FA" }, []);
    e.scene.advance(20_000_000);
    expect(connections(e)).toBe(0);
  });

  it.each(ROLES)("N-20 not where the peer has shown that it is through, too: %s", (role) => {
    const e = through(single[role]());
    e.fromPeer({ acks: 1, flags: "FA" }, [e.dataAck(1)]);
    expect(joins(lose(e))).toEqual([]);
    if (role === "responder") expect(() => e.join()).toThrow("no MP_JOIN SYN/ACK");
  });

  it.each(ROLES)("a peer that never comes back is forgotten after a minute: %s", (role) => {
    const e = through(single[role]());
    lose(e);
    expect(connections(e)).toBe(1);
    e.scene.advance(61_000_000);
    expect(connections(e)).toBe(0);
  });
});
