// What the lab can be: hosts, the networks that join them, and the addresses. Data only; `lab.ts` builds it.
//
//                       ┌── wifi      10.0.1.0/24  fd00:1::/64 ──┐
//          client (.1) ─┤                                        ├─ server (.2)
//                       └── ethernet  10.0.2.0/24  fd00:2::/64 ──┘
//
// Every network is on-link at both ends: no gateway, no router. An interface has the name of its network at both ends.

/** What the path emulator does to one direction; everything is off by default. Units are in the names. */
export interface PathParams {
  delayMs?: number;
  jitterMs?: number;
  /** Of Ethernet frames without FCS; 0 = unlimited. */
  rateMbit?: number;
  /** Tail drop once the backlog would take longer; 0 = unlimited. */
  queueMs?: number;
  queueBytes?: number;
  lossPercent?: number;
  reorderPercent?: number;
  reorderDelayMs?: number;
  duplicatePercent?: number;
  /** Drops everything and tells nobody. */
  blackhole?: boolean;
  /** Largest IP packet, bytes; 0 = unlimited. */
  mtu?: number;
  /** Whether a packet above `mtu` is answered by ICMP. */
  mtuIcmp?: boolean;
  /** Segments that lose their MPTCP option. */
  strip?: ("syn" | "synAck" | "thirdAck" | "data" | "ack" | "all")[];
  /** Overwritten by NOPs, or taken out of the header. */
  stripMode?: "nop" | "remove";
  /** Segments with payload that have a byte of it changed, TCP's checksum mended. */
  alterPercent?: number;
  /** Kinds of other options that are taken out of SYNs: 3 window scale, 4 SACK permitted. */
  stripSynKinds?: number[];
  /** SYNs announce this MSS at most, bytes; 0 = what they like. */
  mssClamp?: number;
  /** SYNs with an MPTCP option are lost and nobody is told. */
  dropMptcpSyn?: boolean;
  /** Segments with more payload than this are cut, bytes; 0 = none. */
  splitBytes?: number;
  /** The pieces behind the first have lost their MPTCP option. */
  splitBare?: boolean;
  /** Segments that follow each other at once are put together up to this payload, bytes; 0 = none. */
  coalesceBytes?: number;
  /** Gives segments other sequence numbers. For both directions, before a connection begins. */
  randomiseSequence?: boolean;
}

export interface Network {
  /** Also the interface name at both ends. */
  name: string;
  /** Host names; the first has host number 1 on this network, the second 2. */
  ends: readonly [string, string];
  /** First three bytes of an IPv4 /24, as "10.0.1". */
  ipv4: string;
  /** An IPv6 /64 up to and with its "::". */
  ipv6: string;
  /** The one family that its interfaces have addresses of; both when absent. */
  only?: 4 | 6;
  /** Interface MTU, bytes. */
  mtu?: number;
  /** Parameters of both directions of an emulated path; without it the two interfaces are one veth pair. */
  path?: PathParams;
}

export interface Topology {
  name: string;
  hosts: readonly string[];
  networks: readonly Network[];
  /**
   * Hosts whose kernel speaks MPTCP itself, for programs under `mptcpize run`. All of them join the addresses they are
   * told of; those that "announce" tell their own to the peer.
   */
  nativeMptcp?: Readonly<Record<string, "join" | "announce">>;
}

const ends = ["client", "server"] as const;

/** One-way delay is half the round trip; the queue is what a home router has. */
function path(roundTripMs: number, rateMbit: number): PathParams {
  return { delayMs: roundTripMs / 2, rateMbit, queueMs: 100 };
}

/** Two hosts, two emulated networks: the slow but near "wifi" and the fast but far "ethernet". */
export const twoNetworks: Topology = {
  name: "two-networks",
  hosts: ends,
  networks: [
    { name: "wifi", ends, ipv4: "10.0.1", ipv6: "fd00:1::", path: path(20, 50) },
    { name: "ethernet", ends, ipv4: "10.0.2", ipv6: "fd00:2::", path: path(60, 100) },
  ],
};

/** The same without emulator, for throughput: super-packets and unfinished checksums travel as they do in a real host. */
export const bare: Topology = {
  name: "bare",
  hosts: ends,
  networks: twoNetworks.networks.map(({ path: _, ...network }) => network),
};

/** The first, with a server whose kernel speaks MPTCP itself. */
export const nativeServer: Topology = { ...twoNetworks, name: "native-server", nativeMptcp: { server: "announce" } };

/** The first, with a client whose kernel speaks MPTCP itself. */
export const nativeClient: Topology = { ...twoNetworks, name: "native-client", nativeMptcp: { client: "join" } };

/** The same with one address family per network: IPv4 on wifi, IPv6 on ethernet. */
export function mixedFamilies(topology: Topology): Topology {
  const networks = topology.networks.map((network) => ({ ...network, only: network.name === "wifi" ? 4 : 6 }) as const);
  return { ...topology, name: `${topology.name}-mixed`, networks };
}

/** Address families of a network. */
export function familiesOf({ only }: Network): readonly (4 | 6)[] {
  return only === undefined ? [4, 6] : [only];
}

/** A topology with other path parameters for some networks. */
export function withPaths(topology: Topology, changes: Record<string, PathParams>): Topology {
  const change = (network: Network): Network =>
    changes[network.name] ? { ...network, path: { ...network.path, ...changes[network.name] } } : network;
  return { ...topology, networks: topology.networks.map(change) };
}

/** Address of a host on a network. */
export function addressOf(network: Network, host: string, family: 4 | 6 = 4): string {
  const number = network.ends.indexOf(host) + 1;
  if (number === 0) throw new Error(`${host} is not on ${network.name}`);
  return family === 4 ? `${network.ipv4}.${number}` : `${network.ipv6}${number}`;
}
