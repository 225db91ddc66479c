// Middleboxes on one of two paths, or from the middle of a connection on: the subflow goes or the connection falls
// back, the stream is whole.

import { describe, expect, it } from "vitest";
import type { Outcome } from "./apps/transfer.ts";
import {
  type Boxes,
  bothProxied,
  CASTS,
  clear,
  expectLetGo,
  fromNative,
  put,
  toNative,
  withoutStandby,
} from "./boxes.ts";
import { until } from "./mobility.ts";
import { expectCarried, expectExact, expectNativeContent, hurry, Scenario, untilCarried } from "./scenario.ts";

const MB = 1_000_000;
/** Enough that a paced sender is still there when all has happened that has to. */
const PATIENT = { up: 6 * MB, down: 0.2 * MB, rate: MB };
/** What has to cross a network before something happens, or after, bytes. */
const PART = 0.4 * MB;
const ALL: Boxes = { forward: { strip: ["all"] }, backward: { strip: ["all"] } };
const DIRECTIONS: [string, Boxes][] = [
  ["both", ALL],
  ["forward", { forward: { strip: ["all"] } }],
  ["backward", { backward: { strip: ["all"], stripMode: "remove" } }],
];

/** RSTs that entered a network, both directions. */
async function resets(scenario: Scenario, network: string): Promise<number> {
  const { forward, backward } = await scenario.wire(network);
  return forward.tcp.rst + backward.tcp.rst;
}

const JOIN_STRIPPED: [string, Boxes][] = [
  ["the JOIN SYN's option", { forward: { strip: ["syn"] } }],
  ["the SYN/ACK's", { backward: { strip: ["synAck"], stripMode: "remove" } }],
  ["the third ACK's", { forward: { strip: ["thirdAck"] } }],
  ["the fourth ACK's and all later ones", { backward: { strip: ["ack", "data"] } }],
  ["every one", ALL],
];

describe.each(CASTS)("%s", (_, { options, native }) => {
  it("N-94 a middlebox takes options away on the second path: RST there, the connection goes on", async () => {
    const scenario = await Scenario.start(options);
    const outcomes: Outcome[] = [];
    for (const [index, [name, boxes]] of JOIN_STRIPPED.entries()) {
      await put(scenario, "ethernet", boxes);
      const call = scenario.call({ ...PATIENT, native, family: index % 2 ? 4 : 6, seed: 10 * index });
      await until(`a join without ${name}, and its RST`, async () => {
        const { mpJoin = 0 } = (await scenario.wire("ethernet")).forward.tcp.mptcp;
        return mpJoin > 0 && (await resets(scenario, "ethernet")) > 0;
      });
      const { forward, backward } = await scenario.wire("ethernet");
      expect(forward.stripped + backward.stripped, name).toBeGreaterThan(0);
      expect(forward.tcp.newPayloadBytes + backward.tcp.newPayloadBytes, name).toBe(0);
      hurry(scenario, [call]);
      outcomes.push(...(await call.outcomes()));
      await expectExact(scenario, outcomes);
      await expectCarried(scenario, "wifi", { up: PATIENT.up, down: PATIENT.down });
    }
  });

  it("N-94 options vanish on the path in use, there is another: RST there, the connection goes on", async () => {
    const scenario = await Scenario.start(options);
    const outcomes: Outcome[] = [];
    for (const [family, way] of [
      [4, "up"],
      [6, "down"],
    ] as const) {
      await clear(scenario, "wifi");
      const call = scenario.call({ [way]: 6 * MB, rate: MB, native, family, seed: family });
      await scenario.joined(native ? "server" : "client");
      await untilCarried(scenario, "wifi", { [way]: PART });
      await put(scenario, "wifi", ALL);
      await untilCarried(scenario, "ethernet", { [way]: PART });
      await until("RST on the path that is left", async () => (await resets(scenario, "wifi")) > 0);
      hurry(scenario, [call]);
      outcomes.push(...(await call.outcomes()));
      await expectExact(scenario, outcomes);
      await expectCarried(scenario, "ethernet", { [way]: PART });
    }
    if (options.nativeServer) await expectNativeContent(scenario.server);
  });

  it("a path whose SYNs lose window scale and SACK carries a connection all the same", async () => {
    const daemon = native ? "server" : "client";
    const scenario = await Scenario.start(options);
    const plain = { stripSynKinds: [3, 4] };
    await put(scenario, "ethernet", { forward: plain, backward: plain });
    const call = scenario.call({ up: 4 * MB, down: 4 * MB, rate: MB, native, family: 6 });
    await scenario.joined(daemon);
    await untilCarried(scenario, "wifi", { up: PART, down: PART });
    await scenario.shunt(daemon).handover("ethernet", "--all");
    await untilCarried(scenario, "ethernet", { up: PART, down: PART });
    hurry(scenario, [call]);
    await expectExact(scenario, await call.outcomes());
    await expectCarried(scenario, "ethernet", { up: PART, down: PART });
    const { forward, backward } = await scenario.wire("ethernet");
    expect(forward.stripped + backward.stripped).toBeGreaterThan(0);
    for (const { tcp } of [forward, backward]) expect(tcp.optionKinds["5"] ?? 0, "SACK blocks").toBe(0);
  });

  it("a box lowers the MSS below the host's: segments are cut to what fits, no black hole", async () => {
    const daemon = native ? "server" : "client";
    const scenario = await Scenario.start(options);
    const narrow = { mssClamp: 1300, mtu: 1340, mtuIcmp: false };
    await put(scenario, "ethernet", { forward: narrow, backward: narrow });
    const call = scenario.call({ up: 4 * MB, down: 4 * MB, rate: MB, native });
    await scenario.joined(daemon);
    await untilCarried(scenario, "wifi", { up: PART, down: PART });
    await scenario.shunt(daemon).handover("ethernet", "--all");
    await untilCarried(scenario, "ethernet", { up: PART, down: PART });
    hurry(scenario, [call]);
    await expectExact(scenario, await call.outcomes());
    await expectCarried(scenario, "ethernet", { up: PART, down: PART });
    const { forward, backward } = await scenario.wire("ethernet");
    expect(forward.drops.mtu + backward.drops.mtu).toBe(0);
  });
});

describe("options vanish in mid-stream on the only path there ever was", () => {
  type Way = "up" | "down";
  const ways: Way[] = ["up", "down"];

  /** A transfer one way that loses its options when a part of it is through; what comes of it is `then`'s business. */
  async function vanish(
    scenario: Scenario,
    call: Parameters<Scenario["call"]>[0],
    way: Way,
    boxes: Boxes,
    then: (rest: () => Promise<Outcome[]>) => Promise<void>,
  ): Promise<void> {
    await clear(scenario, "wifi");
    const transfer = scenario.call({ ...call, [way]: 5 * MB, rate: 1.5 * MB });
    await untilCarried(scenario, "wifi", { [way]: PART });
    await put(scenario, "wifi", boxes);
    await then(() => {
      hurry(scenario, [transfer]);
      return transfer.outcomes();
    });
  }

  /** It goes on as plain TCP. */
  async function expectPlain(scenario: Scenario, way: Way, rest: () => Promise<Outcome[]>): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    await untilCarried(scenario, "wifi", { [way]: PART });
    await expectLetGo(scenario, "wifi", async () => outcomes.push(...(await rest())));
    return outcomes;
  }

  it.each(ways)("both ends proxied, %s: plain TCP", async (way) => {
    const scenario = await Scenario.start(withoutStandby(bothProxied).options);
    const outcomes: Outcome[] = [];
    for (const [index, [, boxes]] of DIRECTIONS.entries()) {
      const family = index % 2 ? 6 : 4;
      await vanish(scenario, { family, seed: 10 * index }, way, boxes, async (rest) => {
        outcomes.push(...(await expectPlain(scenario, way, rest)));
        await expectExact(scenario, outcomes);
      });
    }
  });

  // What a Linux kernel receives tells it. What it sends does not: it knows of no end that must fall back.
  it.each([
    ["native server", toNative, "up"],
    ["native client", fromNative, "down"],
  ] as const)("%s receives: plain TCP", async (_, cast, way) => {
    const path = [{ name: "wifi", interface: "wifi" }];
    const only = { path, policy: { prefer: ["wifi"], advertise: false } };
    const shunt = cast.native ? { server: only } : { client: only };
    const scenario = await Scenario.start({ ...cast.options, shunt });
    const outcomes: Outcome[] = [];
    for (const [index, [, boxes]] of DIRECTIONS.entries()) {
      const family = index % 2 ? 6 : 4;
      await vanish(scenario, { family, seed: 10 * index, native: cast.native }, way, boxes, async (rest) => {
        outcomes.push(...(await expectPlain(scenario, way, rest)));
        await expectExact(scenario, outcomes);
      });
    }
  });

  it("native server sends: RST on the path, another is joined", async () => {
    const scenario = await Scenario.start(withoutStandby(toNative).options);
    const outcomes: Outcome[] = [];
    for (const [index, [direction, boxes]] of DIRECTIONS.entries()) {
      const family = index % 2 ? 6 : 4;
      await vanish(scenario, { family, seed: 10 * index }, "down", boxes, async (rest) => {
        await untilCarried(scenario, "ethernet", { down: PART });
        expect((await scenario.wire("wifi")).forward.tcp.rst, direction).toBeGreaterThan(0);
        outcomes.push(...(await rest()));
        await expectExact(scenario, outcomes);
        await expectCarried(scenario, "ethernet", { down: PART });
      });
    }
    await expectNativeContent(scenario.server);
  });
});
