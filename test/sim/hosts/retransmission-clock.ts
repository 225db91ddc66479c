// When a sender repeats itself: the round trip as measured, the time-out that follows from it (RFC 6298, with Linux's
// floor under the variance instead of one under the whole), its back-off, and the one timer that is armed at a time.

export type TimerKind = "none" | "rto" | "probe" | "tail";

const RTO_MIN_US = 200_000;
const RTO_FIRST_US = 1_000_000;

export class RetransmissionClock {
  srttUs = 0;
  rtoUs = RTO_FIRST_US;
  /** Time-outs since the last measurement. */
  backoff = 0;
  kind: TimerKind = "none";
  atUs = Infinity;
  private rttvarUs = 0;
  private readonly maxUs: number;

  constructor(maxUs: number) {
    this.maxUs = maxUs;
  }

  sample(us: number): void {
    if (this.srttUs === 0) {
      this.srttUs = us;
      this.rttvarUs = us / 2;
    } else {
      this.rttvarUs += (Math.abs(this.srttUs - us) - this.rttvarUs) / 4;
      this.srttUs += (us - this.srttUs) / 8;
    }
    this.rtoUs = Math.min(this.srttUs + Math.max(RTO_MIN_US, 4 * this.rttvarUs), this.maxUs);
    this.backoff = 0;
  }

  backOff(): void {
    this.backoff++;
    this.rtoUs = Math.min(this.rtoUs * 2, this.maxUs);
  }

  /** One step of back-off less. */
  revert(): void {
    this.backoff--;
    this.rtoUs = Math.max(RTO_MIN_US, this.rtoUs / 2);
  }

  arm(kind: TimerKind, atUs: number): void {
    this.kind = kind;
    this.atUs = Math.ceil(atUs);
  }

  disarm(): void {
    this.arm("none", Infinity);
  }

  /** For what was sent just now; `probing`: a tail loss probe comes before the time-out, or in its place. */
  rearm(nowUs: number, flying: number, probing: boolean): void {
    const probeUs = 2 * this.srttUs + (flying === 1 ? RTO_MIN_US : 2_000);
    if (probing && this.srttUs > 0) this.arm("tail", nowUs + Math.min(probeUs, this.rtoUs));
    else this.arm("rto", nowUs + this.rtoUs);
  }

  /** The next zero-window probe. */
  persist(nowUs: number): void {
    this.arm("probe", nowUs + Math.min(this.rtoUs * 2 ** this.backoff, this.maxUs));
  }
}
