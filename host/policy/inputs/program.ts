// Asks another program: in English, within a time, and without an error when it is not installed.
import { execFile } from "node:child_process";

/** They ask a service over D-Bus; one that hangs makes them hang for 25 s. */
const TIMEOUT_MS = 5000;
const OUTPUT_MAX = 1 << 20;

/** `absent`: there is no such program. */
export type Answer = { kind: "absent" } | { kind: "failed"; line: string } | { kind: "done"; output: string };

/** Runs a program and resolves to what it said; never rejects. */
export type Run = (program: string, args: string[]) => Promise<Answer>;

export const runProgram: Run = (program, args) => runFor(TIMEOUT_MS, program, args);

/** The same with another limit in milliseconds. */
export function runFor(timeout: number, program: string, args: string[]): Promise<Answer> {
  return new Promise((resolve) => {
    // LC_ALL=C: words and decimal points as they stand in the source, whatever the operator's language.
    const env = { ...process.env, LC_ALL: "C" };
    const options = { timeout, killSignal: "SIGKILL" as const, maxBuffer: OUTPUT_MAX, env };
    execFile(program, args, options, (error, stdout, stderr) => {
      const failed = error as (Error & { code?: unknown; killed?: boolean }) | null;
      if (failed === null) resolve({ kind: "done", output: stdout });
      else if (failed.code === "ENOENT") resolve({ kind: "absent" });
      else if (failed.killed === true) resolve({ kind: "failed", line: `${program} did not answer in ${timeout} ms` });
      else resolve({ kind: "failed", line: firstLine(stderr) ?? firstLine(stdout) ?? failed.message });
    });
  });
}

function firstLine(text: string): string | undefined {
  return text.split("\n").find((line) => line.trim() !== "");
}
