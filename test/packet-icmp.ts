// ICMP errors as tests make and read them: what a router says, and about which segment.

import { addressOctets, addressText, be16, be32 } from "./packet.ts";

export interface IcmpPacket {
  src: string;
  dst: string;
  error: "too big" | "unreachable" | "other";
  /** Octets, with "too big". */
  mtu: number;
  code: number;
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
  const [type, code] = [view.getUint8(ip), view.getUint8(ip + 1)];
  const tooBig = six ? type === 2 : type === 3 && code === 4;
  const quoted = ip + 8;
  const address = (at: number) => addressText(octets.subarray(at, at + (six ? 16 : 4)));
  const [source, destination] = six ? [8, 24] : [12, 16];
  const name = tooBig ? "too big" : type === (six ? 1 : 3) ? "unreachable" : "other";
  return {
    src: address(source),
    dst: address(destination),
    error: name,
    mtu: name !== "too big" ? 0 : six ? view.getUint32(ip + 4) : view.getUint16(ip + 6),
    code,
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

export interface RouterError {
  /** Default 4 or 6 by the quoted packet: 192.0.2.1, 2001:db8::1. */
  router?: string;
  /** "Too big" with this MTU; without it "unreachable" with `code`. */
  mtu?: number;
  code?: number;
  /** Octets of the packet that are quoted; default all, within what routers send. */
  octets?: number;
  /** Wrong by one bit. */
  badChecksum?: boolean;
}

/** What a router answers to `packet`, which came from its source. */
export function routerError(packet: Uint8Array, error: RouterError): Uint8Array {
  const six = (packet[0] ?? 0) >> 4 === 6;
  const ip = six ? 40 : 20;
  const size = six ? 16 : 4;
  const quote = packet.subarray(0, error.octets ?? (six ? 1232 : 528));
  const tooBig = error.mtu !== undefined;
  const kind = tooBig ? (six ? [2, 0] : [3, 4]) : [six ? 1 : 3, error.code ?? 0];
  const mtu = error.mtu ?? 0;
  const detail = six ? be32(mtu) : [0, 0, ...be16(mtu)];
  const length = 8 + quote.length;
  const router = addressOctets(error.router ?? (six ? "2001:db8::1" : "192.0.2.1"));
  const to = packet.subarray(six ? 8 : 12, (six ? 8 : 12) + size);
  const header = six
    ? [0x60, 0, 0, 0, ...be16(length), 58, 64]
    : [0x45, 0, ...be16(20 + length), 0, 0, 0, 0, 64, 1, 0, 0];
  const octets = Uint8Array.from([...header, ...router, ...to, ...kind, 0, 0, ...detail, ...quote]);
  const sum = sumOf(octets, ip, six) ^ 0xffff ^ (error.badChecksum ? 1 : 0);
  octets.set(be16(sum), ip + 2);
  if (!six) octets.set(be16(sumOf(octets.subarray(0, 20), 0, false) ^ 0xffff), 10);
  return octets;
}
