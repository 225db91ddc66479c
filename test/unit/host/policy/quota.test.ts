import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { periodStart, QuotaLedger } from "../../../../host/policy/quota.ts";
import { pathConfig, pathFigures } from "./world.ts";

const GB = 1e9;
const LTE = pathConfig(1, "lte", { quota: 10 * GB, billingDay: 5 });
const FREE = pathConfig(2, "wifi");
const MARCH = new Date(2026, 2, 10, 12).getTime();

let directory: string;
let file: string;
let problems: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "shunt-quota-"));
  file = join(directory, "state", "quota.json");
  problems = [];
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

const open = () => new QuotaLedger(file, (line) => problems.push(line));
/** Statistics of a daemon whose LTE path has moved so many octets since its start. */
const moved = (sent: number, received = 0) => ({
  paths: [pathFigures(1, { bytesSent: sent, bytesReceived: received }), pathFigures(2, { bytesSent: 5 * GB })],
  classes: [],
});

describe("a billing period", () => {
  test.each([
    ["begins on its day", [2026, 2, 10], 5, [2026, 2, 5]],
    ["on that very day", [2026, 2, 5], 5, [2026, 2, 5]],
    ["or the month before", [2026, 2, 4], 5, [2026, 1, 5]],
    ["over the turn of the year", [2026, 0, 4], 5, [2025, 11, 5]],
    ["of day 31 on the last of February", [2026, 2, 10], 31, [2026, 1, 28]],
    ["which has 29 days in a leap year", [2028, 2, 10], 31, [2028, 1, 29]],
    ["and on the 30th of April", [2026, 3, 30], 31, [2026, 3, 30]],
  ] as const)("%s", (_, [y, m, d], day, [year, month, date]) => {
    expect(periodStart(new Date(y, m, d, 3).getTime(), day)).toBe(new Date(year, month, date).getTime());
  });
});

describe("quota", () => {
  test("counts both directions, and only where there is one", () => {
    const ledger = open();
    ledger.note(moved(1 * GB, 2 * GB), [LTE, FREE], MARCH);
    expect(ledger.left(LTE, MARCH)).toBe(7 * GB);
    expect(ledger.left(FREE, MARCH)).toBeUndefined();
    ledger.note(moved(9 * GB, 2 * GB), [LTE, FREE], MARCH);
    expect(ledger.left(LTE, MARCH)).toBe(0);
  });

  test("survives a restart, whose totals begin at zero", () => {
    const first = open();
    first.note(moved(4 * GB), [LTE], MARCH);
    first.save();
    const second = open();
    expect(second.left(LTE, MARCH)).toBe(6 * GB);
    second.note(moved(1 * GB), [LTE], MARCH);
    expect(second.left(LTE, MARCH)).toBe(5 * GB);
  });

  test("survives an engine that was replaced, whose totals go back", () => {
    const ledger = open();
    ledger.note(moved(4 * GB), [LTE], MARCH);
    ledger.note(moved(1 * GB), [LTE], MARCH);
    expect(ledger.used(LTE, MARCH)).toBe(5 * GB);
  });

  test("begins anew with the period, what was counted before included", () => {
    const ledger = open();
    ledger.note(moved(4 * GB), [LTE], MARCH);
    const april = new Date(2026, 3, 5, 0, 1).getTime();
    expect(ledger.left(LTE, april)).toBe(10 * GB);
    ledger.note(moved(5 * GB), [LTE], april);
    expect(ledger.left(LTE, april)).toBe(9 * GB);
  });

  test("is not given back by a clock that goes back", () => {
    const ledger = open();
    ledger.note(moved(4 * GB), [LTE], MARCH);
    expect(ledger.left(LTE, new Date(2020, 0, 1).getTime())).toBe(6 * GB);
  });

  test("of an id that belongs to another path now is not that one's", () => {
    const ledger = open();
    ledger.note(moved(4 * GB), [LTE], MARCH);
    ledger.forget(1);
    const other = { ...LTE, name: "lte2" };
    ledger.note(moved(1 * GB), [other], MARCH);
    expect(ledger.used(other, MARCH)).toBe(1 * GB);
    expect(ledger.used(LTE, MARCH)).toBe(4 * GB);
  });

  test("is written only when there is news", () => {
    const ledger = open();
    ledger.note(moved(0), [FREE], MARCH);
    ledger.save();
    expect(existsSync(file)).toBe(false);
    ledger.note(moved(1), [LTE], MARCH);
    ledger.save();
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ version: 1, paths: { lte: { used: 1 } } });
  });

  test("of a file that cannot be read starts at zero, and says so", () => {
    file = join(directory, "quota.json");
    writeFileSync(file, "{");
    expect(open().left(LTE, MARCH)).toBe(10 * GB);
    expect(problems[0]).toMatch(/quota counters start at zero: .*quota.json cannot be read/);
  });
});
