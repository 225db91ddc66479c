// What the lab tests share: a topology with daemons and a server, and the questions they all ask of the wire.

import { afterAll, afterEach, expect } from "vitest";
import type { Outcome } from "./apps/transfer.ts";
import type { Counters } from "./emulator.ts";
import type { Host } from "./host.ts";
import { Lab, type LabOptions } from "./lab.ts";
import { until } from "./mobility.ts";
import { type Shunt, type ShuntConfig, startShunt } from "./shunt.ts";
import type { Topology } from "./topology.ts";
import { Transfer, type TransferOptions, TransferServer } from "./transfer.ts";

/** Counters of a native Linux end that must stay zero: bytes it could not place, and what it could not believe. */
const NATIVE_TROUBLE = new RegExp(
  `^MPTcpExt(${[
    // mappings
    "DSSNotMatching|DSSNoMatchTCP|DSSCorruption\\w*|DataCsumErr|NoDSSInWindow|InfiniteMap[RT]x|MPFail[RT]x",
    // back to plain TCP
    "MPCapableFallback\\w*|MPCapableDataFallback|DssFallback|FallbackFailed|SimultConnectFallback|MD5SigFallback",
    "MPFallbackTokenInit|MPCapableSYNTXDrop|MPCapableSYNTXDisabled|Blackhole",
    // subflows and addresses
    "MPJoin\\w*HMacFailure|MPJoinNoTokenFound|MPJoinRejected|MPJoinSynTx\\w+Err|Mismatch\\w+|MPFastclose[RT]x",
  ].join("|")})$`,
);

const open: Scenario[] = [];
/** Those that serve all tests of their file. */
const shared: Scenario[] = [];

afterEach(async (context) => {
  const mine = open.splice(0);
  if (context.task.result?.state === "fail")
    for (const scenario of [...mine, ...shared]) console.error(scenario.logs());
  for (const scenario of mine) await scenario.close();
});

afterAll(async () => {
  for (const scenario of shared.splice(0)) await scenario.close();
});

export interface ScenarioOptions extends LabOptions {
  topology: Topology;
  /** Hosts that run a daemon, with what their configuration has beyond the default. */
  shunt?: Readonly<Record<string, ShuntConfig>>;
  /** Whether the transfer server's sockets are the kernel's own MPTCP. */
  nativeServer?: boolean;
  /** It ends with its file, not with its test. */
  isShared?: boolean;
}

export interface CallOptions extends TransferOptions {
  /** Network whose address is called. */
  network?: string;
  family?: 4 | 6;
}

/** A lab with everything started. Ends with its test, unless it is shared. */
export class Scenario {
  readonly lab: Lab;
  readonly client: Host;
  readonly server: Host;
  readonly shunts = new Map<string, Shunt>();
  readonly transfers: TransferServer;

  private constructor(lab: Lab, transfers: TransferServer) {
    this.lab = lab;
    this.client = lab.host("client");
    this.server = lab.host("server");
    this.transfers = transfers;
  }

  static async start(options: ScenarioOptions): Promise<Scenario> {
    const lab = await Lab.open(options.topology, options);
    try {
      const transfers = await TransferServer.start(lab.host("server"), options.nativeServer);
      const scenario = new Scenario(lab, transfers);
      (options.isShared ? shared : open).push(scenario);
      await scenario.startDaemons(options.shunt ?? {});
      return scenario;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** Starts daemons, for tests that change something before. */
  async startDaemons(configs: Readonly<Record<string, ShuntConfig>>): Promise<void> {
    const starts = Object.entries(configs).map(async ([name, config]) => {
      this.shunts.set(name, await startShunt(this.lab.host(name), config));
    });
    await Promise.all(starts);
  }

  /** Daemon of a host. */
  shunt(host: string): Shunt {
    const shunt = this.shunts.get(host);
    if (!shunt) throw new Error(`no daemon on ${host}`);
    return shunt;
  }

  /** Starts a transfer from the client. */
  call({ network = "wifi", family = 4, ...options }: CallOptions): Transfer {
    return new Transfer(this.client, this.server.address(network, family), options);
  }

  /** Waits until every connection of a daemon has a standby subflow beside the active one. */
  async joined(host: string, connections = 1): Promise<void> {
    await until(`${connections} connections with two subflows`, async () => {
      const status = (await this.shunt(host).status()) as { connections: { subflows: { state: string }[] }[] };
      const established = status.connections.map(
        ({ subflows }) => subflows.filter(({ state }) => state === "established").length,
      );
      return established.filter((count) => count > 1).length === connections;
    });
  }

  /** Waits until the client's daemon knows the server's address on a network: without it there is no join there. */
  async announced(network: string, family: 4 | 6 = 4): Promise<void> {
    const event = `event=new_address.* remote=${this.server.address(network, family)} `;
    await until(event, () => new RegExp(event).test(this.shunt("client").log));
  }

  /** Logs of all daemons, for a failed test. */
  logs(): string {
    return [...this.shunts].map(([name, shunt]) => `--- shunt on ${name}\n${shunt.log}`).join("\n");
  }

  async close(): Promise<void> {
    await Promise.all([...this.shunts.values()].filter((s) => s.program.isRunning).map((s) => s.stop()));
    await this.lab.close();
  }

  /** Both directions of an emulated network. */
  async wire(network: string): Promise<Record<"forward" | "backward", Counters>> {
    return this.lab.emulator.counters(network);
  }
}

/** Both ends saw every byte of every connection. */
export async function expectExact(scenario: Scenario, outcomes: readonly Outcome[]): Promise<void> {
  const seen = await scenario.transfers.ended(outcomes.length);
  for (const { exact, error, firstError, received, expected } of [...outcomes, ...seen]) {
    expect({ exact, error, firstError, received }).toEqual({
      exact: true,
      error: null,
      firstError: -1,
      received: expected,
    });
  }
  expect(seen.length).toBe(outcomes.length);
}

/** `bytes` for each direction that `amount` has. */
export function eachDirection(amount: { up?: number; down?: number }, bytes: number): { up?: number; down?: number } {
  return { ...(amount.up !== undefined && { up: bytes }), ...(amount.down !== undefined && { down: bytes }) };
}

/** Paced senders at both ends need not wait any more: the test has seen what it wanted to. */
export function hurry(scenario: Scenario, calls: readonly Transfer[]): void {
  for (const program of [...calls.map((call) => call.program), scenario.transfers.program]) program.signal("SIGUSR2");
}

/** Waits until the network has carried at least so much new payload. */
export async function untilCarried(
  scenario: Scenario,
  network: string,
  minimum: { up?: number; down?: number },
): Promise<void> {
  await until(`${JSON.stringify(minimum)} bytes on ${network}`, async () => {
    const { forward, backward } = await scenario.wire(network);
    const { up = 0, down = 0 } = minimum;
    return forward.tcp.newPayloadBytes >= up && backward.tcp.newPayloadBytes >= down;
  });
}

/** The network carried at least so much new payload, all of it in MPTCP, and no segment was malformed. */
export async function expectCarried(
  scenario: Scenario,
  network: string,
  minimum: { up?: number; down?: number },
): Promise<void> {
  const { forward, backward } = await scenario.wire(network);
  expect(forward.tcp.newPayloadBytes, `${network} up`).toBeGreaterThanOrEqual(minimum.up ?? 0);
  expect(backward.tcp.newPayloadBytes, `${network} down`).toBeGreaterThanOrEqual(minimum.down ?? 0);
  for (const { tcp } of [forward, backward]) {
    expect(tcp.badChecksum, `${network}: wrong checksums`).toBe(0);
    if (tcp.newPayloadBytes > 0) expect(tcp.mptcp.dss ?? 0, `${network}: segments with DSS`).toBeGreaterThan(0);
  }
  const flows = await scenario.lab.emulator.flows(network);
  for (const flow of [...flows.forward, ...flows.backward]) {
    if (flow.payloadBytes > 0) expect(flow.withMptcp, `${flow.source} was not converted`).toBeGreaterThan(0);
  }
}

/**
 * The host's kernel found nothing wrong with the MPTCP it was spoken to, but for what the test has brought about:
 * counters without their prefix, each of which must have counted something.
 */
export async function expectNativeContent(host: Host, ...broughtAbout: string[]): Promise<void> {
  expect((await nativeTrouble(host)).sort(), host.name).toEqual([...broughtAbout].sort());
}

/** Names without prefix of the counters of trouble that are not zero. */
export async function nativeTrouble(host: Host): Promise<string[]> {
  const counters = await host.kernelCounters();
  const watched = Object.entries(counters).filter(([name]) => NATIVE_TROUBLE.test(name));
  expect(watched.length, "counters of this kernel").toBeGreaterThan(15);
  return watched.filter(([, value]) => value > 0).map(([name]) => name.replace("MPTcpExt", ""));
}

/** Not one packet was lost between kernel and daemon. */
export async function expectNoQueueDrops(host: Host): Promise<void> {
  for (const queue of await host.queueCounters()) {
    expect({ dropped: queue.dropped, userDropped: queue.userDropped }).toEqual({ dropped: 0, userDropped: 0 });
  }
}
