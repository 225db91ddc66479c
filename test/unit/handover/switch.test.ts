// Which subflow carries new data (the list at the top of assembly/handover/switch.ts), and how a handover ends.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { type Established, type Flow, joined, opener, responder, sent } from "../../established.ts";
import * as p from "../../packet.ts";
import type { Outcome, SceneEvent } from "../../scene.ts";

const { UP, BACKUP, GATEWAY4 } = abi.PathFlag;
const REACHES = UP | GATEWAY4;
const IDLE_US = 250_000;

/** Local address of the subflow that carries new data; octets are sent and acknowledged. */
function carrier(e: Established, at: number): string | undefined {
  const [data] = sent(e.hostData(at, 10)).filter(({ payload }) => payload.length > 0);
  const flow = data?.src === e.initial.local ? e.initial : (e.flow2 ?? e.initial);
  e.fromPeer({ flow, acks: ((data?.seq ?? 0) + 10 - flow.iss - 1) | 0 }, [e.dataAck(at + 10)]);
  return data?.src;
}

const prefer = (e: Established, ...paths: number[]): Outcome => {
  e.scene.prefer(paths);
  return e.scene.command(abi.CommandKind.HANDOVER_AUTO);
};
const backupHere = (e: Established, path: number, flag: number = BACKUP): Outcome =>
  e.scene.setPath(path, { address4: path === 1 ? e.addresses.host : e.addresses.host2, flags: REACHES | flag });
const peerPrio = (e: Established, flow: Established["initial"], backup: boolean): Outcome =>
  e.fromPeer({ flow }, [p.mpPrio(backup), e.dataAck(0)]);
/** MP_PRIO of ours, as [local address, backup]. */
const prios = (out: Outcome): [string, boolean][] =>
  out.toWire.flatMap((packet) => {
    const prio = p.option(packet, "mpPrio");
    return prio ? [[packet.src, prio.backup] as [string, boolean]] : [];
  });
const handovers = (out: Outcome): SceneEvent[] => out.events.filter(({ kind }) => kind.startsWith("HANDOVER"));

describe("the order of preference", () => {
  const [first, second] = ["10.0.1.1", "10.0.2.1"];

  it("1: not where the peer does not want to receive, whatever is pinned here", () => {
    const e = joined();
    e.scene.handover(2);
    expect(carrier(e, 0)).toBe(second);
    peerPrio(e, e.flow2, true);
    expect(carrier(e, 10)).toBe(first);
    peerPrio(e, e.flow2, false);
    expect(carrier(e, 20)).toBe(second);
  });

  it("3: the pinned path before one that is not marked as backup", () => {
    const e = joined();
    backupHere(e, 2);
    e.scene.handover(2);
    expect(carrier(e, 0)).toBe(second);
    e.scene.command(abi.CommandKind.HANDOVER_AUTO);
    expect(carrier(e, 10)).toBe(first);
  });

  it("4: a path that is not marked as backup before the class's order", () => {
    const e = joined();
    backupHere(e, 1);
    expect(carrier(e, 0)).toBe(second);
    backupHere(e, 1, 0);
    expect(carrier(e, 10)).toBe(first);
  });

  it("5: the class's order before age; paths that it does not name come last", () => {
    const e = joined();
    expect(carrier(e, 0)).toBe(first);
    prefer(e, 2, 1);
    expect(carrier(e, 10)).toBe(second);
    prefer(e, 1);
    expect(carrier(e, 20)).toBe(first);
    prefer(e, 2);
    expect(carrier(e, 30)).toBe(second);
  });

  it("6: the oldest of several on one path", () => {
    const e = responder();
    const flows = [40001, 40002].map((remotePort) => {
      const flow = { ...e.initial, local: e.addresses.host2, remote: e.addresses.peer2, remotePort, iss: 0, irs: 7e6 };
      const syn = [p.mss(1460), p.joinSyn(e.ourToken, 77)];
      const synAck = e.fromPeer({ flow, flags: "S", at: -1, ack: 0 }, syn).toWire[0] as p.Packet;
      flow.iss = synAck.seq;
      const nonce = p.option(synAck, "mpJoin")?.nonce as number;
      e.fromPeer({ flow }, [p.joinAck(p.joinHmacA(e.peer.key, e.ourKey, 77, nonce))]);
      return flow;
    });
    prefer(e, 2, 1);
    const [data] = sent(e.hostData(0, 10));
    expect(data?.dport).toBe(40001);
    e.fromPeer({ flow: flows[0] as typeof e.initial, flags: "RA" }, []);
    expect(sent(e.hostData(10, 10))[0]?.dport).toBe(40002);
  });
});

describe("the peer's MP_PRIO", () => {
  it.each(["opener", "responder"] as const)("is answered by ours when it moves us, as the %s", (role) => {
    const e = joined(role);
    const out = peerPrio(e, e.initial, true);
    const expected = [["10.0.1.1", true]] as [string, boolean][];
    if (role === "opener") expected.unshift(["10.0.2.1", false]); // joined as backup
    expect(prios(out)).toEqual(expected);
  });

  it("is not answered when it does not", () => {
    const e = joined();
    expect(prios(peerPrio(e, e.flow2, true))).toEqual([]);
    expect(prios(peerPrio(e, e.initial, true))).toEqual([]); // none is better now
  });

  it("on the target no longer counts when a handover comes after it", () => {
    const e = joined();
    peerPrio(e, e.flow2, true);
    e.scene.handover(2);
    expect(carrier(e, 0)).toBe("10.0.2.1");
  });
});

describe("a handover ends", () => {
  it("at once where no payload moves", () => {
    const e = joined();
    e.scene.advance(1_000_000);
    const out = e.scene.handover(2);
    expect(handovers(out)).toMatchObject([
      { kind: "HANDOVER_STARTED", path: 2, value: 1, commandId: expect.any(Number) },
      { kind: "HANDOVER_DONE", path: 2, value: 0 },
    ]);
    expect(handovers(out)[1]?.commandId).toBe(handovers(out)[0]?.commandId);
    expect(e.scene.counter(abi.Counter.HANDOVERS)).toBe(1);
  });

  it("when the connection has been quiet for 250 ms, and not while octets wait for their acknowledgement", () => {
    const e = joined();
    e.hostData(0, 10);
    const quiet = (us: number) => handovers(e.scene.advance(us)).map(({ kind }) => kind);
    expect(handovers(e.scene.handover(2))).toHaveLength(1);
    expect(quiet(2 * IDLE_US)).toEqual([]);
    e.fromPeer({ acks: 10 }, [e.dataAck(10)]);
    expect(quiet(IDLE_US + 100)).toEqual(["HANDOVER_DONE"]);
    const other = joined();
    other.hostData(0, 10);
    other.fromPeer({ acks: 10 }, [other.dataAck(10)]);
    other.scene.handover(2);
    expect(handovers(other.scene.advance(IDLE_US - 1000))).toEqual([]);
    expect(handovers(other.scene.advance(IDLE_US + 1100))).toMatchObject([{ kind: "HANDOVER_DONE" }]);
  });

  it("when the peer's data comes on the new subflow, not when it still comes on the old one", () => {
    const e = joined();
    e.hostData(0, 10);
    e.scene.handover(2);
    expect(handovers(e.peerData(0, 100))).toEqual([]);
    e.scene.nowUs += 1234n;
    const out = e.peerData(100, 100, { flow: e.flow2, at: 0 }, { ssn: 1 });
    expect(handovers(out)).toMatchObject([{ kind: "HANDOVER_DONE", path: 2, value: 1234 }]);
    expect(handovers(e.hostData(10, 10))).toEqual([]); // once
  });

  it("with its time-out when the new subflow does not come", () => {
    const e = opener();
    e.hostData(0, 10);
    const [started] = handovers(e.scene.handover(2, abi.HandoverMode.MAKE_BEFORE_BREAK, 500));
    expect(handovers(e.scene.advance(499_000))).toEqual([]);
    const failed = handovers(e.scene.advance(1_100));
    expect(failed).toMatchObject([{ kind: "HANDOVER_FAILED", reason: "TIMEOUT", path: 2 }]);
    expect(failed[0]?.commandId).toBe(started?.commandId);
    expect(handovers(e.scene.advance(1_000_000))).toEqual([]);
    expect(e.scene.counter(abi.Counter.HANDOVERS)).toBe(0);
    expect(carrier(e, 10)).toBe("10.0.1.1");
  });

  it("when another one replaces it", () => {
    const e = joined();
    e.hostData(0, 10);
    const [started] = handovers(e.scene.handover(2));
    const out = handovers(e.scene.handover(1));
    expect(out).toMatchObject([
      { kind: "HANDOVER_FAILED", reason: "REPLACED", path: 2, commandId: started?.commandId },
      { kind: "HANDOVER_STARTED", path: 1, value: 2 },
    ]);
    expect(out[1]?.commandId).not.toBe(started?.commandId);
    expect(handovers(e.hostData(10, 10))).toMatchObject([{ kind: "HANDOVER_DONE", path: 1 }]);
  });
});

describe("a path that the peer has joined twice", () => {
  /** A responder's connection with two subflows on path 2, from two addresses of the peer. */
  function twice(): { e: Established; third: Flow } {
    const e = joined("responder");
    return { e, third: e.joinThird() };
  }

  it("a handover there is done with the first data on either", () => {
    const { e } = twice();
    e.scene.handover(2);
    const out = e.hostData(0, 10);
    expect(e.on(e.flow2, sent(out))).toHaveLength(1); // the older of the two
    expect(handovers(out)).toMatchObject([{ kind: "HANDOVER_DONE", path: 2 }]);
  });

  it("break-before-make leaves both; losing one of them neither ends a handover nor its pin", () => {
    const { e, third } = twice();
    e.scene.handover(2);
    const lost = e.fromPeer({ flow: e.flow2, flags: "RA" });
    expect(handovers(lost)).toEqual([]);
    const out = e.hostData(0, 10);
    expect(e.on(third, sent(out))).toHaveLength(1);
    expect(handovers(out)).toMatchObject([{ kind: "HANDOVER_DONE", path: 2 }]);
    const both = twice().e;
    both.scene.handover(2);
    both.scene.handover(1, abi.HandoverMode.BREAK_BEFORE_MAKE);
    expect(both.scene.engine.header(abi.EngineHeader.SUBFLOWS)).toBe(1);
  });
});
