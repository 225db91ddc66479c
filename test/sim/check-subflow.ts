// One subflow as a router right in front of one end sees it: what this end sends must be one well-formed TCP
// connection, and every octet of it must have one place in the stream for ever. (RFC 9293 §3.10, RFC 8684 §3.3)

import { type Dss, dssChecksum, option, type Packet } from "../packet.ts";
import { type ConnectionRecord, demand, distance, isStream } from "./connection-record.ts";
import { otherSide, type Side } from "./network.ts";
import { Ranges } from "./ranges.ts";

/** Octets [left, right) of a subflow lie `shift` higher in the stream. */
interface Mapped {
  left: number;
  right: number;
  shift: number;
}

export class SubflowCheck {
  readonly record: ConnectionRecord;
  readonly side: Side;
  /** No engine at this end: a stack of its own makes mappings longer than packets, probes and the like. */
  private readonly native: boolean;
  private readonly name: string;
  private iss = -1;
  private irs = -1;
  private nxt = 0;
  private fin = -1;
  private reset = false;
  private resetArrived = false;
  private san = 0;
  private readonly mapped: Mapped[] = [];
  private readonly sent = new Ranges();
  /** Declared mappings that are longer than the packet they stood on: SSN, DSN, length. */
  private readonly long: { left: number; right: number; shift: number }[] = [];
  /** What has arrived, and the number of the other end's FIN. */
  private readonly arrived = new Ranges();
  private finArrived = -1;
  private peerAcknowledged = 0;
  /** ACK field of the last packet that arrived. */
  private lastAck = -1;
  private scale = 0;
  private peerScale = 0;
  private offered = { own: -1, peer: -1 };

  constructor(record: ConnectionRecord, side: Side, native: boolean, name: string) {
    this.record = record;
    this.side = side;
    this.native = native;
    this.name = name;
  }

  /** True if a new SYN may reuse the tuple. */
  get over(): boolean {
    return this.reset || this.resetArrived || (this.fin >= 0 && this.finArrived >= 0);
  }

  /** True if the SYN with the number `seq` is that of this subflow, again: a network may hold a copy for long. */
  began(seq: number): boolean {
    return seq === this.iss || seq === this.irs;
  }

  private demand(condition: boolean, rule: () => string): void {
    demand(condition, () => `subflow ${this.name} at ${this.side}: ${rule()}`);
  }

  // ---- what arrives --------------------------------------------------------------------------------------

  /** A packet of the other end comes in here. */
  arrives(p: Packet): void {
    if (p.flags.includes("S")) {
      // A half-open join that the other end gave up is answered anew; what this end has acknowledged stays.
      if (this.irs >= 0 && p.seq !== this.irs && this.san > 0) return;
      this.irs = p.seq;
      this.offered.peer = option(p, "ws")?.shift ?? -1;
      this.arrived.add(0, 1);
      this.agree();
      this.windowArrives(p, 0);
      if (p.flags.includes("A") && this.iss >= 0) this.peerAcknowledged = Math.max(1, this.peerAcknowledged);
      return;
    }
    if (this.irs < 0) return;
    if (p.flags.includes("R")) {
      this.resetArrived = true;
      return;
    }
    const left = distance(this.irs, p.seq);
    const right = left + p.payload.length;
    this.arrived.add(left, right);
    if (p.flags.includes("F")) this.finArrived = right;
    if (!p.flags.includes("A") || this.iss < 0) return;
    this.lastAck = p.ack;
    this.peerAcknowledged = Math.max(this.peerAcknowledged, distance(this.iss, p.ack));
    this.windowArrives(p, this.peerScale);
  }

  /** The right edge that the other end grants, data level; on a plain connection that is the subflow's. */
  private windowArrives(p: Packet, scale: number): void {
    const { record, side } = this;
    const dan = this.acknowledgedData(p, side) ?? (this.iss < 0 ? 0 : distance(this.iss, p.ack));
    record.edgeSeen[side] = Math.max(record.edgeSeen[side], dan + p.win * 2 ** scale);
  }

  private acknowledgedData(p: Packet, whose: Side): number | undefined {
    const dan = option(p, "dss")?.dan;
    return dan === undefined ? undefined : this.record.relative(whose, dan);
  }

  private agree(): void {
    if (this.offered.own < 0 || this.offered.peer < 0) return;
    this.scale = this.offered.own;
    this.peerScale = this.offered.peer;
  }

  // ---- what leaves ---------------------------------------------------------------------------------------

  /** This end sends a packet. */
  leaves(p: Packet): void {
    if (p.flags.includes("S")) {
      this.syn(p);
      return;
    }
    // A SYN refused, of a join that has no place here (RFC 9293 §3.10.7.1).
    const refusal = p.flags === "RA" && p.seq === 0 && this.peerAcknowledged === 0;
    if (refusal) return;
    this.demand(this.iss >= 0, () => "a packet before the SYN");
    if (p.flags.includes("R")) {
      const seq = distance(this.iss, p.seq);
      const most = this.nxt + 1 + this.reservable;
      // Who knows nothing of the subflow takes the number from the ACK field that it answers (RFC 9293 §3.5.2).
      const answers = p.flags === "R" && p.seq === this.lastAck;
      this.demand(answers || (seq >= 0 && seq <= most), () => `RST at ${seq}, sent are ${this.nxt}`);
      this.reset = true;
      return;
    }
    this.demand(!this.reset, () => "something other than RST after RST");
    this.demand(p.flags.includes("A"), () => "no ACK flag");
    this.acknowledges(p);
    this.summed(p);
    this.sends(p);
  }

  private syn(p: Packet): void {
    // A half-open join that was given up is answered anew.
    if (this.iss >= 0 && this.peerAcknowledged > 0)
      this.demand(p.seq === this.iss, () => `SYN with ${p.seq} after one with ${this.iss}`);
    this.iss = p.seq;
    this.nxt = Math.max(this.nxt, 1);
    this.offered.own = option(p, "ws")?.shift ?? -1;
    this.agree();
    if (!p.flags.includes("A")) return;
    this.demand(this.irs >= 0 && distance(this.irs, p.ack) === 1, () => "SYN/ACK of another SYN");
    if (this.peerAcknowledged === 0) this.reset = false; // the RST was lost, and the other end's SYN has come again
    this.san = Math.max(this.san, 1);
  }

  /** Every mapping has the checksum of the stream's octets, or none has one. (RFC 8684 §3.3.1) */
  private summed(p: Packet): void {
    const { record, side } = this;
    const dss = option(p, "dss");
    const capable = option(p, "mpCapable");
    const dsn = capable?.dataLength === undefined ? dss?.dsn : (record.idsn[side] ?? 0n) + 1n;
    const { length = 0, checksum } =
      capable?.dataLength === undefined ? { ...dss } : { ...capable, length: capable.dataLength };
    const at = dsn === undefined || length === 0 ? undefined : record.relative(side, dsn);
    if (at === undefined) return;
    this.demand(record.checksums === (checksum !== undefined), () => `a mapping with checksum ${checksum}`);
    if (checksum === undefined) return;
    const ssn = capable?.dataLength === undefined ? (dss?.ssn ?? 0) : 1;
    const octets = record.expected(side, at, at + length - (dss?.fin ? 1 : 0));
    const right = dssChecksum(BigInt.asUintN(64, (record.idsn[side] ?? 0n) + BigInt(at)), ssn, length, octets);
    this.demand(
      checksum === right,
      () => `checksum ${checksum} of mapping ${ssn} for ${length}, it ought to be ${right}`,
    );
  }

  private acknowledges(p: Packet): void {
    const san = distance(this.irs, p.ack);
    const contiguous = this.arrived.missing(0);
    const most = contiguous === this.finArrived ? contiguous + 1 : contiguous;
    this.demand(san <= most, () => `acknowledges ${san}, ${most} have arrived`);
    this.demand(san >= this.san, () => `acknowledges ${san} after ${this.san}`);
    this.san = san;
    const blocks = (option(p, "sack")?.blocks ?? []).map(([l, r]) => [distance(this.irs, l), distance(this.irs, r)]);
    for (const [left = 0, right = 0] of blocks) {
      this.demand(left < right && this.arrived.has(left, right), () => `SACK ${left}:${right} that never came`);
    }
    this.grants(p);
  }

  /** DATA_ACK and window, held against the host's own. */
  private grants(p: Packet): void {
    const { record, side } = this;
    const dan = this.acknowledgedData(p, otherSide(side)) ?? (option(p, "mpCapable") ? 1 : undefined);
    if (dan === undefined) return;
    const host = record.hosts[side];
    const edge = dan + p.win * 2 ** this.scale;
    record.dan[side] = Math.max(record.dan[side], dan);
    record.edge[side] = Math.max(record.edge[side], edge);
    if (this.native) return;
    this.demand(dan <= Math.max(1, host.acknowledged), () => `DATA_ACK ${dan}, the host's is ${host.acknowledged}`);
    this.demand(edge <= host.granted, () => `window up to ${edge}, the host grants ${host.granted}`);
  }

  private sends(p: Packet): void {
    const left = distance(this.iss, p.seq);
    const right = left + p.payload.length;
    const fin = p.flags.includes("F");
    const { record, side } = this;
    const dss = option(p, "dss");
    const isMapped = dss?.dsn !== undefined || option(p, "mpCapable")?.dataLength !== undefined;
    const next = this.fin >= 0 && this.nxt >= this.fin ? this.fin + 1 : this.nxt;
    const isOld = left === next - 1 || right <= this.peerAcknowledged;
    if (p.payload.length <= 1 && !fin && !isMapped && isOld) return; // keep-alive (RFC 9293 §3.8.4)
    if (right === left && !fin && left <= next + this.reservable) return;
    // Numbers may be left out for octets of the host that went nowhere: it will send them again, and there is their
    // place (N-49); a FIN comes behind no hole, but for what the engine had no room for until it was sent elsewhere.
    this.demand(left <= this.nxt + this.reservable, () => `sends ${left}:${right}, ${this.nxt} was next`);
    this.demand(this.fin < 0 || right <= this.fin, () => `sends up to ${right}, its FIN is at ${this.fin}`);
    if (fin) {
      this.demand(right >= this.nxt || this.fin === right, () => `FIN at ${right}, ${this.nxt} was next`);
      this.demand(this.fin < 0 || this.fin === right, () => `FIN at ${right} after one at ${this.fin}`);
      this.demand(
        this.native || record.starved[side] || this.sent.missing(1) >= left,
        () => `FIN at ${right} behind a hole that was never sent`,
      );
      this.fin = right;
    }
    if (dss?.fin && !this.native) this.dataFin(dss, p.payload.length);
    if (p.payload.length > 0) this.payload(p, left, right);
    this.nxt = Math.max(this.nxt, right);
  }

  /** Octets that the host may have sent without their having got here. */
  private get reservable(): number {
    const host = this.record.hosts[this.side];
    return this.native ? 0 : Math.max(0, host.nxt - host.shownAcknowledged);
  }

  private dataFin(dss: Dss, payload: number): void {
    const { record, side } = this;
    if (dss.dsn === undefined || dss.length === undefined) return;
    const at = record.relative(side, dss.dsn);
    if (at === undefined) return;
    const number = at + dss.length - 1;
    const { fin } = record.hosts[side];
    this.demand(number === fin, () => `DATA_FIN at ${number}, the host's FIN is at ${fin}`);
    this.demand(payload > 0 || (dss.length === 1 && dss.ssn === 0), () => "a DATA_FIN of its own with a mapping");
    record.dataFin[side] = number;
  }

  private payload(p: Packet, left: number, right: number): void {
    const { record, side } = this;
    this.demand(left >= 1, () => `payload at ${left}`);
    const shift = this.shiftOf(p, left, right);
    if (shift === undefined) return;
    this.demand(isStream(record, side, left + shift, p.payload), () => `wrong octets at ${left}, shift ${shift}`);
    for (const known of left < this.nxt ? this.mapped : []) {
      if (known.right <= left || known.left >= right) continue;
      const rule = () => `${left}:${right} mapped by ${shift}, before ${known.left}:${known.right} by ${known.shift}`;
      this.demand(known.shift === shift, rule);
    }
    this.sent.add(left, right);
    const last = this.mapped.at(-1);
    if (last?.shift === shift && left <= last.right && left >= last.left) last.right = Math.max(last.right, right);
    else if (right > this.nxt || left < this.nxt) this.mapped.push({ left, right, shift });
    // A host that oversteps what it was shown (smoltcp's fast retransmission does) is not held back.
    const { nxt, shownEdge } = record.hosts[side];
    const edge = Math.max(record.edgeSeen[side], nxt > shownEdge ? nxt : 0);
    this.demand(right + shift <= edge + 1, () => `sends up to ${right + shift}, the window ends at ${edge}`);
  }

  /** How much higher the payload lies in the stream; undefined if that cannot be known. */
  private shiftOf(p: Packet, left: number, right: number): number | undefined {
    const { record, side } = this;
    const dss = option(p, "dss");
    const capable = option(p, "mpCapable");
    if (capable?.dataLength !== undefined) {
      this.demand(right <= 1 + capable.dataLength, () => `${left}:${right} outside of its MP_CAPABLE`);
      this.declareMapping(1, 1 + capable.dataLength, 0, right);
      return 0;
    }
    if (dss?.dsn === undefined || dss.ssn === undefined || dss.length === undefined || dss.length === 0) {
      this.demand(this.native || record.isPlain(side), () => `${left}:${right} without a mapping`);
      return this.native ? undefined : 0;
    }
    const dsn = record.relative(side, dss.dsn);
    if (dsn === undefined) return undefined;
    const [from, end] = [dss.ssn, dss.ssn + dss.length - (dss.fin ? 1 : 0)];
    this.demand(from <= left && right <= end, () => `${left}:${right} outside of its mapping ${from}:${end}`);
    this.declareMapping(from, end, dsn - from, right);
    return dsn - from;
  }

  /** A mapping longer than its packet must be repeated as it was until it is through (Linux: DSSNotMatching). */
  private declareMapping(left: number, right: number, shift: number, packetEnd: number): void {
    if (this.native) return;
    for (const known of this.long) {
      if (known.right <= left || known.left >= right || known.right <= this.peerAcknowledged) continue;
      const same = known.left === left && known.right === right && known.shift === shift;
      this.demand(same, () => `mapping ${left}:${right} by ${shift} beside ${known.left}:${known.right}`);
    }
    if (packetEnd < right && !this.long.some((known) => known.left === left)) this.long.push({ left, right, shift });
  }
}
