import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Random } from "../../model/random.ts";
import { addressOctets, decode, naiveSum, option, type Packet, packet, payloadPattern } from "../../packet.ts";
import type { Socket } from "../stack.ts";
import { Application, Line, type LineOptions } from "./line.ts";
import { type SmoltcpOptions, SmoltcpStack } from "./smoltcp.ts";

// smoltcp is well tested by itself; here the machine around it is held to the promises of stack.ts.

const SECOND = 1_000_000;
const A = { address: "10.0.0.1", port: 40_000 };
const B = { address: "10.0.0.2", port: 80 };
const A6 = { address: "fd00::1", port: 40_000 };
const B6 = { address: "fd00::2", port: 80 };

interface Pair {
  line: Line;
  first: SmoltcpStack;
  second: SmoltcpStack;
  client: Socket;
  server: Socket;
  /** All that was sent, in order. */
  wire: { packet: Packet; octets: Uint8Array; gsoSize: number; fromFirst: boolean; nowUs: number }[];
}

type PairOptions = LineOptions & { seed?: number; a?: Partial<SmoltcpOptions>; b?: Partial<SmoltcpOptions>; v6?: true };

/** Two machines, a connection from the first to the second. */
function connected({ seed = 1, a, b, v6, ...lineOptions }: PairOptions = {}): Pair {
  const [from, to] = v6 ? [A6, B6] : [A, B];
  const first = new SmoltcpStack({ addresses: [from.address], seed, ...a });
  const second = new SmoltcpStack({ addresses: [to.address], seed: seed + 1, ...b });
  const wire: Pair["wire"] = [];
  const options: LineOptions = {
    ...lineOptions,
    tap: (sent, fromFirst, nowUs) => {
      wire.push({ packet: decode(sent.octets), octets: sent.octets, gsoSize: sent.gsoSize, fromFirst, nowUs });
      return lineOptions.tap?.(sent, fromFirst, nowUs) ?? true;
    },
  };
  const line = new Line(first, second, new Random(seed), options);
  const servers: Socket[] = [];
  second.listen(to, (socket) => servers.push(socket));
  const client = first.connect(from, to, 0);
  line.run(60 * SECOND, () => servers.length > 0 && client.state === "open");
  return { line, first, second, client, server: servers[0] as Socket, wire };
}

/** Both ways at once, then both sides close. */
function exchange(pair: Pair, up: Uint8Array, down: Uint8Array): [Application, Application] {
  const applications: [Application, Application] = [
    new Application(pair.client, up),
    new Application(pair.server, down),
  ];
  pair.line.run(3600 * SECOND, () => {
    for (const application of applications) application.step();
    return applications.every((application) => application.done);
  });
  return applications;
}

const sha = (octets: Uint8Array) => createHash("sha256").update(octets).digest("hex");

describe("two smoltcp hosts back to back", () => {
  const up = payloadPattern(200_000);
  const down = payloadPattern(200_000, 7777);

  it.each([1, 2, 3, 4, 5, 6])("200 kB each way over a lossy, reordering, duplicating line, seed %i", (seed) => {
    const faults = { loss: 0.03, reorder: 0.1, duplicate: 0.03 };
    const congestionControl = (["none", "reno", "cubic"] as const)[seed % 3] as "reno";
    const pair = connected({
      seed,
      ...faults,
      a: { congestionControl, isns: [0xffff_ff00] },
      ...(seed > 3 && { v6: true }),
    });
    const [client, server] = exchange(pair, up, down);
    expect(sha(server.octets)).toBe(sha(up));
    expect(sha(client.octets)).toBe(sha(down));
    expect([pair.client.state, pair.server.state]).toContain("closed");
    pair.line.wait(60 * SECOND);
    expect([pair.client.state, pair.server.state]).toEqual(["closed", "closed"]);
    expect(pair.wire.every(({ packet }) => packet.checksumValid && packet.ipChecksumValid)).toBe(true);
    expect([pair.first.nextUs, pair.second.nextUs]).toEqual([Infinity, Infinity]);
  });

  it("is deterministic: the same calls make the same packets", () => {
    const trace = (seed: number) => {
      const pair = connected({ seed, loss: 0.05, reorder: 0.1, duplicate: 0.05 });
      exchange(pair, up, down);
      return sha(Buffer.concat(pair.wire.flatMap(({ octets, nowUs }) => [octets, Buffer.from(`@${nowUs}`)])));
    };
    expect(trace(1)).toBe(trace(1));
    expect(trace(2)).not.toBe(trace(1));
  });

  it("half-closes: what is written after the other side's FIN still arrives", () => {
    const { line, client, server } = connected();
    client.write(payloadPattern(10));
    client.close();
    line.run(10 * SECOND, () => client.drained && server.read().length >= 0 && server.finished);
    expect([client.state, server.state, client.finished]).toEqual(["open", "open", false]);
    expect([client.writable, client.write(payloadPattern(1))]).toEqual([0, 0]);
    const answer = new Application(server, up);
    const received: Uint8Array[] = [];
    line.run(60 * SECOND, () => {
      answer.step();
      received.push(client.read());
      return client.finished && server.drained;
    });
    expect(sha(Buffer.concat(received))).toBe(sha(up));
    expect([client.state, server.state]).toEqual(["closed", "closed"]);
  });

  it("closes the window while nobody reads, is probed, and opens it again", () => {
    const { line, client, server, wire } = connected({ b: { receiveBuffer: 8192 } });
    let written = 0;
    const write = () => {
      written += client.write(up.subarray(written));
    };
    line.wait(30 * SECOND, write);
    const fromServer = () => wire.filter(({ fromFirst }) => !fromFirst).map(({ packet }) => packet);
    expect(fromServer().at(-1)?.win).toBe(0);
    const probes = wire.filter(({ fromFirst, packet, nowUs }) => fromFirst && packet.payload.length === 1 && nowUs > 0);
    expect(probes.length).toBeGreaterThan(2);
    const received: Uint8Array[] = [];
    line.run(line.nowUs + 60 * SECOND, () => {
      write();
      received.push(server.read());
      return written === up.length && client.drained;
    });
    received.push(server.read());
    expect(sha(Buffer.concat(received))).toBe(sha(up));
  });

  it("abort() sends one RST, which ends the other side too; what had come can still be read", () => {
    const { line, client, server, wire } = connected();
    client.write(payloadPattern(100));
    line.run(10 * SECOND, () => client.drained);
    client.abort();
    line.wait(SECOND);
    expect(wire.filter(({ packet }) => packet.flags.includes("R"))).toHaveLength(1);
    expect([client.state, server.state]).toEqual(["reset", "reset"]);
    expect([server.read(60).length, server.read().length, server.finished]).toEqual([60, 40, false]);
    expect(server.write(payloadPattern(1))).toBe(0);
  });

  it("keeps what was not read beyond the end of TIME-WAIT, and frees the four numbers then", () => {
    const { line, first, client, server } = connected();
    server.write(payloadPattern(100));
    server.close();
    client.close();
    line.run(10 * SECOND, () => client.state === "closed" && server.state === "closed");
    expect(() => [first.connect(A, B, line.nowUs), first.connect(A, B, line.nowUs)]).toThrow("in use");
    line.wait(20 * SECOND);
    expect([client.finished, client.read().length, client.finished]).toEqual([false, 100, true]);
    expect([client.drained, server.drained]).toEqual([true, true]);
    const again = first.connect(A, B, line.nowUs);
    line.run(line.nowUs + SECOND, () => again.state === "open");
  });

  it("finishes a close() that came before the handshake was over, and is silent when that is aborted", () => {
    const { line, first, wire } = connected();
    const late = first.connect({ ...A, port: 2 }, B, line.nowUs);
    late.close();
    line.run(line.nowUs + 10 * SECOND, () => late.drained);
    const before = wire.length;
    const never = first.connect({ ...A, port: 3 }, B, line.nowUs);
    never.abort();
    line.wait(SECOND / 100);
    expect([never.state, wire.length]).toEqual(["reset", before]);
  });
});

describe("a smoltcp host", () => {
  const syn = { src: B.address, dst: A.address, sport: 5, dport: 6, flags: "S", seq: 100 };
  const alone = (options: Partial<SmoltcpOptions> = {}) =>
    new SmoltcpStack({ addresses: [A.address], seed: 1, ...options });
  const sent = (stack: SmoltcpStack) => stack.take().map(({ octets }) => decode(octets));

  it("begins with the sequence numbers it is told, then with those of its seed", () => {
    const first = (seed: number, isns: number[]) => {
      const stack = alone({ seed, isns });
      for (const port of [1, 2, 3]) stack.connect({ ...A, port }, B, 0);
      stack.advance(0);
      return sent(stack).map(({ seq }) => seq);
    };
    const chosen = [0xffff_fff0, 0];
    expect(first(1, chosen).slice(0, 2)).toEqual(chosen);
    expect(first(1, chosen)[2]).toBe(first(1, [])[2]);
    expect(first(1, [])).not.toEqual(first(2, []));
    const stack = alone({ isns: [0x8000_0000] });
    stack.listen({ ...A, port: 6 }, () => {});
    stack.input(packet(syn), 0);
    expect(sent(stack)).toMatchObject([{ flags: "SA", seq: 0x8000_0000, ack: 101 }]);
  });

  it("answers RST for a port where nobody listens, and nothing for a foreign address", () => {
    const stack = alone();
    stack.input(packet(syn), 0);
    expect(sent(stack)).toMatchObject([{ flags: "RA", ack: 101 }]);
    stack.input(packet({ ...syn, dst: "10.0.0.9" }), 0);
    stack.input(Uint8Array.of(0x45, 0, 0), 0);
    expect(sent(stack)).toEqual([]);
  });

  it("drops what has a wrong checksum", () => {
    const stack = alone();
    stack.input(packet({ ...syn, checksum: "bad" }), 0);
    expect(sent(stack)).toEqual([]);
  });

  it("offers SACK, MSS by MTU, a window scale by buffer, timestamps if asked", () => {
    const stack = alone({ mtu: 1400, receiveBuffer: 1 << 20, timestamps: true });
    stack.connect(A, B, 5000);
    stack.advance(5000);
    const [found] = sent(stack) as [Packet];
    expect(found.options).toEqual(
      expect.arrayContaining([
        { kind: "mss", mss: 1360 },
        { kind: "ws", shift: 5 },
        { kind: "sackOk" },
        expect.objectContaining({ kind: "ts", value: 5 }),
      ]),
    );
  });

  it("reports what arrived out of order in one SACK block", () => {
    let segments = 0;
    const { line, client, server, wire } = connected({
      tap: ({ octets }, fromFirst) => !(fromFirst && decode(octets).payload.length > 0 && ++segments === 20),
    });
    client.write(payloadPattern(60_000));
    line.run(60 * SECOND, () => client.drained);
    const sacks = wire.flatMap(({ packet }) => option(packet, "sack") ?? []);
    expect(sacks.length).toBeGreaterThan(2);
    expect(sacks.every(({ blocks }) => blocks.length === 1)).toBe(true);
    expect(server.read().length).toBe(60_000);
  });

  it("leaves long packets to the interface to cut, complete and with their checksum", () => {
    const pair = connected({ a: { gsoMax: 20_000 } });
    const [, server] = exchange(pair, payloadPattern(300_000), new Uint8Array(0));
    expect(sha(server.octets)).toBe(sha(payloadPattern(300_000)));
    const long = pair.wire.filter(({ gsoSize }) => gsoSize > 0);
    expect(Math.max(...long.map(({ octets }) => octets.length))).toBeGreaterThan(15_000);
    expect(long.every(({ gsoSize, packet }) => gsoSize === 1460 && packet.payload.length > 1460)).toBe(true);
    expect(pair.wire.every(({ packet }) => packet.checksumValid)).toBe(true);
  });

  it("sends keep-alives on time, and resets after the time-out when nobody answers", () => {
    let cut = false;
    const { line, client, server, wire } = connected({
      a: { keepAliveUs: 5 * SECOND, timeoutUs: 60 * SECOND },
      tap: () => !cut,
    });
    line.wait(21 * SECOND);
    const keepAlives = () => wire.filter(({ packet, fromFirst }) => fromFirst && packet.payload.length === 1).length;
    expect([keepAlives(), client.state]).toEqual([4, "open"]);
    cut = true;
    line.wait(61 * SECOND);
    expect([client.state, server.state]).toEqual(["reset", "open"]);
  });

  it("delays an ACK as told", () => {
    const ackAfter = (ackDelayUs: number) => {
      const { line, client, wire } = connected({ b: { ackDelayUs } });
      client.write(payloadPattern(10));
      const start = line.nowUs;
      line.run(10 * SECOND, () => client.drained);
      return (wire.at(-1)?.nowUs ?? 0) - start;
    };
    expect([ackAfter(0), ackAfter(25_000)]).toEqual([10_000, 35_000]);
  });

  it("answers a ping and ignores ICMP errors", () => {
    const { line, first, client } = connected();
    first.input(ping(B.address, A.address), line.nowUs);
    const [reply] = first.take();
    expect(reply?.octets[20]).toBe(0);
    first.input(unreachable(B.address, A.address), line.nowUs);
    expect([first.take(), client.state]).toEqual([[], "open"]);
  });
});

/** ICMP echo request. */
function ping(src: string, dst: string): Uint8Array {
  return icmp(src, dst, [8, 0, 0, 0, 0, 1, 0, 1]);
}

/** Port unreachable, quoting the first octets of a segment of the connection from A to B. */
function unreachable(src: string, dst: string): Uint8Array {
  const quoted = packet({ src: A.address, dst: B.address, sport: A.port, dport: B.port, flags: "A" }).subarray(0, 28);
  return icmp(src, dst, [3, 3, 0, 0, 0, 0, 0, 0, ...quoted]);
}

function icmp(src: string, dst: string, body: number[]): Uint8Array {
  const total = 20 + body.length;
  const header = [
    0x45,
    0,
    total >> 8,
    total & 255,
    0,
    0,
    0,
    0,
    64,
    1,
    0,
    0,
    ...addressOctets(src),
    ...addressOctets(dst),
  ];
  const octets = Uint8Array.from([...header, ...body]);
  new DataView(octets.buffer).setUint16(10, ~naiveSum(octets.subarray(0, 20)) & 0xffff);
  new DataView(octets.buffer).setUint16(22, ~naiveSum(octets.subarray(20)) & 0xffff);
  return octets;
}
