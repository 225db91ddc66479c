// The mapping tables of the engine once more, octet by octet and in flat arrays: as plain as the models beside them
// (send-model.ts, recv-model.ts), but quick enough for a million tables. Positions are distances from origins that the
// test chooses; a table is compared as the list of its longest runs.

import { RESERVED } from "./send-model.ts";

/** Numbers per run in the lists that runs() writes. */
export const SEND_RUN = 5;
export const RECV_RUN = 3;
export const RANGE = 2;

const NOT_MAPPED = -1;
/** Not the one before octet 0. */
const NO_OCTET = -0x8000;

/** The SEND table: octet of the data → subflow and SSN there. */
export class SendOctets {
  /** Subflow of each octet, 0 = dead, -1 = not mapped. */
  readonly subflow: Int8Array;
  readonly ssn: Int32Array;
  readonly flags: Uint8Array;
  /** Nothing is mapped below and from `end` on. */
  start = 0;
  end = 0;

  constructor(size: number) {
    this.subflow = new Int8Array(size).fill(NOT_MAPPED);
    this.ssn = new Int32Array(size);
    this.flags = new Uint8Array(size);
  }

  clear(): void {
    this.subflow.fill(NOT_MAPPED);
    this.start = 0;
    this.end = 0;
  }

  copy(other: SendOctets): void {
    this.subflow.set(other.subflow);
    this.ssn.set(other.ssn);
    this.flags.set(other.flags);
    this.start = other.start;
    this.end = other.end;
  }

  map(position: number, ssn: number, length: number, subflow: number, flags: number): void {
    for (let i = 0; i < length; i++) {
      this.subflow[position + i] = subflow;
      this.ssn[position + i] = ssn + i;
      this.flags[position + i] = flags;
    }
    this.end = Math.max(this.end, position + length);
  }

  trim(position: number): void {
    for (let i = this.start; i < position; i++) this.subflow[i] = NOT_MAPPED;
    this.start = Math.max(this.start, position);
  }

  /** Whole runs that reach beyond `position` lose their subflow. */
  freeSubflow(subflow: number, position: number): void {
    for (let i = this.start; i < this.end; ) {
      let next = i + 1;
      while (next < this.end && this.continues(next)) next += 1;
      if (this.subflow[i] === subflow && next > position) this.map(i, 0, next - i, 0, 0);
      i = next;
    }
  }

  /** Whether the octet belongs to the run of the one before it. */
  private continues(i: number): boolean {
    const subflow = this.subflow[i];
    if (subflow !== this.subflow[i - 1] || this.flags[i] !== this.flags[i - 1]) return false;
    return subflow === 0 || this.ssn[i] === (this.ssn[i - 1] as number) + 1;
  }

  /** Writes {position, length, subflow, ssn, flags} of each run; returns how many. */
  runs(out: Int32Array): number {
    let count = 0;
    for (let i = this.start; i < this.end; i++) {
      const subflow = this.subflow[i] as number;
      if (subflow === NOT_MAPPED) continue;
      if (i > this.start && this.continues(i)) {
        const length = (count - 1) * SEND_RUN + 1;
        out[length] = (out[length] as number) + 1;
        continue;
      }
      const at = count * SEND_RUN;
      out[at] = i;
      out[at + 1] = 1;
      out[at + 2] = subflow;
      out[at + 3] = subflow === 0 ? 0 : (this.ssn[i] as number);
      out[at + 4] = this.flags[i] as number;
      count += 1;
    }
    return count;
  }

  /** The octet that `ssn` of `subflow` stands for now, reserved or not; -1 = none. */
  octetOf(subflow: number, ssn: number): number {
    for (let i = this.start; i < this.end; i++) if (this.subflow[i] === subflow && this.ssn[i] === ssn) return i;
    return -1;
  }

  /** True if the host has shown the octet, so that it was sent on the subflow that it is mapped to. */
  shown(i: number): boolean {
    return this.flags[i] !== RESERVED;
  }
}

/** A RECV table: SSN → octet of the data. */
export class RecvOctets {
  /** Octet of each SSN, negative = not mapped. */
  readonly dsn: Int32Array;
  start = 0;
  end = 0;
  count = 0;

  constructor(size: number) {
    this.dsn = new Int32Array(size).fill(NO_OCTET);
  }

  clear(): void {
    this.dsn.fill(NO_OCTET);
    this.start = 0;
    this.end = 0;
    this.count = 0;
  }

  /**
   * Maps what of [ssn, ssn + length) is not mapped yet. Each gap is a run, less one for each neighbour that it
   * continues; `room` is the most that there may be more on the way from left to right. Returns whether a part was
   * mapped to other octets; undefined, and nothing changed, if there is no room.
   */
  add(ssn: number, dsn: number, length: number, room: number): boolean | undefined {
    let conflict = false;
    let needed = 0;
    let peak = 0;
    for (let i = ssn; i < ssn + length; i++) {
      const known = this.dsn[i] as number;
      if (known !== NO_OCTET) {
        if (known !== dsn + i - ssn) conflict = true;
        continue;
      }
      // The octet before counts as it is when the gap is filled: whatever is mapped there, or filled with it.
      const first = i === ssn || this.dsn[i - 1] !== NO_OCTET;
      if (first && this.dsn[i - 1] !== dsn + i - ssn - 1) needed += 1;
      const last = i === ssn + length - 1 || this.dsn[i + 1] !== NO_OCTET;
      if (last && this.dsn[i + 1] === dsn + i - ssn + 1) needed -= 1;
      if (last) peak = Math.max(peak, needed);
    }
    if (peak > room) return undefined;
    for (let i = ssn; i < ssn + length; i++) if (this.dsn[i] === NO_OCTET) this.dsn[i] = dsn + i - ssn;
    const empty = this.start === this.end;
    this.start = empty ? ssn : Math.min(this.start, ssn);
    this.end = empty ? ssn + length : Math.max(this.end, ssn + length);
    this.count += needed;
    return conflict;
  }

  trim(ssn: number): void {
    for (let i = this.start; i < ssn; i++) this.dsn[i] = NO_OCTET;
    this.start = Math.max(this.start, ssn);
    this.end = Math.max(this.end, this.start);
    this.count = this.runs(SCRATCH);
  }

  /** Writes {ssn, length, dsn} of each run; returns how many. */
  runs(out: Int32Array): number {
    let count = 0;
    for (let i = this.start; i < this.end; i++) {
      const dsn = this.dsn[i] as number;
      if (dsn === NO_OCTET) continue;
      if (i > this.start && this.dsn[i - 1] === dsn - 1) {
        const length = (count - 1) * RECV_RUN + 1;
        out[length] = (out[length] as number) + 1;
        continue;
      }
      const at = count * RECV_RUN;
      out[at] = i;
      out[at + 1] = 1;
      out[at + 2] = dsn;
      count += 1;
    }
    return count;
  }
}

/** Received ranges: which SSNs have arrived. */
export class ArrivedOctets {
  readonly has: Uint8Array;
  start = 0;
  end = 0;

  constructor(size: number) {
    this.has = new Uint8Array(size);
  }

  clear(): void {
    this.has.fill(0);
    this.start = 0;
    this.end = 0;
  }

  /** Arrival: 0 new, 1 partial, 2 duplicate. */
  add(left: number, right: number): 0 | 1 | 2 {
    let fresh = 0;
    for (let i = left; i < right; i++) if (this.has[i] === 0) fresh += 1;
    this.has.fill(1, left, right);
    this.end = Math.max(this.end, right);
    if (fresh === 0) return 2;
    return fresh === right - left ? 0 : 1;
  }

  /** Whether [left, right) would be a range of its own. */
  alone(left: number, right: number): boolean {
    for (let i = Math.max(0, left - 1); i <= right; i++) if (this.has[i] === 1) return false;
    return true;
  }

  trim(ssn: number): void {
    this.has.fill(0, this.start, Math.max(this.start, ssn));
    this.start = Math.max(this.start, ssn);
  }

  /** Writes {left, right} of each range; returns how many. */
  runs(out: Int32Array): number {
    let count = 0;
    for (let i = this.start; i < this.end; i++) {
      if (this.has[i] === 0) continue;
      const left = i;
      while (this.has[i] === 1) i += 1;
      out[count * RANGE] = left;
      out[count * RANGE + 1] = i;
      count += 1;
    }
    return count;
  }
}

const SCRATCH = new Int32Array(4096);
