// What crossed an emulated network, segment by segment.

import { readFileSync } from "node:fs";
import { decode, type Packet } from "../packet.ts";

/** A TCP segment, when it entered the network. */
export interface Captured extends Packet {
  /** CLOCK_MONOTONIC, ns. */
  ns: number;
}

const FILE_HEADER = 24;
const RECORD_HEADER = 16;
const ETHERNET_HEADER = 14;
const TCP = 6;

/** The TCP segments of a capture that `Emulator.capture()` wrote, in the order in which they entered the network. */
export function readCapture(file: string): Captured[] {
  const octets = readFileSync(file);
  const segments: Captured[] = [];
  for (let at = FILE_HEADER; at + RECORD_HEADER <= octets.length; ) {
    const ns = octets.readUInt32LE(at) * 1e9 + octets.readUInt32LE(at + 4);
    const length = octets.readUInt32LE(at + 8);
    const packet = octets.subarray(at + RECORD_HEADER + ETHERNET_HEADER, at + RECORD_HEADER + length);
    const version = (packet[0] ?? 0) >> 4;
    const protocol = version === 4 ? packet[9] : packet[6];
    if ((version === 4 || version === 6) && protocol === TCP) segments.push({ ns, ...decode(packet) });
    at += RECORD_HEADER + length;
  }
  return segments;
}
