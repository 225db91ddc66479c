// After a break the host is made to send again at once (assembly/handover/kick.ts). Its kernel says whether it did so
// because of the forged ICMP message, or because a timer of its own ran out.

import { describe, expect, it } from "vitest";
import type { Host, KernelCounters } from "./host.ts";
import { linkDown, until } from "./mobility.ts";
import { expectCarried, expectExact, Scenario } from "./scenario.ts";
import { twoNetworks } from "./topology.ts";

const MB = 1_000_000;
const shunt = { client: {}, server: {} };
/** Counts the message that tells the host that its packet was too big, by address family. */
const TOO_BIG = { 4: "IcmpInDestUnreachs", 6: "Icmp6InPktTooBigs" } as const;

async function growth(host: Host, before: KernelCounters): Promise<(name: string) => number> {
  const now = await host.kernelCounters();
  return (name) => (now[name] ?? 0) - (before[name] ?? 0);
}

describe.each([
  [4, false],
  [6, true],
] as const)("IPv%i, SACK %s", (family, sack) => {
  it.each([
    ["upload", { up: 10 * MB }, "client"],
    ["download", { down: 10 * MB }, "server"],
  ] as const)("N-111 the host sends again on one ICMP message, not on a timer: %s", async (_, amount, name) => {
    const scenario = await Scenario.start({ topology: twoNetworks, shunt, sack });
    const sender = scenario.lab.host(name);
    const call = scenario.call({ ...amount, family, rate: 5 * MB });
    await scenario.joined("client");
    await until("2 MB on wifi", async () => {
      const { forward, backward } = await scenario.wire("wifi");
      return forward.tcp.newPayloadBytes + backward.tcp.newPayloadBytes >= 2 * MB;
    });
    const before = await sender.kernelCounters();
    await linkDown(scenario.client, "wifi");
    await until("1 MB on ethernet", async () => {
      const { forward, backward } = await scenario.wire("ethernet");
      return forward.tcp.newPayloadBytes + backward.tcp.newPayloadBytes >= MB;
    });
    const since = await growth(sender, before);
    expect(since("TcpExtTCPTimeouts")).toBe(0);
    const messages = since(TOO_BIG[family]);
    expect(messages).toBeGreaterThanOrEqual(1);
    // IPv4 counts in one what else it may be told: that its timer need not have been doubled by a probe of its own.
    expect(messages).toBeLessThanOrEqual(family === 4 ? 2 : 1);
    expect(since("TcpRetransSegs")).toBeGreaterThan(0);
    expect((await scenario.shunt(name).counters()).kicks).toBe(1);
    await expectExact(scenario, await call.outcomes());
    await expectCarried(scenario, "ethernet", Object.fromEntries(Object.keys(amount).map((key) => [key, MB])));
  });
});
