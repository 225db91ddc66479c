import path from "node:path";
import { describe, expect, it } from "vitest";
import { codeOf, functionsOf, readSource, repositoryFiles } from "./sources.ts";

// The written style, as far as a machine can hold us to it. What is only written down does not hold.

const LINE_MAX = 120;
/** What no formatter breaks: a text or an expression in quotes that is itself half a line long. */
const LONG_TEXT = /(["'`/]).{60,}\1/;
const FILE_MAX = 450;
const FUNCTION_MAX = 70;

/** Generated, or the source of what is generated: one line per field, whatever its length. */
const TABLES = new Set([
  ...["assembly/abi.ts", "host/engine/abi.ts", "host/native/src/abi.rs"],
  ...["host/policy/abi.ts", "plugins/sdk/as/abi.ts", "plugins/sdk/rust/src/abi.rs"],
]);

const sources = repositoryFiles(/^(assembly|host|test|scripts|bench|plugins)\/.*\.(ts|rs)$|^[^/]+\.ts$/).filter(
  (file) => !TABLES.has(file),
);
const assembly = repositoryFiles(/^assembly\/.*\.ts$/);
const languageOf = (file: string) => (file.endsWith(".rs") ? "rust" : "ts");

/** `file:line: text` of each line of code that matches. */
function matches(files: string[], pattern: RegExp): string[] {
  return files.flatMap((file) =>
    codeOf(readSource(file), languageOf(file))
      .split("\n")
      .flatMap((line, i) => (pattern.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : [])),
  );
}

describe("every source file", () => {
  it(`has lines of at most ${LINE_MAX} characters`, () => {
    const long = sources.flatMap((file) =>
      readSource(file)
        .split("\n")
        .flatMap((line, i) =>
          line.length > LINE_MAX && !LONG_TEXT.test(line) ? [`${file}:${i + 1}: ${line.length}`] : [],
        ),
    );
    expect(long).toEqual([]);
  });

  it(`has at most ${FILE_MAX} lines`, () => {
    const long = sources.map((file) => [file, readSource(file).split("\n").length] as const);
    expect(long.filter(([, lines]) => lines > FILE_MAX)).toEqual([]);
  });

  it(`has functions of at most ${FUNCTION_MAX} lines`, () => {
    const long = sources.flatMap((file) =>
      functionsOf(readSource(file), languageOf(file))
        .filter((body) => body.lines > FUNCTION_MAX && !/^(describe|it|test|suite)$/.test(body.name))
        .map((body) => `${file}:${body.line}: ${body.name}, ${body.lines} lines`),
    );
    expect(long).toEqual([]);
  });

  it("is named for what it holds", () => {
    const drawers = sources.filter((file) => /^(utils?|helpers?|misc|common|stuff)\./.test(path.basename(file)));
    expect(drawers).toEqual([]);
    const names = sources.filter(
      (file) => !/^[a-z0-9]+([-.][a-z0-9]+|_[a-z0-9]+)*\.(ts|rs)$/.test(path.basename(file)),
    );
    expect(names).toEqual([]);
  });

  it("leaves nothing for later without an issue, and cites nothing outside the repository", () => {
    const later = new RegExp(["FIX", "ME|XX", "X\\b|HA", "CK\\b|/work/", "(shared|main)"].join(""));
    const found = sources.filter((file) => later.test(readSource(file)));
    expect(found).toEqual([]);
  });
});

describe("assembly/", () => {
  it("allocates nothing: no new, no array or object literals, no strings", () => {
    expect(matches(assembly, /\bnew\s+[A-Z]/)).toEqual([]);
    expect(matches(assembly, /(?:[=(,:?]|\breturn)\s*\[/)).toEqual([]);
    const strings = assembly.flatMap((file) =>
      codeOf(readSource(file), "ts")
        .split("\n")
        .filter((line) => /["`]/.test(line) && !/\bfrom\s*"|\bERROR\(|\boffsetof<|@external\(/.test(line))
        .map((line) => `${file}: ${line.trim()}`),
    );
    expect(strings).toEqual([]);
  });

  it("gives no two members of an enum the same number", () => {
    const twice = assembly.flatMap((file) =>
      [...readSource(file).matchAll(/const enum (\w+) \{(.*?)\n\}/gs)].flatMap(([, name, body = ""]) => {
        const numbers = [...body.matchAll(/^\s*(\w+) = (\w+),/gm)].map(([, , number]) => number);
        return new Set(numbers).size === numbers.length ? [] : [`${file}: ${name}`];
      }),
    );
    expect(twice).toEqual([]);
  });

  it("throws nothing and asserts with check()", () => {
    expect(matches(assembly, /\bthrow\b|\btry\b|\bassert\(|\babort\(/)).toEqual([]);
  });

  it("turns an address into a struct in accessors only: functions of one statement behind a check", () => {
    const wrong = assembly
      .filter((file) => !file.startsWith("assembly/memory/"))
      .flatMap((file) => {
        const text = readSource(file);
        const casts = (code: string) => (code.match(/\bchangetype<(?!usize>)/g) ?? []).length;
        const accessors = functionsOf(text, "ts").filter((body) =>
          /^\{\s*(?:check\([^;]*;\s*)?[^;]*;\s*\}$/.test(body.text),
        );
        const inside = accessors.reduce((sum, body) => sum + casts(body.text), 0);
        return casts(codeOf(text, "ts")) === inside ? [] : [file];
      });
    expect(wrong).toEqual([]);
  });

  it("takes no struct's size with sizeof, which would be that of a reference", () => {
    expect(matches(assembly, /\bsizeof<[A-Z]/)).toEqual([]);
  });

  it("computes without floating point", () => {
    expect(matches(assembly, /\bf(32|64)\b|\bMathf?\./)).toEqual([]);
  });

  it("names numbers by their space, never seq, ack or num, where spaces meet", () => {
    const meeting = assembly.filter((file) => /^assembly\/(forward|mapping)\//.test(file));
    expect(matches(meeting, /\b(?:const|let)\s+(?:seq|ack|num)\b|[(,]\s*(?:seq|ack|num)\s*:/)).toEqual([]);
  });

  it("compares sequence numbers with serial arithmetic only", () => {
    const elsewhere = assembly.filter((file) => !file.startsWith("assembly/seq/"));
    const number = "[\\w.]*(?:[tsd](?:sn|an)|[TSD](?:sn|an))";
    expect(matches(elsewhere, new RegExp(`(?:^|[^\\w.<])${number}\\s+[<>]=?\\s+${number}(?![\\w.(])`))).toEqual([]);
  });
});
