// ICMP errors as tests read them: what the made-up router says, and about which segment.

import { addressText } from "./packet.ts";

export interface IcmpPacket {
  src: string;
  dst: string;
  error: "too big" | "unreachable" | "other";
  /** Octets, with "too big". */
  mtu: number;
  /** The segment it quotes. */
  quoted: { src: string; dst: string; sport: number; dport: number; seq: number };
  checksumValid: boolean;
  octets: Uint8Array;
}

/** True if the packet is ICMP or ICMPv6. */
export function isIcmp(octets: Uint8Array): boolean {
  return (octets[0] ?? 0) >> 4 === 6 ? octets[6] === 58 : octets[9] === 1;
}

/** Reads an ICMP error whose quoted packet has no IP options. */
export function decodeIcmp(octets: Uint8Array): IcmpPacket {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  const six = view.getUint8(0) >> 4 === 6;
  const ip = six ? 40 : 20;
  const kind = `${view.getUint8(ip)}/${view.getUint8(ip + 1)}`;
  const error = { "3/4": "too big", "2/0": "too big", "3/1": "unreachable", "1/0": "unreachable" } as const;
  const quoted = ip + 8;
  const address = (at: number) => addressText(octets.subarray(at, at + (six ? 16 : 4)));
  const [source, destination] = six ? [8, 24] : [12, 16];
  const name = error[kind as keyof typeof error] ?? "other";
  return {
    src: address(source),
    dst: address(destination),
    error: name,
    mtu: name !== "too big" ? 0 : six ? view.getUint32(ip + 4) : view.getUint16(ip + 6),
    quoted: {
      src: address(quoted + source),
      dst: address(quoted + destination),
      sport: view.getUint16(quoted + ip),
      dport: view.getUint16(quoted + ip + 2),
      seq: view.getUint32(quoted + ip + 4),
    },
    checksumValid: sumOf(octets, ip, six) === 0xffff,
    octets,
  };
}

/** RFC 1071 over the message, with the pseudo-header of RFC 8200 §8.1 for ICMPv6. */
function sumOf(octets: Uint8Array, ip: number, six: boolean): number {
  const length = octets.length - ip;
  const words = six ? [...octets.subarray(8, 40), 0, 0, length >> 8, length & 255, 0, 0, 0, 58] : [];
  const all = [...words, ...octets.subarray(ip)];
  let sum = 0;
  for (let i = 0; i < all.length; i += 2) sum += ((all[i] ?? 0) << 8) | (all[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}
