// Writes docs/CONFORMANCE.md: which numbered statement about the protocol is shown by which test.
//
//     node scripts/conformance.ts [--check]
//
// A statement's number is the first word of its tests' names ("N-27 a JOIN SYN/ACK with …"); the sentence in the page
// is that of its first test. So the page cannot say what no test says; test/contract/conformance.test.ts compares it,
// and demands a test for every statement in REQUIRED.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

const root = path.join(import.meta.dirname, "..");
const PAGE = "docs/CONFORMANCE.md";

/** Statements that must have a test by now. */
export const REQUIRED: readonly number[] = [
  ...Array.from({ length: 90 }, (_, i) => i + 1),
  ...[100, 108, 109, 110, 111, 112, 113, 114],
];

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

interface Shown {
  statement: number;
  sentence: string;
  file: string;
}

/** A test's name in any quotes, numbers first. */
const NAME = /(["'`])(N-\d+(?:, N-\d+)*):? ((?:(?!\1).)+)\1/g;
/** A row of a table of tests: number, then what it is about. */
const ROW = /(["'`])(N-\d+)\1, *(?:["'`])((?:(?!\1).)+)\1/g;

/** Every test whose name begins with a statement's number. */
export function statements(): Shown[] {
  const files = readdirSync(path.join(root, "test"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts"))
    .sort();
  return files.flatMap((file) => {
    const source = readFileSync(path.join(root, "test", file), "utf8");
    return [...source.matchAll(NAME), ...source.matchAll(ROW)].flatMap(([, , numbers = "", sentence = ""]) =>
      numbers.split(", ").map((number) => ({ statement: Number(number.slice(2)), sentence, file })),
    );
  });
}

function page(): string {
  const shown = statements();
  const lines = [
    "# Conformance",
    "",
    "What Shunt does on the wire, one numbered statement after the other, each shown by a test that was seen to fail",
    "with its branch disabled. Generated from the tests' names by `scripts/conformance.ts`; do not edit.",
  ];
  const numbers = [...new Set(shown.map(({ statement }) => statement))].sort((a, b) => a - b);
  for (const number of numbers) {
    const chapter = CHAPTERS.findLast(([first]) => first <= number);
    const before = numbers[numbers.indexOf(number) - 1] ?? 0;
    if (chapter && before < chapter[0]) lines.push("", `## ${chapter[1]}`, "", "| | shown by | in |", "|---|---|---|");
    const rows = new Map<string, Shown>();
    for (const row of shown.filter(({ statement }) => statement === number))
      rows.set(`${row.file} ${row.sentence}`, row);
    for (const { sentence, file } of rows.values()) {
      lines.push(`| N-${number} | ${sentence.replaceAll("|", "\\|")} | [${file}](../test/${file}) |`);
    }
  }
  return `${lines.join("\n")}\n`;
}

/** True if the page says what the tests say. */
export function isCurrent(): boolean {
  return readFileSync(path.join(root, PAGE), "utf8") === page();
}

if (import.meta.filename === process.argv[1]) {
  if (!process.argv.includes("--check")) writeFileSync(path.join(root, PAGE), page());
  else if (!isCurrent()) {
    console.error(`${PAGE} is not what the tests say; run: node scripts/conformance.ts`);
    process.exitCode = 1;
  }
}
