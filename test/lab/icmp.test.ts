// Paths that take less than the interfaces before them: routers and the own kernel say so by ICMP, about packets that
// the host has never sent in this form. The emulator is the router.

import { describe, expect, it } from "vitest";
import * as p from "../packet.ts";
import { routerError } from "../packet-icmp.ts";
import type { Direction, Traffic } from "./emulator.ts";
import type { Host } from "./host.ts";
import { until } from "./mobility.ts";
import { expectCarried, expectExact, expectNativeContent, Scenario, untilCarried } from "./scenario.ts";
import { nativeServer, type Topology, twoNetworks, withPaths } from "./topology.ts";

const MB = 1_000_000;
const shunt = { client: {}, server: {} };
/** What a data segment grows by; the opener's first ones carry MP_CAPABLE. */
const GROWTH = 20;
const GROWTH_FIRST = 24;
/** Too long packets that a router may see of one connection: what is in flight when it moves, not a stream of them. */
const REFUSED_MAX = 400;

/** Which way the data goes, who sends it, and how the emulator calls that. */
const UPLOAD = ["upload", "up", "client", "forward"] as const;
const DOWNLOAD = ["download", "down", "server", "backward"] as const;

/** Interfaces for jumbo frames. */
const jumbo: Topology = {
  ...twoNetworks,
  name: "jumbo",
  networks: twoNetworks.networks.map((network) => ({ ...network, mtu: 9000 })),
};

/** Mean payload of the packets of one direction while another `bytes` of payload cross, acknowledgements included. */
async function meanPayload(scenario: Scenario, network: string, way: Direction, bytes: number): Promise<number> {
  const read = async (): Promise<Traffic> => (await scenario.wire(network))[way].out;
  const before = await read();
  let now = before;
  await until(`another ${bytes} bytes on ${network}`, async () => {
    now = await read();
    return now.payloadBytes - before.payloadBytes >= bytes;
  });
  return (now.payloadBytes - before.payloadBytes) / (now.packets - before.packets);
}

/** Path MTU of the host's connections with data, as its kernel has it. */
async function pathMtus(host: Host): Promise<number[]> {
  const text = await host.exec(["ss", "-Htin", "state", "established"]);
  return [...text.matchAll(/pmtu:(\d+)/g)].map(([, mtu]) => Number(mtu));
}

describe("a router takes less than the interface", () => {
  it.each([
    [6, 1500, 1280, ...UPLOAD],
    [6, 9000, 1500, ...DOWNLOAD],
  ] as const)(
    "N-107 on the first path, IPv%i, %i and then %i: %s",
    async (family, outer, mtu, _, kind, sender, way) => {
      const topology = withPaths(outer === 9000 ? jumbo : twoNetworks, { wifi: { mtu } });
      const scenario = await Scenario.start({ topology, shunt });
      const call = scenario.call({ [kind]: 8 * MB, family, rate: 3 * MB });
      await untilCarried(scenario, "wifi", { [kind]: MB });
      // Linux believes no IPv6 MTU below the minimum: there it is shown that, and what it sends is cut.
      const floor = family === 6 && mtu === 1280;
      const [shown = 0] = await pathMtus(scenario.lab.host(sender));
      expect(shown).toBeGreaterThanOrEqual(floor ? 1280 : mtu - GROWTH_FIRST);
      expect(shown).toBeLessThanOrEqual(floor ? 1280 : mtu - GROWTH);
      const mean = await meanPayload(scenario, "wifi", way, MB);
      expect(mean).toBeGreaterThan(floor ? 550 : 0.8 * (mtu - 80)); // full packets, and no more of them than need be
      call.program.signal("SIGUSR2");
      scenario.transfers.program.signal("SIGUSR2");
      await expectExact(scenario, await call.outcomes());
      await expectCarried(scenario, "wifi", { [kind]: 7 * MB });
      const { drops } = (await scenario.wire("wifi"))[way];
      expect(drops.mtu).toBeGreaterThan(0);
      expect(drops.mtu).toBeLessThan(REFUSED_MAX);
      expect((await scenario.shunt(sender).counters()).icmp_translated).toBeGreaterThan(0);
    },
  );

  it("N-107 on the first path to a native server: it may be told the first octets twice, in pieces", async () => {
    const topology = withPaths(nativeServer, { wifi: { mtu: 1280 } });
    const scenario = await Scenario.start({ topology, shunt: { client: {} }, nativeServer: true });
    const call = scenario.call({ up: 8 * MB });
    await expectExact(scenario, await call.outcomes());
    await expectCarried(scenario, "wifi", { up: 7 * MB });
    const { drops } = (await scenario.wire("wifi")).forward;
    expect(drops.mtu).toBeGreaterThan(0);
    expect(drops.mtu).toBeLessThan(REFUSED_MAX);
    await expectNativeContent(scenario.server);
  });

  it.each([
    [4, ...UPLOAD],
    [6, ...DOWNLOAD],
  ] as const)("N-107 from a jumbo path to one of 1280 and back, IPv%i: %s", async (family, _, kind, sender, way) => {
    const topology = withPaths(jumbo, { ethernet: { mtu: 1280 } });
    const scenario = await Scenario.start({ topology, shunt });
    const call = scenario.call({ [kind]: 30 * MB, family, rate: 4 * MB });
    await scenario.joined("client");
    expect(await meanPayload(scenario, "wifi", way, 2 * MB)).toBeGreaterThan(5000);
    await scenario.shunt("client").handover("ethernet", "--all");
    await untilCarried(scenario, "ethernet", { [kind]: 2 * MB });
    const small = await meanPayload(scenario, "ethernet", way, MB);
    expect(small).toBeGreaterThan(family === 4 ? 1000 : 550);
    expect(small).toBeLessThan(1280);
    const refused = (await scenario.wire("ethernet"))[way].drops.mtu;
    await scenario.shunt("client").handover("wifi", "--all");
    await meanPayload(scenario, "wifi", way, MB);
    expect(await meanPayload(scenario, "wifi", way, 2 * MB)).toBeGreaterThan(5000); // they have grown again
    await scenario.shunt("client").handover("ethernet", "--all");
    await meanPayload(scenario, "ethernet", way, MB);
    // What was learnt there is still known: nothing too long leaves any more.
    expect((await scenario.wire("ethernet"))[way].drops.mtu).toBe(refused);
    for (const program of [call.program, scenario.transfers.program]) program.signal("SIGUSR2");
    await expectExact(scenario, await call.outcomes());
    for (const network of ["wifi", "ethernet"]) await expectCarried(scenario, network, { [kind]: 3 * MB });
    expect(refused).toBeLessThan(REFUSED_MAX);
    expect((await scenario.shunt(sender).counters()).icmp_translated).toBeGreaterThan(0);
  });
});

describe("the own machine takes less than it did", () => {
  it.each([
    ["the kernel's output refuses what was rewritten", 4, "route"],
    ["the kernel's output refuses what was rewritten", 6, "route"],
    ["the interface's MTU is another", 4, "link"],
  ] as const)("N-107 %s, IPv%i: the host is told", async (_, family, what) => {
    const network = twoNetworks.networks[1];
    const net = family === 4 ? `${network?.ipv4}.0/24` : `${network?.ipv6}/64`;
    const scenario = await Scenario.start({ topology: twoNetworks, shunt });
    const { client } = scenario;
    const call = scenario.call({ up: 12 * MB, family, rate: 4 * MB });
    await scenario.joined("client");
    await untilCarried(scenario, "wifi", { up: MB });
    const route = ["ip", `-${family}`, "route", "replace", net, "dev", "ethernet", "table", "5202", "proto", "83"];
    if (what === "route") await client.exec([...route, "mtu", "1300"]);
    else await client.exec(["ip", "link", "set", "ethernet", "mtu", "1300"]);
    if (what === "link") {
      await until("the path's MTU is known", async () => {
        const { paths } = (await scenario.shunt("client").command("status")) as { paths: { mtu: number }[] };
        return paths.some(({ mtu }) => mtu === 1300);
      });
    }
    await scenario.shunt("client").handover("ethernet", "--all");
    await untilCarried(scenario, "ethernet", { up: MB });
    const mean = await meanPayload(scenario, "ethernet", "forward", MB);
    expect(mean).toBeGreaterThan(1000);
    expect(mean).toBeLessThan(1300);
    expect(await pathMtus(client)).toContain(1300 - GROWTH);
    for (const program of [call.program, scenario.transfers.program]) program.signal("SIGUSR2");
    await expectExact(scenario, await call.outcomes());
    await expectCarried(scenario, "ethernet", { up: 2 * MB });
    const { icmp_translated: translated, mtu_shown: told } = await scenario.shunt("client").counters();
    expect(told).toBeGreaterThan(0);
    if (what === "route") expect(translated).toBeGreaterThan(0);
    else expect(translated).toBe(0); // nothing too long ever came to the kernel
  });
});

/** Sends a whole IP packet as it is, from any namespace. */
const INJECT = `use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6);
my ($family, $to, $packet, $count) = @ARGV;
socket(S, $family == 4 ? AF_INET : AF_INET6, SOCK_RAW, 255) or die $!;
my $address = $family == 4 ? pack_sockaddr_in(0, inet_pton(AF_INET, $to))
                           : pack_sockaddr_in6(0, inet_pton(AF_INET6, $to));
for (1..$count) { send(S, pack("H*", $packet), 0, $address) or die $!; }`;

describe.each([4, 6] as const)("spoofed errors, IPv%i", (family) => {
  it("N-107 one that quotes nothing in flight changes nothing; the router's own does", async () => {
    const scenario = await Scenario.start({ topology: twoNetworks, shunt });
    const call = scenario.call({ up: 20 * MB, family, rate: 3 * MB });
    await scenario.joined("client");
    await untilCarried(scenario, "wifi", { up: MB });
    const [flow] = (await scenario.lab.emulator.flows("wifi")).forward;
    const [src, dst] = [scenario.client.address("wifi", family), scenario.server.address("wifi", family)];
    const sport = Number(/\d+$/.exec(flow?.source ?? "")?.[0]);
    for (const seq of [0, 2 ** 31]) {
      // At least one of the two is far from what is in flight, and the other is not but for bad luck: 1 in 20,000.
      const quoted = p.packet({ src, dst, sport, dport: 5201, flags: "A", seq, payload: 1400 });
      const spoofed = Buffer.from(routerError(quoted, { router: dst, mtu: 1290 })).toString("hex");
      await scenario.server.exec(["perl", "-e", INJECT, `${family}`, src, spoofed, "20"]);
    }
    await until("all of them came", async () => {
      return ((await scenario.shunt("client").counters()).drop_icmp_ignored ?? 0) >= 40;
    });
    expect(await pathMtus(scenario.client)).toEqual([1500]);
    expect((await scenario.shunt("client").counters()).icmp_translated).toBe(0);
    await scenario.lab.emulator.set("wifi", { mtu: 1400 });
    await until("the host has a smaller MTU", async () => (await pathMtus(scenario.client)).includes(1400 - GROWTH));
    for (const program of [call.program, scenario.transfers.program]) program.signal("SIGUSR2");
    await expectExact(scenario, await call.outcomes());
  });
});
