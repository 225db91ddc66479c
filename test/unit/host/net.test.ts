import { describe, expect, test } from "vitest";
import { NO_FACTS, type PathConfig } from "../../../host/config/config.ts";
import { type LinkState, networkState } from "../../../host/net/links.ts";
import { parkCommands, unparkCommands } from "../../../host/net/parking.ts";
import { addressOctets, contains, networkOf, pathState } from "../../../host/net/path-state.ts";
import { difference, routeSet } from "../../../host/net/routes.ts";

const WIFI: PathConfig = {
  id: 1,
  name: "wifi",
  interface: "wlan0",
  gateway: null,
  gateway6: null,
  backup: false,
  mtu: null,
  draining: false,
  facts: NO_FACTS,
};
const LINK: LinkState = {
  name: "wlan0",
  index: 3,
  mtu: 1500,
  up: true,
  addresses: [
    { address: "10.0.1.7", prefixLength: 24, family: 4 },
    { address: "fd01::7", prefixLength: 64, family: 6 },
  ],
  gateway4: "10.0.1.1",
  gateway6: null,
};

describe("links as ip -j prints them", () => {
  const address = (family: string, local: string, prefixlen: number, more: object = {}) => ({
    family,
    local,
    prefixlen,
    scope: "global",
    ...more,
  });
  const link = (flags: string[], addr_info: ReturnType<typeof address>[]) => ({
    ifindex: 3,
    ifname: "wlan0",
    flags,
    mtu: 1400,
    addr_info,
  });

  test("up means administratively up with carrier", () => {
    const up = (flags: string[]) => networkState([link(flags, [])], [], []).links.get("wlan0")?.up;
    expect(up(["UP", "LOWER_UP"])).toBe(true);
    expect(up(["UP", "NO-CARRIER"])).toBe(false);
    expect(up(["LOWER_UP"])).toBe(false);
  });

  test("addresses that cannot be used yet or any more are left out; the lasting global one comes first", () => {
    const state = networkState(
      [
        link(
          ["UP", "LOWER_UP"],
          [
            address("inet6", "fd00::1", 64),
            address("inet6", "2001:db8::2", 64, { temporary: true }),
            address("inet6", "2001:db8::1", 64),
            address("inet6", "2001:db8::3", 64, { tentative: true }),
            address("inet6", "2001:db8::4", 64, { deprecated: true }),
            address("inet6", "fe80::1", 64, { scope: "link" }),
            address("inet", "10.0.0.9", 24, { secondary: true }),
            address("inet", "10.0.0.1", 24),
          ],
        ),
      ],
      [],
      [],
    );
    const addresses = state.links.get("wlan0")?.addresses.map((entry) => entry.address);
    expect(addresses?.filter((entry) => entry.includes(":"))).toEqual(["2001:db8::1", "2001:db8::2", "fd00::1"]);
    expect(addresses?.filter((entry) => !entry.includes(":"))).toEqual(["10.0.0.1", "10.0.0.9"]);
  });

  test("the gateway is that of the best default route of main", () => {
    const state = networkState(
      [link(["UP", "LOWER_UP"], [address("inet", "10.0.0.1", 24)])],
      [
        { dst: "default", gateway: "10.0.0.254", dev: "wlan0", metric: 600 },
        { dst: "default", gateway: "10.0.0.253", dev: "wlan0", metric: 100 },
        { dst: "default", gateway: "10.0.0.252", dev: "wlan0", table: "5301", protocol: "83" },
        { dst: "default", gateway: "10.9.0.1", dev: "eth0" },
        { dst: "172.17.0.0/16", dev: "docker0" },
      ],
      [],
    );
    expect(state.links.get("wlan0")?.gateway4).toBe("10.0.0.253");
    expect(state.routes).toEqual([{ family: 4, destination: "172.17.0.0/16", device: "docker0", gateway: null }]);
    expect(state.ownRoutes.get("5301/4")).toBe(1);
  });
});

describe("a path", () => {
  test("is its interface's state", () => {
    const state = pathState(WIFI, LINK, undefined);
    expect(state).toMatchObject({ up: true, index: 3, mtu: 1500, gateway4: "10.0.1.1", gateway6: null });
    expect(state.address4?.address).toBe("10.0.1.7");
  });

  test("is down without carrier, without address, without interface", () => {
    expect(pathState(WIFI, { ...LINK, up: false }, undefined).up).toBe(false);
    expect(pathState(WIFI, { ...LINK, addresses: [] }, undefined).up).toBe(false);
    expect(pathState(WIFI, undefined, undefined)).toMatchObject({ up: false, index: 0 });
  });

  test("keeps a gateway that vanished with the link, until the address is another", () => {
    const before = pathState(WIFI, LINK, undefined);
    const gone = { ...LINK, gateway4: null };
    expect(pathState(WIFI, gone, before).gateway4).toBe("10.0.1.1");
    const moved = { ...gone, addresses: [{ address: "10.9.0.7", prefixLength: 24, family: 4 as const }] };
    expect(pathState(WIFI, moved, before).gateway4).toBeNull();
  });

  test("takes the configured gateway and the smaller MTU", () => {
    const state = pathState({ ...WIFI, gateway: "10.0.1.99", mtu: 1300 }, LINK, undefined);
    expect(state).toMatchObject({ gateway4: "10.0.1.99", mtu: 1300 });
  });
});

describe("source routing", () => {
  const state = pathState({ ...WIFI, gateway6: "fe80::1" }, LINK, undefined);
  const docker = { family: 4 as const, destination: "172.17.0.0/16", device: "docker0", gateway: null };

  test("of a path, IPv4: its network, networks elsewhere, its gateway", () => {
    expect(routeSet(state, 4, [docker])).toEqual({
      family: 4,
      rules: [
        "from 10.0.1.7 lookup 5301 pref 5301 protocol 83",
        "from 10.0.1.7 fwmark 0x5348/0xffff lookup 5201 pref 5201 protocol 83",
      ],
      routes: [
        "10.0.1.0/24 dev wlan0 scope link table 5301 proto 83",
        "172.17.0.0/16 dev docker0 table 5301 proto 83",
        "default via 10.0.1.1 dev wlan0 src 10.0.1.7 table 5301 proto 83",
        "10.0.1.0/24 dev wlan0 scope link table 5201 proto 83",
        "172.17.0.0/16 dev docker0 table 5201 proto 83",
        "default via 10.0.1.1 dev wlan0 src 10.0.1.7 table 5201 proto 83",
      ],
    });
  });

  test("of a path, IPv6: a link-local gateway is on the link", () => {
    expect(routeSet(state, 6, []).routes).toEqual([
      "fd01::/64 dev wlan0 scope link table 5301 proto 83",
      "default via fe80::1 dev wlan0 onlink table 5301 proto 83",
      "fd01::/64 dev wlan0 scope link table 5201 proto 83",
      "default via fe80::1 dev wlan0 onlink table 5201 proto 83",
    ]);
  });

  test("of a path that is down: rules without routes", () => {
    const down = pathState(WIFI, { ...LINK, up: false }, undefined);
    expect(routeSet(down, 4, []).routes).toEqual([]);
    expect(routeSet(down, 4, []).rules).toHaveLength(2);
  });

  test("changes only what changed", () => {
    const before = routeSet(state, 4, [docker]);
    const after = routeSet({ ...state, gateway4: "10.0.1.2" }, 4, [docker]);
    expect(difference(before, before)).toEqual([]);
    expect(difference(before, after)).toEqual([
      "route del default via 10.0.1.1 dev wlan0 src 10.0.1.7 table 5301 proto 83",
      "route del default via 10.0.1.1 dev wlan0 src 10.0.1.7 table 5201 proto 83",
      "route replace default via 10.0.1.2 dev wlan0 src 10.0.1.7 table 5301 proto 83",
      "route replace default via 10.0.1.2 dev wlan0 src 10.0.1.7 table 5201 proto 83",
    ]);
  });
});

describe("addresses", () => {
  test.each([
    ["10.1.2.3", 8, 4, "10.0.0.0/8"],
    ["10.1.2.3", 23, 4, "10.1.2.0/23"],
    ["10.1.3.3", 23, 4, "10.1.2.0/23"],
    ["10.1.2.3", 32, 4, "10.1.2.3/32"],
    ["fd01:0:0:1::7", 64, 6, "fd01:0:0:1::/64"],
    ["2001:db8:ffff::1", 36, 6, "2001:db8:f000::/36"],
  ])("the network of %s/%i", (address, prefixLength, family, network) => {
    expect(networkOf({ address, prefixLength, family: family as 4 | 6 })).toBe(network);
  });

  test("octets of every way to write IPv6", () => {
    expect(addressOctets("::ffff:10.0.0.1").slice(10)).toEqual([255, 255, 10, 0, 0, 1]);
    expect(addressOctets("::1").at(-1)).toBe(1);
    expect(addressOctets("2001:db8::")).toHaveLength(16);
  });

  test("contains", () => {
    expect(contains({ address: "10.0.1.7", prefixLength: 24, family: 4 }, "10.0.1.1")).toBe(true);
    expect(contains({ address: "10.0.1.7", prefixLength: 24, family: 4 }, "10.0.2.1")).toBe(false);
  });
});

test("parking routes what comes from the address to the park device, and never makes it ours for others", () => {
  expect(parkCommands("10.0.1.7")).toEqual([
    "address replace 10.0.1.7/32 dev shunt-park scope host",
    "route del local 10.0.1.7 dev shunt-park table local",
    "route replace default dev shunt-park table 5340 proto 83",
    "rule add from 10.0.1.7 lookup 5340 pref 33000 protocol 83",
    "route replace local 10.0.1.7 dev lo table 5341 proto 83",
  ]);
  expect(parkCommands("fd01::7")).toEqual([
    "route replace default dev shunt-park table 5340 proto 83",
    "rule add from fd01::7 lookup 5340 pref 33000 protocol 83",
    "route replace local fd01::7 dev lo table 5341 proto 83",
  ]);
  expect(unparkCommands("10.0.1.7")).toEqual([
    "rule del from 10.0.1.7 lookup 5340 pref 33000 protocol 83",
    "route del local 10.0.1.7 dev lo table 5341 proto 83",
    "address del 10.0.1.7/32 dev shunt-park",
  ]);
});
