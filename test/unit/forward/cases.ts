// What the tests of this folder run through: both roles, both families, and numbers that end within the test.

import {
  type Established,
  type EstablishedOptions,
  FAMILIES,
  opener,
  type Role,
  responder,
} from "../../established.ts";
import * as p from "../../packet.ts";

const ROLES: Role[] = ["opener", "responder"];

/** Near the ends of both number spaces, so that a hundred octets wrap them. */
const WRAPPED = { hostIss: 2 ** 32 - 140, peerIss: 2 ** 32 - 120 };

export interface Case {
  role: Role;
  name: string;
  options: EstablishedOptions;
}

/** For describe.each, with "$name". */
export const CASES: Case[] = FAMILIES.flatMap((family) =>
  ROLES.flatMap((role) => [
    { role, name: `${role}, IPv${family}`, options: { family } },
    { role, name: `${role}, IPv${family}, numbers that wrap`, options: { family, ...WRAPPED } },
  ]),
);

/** A connection with one subflow, by role. */
export const single = { opener, responder };

/** The number that acknowledges the peer's first `octets` octets on a subflow. */
export const san = (flow: { irs: number }, octets: number): number => (flow.irs + 1 + octets) >>> 0;

/** Packets with payload only. */
export const data = (packets: p.Packet[]): p.Packet[] => packets.filter(({ payload }) => payload.length > 0);

/** The DATA_ACK of a packet, as it stands there. */
export const danOf = (packet: p.Packet | undefined): bigint | undefined => packet && p.option(packet, "dss")?.dan;

/** The SACK blocks of packets to the host, as offsets in its stream. */
export const sacked = (e: Established, packets: p.Packet[]): [number, number][] =>
  packets
    .flatMap((packet) => p.option(packet, "sack")?.blocks ?? [])
    .map(([left, right]) => [(left - e.tsn(0)) | 0, (right - e.tsn(0)) | 0]);
