// Two stacks back to back over one bad line, for the hosts' own tests. The simulator's world has paths, machines and
// faults of many kinds; here is only what shows that a host by itself keeps its promises.

import type { Random } from "../../model/random.ts";
import type { Emitted, Socket, Stack } from "../stack.ts";

export interface LineOptions {
  delayUs?: number;
  /** Shares of packets, per direction. A reordered packet takes up to four times as long. */
  loss?: number;
  reorder?: number;
  duplicate?: number;
  /** Sees every packet that is sent, before it is cut or lost. Returns false to lose it. */
  tap?: (packet: Emitted, fromFirst: boolean, nowUs: number) => boolean;
}

interface InFlight {
  atUs: number;
  /** Breaks ties: first sent, first there. */
  order: number;
  to: Stack;
  octets: Uint8Array;
}

export class Line {
  nowUs = 0;
  private readonly stacks: [Stack, Stack];
  private readonly random: Random;
  private readonly options: LineOptions;
  private flying: InFlight[] = [];
  private sent = 0;

  constructor(first: Stack, second: Stack, random: Random, options: LineOptions = {}) {
    this.stacks = [first, second];
    this.random = random;
    this.options = options;
  }

  /** Lets time pass until `done`, calling it (the applications) whenever something happened. Throws at `limitUs`. */
  run(limitUs: number, done: () => boolean): void {
    for (;;) {
      const over = done();
      for (const stack of this.stacks) stack.advance(this.nowUs);
      this.collect();
      if (over) return;
      const next = Math.min(...this.stacks.map((stack) => stack.nextUs), ...this.flying.map((packet) => packet.atUs));
      if (next > limitUs) throw new Error(`nothing to wait for at ${this.nowUs} µs (next: ${next})`);
      this.nowUs = Math.max(this.nowUs, next);
      this.deliver();
    }
  }

  /** Lets `us` pass. */
  wait(us: number, application: () => void = () => {}): void {
    const end = this.nowUs + us;
    try {
      this.run(end, () => {
        application();
        return false;
      });
    } catch (error) {
      if (!String(error).includes("nothing to wait for")) throw error;
    }
    this.nowUs = end;
  }

  private deliver(): void {
    const due = this.flying.filter((packet) => packet.atUs <= this.nowUs);
    this.flying = this.flying.filter((packet) => packet.atUs > this.nowUs);
    due.sort((a, b) => a.atUs - b.atUs || a.order - b.order);
    for (const packet of due) packet.to.input(packet.octets, this.nowUs);
  }

  private collect(): void {
    const { tap, loss = 0, duplicate = 0, reorder = 0, delayUs = 10_000 } = this.options;
    for (const [i, stack] of this.stacks.entries()) {
      for (const packet of stack.take()) {
        const kept = tap?.(packet, i === 0, this.nowUs) ?? true;
        if (!kept || this.random.chance(loss)) continue;
        for (let copies = this.random.chance(duplicate) ? 2 : 1; copies > 0; copies--) {
          const late = this.random.chance(reorder) ? 1 + 3 * (this.random.below(1000) / 1000) : 1;
          const to = this.stacks[1 - i] as Stack;
          this.flying.push({ atUs: this.nowUs + delayUs * late, order: this.sent++, to, octets: packet.octets });
        }
      }
    }
  }
}

/** Writes `octets` as there is room, then closes; collects what comes. One step per call. */
export class Application {
  readonly received: Uint8Array[] = [];
  readonly socket: Socket;
  private left: Uint8Array;
  private closed = false;

  constructor(socket: Socket, octets: Uint8Array) {
    this.socket = socket;
    this.left = octets;
  }

  step(): void {
    if (this.left.length > 0 && this.socket.writable > 0) {
      this.left = this.left.subarray(this.socket.write(this.left));
    }
    if (this.left.length === 0 && !this.closed) {
      this.closed = true;
      this.socket.close();
    }
    const octets = this.socket.read();
    if (octets.length > 0) this.received.push(octets);
  }

  get done(): boolean {
    return this.left.length === 0 && this.socket.drained && this.socket.finished;
  }

  get octets(): Buffer {
    return Buffer.concat(this.received);
  }
}
