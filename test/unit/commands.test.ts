// Commands of the host: what each does, and with which reason it fails.

import { describe, expect, it } from "vitest";
import * as abi from "../../host/engine/abi.ts";
import { type Established, joined, opener, opening, responder, sent } from "../established.ts";
import * as p from "../packet.ts";
import { type Outcome, Scene } from "../scene.ts";
import { data } from "./forward/cases.ts";

type Fields = Partial<Record<keyof typeof abi.Command, number>>;
const OCTETS = new Set<keyof typeof abi.Command>(["SCOPE", "MODE", "PREFIX4", "PREFIX6"]);

function command(scene: Scene, kind: number, fields: Fields = {}): Outcome {
  return scene.command(kind, (view, at) => {
    for (const [name, value] of Object.entries(fields) as [keyof typeof abi.Command, number][]) {
      if (OCTETS.has(name)) view.setUint8(at + abi.Command[name], value);
      else view.setUint32(at + abi.Command[name], value, true);
    }
  });
}

/** [reason, connections concerned] of the answer to the command. */
function answer(out: Outcome): [string, number] {
  const done = out.events.filter(({ kind }) => kind === "COMMAND_DONE");
  expect(done).toHaveLength(1);
  return [done[0]?.reason as string, done[0]?.value as number];
}

const named = (e: Established): Fields => ({ SCOPE: abi.Scope.CONNECTION, TOKEN: e.ourToken });
const failed = (out: Outcome): string[] =>
  out.events.filter(({ kind }) => kind === "HANDOVER_FAILED").map(({ reason }) => reason);
const { HANDOVER, HANDOVER_AUTO, SUBFLOW_ADD, SUBFLOW_REMOVE, PATH_REMOVE, PATH_SET, CLASS_SET } = abi.CommandKind;

describe("HANDOVER", () => {
  it("names all connections, those of a class, or one", () => {
    for (const fields of [{ SCOPE: abi.Scope.ALL }, { SCOPE: abi.Scope.CLASS, CLASS: 0 }, undefined]) {
      const e = joined("opener");
      const out = command(e.scene, HANDOVER, { PATH: 2, TIMEOUT_MS: 1000, ...(fields ?? named(e)) });
      expect(answer(out)).toEqual(["NONE", 1]);
      expect(out.events).toContainEqual(expect.objectContaining({ kind: "HANDOVER_STARTED", path: 2, value: 1 }));
      expect(e.on(e.flow2, data(sent(e.hostData(0, 10))))).toHaveLength(1);
    }
    const e = joined("opener");
    expect(answer(command(e.scene, HANDOVER, { PATH: 2, SCOPE: abi.Scope.CLASS, CLASS: 5 }))).toEqual(["NONE", 0]);
    expect(e.on(e.initial, data(sent(e.hostData(0, 10))))).toHaveLength(1);
  });

  const down = (e: Established) => e.scene.setPath(2, { address4: e.addresses.host2, flags: 0 });
  const far = (e: Established) => e.scene.setPath(2, { address4: "10.0.2.1" }); // no gateway
  const cases: [string, () => Established, number, (e: Established) => unknown][] = [
    ["NO_PATH", opener, 9, () => {}],
    ["NO_PATH", opener, 0, () => {}],
    ["NO_PATH", opener, 33, () => {}],
    ["PATH_NOT_USABLE", opener, 2, down],
    ["NO_REMOTE_ADDRESS", opener, 2, far],
    ["PEER_OPENS", responder, 2, () => {}],
    ["LIMIT", () => opener({ config: { SUBFLOWS_PER_CONNECTION_MAX: 1 } }), 2, () => {}],
  ];
  it.each(cases)("fails with %s", (reason, connect, path, prepare) => {
    const e = connect();
    prepare(e);
    const one = command(e.scene, HANDOVER, { PATH: path, ...named(e) });
    expect(answer(one)[0]).toBe(reason);
    const all = command(e.scene, HANDOVER, { PATH: path });
    expect(answer(all)).toEqual([reason, 1]);
    expect(failed(all)).toEqual([reason]);
    expect(sent(e.hostData(0, 10))).toHaveLength(1); // nothing has changed for the connection
  });

  it("fails with NO_CONNECTION for an unknown token, with NOT_ESTABLISHED for one in its handshake or reset", () => {
    const e = joined("opener");
    expect(answer(command(e.scene, HANDOVER, { PATH: 2, ...named(e), TOKEN: 1 }))[0]).toBe("NO_CONNECTION");
    e.fromHost({ flags: "RA" });
    expect(answer(command(e.scene, HANDOVER, { PATH: 2, ...named(e) }))[0]).toBe("NOT_ESTABLISHED");
    expect(answer(command(e.scene, HANDOVER, { PATH: 2 }))).toEqual(["NONE", 0]); // not in scope of ALL
    const half = opening();
    const token = half.hostSyn().events[0]?.token as number;
    expect(answer(command(half.scene, HANDOVER, { PATH: 2, ...named(half), TOKEN: token }))[0]).toBe("NOT_ESTABLISHED");
  });

  it("fails with TIMEOUT when the join does not complete in time, and with REPLACED when another one starts", () => {
    const e = opener();
    command(e.scene, HANDOVER, { PATH: 2, TIMEOUT_MS: 500 });
    expect(failed(e.scene.advance(400_000))).toEqual([]);
    expect(failed(e.scene.advance(200_000))).toEqual(["TIMEOUT"]);
    const other = joined("opener");
    other.hostData(0, 10);
    command(other.scene, HANDOVER, { PATH: 2, TIMEOUT_MS: 500 });
    expect(failed(command(other.scene, HANDOVER, { PATH: 1, TIMEOUT_MS: 500 }))).toEqual(["REPLACED"]);
  });

  it("break before make gives the old subflow up first; what would have no way is refused and stays", () => {
    const e = joined("opener");
    const out = e.scene.handover(2, abi.HandoverMode.BREAK_BEFORE_MAKE);
    expect(out.events.map(({ kind, reason }) => [kind, reason])).toContainEqual(["SUBFLOW_CLOSED", "REMOVED"]);
    expect(e.on(e.flow2, data(sent(e.hostData(0, 10))))).toHaveLength(1);
    const r = responder();
    expect(failed(r.scene.handover(2, abi.HandoverMode.BREAK_BEFORE_MAKE))).toEqual(["PEER_OPENS"]);
    const early = opener({ confirmed: false }); // the peer may have fallen back
    expect(failed(early.scene.handover(2, abi.HandoverMode.BREAK_BEFORE_MAKE))).toEqual(["NOT_ESTABLISHED"]);
    for (const one of [r, early]) expect(one.scene.engine.header(abi.EngineHeader.SUBFLOWS)).toBe(1);
  });

  it("pins the path until HANDOVER_AUTO or until the path is lost", () => {
    const e = joined("opener");
    command(e.scene, HANDOVER, { PATH: 2, TIMEOUT_MS: 1000 });
    e.scene.prefer([1]);
    e.scene.setPath(1, { address4: e.addresses.host, flags: 1 });
    expect(e.on(e.flow2, data(sent(e.hostData(0, 10))))).toHaveLength(1);
    expect(answer(command(e.scene, HANDOVER_AUTO))).toEqual(["NONE", 1]);
    expect(e.on(e.initial, data(sent(e.hostData(10, 10))))).toHaveLength(1);
    command(e.scene, HANDOVER, { PATH: 2, TIMEOUT_MS: 1000 });
    e.scene.setPath(2, { address4: e.addresses.host2, flags: 0 });
    expect(e.on(e.initial, data(sent(e.hostData(20, 10))))).toHaveLength(1);
  });
});

describe("SUBFLOW_ADD and SUBFLOW_REMOVE", () => {
  it("SUBFLOW_ADD joins a path once, as backup", () => {
    const e = opener();
    const out = command(e.scene, SUBFLOW_ADD, { PATH: 2, ...named(e) });
    expect(answer(out)).toEqual(["NONE", 1]);
    expect(p.option(out.toWire[0] as p.Packet, "mpJoin")).toMatchObject({ form: "syn", backup: true });
    expect(answer(command(e.scene, SUBFLOW_ADD, { PATH: 2, ...named(e) }))[0]).toBe("EXISTS");
    expect(answer(command(e.scene, SUBFLOW_ADD, { PATH: 1, ...named(e) }))[0]).toBe("EXISTS");
    expect(answer(command(e.scene, SUBFLOW_ADD, { PATH: 7, ...named(e) }))[0]).toBe("NO_PATH");
  });

  it("SUBFLOW_REMOVE resets the subflow, tells the peer, and moves data; the last one stays", () => {
    const e = joined("opener");
    const out = command(e.scene, SUBFLOW_REMOVE, { PATH: 1, ...named(e) });
    expect(answer(out)).toEqual(["NONE", 1]);
    expect(e.on(e.initial, out.toWire).map(({ flags }) => flags)).toEqual(["RA"]);
    const next = e.on(e.flow2, sent(e.hostData(0, 10))); // REMOVE_ADDR is due in the same call
    expect(next.filter(({ payload }) => payload.length > 0)).toHaveLength(1);
    const told = next.flatMap((packet) => p.option(packet, "removeAddr") ?? []);
    expect(told).toEqual([{ kind: "removeAddr", ids: [0] }]);
    expect(answer(command(e.scene, SUBFLOW_REMOVE, { PATH: 2, ...named(e) }))[0]).toBe("NOT_ESTABLISHED");
    expect(answer(command(e.scene, SUBFLOW_REMOVE, { PATH: 1, ...named(e) }))[0]).toBe("NO_PATH");
  });
});

describe("PATH_SET, PATH_REMOVE, CLASS_SET", () => {
  const lost: [string, (e: Established) => Outcome][] = [
    ["goes down", (e) => e.scene.setPath(1, { address4: e.addresses.host, flags: 0 })],
    ["has another address", (e) => e.scene.setPath(1, { address4: "10.0.1.77" })],
    ["is removed", (e) => command(e.scene, PATH_REMOVE, { PATH: 1 })],
  ];
  it.each(lost)("a path that %s loses its subflows, and data moves", (_, change) => {
    const e = joined("opener");
    const out = change(e);
    expect(out.events).toContainEqual(
      expect.objectContaining({ kind: "SUBFLOW_CLOSED", reason: "PATH_DOWN", path: 1 }),
    );
    expect(e.on(e.flow2, data(sent(e.hostData(0, 10))))).toHaveLength(1);
  });

  it("a path that comes up is joined", () => {
    const e = opener({ flags: abi.ConfigFlag.STANDBY });
    e.scene.setPath(2, { address4: e.addresses.host2, flags: 0 });
    for (let i = 0; i < 10; i++) e.scene.advance(100_000);
    const up = e.scene.setPath(2, { address4: e.addresses.host2, flags: abi.PathFlag.UP | abi.PathFlag.GATEWAY4 });
    const joins = [...up.toWire, ...e.scene.advance(64).toWire].flatMap((packet) => p.option(packet, "mpJoin") ?? []);
    expect(joins).toMatchObject([{ form: "syn", token: e.peer.token }]);
  });

  it("a path marked NO_JOIN is not joined in advance", () => {
    const e = opener({ flags: abi.ConfigFlag.STANDBY });
    e.scene.setPath(2, {
      address4: e.addresses.host2,
      flags: abi.PathFlag.UP | abi.PathFlag.GATEWAY4 | abi.PathFlag.NO_JOIN,
    });
    for (let i = 0; i < 20; i++) expect(e.scene.advance(100_000).toWire).toEqual([]);
  });

  it("a path marked as backup carries no data while another one is regular", () => {
    const e = joined("opener");
    const flags = abi.PathFlag.UP | abi.PathFlag.GATEWAY4 | abi.PathFlag.BACKUP;
    e.scene.setPath(1, { address4: e.addresses.host, flags });
    expect(e.on(e.flow2, data(sent(e.hostData(0, 10))))).toHaveLength(1);
  });

  it("are refused for ids that do not exist", () => {
    const scene = new Scene();
    for (const PATH of [0, 33]) expect(answer(command(scene, PATH_SET, { PATH }))[0]).toBe("NO_PATH");
    for (const PATH of [0, 5, 33]) expect(answer(command(scene, PATH_REMOVE, { PATH }))[0]).toBe("NO_PATH");
    expect(answer(command(scene, CLASS_SET, { CLASS: 64 }))[0]).toBe("LIMIT");
    expect(answer(command(scene, CLASS_SET, { CLASS: 63, PREFER_COUNT: 33 }))[0]).toBe("LIMIT");
    expect(answer(command(scene, CLASS_SET, { CLASS: 63, PREFER_COUNT: 32 }))[0]).toBe("NONE");
  });

  it("CLASS_SET changes the order of preference", () => {
    const e = joined("opener");
    e.scene.prefer([2, 1]);
    command(e.scene, HANDOVER_AUTO);
    expect(e.on(e.flow2, data(sent(e.hostData(0, 10))))).toHaveLength(1);
  });
});

describe("other commands", () => {
  it("an unknown kind is answered with NOT_BUILT", () => {
    const scene = new Scene();
    for (const kind of [0, 12, 99]) expect(answer(command(scene, kind))[0]).toBe("NOT_BUILT");
  });

  it("SHUTDOWN resets established connections on both sides and is answered when nothing is left", () => {
    const e = joined("opener");
    const out = command(e.scene, abi.CommandKind.SHUTDOWN);
    expect(out.toHost).toMatchObject([{ flags: "RA", seq: e.tan(0) }]);
    expect(out.toWire.map((packet) => p.option(packet, "mpFastclose")?.kind)).toEqual(["mpFastclose", "mpFastclose"]);
    const events = [...out.events];
    for (let i = 0; i < 100; i++) events.push(...e.scene.advance(100_000).events);
    expect(events.filter(({ kind }) => kind === "COMMAND_DONE")).toMatchObject([{ reason: "NONE", value: 1 }]);
    expect(e.scene.engine.header(abi.EngineHeader.CONNECTIONS)).toBe(0);
  });

  it("TRACE writes a record per packet of the connection, and none after it is off", () => {
    const e = joined("opener");
    const records = () => e.scene.engine.header(abi.EngineHeader.TRACE_COUNT);
    e.hostData(0, 10);
    expect(records()).toBe(0);
    command(e.scene, abi.CommandKind.TRACE, { MODE: 1 });
    e.hostData(10, 10);
    expect(records()).toBe(1);
    const { view } = e.scene.engine;
    expect(view.getBigUint64(abi.TRACE + abi.TraceRecord.DSN, true)).toBe(10n);
    expect(view.getUint32(abi.TRACE + abi.TraceRecord.SSN, true)).toBe(11);
    expect(view.getUint32(abi.TRACE + abi.TraceRecord.LENGTH, true)).toBe(10);
    command(e.scene, abi.CommandKind.TRACE, { MODE: 0 });
    e.hostData(20, 10);
    expect(records()).toBe(0);
  });
});

it("carries out 32 paths in one call, more than there are places for sweeps", () => {
  const scene = new Scene();
  const { view, octets, exports } = scene.engine;
  octets.fill(0, abi.COMMANDS, abi.COMMANDS + 32 * abi.COMMAND_SIZE);
  for (let i = 0; i < 32; i++) {
    const at = abi.COMMANDS + i * abi.COMMAND_SIZE;
    view.setUint32(at + abi.Command.ID, i + 1, true);
    view.setUint16(at + abi.Command.KIND, PATH_SET, true);
    view.setUint32(at + abi.Command.PATH, i + 1, true);
    view.setUint32(at + abi.Command.FLAGS, abi.PathFlag.UP, true);
  }
  expect(exports.command?.(32)).toBe(abi.Status.OK);
  const answers = scene.advance(0).events.filter(({ kind }) => kind === "COMMAND_DONE");
  expect(answers.map(({ reason }) => reason)).toEqual(Array(32).fill("NONE"));
  expect(new Set(answers.map(({ commandId }) => commandId)).size).toBe(32);
});
