// The window that a receiver grants: its right edge never goes back, and moves by steps worth a packet.

export class ReceiveWindow {
  /** First octet that the peer may not send. */
  edge = 1;
  /** What one more in the field means. */
  private unit = 1;

  /**
   * The field of a packet that acknowledges up to `nxt` while there are `free` octets of room behind it: never less
   * than was promised, which rounding by the scale may make a little more (RFC 9293 §3.8.6.2.2, RFC 7323 §2.4).
   */
  field(nxt: number, free: number, step: number, scale: number): number {
    const unit = 2 ** scale;
    this.unit = unit;
    let size = Math.ceil((this.edge - nxt) / unit);
    const candidate = Math.floor(free / unit);
    const opens = nxt + candidate * unit - this.edge;
    if (candidate > size && opens >= step) size = candidate;
    size = Math.max(0, Math.min(65535, size));
    this.edge = Math.max(this.edge, nxt + size * unit);
    return size;
  }

  /** It could be twice as wide now: the peer should be told. */
  worthUpdate(nxt: number, free: number, step: number): boolean {
    const now = Math.max(0, this.edge - nxt);
    const then = Math.min(Math.floor(free / this.unit), 65535) * this.unit;
    return then >= 2 * now && then - now >= step;
  }
}
