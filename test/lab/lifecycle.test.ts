// A daemon's beginning and end: what it refuses, and what it leaves behind, which is nothing.

import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { expectExact, Scenario } from "./scenario.ts";
import { type CommandResult, defaultConfig, runShunt, startShunt, writeConfig } from "./shunt.ts";
import { nativeServer, twoNetworks } from "./topology.ts";

const MB = 1_000_000;
/** `shunt up` must refuse within this time, ms. */
const REFUSAL_MS = 30_000;

/** One line on standard error that names the cause; nothing on standard output. */
function expectRefusal(result: CommandResult, codes: number[], cause: RegExp): void {
  const lines = result.stderr.split("\n").filter(Boolean);
  expect(lines.length, result.stderr).toBe(1);
  expect(lines[0]).toMatch(cause);
  expect(codes).toContain(result.code);
}

describe("end of a daemon", () => {
  it.each(["client", "server"])(
    "SIGTERM on the %s in mid-transfer: connections end well or are reset at both ends",
    async (name) => {
      const scenario = await Scenario.start({ topology: twoNetworks });
      const before = await scenario.lab.host(name).configuration();
      const other = name === "client" ? "server" : "client";
      for (const host of [other, name]) scenario.shunts.set(host, await startShunt(scenario.lab.host(host)));
      const family = name === "client" ? 4 : 6;
      const call = scenario.call({ up: 20 * MB, down: 20 * MB, timeoutSeconds: 30, family });
      await call.reached({ down: 5 * MB });
      const exit = await scenario.shunt(name).stop();
      expect(exit.code).toBe(0);
      const [here, there] = [await call.outcome(), (await scenario.transfers.ended(1))[0]];
      expect(here.firstError).toBe(-1);
      expect(there?.firstError).toBe(-1);
      if (!here.exact) {
        expect(here.error).toMatch(/ECONNRESET|EPIPE|ECONNABORTED/);
        expect(there?.error).toMatch(/ECONNRESET|EPIPE|ECONNABORTED/);
      } else {
        expect(there?.exact).toBe(true);
      }
      expect(await scenario.lab.host(name).configuration()).toBe(before);
    },
  );

  it("SIGTERM on the client, one path, a daemon at the other end: the transfer goes on as plain TCP", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks });
    const onlyWifi = { path: [{ name: "wifi", interface: "wifi" }], policy: { prefer: ["wifi"] } };
    for (const name of ["server", "client"]) {
      scenario.shunts.set(name, await startShunt(scenario.lab.host(name), onlyWifi));
    }
    const call = scenario.call({ up: 20 * MB, down: 20 * MB, timeoutSeconds: 60, family: 6 });
    await call.reached({ down: 5 * MB });
    const converted = await scenario.wire("wifi");
    expect((await scenario.shunt("client").stop()).code).toBe(0);
    await expectExact(scenario, await call.outcomes());
    expect(converted.forward.tcp.mptcp.dss, "it was MPTCP before").toBeGreaterThan(100);
    const { forward } = await scenario.wire("wifi");
    expect(forward.tcp.mptcp.mpFail, "the peer was asked").toBeGreaterThan(0);
    expect(forward.tcp.newPayloadBytes).toBeGreaterThan(15 * MB);
  });

  it("SIGTERM on the client, one path, a native server: both ends are reset", async () => {
    const scenario = await Scenario.start({ topology: nativeServer, nativeServer: true });
    const onlyWifi = { path: [{ name: "wifi", interface: "wifi" }], policy: { prefer: ["wifi"] } };
    scenario.shunts.set("client", await startShunt(scenario.client, onlyWifi));
    const call = scenario.call({ up: 20 * MB, down: 20 * MB, timeoutSeconds: 30 });
    await call.reached({ down: 5 * MB });
    expect((await scenario.shunt("client").stop()).code).toBe(0);
    const [here, there] = [await call.outcome(), (await scenario.transfers.ended(1))[0]];
    expect(here.error).toMatch(/ECONNRESET|EPIPE|ECONNABORTED/);
    expect(there?.error).toMatch(/ECONNRESET|EPIPE|ECONNABORTED/);
  });

  it("leaves an idle host as it found it, and frees its name for the next", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks });
    const before = await scenario.client.configuration();
    for (let round = 0; round < 2; round++) {
      const shunt = await startShunt(scenario.client);
      expect(await scenario.client.configuration()).not.toBe(before);
      expect((await shunt.stop()).code).toBe(0);
      expect(await scenario.client.configuration()).toBe(before);
    }
  });

  it("after SIGKILL new connections flow, and the next daemon cleans up", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks });
    const before = await scenario.client.configuration();
    const first = await startShunt(scenario.client);
    await first.program.stop("SIGKILL");
    const outcome = await scenario.call({ up: MB, down: MB, timeoutSeconds: 20 }).outcome();
    expect(outcome.exact).toBe(true);
    const second = await startShunt(scenario.client);
    expect((await second.stop()).code).toBe(0);
    expect(await scenario.client.configuration()).toBe(before);
  });
});

describe("refusals of shunt up", () => {
  async function refused(arrange: (scenario: Scenario) => string[]): Promise<CommandResult> {
    const scenario = await Scenario.start({ topology: twoNetworks });
    const before = await scenario.client.configuration();
    const args = arrange(scenario);
    const timeout = new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error("shunt up did not refuse")), REFUSAL_MS);
    });
    const result = await Promise.race([runShunt(scenario.client, ["up", ...args]), timeout]);
    expect(await scenario.client.configuration()).toBe(before);
    return result;
  }

  it("a missing configuration file", async () => {
    const result = await refused(({ client }) => [
      "-c",
      join(client.directory, "absent.toml"),
      "--socket",
      join(client.directory, "s"),
    ]);
    expectRefusal(result, [1, 2], /absent\.toml/);
  });

  it("a wrong configuration: file, line and key", async () => {
    const result = await refused(({ client }) => {
      const file = writeConfig(client, { ...defaultConfig(client), policy: { default: "fastest" } }, "wrong.toml");
      return ["-c", file, "--socket", join(client.directory, "s")];
    });
    expectRefusal(result, [1, 2], /wrong\.toml:\d+.*fastest/);
  });

  it("a missing interface", async () => {
    const result = await refused(({ client }) => {
      const path = [{ name: "wifi", interface: "wlan7" }];
      const file = writeConfig(client, { ...defaultConfig(client), path, policy: {} }, "missing.toml");
      return ["-c", file, "--socket", join(client.directory, "s")];
    });
    expectRefusal(result, [1, 2], /wlan7/);
  });

  it("a second daemon on the same queue, which does not disturb the first", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks, shunt: { client: {}, server: {} } });
    const before = await scenario.client.configuration();
    const file = writeConfig(scenario.client, defaultConfig(scenario.client), "second.toml");
    const socket = join(scenario.client.directory, "second.sock");
    const result = await runShunt(scenario.client, ["up", "-c", file, "--socket", socket]);
    expectRefusal(result, [1], /queue/i);
    expect(await scenario.client.configuration()).toBe(before);
    expect((await scenario.call({ up: MB, down: MB }).outcome()).exact).toBe(true);
    expect((await scenario.wire("wifi")).forward.tcp.mptcp.dss).toBeGreaterThan(0);
  });
});
