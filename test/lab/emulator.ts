// The path emulator as an object: one process per lab, one link per emulated network.

import { existsSync, readdirSync, statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { must, Program } from "./program.ts";
import type { PathParams } from "./topology.ts";

const crate = new URL("emulator/", import.meta.url).pathname;
const binary = `${crate}target/release/path-emulator`;

/** From the network's first end to its second, and back: for the client, up and down. */
export type Direction = "forward" | "backward";

export interface Traffic {
  packets: number;
  bytes: number;
  payloadBytes: number;
}

/** One direction of a link. `tcp` describes segments as they entered it, before anything was done to them. */
export interface Counters {
  in: Traffic;
  out: Traffic;
  drops: Record<"loss" | "queue" | "blackhole" | "mtu" | "syn" | "sendError" | "ring" | "oversize" | "nat", number>;
  duplicated: number;
  reordered: number;
  stripped: number;
  altered: number;
  coalesced: number;
  queuePeakMs: number;
  tcp: {
    segments: number;
    syn: number;
    fin: number;
    rst: number;
    badChecksum: number;
    /** Without retransmissions. */
    newPayloadBytes: number;
    withMptcp: number;
    withMptcpAfterSyn: number;
    /** Options by subtype: mpCapable, mpJoin, dss, addAddr, … */
    mptcp: Record<string, number>;
    /** Segments without SYN that carry an option, by kind. */
    optionKinds: Record<string, number>;
  };
}

/** One direction of one TCP connection (a subflow, to MPTCP) on a link. Times are CLOCK_MONOTONIC, ns. */
export interface Flow {
  source: string;
  destination: string;
  packets: number;
  payloadBytes: number;
  newPayloadBytes: number;
  withMptcp: number;
  firstNs: number;
  lastNs: number;
  lastNewDataNs: number;
}

type Both<T> = Record<Direction, T>;

/** Builds the emulator when it is missing or older than its sources. */
export async function buildEmulator(): Promise<void> {
  const sources = [`${crate}Cargo.toml`, ...readdirSync(`${crate}src`).map((file) => `${crate}src/${file}`)];
  const newest = Math.max(...sources.map((file) => statSync(file).mtimeMs));
  if (existsSync(binary) && statSync(binary).mtimeMs >= newest) return;
  await must(["cargo", "build", "--release", "--locked", "--quiet", "--manifest-path", `${crate}Cargo.toml`]);
}

/** A running emulator. */
export class Emulator {
  readonly program: Program;
  private readonly socket: Socket;
  private readonly waiting: { resolve: (value: unknown) => void; reject: (error: Error) => void }[] = [];

  private constructor(program: Program, socket: Socket) {
    this.program = program;
    this.socket = socket;
    createInterface({ input: socket }).on("line", (line) => this.takeAnswer(line));
    socket.on("close", () => this.failAll());
    socket.on("error", () => this.failAll());
  }

  /**
   * Starts the emulator behind `prefix` (a command that enters its namespace). `links` maps a network's name to the two
   * interfaces there.
   */
  static async start(
    prefix: readonly string[],
    links: ReadonlyMap<string, readonly [string, string]>,
    control: string,
    seed = 1,
  ): Promise<Emulator> {
    await buildEmulator();
    const args = [...links].flatMap(([name, ends]) => ["--link", `${name}=${ends.join(",")}`]);
    const command = [...prefix, binary, "--control", control, "--seed", String(seed), ...args];
    const program = new Program(command, { holdInput: true });
    await program.line(/^ready$/);
    const socket = connect(control);
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return new Emulator(program, socket);
  }

  /** Changes parameters of a link, in one direction or in both. */
  async set(link: string, params: PathParams, direction?: Direction): Promise<void> {
    await this.request({ do: "set", link, params, ...(direction && { direction }) });
  }

  async counters(link: string): Promise<Both<Counters>> {
    return this.one(await this.request({ do: "counters", link }), link);
  }

  async flows(link: string): Promise<Both<Flow[]>> {
    return this.one(await this.request({ do: "flows", link }), link);
  }

  /** Counters and flows start from zero, on all links. */
  async reset(): Promise<void> {
    await this.request({ do: "reset" });
  }

  /** Writes what enters a link, both directions, to a pcap file; without a path the capture ends. */
  async capture(link: string, path?: string): Promise<void> {
    await this.request({ do: "capture", link, ...(path && { path }) });
  }

  /**
   * Puts an address translator into a link: the first end's hosts appear as `address` with fresh ports (TCP over IPv4).
   * With the address it has already, it forgets its mappings; without an address it goes.
   */
  async nat(link: string, address?: string): Promise<void> {
    await this.request({ do: "nat", link, ...(address && { address }) });
  }

  async stop(): Promise<void> {
    this.socket.destroy();
    await this.program.stop();
  }

  private one<T>(result: unknown, link: string): T {
    return (result as Record<string, T>)[link] as T;
  }

  private request(request: object): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.socket.write(`${JSON.stringify(request)}\n`);
    });
  }

  /** Answers come in the order of the requests. */
  private takeAnswer(line: string): void {
    const answer = JSON.parse(line) as { ok: boolean; result?: unknown; error?: string };
    const waiting = this.waiting.shift();
    if (answer.ok) waiting?.resolve(answer.result);
    else waiting?.reject(new Error(`path emulator: ${answer.error}`));
  }

  private failAll(): void {
    for (const { reject } of this.waiting.splice(0)) reject(new Error(`path emulator ended: ${this.program.output()}`));
  }
}
