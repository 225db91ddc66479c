// The sentence that a packet script stands for, from its name and its "shows" lines.

import { readFileSync } from "node:fs";
import path from "node:path";

/** Statements of docs/CONFORMANCE.md that a script shows. */
export function shownBy(file: string): number[] {
  const lines = readFileSync(file, "utf8").matchAll(/^shows((?: +N-\d+)+) *$/gm);
  return [...lines].flatMap(([, numbers = ""]) =>
    numbers
      .trim()
      .split(/ +/)
      .map((number) => Number(number.slice(2))),
  );
}

/** `N-16, N-19 the hosts fin becomes a data fin`: the file's name as tests are named. */
export function sentenceOf(file: string, shows: number[]): string {
  const words = path.basename(file, ".pkt").replaceAll("-", " ");
  return shows.length > 0 ? `${shows.map((number) => `N-${number}`).join(", ")} ${words}` : words;
}
