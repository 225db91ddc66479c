// Plays every packet script (docs/TESTING.md): one behaviour per file, the file's name is the sentence.

import { globSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { play, readScript } from "./player.ts";
import { sentenceOf, shownBy } from "./sentence.ts";

const FOLDER = import.meta.dirname;
const files = globSync("*/**/*.pkt", { cwd: FOLDER }).sort();
const topics = Map.groupBy(files, (file) => path.dirname(file));

function named(file: string): string {
  return sentenceOf(file, shownBy(path.join(FOLDER, file)));
}

describe.each([...topics])("%s", (_topic, scripts) => {
  it.each(scripts.map((file) => [named(file), file]))("%s", (_sentence, file) => {
    play(readScript(path.join(FOLDER, file)));
  });
});

it("there are eighty at least", () => {
  expect(files.filter((file) => !file.startsWith("common/")).length).toBeGreaterThanOrEqual(80);
});
