// One end of a TCP connection as a host speaks it: enough of RFC 9293 to open, move octets both ways over a
// network that loses, repeats and reorders, and end by FIN or RST. The stream is payloadPattern(), so that every
// arriving octet can be checked where it lies. Numbers are offsets from the initial one: 0 is the SYN.

import { mss, nop, option, type Packet, type PacketFields, payloadPattern, sack, sackOk, ws } from "../packet.ts";
import type { Random } from "./random.ts";

const SHIFT = 7;
const FLIGHT = 12; // segments in flight at most
const RTO_US = 200_000;
const RTO_MAX_US = 2_000_000;

export interface TcpHostOptions {
  address: string;
  port: number;
  peer: string;
  peerPort: number;
  iss: number;
  random: Random;
  sack?: boolean;
  /** Octets to send once it is open. */
  octets: number;
  /** Segments up to this many MSS, as a host with GSO makes them. */
  gso?: number;
}

type State = "idle" | "synSent" | "synReceived" | "open" | "timeWait" | "closed";

export class TcpHost {
  state: State = "idle";
  /** Why it ended, for messages. */
  reset = false;
  /** Octets to send in all, and received in order. */
  octets: number;
  received = 0;
  closing = false;
  peerFinished = false;
  private readonly o: TcpHostOptions;
  private irs = 0;
  private una = 0;
  private nxt = 0;
  private rcvNxt = 0;
  private blocks: [number, number][] = [];
  private duplicate: [number, number] | undefined;
  private peerFin = -1;
  private mss = 536;
  private sackAgreed = false;
  private timer = Infinity;
  private rto = RTO_US;
  private duplicates = 0;
  private finFirst = false;
  private out: PacketFields[] = [];

  constructor(options: TcpHostOptions) {
    this.o = options;
    this.octets = options.octets;
  }

  get nextUs(): number {
    return this.timer;
  }

  /** True if neither end waits for anything any more. */
  get over(): boolean {
    return this.state === "closed" || this.state === "timeWait";
  }

  /** Payload octets that the peer has acknowledged. */
  get acknowledged(): number {
    return Math.max(0, Math.min(this.una - 1, this.octets));
  }

  connect(now: number): PacketFields[] {
    this.state = "synSent";
    this.nxt = 1;
    this.timer = now + 1_000_000;
    this.send("S", 0, 0, this.synOptions());
    return this.take();
  }

  close(now: number): PacketFields[] {
    this.closing = true;
    this.push(now);
    return this.take();
  }

  abort(): PacketFields[] {
    if (this.over || this.state === "idle") return [];
    this.send(this.state === "synSent" ? "R" : "RA", this.nxt, 0);
    this.end(true);
    return this.take();
  }

  /** The timer fired: repeats the first segment that is not acknowledged, sometimes with other boundaries. */
  fire(now: number): PacketFields[] {
    this.timer = Infinity;
    if (this.over) return [];
    this.rto = Math.min(this.rto * 2, RTO_MAX_US);
    this.timer = now + this.rto;
    this.repeat();
    return this.take();
  }

  /** A segment from the peer. */
  input(p: Packet, now: number): PacketFields[] {
    const flags = p.flags;
    if (this.state === "closed" || (this.state === "idle" && !flags.includes("S"))) {
      if (!flags.includes("R")) this.refuse(p);
      return this.take();
    }
    if (this.state === "idle") this.accept(p, now);
    else if (this.state === "synSent") this.connected(p, now);
    else this.segment(p, now);
    return this.take();
  }

  private accept(p: Packet, now: number): void {
    this.irs = p.seq;
    this.rcvNxt = 1;
    this.takeSyn(p);
    this.state = "synReceived";
    this.nxt = 1;
    this.timer = now + 1_000_000;
    this.send("SA", 0, 0, this.synOptions());
  }

  private connected(p: Packet, now: number): void {
    if (p.flags.includes("R")) {
      this.end(true);
      return;
    }
    if (!p.flags.includes("S") || !p.flags.includes("A") || p.ack !== (this.o.iss + 1) >>> 0) return;
    this.irs = p.seq;
    this.rcvNxt = 1;
    this.una = 1;
    this.takeSyn(p);
    this.state = "open";
    this.timer = Infinity;
    this.rto = RTO_US;
    this.send("A", this.nxt, 0);
    this.push(now);
  }

  private segment(p: Packet, now: number): void {
    const offset = this.rcvNxt + ((p.seq - (this.irs + this.rcvNxt)) | 0);
    if (p.flags.includes("R")) {
      if (offset === this.rcvNxt)
        this.end(this.state !== "timeWait"); // RFC 1337: the user has long been told
      else if (offset > this.rcvNxt && offset < this.rcvNxt + 65535) this.send("A", this.nxt, 0);
      return;
    }
    if (p.flags.includes("S")) {
      if (this.state === "synReceived") this.send("SA", 0, 0, this.synOptions());
      else this.send("A", this.nxt, 0);
      return;
    }
    if (!p.flags.includes("A")) return;
    this.acknowledge(p, now);
    const fin = p.flags.includes("F");
    if (p.payload.length > 0 || fin) this.receive(p, offset, fin);
    else if (offset < this.rcvNxt) this.send("A", this.nxt, 0);
    this.push(now);
    this.maybeEnd();
  }

  private acknowledge(p: Packet, now: number): void {
    const ack = this.una + ((p.ack - (this.o.iss + this.una)) | 0);
    if (ack > this.nxt) throw new Error(`acknowledges ${ack}, sent were ${this.nxt}`);
    if (this.state === "synReceived" && ack >= 1) this.state = "open";
    if (ack > this.una) {
      this.una = ack;
      this.rto = RTO_US;
      this.duplicates = 0;
      this.timer = this.una < this.nxt ? now + this.rto : Infinity;
    } else if (ack === this.una && this.una < this.nxt && p.payload.length === 0 && ++this.duplicates === 3) {
      this.repeat();
    }
  }

  private receive(p: Packet, offset: number, fin: boolean): void {
    const end = offset + p.payload.length;
    const expected = payloadPattern(p.payload.length, offset - 1);
    const wrong = p.payload.findIndex((octet, i) => octet !== expected[i]);
    if (wrong >= 0) throw new Error(`octet ${offset - 1 + wrong} of the stream is wrong`);
    this.duplicate = p.payload.length > 0 && end <= this.rcvNxt ? [offset, end] : undefined;
    if (fin) this.peerFin = end;
    if (end > offset) this.insert(offset, end);
    if (this.peerFin >= 0 && this.rcvNxt > this.peerFin) this.rcvNxt = this.peerFin;
    this.received = this.rcvNxt - 1;
    if (this.peerFin === this.rcvNxt || this.peerFinished) {
      this.peerFinished = true;
      this.rcvNxt = this.peerFin + 1;
    }
    this.send("A", this.nxt, 0);
  }

  private insert(left: number, right: number): void {
    if (right <= this.rcvNxt) return;
    const all = [...this.blocks, [left, right] as [number, number]].sort((x, y) => x[0] - y[0]);
    this.blocks = [];
    for (const [l, r] of all) {
      const last = this.blocks.at(-1);
      if (l <= this.rcvNxt) this.rcvNxt = Math.max(this.rcvNxt, r);
      else if (last && l <= last[1]) last[1] = Math.max(last[1], r);
      else this.blocks.push([l, r]);
    }
    this.blocks = this.blocks.filter(([, r]) => r > this.rcvNxt);
  }

  /** Sends what the flight has room for, and the FIN behind the last octet. */
  private push(now: number): void {
    if (this.state !== "open") return;
    const limit = this.una + FLIGHT * this.mss;
    while (this.nxt <= this.octets && this.nxt < limit) {
      const most = this.mss * this.o.random.between(1, this.o.gso ?? 1);
      const length = Math.min(
        this.o.random.chance(0.2) ? this.o.random.between(1, most) : most,
        this.octets + 1 - this.nxt,
      );
      this.send("PA", this.nxt, length);
      this.nxt += length;
    }
    if (this.closing && this.nxt === this.octets + 1) {
      if (!this.peerFinished) this.finFirst = true;
      this.send("FA", this.nxt, 0);
      this.nxt++;
    }
    if (this.una < this.nxt && this.timer === Infinity) this.timer = now + this.rto;
  }

  private repeat(): void {
    if (this.state === "synSent") this.send("S", 0, 0, this.synOptions());
    else if (this.state === "synReceived") this.send("SA", 0, 0, this.synOptions());
    else if (this.una === this.octets + 1 && this.nxt > this.una) this.send("FA", this.una, 0);
    else if (this.una < this.nxt) {
      const left = Math.min(this.nxt, this.octets + 1) - this.una;
      const length = Math.min(left, this.o.random.chance(0.3) ? this.o.random.between(1, this.mss) : this.mss);
      const last = this.una + length === this.octets + 1 && this.nxt > this.octets + 1;
      this.send(last && this.o.random.chance(0.5) ? "FPA" : "PA", this.una, length);
    }
  }

  private maybeEnd(): void {
    if (!this.peerFinished || this.una <= this.octets + 1 || !this.closing) return;
    this.timer = Infinity;
    this.state = this.finFirst ? "timeWait" : "closed";
  }

  private end(reset: boolean): void {
    this.state = "closed";
    this.reset = reset;
    this.timer = Infinity;
  }

  /** What a host without such a socket answers (RFC 9293 §3.10.7.1). */
  private refuse(p: Packet): void {
    this.out.push(refusal(p));
  }

  private takeSyn(p: Packet): void {
    this.mss = option(p, "mss")?.mss ?? 536;
    this.sackAgreed = this.o.sack !== false && option(p, "sackOk") !== undefined;
  }

  private synOptions(): PacketFields["options"] {
    return [mss(1460), ...(this.o.sack === false ? [nop, nop] : [sackOk]), nop, ws(SHIFT)];
  }

  private send(flags: string, offset: number, length: number, options: PacketFields["options"] = []): void {
    const { address, port, peer, peerPort, iss } = this.o;
    const blocks = this.duplicate ? [this.duplicate, ...this.blocks] : this.blocks;
    const reported = this.sackAgreed && blocks.length > 0 && !flags.includes("S") && !flags.includes("R");
    const wire = blocks.slice(0, 4).map(([l, r]): [number, number] => [(this.irs + l) >>> 0, (this.irs + r) >>> 0]);
    this.duplicate = undefined;
    this.out.push({
      src: address,
      dst: peer,
      sport: port,
      dport: peerPort,
      flags,
      seq: (iss + offset) >>> 0,
      ack: flags.includes("A") ? (this.irs + this.rcvNxt) >>> 0 : 0,
      win: flags.includes("S") ? 65535 : 1024,
      options: reported ? [nop, nop, sack(...wire)] : options,
      payload: payloadPattern(length, offset - 1),
    });
  }

  /** MSS that the peer's SYN named: what this host's segments may carry. */
  get segmentSize(): number {
    return this.mss;
  }

  private take(): PacketFields[] {
    const out = this.out;
    this.out = [];
    return out;
  }
}

/** RST for a segment that belongs to no socket. */
export function refusal(p: Packet): PacketFields {
  const tuple = { src: p.dst, dst: p.src, sport: p.dport, dport: p.sport };
  const length = p.payload.length + (p.flags.includes("S") ? 1 : 0) + (p.flags.includes("F") ? 1 : 0);
  if (p.flags.includes("A")) return { ...tuple, flags: "R", seq: p.ack, win: 0 };
  return { ...tuple, flags: "RA", seq: 0, ack: (p.seq + length) >>> 0, win: 0 };
}
