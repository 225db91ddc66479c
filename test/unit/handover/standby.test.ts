// active-standby: which paths the engine joins by itself, and when.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { type Established, type EstablishedOptions, opener, responder } from "../../established.ts";
import * as p from "../../packet.ts";
import type { Outcome } from "../../scene.ts";

const { UP, BACKUP, NO_JOIN, GATEWAY4 } = abi.PathFlag;
const STANDBY = { flags: abi.ConfigFlag.STANDBY };

const joins = (out: Outcome): p.Packet[] => out.toWire.filter(({ flags, options }) => flags === "S" && options.length);
const backup = (syn: p.Packet | undefined) => syn && p.option(syn, "mpJoin")?.backup;

/** Two paths, the second one with these flags. */
const secondPath = (flags: number): EstablishedOptions => ({
  ...STANDBY,
  paths: [
    { address4: "10.0.1.1", flags: UP | GATEWAY4 },
    { address4: "10.0.2.1", flags },
  ],
});

/** SYNs with MP_JOIN within `ms`, looked at each 10 ms. */
function joinsWithin(e: Established, ms: number): p.Packet[] {
  return Array.from({ length: ms / 10 }, () => joins(e.scene.advance(10_000))).flat();
}

/** The peer refuses the join. */
function refuse(e: Established, syn: p.Packet): Outcome {
  const { src, dst, sport, dport, seq } = syn;
  return e.scene.wire({ src: dst, dst: src, sport: dport, dport: sport, flags: "RA", seq: 0, ack: seq + 1 });
}

/** The peer agrees to the join. */
function agree(e: Established, syn: p.Packet): void {
  const { src, dst, sport, dport, seq } = syn;
  const flow = { local: src, remote: dst, localPort: sport, remotePort: dport, iss: seq, irs: 7e6 };
  const hmac = p.joinHmacB(e.ourKey, e.peer.key, p.option(syn, "mpJoin")?.nonce as number, 77);
  e.fromPeer({ flow, flags: "SA", at: -1 }, [p.mss(1460), p.joinSynAck(hmac, 77)]);
  e.fromPeer({ flow });
  e.second = flow;
}

/** Seconds between the joins of the next `seconds`, each of which the peer refuses. */
function pauses(e: Established, seconds: number): number[] {
  const times: number[] = [];
  for (let ms = 0; ms < seconds * 1000; ms += 50) {
    for (const syn of joins(e.scene.advance(50_000))) {
      times.push(ms);
      refuse(e, syn);
    }
  }
  return times.slice(1).map((time, i) => Math.round((time - (times[i] as number)) / 1000));
}

/** A path comes up again: a reason to look. */
function waiting(e: Established): Established {
  e.scene.setPath(2, { address4: "10.0.2.1", flags: UP | GATEWAY4 });
  return e;
}

describe("joining in advance", () => {
  it("begins when the connection is 100 ms old: every usable path, as backup to a preferred one", () => {
    const e = opener({
      ...STANDBY,
      paths: ["10.0.1.1", "10.0.2.1", "10.0.3.1"].map((address4) => ({ address4, flags: UP | GATEWAY4 })),
    });
    expect(joins(e.scene.advance(99_000))).toEqual([]);
    const syns = joins(e.scene.advance(1_100));
    expect(syns.map(({ src }) => src)).toEqual(["10.0.2.1", "10.0.3.1"]);
    expect(syns.map(backup)).toEqual([true, true]);
    for (const syn of syns) agree(e, syn);
    expect(joinsWithin(e, 5_000)).toEqual([]); // what is there is not joined again
  });

  it("joins a path as regular only if it would be the active one", () => {
    const preferred = (flags: number) => joins(opener({ ...secondPath(flags), prefer: [2, 1] }).scene.advance(101_000));
    expect(preferred(UP | GATEWAY4).map(backup)).toEqual([false]);
    expect(preferred(UP | GATEWAY4 | BACKUP).map(backup)).toEqual([true]);
    const e = opener({ ...secondPath(UP | GATEWAY4), prefer: [2, 1] });
    e.scene.handover(1); // pinned: the class's order does not matter
    expect(joins(e.scene.advance(101_000)).map(backup)).toEqual([true]);
  });

  it("joins as regular what the peer may send on, too: all but a backup path, and none once a path is pinned", () => {
    const flags = abi.ConfigFlag.STANDBY | abi.ConfigFlag.RECEIVE_ON_ALL;
    const second = (pathFlags: number) => opener({ ...secondPath(pathFlags), flags });
    expect(joins(second(UP | GATEWAY4).scene.advance(101_000)).map(backup)).toEqual([false]);
    expect(joins(second(UP | GATEWAY4 | BACKUP).scene.advance(101_000)).map(backup)).toEqual([true]);
    const pinned = second(UP | GATEWAY4);
    pinned.scene.handover(1);
    expect(joins(pinned.scene.advance(101_000)).map(backup)).toEqual([true]);
  });

  const never: [string, () => Established][] = [
    ["the peer opened", () => responder(STANDBY)],
    ["STANDBY is off", () => opener({ flags: 0 })],
    ["the path is not to be joined", () => opener(secondPath(UP | GATEWAY4 | NO_JOIN))],
    ["the path is down", () => opener(secondPath(GATEWAY4))],
    ["the path does not reach the peer", () => opener(secondPath(UP))],
    ["the peer has not confirmed", () => waiting(opener({ ...STANDBY, confirmed: false }))],
  ];
  it.each(never)("does not happen where %s", (_, connect) => {
    expect(joinsWithin(connect(), 3_000)).toEqual([]);
  });

  it("does not happen any more once the connection is reset or closed", () => {
    const reset = opener(STANDBY);
    reset.fromHost({ flags: "RA" });
    expect(joinsWithin(waiting(reset), 3_000)).toEqual([]);
    const closed = opener(STANDBY);
    closed.fromHost({ flags: "FA" });
    closed.fromPeer({}, [closed.dataFin(0, 1)]);
    closed.fromHost({ at: 1, acks: 1 });
    expect(joinsWithin(waiting(closed), 3_000)).toEqual([]);
  });

  it("looks at once when a path comes up, but never before the 100 ms", () => {
    const comeUp = (e: Established) => e.scene.setPath(2, { address4: "10.0.2.1", flags: UP | GATEWAY4 });
    const young = opener(secondPath(GATEWAY4));
    young.scene.advance(50_000);
    expect([joins(comeUp(young)), joins(young.scene.advance(49_000))]).toEqual([[], []]);
    expect(joins(young.scene.advance(1_100))).toHaveLength(1);
    const old = opener(secondPath(GATEWAY4));
    old.scene.advance(1_000_000);
    expect([...joins(comeUp(old)), ...joins(old.scene.advance(100))]).toHaveLength(1);
  });
});

describe("after a failure", () => {
  it("the pause is 4 s and doubles with each further one up to 60 s", () => {
    expect(pauses(opener(STANDBY), 250)).toEqual([4, 8, 16, 32, 60, 60, 60]);
  });

  it("a path that comes up begins anew", () => {
    const e = opener(STANDBY);
    pauses(e, 40);
    e.scene.setPath(2, { address4: "10.0.2.1", flags: UP | GATEWAY4 });
    expect(pauses(e, 16)).toEqual([4, 8]);
  });

  it("a join that succeeds begins anew; a subflow that is lost is joined again after 2 s", () => {
    const e = opener(STANDBY);
    pauses(e, 20);
    const [syn] = joinsWithin(e, 20_000);
    agree(e, syn as p.Packet);
    e.fromPeer({ flow: e.flow2, flags: "RA" }, []);
    expect(joinsWithin(e, 1_900)).toEqual([]);
    expect(joinsWithin(e, 200)).toHaveLength(1);
  });
});

describe("the last subflow is lost", () => {
  it.each([
    ["with STANDBY", STANDBY],
    ["without STANDBY", { flags: 0 }],
    ["before the peer has confirmed", { ...STANDBY, confirmed: false }],
  ])("another path is joined at once, as regular, %s", (_, options) => {
    const e = opener(options);
    const lost = e.fromPeer({ flags: "RA" }, []);
    const syns = [...joins(lost), ...joins(e.scene.advance(100))];
    expect(syns.map(({ src }) => src)).toEqual(["10.0.1.1", "10.0.2.1"]);
    expect(syns.map(backup)).toEqual([false, false]);
  });

  it("the pause between tries is never longer than 4 s", () => {
    const e = opener({ ...secondPath(UP | GATEWAY4 | NO_JOIN), config: { REJOIN_GRACE_MS: 30_000 } });
    e.fromPeer({ flags: "RA" }, []);
    expect(pauses(e, 25)).toEqual([4, 4, 4, 4, 4, 4]);
  });
});
