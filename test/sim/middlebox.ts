// What stands in the way: boxes that cut segments, put segments together, or take options away.

import type { Random } from "../model/random.ts";
import { type Dss, type Option, option, type Packet } from "../packet.ts";
import { changed, isMptcp, type Segment, without } from "./segment.ts";

export interface Middlebox {
  /** What leaves instead of `segment`, now. */
  pass(segment: Segment, nowUs: number): Segment[];
}

/** Which packets lose their MPTCP options. */
export type StripKind = "syn" | "synAck" | "thirdAck" | "all" | "join";

/** Takes MPTCP options away; `fromUs`: only later. */
export class Strip implements Middlebox {
  private readonly kind: StripKind;
  private readonly fromUs: number;

  constructor(kind: StripKind, fromUs = 0) {
    this.kind = kind;
    this.fromUs = fromUs;
  }

  pass(segment: Segment, nowUs: number): Segment[] {
    const { p } = segment;
    if (nowUs < this.fromUs || !this.concerns(p) || !p.options.some(isMptcp)) return [segment];
    return [changed(p, { options: without(p.options, isMptcp) })];
  }

  private concerns(p: Packet): boolean {
    const syn = p.flags.includes("S");
    const answer = p.flags.includes("A");
    if (this.kind === "all") return true;
    if (this.kind === "join") return option(p, "mpJoin") !== undefined;
    if (this.kind === "syn") return syn && !answer;
    if (this.kind === "synAck") return syn && answer;
    return !syn && option(p, "mpCapable") !== undefined;
  }
}

/** Cuts data segments in two; the options stay on both, or only on the first. */
export class Split implements Middlebox {
  private readonly random: Random;
  private readonly share: number;
  private readonly copies: boolean;

  constructor(random: Random, share: number, copies: boolean) {
    this.random = random;
    this.share = share;
    this.copies = copies;
  }

  pass(segment: Segment): Segment[] {
    const { p } = segment;
    if (p.payload.length < 2 || /[SR]/.test(p.flags) || !this.random.chance(this.share)) return [segment];
    // An MP_CAPABLE says how much data follows; a box that cuts it is met by none of the stacks.
    if (option(p, "mpCapable") !== undefined) return [segment];
    const at = this.random.between(1, p.payload.length - 1);
    const first = changed(p, { flags: p.flags.replace(/[FP]/g, ""), payload: p.payload.subarray(0, at) });
    const options = this.copies ? p.options : without(p.options, isMptcp);
    return [first, changed(p, { seq: (p.seq + at) >>> 0, payload: p.payload.subarray(at), options })];
  }
}

const sameDss = (x: Dss, y: Dss): boolean =>
  x.dsn === y.dsn && x.ssn === y.ssn && x.length === y.length && x.fin === y.fin && x.dan === y.dan;

/**
 * Puts a data segment and the one behind it together, as long as the header can stand for both: the options are
 * the same, or the second has none. `sloppy` boxes do it whatever the second's options say, and those are lost.
 */
export class Coalesce implements Middlebox {
  private readonly random: Random;
  private readonly share: number;
  private readonly sloppy: boolean;
  private held: Segment | undefined;

  constructor(random: Random, share: number, sloppy: boolean) {
    this.random = random;
    this.share = share;
    this.sloppy = sloppy;
  }

  pass(segment: Segment): Segment[] {
    const { held } = this;
    this.held = undefined;
    if (held === undefined) {
      if (!this.takes(segment.p) || !this.random.chance(this.share)) return [segment];
      // The first of two passes with what comes right behind it, or after it: nothing waits for ever in a box
      // that is asked at the next packet, since a lost segment is sent again.
      this.held = segment;
      return [];
    }
    if (!this.fits(held.p, segment.p)) return [held, segment];
    const { payload } = held.p;
    const both = new Uint8Array(payload.length + segment.p.payload.length);
    both.set(payload);
    both.set(segment.p.payload, payload.length);
    return [changed(held.p, { payload: both, flags: segment.p.flags, ack: segment.p.ack, win: segment.p.win })];
  }

  private takes(p: Packet): boolean {
    return p.payload.length > 0 && !/[SRF]/.test(p.flags) && option(p, "mpCapable") === undefined;
  }

  private fits(first: Packet, second: Packet): boolean {
    const tuple = (p: Packet) => `${p.src} ${p.sport} ${p.dst} ${p.dport}`;
    if (tuple(first) !== tuple(second) || !this.takes(second)) return false;
    if ((first.seq + first.payload.length) >>> 0 !== second.seq) return false;
    if (first.totalLength + second.payload.length > 1500) return false;
    return this.sloppy || this.sameOptions(first.options, second.options);
  }

  private sameOptions(first: Option[], second: Option[]): boolean {
    const own = second.filter(isMptcp);
    if (own.length === 0) return true;
    const of = first.find((candidate): candidate is Dss => candidate.kind === "dss");
    return own.length === 1 && own[0]?.kind === "dss" && of !== undefined && sameDss(of, own[0]);
  }
}
