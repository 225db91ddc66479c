// State of the machine's interfaces, and news of it.
//
// A long-running `ip monitor` tells *that* something changed; what is true now is then read as a whole with `ip -j`.
// Nothing is derived from the monitor's text, so no message can be missed or misread: a lost one costs at most the
// time until the next (docs/decisions/0104-link-watching.md). A machine that was suspended is read again in any case.
import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter } from "node:events";
import { uptime } from "node:os";
import { execute } from "./execute.ts";
import { PROTOCOL } from "./marks.ts";

/** One address of an interface that a path may use. */
export interface LinkAddress {
  address: string;
  prefixLength: number;
  family: 4 | 6;
}

/** One interface as it is now. */
export interface LinkState {
  name: string;
  index: number;
  mtu: number;
  /** Administratively up, with carrier. */
  up: boolean;
  /** Usable addresses, best first per family: global before unique local, stable before temporary. */
  addresses: LinkAddress[];
  /** Next hop of the interface's best default route, null = none. */
  gateway4: string | null;
  gateway6: string | null;
}

/** What `ip -j addr` prints, as far as we read it. */
interface AddressJson {
  ifindex: number;
  ifname: string;
  flags: string[];
  mtu: number;
  addr_info?: {
    family: string;
    local?: string;
    prefixlen: number;
    scope: string;
    temporary?: boolean;
    tentative?: boolean;
    deprecated?: boolean;
    dadfailed?: boolean;
    secondary?: boolean;
  }[];
}

/** What `ip -j route show table all` prints, as far as we read it; routes of `main` have no table there. */
interface RouteJson {
  dst: string;
  table?: string;
  protocol?: string;
  type?: string;
  gateway?: string;
  dev?: string;
  metric?: number;
  flags?: string[];
  nexthops?: { gateway?: string; dev: string; flags?: string[] }[];
}

/** A route of the main table to some network, not a default route. */
export interface MainRoute {
  family: 4 | 6;
  /** "172.17.0.0/16" */
  destination: string;
  device: string;
  gateway: string | null;
}

export interface NetworkState {
  /** Interfaces by name. */
  links: Map<string, LinkState>;
  /** The main table. */
  routes: MainRoute[];
  /** How many routes of ours stand in the kernel, by "TABLE/FAMILY": a link that flapped has taken its routes along. */
  ownRoutes: Map<string, number>;
}

/** Reads the state of all interfaces and routes. Throws CommandError. */
export async function readNetwork(): Promise<NetworkState> {
  const [addresses, routes4, routes6] = await Promise.all([
    execute("ip", ["-j", "addr", "show"]),
    execute("ip", ["-j", "-4", "route", "show", "table", "all"]),
    execute("ip", ["-j", "-6", "route", "show", "table", "all"]),
  ]);
  return networkState(parseList(addresses), parseList(routes4), parseList(routes6));
}

// Without anything to show `ip -j` prints nothing or a list with empty objects, depending on its version.
function parseList<T>(json: string): T[] {
  const text = json.trim();
  return text === "" ? [] : (JSON.parse(text) as T[]);
}

/** The same from the decoded output of `ip -j`. */
export function networkState(links: AddressJson[], routes4: RouteJson[], routes6: RouteJson[]): NetworkState {
  const states = new Map<string, LinkState>();
  const main4 = routes4.filter((route) => route.table === undefined);
  const main6 = routes6.filter((route) => route.table === undefined);
  for (const link of links) {
    if (link.ifname === undefined) continue;
    states.set(link.ifname, {
      name: link.ifname,
      index: link.ifindex,
      mtu: link.mtu,
      up: link.flags.includes("UP") && link.flags.includes("LOWER_UP"),
      addresses: usableAddresses(link),
      gateway4: gatewayOf(link.ifname, main4),
      gateway6: gatewayOf(link.ifname, main6),
    });
  }
  const ownRoutes = new Map<string, number>();
  countOwn(routes4, 4, ownRoutes);
  countOwn(routes6, 6, ownRoutes);
  return { links: states, routes: [...mainRoutes(main4, 4), ...mainRoutes(main6, 6)], ownRoutes };
}

function countOwn(routes: RouteJson[], family: 4 | 6, counts: Map<string, number>): void {
  for (const route of routes) {
    if (route.protocol !== String(PROTOCOL) || route.table === undefined) continue;
    const key = `${route.table}/${family}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
}

function mainRoutes(routes: RouteJson[], family: 4 | 6): MainRoute[] {
  return routes
    .filter((route) => route.dst !== "default" && route.dev !== undefined && (route.type ?? "unicast") === "unicast")
    .filter((route) => !/^(fe80:|ff)/i.test(route.dst) || family === 4)
    .map((route) => ({
      family,
      destination: route.dst,
      device: route.dev as string,
      gateway: route.gateway ?? null,
    }));
}

function usableAddresses(link: AddressJson): LinkAddress[] {
  const rank = (info: { local?: string; temporary?: boolean; secondary?: boolean }) =>
    (/^f[cd]/i.test(info.local ?? "") ? 2 : 0) + (info.temporary || info.secondary ? 1 : 0);
  return (link.addr_info ?? [])
    .filter((info) => info.scope === "global" && info.local !== undefined)
    .filter((info) => !info.tentative && !info.deprecated && !info.dadfailed)
    .sort((a, b) => rank(a) - rank(b))
    .map((info) => ({
      address: info.local as string,
      prefixLength: info.prefixlen,
      family: info.family === "inet" ? 4 : 6,
    }));
}

function gatewayOf(name: string, routes: RouteJson[]): string | null {
  let best: { gateway: string; metric: number } | null = null;
  for (const route of routes) {
    const hops = route.nexthops ?? [{ gateway: route.gateway, dev: route.dev, flags: route.flags }];
    for (const hop of hops) {
      const metric = route.metric ?? 0;
      if (route.dst !== "default" || hop.dev !== name || hop.gateway === undefined || hop.flags?.includes("dead"))
        continue;
      if (best === null || metric < best.metric) best = { gateway: hop.gateway, metric };
    }
  }
  return best?.gateway ?? null;
}

/** Changes come in bursts (link down: link, addresses, routes); read once per burst, this long after its first word. */
const SETTLE_MS = 3;
/** A monitor that ended is started again after this time. */
const RESTART_MS = 1000;
/** How often the clock is looked at that goes on while the machine is suspended. */
const PULSE_MS = 1000;
/** Two looks further apart than this mean that the machine, or this process, stood still in between. */
const STANDSTILL_MS = 2500;

interface LinkEvents {
  /** The state after a change; also once after start(). */
  change: [NetworkState];
  /** The machine was suspended, or this process stopped, for so many milliseconds; the state is being read. */
  resumed: [number];
  /** Reading failed, or the monitor ended. One line. */
  problem: [string];
}

/** Watches all interfaces of the network namespace. */
export class LinkWatch extends EventEmitter<LinkEvents> {
  #monitor: ChildProcess | null = null;
  #timer: NodeJS.Timeout | null = null;
  #pulse: NodeJS.Timeout | null = null;
  #reading = false;
  #again = false;
  #stopped = false;

  /** Resolves with the first state; from then on changes are emitted. Throws CommandError. */
  async start(): Promise<NetworkState> {
    // The monitor first: what changes while we read is then told, and read again.
    this.#spawn();
    this.#watchClock();
    return await readNetwork();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#pulse !== null) clearInterval(this.#pulse);
    this.#monitor?.kill("SIGTERM");
  }

  #spawn(): void {
    const monitor = spawn("ip", ["monitor", "link", "address", "route"], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin` },
    });
    this.#monitor = monitor;
    monitor.stdout?.on("data", () => this.#changed());
    // It goes on when the kernel had more to tell than it could hold, and says so here: something changed.
    monitor.stderr?.on("data", () => this.#changed());
    monitor.on("error", (error) => this.emit("problem", `cannot watch links: ${error.message}`));
    monitor.on("close", () => {
      if (this.#stopped) return;
      this.emit("problem", "the link monitor (ip monitor) ended; starting it again");
      this.#timer = setTimeout(() => {
        this.#spawn();
        this.#read();
      }, RESTART_MS);
    });
  }

  // What changes while everything sleeps may be told late, or have been more than a socket holds.
  #watchClock(): void {
    let last = uptime() * 1000;
    this.#pulse = setInterval(() => {
      const now = uptime() * 1000;
      if (now - last > STANDSTILL_MS) {
        this.emit("resumed", Math.round(now - last - PULSE_MS));
        this.#read();
      }
      last = now;
    }, PULSE_MS);
    this.#pulse.unref();
  }

  #changed(): void {
    if (this.#stopped || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#read();
    }, SETTLE_MS);
  }

  #read(): void {
    if (this.#reading) {
      this.#again = true;
      return;
    }
    this.#reading = true;
    readNetwork()
      .then((states) => this.emit("change", states))
      .catch((error: Error) => this.emit("problem", error.message))
      .finally(() => {
        this.#reading = false;
        if (!this.#again || this.#stopped) return;
        this.#again = false;
        this.#read();
      });
  }
}
