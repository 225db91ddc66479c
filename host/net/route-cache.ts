// A kick (assembly/handover/kick.ts) shows the own host an MTU to make it send again at once. The kernel keeps that MTU
// for ten minutes with its route to the peer; segments on that very route, one DSS longer, would be dropped all that
// time. So the kernel is made to forget it as soon as the host has reacted, which takes it microseconds.
import { execute } from "./execute.ts";

/** The host's reaction may wait for a process that holds the socket; a switch back takes longer than this. */
const DELAY_MS = 20;

/** IPv6 keeps it with the route, which may be one of our own tables; `cached` never means the routes themselves. */
const FAMILIES = { 4: ["route", "flush", "cache"], 6: ["-6", "route", "flush", "cached", "table", "all"] };

export class RouteCache {
  readonly #problem: (line: string) => void;
  readonly #pending = new Map<4 | 6, NodeJS.Timeout>();

  /** `problem` is told, in one line, why the kernel could not be made to forget; nothing else fails. */
  constructor(problem: (line: string) => void) {
    this.#problem = problem;
  }

  /** The host with the address `local` has been shown an MTU. Kicks that come together cost one command. */
  forgetSoon(local: string): void {
    const family = local.includes(":") ? 6 : 4;
    if (this.#pending.has(family)) return;
    const timer = setTimeout(() => {
      this.#pending.delete(family);
      execute("ip", FAMILIES[family]).catch((error: Error) => this.#problem(`route cache: ${error.message}`));
    }, DELAY_MS);
    this.#pending.set(family, timer);
  }

  /** Forgets at once what is pending: the daemon ends. */
  async clear(): Promise<void> {
    const families = [...this.#pending.keys()];
    for (const timer of this.#pending.values()) clearTimeout(timer);
    this.#pending.clear();
    for (const family of families) await execute("ip", FAMILIES[family]);
  }
}
