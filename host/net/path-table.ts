// The paths of this machine as they are now. Joins configuration and link state, keeps source routes up to date, and
// tells the engine. Order matters: a path that comes up has its routes before the engine may join on it; a path that
// goes down is told to the engine first, since connections wait for that.
import { EventEmitter } from "node:events";
import { isDeepStrictEqual } from "node:util";
import { PATHS_MAX, type PathConfig } from "../config/config.ts";
import type { NetworkState } from "./links.ts";
import { type PathState, pathState } from "./path-state.ts";
import { SourceRoutes } from "./routes.ts";

interface PathEvents {
  /** A path is new or has changed. */
  set: [PathState];
  /** A path is gone. */
  removed: [PathState];
  /** Paths were added or removed. */
  listed: [];
  /** Something could not be done. One line. */
  problem: [string];
}

/** Why a change of the table was refused. */
export class PathTableError extends Error {
  readonly code: "exists" | "unknown" | "full";

  constructor(code: "exists" | "unknown" | "full", message: string) {
    super(message);
    this.name = "PathTableError";
    this.code = code;
  }
}

export class PathTable extends EventEmitter<PathEvents> {
  #configs: PathConfig[];
  #states = new Map<number, PathState>();
  #routes = new SourceRoutes();
  #network: NetworkState = { links: new Map(), routes: [], ownRoutes: new Map() };
  #queue: Promise<void> = Promise.resolve();

  constructor(configs: PathConfig[]) {
    super();
    this.#configs = [...configs];
  }

  /** Current states in the order of the configuration. */
  get states(): PathState[] {
    return this.#configs.map((config) => this.#states.get(config.id) ?? pathState(config, undefined, undefined));
  }

  get configs(): readonly PathConfig[] {
    return this.#configs;
  }

  byName(name: string): PathState | undefined {
    return this.states.find((state) => state.name === name);
  }

  /** Name of a path id, "" for 0 and for paths that are gone. */
  nameOf(id: number): string {
    return this.#configs.find((config) => config.id === id)?.name ?? this.#states.get(id)?.name ?? "";
  }

  /** Smallest MTU of all paths in octets. */
  get mtu(): number {
    return Math.min(...this.states.map((state) => state.mtu), 65535);
  }

  /** Takes a new state of the network. Resolves when everything that follows from it is done. */
  update(network: NetworkState): Promise<void> {
    return this.#then(async () => {
      this.#network = network;
      for (const config of this.#configs) await this.#refresh(config);
    });
  }

  /** Adds a path; `id` is chosen here. Throws PathTableError. */
  async add(config: Omit<PathConfig, "id">): Promise<PathState> {
    if (this.#configs.some((other) => other.name === config.name)) {
      throw new PathTableError("exists", `there is already a path named "${config.name}"`);
    }
    const twin = this.#configs.find((other) => other.interface === config.interface);
    if (twin !== undefined) {
      throw new PathTableError("exists", `interface "${config.interface}" already belongs to path "${twin.name}"`);
    }
    const added = { ...config, id: this.#freeId() };
    this.#configs.push(added);
    await this.#then(() => this.#refresh(added));
    this.emit("listed");
    return this.byName(config.name) as PathState;
  }

  /** Removes a path. Throws PathTableError. */
  async remove(name: string): Promise<void> {
    const config = this.#find(name);
    this.#configs = this.#configs.filter((other) => other !== config);
    await this.#then(async () => {
      const state = this.#states.get(config.id);
      if (state !== undefined) this.emit("removed", state);
      this.#states.delete(config.id);
      await this.#routes.remove(config.id);
    });
    this.emit("listed");
  }

  /** Changes what the operator says about a path. Throws PathTableError. */
  async change(name: string, change: Partial<Omit<PathConfig, "id" | "name">>): Promise<PathState> {
    const config = Object.assign(this.#find(name), change);
    await this.#then(() => this.#refresh(config));
    return this.byName(name) as PathState;
  }

  /** Makes the table what a newly read configuration says; paths are recognised by name. */
  async replace(configs: PathConfig[]): Promise<void> {
    for (const config of [...this.#configs]) {
      const next = configs.find((other) => other.name === config.name);
      if (next === undefined) await this.remove(config.name);
    }
    for (const { id: _, ...config } of configs) {
      const { name, ...rest } = config;
      if (this.#configs.some((other) => other.name === name)) await this.change(name, rest);
      else await this.add(config);
    }
    const order = configs.map((config) => config.name);
    this.#configs.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  }

  /** Removes all routes and rules. */
  clear(): Promise<void> {
    return this.#then(() => this.#routes.clear());
  }

  #find(name: string): PathConfig {
    const config = this.#configs.find((other) => other.name === name);
    if (config !== undefined) return config;
    const names = this.#configs.map((other) => `"${other.name}"`).join(", ");
    throw new PathTableError("unknown", `no path is named "${name}"; there are ${names}`);
  }

  #freeId(): number {
    for (let id = 1; id <= PATHS_MAX; id++) {
      if (!this.#configs.some((config) => config.id === id)) return id;
    }
    throw new PathTableError("full", `${PATHS_MAX} paths are the most there can be`);
  }

  async #refresh(config: PathConfig): Promise<void> {
    const before = this.#states.get(config.id);
    const state = pathState(config, this.#network.links.get(config.interface), before);
    const changed = !isDeepStrictEqual(before, state);
    const tell = () => {
      if (!changed) return;
      this.#states.set(config.id, state);
      this.emit("set", state);
    };
    if (!state.up) tell();
    const paths = new Set(this.#configs.map((other) => other.interface));
    const elsewhere = this.#network.routes.filter((route) => !paths.has(route.device));
    try {
      await this.#routes.update(state, { elsewhere, ownRoutes: this.#network.ownRoutes });
    } catch (error) {
      this.emit("problem", `source routing of path ${state.name}: ${(error as Error).message}`);
    }
    if (state.up) tell();
  }

  #then(step: () => Promise<void>): Promise<void> {
    const done = this.#queue.then(step);
    this.#queue = done.catch((error: Error) => {
      this.emit("problem", error.message);
    });
    return done;
  }
}
