// MP_PRIO (RFC 8684 §3.3.8): docs/CONFORMANCE.md N-80 … N-82.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { type Established, joined, responder, sent } from "../../established.ts";
import * as p from "../../packet.ts";

const ROLES = ["opener", "responder"] as const;

/** MP_PRIO in `packets`, as [path, backup]. */
function prios(e: Established, packets: p.Packet[]): [number, boolean][] {
  const path = (packet: p.Packet) => (e.on(e.initial, [packet]).length > 0 ? 1 : 2);
  return packets.flatMap((packet) => {
    const prio = p.option(packet, "mpPrio");
    return prio ? [[path(packet), prio.kind === "mpPrio" && prio.backup] as [number, boolean]] : [];
  });
}

describe("a path asked for by hand", () => {
  it("N-81 holds for what the peer joins later, too: MP_PRIO on it", () => {
    const e = responder();
    e.scene.handover(1);
    e.join();
    expect(prios(e, e.scene.advance(300_000).toWire)).toContainEqual([2, true]);
    const free = responder().join();
    expect(prios(free, free.scene.advance(300_000).toWire)).toEqual([]);
  });
});

describe.each(ROLES)("MP_PRIO, we are the %s", (role) => {
  it("N-80 a handover with both subflows up: new data moves at once, what is in flight stays where it is", () => {
    const e = joined(role);
    const [first] = e.on(e.initial, sent(e.hostData(0, 1000)));
    const out = e.scene.handover(2);
    expect(out.events.map(({ kind }) => kind)).toContain("HANDOVER_STARTED");
    const fresh = e.hostData(1000, 1000);
    expect(e.on(e.flow2, sent(fresh))).toHaveLength(1);
    expect(fresh.events.map(({ kind }) => kind)).toContain("HANDOVER_DONE");
    const again = e.on(e.initial, sent(e.hostData(0, 1000)));
    expect(again).toHaveLength(1);
    expect(again[0]?.seq).toBe(first?.seq);
    expect(p.option(again[0] as p.Packet, "dss")?.dsn).toBe(BigInt.asUintN(32, e.dsn(0)));
  });

  it("N-81 a handover asks the peer by MP_PRIO to follow: the new subflow first, then the old one as backup", () => {
    const e = joined(role);
    const out = e.scene.handover(2);
    // The opener joined path 2 as backup; a subflow that the peer opened is regular already.
    expect(prios(e, out.toWire)).toEqual(
      role === "opener"
        ? [
            [2, false],
            [1, true],
          ]
        : [[1, true]],
    );
    for (const packet of out.toWire) expect(p.option(packet, "dss")?.dan).toBe(BigInt.asUintN(32, e.peerDsn(0)));
    const repeated = Array.from({ length: 30 }, () => prios(e, e.scene.advance(10_000).toWire)).flat();
    expect(repeated.filter(([path]) => path === 1)).toHaveLength(3);
    expect(Array.from({ length: 30 }, () => prios(e, e.scene.advance(10_000).toWire)).flat()).toEqual([]);
  });

  it("N-82 MP_PRIO of the peer: no new data on that subflow while another one is regular", () => {
    const e = joined(role);
    expect(e.on(e.initial, sent(e.hostData(0, 100)))).toHaveLength(1);
    const out = e.fromPeer({}, [p.mpPrio(true), e.dataAck(0)]);
    expect(out.events.map(({ kind }) => kind)).toContain("SUBFLOW_PRIORITY");
    expect(e.on(e.flow2, sent(e.hostData(100, 100)))).toHaveLength(1);
    e.fromPeer({}, [p.mpPrio(false), e.dataAck(0)]);
    e.fromPeer({ flow: e.flow2 }, [p.mpPrio(true), e.dataAck(0)]);
    expect(e.on(e.initial, sent(e.hostData(200, 100)))).toHaveLength(1);
  });

  it("N-82 MP_PRIO on every subflow: data goes on where it is preferred", () => {
    const e = joined(role);
    e.fromPeer({}, [p.mpPrio(true), e.dataAck(0)]);
    e.fromPeer({ flow: e.flow2 }, [p.mpPrio(true), e.dataAck(0)]);
    expect(e.on(e.initial, sent(e.hostData(0, 100)))).toHaveLength(1);
  });

  it("N-82 MP_PRIO that makes a subflow regular again moves nothing: between regular ones our own order decides", () => {
    const e = joined(role);
    e.fromPeer({ flow: e.flow2 }, [p.mpPrio(true), e.dataAck(0)]);
    const out = e.fromPeer({ flow: e.flow2 }, [p.mpPrio(false), e.dataAck(0)]);
    expect(prios(e, out.toWire)).toEqual([]);
    expect(e.on(e.initial, sent(e.hostData(0, 100)))).toHaveLength(1);
    e.fromPeer({}, [p.mpPrio(true), e.dataAck(0)]); // with it, the other one is asked for
    expect(e.on(e.flow2, sent(e.hostData(100, 100)))).toHaveLength(1);
  });

  it("N-82 the peer's latest MP_PRIO comes before our own preference, a manual handover's too", () => {
    const e = joined(role);
    e.scene.handover(2);
    expect(e.on(e.flow2, sent(e.hostData(0, 100)))).toHaveLength(1);
    e.fromPeer({ flow: e.flow2 }, [p.mpPrio(true), e.dataAck(0)]);
    expect(e.on(e.initial, sent(e.hostData(100, 100)))).toHaveLength(1);
  });

  it("N-89 where the peer may send on all, a handover asks for one path, and its end gives all back", () => {
    const e = joined(role, { flags: abi.ConfigFlag.SET_OPERATIONS | abi.ConfigFlag.RECEIVE_ON_ALL });
    const moved = prios(e, e.scene.handover(2).toWire);
    expect(moved.filter(([path]) => path === 1)).toEqual([[1, true]]);
    for (let i = 0; i < 30; i++) e.scene.advance(10_000);
    const back = e.scene.command(abi.CommandKind.HANDOVER_AUTO);
    expect(prios(e, back.toWire)).toEqual([[1, false]]);
  });

  it("a repetition is no news and is not answered", () => {
    const e = joined(role);
    e.fromPeer({}, [p.mpPrio(true), e.dataAck(0)]);
    const again = e.fromPeer({}, [p.mpPrio(true), e.dataAck(0)]);
    expect(again.events).toEqual([]);
    expect(prios(e, again.toWire)).toEqual([]);
    expect(e.scene.counter(abi.Counter.MP_PRIO_RECEIVED)).toBe(2);
  });
});
