// Subflows of the other address family than the host's connection: the kernel takes no IPv4 packet back as IPv6, so
// each leaves as a new one, and to the host the same.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { delivered, type Established, type Family, joined, low32, opener, responder, sent } from "../../established.ts";
import * as p from "../../packet.ts";
import { routerError } from "../../packet-icmp.ts";
import type { Outcome } from "../../scene.ts";
import { data } from "./cases.ts";

const { UP, GATEWAY4, GATEWAY6 } = abi.PathFlag;
const flags = UP | GATEWAY4 | GATEWAY6;
const GSO = { flags: abi.PacketFlag.GSO | abi.PacketFlag.CHECKSUM_NOT_READY };
const CASES = (["opener", "responder"] as const).flatMap((role) =>
  ([4, 6] as const).map((family) => ({ role, family, family2: (10 - family) as Family })),
);
const small = { address6: "fd00:2::1", mtu: 1480, flags };
const text = (packets: p.Packet[]): string => Buffer.concat(packets.map(({ payload }) => payload)).toString("hex");

/** Joined, and moved to the subflow of the other family. */
function moved(options: (typeof CASES)[number]): Established {
  const e = joined(options.role, options);
  e.scene.handover(2);
  return e;
}

/** The packet of the host or the peer went no further itself; nothing that replaced it is wrong. */
function expectReplaced(outcome: Outcome): void {
  expect(outcome).toMatchObject({ verdict: "drop", reason: "SUPERSEDED" });
  for (const packet of [...outcome.toWire, ...outcome.toHost]) {
    expect(packet).toMatchObject({ checksumValid: true, ipChecksumValid: true });
  }
}

describe.each(CASES)("a subflow over IPv$family2 of an IPv$family connection, $role", (options) => {
  it("N-98 the host's payload leaves on it as a packet of its family, with its mapping", () => {
    const e = moved(options);
    const out = e.hostData(0, 1000);
    expectReplaced(out);
    expect(e.on(e.flow2, data(out.toWire))).toHaveLength(1);
    const [packet] = data(out.toWire);
    expect(packet).toMatchObject({
      v: options.family2,
      seq: e.flow2.iss + 1,
      flags: "PA",
      payload: p.payloadPattern(1000),
    });
    expect(p.option(packet as p.Packet, "dss")).toMatchObject({ dsn: low32(e.dsn(0)), ssn: 1, length: 1000 });
  });

  it("N-98 the peer's payload on it reaches the host as one packet of its own family", () => {
    const e = moved(options);
    e.hostData(0, 1000);
    // The DATA_ACK beside it is news for the host, and must not be told twice.
    const out = e.peerData(0, 1000, { flow: e.flow2, acks: 1000 }, { ssn: 1, dan: 1000 });
    expectReplaced(out);
    const got = { v: options.family, seq: e.tan(0), ack: e.tsn(1000), payload: p.payloadPattern(1000) };
    expect(out.toHost).toMatchObject([{ src: e.host.remote, dst: e.host.local, ...got }]);
    expect(out.toHost[0]?.options).toEqual([]);
  });

  it("N-98 acknowledgements pass in both directions, with their SACK blocks", () => {
    const e = moved(options);
    for (const at of [0, 1000, 2000]) e.hostData(at, 1000);
    const sacks = [p.sack([e.flow2.iss + 2001, e.flow2.iss + 3001]), e.dataAck(1000)];
    const got = delivered(e.fromPeer({ flow: e.flow2, acks: 1000 }, sacks));
    expect(got.map(({ v, ack }) => [v, ack])).toEqual([[options.family, e.tsn(1000)]]);
    expect(p.option(got[0] as p.Packet, "sack")?.blocks).toEqual([[e.tsn(2000), e.tsn(3000)]]);
    e.peerData(0, 100, { flow: e.flow2 }, { ssn: 1 });
    e.peerData(200, 100, { flow: e.flow2 }, { ssn: 201 });
    const out = e.fromHost({ at: 3000, acks: 100, options: [p.nop, p.nop, p.sack([e.tan(200), e.tan(300)])] });
    expectReplaced(out);
    expect(out.toWire.map(({ v, ack }) => [v, ack])).toEqual([[options.family2, e.flow2.irs + 101]]);
    expect(p.option(out.toWire[0] as p.Packet, "sack")?.blocks).toEqual([[e.flow2.irs + 201, e.flow2.irs + 301]]);
  });

  it("N-114 a super-packet leaves on it in pieces that fit the path, every octet once", () => {
    const e = moved(options);
    const out = e.hostData(0, 20_000, {}, GSO);
    expectReplaced(out);
    const pieces = e.on(e.flow2, data(out.toWire));
    expect(text(pieces)).toBe(Buffer.from(p.payloadPattern(20_000)).toString("hex"));
    for (const piece of pieces) {
      expect(piece.totalLength).toBeLessThanOrEqual(1500);
      const { dsn, ssn, length } = p.option(piece, "dss") as p.Dss;
      const from = piece.seq - e.flow2.iss - (ssn as number); // into the mapping
      expect(from).toBeGreaterThanOrEqual(0);
      expect(from + piece.payload.length).toBeLessThanOrEqual(length as number);
      expect((dsn as bigint) - low32(e.dsn(0))).toBe(BigInt(ssn as number) - 1n);
    }
    const again = e.on(e.flow2, data(sent(e.hostData(0, 20_000, {}, GSO)))); // lost: the same numbers once more
    expect(again.map(({ seq }) => seq)).toEqual(pieces.map(({ seq }) => seq));
  });

  it("N-98 a merged packet of 40,000 octets reaches the host in pieces, with the FIN behind the last octet", () => {
    const e = moved(options);
    const dss = { ssn: 1, fin: true };
    const out = e.peerData(0, 40_000, { flow: e.flow2 }, dss);
    expectReplaced(out);
    expect(text(out.toHost)).toBe(Buffer.from(p.payloadPattern(40_000)).toString("hex"));
    expect(out.toHost.map(({ seq, payload }) => seq + payload.length).slice(0, -1)).toEqual(
      out.toHost.map(({ seq }) => seq).slice(1),
    );
    expect(out.toHost.map(({ flags: letters }) => letters)).toEqual(["A", "A", "FPA"]);
  });

  it("N-98 FIN and RST of the host leave on it", () => {
    const e = moved(options);
    const fin = e.fromHost({ flags: "FA" });
    expectReplaced(fin);
    expect(e.on(e.flow2, fin.toWire).map((packet) => p.option(packet, "dss"))).toMatchObject([
      { fin: true, length: 1 },
    ]);
    const reset = e.fromHost({ flags: "RA" });
    expectReplaced(reset);
    for (const flow of [e.initial, e.flow2]) {
      expect(e.on(flow, reset.toWire).map((packet) => p.option(packet, "mpFastclose"))).toHaveLength(1);
    }
  });

  it("N-107 what a router says of it reaches the host as an error of its own family, in its own numbers", () => {
    const e = moved(options);
    e.hostData(0, 1400);
    const { local, remote, localPort, remotePort } = e.flow2;
    const tuple = { src: local, dst: remote, sport: localPort, dport: remotePort };
    const left = p.packet({ ...tuple, flags: "A", seq: e.flow2.iss + 1, payload: 1400 });
    const least = options.family === 4 ? 552 : 1280;
    const tooBig = e.scene.wire(routerError(left, { mtu: 1300 }));
    const host = { src: e.host.remote, dst: e.host.local, checksumValid: true };
    expect(tooBig).toMatchObject({ verdict: "drop", icmpToHost: [{ ...host, error: "too big" }] });
    expect(tooBig.icmpToHost[0]?.mtu).toBeGreaterThanOrEqual(least);
    expect(tooBig.icmpToHost[0]?.mtu).toBeLessThanOrEqual(1300 + (options.family === 6 ? 20 : -20));
    const elsewhere = e.scene.wire(routerError(left, { code: 1 })); // the first subflow carries on, after a kick
    expect(elsewhere.icmpToHost.map(({ error }) => error)).toEqual(["too big"]);
    e.fromPeer({ flow: e.initial, flags: "R" });
    const unreachable = e.scene.wire(routerError(left, { code: 1 }));
    expect(unreachable).toMatchObject({ verdict: "drop", icmpToHost: [{ ...host, error: "unreachable" }] });
    expect(unreachable.icmpToHost[0]?.quoted).toMatchObject({ src: e.host.local, seq: e.tsn(0) });
  });

  it("N-80 a handover there and back: what is in flight stays where it is, in its family", () => {
    const e = joined(options.role, options);
    e.hostData(0, 1000);
    e.scene.handover(2);
    e.hostData(1000, 1000);
    e.scene.handover(1);
    e.hostData(2000, 1000);
    const whole = sent(e.hostData(0, 3000, {}, GSO));
    const places = data(whole).map(({ v, payload }) => [v, payload.length]);
    expect(places).toEqual([
      [options.family, 1000],
      [options.family2, 1000],
      [options.family, 1000],
    ]);
  });
});

describe("more than the outbox holds", () => {
  it("N-114 the rest of a burst of super-packets is lost and counted; sent again it leaves", () => {
    const e = moved({ role: "opener", family: 4, family2: 6 });
    const size = 60_000;
    const bursts = Array.from({ length: 40 }, (_, i) => e.hostPacket({ at: i * size, payload: size }));
    const out = e.scene.hostBatch(bursts, GSO);
    const lost = e.scene.dropped(abi.DropReason.OUTBOX_FULL);
    expect(lost).toBeGreaterThan(0);
    const left = new Set(data(out.toWire).map(({ seq }) => seq));
    const first = out.toWire.reduce((sum, { payload }) => sum + payload.length, 0);
    expect(first).toBeGreaterThan(20 * size);
    const again = bursts.flatMap((burst) => data(e.scene.hostBatch([burst], GSO).toWire));
    const all = [...new Map([...data(out.toWire), ...again].map((packet) => [packet.seq, packet])).values()];
    expect(all.reduce((sum, { payload }) => sum + payload.length, 0)).toBe(40 * size);
    expect(all.length).toBeGreaterThan(left.size);
  });
});

describe("which address a path joins", () => {
  const both = { address4: "10.0.2.1", address6: "fd00:2::1", flags };
  const add = (e: Established, path = 2) =>
    e.scene.command(abi.CommandKind.SUBFLOW_ADD, (view, at) => {
      view.setUint32(at + abi.Command.TOKEN, e.ourToken, true);
      view.setUint32(at + abi.Command.PATH, path, true);
    });

  it.each([4, 6] as const)("the connection's own family, if the path has it: IPv%i", (family) => {
    const e = opener({ family, family2: (10 - family) as Family });
    e.scene.setPath(2, both);
    e.announce();
    expect(add(e).toWire).toMatchObject([{ flags: "S", v: family, dst: e.host.remote }]);
  });

  it.each([4, 6] as const)("of the other family only what the peer has announced: IPv%i", (family) => {
    const e = opener({ family, family2: (10 - family) as Family });
    expect(add(e).events).toMatchObject([{ kind: "COMMAND_DONE", reason: "NO_REMOTE_ADDRESS" }]);
    e.announce();
    expect(add(e).toWire).toMatchObject([
      { flags: "S", v: 10 - family, dst: e.addresses.peer2, src: e.addresses.host2 },
    ]);
  });

  it("N-60 IPv6 with too small an MTU for the host's segments: they are cut to what fits behind its longer header", () => {
    const e = joined("opener", {
      family: 4,
      family2: 6,
      paths: [
        { address4: "10.0.1.1", flags },
        { ...small, mtu: 1500 },
      ],
    });
    e.scene.setPath(2, small);
    e.scene.handover(2);
    const pieces = data(e.on(e.flow2, sent(e.hostData(0, 1416))));
    expect(text(pieces)).toBe(Buffer.from(p.payloadPattern(1416)).toString("hex"));
    const lengths = pieces.map(({ payload }) => 60 + 20 + payload.length);
    expect(Math.max(...lengths)).toBe(small.mtu);
  });
});

describe("the MSS that the host is shown, IPv4", () => {
  const shown = (role: "opener" | "responder", config: number, ...paths: object[]): number => {
    const e = role === "opener" ? opener : responder;
    const made = e({ paths: paths.map((path) => ({ flags, ...path })), flags: config, peerMss: 8960 });
    const page = made.scene.engine;
    expect(page.header(abi.EngineHeader.CONNECTIONS)).toBe(1);
    return longestPiece(made);
  };
  /** What one full super-packet of the host is cut into where it must be cut. */
  function longestPiece(e: Established): number {
    // A super-packet half acknowledged leaves in pieces of the MSS.
    e.hostData(0, 10_000, {}, GSO);
    e.fromPeer({ acks: 1 }, [e.dataAck(1)]);
    return Math.max(...data(sent(e.hostData(0, 10_000, {}, GSO))).map(({ payload }) => payload.length));
  }
  const v4 = { address4: "10.0.1.1" };
  const v6 = { address6: "fd00:2::1" };
  const { ADVERTISE, SET_OPERATIONS } = abi.ConfigFlag;

  it.each([
    ["opener", SET_OPERATIONS, [v4], 1436],
    ["opener", SET_OPERATIONS, [{ ...v4, ...v6 }], 1436],
    ["opener", SET_OPERATIONS, [v4, v6], 1416],
    ["responder", SET_OPERATIONS, [{ ...v4, ...v6 }], 1440],
    ["responder", SET_OPERATIONS | ADVERTISE, [{ ...v4, ...v6 }], 1420],
    ["responder", SET_OPERATIONS, [v4, v6], 1420],
  ] as const)(
    "N-60 leaves room for the family in which a path may be joined: %s, flags %i",
    (role, config, paths, mss) => {
      expect(shown(role, config, ...paths)).toBe(mss);
    },
  );
});
