// Octets per path and billing period, kept over restarts. What is counted is the payload on our subflows, both
// directions, retransmissions included: what other programs use of a tariff nobody here sees.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { PathFacts } from "../config/config.ts";
import type { Statistics } from "./engine-port.ts";

/** What one path has used of its period. */
interface Account {
  /** Milliseconds since 1970 at which the period began. */
  periodMs: number;
  /** Octets. */
  used: number;
}

interface QuotaFile {
  version: 1;
  /** By path name. */
  paths: Record<string, Account>;
}

/** A path with a quota. */
export interface QuotaPath {
  id: number;
  name: string;
  facts: Pick<PathFacts, "quota" | "billingDay">;
}

/**
 * Midnight, by local time, of the last `day` of a month that is not after `nowMs`; a month too short for `day` has it
 * on its last day.
 */
export function periodStart(nowMs: number, day: number): number {
  const now = new Date(nowMs);
  const startIn = (month: number) => {
    const last = new Date(now.getFullYear(), month + 1, 0).getDate();
    return new Date(now.getFullYear(), month, Math.min(day, last)).getTime();
  };
  const here = startIn(now.getMonth());
  return here <= nowMs ? here : startIn(now.getMonth() - 1);
}

export class QuotaLedger {
  #file: string;
  #accounts = new Map<string, Account>();
  /** The engine's total at the last reading, by path id. */
  #totals = new Map<number, number>();
  #dirty = false;

  /** Reads the file if there is one. A file that cannot be read is told and left alone until the next save. */
  constructor(file: string, problem: (line: string) => void) {
    this.#file = file;
    try {
      const contents = JSON.parse(readFileSync(file, "utf8")) as QuotaFile;
      for (const [name, account] of Object.entries(contents.paths)) this.#accounts.set(name, { ...account });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
        problem(`quota counters start at zero: ${file} cannot be read: ${(error as Error).message}`);
      }
    }
  }

  /** Adds what has moved since the last reading. `nowMs` by the wall clock. */
  note(statistics: Statistics, paths: readonly QuotaPath[], nowMs: number): void {
    for (const { id, name, facts } of paths) {
      const figures = statistics.paths.find((path) => path.id === id);
      if (figures === undefined) continue;
      const total = figures.bytesSent + figures.bytesReceived;
      const before = this.#totals.get(id) ?? 0;
      this.#totals.set(id, total);
      if (facts.quota === null) continue;
      const account = this.#account(name, facts.billingDay, nowMs);
      // Totals that went back are those of a new engine, which began at zero.
      const moved = total >= before ? total - before : total;
      account.used += moved;
      this.#dirty ||= moved > 0;
    }
  }

  /** Octets used in this period. */
  used(path: QuotaPath, nowMs: number): number {
    return this.#account(path.name, path.facts.billingDay, nowMs).used;
  }

  /** Octets left, undefined = the path has no quota. */
  left(path: QuotaPath, nowMs: number): number | undefined {
    if (path.facts.quota === null) return undefined;
    return Math.max(0, path.facts.quota - this.used(path, nowMs));
  }

  /** A path is gone: its id may become another one's. */
  forget(id: number): void {
    this.#totals.delete(id);
  }

  /** Writes the file if there is news. Throws if it cannot. */
  save(): void {
    if (!this.#dirty) return;
    const contents: QuotaFile = { version: 1, paths: Object.fromEntries(this.#accounts) };
    mkdirSync(dirname(this.#file), { recursive: true, mode: 0o755 });
    const draft = `${this.#file}.${process.pid}`;
    writeFileSync(draft, `${JSON.stringify(contents)}\n`, { mode: 0o644 });
    renameSync(draft, this.#file);
    this.#dirty = false;
  }

  #account(name: string, day: number, nowMs: number): Account {
    const periodMs = periodStart(nowMs, day);
    let account = this.#accounts.get(name);
    // A clock that goes back (before NTP has set it) does not open the old period anew.
    if (account === undefined || account.periodMs < periodMs) {
      account = { periodMs, used: 0 };
      this.#accounts.set(name, account);
      this.#dirty = true;
    }
    return account;
  }
}
