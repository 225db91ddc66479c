// Gathers what is known of the paths and the machine: the engine's figures and what follows from them, quota counters,
// and what the sources of the outside say. One for all classes.
import type { EngineEvent } from "../engine/index.ts";
import type { PathTable } from "../net/path-table.ts";
import { Event } from "./abi.ts";
import type { Clock } from "./clock.ts";
import type { PolicyEngine, Statistics } from "./engine-port.ts";
import { InputBoard } from "./inputs/board.ts";
import type { Input } from "./inputs/input.ts";
import { Measurements } from "./measurements.ts";
import type { QuotaLedger } from "./quota.ts";
import type { Cause, PathSituation, Situation } from "./table.ts";

/** Quota counters are read and written this often; a crash loses no more. */
const HOUSEKEEPING_MS = 10_000;

export interface SituationPorts {
  clock: Clock;
  engine: Pick<PolicyEngine, "statistics">;
  paths: Pick<PathTable, "states" | "configs">;
  quota: QuotaLedger;
  /** Something that policies of all classes may care about. */
  changed(cause: Cause): void;
  problem(line: string): void;
}

export class Situations {
  readonly board: InputBoard;
  #ports: SituationPorts;
  #measurements = new Measurements();
  /** When a subflow on a path fell silent, by path id. */
  #staleSinceUs = new Map<number, number>();
  #subflows = new Map<number, number>();
  #cancelHousekeeping: () => void = () => {};
  #isQuotaLost = false;

  constructor(ports: SituationPorts) {
    this.#ports = ports;
    this.board = new InputBoard({
      clock: ports.clock,
      changed: (event, name) => this.#inputChanged(event, name),
      problem: (line) => ports.problem(line),
    });
  }

  async start(inputs: Input[]): Promise<void> {
    await this.board.start(inputs);
    this.#keepHouse();
  }

  linksChanged(): void {
    const { states } = this.#ports.paths;
    this.board.linksChanged(states.map((state) => ({ name: state.interface, index: state.index })));
  }

  async stop(): Promise<void> {
    this.#cancelHousekeeping();
    await this.board.stop();
    // The last octets count, too, if the engine still tells of them.
    await this.#read().catch(() => {});
    this.#saveQuota();
  }

  /** Octets left, of the paths that have a quota. */
  get quotas(): { path: string; left: number }[] {
    const { paths, quota, clock } = this.#ports;
    return paths.configs.flatMap((config) => {
      const left = quota.left(config, clock.wallMs());
      return left === undefined ? [] : [{ path: config.name, left }];
    });
  }

  /** What a class with these paths, in this order, has to decide on. */
  async of(classId: number, order: readonly number[], pinned: number): Promise<Situation> {
    const statistics = await this.#read();
    const { states, configs } = this.#ports.paths;
    const paths = order.flatMap((id): PathSituation[] => {
      const config = configs.find((candidate) => candidate.id === id);
      const link = states.find((candidate) => candidate.id === id);
      if (config === undefined || link === undefined) return [];
      return [
        {
          config,
          link,
          figures: statistics.paths.find((path) => path.id === id),
          rates: this.#measurements.rates(id),
          known: this.board.known(config.interface),
          quotaLeft: this.#ports.quota.left(config, this.#ports.clock.wallMs()),
          staleSinceUs: this.#staleSinceUs.get(id),
        },
      ];
    });
    const nowUs = this.#ports.clock.nowUs();
    return { nowUs, classId, paths, statistics, machine: this.board.machine, pinned };
  }

  /** An event of the engine: some say what the figures will only show later. */
  heard({ kind, path, timeUs, value }: Pick<EngineEvent, "kind" | "path" | "timeUs" | "value">): void {
    if (path === 0) return;
    if (kind === "subflow_stale") {
      if (value === 1) this.#staleSinceUs.set(path, timeUs);
      else this.#staleSinceUs.delete(path);
      this.#ports.changed({ event: Event.PATH_STALE, path });
    }
    if ((kind === "new_subflow" || kind === "connection_established") && (this.#subflows.get(path) ?? 0) === 0) {
      this.#subflows.set(path, 1);
      this.#ports.changed({ event: Event.PATH_ESTABLISHED, path });
    }
  }

  /** A path is gone; its id may become another one's. */
  forget(path: number): void {
    this.#staleSinceUs.delete(path);
    this.#subflows.delete(path);
    this.#ports.quota.forget(path);
  }

  async #read(): Promise<Statistics> {
    const statistics = await this.#ports.engine.statistics();
    const { clock, quota, paths } = this.#ports;
    this.#measurements.note(statistics, clock.nowUs());
    quota.note(statistics, paths.configs, clock.wallMs());
    for (const path of statistics.paths) this.#subflows.set(path.id, path.subflows);
    return statistics;
  }

  #inputChanged(event: Event, name: string | null): void {
    const path = this.#ports.paths.configs.find((config) => config.interface === name);
    // Interfaces that are no path concern nobody.
    if (name === null || path !== undefined) this.#ports.changed({ event, path: path?.id });
  }

  #keepHouse(): void {
    this.#cancelHousekeeping = this.#ports.clock.after(HOUSEKEEPING_MS, () => {
      this.#keepHouse();
      if (!this.#ports.paths.configs.some((config) => config.facts.quota !== null)) return;
      void this.#read().then(
        () => this.#saveQuota(),
        () => {},
      );
    });
  }

  #saveQuota(): void {
    try {
      this.#ports.quota.save();
      this.#isQuotaLost = false;
    } catch (error) {
      // Told once, not every ten seconds.
      if (!this.#isQuotaLost) this.#ports.problem(`quota counters are not kept: ${(error as Error).message}`);
      this.#isQuotaLost = true;
    }
  }
}
