// One daemon, and a Linux kernel that speaks MPTCP itself at the other end: the strictest peer there is.

import { describe, expect, it } from "vitest";
import { expectCarried, expectExact, expectNativeContent, Scenario } from "./scenario.ts";
import { bare, nativeClient, nativeServer, twoNetworks } from "./topology.ts";
import { countWire, readWire } from "./wire-counters.ts";

const MB = 1_000_000;
const SHARE = 2 * MB;

describe.each([4, 6] as const)("native peer over IPv%i", (family) => {
  it.each([
    ["upload", { up: 30 * MB }, { up: 6 * MB }],
    ["download", { down: 30 * MB }, { down: 6 * MB }],
    ["both at once", { up: 25 * MB, down: 25 * MB }, { up: 4 * MB, down: 4 * MB }],
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
    ["upload", { up: 30 * MB }, { up: 6 * MB }],
    ["download", { down: 30 * MB }, { down: 6 * MB }],
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

describe("one subflow at full speed", () => {
  it("N-43 1 GB from a proxied host to a native server: every byte, and no complaint of its kernel", async () => {
    const nativeMptcp = { server: "announce" } as const;
    const scenario = await Scenario.start({
      topology: { ...bare, nativeMptcp },
      shunt: { client: {} },
      nativeServer: true,
    });
    await countWire(scenario.client, "wifi");
    await expectExact(scenario, await scenario.call({ up: 1000 * MB }).outcomes());
    const wire = await readWire(scenario.client, "wifi");
    expect(wire.out.mptcp.payloadBytes).toBeGreaterThanOrEqual(1000 * MB);
    await expectNativeContent(scenario.server);
  });
});

describe("hosts that speak MPTCP themselves", () => {
  it.each(["client", "server"])("the %s passes its daemon untouched", async (name) => {
    const nativeMptcp = { client: "join", server: "announce" } as const;
    const topology = { ...twoNetworks, nativeMptcp };
    const scenario = await Scenario.start({ topology, shunt: { [name]: {} }, nativeServer: true });
    const family = name === "client" ? 4 : 6;
    const call = scenario.call({ up: 20 * MB, down: 20 * MB, native: true, family });
    await call.reached({ down: 2 * MB });
    const status = (await scenario.shunt(name).command("status")) as { connections: unknown[] };
    await expectExact(scenario, await call.outcomes());
    await expectNativeContent(scenario.client);
    await expectNativeContent(scenario.server);
    const [opened, accepted] = [await scenario.client.kernelCounters(), await scenario.server.kernelCounters()];
    expect(opened.MPTcpExtMPCapableSYNACKRX).toBe(1);
    expect(accepted.MPTcpExtMPCapableACKRX, "the server's own kernel speaks MPTCP").toBe(1);
    expect(opened.MPTcpExtMPJoinSynAckRx).toBeGreaterThan(0);
    expect(status.connections).toEqual([]);
  });
});
