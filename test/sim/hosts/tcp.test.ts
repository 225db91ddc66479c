// Two of our TCP hosts back to back over a bad line: what they promise each other without anything in between.

import { describe, expect, it } from "vitest";
import { Random } from "../../model/random.ts";
import { decode, type Packet, payloadPattern } from "../../packet.ts";
import type { Socket } from "../stack.ts";
import { Application, Line, type LineOptions } from "./line.ts";
import { type TcpSocket, TcpStack, type TcpStackOptions } from "./tcp.ts";

interface Pair {
  line: Line;
  client: TcpSocket;
  server: () => TcpSocket;
  /** What was sent, by whom. */
  sent: { p: Packet; byClient: boolean; atUs: number; gsoSize: number }[];
}

interface PairOptions extends LineOptions {
  client?: Partial<TcpStackOptions>;
  server?: Partial<TcpStackOptions>;
  family?: 4 | 6;
}

/** A client that opens a connection to a server. `tap` sees packets before they are lost. */
function pair(seed: number, options: PairOptions = {}): Pair {
  const random = new Random(seed);
  const [here, there] = options.family === 6 ? ["fd00::1", "fd00::2"] : ["10.0.0.1", "10.0.0.2"];
  const stack = (address: string, own: Partial<TcpStackOptions> = {}) =>
    new TcpStack({ random: new Random(random.bits()), addresses: [address], ...own });
  const stacks = [stack(here, options.client), stack(there, options.server)] as const;
  const sent: Pair["sent"] = [];
  const tap: LineOptions["tap"] = (packet, byClient, atUs) => {
    sent.push({ p: decode(packet.octets), byClient, atUs, gsoSize: packet.gsoSize });
    return options.tap?.(packet, byClient, atUs) ?? true;
  };
  const line = new Line(...stacks, random, { ...options, tap });
  let server: Socket | undefined;
  stacks[1].listen({ address: there, port: 80 }, (socket) => {
    server = socket;
  });
  const client = stacks[0].connect({ address: here, port: 4000 }, { address: there, port: 80 }, 0);
  return { line, client: client as TcpSocket, server: () => server as TcpSocket, sent };
}

/** Both applications send what they are given and close; checks what came. */
function exchange(of: Pair, there: number, back: number): void {
  const up = payloadPattern(there);
  const down = payloadPattern(back, 77);
  const client = new Application(of.client, up);
  let server: Application | undefined;
  of.line.run(600_000_000, () => {
    const socket = of.server();
    if (socket && !server) server = new Application(socket, down);
    client.step();
    server?.step();
    return client.done && server?.done === true;
  });
  expect(server?.octets.equals(up)).toBe(true);
  expect(client.octets.equals(down)).toBe(true);
}

/** Lets the handshake pass. */
function opened(of: Pair): Pair {
  of.line.wait(100_000);
  expect([of.client.state, of.server().state]).toEqual(["open", "open"]);
  return of;
}

const BAD = { loss: 0.05, duplicate: 0.02, reorder: 0.1 };
const KINDS: [string, Partial<TcpStackOptions>][] = [
  ["with SACK", {}],
  ["without SACK", { sack: false }],
  ["with super-packets", { gso: 8 }],
  ["with short writes", { shortWrites: 0.5 }],
  ["all retransmissions cut anew", { repacketise: 1, gso: 4 }],
  ["its numbers about to wrap", { issNear: 20_000 }],
  ["without tail loss probes, every segment acknowledged", { tailLossProbe: false, delayedAck: false }],
  ["without window scale", { windowScale: -1 }],
  ["with a receive buffer of five segments", { receiveBuffer: 7000 }],
];

describe("two TCP hosts", () => {
  it.each(KINDS)("exchange streams over a bad line %s", (_, options) => {
    for (let seed = 1; seed <= 5; seed++) {
      exchange(pair(seed, { ...BAD, client: options, server: options }), 200_000, 60_000);
    }
  });

  it("exchange streams over IPv6", () => {
    exchange(pair(1, { ...BAD, family: 6 }), 100_000, 60_000);
  });

  it("agree on SACK only if both want it", () => {
    const of = pair(1, { ...BAD, client: { sack: false } });
    exchange(of, 100_000, 100_000);
    expect(of.sent.filter(({ p }) => p.options.some(({ kind }) => kind === "sack"))).toEqual([]);
    expect(of.sent[1]?.p.options.map(({ kind }) => kind)).not.toContain("sackOk");
  });

  it("are fast on a good line: nothing repeated, no time-out", () => {
    const of = pair(1);
    exchange(of, 1_000_000, 0);
    expect(of.client.stats).toMatchObject({ retransmitted: 0, timeouts: 0, fastRecoveries: 0, tailProbes: 0 });
    expect(of.line.nowUs).toBeLessThan(500_000);
  });

  it.each([
    ["with SACK", { repacketise: 0 }],
    ["without", { repacketise: 0, sack: false }],
  ])("repair a single loss without a time-out %s", (_, client) => {
    let segments = 0;
    const of = pair(1, { client, tap: ({ octets }, up) => !up || octets.length < 1000 || ++segments !== 20 });
    exchange(of, 300_000, 0);
    expect(of.client.stats).toMatchObject({ timeouts: 0, fastRecoveries: 1, retransmitted: 1 });
  });

  it("sends a new segment on each of the first duplicates (limited transmit)", () => {
    let segments = 0;
    const of = pair(1, {
      client: { sack: false },
      tap: ({ octets }, up) => !up || octets.length < 1000 || ++segments !== 1,
    });
    exchange(of, 4 * 1460, 0);
    expect(of.client.stats.timeouts + of.client.stats.fastRecoveries).toBe(1);
  });

  it("probes for a lost tail instead of a time-out", () => {
    let segments = 0;
    const of = opened(pair(1, { tap: ({ octets }, up) => !up || octets.length < 1000 || ++segments !== 5 }));
    const startUs = of.line.nowUs;
    of.client.write(payloadPattern(5 * 1460));
    of.line.run(10_000_000, () => of.client.drained);
    expect(of.client.stats).toMatchObject({ tailProbes: 1, timeouts: 0 });
    expect(of.line.nowUs - startUs).toBeLessThan(300_000);
  });

  it("delays ACKs: one for two segments, after 40 ms for one that stays alone", () => {
    const of = opened(pair(1));
    of.client.write(payloadPattern(40 * 1460));
    of.line.run(10_000_000, () => of.client.drained);
    const before = of.sent.length;
    of.client.write(payloadPattern(30 * 1460));
    of.line.run(10_000_000, () => of.client.drained);
    const acks = of.sent.slice(before).filter(({ byClient }) => !byClient);
    expect(acks.length).toBe(15);
    of.client.write(payloadPattern(10));
    const startUs = of.line.nowUs;
    of.line.run(10_000_000, () => of.client.drained);
    expect(of.line.nowUs - startUs).toBe(60_000);
  });

  it("make super-packets of full segments", () => {
    const of = pair(1, { client: { gso: 8 } });
    exchange(of, 200_000, 0);
    const runs = of.sent.filter(({ gsoSize }) => gsoSize > 0);
    expect(runs.length).toBeGreaterThan(5);
    for (const { p, gsoSize } of runs) {
      expect(gsoSize).toBe(1460);
      expect(p.payload.length).toBeGreaterThan(1460);
      expect(p.payload.length).toBeLessThanOrEqual(8 * 1460);
    }
  });

  it("repeat a lost SYN and a lost SYN/ACK", () => {
    let syns = 0;
    const of = pair(3, { tap: ({ octets }) => !decode(octets).flags.startsWith("S") || ++syns > 3 });
    exchange(of, 1000, 1000);
    expect(syns).toBeGreaterThan(3);
  });

  it("send data with the ACK that opens, or an empty one first", () => {
    const third = [1, 2, 3, 4, 5, 6, 7, 8].map((seed) => {
      const of = pair(seed);
      of.client.write(payloadPattern(100));
      of.line.wait(100_000);
      return of.sent[2]?.p.payload.length;
    });
    expect(new Set(third)).toEqual(new Set([0, 100]));
  });
});

describe("a TCP host whose application does not read", () => {
  it("closes its window; the sender probes, and goes on when it opens", () => {
    const of = opened(pair(1, { server: { receiveBuffer: 20_000 } }));
    of.client.write(payloadPattern(100_000));
    of.line.wait(10_000_000);
    expect(of.sent.at(-1)).toMatchObject({ byClient: false, p: { win: 0 } });
    expect(of.client.stats.windowProbes).toBeGreaterThan(2);
    expect(of.client.stats).toMatchObject({ timeouts: 0, retransmitted: 0 });
    const startUs = of.line.nowUs;
    const read: Uint8Array[] = [];
    of.line.run(of.line.nowUs + 1_000_000, () => {
      read.push(of.server().read());
      return of.client.drained;
    });
    read.push(of.server().read());
    expect(Buffer.concat(read).equals(payloadPattern(100_000))).toBe(true);
    expect(of.line.nowUs - startUs).toBeLessThan(300_000); // the window update is not lost: no probe was waited for
  });

  it("opens it in steps worth a segment", () => {
    const of = opened(pair(1, { server: { receiveBuffer: 20_000 } }));
    of.client.write(payloadPattern(100_000));
    of.line.wait(1_000_000);
    const before = of.sent.length;
    of.server().read(1000);
    of.line.wait(100_000);
    expect(of.sent.slice(before).filter(({ byClient }) => !byClient)).toEqual([]);
    of.server().read(2000);
    of.line.wait(100_000);
    expect(of.sent.slice(before).some(({ p, byClient }) => byClient && p.payload.length > 0)).toBe(true);
  });

  it("loses nothing if the update is lost: the probe finds the window open", () => {
    let deaf = false;
    const of = opened(pair(1, { server: { receiveBuffer: 20_000 }, tap: (_, up) => up || !deaf }));
    of.client.write(payloadPattern(30_000));
    of.line.wait(1_000_000);
    deaf = true;
    of.server().read();
    of.line.wait(1);
    deaf = false;
    of.line.run(30_000_000, () => {
      of.server().read();
      return of.client.drained;
    });
  });
});
