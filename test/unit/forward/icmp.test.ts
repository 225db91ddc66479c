// ICMP errors about subflows: what of them reaches the host, and in which numbers (RFC 1191, RFC 5461, RFC 5927).

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { type Established, FAMILIES, type Flow, joined, sent } from "../../established.ts";
import { Random } from "../../model/random.ts";
import * as p from "../../packet.ts";
import { type RouterError, routerError } from "../../packet-icmp.ts";
import type { Outcome } from "../../scene.ts";
import { CASES, data, single } from "./cases.ts";

const GSO = { flags: abi.PacketFlag.GSO | abi.PacketFlag.CHECKSUM_NOT_READY };
const ROUTER = { 4: "192.0.2.1", 6: "2001:db8::1" };

/** A segment on the wire: the host's octet `at` as SSN of `flow`, `length` octets. */
const onWire = (flow: Flow, at: number, length: number): Uint8Array =>
  p.packet({
    ...{ src: flow.local, dst: flow.remote, sport: flow.localPort, dport: flow.remotePort },
    ...{ flags: "A", seq: (flow.iss + 1 + at) >>> 0, payload: length },
  });
const says = (e: Established, packet: Uint8Array, error: RouterError): Outcome =>
  e.scene.wire(routerError(packet, error));
const hostTuple = (e: Established) => ({
  ...{ src: e.host.local, dst: e.host.remote, sport: e.host.localPort, dport: e.host.remotePort },
});
const longest = (out: Outcome): number => Math.max(...data(sent(out)).map(({ totalLength }) => totalLength));

describe.each(CASES)("ICMP errors, $name", ({ role, options }) => {
  const { family = 4 } = options;
  const headers = family === 4 ? 40 : 60;
  /** The host's largest segment, MTU 1500. */
  const mss = 1500 - headers - (role === "opener" ? 24 : 20);

  it.each([
    [8, (family === 4 ? 20 : 40) + 8],
    ["all", undefined],
  ])(
    "N-107 fragmentation needed on the initial subflow is shown in the host's numbers, %s octets quoted",
    (_, octets) => {
      const e = single[role](options);
      e.hostData(0, 100);
      const wire = e.hostData(100, mss).octets as Uint8Array;
      const out = says(e, wire, { mtu: 1400, ...(octets && { octets }) });
      expect(out.verdict).toBe("rewritten");
      expect(out.icmpToHost).toMatchObject([
        { src: ROUTER[family], dst: e.host.local, error: "too big", mtu: 1380, checksumValid: true },
      ]);
      expect(out.icmpToHost[0]?.quoted).toEqual({ ...hostTuple(e), seq: e.tsn(100) });
      expect(e.scene.counter(abi.Counter.ICMP_TRANSLATED)).toBe(1);
    },
  );

  it("N-107 on a joined subflow as well, about an octet inside a super-packet", () => {
    const e = joined(role, options);
    e.hostData(0, 1000);
    e.scene.handover(2);
    e.hostData(1000, 10 * mss, {}, GSO);
    const out = says(e, onWire(e.flow2, 3 * mss, mss + 20), { mtu: 1300 });
    expect(out.icmpToHost).toMatchObject([{ dst: e.host.local, error: "too big", mtu: 1280, checksumValid: true }]);
    expect(out.icmpToHost[0]?.quoted).toEqual({ ...hostTuple(e), seq: e.tsn(1000 + 3 * mss) });
    // An octet of the first subflow, in the numbers of the second: nothing like it is in flight there.
    expect(says(e, onWire(e.flow2, -1000, mss), { mtu: 1290 })).toMatchObject({ verdict: "drop", icmpToHost: [] });
  });

  it("N-107 one that quotes nothing in flight is ignored", () => {
    const e = joined(role, options);
    for (const at of [0, 1000]) e.hostData(at, 1000);
    e.fromPeer({ acks: 1000 }, [e.dataAck(1000)]);
    for (const at of [999, 2000, -5, 2 ** 31]) {
      const out = says(e, onWire(e.initial, at, mss), { mtu: 1300 });
      expect(out).toMatchObject({ verdict: "drop", reason: "ICMP_IGNORED", icmpToHost: [] });
    }
    for (const mtu of [1020 + headers, 2000]) {
      expect(says(e, onWire(e.initial, 1000, 1020), { mtu }).reason).toBe("ICMP_IGNORED"); // it would have fitted
    }
    const other = { ...e.initial, localPort: e.initial.localPort + 1 };
    for (const spoofed of [
      routerError(onWire(other, 1000, mss), { mtu: 1300 }),
      routerError(onWire(e.initial, 1000, mss), { mtu: 1300, badChecksum: true }), // the host sees that as well
    ]) {
      const out = e.scene.wire(spoofed);
      expect(out.verdict).toBe("accept");
      expect(out.octets).toEqual(spoofed);
    }
    expect(longest(e.hostData(2000, mss))).toBe(mss + headers + 20);
  });
});

describe.each(FAMILIES)("what is said of a path's MTU, IPv%i", (family) => {
  const headers = family === 4 ? 40 : 60;
  const mss = 1500 - headers - 24;

  /** A router on path 1 has said `mtu`; octets 0 … mss − 1 are in flight there, and lost. */
  const told = (mtu: number): Established => {
    const e = joined("opener", { family });
    says(e, e.hostData(0, mss).octets as Uint8Array, { mtu });
    return e;
  };

  it("N-107 until the host sends shorter segments they are cut to fit, super-packets as well", () => {
    const e = told(1400);
    const again = e.hostData(0, mss);
    expect(again.verdict).toBe("drop");
    const pieces = data(sent(again));
    expect(longest(again)).toBeLessThanOrEqual(1400);
    expect(Buffer.concat(pieces.map(({ payload }) => payload))).toEqual(Buffer.from(p.payloadPattern(mss)));
    expect(pieces.map(({ seq }) => seq)).toEqual([e.tsn(0), e.tsn(1400 - headers - 20)]);
    const short = 1380 - headers;
    expect(e.hostData(mss, short).verdict).toBe("rewritten");
    const onItsWay = e.hostData(mss + short, 10 * short, {}, GSO);
    expect([onItsWay.verdict, longest(onItsWay)]).toEqual(["drop", 1400]); // the host may not have heard yet
    e.scene.advance(20_000);
    expect(e.hostData(mss + 11 * short, 10 * short, {}, GSO).verdict).toBe("rewritten"); // it goes by what it was told
  });

  it("N-107 a host that goes back to long segments is told again, once in a while", () => {
    const e = told(1400);
    e.scene.advance(20_000);
    const out = e.hostData(mss, mss);
    expect(out.icmpToHost).toMatchObject([{ error: "too big", mtu: 1380, checksumValid: true }]);
    expect(e.hostData(2 * mss, mss).icmpToHost).toEqual([]);
    e.scene.advance(20_000);
    expect(e.hostData(3 * mss, 10 * mss, {}, GSO).verdict).toBe("rewritten");
    expect(e.hostData(13 * mss, mss).icmpToHost).toHaveLength(1);
  });

  it("N-107 the host is made to forget it on the way to a path that takes more, and no sooner", () => {
    const e = told(1400);
    const kicked = (out: Outcome) => out.events.filter(({ kind }) => kind === "HOST_KICKED");
    const out = e.scene.handover(2);
    expect(kicked(out)).toHaveLength(1);
    expect(data(sent(e.hostData(mss, mss))).map(({ src, totalLength }) => [src, totalLength])).toEqual([
      [e.addresses.host2, mss + headers + 20],
    ]);
    e.scene.advance(20_000);
    const back = e.scene.handover(1);
    expect(kicked(back)).toEqual([]);
    const first = e.hostData(2 * mss, mss);
    expect(first.icmpToHost).toMatchObject([{ mtu: 1380 }]);
    expect(longest(first)).toBeLessThanOrEqual(1400);
  });

  it("N-107 nothing is said to a host whose octets have arrived elsewhere", () => {
    const e = joined("opener", { family });
    e.hostData(0, mss);
    e.scene.handover(2);
    e.fromPeer({ flow: e.flow2 }, [e.dataAck(mss)]);
    const late = says(e, onWire(e.initial, 0, mss + 20), { mtu: 1400 });
    expect(late).toMatchObject({ verdict: "drop", reason: "CONSUMED", icmpToHost: [] });
  });

  it("N-107 a late word about a path that is not in use any more is forgotten at once", () => {
    const e = joined("opener", { family });
    e.hostData(0, mss);
    e.scene.handover(2);
    const late = says(e, onWire(e.initial, 0, mss + 20), { mtu: 1400 });
    expect(late.icmpToHost).toMatchObject([{ mtu: 1380 }]);
    expect(late.events.map(({ kind }) => kind)).toContain("HOST_KICKED");
  });

  it(`N-107 ${family === 4 ? "an absurdly small one is taken for 576" : "less than 1280 is ignored"}`, () => {
    const e = joined("opener", { family });
    const wire = e.hostData(0, mss).octets as Uint8Array;
    for (const mtu of [0, 68, 500]) {
      const shown = says(e, wire, { mtu }).icmpToHost.map((icmp) => icmp.mtu);
      expect(shown).toEqual(family === 4 ? [576 - 20] : []);
    }
  });
});

it("N-107 IPv6 at its minimum: the host is shown 1280, and what it sends is cut", () => {
  const e = joined("opener", { family: 6 });
  const out = says(e, e.hostData(0, 1416).octets as Uint8Array, { mtu: 1280 });
  expect(out.icmpToHost).toMatchObject([{ error: "too big", mtu: 1280 }]);
  const cut = [e.hostData(0, 1220), e.hostData(1416, 20 * 1220, {}, GSO)];
  expect(Math.max(...cut.map(longest))).toBe(1280);
  expect(cut.flatMap(sent).every(({ totalLength }) => totalLength <= 1280)).toBe(true);
  e.scene.advance(20_000);
  expect(e.hostData(1416 + 20 * 1220, 1220).icmpToHost).toEqual([]); // it can do no more
});

describe.each(FAMILIES)("unreachable, IPv%i", (family) => {
  it("fails a join at once, if it quotes its SYN", () => {
    const e = joined("opener", { family });
    e.scene.setPath(3, {
      ...(family === 4 ? { address4: "10.0.3.1" } : { address6: "fd00:3::1" }),
      flags: abi.PathFlag.UP | abi.PathFlag.GATEWAY4 | abi.PathFlag.GATEWAY6,
    });
    const syn = e.scene.command(abi.CommandKind.SUBFLOW_ADD, (view, at) => {
      view.setUint32(at + abi.Command.TOKEN, e.ourToken, true);
      view.setUint32(at + abi.Command.PATH, 3, true);
    }).toWire[0] as p.Packet;
    const { src, dst, sport, dport } = syn;
    const quoted = (seq: number) => p.packet({ src, dst, sport, dport, flags: "S", seq });
    expect(says(e, quoted(syn.seq + 1), { code: 3 }).reason).toBe("ICMP_IGNORED");
    const out = says(e, quoted(syn.seq), { code: 1 });
    expect(out).toMatchObject({ verdict: "drop", reason: "CONSUMED" });
    expect(out.events).toContainEqual(expect.objectContaining({ kind: "JOIN_FAILED", reason: "UNREACHABLE", path: 3 }));
  });

  it("moves data to another subflow, which the host need not know", () => {
    const e = joined("opener", { family });
    const wire = e.hostData(0, 1000).octets as Uint8Array;
    const out = says(e, wire, { code: 0 });
    expect(out.verdict).toBe("drop");
    expect(out.events).toContainEqual(expect.objectContaining({ kind: "SUBFLOW_STALE", value: 1, path: 1 }));
    expect(e.on(e.flow2, data(sent(e.hostData(1000, 1000))))).toHaveLength(1);
  });

  it("on the only subflow reaches the host in its numbers", () => {
    const e = single.responder({ family });
    e.hostData(0, 1000);
    const wire = e.hostData(1000, 1000).octets as Uint8Array;
    const out = says(e, wire, { code: 3, octets: (family === 4 ? 20 : 40) + 8 });
    expect(out.icmpToHost).toMatchObject([{ error: "unreachable", code: 3, checksumValid: true }]);
    expect(out.icmpToHost[0]?.quoted).toEqual({ ...hostTuple(e), seq: e.tsn(1000) });
    const spoofed = says(e, onWire(e.initial, 5000, 100), { code: 3 });
    expect(spoofed).toMatchObject({ verdict: "drop", reason: "ICMP_IGNORED" });
  });
});

describe.each(FAMILIES)("damaged errors, IPv%i", (family) => {
  it("one that quotes fewer than 8 octets of TCP passes untouched", () => {
    const e = joined("opener", { family });
    const wire = e.hostData(0, 1000).octets as Uint8Array;
    const needed = (family === 4 ? 20 : 40) + 8;
    for (let octets = 0; octets < needed; octets++) {
      expect(says(e, wire, { mtu: 900 + octets, octets }).verdict).toBe("accept");
    }
  });

  it("whatever comes, the host is told of nothing that it has not in flight", () => {
    const seed = Number(process.env.SEED ?? 107);
    const random = new Random(seed);
    const e = joined("opener", { family });
    const wire = e.hostData(0, 1400).octets as Uint8Array;
    let rewritten = 0;
    for (let i = 0; i < 3000; i++) {
      const quote = wire.slice(0, 30 + random.below(80));
      for (let hits = random.below(3); hits > 0; hits--) quote[1 + random.below(quote.length - 1)] = random.below(256);
      const packet = routerError(quote, random.chance(0.5) ? { mtu: random.below(1600) } : { code: random.below(16) });
      const ip = family === 4 ? 20 : 40;
      if (random.chance(0.3)) packet[ip + random.below(packet.length - ip)] = random.below(256);
      const out = e.scene.wire(
        packet.slice(0, random.chance(0.2) ? ip + random.below(packet.length - ip) : packet.length),
      );
      expect(["accept", "drop", "rewritten"], `SEED=${seed} CASE=${i}`).toContain(out.verdict);
      for (const icmp of out.icmpToHost) {
        rewritten++;
        expect(icmp.checksumValid, `SEED=${seed} CASE=${i}`).toBe(true);
        expect(icmp.quoted).toMatchObject(hostTuple(e));
        expect((icmp.quoted.seq - e.tsn(0)) >>> 0, `SEED=${seed} CASE=${i}`).toBeLessThan(1400);
      }
    }
    expect(rewritten).toBeGreaterThan(20);
  });
});
