// Octets that the application wrote and the peer has not acknowledged, addressed by their offset.

export class SendBuffer {
  /** Offset of the first octet kept, and the one behind the last. */
  start: number;
  end: number;
  private readonly capacity: number;
  private octets: Uint8Array;
  private base: number;

  constructor(start: number, capacity: number) {
    this.start = this.end = this.base = start;
    this.capacity = capacity;
    this.octets = new Uint8Array(4096);
  }

  /** Octets that append() would take. */
  get room(): number {
    return Math.max(0, this.capacity - (this.end - this.start));
  }

  /** Takes what there is room for; returns how much. */
  append(octets: Uint8Array): number {
    const taken = Math.min(octets.length, this.room);
    this.makeRoom(taken);
    this.octets.set(octets.subarray(0, taken), this.end - this.base);
    this.end += taken;
    return taken;
  }

  /** A copy of [at, at + length). */
  read(at: number, length: number): Uint8Array {
    if (at < this.start || at + length > this.end) {
      throw new RangeError(`octets ${at} to ${at + length} of ${this.start} to ${this.end}`);
    }
    return this.octets.slice(at - this.base, at - this.base + length);
  }

  /** Forgets what lies below `at`. */
  release(at: number): void {
    this.start = Math.max(this.start, at);
  }

  private makeRoom(length: number): void {
    if (this.end - this.base + length <= this.octets.length) return;
    const kept = this.octets.subarray(this.start - this.base, this.end - this.base);
    const size = Math.max(this.octets.length, 2 * (kept.length + length));
    const larger = new Uint8Array(size);
    larger.set(kept);
    this.octets = larger;
    this.base = this.start;
  }
}
