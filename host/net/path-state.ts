// What a path is at the moment: its configuration and the state of its interface put together. A pure function, so that
// every rule about gateways and usability can be tested without a network.
import { BlockList } from "node:net";
import type { PathConfig } from "../config/config.ts";
import type { LinkAddress, LinkState } from "./links.ts";

export interface PathState {
  id: number;
  name: string;
  interface: string;
  backup: boolean;
  /** About to be left: nothing is joined there. */
  draining: boolean;
  /** Interface index, 0 = there is no such interface. */
  index: number;
  /** Octets. */
  mtu: number;
  /** Carrier and at least one address. */
  up: boolean;
  address4: LinkAddress | null;
  address6: LinkAddress | null;
  /** All usable addresses: each gets its source rule. */
  addresses: LinkAddress[];
  gateway4: string | null;
  gateway6: string | null;
}

/** MTU told to the engine for an interface that is not there. */
const MTU_UNKNOWN = 1500;

/**
 * State of a path. `before`: its last state; a gateway that vanished with its link is remembered as long as the
 * interface keeps the address it was reached from, since nobody may write that default route again.
 */
export function pathState(path: PathConfig, link: LinkState | undefined, before: PathState | undefined): PathState {
  const state: PathState = {
    id: path.id,
    name: path.name,
    interface: path.interface,
    backup: path.backup,
    draining: path.draining,
    index: link?.index ?? 0,
    mtu: Math.min(path.mtu ?? Number.POSITIVE_INFINITY, link?.mtu ?? MTU_UNKNOWN),
    up: false,
    address4: link?.addresses.find((address) => address.family === 4) ?? null,
    address6: link?.addresses.find((address) => address.family === 6) ?? null,
    addresses: link?.addresses ?? [],
    gateway4: null,
    gateway6: null,
  };
  state.up = link?.up === true && state.addresses.length > 0;
  if (link === undefined) return state;
  state.gateway4 = path.gateway ?? link.gateway4 ?? remembered(before?.gateway4, before?.address4, state.address4);
  state.gateway6 = path.gateway6 ?? link.gateway6 ?? remembered(before?.gateway6, before?.address6, state.address6);
  if (state.address4 === null) state.gateway4 = null;
  if (state.address6 === null) state.gateway6 = null;
  return state;
}

function remembered(
  gateway: string | null | undefined,
  from: LinkAddress | null | undefined,
  now: LinkAddress | null,
): string | null {
  return gateway !== undefined && from?.address === now?.address ? gateway : null;
}

/** The network that an address belongs to, "10.0.1.0/24". */
export function networkOf(address: LinkAddress): string {
  const octets = addressOctets(address.address);
  const kept = octets.map(
    (octet, i) => octet & (0xff00 >> Math.min(8, Math.max(0, address.prefixLength - i * 8))) & 0xff,
  );
  return `${formatOctets(kept)}/${address.prefixLength}`;
}

/** Whether `address` lies in the network of `network`. */
export function contains(network: LinkAddress, address: string): boolean {
  const list = new BlockList();
  const family = network.family === 4 ? "ipv4" : "ipv6";
  list.addSubnet(network.address, network.prefixLength, family);
  return list.check(address, family);
}

/** 4 or 16 octets of an address in text. */
export function addressOctets(address: string): number[] {
  if (!address.includes(":")) return address.split(".").map(Number);
  // The URL parser knows every way to write an IPv6 address and gives the canonical one, without a dotted tail.
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [head = "", tail] = canonical.split("::");
  const words = (text: string) => (text === "" ? [] : text.split(":").map((word) => Number.parseInt(word, 16)));
  const front = words(head);
  const back = tail === undefined ? [] : words(tail);
  const all = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  return all.flatMap((word) => [word >> 8, word & 0xff]);
}

function formatOctets(octets: number[]): string {
  if (octets.length === 4) return octets.join(".");
  const words = Array.from({ length: 8 }, (_, i) =>
    (((octets[2 * i] ?? 0) << 8) | (octets[2 * i + 1] ?? 0)).toString(16),
  );
  return new URL(`http://[${words.join(":")}]/`).hostname.slice(1, -1);
}
