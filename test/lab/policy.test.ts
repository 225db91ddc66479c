// A loaded policy and live transfers: what it decides is on the wire, it is swapped under load, and no byte is lost.
// How policies decide is shown in virtual time (test/unit, plugins/*/test).

import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { until } from "./mobility.ts";
import { expectExact, hurry, Scenario, untilCarried } from "./scenario.ts";
import { runShunt } from "./shunt.ts";
import { twoNetworks } from "./topology.ts";

const MB = 1_000_000;

interface Status {
  connections: { class: string; activePath: string }[];
  classes: { class: string; state: string; policy: string; decision: { active: string | null; reason: string } }[];
}

it("a policy moves its class by what an input says; another class stays; decisions are recorded, and played again", async () => {
  const scenario = await Scenario.start({ topology: twoNetworks, shunt: { server: {} } });
  const inputs = join(scenario.lab.directory, "inputs.json");
  const tell = (dbm: number) => {
    writeFileSync(`${inputs}.new`, JSON.stringify({ interfaces: { wifi: { kind: "wifi", signalDbm: dbm } } }));
    renameSync(`${inputs}.new`, inputs);
  };
  tell(-50);
  await scenario.startDaemons({
    client: {
      policy: { prefer: ["wifi", "ethernet"], inputs: [`file:${inputs}`], state_directory: scenario.lab.directory },
      class: [{ name: "radio", match: { uid: [process.getuid?.() ?? 0] }, policy: "signal" }],
    },
  });
  const client = scenario.shunt("client");
  const status = async () => (await client.status()) as Status;
  const call = scenario.call({ up: 12 * MB, down: 12 * MB, rate: 4 * MB });
  await scenario.joined("client");
  const file = join(scenario.lab.directory, "decisions.jsonl");
  await client.command("policy", "record", file);
  expect((await status()).connections).toMatchObject([{ class: "radio", activePath: "wifi" }]);
  await untilCarried(scenario, "wifi", { up: MB });
  tell(-89);
  await until("the class is on ethernet", async () => (await status()).connections[0]?.activePath === "ethernet");
  expect((await status()).classes).toMatchObject([
    { class: "default", state: "native", policy: "active-standby" },
    { class: "radio", state: "running", policy: "signal", decision: { active: "ethernet" } },
  ]);
  await untilCarried(scenario, "ethernet", { up: MB, down: MB });
  // Swapped under load: the state goes along, and so does the class.
  for (let i = 0; i < 10; i++) {
    await client.command("policy", "use", i % 2 === 0 ? "cost" : "signal", "--class", "radio");
  }
  hurry(scenario, [call]);
  await expectExact(scenario, await call.outcomes());
  const recorded = (await client.command("policy", "record", "--stop")) as { decisions: number };
  expect(recorded.decisions).toBeGreaterThan(10);
  const replay = await runShunt(scenario.client, ["policy", "replay", file, "--json"]);
  expect([replay.code, replay.json]).toMatchObject([0, { decisions: recorded.decisions, differences: [] }]);
});
