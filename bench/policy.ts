// What policies cost and what they bring: docs/PERFORMANCE.md, "Policies".
//
//     node bench/policy.ts [--parts calls,moves,tunnel] [--rounds 5] [--moves 50] [--runs 10]
//
// calls: nanoseconds per decision, each policy with 2, 8 and 32 paths, and the same with and without its limits.
// moves: from a link that breaks, or an input that changes, to the first octets on the other path.
// tunnel: a radio fades, dies and comes back, under three systems that take turns (bench/policy/tunnel.ts).
// The last two run in the lab and need root or a user namespace.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { repository } from "../test/lab/shunt.ts";
import { callCosts } from "./policy/calls.ts";
import { moveTimes } from "./policy/moves.ts";
import { tunnel } from "./policy/tunnel.ts";
import { prepare } from "./stream/prepare.ts";

const output = join(repository, "out/bench");

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      parts: { type: "string", default: "calls,moves,tunnel" },
      rounds: { type: "string", default: "5" },
      moves: { type: "string", default: "50" },
      runs: { type: "string", default: "10" },
    },
  });
  const parts = values.parts.split(",");
  if (parts.some((part) => part !== "calls")) {
    const over = prepare();
    if (over !== undefined) return over;
  }
  mkdirSync(output, { recursive: true });
  if (parts.includes("calls")) console.log(`${await callCosts(Number(values.rounds))}\n`);
  if (parts.includes("moves")) console.log(`${await moveTimes(Number(values.moves))}\n`);
  if (!parts.includes("tunnel")) return 0;
  const { text, isReached } = await tunnel(Number(values.runs), output);
  console.log(text);
  return isReached ? 0 : 1;
}

process.exitCode = await main();
