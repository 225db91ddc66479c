// What the tests with a Linux kernel that speaks MPTCP itself share: who stands at which end, how the kernel is told to
// do something unusual, and how it says that it did.

import type { Direction } from "./emulator.ts";
import type { Host } from "./host.ts";
import { until } from "./mobility.ts";
import type { Scenario, ScenarioOptions } from "./scenario.ts";
import type { ShuntConfig } from "./shunt.ts";
import { nativeClient, nativeServer, type PathParams, type Topology, withPaths } from "./topology.ts";
import type { TransferOptions } from "./transfer.ts";

/** A native end and a proxied one. */
export interface Pairing {
  native: "client" | "server";
  proxied: "client" | "server";
  topology: Topology;
  /** Of `Scenario.call()`. */
  call: { native?: boolean };
  /** Towards the proxied end, and towards the native one. */
  toProxied: Direction;
  toNative: Direction;
}

export const proxiedClient: Pairing = {
  native: "server",
  proxied: "client",
  topology: nativeServer,
  call: {},
  toProxied: "backward",
  toNative: "forward",
};

export const proxiedServer: Pairing = {
  native: "client",
  proxied: "server",
  topology: nativeClient,
  call: { native: true },
  toProxied: "forward",
  toNative: "backward",
};

export const PAIRINGS: readonly [string, Pairing][] = [
  ["proxied client, native server", proxiedClient],
  ["native client, proxied server", proxiedServer],
];

/** The peer may send on all paths that are joined. (A proxied server asks for one of them only when another goes.) */
export const receiveOnAll: ShuntConfig = { policy: { receive_on_all: true } };

/** Nothing is joined in advance: a kernel refuses joins to a connection that a busy machine took too long to end. */
export const withoutStandby: ShuntConfig = { engine: { standby: false } };

/** Options of a scenario with this pairing; `path` is what both networks are instead of the topology's own. */
export function scenarioOf(pairing: Pairing, config: ShuntConfig = receiveOnAll, path?: PathParams): ScenarioOptions {
  const topology = path ? withPaths(pairing.topology, { wifi: path, ethernet: path }) : pairing.topology;
  return { topology, shunt: { [pairing.proxied]: config }, nativeServer: pairing.native === "server" };
}

/** An amount that the native end sends, or the proxied one. */
export function amountFrom(pairing: Pairing, end: "native" | "proxied", bytes: number): TransferOptions {
  return pairing[end] === "client" ? { up: bytes } : { down: bytes };
}

/** `ip mptcp …` on a host. */
export function mptcp(host: Host, ...args: string[]): Promise<string> {
  return host.exec(["ip", "mptcp", ...args]);
}

/** Sets kernel parameters of a host, "name=value". */
export async function sysctl(host: Host, ...settings: string[]): Promise<void> {
  await host.exec(["sysctl", "-qw", ...settings]);
}

/** Number of the endpoint that a host's kernel has for one of its addresses. */
export async function endpointId(host: Host, address: string): Promise<string> {
  const endpoints = JSON.parse(await host.exec(["ip", "-json", "mptcp", "endpoint", "show"])) as {
    address: string;
    id: number;
  }[];
  const found = endpoints.find((endpoint) => endpoint.address === address);
  if (!found) throw new Error(`${host.name} has no endpoint ${address}: ${JSON.stringify(endpoints)}`);
  return `${found.id}`;
}

/** An MPTCP counter of a host's kernel; names without their prefix. */
export async function counter(host: Host, name: string): Promise<number> {
  const value = (await host.kernelCounters())[`MPTcpExt${name}`];
  if (value === undefined) throw new Error(`this kernel does not count ${name}`);
  return value;
}

/** Waits until a counter has grown to at least `value`. */
export async function untilCounter(host: Host, name: string, value = 1): Promise<void> {
  await until(`${name} ≥ ${value} on ${host.name}`, async () => (await counter(host, name)) >= value);
}

/** New payload that each network has carried so far in one direction, bytes. */
export async function carriedBy(scenario: Scenario, direction: Direction): Promise<[wifi: number, ethernet: number]> {
  const [wifi, ethernet] = [await scenario.wire("wifi"), await scenario.wire("ethernet")];
  return [wifi[direction].tcp.newPayloadBytes, ethernet[direction].tcp.newPayloadBytes];
}

/**
 * The smaller network's share of what both carry between the first and the last of a transfer's quarters of `bytes`:
 * 0.5 where both carry the same at the same time, 0 where one carries all.
 */
export async function smallerShare(scenario: Scenario, direction: Direction, bytes: number): Promise<number> {
  const reached = async (part: number): Promise<[number, number]> => {
    let carried: [number, number] = [0, 0];
    await until(`${part * bytes} bytes ${direction}`, async () => {
      carried = await carriedBy(scenario, direction);
      return carried[0] + carried[1] >= part * bytes;
    });
    return carried;
  };
  const [from, to] = [await reached(0.25), await reached(0.75)];
  const grown = [to[0] - from[0], to[1] - from[1]] as const;
  return Math.min(...grown) / (grown[0] + grown[1]);
}
