// A host of the lab: a network namespace, and what can be done in it.

import { until } from "./mobility.ts";
import { must, Program, type ProgramOptions, type Result, run } from "./program.ts";
import { addressOf, type Network } from "./topology.ts";

/** Deltas or totals of kernel counters, by name. */
export type KernelCounters = Record<string, number>;

/** A line of /proc/net/netfilter/nfnetlink_queue. */
export interface QueueCounters {
  queue: number;
  /** Packets that wait for a verdict. */
  waiting: number;
  /** Packets dropped because the queue was full. */
  dropped: number;
  /** Packets dropped because the socket buffer was full. */
  userDropped: number;
  /** Packets queued so far. */
  total: number;
}

export class Host {
  readonly name: string;
  /** Name of the network namespace. */
  readonly namespace: string;
  /** Scratch directory, removed with the lab. */
  readonly directory: string;
  readonly networks: readonly Network[];

  constructor(name: string, namespace: string, directory: string, networks: readonly Network[]) {
    this.name = name;
    this.namespace = namespace;
    this.directory = directory;
    this.networks = networks.filter((network) => network.ends.includes(name));
  }

  /** The command that enters this host's namespace; `ip netns exec` also shows the right /sys. */
  get prefix(): readonly string[] {
    return ["ip", "netns", "exec", this.namespace];
  }

  /** Runs a program that must succeed; returns its standard output. */
  exec(command: readonly string[], options?: ProgramOptions): Promise<string> {
    return must([...this.prefix, ...command], options);
  }

  /** Runs a program that may fail. */
  try(command: readonly string[], options?: ProgramOptions): Promise<Result> {
    return run([...this.prefix, ...command], options);
  }

  /** Starts a program that goes on. */
  spawn(command: readonly string[], options?: ProgramOptions): Program {
    return new Program([...this.prefix, ...command], options);
  }

  /** Waits until something listens at a TCP port; fails when `program`, which should, has ended. */
  async untilListening(program: Program, port: number): Promise<void> {
    await until(`a listener at port ${port}`, async () => {
      if (!program.isRunning) throw new Error(`${program.command.join(" ")}: ${program.output()}`);
      return (await this.exec(["ss", "-Hltn", `sport = :${port}`])) !== "";
    });
  }

  /** Address of this host on a network. */
  address(network: string, family: 4 | 6 = 4): string {
    const found = this.networks.find((candidate) => candidate.name === network);
    if (!found) throw new Error(`${this.name} is not on ${network}`);
    return addressOf(found, this.name, family);
  }

  /** All SNMP counters of the namespace since it was made, the zero ones too. */
  async kernelCounters(): Promise<KernelCounters> {
    const text = await this.exec(["nstat", "-asz", "--json"]);
    return (JSON.parse(text) as { kernel: KernelCounters }).kernel;
  }

  async queueCounters(): Promise<QueueCounters[]> {
    const result = await this.try(["cat", "/proc/net/netfilter/nfnetlink_queue"]);
    const lines = result.stdout.split("\n").filter((line) => line.trim() !== "");
    return lines.map((line) => {
      const [queue = 0, , waiting = 0, , , dropped = 0, userDropped = 0, total = 0] = line
        .trim()
        .split(/\s+/)
        .map(Number);
      return { queue, waiting, dropped, userDropped, total };
    });
  }

  /**
   * Everything a proxy could leave behind, as text to compare before and after: rules, sets, policy routes, routes,
   * links, addresses. Counters and life times are taken out.
   */
  async configuration(): Promise<string> {
    const commands = [
      ["ip", "-o", "link"],
      ["ip", "-o", "address"],
      ["ip", "rule"],
      ["ip", "-6", "rule"],
      ["ip", "route", "show", "table", "all"],
      ["ip", "-6", "route", "show", "table", "all"],
      ["iptables-save"],
      ["ip6tables-save"],
      ["ipset", "list", "-name"],
    ];
    const parts = await Promise.all(commands.map((command) => this.try(command)));
    return parts.map((part, index) => `# ${commands[index]?.join(" ")}\n${normalise(part.stdout)}`).join("\n");
  }
}

/** Takes out what changes by itself. Chains that the kernel creates on first use stand empty for good: they are not ours. */
function normalise(text: string): string {
  return text
    .split("\n")
    .filter((line) => !/^#|^:(PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING) ACCEPT|^\*|^COMMIT/.test(line))
    .map((line) => line.replace(/\[\d+:\d+\]|expires \d+sec|qlen \d+/g, "").trimEnd())
    .filter((line) => line !== "")
    .sort()
    .join("\n");
}
