// The classifier, and what a class decides without a policy: which paths it may use.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import type { ClassRule, EngineCommand } from "../../../host/engine/commands.ts";
import { decodeSnapshot } from "../../../host/engine/snapshot.ts";
import {
  type Established,
  type EstablishedOptions,
  joined,
  opener,
  opening,
  responder,
  sent,
} from "../../established.ts";
import * as p from "../../packet.ts";
import { type Delivery, type Outcome, Scene } from "../../scene.ts";
import { data } from "../forward/cases.ts";

const { UP, GATEWAY4, GATEWAY6, DRAINING } = abi.PathFlag;
const REACH = UP | GATEWAY4 | GATEWAY6;

function connections(scene: Scene) {
  expect(scene.engine.exports.snapshot?.(0)).toBe(abi.Status.OK);
  const length = scene.engine.header(abi.EngineHeader.SNAPSHOT_LENGTH);
  return decodeSnapshot([scene.engine.octets.slice(abi.SNAPSHOT, abi.SNAPSHOT + length)]).connections;
}

const rules = (scene: Scene, ...list: ClassRule[]): Outcome => scene.tell({ kind: "class_rules", rules: list });
const answers = (out: Outcome) =>
  out.events.filter(({ kind }) => kind === "COMMAND_DONE").map(({ reason, value }) => [reason, value]);

interface Ends {
  src?: string;
  dst?: string;
  sport?: number;
  dport?: number;
}

/** The class of a connection that the host opens. */
function classOf(list: ClassRule[], ends: Ends = {}, delivery: Delivery = {}): number | undefined {
  const scene = new Scene({ paths: [{ address4: "10.0.1.1", address6: "fd00:1::1" }] });
  rules(scene, ...list);
  const tuple = { src: "10.0.1.1", dst: "10.0.1.2", sport: 40000, dport: 80, ...ends };
  scene.host({ ...tuple, flags: "S", seq: 1 }, delivery);
  return connections(scene)[0]?.class;
}

/** The class of one that the peer opens. */
function classOfPeers(list: ClassRule[], ends: Ends = {}, delivery: Delivery = {}): number | undefined {
  const scene = new Scene({ paths: [{ address4: "10.0.1.1" }] });
  rules(scene, ...list);
  const tuple = { src: "10.0.1.2", dst: "10.0.1.1", sport: 40000, dport: 80, ...ends };
  scene.wire({ ...tuple, flags: "S", seq: 1, options: [p.mss(1460), p.capableSyn(1)] }, delivery);
  return connections(scene)[0]?.class;
}

const range = (first: number, last = first) => ({ first, last });

describe("a rule", () => {
  it("names ports of either end", () => {
    for (const of of [classOf, classOfPeers]) {
      expect(of([{ class: 3, ports: range(80) }])).toBe(3);
      expect(of([{ class: 3, ports: range(40000, 41000) }])).toBe(3);
      expect(of([{ class: 3, ports: range(81, 39999) }])).toBe(0);
      expect(of([{ class: 3, ports: range(79, 80) }])).toBe(3);
    }
  });

  it("names a prefix of the peer's address, in its family", () => {
    for (const of of [classOf, classOfPeers]) {
      expect(of([{ class: 3, prefix: "10.0.1.0/24" }])).toBe(3);
      expect(of([{ class: 3, prefix: "10.0.1.2/32" }])).toBe(3);
      expect(of([{ class: 3, prefix: "10.0.1.1/32" }])).toBe(0); // our own
      expect(of([{ class: 3, prefix: "0.0.0.0/0" }])).toBe(3);
      expect(of([{ class: 3, prefix: "fd00::/8" }])).toBe(0);
    }
    const six = { src: "fd00:1::1", dst: "fd00:1::2" };
    expect(classOf([{ class: 3, prefix: "fd00::/8" }], six)).toBe(3);
    expect(classOf([{ class: 3, prefix: "fd00:1::3/127" }], six)).toBe(3);
    expect(classOf([{ class: 3, prefix: "0.0.0.0/0" }], six)).toBe(0);
    expect(classOf([{ class: 3, prefix: "::/0" }], six)).toBe(3);
  });

  it("names users of the host's socket, whom the kernel tells of connections that the host opens", () => {
    expect(classOf([{ class: 3, uids: range(1000) }], {}, { uid: 1000 })).toBe(3);
    expect(classOf([{ class: 3, uids: range(1000) }], {}, { uid: 1001 })).toBe(0);
    expect(classOf([{ class: 3, uids: range(0, 999) }], {}, { uid: 0 })).toBe(3);
    expect(classOf([{ class: 3, uids: range(0, 0xffffffff) }])).toBe(0);
    expect(classOfPeers([{ class: 3, uids: range(0, 0xffffffff) }], {}, { uid: 0 })).toBe(0);
  });

  it("holds when all that it names holds; one that names nothing always does", () => {
    const all: ClassRule = { class: 3, ports: range(80), prefix: "10.0.0.0/8", uids: range(7) };
    expect(classOf([all], {}, { uid: 7 })).toBe(3);
    expect(classOf([all], { dport: 81 }, { uid: 7 })).toBe(0);
    expect(classOf([all], { dst: "11.0.1.2" }, { uid: 7 })).toBe(0);
    expect(classOf([all], {}, { uid: 8 })).toBe(0);
    expect(classOf([{ class: 3 }])).toBe(3);
  });

  it("is asked before those behind it", () => {
    expect(classOf([{ class: 1, ports: range(81) }, { class: 2, ports: range(80) }, { class: 3 }])).toBe(2);
    expect(classOf([{ class: 0, ports: range(80) }, { class: 3 }])).toBe(0);
  });

  it("may be one of 256, all of which count", () => {
    const list = Array.from({ length: 256 }, (_, i) => ({ class: i % 64, ports: range(1000 + i) }));
    const scene = new Scene({ paths: [{ address4: "10.0.1.1" }] });
    const records = 64;
    // More than one call's worth of commands: the daemon's records come in pieces.
    for (let from = 0; from < 256; from += records) {
      const { view } = scene.engine;
      for (let i = 0; i < records; i++) {
        const at = abi.COMMANDS + i * abi.COMMAND_SIZE;
        scene.engine.octets.fill(0, at, at + abi.COMMAND_SIZE);
        view.setUint16(at + abi.Command.KIND, abi.CommandKind.CLASS_RULE, true);
        view.setUint32(at + abi.Command.CLASS, list[from + i]?.class as number, true);
        view.setUint32(at + abi.ClassRule.INDEX, from + i, true);
        view.setUint32(at + abi.ClassRule.COUNT, 256, true);
        view.setUint32(at + abi.ClassRule.FLAGS, abi.ClassRuleFlag.PORTS, true);
        view.setUint16(at + abi.ClassRule.PORT_FIRST, 1000 + from + i, true);
        view.setUint16(at + abi.ClassRule.PORT_LAST, 1000 + from + i, true);
      }
      if (from === 192) scene.host({ src: "10.0.1.1", dst: "10.0.1.2", sport: 1, dport: 1005, flags: "S", seq: 1 });
      expect(scene.engine.exports.command?.(records)).toBe(abi.Status.OK);
    }
    scene.host({ src: "10.0.1.1", dst: "10.0.1.2", sport: 2, dport: 1255, flags: "S", seq: 1 });
    // Before the last one of them came, none was in force.
    expect(connections(scene).map((one) => [one.localPort, one.class])).toEqual([
      [1, 0],
      [2, 63],
    ]);
  });
});

describe("a change of the rules", () => {
  it("is answered once, by the number of connections that lose their class", () => {
    const scene = new Scene();
    expect(answers(rules(scene, { class: 1 }, { class: 2 }))).toEqual([["NONE", 0]]);
    expect(answers(rules(scene))).toEqual([["NONE", 0]]);
  });

  it("is refused for what has no room, and then nothing changes", () => {
    const e = opener();
    rules(e.scene, { class: 1 });
    const wrong = (fields: [number, number][]) =>
      e.scene.command(abi.CommandKind.CLASS_RULE, (view, at) => {
        for (const [field, value] of fields) view.setUint32(at + field, value, true);
      });
    const { INDEX, COUNT } = abi.ClassRule;
    expect(answers(wrong([[COUNT, 257]]))).toEqual([["LIMIT", 0]]);
    expect(
      answers(
        wrong([
          [COUNT, 2],
          [INDEX, 2],
        ]),
      ),
    ).toEqual([["LIMIT", 0]]);
    expect(
      answers(
        wrong([
          [COUNT, 1],
          [abi.Command.CLASS, 64],
        ]),
      ),
    ).toEqual([["LIMIT", 0]]);
    e.hostSyn({ sport: 40001 });
    expect(connections(e.scene).map((one) => one.class)).toEqual([0, 1]);
  });

  it("leaves live connections the class that they have", () => {
    const e = opener();
    rules(e.scene, { class: 1 });
    expect(connections(e.scene)[0]?.class).toBe(0);
    const other = new Scene({ paths: [{ address4: "10.0.1.1" }] });
    rules(other, { class: 1 });
    other.host({ src: "10.0.1.1", dst: "10.0.1.2", sport: 1, dport: 80, flags: "S", seq: 1 });
    expect(answers(rules(other, { class: 2 }, { class: 1, ports: range(9) }))).toEqual([["NONE", 0]]);
    expect(connections(other)[0]?.class).toBe(1);
    other.host({ src: "10.0.1.1", dst: "10.0.1.2", sport: 2, dport: 80, flags: "S", seq: 1 });
    expect(connections(other).map((one) => one.class)).toEqual([1, 2]);
    expect(answers(rules(other, { class: 2 }))).toEqual([["NONE", 1]]);
    expect(connections(other).map((one) => one.class)).toEqual([0, 2]);
  });

  it("that takes a class away moves its connections to what the default class prefers", () => {
    const e = classed({ kind: "class_set", class: 1, prefer: [2, 1] });
    e.join();
    expect(carrier(e, 0)).toBe(2);
    const { classes } = e.scene.statistics();
    expect(classes.map(({ id, connections: open }) => [id, open])).toEqual([
      [0, 0],
      [1, 1],
    ]);
    rules(e.scene);
    expect(carrier(e, 10)).toBe(1);
    expect(e.scene.statistics().classes[0]).toMatchObject({ id: 0, connections: 1 });
    expect([...(e.scene.statistics().classes[0]?.activeOn ?? [])]).toEqual([[1, 1]]);
    expect(e.scene.engine.exports.tablesCheck?.()).toBe(0);
  });
});

/** An opener whose connection is of class 1, which was set so. */
function classed(set: EngineCommand, options: EstablishedOptions = {}): Established {
  const e = opening(options);
  rules(e.scene, { class: 1 });
  e.scene.tell(set);
  return e.establish();
}

/** The path on which octet `at` of the host leaves. */
function carrier(e: Established, at: number): number {
  const src = data(sent(e.hostData(at, 10)))[0]?.src;
  return src === e.addresses.host ? 1 : src === e.addresses.host2 ? 2 : 0;
}

const joins = (out: Outcome) => out.toWire.filter((packet) => p.option(packet, "mpJoin")?.form === "syn");

/** Paths that are joined within `seconds`. */
function joinedWithin(e: Established, seconds: number): string[] {
  return Array.from({ length: seconds * 10 }, () => joins(e.scene.advance(100_000)))
    .flat()
    .map(({ src }) => src);
}

describe("the paths of a class", () => {
  const STANDBY = { flags: abi.ConfigFlag.STANDBY };

  it("are the only ones that it joins, also when nothing else is left", () => {
    const e = classed({ kind: "class_set", class: 1, prefer: [1, 2], paths: [1] }, STANDBY);
    expect(joinedWithin(e, 3)).toEqual([]);
    e.scene.setPath(1, { address4: e.addresses.host, flags: 0 });
    expect(joinedWithin(e, 3)).toEqual([]);
    const all = classed({ kind: "class_set", class: 1, prefer: [1, 2] }, STANDBY);
    expect(joinedWithin(all, 3)).toContain(all.addresses.host2);
  });

  it("carry the data as soon as one of them is there; another one only where none is", () => {
    const e = classed({ kind: "class_set", class: 1, prefer: [1, 2], paths: [2] });
    expect(carrier(e, 0)).toBe(1);
    e.join();
    expect(carrier(e, 10)).toBe(2);
    e.fromPeer({ flow: e.flow2, flags: "RA" }, []);
    expect(carrier(e, 20)).toBe(1);
  });

  it("are the only ones that are announced, and that the peer may join", () => {
    const advertised = (paths: number[]) => {
      const e = responder({ flags: abi.ConfigFlag.ADVERTISE });
      e.scene.tell({ kind: "class_set", class: 0, prefer: [], paths });
      const out = e.scene.setPath(1, { address4: e.addresses.host, flags: REACH });
      return out.toWire.flatMap((packet) => p.option(packet, "addAddr")?.address ?? []);
    };
    expect(advertised([1, 2])).toEqual(["10.0.2.1"]);
    expect(advertised([1])).toEqual([]);
    const e = responder();
    e.scene.tell({ kind: "class_set", class: 0, prefer: [], paths: [1] });
    expect(() => e.join()).toThrow(/no MP_JOIN SYN\/ACK/);
    expect(e.scene.dropped(abi.DropReason.JOIN_LIMIT)).toBe(1);
  });
});

describe("a path that is draining", () => {
  const drain = (e: Established) => e.scene.setPath(2, { address4: e.addresses.host2, flags: REACH | DRAINING });

  it("is not joined, by ourselves or by a command", () => {
    const e = opener({ flags: abi.ConfigFlag.STANDBY });
    drain(e);
    expect(joinedWithin(e, 3)).toEqual([]);
    expect(e.scene.handover(2).events.map(({ kind, reason }) => [kind, reason])).toContainEqual([
      "HANDOVER_FAILED",
      "DRAINING",
    ]);
  });

  it("is not announced, nor left to the peer to join", () => {
    const e = responder({ flags: abi.ConfigFlag.ADVERTISE });
    expect(drain(e).toWire.flatMap((packet) => p.option(packet, "addAddr") ?? [])).toEqual([]);
    expect(() => e.join()).toThrow(/no MP_JOIN SYN\/ACK/);
  });

  it("keeps the subflows that it has", () => {
    const e = joined("opener");
    e.scene.handover(2);
    drain(e);
    expect(carrier(e, 0)).toBe(2);
  });
});
