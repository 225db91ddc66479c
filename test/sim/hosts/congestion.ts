// How much a sender may have in the network: slow start, congestion avoidance, and what a loss does to them (RFC 5681,
// RFC 6582). Counted in segments.

const INITIAL_WINDOW = 10;
const WINDOW_MIN = 2;

export class Congestion {
  cwnd = INITIAL_WINDOW;
  state: "open" | "recovery" | "loss" = "open";
  /** Recovery ends when this octet is acknowledged. */
  recover = 0;
  /** Duplicate ACKs in a row: what a sender without SACK knows of arrivals. */
  duplicates = 0;
  private ssthresh = Infinity;

  /** `packets` were acknowledged. */
  grow(packets: number): void {
    if (this.cwnd < this.ssthresh) this.cwnd = Math.min(this.cwnd + packets, this.ssthresh);
    else this.cwnd += packets / this.cwnd;
  }

  /** Three duplicates, or what SACK blocks tell. */
  enterRecovery(nxt: number): void {
    this.state = "recovery";
    this.recover = nxt;
    this.reduce();
    this.cwnd = this.ssthresh;
  }

  timeout(una: number, nxt: number): void {
    if (this.state === "open" || una > this.recover) this.reduce();
    this.enterLoss(nxt);
    this.duplicates = 0;
    this.cwnd = 1;
  }

  /** Lost, but not to congestion: the window stays. */
  enterLoss(nxt: number): void {
    if (this.state === "open") this.ssthresh = Math.max(WINDOW_MIN, Math.floor(this.cwnd));
    this.state = "loss";
    this.recover = nxt;
  }

  leave(): void {
    this.state = "open";
    this.cwnd = Math.min(this.cwnd, this.ssthresh);
    this.duplicates = 0;
  }

  /** Nothing was sent for a time-out. */
  restart(): void {
    this.cwnd = Math.min(this.cwnd, INITIAL_WINDOW);
  }

  private reduce(): void {
    this.ssthresh = Math.max(WINDOW_MIN, Math.floor(this.cwnd / 2));
  }
}
