// A machine sleeps: nothing of it runs, and when it wakes up its networks are not what they were.

import { expect, it } from "vitest";
import type { Host } from "./host.ts";
import { linkDown, linkUp, until } from "./mobility.ts";
import { expectCarried, expectExact, hurry, Scenario } from "./scenario.ts";
import { twoNetworks } from "./topology.ts";

const MB = 1_000_000;
const shunt = { client: {}, server: {} };
/** Longer than what the daemon takes for an ordinary pause between two looks at the clock, ms. */
const SLEEP_MS = 4000;
/** Timers that one connection may fire around such a sleep; a timer that makes up for lost periods fires far more. */
const TIMERS_MAX = 60;

/** Stops what runs on a host, does something to its links meanwhile, and lets it all go on, except what `dies`. */
async function suspend(host: Host, meanwhile: () => Promise<void>, dies: RegExp = /^$/): Promise<void> {
  const pids = (await host.exec(["ip", "netns", "pids", host.namespace])).split("\n").filter(Boolean);
  const names = new Map(await Promise.all(pids.map(async (pid) => [pid, await commandOf(host, pid)] as const)));
  const running = pids.filter((pid) => !/ip netns pids/.test(names.get(pid) ?? ""));
  await host.try(["kill", "-STOP", ...running]);
  await meanwhile();
  await new Promise((resolve) => setTimeout(resolve, SLEEP_MS));
  await host.try(["kill", "-CONT", ...running.filter((pid) => !dies.test(names.get(pid) ?? ""))]);
}

async function commandOf(host: Host, pid: string): Promise<string> {
  return (await host.try(["cat", `/proc/${pid}/cmdline`])).stdout.replaceAll("\0", " ");
}

async function expectAwake(scenario: Scenario): Promise<void> {
  await until("the daemon notices", () => /event=resumed/.test(scenario.shunt("client").log));
}

it("both networks have other addresses on waking: the transfers go on from those", async () => {
  const scenario = await Scenario.start({ topology: twoNetworks, shunt });
  const { client } = scenario;
  const calls = ([4, 6] as const).map((family) => {
    return scenario.call({ up: 6 * MB, down: 6 * MB, rate: 2 * MB, hold: 2 * MB, family, seed: 10 * family });
  });
  await Promise.all(calls.map((call) => call.reached({ up: 2 * MB, down: 2 * MB })));
  await suspend(client, async () => {
    for (const network of ["wifi", "ethernet"]) {
      await client.exec(["ip", "address", "flush", "dev", network, "scope", "global"]);
      await linkDown(client, network);
      await linkUp(client, network, 55);
    }
  });
  hurry(scenario, calls);
  await expectExact(scenario, (await Promise.all(calls.map((call) => call.outcomes()))).flat());
  await expectAwake(scenario);
  await expectCarried(scenario, "wifi", { up: 4 * MB, down: 4 * MB });
  const flows = await Promise.all(["wifi", "ethernet"].map((network) => scenario.lab.emulator.flows(network)));
  const carried = (address: RegExp, side: "source" | "destination", direction: "forward" | "backward"): number =>
    flows
      .flatMap((both) => both[direction])
      .filter((flow) => address.test(flow[side]))
      .reduce((sum, { newPayloadBytes }) => sum + newPayloadBytes, 0);
  for (const waking of [/\.55:\d+$/, /:55\]:\d+$/]) {
    expect(carried(waking, "source", "forward"), `from ${waking}`).toBeGreaterThan(MB);
    expect(carried(waking, "destination", "backward"), `to ${waking}`).toBeGreaterThan(MB);
  }
});

it("news of the links that never comes is not needed", async () => {
  const scenario = await Scenario.start({ topology: twoNetworks, shunt });
  const call = scenario.call({ up: 5 * MB, down: 5 * MB, rate: 2 * MB, hold: 2 * MB, family: 6 });
  await call.reached({ up: MB, down: MB });
  await suspend(scenario.client, () => linkDown(scenario.client, "wifi"), /ip monitor/);
  hurry(scenario, [call]);
  await expectExact(scenario, await call.outcomes());
  await expectAwake(scenario);
  await expectCarried(scenario, "ethernet", { up: MB, down: MB });
});

it("the same networks on waking: an idle connection goes on, and no timer makes up for lost time", async () => {
  const scenario = await Scenario.start({ topology: twoNetworks, shunt });
  const call = scenario.call({ down: 4 * MB, rate: 2 * MB });
  await call.reached({ down: MB });
  const daemon = scenario.shunt("client");
  scenario.transfers.program.signal("SIGSTOP");
  await until("the connection is quiet", async () => {
    const before = (await daemon.counters()).timers_fired;
    await new Promise((resolve) => setTimeout(resolve, 500));
    return (await daemon.counters()).timers_fired === before;
  });
  const before = (await daemon.counters()).timers_fired ?? 0;
  await suspend(scenario.client, async () => {});
  await expectAwake(scenario);
  expect(((await daemon.counters()).timers_fired ?? 0) - before).toBeLessThan(TIMERS_MAX);
  scenario.transfers.program.signal("SIGCONT");
  await expectExact(scenario, await call.outcomes());
  await expectCarried(scenario, "wifi", { down: 4 * MB });
});
