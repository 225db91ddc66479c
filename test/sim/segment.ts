// A packet on its way: its octets and what they say.

import { decode, type Option, type Packet, type PacketFields, packet } from "../packet.ts";

export interface Segment {
  readonly octets: Uint8Array;
  readonly p: Packet;
}

/** The packet in `octets`, taken apart. */
export function segmentOf(octets: Uint8Array): Segment {
  return { octets, p: decode(octets) };
}

/** `from` with other fields, its checksums made anew. */
export function changed(from: Packet, fields: Partial<PacketFields>): Segment {
  return segmentOf(packet({ ...from, ...fields, checksum: "good" }));
}

/** What a network card makes of a super-packet: the header on each piece, FIN and PSH on the last. */
export function cut(whole: Segment, size: number): Segment[] {
  const { p } = whole;
  if (size === 0 || p.payload.length <= size) return [whole];
  const pieces: Segment[] = [];
  for (let at = 0; at < p.payload.length; at += size) {
    const last = at + size >= p.payload.length;
    const flags = last ? p.flags : p.flags.replace(/[FP]/g, "");
    pieces.push(changed(p, { flags, seq: (p.seq + at) >>> 0, payload: p.payload.subarray(at, at + size) }));
  }
  return pieces;
}

/** The options that stay when those that `unwanted` names become NOPs, as a middlebox does it. */
export function without(options: Option[], unwanted: (option: Option) => boolean): Option[] {
  return options.filter((option) => option.kind !== "nop" && !unwanted(option));
}

/** True for the kinds that TCP calls option 30. */
export function isMptcp({ kind }: Option): boolean {
  return /^(mp|dss|addAddr|removeAddr)/.test(kind);
}
