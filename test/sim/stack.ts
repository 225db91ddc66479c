// What the simulator asks of a machine's TCP/IP stack. A plain TCP host (smoltcp, or the SACK host of this
// folder) and an MPTCP peer look alike from here: packets in and out, sockets for the application, virtual time.
// Nothing waits, nothing reads a clock, all chance comes from the seed.

export interface Emitted {
  octets: Uint8Array;
  /** Payload octets per packet if this is a super-packet that the interface would cut, else 0. */
  gsoSize: number;
}

export interface Stack {
  /** An IP packet for this machine, headers included; `nowUs` is virtual time in microseconds. */
  input(octets: Uint8Array, nowUs: number): void;
  /** Lets the timers fire that are due at `nowUs`, and sends what can be sent. */
  advance(nowUs: number): void;
  /** When advance() wants to be called next (absolute, microseconds), Infinity if never. */
  readonly nextUs: number;
  /** Packets to send, in order; they are taken once. */
  take(): Emitted[];
  connect(local: SocketAddress, remote: SocketAddress, nowUs: number): Socket;
  /** Accepts connections to this port; `accepted` is called with each when it is established. */
  listen(local: SocketAddress, accepted: (socket: Socket) => void): void;
  /** The simulation is over: a stack with memory outside JavaScript's gives it back. Nothing is called afterwards. */
  free?(): void;
}

export interface SocketAddress {
  /** Dotted IPv4 or IPv6 text. */
  address: string;
  port: number;
}

/** opening → open → closed; `reset` when RST, a time-out or abort() ended it. */
export type SocketState = "opening" | "open" | "closed" | "reset";

/** A socket does nothing by itself: after any call, the world calls advance() of its stack. */
export interface Socket {
  readonly state: SocketState;
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  /** Octets that write() would take now. */
  readonly writable: number;
  /** Takes as much as there is room for; returns how much. */
  write(octets: Uint8Array): number;
  /** Octets that arrived in order and were not read yet, at most `limit` (default: all). */
  read(limit?: number): Uint8Array;
  /** True once the peer's FIN was reached and all was read. */
  readonly finished: boolean;
  /** True once everything written was acknowledged, the FIN too if close() was called. */
  readonly drained: boolean;
  /** Sends FIN after what was written. Reading goes on. */
  close(): void;
  /** RST. */
  abort(): void;
}
