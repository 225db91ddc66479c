// Mappings with checksums, taken apart (docs/decisions/0011).

import { expect } from "vitest";
import { type Established, low32 } from "../../established.ts";
import * as p from "../../packet.ts";

export const DEMANDED = { checksum: true } as const;

export interface Map {
  dsn: bigint;
  ssn: number;
  length: number;
  fin: boolean;
  checksum: number | undefined;
}

/** The mapping of a packet of ours, its DSN in full. */
export function mapOf(e: Established, packet: p.Packet): Map | undefined {
  const capable = p.option(packet, "mpCapable");
  if (capable?.dataLength !== undefined) {
    return { dsn: e.dsn(0), ssn: 1, length: capable.dataLength, fin: false, checksum: capable.checksum };
  }
  const dss = p.option(packet, "dss");
  if (dss?.dsn === undefined) return undefined;
  const offset = Number(BigInt.asIntN(32, dss.dsn - low32(e.dsn(0))));
  const { ssn = 0, length = 0, fin = false, checksum } = dss;
  return { dsn: e.dsn(offset), ssn, length, fin, checksum };
}

/** The checksum that the mapping of the stream's octets ought to have. */
function rightChecksum(e: Established, map: Map): number {
  const offset = Number(BigInt.asIntN(64, map.dsn - e.dsn(0)));
  const octets = p.payloadPattern(map.length - (map.fin ? 1 : 0), offset);
  return p.dssChecksum(map.dsn, map.ssn, map.length, octets);
}

/** All mappings that leave, each with the right checksum, as [SSN, length]. */
export function rightMaps(e: Established, packets: p.Packet[]): [number, number][] {
  return packets.flatMap((packet) => {
    const map = mapOf(e, packet);
    if (map === undefined) return [];
    expect(map.checksum, p.show(packet)).toBe(rightChecksum(e, map));
    return [[map.ssn, map.length] as [number, number]];
  });
}

/** A packet as long as any of the host's gets through; returns its payload octets. */
export function proven(e: Established): number {
  const mss = 1500 - (e.family === 6 ? 60 : 40) - (e.role === "opener" ? 24 : 20);
  e.hostData(0, mss);
  e.fromPeer({ acks: mss }, [e.dataAck(mss)]);
  return mss;
}
