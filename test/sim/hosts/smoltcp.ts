// An end host whose TCP is smoltcp's (docs/decisions/0006-smoltcp-as-a-simulated-host.md). What it is and is not:
//
// - Receiver: reports SACK, one block per ACK (the one that the newest segment belongs to); out-of-order data is kept,
//   up to 32 ranges. No DSACK. An ACK at once for what is out of order or fills a gap, else for more than one MSS, else
//   after `ackDelayUs`.
// - Sender: does not read SACK. Third duplicate ACK: the first segment again; RTO (≥ 1 s, doubled): everything from
//   SND.UNA again, cut anew. Zero-window probes of one octet. Keep-alives of one garbage octet below SND.NXT.
// - A FIN behind a hole is forgotten: the peer's retransmission of it counts.
// - Ping is answered; ICMP errors and path MTU are ignored.
// - Ends in RST when `timeoutUs` passed without a word from the peer; by default it never gives up.

import { createRequire } from "node:module";
import type { Emitted, Socket, SocketAddress, SocketState, Stack } from "../stack.ts";
import { SMOLTCP_ADDON } from "./smoltcp-build.ts";

export interface SmoltcpOptions {
  /** The machine's own addresses; packets to others are dropped. */
  addresses: string[];
  /** Initial sequence numbers come from it: an integer below 2^53. */
  seed: number;
  /** Initial sequence numbers of the first connections, in the order in which they begin here; then by the seed. */
  isns?: number[];
  mtu?: number;
  /** Longest packet that is left to the interface to cut (super-packets); 0: none. */
  gsoMax?: number;
  /** Octets per socket. The window scale follows from it: 0 up to 65,535, then one more for each doubling. */
  receiveBuffer?: number;
  sendBuffer?: number;
  congestionControl?: "none" | "reno" | "cubic";
  /** Idle time before a keep-alive, and between two; 0: none. */
  keepAliveUs?: number;
  /** 0: every segment is acknowledged at once. */
  ackDelayUs?: number;
  /** Silence of the peer after which a connection is reset; 0: never. */
  timeoutUs?: number;
  nagle?: boolean;
  /** Offers TCP timestamps (of virtual milliseconds). */
  timestamps?: boolean;
}

const DEFAULTS = {
  isns: [],
  mtu: 1500,
  gsoMax: 0,
  receiveBuffer: 256 * 1024,
  sendBuffer: 256 * 1024,
  congestionControl: "reno",
  keepAliveUs: 0,
  ackDelayUs: 40_000,
  timeoutUs: 0,
  nagle: true,
  timestamps: false,
};

/** The addon, smoltcp/src/lib.rs. Connections go by number there. */
interface Machine {
  input(octets: Uint8Array, nowUs: number): void;
  advance(nowUs: number): void;
  nextUs(): number;
  take(into: Buffer): number;
  connect(local: string, localPort: number, remote: string, remotePort: number, nowUs: number): number;
  listen(local: string, port: number): void;
  takeAccepted(): { number: number; listener: number }[];
  local(number: number): [string, number];
  remote(number: number): [string, number];
  phase(number: number): number;
  writable(number: number): number;
  write(number: number, octets: Uint8Array): number;
  read(number: number, into: Buffer): number;
  finished(number: number): boolean;
  drained(number: number): boolean;
  close(number: number): void;
  abort(number: number): void;
  free(): void;
}

type Addon = { Machine: new (options: Required<SmoltcpOptions>) => Machine };

const PHASES: SocketState[] = ["opening", "open", "closed", "reset"];

let addon: Addon | undefined;

/** Where the addon writes; what is kept is copied out of it. */
const SCRATCH = Buffer.alloc(512 * 1024);

/** One machine with smoltcp. The addon must have been built: buildSmoltcp() of smoltcp-build.ts. */
export class SmoltcpStack implements Stack {
  private readonly machine: Machine;
  private readonly listeners: ((socket: Socket) => void)[] = [];

  /** Throws when an address is none, or the addon is not there. */
  constructor(options: SmoltcpOptions) {
    addon ??= createRequire(import.meta.url)(SMOLTCP_ADDON) as Addon;
    const complete = { ...DEFAULTS, ...options } as Required<SmoltcpOptions>;
    this.machine = new addon.Machine(complete);
  }

  input(octets: Uint8Array, nowUs: number): void {
    this.machine.input(octets, nowUs);
    this.accept();
  }

  advance(nowUs: number): void {
    this.machine.advance(nowUs);
    this.accept();
  }

  get nextUs(): number {
    return this.machine.nextUs();
  }

  take(): Emitted[] {
    const packets: Emitted[] = [];
    for (let used = this.machine.take(SCRATCH); used > 0; used = this.machine.take(SCRATCH)) {
      for (let at = 0; at < used; ) {
        const start = at + 8;
        const end = start + SCRATCH.readUInt32LE(at);
        packets.push({ octets: Uint8Array.from(SCRATCH.subarray(start, end)), gsoSize: SCRATCH.readUInt32LE(at + 4) });
        at = end;
      }
    }
    return packets;
  }

  /** Without it the buffers stay until JavaScript collects the machine, in a turn of the event loop that comes late. */
  free(): void {
    this.machine.free();
  }

  /** Throws when the four numbers are in use (until TIME-WAIT is over, 10 s) or make no connection. */
  connect(local: SocketAddress, remote: SocketAddress, nowUs: number): Socket {
    const number = this.machine.connect(local.address, local.port, remote.address, remote.port, nowUs);
    return new SmoltcpSocket(this.machine, number);
  }

  listen(local: SocketAddress, accepted: (socket: Socket) => void): void {
    this.machine.listen(local.address, local.port);
    this.listeners.push(accepted);
  }

  private accept(): void {
    for (const { number, listener } of this.machine.takeAccepted()) {
      this.listeners[listener]?.(new SmoltcpSocket(this.machine, number));
    }
  }
}

/** "closed" from TIME-WAIT on, which goes on answering for 10 s. Before it is open, nothing can be written. */
class SmoltcpSocket implements Socket {
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  private readonly machine: Machine;
  private readonly number: number;

  constructor(machine: Machine, number: number) {
    this.machine = machine;
    this.number = number;
    const [localAddress, localPort] = machine.local(number);
    const [remoteAddress, remotePort] = machine.remote(number);
    this.local = { address: localAddress, port: localPort };
    this.remote = { address: remoteAddress, port: remotePort };
  }

  get state(): SocketState {
    return PHASES[this.machine.phase(this.number)] ?? "reset";
  }

  get writable(): number {
    return this.machine.writable(this.number);
  }

  write(octets: Uint8Array): number {
    return this.machine.write(this.number, octets);
  }

  read(limit = Number.POSITIVE_INFINITY): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let left = limit; left > 0; ) {
      const length = this.machine.read(this.number, SCRATCH.subarray(0, left));
      if (length === 0) break;
      parts.push(Uint8Array.from(SCRATCH.subarray(0, length)));
      left -= length;
    }
    return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
  }

  get finished(): boolean {
    return this.machine.finished(this.number);
  }

  get drained(): boolean {
    return this.machine.drained(this.number);
  }

  close(): void {
    this.machine.close(this.number);
  }

  abort(): void {
    this.machine.abort(this.number);
  }
}
