// The receiving half of a TCP connection: what arrived out of order, SACK and D-SACK blocks (RFC 2018, RFC 2883).
// Numbers are offsets: 0 is the SYN, 1 the first octet. MPTCP puts its data level together with the same.

import type { Packet } from "../../packet.ts";
import { ReceiveWindow } from "./receive-window.ts";

/** Octets that arrived, and the packet they came in: MPTCP reads its options when their turn has come. */
export interface Chunk {
  start: number;
  octets: Uint8Array;
  packet: Packet;
}

export type Block = [left: number, right: number];

const BLOCKS_MAX = 4;

export class Receiver {
  /** RCV.NXT; past the FIN once that was reached. */
  nxt = 1;
  /** RCV.NXT as the peer was told last. */
  told = 1;
  readonly window = new ReceiveWindow();
  private finAt = Infinity;
  private waiting: Chunk[] = [];
  /** Above RCV.NXT, the one that changed last first. */
  private blocks: Block[] = [];
  private duplicate: Block | undefined;

  /** The peer's FIN was reached. */
  get finished(): boolean {
    return this.nxt > this.finAt;
  }

  get hasHoles(): boolean {
    return this.waiting.length > 0;
  }

  /** Octets of options that report() will take, up to `most` blocks. */
  reportSize(most: number): number {
    const count = Math.min(most, this.blocks.length + (this.duplicate ? 1 : 0));
    return count === 0 ? 0 : 4 + 8 * count;
  }

  /** Blocks of the next ACK, D-SACK first; a D-SACK is reported once. */
  report(most: number): Block[] {
    const all = this.duplicate ? [this.duplicate, ...this.blocks] : this.blocks;
    this.duplicate = undefined;
    return all.slice(0, Math.max(0, most));
  }

  /** Right edge of the block furthest up, RCV.NXT without one. */
  get highest(): number {
    return this.blocks.reduce((most, [, right]) => Math.max(most, right), this.nxt);
  }

  /** Octets [start, start + length) came again; they are reported once (RFC 2883). */
  repeated(start: number, end: number): void {
    if (end > start) this.duplicate = [start, Math.min(end, this.nxt)];
  }

  /**
   * Takes a segment that lies in the window; returns what is in order now. Old octets in front are kept: who reads a
   * chunk knows what it had before.
   */
  add(chunk: Chunk, fin: boolean): Chunk[] {
    const end = chunk.start + chunk.octets.length;
    if (fin) this.finIs(end);
    if (end > this.finAt && end > this.nxt) throw new Error(`octets up to ${end}, behind the FIN at ${this.finAt}`);
    if (chunk.octets.length > 0) {
      if (end <= this.nxt) this.repeated(chunk.start, end);
      else if (chunk.start <= this.nxt) {
        this.repeated(chunk.start, this.nxt);
        this.waiting.unshift(chunk);
      } else this.addBeyond(chunk, end);
    }
    const ready = this.takeReady();
    this.reachFin();
    this.blocks = this.blocks.filter(([, right]) => right > this.nxt);
    return ready;
  }

  /** The peer's last octet is `at` - 1; its FIN, which lies behind, is taken if all before it is there. */
  finIs(at: number): void {
    if (this.finAt !== Infinity && at !== this.finAt) throw new Error(`FIN at ${at}, before at ${this.finAt}`);
    this.finAt = at;
    this.reachFin();
  }

  private reachFin(): void {
    if (this.nxt === this.finAt) this.nxt++;
  }

  private addBeyond(chunk: Chunk, end: number): void {
    const covering = this.blocks.find(([left, right]) => left <= chunk.start && right >= end);
    if (covering) this.duplicate = [chunk.start, end];
    else {
      const place = this.waiting.findIndex(({ start }) => start > chunk.start);
      this.waiting.splice(place < 0 ? this.waiting.length : place, 0, chunk);
    }
    let [left, right] = [chunk.start, end];
    const others: Block[] = [];
    for (const block of this.blocks) {
      if (block[1] < left || block[0] > right) others.push(block);
      else [left, right] = [Math.min(left, block[0]), Math.max(right, block[1])];
    }
    this.blocks = [[left, right], ...others].slice(0, BLOCKS_MAX * 16) as Block[];
  }

  private takeReady(): Chunk[] {
    const ready: Chunk[] = [];
    while (this.waiting[0] && this.waiting[0].start <= this.nxt) {
      const chunk = this.waiting.shift() as Chunk;
      const end = chunk.start + chunk.octets.length;
      if (end <= this.nxt) continue;
      ready.push(chunk);
      this.nxt = end;
    }
    return ready;
  }
}
