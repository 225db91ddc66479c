// The sending half of a TCP connection, as Linux does it where that shows on the wire: RTO (RFC 6298), slow start and
// congestion avoidance, NewReno (RFC 6582) or SACK (RFC 6675) recovery, limited transmit, reneging, tail loss probe,
// zero-window probes, retransmissions with other boundaries, super-packets. Numbers are offsets: 0 is the SYN, 1 the
// first octet. Segments go out through `wire`, which knows headers.

import { Congestion } from "./congestion.ts";
import { RetransmissionClock } from "./retransmission-clock.ts";
import { SendBuffer } from "./send-buffer.ts";
import type { SenderOptions, Wire } from "./sender-options.ts";
import { markLonger, markLost, markSacked, mergeNext, packetsFlying, type Sent, splitAt, waits } from "./sent-queue.ts";

const DUP_THRESHOLD = 3;
const MSS_MIN = 48;
const SUPER_PACKET_MAX = 65_000;

export class Sender {
  una = 1;
  nxt = 1;
  /** First octet that the peer does not want yet. */
  windowEnd = 1;
  /** Largest window of the peer so far. */
  windowMax = 0;
  sackAgreed = false;
  readonly buffer: SendBuffer;
  readonly stats = {
    segments: 0,
    retransmitted: 0,
    timeouts: 0,
    fastRecoveries: 0,
    tailProbes: 0,
    windowProbes: 0,
    /** The head of the queue was SACKed when an ACK came to rest before it. */
    reneged: 0,
    dsacks: 0,
    /** Segments that a lowered MTU declared lost. */
    lostToMtu: 0,
    /** Most octets by which the peer took back of its window. */
    windowShrunk: 0,
  };
  private readonly clock: RetransmissionClock;
  private readonly congestion = new Congestion();
  /** Time-outs since something was acknowledged. */
  private timeouts = 0;
  private tailProbed = false;
  private closing = false;
  private peerMss = 536;
  private pathMss: number;
  private sent: Sent[] = [];
  private transmissions = 0;
  private newestDelivered = 0;
  /** A fast retransmission leaves whatever the window says. */
  private fastRepeat = false;
  private lastSentUs = 0;
  private readonly o: SenderOptions;
  private readonly wire: Wire;

  constructor(options: SenderOptions, wire: Wire, pathMss: number) {
    this.o = options;
    this.wire = wire;
    this.pathMss = pathMss;
    this.buffer = new SendBuffer(1, options.sendBuffer);
    this.clock = new RetransmissionClock(options.rtoMaxUs);
  }

  /** FIN after all that was written. */
  close(): void {
    this.closing = true;
  }

  /** True once the FIN was sent. */
  get finSent(): boolean {
    return this.closing && this.nxt > this.buffer.end;
  }

  get finAcked(): boolean {
    return this.closing && this.una > this.buffer.end;
  }

  get drained(): boolean {
    return this.una >= this.buffer.end + (this.closing ? 1 : 0);
  }

  /** Octets sent and not acknowledged. */
  get flight(): number {
    return this.nxt - this.una;
  }

  get srttUs(): number {
    return this.clock.srttUs;
  }

  /** When fire() is due. */
  get timerUs(): number {
    return this.clock.atUs;
  }

  /** MSS of the peer's SYN. */
  open(peerMss: number): void {
    this.peerMss = peerMss;
  }

  /** The first measurement of the round trip. */
  handshakeTook(us: number): void {
    this.clock.sample(us);
  }

  /** Most payload octets of a segment now. */
  get segmentSize(): number {
    const whole = Math.min(this.peerMss, this.pathMss) - this.wire.optionRoom();
    const half = this.windowMax > 0 ? Math.max(this.windowMax >> 1, MSS_MIN) : whole;
    return Math.max(1, Math.min(whole, half));
  }

  // --- acknowledgements ---------------------------------------------------------------------------------

  /** The window of an ACK that passed RFC 9293's test of what is newer. */
  windowUpdate(end: number, window: number): void {
    this.stats.windowShrunk = Math.max(this.stats.windowShrunk, this.windowEnd - end);
    this.windowMax = Math.max(this.windowMax, window);
    if (end > this.nxt && this.clock.kind === "probe") {
      this.clock.backoff = 0;
      this.clock.disarm();
    }
    this.windowEnd = end;
  }

  /** An acceptable ACK. `duplicate`: nothing in it but the number; blocks are offsets, a D-SACK taken out. */
  ack(una: number, duplicate: boolean, blocks: [number, number][], nowUs: number): void {
    const sampled = this.takeBlocks(blocks, nowUs);
    const advanced = una > this.una;
    if (advanced) this.advance(una, nowUs);
    else {
      if (sampled > 0) this.clock.sample(sampled);
      if (duplicate && this.sent.length > 0) this.congestion.duplicates++;
    }
    const reneging = advanced && this.sent[0]?.sacked === true;
    if (reneging) {
      this.stats.reneged++;
      this.clock.arm("rto", nowUs + Math.max(this.srttUs / 2, 10_000));
    } else if (advanced) this.rearm(nowUs);
    this.detect(advanced, nowUs);
  }

  /** Marks what the blocks cover; returns the last RTT sample among it, 0 if there is none. */
  private takeBlocks(blocks: [number, number][], nowUs: number): number {
    let sample = 0;
    for (const block of blocks) {
      for (const segment of markSacked(this.sent, block)) {
        if (!segment.repeated) sample = nowUs - segment.sentUs;
        this.delivered(segment, nowUs);
      }
    }
    return sample;
  }

  /** RACK without its timer: what was sent before `segment` and is still under way may be lost (RFC 8985). */
  private delivered(segment: Sent, nowUs: number): void {
    if (segment.repeated && nowUs - segment.sentUs < this.srttUs / 2) return; // of the first copy, it seems
    this.newestDelivered = Math.max(this.newestDelivered, segment.order);
  }

  private advance(una: number, nowUs: number): void {
    let packets = 0;
    let sample = 0;
    const { congestion } = this;
    const used = packetsFlying(this.sent) >= congestion.cwnd / 2;
    while (this.sent[0] && this.sent[0].start < una) {
      if (this.sent[0].end > una) splitAt(this.sent, 0, una);
      const segment = this.sent.shift() as Sent;
      packets++;
      if (!segment.sacked) this.delivered(segment, nowUs);
      if (!segment.repeated && !segment.sacked) sample = nowUs - segment.sentUs;
    }
    this.una = una;
    this.buffer.release(Math.min(una, this.buffer.end));
    const left = Math.max(0, congestion.duplicates - packets + 1);
    congestion.duplicates = congestion.state === "recovery" ? left : 0;
    this.timeouts = 0;
    this.tailProbed = false;
    if (sample > 0) this.clock.sample(sample);
    if (used && congestion.state !== "recovery") congestion.grow(packets);
  }

  // --- loss ---------------------------------------------------------------------------------------------

  private detect(advanced: boolean, nowUs: number): void {
    const { congestion, una } = this;
    const over = una > congestion.recover || (this.sackAgreed && una === congestion.recover) || this.sent.length === 0;
    if (congestion.state !== "open" && over) congestion.leave();
    const head = this.sent[0];
    if (head === undefined) return;
    if (this.sackAgreed) {
      const waited = (segment: Sent) => nowUs - segment.sentUs > this.srttUs * 1.25;
      const overtaken = (segment: Sent) => segment.order < this.newestDelivered && waited(segment);
      if (markLost(this.sent, DUP_THRESHOLD, overtaken) && congestion.state === "open") this.enterRecovery();
      return;
    }
    const third = congestion.state === "open" && congestion.duplicates >= DUP_THRESHOLD;
    const partial = congestion.state === "recovery" && advanced && una < congestion.recover; // RFC 6582
    if (third || partial) {
      head.lost = true;
      head.again = false;
      this.fastRepeat = true;
    }
    if (third) this.enterRecovery();
  }

  private enterRecovery(): void {
    this.stats.fastRecoveries++;
    this.fastRepeat = true;
    this.congestion.enterRecovery(this.nxt);
  }

  private pipe(): number {
    const flying = packetsFlying(this.sent);
    return this.sackAgreed ? flying : Math.max(0, flying - this.congestion.duplicates);
  }

  // --- timers -------------------------------------------------------------------------------------------

  private rearm(nowUs: number): void {
    const probing = this.o.tailLossProbe && this.sackAgreed && this.congestion.state === "open" && !this.tailProbed;
    if (this.sent.length === 0) this.clock.disarm();
    else this.clock.rearm(nowUs, this.sent.length, probing);
  }

  /** The timer fired. */
  fire(nowUs: number): void {
    const { kind } = this.clock;
    this.clock.disarm();
    if (kind === "tail") this.tailProbe(nowUs);
    else if (kind === "probe") this.windowProbe(nowUs);
    else if (kind === "rto") this.timeout(nowUs);
  }

  private timeout(nowUs: number): void {
    const head = this.sent[0];
    if (head === undefined) return;
    this.stats.timeouts++;
    if (++this.timeouts > this.o.retries) {
      this.wire.timedOut();
      return;
    }
    const reneged = head.sacked;
    for (const segment of this.sent) {
      if (reneged) segment.sacked = false;
      segment.lost = !segment.sacked;
      segment.again = false;
    }
    this.congestion.timeout(this.una, this.nxt);
    this.clock.backOff();
    this.push(nowUs);
    this.clock.arm("rto", nowUs + this.clock.rtoUs);
  }

  private tailProbe(nowUs: number): void {
    this.tailProbed = true;
    this.stats.tailProbes++;
    if (!this.sendNew(nowUs, 1)) {
      let last = this.sent.length - 1;
      while (last > 0 && this.sent[last]?.sacked) last--;
      if (last >= 0) this.repeat(last, nowUs, 1);
    }
    this.clock.arm("rto", nowUs + this.clock.rtoUs);
  }

  /** Nothing is under way, and the window holds back what there is to send. */
  private windowProbe(nowUs: number): void {
    this.stats.windowProbes++;
    if (++this.timeouts > this.o.retries) {
      this.wire.timedOut();
      return;
    }
    this.clock.backoff = Math.min(this.clock.backoff + 1, 20);
    if (this.windowEnd > this.nxt) this.sendPart(nowUs);
    else this.wire.probe();
    this.persist(nowUs);
  }

  /** The peer answers: its window may stay closed for as long as it likes. */
  answered(): void {
    if (this.clock.kind === "probe") this.timeouts = 0;
  }

  private persist(nowUs: number): void {
    if (this.sent.length === 0 && this.clock.kind === "none" && this.pending) this.clock.persist(nowUs);
  }

  // --- sending ------------------------------------------------------------------------------------------

  /** Octets or the FIN wait to be sent for the first time. */
  get pending(): boolean {
    return this.nxt < this.buffer.end + (this.closing ? 1 : 0);
  }

  /** Sends what congestion and the peer's window have room for: what was lost first. */
  push(nowUs: number): void {
    if (this.sent.length === 0 && nowUs - this.lastSentUs > this.clock.rtoUs) this.congestion.restart();
    let room = Math.max(Math.floor(this.congestion.cwnd) - this.pipe(), this.fastRepeat ? 1 : 0);
    this.fastRepeat = false;
    for (let i = 0; i < this.sent.length && room > 0; i++) {
      const segment = this.sent[i] as Sent;
      if (!waits(segment)) continue;
      if (segment.start > this.una && segment.end > this.windowEnd) return;
      const run = this.o.random.chance(0.3) ? this.o.gso : 1;
      room -= this.repeat(i, nowUs, Math.min(run, room));
    }
    if (room > 0) this.sendNew(nowUs, room);
    this.persist(nowUs);
  }

  /** Sends segment `index` again, and up to `most` - 1 behind it in one super-packet; returns how many. */
  private repeat(index: number, nowUs: number, most: number): number {
    const size = this.segmentSize;
    const first = this.sent[index] as Sent;
    const reach = this.wire.reach(first.start);
    this.cutAnew(index, size, reach);
    let count = 1;
    let last = first;
    const full = (segment: Sent) => segment.end - segment.start === size && !segment.fin;
    for (let next = this.sent[index + 1]; next && count < most && full(last); next = this.sent[index + count]) {
      const length = next.end - next.start - (next.fin ? 1 : 0);
      if (!waits(next) || length > size || next.end > reach || next.end > this.windowEnd) break;
      last = next;
      count++;
    }
    for (const segment of this.sent.slice(index, index + count)) {
      this.stats.retransmitted++;
      segment.again = segment.lost;
      segment.repeated = true;
      this.put(segment, nowUs);
    }
    const length = last.end - first.start - (last.fin ? 1 : 0);
    this.wire.transmit(first.start, length, last.fin, count > 1 ? size : 0);
    if (this.clock.kind === "none") this.rearm(nowUs);
    return count;
  }

  /** Other boundaries than the first time: because segments are shorter now, or by chance. */
  private cutAnew(index: number, size: number, reach: number): void {
    const { random } = this.o;
    const segment = this.sent[index] as Sent;
    const length = segment.end - segment.start;
    if (length - (segment.fin ? 1 : 0) > size) splitAt(this.sent, index, segment.start + size);
    else if (random.chance(this.o.repacketise)) {
      if (random.chance(0.5)) while (mergeNext(this.sent, index, Math.min(segment.start + size, reach))) {}
      else if (length > 1) splitAt(this.sent, index, segment.start + random.between(1, length - 1));
    }
  }

  private put(segment: Sent, nowUs: number): void {
    segment.sentUs = nowUs;
    segment.order = ++this.transmissions;
    this.lastSentUs = nowUs;
  }

  /** Up to `most` new segments; false if there was none to send. */
  private sendNew(nowUs: number, most: number): boolean {
    let any = false;
    for (let count = 0; count < most; ) {
      const segments = this.nextSegments(nowUs, most - count);
      if (segments.length === 0) break;
      this.sendRun(segments);
      count += segments.length;
      any = true;
    }
    if (any && (this.clock.kind === "none" || this.clock.kind === "tail")) this.rearm(nowUs);
    return any;
  }

  /** New segments that one super-packet can carry; one, without GSO. */
  private nextSegments(nowUs: number, most: number): Sent[] {
    const size = this.segmentSize;
    const segments: Sent[] = [];
    const reach = this.wire.reach(this.nxt);
    const run = Math.min(most, this.o.gso, Math.floor(SUPER_PACKET_MAX / size));
    while (segments.length < run) {
      const full = Math.min(size, Math.min(this.buffer.end, reach) - this.nxt);
      if (full < 0 || !this.pending) break;
      const short = full > 1 && this.o.random.chance(this.o.shortWrites);
      const length = short ? this.o.random.between(1, full) : full;
      const last = this.closing && this.nxt + length === this.buffer.end;
      const fin = last && (length === 0 || this.o.random.chance(0.5));
      if (this.nxt + length + (fin ? 1 : 0) > this.windowEnd || (length === 0 && !fin)) break;
      segments.push(this.append(length, fin, nowUs));
      if (length < size || fin || this.nxt >= reach) break;
    }
    return segments;
  }

  private append(length: number, fin: boolean, nowUs: number): Sent {
    const end = this.nxt + length + (fin ? 1 : 0);
    const flags = { sacked: false, lost: false, again: false, repeated: false };
    const segment: Sent = { start: this.nxt, end, fin, ...flags, sentUs: 0, order: 0 };
    this.nxt = end;
    this.stats.segments++;
    this.put(segment, nowUs);
    this.sent.push(segment);
    return segment;
  }

  private sendRun(segments: Sent[]): void {
    const [first, last] = [segments[0] as Sent, segments.at(-1) as Sent];
    const length = last.end - first.start - (last.fin ? 1 : 0);
    this.wire.transmit(first.start, length, last.fin, segments.length > 1 ? this.segmentSize : 0);
  }

  /** What fits into a window that is open by less than a segment. */
  private sendPart(nowUs: number): void {
    const length = Math.min(this.windowEnd, this.buffer.end, this.wire.reach(this.nxt)) - this.nxt;
    const segment = this.append(Math.min(length, this.segmentSize), length === 0, nowUs);
    this.sendRun([segment]);
    this.rearm(nowUs);
  }

  // --- ICMP ---------------------------------------------------------------------------------------------

  /** The path carries `mss` octets per segment only: as tcp_simple_retransmit() does. */
  mtuLowered(mss: number, nowUs: number): void {
    if (mss >= Math.min(this.pathMss, this.peerMss)) return;
    this.pathMss = mss;
    const found = markLonger(this.sent, this.segmentSize);
    this.stats.lostToMtu += found;
    if (found === 0) return;
    if (this.congestion.state !== "loss") this.congestion.enterLoss(this.nxt);
    this.push(nowUs);
  }

  /** Host unreachable for SND.UNA: the last back-off was for a path that was gone (RFC 6069). */
  unreachable(nowUs: number): void {
    const head = this.sent[0];
    const { clock } = this;
    if (clock.backoff === 0 || this.timeouts === 0 || clock.kind !== "rto" || head === undefined) return;
    clock.revert();
    clock.arm("rto", Math.max(nowUs, head.sentUs + clock.rtoUs));
  }
}
