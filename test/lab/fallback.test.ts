// Peers and paths that know nothing of MPTCP: a proxied connection is then an ordinary one.

import { describe, expect, it } from "vitest";
import type { Counters } from "./emulator.ts";
import { expectExact, Scenario } from "./scenario.ts";
import { twoNetworks } from "./topology.ts";

const MB = 1_000_000;
/** Options that plain TCP sends after its handshake: NOP, SACK blocks, timestamps. */
const PLAIN_OPTIONS = ["1", "5", "8"];

function expectPlain({ tcp }: Counters): void {
  expect(tcp.withMptcpAfterSyn).toBe(0);
  expect(Object.keys(tcp.optionKinds).filter((kind) => !PLAIN_OPTIONS.includes(kind))).toEqual([]);
  expect(tcp.badChecksum).toBe(0);
  expect(tcp.rst).toBe(0);
}

describe.each([4, 6] as const)("fallback over IPv%i", (family) => {
  it.each([
    ["server", "client"],
    ["client", "server"],
  ])(
    "the %s has no MPTCP: its bytes are exact, and after the handshake the wire shows plain TCP",
    async (_, proxied) => {
      const scenario = await Scenario.start({ topology: twoNetworks, shunt: { [proxied]: {} } });
      const call = scenario.call({ up: 5 * MB, down: 5 * MB, count: 3, family });
      await expectExact(scenario, await call.outcomes());
      const { forward, backward } = await scenario.wire("wifi");
      expectPlain(forward);
      expectPlain(backward);
      // The test would prove nothing if the daemon had not offered MPTCP at all.
      if (proxied === "client") expect(forward.tcp.mptcp.mpCapable).toBeGreaterThanOrEqual(3);
      const ethernet = await scenario.wire("ethernet");
      expect(ethernet.forward.tcp.segments + ethernet.backward.tcp.segments).toBe(0);
    },
  );

  it.each([
    ["the SYN's", "syn", "forward"],
    ["the SYN/ACK's", "synAck", "backward"],
    ["the third ACK's and all later", "all", "forward"],
  ] as const)("a middlebox takes out %s option", async (_, kind, direction) => {
    const scenario = await Scenario.start({ topology: twoNetworks, shunt: { client: {}, server: {} } });
    const strip = kind === "all" ? (["thirdAck", "data", "ack"] as const) : ([kind] as const);
    await scenario.lab.emulator.set("wifi", { strip: [...strip] }, direction);
    await expectExact(scenario, await scenario.call({ up: 3 * MB, down: 3 * MB, family }).outcomes());
    const { [direction]: counters } = await scenario.wire("wifi");
    expect(counters.stripped).toBeGreaterThan(0);
  });
});
