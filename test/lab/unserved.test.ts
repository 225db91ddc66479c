// Nobody serves the queue: the daemon is dead, or does not keep up. Whatever belongs to a converted connection may be
// lost then; it must not leave as it is.

import { describe, expect, it } from "vitest";
import type { Flow } from "./emulator.ts";
import type { Host } from "./host.ts";
import { until } from "./mobility.ts";
import { expectExact, Scenario } from "./scenario.ts";
import { startShunt } from "./shunt.ts";
import { twoNetworks } from "./topology.ts";
import { PORT } from "./transfer.ts";

const MB = 1_000_000;
/** The server's daemon gives a connection up so long after its last subflow, s. */
const SOON = { engine: { rejoin_grace: 1 } };
const app = new URL("apps/knock.ts", import.meta.url).pathname;

/** Both directions of every subflow of the transfers that there are. */
async function flows(scenario: Scenario): Promise<Flow[]> {
  const all = await Promise.all(["wifi", "ethernet"].map((name) => scenario.lab.emulator.flows(name)));
  return all.flatMap(({ forward, backward }) => [...forward, ...backward]);
}

/** What the client has sent: packets with an MPTCP option and without, and payload, by subflow. */
async function sent(scenario: Scenario): Promise<Record<string, { mptcp: number; plain: number; payload: number }>> {
  const own = (await flows(scenario)).filter(({ destination }) => destination.endsWith(`:${PORT}`));
  return Object.fromEntries(
    own.map(({ source, packets, withMptcp, payloadBytes }) => {
      return [source, { mptcp: withMptcp, plain: packets - withMptcp, payload: payloadBytes }];
    }),
  );
}

/** Waits until the host has sent `count` more segments again, in vain. */
async function untilRepeated(host: Host, count: number): Promise<void> {
  const repeated = async () => (await host.kernelCounters()).TcpRetransSegs ?? 0;
  const before = await repeated();
  await until(`${count} retransmissions`, async () => (await repeated()) >= before + count);
}

describe("a killed daemon", () => {
  it("N-103 nothing of its connections leaves, new ones are plain TCP, and the next daemon resets the old ones", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks, shunt: { client: {}, server: SOON } });
    const { client } = scenario;
    const calls = ([4, 6] as const).map((family) => {
      return scenario.call({ up: 50 * MB, down: 50 * MB, rate: MB, timeoutSeconds: 120, family });
    });
    await scenario.joined("client", calls.length);
    await Promise.all(calls.map((call) => call.reached({ up: MB, down: MB })));
    await scenario.shunt("client").program.stop("SIGKILL");
    await untilRepeated(client, 1); // what was on its way has arrived, or never will
    const killed = await sent(scenario);
    expect(Object.keys(killed)).toHaveLength(2 * calls.length);
    await untilRepeated(client, 2);
    expect(await sent(scenario), "sent since").toEqual(killed);

    const plain = scenario.call({ up: MB, down: MB });
    expect((await plain.outcome()).exact).toBe(true);
    const { [Object.keys(await sent(scenario)).find((source) => !(source in killed)) ?? ""]: fresh } =
      await sent(scenario);
    expect(fresh).toMatchObject({ mptcp: 0 });

    scenario.shunts.set("client", await startShunt(client));
    const here = (await Promise.all(calls.map((call) => call.outcomes()))).flat();
    const there = (await scenario.transfers.ended(calls.length + 1)).filter(({ exact }) => !exact);
    expect(there).toHaveLength(calls.length);
    for (const { error } of [...here, ...there]) expect(error).toMatch(/ECONNABORTED|ECONNRESET|EPIPE/);
    for (const [source, { payload }] of Object.entries(await sent(scenario))) {
      if (source in killed) expect(payload, `${source} after the start`).toBe(killed[source]?.payload);
    }
    const converted = scenario.call({ up: MB, down: MB });
    expect((await converted.outcome()).exact).toBe(true);
    const last = Object.entries(await sent(scenario)).filter(([, { mptcp, payload }]) => mptcp > 0 && payload > MB);
    expect(last.length, "the next connection is converted again").toBeGreaterThan(0);
  });
});

describe("a full queue", () => {
  /** Calls of each of two programs: together more than the queue holds (16,384). The kernel repeats none that waits there. */
  const CALLS = 8600;
  const BEYOND = 2 * CALLS - 16_384;

  it("N-104 drops what it has no room for; nothing passes as it is, and the connection goes on afterwards", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks, shunt: { client: {}, server: {} } });
    const { client, server } = scenario;
    const call = scenario.call({ up: 6 * MB, down: 6 * MB, rate: 2 * MB });
    await scenario.joined("client");
    await call.reached({ up: MB, down: MB });
    scenario.shunt("client").program.signal("SIGSTOP");
    const before = await sent(scenario);
    const calls = (await scenario.wire("wifi")).forward.tcp.syn;
    const knocks = [1, 2].map(() => client.spawn(["node", app, server.address("wifi"), "9", `${CALLS}`]));
    const queues = async () => client.queueCounters();
    const dropped = async () => (await queues()).reduce((sum, queue) => sum + queue.dropped, 0);
    const queued = async () => (await queues()).reduce((sum, queue) => sum + queue.total, 0);
    const passed = async () => (await scenario.wire("wifi")).forward.tcp.syn - calls;
    const isFull = async () => (await dropped()) + (await passed()) > BEYOND / 2;
    // However slow the machine: only calls that stop coming are a failure.
    while (!(await isFull())) {
      const before = await queued();
      await until("one more call", async () => (await queued()) > before || (await isFull()));
    }
    expect(await passed(), "calls that passed by the queue").toBe(0);
    for (const [source, { plain }] of Object.entries(await sent(scenario))) {
      expect(plain, `${source} without MPTCP`).toBe(before[source]?.plain);
    }
    await Promise.all(knocks.map((knock) => knock.stop()));
    scenario.shunt("client").program.signal("SIGCONT");
    await expectExact(scenario, await call.outcomes());
  });
});
