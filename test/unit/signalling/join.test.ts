// MP_JOIN in both roles (RFC 8684 §3.2): docs/CONFORMANCE.md N-26 … N-34, N-42.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { delivered, type Established, FAMILIES, joined, opener, responder, sent } from "../../established.ts";
import * as p from "../../packet.ts";
import type { Outcome, SceneEvent } from "../../scene.ts";

const NONCE = 0x77665544;

/** SUBFLOW_ADD on `path`. */
function add(e: Established, path = 2): Outcome {
  return e.scene.command(abi.CommandKind.SUBFLOW_ADD, (view, at) => {
    view.setUint32(at + abi.Command.TOKEN, e.ourToken, true);
    view.setUint32(at + abi.Command.PATH, path, true);
  });
}

/** The SYN of a fresh join, its flow, and the responder's HMAC. */
function joining(e: Established) {
  const syn = add(e).toWire[0] as p.Packet;
  const join = p.option(syn, "mpJoin") as p.MpJoin;
  const flow = { local: syn.src, remote: syn.dst, localPort: syn.sport, remotePort: syn.dport, iss: syn.seq, irs: 7e6 };
  const hmac = p.joinHmacB(e.ourKey, e.peer.key, join.nonce as number, NONCE);
  const synAck = (proof = hmac, options: p.Option[] = [p.mss(1460), p.sackOk, p.nop, p.ws(9)]) =>
    e.fromPeer({ flow, flags: "SA", at: -1 }, [...options, p.joinSynAck(proof, NONCE, 3)]);
  return { syn, join, flow, hmac, synAck };
}

/** Flow of a SYN with MP_JOIN that the peer sends towards path 2. */
function inbound(e: Established, fields: Partial<p.MpJoin> = {}) {
  const { host2, peer2 } = e.addresses;
  const flow = { local: host2, remote: peer2, localPort: e.host.localPort, remotePort: 40001, iss: 0, irs: 7e6 };
  const option = { ...p.joinSyn(e.ourToken, NONCE, 5), ...fields };
  const options = [p.mss(1460), p.sackOk, p.nop, p.ws(9), option];
  const syn = () => e.fromPeer({ flow, flags: "S", at: -1, ack: 0 }, options);
  return { flow, syn };
}

/** The flow of an inbound join whose SYN/ACK is out, and the HMAC that the peer owes. */
function answered(e: Established) {
  const { flow, syn } = inbound(e);
  const synAck = syn().toWire[0] as p.Packet;
  const join = p.option(synAck, "mpJoin") as p.MpJoin;
  flow.iss = synAck.seq;
  const hmac = p.joinHmacA(e.peer.key, e.ourKey, NONCE, join.nonce as number);
  return { flow, synAck, join, hmac, ack: (proof = hmac) => e.fromPeer({ flow }, [p.joinAck(proof)]) };
}

const subflows = (e: Established): number => e.scene.engine.header(abi.EngineHeader.SUBFLOWS);
const failures = (events: SceneEvent[]): string[] =>
  events.filter(({ kind }) => kind === "JOIN_FAILED").map(({ reason }) => reason);
const wrong = (hmac: Uint8Array): Uint8Array => hmac.map((octet, i) => (i === hmac.length - 1 ? octet ^ 1 : octet));

describe.each(FAMILIES)("we join (IPv%i)", (family) => {
  it("N-26 SUBFLOW_ADD sends a SYN with MP_JOIN: the peer's token, a fresh ISN, a nonce that is not 0", () => {
    const e = opener({ family });
    const { syn, join } = joining(e);
    expect(syn).toMatchObject({
      flags: "S",
      src: e.addresses.host2,
      dst: e.addresses.peer,
      ack: 0,
      checksumValid: true,
    });
    expect(join).toMatchObject({ form: "syn", token: e.peer.token });
    expect(join.nonce).not.toBe(0);
    expect(syn.seq).not.toBe(e.host.iss);
    expect(syn.sport).toBeGreaterThanOrEqual(61001);
    const again = joining(opener({ family, seed: 9 }));
    expect([again.syn.seq, again.join.nonce]).not.toEqual([syn.seq, join.nonce]);
  });

  it("N-27 a JOIN SYN/ACK with a valid HMAC is answered with the 20-octet HMAC", () => {
    const e = opener({ family });
    const { join, flow, synAck } = joining(e);
    const out = synAck();
    const ack = out.toWire[0] as p.Packet;
    expect(out.toWire).toHaveLength(1);
    expect(ack).toMatchObject({ flags: "A", seq: flow.iss + 1, ack: flow.irs + 1, checksumValid: true });
    const proof = p.joinHmacA(e.ourKey, e.peer.key, join.nonce as number, NONCE);
    expect(p.option(ack, "mpJoin")).toMatchObject({ form: "ack", hmac: proof });
  });

  it("N-27 a JOIN SYN/ACK with a wrong HMAC is answered with RST and MP_TCPRST reason 1, and no subflow is left", () => {
    const e = opener({ family });
    const { hmac, flow, synAck } = joining(e);
    const out = synAck(wrong(hmac));
    expect(out).toMatchObject({ verdict: "drop", reason: "JOIN_BAD_HMAC" });
    expect(out.toWire).toHaveLength(1);
    expect(out.toWire[0]).toMatchObject({ flags: "RA", seq: flow.iss + 1, ack: flow.irs + 1 });
    expect(p.option(out.toWire[0] as p.Packet, "mpTcprst")?.reason).toBe(1);
    expect(out.events.map(({ kind, reason }) => [kind, reason])).toContainEqual(["JOIN_FAILED", "BAD_HMAC"]);
    expect(subflows(e)).toBe(1);
  });

  it("N-29 the fourth ACK, a DATA_ACK on the new subflow, makes it usable", () => {
    const e = opener({ family });
    const { flow, synAck } = joining(e);
    synAck();
    e.scene.handover(2);
    expect(e.on(flow, sent(e.hostData(0, 100)))).toEqual([]); // it still goes out on the first one
    const fourth = e.fromPeer({ flow });
    expect(fourth.events.map(({ kind }) => kind)).toContain("NEW_SUBFLOW");
    expect(e.on(flow, sent(e.hostData(100, 100)))).toHaveLength(1);
  });
});

describe("we join, and something is lost", () => {
  it("N-28 without the fourth ACK the MP_JOIN ACK is repeated, ever more slowly, and no data leaves on it", () => {
    const e = opener();
    const { flow, synAck } = joining(e);
    e.scene.handover(2);
    const first = synAck().toWire[0] as p.Packet;
    const times: number[] = [];
    for (let ms = 0; ms < 1_450; ms += 10) {
      const again = e.on(flow, e.scene.advance(10_000).toWire);
      for (const ack of again) expect(p.option(ack, "mpJoin")).toEqual(p.option(first, "mpJoin"));
      if (again.length > 0) times.push(ms);
      expect(e.on(flow, sent(e.hostData(ms, 10)))).toEqual([]);
    }
    expect(times).toHaveLength(3);
    const [one, two, three] = times as [number, number, number];
    expect(two - one).toBeGreaterThan(1.8 * one);
    expect(three - two).toBeGreaterThan(1.8 * (two - one));
  });

  it("gives a join up that nobody answers, once, and ends the handover that waits for it", () => {
    const e = opener();
    const { flow } = joining(e);
    e.scene.handover(2, abi.HandoverMode.MAKE_BEFORE_BREAK, 60_000);
    const events = [];
    let syns = 0;
    for (let i = 0; i < 8 && subflows(e) > 1; i++) {
      const out = e.scene.advance(e.scene.nextUs + 64);
      syns += e.on(flow, out.toWire).length;
      events.push(...out.events);
    }
    expect(syns).toBe(3);
    expect(failures(events)).toEqual(["TIMEOUT"]);
    expect(events.filter(({ kind }) => kind === "HANDOVER_FAILED")).toMatchObject([{ reason: "TIMEOUT", path: 2 }]);
    expect(subflows(e)).toBe(1);
    expect(sent(e.hostData(0, 10))).toHaveLength(1);
  });

  it("a SYN/ACK again is answered with the MP_JOIN ACK again", () => {
    const e = opener();
    const { synAck } = joining(e);
    const first = synAck().toWire[0] as p.Packet;
    const second = synAck().toWire;
    expect(second).toHaveLength(1);
    expect(p.option(second[0] as p.Packet, "mpJoin")).toEqual(p.option(first, "mpJoin"));
  });

  it("N-94 a SYN/ACK without MP_JOIN: RST with reason 1, and the connection goes on", () => {
    const e = opener();
    const { flow } = joining(e);
    const out = e.fromPeer({ flow, flags: "SA", at: -1 }, [p.mss(1460)]);
    expect(out.toWire.map((packet) => p.option(packet, "mpTcprst")?.reason)).toEqual([1]);
    expect(failures(out.events)).toEqual(["MIDDLEBOX"]);
    expect(sent(e.hostData(0, 10))).toHaveLength(1);
  });

  it("an RST of the peer ends the join", () => {
    const e = opener();
    const { flow } = joining(e);
    const out = e.fromPeer({ flow, flags: "RA" }, []);
    expect(out).toMatchObject({ verdict: "drop", toHost: [], toWire: [] });
    expect(failures(out.events)).toEqual(["PEER_RESET"]);
    expect(subflows(e)).toBe(1);
  });

  it("N-34 the JOIN SYN mirrors the host: SACK-permitted if and only if agreed, the same window scale, no timestamps", () => {
    for (const sack of [true, false]) {
      for (const hostScale of [7, 3, undefined]) {
        const options = joining(opener({ sack, hostScale })).syn;
        expect(p.option(options, "sackOk") !== undefined).toBe(sack);
        expect(p.option(options, "ws")?.shift).toBe(hostScale);
        expect(p.option(options, "mss")?.mss).toBe(1460);
        expect(p.option(options, "ts")).toBeUndefined();
      }
    }
  });
});

describe.each(FAMILIES)("the peer joins (IPv%i)", (family) => {
  it("N-30 an unknown token is refused with RST, MP_TCPRST reason 1, and nothing reaches the host", () => {
    const e = responder({ family });
    const { syn } = inbound(e, { token: (e.ourToken ^ 1) >>> 0 });
    const out = syn();
    expect(out.toWire).toHaveLength(1);
    expect(out.toWire[0]).toMatchObject({ flags: "RA", seq: 0, ack: 7e6 + 1 });
    expect(p.option(out.toWire[0] as p.Packet, "mpTcprst")?.reason).toBe(1);
    expect(delivered(out).filter(({ checksumValid }) => checksumValid)).toEqual([]);
    expect(subflows(e)).toBe(1);
  });

  it("N-31 a valid MP_JOIN is answered with the truncated HMAC; its ACK with the fourth ACK, each time", () => {
    const e = responder({ family });
    const { flow, synAck, join, ack } = answered(e);
    expect(synAck).toMatchObject({ flags: "SA", ack: 7e6 + 1, src: e.addresses.host2, checksumValid: true });
    expect(join.form).toBe("synack");
    expect(join.nonce).not.toBe(0);
    expect(join.hmac).toEqual(p.joinHmacB(e.peer.key, e.ourKey, NONCE, join.nonce as number));
    for (let i = 0; i < 2; i++) {
      const fourth = e.on(flow, ack().toWire);
      expect(fourth).toHaveLength(1);
      expect(fourth[0]).toMatchObject({ flags: "A", seq: flow.iss + 1, ack: flow.irs + 1 });
      expect(p.option(fourth[0] as p.Packet, "dss")?.dan).toBe(BigInt.asUintN(32, e.peerDsn(0)));
    }
    expect(subflows(e)).toBe(2);
  });

  it("N-32 an MP_JOIN ACK with a wrong HMAC is answered with RST, MP_TCPRST reason 1", () => {
    const e = responder({ family });
    const { hmac, ack } = answered(e);
    const out = ack(wrong(hmac));
    expect(out).toMatchObject({ verdict: "drop", reason: "JOIN_BAD_HMAC" });
    expect(out.toWire).toHaveLength(1);
    expect(out.toWire[0]?.flags).toBe("RA");
    expect(p.option(out.toWire[0] as p.Packet, "mpTcprst")?.reason).toBe(1);
    expect(subflows(e)).toBe(1);
  });

  it("N-33 the host sees no packet of a JOIN handshake: the SYN that conntrack must see has a wrong checksum", () => {
    const e = responder({ family });
    const { flow, syn } = inbound(e);
    const first = syn();
    expect(first.verdict).toBe("rewritten");
    expect(first.toHost).toEqual([]);
    expect(first.packet).toMatchObject({ flags: "S", checksumValid: false });
    flow.iss = first.toWire[0]?.seq as number;
    const nonce = p.option(first.toWire[0] as p.Packet, "mpJoin")?.nonce as number;
    expect(syn().packet?.checksumValid).toBe(false); // the SYN again
    const data = e.fromPeer({ flow, payload: 10, flags: "PA" }, [e.dssData(0, 10)]);
    expect(data).toMatchObject({ verdict: "drop", reason: "NOT_ESTABLISHED" });
    const hmac = p.joinHmacA(e.peer.key, e.ourKey, NONCE, nonce);
    for (const out of [data, e.fromPeer({ flow }, [p.joinAck(hmac)]), e.fromPeer({ flow }, [p.joinAck(hmac)])]) {
      expect(delivered(out)).toEqual([]);
    }
    const we = opener({ family });
    const joins = joining(we);
    for (const out of [joins.synAck(), joins.synAck(), we.fromPeer({ flow: joins.flow }, [])]) {
      expect(delivered(out)).toEqual([]);
    }
  });
});

describe("the peer joins, and something is in the way", () => {
  it("a repeated SYN gets the same SYN/ACK again; without an ACK it is repeated and given up", () => {
    const e = responder();
    const { syn } = inbound(e);
    const [first] = syn().toWire;
    expect(syn().toWire).toMatchObject([{ seq: first?.seq, options: first?.options }]);
    const repeated: number[] = [];
    const failed: string[] = [];
    for (let ms = 0; subflows(e) > 1 && ms < 20_000; ms += 50) {
      const out = e.scene.advance(50_000);
      if (out.toWire.length > 0) repeated.push(ms);
      failed.push(...failures(out.events));
    }
    expect(repeated).toHaveLength(3);
    expect(failed).toEqual(["TIMEOUT"]);
    expect(subflows(e)).toBe(1);
  });

  it("an ACK of another SYN/ACK than ours, of a join that is over, is answered with RST at the number it names", () => {
    const e = responder();
    const { flow, hmac } = answered(e);
    const old = { ...flow, iss: (flow.iss + 5000) >>> 0 };
    const out = e.fromPeer({ flow: old }, [p.joinAck(hmac)]);
    expect(out).toMatchObject({ verdict: "drop", reason: "NOT_ESTABLISHED" });
    expect(out.toWire).toMatchObject([{ flags: "R", seq: (old.iss + 1) >>> 0 }]);
    expect(subflows(e)).toBe(2); // ours may yet be acknowledged
    expect(e.fromPeer({ flow: old, flags: "RA" }, []).toWire).toEqual([]);
  });

  it("N-42 at the subflow limit a further MP_JOIN is refused with RST, MP_TCPRST reason 1", () => {
    const e = responder({ config: { SUBFLOWS_PER_CONNECTION_MAX: 1 } });
    const out = inbound(e).syn();
    expect(out.toWire).toHaveLength(1);
    expect(p.option(out.toWire[0] as p.Packet, "mpTcprst")?.reason).toBe(1);
    expect(delivered(out).filter(({ checksumValid }) => checksumValid)).toEqual([]);
    expect(subflows(e)).toBe(1);
  });

  it("N-99 the proof of one join is worth nothing in the next: nonces are fresh", () => {
    const e = responder();
    const { hmac, ack, flow } = answered(e);
    ack();
    e.fromPeer({ flow, flags: "R" }, []);
    expect(subflows(e)).toBe(1);
    const again = answered(e);
    expect(again.join.nonce).not.toBe(NONCE);
    expect(again.ack(hmac)).toMatchObject({ verdict: "drop", reason: "JOIN_BAD_HMAC" });
  });

  it("the B bit of its SYN keeps our data off the new subflow", () => {
    const e = responder();
    const { flow, syn } = inbound(e, { backup: true });
    flow.iss = syn().toWire[0]?.seq as number;
    e.scene.handover(2); // refused: the responder does not open, and there is no subflow yet to use
    expect(e.on(flow, sent(e.hostData(0, 10)))).toEqual([]);
  });

  it("a connection that is closing or reset is not joined any more", () => {
    const e = joined("responder");
    e.fromHost({ flags: "RA", at: 0 });
    const { host2, peer2 } = e.addresses;
    const flow = { local: host2, remote: peer2, localPort: 80, remotePort: 40009, iss: 0, irs: 9e6 };
    const out = e.fromPeer({ flow, flags: "S", at: -1, ack: 0 }, [p.mss(1460), p.joinSyn(e.ourToken, NONCE)]);
    expect(p.option(out.toWire[0] as p.Packet, "mpTcprst")?.reason).toBe(1);
  });
});
