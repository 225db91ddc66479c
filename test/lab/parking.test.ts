// The address of a connection's first network goes away altogether. The host's sockets never notice, and whoever has
// the address next is not disturbed.

import { describe, expect, it } from "vitest";
import type { Host } from "./host.ts";
import { leave, linkUp, until } from "./mobility.ts";
import { eachDirection, expectCarried, expectExact, expectNoQueueDrops, Scenario } from "./scenario.ts";
import { runShunt, startShunt } from "./shunt.ts";
import { type Topology, twoNetworks } from "./topology.ts";
import { Transfer, TransferServer } from "./transfer.ts";

const MB = 1_000_000;
const shunt = { client: {}, server: {} };
/** Each path has to carry at least this, bytes. */
const SHARE = MB;

/** Addresses that the host has parked, both families. */
async function parked(host: Host): Promise<string[]> {
  const rules = `${await host.exec(["ip", "rule"])}${await host.exec(["ip", "-6", "rule"])}`;
  return rules.split("\n").flatMap((rule) => /from (\S+) lookup 5340/.exec(rule)?.[1] ?? []);
}

describe("address parking", () => {
  it.each([
    ["upload", 4, { up: 9 * MB }, { up: 2 * MB }],
    ["download", 6, { down: 9 * MB }, { down: 2 * MB }],
  ] as const)(
    "N-83 the address goes and its link with it: the socket lives on by the other path: %s",
    async (_, family, amount, part) => {
      const scenario = await Scenario.start({ topology: twoNetworks, shunt });
      const call = scenario.call({ ...amount, family });
      await call.reached(part);
      expect(await parked(scenario.client)).toEqual([scenario.client.address("wifi", family)]);
      await leave(scenario.client, "wifi");
      await expectExact(scenario, await call.outcomes());
      const share = eachDirection(amount, SHARE);
      await expectCarried(scenario, "wifi", share);
      await expectCarried(scenario, "ethernet", share);
      await expectNoQueueDrops(scenario.client);
    },
  );

  it.each([
    [4, "up"],
    [6, "down"],
  ] as const)("an IPv%i address goes and comes back: a new subflow from it takes over: %s", async (family, way) => {
    const scenario = await Scenario.start({ topology: twoNetworks, shunt });
    const call = scenario.call({ [way]: 15 * MB, rate: 4 * MB, family });
    await call.reached({ [way]: 2 * MB });
    await leave(scenario.client, "wifi");
    await call.reached({ [way]: 5 * MB });
    const backNs = Number(process.hrtime.bigint());
    await linkUp(scenario.client, "wifi");
    await expectExact(scenario, await call.outcomes());
    await expectCarried(scenario, "ethernet", { [way]: SHARE });
    const { forward, backward } = await scenario.lab.emulator.flows("wifi");
    const late = (way === "up" ? forward : backward).filter(({ firstNs }) => firstNs > backNs);
    expect(Math.max(...late.map(({ newPayloadBytes }) => newPayloadBytes))).toBeGreaterThan(SHARE);
  });
});

it("parking begins with the first converted connection and ends with the last, and leaves nothing", async () => {
  const scenario = await Scenario.start({ topology: twoNetworks, shunt });
  const before = await scenario.client.configuration();
  const long = scenario.call({ down: 4 * MB, rate: 2 * MB });
  await long.reached({ down: MB });
  const other = await scenario.call({ down: 1000, seed: 3, family: 6 }).outcome();
  expect(other.exact).toBe(true);
  const { client } = scenario;
  expect((await parked(client)).sort()).toEqual([client.address("wifi", 4), client.address("wifi", 6)].sort());
  expect((await long.outcome()).exact).toBe(true);
  await until("nothing is parked", async () => (await parked(client)).length === 0);
  const withoutDevice = (text: string): string =>
    text.replace(/^.*(shunt-park|lookup 5341|table 5340).*\n/gm, "").replace(/^.*fe80.*\n/gm, "");
  expect(withoutDevice(await client.configuration())).toBe(withoutDevice(before));
});

it("what a killed daemon has parked goes with doctor --clean", async () => {
  const scenario = await Scenario.start({ topology: twoNetworks, shunt: { server: {} } });
  const before = await scenario.client.configuration();
  const daemon = await startShunt(scenario.client);
  for (const family of [4, 6] as const) {
    const call = scenario.call({ down: 20 * MB, rate: MB, family });
    await call.reached({ down: 1 });
  }
  expect((await parked(scenario.client)).length).toBe(2);
  await daemon.program.stop("SIGKILL");
  expect((await runShunt(scenario.client, ["doctor", "--clean"])).code).toBe(0);
  expect(await scenario.client.configuration()).toBe(before);
});

/** In the third network the client is number 1 and somebody else has the address that is the client's on wifi. */
const CAFE_NUMBER = 77;
const cafe: Topology = {
  ...twoNetworks,
  name: "cafe",
  hosts: [...twoNetworks.hosts, "stranger"],
  networks: [...twoNetworks.networks, { name: "cafe", ends: ["client", "stranger"], ipv4: "10.0.3", ipv6: "fd00:3::" }],
};
const paths = {
  path: [
    { name: "wifi", interface: "wifi" },
    { name: "ethernet", interface: "ethernet" },
  ],
  policy: { prefer: ["wifi", "ethernet"] },
};

/** Whether somebody on the host's network says that an address is his: the kernel asks (ARP, neighbour discovery). */
async function isClaimed(host: Host, address: string, device: string): Promise<boolean> {
  const entry = async (): Promise<string[]> => {
    const list = JSON.parse(await host.exec(["ip", "-json", "neighbour", "show", address, "dev", device])) as {
      state?: string[];
    }[];
    return list[0]?.state ?? [];
  };
  await host.exec(["ip", "neighbour", "replace", address, "dev", device, "nud", "none", "use"]);
  let state = await entry();
  await until(`an answer for ${address}`, async () => {
    state = await entry();
    return !state.includes("INCOMPLETE") && !state.includes("NONE");
  });
  return !state.includes("FAILED");
}

it.each([4, 6] as const)("an address that was given up is somebody else's next, IPv%i", async (family) => {
  const scenario = await Scenario.start({ topology: cafe, shunt: { client: paths, server: {} } });
  const { client } = scenario;
  const stranger = scenario.lab.host("stranger");
  const [address, length] = [client.address("wifi", family), family === 4 ? 24 : 64];
  const nodad = family === 6 ? ["nodad"] : [];
  const call = scenario.call({ up: 25 * MB, down: 25 * MB, rate: 4 * MB, family });
  await call.reached({ up: MB, down: MB });
  await leave(client, "wifi");
  const cafeAddress = address.replace(/\d+$/, `${CAFE_NUMBER}`);
  await client.exec(["ip", "address", "add", `${cafeAddress}/${length}`, "dev", "cafe", ...nodad]);

  const probing = address.replace(/\d+$/, "99");
  await stranger.exec(["ip", "address", "add", `${probing}/${length}`, "dev", "cafe", ...nodad]);
  expect(await isClaimed(stranger, cafeAddress, "cafe"), "the address that the client has").toBe(true);
  expect(await isClaimed(stranger, address, "cafe"), "the address that it has no more").toBe(false);
  await stranger.exec(["ip", "neighbour", "flush", "dev", "cafe"]);
  await stranger.exec(["ip", "address", "add", `${address}/${length}`, "dev", "cafe", ...nodad]);

  const strangersServer = await TransferServer.start(stranger);
  const toStranger = new Transfer(client, address, { up: MB, down: MB, timeoutSeconds: 10 });
  expect(await toStranger.outcome()).toMatchObject({ exact: true, error: null });
  expect(strangersServer.outcomes[0]).toMatchObject({ exact: true, received: MB });
  const ownServer = await TransferServer.start(client);
  const fromStranger = new Transfer(stranger, cafeAddress, { up: MB, down: MB, from: address, timeoutSeconds: 10 });
  expect(await fromStranger.outcome()).toMatchObject({ exact: true, error: null });
  expect(ownServer.outcomes[0]).toMatchObject({ exact: true, received: MB });

  expect(await parked(client), "the old connection still needs it").toEqual([address]);
  await expectExact(scenario, await call.outcomes());
  await expectCarried(scenario, "ethernet", { up: SHARE, down: SHARE });
});
