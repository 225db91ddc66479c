// MP_PRIO and REMOVE_ADDR steer a Linux kernel that sends MPTCP of its own: what it sends for the first time goes where
// it was asked to, told packet by packet from captures of both networks. What strays, and why: docs/STEERING.md.

import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { eachDirection, expectExact, expectNativeContent, Scenario, untilCarried } from "./scenario.ts";
import { freshOctets, prioOn, removal, roundTrips, type Step, steps } from "./steering.ts";
import { nativeClient, nativeServer } from "./topology.ts";

const MB = 1_000_000;
/** New octets behind a command that are enough to speak of a share. */
const SHARE = MB;
const networks = ["wifi", "ethernet"];

const CASES = [
  ["a native server sends", "server", { down: 40 * MB }] as const,
  ["a native client sends", "client", { up: 40 * MB }] as const,
];

/** At least 95 % of the new octets are on `network`. */
function expectOn(network: string, part: readonly Step[]): void {
  const fresh = freshOctets(part);
  const total = networks.reduce((sum, name) => sum + (fresh[name] ?? 0), 0);
  expect(total, "new octets").toBeGreaterThan(SHARE);
  expect((fresh[network] ?? 0) / total, JSON.stringify(fresh)).toBeGreaterThanOrEqual(0.95);
}

describe.each([4, 6] as const)("IPv%i", (family) => {
  it.each(CASES)(
    "N-81 new data follows MP_PRIO, then REMOVE_ADDR, within two round trips: %s",
    async (_, sender, amount) => {
      const isServer = sender === "server";
      const proxied = isServer ? "client" : "server";
      const scenario = await Scenario.start({
        topology: isServer ? nativeServer : nativeClient,
        shunt: { [proxied]: {} },
        nativeServer: isServer,
      });
      // On a busy machine a kernel may take a subflow for stale, and then sends on a backup one as it should.
      await scenario.lab.host(sender).exec(["sysctl", "-qw", "net.mptcp.stale_loss_cnt=0"]);
      const { emulator, directory } = scenario.lab;
      const files = Object.fromEntries(networks.map((name) => [name, join(directory, `${name}.pcap`)]));
      for (const [name, file] of Object.entries(files)) await emulator.capture(name, file);
      const call = scenario.call({ ...amount, family, native: !isServer });
      await scenario.joined(proxied);
      const more = async (network: string, bytes: number) => {
        const direction = isServer ? "backward" : "forward";
        const before = (await emulator.counters(network))[direction].tcp.newPayloadBytes;
        await untilCarried(scenario, network, eachDirection(amount, before + bytes));
      };
      // Unasked, a kernel that joined the other path itself sends on both; what it has queued there is then ahead.
      expect(await scenario.shunt(proxied).requestHandover("wifi", "make-before-break")).toBe(true);
      await more("wifi", 2 * MB);
      expect(await scenario.shunt(proxied).requestHandover("ethernet", "make-before-break")).toBe(true);
      await more("ethernet", 4 * MB);
      expect(await scenario.shunt(proxied).requestHandover("wifi", "break-before-make")).toBe(true);
      await expectExact(scenario, await call.outcomes());
      for (const name of networks) await emulator.capture(name);
      const all = steps(files, sender);
      const removed = removal(all);
      const prio = prioOn(all.slice(0, removed), "wifi");
      expect([prio, removed], "commands on the wire").not.toContain(-1);
      expect(freshOctets(all.slice(0, prio)).wifi, "before").toBeGreaterThan(SHARE / 2);
      expectOn("ethernet", all.slice(roundTrips(all, "ethernet", prio, 2), removed));
      expectOn("wifi", all.slice(roundTrips(all, "wifi", removed, 2)));
      await expectNativeContent(isServer ? scenario.server : scenario.client);
    },
  );
});
