// Break before make: the path in use is gone before another one is ready, or at the very moment it is used. Every
// transfer runs over IPv4 and IPv6 at once, and the wire is asked which path carried what.

import { describe, expect, it } from "vitest";
import { linkDown, linkUp, until } from "./mobility.ts";
import { expectCarried, expectExact, expectNoQueueDrops, hurry, Scenario, type ScenarioOptions } from "./scenario.ts";
import { twoNetworks } from "./topology.ts";
import type { Transfer, TransferOptions } from "./transfer.ts";

const MB = 1_000_000;
const shunt = { client: {}, server: {} };
/** Nothing is joined in advance: another path is joined when the one in use is gone. */
const withoutStandby = { client: { engine: { standby: false } }, server: {} };
/** Each path has to carry at least this of each family in each direction, bytes: far more than could be accident. */
const SHARE = MB;

type Amount = Pick<TransferOptions, "up" | "down" | "rate" | "hold">;
/** Two of them fill wifi and its queue, and neither can outrun the other. */
const RATE = 3 * MB;
const amounts: [string, Amount][] = [
  ["upload", { up: 5 * MB, rate: RATE, hold: 2 * MB }],
  ["download", { down: 5 * MB, rate: RATE, hold: 2 * MB }],
];
const both: Amount = { up: 6 * MB, down: 6 * MB, rate: 2 * MB, hold: 2.5 * MB };
/** What wifi has carried of each family and direction when it goes, bytes. */
const PART = 1.5 * MB;

/** The same transfer over both address families. */
function callBoth(scenario: Scenario, amount: TransferOptions): Transfer[] {
  return ([4, 6] as const).map((family) => scenario.call({ ...amount, family, seed: 10 * family }));
}

/** New payload that a network has carried: IPv4 up, IPv6 up, IPv4 down, IPv6 down; null for what `amount` lacks. */
async function carried(scenario: Scenario, network: string, amount: Amount): Promise<(number | null)[]> {
  const { forward, backward } = await scenario.lab.emulator.flows(network);
  const sides = [[forward, amount.up] as const, [backward, amount.down] as const];
  return sides.flatMap(([flows, bytes]) =>
    [false, true].map((isIpv6) => {
      const ours = flows.filter(({ source }) => source.includes("[") === isIpv6);
      return bytes === undefined ? null : ours.reduce((sum, { newPayloadBytes }) => sum + newPayloadBytes, 0);
    }),
  );
}

/** Waits until a network has carried so much of each family, in all directions of `amount`. */
async function untilCarried(scenario: Scenario, network: string, amount: Amount, bytes = PART): Promise<void> {
  const isEnough = (count: number | null): boolean => count === null || count >= bytes;
  await until(`${bytes} bytes on ${network}`, async () => (await carried(scenario, network, amount)).every(isEnough));
}

/** Every byte arrives, and each network carried its share of both families, in all directions of `amount`. */
async function expectMoved(scenario: Scenario, calls: readonly Transfer[], amount: Amount): Promise<void> {
  hurry(scenario, calls);
  await expectExact(scenario, (await Promise.all(calls.map((call) => call.outcomes()))).flat());
  for (const network of ["wifi", "ethernet"]) {
    const shares = (await carried(scenario, network, amount)).filter((count) => count !== null);
    expect(Math.min(...shares), `${network}: ${shares}`).toBeGreaterThanOrEqual(SHARE);
    await expectCarried(scenario, network, {});
  }
  for (const host of [scenario.client, scenario.server]) await expectNoQueueDrops(host);
}

/** Subflows of each connection of the client's daemon. */
async function subflows(scenario: Scenario): Promise<number[]> {
  const status = (await scenario.shunt("client").command("status")) as { connections: { subflows: unknown[] }[] };
  return status.connections.map((connection) => connection.subflows.length);
}

describe("the link goes, and a standby subflow is there", () => {
  describe.each([true, false])("SACK %s", (sack) => {
    it.each(amounts)("N-83, N-90 every byte arrives by the other path: %s", async (_, amount) => {
      const scenario = await Scenario.start({ topology: twoNetworks, shunt, sack });
      const calls = callBoth(scenario, amount);
      await scenario.joined("client", 2);
      await untilCarried(scenario, "wifi", amount);
      await linkDown(scenario.client, "wifi");
      await expectMoved(scenario, calls, amount);
    });
  });

  it("N-83 at the end that accepted the connections", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks, shunt });
    const calls = callBoth(scenario, both);
    await untilCarried(scenario, "wifi", both);
    await linkDown(scenario.server, "wifi");
    await expectMoved(scenario, calls, both);
  });
});

describe("the link goes, and nothing is joined yet", () => {
  it.each(amounts)("N-83 the other path is joined then, and carries the rest: %s", async (_, amount) => {
    const scenario = await Scenario.start({ topology: twoNetworks, shunt: withoutStandby });
    const calls = callBoth(scenario, amount);
    for (const family of [4, 6] as const) await scenario.announced("ethernet", family);
    await untilCarried(scenario, "wifi", amount);
    expect(await subflows(scenario)).toEqual([1, 1]);
    await linkDown(scenario.client, "wifi");
    await expectMoved(scenario, calls, amount);
  });

  it("N-83 no path is left at all: it goes on when one comes up", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks });
    await linkDown(scenario.client, "ethernet");
    await scenario.startDaemons(shunt);
    const calls = callBoth(scenario, both);
    await untilCarried(scenario, "wifi", both);
    await linkDown(scenario.client, "wifi");
    await until("both paths are down", async () => (await pathState(scenario, "wifi")) === "down");
    expect(await subflows(scenario), "the connections live on").toHaveLength(2);
    await linkUp(scenario.client, "ethernet");
    hurry(scenario, calls);
    // IPv4 is there first: the connection over IPv6 does not wait for its own, and joins the address that it can.
    await expectExact(scenario, (await Promise.all(calls.map((call) => call.outcomes()))).flat());
    const [up4 = 0, up6 = 0, down4 = 0, down6 = 0] = (await carried(scenario, "ethernet", both)).map(Number);
    expect(up4 + up6).toBeGreaterThanOrEqual(2 * SHARE);
    expect(down4 + down6).toBeGreaterThanOrEqual(2 * SHARE);
    await expectCarried(scenario, "ethernet", {});
  });
});

describe("both ends lose the path at once", () => {
  it.each([
    ["a standby subflow takes over", shunt],
    ["the opener joins anew", withoutStandby],
  ])("N-83 %s", async (_, daemons: ScenarioOptions["shunt"]) => {
    const scenario = await Scenario.start({ topology: twoNetworks, ...(daemons && { shunt: daemons }) });
    const calls = callBoth(scenario, both);
    await untilCarried(scenario, "wifi", both);
    await Promise.all([linkDown(scenario.client, "wifi"), linkDown(scenario.server, "wifi")]);
    await expectMoved(scenario, calls, both);
  });

  it("N-87 both command, break-before-make there and make-before-break back: complete", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks, shunt });
    const amount = { up: 12 * MB, down: 12 * MB, rate: 2 * MB };
    const calls = callBoth(scenario, amount);
    const command = (...args: string[]) =>
      Promise.all(["client", "server"].map((name) => scenario.shunt(name).try("handover", ...args)));
    await untilCarried(scenario, "wifi", amount);
    await command("--to", "ethernet", "--mode", "break-before-make");
    await untilCarried(scenario, "ethernet", amount);
    await command("--to", "wifi");
    await expectMoved(scenario, calls, amount);
    // Nothing was lost but what the commands cut: no subflow had a hole that cannot be filled.
    expect(scenario.logs()).not.toMatch(/reason=poisoned/);
  });
});

describe("the link goes while nothing moves", () => {
  it.each([
    ["a standby subflow is there", shunt],
    ["nothing is joined yet", withoutStandby],
  ])("N-85 later data arrives: %s", async (_, daemons: ScenarioOptions["shunt"]) => {
    const scenario = await Scenario.start({ topology: twoNetworks, ...(daemons && { shunt: daemons }) });
    const calls = callBoth(scenario, both);
    await untilCarried(scenario, "wifi", both);
    // Both applications stand still, and so do the connections once all that was written has arrived.
    const applications = [...calls.map(({ program }) => program), scenario.transfers.program];
    for (const program of applications) program.signal("SIGSTOP");
    await until("the connections are quiet", () => isQuiet(scenario));
    await linkDown(scenario.client, "wifi");
    await until("the path is down", async () => (await pathState(scenario, "wifi")) === "down");
    for (const program of applications) program.signal("SIGCONT");
    await expectMoved(scenario, calls, both);
  });

  it("N-85 with a closed window: it opens on the other path", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks, shunt });
    const amount = { down: 12 * MB };
    const calls = callBoth(scenario, amount);
    await untilCarried(scenario, "wifi", amount);
    for (const { program } of calls) program.signal("SIGSTOP");
    await until("the window is full", () => isQuiet(scenario));
    await linkDown(scenario.client, "wifi");
    await until("the path is down", async () => (await pathState(scenario, "wifi")) === "down");
    for (const { program } of calls) program.signal("SIGCONT");
    await expectMoved(scenario, calls, amount);
  });
});

/** Whether no payload crosses the networks for a while. */
async function isQuiet(scenario: Scenario): Promise<boolean> {
  const payload = async (): Promise<number> => {
    const wires = await Promise.all(["wifi", "ethernet"].map((network) => scenario.wire(network)));
    return wires.reduce((sum, { forward, backward }) => sum + forward.in.payloadBytes + backward.in.payloadBytes, 0);
  };
  const before = await payload();
  await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  return (await payload()) === before;
}

/** Longer than a round trip with a full queue on either network. */
const QUIET_MS = 500;

async function pathState(scenario: Scenario, name: string): Promise<string | undefined> {
  const list = (await scenario.shunt("client").command("path", "list")) as { paths: { name: string; state: string }[] };
  return list.paths.find((path) => path.name === name)?.state;
}
