// A fresh engine ends what a dead one left behind. The dead one's slabs are copied as the addon copies them.

import { describe, expect, it } from "vitest";
import * as abi from "../../host/engine/abi.ts";
import { opener } from "../established.ts";
import { decode, type Packet } from "../packet.ts";
import { Scene } from "../scene.ts";

/** Packets in the outbox, with their direction. */
function outbox(scene: Scene): { direction: number; packet: Packet }[] {
  const { view, octets } = scene.engine;
  return Array.from({ length: scene.engine.header(abi.EngineHeader.OUTBOX_COUNT) }, (_, i) => {
    const entry = abi.OUTBOX + i * abi.OUTBOX_ENTRY_SIZE;
    const from = view.getUint32(entry + abi.OutboxEntry.OFFSET, true);
    const length = view.getUint32(entry + abi.OutboxEntry.LENGTH, true);
    const direction = view.getUint32(entry + abi.OutboxEntry.DIRECTION, true);
    return { direction, packet: decode(octets.slice(from, from + length)) };
  });
}

function inherit(fresh: Scene, dead: Scene): void {
  const end = dead.engine.header(abi.EngineHeader.SLABS_END);
  expect(fresh.engine.header(abi.EngineHeader.SLABS_END)).toBe(end);
  fresh.engine.octets.set(dead.engine.octets.subarray(abi.SLABS_START, end), abi.SLABS_START);
}

describe("salvage", () => {
  it("ends an established connection on both sides and leaves an empty engine", () => {
    const dead = opener();
    const fresh = new Scene({ seed: 99 });
    inherit(fresh, dead.scene);
    expect(fresh.engine.exports.salvage?.()).toBe(abi.Status.OK);
    const made = outbox(fresh);
    const toHost = made.filter(({ direction }) => direction === abi.Direction.HOST);
    const toWire = made.filter(({ direction }) => direction === abi.Direction.WIRE);
    expect(toHost.map(({ packet }) => packet.flags)).toEqual(["RA"]);
    expect(toWire.map(({ packet }) => packet.options.map(({ kind }) => kind))).toEqual([["mpFastclose"]]);
    expect(fresh.engine.header(abi.EngineHeader.CONNECTIONS)).toBe(0);
    expect(fresh.engine.header(abi.EngineHeader.SUBFLOWS)).toBe(0);
    expect(fresh.advance(1_000_000).toWire).toEqual([]);
  });

  it("has nothing to say for a dead engine without connections", () => {
    const fresh = new Scene({ seed: 99 });
    inherit(fresh, new Scene());
    expect(fresh.engine.exports.salvage?.()).toBe(abi.Status.OK);
    expect(outbox(fresh)).toEqual([]);
  });
});
