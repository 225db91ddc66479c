// Two engines back to back, a host behind each, and a network between them that delays, loses, repeats and
// reorders by seed. Paths are 10.0.<k>.1 here and 10.0.<k>.2 there; a path can be cut without anybody being
// told. Virtual time: nothing waits.

import * as abi from "../host/engine/abi.ts";
import type { Random } from "./model/random.ts";
import { refusal, TcpHost, type TcpHostOptions } from "./model/tcp-host.ts";
import { decode, type Packet, type PacketFields, packet } from "./packet.ts";
import { type Outcome, Scene, type SceneEvent, type SceneOptions } from "./scene.ts";

export type Side = "a" | "b";

export interface Network {
  delayUs: number;
  jitterUs: number;
  loss: number;
  duplicate: number;
  /** Paths on which everything is lost, silently. */
  cut: Set<number>;
}

const SERVER_PORT = 80;

export class Duo {
  readonly a: Scene;
  readonly b: Scene;
  readonly hosts = { a: new Map<number, TcpHost>(), b: new Map<number, TcpHost>() };
  readonly events: (SceneEvent & { side: Side })[] = [];
  readonly network: Network = { delayUs: 5_000, jitterUs: 0, loss: 0, duplicate: 0, cut: new Set() };
  nowUs = 1_000_000;
  /** Called with each packet before it enters the network. */
  onWire: (from: Side, p: Packet) => void = () => {};
  private readonly random: Random;
  private readonly flying: { at: number; to: Side; octets: Uint8Array }[] = [];

  constructor(random: Random, options: { paths?: number; a?: SceneOptions; b?: SceneOptions } = {}) {
    this.random = random;
    const paths = Array.from({ length: options.paths ?? 2 }, (_, i) => i + 1);
    const scene = (side: Side) =>
      new Scene({
        seed: random.bits(),
        prefer: paths,
        paths: paths.map((k) => ({ address4: addressOf(side, k) })),
        ...options[side],
      });
    this.a = scene("a");
    this.b = scene("b");
  }

  scene(side: Side): Scene {
    return side === "a" ? this.a : this.b;
  }

  /** A client at `a` and its server at `b`, on path 1; returns both hosts. */
  connect(
    port: number,
    client: Partial<TcpHostOptions> = {},
    server: Partial<TcpHostOptions> = {},
  ): [TcpHost, TcpHost] {
    const { random } = this;
    const common = { random, octets: 0 };
    const [here, there] = [addressOf("a", 1), addressOf("b", 1)];
    const a = { ...common, address: here, port, peer: there, peerPort: SERVER_PORT, iss: random.bits(), ...client };
    const b = {
      ...common,
      address: there,
      port: SERVER_PORT,
      peer: here,
      peerPort: port,
      iss: random.bits(),
      ...server,
    };
    const hosts: [TcpHost, TcpHost] = [new TcpHost(a), new TcpHost(b)];
    this.hosts.a.set(port, hosts[0]);
    this.hosts.b.set(port, hosts[1]);
    this.fromHost("a", hosts[0].connect(this.nowUs));
    return hosts;
  }

  /** Segments of the host at `side` on their way out. */
  fromHost(side: Side, segments: PacketFields[]): void {
    for (const fields of segments) {
      const size = this.hosts[side].get(clientPort(side, fields.sport, fields.dport))?.segmentSize ?? 1400;
      const octets = packet(fields);
      const gso = decode(octets).payload.length > size;
      const outcome = this.at(side).host(octets, gso ? { flags: abi.PacketFlag.GSO } : {});
      if (outcome.packet)
        for (const piece of gso ? segmented(outcome.packet, size) : [outcome.octets]) this.fly(side, piece);
      this.after(side, outcome);
    }
  }

  /** A command or anything else that was done to the engine at `side` (at() first). */
  after(side: Side, outcome: Outcome): void {
    for (const event of outcome.events) this.events.push({ ...event, side });
    for (const p of outcome.toWire) {
      if (!p.checksumValid) throw new Error("forged with a wrong checksum");
      this.fly(side, packet({ ...p, checksum: "good" }));
    }
    for (const p of outcome.toHost) this.toHost(side, p);
  }

  /** The engine at `side`, its clock set. */
  at(side: Side): Scene {
    const scene = this.scene(side);
    scene.nowUs = BigInt(Math.floor(this.nowUs));
    return scene;
  }

  /** Lets `us` microseconds pass. */
  run(us: number): void {
    const end = this.nowUs + us;
    for (;;) {
      const next = this.next();
      if (next > end) break;
      this.nowUs = Math.max(this.nowUs, next);
      this.step();
    }
    this.nowUs = end;
  }

  private next(): number {
    const deadlines = (["a", "b"] as const).flatMap((side) => [
      this.at(side).nextUs + this.nowUs,
      ...[...this.hosts[side].values()].map((host) => host.nextUs),
    ]);
    return Math.min(this.flying[0]?.at ?? Infinity, ...deadlines);
  }

  private step(): void {
    const first = this.flying[0];
    if (first && first.at <= this.nowUs) {
      this.flying.shift();
      this.arrive(first.to, first.octets);
    }
    for (const side of ["a", "b"] as const) {
      if (this.at(side).nextUs <= 0) this.after(side, this.at(side).advance(64)); // the wheel is that late at most
      for (const host of this.hosts[side].values()) {
        if (host.nextUs <= this.nowUs) this.fromHost(side, host.fire(this.nowUs));
      }
    }
  }

  private arrive(side: Side, octets: Uint8Array): void {
    const outcome = this.at(side).wire(octets);
    if (outcome.packet) this.toHost(side, outcome.packet);
    this.after(side, outcome);
  }

  private toHost(side: Side, p: Packet): void {
    if (!p.checksumValid) return; // a consumed SYN
    const host = this.hosts[side].get(clientPort(side, p.dport, p.sport));
    const own = addressOf(side, 1) === p.dst && (p.dport === SERVER_PORT) === (side === "b");
    if (host && own) this.fromHost(side, host.input(p, this.nowUs));
    else if (!p.flags.includes("R")) this.fromHost(side, [refusal(p)]);
  }

  private fly(from: Side, octets: Uint8Array | undefined): void {
    if (octets === undefined) return;
    const p = decode(octets);
    this.onWire(from, p);
    const { delayUs, jitterUs, loss, duplicate, cut } = this.network;
    if (cut.has(Number(p.src.split(".")[2]))) return;
    const copies = this.random.chance(loss) ? 0 : this.random.chance(duplicate) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const at = this.nowUs + delayUs + this.random.below(jitterUs + 1);
      let place = this.flying.length;
      while (place > 0 && (this.flying[place - 1]?.at ?? 0) > at) place--;
      this.flying.splice(place, 0, { at, to: from === "a" ? "b" : "a", octets });
    }
  }
}

/** Address of `side` on path `k`. */
export function addressOf(side: Side, k: number): string {
  return `10.0.${k}.${side === "a" ? 1 : 2}`;
}

function clientPort(side: Side, own: number, other: number): number {
  return side === "a" ? own : other;
}

/** What a network card makes of a super-packet: the header on each, FIN and PSH on the last. */
function segmented(p: Packet, size: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < p.payload.length; at += size) {
    const last = at + size >= p.payload.length;
    const flags = last ? p.flags : p.flags.replace(/[FP]/g, "");
    pieces.push(
      packet({ ...p, flags, seq: (p.seq + at) >>> 0, payload: p.payload.subarray(at, at + size), checksum: "good" }),
    );
  }
  return pieces;
}
