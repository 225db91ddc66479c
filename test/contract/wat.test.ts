import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { type Build, moduleOf } from "../wasm.ts";
import { ROOT } from "./sources.ts";

// Properties of the compiled text. Not the text itself, which changes with every release of asc.

const TEXTS: Record<Build, string> = {
  test: "engine.test.wat",
  "test-release": "engine.test-release.wat",
  release: "engine.wat",
};
const BUILDS = Object.keys(TEXTS) as Build[];
const textOf = (build: Build) => readFileSync(path.join(ROOT, "build", TEXTS[build]), "utf8");

const ABI_EXPORTS = ["command", "init", "process", "salvage", "snapshot", "tick"];
const ABI_IMPORTS = ["crypto.hmac_sha256 function", "crypto.sha256 function", "env.memory memory"];

const exportsOf = (build: Build) => WebAssembly.Module.exports(moduleOf(build));
const importsOf = (build: Build) =>
  WebAssembly.Module.imports(moduleOf(build))
    .map(({ module, name, kind }) => `${module}.${name} ${kind}`)
    .sort();

describe("the release", () => {
  it("exports the ABI and nothing else", () => {
    expect(
      exportsOf("release")
        .map(({ name }) => name)
        .sort(),
    ).toEqual(ABI_EXPORTS);
    expect(exportsOf("release").every(({ kind }) => kind === "function")).toBe(true);
  });

  it("crosses its boundary with 32-bit integers only: a 64-bit one would be a BigInt", () => {
    const text = textOf("release");
    for (const name of ABI_EXPORTS) {
      const internal = new RegExp(`\\(export "${name}" \\(func \\$([^)]+)\\)\\)`).exec(text)?.[1];
      const head = text.split("\n").find((line) => line.trimStart().startsWith(`(func $${internal} `)) ?? "(func)";
      expect(head).not.toMatch(/i64|f32|f64/);
    }
  });
});

describe.each(BUILDS)("%s", (build) => {
  it("imports memory and two hashes, no clock, no randomness, no abort", () => {
    expect(importsOf(build)).toEqual(ABI_IMPORTS);
  });

  it("never grows its memory", () => {
    expect(textOf(build)).not.toContain("memory.grow");
  });

  it("reaches no allocator", () => {
    // Optimised text may have inlined it; the debug text would show it.
    expect(textOf(build)).not.toMatch(/\(func \$~lib\/rt\//);
  });
});

describe.each(["test-release", "release"] as const)("%s", (build) => {
  it("has no start function: all constants are folded", () => {
    expect(textOf(build)).not.toMatch(/\(start\b/);
  });

  it("carries no data", () => {
    expect(textOf(build)).not.toMatch(/^\s*\(data\b/m);
  });
});

describe("the debug build", () => {
  it("exports the ABI, too", () => {
    const names = exportsOf("test").map(({ name }) => name);
    expect(ABI_EXPORTS.filter((name) => !names.includes(name))).toEqual([]);
  });
});
