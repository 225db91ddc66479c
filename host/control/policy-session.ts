// The policies of a running daemon: made of the real sandbox and the real data path, their news told to the event feed
// and the metrics.
import type { Config } from "../config/config.ts";
import { compilePolicy, type EngineCommand, PolicyInstance } from "../engine/index.ts";
import type { PathState } from "../net/path-state.ts";
import type { PathTable } from "../net/path-table.ts";
import { systemClock } from "../policy/clock.ts";
import { Policies } from "../policy/policies.ts";
import type { EngineEvent, EnginePort } from "./engine-port.ts";
import type { EventFeed } from "./events.ts";
import { Metrics } from "./metrics.ts";
import { newsLine } from "./policy.ts";
import { CommandedEngine } from "./policy-engine.ts";

export interface PolicySessionPorts {
  config: Config;
  engine: EnginePort;
  paths: PathTable;
  feed: EventFeed;
  startedMs: number;
  /** Sends a command whose answer is news only if something went wrong; returns its id. */
  command(command: EngineCommand): number;
  problem(line: string): void;
}

export class PolicySession {
  readonly policies: Policies;
  readonly metrics: Metrics;
  #links = new Map<number, Pick<PathState, "up" | "draining">>();

  constructor({ config, engine, paths, feed, startedMs, command, problem }: PolicySessionPorts) {
    const nameOf = (id: number) => paths.nameOf(id) || `#${id}`;
    const sandbox = { compile: compilePolicy, load: PolicyInstance.load };
    const commanded = new CommandedEngine(engine, command);
    this.policies = new Policies(config, { clock: systemClock, sandbox, engine: commanded, paths, problem });
    this.metrics = new Metrics(engine, nameOf, this.policies, startedMs);
    this.policies.on("news", (news) => {
      this.metrics.policy.noteNews(news);
      const line = newsLine(news, nameOf);
      if (line !== null) feed.publishHost(line.event, line.fields);
    });
    // Paths that stand already: what is told of them next is a change.
    for (const { id, up, draining } of paths.states) this.#links.set(id, { up, draining });
    paths.on("set", (path) => this.#pathSet(path));
    paths.on("removed", ({ id }) => {
      this.#links.delete(id);
      this.policies.pathRemoved(id);
    });
    paths.on("listed", () => void this.policies.listed());
  }

  /** An event of the data path. */
  heard(event: EngineEvent): void {
    this.policies.heard(event);
    if (event.kind === "handover_done" || event.kind === "handover_failed") this.metrics.policy.noteHandover(event);
    if (event.kind === "connection_moved") this.metrics.policy.noteMove(event);
  }

  // A path is set anew for an address or an MTU, too: policies are told of what they can see.
  #pathSet({ id, up, draining }: PathState): void {
    this.policies.linksChanged();
    const before = this.#links.get(id);
    this.#links.set(id, { up, draining });
    if (before === undefined ? up : before.up !== up) this.policies.pathChanged(id, up);
    if (before !== undefined && before.draining !== draining) this.policies.pathDraining(id);
  }
}
