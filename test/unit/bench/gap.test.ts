// The handover benchmark's arithmetic: what counts as the gap of an event.

import { expect, test } from "vitest";
import { measure, quantile } from "../../../bench/handover/gap.ts";

/** Records of 10 bytes that arrive at these times, ms from the event, each 30 ms after it was sent. */
function arrivals(...times: number[]) {
  const arrived = Float64Array.from(times);
  return { arrived, sent: arrived.map((at) => at - 30) };
}

test("the longest gap that overlaps the window counts as a whole, beside the longest one before the event", () => {
  const seen = arrivals(-120, -100, -95, -90, -50, -5, 40, 45, 75, 240, 250, 900);
  const { gapMs, secondMs, stalledMs, controlMs } = measure(seen, 100, 100, 10);
  // 75 → 240 begins within the window, 250 → 900 behind it; -5 → 40 is the event's and not the control's.
  expect({ gapMs, secondMs, stalledMs, controlMs }).toEqual({
    gapMs: 165,
    secondMs: 45,
    stalledMs: 240,
    controlMs: 45,
  });
});

test("lateness is measured against the quickest record before the event", () => {
  const seen = arrivals(-20, -10, 0, 10, 20, 30, 90);
  seen.sent.set([-60, -40, -30, -20, -10, 5, 10]);
  // Sent within [-40, 0): 30 ms at best; sent at 10, arrived at 90.
  expect(measure(seen, 50, 40, 10).lateMs).toBe(80 - 30);
});

test("a curve counts from its first record and ends with the window", () => {
  expect(measure(arrivals(-30, -20, -10, 10, 300), 100, 25, 10).curve).toEqual([
    [-20, 10],
    [-10, 20],
    [10, 30],
    [100, 30],
  ]);
});

test("a stream that was not there is no measurement", () => {
  expect(() => measure(arrivals(-500, -400), 100, 100, 10)).toThrow("not there");
});

test("a quantile is a value that was observed", () => {
  const values = [5, 1, 4, 2, 3];
  expect([0, 0.1, 0.5, 0.9, 1].map((share) => quantile(values, share))).toEqual([1, 1, 3, 5, 5]);
});
