// Nothing that leaves is longer than its path's MTU, whatever options it grew by; nothing may be fragmented.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { Established, type Family, joined, type Role, sent } from "../../established.ts";
import * as p from "../../packet.ts";
import type { Outcome } from "../../scene.ts";
import { data } from "./cases.ts";

const { UP, GATEWAY4, GATEWAY6 } = abi.PathFlag;
const GSO = { flags: abi.PacketFlag.GSO | abi.PacketFlag.CHECKSUM_NOT_READY };

/** Two paths with these MTUs. */
function paths(family: Family, ...mtus: number[]) {
  const flags = UP | GATEWAY4 | GATEWAY6;
  return mtus.map((mtu, i) =>
    family === 4 ? { address4: `10.0.${i + 1}.1`, mtu, flags } : { address6: `fd00:${i + 1}::1`, mtu, flags },
  );
}

/** MSS that the host sees in the peer's SYN or SYN/ACK; goes through the whole handshake. */
function handshake(e: Established): number {
  const [first, second] = e.role === "opener" ? [e.hostSyn, e.peerSynAck] : [e.peerSyn, e.hostSynAck];
  const out = [first.call(e), second.call(e)];
  const shown = out[e.role === "opener" ? 1 : 0]?.packet as p.Packet;
  return p.option(shown, "mss")?.mss as number;
}

/** The longest packet on the wire of what one segment of the host became; `size`: what the kernel cuts a super-packet into. */
function longest(outcome: Outcome, size: number): number {
  const cut = (packet: p.Packet) => packet.totalLength - Math.max(0, packet.payload.length - size);
  return Math.max(...sent(outcome).map((packet) => (packet === outcome.packet ? cut(packet) : packet.totalLength)));
}

const CASES = ([4, 6] as const).flatMap((family) =>
  (["opener", "responder"] as Role[]).flatMap((role) =>
    [
      [1500, 1500],
      [1280, 1280],
      [1500, 1280],
      [1280, 1500],
    ].map(([first = 0, second = 0]) => ({ family, role, first, second })),
  ),
);

describe.each(CASES)("MTU $first and $second, $role, IPv$family", ({ family, role, first, second }) => {
  it("N-60 full-size segments with every option that they may grow by fit, super-packets as well", () => {
    const options = { family, paths: paths(family, first, second), peerMss: 8960, confirmed: false };
    const mss = handshake(new Established(role, options));
    const least = Math.min(first, second);
    expect(mss).toBeLessThanOrEqual(least - (family === 4 ? 40 : 60) - 20);
    expect(mss).toBeGreaterThanOrEqual(least - (family === 4 ? 40 : 60) - 28); // and nothing is given away
    const e = new Established(role, options).establish();
    const send = (at: number, length: number, more: p.Option[] = [], delivery = {}) => {
      const outcome = e.hostData(at, length, { options: more }, delivery);
      const octets = data(sent(outcome)).reduce((sum, { payload }) => sum + payload.length, 0);
      expect(octets).toBe(length);
      return longest(outcome, mss);
    };
    let at = 0;
    const next = (length: number) => {
      at += length;
      return at - length;
    };
    const lengths = [send(next(mss), mss), send(next(mss), mss)]; // MP_CAPABLE with the opener's first
    e.fromPeer();
    lengths.push(send(next(mss), mss), send(next(10 * mss), 10 * mss, [], GSO));
    e.join();
    for (const gap of [100, 300, 500]) e.peerData(gap, 50);
    const blocks = [500, 300, 100].map((gap): [number, number] => [e.tan(gap), e.tan(gap + 50)]);
    for (const count of [1, 2, 3]) {
      // Beside its own SACK blocks the host sends as much less (RFC 6691).
      const own = 4 + 8 * count;
      lengths.push(send(next(mss - own), mss - own, [p.nop, p.nop, p.sack(...blocks.slice(0, count))]));
    }
    e.scene.handover(2);
    lengths.push(send(next(mss), mss), send(next(5 * mss), 5 * mss, [], GSO));
    lengths.push(send(next(0) - 8 * mss, 8 * mss, [], GSO)); // split over both
    expect(Math.max(...lengths)).toBeLessThanOrEqual(least);
    expect(Math.max(...lengths)).toBeGreaterThan(least - 12);
  });
});

describe("IPv4", () => {
  it("N-60 what is rewritten keeps DF, and is no fragment", () => {
    const e = joined("opener");
    e.peerData(0, 100);
    for (const outcome of [e.hostData(0, 100), e.fromHost({ acks: 100 }), e.peerData(100, 100)]) {
      const octets = outcome.octets as Uint8Array;
      expect([octets[6], octets[7]]).toEqual([0x40, 0]);
    }
  });
});

describe.each([4, 6] as const)("a path that comes later with a smaller MTU, IPv%i", (family) => {
  const headers = family === 4 ? 40 : 60;

  it.each(["opener", "responder"] as const)(
    "N-60 none of the host's segments leaves longer than that, and it is told to send shorter ones, %s",
    (role) => {
      const e = new Established(role, { family, paths: paths(family, 1500), prefer: [1] }).establish();
      const mss = 1500 - headers - (role === "opener" ? 24 : 20);
      e.scene.setPath(2, paths(family, 1500, 1300)[1] as object);
      e.join();
      e.scene.handover(2);
      const first = e.hostData(0, mss);
      expect(first.icmpToHost).toMatchObject([{ error: "too big", mtu: 1280, quoted: { seq: e.tsn(mss - 1) } }]);
      const all = [first, e.hostData(mss, mss), e.hostData(2 * mss, 5 * mss, {}, GSO)];
      e.scene.advance(20_000);
      all.push(e.hostData(7 * mss, 5 * mss, {}, GSO));
      const octets = data(all.flatMap(sent));
      expect(octets.every(({ src }) => src === e.addresses.host2)).toBe(true);
      expect(octets.reduce((sum, { payload }) => sum + payload.length, 0)).toBe(12 * mss);
      const size = 1280 - headers; // what the kernel cuts the super-packet into by now
      expect(Math.max(...all.map((outcome) => longest(outcome, size)))).toBe(1300);
      expect(all.slice(1).flatMap(({ icmpToHost }) => icmpToHost)).toEqual([]);
    },
  );

  it.each(["opener", "responder"] as const)(
    "N-60 the MSS of a join holds on its subflow, and there only, %s",
    (role) => {
      const joinMss = 1300 - headers;
      const e = joined(role, { family, joinMss });
      const mss = 1500 - headers - (role === "opener" ? 24 : 20);
      expect(longest(e.hostData(0, mss), mss)).toBe(mss + headers + 20);
      e.scene.handover(2);
      const first = e.hostData(mss, mss);
      expect(longest(first, mss)).toBe(1300);
      expect(first.icmpToHost).toMatchObject([{ error: "too big", mtu: 1280 }]);
      e.scene.handover(1);
      expect(longest(e.hostData(2 * mss, mss), mss)).toBe(mss + headers + 20);
    },
  );

  it("N-60 pieces that are sent twice fit on both paths", () => {
    const e = new Established("opener", { family, paths: paths(family, 1500, 1500), prefer: [1, 2] })
      .establish()
      .join();
    const mss = 1500 - headers - 24;
    e.hostData(0, mss);
    e.scene.setPath(2, paths(family, 1500, 1300)[1] as object);
    e.scene.advance(400_000);
    e.scene.advance(700_000); // path 1 is silent: stale
    const again = data(sent(e.hostData(0, mss)));
    expect(e.on(e.flow2, again).map(({ totalLength }) => totalLength)).toEqual([1300, expect.any(Number)]);
    expect(e.on(e.initial, again).length).toBeGreaterThan(0);
    for (const flow of [e.initial, e.flow2]) {
      const octets = e.on(flow, again).reduce((sum, { payload }) => sum + payload.length, 0);
      expect(octets).toBe(mss);
    }
  });
});
