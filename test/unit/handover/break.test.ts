// Break before make: the subflow in use is gone before another one carries data (docs/CONFORMANCE.md N-83 … N-86).
// How long that takes is measured in the lab; here is what leaves, and that it leaves at once.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { delivered, type Established, type Flow, joined, opener, responder, sent } from "../../established.ts";
import * as p from "../../packet.ts";
import type { Outcome } from "../../scene.ts";
import { data } from "../forward/cases.ts";

const ROLES = ["opener", "responder"] as const;
const single = { opener, responder };
const FLAGS = abi.PathFlag.UP | abi.PathFlag.GATEWAY4;
const down = (e: Established, id: number): Outcome => e.scene.setPath(id, { address4: `10.0.${id}.1`, flags: 0 });
const up = (e: Established, id: number): Outcome => e.scene.setPath(id, { address4: `10.0.${id}.1`, flags: FLAGS });

/** Mappings of data packets on `flow`, as [octet of the subflow, octet of the stream, length]. */
function placed(e: Established, flow: Flow, packets: p.Packet[]): number[][] {
  return e.on(flow, data(packets)).map((packet) => {
    const dss = p.option(packet, "dss") as Required<p.Dss>;
    const offset = Number(BigInt.asUintN(32, dss.dsn - e.dsn(0)));
    expect(packet.seq).toBe((flow.iss + dss.ssn) >>> 0);
    expect(packet.payload).toEqual(p.payloadPattern(dss.length, offset));
    return [dss.ssn - 1, offset, dss.length];
  });
}

describe.each(ROLES)("the link of the subflow in use goes, we are the %s", (role) => {
  it.each([true, false])(
    "N-83 a standby is joined: what is in flight and what is new leave on it at once, SACK %s",
    (sack) => {
      const e = joined(role, { sack });
      for (const at of [0, 1000, 2000]) e.hostData(at, 1000);
      e.fromPeer({ acks: 1000 }, [e.dataAck(1000)]);
      const out = down(e, 1);
      expect(out.events.map(({ kind }) => kind)).toContain("SUBFLOW_CLOSED");
      expect(out.toHost).toEqual([]); // nothing is acknowledged, nothing SACKed
      const packets = [1000, 2000, 3000].flatMap((at) => sent(e.hostData(at, 1000)));
      expect(placed(e, e.initial, packets)).toEqual([]);
      expect(placed(e, e.flow2, packets)).toEqual([
        [0, 1000, 1000],
        [1000, 2000, 1000],
        [2000, 3000, 1000],
      ]);
      const ack = e.fromPeer({ flow: e.flow2, acks: 3000 }, [e.dataAck(4000)]);
      expect(delivered(ack).at(-1)).toMatchObject({ ack: e.tsn(4000), options: [] });
    },
  );

  it("N-83 what the peer sends again on the standby reaches the host, and is acknowledged there", () => {
    const e = joined(role);
    e.peerData(0, 1000);
    e.peerData(2000, 1000); // [1000, 2000) is lost with the link
    e.fromHost({ acks: 1000, options: [p.sack([e.tan(2000), e.tan(3000)])] });
    down(e, 1);
    const again = e.peerData(1000, 1000, { flow: e.flow2, at: 0 });
    expect(data(delivered(again))).toMatchObject([{ seq: e.tan(1000), payload: p.payloadPattern(1000, 1000) }]);
    const acks = sent(e.fromHost({ acks: 3000 }));
    expect(e.on(e.flow2, acks)).toMatchObject([{ ack: e.flow2.irs + 1001 }]);
    expect(p.option(acks[0] as p.Packet, "dss")?.dan).toBe(BigInt.asUintN(32, e.peerDsn(3000)));
    expect(e.on(e.initial, acks)).toEqual([]);
  });

  it("N-85 while nothing moves: later data goes either way on the standby", () => {
    const e = joined(role);
    e.hostData(0, 100);
    e.peerData(0, 100, { acks: 100 }, { dan: 100 });
    e.fromHost({ at: 100, acks: 100 });
    e.scene.advance(5_000_000);
    const out = [down(e, 1), e.scene.advance(1_000_000)];
    expect(out.flatMap(({ icmpToHost, toHost }) => [...icmpToHost, ...toHost])).toEqual([]); // no need to wake anybody
    e.scene.advance(40_000_000);
    expect(placed(e, e.flow2, sent(e.hostData(100, 500, { acks: 100 })))).toEqual([[0, 100, 500]]);
    const reply = e.peerData(100, 300, { flow: e.flow2, at: 0, acks: 500 }, { dan: 600 });
    expect(data(delivered(reply))).toMatchObject([{ seq: e.tan(100), ack: e.tsn(600) }]);
  });
});

describe("the link of the only subflow goes", () => {
  it("N-83 as the opener the other path is joined at once, and carries all from the fourth ACK on", () => {
    const e = opener({ flags: abi.ConfigFlag.SET_OPERATIONS });
    e.hostData(0, 1000);
    const lost = down(e, 1);
    e.answerJoin([lost, e.scene.advance(64)].flatMap(sent));
    expect(placed(e, e.flow2, sent(e.hostData(0, 1000)))).toEqual([]);
    e.fromPeer({ flow: e.flow2 });
    expect(placed(e, e.flow2, sent(e.hostData(0, 1000)))).toEqual([[0, 0, 1000]]);
    expect(placed(e, e.flow2, sent(e.hostData(1000, 1000)))).toEqual([[1000, 1000, 1000]]);
  });

  it("N-83 as the responder the peer's join carries all as soon as its ACK is there", () => {
    const e = responder();
    e.hostData(0, 1000);
    down(e, 1);
    e.join();
    expect(placed(e, e.flow2, sent(e.hostData(0, 1000)))).toEqual([[0, 0, 1000]]);
    const data = e.peerData(0, 100, { flow: e.flow2, at: 0 });
    expect(delivered(data)).toMatchObject([{ seq: e.tan(0) }]);
  });

  it("N-84 REMOVE_ADDR of the lost address follows right behind the MP_JOIN ACK, and is repeated", () => {
    const e = opener({ flags: abi.ConfigFlag.SET_OPERATIONS });
    e.hostData(0, 1000);
    const lost = down(e, 1);
    const answered = e.answerJoin([lost, e.scene.advance(64)].flatMap(sent));
    const [ack, remove, ...others] = e.on(e.flow2, answered.toWire) as [p.Packet, p.Packet];
    expect(others).toEqual([]);
    expect(p.option(ack, "mpJoin")?.form).toBe("ack");
    expect(p.option(remove, "removeAddr")).toMatchObject({ ids: [0] });
    expect(p.option(remove, "dss")?.dan).toBe(BigInt.asUintN(32, e.peerDsn(0)));
    expect(remove).toMatchObject({ flags: "A", seq: (e.flow2.iss + 1) >>> 0, ack: e.flow2.irs + 1 });
    e.fromPeer({ flow: e.flow2 });
    const later = Array.from({ length: 50 }, () => e.scene.advance(10_000).toWire).flat();
    expect(later.filter((packet) => p.option(packet, "removeAddr")).length).toBeGreaterThan(1);
  });

  it.each(ROLES)("N-85 while nothing moves: data goes once a path has come and is joined, as the %s", (role) => {
    const e = single[role]({ flags: abi.ConfigFlag.SET_OPERATIONS, paths: [{ address4: "10.0.1.1", flags: FLAGS }] });
    e.scene.advance(1_000_000);
    down(e, 1);
    e.scene.advance(30_000_000);
    const came = up(e, 2);
    if (role === "opener") {
      e.answerJoin([came, e.scene.advance(64)].flatMap(sent));
      e.fromPeer({ flow: e.flow2 });
    } else e.join();
    expect(placed(e, e.flow2, sent(e.hostData(0, 500)))).toEqual([[0, 0, 500]]);
    expect(delivered(e.peerData(0, 100, { flow: e.flow2, at: 0 }))).toMatchObject([{ seq: e.tan(0) }]);
  });
});

describe.each(ROLES)("a hundred handovers, we are the %s", (role) => {
  it("N-86 under load leave no run behind, and every octet has gone out once and in order", () => {
    const e = joined(role);
    const free = () => e.scene.engine.header(abi.EngineHeader.RUNS_FREE);
    const before = free();
    const acked = new Map([
      [e.initial, 0],
      [e.flow2, 0],
    ]);
    let [at, from] = [0, 0];
    for (let i = 0; i < 100; i++) {
      const flow = i % 2 === 0 ? e.flow2 : e.initial;
      e.scene.handover(i % 2 === 0 ? 2 : 1);
      for (const length of [70, 1, 140]) {
        expect(placed(e, flow, sent(e.hostData(at, length, { acks: from })))).toEqual([
          [acked.get(flow) as number, at, length],
        ]);
        acked.set(flow, (acked.get(flow) as number) + length);
        at += length;
      }
      const octets = acked.get(flow) as number;
      const reply = e.peerData(from, 50, { flow, at: from / 2 - ((from / 2) % 50), acks: octets }, { dan: at });
      expect(data(delivered(reply))).toMatchObject([{ seq: e.tan(from), ack: e.tsn(at) }]);
      from += 50;
      e.fromHost({ at, acks: from });
      e.scene.advance(20_000);
    }
    expect(free()).toBe(before);
    expect(e.scene.engine.header(abi.EngineHeader.SUBFLOWS)).toBe(2);
    for (let i = 0; i < 5; i++) e.scene.advance(1_000_000);
    expect(e.scene.nextUs).toBe(Infinity);
  });
});
