// What is told of each change of path (assembly/handover/moved.ts).

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { type Established, joined } from "../../established.ts";
import * as p from "../../packet.ts";
import type { Outcome } from "../../scene.ts";

/** [reason, path, microseconds of pause] of each move that was told. */
const moves = (...outs: Outcome[]): [string, number, number][] =>
  outs.flatMap(({ events }) =>
    events.flatMap(({ kind, reason, path, value }) =>
      kind === "CONNECTION_MOVED" ? [[reason, path, Number(value)] as [string, number, number]] : [],
    ),
  );

/** The host's first 1000 octets are on their way on the first path. */
function underWay(): Established {
  const e = joined();
  e.hostData(0, 1000);
  e.scene.advance(30_000);
  return e;
}

const prefer = (e: Established, path: number): Outcome[] => [
  e.scene.prefer([path]),
  e.scene.command(abi.CommandKind.HANDOVER_AUTO),
];

describe("a connection's data changes its path", () => {
  it("is told with the first payload there, with its pause: what is sent", () => {
    const e = underWay();
    expect(moves(...prefer(e, 2))).toEqual([]);
    expect(moves(e.hostData(0, 1000))).toEqual([]); // again, where it was
    e.scene.advance(10_000);
    expect(moves(e.hostData(1000, 500))).toEqual([["POLICY", 2, 40_000]]);
    expect(moves(e.hostData(1500, 500))).toEqual([]);
  });

  it("or what is received", () => {
    const e = underWay();
    prefer(e, 2);
    expect(moves(e.peerData(0, 100))).toEqual([]); // still by the old one
    e.scene.advance(7_000);
    expect(moves(e.peerData(100, 100, { flow: e.flow2, at: 0 }))).toEqual([["POLICY", 2, 7_000]]);
  });

  it("is told at once, without a pause, where nothing moved anyway", () => {
    const e = joined();
    e.hostData(0, 10);
    e.fromPeer({ acks: 10 }, [e.dataAck(10)]);
    e.scene.advance(300_000);
    expect(moves(...prefer(e, 2))).toEqual([["POLICY", 2, 0]]);
    expect(moves(e.hostData(10, 10))).toEqual([]);
  });

  it("a command, the peer's MP_PRIO, a path that went down, one that fell silent: the reason says which", () => {
    const reason = (cause: (e: Established) => unknown): unknown => {
      const e = underWay();
      cause(e);
      const out = e.hostData(1000, 500);
      return moves(out)[0]?.[0];
    };
    expect(reason((e) => e.scene.handover(2))).toBe("COMMAND");
    expect(reason((e) => e.fromPeer({}, [p.mpPrio(true), e.dataAck(0)]))).toBe("PEER_PREFERS");
    expect(reason((e) => e.scene.setPath(1, { address4: e.addresses.host, flags: 0 }))).toBe("PATH_DOWN");
    expect(reason((e) => Array.from({ length: 40 }, () => e.scene.advance(50_000)))).toBe("TIMEOUT");
    expect(reason((e) => e.fromPeer({ acks: 0, flags: "RA" }, []))).toBe("PEER_RESET");
  });

  it("a first path, and one path twice, are no moves", () => {
    const e = joined();
    expect(moves(e.hostData(0, 1000), e.hostData(1000, 1000))).toEqual([]);
  });
});
