// A hundred handovers of one connection under load. The daemons have room for little: what a handover left behind would
// fill it long before the last.

import { expect, it } from "vitest";
import { until } from "./mobility.ts";
import { expectCarried, expectExact, hurry, Scenario } from "./scenario.ts";
import { twoNetworks } from "./topology.ts";

const MB = 1_000_000;
const HANDOVERS = 100;
/** Table entries, both directions together, of a connection that rests on its paths. */
const RESTING_RUNS = 4;
const capacity = { connections: 16, subflows: 16, runs: 192 };

interface Tables {
  subflows: number;
  runs: number;
}

async function tables(scenario: Scenario, host: string): Promise<Tables[]> {
  const { connections } = (await scenario.shunt(host).command("status")) as {
    connections: { sendRuns: number; subflows: { recvRuns: number }[] }[];
  };
  return connections.map(({ sendRuns, subflows }) => ({
    subflows: subflows.length,
    runs: subflows.reduce((sum, { recvRuns }) => sum + recvRuns, sendRuns),
  }));
}

/** Who commands, where to, and how: both ends, both modes, again and again. Only the opener can make what it broke. */
const STEPS = [
  ["client", "ethernet", "make-before-break"],
  ["server", "wifi", "make-before-break"],
  ["client", "ethernet", "break-before-make"],
  ["client", "wifi", "break-before-make"],
  ["server", "ethernet", "make-before-break"],
  ["client", "wifi", "make-before-break"],
] as const;

it("N-86 a hundred handovers under load, commanded by both ends: every byte, and small tables", async () => {
  const shunt = { client: { capacity }, server: { capacity } };
  const scenario = await Scenario.start({ topology: twoNetworks, shunt });
  const call = scenario.call({ up: 100 * MB, down: 100 * MB, rate: MB, timeoutSeconds: 160 });
  await call.reached({ up: MB, down: MB });
  for (let done = 0; done < HANDOVERS; done++) {
    const [name, path, mode] = STEPS[done % STEPS.length] as (typeof STEPS)[number];
    await until(`handover ${done}: ${name} to ${path}, ${mode}`, () =>
      scenario.shunt(name).requestHandover(path, mode),
    );
  }
  for (const name of ["client", "server"]) {
    await until(`few table entries on the ${name}`, async () => {
      const [only, ...others] = await tables(scenario, name);
      expect(others.length).toBe(0);
      return only !== undefined && only.subflows === 2 && only.runs <= RESTING_RUNS;
    });
    const { handovers = 0, ...counters } = await scenario.shunt(name).counters();
    expect(handovers, `handovers that the ${name} commanded`).toBeGreaterThan(HANDOVERS / 4);
    const live = (counters.subflows_opened ?? 0) - (counters.subflows_closed ?? 0);
    expect(live, `subflows of the ${name} by the counters`).toBe(2);
  }
  hurry(scenario, [call]);
  await expectExact(scenario, await call.outcomes());
  // The next command comes as soon as the first octets have moved: a visit may carry no more than those.
  for (const network of ["wifi", "ethernet"]) await expectCarried(scenario, network, { up: MB / 5, down: MB / 5 });
});
