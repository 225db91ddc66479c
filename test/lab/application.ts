// Real applications over connections that are moved twice while they work: what these tests share.
//
//     const run = await Run.start(ends);            // a lab whose paths are slow enough to be caught in the middle
//     const server = run.spawn("server", [...]);    // the kernel's own MPTCP where that end is native, else plain TCP
//     const client = run.spawn("client", [...]);
//     await run.moveTwice(client, { down: MB });    // wifi → ethernet → wifi, by the octets on the wire
//     await run.expectDone(client);
//     await run.expectMoved({ down: MB });

import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFailed } from "vitest";
import type { Host } from "./host.ts";
import type { Program, ProgramOptions } from "./program.ts";
import { APPLICATIONS, installLine, missingPackages } from "./requirements.ts";
import { expectCarried, expectNoQueueDrops, nativeTrouble, Scenario } from "./scenario.ts";
import type { ShuntConfig } from "./shunt.ts";
import { nativeClient, nativeServer, type Topology, twoNetworks, withPaths } from "./topology.ts";

/** Slow enough that some megabytes last for seconds, near enough that a program of questions and answers gets on. */
const paths = { wifi: { delayMs: 5, rateMbit: 50 }, ethernet: { delayMs: 10, rateMbit: 50 } };

/** So many looks at a network without one new octet mean that there will be none (at least 20 s). */
const STILL_LOOKS = 1000;

export type End = "client" | "server";

/** Who speaks MPTCP at the two ends. */
export interface Ends {
  topology: Topology;
  /** Ends with plain programs above a daemon; the first one's daemon orders the handovers. */
  proxied: readonly [End, ...End[]];
  /** The end whose programs use the kernel's own MPTCP. */
  native?: End;
}

export const proxiedToNative: Ends = {
  topology: withPaths(nativeServer, paths),
  proxied: ["client"],
  native: "server",
};
export const proxiedToProxied: Ends = { topology: withPaths(twoNetworks, paths), proxied: ["client", "server"] };
export const nativeToProxied: Ends = {
  topology: withPaths(nativeClient, paths),
  proxied: ["server"],
  native: "client",
};

/** For `describe.each`. */
export const bothEnds: [string, Ends][] = [
  ["proxied ↔ native", proxiedToNative],
  ["proxied ↔ proxied", proxiedToProxied],
];

/** Payload octets that a network has to carry in each direction. */
export interface Share {
  up?: number;
  down?: number;
}

/** A lab in which an application runs. Ends with its test. */
export class Run {
  readonly scenario: Scenario;
  readonly ends: Ends;

  private constructor(scenario: Scenario, ends: Ends) {
    this.scenario = scenario;
    this.ends = ends;
  }

  static async start(ends: Ends, config: ShuntConfig = {}): Promise<Run> {
    const missing = missingPackages(APPLICATIONS);
    if (missing.length > 0) throw new Error(`missing programs; run as root: ${installLine(missing)}`);
    const shunt = Object.fromEntries(ends.proxied.map((end) => [end, config]));
    return new Run(await Scenario.start({ topology: ends.topology, shunt }), ends);
  }

  host(end: End): Host {
    return this.scenario.lab.host(end);
  }

  /** The server's address on the network where connections begin. */
  get address(): string {
    return this.scenario.server.address("wifi");
  }

  /** What a program's command begins with, for its sockets to be what this end's are. */
  prefix(end: End): string[] {
    return end === this.ends.native ? ["mptcpize", "run"] : [];
  }

  spawn(end: End, command: readonly string[], options?: ProgramOptions): Program {
    return this.watch(this.host(end).spawn([...this.prefix(end), ...command], options));
  }

  /** Starts a server and waits until it can be called. */
  async serve(command: readonly string[], port: number, options?: ProgramOptions): Promise<Program> {
    const program = this.watch(this.scenario.server.spawn(command, options));
    await this.scenario.server.untilListening(program, port);
    return program;
  }

  /** What it said is shown when the test fails. */
  watch(program: Program): Program {
    onTestFailed(() => console.error(`--- ${program.command.join(" ")}\n${program.output().slice(-4000)}`));
    return program;
  }

  /**
   * Moves everything to ethernet, make before break, and back, break before make. Each network carries a share before
   * the next move, and after both `client` still runs.
   */
  async moveTwice(client: Program, share: Share): Promise<void> {
    await this.untilCarried(client, "wifi", share);
    await this.move("ethernet", "make-before-break");
    await this.untilCarried(client, "ethernet", share);
    const { forward, backward } = await this.scenario.wire("wifi");
    await this.move("wifi", "break-before-make");
    await this.untilCarried(client, "wifi", {
      up: forward.tcp.newPayloadBytes + (share.up ?? 0),
      down: backward.tcp.newPayloadBytes + (share.down ?? 0),
    });
  }

  /** Orders a handover of all connections; each must be moved. */
  private async move(to: string, mode: "make-before-break" | "break-before-make"): Promise<void> {
    const moved = await this.scenario.shunt(this.ends.proxied[0]).requestHandover(to, mode);
    expect(moved, `every connection was moved to ${to}`).toBe(true);
  }

  /**
   * Waits for the wire, not for a clock: only where nothing at all moves is there an end to it. An application that
   * ends meanwhile was not caught in the middle.
   */
  async untilCarried(client: Program, network: string, { up = 0, down = 0 }: Share): Promise<void> {
    let seen = 0;
    for (let still = 0; still < STILL_LOOKS; still++) {
      if (!client.isRunning) throw new Error(`ended before ${network} had its share: ${client.output().slice(-2000)}`);
      const { forward, backward } = await this.scenario.wire(network);
      const [sent, received] = [forward.tcp.newPayloadBytes, backward.tcp.newPayloadBytes];
      if (sent >= up && received >= down) return;
      if (sent + received > seen) still = 0;
      seen = sent + received;
      await sleep(20);
    }
    throw new Error(`nothing moves any more on ${network}: ${seen} octets so far, ${up} up and ${down} down expected`);
  }

  /** The application ends and says that all went well; returns its standard output. */
  async expectDone(client: Program): Promise<string> {
    expect(await client.exited, client.output().slice(-2000)).toEqual({ code: 0, signal: null });
    return client.stdout;
  }

  /**
   * Both networks carried a share, as MPTCP, for at least so many connections; no end has a complaint, but for counters
   * that the application may bring about.
   */
  async expectMoved(share: Share, connections = 1, ...may: readonly string[]): Promise<void> {
    for (const network of ["wifi", "ethernet"]) {
      await expectCarried(this.scenario, network, share);
      const { forward, backward } = await this.scenario.lab.emulator.flows(network);
      for (const flows of [share.up && forward, share.down && backward]) {
        if (!flows) continue;
        const carrying = flows.filter(({ payloadBytes }) => payloadBytes > 0);
        expect(carrying.length, `subflows with data on ${network}`).toBeGreaterThanOrEqual(connections);
      }
    }
    for (const end of this.ends.proxied) await expectNoQueueDrops(this.host(end));
    if (this.ends.native === undefined) return;
    const native = this.host(this.ends.native);
    // A path that is joined anew may come when the application has closed: that is refused, as it should be.
    const excused = ["MPJoinRejected", ...may];
    expect((await nativeTrouble(native)).filter((name) => !excused.includes(name))).toEqual([]);
    const counter = this.ends.native === "server" ? "MPTcpExtMPCapableACKRX" : "MPTcpExtMPCapableSYNACKRX";
    const { [counter]: opened = 0 } = await native.kernelCounters();
    expect(opened, "connections that the native kernel took for MPTCP").toBeGreaterThanOrEqual(connections);
  }
}
