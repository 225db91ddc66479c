// The small tables: classes, paths, listeners, parked addresses, and look-ups by tuple and token.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { opener, responder } from "../../established.ts";
import * as p from "../../packet.ts";
import { Scene } from "../../scene.ts";
import { AT, loadConnectionInternals } from "./internals.ts";

describe("classes", () => {
  it("rank paths as they are named; those not named come behind, in the order of their ids", () => {
    const { internals, octets } = loadConnectionInternals();
    octets.set([7, 3, 32], AT);
    expect(internals.classSet(63, 3, AT)).toBe(1);
    expect([7, 3, 32].map((path) => internals.pathRank(63, path))).toEqual([0, 1, 2]);
    expect(internals.pathRank(63, 1)).toBeGreaterThan(internals.pathRank(63, 32));
    expect(internals.pathRank(63, 2)).toBeGreaterThan(internals.pathRank(63, 1));
    expect(internals.pathRank(62, 7)).toBeGreaterThan(internals.pathRank(62, 6)); // another class
    expect(internals.classSet(64, 0, AT)).toBe(0);
    expect(internals.classSet(0, abi.PATH_MAX + 1, AT)).toBe(0);
    expect(internals.classSet(63, 0, AT)).toBe(1);
    expect(internals.pathRank(63, 7)).toBeGreaterThan(internals.pathRank(63, 3));
  });
});

describe("paths", () => {
  it("commonBits() counts the leading bits that two addresses share", () => {
    const { internals, address } = loadConnectionInternals();
    const common = (a: string, b: string) => internals.commonBits(address(a), address(b, AT + 16));
    expect(common("10.0.1.1", "10.0.1.1")).toBe(128);
    expect(common("10.0.1.0", "10.0.1.1")).toBe(127);
    expect(common("10.0.1.1", "138.0.1.1")).toBe(96);
    expect(common("fd00::", "7d00::")).toBe(0);
    expect(common("fd00:0:0:1::", "fd00::")).toBe(63);
    expect(common("fd00::8000:0:0:0", "fd00::")).toBe(64);
  });

  it("a new subflow goes to the peer's address that shares most bits with ours", () => {
    const e = opener({
      paths: [{ address4: "10.0.1.1" }, { address4: "10.0.2.1", flags: abi.PathFlag.UP | abi.PathFlag.GATEWAY4 }],
    });
    const join = () => e.scene.handover(2).toWire.find((packet) => p.option(packet, "mpJoin"))?.dst;
    const announce = (id: number, address: string) =>
      e.fromPeer({}, [p.addAddr({ id, address, hmac: p.addAddrHmac(e.peer.key, e.ourKey, id, address) }), e.dataAck()]);
    announce(3, "192.168.0.1");
    announce(4, "10.0.2.9");
    announce(5, "10.0.3.9");
    expect(join()).toBe("10.0.2.9");
  });

  it("the MSS shown to the host fits the smallest usable path", () => {
    const path = (address4: string, mtu: number, flags = 1) => ({ address4, mtu, flags });
    const paths = [path("10.0.1.1", 1500), path("10.0.2.1", 1300), path("10.0.3.1", 800, 0)];
    const scene = new Scene({ paths, flags: 0 });
    const tuple = { src: "10.0.1.1", dst: "10.0.1.2", sport: 40000, dport: 80 };
    scene.host({ ...tuple, flags: "S", seq: 1, options: [p.mss(1460)] });
    const back = { src: tuple.dst, dst: tuple.src, sport: 80, dport: 40000 };
    const synAck = scene.wire({ ...back, flags: "SA", seq: 9, ack: 2, options: [p.mss(1460), p.capableSynAck(5n)] });
    expect(p.option(synAck.packet as p.Packet, "mss")?.mss).toBe(1300 - 40 - 24);
  });

  it("address ids are never 0, never shared, and the ids of gone paths come again only after all others", () => {
    const { internals } = loadConnectionInternals();
    const ids = Array.from({ length: 255 }, () => internals.drawAddressId());
    expect(new Set(ids).size).toBe(255);
    expect(ids).not.toContain(0);
    expect(internals.drawAddressId()).toBe(ids[0]);
  });
});

describe("listeners", () => {
  it("a port is known by what it showed last; a port that shares its place is not taken for it", () => {
    const { internals } = loadConnectionInternals();
    expect(internals.listenerOf(80)).toBe(0);
    internals.learnListener(80, 2);
    expect(internals.listenerOf(80)).toBe(2);
    expect(internals.listenerOf(80 + 1024)).toBe(0);
    internals.learnListener(80 + 1024, 1);
    expect([internals.listenerOf(80), internals.listenerOf(80 + 1024)]).toEqual([0, 1]);
  });
});

describe("parking", () => {
  it("says when an address is used first and when last", () => {
    const { internals, engine, view, address } = loadConnectionInternals();
    const events = () => engine.header(abi.EngineHeader.EVENT_HEAD);
    const value = () => view.getUint32(abi.EVENTS + (events() - 1) * abi.EVENT_SIZE + abi.EventRecord.VALUE, true);
    internals.parkAddress(address("10.0.1.1"));
    expect([events(), value()]).toEqual([1, 1]);
    internals.parkAddress(address("10.0.1.1"));
    internals.unparkAddress(address("10.0.1.1"));
    expect(events()).toBe(1);
    internals.parkAddress(address("fd00::1"));
    expect(events()).toBe(2);
    internals.unparkAddress(address("10.0.1.1"));
    expect([events(), value()]).toEqual([3, 0]);
    internals.unparkAddress(address("10.0.1.1")); // not parked any more
    expect(events()).toBe(3);
  });

  it("is full at 128 addresses: the 129th is not parked, and nothing breaks", () => {
    const { internals, engine, address } = loadConnectionInternals();
    for (let i = 0; i < 129; i++) internals.parkAddress(address(`10.1.0.${i}`));
    expect(engine.header(abi.EngineHeader.EVENT_HEAD)).toBe(128);
    for (let i = 0; i < 129; i++) internals.unparkAddress(address(`10.1.0.${i}`));
    expect(engine.header(abi.EngineHeader.EVENT_HEAD)).toBe(256);
  });
});

describe("look-ups", () => {
  it("tuples, wire tuples and tokens are found while the connection lives and not after", () => {
    for (const connect of [opener, responder]) {
      const e = connect();
      const exports = e.scene.engine.exports as unknown as Record<string, () => number>;
      const held = () => [
        exports.tuplesHeld?.(),
        exports.wireTuplesHeld?.(),
        exports.tokensHeld?.(),
        exports.halfOpenHeld?.(),
      ];
      expect(held()).toEqual([1, 1, 1, 0]);
      e.fromHost({ flags: "RA" });
      for (let i = 0; i < 10; i++) e.scene.advance(1_000_000);
      expect(held()).toEqual([0, 0, 0, 0]);
    }
  });

  it("a new SYN on a tuple in use replaces what was there", () => {
    const e = opener();
    const again = e.hostSyn({ seq: 77_777 });
    expect(again.verdict).toBe("rewritten");
    expect(again.events.map(({ kind, reason }) => [kind, reason])).toContainEqual(["CONNECTION_CLOSED", "REPLACED"]);
    expect(e.scene.engine.header(abi.EngineHeader.CONNECTIONS)).toBe(1);
  });
});
