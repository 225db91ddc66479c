import { describe, expect, it } from "vitest";
import { loadInternals, TEST_BUILDS, u32, u64 } from "../../internals.ts";

describe.each(TEST_BUILDS)("number spaces (%s)", (build) => {
  const { internals } = loadInternals(build, { pages: 2 });

  it.each([
    [0, 1],
    [0xffffffff, 0],
    [0xfffffff0, 0x10],
    [0x7fffffff, 0x80000000],
    [5, 0x80000004],
  ])("%d comes before %d", (a, b) => {
    expect(internals.seqLt(a, b)).toBe(1);
    expect(internals.seqLt(b, a)).toBe(0);
    expect(internals.seqLeq(a, b)).toBe(1);
    expect(internals.seqGt(b, a)).toBe(1);
    expect(internals.seqGeq(b, a)).toBe(1);
    expect(internals.seqGeq(a, b)).toBe(0);
    expect(u32(internals.seqMax(a, b))).toBe(b);
    expect(u32(internals.seqMin(a, b))).toBe(a);
    expect(u32(internals.seqMax(b, a))).toBe(b);
    expect(u32(internals.seqMin(b, a))).toBe(a);
  });

  it("an equal number is neither before nor behind", () => {
    for (const a of [0, 7, 0xffffffff]) {
      expect(internals.seqLt(a, a)).toBe(0);
      expect(internals.seqGt(a, a)).toBe(0);
      expect(internals.seqLeq(a, a)).toBe(1);
      expect(internals.seqGeq(a, a)).toBe(1);
    }
  });

  it.each([
    [0n, 1n],
    [(1n << 64n) - 1n, 0n],
    [(1n << 32n) - 1n, 1n << 32n],
    [(1n << 63n) - 1n, 1n << 63n],
  ])("%d comes before %d in 64 bits", (a, b) => {
    expect(internals.dsnLt(a, b)).toBe(1);
    expect(internals.dsnLt(b, a)).toBe(0);
    expect(internals.dsnLeq(a, a)).toBe(1);
    expect(internals.dsnGt(b, a)).toBe(1);
    expect(internals.dsnGeq(a, b)).toBe(0);
    expect(u64(internals.dsnMax(a, b))).toBe(b);
    expect(u64(internals.dsnMin(a, b))).toBe(a);
  });

  // RFC 8684 §3.3.1: 32 bits on the wire stand for the nearest of the numbers that end in them.
  it.each([
    ["itself", 0x1_0000_0010n, 0x10, 0x1_0000_0010n],
    ["ahead across the low half's end", 0x1_ffff_fff0n, 0x10, 0x2_0000_0010n],
    ["behind across the low half's end", 0x2_0000_0010n, 0xfffffff0, 0x1_ffff_fff0n],
    ["ahead across the end of 64 bits", 0xffff_ffff_ffff_fff0n, 0x10, 0x10n],
    ["behind across the start of 64 bits", 0x10n, 0xfffffff0, 0xffff_ffff_ffff_fff0n],
    ["as far ahead as it goes", 0x5_0000_0000n, 0x7fffffff, 0x5_7fff_ffffn],
    ["as far behind as it goes", 0x5_0000_0000n, 0x80000000, 0x4_8000_0000n],
  ])("expand: %s", (_, near, low, expanded) => {
    expect(u64(internals.expand(low, near))).toBe(expanded);
  });

  it.each([
    ["inside", 10, 20, 12, 3, 10n],
    ["behind", 10, 20, 30, 5, 25n],
    ["before", 10, 20, 5, 2, 15n],
    ["around", 10, 20, 0, 100, 100n],
    ["across the end of the space", 0xfffffff0, 0x10, 0x20, 1, 0x31n],
    ["nearly half the space behind", 0, 10, 0x7fffffff, 2, 0x8000_0001n],
    ["more than half the space behind, that is before", 0, 10, 0x80000005, 1, 0x8000_0005n],
  ])("seqSpan: %s", (_, first, end, left, length, span) => {
    expect(u64(internals.seqSpan(first, end, left, length))).toBe(span);
    expect(
      u64(
        internals.dsnSpan(
          BigInt(first),
          BigInt(first) + BigInt(u32(end - first)),
          BigInt(first) + BigInt((left - first) | 0),
          length,
        ),
      ),
    ).toBe(span);
  });

  it("dsnSpan: out of all proportion", () => {
    expect(u64(internals.dsnSpan(0n, 10n, 1n << 63n, 5))).toBe((1n << 64n) - 1n);
    expect(u64(internals.dsnSpan(0n, 10n, (1n << 63n) - 1n, 5))).toBe((1n << 64n) - 1n);
  });
});
