// A thread of sim.test.ts: plays the seeds that it is sent, one after the other, and says what became of each.

import { parentPort } from "node:worker_threads";
import { type Result, runSeed } from "./runner.ts";

export type Answer = Pick<Result, "seed" | "failure" | "events">;

parentPort?.on("message", (seed: number) => {
  const { failure, events } = runSeed(seed);
  parentPort?.postMessage({ seed, failure, events } satisfies Answer);
});
