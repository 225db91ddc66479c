// A native MPTCP host and, at the other end, a TCP host behind the engine: the smallest run in which our engine has a
// strict peer. The simulator's scenarios do the same with everything that can go wrong.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { Random } from "../../model/random.ts";
import { Application, type Plan, streamOctets } from "../application.ts";
import { Machine } from "../machine.ts";
import { addressOf, CALM, type Side } from "../network.ts";
import { type Observer, World } from "../world.ts";
import { MptcpStack, type MptcpStackOptions } from "./mptcp.ts";
import type { MptcpConnection } from "./mptcp-connection.ts";
import { TcpStack } from "./tcp.ts";

const OCTETS: Record<Side, number> = { a: 120_000, b: 40_000 };
const UP = abi.PathFlag.UP | abi.PathFlag.GATEWAY4;
const NOBODY: Observer = { stackSends() {}, stackGets() {}, wireOut() {}, wireIn() {}, event() {}, tables() {} };
/** A few octets first, so that the second subflow can join, then the rest. */
const plan = (octets: number): Plan => ({
  bursts: [
    { octets: 2_000, pauseUs: 0 },
    { octets: octets - 2_000, pauseUs: 150_000 },
  ],
  readOctets: 0,
  readEveryUs: 0,
  deafFromUs: Infinity,
  deafUntilUs: 0,
  close: "atOnce",
  abortAfterUs: 0,
});

/** Both ends send and close; the native end's connection when all is over. */
function transfer(engineSide: Side, seed: number, native: Partial<MptcpStackOptions>, handover: boolean) {
  const random = new Random(seed);
  const paths = [1, 2];
  const machine = (side: Side) => {
    const options = { random: new Random(random.bits()), addresses: paths.map((k) => addressOf(side, k)) };
    if (side !== engineSide) return new Machine(new MptcpStack({ ...options, ...native }), true);
    const engine = {
      seed: random.bits(),
      prefer: paths,
      paths: paths.map((k) => ({ address4: addressOf(side, k), flags: UP })),
    };
    return new Machine(new TcpStack(options), false, { connections: 4, subflows: 16, runs: 500, ...engine });
  };
  const world = new World(random, { a: machine("a"), b: machine("b") }, paths.length, NOBODY);
  for (const link of world.network.all) link.conditions = { ...CALM, delayUs: 10_000 };
  const [up, down] = [streamOctets(OCTETS.a, 1), streamOctets(OCTETS.b, 2)];
  const { a, b } = world.machines;
  b.stack.listen({ address: addressOf("b", 1), port: 80 }, (socket) => {
    world.applications.b.push(new Application(socket, plan(OCTETS.b), down, up, world.nowUs));
  });
  const [local, remote] = [
    { address: addressOf("a", 1), port: 4000 },
    { address: addressOf("b", 1), port: 80 },
  ];
  const client = a.stack.connect(local, remote, world.nowUs);
  world.applications.a.push(new Application(client, plan(OCTETS.a), up, down, world.nowUs));
  world.react("a");
  if (handover)
    world.schedule(world.nowUs + 180_000, () => world.command(engineSide, "handover", (e) => e.handover(2)));
  const both = () => [...world.applications.a, ...world.applications.b];
  let subflows = 0;
  world.run(world.nowUs + 60_000_000, () => {
    for (const { socket } of both()) {
      if ("subflows" in socket) subflows = Math.max(subflows, (socket as MptcpConnection).subflows.length);
    }
    return both().length === 2 && both().every(({ over }) => over);
  });
  expect(both().map(({ received }) => received)).toEqual([OCTETS.b, OCTETS.a]);
  const end = both().find(({ socket }) => "subflows" in socket);
  return { native: end?.socket as MptcpConnection, subflows };
}

const KINDS: [string, Partial<MptcpStackOptions>][] = [
  ["as Linux sends", {}],
  ["with short numbers", { dsnOctets: 4, danOctets: 4 }],
  ["with maps over many packets", { bulk: 6, gso: 4 }],
  ["with the DSS on the first of many", { bulk: 6, dssOnFirst: 1 }],
  ["with DATA_ACKs that lag", { backlog: 0.3 }],
  ["with a small window", { receiveBuffer: 12_000 }],
  ["by turns on both subflows", { burst: 1 }],
  ["with numbers about to wrap", { issNear: 30_000 }],
  ["with checksums", { checksum: true }],
  ["with checksums and maps over many packets", { checksum: true, bulk: 6, gso: 4 }],
];

describe.each(["a", "b"] as const)("the engine at %s, a native peer opposite", (engineSide) => {
  it.each(KINDS)("exchanges streams %s", (_, options) => {
    for (const handover of [false, true]) {
      const { native, subflows } = transfer(engineSide, 1, options, handover);
      expect(native.fallbackReasons).toEqual([]);
      expect(native.state).toBe("closed");
      expect(subflows).toBeGreaterThan(1);
    }
  });
});
