// What a sender has sent and the peer has not acknowledged: one entry per segment, in order, without gaps.

export interface Sent {
  start: number;
  /** The octet behind the last; a FIN counts as one. */
  end: number;
  fin: boolean;
  sacked: boolean;
  /** Taken for lost; `again`: and sent again since. */
  lost: boolean;
  again: boolean;
  /** Was sent more than once: no RTT sample (Karn). */
  repeated: boolean;
  sentUs: number;
  /** Number of its last transmission. */
  order: number;
}

/** A copy of it is believed to be in the network. */
export function isFlying(segment: Sent): boolean {
  return !segment.sacked && (!segment.lost || segment.again);
}

/** It is to be sent again. */
export function waits(segment: Sent): boolean {
  return segment.lost && !segment.again && !segment.sacked;
}

/** Segments in the network. */
export function packetsFlying(sent: Sent[]): number {
  let count = 0;
  for (const segment of sent) if (isFlying(segment)) count++;
  return count;
}

/** Cuts segment `index` at offset `at`, which lies inside it. */
export function splitAt(sent: Sent[], index: number, at: number): void {
  const segment = sent[index] as Sent;
  const rest = { ...segment, start: at };
  segment.end = at;
  segment.fin = false;
  sent.splice(index + 1, 0, rest);
}

/** Joins the next segment to this one, as far as `limit` payload octets allow; false if it does not fit. */
export function mergeNext(sent: Sent[], index: number, limit: number): boolean {
  const segment = sent[index] as Sent;
  const next = sent[index + 1];
  if (next === undefined || next.sacked || next.end - (next.fin ? 1 : 0) > limit) return false;
  segment.end = next.end;
  segment.fin = next.fin;
  sent.splice(index + 1, 1);
  return true;
}

/** Marks what a block covers, cutting segments at its edges; returns what was not marked before. */
export function markSacked(sent: Sent[], [left, right]: [number, number]): Sent[] {
  const found: Sent[] = [];
  const first = sent.findIndex(({ end }) => end > left);
  for (let i = first; i >= 0 && i < sent.length; i++) {
    const segment = sent[i] as Sent;
    if (segment.start >= right) break;
    if (segment.sacked) continue;
    if (segment.start < left) {
      splitAt(sent, i, left);
      continue;
    }
    if (segment.end > right) splitAt(sent, i, right);
    segment.sacked = true;
    found.push(segment);
  }
  return found;
}

/**
 * RFC 6675, IsLost(): `threshold` segments above it were SACKed. What was repeated is lost again if it was `overtaken` by
 * something sent later (RFC 8985). True if anything was marked.
 */
export function markLost(sent: Sent[], threshold: number, overtaken: (segment: Sent) => boolean): boolean {
  let above = 0;
  let found = false;
  for (let i = sent.length - 1; i >= 0; i--) {
    const segment = sent[i] as Sent;
    if (segment.sacked) above++;
    else if (isFlying(segment) && (segment.repeated ? overtaken(segment) : above >= threshold)) {
      segment.lost = true;
      segment.again = false;
      found = true;
    }
  }
  return found;
}

/** Marks what is longer than `size` payload octets and not SACKed; returns how many. */
export function markLonger(sent: Sent[], size: number): number {
  const longer = sent.filter(({ start, end, fin, sacked }) => !sacked && end - start - (fin ? 1 : 0) > size);
  for (const segment of longer) {
    segment.lost = true;
    segment.again = false;
  }
  return longer.length;
}
