// Two hosts, one network and one stream of iperf3 between them, for one of the systems that are compared.

import type { Host } from "../../test/lab/host.ts";
import { Lab } from "../../test/lab/lab.ts";
import { type Shunt, startShunt } from "../../test/lab/shunt.ts";
import { bare, type PathParams, type Topology } from "../../test/lab/topology.ts";
import { startReflector } from "./reflector.ts";

const PORT = 5201;
const HOSTS = ["client", "server"] as const;

/** Ends of a proxied or native path: who is converted, and by whom. */
export type End = "plain" | "reflector" | "shunt" | "native";

export interface Variant {
  name: string;
  client: End;
  server: End;
}

/** From the client to the server is up. */
export type Direction = "up" | "down";

export interface StandOptions {
  /** The reflector's program. */
  reflector: string;
  congestion: string;
  /** What the network does in both directions; a bare veth pair when absent. */
  path?: PathParams;
  /** Kernel settings of both hosts, "name=value". */
  settings?: readonly string[];
}

/** One stream. All counters are of the whole of it, the time that iperf3 leaves out included. */
export interface Sample {
  /** Received by the application, Gbit/s. */
  gbit: number;
  /** What the sender's kernel did because acknowledgements did not come. */
  resent: number;
  probes: number;
  timeouts: number;
  /** Times the daemons asked for a DATA_ACK. */
  pulls: number;
  /** Packets lost in queues of either host, and in the network. */
  lost: number;
}

type Counters = Omit<Sample, "gbit">;

/** The one network that benchmarks of a stream use, and nothing else. */
export const wire: Topology = { ...bare, name: "bench", networks: bare.networks.slice(0, 1) };

function topologyOf(variant: Variant, path: PathParams | undefined): Topology {
  const native = HOSTS.filter((name) => variant[name] === "native").map((name) => [name, "join"] as const);
  const networks = wire.networks.map((network) => (path ? { ...network, path } : network));
  return { ...wire, networks, nativeMptcp: Object.fromEntries(native) };
}

/** A variant that stands. */
export class Stand<V extends Variant = Variant> {
  readonly variant: V;
  readonly samples: Record<Direction, Sample[]> = { up: [], down: [] };
  /** Why there is nothing to measure. */
  problem = "";
  private readonly lab: Lab;
  private readonly isEmulated: boolean;
  private readonly shunts: Shunt[] = [];

  private constructor(variant: V, lab: Lab, isEmulated: boolean) {
    this.variant = variant;
    this.lab = lab;
    this.isEmulated = isEmulated;
  }

  /** Builds the topology and starts what runs on it; what cannot be had is told by `problem`. */
  static async open<V extends Variant>(variant: V, options: StandOptions): Promise<Stand<V>> {
    const { path, settings = [], congestion } = options;
    const lab = await Lab.open(topologyOf(variant, path), { congestionControl: congestion });
    for (const line of lab.skipped) console.log(`  not set: ${line}`);
    const stand = new Stand(variant, lab, path !== undefined);
    try {
      for (const name of HOSTS) {
        const host = lab.host(name);
        if (settings.length > 0) await host.exec(["sysctl", "-qw", ...settings]);
        if (variant[name] === "reflector") await startReflector(host, options.reflector, PORT);
        if (variant[name] === "shunt") stand.shunts.push(await startShunt(host, { match: { ports: [PORT] } }));
      }
      const server = lab.host("server").spawn([...stand.tool("server"), "-s", "-p", `${PORT}`, "--forceflush"]);
      await server.line(/listening/);
    } catch (error) {
      stand.problem = (error as Error).message.split("\n")[0] ?? "";
    }
    return stand;
  }

  /** Measures one stream of `seconds`, after `warmup` seconds that do not count. */
  async measure(direction: Direction, seconds: number, warmup = 0.5): Promise<void> {
    if (this.problem !== "") return;
    const client = this.lab.host("client");
    const before = await this.counters(direction);
    const to = ["-c", this.lab.host("server").address("wifi"), "-p", `${PORT}`];
    const what = ["-t", `${seconds}`, "-O", `${warmup}`, "-J", ...(direction === "down" ? ["-R"] : [])];
    const limit = ["timeout", `${seconds + warmup + 15}`];
    const result = await client.try([...limit, ...this.tool("client"), ...to, ...what]);
    const gbit = receivedGbit(result.stdout);
    if (gbit === undefined) {
      this.problem = `iperf3 failed ${direction}: ${errorIn(result.stdout) || result.stderr.trim()}`;
      return;
    }
    const after = await this.counters(direction);
    const change = Object.entries(after).map(([name, value]) => [name, value - before[name as keyof Counters]]);
    this.samples[direction].push({ gbit, ...(Object.fromEntries(change) as Counters) });
  }

  async close(): Promise<void> {
    await this.lab.close();
  }

  private tool(end: "client" | "server"): string[] {
    return this.variant[end] === "native" ? ["mptcpize", "run", "iperf3"] : ["iperf3"];
  }

  private async counters(direction: Direction): Promise<Counters> {
    const kernel = await this.lab.host(direction === "up" ? "client" : "server").kernelCounters();
    const engines = await Promise.all(this.shunts.map((shunt) => shunt.counters()));
    const hosts = await Promise.all(HOSTS.map((name) => lostInQueues(this.lab.host(name))));
    return {
      resent: kernel.TcpRetransSegs ?? 0,
      probes: kernel.TcpExtTCPLossProbes ?? 0,
      timeouts: kernel.TcpExtTCPTimeouts ?? 0,
      pulls: sum(engines.map((engine) => engine.dan_pulls ?? 0)),
      lost: sum(hosts) + (await this.lostInNetwork()),
    };
  }

  private async lostInNetwork(): Promise<number> {
    if (!this.isEmulated) return 0;
    const { forward, backward } = await this.lab.emulator.counters("wifi");
    return sum([...Object.values(forward.drops), ...Object.values(backward.drops)]);
  }
}

async function lostInQueues(host: Host): Promise<number> {
  const queues = await host.queueCounters();
  return sum(queues.map(({ dropped, userDropped }) => dropped + userDropped));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** What the receiving iperf3 got, Gbit/s; undefined when its report (JSON) does not say. */
export function receivedGbit(report: string): number | undefined {
  try {
    const { end } = JSON.parse(report) as { end: { sum_received?: { bits_per_second: number } } };
    return end.sum_received && end.sum_received.bits_per_second / 1e9;
  } catch {
    return undefined;
  }
}

function errorIn(report: string): string {
  try {
    return (JSON.parse(report) as { error?: string }).error ?? "";
  } catch {
    return "";
  }
}

/** NaN when there are no values. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}
