// The RECV table and the received ranges of a subflow, octet by octet.

/** SSN position → DSN position, both distances from the test's origins. */
export class RecvModel {
  octets = new Map<number, number>();

  /** Adds what is not mapped yet; whether something was mapped to another DSN. */
  add(ssn: number, dsn: number, length: number): boolean {
    let conflict = false;
    for (let i = 0; i < length; i++) {
      const known = this.octets.get(ssn + i);
      if (known === undefined) this.octets.set(ssn + i, dsn + i);
      else if (known !== dsn + i) conflict = true;
    }
    return conflict;
  }

  /** Runs that adding takes at most on its way from left to right, beyond those there are. */
  peak(ssn: number, dsn: number, length: number): number {
    const model = new RecvModel();
    model.octets = new Map(this.octets);
    const before = model.runs();
    let peak = 0;
    for (let i = 0; i < length; i++) {
      const gap = !model.octets.has(ssn + i);
      if (gap) model.octets.set(ssn + i, dsn + i);
      // A gap counts when it is closed: its last octet may join it to what follows.
      if (gap && (i === length - 1 || model.octets.has(ssn + i + 1))) peak = Math.max(peak, model.runs() - before);
    }
    return peak;
  }

  trim(ssn: number): void {
    for (const key of this.octets.keys()) if (key < ssn) this.octets.delete(key);
  }

  /** Maximal runs with one offset. */
  runs(): number {
    let runs = 0;
    for (const [ssn, dsn] of this.octets) if (this.octets.get(ssn - 1) !== dsn - 1) runs += 1;
    return runs;
  }

  /** Whether something is mapped, and all of it before `ssn`. */
  endsBefore(ssn: number): boolean {
    return this.octets.size > 0 && Math.max(...this.octets.keys()) < ssn;
  }

  /** Octets from `ssn` on that are mapped with the offset of the first. */
  contiguous(ssn: number): number {
    const dsn = this.octets.get(ssn);
    let length = 0;
    while (dsn !== undefined && this.octets.get(ssn + length) === dsn + length) length += 1;
    return length;
  }
}

export class RangesModel {
  octets = new Set<number>();

  /** Arrival: 0 new, 1 partial, 2 duplicate. */
  add(left: number, right: number): 0 | 1 | 2 {
    let fresh = 0;
    for (let ssn = left; ssn < right; ssn++) {
      if (!this.octets.has(ssn)) fresh += 1;
      this.octets.add(ssn);
    }
    if (fresh === 0) return 2;
    return fresh === right - left ? 0 : 1;
  }

  trim(ssn: number): void {
    for (const key of this.octets) if (key < ssn) this.octets.delete(key);
  }

  /** Whether something has arrived, and all of it before `ssn`. */
  endsBefore(ssn: number): boolean {
    return this.octets.size > 0 && Math.max(...this.octets) < ssn;
  }

  ranges(): number {
    let ranges = 0;
    for (const ssn of this.octets) if (!this.octets.has(ssn - 1)) ranges += 1;
    return ranges;
  }

  contiguous(from: number): number {
    let ssn = from;
    while (this.octets.has(ssn)) ssn += 1;
    return ssn;
  }
}
