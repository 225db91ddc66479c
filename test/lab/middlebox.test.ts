// Middleboxes that leave options alone and change everything else, and paths that lose packets: MPTCP goes on.

import { describe, expect, it } from "vitest";
import type { Outcome } from "./apps/transfer.ts";
import { type Boxes, bothProxied, CASTS, type Cast, put, toNative } from "./boxes.ts";
import type { Flow } from "./emulator.ts";
import { until } from "./mobility.ts";
import { expectCarried, expectExact, expectNativeContent, hurry, Scenario, untilCarried } from "./scenario.ts";
import { type PathParams, withPaths } from "./topology.ts";

const MB = 1_000_000;
const both = (params: PathParams): Boxes => ({ forward: params, backward: params });
/** What each network has to carry before something happens, and after, bytes. */
const PART = { up: 0.6 * MB, down: 0.6 * MB };
const NETWORKS = ["wifi", "ethernet"];
const daemonOf = ({ native }: Cast): string => (native ? "server" : "client");

/** A transfer in both directions that moves from wifi to ethernet, both behind the same boxes. */
async function moveThrough(cast: Cast, boxes: Boxes): Promise<Scenario> {
  const scenario = await Scenario.start(cast.options);
  for (const network of NETWORKS) await put(scenario, network, boxes);
  const amount = { up: 4 * MB, down: 4 * MB, rate: 0.8 * MB };
  const calls = ([4, 6] as const).map((family) => scenario.call({ ...amount, native: cast.native, family }));
  await scenario.joined(daemonOf(cast), 2);
  await untilCarried(scenario, "wifi", PART);
  await scenario.shunt(daemonOf(cast)).handover("ethernet", "--all");
  await untilCarried(scenario, "ethernet", PART);
  hurry(scenario, calls);
  await expectExact(scenario, (await Promise.all(calls.map((call) => call.outcomes()))).flat());
  return scenario;
}

describe.each(CASTS)("%s", (_, cast) => {
  it("N-95 boxes that cut segments and give them other numbers: MPTCP on both paths, the stream is whole", async () => {
    const scenario = await moveThrough(cast, both({ splitBytes: 700, randomiseSequence: true }));
    for (const network of NETWORKS) {
      await expectCarried(scenario, network, PART);
      const { forward, backward } = await scenario.wire(network);
      for (const { in: entered, out } of [forward, backward])
        expect(out.packets - entered.packets).toBeGreaterThan(100);
    }
    if (cast.options.nativeServer) await expectNativeContent(scenario.server);
    if (cast.native) await expectNativeContent(scenario.client);
  });

  it("N-95 pieces that have lost their options, segments put together: the stream is whole", async () => {
    const scenario = await Scenario.start(cast.options);
    const outcomes: Outcome[] = [];
    // Small segments have room for each other.
    const boxes: Boxes[] = [both({ mssClamp: 600, coalesceBytes: 1400 }), both({ splitBytes: 700, splitBare: true })];
    for (const [index, box] of boxes.entries()) {
      await put(scenario, "wifi", box);
      const amount = { up: MB, down: MB, native: cast.native, seed: 10 * index, timeoutSeconds: 40 };
      outcomes.push(...(await scenario.call({ ...amount, family: index ? 6 : 4 }).outcomes()));
      await expectExact(scenario, outcomes);
      const { forward, backward } = await scenario.wire("wifi");
      for (const { in: entered, out, coalesced } of [forward, backward]) {
        if (index === 0) expect(coalesced).toBeGreaterThan(0);
        else expect(out.packets).toBeGreaterThan(entered.packets);
      }
    }
  });
});

describe("5 % of all packets are lost, on both paths and both ways", () => {
  it.each([
    ["both ends proxied", bothProxied],
    ["proxied client, native server", toNative],
  ])("N-96 complete, and no connection is reset: %s", async (_, { options }) => {
    const lossy = { lossPercent: 5 };
    const topology = withPaths(options.topology, { wifi: lossy, ethernet: lossy });
    const scenario = await Scenario.start({ ...options, topology, seed: 11 });
    const calls = ([4, 6] as const).map((family) =>
      scenario.call({ up: 2 * MB, down: 2 * MB, family, seed: 10 * family }),
    );
    await expectExact(scenario, (await Promise.all(calls.map((call) => call.outcomes()))).flat());
    for (const network of NETWORKS) {
      await expectCarried(scenario, network, {});
      const { forward, backward } = await scenario.wire(network);
      // A subflow may be given up for a hole that cannot be filled; that ends no connection.
      for (const { tcp } of [forward, backward]) expect(tcp.mptcp.mpFastclose ?? 0, network).toBe(0);
    }
    const { forward, backward } = await scenario.wire("wifi");
    expect(forward.drops.loss).toBeGreaterThan(20);
    expect(backward.drops.loss).toBeGreaterThan(20);
    if (options.nativeServer) await expectNativeContent(scenario.server);
  });
});

describe("an address translator that forgets its mappings", () => {
  const OUTSIDE = "10.0.1.77";
  const PATIENT = { up: 12 * MB, down: 2 * MB, rate: 1.2 * MB, timeoutSeconds: 60 };

  /** In the two seconds until its path is joined again a connection has sent at least this elsewhere, bytes. */
  const SHARE = { up: 0.1 * MB };

  /** Flows of MPTCP that have come through the translator, the oldest first. */
  const through = async (scenario: Scenario): Promise<Flow[]> =>
    (await scenario.lab.emulator.flows("wifi")).forward.filter(
      ({ source, withMptcp }) => source.startsWith(OUTSIDE) && withMptcp > 0,
    );

  it.each(CASTS)("there is another path: it goes on there, and comes back: %s", async (_, cast) => {
    const scenario = await Scenario.start(cast.options);
    await scenario.lab.emulator.nat("wifi", OUTSIDE);
    const call = scenario.call({ ...PATIENT, native: cast.native });
    await scenario.joined(daemonOf(cast));
    await untilCarried(scenario, "wifi", { up: 0.6 * MB, down: 0.2 * MB });
    const before = await through(scenario);
    await scenario.lab.emulator.nat("wifi", OUTSIDE);
    // The server's kernel does not know the new port, and the translator not the old one.
    await until("packets for nobody", async () => {
      const { drops, tcp } = (await scenario.wire("wifi")).backward;
      return drops.nat + tcp.rst > 0;
    });
    await untilCarried(scenario, "ethernet", SHARE);
    if (!cast.native) {
      // What is preferred is used again, from a port that nobody has seen before.
      await until("new data behind the translator", async () => {
        const fresh = (await through(scenario)).filter((flow) => !before.some(({ source }) => source === flow.source));
        return fresh.some(({ newPayloadBytes }) => newPayloadBytes > PART.up);
      });
    }
    hurry(scenario, [call]);
    await expectExact(scenario, await call.outcomes());
    await expectCarried(scenario, "ethernet", SHARE);
  });

  it.each([
    ["both ends proxied", bothProxied],
    ["proxied client, native server", toNative],
  ])("there is no other path: it goes on from a new port: %s", async (_, { options }) => {
    const path = [{ name: "wifi", interface: "wifi" }];
    const scenario = await Scenario.start({
      ...options,
      shunt: { ...options.shunt, client: { path, policy: { prefer: ["wifi"] } } },
    });
    await scenario.lab.emulator.nat("wifi", OUTSIDE);
    const call = scenario.call(PATIENT);
    await untilCarried(scenario, "wifi", { up: 0.6 * MB, down: 0.2 * MB });
    const before = await through(scenario);
    await scenario.lab.emulator.nat("wifi", OUTSIDE);
    await until("new data from another port", async () => {
      const fresh = (await through(scenario)).filter((flow) => !before.some(({ source }) => source === flow.source));
      return fresh.some(({ newPayloadBytes }) => newPayloadBytes > PART.up);
    });
    hurry(scenario, [call]);
    await expectExact(scenario, await call.outcomes());
    const ethernet = await scenario.wire("ethernet");
    expect(ethernet.forward.tcp.segments).toBe(0);
  });
});
