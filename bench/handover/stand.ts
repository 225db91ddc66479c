// Two hosts, two paths and the programs on them, for one system of one series.

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ControlClient } from "../../host/control/client.ts";
import type { Status } from "../../host/control/status.ts";
import type { Counters, Emulator } from "../../test/lab/emulator.ts";
import type { Host } from "../../test/lab/host.ts";
import { Lab } from "../../test/lab/lab.ts";
import { must, type Program } from "../../test/lab/program.ts";
import { repository, type Shunt, type ShuntConfig, startShunt } from "../../test/lab/shunt.ts";
import { addressOf, type Topology, twoNetworks, withPaths } from "../../test/lab/topology.ts";
import { type Direction, type Event, type PathName, pathParams, type Series, type System } from "./series.ts";

const PORT = 5202;
export const PATHS: readonly PathName[] = ["wifi", "ethernet"];
const app = join(repository, "test/lab/apps/stamped.ts");
/** Numbers of the client's own endpoints, native MPTCP. */
const ENDPOINT: Record<PathName, string> = { wifi: "1", ethernet: "2" };
/** How long the standby may take to be joined, and a path to come back, ms. */
const SETTLE_MS = 5000;

/**
 * Payload of a sender's full segments, bytes: with records of this size none is smaller. (Nagle's algorithm alone lets
 * a small one through per round trip.) A proxied host is shown an MSS, a kernel subtracts what its own options need,
 * and between two kernels timestamps take another 12 bytes.
 */
function fullSegment({ client, server }: System, direction: Direction): number {
  const sender = direction === "up" ? client : server;
  if (sender === "shunt") return direction === "up" ? 1436 : 1440;
  if (client !== server) return 1432;
  return direction === "up" ? 1424 : 1420;
}

export interface StandOptions {
  congestion: string;
  /** Leaves the kernels' path MTU entries of earlier runs where they are. */
  keepPmtu: boolean;
  /** Of a proxied client's daemon, beside what every daemon has. */
  client?: ShuntConfig;
}

/** One stream of one run. */
export interface Stream {
  direction: Direction;
  program: Program;
  /** The client's TCP port. */
  port: number;
  /** Where the receiver writes. */
  file: string;
  /** Bytes per record. */
  size: number;
  /** How many records the far end sent or received, once it has said so. */
  farEnd: Promise<number>;
}

function topologyOf(series: Series, system: System): Topology {
  const delays = pathParams(series);
  const bare = { ...twoNetworks, networks: twoNetworks.networks.map((network) => ({ ...network, path: {} })) };
  const native: Record<string, "join" | "announce"> = {};
  if (system.client === "native") native.client = "join";
  // A native client joins from its own endpoints; a proxy has to be told where to.
  if (system.server === "native") native.server = system.client === "shunt" ? "announce" : "join";
  return withPaths({ ...bare, name: `handover-${series.id}`, nativeMptcp: native }, delays);
}

export class Stand {
  readonly series: Series;
  readonly system: System;
  readonly lab: Lab;
  /** To the client's daemon; undefined = the client is native. */
  readonly daemon: ControlClient | undefined;
  private readonly options: StandOptions;
  private server: Program | undefined;
  private next = 0;
  private restored: Promise<void> = Promise.resolve();
  private readonly shunts: Shunt[] = [];

  private constructor(
    series: Series,
    system: System,
    lab: Lab,
    options: StandOptions,
    daemon: ControlClient | undefined,
  ) {
    this.series = series;
    this.system = system;
    this.lab = lab;
    this.options = options;
    this.daemon = daemon;
  }

  static async open(series: Series, system: System, options: StandOptions): Promise<Stand> {
    const lab = await Lab.open(topologyOf(series, system), { congestionControl: options.congestion });
    for (const line of lab.skipped) console.log(`    not set: ${line}`);
    try {
      let daemon: ControlClient | undefined;
      const shunts: Shunt[] = [];
      for (const name of ["client", "server"] as const) {
        const host = lab.host(name);
        await prepareKernel(host, series);
        if (system[name] !== "shunt") continue;
        const own = name === "client" ? options.client : {};
        const shunt = await startShunt(host, { match: { ports: [PORT] }, engine: { standby: series.standby }, ...own });
        shunts.push(shunt);
        if (name === "client") daemon = new ControlClient(shunt.socket);
      }
      const stand = new Stand(series, system, lab, options, daemon);
      stand.shunts.push(...shunts);
      if (system.client === "native") await stand.addEndpoints(series.standby ? PATHS : ["wifi"]);
      await stand.startServer();
      // A path that is new to both ends would be found by ARP first, which takes another round trip.
      for (const path of PATHS) {
        const to = lab.host("server").address(path);
        await lab.host("client").exec(["bash", "-c", `echo > /dev/udp/${to}/9`]);
      }
      return stand;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  get emulator(): Emulator {
    return this.lab.emulator;
  }

  get client(): Host {
    return this.lab.host("client");
  }

  /** What the daemons said last, for a run that failed. */
  lastWords(): string {
    const words = this.shunts.map(({ host, program, log }) => {
      const state = program.isRunning ? "runs" : "ended";
      return `      shunt on ${host.name} ${state}: ${log.trimEnd().split("\n").slice(-4).join("\n        ")}`;
    });
    return words.join("\n");
  }

  /** (Re)starts the far end's program: connections of a run that failed go with it. */
  async startServer(): Promise<void> {
    await this.server?.stop("SIGKILL");
    this.server = this.lab.host("server").spawn(this.command("server", ["serve", "--port", `${PORT}`]));
    await this.server.line(/ready/);
  }

  /** The far end's last word on the connection from `port` that has just begun: an earlier one may have had it, too. */
  private async lastWord(port: number): Promise<number> {
    const pattern = new RegExp(`"(end|sent)".*"peer":${port}\\b`);
    const server = this.server as Program;
    return new Promise((resolve) => server.onLine((line) => pattern.test(line) && resolve(recordsIn(line))));
  }

  /** How many records the far end sent or received. Throws when it does not say. */
  async serverSaw({ farEnd, port }: Stream): Promise<number> {
    const records = await Promise.race([farEnd, sleep(SETTLE_MS).then(() => undefined)]);
    if (records === undefined) throw new Error(`the far end did not say how port ${port} ended`);
    return records;
  }

  /** Starts a stream of full segments; resolves when it is connected. */
  async stream(direction: Direction, bytesPerSecond: number): Promise<Stream> {
    const size = fullSegment(this.system, direction);
    const file = join(this.lab.directory, `arrivals-${this.next++}.csv`);
    const shape = ["--rate", `${bytesPerSecond / size}`, "--size", `${size}`, "--full", "--file", file];
    const to = ["connect", "--to", this.lab.host("server").address("wifi"), "--port", `${PORT}`];
    const program = this.client.spawn(
      this.command("client", [...to, ...shape, ...(direction === "up" ? ["--up"] : [])]),
    );
    const line = await program.line(/"connected"/);
    const port = Number(line.match(/:(\d+)"/)?.[1]);
    return { direction, program, file, size, port, farEnd: this.lastWord(port) };
  }

  /** Waits until every stream has its second subflow. */
  async joined(streams: readonly Stream[]): Promise<void> {
    const isReady = async (): Promise<boolean> => {
      if (this.daemon) {
        const { connections } = await this.daemon.call<Status>("GET", "/v1/status");
        return streams.every(({ port }) => {
          const connection = connections.find(({ localPort }) => localPort === port);
          return connection?.subflows.some(({ path, state }) => path === "ethernet" && state === "established");
        });
      }
      const flows = await this.emulator.flows("ethernet");
      return flows.forward.filter(({ packets, withMptcp }) => packets > 1 && withMptcp > 1).length >= streams.length;
    };
    await until(isReady, "the second subflow was not joined");
  }

  /** Makes the event happen; resolves when the command is done. */
  async happen({ kind, to }: Event): Promise<void> {
    if (kind === "blackhole") return this.emulator.set("wifi", { blackhole: true });
    if (kind === "cut") {
      const join =
        this.system.client === "native" && !this.series.standby ? [this.endpoint("ethernet", "subflow")] : [];
      return this.batch(["link set wifi down", ...join]);
    }
    if (!this.daemon) {
      const change = (path: PathName, flag: string): string => `mptcp endpoint change id ${ENDPOINT[path]} ${flag}`;
      return this.batch([change(to, "nobackup"), change(to === "wifi" ? "ethernet" : "wifi", "backup")]);
    }
    const request = { to, mode: "make-before-break", timeoutMs: 5000 };
    const answer = await this.daemon.call<{ ok: boolean; text: string; failed: { text: string }[] }>(
      "POST",
      "/v1/handover",
      request,
    );
    if (!answer.ok) throw new Error(`handover refused: ${answer.failed[0]?.text ?? answer.text}`);
  }

  /** Begins to put everything back as it was before the run, while another system has its turn. */
  restoreLater(): void {
    this.restored = this.restore();
    this.restored.catch(() => {}); // ready() tells
  }

  /** Waits until the next run may begin. Throws when something did not come back. */
  async ready(): Promise<void> {
    await this.restored;
  }

  private async restore(): Promise<void> {
    const lines = ["link set wifi up"];
    if (!this.daemon) {
      lines.push(`mptcp endpoint change id ${ENDPOINT.wifi} nobackup`);
      lines.push(this.series.standby ? `mptcp endpoint change id ${ENDPOINT.ethernet} backup` : "");
    }
    await this.emulator.set("wifi", { blackhole: false });
    await this.batch(lines);
    if (!this.daemon && !this.series.standby) {
      await this.client.try(["ip", "mptcp", "endpoint", "delete", "id", ENDPOINT.ethernet]);
    }
    for (const host of this.lab.hosts.values()) {
      if (!this.options.keepPmtu) await host.exec(["ip", "route", "flush", "cache"]);
    }
    const { daemon } = this;
    if (!daemon) return;
    const isUp = async (): Promise<boolean> =>
      (await daemon.call<Status>("GET", "/v1/status")).paths.every(({ state }) => state === "up");
    await until(isUp, "a path did not come back");
    // What was moved by hand stays pinned for connections to come, too.
    if (this.series.events.some(({ kind }) => kind === "move"))
      await daemon.call("POST", "/v1/handover", { auto: true });
  }

  /** What entered the wire of each network so far, in the direction of a stream. */
  async wire(direction: Direction): Promise<Record<PathName, Counters>> {
    const one = async (path: PathName): Promise<Counters> =>
      (await this.emulator.counters(path))[direction === "up" ? "forward" : "backward"];
    return { wifi: await one("wifi"), ethernet: await one("ethernet") };
  }

  async close(): Promise<void> {
    await this.lab.close();
  }

  private command(end: "client" | "server", args: readonly string[]): string[] {
    return [...(this.system[end] === "native" ? ["mptcpize", "run"] : []), "node", app, ...args];
  }

  private endpoint(path: PathName, flags: string): string {
    const network = this.lab.network(path);
    return `mptcp endpoint add ${addressOf(network, "client")} dev ${path} id ${ENDPOINT[path]} ${flags}`;
  }

  private addEndpoints(paths: readonly PathName[]): Promise<void> {
    return this.batch(paths.map((path) => this.endpoint(path, path === "wifi" ? "subflow" : "subflow backup")));
  }

  /** Several `ip` commands at once on the client. */
  private async batch(lines: readonly string[]): Promise<void> {
    await must(["ip", "-n", this.client.namespace, "-batch", "-"], { input: `${lines.filter(Boolean).join("\n")}\n` });
  }
}

/** Number of records in an app's last word. */
export function recordsIn(line: string): number {
  return (JSON.parse(line) as { records: number }).records;
}

async function until(isDone: () => Promise<boolean>, problem: string): Promise<void> {
  const deadline = Date.now() + SETTLE_MS;
  while (!(await isDone())) {
    if (Date.now() > deadline) throw new Error(problem);
    await sleep(20);
  }
}

async function prepareKernel(host: Host, { sack }: Series): Promise<void> {
  // No run should learn from the one before: neither slow start thresholds nor round trips.
  const settings = ["net.ipv4.tcp_no_metrics_save=1", `net.ipv4.tcp_sack=${sack ? 1 : 0}`];
  await host.exec(["sysctl", "-qw", ...settings]);
}
