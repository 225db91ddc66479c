// A complete TCP host, as Linux-like as is cheap: sockets above, IP packets below, virtual time, all chance by seed.
// The halves of a connection are in tcp-sender.ts and tcp-receiver.ts, what holds them together in tcp-connection.ts.

import type { Random } from "../../model/random.ts";
import * as p from "../../packet.ts";
import type { Emitted, Socket, SocketAddress, SocketState, Stack } from "../stack.ts";
import type { Extension } from "./extension.ts";
import { decodeIcmp, protocolOf } from "./icmp.ts";
import { ReadQueue } from "./read-queue.ts";
import { type ConnectionOptions, TcpConnection, type Tuple } from "./tcp-connection.ts";
import type { Chunk } from "./tcp-receiver.ts";

export interface TcpStackOptions extends Partial<ConnectionOptions> {
  random: Random;
  /** Packets to other addresses are ignored. */
  addresses: string[];
  /** Octets that wait for the application at most. */
  receiveBuffer?: number;
  /** Octets beyond the window are the peer's host's fault, and taken or not as they come. */
  lenientWindow?: boolean;
}

const MTU_MIN = { 4: 552, 6: 1280 };

/** An address in the one form in which packets name it. */
export function canonical(address: string): string {
  return p.addressText(Uint8Array.from(p.addressOctets(address)));
}

export function tupleKey(tuple: Tuple): string {
  return `${tuple.local} ${tuple.localPort} ${tuple.remote} ${tuple.remotePort}`;
}

export class TcpStack implements Stack {
  readonly o: ConnectionOptions & { receiveBuffer: number; lenientWindow: boolean };
  protected readonly addresses: Set<string>;
  protected readonly out: Emitted[] = [];
  protected readonly connections = new Map<string, TcpConnection>();
  protected readonly listeners = new Map<number, (socket: Socket) => void>();

  constructor(options: TcpStackOptions) {
    const { addresses, ...rest } = options;
    this.addresses = new Set(addresses.map(canonical));
    this.o = {
      sack: true,
      mtu: 1500,
      windowScale: 7,
      delayedAck: true,
      keepAliveUs: 0,
      timeWaitUs: 10_000_000,
      offerTimestamps: false,
      issNear: undefined,
      sendBuffer: 262_144,
      receiveBuffer: 262_144,
      lenientWindow: false,
      gso: 1,
      repacketise: 0.1,
      shortWrites: 0,
      tailLossProbe: true,
      rtoMaxUs: 120_000_000,
      retries: 15,
      ...rest,
    };
  }

  connect(local: SocketAddress, remote: SocketAddress, nowUs: number): Socket {
    const tuple = {
      local: canonical(local.address),
      localPort: local.port,
      remote: canonical(remote.address),
      remotePort: remote.port,
    };
    const socket = new TcpSocket(this.o);
    socket.connection = this.add(tuple, socket, false);
    socket.connection.connect(nowUs);
    return socket;
  }

  listen(local: SocketAddress, accepted: (socket: Socket) => void): void {
    this.listeners.set(local.port, accepted);
  }

  protected add(
    tuple: Tuple,
    extension: Extension,
    passive: boolean,
    options = this.o as ConnectionOptions,
  ): TcpConnection {
    const key = tupleKey(tuple);
    const old = this.connections.get(key);
    if (old && !old.isOver) throw new Error(`${old.name} exists`);
    const connection = new TcpConnection(tuple, options, extension, this.out, passive);
    this.connections.set(key, connection);
    return connection;
  }

  input(octets: Uint8Array, nowUs: number): void {
    if (protocolOf(octets) !== 6) {
      this.icmp(octets, nowUs);
      return;
    }
    const packet = p.decode(octets);
    if (!this.addresses.has(packet.dst) || !packet.checksumValid || !packet.ipChecksumValid) return;
    const tuple = { local: packet.dst, localPort: packet.dport, remote: packet.src, remotePort: packet.sport };
    const connection = this.connections.get(tupleKey(tuple));
    const syn = packet.flags.includes("S") && !/[ARF]/.test(packet.flags);
    const reborn = connection?.isOver && syn && ((packet.seq - connection.irs - connection.rcv.nxt) | 0) > 0;
    if (connection && connection.state !== "over" && !reborn) connection.input(packet, nowUs);
    else if (!syn || !this.incoming(packet, tuple, nowUs)) this.refuse(packet);
  }

  /** A SYN that belongs to no connection; false refuses it. */
  protected incoming(packet: p.Packet, tuple: Tuple, nowUs: number): boolean {
    const accepted = this.listeners.get(packet.dport);
    if (accepted === undefined) return false;
    const socket = new TcpSocket(this.o, accepted);
    this.connections.delete(tupleKey(tuple));
    socket.connection = this.add(tuple, socket, true);
    return socket.connection.accept(packet, nowUs);
  }

  /** RFC 9293 §3.10.7.1. */
  protected refuse(packet: p.Packet, options: p.Option[] = []): void {
    const { flags, payload } = packet;
    if (flags.includes("R")) return;
    const tuple = { src: packet.dst, dst: packet.src, sport: packet.dport, dport: packet.sport, win: 0, options };
    const length = payload.length + (flags.includes("S") ? 1 : 0) + (flags.includes("F") ? 1 : 0);
    const fields = flags.includes("A")
      ? { ...tuple, flags: "R", seq: packet.ack }
      : { ...tuple, flags: "RA", seq: 0, ack: (packet.seq + length) >>> 0 };
    this.out.push({ octets: p.packet(fields), gsoSize: 0 });
  }

  private icmp(octets: Uint8Array, nowUs: number): void {
    const error = decodeIcmp(octets);
    if (error === undefined) return;
    const connection = this.connections.get(tupleKey(error));
    if (connection?.state !== "open") return;
    const { snd, iss } = connection;
    const at = snd.una + ((error.seq - (iss + snd.una)) | 0);
    if (at < snd.una || at > snd.nxt) return;
    const v6 = error.local.includes(":");
    const mtu = Math.max(error.mtu, MTU_MIN[v6 ? 6 : 4]);
    if (error.kind === "tooBig") snd.mtuLowered(mtu - (v6 ? 60 : 40), nowUs);
    else if (at === snd.una) snd.unreachable(nowUs);
  }

  get nextUs(): number {
    let next = Infinity;
    for (const connection of this.connections.values()) next = Math.min(next, connection.nextUs);
    return next;
  }

  advance(nowUs: number): void {
    for (const [key, connection] of this.connections) {
      connection.advance(nowUs);
      if (connection.state === "over") this.connections.delete(key);
    }
  }

  take(): Emitted[] {
    return this.out.splice(0);
  }
}

/** The socket of one connection, and what a plain connection does where an MPTCP subflow does otherwise. */
export class TcpSocket implements Socket, Extension {
  connection!: TcpConnection;
  state: SocketState = "opening";
  readonly lenientWindow: boolean;
  private readonly capacity: number;
  private readonly accepted: ((socket: Socket) => void) | undefined;
  private readonly queue = new ReadQueue();
  private closing = false;

  constructor(
    { receiveBuffer, lenientWindow }: { receiveBuffer: number; lenientWindow: boolean },
    accepted?: (socket: Socket) => void,
  ) {
    this.capacity = receiveBuffer;
    this.lenientWindow = lenientWindow;
    this.accepted = accepted;
  }

  get local(): SocketAddress {
    const { local, localPort } = this.connection.tuple;
    return { address: local, port: localPort };
  }

  get remote(): SocketAddress {
    const { remote, remotePort } = this.connection.tuple;
    return { address: remote, port: remotePort };
  }

  /** What the sender has counted. */
  get stats(): TcpConnection["snd"]["stats"] {
    return this.connection.snd.stats;
  }

  get writable(): number {
    const over = this.closing || this.state === "closed" || this.state === "reset";
    return over ? 0 : this.connection.snd.buffer.room;
  }

  write(octets: Uint8Array): number {
    return this.writable === 0 ? 0 : this.connection.snd.buffer.append(octets);
  }

  read(limit = Infinity): Uint8Array {
    return this.queue.read(limit);
  }

  get finished(): boolean {
    return this.connection.rcv.finished && this.queue.unread === 0;
  }

  get drained(): boolean {
    return this.connection.snd.drained;
  }

  close(): void {
    this.closing = true;
    this.connection.snd.close();
  }

  abort(): void {
    this.connection.reset();
  }

  // --- as a connection's extension ----------------------------------------------------------------------

  synOptions(): p.Option[] {
    return [];
  }

  synArrived(): boolean {
    return true;
  }

  options(): p.Option[] {
    return [];
  }

  optionRoom(): number {
    return 0;
  }

  reach(): number {
    return Infinity;
  }

  arrived(packet: p.Packet): boolean {
    const foreign = packet.options.find(({ kind }) => /^mp[A-Z]|^dss$|Addr$|^ts$/.test(kind));
    if (foreign) throw new Error(`${this.connection.name}: ${p.showOption(foreign)} reached a TCP host`);
    return true;
  }

  deliver(chunks: Chunk[]): void {
    this.queue.push(chunks);
  }

  edge(): number {
    return this.connection.rcv.window.edge;
  }

  private get free(): number {
    return Math.max(0, this.capacity - this.queue.unread);
  }

  private get step(): number {
    return Math.min(this.capacity >> 1, this.connection.o.mtu - 40);
  }

  window(scale: number): number {
    const { rcv } = this.connection;
    return rcv.window.field(rcv.nxt, this.free, this.step, scale);
  }

  wantsAck(): boolean {
    const { queue, connection } = this;
    const read = queue.wasRead && !this.finished;
    queue.wasRead = false;
    return read && connection.rcv.window.worthUpdate(connection.rcv.nxt, this.free, this.step);
  }

  peerWindow(window: number): number {
    return window;
  }

  opened(): void {
    this.state = "open";
    this.accepted?.(this);
  }

  acknowledged(): void {}

  ended(reset: boolean): void {
    this.state = reset ? "reset" : "closed";
  }
}
