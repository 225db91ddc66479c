// A Linux kernel that speaks MPTCP itself sends on two subflows at once (paper §5.5): the proxied host receives one
// stream, and acknowledges each octet on the subflow that brought it.

import { describe, expect, it } from "vitest";
import { until } from "./mobility.ts";
import { amountFrom, carriedBy, PAIRINGS, proxiedClient, receiveOnAll, scenarioOf, smallerShare } from "./native.ts";
import { expectCarried, expectExact, expectNativeContent, expectNoQueueDrops, Scenario } from "./scenario.ts";

const MB = 1_000_000;
/** Both networks alike, so that the kernel has no reason to prefer one. */
const EVEN = { delayMs: 5, rateMbit: 40, queueMs: 50 };
/**
 * Of what both networks carry at the same time, the smaller one's part at least: 0 where one of them carries all. How
 * the kernel shares it out is its own affair (0.2 was seen on a machine with a load of 28).
 */
const SHARE = 0.1;

describe.each(PAIRINGS)("%s", (_, pairing) => {
  it.each([4, 6] as const)("N-89 the native end sends on both paths at once over IPv%i", async (family) => {
    const amount = amountFrom(pairing, "native", 16 * MB);
    const scenario = await Scenario.start(scenarioOf(pairing, receiveOnAll, EVEN));
    const call = scenario.call({ ...amount, ...pairing.call, family });
    expect(await smallerShare(scenario, pairing.toProxied, 16 * MB)).toBeGreaterThan(SHARE);
    await expectExact(scenario, await call.outcomes());
    for (const network of ["wifi", "ethernet"]) {
      await expectCarried(scenario, network, amountFrom(pairing, "native", 1.5 * MB));
    }
    await expectNativeContent(scenario.lab.host(pairing.native));
    await expectNoQueueDrops(scenario.lab.host(pairing.proxied));
  });

  it("N-89 while the proxied end sends, too", async () => {
    const scenario = await Scenario.start(scenarioOf(pairing, receiveOnAll, EVEN));
    const call = scenario.call({ up: 16 * MB, down: 16 * MB, ...pairing.call });
    expect(await smallerShare(scenario, pairing.toProxied, 16 * MB)).toBeGreaterThan(SHARE);
    await expectExact(scenario, await call.outcomes());
    await expectNativeContent(scenario.lab.host(pairing.native));
  });

  it.each([true, false])("N-89 paths that differ, with loss; SACK %s", async (sack) => {
    const options = scenarioOf(pairing, receiveOnAll, { ...EVEN, lossPercent: 0.3 });
    const scenario = await Scenario.start({ ...options, sack, seed: 5 });
    await scenario.lab.emulator.set("ethernet", { delayMs: 30 });
    const call = scenario.call({ ...amountFrom(pairing, "native", 8 * MB), ...pairing.call });
    await expectExact(scenario, await call.outcomes());
    for (const network of ["wifi", "ethernet"]) {
      await expectCarried(scenario, network, amountFrom(pairing, "native", MB / 5));
    }
    const lost = (await scenario.wire("ethernet"))[pairing.toProxied].drops.loss;
    expect(lost, "packets lost on the way").toBeGreaterThan(0);
    await expectNativeContent(scenario.lab.host(pairing.native));
  });
});

it("a handover asks the native server for one path, its end gives both back", async () => {
  const scenario = await Scenario.start(scenarioOf(proxiedClient, receiveOnAll, EVEN));
  const call = scenario.call({ down: 40 * MB, rate: 4 * MB });
  const untilBoth = async (more: number): Promise<void> => {
    const from = await carriedBy(scenario, "backward");
    await until(`${more} bytes more on both paths`, async () => {
      const now = await carriedBy(scenario, "backward");
      return now.every((bytes, i) => bytes - (from[i] ?? 0) >= more);
    });
  };
  await untilBoth(MB);
  await scenario.shunt("client").handover("ethernet", "--all");
  const before = await carriedBy(scenario, "backward");
  await until("4 MB more on ethernet", async () => (await carriedBy(scenario, "backward"))[1] >= before[1] + 4 * MB);
  const moved = await carriedBy(scenario, "backward");
  expect(moved[0] - before[0], "wifi: what was queued there").toBeLessThan(MB);
  await scenario.shunt("client").command("handover", "--auto");
  await untilBoth(MB);
  for (const program of [call.program, scenario.transfers.program]) program.signal("SIGUSR2");
  await expectExact(scenario, await call.outcomes());
  await expectNativeContent(scenario.server);
});
