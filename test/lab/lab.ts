// Builds a topology out of network namespaces and veth pairs, and takes it down again.
//
//     client ns                      path ns                      server ns
//     wifi ──────veth────── wifi-a  emulator  wifi-b ──────veth────── wifi
//
// Names hold the process id, so that runs do not collide and leftovers of dead runs are known as such. Works as root,
// and in a user namespace (`requirements.ts`); what cannot be set there is skipped and listed in `lab.skipped`.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Emulator } from "./emulator.ts";
import { Host } from "./host.ts";
import { killAllPrograms, must, run } from "./program.ts";
import { addressOf, familiesOf, type Network, type Topology } from "./topology.ts";

const PREFIX = "shunt-lab";
const NETNS_DIRECTORY = "/run/netns";
/** How long carriers and link-local addresses may take, ms. */
const LINK_UP_MS = 5000;

export interface LabOptions {
  /** Seed of the emulator's chance. */
  seed?: number;
  /** TCP congestion control of all hosts; the kernel's default when absent. */
  congestionControl?: string;
  /** Whether the hosts offer SACK (default: yes). */
  sack?: boolean;
  /** Whether the hosts' own MPTCP demands checksums (default: no). */
  checksum?: boolean;
}

const open = new Set<Lab>();
let nextNumber = 0;

/** A topology that stands. */
export class Lab {
  readonly topology: Topology;
  readonly hosts: ReadonlyMap<string, Host>;
  /** Settings this machine or this user namespace does not allow. */
  readonly skipped: string[] = [];
  readonly directory: string;
  private readonly prefix: string;
  private running: Emulator | undefined;

  private constructor(topology: Topology) {
    this.topology = topology;
    this.prefix = `${PREFIX}-${process.pid}-${nextNumber++}`;
    this.directory = mkdtempSync(join(tmpdir(), `${this.prefix}-`));
    this.hosts = new Map(topology.hosts.map((name) => [name, this.newHost(name)]));
  }

  /** Builds a topology. Close it when done; an exit or a signal closes it too. */
  static async open(topology: Topology, options: LabOptions = {}): Promise<Lab> {
    removeLeftovers();
    installExitHandlers();
    const lab = new Lab(topology);
    open.add(lab);
    try {
      await lab.build(options);
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  host(name: string): Host {
    const host = this.hosts.get(name);
    if (!host) throw new Error(`no host ${name} in ${this.topology.name}`);
    return host;
  }

  network(name: string): Network {
    const network = this.topology.networks.find((candidate) => candidate.name === name);
    if (!network) throw new Error(`no network ${name} in ${this.topology.name}`);
    return network;
  }

  /** The emulator, for topologies that have one. */
  get emulator(): Emulator {
    if (!this.running) throw new Error(`${this.topology.name} has no emulated network`);
    return this.running;
  }

  async close(): Promise<void> {
    if (!open.has(this)) return;
    await this.running?.stop();
    this.closeNow();
  }

  /** The same without waiting: for exit handlers. */
  closeNow(): void {
    open.delete(this);
    removeNamespaces((name) => name.startsWith(`${this.prefix}-`));
    rmSync(this.directory, { recursive: true, force: true });
  }

  private newHost(name: string): Host {
    const directory = join(this.directory, name);
    mkdirSync(directory);
    return new Host(name, `${this.prefix}-${name}`, directory, this.topology.networks);
  }

  private async build(options: LabOptions): Promise<void> {
    const emulated = this.topology.networks.filter((network) => network.path);
    const path = `${this.prefix}-path`;
    const namespaces = [...this.hosts.values()].map((host) => host.namespace);
    if (emulated.length > 0) namespaces.push(path);
    for (const namespace of namespaces) {
      await must(["ip", "netns", "add", namespace]);
      await must(["ip", "-n", namespace, "link", "set", "lo", "up"]);
    }
    for (const host of this.hosts.values()) await this.setSysctls(host, options);
    if (emulated.length > 0) await this.sysctl(path, "net.ipv6.conf.all.disable_ipv6", "1");
    for (const network of this.topology.networks) await this.join(network, path);
    for (const [name, role] of Object.entries(this.topology.nativeMptcp ?? {})) {
      await this.speakMptcp(this.host(name), role);
    }
    for (const host of this.hosts.values()) await waitForLinks(host);
    if (emulated.length === 0) return;
    const links = new Map(emulated.map(({ name }) => [name, [`${name}-a`, `${name}-b`] as const]));
    const control = join(this.directory, "emulator.sock");
    this.running = await Emulator.start(["ip", "netns", "exec", path], links, control, options.seed);
    for (const { name, path: params } of emulated) await this.running.set(name, params ?? {});
  }

  private async setSysctls(host: Host, options: LabOptions): Promise<void> {
    // One lost SYN would otherwise switch the kernel's own MPTCP off for an hour.
    await this.sysctl(host.namespace, "net.mptcp.blackhole_timeout", "0");
    await this.sysctl(host.namespace, "net.ipv6.conf.default.accept_dad", "0");
    await this.sysctl(host.namespace, "net.ipv6.conf.default.router_solicitations", "0");
    if (options.checksum) await this.sysctl(host.namespace, "net.mptcp.checksum_enabled", "1");
    if (options.sack === false) await this.sysctl(host.namespace, "net.ipv4.tcp_sack", "0");
    if (options.congestionControl) {
      await this.sysctl(host.namespace, "net.ipv4.tcp_congestion_control", options.congestionControl);
    }
  }

  private async sysctl(namespace: string, name: string, value: string): Promise<void> {
    const result = await run(["ip", "netns", "exec", namespace, "sysctl", "-qw", `${name}=${value}`]);
    if (result.code !== 0) this.skipped.push(`${namespace}: ${name}=${value}: ${result.stderr.trim()}`);
  }

  /** Lays the cable of a network and gives both ends their addresses. */
  private async join(network: Network, path: string): Promise<void> {
    const { name, mtu = 1500 } = network;
    const [a, b] = network.ends.map((end) => this.host(end).namespace) as [string, string];
    // An index unlike the peer's: when both are equal, the kernel takes the pair for one device that is its own link
    // and reports its carrier up to a second late.
    const index = `${100 + this.topology.networks.indexOf(network)}`;
    const veth = (ns: string, peerNs: string, peer: string): Promise<string> => {
      const own = ["link", "add", name, "index", index, "mtu", `${mtu}`, "type", "veth"];
      return must(["ip", "-n", ns, ...own, "peer", peer, "mtu", `${mtu}`, "netns", peerNs]);
    };
    if (network.path) {
      await veth(a, path, `${name}-a`);
      await veth(b, path, `${name}-b`);
      for (const [index, side] of ["a", "b"].entries()) {
        await must(["ip", "-n", path, "link", "set", `${name}-${side}`, "up"]);
        await this.receiveOnOneCpu(path, `${name}-${side}`, index);
      }
      // Without this, frames reach the emulator as super-packets without checksums.
      for (const ns of [a, b]) await must(["ip", "netns", "exec", ns, "ethtool", "-K", name, "tx", "off"]);
    } else {
      await veth(a, b, name);
    }
    for (const [index, end] of network.ends.entries()) await this.configure(network, end, index);
  }

  private async configure(network: Network, end: string, index: number): Promise<void> {
    const { namespace } = this.host(end);
    const ip = (...args: string[]): Promise<string> => must(["ip", "-n", namespace, ...args]);
    for (const family of familiesOf(network)) {
      const prefix = family === 4 ? 24 : 64;
      const options = family === 6 ? ["nodad"] : [];
      await ip("address", "add", `${addressOf(network, end, family)}/${prefix}`, "dev", network.name, ...options);
    }
    await ip("link", "set", network.name, "up");
    await this.receiveOnOneCpu(namespace, network.name, index);
  }

  /** With two CPUs, whoever looks at received packets (an NFQUEUE in INPUT, the emulator) sees them out of order. */
  private async receiveOnOneCpu(namespace: string, device: string, index: number): Promise<void> {
    const mask = (1 << (index % cpus().length)).toString(16);
    const file = `/sys/class/net/${device}/queues/rx-0/rps_cpus`;
    const result = await run(["ip", "netns", "exec", namespace, "sh", "-c", `echo ${mask} > ${file}`]);
    if (result.code !== 0) this.skipped.push(`${namespace}: ${file}: ${result.stderr.trim()}`);
  }

  /** Lifts the kernel's default limit of no announced address at all, and makes it announce where asked to. */
  private async speakMptcp(host: Host, role: "join" | "announce"): Promise<void> {
    const mptcp = (...args: string[]): Promise<string> => must(["ip", "-n", host.namespace, "mptcp", ...args]);
    await mptcp("limits", "set", "subflows", "8", "add_addr_accepted", "8");
    if (role === "join") return;
    for (const network of host.networks) {
      for (const family of familiesOf(network))
        await mptcp("endpoint", "add", host.address(network.name, family), "signal");
    }
  }
}

/** Waits until all interfaces of a host run and have their link-local addresses, so that nothing changes by itself. */
async function waitForLinks(host: Host): Promise<void> {
  const deadline = Date.now() + LINK_UP_MS;
  for (;;) {
    const links = JSON.parse(await host.exec(["ip", "-json", "address"])) as {
      ifname: string;
      operstate: string;
      addr_info: { scope: string; family: string; tentative?: boolean }[];
    }[];
    const isReady = ({ operstate, addr_info: addresses }: (typeof links)[number]): boolean =>
      operstate === "UP" && addresses.some(({ scope, tentative }) => scope === "link" && !tentative);
    const waiting = links.filter(({ ifname }) => ifname !== "lo").filter((link) => !isReady(link));
    if (waiting.length === 0) return;
    if (Date.now() > deadline)
      throw new Error(`${host.name}: not up: ${waiting.map(({ ifname }) => ifname).join(", ")}`);
    await sleep(20);
  }
}

function namespaces(): string[] {
  return existsSync(NETNS_DIRECTORY) ? readdirSync(NETNS_DIRECTORY) : [];
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Removes namespaces with all that runs in them. */
function removeNamespaces(chosen: (name: string) => boolean): void {
  for (const name of namespaces().filter(chosen)) {
    try {
      const pids = execFileSync("ip", ["netns", "pids", name], { encoding: "utf8" }).split("\n").filter(Boolean);
      for (const pid of pids) process.kill(Number(pid), "SIGKILL");
    } catch {
      // Ended in between.
    }
    try {
      execFileSync("ip", ["netns", "delete", name], { stdio: "ignore" });
    } catch {
      // Somebody else was faster.
    }
  }
}

/** Removes what labs left behind whose process is gone. */
function removeLeftovers(): void {
  const owner = (name: string): number => Number(name.match(new RegExp(`^${PREFIX}-(\\d+)-`))?.[1] ?? 0);
  const isDead = (name: string): boolean => owner(name) > 0 && !isAlive(owner(name));
  removeNamespaces(isDead);
  for (const name of readdirSync(tmpdir()).filter(isDead))
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
}

let handlersInstalled = false;

function installExitHandlers(): void {
  if (handlersInstalled) return;
  handlersInstalled = true;
  const closeAll = (): void => {
    killAllPrograms();
    for (const lab of [...open]) lab.closeNow();
  };
  process.on("exit", closeAll);
  for (const [signal, number] of [
    ["SIGINT", 2],
    ["SIGTERM", 15],
    ["SIGHUP", 1],
  ] as const) {
    process.once(signal, () => {
      closeAll();
      process.exit(128 + number);
    });
  }
}
