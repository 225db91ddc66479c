// ADD_ADDR and REMOVE_ADDR (RFC 8684 §3.4): docs/CONFORMANCE.md N-35 … N-37, N-106.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { delivered, type Established, FAMILIES, joined, opener, responder, sent } from "../../established.ts";
import * as p from "../../packet.ts";

const ADDRESSES = { 4: "10.0.9.9", 6: "fd00:9::9" } as const;
const ADVERTISE = abi.ConfigFlag.ADVERTISE | abi.ConfigFlag.SET_OPERATIONS;

const addAddrs = (packets: p.Packet[]): p.AddAddr[] => packets.flatMap((packet) => p.option(packet, "addAddr") ?? []);
const removed = (packets: p.Packet[]): number[][] =>
  packets.flatMap((packet) => p.option(packet, "removeAddr")?.ids ?? []).map((id) => [id]);
const subflows = (e: Established): number => e.scene.engine.header(abi.EngineHeader.SUBFLOWS);
const adds = (e: Established) => e.scene.counter(abi.Counter.ADD_ADDR_SENT);

/** ADD_ADDR of the peer with the HMAC that its keys make, or one that is wrong by a bit. */
function announce(e: Established, id: number, address: string, port?: number, spoil = 0): p.AddAddr {
  const hmac = p.addAddrHmac(e.peer.key, e.ourKey, id, address, port ?? 0);
  hmac[7] = (hmac[7] as number) ^ spoil;
  return p.addAddr({ id, address, ...(port !== undefined && { port }), hmac });
}

describe.each(FAMILIES)("an ADD_ADDR of the peer (IPv%i)", (family) => {
  const address = ADDRESSES[family];

  it("N-35 with a good HMAC is echoed at once on the same subflow; the host sees nothing of it", () => {
    for (const port of [undefined, 8080]) {
      const e = joined("opener", { family });
      const out = e.fromPeer({ flow: e.flow2 }, [announce(e, 9, address, port), e.dataAck(0)]);
      const echoes = e.on(e.flow2, out.toWire);
      expect(out.toWire).toHaveLength(1);
      expect(addAddrs(echoes)).toEqual([{ kind: "addAddr", echo: true, id: 9, address, ...(port && { port }) }]);
      expect(p.option(echoes[0] as p.Packet, "dss")?.dan).toBe(BigInt.asUintN(32, e.peerDsn(0)));
      expect(delivered(out)).toEqual([]);
      expect(out.events.map(({ kind, remote }) => [kind, remote])).toEqual([["NEW_ADDRESS", mapped(address)]]);
    }
  });

  it("N-35 with a bad HMAC is not echoed and changes nothing", () => {
    const e = opener({ family });
    const out = e.fromPeer({}, [announce(e, 9, address, undefined, 1), e.dataAck(0)]);
    expect(out.toWire).toEqual([]);
    expect(out.events).toEqual([]);
    const ported = announce(e, 9, address, 80);
    const other = e.fromPeer({}, [{ ...ported, port: 81 }, e.dataAck(0)]); // the HMAC covers the port, too
    expect(other.toWire).toEqual([]);
  });

  it("again, it is echoed again, but is no news", () => {
    const e = opener({ family });
    e.fromPeer({}, [announce(e, 9, address), e.dataAck(0)]);
    const again = e.fromPeer({}, [announce(e, 9, address), e.dataAck(0)]);
    expect(addAddrs(again.toWire)).toHaveLength(1);
    expect(again.events).toEqual([]);
  });
});

function mapped(address: string): string {
  return address.includes(":") ? address : p.addressText(p.mappedAddress(address));
}

describe("addresses of the peer", () => {
  it("N-106 are remembered up to four, whatever comes: the oldest makes room", () => {
    const e = opener();
    for (let id = 1; id <= 200; id++) {
      const out = e.fromPeer({}, [announce(e, id, `10.0.9.${id}`), e.dataAck(0)]);
      expect(out.toWire.length).toBeLessThanOrEqual(1);
    }
    e.scene.setPath(3, { address4: "10.0.9.250" }); // no gateway: reaches its own link only
    const syn = (): p.Packet | undefined =>
      e.scene.command(abi.CommandKind.SUBFLOW_ADD, (view, at) => {
        view.setUint32(at + abi.Command.TOKEN, e.ourToken, true);
        view.setUint32(at + abi.Command.PATH, 3, true);
      }).toWire[0];
    // Of the last four, 197 … 200, all share 24 bits with the path; 250 is nearest to 197 … 200 alike up to bit 26.
    expect(["10.0.9.197", "10.0.9.198", "10.0.9.199", "10.0.9.200"]).toContain(syn()?.dst);
  });
});

describe("a flood of address options", () => {
  it("N-106 of ADD_ADDR: one echo each, and no more joins than there are paths", () => {
    const e = opener({ flags: ADVERTISE | abi.ConfigFlag.STANDBY });
    const joins: p.Packet[] = [];
    for (let i = 0; i < 1000; i++) {
      const out = e.fromPeer({}, [announce(e, 1 + (i % 255), `10.0.${i >> 8}.${i & 255}`), e.dataAck(0)]);
      joins.push(...out.toWire.filter(({ flags }) => flags === "S"));
      expect(addAddrs(out.toWire)).toHaveLength(1);
      expect(out.toWire.length).toBeLessThanOrEqual(2);
    }
    for (let i = 0; i < 50; i++) joins.push(...e.scene.advance(20_000).toWire.filter(({ flags }) => flags === "S"));
    expect(new Set(joins.map(({ src }) => src))).toEqual(new Set([e.addresses.host2]));
    expect(subflows(e)).toBe(2);
  });

  it("N-106 of REMOVE_ADDR: not one packet, and what it names ends once", () => {
    const e = joined("responder");
    const outs = Array.from({ length: 1000 }, (_, i) =>
      e.fromPeer({}, [p.removeAddr(1, 2, 3, 4, 5, 6, 7, 1 + (i % 255)), e.dataAck(0)]),
    );
    const answers = outs.flatMap(({ toWire }) => toWire).map((packet) => p.realOptions(packet).map(({ kind }) => kind));
    expect(answers.length, `${answers[0]}`).toBe(0);
    expect(outs.flatMap(({ events }) => events.filter(({ kind }) => kind === "SUBFLOW_CLOSED"))).toHaveLength(1);
    expect(subflows(e)).toBe(1);
  });
});

describe("addresses of both families", () => {
  const flags = abi.PathFlag.UP | abi.PathFlag.GATEWAY4 | abi.PathFlag.GATEWAY6;
  const both = [1, 2].map((k) => ({ address4: `10.0.${k}.1`, address6: `fd00:${k}::1`, flags }));

  it.each(FAMILIES)("N-36 all that we have are announced, those of the connection's family first: IPv%i", (family) => {
    const e = responder({ family, paths: both, flags: ADVERTISE });
    expect(adds(e)).toBe(3); // with the handshake
    const retry = addAddrs(e.scene.advance(1_100_000).toWire);
    const others = family === 4 ? ["10.0.2.1", "fd00:1::1", "fd00:2::1"] : ["fd00:2::1", "10.0.1.1", "10.0.2.1"];
    expect(retry.map(({ address }) => address)).toEqual(others);
    expect(new Set(retry.map(({ id }) => id)).size).toBe(3);
    for (const { id, address } of retry.slice(0, 2)) e.fromPeer({}, [p.addAddr({ id, address }), e.dataAck(0)]);
    expect(addAddrs(e.scene.advance(2_100_000).toWire).map(({ address }) => address)).toEqual(others.slice(2));
  });

  it("those of the connection's family are remembered rather than others", () => {
    const e = opener({ family: 4 });
    const tell = (id: number, address: string) =>
      e.fromPeer({}, [announce(e, id, address), e.dataAck(0)]).events.length;
    for (let id = 1; id <= 3; id++) expect(tell(id, `10.0.9.${id}`)).toBe(1);
    expect(tell(4, "fd00:9::4")).toBe(1);
    expect(tell(5, "10.0.9.5")).toBe(1); // in the place of the IPv6 one
    expect(tell(6, "fd00:9::6")).toBe(0); // echoed, but no news
    expect(tell(1, "10.0.9.1")).toBe(0); // still known
  });
});

describe.each(FAMILIES)("an address of ours (IPv%i)", (family) => {
  it("N-36 is announced with its HMAC, at most three times, until the echo", () => {
    const e = responder({ family, flags: ADVERTISE });
    expect(adds(e)).toBe(1); // with the handshake
    const announced: { ms: number; option: p.AddAddr }[] = [];
    for (let ms = 0; ms < 20_000; ms += 50) {
      for (const option of addAddrs(e.scene.advance(50_000).toWire)) announced.push({ ms, option });
    }
    expect(announced).toHaveLength(2);
    expect(announced[1]?.ms).toBeGreaterThan(1.5 * (announced[0]?.ms as number));
    const { option } = announced[0] as (typeof announced)[0];
    const hmac = p.addAddrHmac(e.ourKey, e.peer.key, option.id, e.addresses.host2);
    expect(option).toEqual({ kind: "addAddr", echo: false, id: option.id, address: e.addresses.host2, hmac });
    expect(option.id).not.toBe(0);
  });

  it("N-36 is not announced again after the echo", () => {
    const e = responder({ family, flags: ADVERTISE });
    const retry = e.scene.advance(1_100_000);
    const [option] = addAddrs(retry.toWire);
    const echo = p.addAddr({ id: option?.id as number, address: e.addresses.host2 });
    const out = e.fromPeer({}, [echo, e.dataAck(0)]);
    expect(out.toWire).toEqual([]);
    expect(delivered(out)).toEqual([]);
    for (let i = 0; i < 100; i++) expect(addAddrs(e.scene.advance(100_000).toWire)).toEqual([]);
  });

  it("is not announced by the opener, nor against the configuration", () => {
    expect(adds(opener({ family, flags: ADVERTISE }))).toBe(0);
    expect(adds(responder({ family }))).toBe(0);
  });
});

describe("REMOVE_ADDR", () => {
  it("N-37 closes the subflows with that remote id; data goes on elsewhere", () => {
    const e = joined("responder"); // the peer's join named address id 1
    e.scene.handover(2);
    expect(e.on(e.flow2, sent(e.hostData(0, 100)))).toHaveLength(1);
    const out = e.fromPeer({}, [p.removeAddr(1), e.dataAck(0)]);
    expect(subflows(e)).toBe(1);
    expect(out.events.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["ADDRESS_REMOVED", "SUBFLOW_CLOSED"]));
    expect(delivered(out).filter(({ flags }) => /[FR]/.test(flags))).toEqual([]);
    expect(e.on(e.initial, sent(e.hostData(100, 100)))).toHaveLength(1);
    const again = e.on(e.initial, sent(e.hostData(0, 100))); // what was in flight there moves, too
    expect(again).toHaveLength(1);
    expect(p.option(again[0] as p.Packet, "dss")?.dsn).toBe(BigInt.asUintN(32, e.dsn(0)));
  });

  it("N-37 of an unknown id changes nothing", () => {
    const e = joined("responder");
    const out = e.fromPeer({}, [p.removeAddr(77, 78), e.dataAck(0)]);
    expect([subflows(e), out.events, out.toWire]).toEqual([2, [], []]);
  });

  it("N-37 of the initial address (id 0) leaves the host's tuple to the other subflow", () => {
    const e = joined("responder");
    e.fromPeer({ flow: e.flow2 }, [p.removeAddr(0), e.dataAck(0)]);
    expect(subflows(e)).toBe(1);
    expect(e.on(e.flow2, sent(e.hostData(0, 100)))).toHaveLength(1);
    const late = e.fromPeer({ acks: 0 });
    expect(late).toMatchObject({ verdict: "drop", reason: "SUBFLOW_CLOSED", toHost: [] });
    expect(late.toWire).toMatchObject([{ flags: "R", seq: e.initial.iss + 1 }]); // or the peer would go on for ever
  });

  it("goes out on what is left when a path is lost, and is repeated, since nobody confirms it", () => {
    const e = joined("opener");
    const id = 2; // of path 2's address: the second that was drawn
    const outcomes = [e.scene.setPath(2, { address4: "10.0.2.1", flags: 0 })];
    for (let i = 0; i < 40; i++) outcomes.push(e.scene.advance(10_000));
    const told = outcomes.flatMap(({ toWire }) => removed(e.on(e.initial, toWire)));
    expect(told.length).toBe(3);
    expect(new Set(told.flat()).size).toBe(1);
    expect(told[0]?.[0]).toBeGreaterThanOrEqual(id);
    expect(subflows(e)).toBe(1);
  });

  it("that could not be sent for want of a subflow leaves right behind the next join", () => {
    const e = opener();
    e.scene.handover(2, abi.HandoverMode.BREAK_BEFORE_MAKE);
    const again = e.scene.advance(1_100_000).toWire; // SYNs for both paths, nothing else can be said
    expect(again.map((packet) => p.option(packet, "mpJoin")?.form)).toEqual(["syn", "syn"]);
    const syn = again.find(({ src }) => src === e.addresses.host2);
    const nonce = p.option(syn as p.Packet, "mpJoin")?.nonce as number;
    const { src, dst, sport, dport, seq } = syn as p.Packet;
    const flow = { local: src, remote: dst, localPort: sport, remotePort: dport, iss: seq, irs: 7e6 };
    const hmac = p.joinHmacB(e.ourKey, e.peer.key, nonce, 5);
    e.fromPeer({ flow, flags: "SA", at: -1 }, [p.mss(1460), p.joinSynAck(hmac, 5)]);
    const fourth = [e.fromPeer({ flow }), e.scene.advance(64)];
    expect(fourth.flatMap(({ toWire }) => removed(e.on(flow, toWire)))).toEqual([[0]]);
  });
});
