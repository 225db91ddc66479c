// `make sim SEED=n`: one seed again, with a line per packet and hop, packetdrill's words for the options, and what
// happened to it. Ends with 1 when the seed fails.

import setup from "../global-setup.ts";
import { runSeed } from "./runner.ts";
import { describeScenario, scenarioOf } from "./scenario.ts";

const seed = Number(process.argv[2]);
if (!Number.isInteger(seed) || process.argv.length !== 3) {
  console.error("usage: make sim SEED=n");
  process.exitCode = 2;
} else {
  await setup();
  console.log(describeScenario(scenarioOf(seed)));
  console.log("host: between a stack and its engine; wire: at an end's network; *: what is done to it; !: an event");
  const { failure, packets } = runSeed(seed, { log: (line) => console.log(line) });
  console.log(failure === "" ? `seed ${seed}: ${packets} packets, nothing is wrong` : `seed ${seed}: ${failure}`);
  process.exitCode = failure === "" ? 0 : 1;
}
