// The snapshot, page by page.

import { describe, expect, it } from "vitest";
import * as abi from "../../host/engine/abi.ts";
import { joined } from "../established.ts";
import { mappedAddress } from "../packet.ts";
import { Scene } from "../scene.ts";
import type { Engine } from "../wasm.ts";

const { SNAPSHOT_RECORD_SIZE, SNAPSHOT_SIZE, SnapshotKind } = abi;

/** Kinds of the records of each page. */
function pages(engine: Engine): number[][] {
  const all: number[][] = [];
  let cursor = 0;
  do {
    expect(engine.exports.snapshot?.(cursor)).toBe(abi.Status.OK);
    const length = engine.header(abi.EngineHeader.SNAPSHOT_LENGTH);
    expect(length % SNAPSHOT_RECORD_SIZE).toBe(0);
    expect(length).toBeLessThanOrEqual(SNAPSHOT_SIZE);
    const records = length / SNAPSHOT_RECORD_SIZE;
    all.push(
      Array.from({ length: records }, (_, i) => engine.view.getUint16(abi.SNAPSHOT + i * SNAPSHOT_RECORD_SIZE, true)),
    );
    cursor = engine.header(abi.EngineHeader.SNAPSHOT_NEXT);
  } while (cursor !== 0);
  return all;
}

describe("snapshot", () => {
  it("names paths, then each connection with its subflows behind it", () => {
    const e = joined("opener");
    e.hostData(0, 100);
    expect(pages(e.scene.engine)).toEqual([
      [SnapshotKind.PATH, SnapshotKind.PATH, SnapshotKind.CONNECTION, SnapshotKind.SUBFLOW, SnapshotKind.SUBFLOW],
    ]);
    const { view, octets } = e.scene.engine;
    const connection = abi.SNAPSHOT + 2 * SNAPSHOT_RECORD_SIZE;
    const { TOKEN, PEER_TOKEN, ACTIVE_PATH, SUBFLOWS, OPENER, LOCAL, LOCAL_PORT, STATE } = abi.SnapshotConnection;
    const u32 = (at: number) => view.getUint32(at, true);
    expect([TOKEN, PEER_TOKEN, ACTIVE_PATH, SUBFLOWS].map((field) => u32(connection + field))).toEqual([
      e.ourToken,
      e.peer.token,
      1,
      2,
    ]);
    expect(view.getUint16(connection + STATE, true)).toBe(abi.ConnectionState.M_ESTAB);
    expect([view.getUint8(connection + OPENER), view.getUint16(connection + LOCAL_PORT, true)]).toEqual([1, 40000]);
    expect(octets.slice(connection + LOCAL, connection + LOCAL + 16)).toEqual(mappedAddress(e.addresses.host));
    expect(view.getBigUint64(connection + abi.SnapshotConnection.BYTES_UNACKED, true)).toBe(100n);
    const [first, second] = [3, 4].map((i) => u32(abi.SNAPSHOT + i * SNAPSHOT_RECORD_SIZE + abi.SnapshotSubflow.FLAGS));
    const { ACTIVE, INITIAL, OPENER: OPENED, BACKUP } = abi.SubflowFlag;
    expect([first, second]).toEqual([ACTIVE | INITIAL | OPENED, OPENED | BACKUP]);
  });

  it("tells a silent subflow, and one with a hole, from sound ones", () => {
    const e = joined("opener");
    const { STALE, POISONED } = abi.SubflowFlag;
    const marks = () => {
      pages(e.scene.engine);
      const flags = [3, 4].map((i) => abi.SNAPSHOT + i * SNAPSHOT_RECORD_SIZE + abi.SnapshotSubflow.FLAGS);
      return flags.map((at) => e.scene.engine.view.getUint32(at, true) & (STALE | POISONED));
    };
    expect(marks()).toEqual([0, 0]);
    e.hostData(0, 1000);
    e.scene.advance(2_000_000); // nobody answers
    e.hostData(0, 1000); // the first octet moves to the other subflow
    expect(marks()).toEqual([STALE, 0]);
    e.fromPeer({ flow: e.flow2, acks: 1000 }, [e.dataAck(1000)]); // and is acknowledged there
    e.fromPeer({ acks: 0 }, [e.dataAck(1000)]); // the first one is heard: it never got that octet
    expect(marks()).toEqual([POISONED, 0]);
  });

  it("is cut between connections, and the pages together name each once", () => {
    const connections = 1500;
    const config = { HALF_OPEN_MAX: connections };
    const scene = new Scene({
      paths: [{ address4: "10.0.1.1" }],
      connections,
      subflows: connections,
      runs: connections,
      config,
    });
    for (let i = 0; i < connections; i++) {
      scene.host({ src: "10.0.1.1", dst: "10.0.1.2", sport: 2000 + i, dport: 80, flags: "S", seq: i });
    }
    const all = pages(scene.engine);
    expect(all.length).toBeGreaterThan(3);
    expect(all.flat().filter((kind) => kind === SnapshotKind.CONNECTION)).toHaveLength(connections);
    for (const page of all.slice(1)) expect(page[0]).toBe(SnapshotKind.CONNECTION);
  });

  it("a sweep over more connections than one step looks at goes on in the next calls; then it is answered once", () => {
    const connections = 600;
    const config = { HALF_OPEN_MAX: connections };
    const scene = new Scene({
      paths: [{ address4: "10.0.1.1" }],
      connections,
      subflows: connections,
      runs: connections,
      config,
    });
    for (let i = 0; i < connections; i++) {
      scene.host({ src: "10.0.1.1", dst: "10.0.1.2", sport: 2000 + i, dport: 80, flags: "S", seq: i });
    }
    const trace = (mode: number) =>
      scene.command(abi.CommandKind.TRACE, (view, at) => view.setUint8(at + abi.Command.MODE, mode));
    expect(trace(1).events).toEqual([]);
    expect(scene.nextUs).toBe(0); // it wants to be called again at once
    expect(scene.advance(1).events).toEqual([]);
    expect(scene.advance(1).events).toMatchObject([{ kind: "COMMAND_DONE", reason: "NONE", value: connections }]);
    expect(scene.nextUs).toBeGreaterThan(0);
    // 16 sweeps may be under way; for the 17th one of them is finished.
    const answers = Array.from({ length: 17 }, () => trace(0).events);
    expect(answers.flat().length).toBeGreaterThan(0);
  });
});
