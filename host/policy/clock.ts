/** Time as the policy runtime sees it: unit tests bring a clock of their own. */
export interface Clock {
  /** Monotonic microseconds, the data path's clock. */
  nowUs(): number;
  /** Milliseconds since 1970. */
  wallMs(): number;
  /** Calls `step` after `ms`; the function that it returns takes that back. */
  after(ms: number, step: () => void): () => void;
}

export const systemClock: Clock = {
  nowUs: () => Number(process.hrtime.bigint() / 1000n),
  wallMs: () => Date.now(),
  after: (ms, step) => {
    const timer = setTimeout(step, ms);
    // A daemon that has nothing else to do may end.
    timer.unref();
    return () => clearTimeout(timer);
  },
};
