// A connection of one address family on subflows of both: wifi has IPv4 only, ethernet IPv6 only. To the programs
// nothing changes; the wire is asked which path carried what, and in which family.

import { describe, expect, it } from "vitest";
import { linkDown } from "./mobility.ts";
import {
  eachDirection,
  expectCarried,
  expectExact,
  expectNativeContent,
  expectNoQueueDrops,
  Scenario,
  untilCarried,
} from "./scenario.ts";
import { bare, mixedFamilies, nativeServer, twoNetworks } from "./topology.ts";
import { countWire, readWire } from "./wire-counters.ts";

const MB = 1_000_000;
/** Each path has to carry at least this, bytes. */
const SHARE = MB;
const networks = ["wifi", "ethernet"] as const;
const FAMILY = { wifi: 4, ethernet: 6 } as const;

/** Both ends prefer the network on which the connection is opened. */
function preferring(network: (typeof networks)[number]) {
  const policy = { prefer: [network, network === "wifi" ? "ethernet" : "wifi"] };
  return { client: { policy }, server: { policy } };
}

const amounts: [string, { up?: number; down?: number }][] = [
  ["upload", { up: 16 * MB }],
  ["download", { down: 16 * MB }],
];

/** Both paths carried their share, each in its own family and nothing in the other. */
async function expectFamilies(scenario: Scenario, amount: { up?: number; down?: number }): Promise<void> {
  for (const network of networks) {
    await expectCarried(scenario, network, eachDirection(amount, SHARE));
    const { forward, backward } = await scenario.lab.emulator.flows(network);
    const families = new Set([...forward, ...backward].map(({ source }) => (source.includes("[") ? 6 : 4)));
    expect([...families], network).toEqual([FAMILY[network]]);
  }
}

/** Moves a running connection to the other network and back, each time once enough has crossed the present one. */
async function thereAndBack(scenario: Scenario, from: (typeof networks)[number], amount: object): Promise<void> {
  const to = from === "wifi" ? "ethernet" : "wifi";
  await scenario.joined("client");
  await untilCarried(scenario, from, eachDirection(amount, 2 * MB));
  expect(await scenario.shunt("client").requestHandover(to, "make-before-break")).toBe(true);
  await untilCarried(scenario, to, eachDirection(amount, 4 * MB));
  expect(await scenario.shunt("client").requestHandover(from, "make-before-break")).toBe(true);
}

describe("both ends proxied", () => {
  it.each(networks.flatMap((network) => amounts.map(([name, amount]) => [network, name, amount] as const)))(
    "N-98 opened on %s, handover to the other family and back: %s",
    async (network, _, amount) => {
      const scenario = await Scenario.start({ topology: mixedFamilies(twoNetworks), shunt: preferring(network) });
      const call = scenario.call({ ...amount, network, family: FAMILY[network] });
      await thereAndBack(scenario, network, amount);
      await expectExact(scenario, await call.outcomes());
      await expectFamilies(scenario, amount);
      for (const host of [scenario.client, scenario.server]) await expectNoQueueDrops(host);
    },
  );

  it.each(networks)("N-98 the link of %s goes, the other family carries the rest", async (network) => {
    const scenario = await Scenario.start({ topology: mixedFamilies(twoNetworks), shunt: preferring(network) });
    const amount = { up: 9 * MB, down: 9 * MB };
    const call = scenario.call({ ...amount, rate: 2 * MB, network, family: FAMILY[network] });
    await scenario.joined("client");
    await untilCarried(scenario, network, eachDirection(amount, SHARE));
    await linkDown(scenario.client, network);
    await expectExact(scenario, await call.outcomes());
    await expectFamilies(scenario, amount);
  });

  it("N-98 super-packets at full speed on a bare wire: they arrive whole, in pieces", async () => {
    const scenario = await Scenario.start({ topology: mixedFamilies(bare), shunt: preferring("wifi") });
    for (const network of networks) await countWire(scenario.client, network);
    const call = scenario.call({ up: 200 * MB, down: 200 * MB });
    await call.reached({ up: 10 * MB, down: 10 * MB });
    expect(await scenario.shunt("client").requestHandover("ethernet", "make-before-break")).toBe(true);
    await expectExact(scenario, await call.outcomes());
    const wire = await readWire(scenario.client, "ethernet");
    expect(wire.in.mptcp.payloadBytes).toBeGreaterThan(50 * MB);
    expect(wire.out.mptcp.payloadBytes).toBeGreaterThan(50 * MB);
    expect((await scenario.shunt("client").counters()).packets_split).toBeGreaterThan(0);
  });
});

describe("native server", () => {
  it.each(amounts)(
    "N-98 it announces an address of the other family, handover there and back: %s",
    async (_, amount) => {
      const topology = mixedFamilies(nativeServer);
      const scenario = await Scenario.start({ topology, shunt: { client: {} }, nativeServer: true });
      const call = scenario.call({ ...amount });
      await thereAndBack(scenario, "wifi", amount);
      await expectExact(scenario, await call.outcomes());
      await expectFamilies(scenario, amount);
      await expectNativeContent(scenario.server);
    },
  );
});
