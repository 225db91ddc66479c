// What a Linux kernel that speaks MPTCP itself does on rare days: closed windows, ends without a farewell, cookies
// instead of state, plain TCP where its SYNs are lost, and numbers of eight octets.

import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { option } from "../packet.ts";
import { readCapture } from "./capture.ts";
import type { Direction } from "./emulator.ts";
import { until } from "./mobility.ts";
import {
  amountFrom,
  counter,
  PAIRINGS,
  type Pairing,
  proxiedClient,
  proxiedServer,
  receiveOnAll,
  scenarioOf,
  sysctl,
  untilCounter,
  withoutStandby,
} from "./native.ts";
import { expectCarried, expectExact, expectNativeContent, Scenario, untilCarried } from "./scenario.ts";
import type { Transfer } from "./transfer.ts";

const MB = 1_000_000;
const EVEN = { delayMs: 5, rateMbit: 40, queueMs: 50 };
const RESET = /^(ECONNRESET|EPIPE)$/;
/** Longer than a round trip with a full queue on either network, ms. */
const QUIET_MS = 500;

/** The program at one end of a transfer. */
function programAt(scenario: Scenario, end: "client" | "server", call: Transfer) {
  return end === "client" ? call.program : scenario.transfers.program;
}

/** Waits until no payload crosses the networks any more. */
async function untilQuiet(scenario: Scenario, direction: Direction): Promise<void> {
  const payload = async (): Promise<number> => {
    const wires = await Promise.all(["wifi", "ethernet"].map((network) => scenario.wire(network)));
    return wires.reduce((sum, wire) => sum + wire[direction].tcp.newPayloadBytes, 0);
  };
  await until("the window is full", async () => {
    const before = await payload();
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    return before > 0 && (await payload()) === before;
  });
}

describe.each(PAIRINGS)("%s", (_, pairing) => {
  const native = (scenario: Scenario) => scenario.lab.host(pairing.native);

  it("the proxied program does not read: the native end probes the closed window, on both paths", async () => {
    const scenario = await Scenario.start(scenarioOf(pairing, receiveOnAll, EVEN));
    const call = scenario.call({ ...amountFrom(pairing, "native", 30 * MB), ...pairing.call });
    await untilQuietWith(scenario, pairing, "proxied", call);
    await untilCounter(native(scenario), "WinProbe");
    programAt(scenario, pairing.proxied, call).signal("SIGCONT");
    await expectExact(scenario, await call.outcomes());
    for (const network of ["wifi", "ethernet"]) {
      await expectCarried(scenario, network, amountFrom(pairing, "native", MB));
    }
    await expectNativeContent(native(scenario));
  });

  it("the native program does not read: the proxied host probes the closed window", async () => {
    const scenario = await Scenario.start(scenarioOf(pairing));
    const call = scenario.call({ ...amountFrom(pairing, "proxied", 30 * MB), ...pairing.call });
    await untilQuietWith(scenario, pairing, "native", call);
    const proxied = scenario.lab.host(pairing.proxied);
    const probes = async () => (await proxied.kernelCounters()).TcpExtTCPWinProbe ?? 0;
    await until("the host has probed twice", async () => (await probes()) >= 2);
    programAt(scenario, pairing.native, call).signal("SIGCONT");
    await expectExact(scenario, await call.outcomes());
    await expectCarried(scenario, "wifi", amountFrom(pairing, "proxied", 20 * MB));
    await expectNativeContent(native(scenario));
  });

  it("the native program is killed with octets unread: MP_FASTCLOSE resets the proxied one", async () => {
    const scenario = await Scenario.start(scenarioOf(pairing));
    const call = scenario.call({ ...amountFrom(pairing, "proxied", 30 * MB), ...pairing.call });
    await scenario.joined(pairing.proxied);
    await untilQuietWith(scenario, pairing, "native", call);
    programAt(scenario, pairing.native, call).signal("SIGKILL");
    expect(await errorAt(scenario, pairing.proxied, call)).toMatch(RESET);
    await expectNativeContent(native(scenario), "MPFastcloseTx");
    expect((await scenario.shunt(pairing.proxied).counters()).fastclose_received).toBeGreaterThan(0);
    await expectReset(scenario);
  });

  it("the proxied program is killed with octets unread: MP_FASTCLOSE resets the native one", async () => {
    const scenario = await Scenario.start(scenarioOf(pairing));
    const call = scenario.call({ ...amountFrom(pairing, "native", 30 * MB), ...pairing.call });
    await scenario.joined(pairing.proxied);
    await untilQuietWith(scenario, pairing, "proxied", call);
    programAt(scenario, pairing.proxied, call).signal("SIGKILL");
    expect(await errorAt(scenario, pairing.native, call)).toMatch(RESET);
    await expectNativeContent(native(scenario), "MPFastcloseRx");
    await expectReset(scenario);
  });

  // It numbers its data with 8 octets always, and acknowledges with 8 where it was sent as many, or MP_CAPABLE.
  it("the kernel's data has DSNs of 8 octets, its DATA_ACKs answer ours of 4", async () => {
    const scenario = await Scenario.start(scenarioOf(pairing));
    const file = join(scenario.lab.directory, "wifi.pcap");
    await scenario.lab.emulator.capture("wifi", file);
    await expectExact(scenario, await scenario.call({ up: MB, down: MB, ...pairing.call }).outcomes());
    await scenario.lab.emulator.capture("wifi");
    const own = readCapture(file).filter(({ src }) => src === native(scenario).address("wifi"));
    const options = own.map((segment) => option(segment, "dss")).filter((dss) => dss !== undefined);
    expect(new Set(options.filter(({ dsn }) => dsn !== undefined).map(({ dsnOctets }) => dsnOctets))).toEqual(
      new Set([8]),
    );
    const danOctets = options.filter(({ dan }) => dan !== undefined).map((dss) => dss.danOctets);
    expect(new Set(danOctets)).toEqual(new Set(pairing === proxiedClient ? [4, 8] : [4]));
  });

  it.each([
    ["the SYN is lost once, and MPTCP comes about all the same", "forward", 1],
    ["its SYNs are lost until it tries without MPTCP", "forward", 3],
    ["the SYN/ACKs are lost until it tries without MPTCP", "backward", 4],
  ] as const)("%s", async (_, direction, syns) => {
    const scenario = await Scenario.start(scenarioOf(pairing));
    await meetNeighbour(scenario);
    await scenario.lab.emulator.set("wifi", { blackhole: true }, direction);
    const call = scenario.call({ up: 3 * MB, down: 3 * MB, ...pairing.call });
    await until(`${syns} SYNs`, async () => (await scenario.wire("wifi")).forward.tcp.syn >= syns);
    await scenario.lab.emulator.set("wifi", { blackhole: false }, direction);
    await expectExact(scenario, await call.outcomes());
    const { forward, backward } = await scenario.wire("wifi");
    expect(forward.tcp.mptcp.mpCapable).toBeGreaterThanOrEqual(Math.min(syns, 3));
    const converted = [forward, backward].map(({ tcp }) => tcp.withMptcpAfterSyn);
    if (syns === 1) {
      expect(Math.min(...converted)).toBeGreaterThan(0);
      await expectNativeContent(native(scenario));
    } else {
      expect(converted).toEqual([0, 0]);
    }
  });
});

/** Both ends find each other's link address now: what is lost afterwards is not that. */
async function meetNeighbour({ client, server }: Scenario): Promise<void> {
  await client.exec(["bash", "-c", `echo > /dev/udp/${server.address("wifi")}/9`]);
  await until("the neighbour is known", async () =>
    (await client.exec(["ip", "neighbour", "show", "dev", "wifi"])).includes("REACHABLE"),
  );
}

/** One end's program stops reading as soon as the connection stands; waits until the other can send no more. */
async function untilQuietWith(
  scenario: Scenario,
  pairing: Pairing,
  end: "native" | "proxied",
  call: Transfer,
): Promise<void> {
  const direction = end === "native" ? pairing.toNative : pairing.toProxied;
  await until("2 MB", async () => (await scenario.wire("wifi"))[direction].tcp.newPayloadBytes >= 2 * MB);
  programAt(scenario, pairing[end], call).signal("SIGSTOP");
  await untilQuiet(scenario, direction);
}

/** How one end's program saw the connection end. */
async function errorAt(scenario: Scenario, end: "client" | "server", call: Transfer): Promise<string> {
  const outcome = end === "client" ? await call.outcome() : (await scenario.transfers.ended(1))[0];
  return `${outcome?.error}`;
}

/** Every subflow ended with RST. */
async function expectReset(scenario: Scenario): Promise<void> {
  for (const network of ["wifi", "ethernet"]) {
    const { forward, backward } = await scenario.wire(network);
    expect(forward.tcp.rst + backward.tcp.rst, `RST on ${network}`).toBeGreaterThan(0);
  }
}

describe.each(PAIRINGS)("SYN cookies of the server: %s", (_, pairing) => {
  it("every connection and every subflow comes about", async () => {
    const scenario = await Scenario.start(scenarioOf(pairing, withoutStandby, EVEN));
    const native = scenario.lab.host(pairing.native);
    await sysctl(scenario.server, "net.ipv4.tcp_syncookies=2");
    const short = scenario.call({ up: 10_000, down: 10_000, count: 40, parallel: 10, ...pairing.call });
    await short.outcomes();
    const long = scenario.call({ up: 6 * MB, down: 6 * MB, rate: 2 * MB, ...pairing.call });
    await untilCarried(scenario, "wifi", { up: 2 * MB, down: 2 * MB });
    await scenario.shunt(pairing.proxied).handover("ethernet", "--all");
    await expectExact(scenario, [...(await short.outcomes()), ...(await long.outcomes())]);
    await expectCarried(scenario, "ethernet", { up: MB, down: MB });
    expect(await counter(native, pairing.native === "server" ? "MPCapableACKRX" : "MPCapableSYNACKRX")).toBe(41);
    // A joined subflow of a native server needs a cookie, too; we keep what we know of ours.
    const cookies = (await scenario.server.kernelCounters()).TcpExtSyncookiesRecv ?? 0;
    expect(cookies).toBeGreaterThanOrEqual(pairing.native === "server" ? 42 : 41);
    await expectNativeContent(native);
  });
});

it("a native client that has met such a network leaves MPTCP alone for a while: plain TCP passes", async () => {
  const scenario = await Scenario.start(scenarioOf(proxiedServer));
  const settings = ["blackhole_timeout=3600", "syn_retrans_before_tcp_fallback=1"];
  await sysctl(scenario.client, ...settings.map((setting) => `net.mptcp.${setting}`));
  await meetNeighbour(scenario);
  await scenario.lab.emulator.set("wifi", { blackhole: true });
  const first = scenario.call({ up: MB, down: MB, native: true });
  await until("its SYNs are lost", async () => (await scenario.wire("wifi")).forward.tcp.syn >= 2);
  await scenario.lab.emulator.set("wifi", { blackhole: false });
  const outcomes = await first.outcomes();
  const second = scenario.call({ up: MB, down: MB, native: true });
  await expectExact(scenario, [...outcomes, ...(await second.outcomes())]);
  await expectNativeContent(scenario.client, "Blackhole", "MPCapableSYNTXDisabled", "MPCapableSYNTXDrop");
  const { forward, backward } = await scenario.wire("wifi");
  expect([forward.tcp.withMptcpAfterSyn, backward.tcp.withMptcpAfterSyn]).toEqual([0, 0]);
  expect(forward.tcp.mptcp.mpCapable).toBe(2);
});
