import { beforeEach, expect, test } from "vitest";
import { Poll } from "../../../../../host/policy/inputs/poll.ts";
import { VirtualClock } from "../world.ts";
import { Heard } from "./script.ts";

let clock: VirtualClock;
let heard: Heard;
let asked: number;
/** Lets the question that is under way be answered. */
let answer: () => void;
let poll: Poll;

beforeEach(() => {
  clock = new VirtualClock();
  heard = new Heard();
  asked = 0;
  const ask = async () => {
    asked++;
    await new Promise<void>((resolve) => {
      answer = resolve;
    });
    return 1000;
  };
  poll = new Poll("slow", ask, clock);
});

test("one question at a time, however slow the answers", async () => {
  void poll.start(heard);
  await clock.pass(60_000);
  poll.soon();
  poll.soon();
  await clock.pass(60_000);
  expect(asked).toBe(1);
  answer();
  await clock.pass(0);
  // What was wished for meanwhile comes at once, and once.
  expect(asked).toBe(2);
  answer();
  await clock.pass(999);
  expect(asked).toBe(2);
  await clock.pass(1);
  expect(asked).toBe(3);
});

test("a source that is stopped while it is asked is left alone", async () => {
  void poll.start(heard);
  await clock.pass(0);
  poll.stop();
  answer();
  await clock.pass(0);
  expect(clock.waiting).toBe(0);
  poll.soon();
  await clock.pass(60_000);
  expect([asked, clock.waiting]).toEqual([1, 0]);
});

test("whatever is thrown is told once, and asked again half a minute later", async () => {
  let thrown = 0;
  const failing = async () => {
    // Other words each time: eight of them are enough.
    throw new Error(`broken in way ${Math.floor(thrown++ / 3)}`);
  };
  await new Poll("odd", failing, clock).start(heard);
  await clock.pass(29_999);
  expect(thrown).toBe(1);
  await clock.pass(40 * 30_000);
  expect(thrown).toBe(41);
  expect(heard.problems).toEqual(Array.from({ length: 8 }, (_, i) => `input odd: broken in way ${i}`));
});
