// The lab itself, without any daemon: a test bed that lies makes every other test worthless.

import { statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { longestGapMs } from "./gaps.ts";
import { expectExact, expectNativeContent, Scenario } from "./scenario.ts";
import { bare, nativeServer, twoNetworks, withPaths } from "./topology.ts";
import { countWire, readWire } from "./wire-counters.ts";

const MB = 1_000_000;

describe("lab", () => {
  it("plain TCP crosses both networks in both families, byte-exact, and without MPTCP on the wire", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks });
    const calls = [
      scenario.call({ up: 2 * MB, down: MB }),
      scenario.call({ up: MB, down: 2 * MB, network: "ethernet", family: 6 }),
    ];
    const outcomes = (await Promise.all(calls.map((call) => call.outcomes()))).flat();
    await expectExact(scenario, outcomes);
    for (const [network, up, down] of [
      ["wifi", 2, 1],
      ["ethernet", 1, 2],
    ] as const) {
      const { forward, backward } = await scenario.wire(network);
      expect(forward.tcp.newPayloadBytes).toBeGreaterThanOrEqual(up * MB);
      expect(backward.tcp.newPayloadBytes).toBe(down * MB);
      expect(forward.tcp.withMptcp + backward.tcp.withMptcp).toBe(0);
      expect(forward.tcp.badChecksum + backward.tcp.badChecksum + forward.drops.oversize).toBe(0);
    }
  });

  it("the emulator delays, limits and loses", async () => {
    const paths = { wifi: { delayMs: 50, rateMbit: 20, lossPercent: 2 } };
    const scenario = await Scenario.start({ topology: withPaths(twoNetworks, paths), seed: 3 });
    const outcome = await scenario.call({ down: 3 * MB }).outcome();
    await expectExact(scenario, [outcome]);
    const { backward } = await scenario.wire("wifi");
    expect(backward.drops.loss).toBeGreaterThan(0);
    expect(outcome.seconds).toBeGreaterThan((3 * 8) / 20); // 3 MB at 20 Mbit/s, at best.
    expect(backward.tcp.newPayloadBytes).toBe(3 * MB);
  });

  it("a blackhole stops everything, and its end lets it go on", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks });
    const call = scenario.call({ down: 4 * MB });
    await call.reached({ down: MB });
    await scenario.lab.emulator.set("wifi", { blackhole: true });
    const before = (await scenario.wire("wifi")).backward.out.payloadBytes;
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect((await scenario.wire("wifi")).backward.out.payloadBytes - before).toBeLessThan(MB); // What was on its way.
    await scenario.lab.emulator.set("wifi", { blackhole: false });
    await expectExact(scenario, await call.outcomes());
    expect((await scenario.wire("wifi")).backward.drops.blackhole).toBeGreaterThan(0);
  });

  it("native MPTCP uses both networks; with the SYN's option stripped it falls back", async () => {
    const scenario = await Scenario.start({
      topology: { ...nativeServer, nativeMptcp: { client: "join", server: "announce" } },
      nativeServer: true,
    });
    await expectExact(scenario, await scenario.call({ down: 10 * MB, native: true }).outcomes());
    const used = await Promise.all(["wifi", "ethernet"].map((network) => scenario.wire(network)));
    for (const { backward } of used) expect(backward.tcp.newPayloadBytes).toBeGreaterThan(MB);
    expect(used[1]?.forward.tcp.mptcp.mpJoin).toBeGreaterThan(0);
    await expectNativeContent(scenario.client);

    await scenario.lab.emulator.set("wifi", { strip: ["syn"], stripMode: "remove" }, "forward");
    await scenario.lab.emulator.reset();
    await scenario.call({ down: MB, native: true }).outcomes();
    const { forward, backward } = await scenario.wire("wifi");
    expect(forward.stripped).toBeGreaterThan(0);
    expect(backward.tcp.mptcp.mpCapable ?? 0).toBe(0);
    const flows = (await scenario.lab.emulator.flows("wifi")).backward.filter((flow) => flow.payloadBytes > 0);
    expect(flows.map((flow) => flow.withMptcp)).toEqual([0]);
  });

  it("middleboxes that cut, renumber and translate leave plain TCP's bytes alone; a rebound translator does not", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks });
    await scenario.lab.emulator.set("wifi", { splitBytes: 500, randomiseSequence: true });
    await scenario.lab.emulator.nat("wifi", "10.0.1.77");
    await expectExact(scenario, await scenario.call({ up: 2 * MB, down: 2 * MB }).outcomes());
    const { backward } = await scenario.wire("wifi");
    // A full segment becomes three; acknowledgements, of which there may be any number, stay as they are.
    expect(backward.out.packets - backward.in.packets).toBeGreaterThan((2 * 2 * MB * 0.9) / 1448);
    const flows = await scenario.lab.emulator.flows("wifi");
    expect(flows.forward[0]?.source).toMatch(/^10\.0\.1\.77:2\d{4}$/);
    const call = scenario.call({ down: 20 * MB, timeoutSeconds: 3 });
    await call.reached({ down: MB });
    await scenario.lab.emulator.nat("wifi", "10.0.1.77");
    expect((await call.outcome()).exact).toBe(false);
    expect((await scenario.wire("wifi")).backward.drops.nat).toBeGreaterThan(0);
  });

  it("a capture holds what crossed", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks });
    const file = join(scenario.lab.directory, "wifi.pcap");
    await scenario.lab.emulator.capture("wifi", file);
    await scenario.call({ down: MB }).outcomes();
    await scenario.lab.emulator.capture("wifi");
    expect(statSync(file).size).toBeGreaterThan(MB);
  });

  it("kernel counters on a bare wire agree with what was transferred, super-packets or not", async () => {
    const scenario = await Scenario.start({ topology: bare });
    await countWire(scenario.client, "ethernet");
    await expectExact(
      scenario,
      await scenario.call({ up: 20 * MB, down: 5 * MB, network: "ethernet", family: 6 }).outcomes(),
    );
    const { in: received, out: sent } = await readWire(scenario.client, "ethernet");
    const slack = 0.5 * MB; // The order, and retransmissions.
    for (const [traffic, bytes] of [
      [received, 5 * MB],
      [sent, 20 * MB],
    ] as const) {
      expect(traffic.plain.payloadBytes).toBeGreaterThanOrEqual(bytes);
      expect(traffic.plain.payloadBytes).toBeLessThan(bytes + slack);
    }
    expect(sent.mptcp.packets + received.mptcp.packets).toBe(0);
  });

  it("restores what it finds: a host's configuration is text that can be compared", async () => {
    const scenario = await Scenario.start({ topology: bare });
    const before = await scenario.client.configuration();
    await scenario.client.exec(["ip", "rule", "add", "from", "10.0.9.1", "lookup", "99"]);
    expect(await scenario.client.configuration()).not.toBe(before);
    await scenario.client.exec(["ip", "rule", "delete", "from", "10.0.9.1", "lookup", "99"]);
    expect(await scenario.client.configuration()).toBe(before);
  });
});

describe("gaps", () => {
  const arrivals = [0n, 20n, 40n, 140n, 160n].map((ms, index) => ({ index, sentNs: 0n, arrivedNs: ms * 1_000_000n }));
  const at = (ms: number): bigint => BigInt(ms) * 1_000_000n;

  it("counts a gap that ends in the window, and silence that lasts to its end", () => {
    expect(longestGapMs(arrivals, at(30), at(160))).toBe(100);
    expect(longestGapMs(arrivals, at(100), at(160))).toBe(100);
    expect(longestGapMs(arrivals, at(145), at(160))).toBe(20);
    expect(longestGapMs(arrivals, at(150), at(400))).toBe(240);
    expect(longestGapMs(arrivals, at(200), at(400))).toBe(240);
    expect(longestGapMs([], at(0), at(1))).toBe(Number.POSITIVE_INFINITY);
  });
});
