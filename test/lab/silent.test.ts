// A path that dies without a word: the emulator drops everything, no interface changes.

import { describe, expect, it } from "vitest";
import { linkDown, until } from "./mobility.ts";
import {
  eachDirection,
  expectCarried,
  expectExact,
  expectNativeContent,
  hurry,
  nativeTrouble,
  Scenario,
  type ScenarioOptions,
  untilCarried,
} from "./scenario.ts";
import { nativeClient, nativeServer, twoNetworks } from "./topology.ts";

const MB = 1_000_000;
/** Each path has to carry at least this, bytes. */
const SHARE = MB;
const proxied = { topology: twoNetworks, shunt: { client: {}, server: {} } };
type Amount = { up?: number; down?: number; rate: number; hold: number };
/** One of them over each address family. */
const amounts: [string, Amount & { family: 4 | 6 }][] = [
  ["upload", { up: 6 * MB, rate: 4 * MB, hold: 2 * MB, family: 4 }],
  ["download", { down: 6 * MB, rate: 4 * MB, hold: 2 * MB, family: 6 }],
];
const otherFamily = ({ family, ...amount }: Amount & { family: 4 | 6 }) =>
  ({ ...amount, family: family === 4 ? 6 : 4 }) as const;
const shareOf = (amount: { up?: number; down?: number }) => eachDirection(amount, SHARE);

describe("nothing crosses the path in use any more", () => {
  it.each([
    ...amounts.map(([name, amount]) => [`${name}, a standby subflow is there`, amount, proxied] as const),
    ...amounts.map(([name, amount]) => {
      const options = { topology: nativeServer, shunt: { client: {} }, nativeServer: true };
      return [`${name}, native server`, otherFamily(amount), options] as const;
    }),
  ])("N-110 the other path carries the rest: %s", async (_, amount, options: ScenarioOptions) => {
    const scenario = await Scenario.start(options);
    const call = scenario.call({ ...amount, timeoutSeconds: 60 });
    await scenario.joined("client");
    await untilCarried(scenario, "wifi", shareOf(amount));
    await scenario.lab.emulator.set("wifi", { blackhole: true });
    hurry(scenario, [call]);
    await expectExact(scenario, await call.outcomes());
    await expectCarried(scenario, "ethernet", shareOf(amount));
    if (options.nativeServer) await expectNativeContent(scenario.server);
  });

  // Its own data tells the opener. An opener that only receives has no means to notice (docs/OPERATING.md).
  it("N-110 nothing is joined yet: the opener that sends looks for another path", async () => {
    const shunt = { client: { engine: { standby: false } }, server: {} };
    const scenario = await Scenario.start({ topology: twoNetworks, shunt });
    const amount = { up: 6 * MB, rate: 4 * MB, hold: 2 * MB, family: 6 } as const;
    const call = scenario.call({ ...amount, timeoutSeconds: 60 });
    await scenario.announced("ethernet", 6);
    await untilCarried(scenario, "wifi", shareOf(amount));
    await scenario.lab.emulator.set("wifi", { blackhole: true });
    hurry(scenario, [call]);
    await expectExact(scenario, await call.outcomes());
    await expectCarried(scenario, "ethernet", shareOf(amount));
  });

  it.each(["forward", "backward"] as const)("N-110 in one direction only: %s", async (direction) => {
    const scenario = await Scenario.start(proxied);
    const amount = { up: 5 * MB, down: 5 * MB, rate: 2 * MB, hold: 2 * MB };
    const family = direction === "forward" ? 4 : 6;
    const call = scenario.call({ ...amount, family, timeoutSeconds: 60 });
    await scenario.joined("client");
    await untilCarried(scenario, "wifi", shareOf(amount));
    await scenario.lab.emulator.set("wifi", { blackhole: true }, direction);
    hurry(scenario, [call]);
    await expectExact(scenario, await call.outcomes());
    await expectCarried(scenario, "ethernet", direction === "forward" ? { up: SHARE } : { down: SHARE });
  });

  // Nobody sends on a stale subflow by itself; a command does, and any packet revives it.
  it("N-110 the path works again: a command brings the connection back to it", async () => {
    const scenario = await Scenario.start(proxied);
    const amount = { up: 16 * MB, down: 16 * MB, rate: 2 * MB };
    const call = scenario.call({ ...amount, family: 6, timeoutSeconds: 60 });
    await scenario.joined("client");
    await untilCarried(scenario, "wifi", shareOf(amount));
    await scenario.lab.emulator.set("wifi", { blackhole: true });
    await untilCarried(scenario, "ethernet", shareOf(amount));
    const dead = await scenario.wire("wifi");
    await scenario.lab.emulator.set("wifi", { blackhole: false });
    const backNs = Number(process.hrtime.bigint());
    await scenario.shunt("client").handover("wifi", "--all");
    await until("new octets on wifi in both directions", async () => {
      const { forward, backward } = await scenario.lab.emulator.flows("wifi");
      return [forward, backward].every((flows) => flows.some(({ lastNewDataNs }) => lastNewDataNs > backNs));
    });
    expect(dead.forward.drops.blackhole).toBeGreaterThan(0);
    hurry(scenario, [call]);
    await expectExact(scenario, await call.outcomes());
  });
});

// Its kernel keeps the address, so only silence tells the other end.
it.each(amounts)("N-110 a native client loses its link: %s", async (_, amount) => {
  const scenario = await Scenario.start({ topology: nativeClient, shunt: { server: {} } });
  const call = scenario.call({ ...amount, native: true, timeoutSeconds: 60 });
  await scenario.joined("server");
  await untilCarried(scenario, "wifi", shareOf(amount));
  await linkDown(scenario.client, "wifi");
  hurry(scenario, [call]);
  await expectExact(scenario, await call.outcomes());
  await expectCarried(scenario, "ethernet", shareOf(amount));
  // Its kernel may try to join over the link that is down.
  expect((await nativeTrouble(scenario.client)).filter((name) => name !== "MPJoinSynTxConnectErr")).toEqual([]);
});
