// When a class decides: at once when a link changes, soon when something else happens, when the policy asked for it,
// and once a second in any case.
import { Event } from "./abi.ts";
import type { Clock } from "./clock.ts";
import type { Cause } from "./table.ts";

/** A policy decides this often at least. */
export const TICK_MS = 1000;
/** A policy that wants to be woken sooner waits this long: it has 50 ms of a processor per call at the very most. */
export const WAKE_MIN_MS = 50;
/** Causes that can come in crowds (one per connection) make one decision per this time. */
export const CROWD_MS = 50;
/** After a refusal the policy may think again, once; then at the next tick. */
export const REFUSED_MS = 100;

/** Causes that must not wait. */
const URGENT: ReadonlySet<Event> = new Set([
  Event.PATH_UP,
  Event.PATH_DOWN,
  Event.PATH_STALE,
  Event.DRAIN,
  Event.SIGNAL,
]);

/** What the last decision asks of the schedule. */
export interface Made {
  cause: Cause;
  /** On the clock of nowUs; undefined = no wish. */
  wakeAtUs: number | undefined;
  isRefused: boolean;
}

export class Schedule {
  #clock: Clock;
  /** Is called when a decision is due; then take() says why, and made() what came of it. */
  #due: () => void;
  #isOn = false;
  #isDue = false;
  #wanted: Cause | null = null;
  #decidedUs = 0;
  #cancel: () => void = () => {};

  constructor(clock: Clock, due: () => void) {
    this.#clock = clock;
    this.#due = due;
  }

  stop(): void {
    this.#isOn = false;
    this.#wanted = null;
    this.#cancel();
  }

  /** Something happened. */
  notify(cause: Cause): void {
    if (!this.#isOn) return;
    const urgent = URGENT.has(cause.event);
    // Several causes at once are told by the first; but what is urgent is not hidden behind what can wait.
    if (this.#wanted === null || (urgent && !URGENT.has(this.#wanted.event))) this.#wanted = cause;
    const readyUs = this.#decidedUs + CROWD_MS * 1000;
    const waitMs = urgent ? 0 : (readyUs - this.#clock.nowUs()) / 1000;
    if (waitMs <= 0) this.#fire();
    else this.#arm(waitMs, cause);
  }

  /** Why the decision that is due is made. */
  take(): Cause {
    const cause = this.#wanted ?? { event: Event.TICK };
    this.#isDue = false;
    this.#wanted = null;
    return cause;
  }

  /** A decision was made: when is the next? */
  made({ cause, wakeAtUs, isRefused }: Made): void {
    const nowUs = this.#clock.nowUs();
    this.#isOn = true;
    this.#decidedUs = nowUs;
    if (this.#isDue) return;
    if (this.#wanted !== null) {
      this.#arm(CROWD_MS, this.#wanted);
      return;
    }
    const wakeMs = wakeAtUs === undefined ? TICK_MS : Math.max(WAKE_MIN_MS, (wakeAtUs - nowUs) / 1000);
    if (isRefused && cause.event !== Event.REFUSED && REFUSED_MS < wakeMs)
      this.#arm(REFUSED_MS, { event: Event.REFUSED });
    else if (wakeMs < TICK_MS) this.#arm(wakeMs, { event: Event.WAKE });
    else this.#arm(TICK_MS, { event: Event.TICK });
  }

  #arm(ms: number, cause: Cause): void {
    this.#cancel();
    this.#cancel = this.#clock.after(Math.ceil(ms), () => {
      this.#wanted ??= cause;
      this.#fire();
    });
  }

  #fire(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#cancel();
    this.#due();
  }
}
