// Intents of a policy: connections of a class join, move, and leave, make before break.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import type { ClassIntentCommand } from "../../../host/engine/commands.ts";
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
import type { Outcome } from "../../scene.ts";
import { data } from "../forward/cases.ts";

const { UP, GATEWAY4, GATEWAY6, BACKUP, NO_JOIN, DRAINING } = abi.PathFlag;
const REACH = UP | GATEWAY4 | GATEWAY6;

const intent = (e: Established, wish: Partial<ClassIntentCommand>): Outcome =>
  e.scene.tell({ kind: "class_intent", class: 0, active: null, standby: [], open: [], close: [], ...wish });

/** [reason, connections concerned, of them refused]. */
function answer(out: Outcome): [string, number, number] {
  const done = out.events.filter(({ kind }) => kind === "COMMAND_DONE");
  expect(done).toHaveLength(1);
  const [{ reason, value, value64 }] = done as [(typeof done)[0]];
  return [reason, value, value64];
}

/** The path on which octet `at` of the host leaves. */
function carrier(e: Established, at: number): number {
  const src = data(sent(e.hostData(at, 10)))[0]?.src;
  return src === e.addresses.host ? 1 : src === e.addresses.host2 ? 2 : 0;
}

const joins = (out: Outcome) => out.toWire.filter((packet) => p.option(packet, "mpJoin")?.form === "syn");
const backup = (syn: p.Packet) => p.option(syn, "mpJoin")?.backup;

/** What the engine makes for the wire in the next `seconds`. */
const within = (e: Established, seconds: number): p.Packet[] =>
  Array.from({ length: seconds * 20 }, () => e.scene.advance(50_000).toWire).flat();

/** What is joined now: a timer does it. */
const joinsNow = (e: Established) => joins(e.scene.advance(100));

/** One that is old enough to be joined at once, with `count` paths of which each reaches the peer. */
function grown(count = 2, options: EstablishedOptions = {}): Established {
  const paths = Array.from({ length: count }, (_, i) => ({ address4: `10.0.${i + 1}.1`, flags: REACH }));
  const e = opener({ paths, flags: 0, ...options });
  e.scene.advance(200_000);
  return e;
}

/** The peer agrees to the join that is in `packets`. */
function agree(e: Established, packets: p.Packet[]): void {
  e.answerJoin(packets);
  e.fromPeer({ flow: e.flow2 });
}

describe("an intent for a path", () => {
  it("moves new data at once where that has a subflow, and asks the peer to follow", () => {
    for (const role of ["opener", "responder"] as const) {
      const e = joined(role);
      expect(carrier(e, 0)).toBe(1);
      const out = intent(e, { active: 2 });
      expect(answer(out)).toEqual(["NONE", 1, 0]);
      const wishes = out.toWire.map((packet) => [packet.src, p.option(packet, "mpPrio")?.backup]);
      expect(wishes).toContainEqual([e.addresses.host, true]);
      expect(carrier(e, 10)).toBe(2);
      expect(intent(e, { active: 2 }).toWire).toEqual([]); // nothing new
    }
  });

  it("joins it first, as regular, and moves when that is established", () => {
    const e = grown();
    expect(answer(intent(e, { active: 2 }))).toEqual(["NONE", 1, 0]);
    const syns = joinsNow(e);
    expect(syns.map(backup)).toEqual([false]);
    expect(carrier(e, 0)).toBe(1);
    agree(e, syns);
    expect(carrier(e, 10)).toBe(2);
  });

  it("is obeyed by connections that begin later, too: when they are 100 ms old", () => {
    const e = opening({ flags: 0 });
    intent(e, { active: 2 });
    e.establish();
    expect(joins(e.scene.advance(99_000))).toEqual([]);
    const syns = joins(e.scene.advance(1_100));
    expect(syns.map(({ src }) => src)).toEqual([e.addresses.host2]);
    agree(e, syns);
    expect(carrier(e, 0)).toBe(2);
  });

  it("counts for its class only", () => {
    const e = joined("opener");
    expect(answer(intent(e, { class: 3, active: 2 }))).toEqual(["NONE", 0, 0]);
    expect(carrier(e, 0)).toBe(1);
  });

  it("makes a path active that is marked as backup", () => {
    const e = joined("opener");
    e.scene.setPath(2, { address4: e.addresses.host2, flags: REACH | BACKUP });
    e.scene.prefer([2, 1]);
    expect(carrier(e, 0)).toBe(1);
    intent(e, { active: 2 });
    expect(carrier(e, 10)).toBe(2);
  });

  it("is tried again when its path comes back", () => {
    const e = grown();
    intent(e, { active: 2 });
    agree(e, joinsNow(e));
    e.scene.setPath(2, { address4: e.addresses.host2, flags: 0 });
    expect(carrier(e, 0)).toBe(1);
    e.scene.setPath(2, { address4: e.addresses.host2, flags: REACH });
    agree(e, joinsNow(e));
    expect(carrier(e, 10)).toBe(2);
  });

  it("takes no notice of an older MP_PRIO of the peer, but of the next", () => {
    const e = joined("opener");
    const asked = (flag: boolean) => e.fromPeer({ flow: e.flow2 }, [p.mpPrio(flag), e.dataAck(0)]);
    asked(true);
    intent(e, { active: 2 });
    expect(carrier(e, 0)).toBe(2);
    asked(true);
    expect(carrier(e, 10)).toBe(1);
    intent(e, { active: 2 }); // says nothing new
    expect(carrier(e, 20)).toBe(1);
  });
});

describe("what an intent wants joined", () => {
  it("carries nothing as long as the path for new data is not there", () => {
    const e = joined("opener", { paths: [1, 2, 3].map((k) => ({ address4: `10.0.${k}.1`, flags: REACH })) });
    intent(e, { active: 3, standby: [2] });
    expect(carrier(e, 0)).toBe(1);
    intent(e, { standby: [2] });
    expect(carrier(e, 10)).toBe(1);
  });

  it("is joined as backup, and nothing else, whatever the native policy would do", () => {
    const e = opening({
      paths: [1, 2, 3, 4].map((k) => ({ address4: `10.0.${k}.1`, flags: REACH })),
      flags: abi.ConfigFlag.STANDBY,
    });
    intent(e, { standby: [3], open: [4] });
    e.establish();
    const syns = within(e, 0.5).filter((packet) => p.option(packet, "mpJoin")?.form === "syn");
    expect(syns.map((syn) => [syn.src, backup(syn)])).toEqual([
      ["10.0.3.1", true],
      ["10.0.4.1", true],
    ]);
  });

  it("may be used by a peer that may send on all: what is open, not what is standby", () => {
    const e = grown(3, { flags: abi.ConfigFlag.RECEIVE_ON_ALL });
    intent(e, { standby: [2], open: [3] });
    expect(joinsNow(e).map((syn) => [syn.src, backup(syn)])).toEqual([
      ["10.0.2.1", true],
      ["10.0.3.1", false],
    ]);
  });

  it("is joined after the pause of a failure, not at once again, unless another path is to be active", () => {
    const e = grown(3);
    const refuse = ({ src, dst, sport, dport, seq }: p.Packet) =>
      e.scene.wire({ src: dst, dst: src, sport: dport, dport: sport, flags: "RA", seq: 0, ack: seq + 1 });
    intent(e, { standby: [2] });
    refuse(joinsNow(e)[0] as p.Packet);
    intent(e, { standby: [2] });
    expect(joinsNow(e)).toEqual([]);
    intent(e, { active: 3, standby: [2] });
    expect(joinsNow(e).map(({ src }) => src)).toEqual(["10.0.2.1", "10.0.3.1"]);
  });

  it("is what there is, when nothing else is left; never a path that is to be left", () => {
    const lost = (close: number[]) => {
      const e = grown(3);
      intent(e, { standby: [], close });
      const out = e.fromPeer({ flags: "RA" }, []);
      return [...joins(out), ...joinsNow(e)].map(({ src }) => src);
    };
    expect(lost([])).toEqual(["10.0.1.1", "10.0.2.1", "10.0.3.1"]);
    expect(lost([2])).toEqual(["10.0.1.1", "10.0.3.1"]);
  });
});

describe("a path that is to be left", () => {
  const ended = (e: Established, packets: p.Packet[]) =>
    e.on(e.initial, packets).filter(({ flags }) => /R/.test(flags));

  it("is left a second after the connection goes on elsewhere, and the peer hears of it", () => {
    const e = joined("opener");
    intent(e, { active: 2, close: [1] });
    expect(ended(e, within(e, 0.9))).toEqual([]);
    const out = within(e, 0.3);
    expect(ended(e, out)).toHaveLength(1);
    expect(e.on(e.flow2, out).flatMap((packet) => p.option(packet, "removeAddr")?.ids ?? [])).toContain(0);
    expect(carrier(e, 0)).toBe(2);
  });

  it("is left when the path that takes over is established, however long that takes", () => {
    const e = grown();
    intent(e, { active: 2, close: [1] });
    const syns = joinsNow(e);
    expect(ended(e, within(e, 2))).toEqual([]);
    agree(e, syns);
    expect(ended(e, within(e, 0.9))).toEqual([]);
    expect(ended(e, within(e, 0.3))).toHaveLength(1);
  });

  it("stays as long as it is the only one", () => {
    const e = grown();
    intent(e, { close: [1] });
    expect(ended(e, within(e, 10))).toEqual([]);
    expect(carrier(e, 0)).toBe(1);
  });

  it("stays where the other one is silent", () => {
    const e = joined("opener");
    intent(e, { active: 2, close: [1] });
    e.hostData(0, 100);
    e.scene.advance(900_000); // nobody answers on path 2
    expect(ended(e, within(e, 5))).toEqual([]);
    expect(carrier(e, 100)).toBe(1);
  });

  it("stays if another intent comes in time", () => {
    const e = joined("opener");
    intent(e, { active: 2, close: [1] });
    e.scene.advance(500_000);
    intent(e, { active: 2, standby: [1] });
    expect(ended(e, within(e, 5))).toEqual([]);
    intent(e, { active: 1, close: [1] }); // wanted and unwanted: wanted
    expect(ended(e, within(e, 5))).toEqual([]);
    expect(carrier(e, 0)).toBe(1);
  });

  it("is not what the connection ends with: a FIN on it is still acknowledged", () => {
    const e = joined("opener");
    intent(e, { active: 2, close: [1] });
    e.fromHost({ flags: "FA" });
    e.fromPeer({ flow: e.flow2 }, [e.dataFin(0, 1)]);
    e.fromHost({ at: 1, acks: 1 });
    const fins = within(e, 0.9);
    expect(e.on(e.initial, within(e, 0.3)).filter(({ flags }) => /R/.test(flags))).toEqual([]);
    expect(e.on(e.initial, fins).every(({ flags }) => flags === "FA")).toBe(true);
  });

  it("is not joined by the peer either, nor announced to it", () => {
    const e = responder({ flags: abi.ConfigFlag.ADVERTISE });
    intent(e, { close: [2] });
    const announced = (out: Outcome) => out.toWire.flatMap((packet) => p.option(packet, "addAddr")?.address ?? []);
    expect(announced(e.scene.setPath(1, { address4: e.addresses.host, flags: REACH }))).toEqual([]);
    expect(() => e.join()).toThrow(/no MP_JOIN SYN\/ACK/);
    expect(announced(intent(e, {}))).toEqual([e.addresses.host2]);
    e.join();
    expect(e.scene.engine.header(abi.EngineHeader.SUBFLOWS)).toBe(2);
  });
});

describe("a handover by hand", () => {
  it("wins over intents until it is taken back", () => {
    const e = joined("opener");
    e.scene.handover(1);
    intent(e, { active: 2, close: [1] });
    expect(carrier(e, 0)).toBe(1);
    e.fromPeer({ acks: 10 }, [e.dataAck(10)]);
    within(e, 3);
    expect(carrier(e, 10)).toBe(1);
    e.fromPeer({ acks: 20 }, [e.dataAck(20)]);
    e.scene.command(abi.CommandKind.HANDOVER_AUTO);
    expect(carrier(e, 20)).toBe(2);
    e.fromPeer({ flow: e.flow2, acks: 10 }, [e.dataAck(30)]);
    within(e, 2);
    expect(e.scene.engine.header(abi.EngineHeader.SUBFLOWS)).toBe(1);
  });
});

describe("CLASS_SET", () => {
  it("makes an intent void: the class's order counts again", () => {
    const e = joined("opener", { flags: abi.ConfigFlag.STANDBY });
    intent(e, { active: 2 });
    expect(carrier(e, 0)).toBe(2);
    e.scene.tell({ kind: "class_set", class: 0, prefer: [1, 2] });
    expect(carrier(e, 10)).toBe(1);
  });
});

describe("an intent is refused", () => {
  const setSecond = (flags: number) => (e: Established) => {
    e.scene.setPath(2, { address4: e.addresses.host2, flags });
  };
  const cases: [string, () => Established, (e: Established) => unknown][] = [
    ["PATH_NOT_USABLE", grown, setSecond(0)],
    ["NO_REMOTE_ADDRESS", grown, setSecond(UP)],
    ["DRAINING", grown, setSecond(REACH | DRAINING)],
    ["PATH_NOT_USABLE", grown, setSecond(REACH | NO_JOIN)],
    ["PEER_OPENS", responder, () => {}],
    ["LIMIT", () => grown(2, { config: { SUBFLOWS_PER_CONNECTION_MAX: 1 } }), () => {}],
  ];
  it.each(cases)("by connections that cannot move: %s", (reason, connect, prepare) => {
    const e = connect();
    prepare(e);
    expect(answer(intent(e, { active: 2 }))).toEqual([reason, 1, 1]);
    expect(joinsNow(e)).toEqual([]);
    expect(carrier(e, 0)).toBe(1);
  });

  it("not for what is only to be joined", () => {
    const e = responder();
    expect(answer(intent(e, { standby: [2] }))).toEqual(["NONE", 1, 0]);
  });

  it("as a whole for a path or a class that does not exist, and the one before stands", () => {
    const e = joined("opener");
    intent(e, { active: 2 });
    expect(answer(intent(e, { active: 9 }))).toEqual(["NO_PATH", 0, 0]);
    const wrong = e.scene.command(abi.CommandKind.CLASS_INTENT, (view, at) =>
      view.setUint32(at + abi.Command.CLASS, 64, true),
    );
    expect(answer(wrong)).toEqual(["LIMIT", 0, 0]);
    expect(carrier(e, 0)).toBe(2);
  });

  it("by none of those whose handshake is not over", () => {
    const e = opening();
    e.hostSyn();
    expect(answer(intent(e, { active: 2 }))).toEqual(["NONE", 0, 0]);
  });
});
