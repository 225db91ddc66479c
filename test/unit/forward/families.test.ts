// IPv6 is IPv4 with other addresses: the same life of a connection gives the same packets over both, octet by octet
// behind the IP header, but for the MSS.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { type Established, type Family, listening, opening, type Role } from "../../established.ts";
import * as p from "../../packet.ts";
import type { Outcome } from "../../scene.ts";

const GSO = { flags: abi.PacketFlag.GSO | abi.PacketFlag.CHECKSUM_NOT_READY };
const ROLES = ["opener", "responder"] as const;

/** What of a packet does not depend on its family. */
function told(packet: p.Packet | undefined) {
  if (packet === undefined) return undefined;
  const { v: _, src, dst, id, totalLength, ipHeaderLength, checksum, checksumPseudo, options, ...rest } = packet;
  const same = options.map((option) => (option.kind === "mss" ? { kind: "mss" } : option));
  return { ...rest, options: same, length: totalLength - ipHeaderLength };
}

function outcome({ verdict, reason, packet, toWire, toHost, events }: Outcome) {
  const kinds = events.map(({ kind, reason: why, path, subflow }) => [kind, why, path, subflow]);
  return { verdict, reason, packet: told(packet), toWire: toWire.map(told), toHost: toHost.map(told), kinds };
}

/** A connection from its first SYN: data both ways, a second subflow, a move, and the end that `end` makes. */
function life(role: Role, family: Family, end: (e: Established) => Outcome[]): object[] {
  const begin = () => (role === "opener" ? opening : listening)({ family, peerMss: 1300 }); // what fits both
  const e = begin();
  const first = role === "opener" ? [e.hostSyn(), e.peerSynAck(), e.fromHost(), e.fromPeer()] : [];
  if (role === "responder") first.push(e.peerSyn(), e.hostSynAck(), e.peerThirdAck());
  // The helper has to learn our key: it goes through the handshake itself.
  const f = begin().establish();
  const steps = [
    f.hostData(0, 1000),
    f.peerData(0, 1400),
    f.fromHost({ at: 1000, acks: 1400 }),
    f.fromPeer({ at: 1400, acks: 1000 }, [f.dataAck(1000)]),
    f.hostData(1000, 10_000, { acks: 1400 }, GSO),
    f.fromPeer({ at: 1400, acks: 2400 }, [p.sack([f.initial.iss + 3001, f.initial.iss + 5001]), f.dataAck(2400)]),
  ];
  f.join();
  steps.push(f.scene.handover(2), f.hostData(11_000, 1000, { acks: 1400 }), f.hostData(2400, 9000, { acks: 1400 }));
  steps.push(f.peerData(1400, 500, { flow: f.flow2, at: 0 }, { ssn: 1 }));
  return [...first, ...steps, ...end(f), ...Array.from({ length: 40 }, () => f.scene.advance(100_000))].map(outcome);
}

const ENDS: [string, (e: Established) => Outcome[]][] = [
  [
    "both close",
    (e) => [
      e.fromHost({ at: 12_000, acks: 1900, flags: "FA" }),
      e.fromPeer({ at: 1400, acks: 11_000 }, [e.dataFin(1900, 12_001)]),
      e.fromHost({ at: 12_001, acks: 1901 }),
    ],
  ],
  ["the host resets", (e) => [e.fromHost({ at: 12_000, acks: 1900, flags: "RA" })]],
  ["the peer resets", (e) => [e.fromPeer({ at: 1400, flags: "A" }, [p.mpFastclose(e.ourKey), e.dataAck(2400)])]],
];

describe.each(ROLES)("a connection's life, %s", (role) => {
  it.each(ENDS)("N-98 IPv6 gives the same packets as IPv4: %s", (_, end) => {
    const [four, six] = ([4, 6] as const).map((family) => life(role, family, end));
    expect(four?.length).toBeGreaterThan(50);
    expect(six).toEqual(four);
  });
});
