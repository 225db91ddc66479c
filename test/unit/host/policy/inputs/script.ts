// What the tests of sources have in common: programs that answer from a script, and a board of what was said.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { HostFacts, InputSink, InterfaceFacts } from "../../../../../host/policy/inputs/input.ts";
import type { Answer, Run } from "../../../../../host/policy/inputs/program.ts";

/** Text of a file in test/fixtures/inputs. */
export function fixture(name: string): string {
  return readFileSync(join(import.meta.dirname, "../../../../fixtures/inputs", name), "utf8");
}

/** Answers by the words of the call; anything else fails. */
export class ScriptPrograms {
  answers = new Map<string, string | Answer>();
  calls: string[] = [];

  readonly run: Run = async (program, args) => {
    const call = [program, ...args].join(" ");
    this.calls.push(call);
    const answer = this.answers.get(call) ?? { kind: "failed", line: `no answer to ${call}` };
    return typeof answer === "string" ? { kind: "done", output: answer } : answer;
  };
}

/** All that one source said, by its latest word. */
export class Heard implements InputSink {
  interfaces: Record<string, InterfaceFacts> = {};
  machine: HostFacts = {};
  problems: string[] = [];

  interface(name: string, facts: InterfaceFacts): void {
    this.interfaces[name] = { ...this.interfaces[name], ...facts };
  }

  host(facts: HostFacts): void {
    this.machine = { ...this.machine, ...facts };
  }

  problem(line: string): void {
    this.problems.push(line);
  }
}
