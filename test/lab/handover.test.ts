// Live connections change their path under full load: not one byte is lost, and both paths really carried them.

import { describe, expect, it } from "vitest";
import { expectCarried, expectExact, expectNoQueueDrops, Scenario } from "./scenario.ts";
import { bare, twoNetworks, withPaths } from "./topology.ts";
import { countWire, readWire } from "./wire-counters.ts";

const MB = 1_000_000;
const shunt = { client: {}, server: {} };
/** Each path has to carry at least this, bytes: far more than what could be there by accident. */
const SHARE = 2 * MB;

describe.each([4, 6] as const)("handover over IPv%i", (family) => {
  it.each([
    ["upload", { up: 40 * MB }, { up: 8 * MB }, { up: 20 * MB }],
    ["download", { down: 40 * MB }, { down: 8 * MB }, { down: 20 * MB }],
    ["both directions", { up: 30 * MB, down: 30 * MB }, { up: 5 * MB, down: 5 * MB }, { up: 14 * MB, down: 14 * MB }],
  ])("N-90 wifi → ethernet → wifi at unlimited rate: %s", async (_, amount, first, second) => {
    const scenario = await Scenario.start({ topology: twoNetworks, shunt });
    const call = scenario.call({ ...amount, family });
    await call.reached(first);
    await scenario.shunt("client").handover("ethernet", "--all");
    await call.reached(second);
    await scenario.shunt("client").handover("wifi", "--all");
    await expectExact(scenario, await call.outcomes());
    const share = Object.fromEntries(Object.keys(amount).map((direction) => [direction, SHARE]));
    await expectCarried(scenario, "wifi", share);
    await expectCarried(scenario, "ethernet", share);
    await expectNoQueueDrops(scenario.client);
    await expectNoQueueDrops(scenario.server);
  });

  it("the end that accepted the connection can move it too", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks, shunt });
    const call = scenario.call({ up: 30 * MB, down: 30 * MB, family });
    await call.reached({ down: 5 * MB });
    await scenario.shunt("server").handover("ethernet", "--all");
    await expectExact(scenario, await call.outcomes());
    // A sender obeys its peer, so what moves for certain is what the other end sends.
    await expectCarried(scenario, "ethernet", { up: SHARE });
  });

  it("1 % loss while moving", async () => {
    const topology = withPaths(twoNetworks, { wifi: { lossPercent: 1 }, ethernet: { lossPercent: 1 } });
    const scenario = await Scenario.start({ topology, shunt, seed: 11 });
    const call = scenario.call({ up: 25 * MB, down: 25 * MB, family });
    await call.reached({ up: 3 * MB, down: 3 * MB });
    await scenario.shunt("client").handover("ethernet", "--all");
    await expectExact(scenario, await call.outcomes());
    await expectCarried(scenario, "ethernet", { down: MB, up: MB });
  });

  it("super-packets in both directions on a bare wire", async () => {
    const scenario = await Scenario.start({ topology: bare, shunt });
    for (const network of ["wifi", "ethernet"]) await countWire(scenario.client, network);
    const call = scenario.call({ up: 1500 * MB, down: 1500 * MB, family });
    await call.reached({ down: 100 * MB });
    await scenario.shunt("client").handover("ethernet", "--all");
    await scenario.shunt("client").handover("wifi", "--all");
    await scenario.shunt("client").handover("ethernet", "--all");
    await expectExact(scenario, await call.outcomes());
    for (const network of ["wifi", "ethernet"]) {
      const wire = await readWire(scenario.client, network);
      expect(wire.in.mptcp.payloadBytes, network).toBeGreaterThan(SHARE);
      expect(wire.out.mptcp.payloadBytes, network).toBeGreaterThan(SHARE);
    }
  });
});

describe("handover command", () => {
  it("N-90 leaves nothing new on the old path two round trips later", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks, shunt });
    const call = scenario.call({ up: 20 * MB, down: 20 * MB, rate: 3 * MB, family: 6 });
    await call.reached({ down: 3 * MB });
    await scenario.shunt("client").handover("ethernet", "--all");
    const limitNs = Number(process.hrtime.bigint()) + 2 * 20e6;
    await call.reached({ down: 8 * MB });
    const flows = await scenario.lab.emulator.flows("wifi");
    for (const flow of [...flows.forward, ...flows.backward]) {
      expect(flow.lastNewDataNs, flow.source).toBeLessThan(limitNs);
    }
    await expectExact(scenario, await call.outcomes());
  });

  it("names the connection that cannot move, and fails", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks, shunt });
    const call = scenario.call({ down: 10 * MB, rate: 2 * MB });
    await call.reached({ down: MB });
    await scenario.lab.emulator.set("ethernet", { blackhole: true });
    const result = await scenario.shunt("client").try("handover", "--to", "nowhere", "--all");
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/nowhere/);
    await expectExact(scenario, await call.outcomes());
  });
});
