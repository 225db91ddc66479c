// Octets in order that wait for the application.

import type { Chunk } from "./tcp-receiver.ts";

export class ReadQueue {
  /** Octets in it. */
  unread = 0;
  /** Something was read since this was cleared. */
  wasRead = false;
  private readonly queue: Uint8Array[] = [];
  /** Offset of the next octet to arrive. */
  private expected = 1;

  /** Chunks as a Receiver makes them ready: their beginning may be old. */
  push(chunks: Chunk[]): void {
    for (const { start, octets } of chunks) {
      const fresh = octets.subarray(this.expected - start);
      this.queue.push(fresh);
      this.unread += fresh.length;
      this.expected = start + octets.length;
    }
  }

  read(limit = Infinity): Uint8Array {
    const length = Math.min(limit, this.unread);
    const octets = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const first = this.queue[0] as Uint8Array;
      const part = first.subarray(0, length - at);
      octets.set(part, at);
      at += part.length;
      if (part.length === first.length) this.queue.shift();
      else this.queue[0] = first.subarray(part.length);
    }
    this.unread -= length;
    this.wasRead ||= length > 0;
    return octets;
  }
}
