// ICMP errors about TCP segments, taken apart: what a host learns of a path that is too small or gone.

import { addressText } from "../../packet.ts";

export interface IcmpError {
  kind: "tooBig" | "unreachable";
  /** Next-hop MTU of tooBig. */
  mtu: number;
  /** Of the quoted segment: the own end is its source. */
  local: string;
  localPort: number;
  remote: string;
  remotePort: number;
  seq: number;
}

/** IP protocol number: 6 TCP, 1 ICMP, 58 ICMPv6. Extension headers are not looked behind. */
export function protocolOf(octets: Uint8Array): number {
  return ((octets[0] ?? 0) >> 4 === 6 ? octets[6] : octets[9]) ?? 0;
}

/** The error that an ICMP packet reports about a TCP segment; undefined for all else. */
export function decodeIcmp(octets: Uint8Array): IcmpError | undefined {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  const v6 = view.getUint8(0) >> 4 === 6;
  const at = v6 ? 40 : (view.getUint8(0) & 15) * 4;
  const [type, code] = [view.getUint8(at), view.getUint8(at + 1)];
  const tooBig = v6 ? type === 2 : type === 3 && code === 4;
  const unreachable = v6 ? type === 1 && (code === 0 || code === 3) : type === 3 && code <= 1;
  if (!tooBig && !unreachable) return undefined;
  const inner = at + 8;
  const innerV6 = view.getUint8(inner) >> 4 === 6;
  if (protocolOf(octets.subarray(inner)) !== 6) return undefined;
  const tcp = inner + (innerV6 ? 40 : (view.getUint8(inner) & 15) * 4);
  const [from, size] = innerV6 ? [inner + 8, 16] : [inner + 12, 4];
  return {
    kind: tooBig ? "tooBig" : "unreachable",
    mtu: tooBig ? (v6 ? view.getUint32(at + 4) : view.getUint16(at + 6)) : 0,
    local: addressText(octets.subarray(from, from + size)),
    remote: addressText(octets.subarray(from + size, from + 2 * size)),
    localPort: view.getUint16(tcp),
    remotePort: view.getUint16(tcp + 2),
    seq: view.getUint32(tcp + 4),
  };
}
