import { describe, it } from "vitest";
import * as abi from "../../host/engine/abi.ts";
import { Established, type Role, sent } from "../established.ts";
import { TEST_BUILDS } from "../internals.ts";
import { forCases, type Random, same } from "../model/random.ts";
import * as p from "../packet.ts";
import type { Build } from "../wasm.ts";

// Checksums of mappings against a model that keeps every octet. Incoming: mappings cut, repeated, put together and out
// of order, now and then with an octet altered; the engine must complain exactly when the model finds a mapping whose
// octets are all there and wrong. Outgoing: the host sends and sends again with whatever boundaries; every mapping on
// the wire must have the checksum of the stream's octets, and no two may share an octet unless they are the same.

interface Map {
  start: number;
  end: number;
  option: p.Dss;
}

class Incoming {
  private readonly random: Random;
  private readonly e: Established;
  private readonly octets: Uint8Array;
  private readonly maps: Map[] = [];
  private readonly known = new Set<Map>();
  /** What came first of each octet. */
  private readonly arrived: (number | undefined)[] = [];
  private readonly judged = new Set<Map>();
  private acked = 0;

  constructor(random: Random, build: Build) {
    this.random = random;
    const role = random.pick<Role>(["opener", "responder"]);
    const peerIss = random.pick([random.bits(), 2 ** 32 - 1500]);
    this.e = new Established(role, { build, seed: random.bits(), peerIss, checksum: true, runs: 512 })
      .establish()
      .join();
    this.octets = Uint8Array.from({ length: 4000 }, () => random.below(256));
    for (let start = 0; start < 3000 && this.maps.length < 8; ) {
      const length = random.between(1, 500);
      const map = { dsn: this.e.peerDsn(start), ssn: start + 1, length };
      const checksum = p.dssChecksum(map.dsn, map.ssn, length, this.octets.subarray(start, start + length));
      const option = p.dss({ dan: this.e.dsn(0), ...map, checksum, dsnOctets: random.pick([4, 8]) });
      this.maps.push({ start, end: start + length, option });
      start += length;
    }
  }

  run(): void {
    for (let i = 0; i < 40; i++) {
      if (this.random.chance(0.2)) this.hostAcknowledges();
      else if (!this.feed()) return;
    }
  }

  private hostAcknowledges(): void {
    let end = this.acked;
    while (this.arrived[end] !== undefined) end++;
    this.acked = this.random.between(this.acked, end);
    this.e.fromHost({ acks: this.acked });
  }

  /** How far a packet that begins in `map` and ends at `to` is mapped. */
  private mappedUpTo(map: Map, to: number): number {
    let { end } = map;
    for (const next of this.maps) if (next.start === end && this.known.has(next)) end = next.end;
    return Math.min(end, to);
  }

  private isRight(map: Map, octet: (i: number) => number | undefined): boolean {
    const octets = Uint8Array.from({ length: map.end - map.start }, (_, i) => octet(map.start + i) ?? 0);
    const { ssn = 0, length = 0, checksum } = map.option;
    return p.dssChecksum(this.e.peerDsn(map.start), ssn, length, octets) === checksum;
  }

  /** A packet comes; false if the mapping that it completes was wrong. */
  private feed(): boolean {
    const { random, e } = this;
    const map = random.pick(this.maps);
    const from = random.chance(0.4) ? map.start : random.between(map.start, map.end - 1);
    const wanted = random.pick([map.end, random.between(from + 1, map.end), from + random.between(1, 900)]);
    const bare = this.known.has(map) && this.acked <= map.start && random.chance(0.2);
    // What the host has acknowledged is not mapped any more, but for what the packet itself says.
    const last = from < this.acked ? map.end : (this.maps.at(-1)?.end ?? 0);
    const to = Math.min(wanted, last, from + 1400);
    const payload = this.octets.slice(from, to);
    const at = random.chance(0.08) ? random.below(payload.length) : -1;
    if (at >= 0) payload[at] = (payload[at] ?? 0) ^ (1 << random.below(8));
    const out = e.fromPeer({ at: from, payload }, [bare ? e.dataAck(0) : map.option]);

    if (out.reason === "RECV_TABLE_FULL") return false;
    const octet = (i: number) => (i >= from && i < to ? payload[i - from] : undefined);
    const inOne = !bare && from <= map.start && to >= map.end;
    let wrong = inOne && !this.isRight(map, octet);
    if (!wrong) {
      this.known.add(map);
      const end = this.mappedUpTo(map, to);
      for (let i = from; i < end; i++) this.arrived[i] ??= octet(i);
      const complete = this.maps.filter((m) => m.start < end && m.end > from && this.isWhole(m));
      wrong = complete.some((m) => !this.judged.has(m) && !this.isRight(m, (i) => this.arrived[i]));
      for (const m of complete) this.judged.add(m);
    }
    same(out.reason === "DSS_CHECKSUM", wrong, `octets ${from}:${to}, altered at ${at}, of ${map.start}:${map.end}`);
    return !wrong;
  }

  private isWhole(map: Map): boolean {
    for (let i = map.start; i < map.end; i++) if (this.arrived[i] === undefined) return false;
    return true;
  }
}

class Outgoing {
  private readonly random: Random;
  private readonly e: Established;
  private readonly octets: Uint8Array;
  private readonly seen: { ssn: number; end: number; dsn: number }[] = [];
  private next = 0;
  private acked = 0;

  constructor(random: Random, build: Build) {
    this.random = random;
    const role = random.pick<Role>(["opener", "responder"]);
    const hostIss = random.pick([random.bits(), 2 ** 32 - 1500]);
    this.e = new Established(role, { build, seed: random.bits(), hostIss, checksum: true, runs: 512 }).establish();
    this.octets = Uint8Array.from({ length: 20_000 }, () => random.below(256));
  }

  run(): void {
    const { random } = this;
    for (let i = 0; i < 40; i++) {
      if (random.chance(0.5))
        this.send(this.next + random.pick([0, 0, 0, 100]), random.pick([1, 333, 1000, 1440, 4321]));
      else if (random.chance(0.2)) this.acknowledge();
      else if (this.next > this.acked) this.send(random.between(this.acked, this.next - 1), random.between(1, 3000));
    }
  }

  private acknowledge(): void {
    const san = this.random.between(this.acked, this.next);
    this.acked = this.random.between(this.acked, san);
    this.e.fromPeer({ acks: san }, [this.e.dataAck(this.acked)]);
  }

  private send(at: number, length: number): void {
    const payload = this.octets.subarray(at, Math.min(at + length, this.octets.length));
    if (payload.length === 0) return;
    const gso = payload.length > 1440;
    const out = this.e.fromHost({ at, payload, flags: "A" }, gso ? { flags: abi.PacketFlag.GSO } : {});
    if (out.reason === "MAP_LOG_FULL" || out.reason === "SEND_TABLE_FULL") return;
    this.next = Math.max(this.next, at + payload.length);
    for (const packet of sent(out)) this.check(packet);
  }

  private check(packet: p.Packet): void {
    const dss = p.option(packet, "dss");
    const capable = p.option(packet, "mpCapable");
    if (packet.payload.length === 0 || (dss?.dsn === undefined && capable?.dataLength === undefined)) return;
    const ssn = dss?.ssn ?? 1;
    const length = dss?.length ?? capable?.dataLength ?? 0;
    const at = dss?.dsn === undefined ? 0 : Number(BigInt.asIntN(32, dss.dsn - BigInt.asUintN(32, this.e.dsn(0))));
    const checksum = p.dssChecksum(this.e.dsn(at), ssn, length, this.octets.subarray(at, at + length));
    same(dss?.checksum ?? capable?.checksum, checksum, p.show(packet));
    const here = { ssn, end: ssn + length, dsn: at };
    for (const other of this.seen) {
      if (other.ssn >= here.end || here.ssn >= other.end) continue;
      same(`${here.ssn}:${here.end} ${here.dsn}`, `${other.ssn}:${other.end} ${other.dsn}`, "two mappings of an octet");
    }
    if (!this.seen.some((other) => other.ssn === ssn)) this.seen.push(here);
  }
}

describe.each(TEST_BUILDS)("checksums against a model of every octet (%s)", (build) => {
  it("of what comes", () => {
    forCases(build === "test" ? 100 : 200, (random) => new Incoming(random, build).run());
  });

  it("of what leaves", () => {
    forCases(build === "test" ? 30 : 60, (random) => new Outgoing(random, build).run());
  });
});
