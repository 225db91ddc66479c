// The sending half of the data level: which subflow carries what, what goes out again elsewhere, the DATA_FIN, and the
// window probe of a data level whose window is closed. Numbers are offsets: 1 is the first octet.

import type { MptcpConnection } from "./mptcp-connection.ts";
import type { Subflow } from "./mptcp-subflow.ts";
import { SendBuffer } from "./send-buffer.ts";

/** Octets that a subflow is given ahead of what it has sent. */
const AHEAD = 16_384;
const TIMER_MIN_US = 200_000;
const BACKOFF_MAX_US = 10_000_000;
/** Periods of the timer without a packet from a subflow, until it is stale (net.mptcp.stale_loss_cnt). */
const STALE_PERIODS = 4;
const MAP_MAX = 65_535;

export class DataSender {
  una = 1;
  nxt = 1;
  windowEnd = 1;
  closing = false;
  readonly buffer: SendBuffer;
  /** Something went out again on another subflow: no fallback any more. */
  repeated = false;
  readonly stats = { reinjected: 0, windowProbes: 0, stale: 0, dataFins: 0 };
  private resendFrom = 0;
  private resendTo = 0;
  private timerUs = Infinity;
  private finUs = Infinity;
  private finBackoff = 0;
  private probeBackoff = 0;
  /** The subflow that was chosen last, and octets that still go there. */
  private last: Subflow | undefined;
  private burst = 0;
  private readonly msk: MptcpConnection;

  constructor(msk: MptcpConnection, capacity: number) {
    this.msk = msk;
    this.buffer = new SendBuffer(1, capacity);
  }

  /** Number of the DATA_FIN. */
  get end(): number {
    return this.buffer.end;
  }

  get windowLeft(): number {
    return Math.max(0, this.windowEnd - this.una);
  }

  /** The DATA_FIN stands in what is sent now: all data was sent once. */
  get finSent(): boolean {
    return this.closing && this.nxt === this.end;
  }

  get finAcked(): boolean {
    return this.closing && this.una > this.end;
  }

  get drained(): boolean {
    return this.una >= this.end + (this.closing ? 1 : 0);
  }

  /** A DATA_ACK of `dan`; what it covers was sent. */
  acknowledged(dan: number, window: number): void {
    if (dan > this.una) {
      this.una = dan;
      this.buffer.release(Math.min(dan, this.end) - 1); // one octet stays, for a window probe
      this.timerUs = Infinity;
      this.probeBackoff = 0;
    }
    this.windowEnd = Math.max(this.windowEnd, dan + window);
    if (this.finAcked) this.finUs = Infinity;
  }

  /** All that no DATA_ACK covers goes out again on the subflows that are left. */
  reinject(): void {
    this.resendFrom = this.una;
    this.resendTo = this.nxt;
  }

  // --- sending ------------------------------------------------------------------------------------------

  push(nowUs: number): void {
    if (this.msk.fallback) {
      this.pushPlain();
      return;
    }
    this.resendFrom = Math.max(this.resendFrom, this.una);
    while (this.resendFrom < this.resendTo) {
      const sent = this.give(this.resendFrom, this.resendTo);
      if (sent === 0) break;
      this.resendFrom += sent;
      this.stats.reinjected += sent;
      this.repeated = true;
    }
    const limit = Math.min(this.end, this.windowEnd);
    while (this.nxt < limit) {
      const sent = this.give(this.nxt, limit);
      if (sent === 0) break;
      this.nxt += sent;
    }
    if (this.finSent && !this.finAcked && this.finUs === Infinity) this.sendFin(nowUs);
    this.rearm(nowUs);
  }

  /** Gives a subflow a map of [from, to) or its beginning; returns how much, 0 if none can take it. */
  private give(from: number, to: number): number {
    const subflow = this.choose((candidate) => candidate.unsent < AHEAD);
    if (subflow === undefined) return 0;
    const { random, o } = this.msk;
    const size = subflow.connection.snd.segmentSize * random.between(1, o.bulk);
    const length = Math.min(to - from, size, MAP_MAX - 1);
    subflow.give(from, this.buffer.read(from, length));
    this.burst -= length;
    return length;
  }

  /** As Linux chooses: never a backup while there is another; then what has the least to do, for a burst, or the first. */
  private choose(fits: (subflow: Subflow) => boolean): Subflow | undefined {
    const usable = this.msk.subflows.filter((subflow) => subflow.usable && !subflow.stale);
    const normal = usable.filter((subflow) => !subflow.isBackup);
    const candidates = normal.length > 0 ? normal : usable;
    if (!this.msk.o.spread) return candidates.slice(0, 1).find(fits);
    const ready = candidates.filter(fits);
    const last = ready.find((subflow) => subflow === this.last && this.burst > 0);
    if (last) return last;
    this.burst = this.msk.o.burst;
    this.last = ready.sort((a, b) => a.queued - b.queued)[0];
    return this.last;
  }

  private pushPlain(): void {
    const subflow = this.msk.subflows[0];
    if (subflow?.connection.state !== "open") return;
    while (this.nxt < this.end && subflow.unsent < AHEAD) {
      const length = Math.min(this.end - this.nxt, subflow.connection.snd.segmentSize);
      subflow.give(this.nxt, this.buffer.read(this.nxt, length));
      this.nxt += length;
    }
    if (this.finSent) subflow.connection.snd.close();
  }

  private sendFin(nowUs: number): void {
    this.stats.dataFins++;
    for (const { connection } of this.msk.subflows) connection.wantAck();
    this.finUs = nowUs + Math.min(TIMER_MIN_US * 2 ** this.finBackoff++, BACKOFF_MAX_US);
  }

  // --- time ---------------------------------------------------------------------------------------------

  get nextUs(): number {
    return Math.min(this.timerUs, this.finUs);
  }

  advance(nowUs: number): void {
    if (this.timerUs <= nowUs) {
      this.timerUs = Infinity;
      this.timeout(nowUs);
    }
    if (this.finUs <= nowUs) this.sendFin(nowUs);
  }

  private get blocked(): boolean {
    return this.nxt < this.end && this.nxt >= this.windowEnd;
  }

  private rearm(nowUs: number): void {
    if (this.timerUs !== Infinity || this.msk.subflows.length === 0) return;
    if (this.una >= this.nxt && !this.blocked) return;
    const remaining = this.msk.subflows.map(({ stale, connection }) => (stale ? 0 : connection.snd.timerUs - nowUs));
    const longest = Math.max(0, ...remaining.filter((us) => us !== Infinity));
    this.timerUs = nowUs + Math.max(TIMER_MIN_US * 2 ** this.probeBackoff, longest);
  }

  /** Nothing was acknowledged at data level for as long as any subflow waits for its own time-out. */
  private timeout(nowUs: number): void {
    this.markStale();
    const idle = (subflow: Subflow) => subflow.queued === 0;
    if (this.una < Math.min(this.nxt, this.end)) {
      const subflow = this.choose(idle) ?? this.msk.subflows.find((one) => one.usable && !one.isBackup && idle(one));
      if (subflow) this.repeatHead(subflow);
    } else if (this.blocked) {
      const subflow = this.choose(idle);
      if (subflow) this.probe(subflow);
    }
    this.rearm(nowUs);
  }

  private repeatHead(subflow: Subflow): void {
    const length = Math.min(this.nxt - this.una, subflow.connection.snd.segmentSize);
    subflow.give(this.una, this.buffer.read(this.una, length));
    this.stats.reinjected += length;
    this.repeated = true;
  }

  /** One octet with a fresh SSN, mapped to data that the peer has. */
  private probe(subflow: Subflow): void {
    this.stats.windowProbes++;
    this.repeated = true;
    if (TIMER_MIN_US * 2 ** this.probeBackoff < BACKOFF_MAX_US) this.probeBackoff++;
    const last = this.una - 1;
    subflow.give(last, last >= this.buffer.start && last > 0 ? this.buffer.read(last, 1) : new Uint8Array(1));
  }

  private markStale(): void {
    const { subflows } = this.msk;
    for (const subflow of subflows) {
      if (subflow.stale || subflow.queued === 0 || ++subflow.staleCount <= STALE_PERIODS) continue;
      if (!subflows.some((other) => other !== subflow && other.usable && other.staleCount === 0)) continue;
      subflow.stale = true;
      this.stats.stale++;
      this.reinject();
    }
  }
}
