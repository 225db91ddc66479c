// An MPTCP connection as its application sees it, and the data level below: keys and numbers, what arrived on any
// subflow put together, the window for all of them, fallback, close and reset. Data-level numbers are offsets, the
// first octet is 1; on the wire it is IDSN + 1.

import type { Random } from "../../model/random.ts";
import * as p from "../../packet.ts";
import type { Socket, SocketAddress, SocketState } from "../stack.ts";
import { Addresses, type PathManager } from "./mptcp-addresses.ts";
import type { IncomingMaps } from "./mptcp-maps.ts";
import type { MptcpOptions } from "./mptcp-options.ts";
import { DataSender } from "./mptcp-sender.ts";
import type { Subflow } from "./mptcp-subflow.ts";
import { ReadQueue } from "./read-queue.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { type Chunk, Receiver } from "./tcp-receiver.ts";

export interface SessionOptions extends MptcpOptions {
  random: Random;
  sendBuffer: number;
  receiveBuffer: number;
  mtu: number;
}

export class MptcpConnection implements Socket {
  state: SocketState = "opening";
  readonly o: SessionOptions;
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  /** We opened it. */
  readonly opener: boolean;
  readonly localKey: bigint;
  readonly localToken: number;
  private readonly localIdsn: bigint;
  remoteKey = 0n;
  remoteToken = 0;
  private remoteIdsn = 0n;
  /** In the order in which they came; those that ended are gone. */
  subflows: Subflow[] = [];
  readonly rcv = new Receiver();
  readonly window = new ReceiveWindow();
  readonly snd: DataSender;
  readonly addresses: Addresses;
  /** It is a TCP connection: from the start, or since a fault that Linux answers with this. */
  fallback = false;
  readonly fallbackReasons: string[] = [];
  private everJoined = false;
  /** Mappings carry checksums, both ways. */
  checksums: boolean;
  /** The peer has sent octets again under other numbers of the only subflow. */
  shifted = false;
  private accepted: ((socket: Socket) => void) | undefined;
  private readonly queue = new ReadQueue();
  private goneUs = Infinity;

  constructor(
    options: SessionOptions,
    stack: PathManager,
    ends: { local: SocketAddress; remote: SocketAddress },
    accepted?: (socket: Socket) => void,
  ) {
    const { random } = options;
    this.o = options;
    this.local = ends.local;
    this.remote = ends.remote;
    this.accepted = accepted;
    this.opener = accepted === undefined;
    this.checksums = options.checksum;
    this.localKey = (BigInt(random.bits()) << 32n) | BigInt((random.bits() | 1) >>> 0);
    const { token, idsn } = p.keyDigest(this.localKey);
    this.localToken = token;
    this.localIdsn = idsn;
    this.snd = new DataSender(this, options.sendBuffer);
    this.addresses = new Addresses(this, stack);
  }

  get random(): Random {
    return this.o.random;
  }

  // --- numbers ------------------------------------------------------------------------------------------

  remoteIs(key: bigint): void {
    this.remoteKey = key;
    const { token, idsn } = p.keyDigest(key);
    this.remoteToken = token;
    this.remoteIdsn = idsn;
  }

  /** DSN of our data octet `offset`. */
  localNumber(offset: number): bigint {
    return BigInt.asUintN(64, this.localIdsn + BigInt(offset));
  }

  /** DSN of the peer's data octet `offset`: what a DATA_ACK names. */
  remoteNumber(offset: number): bigint {
    return BigInt.asUintN(64, this.remoteIdsn + BigInt(offset));
  }

  /** Offset of the DSN of an option, next to what was acknowledged. */
  receivedOffset(dss: p.Dss): number {
    const bits = dss.dsnOctets === 8 ? 64 : 32;
    return this.rcv.nxt + Number(BigInt.asIntN(bits, (dss.dsn ?? 0n) - this.remoteNumber(this.rcv.nxt)));
  }

  /** Flags of our MP_CAPABLE. */
  get capableFlags(): number {
    return this.checksums ? 1 | p.CAPABLE_CHECKSUM : 1;
  }

  // --- subflows -----------------------------------------------------------------------------------------

  subflowOpened(subflow: Subflow): void {
    this.goneUs = Infinity;
    if (subflow.join) {
      this.everJoined = true;
      return;
    }
    const { snd, nowUs } = subflow.connection;
    this.snd.windowEnd = Math.max(this.snd.windowEnd, 1 + snd.windowEnd - snd.una);
    this.state = "open";
    this.accepted?.(this);
    if (subflow.established && !this.fallback) this.addresses.established(nowUs);
  }

  /** The peer has shown that it speaks MPTCP on this subflow. */
  established(subflow: Subflow): void {
    if (subflow.join === undefined) this.addresses.established(subflow.connection.nowUs);
  }

  /** No new data goes there; what it carried and no DATA_ACK covers goes elsewhere. */
  abandon(subflow: Subflow): void {
    if (subflow.closed) return;
    subflow.closed = true;
    subflow.connection.snd.close();
    if (subflow.hasCarried) this.snd.reinject();
  }

  subflowEnded(subflow: Subflow, reset: boolean): void {
    this.subflows = this.subflows.filter((other) => other !== subflow);
    if (this.state === "closed" || this.state === "reset") return;
    if (this.fallback || this.state === "opening") {
      // A join that was under way says nothing of the plain connection.
      if (subflow.join === undefined) this.finish(reset ? "reset" : "closed");
      return;
    }
    if (subflow.hasCarried) this.snd.reinject();
    if (this.subflows.length > 0) return;
    const { snd } = this;
    const lastAckLost = this.rcv.finished && snd.closing && snd.una === snd.end;
    if (lastAckLost) snd.acknowledged(snd.end + 1, 0);
    if (this.rcv.finished && snd.finAcked) this.finish("closed");
    else this.goneUs = subflow.connection.nowUs + this.o.closeTimeoutUs;
  }

  private finish(state: SocketState): void {
    if (this.state === "closed" || this.state === "reset") return;
    this.state = state;
    this.goneUs = Infinity;
  }

  // --- fallback -----------------------------------------------------------------------------------------

  /**
   * __mptcp_try_fallback() of Linux, which does not ask whether the peer's numbers are still one stream, and delivers
   * wrong octets if they are not. (RFC 8684 §3.7)
   */
  get mayFallBack(): boolean {
    return !this.rcv.hasHoles && !this.everJoined && !this.snd.repeated && !this.shifted;
  }

  fallBack(why: string): void {
    this.fallback = true;
    this.fallbackReasons.push(why);
  }

  /** Octets of the only subflow, after fallback. */
  takePlain(chunk: Chunk, incoming: IncomingMaps): void {
    for (const { octets, packet } of incoming.giveUp())
      this.queue.push(this.rcv.add({ start: this.rcv.nxt, octets, packet }, false));
    const octets = chunk.octets.subarray(Math.max(0, incoming.copied - chunk.start));
    incoming.copied = chunk.start + chunk.octets.length;
    if (octets.length > 0) this.queue.push(this.rcv.add({ start: this.rcv.nxt, octets, packet: chunk.packet }, false));
  }

  /** An ACK of the only subflow, after fallback. */
  plainAck(subflow: Subflow): void {
    const { snd } = subflow.connection;
    const map = subflow.outgoing.at(snd.una);
    const una = map ? map.data + snd.una - map.ssn : snd.una >= snd.buffer.end ? this.snd.nxt : this.snd.una;
    this.snd.acknowledged(snd.finAcked ? this.snd.end + 1 : una, 0);
  }

  // --- arrivals -----------------------------------------------------------------------------------------

  dataAck(dss: p.Dss, window: number): void {
    const bits = dss.danOctets === 8 ? 64 : 32;
    const { snd } = this;
    const dan = snd.una + Number(BigInt.asIntN(bits, (dss.dan ?? 0n) - this.localNumber(snd.una)));
    const sent = snd.nxt + (snd.finSent ? 1 : 0);
    if (dan > sent) {
      if (!this.o.tolerant) throw new Error(`${this.name}: DATA_ACK of ${dan}, sent were ${sent}`);
      return;
    }
    snd.acknowledged(dan, window);
    this.maybeClose();
  }

  /** New octets of the data level; `subflow` carried them. */
  take(chunk: Chunk, subflow: Subflow): void {
    const end = chunk.start + chunk.octets.length;
    if (end > this.window.edge + 1 && !this.o.tolerant && !this.o.lenientWindow) {
      throw new Error(`${subflow.connection.name}: data up to ${end}, the window ends at ${this.window.edge}`);
    }
    if (end > this.window.edge && chunk.start > this.rcv.nxt) return; // NoDSSInWindow
    const finished = this.rcv.finished;
    this.queue.push(this.rcv.add(chunk, false));
    if (this.rcv.finished && !finished) this.peerClosed();
  }

  /** The peer's data ends before octet `at`. */
  dataFin(at: number, subflow: Subflow): void {
    const known = this.rcv.finished;
    this.rcv.finIs(at);
    if (known)
      subflow.connection.wantAck(); // the peer has not heard of it
    else if (this.rcv.finished) this.peerClosed();
  }

  private peerClosed(): void {
    if (!this.fallback) for (const { connection } of this.subflows) connection.wantAck();
    this.maybeClose();
  }

  /** A FIN of the peer was reached on a subflow. */
  peerFinished(subflow: Subflow): void {
    if (!this.fallback) this.abandon(subflow);
    else if (!this.rcv.finished) this.dataFin(this.rcv.nxt, subflow);
  }

  /** Both directions are done: the subflows close. */
  private maybeClose(): void {
    if (this.fallback || !this.snd.finAcked || !this.rcv.finished) return;
    for (const { connection } of this.subflows) connection.snd.close();
    this.finish("closed");
  }

  fastclosed(): void {
    this.finish("reset");
    for (const { connection } of [...this.subflows]) connection.reset([p.mpTcprst(0)]);
  }

  // --- the window ---------------------------------------------------------------------------------------

  private get free(): number {
    return Math.max(0, this.o.receiveBuffer - this.queue.unread);
  }

  private get step(): number {
    return Math.min(this.o.receiveBuffer >> 1, this.o.mtu - 40);
  }

  windowField(scale: number): number {
    return this.window.field(this.rcv.nxt, this.free, this.step, scale);
  }

  // --- time ---------------------------------------------------------------------------------------------

  get nextUs(): number {
    const subflows = this.subflows.map(({ nextUs }) => nextUs);
    return Math.min(this.snd.nextUs, this.addresses.nextUs, this.goneUs, ...subflows);
  }

  get isOver(): boolean {
    return this.subflows.length === 0 && (this.state === "closed" || this.state === "reset");
  }

  advance(nowUs: number): void {
    for (const subflow of [...this.subflows]) subflow.advance(nowUs);
    if (this.state === "opening" || this.isOver) return;
    if (this.goneUs <= nowUs) this.finish("reset");
    this.snd.advance(nowUs);
    this.addresses.advance(nowUs);
    this.snd.push(nowUs);
    const { queue, window } = this;
    if (queue.wasRead && !this.rcv.finished && window.worthUpdate(this.rcv.nxt, this.free, this.step)) {
      for (const { connection } of this.subflows) connection.wantAck();
    }
    queue.wasRead = false;
  }

  get name(): string {
    return `${this.local.address}:${this.local.port} > ${this.remote.address}:${this.remote.port}`;
  }

  // --- the socket ---------------------------------------------------------------------------------------

  get writable(): number {
    const over = this.snd.closing || this.state === "closed" || this.state === "reset";
    return over ? 0 : this.snd.buffer.room;
  }

  write(octets: Uint8Array): number {
    return this.writable === 0 ? 0 : this.snd.buffer.append(octets);
  }

  read(limit?: number): Uint8Array {
    return this.queue.read(limit);
  }

  get finished(): boolean {
    return this.rcv.finished && this.queue.unread === 0;
  }

  get drained(): boolean {
    return this.snd.drained;
  }

  close(): void {
    this.snd.closing = true;
  }

  abort(): void {
    const options = this.fallback || this.remoteKey === 0n ? [] : [p.mpFastclose(this.remoteKey)];
    this.finish("reset");
    for (const { connection } of [...this.subflows]) connection.reset(options);
  }

  /** MP_PRIO: the peer is to use the subflows from this own address as backups, or not. */
  prioritise(address: string, backup: boolean): void {
    for (const subflow of this.subflows) {
      if (subflow.connection.tuple.local !== address || subflow.backup === backup) continue;
      subflow.backup = backup;
      subflow.control(p.mpPrio(backup));
    }
  }
}
