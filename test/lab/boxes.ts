// What the tests of middleboxes share: who stands at the two ends, boxes that are put into a network and taken out
// again, and what has to be true once a connection is plain TCP.

import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { Direction } from "./emulator.ts";
import { until } from "./mobility.ts";
import type { Scenario, ScenarioOptions } from "./scenario.ts";
import { nativeClient, nativeServer, type PathParams, twoNetworks } from "./topology.ts";

export interface Cast {
  options: ScenarioOptions;
  /** The client's sockets are the kernel's own MPTCP. */
  native: boolean;
}

export const bothProxied: Cast = {
  options: { topology: twoNetworks, shunt: { client: {}, server: {} } },
  native: false,
};
export const toNative: Cast = {
  options: { topology: nativeServer, shunt: { client: {} }, nativeServer: true },
  native: false,
};
export const fromNative: Cast = { options: { topology: nativeClient, shunt: { server: {} } }, native: true };

/** For it.each. */
export const CASTS: [string, Cast][] = [
  ["both ends proxied", bothProxied],
  ["proxied client, native server", toNative],
  ["native client, proxied server", fromNative],
];

/** The same where proxied clients join no path in advance. */
export function withoutStandby({ options, native }: Cast): Cast {
  const shunt = { ...options.shunt, ...(options.shunt?.client && { client: { engine: { standby: false } } }) };
  return { options: { ...options, shunt }, native };
}

const NO_BOX: PathParams = {
  strip: [],
  stripMode: "nop",
  stripSynKinds: [],
  mssClamp: 0,
  dropMptcpSyn: false,
  splitBytes: 0,
  splitBare: false,
  coalesceBytes: 0,
  randomiseSequence: false,
};

export type Boxes = Partial<Record<Direction, PathParams>>;

/** Puts boxes into a network instead of those that are there, and counts from zero. */
export async function put(scenario: Scenario, network: string, boxes: Boxes): Promise<void> {
  for (const direction of ["forward", "backward"] as const) {
    await scenario.lab.emulator.set(network, { ...NO_BOX, ...boxes[direction] }, direction);
  }
  await scenario.lab.emulator.reset();
}

/** Puts a network's boxes away. */
export const clear = (scenario: Scenario, network: string): Promise<void> => put(scenario, network, {});

/** Packets that the kernels have handed to daemons so far. */
async function queued(scenario: Scenario): Promise<number> {
  const counters = await Promise.all([...scenario.shunts.values()].map(({ host }) => host.queueCounters()));
  return counters.flat().reduce((sum, { total }) => sum + total, 0);
}

/** While `goesOn` does, nobody sends an MPTCP option or RST on a network, and no packet leaves the kernel for a daemon. */
export async function expectLetGo(scenario: Scenario, network: string, goesOn: () => Promise<unknown>): Promise<void> {
  // What a daemon has said of a flow takes a moment to reach the kernel.
  await until("no packet enters userspace any more", async () => {
    const first = await queued(scenario);
    await sleep(100);
    return (await queued(scenario)) === first;
  });
  const before = await queued(scenario);
  await scenario.lab.emulator.reset();
  await goesOn();
  const after = await queued(scenario);
  const wire = await scenario.wire(network);
  for (const direction of ["forward", "backward"] as const) {
    const { tcp } = wire[direction];
    expect(tcp.segments, direction).toBeGreaterThan(0);
    expect({ direction, withMptcp: tcp.withMptcp, rst: tcp.rst, badChecksum: tcp.badChecksum }).toEqual({
      direction,
      withMptcp: 0,
      rst: 0,
      badChecksum: 0,
    });
  }
  expect(after - before, "packets in userspace").toBe(0);
}
