// Nanoseconds per packet in the engine alone, under wasmtime (as in the daemon) and V8 (as in the tests): one
// established connection, batches of 32, the call's own cost included, packets written into memory beforehand.
//
//     node bench/engine.ts [--rounds 200]
//
// Super-packets on their way out need no checksum (the kernel computes it); everything else pays for a sum over its
// payload, which is what most of the time of the 64 KiB rows is.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as abi from "../host/engine/abi.ts";
import { loadAddon } from "../host/engine/addon.ts";
import { type Established, opener } from "../test/established.ts";
import * as p from "../test/packet.ts";

const BATCH = 32;
const { values } = parseArgs({ options: { rounds: { type: "string", default: "200" } } });
const ROUNDS = Number(values.rounds);

/** An engine in either runtime. */
interface Runner {
  write(offset: number, octets: Uint8Array): void;
  /** Calls process(); the time it took, ns. */
  process(count: number): number;
}

/** A packet and how it comes. */
interface Delivery {
  octets: Uint8Array;
  hook: number;
  flags: number;
}

interface Case {
  name: string;
  length: number;
  packet(stream: Stream, length: number): Delivery;
  /** What the other side sends first, untimed, for the packets to acknowledge. */
  before?(stream: Stream): Delivery;
}

/** Where both directions of the connection stand, in octets. */
class Stream {
  readonly e: Established;
  sent = 0;
  received = 0;
  /** What each direction's receiver has acknowledged. */
  sentAcknowledged = 0;
  receivedAcknowledged = 0;

  constructor(e: Established) {
    this.e = e;
  }

  fromHost(length: number, flags: number): Delivery {
    const { host } = this.e;
    const octets = p.packet({
      src: host.local,
      dst: host.remote,
      sport: host.localPort,
      dport: host.remotePort,
      flags: "A",
      seq: host.iss + 1 + this.sent,
      ack: host.irs + 1 + this.receivedAcknowledged,
      win: 4096,
      payload: length,
      checksum: "pseudo",
    });
    this.sent += length;
    return { octets, hook: abi.Hook.LOCAL_OUT, flags: flags | abi.PacketFlag.CHECKSUM_NOT_READY };
  }

  /** The host acknowledges `octets` more. */
  acknowledgeReceived(octets: number): Delivery {
    this.receivedAcknowledged += octets;
    return this.fromHost(0, 0);
  }

  /** The peer acknowledges `octets` more. */
  acknowledgeSent(octets: number): Delivery {
    this.sentAcknowledged += octets;
    return this.fromPeer(0, 0);
  }

  fromPeer(length: number, flags: number): Delivery {
    const { host, peer, ourIdsn } = this.e;
    const low = (n: bigint): bigint => BigInt.asUintN(32, n);
    const dan = low(ourIdsn + 1n + BigInt(this.sentAcknowledged));
    const map = { dsn: low(peer.idsn + 1n + BigInt(this.received)), ssn: this.received + 1, length };
    const octets = p.packet({
      src: host.remote,
      dst: host.local,
      sport: host.remotePort,
      dport: host.localPort,
      flags: "A",
      seq: host.irs + 1 + this.received,
      ack: host.iss + 1 + this.sentAcknowledged,
      win: 4096,
      options: [p.dss({ dan, ...(length ? map : {}) })],
      payload: length,
      checksum: flags & abi.PacketFlag.CHECKSUM_NOT_READY ? "pseudo" : "good",
    });
    this.received += length;
    return { octets, hook: abi.Hook.LOCAL_IN, flags };
  }
}

const { GSO, CHECKSUM_NOT_READY, CHECKSUM_NOT_VERIFIED } = abi.PacketFlag;
const CASES: readonly Case[] = [
  { name: "data to the wire", length: 1436, packet: (s, n) => s.fromHost(n, 0) },
  { name: "super-packet to the wire", length: 64_620, packet: (s, n) => s.fromHost(n, GSO) },
  {
    name: "ACK to the wire",
    length: 0,
    before: (s) => s.fromPeer(1440, 0),
    packet: (s) => s.acknowledgeReceived(1440),
  },
  { name: "data from the wire, to be verified", length: 1440, packet: (s, n) => s.fromPeer(n, CHECKSUM_NOT_VERIFIED) },
  { name: "data from the wire, verified", length: 1440, packet: (s, n) => s.fromPeer(n, 0) },
  {
    name: "super-packet from the wire",
    length: 64_800,
    packet: (s, n) => s.fromPeer(n, GSO | CHECKSUM_NOT_READY),
  },
  {
    name: "ACK from the wire",
    length: 0,
    before: (s) => s.fromHost(1436, 0),
    packet: (s) => s.acknowledgeSent(1436),
  },
];

function v8(e: Established): Runner {
  const { octets, exports } = e.scene.engine;
  return {
    write: (offset, data) => octets.set(data, offset),
    process: (count) => timed(() => exports.process?.(count)),
  };
}

/** The same engine under wasmtime, in the same state: init() for its globals, then the other's whole memory. */
function wasmtime(e: Established): Runner {
  const { octets } = e.scene.engine;
  const wasm = readFileSync(join(import.meta.dirname, "../build/engine.wasm"));
  const replay = new (loadAddon().Replay)(wasm, octets.length);
  const fixed = { from: abi.HEADER, to: abi.DESCRIPTORS };
  replay.write(fixed.from, octets.subarray(fixed.from, fixed.to));
  replay.write(abi.ENTROPY, octets.subarray(abi.ENTROPY, abi.ENTROPY + abi.ENTROPY_SIZE));
  replay.call("init", [abi.CONFIG_SIZE]);
  replay.write(abi.HEADER, octets.subarray(abi.HEADER));
  return {
    write: (offset, data) => replay.write(offset, data),
    process: (count) => timed(() => replay.call("process", [count])),
  };
}

function timed(call: () => unknown): number {
  const start = process.hrtime.bigint();
  const status = call();
  const took = Number(process.hrtime.bigint() - start);
  if (status !== abi.Status.OK) throw new Error(`process() returned ${status}`);
  return took;
}

/** Puts a batch into memory. */
function load(runner: Runner, batch: readonly Delivery[]): void {
  batch.forEach(({ octets, hook, flags }, i) => {
    const offset = abi.BATCH + i * abi.SLOT_SIZE + abi.SLOT_HEADROOM + 100;
    runner.write(offset, octets);
    const descriptor = Buffer.alloc(abi.DESCRIPTOR_SIZE);
    descriptor.writeUInt32LE(offset, abi.Descriptor.OFFSET);
    descriptor.writeUInt32LE(octets.length, abi.Descriptor.LENGTH);
    descriptor.writeUInt32LE(hook, abi.Descriptor.HOOK);
    descriptor.writeUInt32LE(flags, abi.Descriptor.FLAGS);
    runner.write(abi.DESCRIPTORS + i * abi.DESCRIPTOR_SIZE, descriptor);
  });
}

/** Median ns per packet of a case in one runtime. */
function measure(make: (e: Established) => Runner, one: Case): number {
  const e = opener({ build: "release", connections: 16, runs: 4096 });
  const runner = make(e);
  const stream = new Stream(e);
  const times: number[] = [];
  const rounds = one.length > 10_000 ? ROUNDS / 4 : ROUNDS;
  for (let round = 0; round < rounds; round++) {
    const { before } = one;
    if (before) {
      load(
        runner,
        Array.from({ length: BATCH }, () => before(stream)),
      );
      runner.process(BATCH);
    }
    const batch = Array.from({ length: BATCH }, () => one.packet(stream, one.length));
    load(runner, batch);
    times.push(runner.process(BATCH) / BATCH);
    // Both ends acknowledge what there is, untimed, so that the tables stay as they are in a running connection.
    const [behind, ahead] = [stream.sent - stream.sentAcknowledged, stream.received - stream.receivedAcknowledged];
    load(runner, [stream.acknowledgeSent(behind), stream.acknowledgeReceived(ahead)]);
    runner.process(2);
  }
  if (make === v8 && e.scene.counter(abi.Counter.REWRITTEN) < rounds * BATCH) {
    throw new Error(`${one.name}: packets were not rewritten, the figure would say nothing`);
  }
  times.sort((a, b) => a - b);
  return times[times.length >> 1] ?? Number.NaN;
}

console.log("ns per packet (median)                octets  wasmtime      V8");
for (const one of CASES) {
  const [native, script] = [measure(wasmtime, one), measure(v8, one)];
  const columns = [String(one.length).padStart(7), native.toFixed(0).padStart(10), script.toFixed(0).padStart(8)];
  console.log(`${one.name.padEnd(37)}${columns.join("")}`);
}
