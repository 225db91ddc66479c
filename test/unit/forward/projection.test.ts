// Acknowledgements through tables that are not monotone (paper §3.5), on packets: docs/CONFORMANCE.md N-73 …
// N-79. The tables alone are in unit/mapping/ and property/.

import { describe, expect, it } from "vitest";
import { delivered, type Established, joined, sent } from "../../established.ts";
import * as p from "../../packet.ts";
import { CASES, data, sacked, san, single } from "./cases.ts";

/** A SACK option of the peer about the host's octets on the second subflow, by their places there. */
const onSecond = (e: Established, ...blocks: [number, number][]): p.Option =>
  p.sack(...blocks.map(([l, r]): [number, number] => [(e.flow2.iss + 1 + l) >>> 0, (e.flow2.iss + 1 + r) >>> 0]));

/** The host's octets [100, 200) and [300, 400) leave on the second subflow, all others up to 500 on the first. */
function interleaved(e: Established): Established {
  for (const at of [0, 100, 200, 300, 400]) {
    e.scene.handover(at === 100 || at === 300 ? 2 : 1);
    e.hostData(at, 100);
  }
  e.scene.advance(200_000); // the transitions are over
  return e;
}

/** As the paper's Figure 5: octets [from, from + 100) have left again behind [200, 400), under fresh SSNs. */
function nonMonotone(e: Established, from: number): Established {
  e.hostData(0, 400);
  e.fromPeer({ acks: 200 }, [e.dataAck(from)]); // what lies between came, and was thrown away at data level
  for (let i = 0; i < 2; i++) e.hostData(from, 100);
  return e;
}

/** Where they stand after that, as place on the subflow. */
const MOVED = 400;

describe.each(CASES)("the peer's acknowledgements through any table, $name", ({ role, options }) => {
  it("N-73 through a mapping as in Figure 5 TAN covers nothing undelivered, what lies higher is SACKed", () => {
    const e = nonMonotone(single[role](options), 100);
    // All that was sent before [100, 200) left again, and not that: a reverse look-up of the SAN would say 400.
    const out = delivered(e.fromPeer({ acks: MOVED }, [e.dataAck(100)]));
    expect(out).toMatchObject([{ ack: e.tsn(100) }]);
    expect(sacked(e, out)).toEqual([[200, 400]]);
    const all = delivered(e.fromPeer({ acks: MOVED + 100 }, [e.dataAck(400)]));
    expect(all).toMatchObject([{ ack: e.tsn(400), options: [] }]);
  });

  it("N-73 nor does TAN follow the SAN of one subflow over octets of the other", () => {
    const e = interleaved(joined(role, options));
    const out = delivered(e.fromPeer({ acks: 300 })); // [0, 100), [200, 300) and [400, 500) are there
    expect(out.map(({ ack }) => ack)).toEqual([e.tsn(0)]);
    expect(sacked(e, out).toSorted(([a], [b]) => a - b)).toEqual([
      [200, 300],
      [400, 500],
    ]);
  });

  it("N-74 a subflow's SACK blocks move to the host's numbers: most recent first, united, the subflow's own gone", () => {
    const e = joined(role, options);
    e.hostData(0, 100);
    e.scene.handover(2);
    e.hostData(100, 500);
    e.scene.advance(200_000);
    const blocks = onSecond(e, [300, 400], [50, 150], [450, 500]);
    const [ack] = delivered(e.fromPeer({ flow: e.flow2 }, [e.dataAck(0), blocks])) as [p.Packet];
    expect(p.realOptions(ack)).toHaveLength(1);
    expect(sacked(e, [ack])).toEqual([
      [400, 500],
      [150, 250],
      [550, 600],
    ]);
    // The end of [50, 150), sent again, and [150, 200), acknowledged long ago, are one block for the host.
    const moved = nonMonotone(single[role](options), 50);
    const both = p.sack([moved.tsn(300), moved.tsn(350)], [moved.tsn(MOVED + 50), moved.tsn(MOVED + 100)]);
    expect(sacked(moved, delivered(moved.fromPeer({ acks: 200 }, [moved.dataAck(50), both])))).toEqual([
      [300, 350],
      [100, 200],
    ]);
  });

  it("N-75 one SACK block across a break of the mapping becomes two", () => {
    const e = interleaved(joined(role, options));
    const out = delivered(e.fromPeer({ flow: e.flow2 }, [e.dataAck(0), onSecond(e, [50, 150])]));
    expect(sacked(e, out)).toEqual([
      [150, 200],
      [300, 350],
    ]);
  });

  it("N-77 without SACK TAN is what the DATA_ACK says, and no SACK option goes either way", () => {
    const e = joined(role, { ...options, sack: false });
    interleaved(e);
    const unasked = onSecond(e, [50, 150]); // even from a peer that says what it may not
    for (const out of [
      e.fromPeer({ acks: 300 }, [e.dataAck(0), p.sack([e.tsn(100), e.tsn(200)])]),
      e.fromPeer({ flow: e.flow2, acks: 100 }, [e.dataAck(0), unasked]),
      e.fromPeer({ flow: e.flow2, acks: 200 }, [e.dataAck(100), unasked]),
      e.peerData(0, 100, { flow: e.flow2, at: 0, acks: 200 }, { dan: 100 }),
    ]) {
      const told = delivered(out);
      expect(told.filter(({ ack }) => ((ack - e.tsn(0)) | 0) > 100)).toEqual([]);
      expect(told.flatMap((packet) => p.realOptions(packet))).toEqual([]);
    }
    expect(delivered(e.fromPeer({ acks: 300 }, [e.dataAck(500)]))).toMatchObject([{ ack: e.tsn(500), options: [] }]);
    e.peerData(200, 100); // a gap before it
    const packets = [...sent(e.fromHost({ acks: 100 })), ...sent(e.fromHost({ acks: 100 }))];
    expect(packets.length).toBeGreaterThan(0);
    expect(packets.filter((packet) => p.option(packet, "sack"))).toEqual([]);
  });

  it("N-79 no block begins where TAN stands, whoever reports it, also when blocks grow together", () => {
    const e = interleaved(joined(role, options));
    const here: p.Option = p.sack([e.tsn(100), e.tsn(200)]); // [200, 300) of the host, behind a hole of this subflow
    const touching = delivered(e.fromPeer({}, [e.dataAck(200), here]));
    expect(touching).toMatchObject([{ ack: e.tsn(200) }]);
    expect(sacked(e, touching)).toEqual([]);
    const other = delivered(e.fromPeer({ flow: e.flow2, acks: 100 }, [e.dataAck(300), onSecond(e, [100, 200])]));
    expect(other).toMatchObject([{ ack: e.tsn(300) }]);
    expect(sacked(e, other)).toEqual([]);
    const above = delivered(e.fromPeer({}, [e.dataAck(300), p.sack([e.tsn(200), e.tsn(300)])]));
    expect(sacked(e, above)).toEqual([[400, 500]]); // behind a gap: to be shown
  });
});

describe.each(CASES)("a segment of the host that came late, $name", ({ role, options }) => {
  it("N-74 is SACKed like any other once the peer has it", () => {
    const e = single[role](options);
    e.hostData(0, 100);
    e.hostData(300, 100);
    e.hostData(100, 200); // late
    const ack = delivered(e.fromPeer({}, [e.dataAck(0), p.sack([e.tsn(100), e.tsn(400)])]));
    expect(sacked(e, ack)).toEqual([[100, 400]]);
  });
});

describe.each(CASES)("the host's SACK blocks, $name", ({ role, options }) => {
  /** The host's report of octets of the peer, as stream offsets. */
  const report = (e: Established, ...blocks: [number, number][]): p.Option =>
    p.sack(...blocks.map(([l, r]): [number, number] => [e.tan(l), e.tan(r)]));
  /** SACK blocks on `flow`, as places there. */
  const blocksOn = (e: Established, flow: Established["initial"], packets: p.Packet[]) =>
    e
      .on(flow, packets)
      .map((packet) => p.option(packet, "sack")?.blocks.map((b) => b.map((n) => (n - san(flow, 0)) | 0)));

  it("N-78 a DSACK reaches only the subflow that carried the duplicate, in the first place", () => {
    for (const on of ["initial", "flow2"] as const) {
      const e = joined(role, options);
      e.peerData(0, 100);
      e.peerData(100, 100, { flow: e.flow2, at: 0 });
      e.fromHost({ acks: 200 });
      e.peerData(400, 50, { flow: e[on], at: 200 }); // behind a gap
      e.fromHost({ acks: 200, options: [report(e, [400, 450])] });
      const again = on === "initial" ? e.peerData(0, 100) : e.peerData(100, 100, { flow: e.flow2, at: 0 });
      expect(data(delivered(again))).toHaveLength(1);
      const twice: [number, number] = on === "initial" ? [0, 100] : [100, 200];
      const out = sent(e.fromHost({ acks: 200, options: [report(e, twice, [400, 450])] }));
      expect(out).toHaveLength(1);
      const both: number[][] = [
        [0, 100],
        [200, 250],
      ];
      expect(blocksOn(e, e[on], out)).toEqual([both]);
      const next = sent(e.fromHost({ acks: 200, options: [report(e, [400, 450])] })); // said once
      expect(blocksOn(e, e[on], next)).toEqual([[[200, 250]]]);
    }
  });

  it("N-78 a DSACK reaches only the subflow that carried the duplicate, in the first place, while both wait", () => {
    for (const duplicateOn of ["initial", "flow2"] as const) {
      const e = joined(role, options);
      e.peerData(0, 100);
      e.peerData(100, 100, { flow: e.flow2, at: 0 });
      e.fromHost({ acks: 200 });
      e.peerData(400, 50, { at: 200 }); // on both subflows something stands behind a gap
      e.peerData(600, 50, { flow: e.flow2, at: 200 });
      const known: [number, number][] = [
        [600, 650],
        [400, 450],
      ];
      e.fromHost({ acks: 200, options: [report(e, ...known)] });
      const again = duplicateOn === "initial" ? e.peerData(0, 100) : e.peerData(100, 100, { flow: e.flow2, at: 0 });
      expect(data(delivered(again))).toHaveLength(1);
      const twice: [number, number] = duplicateOn === "initial" ? [0, 100] : [100, 200];
      const out = sent(e.fromHost({ acks: 200, options: [report(e, twice, ...known)] }));
      const behind = [[200, 250]];
      const withDuplicate = [[0, 100], ...behind];
      expect(blocksOn(e, e[duplicateOn], out)).toEqual([withDuplicate]);
      expect(blocksOn(e, duplicateOn === "initial" ? e.flow2 : e.initial, out)).toEqual([behind]);
    }
  });
});
