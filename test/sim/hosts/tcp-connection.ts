// One TCP connection: handshake, acceptance of segments (RFC 9293, RFC 5961), acknowledgements, close and reset, around
// a sender and a receiver. What is different for an MPTCP subflow is behind Extension.
//
// A peer, and a proxy in front of it, must never make a real stack see certain things. Those end in an Error here, and
// with it the run: an ACK of what was never sent, a SACK block of it, octets beyond the window, octets behind a FIN.

import type { Random } from "../../model/random.ts";
import * as p from "../../packet.ts";
import type { Emitted } from "../stack.ts";
import type { Extension } from "./extension.ts";
import { reportedBlocks } from "./sack-blocks.ts";
import type { SenderOptions } from "./sender-options.ts";
import { type Block, Receiver } from "./tcp-receiver.ts";
import { Sender } from "./tcp-sender.ts";

export interface ConnectionOptions extends SenderOptions {
  random: Random;
  sack: boolean;
  /** Of the interface, headers included. */
  mtu: number;
  /** -1: the option is left out. */
  windowScale: number;
  delayedAck: boolean;
  /** 0: never. */
  keepAliveUs: number;
  timeWaitUs: number;
  /** Timestamps are offered in the SYN, and never agreed to. */
  offerTimestamps: boolean;
  /** The initial number lies this many octets before 2^32 at most; undefined: anywhere. */
  issNear: number | undefined;
}

export interface Tuple {
  local: string;
  localPort: number;
  remote: string;
  remotePort: number;
}

export type ConnectionState = "synSent" | "synReceived" | "open" | "timeWait" | "over";

const DELAYED_ACK_US = 40_000;
const SYN_RTO_US = 1_000_000;
const SYN_RETRIES = 8;
const QUICK_ACKS = 16;
const CHALLENGE_EVERY_US = 500_000;

export class TcpConnection {
  state: ConnectionState;
  readonly tuple: Tuple;
  readonly iss: number;
  irs = 0;
  readonly snd: Sender;
  readonly rcv = new Receiver();
  nowUs = 0;
  readonly o: ConnectionOptions;
  readonly extension: Extension;
  private readonly out: Emitted[];
  private scale = 0;
  private peerScale = 0;
  private readonly ownMss: number;
  private ackNow = false;
  private delayedAckUs = Infinity;
  private quickAcks = QUICK_ACKS;
  private synUs = Infinity;
  private synAttempts = 0;
  private synSentUs = 0;
  private timeWaitUs = Infinity;
  private keepAliveUs = Infinity;
  /** Our FIN left before the peer's was reached: TIME_WAIT is ours. */
  private closedFirst: boolean | undefined;
  private windowSeq = 0;
  private challengeUs = -Infinity;
  private packetId: number;

  constructor(tuple: Tuple, options: ConnectionOptions, extension: Extension, out: Emitted[], passive: boolean) {
    this.tuple = tuple;
    this.o = options;
    this.extension = extension;
    this.out = out;
    this.state = passive ? "synReceived" : "synSent";
    const { random, issNear } = options;
    this.iss = (issNear === undefined ? random.bits() : -1 - random.below(issNear)) >>> 0;
    this.packetId = random.below(65536);
    this.ownMss = options.mtu - (tuple.local.includes(":") ? 60 : 40);
    const wire = {
      transmit: this.transmit.bind(this),
      probe: () => this.send("A", this.snd.una - 1, 0),
      reach: (at: number) => extension.reach(at),
      optionRoom: () => extension.optionRoom() + this.rcv.reportSize(this.blockRoom(extension.optionRoom())),
      timedOut: () => this.end(true),
    };
    this.snd = new Sender(options, wire, this.ownMss);
  }

  // --- opening ------------------------------------------------------------------------------------------

  connect(nowUs: number): void {
    this.nowUs = nowUs;
    this.sendSyn();
  }

  /** The SYN that this connection is the answer to; false if it is not taken. */
  accept(syn: p.Packet, nowUs: number): boolean {
    this.nowUs = nowUs;
    if (!this.takeSyn(syn)) return false;
    this.sendSyn();
    return true;
  }

  private takeSyn(syn: p.Packet): boolean {
    this.irs = syn.seq;
    this.rcv.nxt = this.rcv.told = 1;
    this.snd.open(p.option(syn, "mss")?.mss ?? 536);
    this.snd.sackAgreed = this.o.sack && p.option(syn, "sackOk") !== undefined;
    const shift = p.option(syn, "ws")?.shift;
    if (shift !== undefined && this.o.windowScale >= 0) {
      this.scale = this.o.windowScale;
      this.peerScale = Math.min(shift, 14);
    }
    if (!this.extension.synArrived(syn)) return false;
    if (syn.flags.includes("A")) this.takeWindow(syn, 0);
    return true;
  }

  private sendSyn(): void {
    const passive = this.state === "synReceived";
    const { sack, windowScale, offerTimestamps } = this.o;
    const agreed = passive ? this.snd.sackAgreed : sack;
    const scaled = passive ? this.scale > 0 || this.peerScale > 0 : windowScale >= 0;
    const options: p.Option[] = [p.mss(this.ownMss), ...(agreed ? [p.sackOk] : [])];
    if (offerTimestamps && !passive) options.push(p.ts(Math.floor(this.nowUs / 1000), 0));
    if (scaled) options.push(p.nop, p.ws(windowScale));
    options.push(...this.extension.synOptions(this.synAttempts));
    const window = this.extension.window(0);
    this.rcv.told = this.rcv.nxt;
    this.emit({ flags: passive ? "SA" : "S", seq: this.iss, ack: passive ? this.wireAck() : 0, win: window, options });
    this.synUs = this.nowUs + Math.min(SYN_RTO_US * 2 ** this.synAttempts, this.o.rtoMaxUs);
    this.synAttempts++;
    this.synSentUs = this.nowUs;
  }

  private inSynSent(packet: p.Packet): void {
    const acked = packet.flags.includes("A") && packet.ack === (this.iss + 1) >>> 0;
    if (packet.flags.includes("A") && !acked) {
      if (!packet.flags.includes("R")) this.emit({ flags: "R", seq: packet.ack, win: 0 });
      return;
    }
    if (packet.flags.includes("R")) {
      if (acked) this.end(true);
      return;
    }
    if (!packet.flags.includes("S")) return;
    if (!acked) this.state = "synReceived"; // both ends open at once
    if (!this.takeSyn(packet)) {
      this.reset();
      return;
    }
    if (!acked) this.sendSyn();
    else this.nowOpen();
    this.ackNow = acked;
    if (acked && this.o.random.chance(0.5)) this.sendAck(); // else data that waits takes the ACK along
  }

  private nowOpen(): void {
    this.state = "open";
    this.synUs = Infinity;
    if (this.synAttempts === 1) this.snd.handshakeTook(this.nowUs - this.synSentUs);
    if (this.o.keepAliveUs > 0) this.keepAliveUs = this.nowUs + this.o.keepAliveUs;
    this.extension.opened();
  }

  // --- segments -----------------------------------------------------------------------------------------

  input(packet: p.Packet, nowUs: number): void {
    this.nowUs = nowUs;
    if (this.state === "over") return;
    if (this.state === "timeWait") this.timeWaitUs = nowUs + this.o.timeWaitUs;
    if (this.state === "synSent") this.inSynSent(packet);
    else this.segment(packet);
    this.output();
  }

  /** Sends what can be sent, and an ACK if one is due that nothing else carried. */
  private output(): void {
    if (this.state === "open") this.snd.push(this.nowUs);
    if (this.ackNow && this.state !== "over") this.sendAck();
    while (this.state === "open" && this.extension.wantsAck()) this.sendAck();
    this.maybeOver();
  }

  private segment(packet: p.Packet): void {
    const { flags } = packet;
    const at = this.rcv.nxt + ((packet.seq - (this.irs + this.rcv.nxt)) | 0);
    const end = at + packet.payload.length + (flags.includes("F") ? 1 : 0) + (flags.includes("S") ? 1 : 0);
    const edge = Math.max(this.extension.edge(), this.rcv.nxt);
    if (flags.includes("R")) this.resetArrived(packet, at, edge);
    else if (end < this.rcv.told || at > edge) {
      if (at > edge && packet.payload.length > 0) this.beyond(packet, end);
      if (end < this.rcv.told && packet.payload.length > 0) this.rcv.repeated(at, end);
      if (packet.payload.length > 0) this.ackNow = true;
      else this.challenge();
    } else if (flags.includes("S")) {
      if (this.state !== "synReceived") this.challenge();
      else if (flags.includes("A"))
        this.acknowledgement(packet, at); // both ends opened at once
      else this.sendSyn();
    } else if (flags.includes("A") && this.acknowledgement(packet, at)) this.text(packet, at, end);
  }

  /** Octets that lie beyond what was ever granted: one octet is a probe. */
  private beyond(packet: p.Packet, end: number): void {
    if (packet.payload.length <= 1 || this.extension.lenientWindow) return;
    throw new Error(
      `${this.name}: octets up to ${end}, the window ends at ${this.extension.edge()}: ${p.show(packet)}`,
    );
  }

  private resetArrived(packet: p.Packet, at: number, edge: number): void {
    if (at === this.rcv.nxt || at === this.rcv.highest) this.end(true, packet);
    else if (at > this.rcv.nxt && at <= edge) this.challenge();
  }

  /** The ACK field; false if the segment is to be ignored. */
  private acknowledgement(packet: p.Packet, at: number): boolean {
    const { snd } = this;
    const una = snd.una + ((packet.ack - (this.iss + snd.una)) | 0);
    if (this.state === "synReceived" && una !== 1) {
      this.emit({ flags: "R", seq: packet.ack, win: 0 });
      return false;
    }
    if (una > snd.nxt) {
      const found = p.show(packet);
      throw new Error(`${this.name}: acknowledges ${una}, sent were ${snd.nxt}: ${found}`);
    }
    if (una < snd.una - snd.windowMax && this.state !== "synReceived") {
      this.challenge(); // RFC 5961 §5.2
      return false;
    }
    const taken = this.extension.arrived(packet, at, this.state === "synReceived");
    if (!taken || this.ended) return false; // the extension may have had enough of it
    if (this.state === "synReceived") {
      this.takeWindow(packet, at);
      this.nowOpen();
    }
    const before = snd.windowEnd;
    const blocks = reportedBlocks(packet, una, snd, this.iss, this.name);
    if (una >= snd.una && this.newerWindow(packet, at, una)) this.takeWindow(packet, at);
    const duplicate = una === snd.una && packet.payload.length === 0 && before === snd.windowEnd;
    snd.answered();
    snd.ack(Math.max(una, snd.una), duplicate && !packet.flags.includes("F"), blocks, this.nowUs);
    if (this.o.keepAliveUs > 0) this.keepAliveUs = this.nowUs + this.o.keepAliveUs;
    this.extension.acknowledged();
    return true;
  }

  /** RFC 9293 §3.10.7.4, with Linux's exception for a window that opens. */
  private newerWindow(packet: p.Packet, at: number, una: number): boolean {
    const { snd } = this;
    if (una > snd.una || at > this.windowSeq) return true;
    return at === this.windowSeq && una + this.windowOf(packet) > snd.windowEnd;
  }

  /** The window that a packet states, in octets. */
  scaledWindow(packet: p.Packet): number {
    return packet.flags.includes("S") ? packet.win : packet.win * 2 ** this.peerScale;
  }

  private windowOf(packet: p.Packet): number {
    return this.extension.peerWindow(this.scaledWindow(packet));
  }

  private takeWindow(packet: p.Packet, at: number): void {
    const una = this.snd.una + ((packet.ack - (this.iss + this.snd.una)) | 0);
    const window = this.windowOf(packet);
    this.windowSeq = at;
    this.snd.windowUpdate(una + window, window);
  }

  private text(packet: p.Packet, at: number, end: number): void {
    const fin = packet.flags.includes("F");
    if (end === at) return;
    if (end > Math.max(this.extension.edge(), this.rcv.nxt) + (fin ? 1 : 0)) this.beyond(packet, end);
    const ready = this.rcv.add({ start: at, octets: packet.payload, packet }, fin);
    if (ready.length > 0) this.extension.deliver(ready);
    const inOrder = ready.length === 1 && !this.rcv.hasHoles && !fin;
    const plenty = this.rcv.nxt - this.rcv.told > this.ownMss;
    const quick = !this.o.delayedAck || this.quickAcks > 0 || plenty;
    if (!inOrder) this.quickAcks = Math.max(this.quickAcks, 4);
    if (!inOrder || quick) this.ackNow = true;
    else if (this.delayedAckUs === Infinity) this.delayedAckUs = this.nowUs + DELAYED_ACK_US;
  }

  // --- sending ------------------------------------------------------------------------------------------

  private wireAck(): number {
    return (this.irs + this.rcv.nxt) >>> 0;
  }

  /** SACK blocks that fit beside `used` octets of other options. */
  private blockRoom(used: number): number {
    return this.snd.sackAgreed ? Math.floor((36 - Math.ceil(used / 4) * 4) / 8) : 0;
  }

  private transmit(at: number, length: number, fin: boolean, gsoSize: number): void {
    const push = length > 0 && (at + length === this.snd.buffer.end || this.o.random.chance(0.1));
    this.send(`${push ? "P" : ""}${fin ? "F" : ""}A`, at, length, gsoSize);
  }

  private send(flags: string, at: number, length: number, gsoSize = 0): void {
    const options = this.extension.options(at, length);
    const blocks = this.rcv.report(this.blockRoom(p.encodeOptions(options).length));
    if (blocks.length > 0) {
      const wire = blocks.map(([left, right]): Block => [(this.irs + left) >>> 0, (this.irs + right) >>> 0]);
      options.push(p.nop, p.nop, p.sack(...wire));
    }
    const payload = length > 0 ? this.snd.buffer.read(at, length) : new Uint8Array(0);
    const seq = (this.iss + at) >>> 0;
    const win = this.extension.window(this.scale);
    this.rcv.told = this.rcv.nxt;
    this.ackNow = false;
    this.delayedAckUs = Infinity;
    if (this.quickAcks > 0) this.quickAcks--;
    this.emit({ flags, seq, ack: this.wireAck(), win, options, payload }, gsoSize);
  }

  private emit(fields: Partial<p.PacketFields>, gsoSize = 0): void {
    const { local: src, remote: dst, localPort: sport, remotePort: dport } = this.tuple;
    this.packetId = (this.packetId + 1) & 0xffff;
    this.out.push({ octets: p.packet({ src, dst, sport, dport, id: this.packetId, ...fields }), gsoSize });
  }

  /** A pure ACK, now. */
  sendAck(): void {
    this.send("A", this.snd.nxt, 0);
  }

  /** Another ACK leaves at the end of this call. */
  wantAck(): void {
    this.ackNow = true;
  }

  private challenge(): void {
    if (this.nowUs - this.challengeUs < CHALLENGE_EVERY_US) return;
    this.challengeUs = this.nowUs;
    this.ackNow = true;
  }

  // --- time ---------------------------------------------------------------------------------------------

  get nextUs(): number {
    const opening = this.state === "synSent" || this.state === "synReceived";
    if (opening) return this.synUs;
    if (this.state === "over") return Infinity;
    return Math.min(this.snd.timerUs, this.delayedAckUs, this.timeWaitUs, this.keepAliveUs);
  }

  advance(nowUs: number): void {
    this.nowUs = nowUs;
    if (this.state === "over") return;
    if (this.state === "synSent" || this.state === "synReceived") {
      if (this.synUs <= nowUs) this.repeatSyn();
      return;
    }
    if (this.timeWaitUs <= nowUs) {
      this.end(false);
      return;
    }
    if (this.snd.timerUs <= nowUs) this.snd.fire(nowUs);
    if (this.delayedAckUs <= nowUs) this.ackNow = true;
    if (this.keepAliveUs <= nowUs) this.keepAlive();
    this.output();
  }

  private repeatSyn(): void {
    if (this.synAttempts > SYN_RETRIES) this.end(true);
    else this.sendSyn();
  }

  private keepAlive(): void {
    this.keepAliveUs = this.nowUs + this.o.keepAliveUs;
    if (this.snd.flight === 0 && this.state === "open") this.send("A", this.snd.una - 1, 0);
  }

  // --- the end ------------------------------------------------------------------------------------------

  /** Both FINs are out of the way. */
  get isOver(): boolean {
    return this.state === "over" || this.state === "timeWait";
  }

  private get ended(): boolean {
    return this.state === "over";
  }

  private maybeOver(): void {
    const { snd, rcv } = this;
    if (this.state !== "open" || !snd.finSent) return;
    this.closedFirst ??= !rcv.finished;
    if (!snd.finAcked || !rcv.finished) return;
    this.keepAliveUs = Infinity;
    this.timeWaitUs = this.nowUs + this.o.timeWaitUs;
    this.state = this.closedFirst ? "timeWait" : "over";
    this.extension.ended(false);
  }

  private end(reset: boolean, rst?: p.Packet): void {
    if (this.state === "over") return;
    const told = this.isOver;
    this.state = "over";
    if (!told) this.extension.ended(reset, rst);
  }

  /** RST with these options, and the end of it. */
  reset(options: p.Option[] = []): void {
    if (this.state === "over") return;
    const silent = this.state === "synSent" && this.irs === 0;
    const fields = { flags: "RA", seq: (this.iss + this.snd.nxt) >>> 0, ack: this.wireAck(), win: 0, options };
    if (!silent && this.state !== "timeWait") this.emit(fields);
    this.end(true);
  }

  get name(): string {
    const { local, localPort, remote, remotePort } = this.tuple;
    return `${local}:${localPort} > ${remote}:${remotePort}`;
  }
}
