// The round trip of paths that wait: asked for where a class wishes it, and measured by the answer.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { type Established, type Flow, joined, opener } from "../../established.ts";
import * as p from "../../packet.ts";

const SECOND = 1_000_000;

/** A connection with a subflow on each of two paths; idle ones are asked every second. */
function asking(probeMs = 1000): Established {
  const e = joined("opener");
  e.scene.tell({ kind: "class_set", class: 0, prefer: [1, 2], probeMs });
  return e;
}

/** Questions in the next `us`, looked at each 10 ms: the paths they leave by. */
function asked(e: Established, us: number): p.Packet[] {
  return Array.from({ length: us / 10_000 }, () => e.scene.advance(10_000).toWire)
    .flat()
    .filter(({ payload }) => payload.length === 1);
}

const paths = (packets: p.Packet[]) => packets.map(({ src }) => (src === "10.0.1.1" ? 1 : 2));
const path = (e: Established, id: number) => e.scene.statistics().paths.find((one) => one.id === id);

/** The peer answers a question: by a duplicate acknowledgement, with the octet's block, as Linux does, or without. */
function answer(e: Established, flow: Flow, acks = 0, block = true) {
  const una = (flow.iss + 1 + acks) >>> 0;
  const sack = block ? [p.sack([(una - 1) >>> 0, una])] : [];
  return e.fromPeer({ flow, acks }, [...sack, e.dataAck(acks)]);
}

describe("an idle path", () => {
  it("is asked when nothing has been heard of its round trip for an interval, and measured by the answer", () => {
    const e = asking();
    const before = path(e, 2)?.srttUs ?? 0;
    const questions = asked(e, SECOND + 50_000);
    expect(paths(questions).sort()).toEqual([1, 2]);
    const question = e.on(e.flow2, questions)[0] as p.Packet;
    expect(question).toMatchObject({ seq: e.flow2.iss, ack: (e.flow2.irs + 1) >>> 0, flags: "A", options: [] });
    e.scene.nowUs += 80_000n;
    const out = answer(e, e.flow2);
    expect(out.toHost).toEqual([]);
    expect(out.verdict).toBe("drop");
    const after = path(e, 2)?.srttUs ?? 0;
    expect(after).toBeGreaterThan(before + 9_000); // an eighth of what came
    expect(e.scene.counter(abi.Counter.PATH_PROBES)).toBe(2);
  });

  it("is asked once per interval, however many connections it has", () => {
    const e = asking();
    for (let i = 0; i < 3; i++) {
      const tuple = { src: "10.0.2.1", dst: "10.0.2.2", sport: 50_000 + i, dport: 80 };
      e.scene.host({ ...tuple, flags: "S", seq: 1 });
    }
    asked(e, SECOND + 50_000);
    answer(e, e.flow2);
    answer(e, e.initial);
    expect(paths(asked(e, 900_000))).toEqual([]);
    expect(paths(asked(e, 200_000)).sort()).toEqual([1, 2]);
  });

  it("is not asked while octets of ours are in flight there, nor where their acknowledgements have measured it", () => {
    const e = asking();
    e.hostData(0, 10);
    expect(paths(asked(e, SECOND + 50_000))).toEqual([2]);
    e.fromPeer({ acks: 10 }, [e.dataAck(10)]);
    const rest = asked(e, 900_000);
    expect(paths(rest)).not.toContain(1);
  });

  it("gives no sample where the question was repeated (Karn), and one again behind that", () => {
    const e = asking();
    asked(e, SECOND + 50_000);
    asked(e, SECOND); // nobody has answered
    const before = path(e, 2)?.srttUs;
    answer(e, e.flow2);
    expect(path(e, 2)?.srttUs).toBe(before);
    asked(e, SECOND);
    e.scene.nowUs += 500_000n;
    answer(e, e.flow2);
    expect(path(e, 2)?.srttUs).not.toBe(before);
  });

  it("is measured by an answer without a block, too", () => {
    const e = asking();
    asked(e, SECOND + 50_000);
    const before = path(e, 2)?.srttUs;
    e.scene.nowUs += 500_000n;
    answer(e, e.flow2, 0, false);
    expect(path(e, 2)?.srttUs).not.toBe(before);
  });
});

describe("nobody is asked", () => {
  it("where no class wishes it, nor any more", () => {
    const e = joined("opener");
    expect(asked(e, 3 * SECOND)).toEqual([]);
    const other = asking();
    asked(other, SECOND + 50_000);
    other.scene.tell({ kind: "class_set", class: 0, prefer: [1, 2] });
    expect(asked(other, 3 * SECOND)).toEqual([]);
    expect(other.scene.nextUs).toBe(Infinity);
  });

  it("but connections of the class that wishes it", () => {
    const e = joined("opener");
    e.scene.tell({ kind: "class_set", class: 1, prefer: [], probeMs: 100 });
    expect(asked(e, SECOND)).toEqual([]);
  });

  it("on a path without a subflow: the engine sleeps, and wakes when there is one", () => {
    const e = opener();
    e.scene.tell({ kind: "class_set", class: 0, prefer: [1, 2], probeMs: 1000 });
    expect(paths(asked(e, 3 * SECOND))).not.toContain(2);
    e.join();
    expect(paths(asked(e, SECOND + 50_000))).toContain(2);
    e.fromHost({ flags: "RA" });
    for (let i = 0; i < 12; i++) e.scene.advance(SECOND);
    expect(e.scene.engine.header(abi.EngineHeader.CONNECTIONS)).toBe(0);
    expect(e.scene.nextUs).toBe(Infinity);
  });

  it("once the connection is reset, or the subflow silent", () => {
    const e = asking();
    e.fromHost({ flags: "RA" });
    expect(asked(e, 2 * SECOND)).toEqual([]);
  });
});
