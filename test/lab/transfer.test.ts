// Connections through two daemons: every byte, both ways, many at once, with loss, in both address families.

import { describe, expect, it } from "vitest";
import { expectCarried, expectExact, expectNoQueueDrops, Scenario } from "./scenario.ts";
import { bare, twoNetworks, withPaths } from "./topology.ts";
import { countWire, readWire } from "./wire-counters.ts";

const MB = 1_000_000;
const shunt = { client: {}, server: {} };

describe.each([4, 6] as const)("transfer over IPv%i", (family) => {
  it.each([
    ["upload", { up: 10 * MB }],
    ["download", { down: 10 * MB }],
    ["both at once", { up: 10 * MB, down: 10 * MB }],
  ])("%s", async (_, amount) => {
    const scenario = await Scenario.start({ topology: twoNetworks, shunt });
    await expectExact(scenario, await scenario.call({ ...amount, family }).outcomes());
    await expectCarried(scenario, "wifi", amount);
    await expectNoQueueDrops(scenario.client);
    await expectNoQueueDrops(scenario.server);
  });

  it("200 short connections, 20 at a time", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks, shunt });
    const call = scenario.call({ up: 10_000, down: 20_000, count: 200, parallel: 20, family });
    await expectExact(scenario, await call.outcomes());
    await expectCarried(scenario, "wifi", { up: 200 * 10_000, down: 200 * 20_000 });
    const { forward, backward } = await scenario.wire("wifi");
    expect(forward.tcp.mptcp.mpCapable).toBeGreaterThanOrEqual(200);
    expect(backward.tcp.mptcp.mpCapable).toBeGreaterThanOrEqual(200);
    expect(forward.tcp.rst + backward.tcp.rst).toBe(0);
  });

  it("1 % loss on both paths", async () => {
    const topology = withPaths(twoNetworks, { wifi: { lossPercent: 1 }, ethernet: { lossPercent: 1 } });
    const scenario = await Scenario.start({ topology, shunt, seed: 7 });
    await expectExact(scenario, await scenario.call({ up: 5 * MB, down: 5 * MB, family }).outcomes());
    await expectCarried(scenario, "wifi", { up: 5 * MB, down: 5 * MB });
    expect((await scenario.wire("wifi")).backward.drops.loss).toBeGreaterThan(0);
  });

  it("N-90 super-packets, unfinished checksums and full speed on a bare wire", async () => {
    const scenario = await Scenario.start({ topology: bare, shunt });
    await countWire(scenario.client, "wifi");
    await expectExact(scenario, await scenario.call({ up: 300 * MB, down: 300 * MB, family }).outcomes());
    const wire = await readWire(scenario.client, "wifi");
    expect(wire.out.mptcp.payloadBytes).toBeGreaterThanOrEqual(300 * MB);
    expect(wire.in.mptcp.payloadBytes).toBeGreaterThanOrEqual(300 * MB);
    await expectNoQueueDrops(scenario.client);
    await expectNoQueueDrops(scenario.server);
  });

  it("a half that is closed early does not end the other", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks, shunt });
    const call = scenario.call({ up: 1000, down: 5 * MB, halfClose: true, family });
    await expectExact(scenario, await call.outcomes());
    await expectCarried(scenario, "wifi", { up: 1000, down: 5 * MB });
  });
});
