// The page of conformance says what the tests say, and no statement that we owe is without a test.

import { describe, expect, it } from "vitest";
import { isCurrent, REQUIRED, statements } from "../../scripts/conformance.ts";

describe("docs/CONFORMANCE.md", () => {
  it("is what the tests' names say (else: node scripts/conformance.ts)", () => {
    expect(isCurrent()).toBe(true);
  });

  it("has a test for every statement that is owed", () => {
    const shown = new Set(statements().map(({ statement }) => statement));
    expect(REQUIRED.filter((number) => !shown.has(number))).toEqual([]);
  });
});
