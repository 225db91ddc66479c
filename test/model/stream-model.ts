// What a stream through the engine must look like, octet by octet: no runs, no ranges, one entry per octet.
//
//   Outgoing   host → peer: each octet that leaves lies under a mapping that gives it its own DSN, an SSN
//              always stands for the same DSN, and the host is told no more than the peer's DATA_ACK
//   Incoming   peer → host: each octet reaches the host under its own TSN, and neither a SAN nor a DATA_ACK
//              covers what did not come there or what the host has not acknowledged

import { type Established, type Flow, low32 } from "../established.ts";
import * as p from "../packet.ts";

const fail = (rule: string, packet: p.Packet): never => {
  throw new Error(`${rule}: ${p.show(packet)}`);
};
const diff = (a: number, b: number): number => (a - b) | 0;

/** The longest run 0, 1, 2, … of `has`, from `from` on. */
function contiguous(has: (i: number) => boolean, from: number): number {
  let i = from;
  while (has(i)) i++;
  return i;
}

/** Runs of octets behind `from` that are there, as [left, right), the highest first. */
export function islands(has: (i: number) => boolean, from: number, to: number): [number, number][] {
  const found: [number, number][] = [];
  for (let i = from; i < to; i++) {
    if (!has(i)) continue;
    const end = contiguous(has, i);
    found.unshift([i, end]);
    i = end;
  }
  return found;
}

interface OutgoingFlow {
  flow: Flow;
  /** Octet of the stream at each SSN, both from 0. */
  offsets: Map<number, number>;
  arrived: Set<number>;
  /** Octets that arrived in order, and the most that the engine has been told. */
  san: number;
  sanSaid: number;
}

/** The host's stream as the peer gets it; it keeps a datum only if `keeps()` (Linux drops some behind the SAN). */
export class Outgoing {
  readonly octets: Uint8Array;
  readonly flows: OutgoingFlow[];
  readonly accepted = new Set<number>();
  /** Octets acknowledged at data level, and the most that has been said to the engine. */
  dan = 0;
  danSaid = 0;
  /** What the host was told. */
  tan = 0;
  private readonly e: Established;
  private readonly keeps: () => boolean;

  constructor(e: Established, flows: Flow[], octets: Uint8Array, keeps: () => boolean) {
    this.e = e;
    this.octets = octets;
    this.keeps = keeps;
    this.flows = flows.map((flow) => ({ flow, offsets: new Map(), arrived: new Set(), san: 0, sanSaid: 0 }));
  }

  indexOf(packet: p.Packet): number {
    return this.flows.indexOf(this.flowOf(packet));
  }

  flowOf(packet: p.Packet): OutgoingFlow {
    const found = this.flows.find(({ flow }) => this.e.on(flow, [packet]).length === 1);
    return found ?? fail("on a subflow", packet);
  }

  /** The mapping of a packet: stream offset of its first octet, or undefined without one. */
  private mapped(packet: p.Packet, ssn: number): number | undefined {
    const dss = p.option(packet, "dss");
    const capable = p.option(packet, "mpCapable");
    const data =
      capable?.dataLength === undefined ? undefined : { dsn: this.e.dsn(0), ssn: 1, length: capable.dataLength };
    const map = dss?.dsn === undefined ? data : { dsn: dss.dsn, ssn: dss.ssn ?? 0, length: dss.length ?? 0 };
    if (map === undefined) return undefined;
    if (ssn + 1 < map.ssn || ssn + packet.payload.length >= map.ssn + map.length) fail("inside its mapping", packet);
    return Number(BigInt.asIntN(32, low32(map.dsn) - low32(this.e.dsn(0)))) + (ssn + 1 - map.ssn);
  }

  /** Checks a packet that leaves. */
  sent(packet: p.Packet): void {
    if (packet.payload.length === 0) return;
    const { flow, offsets, sanSaid } = this.flowOf(packet);
    const ssn = diff(packet.seq, flow.iss + 1);
    const offset = this.mapped(packet, ssn);
    if (offset === undefined) {
      // A probe: one octet that the peer has acknowledged. A later one would take the place of what is missing.
      if (packet.payload.length !== 1 || ssn >= sanSaid) fail("with a mapping", packet);
      return;
    }
    packet.payload.forEach((octet, i) => {
      if (octet !== this.octets[offset + i]) fail(`octet ${offset + i} under its own DSN`, packet);
      const before = offsets.get(ssn + i);
      if (before !== undefined && before !== offset + i) fail(`SSN ${ssn + i} stood for ${before} before`, packet);
      offsets.set(ssn + i, offset + i);
    });
  }

  /** Octets [from, to) of the packet's payload arrive at the peer. */
  arrives(packet: p.Packet, from: number, to: number): void {
    const own = this.flowOf(packet);
    const ssn = diff(packet.seq, own.flow.iss + 1);
    if (p.option(packet, "dss")?.dsn === undefined && p.option(packet, "mpCapable")?.dataLength === undefined) return;
    for (let i = from; i < to; i++) own.arrived.add(ssn + i);
    const end = contiguous((i) => own.arrived.has(i), own.san);
    if (end === own.san) return;
    const kept = this.keeps();
    for (; own.san < end; own.san++) if (kept) this.accepted.add(own.offsets.get(own.san) as number);
    this.dan = contiguous((i) => this.accepted.has(i), this.dan);
  }

  /** A hole that the host will never fill, since its octets were acknowledged under other SSNs: N-109. */
  poisoned({ arrived, offsets, san }: OutgoingFlow): boolean {
    const octet = offsets.get(san);
    return octet !== undefined && octet < this.dan && !arrived.has(san);
  }

  /** Checks what a packet tells the host. */
  told(packet: p.Packet): void {
    const tan = diff(packet.ack, this.e.tsn(0));
    if (tan > this.danSaid) fail(`TAN ${tan} beyond DAN ${this.danSaid}`, packet);
    if (tan < this.tan) fail(`TAN ${tan} behind ${this.tan}`, packet);
    this.tan = tan;
    const blocks = p.option(packet, "sack")?.blocks ?? [];
    if (blocks.length === 0) return;
    const there = new Set(this.flows.flatMap(({ arrived, offsets }) => [...arrived].map((ssn) => offsets.get(ssn))));
    for (const [left, right] of blocks) {
      const [from, to] = [diff(left, this.e.tsn(0)), diff(right, this.e.tsn(0))];
      if (from >= to || (to > tan && from <= tan)) fail("SACK blocks above TAN or duplicates", packet);
      for (let i = from; i < to; i++) if (i >= tan && !there.has(i)) fail(`SACK of ${i}, which is nowhere`, packet);
    }
  }
}

/** A packet of the peer: octets [ssn, ssn + length) of its subflow, under a mapping that may be longer. */
export interface PeerPacket {
  flow: number;
  ssn: number;
  length: number;
  map: { offset: number; ssn: number; length: number } | undefined;
}

interface IncomingFlow {
  flow: Flow;
  /** Octet of the stream at each SSN that the peer has used. */
  offsets: number[];
  /** What has come to the engine. */
  fed: Set<number>;
  /** What the engine has acknowledged. */
  san: number;
}

/** The peer's stream as the host gets it. */
export class Incoming {
  readonly octets: Uint8Array;
  readonly flows: IncomingFlow[];
  readonly got = new Set<number>();
  /** What the host has acknowledged, or reported by SACK, in segments that it sent. */
  ack = 0;
  readonly sacked = new Set<number>();
  /** What the engine has acknowledged at data level. */
  dan = 0;
  private readonly e: Established;

  constructor(e: Established, flows: Flow[], octets: Uint8Array) {
    this.e = e;
    this.octets = octets;
    this.flows = flows.map((flow) => ({ flow, offsets: [], fed: new Set(), san: 0 }));
  }

  /** The host is given a packet. */
  given(packet: p.Packet): void {
    const from = diff(packet.seq, this.e.tan(0));
    packet.payload.forEach((octet, i) => {
      if (octet !== this.octets[from + i]) fail(`octet ${from + i} under its own TSN`, packet);
      this.got.add(from + i);
    });
  }

  /** What the host acknowledges now: ACK and up to three SACK blocks, as stream offsets. */
  acknowledge(): { acks: number; blocks: [number, number][] } {
    this.ack = contiguous((i) => this.got.has(i), this.ack);
    const blocks = islands((i) => this.got.has(i), this.ack, this.octets.length).slice(0, 3);
    for (const [left, right] of blocks) for (let i = left; i < right; i++) this.sacked.add(i);
    return { acks: this.ack, blocks };
  }

  /** Checks what a packet tells the peer. */
  told(packet: p.Packet): void {
    const own = this.flows.find(({ flow }) => this.e.on(flow, [packet]).length === 1) ?? fail("on a subflow", packet);
    const san = diff(packet.ack, own.flow.irs + 1);
    for (let i = own.san; i < san; i++) {
      const offset = own.offsets[i] ?? -1;
      if (!own.fed.has(i)) fail(`SAN covers ${i}, which did not come there`, packet);
      // A host without SACK does not say what it keeps out of order: what the peer had to repeat passes for kept.
      const said = offset < this.ack || this.sacked.has(offset) || (!this.e.hasSack && offset > this.ack);
      if (!said) fail(`SAN covers ${offset}, which the host lacks`, packet);
    }
    if (san > own.san) own.san = san;
    for (const [left, right] of p.option(packet, "sack")?.blocks ?? []) {
      const [from, to] = [diff(left, own.flow.irs + 1), diff(right, own.flow.irs + 1)];
      // Above, not at SAN: and the host of this model reports no duplicates.
      if (from >= to || from <= san) fail("SACK blocks above SAN", packet);
      for (let i = from; i < to; i++) if (!own.fed.has(i)) fail(`SACK of ${i}, which did not come there`, packet);
    }
    const dan = p.option(packet, "dss")?.dan;
    if (dan === undefined) return;
    const octets = Number(BigInt.asIntN(32, dan - low32(this.e.peerDsn(0))));
    if (octets > this.ack) fail(`DATA_ACK ${octets} beyond the host's ${this.ack}`, packet);
    this.dan = Math.max(this.dan, octets);
  }
}
