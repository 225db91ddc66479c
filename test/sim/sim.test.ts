import { execFileSync } from "node:child_process";
import { availableParallelism } from "node:os";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { REGRESSIONS } from "./regressions.ts";
import { runSeed } from "./runner.ts";
import { MTU_SEEDS, POLICY_SEEDS } from "./scenario.ts";
import type { Answer } from "./seed-worker.ts";

// The simulator in CI: the same seeds each time, so that what makes it red is a change. SIM_SEEDS says how many, or
// from which to which ("5000-6000"); `make sim SEED=n` plays one again and prints every packet.

const RANGE = (process.env.SIM_SEEDS ?? "2000").split("-").map(Number);
const [FIRST, LAST] = RANGE.length === 2 ? (RANGE as [number, number]) : [1, RANGE[0] ?? 0];

/** Plays all seeds in as many threads as there are processors. */
function playAll(seeds: number[]): Promise<Answer[]> {
  const left = seeds.values();
  const answers: Answer[] = [];
  const thread = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(path.join(import.meta.dirname, "seed-worker.ts"));
      const next = () => {
        const { value, done } = left.next();
        if (done) void worker.terminate().then(() => resolve());
        else worker.postMessage(value);
      };
      worker.on("error", reject);
      worker.on("message", (answer: Answer) => {
        answers.push(answer);
        next();
      });
      next();
    });
  return Promise.all(Array.from({ length: availableParallelism() }, thread)).then(() => answers);
}

function report(failed: Answer[]): string {
  const commit = execFileSync("git", ["rev-parse", "HEAD"], { encoding: "utf8" }).trim();
  const lines = failed.sort((x, y) => x.seed - y.seed).map(({ seed, failure }) => `seed ${seed}: ${failure}`);
  return `commit ${commit}, \`make sim SEED=…\` replays:\n${lines.join("\n")}`;
}

describe("the simulator", () => {
  it(`plays seeds ${FIRST} to ${LAST} and finds nothing`, { timeout: 3_600_000 }, async () => {
    const answers = await playAll(Array.from({ length: LAST - FIRST + 1 }, (_, i) => FIRST + i));
    const failed = answers.filter(({ failure }) => failure !== "");
    if (failed.length > 0) throw new Error(`${failed.length} of ${answers.length} failed; ${report(failed)}`);
    // A simulator in which nothing happens finds nothing either.
    const happened = (kind: string) => answers.reduce((sum, { events }) => sum + (events[kind] ?? 0), 0);
    for (const kind of ["NEW_SUBFLOW", "HANDOVER_DONE", "CONNECTION_FALLBACK", "ADDRESS_REMOVED", "SUBFLOW_CLOSED"]) {
      expect(happened(kind), kind).toBeGreaterThan(answers.length / 20);
    }
  });

  it("N-107 plays paths that take less than the interfaces, with routers that say so", {
    timeout: 600_000,
  }, async () => {
    const answers = await playAll(Array.from({ length: 250 }, (_, i) => MTU_SEEDS + i));
    const failed = answers.filter(({ failure }) => failure !== "");
    if (failed.length > 0) throw new Error(report(failed));
  });

  it("plays classes for which policies speak at both ends, and whose idle paths are asked", {
    timeout: 600_000,
  }, async () => {
    const answers = await playAll(Array.from({ length: 250 }, (_, i) => POLICY_SEEDS + i));
    const failed = answers.filter(({ failure }) => failure !== "");
    if (failed.length > 0) throw new Error(report(failed));
    const happened = (kind: string) => answers.reduce((sum, { events }) => sum + (events[kind] ?? 0), 0);
    for (const kind of ["NEW_SUBFLOW", "SUBFLOW_CLOSED", "COMMAND_DONE"]) {
      expect(happened(kind), kind).toBeGreaterThan(answers.length / 2);
    }
  });

  it("plays every seed that ever failed", { timeout: 600_000 }, async () => {
    const answers = await playAll(REGRESSIONS.map(([seed]) => seed));
    const failed = answers.filter(({ failure }) => failure !== "");
    if (failed.length > 0) throw new Error(report(failed));
  });

  it("makes the same of a seed each time, packet by packet", () => {
    for (const seed of [7, 8, 9]) {
      const traces = [0, 1].map(() => {
        const lines: string[] = [];
        runSeed(seed, { log: (line) => lines.push(line) });
        return lines;
      });
      expect(traces[0]?.length).toBeGreaterThan(20);
      expect(traces[0]).toEqual(traces[1]);
    }
  });
});
