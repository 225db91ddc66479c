// The page of conformance says what the tests say, and no statement that we owe is without a test or without a place
// in the code.

import { describe, expect, it } from "vitest";
import { isCurrent, lostCode, REQUIRED, shown, statements, unplaced } from "../../scripts/conformance.ts";
import { testNames } from "../../scripts/test-names.ts";

describe("docs/CONFORMANCE.md", () => {
  it("is what statements and tests say (else: node scripts/conformance.ts)", () => {
    expect(isCurrent()).toBe(true);
  });

  it("has all statements, each with its text and, unless it says why not, its place in the code", () => {
    expect(statements().map(({ number }) => number)).toEqual(Array.from({ length: 114 }, (_, i) => i + 1));
    expect(statements().filter(({ says }) => says === "")).toEqual([]);
    expect(unplaced()).toEqual([]);
  });

  it("names functions that exist", () => {
    expect(lostCode()).toEqual([]);
  });

  it("has a test for every statement that is owed", () => {
    const tested = new Set(shown().map(({ statement }) => statement));
    expect(REQUIRED.filter((number) => !tested.has(number))).toEqual([]);
  });

  it("keeps no excuse for what a test shows, and no number that is none", () => {
    const tested = new Set(shown().map(({ statement }) => statement));
    const excused = statements().filter(({ number, missing }) => missing && tested.has(number));
    expect(excused.map(({ number }) => number)).toEqual([]);
    expect([...tested].filter((number) => number < 1 || number > 114)).toEqual([]);
  });
});

describe("names of tests", () => {
  it("have the rows of their tables where vitest puts them", () => {
    // Written with n for N, or this text would count as a test of those statements.
    const source = `
      const amounts: [string, Amount][] = [["upload", { up: 5 }], ["download", { down: 5 }]];
      it.each(amounts)("n-1 all of it: %s", () => {});
      it.each([[20_000, 300], [200_000, 600]])("n-2 with %i µs after %i ms", () => {});
      it.each([{ role: "opener" }, { role: "responder" }])("n-3 as the $role", () => {});
      it.each(unknown)("n-4 of %s", () => {});
      it.each([["n-7", "a row that is a name"]])("%s %s", () => {});`.replaceAll("n-", "N-");
    expect(testNames(source).map((name) => name.replace("N", "n"))).toEqual([
      "n-1 all of it: upload / download",
      "n-2 with 20000 / 200000 µs after 300 / 600 ms",
      "n-3 as the opener / responder",
      "n-4 of …",
      "n-7 a row that is a name",
    ]);
  });
});
