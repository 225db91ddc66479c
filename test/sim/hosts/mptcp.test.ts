// Two native MPTCP hosts, two paths between them: what they do, and what they refuse of each other.

import { describe, expect, it } from "vitest";
import { Random } from "../../model/random.ts";
import { type Dss, decode, type Option, option, type Packet, packet, payloadPattern } from "../../packet.ts";
import type { Emitted, Socket, Stack } from "../stack.ts";
import { Application, Line, type LineOptions } from "./line.ts";
import { MptcpStack, type MptcpStackOptions } from "./mptcp.ts";
import type { MptcpConnection } from "./mptcp-connection.ts";
import { TcpStack } from "./tcp.ts";

interface PairOptions extends LineOptions {
  client?: Partial<MptcpStackOptions>;
  server?: Partial<MptcpStackOptions>;
  /** This end is a plain TCP host. */
  plain?: "client" | "server";
  family?: 4 | 6;
}

const ADDRESSES = {
  4: { client: ["10.0.1.1", "10.0.2.1"], server: ["10.0.1.2", "10.0.2.2"] },
  6: { client: ["fd00:1::1", "fd00:2::1"], server: ["fd00:1::2", "fd00:2::2"] },
};

class Pair {
  readonly stacks: [Stack, Stack];
  readonly line: Line;
  readonly client: MptcpConnection;
  server!: MptcpConnection;
  readonly sent: { p: Packet; byClient: boolean }[] = [];
  /** Changes or loses a packet on its way. */
  onWire: (p: Packet, byClient: boolean) => Packet | undefined = (p) => p;

  constructor(seed: number, options: PairOptions = {}) {
    const random = new Random(seed);
    const host = (end: "client" | "server", addresses: string[]) => {
      const own = { random: new Random(random.bits()), addresses, ...options[end] };
      return options.plain === end ? new TcpStack(own) : new MptcpStack(own);
    };
    const { client, server } = ADDRESSES[options.family ?? 4];
    this.stacks = [host("client", client), host("server", server)];
    this.line = new Line(...this.stacks, random, { ...options, tap: (emitted, up) => this.tap(emitted, up) });
    const [local, remote] = [
      { address: client[0] ?? "", port: 4000 },
      { address: server[0] ?? "", port: 80 },
    ];
    this.stacks[1].listen(remote, (socket) => {
      this.server = socket as MptcpConnection;
    });
    this.client = this.stacks[0].connect(local, remote, 0) as MptcpConnection;
  }

  private tap(emitted: Emitted, byClient: boolean): boolean {
    const p = decode(emitted.octets);
    this.sent.push({ p, byClient });
    const changed = this.onWire(p, byClient);
    if (changed !== undefined && changed !== p) emitted.octets = packet({ ...changed, checksum: "good" });
    return changed !== undefined;
  }

  /** A few octets each way, until all subflows stand. */
  warm(): this {
    this.client.write(payloadPattern(100));
    this.line.wait(200_000, () => {
      if (this.server?.read().length) this.server.write(payloadPattern(50));
      this.client.read();
    });
    return this;
  }

  /** Both write and close; checks what came. */
  exchange(there: number, back: number, limitUs = 600_000_000): void {
    const [up, down] = [payloadPattern(there, 7), payloadPattern(back, 77)];
    const client = new Application(this.client, up);
    let server: Application | undefined;
    this.line.run(limitUs, () => {
      const socket: Socket | undefined = this.server;
      if (socket && !server) server = new Application(socket, down);
      client.step();
      server?.step();
      return client.done && server?.done === true;
    });
    expect(server?.octets.equals(up)).toBe(true);
    expect(client.octets.equals(down)).toBe(true);
  }

  /** Octets of payload that left from an address. */
  carried(address: string): number {
    return this.sent.reduce((sum, { p }) => sum + (p.src === address ? p.payload.length : 0), 0);
  }
}

const without = (p: Packet, kinds: Option["kind"][]): Packet => ({
  ...p,
  options: p.options.filter(({ kind }) => !kinds.includes(kind)),
});
/** `p` with another DSS. */
const withDss = (p: Packet, change: (dss: Dss) => Dss): Packet => ({
  ...p,
  options: p.options.map((o) => (o.kind === "dss" ? change(o) : o)),
});

const BAD = { loss: 0.03, duplicate: 0.02, reorder: 0.1 };
const KINDS: [string, Partial<MptcpStackOptions>][] = [
  ["as Linux sends", {}],
  ["with short numbers", { dsnOctets: 4, danOctets: 4 }],
  ["with maps over many packets", { bulk: 8, gso: 6 }],
  ["with the DSS on the first of many", { bulk: 8, dssOnFirst: 1 }],
  ["with DATA_ACKs that lag", { backlog: 0.5, backlogUs: 8_000 }],
  ["with data that is acknowledged and thrown away", { dropAtData: 0.01 }],
  ["with a small window", { receiveBuffer: 9_000 }],
  ["without SACK", { sack: false }],
  ["the first subflow for all", { spread: false }],
  ["with numbers about to wrap", { issNear: 30_000 }],
  ["everything cut anew", { shortWrites: 0.5, bulk: 4, repacketise: 1 }],
  ["with checksums", { checksum: true }],
  ["with checksums and maps over many packets", { checksum: true, bulk: 8, gso: 6, dssOnFirst: 0.5 }],
];

describe("two MPTCP hosts", () => {
  it.each(KINDS)("exchange streams over a bad line %s", (_, options) => {
    for (let seed = 1; seed <= 4; seed++) {
      new Pair(seed, { ...BAD, client: options, server: options }).warm().exchange(150_000, 50_000);
    }
  });

  it("exchange streams over IPv6, joined by announced addresses", () => {
    const of = new Pair(1, { ...BAD, family: 6, client: { autoJoin: false }, server: { announce: true } }).warm();
    of.exchange(150_000, 50_000);
    expect(of.carried("fd00:2::1")).toBeGreaterThan(10_000);
  });

  it("use both paths at once, or the first only", () => {
    const both = new Pair(1).warm();
    both.exchange(300_000, 0);
    expect(both.carried("10.0.2.1")).toBeGreaterThan(100_000);
    const first = new Pair(1, { client: { spread: false } }).warm();
    first.exchange(300_000, 0);
    expect(first.carried("10.0.2.1")).toBe(0);
  });

  it("obey MP_PRIO, or do not", () => {
    for (const obeyPriority of [true, false]) {
      const of = new Pair(1, { server: { obeyPriority } }).warm();
      of.client.prioritise("10.0.2.1", true);
      of.line.wait(50_000);
      const before = of.sent.length;
      of.exchange(0, 300_000);
      const there = of.sent.slice(before).filter(({ p }) => p.dst === "10.0.2.1" && p.payload.length > 0);
      expect(there.length > 0).toBe(!obeyPriority);
    }
  });

  it("go on when a path dies without a word, and use it again when it is back", () => {
    const of = new Pair(1).warm();
    of.onWire = (p) => (p.src === "10.0.1.1" || p.dst === "10.0.1.1" ? undefined : p);
    of.client.write(payloadPattern(200_000));
    const startUs = of.line.nowUs;
    of.line.run(60_000_000, () => {
      of.server.read();
      return of.client.drained;
    });
    expect(of.client.snd.stats).toMatchObject({ stale: 1 });
    expect(of.line.nowUs - startUs).toBeLessThan(5_000_000); // one segment per period would take longer
    of.onWire = (p) => p;
    of.line.wait(20_000_000);
    expect(of.client.subflows.map(({ stale }) => stale)).toEqual([false, false]);
  });

  it("tell of an address that goes, and join from it when it comes back", () => {
    const of = new Pair(1).warm();
    (of.stacks[0] as MptcpStack).loseAddress("10.0.1.1");
    of.line.wait(100_000);
    const removed = of.sent.filter(({ p }) => option(p, "removeAddr"));
    expect(removed.map(({ p }) => [p.src, option(p, "removeAddr")?.ids])).toEqual([["10.0.2.1", [0]]]);
    expect(of.server.subflows.filter(({ usable }) => usable)).toHaveLength(1);
    (of.stacks[0] as MptcpStack).gainAddress("10.0.1.1", of.line.nowUs);
    of.line.wait(100_000);
    expect(of.client.subflows.filter(({ usable }) => usable)).toHaveLength(2);
    of.exchange(50_000, 50_000);
  });

  it("announce addresses until they hear the echo, and join to them", () => {
    const options = { client: { autoJoin: false }, server: { announce: true } };
    const of = new Pair(1, options);
    let lost = 0;
    of.onWire = (p) => (option(p, "addAddr")?.echo && lost++ === 0 ? undefined : p);
    of.warm();
    of.line.wait(5_000_000);
    const announced = of.sent.filter(({ p, byClient }) => !byClient && option(p, "addAddr"));
    expect(announced).toHaveLength(2);
    expect(of.client.subflows.map(({ connection }) => connection.tuple.remote)).toEqual(["10.0.1.2", "10.0.2.2"]);
    of.exchange(50_000, 50_000);
  });

  it("live on without a subflow for a minute", () => {
    const of = new Pair(1).warm();
    for (const { connection } of [...of.client.subflows]) connection.reset();
    of.line.wait(59_000_000);
    expect([of.client.state, of.server.state]).toEqual(["open", "open"]);
    (of.stacks[0] as MptcpStack).gainAddress("10.0.2.1", of.line.nowUs);
    of.line.wait(2_000_000);
    of.exchange(10_000, 10_000);
    const other = new Pair(1).warm();
    for (const { connection } of [...other.client.subflows]) connection.reset();
    other.line.wait(61_000_000);
    expect([other.client.state, other.server.state]).toEqual(["reset", "reset"]);
  });

  it("abort with MP_FASTCLOSE on every subflow", () => {
    const of = new Pair(1).warm();
    const before = of.sent.length;
    of.client.abort();
    of.line.wait(50_000);
    expect(of.server.state).toBe("reset");
    expect(of.sent.slice(before).filter(({ p }) => option(p, "mpFastclose"))).toHaveLength(2);
  });

  it("probe a window that is closed, with an octet that the peer has", () => {
    const of = new Pair(1, { server: { receiveBuffer: 20_000 } }).warm();
    of.client.write(payloadPattern(100_000));
    of.line.wait(5_000_000);
    expect(of.client.snd.stats.windowProbes).toBeGreaterThan(1);
    of.line.run(60_000_000, () => {
      of.server.read();
      return of.client.drained;
    });
  });

  it("close with DATA_FINs, then with FINs", () => {
    const of = new Pair(1).warm();
    const before = of.sent.length;
    of.exchange(1000, 1000);
    of.line.wait(1_000_000);
    const sent = of.sent.slice(before).map(({ p }) => p);
    const lastDataFin = sent.findLastIndex((p) => option(p, "dss")?.fin);
    const firstFin = sent.findIndex(({ flags }) => flags.includes("F"));
    expect(lastDataFin).toBeGreaterThan(0);
    expect(firstFin).toBeGreaterThan(sent.findIndex((p) => option(p, "dss")?.fin));
    expect(sent.filter(({ flags }) => flags.includes("F"))).toHaveLength(4);
    expect([of.client.state, of.server.state]).toEqual(["closed", "closed"]);
  });
});

describe("an MPTCP host becomes a TCP host", () => {
  it("when the other is one", () => {
    for (const plain of ["client", "server"] as const) {
      const of = new Pair(1, { ...BAD, plain });
      of.exchange(50_000, 50_000);
      expect(of.sent.filter(({ p }) => option(p, "dss"))).toEqual([]);
    }
  });

  it.each([
    ["SYN", (p: Packet) => p.flags === "S"],
    ["SYN/ACK", (p: Packet) => p.flags === "SA"],
    ["third ACK", (p: Packet, up: boolean) => up && !p.flags.includes("S")],
    ["all but SYNs", (p: Packet) => !p.flags.includes("S")],
  ])("when a middlebox takes the options out: %s", (_, affected) => {
    const of = new Pair(1, BAD);
    of.onWire = (p, up) => (affected(p, up) ? without(p, ["mpCapable", "dss", "addAddr"]) : p);
    of.exchange(50_000, 50_000);
    expect([of.client.fallback, of.server.fallback]).toEqual([true, true]);
  });

  it("when the first three SYNs are lost, and the fourth goes without the option", () => {
    const of = new Pair(1);
    let syns = 0;
    of.onWire = (p) => (p.flags === "S" && ++syns <= 3 ? undefined : p);
    of.exchange(10_000, 10_000);
    expect(of.sent.map(({ p }) => p.flags === "S" && !option(p, "mpCapable")).indexOf(true)).toBe(3);
    expect([of.client.fallback, of.server.fallback]).toEqual([true, true]);
  });

  it("after establishment only if a middlebox is known to be there", () => {
    for (const tolerant of [true, false]) {
      const of = new Pair(1, { client: { tolerant, autoJoin: false }, server: { tolerant } }).warm();
      of.onWire = (p) => without(p, ["dss"]);
      if (tolerant) of.exchange(50_000, 50_000);
      else expect(() => of.exchange(50_000, 50_000)).toThrow("no DSS");
      expect(of.server.fallback).toBe(tolerant);
    }
  });

  it("never once it has joined: the subflow is reset, the connection goes on", () => {
    const of = new Pair(1, { client: { tolerant: true }, server: { tolerant: true } }).warm();
    of.onWire = (p) => (p.src === "10.0.2.1" ? without(p, ["dss"]) : p);
    of.exchange(50_000, 50_000);
    expect(of.server.fallback).toBe(false);
    expect(of.sent.some(({ p }) => p.flags.includes("R") && option(p, "mpTcprst")?.reason === 6)).toBe(true);
  });
});

it("what stands behind refused octets goes with the subflow, and not into their place", () => {
  const client = { tolerant: true, bulk: 8, dssOnFirst: 1 };
  const of = new Pair(1, { client, server: { tolerant: true, backlog: 1, backlogUs: 50_000 } }).warm();
  let refused = 0;
  of.onWire = (p) => {
    if (p.src !== "10.0.1.1" || p.payload.length === 0) return p;
    if (option(p, "dss")?.dsn !== undefined || refused > 0) return p;
    refused++;
    return withDss(p, (dss) => ({ ...dss, dsn: 1n, dsnOctets: 4, ssn: 1, length: 9 }));
  };
  of.exchange(200_000, 1000);
  expect(refused).toBe(1);
});

describe("faults of a peer that end the run", () => {
  const spoilt = (change: (p: Packet) => Packet, options: PairOptions = {}) => {
    const of = new Pair(1, options).warm();
    of.onWire = (p, up) => (up && p.payload.length > 0 ? change(p) : p);
    return () => of.exchange(50_000, 50_000);
  };

  it("a mapping that does not fit its packet", () => {
    expect(spoilt((p) => withDss(p, (dss) => ({ ...dss, ssn: (dss.ssn ?? 0) + 1 })))).toThrow("DSSNoMatchTCP");
    expect(spoilt((p) => withDss(p, (dss) => ({ ...dss, length: (dss.length ?? 0) - 1 })))).toThrow("DSSCorruption");
  });

  it("another mapping inside one that is not through", () => {
    const change = (p: Packet) => withDss(p, (dss) => ({ ...dss, length: (dss.length ?? 0) - 1 }));
    let packets = 0;
    const options = { client: { bulk: 8, gso: 1 } };
    expect(spoilt((p) => (++packets % 3 === 0 ? change(p) : p), options)).toThrow(/DSSNotMatching|DSSCorruption/);
  });

  it("data beyond the window", () => {
    const far = (dss: Dss) => ({ ...dss, dsn: (dss.dsn ?? 0n) + 10_000_000n });
    expect(spoilt((p) => withDss(p, far))).toThrow("the window ends at");
  });

  it("a DATA_ACK of what was never sent", () => {
    const of = new Pair(1).warm();
    of.onWire = (p) => withDss(p, (dss) => ({ ...dss, ...(dss.dan !== undefined && { dan: dss.dan + 1_000_000n }) }));
    expect(() => of.exchange(50_000, 50_000)).toThrow("DATA_ACK of");
  });

  it("two places for the DATA_FIN", () => {
    const of = new Pair(1).warm();
    let fins = 0;
    of.onWire = (p, up) => {
      if (!up) return fins > 0 ? undefined : p; // the client does not hear that the first one came
      if (!option(p, "dss")?.fin || ++fins === 1) return p;
      return withDss(p, (dss) => ({ ...dss, dsn: (dss.dsn ?? 0n) + 5n }));
    };
    expect(() => {
      of.client.write(payloadPattern(20_000));
      of.client.close();
      of.line.wait(30_000_000);
    }).toThrow("FIN at");
  });

  it("wrong HMACs", () => {
    const wrong = (hmac?: Uint8Array) => hmac?.map((octet) => octet ^ 1) as Uint8Array;
    const spoil = (kinds: Option["kind"][], form?: string) => {
      const of = new Pair(1, { server: { announce: true } });
      of.onWire = (p) => ({
        ...p,
        options: p.options.map((o) => {
          if (!kinds.includes(o.kind) || (o.kind === "mpJoin" && o.form !== form)) return o;
          return "hmac" in o && o.hmac ? { ...o, hmac: wrong(o.hmac) } : o;
        }) as Option[],
      });
      return () => of.warm();
    };
    expect(spoil(["addAddr"])).toThrow("ADD_ADDR with a wrong HMAC");
    expect(spoil(["mpJoin"], "synack")).toThrow("SYN/ACK with a wrong HMAC");
    expect(spoil(["mpJoin"], "ack")).toThrow("ACK with a wrong HMAC");
  });
});
