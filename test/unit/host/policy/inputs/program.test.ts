import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runFor, runProgram } from "../../../../../host/policy/inputs/program.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "shunt-program-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

function script(text: string): string {
  const file = join(directory, "program");
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
  return file;
}

test("a program speaks English, whatever the operator does", async () => {
  const file = script('echo "$LC_ALL $1"');
  expect(await runProgram(file, ["two words"])).toEqual({ kind: "done", output: "C two words\n" });
});

test("one that is not there is absent, one that fails says why in one line", async () => {
  expect(await runProgram(join(directory, "none"), [])).toEqual({ kind: "absent" });
  const line = "Error: not running.";
  expect(await runProgram(script(`echo; echo '${line}' >&2; echo more >&2; exit 8`), [])).toEqual({
    kind: "failed",
    line,
  });
  expect(await runProgram(script(`echo '${line}'; exit 1`), [])).toEqual({ kind: "failed", line });
});

test("one that hangs is killed, even if it does not want to be", async () => {
  const answer = await runFor(200, script("trap '' TERM; while :; do :; done"), []);
  expect(answer).toMatchObject({ kind: "failed", line: expect.stringContaining("did not answer in 200 ms") });
});

test("one that never stops talking is ended", async () => {
  expect(await runProgram("yes", [])).toMatchObject({ kind: "failed" });
});
