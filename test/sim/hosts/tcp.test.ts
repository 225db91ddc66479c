// Two of our TCP hosts back to back over a bad line: what they promise each other without anything in between.

import { describe, expect, it } from "vitest";
import { Random } from "../../model/random.ts";
import { payloadPattern } from "../../packet.ts";
import type { Socket } from "../stack.ts";
import { Application, Line, type LineOptions } from "./line.ts";
import { type TcpSocket, TcpStack, type TcpStackOptions } from "./tcp.ts";

const CLIENT = "10.0.0.1";
const SERVER = "10.0.0.2";

interface Pair {
  line: Line;
  client: TcpSocket;
  server: () => TcpSocket | undefined;
  stacks: [TcpStack, TcpStack];
}

/** A client that opens a connection to a server. */
function pair(seed: number, options: LineOptions = {}, of: Partial<TcpStackOptions>[] = []): Pair {
  const random = new Random(seed);
  const stack = (address: string, i: number) =>
    new TcpStack({ random: new Random(random.bits()), addresses: [address], ...of[i] });
  const stacks: [TcpStack, TcpStack] = [stack(CLIENT, 0), stack(SERVER, 1)];
  const line = new Line(...stacks, random, options);
  let server: Socket | undefined;
  stacks[1].listen({ address: SERVER, port: 80 }, (socket) => {
    server = socket;
  });
  const client = stacks[0].connect({ address: CLIENT, port: 4000 }, { address: SERVER, port: 80 }, 0) as TcpSocket;
  return { line, client, server: () => server as TcpSocket | undefined, stacks };
}

/** Both applications send what they are given and close; checks what came. */
function exchange(of: Pair, there: number, back: number, limitUs = 600_000_000): void {
  const up = payloadPattern(there);
  const down = payloadPattern(back, 77);
  const client = new Application(of.client, up);
  let server: Application | undefined;
  of.line.run(limitUs, () => {
    const socket = of.server();
    if (socket && !server) server = new Application(socket, down);
    client.step();
    server?.step();
    return client.done && server?.done === true;
  });
  expect(server?.octets.equals(up)).toBe(true);
  expect(client.octets.equals(down)).toBe(true);
}

const BAD = { loss: 0.05, duplicate: 0.02, reorder: 0.1 };
const KINDS: [string, Partial<TcpStackOptions>][] = [
  ["with SACK", {}],
  ["without SACK", { sack: false }],
  ["with super-packets", { gso: 8 }],
  ["with short writes", { shortWrites: 0.5 }],
  ["all retransmissions cut anew", { repacketise: 1 }],
  ["its numbers about to wrap", { issNear: 20_000 }],
  ["without tail loss probes, every segment acknowledged", { tailLossProbe: false, delayedAck: false }],
  ["without window scale", { windowScale: -1 }],
  ["with a receive buffer of five segments", { receiveBuffer: 7000 }],
];

describe("two TCP hosts", () => {
  it.each(KINDS)("exchange streams over a bad line %s", (_, options) => {
    for (let seed = 1; seed <= 10; seed++) {
      exchange(pair(seed, BAD, [options, options]), 200_000, 60_000);
    }
  });

  it("are fast on a good one: nothing repeated, no time-out", () => {
    const of = pair(1, {}, [{ repacketise: 0 }]);
    exchange(of, 1_000_000, 0);
    expect(of.client.stats).toMatchObject({ retransmitted: 0, timeouts: 0, fastRecoveries: 0, tailProbes: 0 });
    expect(of.line.nowUs).toBeLessThan(500_000); // eight round trips of slow start
  });
});
