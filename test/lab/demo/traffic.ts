// What the path emulator saw of the demo's two connections, path by path.

import type { Flow } from "../emulator.ts";
import type { Lab } from "../lab.ts";

/** A flow with the path it is on. */
export interface PathFlow extends Flow {
  path: string;
}

/** Port of an "address:port". */
export function portOf(endpoint: string): number {
  return Number(endpoint.slice(endpoint.lastIndexOf(":") + 1));
}

/** All flows from the server to the client. */
export async function downloadFlows(lab: Lab): Promise<PathFlow[]> {
  const names = lab.topology.networks.map(({ name }) => name);
  const all = await Promise.all(names.map((name) => lab.emulator.flows(name)));
  return all.flatMap((flows, i) => flows.backward.map((flow) => ({ ...flow, path: names[i] ?? "" })));
}

/** New payload bytes per path that came from a server port. */
export function bytesPerPath(flows: readonly PathFlow[], port: number): Map<string, number> {
  const sums = new Map<string, number>();
  for (const flow of flows.filter((candidate) => portOf(candidate.source) === port)) {
    sums.set(flow.path, (sums.get(flow.path) ?? 0) + flow.newPayloadBytes);
  }
  return sums;
}

/** The path on which new data came last. */
export function activePath(flows: readonly PathFlow[], port: number): string {
  const own = flows.filter((flow) => portOf(flow.source) === port);
  return (
    own.reduce((last, flow) => (flow.lastNewDataNs > last.lastNewDataNs ? flow : last), own[0] as PathFlow)?.path ?? ""
  );
}

/** CLOCK_MONOTONIC of the last new data that the server sent on a path, all connections, ns; 0 = none. */
export function lastNewData(flows: readonly PathFlow[], path: string): number {
  return Math.max(0, ...flows.filter((flow) => flow.path === path).map((flow) => flow.lastNewDataNs));
}

/** Payload bytes that crossed in segments of flows without any MPTCP option: not converted. */
export function plainBytes(flows: readonly PathFlow[]): number {
  return flows.filter((flow) => flow.withMptcp === 0).reduce((sum, flow) => sum + flow.payloadBytes, 0);
}
