// Time that stands still until somebody turns it.
import type { Clock } from "../clock.ts";

/** Where the clock begins: at no round number, and not at 0. Microseconds. */
const EPOCH_US = 1_000_123_456;

export class VirtualClock implements Clock {
  #us: number;
  #wallMs: number;
  #settle: () => Promise<void>;
  #timers: { atUs: number; step: () => void }[] = [];

  /** `settle`: resolves when everything that can happen without time has happened. */
  constructor({ us = EPOCH_US, wallMs = 0, settle = settled } = {}) {
    this.#us = us;
    this.#wallMs = wallMs;
    this.#settle = settle;
  }

  nowUs(): number {
    return this.#us;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  after(ms: number, step: () => void): () => void {
    const timer = { atUs: this.#us + ms * 1000, step };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Timers that wait. */
  get waiting(): number {
    return this.#timers.length;
  }

  /** Lets time pass; what happens at one moment has settled before the next comes. */
  async pass(ms: number): Promise<void> {
    const endUs = this.#us + ms * 1000;
    await this.#settle();
    for (;;) {
      const next = this.#timers.filter(({ atUs }) => atUs <= endUs).sort((a, b) => a.atUs - b.atUs)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#goTo(Math.max(next.atUs, this.#us));
      next.step();
      await this.#settle();
    }
    this.#goTo(endUs);
  }

  /** Moves the wall clock alone, as a day's work of an operator or NTP would. */
  setWall(ms: number): void {
    this.#wallMs = ms;
  }

  #goTo(us: number): void {
    this.#wallMs += (us - this.#us) / 1000;
    this.#us = us;
  }
}

/** Until all promises that can settle without time have done so. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}
