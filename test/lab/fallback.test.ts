// Peers and paths that know nothing of MPTCP: a proxied connection becomes an ordinary one, and its packets stay in the
// kernel.

import { describe, expect, it } from "vitest";
import type { Outcome } from "./apps/transfer.ts";
import { type Boxes, CASTS, expectLetGo, put } from "./boxes.ts";
import { expectExact, hurry, Scenario, untilCarried } from "./scenario.ts";
import { twoNetworks } from "./topology.ts";
import type { Transfer } from "./transfer.ts";

const MB = 1_000_000;
/** Both directions at once; when this part of it is over a connection must have fallen back. The rest is hurried. */
const AMOUNT = { up: 3 * MB, down: 3 * MB, rate: MB };
const PART = { up: 0.3 * MB, down: 0.3 * MB };
/** Options that plain TCP sends after its handshake: NOP, SACK blocks, timestamps. */
const PLAIN_OPTIONS = ["1", "5", "8"];

/** The rest of `calls`, in a hurry. */
async function rest(scenario: Scenario, calls: readonly Transfer[]): Promise<Outcome[]> {
  hurry(scenario, calls);
  return (await Promise.all(calls.map((call) => call.outcomes()))).flat();
}

describe("a peer without MPTCP", () => {
  it.each([
    ["server", "client"],
    ["client", "server"],
  ])("N-97 the %s: its bytes are exact, and after the handshake no packet enters userspace", async (_, proxied) => {
    const scenario = await Scenario.start({ topology: twoNetworks, shunt: { [proxied]: {} } });
    const calls = ([4, 6] as const).map((family) => scenario.call({ ...AMOUNT, family, seed: 10 * family }));
    await untilCarried(scenario, "wifi", { up: 2 * PART.up, down: 2 * PART.down });
    const { forward, backward } = await scenario.wire("wifi");
    // The test would prove nothing if the daemon had not offered MPTCP at all.
    if (proxied === "client") expect(forward.tcp.mptcp.mpCapable).toBeGreaterThanOrEqual(2);
    for (const { tcp } of [forward, backward]) {
      expect(tcp.withMptcpAfterSyn).toBe(0);
      expect(Object.keys(tcp.optionKinds).filter((kind) => !PLAIN_OPTIONS.includes(kind))).toEqual([]);
    }
    const outcomes: Outcome[] = [];
    await expectLetGo(scenario, "wifi", async () => outcomes.push(...(await rest(scenario, calls))));
    await expectExact(scenario, outcomes);
    const ethernet = await scenario.wire("ethernet");
    expect(ethernet.forward.tcp.segments + ethernet.backward.tcp.segments).toBe(0);
  });
});

const ONLY_DATA = "those of all data";
/** What a middlebox takes away from the beginning. */
const STRIPPED: [string, Boxes][] = [
  ["the SYN's option", { forward: { strip: ["syn"] } }],
  ["the SYN/ACK's", { backward: { strip: ["synAck"], stripMode: "remove" } }],
  ["the third ACK's", { forward: { strip: ["thirdAck"] } }],
  ["the third ACK's and all later ones", { forward: { strip: ["thirdAck", "data", "ack"], stripMode: "remove" } }],
  [ONLY_DATA, { forward: { strip: ["data"] }, backward: { strip: ["data"] } }],
  ["every one", { forward: { strip: ["all"] }, backward: { strip: ["all"] } }],
];

describe.each(CASTS)("%s", (_, { options, native }) => {
  it("N-93 a middlebox takes options away from the beginning: plain TCP, the stream is whole", async () => {
    const scenario = await Scenario.start(options);
    const outcomes: Outcome[] = [];
    // A Linux client that has had its DATA_ACK may stand still then (docs/decisions/0009).
    const cases = STRIPPED.filter(([name]) => !(native && name === ONLY_DATA));
    for (const [index, [name, boxes]] of cases.entries()) {
      await put(scenario, "wifi", boxes);
      const call = scenario.call({
        ...AMOUNT,
        native,
        family: index % 2 ? 6 : 4,
        seed: 10 * index,
        timeoutSeconds: 20,
      });
      await untilCarried(scenario, "wifi", PART);
      const { forward, backward } = await scenario.wire("wifi");
      expect(forward.stripped + backward.stripped, name).toBeGreaterThan(0);
      await expectLetGo(scenario, "wifi", async () => outcomes.push(...(await rest(scenario, [call]))));
      await expectExact(scenario, outcomes);
    }
  });

  it("N-15 SYNs with an option get no answer: later ones have none, and the connection is plain TCP", async () => {
    const scenario = await Scenario.start(options);
    const outcomes: Outcome[] = [];
    // A Linux server repeats its first SYN/ACK, option and all, whatever the SYN that comes again looks like.
    const both = options.shunt?.client && options.shunt.server;
    for (const direction of both ? (["forward", "backward"] as const) : (["forward"] as const)) {
      await put(scenario, "wifi", { [direction]: { dropMptcpSyn: true } });
      const calls = ([4, 6] as const).map((family) => scenario.call({ ...AMOUNT, native, family, timeoutSeconds: 30 }));
      await untilCarried(scenario, "wifi", { up: 2 * PART.up, down: 2 * PART.down });
      const wire = await scenario.wire("wifi");
      expect(wire[direction].drops.syn).toBeGreaterThanOrEqual(2 * 3); // the first and two repetitions
      await expectLetGo(scenario, "wifi", async () => outcomes.push(...(await rest(scenario, calls))));
      await expectExact(scenario, outcomes);
    }
  });
});
