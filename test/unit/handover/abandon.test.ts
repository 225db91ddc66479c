// When a subflow goes and the connection stays (docs/CONFORMANCE.md N-38 … N-41).

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { delivered, type Established, joined, opener, sent } from "../../established.ts";
import * as p from "../../packet.ts";

const ROLES = ["opener", "responder"] as const;
const subflows = (e: Established): number => e.scene.engine.header(abi.EngineHeader.SUBFLOWS);
const connections = (e: Established): number => e.scene.engine.header(abi.EngineHeader.CONNECTIONS);
const GRACE = { config: { REJOIN_GRACE_MS: 3_000 } };

describe.each(ROLES)("one of two subflows goes, we are the %s", (role) => {
  it("N-38 FIN of the peer: acknowledged, answered with FIN; the host is not told, data goes on on the other", () => {
    const e = joined(role);
    const out = e.fromPeer({ flags: "FA" });
    expect(delivered(out).filter(({ flags }) => flags !== "A")).toEqual([]);
    const mine = e.on(e.initial, out.toWire);
    expect(mine.map(({ flags, ack }) => [flags, ack])).toEqual([
      ["A", e.initial.irs + 2],
      ["FA", e.initial.irs + 2],
    ]);
    expect(e.on(e.flow2, sent(e.hostData(0, 100)))).toHaveLength(1);
    const data = e.peerData(0, 100, { flow: e.flow2, at: 0 }, { ssn: 1 });
    expect(delivered(data)).toMatchObject([{ flags: expect.not.stringMatching(/F/), seq: e.tan(0) }]);
    e.fromPeer({ at: 1, acks: 1 }); // the ACK of our FIN
    e.fromPeer({ flow: e.flow2, at: 100, acks: 100 }, [e.dataAck(100)]);
    e.scene.advance(20_000_000);
    expect(subflows(e)).toBe(1);
    expect(connections(e)).toBe(1);
  });

  it("N-38 octets below the FIN that come again are acknowledged again, FIN and all", () => {
    const e = joined(role);
    e.peerData(0, 100);
    e.fromHost({ acks: 100 });
    e.fromPeer({ at: 100, flags: "FA" });
    const again = e.peerData(0, 100);
    const answers = e.on(e.initial, [...again.toWire, ...sent(e.fromHost({ acks: 100 }))]);
    expect(answers.filter(({ ack }) => ack === e.initial.irs + 102)).toHaveLength(1);
  });

  it("N-38 our FIN is repeated until it is acknowledged", () => {
    const e = joined(role);
    e.fromPeer({ flags: "FA" });
    const fins = () => e.on(e.initial, e.scene.advance(1_100_000).toWire).filter(({ flags }) => flags === "FA");
    expect(fins()).toHaveLength(1);
    e.fromPeer({ at: 1, acks: 1 });
    for (let i = 0; i < 5; i++) expect(fins()).toEqual([]);
  });

  it("N-39 RST of the peer: the host is not told, and what is unacknowledged can be sent on the other", () => {
    const e = joined(role);
    e.hostData(0, 1000);
    const out = e.fromPeer({ flags: "RA" }, []);
    expect(delivered(out)).toEqual([]);
    const closed = out.events.filter(({ kind }) => kind !== "HOST_KICKED");
    expect(closed).toMatchObject([{ kind: "SUBFLOW_CLOSED", reason: "PEER_RESET", path: 1 }]);
    const [again] = e.on(e.flow2, sent(e.hostData(0, 1000)));
    expect(again?.payload).toEqual(p.payloadPattern(1000));
    expect(p.option(again as p.Packet, "dss")).toMatchObject({
      dsn: BigInt.asUintN(32, e.dsn(0)),
      ssn: 1,
      length: 1000,
    });
    expect(e.scene.counter(abi.Counter.REINJECTED)).toBe(1);
  });

  it("N-39 the next subflow, in the lost one's place, does not inherit what that had in flight", () => {
    const e = joined(role);
    e.hostData(0, 1000);
    e.fromPeer({ flags: "RA" }, []);
    const { host, peer } = e.addresses;
    const flow = { local: host, remote: peer, localPort: e.host.localPort, remotePort: 41000, iss: 0, irs: 9e6 };
    const options = [p.mss(1460), p.sackOk, p.nop, p.ws(7), p.joinSyn(e.ourToken, 77, 6)];
    const synAck = e.fromPeer({ flow, flags: "S", at: -1, ack: 0 }, options).toWire[0] as p.Packet;
    flow.iss = synAck.seq;
    const nonce = p.option(synAck, "mpJoin")?.nonce as number;
    e.fromPeer({ flow }, [p.joinAck(p.joinHmacA(e.peer.key, e.ourKey, 77, nonce))]);
    expect(subflows(e)).toBe(2);
    const again = sent(e.hostData(0, 1000)).filter(({ payload }) => payload.length > 0);
    expect(again).toHaveLength(1);
    expect(p.option(again[0] as p.Packet, "dss")).toMatchObject({ ssn: 1, dsn: BigInt.asUintN(32, e.dsn(0)) });
  });

  it("N-100 RST outside the window is not believed, one inside it is asked again", () => {
    const e = joined(role);
    const far = e.fromPeer({ flags: "RA", at: 100_000_000 }, []);
    expect(far).toMatchObject({ verdict: "drop", reason: "RST_OUT_OF_WINDOW", toWire: [] });
    const near = e.fromPeer({ flags: "RA", at: 100 }, []);
    expect(near).toMatchObject({ verdict: "drop", reason: "RST_OUT_OF_WINDOW" });
    expect(e.on(e.initial, near.toWire)).toMatchObject([{ flags: "A", ack: e.initial.irs + 1 }]);
    expect(subflows(e)).toBe(2);
  });

  it("N-100 FIN outside the window is not believed either, above it or below", () => {
    const e = joined(role);
    e.peerData(0, 1000);
    e.fromHost({ acks: 1000 });
    for (const at of [100_000_000, 2 ** 31, 60_000, 1001, 999, 500, -5000]) {
      const out = e.fromPeer({ flags: "FA", at }, []);
      expect(delivered(out).filter(({ flags }) => flags.includes("F"))).toEqual([]);
      const answers = e.on(e.initial, [...out.toWire, ...e.scene.advance(10_000).toWire]);
      expect(answers.filter(({ flags, ack }) => flags !== "A" || ack !== e.initial.irs + 1001)).toEqual([]);
    }
    expect(e.on(e.initial, sent(e.hostData(0, 10, { acks: 1000 })))).toHaveLength(1);
    expect(subflows(e)).toBe(2);
  });

  it("N-41 a keep-alive or probe on a subflow that never carried data is answered there", () => {
    const e = joined(role);
    for (const payload of [0, 1]) {
      const out = e.fromPeer({ flow: e.flow2, at: -1, payload }, []);
      expect(delivered(out)).toEqual([]);
      expect(out.toWire).toHaveLength(1);
      expect(e.on(e.flow2, out.toWire)).toMatchObject([{ flags: "A", ack: e.flow2.irs + 1, win: 500 }]);
      expect(p.option(out.toWire[0] as p.Packet, "dss")?.dan).toBe(BigInt.asUintN(32, e.peerDsn(0)));
    }
  });

  it("N-41 a keep-alive or probe on an idle subflow is answered there; the host sees nothing", () => {
    const e = joined(role);
    e.peerData(0, 10, { flow: e.flow2, at: 0 }, { ssn: 1 });
    e.fromHost({ acks: 10 });
    for (const payload of [undefined, "?"]) {
      const out = e.fromPeer({ flow: e.flow2, at: 9, ...(payload && { payload }) }, payload ? [] : [e.dataAck(0)]);
      expect(delivered(out)).toEqual([]);
      expect(e.on(e.flow2, out.toWire)).toMatchObject([{ flags: "A", ack: e.flow2.irs + 11 }]);
      expect(out.toWire).toHaveLength(1);
    }
  });
});

describe("the last subflow goes", () => {
  const lose = {
    "by RST": (e: Established) => e.fromPeer({ flags: "RA" }, []),
    "by FIN": (e: Established) => e.fromPeer({ flags: "FA" }),
  };

  it.each(Object.entries(lose))("N-40 %s: the host is reset only after the grace period", (_, loss) => {
    const e = opener(GRACE);
    expect(delivered(loss(e)).filter(({ flags }) => flags !== "A")).toEqual([]);
    expect(e.hostData(0, 10)).toMatchObject({ verdict: "drop", reason: "NO_USABLE_SUBFLOW" });
    for (let ms = 0; ms < 2_900; ms += 100) expect(e.scene.advance(100_000).toHost).toEqual([]);
    const end = [e.scene.advance(100_000), e.scene.advance(100_000)];
    const resets = end.flatMap(({ toHost }) => toHost);
    expect(resets).toMatchObject([{ flags: "RA", seq: e.tan(0), ack: e.tsn(0), checksumValid: true }]);
    e.scene.advance(30_000_000);
    expect([connections(e), subflows(e)]).toEqual([0, 0]);
  });

  it.each(Object.entries(lose))("N-40 %s, the grace period as good as none: the host is reset at once", (_, loss) => {
    const e = opener({ config: { REJOIN_GRACE_MS: 1 } }); // 0 stands for the default
    const out = [loss(e), e.scene.advance(1_100)];
    expect(out.flatMap(delivered).filter(({ flags }) => flags !== "A")).toMatchObject([{ flags: "RA", seq: e.tan(0) }]);
    expect([connections(e), subflows(e)]).toEqual([0, 0]);
  });

  it("N-40 with its path: it stays, in case the path comes back as it was, and then goes on", () => {
    const e = opener(GRACE);
    const path = { address4: "10.0.1.1" };
    e.hostData(0, 2 * 1436);
    expect(delivered(e.scene.setPath(1, { ...path, flags: 0 }))).toEqual([]);
    for (let ms = 0; ms < 10_000; ms += 100) expect(e.scene.advance(100_000).toHost).toEqual([]);
    expect(connections(e)).toBe(1);
    e.scene.setPath(1, path);
    const [again] = e.on(e.initial, sent(e.hostData(0, 1436)));
    expect(again?.seq).toBe(e.initial.iss + 1);
  });

  it("N-40 a new join within the grace period saves it", () => {
    const e = opener({ ...GRACE, flags: abi.ConfigFlag.STANDBY });
    const lost = e.fromPeer({ flags: "RA" }, []);
    const joins = [lost, e.scene.advance(64)].flatMap(({ toWire }) => toWire);
    const syn = joins.find((packet) => packet.src === e.addresses.host2) as p.Packet;
    const nonce = p.option(syn, "mpJoin")?.nonce as number;
    const { src, dst, sport, dport, seq } = syn;
    const flow = { local: src, remote: dst, localPort: sport, remotePort: dport, iss: seq, irs: 7e6 };
    const proof = p.joinSynAck(p.joinHmacB(e.ourKey, e.peer.key, nonce, 5), 5);
    e.fromPeer({ flow, flags: "SA", at: -1 }, [p.mss(1460), proof]);
    e.fromPeer({ flow });
    for (let i = 0; i < 50; i++) expect(e.scene.advance(100_000).toHost).toEqual([]);
    expect(e.on(flow, sent(e.hostData(0, 10)))).toHaveLength(1);
  });
});

describe("a connection that was reset", () => {
  it("ends with its linger time, whichever of its subflows the peer resets first", () => {
    for (const first of [0, 1]) {
      const e = joined("opener");
      e.fromHost({ flags: "RA" });
      const flow = first === 0 ? e.initial : e.flow2;
      const out = e.fromPeer({ flow, flags: "RA" }, []);
      expect(out.toWire.filter((packet) => p.option(packet, "mpPrio"))).toEqual([]);
      for (let i = 0; i < 10; i++) e.scene.advance(1_000_000);
      expect([connections(e), subflows(e)]).toEqual([0, 0]);
      expect(e.scene.nextUs).toBe(Infinity);
    }
  });
});

describe("moved because a path was lost", () => {
  const unheard = (e: Established): p.Packet[] =>
    e.on(e.flow2, e.scene.advance(1000).toWire).filter(({ payload }) => payload.length === 1);

  it("the subflow left has to be heard: it is asked, once more, and is stale if nothing comes", () => {
    const e = joined();
    const lost = e.scene.setPath(1, { address4: e.addresses.host, flags: 0 });
    const asked = e.on(e.flow2, lost.toWire).filter(({ payload }) => payload.length === 1);
    expect(asked).toMatchObject([{ seq: e.flow2.iss, options: [] }]);
    let questions = 0;
    for (let ms = 0; ms < 500; ms++) questions += unheard(e).length;
    expect(questions).toBe(1);
    expect(e.scene.counter(abi.Counter.SUBFLOWS_STALE)).toBe(0);
    for (let ms = 0; ms < 300; ms++) e.scene.advance(1000);
    expect(e.scene.counter(abi.Counter.SUBFLOWS_STALE)).toBe(1);
  });

  it("so has the one that stayed with its path down, when that is back: the peer may have given it up", () => {
    const e = joined();
    e.fromPeer({ flags: "RA" }, []);
    e.scene.setPath(2, { address4: e.addresses.host2, flags: 0 });
    for (let ms = 0; ms < 3_000; ms++) e.scene.advance(1000);
    const back = e.scene.setPath(2, { address4: e.addresses.host2 });
    expect(e.on(e.flow2, back.toWire).filter(({ payload }) => payload.length === 1)).toHaveLength(1);
    let questions = 0;
    for (let ms = 0; ms < 500; ms++) questions += unheard(e).length;
    expect(questions).toBe(1);
  });

  it("where it is silent, and the connection stands on another by then, that one has to be heard", () => {
    const e = joined();
    e.scene.setPath(1, { address4: e.addresses.host, flags: 0 });
    e.scene.setPath(1, { address4: e.addresses.host });
    e.answerJoin(e.scene.handover(1).toWire); // from now on this is flow2
    e.fromPeer({ flow: e.flow2 });
    let questions = 0;
    for (let ms = 0; ms < 650; ms++) questions += unheard(e).length;
    expect(e.scene.counter(abi.Counter.SUBFLOWS_STALE)).toBe(1);
    expect(questions).toBe(1);
  });

  it("any packet on it is answer enough", () => {
    const e = joined();
    e.scene.setPath(1, { address4: e.addresses.host, flags: 0 });
    e.fromPeer({ flow: e.flow2 });
    for (let ms = 0; ms < 3_000; ms++) expect(unheard(e)).toEqual([]);
    expect(e.scene.counter(abi.Counter.SUBFLOWS_STALE)).toBe(0);
  });
});
