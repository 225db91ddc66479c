// What middleboxes take away, on one path only or in mid-stream (docs/CONFORMANCE.md N-93, N-94; RFC 8684 §3.7).

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import {
  delivered,
  type Established,
  type Flow,
  joined,
  listening,
  opener,
  type Role,
  responder,
  sent,
} from "../../established.ts";
import * as p from "../../packet.ts";
import type { Outcome } from "../../scene.ts";
import { single } from "./cases.ts";

const ROLES: Role[] = ["opener", "responder"];
const SHORT = { dsnOctets: 4, danOctets: 4 } as const;
const subflows = (e: Established): number => e.scene.engine.header(abi.EngineHeader.SUBFLOWS);
const connections = (e: Established): number => e.scene.engine.header(abi.EngineHeader.CONNECTIONS);
const kinds = (out: Outcome): string[] => out.events.map(({ kind }) => kind);
/** Reasons of the MP_TCPRST in RSTs on `flow`. */
const resets = (e: Established, flow: Flow, out: Outcome) =>
  e.on(flow, sent(out)).flatMap((packet) => p.option(packet, "mpTcprst")?.reason ?? []);

describe.each(ROLES)("options that are missing on the second path only, we are the %s", (role) => {
  it("window scale: fields on it are octets, in both directions, on the first they are scaled as before", () => {
    const e = joined(role, { joinScale: undefined });
    e.peerData(0, 1000);
    e.peerData(1000, 500, { flow: e.flow2, at: 0 });
    const told = sent(e.fromHost({ acks: 1500, win: 300 }));
    expect(e.on(e.initial, told).map(({ win }) => win)).toEqual([300]);
    expect(e.on(e.flow2, told).map(({ win }) => win)).toEqual([300 << 7]);
    const [toHost] = delivered(e.fromPeer({ flow: e.flow2, win: 65535 }, [e.dataAck(0)]));
    expect(toHost?.win).toBe(65535 >> 7);
  });

  it("SACK: no blocks go out on it, on the first they do", () => {
    const e = joined(role, { joinSack: false });
    e.peerData(100, 100);
    e.peerData(300, 100, { flow: e.flow2, at: 100 }, { ssn: 101 });
    const blocks: [number, number][] = [
      [e.tan(300), e.tan(400)],
      [e.tan(100), e.tan(200)],
    ];
    const told = sent(e.fromHost({ options: [p.nop, p.nop, p.sack(...blocks)] }));
    expect(e.on(e.initial, told).map((packet) => p.option(packet, "sack")?.blocks.length)).toEqual([1]);
    expect(e.on(e.flow2, told).map((packet) => p.option(packet, "sack"))).toEqual([undefined]);
  });
});

describe("joins whose options get lost", () => {
  it("a SYN without window scale and SACK gets a SYN/ACK without them", () => {
    const e = responder();
    const { host2, peer2 } = e.addresses;
    const flow = { local: host2, remote: peer2, localPort: e.host.localPort, remotePort: 40001, iss: 0, irs: 7e6 };
    const options = [p.mss(1460), p.joinSyn(e.ourToken, 77)];
    const synAck = e.fromPeer({ flow, flags: "S", at: -1, ack: 0 }, options).toWire[0] as p.Packet;
    expect(p.realOptions(synAck).map(({ kind }) => kind)).toEqual(["mss", "mpJoin"]);
  });

  it("N-94 an ACK without MP_JOIN completes nothing: RST with reason 6, the connection goes on", () => {
    const e = responder();
    const { host2, peer2 } = e.addresses;
    const flow = { local: host2, remote: peer2, localPort: e.host.localPort, remotePort: 40001, iss: 0, irs: 7e6 };
    const options = [p.mss(1460), p.sackOk, p.joinSyn(e.ourToken, 77)];
    flow.iss = e.fromPeer({ flow, flags: "S", at: -1, ack: 0 }, options).toWire[0]?.seq as number;
    const out = e.fromPeer({ flow }, []);
    expect(resets(e, flow, out)).toEqual([6]);
    expect(out.events[0]).toMatchObject({ kind: "JOIN_FAILED", reason: "MIDDLEBOX" });
    expect(delivered(out)).toEqual([]);
    expect(subflows(e)).toBe(1);
    expect(sent(e.hostData(0, 10))).toHaveLength(1);
  });

  it("N-94 where the fourth ACK never shows a DATA_ACK the peer is told that there is no subflow", () => {
    const e = opener();
    const added = e.scene.command(abi.CommandKind.SUBFLOW_ADD, (view, at) => {
      view.setUint32(at + abi.Command.TOKEN, e.ourToken, true);
      view.setUint32(at + abi.Command.PATH, 2, true);
    });
    e.answerJoin(added.toWire);
    const reasons: number[] = [];
    for (let i = 0; i < 8 && subflows(e) > 1; i++) {
      e.fromPeer({ flow: e.flow2 }, []);
      reasons.push(...resets(e, e.flow2, e.scene.advance(e.scene.nextUs + 64)));
    }
    expect(reasons).toEqual([0]);
    expect(subflows(e)).toBe(1);
  });
});

describe("SYNs that die of their option", () => {
  it("N-93 a SYN that comes again without MP_CAPABLE is plain TCP, and so is the answer", () => {
    const e = listening();
    e.peerSyn();
    e.hostSynAck();
    const plain = e.peerSyn({}, []);
    expect(plain.verdict).toBe("accept");
    expect(plain.events).toContainEqual(
      expect.objectContaining({ kind: "CONNECTION_FALLBACK", reason: "SYN_RETRIES" }),
    );
    const answer = e.fromHost({ flags: "SA", at: -1, win: 64000, options: e.hostSynOptions() });
    expect(p.option(answer.packet as p.Packet, "mpCapable")).toBeUndefined();
    expect(connections(e)).toBe(0);
  });
});

/** Both directions carry some octets, all acknowledged at both levels: the host 100, the peer 50. */
function underWay(e: Established, widths: object = SHORT): Established {
  e.hostData(0, 100);
  e.peerData(0, 50, { acks: 100 }, { dan: 100, ...widths });
  e.fromHost({ at: 100, acks: 50 });
  return e;
}

describe.each(ROLES)("options vanish in mid-stream on the only subflow there ever was, we are the %s", (role) => {
  const bare = (e: Established, at = 50) => e.fromPeer({ at, acks: 100, payload: 60, flags: "PA" }, []);

  it("N-93 octets without a mapping from a peer that is no Linux kernel: plain TCP, the stream is whole", () => {
    const e = underWay(single[role]());
    const out = bare(e);
    expect(out).toMatchObject({
      verdict: "accept",
      toHost: [],
      toWire: [],
      packet: { seq: e.tan(50), ack: e.tsn(100) },
    });
    expect(out.events).toContainEqual(expect.objectContaining({ kind: "CONNECTION_FALLBACK", reason: "NO_DSS" }));
    expect(e.hostData(100, 10, { acks: 110 })).toMatchObject({ verdict: "accept", packet: { seq: e.tsn(100) } });
    expect(connections(e)).toBe(0);
  });

  it("N-93 where the peer's octets have come under other numbers than its host's, it is reset", () => {
    const e = underWay(single[role]());
    e.peerData(50, 10, { at: 70, acks: 100 }, { dan: 100, ssn: 71 }); // as if 20 octets had been sent twice
    e.fromHost({ at: 100, acks: 60 });
    e.hostData(100, 50, { acks: 60 });
    const outs = [110, 120, 130, 140].map((acks) => e.fromPeer({ at: 80, acks }, []));
    expect(outs.flatMap(kinds)).not.toContain("CONNECTION_FALLBACK");
    expect(outs.flatMap(delivered).some(({ flags }) => flags.includes("R"))).toBe(true);
  });

  it("N-93 a FIN is the first word without a DSS, its number is the host's: plain TCP, and the host hears it", () => {
    const e = underWay(single[role]());
    const out = e.fromPeer({ at: 50, acks: 100, flags: "FA" }, []);
    expect(out).toMatchObject({ verdict: "accept", toWire: [], packet: { flags: "FA", seq: e.tan(50) } });
    expect(out.events).toContainEqual(expect.objectContaining({ kind: "CONNECTION_FALLBACK", reason: "NO_DSS" }));
  });

  it("N-93 so does the first acknowledgement of the host's FIN as if it had a number on the subflow", () => {
    for (const payload of [0, 500]) {
      const e = underWay(single[role]());
      e.fromHost({ at: 100, acks: 50, flags: "FA" });
      e.fromPeer({ at: 50, acks: 100 }, [e.dataAck(101)]);
      expect(e.fromPeer({ at: 50, acks: 102, payload }, [])).toMatchObject({ reason: "OUT_OF_WINDOW" });
      const out = e.fromPeer({ at: 50, acks: 101, payload }, []);
      expect(out).toMatchObject({ verdict: "accept", toWire: [], packet: { seq: e.tan(50), ack: e.tsn(101) } });
      expect(kinds(out)).toContain("CONNECTION_FALLBACK");
    }
    const other = joined(role);
    other.hostData(0, 10, { flags: "FPA" });
    expect(other.fromPeer({ acks: 11 }, []).events).toEqual([]);
  });

  it("N-93 so do four acknowledgements without a DSS in a row when the peer's DATA_FIN has come", () => {
    const e = underWay(single[role]());
    e.fromPeer({ at: 50, acks: 100 }, [e.dataFin(50, 100)]);
    e.fromHost({ at: 100, acks: 51 });
    for (let i = 0; i < 4; i++) e.hostData(100 + i * 100, 100, { acks: 51 });
    for (const acks of [200, 300, 400]) expect(kinds(e.fromPeer({ at: 51, acks }, []))).toEqual([]);
    const out = e.fromPeer({ at: 51, acks: 500 }, []);
    expect(out).toMatchObject({ verdict: "accept", packet: { seq: e.tan(51), ack: e.tsn(500) } });
    expect(kinds(out)).toContain("CONNECTION_FALLBACK");
  });

  it("but not behind the DATA_FIN of what may be a Linux kernel: it can make nothing of its acknowledgement", () => {
    const e = single[role]();
    e.hostData(0, 100);
    e.fromPeer({ acks: 100 }, [e.dataAck(100)]);
    e.fromPeer({ acks: 100 }, [{ ...e.dataFin(0, 100), dsnOctets: 8 }]);
    for (let i = 0; i < 4; i++) e.hostData(100 + i * 100, 100, { acks: 1 });
    for (const acks of [200, 300, 400]) expect(kinds(e.fromPeer({ acks }, []))).toEqual([]);
    const out = e.fromPeer({ acks: 500 }, []);
    expect(kinds(out)).not.toContain("CONNECTION_FALLBACK");
    expect(resets(e, e.initial, out)).toEqual([6]);
    expect(connections(e)).toBe(1);
  });

  it("nor where its numbers show that the peer has not followed, and another path may be joined", () => {
    for (const elsewhere of [true, false]) {
      const e = underWay(single[role]());
      if (!elsewhere) e.scene.setPath(2, { address4: e.addresses.host2, flags: 0 });
      e.fromPeer({ at: 50, acks: 100 }, [e.dataFin(50, 100)]);
      for (let i = 0; i < 4; i++) e.hostData(100 + i * 100, 100, { acks: 51 });
      for (const acks of [200, 300, 400]) expect(kinds(e.fromPeer({ at: 50, acks }, []))).toEqual([]);
      const out = e.fromPeer({ at: 50, acks: 500 }, []);
      const joins = elsewhere && role === "opener";
      expect(resets(e, e.initial, out)).toEqual(joins ? [6] : []);
      expect(kinds(out).includes("CONNECTION_FALLBACK")).toBe(!joins);
    }
  });

  it("N-93 so does an acknowledgement of the host's FIN, which has no number on a subflow", () => {
    const e = underWay(single[role]());
    e.fromHost({ at: 100, acks: 50, flags: "FA" });
    e.fromPeer({ at: 50, acks: 100 }, [e.dataAck(101)]);
    const out = e.fromPeer({ at: 50, acks: 101, payload: 60, flags: "PA" }, []);
    expect(out).toMatchObject({ verdict: "accept", toWire: [], packet: { seq: e.tan(50), ack: e.tsn(101) } });
    expect(kinds(out)).toContain("CONNECTION_FALLBACK");
  });

  it("N-93 so does a FIN without a DSS, again, of a peer that is no Linux kernel while ours is unacknowledged", () => {
    const e = underWay(single[role]());
    e.fromPeer({ at: 50, acks: 100 }, [e.dataFin(50, 100)]);
    e.fromHost({ at: 100, acks: 51, flags: "FA" });
    const out = e.fromPeer({ at: 50, acks: 100, flags: "FA" }, []);
    expect(out).toMatchObject({ verdict: "accept", toWire: [], packet: { seq: e.tan(50), ack: e.tsn(100) } });
    expect(kinds(out)).toContain("CONNECTION_FALLBACK");
  });

  it("N-93 so does one of a peer that has never sent an octet which it could map afresh", () => {
    const e = single[role]();
    e.hostData(0, 100);
    e.fromPeer({ acks: 100 }, [e.dataAck(100)]);
    const out = e.fromPeer({ acks: 100, flags: "FA" }, []);
    expect(out).toMatchObject({ verdict: "accept", packet: { flags: "FA", seq: e.tan(0) } });
    expect(kinds(out)).toContain("CONNECTION_FALLBACK");
  });

  /** What becomes of the host's FIN, sent seven times, a second apart, behind `at` octets which the peer has. */
  const finAgain = (e: Established, heard = true, at = 100, win = 500) =>
    Array.from({ length: 7 }, () => {
      const out = e.fromHost({ at, acks: 50, flags: "FA" });
      e.scene.advance(1_000_000);
      if (heard && connections(e) > 0) e.fromPeer({ at: 50, acks: at, win }, [e.dataAck(at)]);
      return out.verdict === "accept" ? `plain ${out.packet?.flags}` : `${out.packet?.flags}`;
    });

  it("N-93 a DATA_FIN is taken away again and again, the peer is heard: the FIN is sent as plain TCP", () => {
    const e = underWay(single[role]());
    expect(finAgain(e)).toEqual(["A", "A", "A", "A", "A", "plain FA", "plain FA"]);
    expect(connections(e)).toBe(0);
  });

  it("but not where the peer is silent, its window is closed, it may be a Linux kernel, or is closing itself", () => {
    const unanswered = Array.from({ length: 7 }, () => "A");
    expect(finAgain(underWay(single[role]()), false)).toEqual(unanswered);
    expect(finAgain(underWay(single[role](), { dsnOctets: 8, danOctets: 8 }))).toEqual(unanswered);
    const closing = underWay(single[role]());
    closing.fromPeer({ at: 50, acks: 100 }, [closing.dataFin(50, 100)]);
    expect(finAgain(closing)).toEqual(unanswered);
    const full = underWay(single[role]());
    full.hostData(100, 500 << 7, { acks: 50 }, { flags: abi.PacketFlag.GSO | abi.PacketFlag.CHECKSUM_NOT_READY });
    const end = 100 + (500 << 7);
    full.fromPeer({ at: 50, acks: end, win: 0 }, [full.dataAck(end)]);
    expect(finAgain(full, true, end, 0)).toEqual(unanswered);
  });

  it("but not of more than that, nor with an option, nor where another subflow has been", () => {
    for (const e of [underWay(single[role]()), joined(role)]) {
      e.hostData(0, 100);
      e.fromPeer({ at: 50, acks: 100 }, [e.dataAck(100)]);
      e.fromHost({ at: 100, acks: 50, flags: "FA" });
      const isJoined = subflows(e) > 1;
      for (const [acks, options] of isJoined
        ? ([[101, []]] as const)
        : ([
            [102, []],
            [101, [e.dataAck(101)]],
          ] as const)) {
        const out = e.fromPeer({ at: 50, acks }, [...options]);
        expect(out).toMatchObject({ verdict: "drop", reason: "OUT_OF_WINDOW" });
      }
    }
  });

  it("N-93 however much comes behind a hole: the octets that fill it decide", () => {
    const e = underWay(single[role]());
    for (let at = 110; at < 110 + 100 * 1000; at += 1000) {
      const early = e.fromPeer({ at, acks: 100, payload: 1000 }, []);
      expect(early).toMatchObject({ verdict: "drop", reason: "NO_MAPPING", toWire: [] });
    }
    expect(kinds(bare(e))).toContain("CONNECTION_FALLBACK");
  });

  it.each([
    ["comes early", (e: Established) => bare(e, 60)],
    ["is one of a Linux kernel's", (e: Established) => bare(e)],
    ["follows octets with shifted numbers", (e: Established) => bare(e, 60)],
    ["comes while a join is under way", (e: Established) => bare(e)],
  ] as const)("not where it %s: it is dropped", (name, arrives) => {
    const e = underWay(single[role](), name.includes("Linux") ? { dsnOctets: 8, danOctets: 8 } : SHORT);
    if (name.includes("shifted")) e.peerData(40, 10, { at: 50, acks: 100 }, { ssn: 51, dan: 100, ...SHORT });
    if (name.includes("join")) startJoin(e);
    const out = arrives(e);
    expect(out).toMatchObject({ verdict: "drop", reason: "NO_MAPPING" });
    expect(connections(e)).toBe(1);
  });
});

/** A join begins and gets no further. */
function startJoin(e: Established): void {
  if (e.role === "opener") {
    e.scene.command(abi.CommandKind.SUBFLOW_ADD, (view, at) => {
      view.setUint32(at + abi.Command.TOKEN, e.ourToken, true);
      view.setUint32(at + abi.Command.PATH, 2, true);
    });
  } else {
    const { host2, peer2 } = e.addresses;
    const flow = { local: host2, remote: peer2, localPort: e.host.localPort, remotePort: 40001, iss: 0, irs: 7e6 };
    e.fromPeer({ flow, flags: "S", at: -1, ack: 0 }, [p.mss(1460), p.sackOk, p.joinSyn(e.ourToken, 77)]);
  }
  expect(subflows(e)).toBe(2);
}

describe.each(ROLES)("options vanish on one of two subflows, we are the %s", (role) => {
  it("N-94 four acknowledgements without a DATA_ACK in a row: RST with reason 6, and data goes on on the other", () => {
    const e = joined(role);
    for (let i = 0; i < 5; i++) e.hostData(i * 100, 100);
    for (const acks of [100, 200, 300]) expect(resets(e, e.initial, e.fromPeer({ acks }, []))).toEqual([]);
    const out = e.fromPeer({ acks: 400 }, []);
    expect(resets(e, e.initial, out)).toEqual([6]);
    expect(out.events).toContainEqual(
      expect.objectContaining({ kind: "SUBFLOW_CLOSED", reason: "MIDDLEBOX", path: 1 }),
    );
    expect(delivered(out).filter(({ flags }) => flags.includes("R"))).toEqual([]);
    const again = e.on(e.flow2, sent(e.hostData(0, 100)));
    expect(again.map((packet) => p.option(packet, "dss")?.ssn)).toEqual([1]);
  });

  it("one with its DATA_ACK among them: nothing happens", () => {
    const e = joined(role);
    for (let i = 0; i < 8; i++) e.hostData(i * 100, 100);
    for (let i = 1; i <= 8; i++) {
      const options = i % 4 === 0 ? [e.dataAck(i * 100)] : [];
      expect(kinds(e.fromPeer({ acks: i * 100 }, options))).not.toContain("SUBFLOW_CLOSED");
    }
    expect(subflows(e)).toBe(2);
  });
});

describe("four acknowledgements without a DATA_ACK while a join is under way", () => {
  /** The server has answered our MP_JOIN, its fourth ACK is still to come; nothing is decided. */
  function undecided(): Established {
    const e = underWay(opener());
    const added = e.scene.command(abi.CommandKind.SUBFLOW_ADD, (view, at) => {
      view.setUint32(at + abi.Command.TOKEN, e.ourToken, true);
      view.setUint32(at + abi.Command.PATH, 2, true);
    });
    e.answerJoin(added.toWire);
    for (let i = 1; i <= 5; i++) e.hostData(i * 100, 100, { acks: 50 });
    for (const acks of [200, 300, 400, 500]) {
      const out = e.fromPeer({ at: 50, acks }, []);
      expect([kinds(out), resets(e, e.initial, out)]).toEqual([[], []]);
    }
    return e;
  }

  it("the other end believes in it: RST with reason 6, and it goes on there", () => {
    const e = undecided();
    expect(kinds(e.fromPeer({ flow: e.flow2 }, [e.dataAck(100)]))).toContain("NEW_SUBFLOW");
    const out = e.fromPeer({ at: 50, acks: 600 }, []);
    expect(kinds(out)).not.toContain("CONNECTION_FALLBACK");
    expect(resets(e, e.initial, out)).toEqual([6]);
  });

  it("the other end has become plain TCP, and resets it: plain TCP", () => {
    const e = undecided();
    e.fromPeer({ flow: e.flow2, flags: "R" }, []);
    const out = e.fromPeer({ at: 50, acks: 600 }, []);
    expect(kinds(out)).toContain("CONNECTION_FALLBACK");
    expect(resets(e, e.initial, out)).toEqual([]);
  });
});

describe.each(ROLES)("acknowledgements lose their DATA_ACK on the way, we are the %s", (role) => {
  /** A peer that has no DATA_ACK sends its octets [100, 200) again, under SSNs behind all that it has sent. */
  const again = (e: Established, at: number) => e.peerData(100, 100, { at }, { ssn: at + 1 });

  it("N-94 old octets for the fourth time under fresh SSNs: RST with reason 6", () => {
    const e = joined(role);
    e.peerData(0, 300);
    e.fromHost({ acks: 300 });
    for (const at of [300, 451, 602]) {
      const out = again(e, at);
      expect(e.on(e.initial, out.toWire)).toMatchObject([{ flags: "A", ack: e.initial.irs + 1 + at + 100 }]);
      e.peerData(250, 50, { at: at + 100 }, { ssn: at + 101 }); // others among them change nothing
      e.peerData(50, 1, { at: at + 150 }, { ssn: at + 151 }); // nor does a window probe
    }
    const out = again(e, 753);
    expect(resets(e, e.initial, out)).toEqual([6]);
    expect(out.events).toContainEqual(expect.objectContaining({ kind: "SUBFLOW_CLOSED", reason: "MIDDLEBOX" }));
  });

  it("not where something new comes in between", () => {
    const e = joined(role);
    e.peerData(0, 300);
    e.fromHost({ acks: 300 });
    for (let i = 0; i < 8; i++) {
      expect(resets(e, e.initial, again(e, 300 + 150 * i))).toEqual([]);
      if (i % 3 === 2) e.peerData(300 + 50 * i, 50, { at: 400 + 150 * i }, { ssn: 401 + 150 * i });
      e.fromHost({ acks: 350 + 50 * i });
    }
    expect(subflows(e)).toBe(2);
  });
});

it.each([
  [6, 60_000_000],
  [0, 1_000_000],
])("a subflow that the peer resets with reason %i is joined again after %i µs at the earliest", (reason, leastUs) => {
  const e = joined("opener", { flags: abi.ConfigFlag.SET_OPERATIONS | abi.ConfigFlag.STANDBY });
  e.fromPeer({ flow: e.flow2, flags: "RA" }, [p.mpTcprst(reason)]);
  const start = e.scene.nowUs;
  let syns: p.Packet[] = [];
  while (syns.length === 0) {
    syns = e.scene.advance(e.scene.nextUs + 64).toWire.filter((packet) => p.option(packet, "mpJoin"));
  }
  const waited = Number(e.scene.nowUs - start);
  expect(waited).toBeGreaterThanOrEqual(leastUs);
  expect(waited).toBeLessThan(leastUs + 10_000_000);
});

it("a peer that comes from the same address again, from another port, leaves nothing silent behind", () => {
  const e = responder();
  const { host, peer } = e.addresses;
  e.hostData(0, 100);
  const come = (port: number, nonce: number) => {
    const flow = { local: host, remote: peer, localPort: 80, remotePort: port, iss: 0, irs: 7e6 };
    const options = [p.mss(1460), p.sackOk, p.joinSyn(e.ourToken, nonce)];
    const synAck = e.fromPeer({ flow, flags: "S", at: -1, ack: 0 }, options).toWire[0] as p.Packet;
    flow.iss = synAck.seq;
    const own = p.option(synAck, "mpJoin")?.nonce as number;
    return e.fromPeer({ flow }, [p.joinAck(p.joinHmacA(e.peer.key, e.ourKey, nonce, own))]);
  };
  come(20_000, 77);
  expect(subflows(e)).toBe(2); // the first is not silent for long enough
  e.scene.advance(2_000_000);
  const out = come(20_001, 78);
  expect(out.events).toContainEqual(
    expect.objectContaining({ kind: "SUBFLOW_CLOSED", reason: "REPLACED", subflow: 0 }),
  );
});
