// A native server with two paths to a client, proxied or native, and one download over them.

import { setTimeout as sleep } from "node:timers/promises";
import { ControlClient } from "../../host/control/client.ts";
import { Lab } from "../../test/lab/lab.ts";
import type { Program } from "../../test/lab/program.ts";
import { startShunt } from "../../test/lab/shunt.ts";
import { type PathParams, type Topology, twoNetworks, withPaths } from "../../test/lab/topology.ts";
import { receivedGbit } from "../stream/stand.ts";

const PORT = 5203;
export const PATHS = ["wifi", "ethernet"] as const;
export type PathName = (typeof PATHS)[number];

/** Between two looks at what the paths have carried, ms. */
const LOOK_MS = 50;
/** What is recorded packet by packet: from when on, and for how long, ms. */
const TRACE_FROM_MS = 2000;
const TRACE_MS = 600;
/** Each path's part of a stream that is to use both, at least. */
const SHARE_MIN = 0.1;

export interface Variant {
  name: string;
  client: "shunt" | "native";
  /** How many of the paths the client uses. */
  paths: 1 | 2;
}

export interface Link {
  title: string;
  wifi: PathParams;
  ethernet: PathParams;
}

/** What both paths had carried at a time, bytes of new payload. */
export interface Look {
  /** Since the call, seconds. */
  s: number;
  wifi: number;
  ethernet: number;
}

export interface Sample {
  /** Received by the program, Mbit/s. */
  mbit: number;
  looks: Look[];
  /** Segments that the server's kernel sent again on the same subflow, and octets' pieces on the other one. */
  resent: number;
  reinjected: number;
}

/** Two networks; the server announces both, or has only one to offer. */
function topologyOf({ client, paths }: Variant, { wifi, ethernet }: Link): Topology {
  const nativeMptcp: Record<string, "join" | "announce"> = { server: paths === 2 ? "announce" : "join" };
  if (client === "native") nativeMptcp.client = "join";
  const bare = { ...twoNetworks, networks: twoNetworks.networks.map((network) => ({ ...network, path: {} })) };
  return withPaths({ ...bare, name: "multipath", nativeMptcp }, { wifi, ethernet });
}

export class Stand {
  readonly variant: Variant;
  readonly samples: Sample[] = [];
  private readonly lab: Lab;
  private readonly daemon: ControlClient | undefined;

  private constructor(variant: Variant, lab: Lab, daemon: ControlClient | undefined) {
    this.variant = variant;
    this.lab = lab;
    this.daemon = daemon;
  }

  static async open(variant: Variant, link: Link, congestionControl: string): Promise<Stand> {
    const lab = await Lab.open(topologyOf(variant, link), { congestionControl });
    for (const line of lab.skipped) console.log(`  not set: ${line}`);
    try {
      // No run learns from the one before.
      for (const host of lab.hosts.values()) await host.exec(["sysctl", "-qw", "net.ipv4.tcp_no_metrics_save=1"]);
      let daemon: ControlClient | undefined;
      if (variant.client === "shunt") {
        const names = PATHS.slice(0, variant.paths);
        const path = names.map((name) => ({ name, interface: name }));
        const config = { match: { ports: [PORT] }, path, policy: { receive_on_all: true } };
        daemon = new ControlClient((await startShunt(lab.host("client"), config)).socket);
      }
      const server = lab.host("server").spawn(["mptcpize", "run", "iperf3", "-s", "-p", `${PORT}`, "--forceflush"]);
      await server.line(/listening/);
      return new Stand(variant, lab, daemon);
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** One download. With `trace` the client's proxy records a piece of it there. Throws an error of one line. */
  async measure(seconds: number, trace?: string): Promise<void> {
    await this.lab.emulator.reset();
    const before = await this.resent();
    const tool = this.variant.client === "native" ? ["mptcpize", "run", "iperf3"] : ["iperf3"];
    const to = ["-c", this.lab.host("server").address("wifi"), "-p", `${PORT}`];
    const program = this.lab.host("client").spawn([...tool, ...to, "-R", "-J", "-t", `${seconds}`, "-O", "1"]);
    const recorded = trace && this.daemon ? this.record(trace, this.daemon) : Promise.resolve();
    const looks = await this.watch(program);
    await recorded;
    const mbit = (receivedGbit(program.stdout) ?? Number.NaN) * 1000;
    if (Number.isNaN(mbit)) throw new Error(`${this.variant.name}: iperf3 failed: ${program.output().slice(-300)}`);
    const after = await this.resent();
    this.checkShares(looks.at(-1));
    const counted = { resent: after.resent - before.resent, reinjected: after.reinjected - before.reinjected };
    this.samples.push({ mbit, looks, ...counted });
  }

  async close(): Promise<void> {
    await this.lab.close();
  }

  /** Looks at the networks until the program has ended. */
  private async watch(program: Program): Promise<Look[]> {
    const started = performance.now();
    const looks: Look[] = [];
    while (program.isRunning) {
      const s = (performance.now() - started) / 1000;
      const [wifi, ethernet] = await Promise.all(PATHS.map((path) => this.lab.emulator.counters(path)));
      const carried = (counters: typeof wifi): number => counters?.backward.tcp.newPayloadBytes ?? 0;
      looks.push({ s, wifi: carried(wifi), ethernet: carried(ethernet) });
      await Promise.race([program.exited, sleep(LOOK_MS)]);
    }
    return looks;
  }

  private async record(file: string, daemon: ControlClient): Promise<void> {
    await sleep(TRACE_FROM_MS);
    await daemon.call("POST", "/v1/trace", { file });
    await sleep(TRACE_MS);
    await daemon.call("DELETE", "/v1/trace");
  }

  /** The figure of a stream that did not use the paths it is named for would be that of something else. */
  private checkShares(last: Look | undefined): void {
    const { wifi = 0, ethernet = 0 } = last ?? {};
    const smaller = Math.min(wifi, ethernet) / (wifi + ethernet);
    const isRight = this.variant.paths === 2 ? smaller >= SHARE_MIN : ethernet === 0;
    if (!isRight) throw new Error(`${this.variant.name}: wifi carried ${wifi} bytes, ethernet ${ethernet}`);
  }

  private async resent(): Promise<{ resent: number; reinjected: number }> {
    const counters = await this.lab.host("server").kernelCounters();
    return { resent: counters.TcpRetransSegs ?? 0, reinjected: counters.MPTcpExtMPTCPRetrans ?? 0 };
  }
}
