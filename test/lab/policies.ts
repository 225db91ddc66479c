// What lab tests of policies share: a class under a policy, what its inputs say, and where its octets go.

import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import binaryen from "binaryen";
import { expect } from "vitest";
import { ControlClient } from "../../host/control/client.ts";
import type { EventLine } from "../../host/control/events.ts";
import type { ClassView } from "../../host/control/policy.ts";
import type { Status } from "../../host/control/status.ts";
import type { Outcome } from "./apps/transfer.ts";
import { until } from "./mobility.ts";
import { type CallOptions, expectExact, hurry, type Scenario, type ScenarioOptions } from "./scenario.ts";
import { defaultConfig, type ShuntConfig, writeConfig } from "./shunt.ts";
import type { Transfer } from "./transfer.ts";

/** Connections over IPv4 are of this class; those over IPv6 of the default one, which no policy but the native has. */
export const CLASS = "steered";

/** What a path must carry in either direction to have the class's data, octets. */
const SHARE = 100_000;

type Amount = Record<"up" | "down", number>;

export interface StandOptions extends Partial<ScenarioOptions> {
  /** Of the client's daemon, beside the class. */
  client?: ShuntConfig;
  /** Policy that the class begins with. */
  policy?: string;
}

/** Puts a policy into a directory of an operator's own, from WebAssembly text. */
export function installPolicy(directory: string, name: string, text: string): void {
  const module = binaryen.parseText(text);
  module.setFeatures(binaryen.Features.All);
  mkdirSync(join(directory, name), { recursive: true });
  writeFileSync(join(directory, name, "policy.wasm"), module.emitBinary());
  module.dispose();
  writeFileSync(join(directory, name, "policy.json"), JSON.stringify({ name, description: "", settings: [] }));
}

/** A proxied client with a class under a policy, whose inputs are written by the test, and a proxied server. */
export class PolicyStand {
  readonly scenario: Scenario;
  readonly inputs: string;
  private readonly outcomes: Outcome[] = [];

  constructor(scenario: Scenario) {
    this.scenario = scenario;
    this.inputs = join(scenario.lab.directory, "inputs.json");
  }

  static async open(scenario: Scenario, { client = {}, policy = "signal" }: StandOptions = {}): Promise<PolicyStand> {
    const stand = new PolicyStand(scenario);
    stand.tell({});
    await stand.startClient(client, policy);
    return stand;
  }

  /** Starts the client's daemon. */
  async startClient(client: ShuntConfig, policy: string): Promise<void> {
    await this.scenario.startDaemons({ client: this.config(client, policy) });
  }

  /** Has the daemon read its configuration again, with another policy for the class. */
  async reload(client: ShuntConfig, policy: string): Promise<void> {
    writeConfig(this.scenario.client, defaultConfig(this.scenario.client, this.config(client, policy)));
    await this.api.call("POST", "/v1/config/reload");
  }

  private config({ policy: own, ...client }: ShuntConfig, policy: string): ShuntConfig {
    const { directory } = this.scenario.lab;
    return {
      policy: { prefer: ["wifi", "ethernet"], inputs: [`file:${this.inputs}`], state_directory: directory, ...own },
      class: [{ name: CLASS, match: { prefix: ["10.0.0.0/8"] }, policy }],
      ...client,
    };
  }

  /** Ends all daemons and starts new ones: what the policies know then is what was kept. */
  async restart(client: ShuntConfig): Promise<void> {
    for (const shunt of this.scenario.shunts.values()) await shunt.stop();
    await this.scenario.startDaemons({ server: {} });
    await this.startClient(client, "signal");
  }

  get api(): ControlClient {
    return new ControlClient(this.scenario.shunt("client").socket);
  }

  status(): Promise<Status> {
    return this.api.call<Status>("GET", "/v1/status");
  }

  /** How the class stands. */
  async view(): Promise<ClassView> {
    return (await this.status()).classes.find((entry) => entry.class === CLASS) as ClassView;
  }

  /** Events of some kinds so far; the daemon keeps the last thousand of all. */
  async events(...kinds: string[]): Promise<EventLine[]> {
    const lines: EventLine[] = [];
    const query = `?kind=${kinds.join(",")}`;
    for await (const line of this.api.lines(`/v1/events${query}`)) lines.push(JSON.parse(line) as EventLine);
    return lines;
  }

  /** What the file of inputs says from now on. */
  tell(contents: { host?: object; interfaces?: Record<string, object> }): void {
    writeFileSync(`${this.inputs}.new`, JSON.stringify(contents));
    renameSync(`${this.inputs}.new`, this.inputs);
  }

  /** Waits for so many decisions, of which there is one a second at least. */
  async decided(count: number): Promise<void> {
    for (let last = (await this.view()).decision?.time; count > 0; count--) {
      await until("the next decision", async () => (await this.view()).decision?.time !== last);
      last = (await this.view()).decision?.time;
    }
  }

  /** Puts the class under a policy. Throws ControlError if that is refused. */
  async use(policy: string, settings: Record<string, number | boolean | string> = {}): Promise<void> {
    await this.api.call("POST", "/v1/policy/use", { policy, class: CLASS, settings });
  }

  /** Every count begins at zero. */
  async reset(): Promise<void> {
    await this.scenario.lab.emulator.reset();
  }

  /** Starts a transfer of the class. */
  call(options: CallOptions): Transfer {
    return this.scenario.call({ up: 10_000_000, down: 10_000_000, rate: 400_000, ...options });
  }

  /** What /metrics says of one series, as it is written there; 0 = nothing. */
  async metric(series: string): Promise<number> {
    const text = await this.api.call<string>("GET", "/metrics");
    return Number(
      text
        .split("\n")
        .find((line) => line.startsWith(`${series} `))
        ?.slice(series.length) ?? 0,
    );
  }

  /** Waits until the transfer has gone on, in both directions, wherever. */
  async goesOn(): Promise<void> {
    const sum = async () => {
      const [a, b] = [await this.carried("wifi"), await this.carried("ethernet")];
      return { up: a.up + b.up, down: a.down + b.down };
    };
    const before = await sum();
    await until("the transfer goes on", async () => {
      const now = await sum();
      return now.up - before.up >= SHARE && now.down - before.down >= SHARE;
    });
  }

  /** New payload octets of one address family that a network has carried, by direction. */
  async carried(network: string, family: 4 | 6 = 4): Promise<Amount> {
    const { forward, backward } = await this.scenario.lab.emulator.flows(network);
    const sum = (flows: typeof forward): number =>
      flows
        .filter(({ source }) => source.startsWith("[") === (family === 6))
        .reduce((total, { newPayloadBytes }) => total + newPayloadBytes, 0);
    return { up: sum(forward), down: sum(backward) };
  }

  /**
   * Waits until all new data of the class goes by `network`: it carries a share in both directions while the other
   * carries nothing that it has not carried before. Never the case if they share, or if nothing has moved.
   */
  async onlyOn(network: "wifi" | "ethernet"): Promise<void> {
    const other = network === "wifi" ? "ethernet" : "wifi";
    let [here, there] = [await this.carried(network), await this.carried(other)];
    await until(`the class is on ${network} alone`, async () => {
      const [now, rest] = [await this.carried(network), await this.carried(other)];
      if (rest.up > there.up || rest.down > there.down) [here, there] = [now, rest];
      return now.up - here.up >= SHARE && now.down - here.down >= SHARE;
    });
  }

  /** SYNs of joins that entered a network, of both directions, and payload: whether its radio was woken. */
  async woken(network: string): Promise<{ syn: number; payload: number }> {
    const { forward, backward } = await this.scenario.wire(network);
    const sum = (pick: (tcp: typeof forward.tcp) => number): number => pick(forward.tcp) + pick(backward.tcp);
    return { syn: sum((tcp) => tcp.syn), payload: sum((tcp) => tcp.newPayloadBytes) };
  }

  /** Ends transfers: they send what is left at full speed; every octet has arrived, in MPTCP, under this policy. */
  async finish(calls: readonly Transfer[], policy: string): Promise<void> {
    hurry(this.scenario, calls);
    await this.ended(calls, policy);
  }

  /** The same of transfers that end by themselves. */
  async ended(calls: readonly Transfer[], policy: string): Promise<void> {
    await this.exact(calls, policy);
    for (const network of ["wifi", "ethernet"]) {
      const { forward, backward } = await this.scenario.lab.emulator.flows(network);
      for (const { source, packets, payloadBytes, withMptcp } of [...forward, ...backward]) {
        if (payloadBytes > 0) expect(withMptcp / packets, `${source} on ${network} was MPTCP`).toBeGreaterThan(0.9);
      }
    }
  }

  /** The same without a look at the wire, where no emulator counts. */
  async exact(calls: readonly Transfer[], policy: string): Promise<void> {
    for (const call of calls) this.outcomes.push(...(await call.outcomes()));
    await expectExact(this.scenario, this.outcomes);
    expect(await this.view()).toMatchObject({ state: "running", policy, fault: null });
  }
}
