// Every module of test/hostile-policies on the class of one running transfer, one after another: what they break is
// their own class's policy, visibly, and not a packet is late for it.

import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, it } from "vitest";
import { until } from "./mobility.ts";
import { CLASS, installPolicy, PolicyStand } from "./policies.ts";
import { expectNoQueueDrops, Scenario } from "./scenario.ts";
import { repository } from "./shunt.ts";
import { twoNetworks } from "./topology.ts";

/**
 * Commands and reads may take this much processor time before packets have their turn, µs; usual are 200. A policy
 * that had its say on the data path's thread would show with the 20 million instructions of its budget.
 */
const HELD_MAX_US = 4000;

/** First line of each: when and how it ends, or "served". */
const modules = globSync("test/hostile-policies/*.wat", { cwd: repository })
  .sort()
  .map((file) => {
    const text = readFileSync(join(repository, file), "utf8");
    const [, when = "", how = ""] = /^;; (\w+)(?: (\w+))?:/.exec(text) ?? [];
    return { name: basename(file, ".wat"), text, when, how };
  });

/** What a class with a predecessor's state makes of it: modules that break in save() are only broken when they leave. */
const breaks = ({ when, name }: (typeof modules)[number]) =>
  when === "decide" || (when === "load" && name !== "load-traps");

it("forty hostile policies on a live transfer: it is exact, the fallback is visible, and no batch was kept waiting", async () => {
  const scenario = await Scenario.start({ topology: twoNetworks, shunt: { server: {} } });
  const directory = join(scenario.lab.directory, "policies");
  for (const { name, text } of modules) installPolicy(directory, name, text);
  const own = { policy: { directory } };
  const stand = await PolicyStand.open(scenario, { client: own });
  const call = stand.call({ up: 60_000_000, down: 60_000_000, rate: 1_000_000 });
  await scenario.joined("client");
  await stand.onlyOn("wifi");
  const id = (await stand.status()).connections[0]?.id;
  let broken = 0;
  for (const module of modules) {
    const { name, how } = module;
    await stand.reload(own, name);
    let view = await stand.view();
    if (breaks(module)) {
      await until(`${name} breaks`, async () => {
        view = await stand.view();
        return view.state === "fallback";
      });
      broken++;
      // Most write no intent that makes sense before they come to their point.
      expect(view, name).toMatchObject({
        policy: name,
        fault: expect.stringMatching(new RegExp(`^(${how}|nonsense): `)),
      });
      const told = await stand.events("policy_fault", "policy_fallback");
      expect(told.slice(-2), name).toMatchObject([
        { event: "policy_fault", class: CLASS, policy: name },
        { event: "policy_fallback", class: CLASS, policy: name, detail: expect.stringMatching(/tried again in \d+ s/) },
      ]);
      const fault = view.fault?.split(":")[0];
      const counted = await stand.metric(
        `shunt_policy_faults_total{class="${CLASS}",policy="${name}",fault="${fault}"}`,
      );
      expect(counted, name).toBeGreaterThan(0);
      expect(await stand.metric(`shunt_class_fallback{class="${CLASS}"}`), name).toBe(1);
    }
    await stand.goesOn();
    const { connections } = await stand.status();
    expect(connections.at(-1), name).toMatchObject({ id, state: "m_estab", class: CLASS });
    // A good one serves after each; of those that break as they leave no state is taken.
    await stand.reload(own, "signal");
    expect(await stand.view(), name).toMatchObject({ state: "running", policy: "signal", fault: null });
    expect(await stand.metric(`shunt_class_fallback{class="${CLASS}"}`), name).toBe(0);
  }
  expect(broken).toBeGreaterThanOrEqual(15);
  await stand.finish([call], "signal");
  const counters = await scenario.shunt("client").counters();
  expect(counters).toMatchObject({ traps: 0, status_errors: 0, events_undelivered: 0 });
  expect(counters.held_us).toBeGreaterThan(0);
  expect(counters.held_longest_us).toBeLessThan(HELD_MAX_US);
  await expectNoQueueDrops(scenario.client);
});
