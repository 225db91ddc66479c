import { it } from "vitest";
import { Scenario } from "./scenario.ts";
import { twoNetworks } from "./topology.ts";

it("x", async () => {
  const scenario = await Scenario.start({ topology: twoNetworks, shunt: { client: {}, server: {} } });
  await scenario.lab.emulator.capture("wifi", "/tmp/lt/wifi.pcap");
  await scenario.lab.emulator.capture("ethernet", "/tmp/lt/eth.pcap");
  const call = scenario.call({ up: 10_000, down: 20_000, count: 5, parallel: 2, family: 4 });
  await call.outcomes();
  await scenario.lab.emulator.capture("wifi");
  await scenario.lab.emulator.capture("ethernet");
});
