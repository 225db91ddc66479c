// Writes docs/CONFORMANCE.md: each numbered statement about the protocol, the functions that implement it, and the
// tests that show it.
//
//     node scripts/conformance.ts [--check]
//
// The statements stand in test/contract/statements.toml. A test shows one whose number begins its name ("N-27 a JOIN
// SYN/ACK with …"), a packet script one that its `shows` line names. test/contract/conformance.test.ts compares the
// page, looks for the functions, and demands a test for every statement in REQUIRED.

import { globSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parse } from "smol-toml";
import { sentenceOf, shownBy } from "../test/scripts/sentence.ts";
import { testNames } from "./test-names.ts";

const root = path.join(import.meta.dirname, "..");
const PAGE = "docs/CONFORMANCE.md";
const STATEMENTS = "test/contract/statements.toml";

const CHAPTERS: readonly [number, string][] = [
  [1, "Connection management"],
  [26, "Subflow management"],
  [43, "Payload"],
  [61, "Acknowledgements"],
  [72, "Projection"],
  [80, "Mobility"],
  [88, "Interoperation"],
  [99, "Security and robustness"],
  [108, "Handover without a stall"],
];

export interface Statement {
  number: number;
  says: string;
  /** `file:function`, files from the root. */
  code: string[];
  source: string | undefined;
  missing: string | undefined;
}

interface Shown {
  statement: number;
  sentence: string;
  file: string;
}

const read = (file: string): string => readFileSync(path.join(root, file), "utf8");

/** All statements, in order. */
export function statements(): Statement[] {
  const tables = parse(read(STATEMENTS)) as Record<string, Partial<Omit<Statement, "number">>>;
  return Object.entries(tables).map(([name, { says = "", code = [], source, missing }]) => {
    return { number: Number(name.slice(2)), says, code, source, missing };
  });
}

/** Statements that must have a test: all that name no reason. */
export const REQUIRED: readonly number[] = statements()
  .filter(({ missing }) => missing === undefined)
  .map(({ number }) => number);

/** Every test that names a statement. */
export function shown(): Shown[] {
  const tests = globSync("test/**/*.test.ts", { cwd: root }).sort();
  const inTests = tests.flatMap((file) =>
    testNames(read(file)).flatMap((name) => {
      const [, numbers, sentence = ""] = /^(N-\d+(?:, N-\d+)*):? (.*)$/.exec(name) ?? [];
      return (numbers ?? "").split(", ").map((number) => ({ statement: Number(number.slice(2)), sentence, file }));
    }),
  );
  const scripts = globSync("test/scripts/**/*.pkt", { cwd: root }).sort();
  const inScripts = scripts.flatMap((file) =>
    shownBy(path.join(root, file)).map((statement) => {
      return { statement, sentence: sentenceOf(file, []), file };
    }),
  );
  return [...inTests.filter(({ statement }) => statement !== 0), ...inScripts];
}

/** `file:function` that statements name and that are not there. */
export function lostCode(): string[] {
  const texts = new Map<string, string>();
  return statements().flatMap(({ number, code }) =>
    code.flatMap((place) => {
      const [file = "", name] = place.split(":");
      if (!texts.has(file)) texts.set(file, globSync(file, { cwd: root }).length === 1 ? read(file) : "");
      const found = new RegExp(`\\b(?:function|fn) ${name}\\b`).test(texts.get(file) ?? "");
      return found ? [] : [`N-${number}: ${place}`];
    }),
  );
}

/** Statements without a place in the code, for no reason given. */
export function unplaced(): number[] {
  const without = statements().filter(({ code, missing }) => code.length === 0 && missing === undefined);
  return without.map(({ number }) => number);
}

const link = (file: string, text = file): string => `[${text}](../${file})`;

function section(statement: Statement, rows: Shown[]): string[] {
  const { number, says, code, source, missing } = statement;
  const lines = ["", `### N-${number}`, "", says];
  if (source) lines.push("", `Source: ${source}`);
  if (code.length > 0) {
    const places = code.map((place) => {
      const [file = "", name = ""] = place.split(":");
      return link(file, `${file.replace(/^assembly\//, "")}: ${name}`);
    });
    lines.push("", `In ${places.join(", ")}.`);
  }
  lines.push("");
  if (missing) lines.push(`No test: ${missing}.`);
  const unique = new Map(rows.map((row) => [`${row.file} ${row.sentence}`, row]));
  for (const { file, sentence } of unique.values()) {
    const script = file.endsWith(".pkt");
    lines.push(script ? `- script ${link(file, sentence)}` : `- ${link(file, file.replace("test/", ""))}: ${sentence}`);
  }
  return lines;
}

function page(): string {
  const all = shown();
  const lines = [
    "# Conformance",
    "",
    "What Shunt does on the wire, one numbered statement after the other: in which functions, and by which tests each is",
    "shown (unit tests, packet scripts, random tests, the lab with real kernels; [TESTING.md](TESTING.md)). Generated by",
    `\`scripts/conformance.ts\` from [statements.toml](../${STATEMENTS}) and the tests' names; do not edit.`,
  ];
  for (const statement of statements()) {
    const chapter = CHAPTERS.find(([first]) => first === statement.number);
    if (chapter) lines.push("", `## ${chapter[1]}`);
    const rows = all.filter((row) => row.statement === statement.number);
    lines.push(...section(statement, rows));
  }
  return `${lines.join("\n")}\n`;
}

/** True if the page says what statements and tests say. */
export function isCurrent(): boolean {
  return read(PAGE) === page();
}

if (import.meta.filename === process.argv[1]) {
  if (!process.argv.includes("--check")) writeFileSync(path.join(root, PAGE), page());
  else if (!isCurrent()) {
    console.error(`${PAGE} is not what the tests say; run: node scripts/conformance.ts`);
    process.exitCode = 1;
  }
}
