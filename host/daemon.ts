// The composition root: what a daemon consists of, in the order in which it starts and stops.
//
//   claim the network namespace → (leftovers of a crash go) → sets → data path → paths → classes and their policies →
//   rules, because from then on packets come → control API last, because whoever gets an answer may rely on all of it
//
// Stopping is the same backwards, after the engine has ended its connections. Each step that succeeds pushes its own
// undoing, so a failure in the middle leaves nothing behind either.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "./config/config.ts";
import { loadConfig } from "./config/load.ts";
import { ask } from "./control/commands.ts";
import { EventFeed, eventLine, logLine } from "./control/events.ts";
import { controlHandlers } from "./control/handlers.ts";
import { PolicySession } from "./control/policy-session.ts";
import { ControlServer } from "./control/server.ts";
import { TraceSession } from "./control/trace-session.ts";
import { PathFlag } from "./engine/abi.ts";
import { DataPath, type EngineCommand, type EngineEvent } from "./engine/index.ts";
import { checkCapabilities, checkTools, queueOwner } from "./net/checks.ts";
import { removeLeftovers } from "./net/leftovers.ts";
import { LinkWatch } from "./net/links.ts";
import { HOST_MARK, objectNames, WIRE_MARK } from "./net/marks.ts";
import { Parking } from "./net/parking.ts";
import type { PathState } from "./net/path-state.ts";
import { PathTable } from "./net/path-table.ts";
import { RouteCache } from "./net/route-cache.ts";
import { applyRules, hasNotrack, removeRules } from "./net/rules.ts";
import { createSets, destroySets } from "./net/sets.ts";
import { claim, release } from "./net/state-file.ts";
import { checkPolicies } from "./policy/check.ts";

export interface DaemonOptions {
  /** Instead of [control] socket. */
  socket?: string | undefined;
  /** Is told every line of the log. */
  log: (line: string) => void;
  /** The data path ended by itself: the caller must stop the daemon. */
  failed: (error: Error) => void;
}

/** How long connections may take to end when the daemon stops. */
const SHUTDOWN_MS = 3000;
/** The environment may name another build of the engine, for debugging. */
const ENGINE_WASM = process.env.SHUNT_ENGINE_WASM ?? join(import.meta.dirname, "..", "build", "engine.wasm");

export class Daemon {
  #config: Config;
  #options: DaemonOptions;
  #feed = new EventFeed();
  #undo: [string, () => Promise<unknown> | unknown][] = [];
  #engine: DataPath | null = null;
  #paths: PathTable;
  #parking: Parking;
  #routeCache: RouteCache;
  #policies: PolicySession | null = null;
  #notrack = true;
  #stopping: Promise<void> | null = null;
  // Commands of our own: their answers are news only when something went wrong.
  #ownCommands = new Set<number>();

  private constructor(config: Config, options: DaemonOptions) {
    this.#config = config;
    this.#options = options;
    this.#paths = new PathTable(config.paths);
    this.#parking = new Parking((line) => this.#problem(line));
    this.#routeCache = new RouteCache((line) => this.#problem(line));
    this.#feed.on("line", (line) => options.log(logLine(line)));
  }

  /** Starts a daemon. Throws ConfigError or an Error of one line; then nothing is left behind. */
  static async start(file: string, options: DaemonOptions): Promise<Daemon> {
    const config = loadConfig(file, checkPolicies);
    if (options.socket !== undefined) config.control.socket = options.socket;
    const daemon = new Daemon(config, options);
    try {
      await daemon.#start();
    } catch (error) {
      await daemon.#unwind();
      throw error;
    }
    return daemon;
  }

  get socket(): string {
    return this.#config.control.socket;
  }

  /** Ends connections (bounded), then removes everything. Safe to call twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Reads the configuration file again. Returns notes on what needs a restart. Throws ConfigError. */
  async reload(): Promise<string[]> {
    const next = loadConfig(this.#config.file, checkPolicies);
    const notes: string[] = [];
    for (const section of ["capacity", "engine"] as const) {
      if (JSON.stringify(next[section]) !== JSON.stringify(this.#config[section])) {
        notes.push(`[${section}] has changed: restart to use it`);
      }
    }
    await this.#paths.replace(next.paths);
    const { match, paths, policy, classes } = next;
    this.#config = { ...this.#config, match, paths, policy, classes };
    await this.#policies?.policies.reload(this.#config);
    await this.#applyRules();
    this.#feed.publishHost("config_reloaded", { detail: [this.#config.file, ...notes].join("; ") });
    return notes;
  }

  async #start(): Promise<void> {
    const startedMs = Date.now();
    await this.#checkPrerequisites();
    const { queue } = this.#config.engine;
    const dead = claim(queue, this.socket);
    this.#undo.push(["state file", release]);
    // Somebody we do not know of (another /run, another program) may listen; then what stands here is not left over.
    const owner = queueOwner(queue);
    if (owner !== null) {
      throw new Error(
        `queue ${queue} is in use by another program (netlink port ${owner}); remedy: end it, or choose another [engine] queue`,
      );
    }
    if (dead !== null) this.#feed.publishHost("leftovers_removed", { detail: `of process ${dead.pid}` });
    await removeLeftovers();
    const { sets } = objectNames(queue);
    this.#undo.push(["sets", () => destroySets(Object.values(sets))]);
    await createSets(queue, this.#config.capacity.subflows);
    await this.#startEngine(sets);
    await this.#startPaths();
    await this.#startPolicies(startedMs);
    this.#notrack = await hasNotrack();
    this.#undo.push(["rules", () => removeRules(queue)]);
    await this.#applyRules();
    await this.#startControl(startedMs);
    this.#feed.publishHost("daemon_ready", { detail: `queue ${queue}, control socket ${this.socket}` });
  }

  async #checkPrerequisites(): Promise<void> {
    const failed = [checkCapabilities(), ...(await checkTools())].find((check) => check.result === "failed");
    if (failed !== undefined) throw new Error(`${failed.detail}; remedy: ${failed.remedy}`);
    if (!existsSync(ENGINE_WASM)) throw new Error(`the engine is not built (${ENGINE_WASM}); remedy: make build`);
  }

  async #startEngine(sets: ReturnType<typeof objectNames>["sets"]): Promise<void> {
    const { capacity, engine: tuning, policy } = this.#config;
    const engine = await DataPath.start({
      wasm: ENGINE_WASM,
      queue: tuning.queue,
      batch: tuning.batch,
      capacity,
      engine: {
        portFirst: tuning.ports.first,
        portLast: tuning.ports.last,
        rejoinGraceMs: tuning.rejoinGraceMs,
        advertise: policy.advertise,
        receiveOnAll: policy.receiveOnAll,
        standby: tuning.standby,
        checksum: tuning.checksum,
      },
      sets,
      marks: { wire: WIRE_MARK, host: HOST_MARK },
      coredumpDir: process.env.SHUNT_COREDUMP_DIR,
    });
    this.#engine = engine;
    this.#undo.push(["data path", () => engine.stop()]);
    engine.on("event", (event: EngineEvent) => this.#engineEvent(event));
    engine.on("problem", (problem) => this.#problem(problem.message));
    engine.on("failure", (failure) => this.#options.failed(failure));
  }

  async #startPaths(): Promise<void> {
    const links = new LinkWatch();
    this.#undo.push(["address parking", () => this.#parking.clear()]);
    this.#undo.push(["route cache", () => this.#routeCache.clear()]);
    this.#undo.push(["source routing", () => this.#paths.clear()]);
    this.#undo.push(["link watching", () => links.stop()]);
    this.#paths.on("problem", (line) => this.#problem(line));
    this.#paths.on("removed", (path) => {
      this.#command({ kind: "path_remove", path: path.id });
      this.#feed.publishHost("path_removed", { path: path.name });
    });
    this.#paths.on("set", (path) => this.#sendPath(path));
    links.on("problem", (line) => this.#problem(line));
    links.on("resumed", (ms) => {
      this.#feed.publishHost("resumed", { detail: `nothing ran here for ${(ms / 1000).toFixed(1)} s` });
    });
    const network = await links.start();
    for (const { name, interface: device } of this.#config.paths) {
      if (!network.links.has(device)) {
        const known = [...network.links.keys()].filter((other) => other !== "lo").join(", ");
        throw new Error(
          `path "${name}": there is no interface "${device}"; remedy: use one of ${known} in ${this.#config.file}`,
        );
      }
    }
    await this.#paths.update(network);
    links.on("change", (next) => void this.#paths.update(next).catch(() => {}));
  }

  async #startPolicies(startedMs: number): Promise<void> {
    const session = new PolicySession({
      config: this.#config,
      engine: this.#engine as DataPath,
      paths: this.#paths,
      feed: this.#feed,
      startedMs,
      command: (command) => this.#command(command),
      problem: (line) => this.#problem(line),
    });
    this.#policies = session;
    this.#undo.push(["policies", () => session.policies.stop()]);
    await session.policies.start();
  }

  async #startControl(startedMs: number): Promise<void> {
    const engine = this.#engine as DataPath;
    const { policies, metrics } = this.#policies as PolicySession;
    const pathNames = () => Object.fromEntries(this.#paths.states.map((path) => [String(path.id), path.name]));
    const handlers = controlHandlers({
      engine,
      feed: this.#feed,
      paths: this.#paths,
      metrics,
      policies,
      trace: new TraceSession(engine, this.#feed, pathNames),
      config: () => this.#config,
      reload: () => this.reload(),
      startedMs,
    });
    const server = await ControlServer.start(this.socket, handlers);
    this.#undo.push(["control socket", () => server.stop()]);
  }

  #engineEvent(event: EngineEvent): void {
    if (event.kind === "host_kicked") this.#routeCache.forgetSoon(event.local);
    if (event.kind === "park_address") {
      if (event.value === 1) this.#parking.park(event.local);
      else this.#parking.unpark(event.local);
    }
    this.#policies?.heard(event);
    const isOwn = event.kind === "command_done" && this.#ownCommands.delete(event.commandId);
    if (isOwn && event.reason === "none") return;
    this.#feed.publish(eventLine(event, (id) => this.#paths.nameOf(id)));
  }

  #command(command: EngineCommand): number {
    const id = (this.#engine as DataPath).command(command);
    this.#ownCommands.add(id);
    return id;
  }

  #sendPath(path: PathState): void {
    this.#parking.setMtu(this.#paths.mtu);
    let flags = 0;
    if (path.up) flags |= PathFlag.UP;
    if (path.backup) flags |= PathFlag.BACKUP;
    if (path.draining) flags |= PathFlag.DRAINING;
    if (path.gateway4 !== null) flags |= PathFlag.GATEWAY4;
    if (path.gateway6 !== null) flags |= PathFlag.GATEWAY6;
    this.#command({
      kind: "path_set",
      path: path.id,
      flags,
      mtu: path.mtu,
      interface: path.index,
      prefix4: path.address4?.prefixLength ?? 0,
      prefix6: path.address6?.prefixLength ?? 0,
      address4: path.address4?.address ?? null,
      address6: path.address6?.address ?? null,
    });
    const addresses = [path.address4?.address, path.address6?.address].filter((address) => address !== undefined);
    this.#feed.publishHost(path.up ? "path_up" : "path_down", {
      path: path.name,
      detail: addresses.join(" ") || "no address",
    });
  }

  #applyRules(): Promise<void> {
    return applyRules({ queue: this.#config.engine.queue, ports: this.#config.match.ports, notrack: this.#notrack });
  }

  #problem(line: string): void {
    this.#feed.publishHost("problem", { detail: line });
  }

  async #stop(): Promise<void> {
    this.#feed.publishHost("daemon_stopping");
    if (this.#engine !== null) {
      const answer = await ask(this.#engine, { kind: "shutdown" }, SHUTDOWN_MS, 0).catch(() => null);
      // null: the data path has ended by itself, which has been told.
      if (answer?.reason === "timeout") this.#problem("connections did not end in time");
    }
    await this.#unwind();
    this.#feed.publishHost("daemon_stopped");
  }

  /** Undoes every step that was done, last one first. A step that fails does not keep the others from being undone. */
  async #unwind(): Promise<void> {
    for (let step = this.#undo.pop(); step !== undefined; step = this.#undo.pop()) {
      const [name, undo] = step;
      try {
        await undo();
      } catch (error) {
        this.#problem(`${name} could not be removed: ${(error as Error).message}; remedy: shunt doctor --clean`);
      }
    }
  }
}
