// What programs do with their sockets: write in bursts with pauses between, read as fast as data comes or slowly, close
// at once or when the other end has, or give up. Every octet read is compared with the stream it belongs to.

import type { Socket } from "./stack.ts";

export interface Plan {
  /** Octets and how long to wait before them. */
  bursts: { octets: number; pauseUs: number }[];
  /** Octets read at once and how often; 0 = all that is there. */
  readOctets: number;
  readEveryUs: number;
  /** Reads nothing in this time, so that the window closes. */
  deafFromUs: number;
  deafUntilUs: number;
  /** After the last octet: at once, when the other end has closed, or only at the end of the scenario. */
  close: "atOnce" | "afterPeer" | "late";
  /** Gives up this long after it is open, 0 = never. */
  abortAfterUs: number;
}

/** Neighbours differ, and so do far places. */
const PATTERN = Uint8Array.from({ length: 400_000 }, (_, n) => n ^ (n >> 8) ^ ((n >> 16) * 167));

/** A stream of `length` octets; streams of other numbers differ from it everywhere. */
export function streamOctets(length: number, number: number): Uint8Array {
  return PATTERN.subarray(number * 37_897, number * 37_897 + length);
}

export const planned = (plan: Plan): number => plan.bursts.reduce((sum, { octets }) => sum + octets, 0);

export class Application {
  readonly socket: Socket;
  written = 0;
  received = 0;
  aborted = false;
  private readonly plan: Plan;
  private readonly out: Uint8Array;
  private readonly expected: Uint8Array;
  private burst = 0;
  private burstEnd = 0;
  private waitUs: number;
  private readNextUs = 0;
  private closing = false;
  private readonly openedUs: number;
  private last = false;

  constructor(socket: Socket, plan: Plan, out: Uint8Array, expected: Uint8Array, nowUs: number) {
    this.socket = socket;
    this.plan = plan;
    this.out = out;
    this.expected = expected;
    this.openedUs = nowUs;
    this.waitUs = nowUs + (plan.bursts[0]?.pauseUs ?? 0);
    this.burstEnd = plan.bursts[0]?.octets ?? 0;
  }

  /** From now on everything is read and written, and closed behind it. */
  hurry(): void {
    this.last = true;
    this.waitUs = 0;
    this.burst = this.plan.bursts.length;
    this.burstEnd = planned(this.plan);
  }

  /** True if nothing is left to do for it. */
  get over(): boolean {
    const { state } = this.socket;
    return state === "reset" || (this.socket.finished && (state === "closed" || (this.socket.drained && this.closing)));
  }

  /** When it wants to be asked again though nothing has happened. */
  nextUs(nowUs: number): number {
    if (this.over) return Infinity;
    const times = [this.waitUs, this.readNextUs];
    if (!this.last) times.push(this.plan.deafUntilUs, this.abortUs);
    return Math.min(...times.filter((at) => at > nowUs));
  }

  private get abortUs(): number {
    return this.plan.abortAfterUs === 0 ? Infinity : this.openedUs + this.plan.abortAfterUs;
  }

  /** Does what can be done now; true if it touched the socket. */
  poll(nowUs: number): boolean {
    if (this.over) return false;
    if (!this.last && nowUs >= this.abortUs && !this.aborted) {
      this.aborted = true;
      this.socket.abort();
      return true;
    }
    return [this.read(nowUs), this.write(nowUs), this.close()].includes(true);
  }

  private read(nowUs: number): boolean {
    const { plan } = this;
    const deaf = nowUs >= plan.deafFromUs && nowUs < plan.deafUntilUs;
    if (!this.last && (deaf || nowUs < this.readNextUs)) return false;
    const slow = plan.readOctets > 0 && !this.last;
    const octets = slow ? this.socket.read(plan.readOctets) : this.socket.read();
    if (slow) this.readNextUs = nowUs + plan.readEveryUs;
    if (octets.length === 0) return false;
    const from = this.received;
    this.received += octets.length;
    if (this.received > this.expected.length) throw new Error(`read ${this.received} octets, more than were written`);
    if (Buffer.compare(octets, this.expected.subarray(from, this.received)) === 0) return true;
    const wrong = octets.findIndex((octet, i) => octet !== this.expected[from + i]);
    throw new Error(`octet ${from + wrong} of what was read is wrong`);
  }

  private write(nowUs: number): boolean {
    const { plan, socket } = this;
    if (socket.state !== "open" || this.closing) return false;
    let touched = false;
    while (nowUs >= this.waitUs && this.written < this.burstEnd) {
      const taken = socket.write(this.out.subarray(this.written, this.burstEnd));
      if (taken === 0) break;
      this.written += taken;
      touched = true;
    }
    if (this.written === this.burstEnd && this.burst < plan.bursts.length) {
      const next = plan.bursts[++this.burst];
      if (next !== undefined) {
        this.burstEnd += next.octets;
        this.waitUs = nowUs + next.pauseUs;
      }
    }
    return touched;
  }

  private close(): boolean {
    const { plan, socket } = this;
    if (this.closing || socket.state !== "open" || this.written < planned(plan)) return false;
    const due = this.last || plan.close === "atOnce" || (plan.close === "afterPeer" && socket.finished);
    if (due) {
      this.closing = true;
      socket.close();
    }
    return due;
  }
}
