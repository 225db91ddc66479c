// Swaps of policies on transfers at full speed: no octet is lost, no event goes undecided, and what a policy knew its
// successor knows. `make soak` sets POLICY_SWAP_SECONDS=60.

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { Event, PathState } from "../../host/policy/abi.ts";
import type { DecisionLine, RecordingLine } from "../../host/policy/recorder.ts";
import { readIntent, readTable } from "../../host/policy/records.ts";
import { readRecording } from "../../host/policy/replay.ts";
import { linkDown, linkUp, until } from "./mobility.ts";
import { CLASS, installPolicy, PolicyStand } from "./policies.ts";
import { Scenario } from "./scenario.ts";
import { bare } from "./topology.ts";
import type { Transfer } from "./transfer.ts";
import { countWire, readWire } from "./wire-counters.ts";

const SECONDS = Number(process.env.POLICY_SWAP_SECONDS ?? 10);
const INTERVAL_MS = 100;
const TRANSFER = 150_000_000;

/** Counts its decisions, which is all its state, and tells the count as its reason: 256 + count. */
const counter = (weight: number) => `(module
  (global $count (mut i32) (i32.const 0))
  (memory (export "memory") 1)
  (func (export "shunt_policy_abi_1") (result i32) (i32.const 0))
  (func (export "region") (param $kind i32) (param $size i32) (result i32)
    (i32.mul (i32.add (local.get $kind) (i32.const 1)) (i32.const 8192)))
  (func (export "init") (param $length i32) (result i32) (i32.const 0))
  (func (export "decide") (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (i32.store16 (i32.const 24576) (i32.const 256))
    (i32.store16 (i32.const 24578) (i32.add (i32.const 256) (global.get $count)))
    (i32.store (i32.const 24580) (i32.const -1))
    (i32.store (i32.const 24584) (i32.const 2))
    (i32.store8 (i32.const 24608) (i32.const ${weight}))
    (i32.const 0))
  (func (export "save") (result i32) (i32.store (i32.const 32768) (global.get $count)) (i32.const 4))
  (func (export "load") (param $length i32) (result i32)
    (if (i32.ne (local.get $length) (i32.const 4)) (then (return (i32.const 1))))
    (global.set $count (i32.load (i32.const 32768)))
    (i32.const 0)))`;

const view = (base64: string) => {
  const { buffer, byteOffset, byteLength } = Buffer.from(base64, "base64");
  return new DataView(buffer, byteOffset, byteLength);
};

function decisionsIn(lines: RecordingLine[]) {
  const made = lines.filter((line): line is DecisionLine => "decision" in line);
  return made.map(({ decision }) => {
    if (decision.intent === undefined) throw new Error(`a decision failed: ${JSON.stringify(decision)}`);
    return {
      instance: decision.instance,
      table: readTable(view(decision.table)),
      intent: readIntent(view(decision.intent)),
    };
  });
}

const isEthernetDown = (decision?: ReturnType<typeof decisionsIn>[number]) =>
  decision?.table.paths[1]?.state === PathState.DOWN;

it(`two policies swapped every ${INTERVAL_MS} ms for ${SECONDS} s at full speed: nothing is lost, nothing is decided twice or never`, {
  timeout: SECONDS * 5000 + 120_000,
}, async () => {
  const scenario = await Scenario.start({ topology: bare, shunt: { server: {} } });
  const directory = join(scenario.lab.directory, "policies");
  ["tick", "tock"].forEach((name, i) => {
    installPolicy(directory, name, counter(i));
  });
  const stand = await PolicyStand.open(scenario, { client: { policy: { directory } }, policy: "tick" });
  await countWire(scenario.client, "wifi");
  const file = join(scenario.lab.directory, "decisions.jsonl");
  await stand.api.call("POST", "/v1/policy/recording", { file });
  const calls: Transfer[] = [];
  let isOver = false;
  const load = (async () => {
    while (!isOver) {
      calls.push(scenario.call({ up: TRANSFER, down: TRANSFER, seed: 1 + 2 * calls.length }));
      await calls.at(-1)?.outcomes();
    }
  })();
  let breaks = 0;
  const links = (async () => {
    // Two changes that nobody has decided on yet may be told as one; so there is one at a time.
    const decided = (isDown: boolean) =>
      until(`a decision on a link that is ${isDown ? "down" : "up"}`, async () => {
        await sleep(INTERVAL_MS);
        return isEthernetDown(decisionsIn(readRecording(file)).at(-1)) === isDown;
      });
    while (!isOver) {
      await linkDown(scenario.client, "ethernet");
      breaks++;
      await decided(true);
      await linkUp(scenario.client, "ethernet");
      await decided(false);
      await sleep(4 * INTERVAL_MS);
    }
  })();
  const swaps = (SECONDS * 1000) / INTERVAL_MS;
  const began = performance.now();
  for (let i = 1; i <= swaps; i++) {
    await sleep(Math.max(0, began + i * INTERVAL_MS - performance.now()));
    await stand.use(i % 2 === 1 ? "tock" : "tick");
  }
  const tookMs = performance.now() - began;
  isOver = true;
  await Promise.all([load, links]);
  await stand.exact(calls, "tick");
  const swapped = await stand.metric(`shunt_policy_swaps_total{class="${CLASS}"}`);
  const recorded = await stand.api.call<{ decisions: number }>("DELETE", "/v1/policy/recording");
  const wire = await readWire(scenario.client, "wifi");
  for (const { mptcp, plain } of [wire.in, wire.out]) {
    expect(mptcp.payloadBytes).toBeGreaterThanOrEqual(calls.length * TRANSFER);
    // A probe of a quiet subflow has one octet, which is none of the stream.
    expect(plain.payloadBytes).toBeLessThan(1000);
  }

  const lines = readRecording(file);
  const decisions = decisionsIn(lines);
  // The recording began with an instance of its own, and each swap is one; the first of all was before it.
  expect(lines.filter((line) => "instance" in line)).toHaveLength(swaps + 1);
  expect(swapped).toBe(swaps + 1);
  // The state goes along: they count on, from hand to hand, without a step left out or made twice.
  expect(decisions).toHaveLength(recorded.decisions);
  const first = decisions[0]?.intent.reason ?? 0;
  expect(decisions.map(({ intent }) => intent.reason)).toEqual(decisions.map((_, i) => first + i));
  // Each break of the link was decided on, by whoever was in office, and so was each return.
  const broke = decisions.filter(({ table }) => table.event === Event.PATH_DOWN);
  expect(breaks).toBeGreaterThan(SECONDS / 5);
  expect(broke).toHaveLength(breaks);
  const states = decisions.map(isEthernetDown);
  const falls = states.filter((isDown, i) => isDown && states[i - 1] === false).length;
  expect(falls).toBe(breaks);
  expect(states.at(-1)).toBe(false);
  const megabits = (2 * calls.length * TRANSFER * 8) / tookMs / 1000;
  console.log(
    `${swaps} swaps in ${(tookMs / 1000).toFixed(1)} s, ${decisions.length} decisions, ${breaks} breaks, ` +
      `${calls.length} transfers, ${megabits.toFixed(0)} Mbit/s both ways together`,
  );
});
