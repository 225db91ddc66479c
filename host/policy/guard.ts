// What stands between a policy and the engine: an intent that cannot be, or that comes too soon after the last one, is
// refused. One guard per class; it stays when the policy is swapped, so a swap is no way around it.
import { ABI, PathFlag, PathState, Refusal } from "./abi.ts";
import type { IntentRecord, PathRecord, TableRecord } from "./records.ts";

/** Between two moves of a class at least, whatever the policy asks for: a move costs round trips of duplicate ACKs. */
export const MIN_DWELL_MS = 1000;
/** A policy that asks for more waits no longer than this, so that a wrong number does not hold a class for weeks. */
export const MAX_DWELL_MS = 600_000;
/** Changes of an intent: each may cost an MP_PRIO, a join or an ADD_ADDR per connection and path. */
export const CHANGES_MAX = 10;
/** One change more is allowed after each of these. */
export const CHANGE_REFILL_MS = 5000;

/** An intent in the engine's words: path ids instead of bits. */
export interface Plan {
  /** 0 = leave the active path as it is. */
  active: number;
  standby: number[];
  open: number[];
  close: number[];
}

export interface Verdict {
  /** Refusal.NONE = accepted. */
  refusal: Refusal;
  /** What the intent asks for; null if it cannot be read. */
  plan: Plan | null;
}

/** Refusals that say that an intent is nonsense, not that it comes at the wrong time. */
const NONSENSE: ReadonlySet<Refusal> = new Set([
  Refusal.BAD_ABI,
  Refusal.NO_SUCH_PATH,
  Refusal.BAD_MASK,
  Refusal.NOT_USABLE,
]);

/** Whether a refused intent shows that the policy is not to be trusted with a class (when it is to take over one). */
export function isNonsense(refusal: Refusal): boolean {
  return NONSENSE.has(refusal);
}

export class Guard {
  #plan: Plan | null = null;
  #dwellUntilUs = 0;
  #changes = CHANGES_MAX;
  #refilledUs: number | null = null;

  /** The accepted plan that is in force, null = none yet. */
  get plan(): Plan | null {
    return this.#plan;
  }

  /** The class has gone back to the engine's native policy: nothing of ours is in force. Time limits stay. */
  forget(): void {
    this.#plan = null;
  }

  /** Judges an intent on the table that it was made from, without taking it. */
  judge(intent: IntentRecord, table: TableRecord): Verdict {
    const malformed = malformation(intent, table);
    if (malformed !== Refusal.NONE) return { refusal: malformed, plan: null };
    const plan = planOf(intent, table);
    const before = this.#plan;
    const from = before?.active || (table.activePathId ?? 0);
    const moves = plan.active !== 0 && plan.active !== from;
    const refusal = usability(plan, table, moves);
    if (refusal !== Refusal.NONE) return { refusal, plan };
    const pinned = table.paths.find((path) => (path.flags & PathFlag.PINNED) !== 0);
    if (moves && pinned !== undefined && pinned.id !== plan.active) return { refusal: Refusal.PINNED, plan };
    // From a path that is lost a class may go at once, and as often as that happens.
    if (moves && isLost(from, table)) return { refusal: Refusal.NONE, plan };
    if (moves && from !== 0 && table.nowUs < this.#dwellUntilUs) return { refusal: Refusal.DWELL, plan };
    if (before !== null && !samePlan(before, plan) && this.#allowance(table.nowUs) < 1) {
      return { refusal: Refusal.RATE, plan };
    }
    return { refusal: Refusal.NONE, plan };
  }

  /** Puts an accepted plan in force. Returns whether it differs from what was. */
  take(plan: Plan, intent: IntentRecord, table: TableRecord): boolean {
    const before = this.#plan;
    this.#plan = plan;
    const from = before?.active || (table.activePathId ?? 0);
    if (plan.active !== 0 && plan.active !== from) {
      const dwellMs = Math.min(Math.max(intent.dwellMs, MIN_DWELL_MS), MAX_DWELL_MS);
      this.#dwellUntilUs = table.nowUs + dwellMs * 1000;
    }
    if (before !== null && samePlan(before, plan)) return false;
    this.#changes = Math.max(0, this.#allowance(table.nowUs) - 1);
    return true;
  }

  #allowance(nowUs: number): number {
    const since = nowUs - (this.#refilledUs ?? nowUs);
    this.#refilledUs = nowUs;
    this.#changes = Math.min(CHANGES_MAX, this.#changes + since / (CHANGE_REFILL_MS * 1000));
    return this.#changes;
  }
}

function malformation(intent: IntentRecord, table: TableRecord): Refusal {
  if (intent.abi >> 8 !== ABI >> 8) return Refusal.BAD_ABI;
  const active = table.paths.findIndex((path) => path.id === intent.activePathId);
  if (intent.activePathId !== undefined && active === -1) return Refusal.NO_SUCH_PATH;
  const activeBit = active === -1 ? 0 : 1 << active;
  const wanted = intent.standbyMask | intent.openMask | activeBit;
  const all = table.paths.length >= 32 ? 0xffffffff : (1 << table.paths.length) - 1;
  if (((wanted | intent.closeMask) & ~all) !== 0) return Refusal.BAD_MASK;
  return (wanted & intent.closeMask) === 0 ? Refusal.NONE : Refusal.BAD_MASK;
}

function planOf(intent: IntentRecord, table: TableRecord): Plan {
  const ids = (mask: number) => table.paths.filter((_, i) => (mask & (1 << i)) !== 0).map((path) => path.id);
  return {
    active: intent.activePathId ?? 0,
    standby: ids(intent.standbyMask),
    open: ids(intent.openMask),
    close: ids(intent.closeMask),
  };
}

function usability(plan: Plan, table: TableRecord, moves: boolean): Refusal {
  const isJoined = (path: PathRecord) => path.state === PathState.ESTABLISHED || path.subflows > 0;
  const draining = table.paths.filter((path) => (path.flags & PathFlag.DRAINING) !== 0 && !isJoined(path));
  const wanted = [plan.active, ...plan.standby, ...plan.open];
  if (draining.some((path) => wanted.includes(path.id))) return Refusal.DRAINING;
  const active = table.paths.find((path) => path.id === plan.active);
  if (active === undefined) return Refusal.NONE;
  if (active.state === PathState.DOWN) return Refusal.NOT_USABLE;
  const elsewhere = table.paths.some((path) => path !== active && path.state === PathState.ESTABLISHED);
  const unready = active.state !== PathState.ESTABLISHED && elsewhere;
  return moves && unready && table.connections > 0 ? Refusal.NOT_USABLE : Refusal.NONE;
}

function isLost(id: number, table: TableRecord): boolean {
  const path = table.paths.find((candidate) => candidate.id === id);
  if (path === undefined) return true;
  return path.state === PathState.DOWN || path.state === PathState.STALE || (path.flags & PathFlag.CAPTIVE) !== 0;
}

function samePlan(a: Plan, b: Plan): boolean {
  const same = (x: number[], y: number[]) => x.length === y.length && x.every((id) => y.includes(id));
  return a.active === b.active && same(a.standby, b.standby) && same(a.open, b.open) && same(a.close, b.close);
}
