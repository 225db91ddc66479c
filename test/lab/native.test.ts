// One daemon, and a Linux kernel that speaks MPTCP itself at the other end: the strictest peer there is.

import { describe, expect, it } from "vitest";
import { counter, PAIRINGS, scenarioOf, withoutStandby } from "./native.ts";
import {
  expectCarried,
  expectExact,
  expectNativeContent,
  expectNoQueueDrops,
  nativeTrouble,
  Scenario,
  untilCarried,
} from "./scenario.ts";
import { bare, nativeClient, nativeServer, twoNetworks } from "./topology.ts";
import { PORT } from "./transfer.ts";
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

describe.each(PAIRINGS)("%s", (_, pairing) => {
  it.each([4, 6] as const)("N-88 100 MB both ways over IPv%i, super-packets and all", async (family) => {
    const topology = { ...pairing.topology, networks: bare.networks };
    const scenario = await Scenario.start({ ...scenarioOf(pairing), topology });
    const native = scenario.lab.host(pairing.native);
    for (const network of ["wifi", "ethernet"]) await countWire(scenario.client, network);
    const call = scenario.call({ up: 100 * MB, down: 100 * MB, rate: 20 * MB, ...pairing.call, family });
    await call.reached({ up: MB, down: MB });
    const sockets = await native.exec(["ss", "--mptcp", "-Hn", "state", "established"]);
    expect(sockets, "the kernel's own MPTCP sockets").toContain(`:${PORT}`);
    for (const program of [call.program, scenario.transfers.program]) program.signal("SIGUSR2");
    await expectExact(scenario, await call.outcomes());
    const [wifi, ethernet] = [await readWire(scenario.client, "wifi"), await readWire(scenario.client, "ethernet")];
    for (const direction of ["in", "out"] as const) {
      const payload = wifi[direction].mptcp.payloadBytes + ethernet[direction].mptcp.payloadBytes;
      expect(payload, direction).toBeGreaterThanOrEqual(100 * MB);
    }
    await expectNativeContent(native);
    await expectNoQueueDrops(scenario.lab.host(pairing.proxied));
  });

  it("N-88 200 short connections, 20 at a time", async () => {
    const scenario = await Scenario.start(scenarioOf(pairing, { ...withoutStandby, policy: { advertise: false } }));
    const call = scenario.call({ up: 10_000, down: 20_000, count: 200, parallel: 20, ...pairing.call });
    await expectExact(scenario, await call.outcomes());
    const native = scenario.lab.host(pairing.native);
    const agreed = pairing.native === "client" ? "MPCapableSYNACKRX" : "MPCapableACKRX";
    expect(await counter(native, agreed)).toBe(200);
    await expectNativeContent(native);
    const { forward, backward } = await scenario.wire("wifi");
    expect(forward.tcp.rst + backward.tcp.rst).toBe(0);
  });

  it("N-88 eight long ones at a time, all moved by one command", async () => {
    const scenario = await Scenario.start(scenarioOf(pairing));
    const call = scenario.call({ up: 3 * MB, down: 3 * MB, rate: MB / 2, count: 8, parallel: 8, ...pairing.call });
    await scenario.joined(pairing.proxied, 8);
    await untilCarried(scenario, "wifi", { up: 4 * MB, down: 4 * MB });
    await scenario.shunt(pairing.proxied).handover("ethernet", "--all");
    await untilCarried(scenario, "ethernet", { up: 4 * MB, down: 4 * MB });
    await expectExact(scenario, await call.outcomes());
    const flows = await scenario.lab.emulator.flows("ethernet");
    for (const direction of ["forward", "backward"] as const) {
      const bytes = flows[direction].map(({ newPayloadBytes }) => newPayloadBytes);
      expect(bytes.length).toBe(8);
      expect(Math.min(...bytes), `${direction}: ${bytes}`).toBeGreaterThan(MB / 10);
    }
    await expectNativeContent(scenario.lab.host(pairing.native));
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
    for (const host of [scenario.client, scenario.server]) {
      // Two kernels on two paths drop some of each other's data as out of window, also with nothing of ours between.
      expect((await nativeTrouble(host)).filter((counter) => counter !== "NoDSSInWindow")).toEqual([]);
    }
    const [opened, accepted] = [await scenario.client.kernelCounters(), await scenario.server.kernelCounters()];
    expect(opened.MPTcpExtMPCapableSYNACKRX).toBe(1);
    expect(accepted.MPTcpExtMPCapableACKRX, "the server's own kernel speaks MPTCP").toBe(1);
    expect(opened.MPTcpExtMPJoinSynAckRx).toBeGreaterThan(0);
    expect(status.connections).toEqual([]);
  });
});
