// Bytes at process(), see campaign.ts.

import { describe, test } from "vitest";
import { forCases } from "../model/random.ts";
import { drain, run } from "./campaign.ts";

const CASES = 12;

describe.each(["test", "test-release"] as const)("process() fuzz, %s build", (build) => {
  test.each([0, 0.05, 0.4])(
    "N-102 %d of the packets damaged: no trap, and every invariant of the tables holds",
    (damage) => {
      forCases(CASES, (random) => drain(run(build, random, damage)));
    },
  );
});
