// Where keys come from (docs/CONFORMANCE.md N-105): the pool that the embedder fills from the kernel's CSPRNG, each of
// its octets used once, and never a key whose token another connection has.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { listening } from "../../established.ts";
import * as p from "../../packet.ts";

const POOL_END = abi.ENTROPY + abi.ENTROPY_SIZE;

/** A responder whose next connection finds `octets` at the end of the pool, where it draws from. */
function drawing(octets: number[]) {
  const e = listening();
  const { engine } = e.scene;
  engine.fillEntropy = () => {};
  const fill = (from: number[]) => {
    engine.octets.fill(0x99, abi.ENTROPY, POOL_END);
    engine.octets.set(from, POOL_END - from.length);
    engine.view.setUint32(abi.HEADER + abi.EngineHeader.ENTROPY_COUNT, abi.ENTROPY_SIZE, true);
  };
  fill(octets);
  /** Our key for a connection that the peer opens from `sport`; undefined where it stays plain TCP. */
  const key = (sport: number): bigint | undefined => {
    const tuple = { src: e.host.remote, dst: e.host.local, sport, dport: e.host.localPort };
    e.scene.wire({ ...tuple, flags: "S", seq: 1, options: [p.mss(1460), p.capableSyn()] });
    const { src, dst, dport } = tuple;
    const answer = { src: dst, dst: src, sport: dport, dport: sport, flags: "SA", seq: 1, ack: 2 };
    const { packet } = e.scene.host({ ...answer, options: [p.mss(1460)] });
    return packet && p.option(packet, "mpCapable")?.senderKey;
  };
  return { engine, fill, key };
}

const octets = (value: number, count: number): number[] => new Array<number>(count).fill(value);
const KEY = (value: number): bigint => BigInt(`0x${value.toString(16).repeat(8)}`);

describe("keys", () => {
  it("N-105 are what the pool holds, and what was drawn is gone from it", () => {
    const { engine, key } = drawing([...octets(0x22, 8), ...octets(0x11, 8)]);
    expect([key(1001), key(1002)]).toEqual([KEY(0x11), KEY(0x22)]);
    expect(engine.header(abi.EngineHeader.ENTROPY_COUNT)).toBe(abi.ENTROPY_SIZE - 16);
    expect([...engine.octets.subarray(POOL_END - 16, POOL_END)]).toEqual(octets(0, 16));
  });

  it("N-105 are drawn again where the token is taken: tokens are unique", () => {
    const { fill, key } = drawing(octets(0x11, 8));
    expect(key(1001)).toBe(KEY(0x11));
    fill([...octets(0x22, 8), ...octets(0x11, 24)]);
    expect(key(1002)).toBe(KEY(0x22));
  });

  it("N-105 without entropy there is none, and the connection stays plain TCP", () => {
    const { engine, key } = drawing([]);
    engine.view.setUint32(abi.HEADER + abi.EngineHeader.ENTROPY_COUNT, 0, true);
    expect(key(1001)).toBeUndefined();
  });
});
