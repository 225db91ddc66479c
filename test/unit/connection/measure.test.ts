// What is measured per path and per class, and the page that shows it.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import type { SnapshotPath } from "../../../host/engine/snapshot.ts";
import type { ClassStatistics } from "../../../host/engine/statistics.ts";
import { type Established, joined, listening, opener, opening, responder } from "../../established.ts";
import { Scene } from "../../scene.ts";
import { loadConnectionInternals, SUBFLOW } from "./internals.ts";

const path = (e: Established, id: number): SnapshotPath => {
  const found = e.scene.statistics().paths.find((one) => one.id === id);
  if (found === undefined) throw new Error(`no path ${id}`);
  return found;
};

const ofClass = (e: Established, id = 0): ClassStatistics => {
  const found = e.scene.statistics().classes.find((one) => one.id === id);
  if (found === undefined) throw new Error(`no class ${id}`);
  return found;
};

const places = (e: Established): [number, number][] => [...ofClass(e).activeOn];
const healthy = (e: Established) => expect(e.scene.engine.exports.tablesCheck?.()).toBe(0);

/** Lets a connection that was ended go. */
function forget(e: Established): void {
  for (let i = 0; i < 12; i++) e.scene.advance(1_000_000);
  expect(e.scene.engine.header(abi.EngineHeader.CONNECTIONS)).toBe(0);
}

describe.each(["opener", "responder"] as const)("a path of the %s", (role) => {
  it("has in flight what was sent and not acknowledged there, on each path by itself", () => {
    const e = joined(role);
    expect([path(e, 1).inFlight, path(e, 2).inFlight]).toEqual([0, 0]);
    e.hostData(0, 1000);
    e.scene.handover(2);
    e.hostData(1000, 500);
    expect([path(e, 1).inFlight, path(e, 2).inFlight]).toEqual([1000, 500]);
    e.fromPeer({ acks: 400 }, [e.dataAck(400)]);
    expect([path(e, 1).inFlight, path(e, 1).bytesAcked]).toEqual([600, 400]);
    e.fromPeer({ flow: e.flow2, acks: 500 }, [e.dataAck(400)]);
    expect([path(e, 2).inFlight, path(e, 2).bytesAcked]).toEqual([0, 500]);
    healthy(e);
  });

  it("has nothing in flight of a subflow that is gone, and keeps what was counted", () => {
    const e = joined(role);
    e.hostData(0, 1000);
    e.scene.setPath(1, { address4: e.addresses.host, flags: 0 });
    expect(path(e, 1)).toMatchObject({ inFlight: 0, subflows: 0, bytesSent: 1000, packetsSent: 1 });
    healthy(e);
    e.fromHost({ at: 1000, flags: "RA" });
    forget(e);
    expect([path(e, 1).inFlight, path(e, 2).inFlight]).toEqual([0, 0]);
  });

  it("tells what its host had to send again from what it sent", () => {
    const e = joined(role);
    e.hostData(0, 1000);
    e.hostData(1000, 200);
    e.hostData(0, 1000);
    expect(path(e, 1)).toMatchObject({ packetsSent: 3, bytesSent: 2200 });
    expect(path(e, 1)).toMatchObject({ packetsRetransmitted: 1, bytesRetransmitted: 1000 });
    expect(path(e, 2)).toMatchObject({ packetsSent: 0, packetsRetransmitted: 0 });
  });

  it("counts packets of the peer, and those that had come before", () => {
    const e = joined(role);
    e.peerData(0, 100);
    e.peerData(100, 100);
    e.peerData(0, 100);
    expect(path(e, 1)).toMatchObject({ packetsReceived: 3, bytesReceived: 300, packetsRepeated: 1 });
  });

  it("was heard when an acceptable packet came on one of its established subflows", () => {
    const e = joined(role);
    const heard = path(e, 1).lastAckUs;
    e.scene.advance(5_000_000);
    e.hostData(0, 10);
    e.fromPeer({ acks: 900_000_000 }); // beyond all that was sent
    expect(path(e, 1).lastAckUs).toBe(heard);
    e.fromPeer({ flow: e.flow2 });
    expect([path(e, 1).lastAckUs, path(e, 2).lastAckUs]).toEqual([heard, Number(e.scene.nowUs)]);
  });
});

describe("the round trip of a path", () => {
  const SECOND = 1_000_000n;

  /** Samples of (second, ms), all of subflows without a path: record 0, which the page does not show. */
  function sampled(...samples: [second: bigint, ms: bigint][]) {
    const { engine, internals, view } = loadConnectionInternals();
    const record = abi.SLABS_START + 512;
    for (const [second, ms] of samples) {
      engine.setNow(second * SECOND);
      internals.rttSample(SUBFLOW, ms * 1000n);
    }
    const milliseconds = (at: number) => view.getUint32(record + at, true) / 1000;
    const halves = [80, 84].map(milliseconds).filter((ms) => ms > 0);
    return { srttMs: milliseconds(72), leastMs: Math.min(...halves) };
  }

  it("is estimated over the samples of all its subflows", () => {
    const e = joined("opener");
    const before = path(e, 1).srttUs;
    const second = path(e, 2).srttUs;
    e.hostData(0, 10);
    e.scene.nowUs += 80_000n;
    e.fromPeer({ acks: 10 }, [e.dataAck(10)]);
    expect(path(e, 1).srttUs).toBe(before - (before >> 3) + 10_000);
    expect(path(e, 2).srttUs).toBe(second);
    expect(sampled([1n, 80n], [1n, 40n]).srttMs).toBe(75);
  });

  it("is at least what it was in the last 5 to 10 s, and older samples are forgotten when newer ones come", () => {
    expect(sampled([1n, 10n], [2n, 50n]).leastMs).toBe(10);
    expect(sampled([1n, 10n], [6n, 50n]).leastMs).toBe(10); // in the half before
    expect(sampled([1n, 10n], [6n, 50n], [11n, 60n]).leastMs).toBe(50);
    expect(sampled([1n, 10n], [60n, 90n]).leastMs).toBe(90);
    expect(sampled([1n, 10n], [6n, 50n], [7n, 5n]).leastMs).toBe(5);
  });
});

describe("a class", () => {
  it("counts a connection on the path that it sends on, from the agreement on MPTCP to its end", () => {
    const e = opening();
    e.hostSyn();
    expect([ofClass(e).connections, places(e)]).toEqual([0, []]);
    e.establish();
    expect([ofClass(e).connections, places(e)]).toEqual([1, [[1, 1]]]);
    e.join();
    e.scene.handover(2);
    expect(places(e)).toEqual([[2, 1]]);
    e.fromPeer({ flow: e.flow2, flags: "RA" }, []);
    expect(places(e)).toEqual([[1, 1]]);
    e.fromPeer({ flags: "RA" }, []);
    expect([ofClass(e).connections, places(e)]).toEqual([1, [[0, 1]]]); // without a subflow, for a while
    healthy(e);
    e.fromHost({ flags: "RA" });
    expect([ofClass(e).connections, places(e)]).toEqual([0, []]);
    healthy(e);
  });

  it("does not count one that both ends have closed, nor one that became plain TCP", () => {
    const e = responder();
    expect(ofClass(e).connections).toBe(1);
    e.fromHost({ flags: "FA" });
    e.fromPeer({}, [e.dataFin(0, 1)]);
    expect(ofClass(e).connections).toBe(1);
    e.fromHost({ at: 1, acks: 1 });
    expect(ofClass(e).connections).toBe(0);
    healthy(e);
    const plain = listening();
    plain.peerSyn();
    plain.hostSynAck();
    plain.peerThirdAck({}, []);
    expect(ofClass(plain).connections).toBe(0);
    healthy(plain);
  });

  it("counts each octet once that an end has acknowledged", () => {
    const e = joined("opener");
    e.hostData(0, 1000);
    e.hostData(0, 1000);
    e.fromPeer({ acks: 600 }, [e.dataAck(600)]);
    e.fromPeer({ acks: 600 }, [e.dataAck(600)]);
    e.peerData(0, 300);
    e.fromHost({ at: 1000, acks: 200 });
    expect(ofClass(e)).toMatchObject({ bytesAcked: 600, bytesReceived: 200 });
  });
});

describe("the page of paths and classes", () => {
  it("has the paths that are known, and classes that were named or have connections", () => {
    const e = opener();
    expect(e.scene.statistics().paths.map(({ id }) => id)).toEqual([1, 2]);
    expect(e.scene.statistics().classes.map(({ id }) => id)).toEqual([0]);
    e.scene.command(abi.CommandKind.CLASS_SET, (view, at) => view.setUint32(at + abi.Command.CLASS, 63, true));
    expect(e.scene.statistics().classes.map(({ id }) => id)).toEqual([0, 63]);
  });

  it("is no longer with a thousand connections", () => {
    const connections = 1000;
    const capacity = { connections, subflows: connections, runs: connections };
    const scene = new Scene({
      paths: [{ address4: "10.0.1.1" }],
      ...capacity,
      config: { HALF_OPEN_MAX: connections },
    });
    const length = () => {
      scene.statistics();
      return scene.engine.header(abi.EngineHeader.SNAPSHOT_LENGTH);
    };
    const before = length();
    for (let i = 0; i < connections; i++) {
      scene.host({ src: "10.0.1.1", dst: "10.0.1.2", sport: 2000 + i, dport: 80, flags: "S", seq: i });
    }
    expect(scene.engine.header(abi.EngineHeader.CONNECTIONS)).toBe(connections);
    expect(length()).toBe(before);
    expect(before).toBe(2 * abi.SNAPSHOT_RECORD_SIZE);
    expect(scene.engine.header(abi.EngineHeader.SNAPSHOT_NEXT)).toBe(0);
    expect(scene.statistics().paths[0]?.subflows).toBe(connections);
  });

  it("is full with all paths and classes, and not cut", () => {
    const scene = new Scene();
    for (let id = 1; id <= abi.PATH_MAX; id++) scene.setPath(id, { address4: `10.0.${id}.1` });
    for (let id = 0; id < 64; id++) {
      scene.command(abi.CommandKind.CLASS_SET, (view, at) => view.setUint32(at + abi.Command.CLASS, id, true));
    }
    const { paths, classes } = scene.statistics();
    expect([paths.length, classes.length]).toEqual([32, 64]);
  });
});
