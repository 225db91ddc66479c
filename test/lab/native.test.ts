// One daemon, and a Linux kernel that speaks MPTCP itself at the other end: the strictest peer there is.

import { describe, expect, it } from "vitest";
import { expectCarried, expectExact, expectNativeContent, Scenario } from "./scenario.ts";
import { nativeClient, nativeServer, twoNetworks } from "./topology.ts";

const MB = 1_000_000;
const SHARE = 2 * MB;

describe.each([4, 6] as const)("native peer over IPv%i", (family) => {
  it.each([
    ["upload", { up: 20 * MB }, { up: 6 * MB }],
    ["download", { down: 20 * MB }, { down: 6 * MB }],
    ["both at once", { up: 15 * MB, down: 15 * MB }, { down: 5 * MB }],
  ])("proxied client, native server, one handover: %s", async (_, amount, part) => {
    const scenario = await Scenario.start({ topology: nativeServer, shunt: { client: {} }, nativeServer: true });
    const call = scenario.call({ ...amount, family });
    await call.reached(part);
    await scenario.shunt("client").handover("ethernet", "--all");
    await expectExact(scenario, await call.outcomes());
    const share = Object.fromEntries(Object.keys(amount).map((direction) => [direction, SHARE]));
    await expectCarried(scenario, "wifi", share);
    await expectCarried(scenario, "ethernet", share);
    await expectNativeContent(scenario.server);
  });

  it.each([
    ["upload", { up: 20 * MB }, { up: 6 * MB }],
    ["download", { down: 20 * MB }, { down: 6 * MB }],
  ])("native client, proxied server, one handover: %s", async (_, amount, part) => {
    const scenario = await Scenario.start({ topology: nativeClient, shunt: { server: {} } });
    const call = scenario.call({ ...amount, family, native: true });
    await call.reached(part);
    await scenario.shunt("server").handover("ethernet", "--all");
    await expectExact(scenario, await call.outcomes());
    const share = Object.fromEntries(Object.keys(amount).map((direction) => [direction, SHARE]));
    await expectCarried(scenario, "wifi", share);
    await expectCarried(scenario, "ethernet", share);
    await expectNativeContent(scenario.client);
  });
});

describe("hosts that speak MPTCP themselves", () => {
  it("pass two daemons untouched", async () => {
    const nativeMptcp = { client: "join", server: "announce" } as const;
    const topology = { ...twoNetworks, nativeMptcp };
    const scenario = await Scenario.start({ topology, shunt: { client: {}, server: {} }, nativeServer: true });
    const call = scenario.call({ up: 5 * MB, down: 5 * MB, native: true });
    await call.reached({ down: MB });
    for (const host of ["client", "server"]) {
      const status = (await scenario.shunt(host).command("status")) as { connections: unknown[] };
      expect(status.connections, host).toEqual([]);
    }
    await expectExact(scenario, await call.outcomes());
    await expectNativeContent(scenario.client);
    await expectNativeContent(scenario.server);
    const counters = await scenario.client.kernelCounters();
    expect(counters.MPTcpExtMPCapableSYNACKRX).toBe(1);
    expect(counters.MPTcpExtMPJoinSynAckRx).toBeGreaterThan(0);
  });
});
