// Birth and death of connections and subflows: events with all their fields, kernel sets, parking, path
// statistics, timers.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { type Established, joined, listening, opener, opening, PEER_KEY_2, responder } from "../../established.ts";
import * as p from "../../packet.ts";
import type { Outcome } from "../../scene.ts";

/** IPv6: its addresses need no mapping to be read. */
const V6 = { family: 6 } as const;
const { ADD_CONVERTED, DELETE_CONVERTED, ADD_BYPASS } = abi.SetOperationKind;
const { EventKind, EventRecord, Reason } = abi;

/** All fields of the events of `kind` so far. */
function events(e: Established, kind: number) {
  const { view, octets, header } = e.scene.engine;
  const all = Array.from({ length: header(abi.EngineHeader.EVENT_HEAD) }, (_, i) => {
    const at = abi.EVENTS + (i % abi.EVENT_MAX) * abi.EVENT_SIZE;
    const u8 = (field: number) => view.getUint8(at + field);
    const u16 = (field: number) => view.getUint16(at + field, true);
    const u32 = (field: number) => view.getUint32(at + field, true);
    const address = (field: number) => p.addressText(octets.slice(at + field, at + field + 16));
    return {
      ...{ kind: u16(EventRecord.KIND), reason: u16(EventRecord.REASON), commandId: u32(EventRecord.COMMAND_ID) },
      ...{ time: view.getBigUint64(at + EventRecord.TIME_US, true), token: u32(EventRecord.TOKEN) },
      ...{ path: u32(EventRecord.PATH), subflow: u32(EventRecord.SUBFLOW), value: u32(EventRecord.VALUE) },
      ...{ value64: view.getBigUint64(at + EventRecord.VALUE64, true), serial: u32(EventRecord.SERIAL) },
      ...{ local: address(EventRecord.LOCAL), localPort: u16(EventRecord.LOCAL_PORT) },
      ...{ remote: address(EventRecord.REMOTE), remotePort: u16(EventRecord.REMOTE_PORT) },
      ...{ localId: u8(EventRecord.LOCAL_ID), remoteId: u8(EventRecord.REMOTE_ID) },
      ...{ backup: u8(EventRecord.BACKUP), opener: u8(EventRecord.OPENER) },
    };
  });
  return all.filter((event) => event.kind === kind);
}

const tuple = ({ local, remote, localPort, remotePort }: Established["initial"]) => ({
  ...{ local, remote, localPort, remotePort },
});
const operations = (out: Outcome) => out.sets.map(({ kind, opener: from, port, other }) => [kind, from, port, other]);

/** The host resets the connection and its linger time passes. */
function end(e: Established): Outcome[] {
  return [e.fromHost({ flags: "RA" }), ...Array.from({ length: 12 }, () => e.scene.advance(1_000_000))];
}

describe("events", () => {
  it.each(["opener", "responder"] as const)("of a connection of the %s carry its tuple, token and serial", (role) => {
    const e = role === "opener" ? opener(V6) : responder(V6);
    const common = { token: e.ourToken, serial: 1, opener: role === "opener" ? 1 : 0, ...tuple(e.host), subflow: 0 };
    const plain = { reason: Reason.NONE, commandId: 0, path: 0, value64: 0n, backup: 0, time: 1_000_000n };
    expect(events(e, EventKind.NEW_CONNECTION)).toMatchObject([{ ...plain, ...tuple(e.host) }]);
    const [established] = events(e, EventKind.CONNECTION_ESTABLISHED);
    expect(established).toMatchObject({ ...common, ...plain, value: e.peer.token });
    e.hostData(0, 1000);
    e.hostData(0, 1000); // again: counted once
    e.peerData(100, 200);
    e.peerData(0, 100); // out of order
    e.fromHost({ at: 1000, acks: 300 });
    end(e);
    const [closed, ...others] = events(e, EventKind.CONNECTION_CLOSED);
    expect(closed).toMatchObject({ ...common, reason: Reason.HOST_RESET, value64: 1300n });
    expect(others).toEqual([]);
  });

  it("serial numbers are never used again", () => {
    const e = opener(V6);
    end(e);
    e.hostSyn();
    e.peerSynAck();
    e.fromHost();
    expect(events(e, EventKind.CONNECTION_ESTABLISHED).map(({ serial }) => serial)).toEqual([1, 2]);
  });

  it.each(["opener", "responder"] as const)("of a subflow carry its own tuple, path, number and ids, %s", (role) => {
    const e = joined(role, V6);
    const { flow2 } = e;
    const own = { ...tuple(flow2), path: 2, subflow: 1, token: e.ourToken, serial: 1 };
    const ids = role === "opener" ? { remoteId: 0, opener: 1, backup: 1 } : { remoteId: 1, opener: 0, backup: 0 };
    const [created] = events(e, EventKind.NEW_SUBFLOW);
    expect(created).toMatchObject({ ...own, ...ids, reason: Reason.NONE });
    expect(created?.localId).toBeGreaterThan(0);
    expect(created?.commandId === 0).toBe(role === "responder"); // the opener's was joined by a command
    e.fromPeer({ flow: flow2, flags: "RA" }, []);
    const [closed] = events(e, EventKind.SUBFLOW_CLOSED);
    expect(closed).toMatchObject({ ...own, ...ids, reason: Reason.PEER_RESET });
  });

  it("a handshake that comes to nothing closes nothing: there was no connection yet", () => {
    const e = opening(V6);
    e.hostSyn();
    e.peerSynAck({ flags: "RA", seq: 0 }, []);
    expect(e.scene.engine.header(abi.EngineHeader.CONNECTIONS)).toBe(0);
    expect(events(e, EventKind.CONNECTION_CLOSED)).toEqual([]);
    expect(events(e, EventKind.SUBFLOW_CLOSED)).toEqual([]);
  });
});

describe("kernel sets", () => {
  it("hold the host's tuple from the SYN/ACK on until the connection is gone; key is the end that opened", () => {
    const e = opening(V6);
    const key = [e.addresses.host, 40000, e.addresses.peer];
    const added = [e.hostSyn(), e.peerSynAck(), e.fromHost()].map(operations);
    expect(added).toEqual([[], [[ADD_CONVERTED, ...key]], []]);
    expect(end(e).flatMap(operations)).toEqual([[DELETE_CONVERTED, ...key]]);
  });

  it("hold it by the peer's end where that opened", () => {
    const e = listening(V6);
    const key = [e.addresses.peer, 40000, e.addresses.host];
    const added = [e.peerSyn(), e.hostSynAck(), e.peerThirdAck()].flatMap(operations);
    expect(added.filter(([kind]) => kind === ADD_CONVERTED)).toEqual([[ADD_CONVERTED, ...key]]);
    expect(end(e).flatMap(operations)).toEqual([[DELETE_CONVERTED, ...key]]);
  });

  it("hold a joined subflow as long as it lives, and the initial one's tuple even after it", () => {
    const e = joined("opener", V6);
    const { local, localPort, remote } = e.flow2;
    expect(operations(e.fromPeer({ flags: "RA" }, []))).toEqual([]);
    expect(end(e).flatMap(operations)).toEqual([
      [DELETE_CONVERTED, local, localPort, remote],
      [DELETE_CONVERTED, e.addresses.host, 40000, e.addresses.peer],
    ]);
  });

  it("a connection that falls back changes from one set to the other", () => {
    const e = opening(V6);
    e.hostSyn();
    const key = [e.addresses.host, 40000, e.addresses.peer];
    expect(operations(e.peerSynAck({}, []))).toEqual([
      [ADD_BYPASS, ...key],
      [DELETE_CONVERTED, ...key],
    ]);
    expect(events(e, EventKind.CONNECTION_FALLBACK)).toMatchObject([{ reason: Reason.NO_MPTCP_IN_SYNACK }]);
  });
});

describe("parking", () => {
  it("an address is parked with its first connection and let go with its last", () => {
    const e = opener(V6);
    const parked = () => events(e, EventKind.PARK_ADDRESS).map(({ local, value }) => [local, value]);
    const { host } = e.addresses;
    expect(parked()).toEqual([[host, 1]]);
    e.hostSyn({ sport: 40001 });
    expect(parked()).toHaveLength(1);
    e.peerSynAck({ dport: 40001 }, [p.capableSynAck(PEER_KEY_2)]);
    e.fromHost({ sport: 40001 });
    expect(events(e, EventKind.CONNECTION_ESTABLISHED)).toHaveLength(2);
    end(e);
    expect(parked()).toEqual([[host, 1]]);
    e.fromHost({ sport: 40001, flags: "RA" });
    for (let i = 0; i < 12; i++) e.scene.advance(1_000_000);
    expect(parked()).toEqual([
      [host, 1],
      [host, 0],
    ]);
  });
});

describe("statistics of a path", () => {
  /** Fields of path `id` in the snapshot. */
  function path(e: Established, id: number) {
    e.scene.engine.exports.snapshot?.(0);
    const { view } = e.scene.engine;
    const at = abi.SNAPSHOT + (id - 1) * abi.SNAPSHOT_RECORD_SIZE;
    expect(view.getUint32(at + abi.SnapshotPath.ID, true)).toBe(id);
    const octets = (field: number) => Number(view.getBigUint64(at + field, true));
    return {
      subflows: view.getUint32(at + abi.SnapshotPath.SUBFLOWS, true),
      sent: octets(abi.SnapshotPath.BYTES_SENT),
      received: octets(abi.SnapshotPath.BYTES_RECEIVED),
      srttUs: view.getUint32(at + abi.SnapshotPath.SRTT_US, true),
    };
  }

  it("count live subflows and payload with its repetitions, also of subflows that are gone", () => {
    const e = joined("responder", V6);
    e.hostData(0, 1000);
    e.hostData(0, 1000);
    e.peerData(0, 300);
    e.peerData(300, 50, { flow: e.flow2, at: 0 }, { ssn: 1 });
    expect(path(e, 1)).toMatchObject({ subflows: 1, sent: 2000, received: 300 });
    expect(path(e, 2)).toMatchObject({ subflows: 1, sent: 0, received: 50 });
    e.fromPeer({ flags: "RA", at: 300 }, []);
    expect(path(e, 1)).toMatchObject({ subflows: 0, sent: 2000, received: 300 });
    e.hostData(0, 1000);
    expect(path(e, 2)).toMatchObject({ subflows: 1, sent: 1000, received: 50 });
    end(e);
    expect([path(e, 1).subflows, path(e, 2).subflows]).toEqual([0, 0]);
  });

  it("show the round-trip time of the subflow heard last", () => {
    const e = listening(V6);
    e.peerSyn();
    e.hostSynAck();
    e.scene.nowUs += 40_000n;
    e.peerThirdAck();
    expect(path(e, 1).srttUs).toBe(40_000);
    expect(path(e, 2).srttUs).toBe(0);
  });
});

describe("timers", () => {
  it("a handshake that is never finished is forgotten after 75 s", () => {
    const e = opening(V6);
    e.hostSyn();
    expect(Math.abs(e.scene.nextUs - 75_000_000)).toBeLessThan(1_000_000);
    e.scene.advance(74_999_000);
    expect(e.scene.engine.header(abi.EngineHeader.CONNECTIONS)).toBe(1);
    e.scene.advance(1_100);
    expect(e.scene.engine.header(abi.EngineHeader.CONNECTIONS)).toBe(0);
    expect(e.scene.nextUs).toBe(Infinity);
  });

  it("the earliest deadline of a connection counts, and the next one after it", () => {
    const e = opener(V6); // looks for paths after 100 ms
    e.hostData(0, 10);
    e.scene.handover(2, abi.HandoverMode.MAKE_BEFORE_BREAK, 50);
    expect(e.scene.nextUs).toBeLessThanOrEqual(50_100);
    const failed = e.scene.advance(50_100).events.map(({ kind }) => kind);
    expect(failed).toContain("HANDOVER_FAILED");
    expect(e.scene.nextUs).toBeLessThanOrEqual(50_100);
    expect(e.scene.nextUs).toBeGreaterThan(40_000);
  });

  it("nothing is left to do for a connection at rest, nor for one that is gone", () => {
    const e = opener(V6);
    e.scene.advance(1_000_000);
    expect(e.scene.nextUs).toBe(Infinity);
    e.hostData(0, 10);
    e.fromPeer({ acks: 10 });
    expect(e.scene.nextUs).toBeLessThan(1_000); // a DAN pull is armed, on the subflow
    end(e);
    expect(e.scene.nextUs).toBe(Infinity);
  });

  it("a handshake that is finished is not waited for any more", () => {
    const e = listening(V6);
    e.peerSyn();
    e.hostSynAck();
    expect(e.scene.nextUs).toBeLessThan(76_000_000);
    e.peerThirdAck();
    expect(e.scene.nextUs).toBe(Infinity);
  });

  it("a subflow takes its timer along", () => {
    const e = joined("responder", V6);
    e.hostData(0, 10);
    e.fromPeer({ acks: 10 });
    expect(e.scene.nextUs).toBeLessThan(1_000); // its DAN pull
    e.fromPeer({ flags: "RA" }, []);
    expect(e.scene.nextUs).toBeGreaterThan(10_000);
  });
});
