// `shunt policy test`: builds a policy of one's own, runs its tests, plays scenarios to it, and draws what it did.
import { spawnSync } from "node:child_process";
import { globSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { ConfigError } from "../../config/error.ts";
import { settingProblems } from "../check.ts";
import { type CompiledPolicy, PolicyStore } from "../instance.ts";
import { timelineFigure } from "../scenario/figure.ts";
import { type JudgedScenario, loadScenario } from "../scenario/load.ts";
import { runScenario } from "../scenario/run.ts";
import { type NamedSandbox, sandboxHere } from "../scenario/sandbox.ts";
import type { Timeline } from "../scenario/timeline.ts";
import { AuthorError } from "./new.ts";
import { type Built, buildOwn, type Subject, scenariosOf, subjectOf } from "./subject.ts";

export interface ExpectationResult {
  text: string;
  /** null = it holds; else what was instead. */
  instead: string | null;
}

export interface ScenarioResult {
  file: string;
  title: string;
  expectations: ExpectationResult[];
  moves: Timeline["moves"];
  decisions: number;
  /** Where the picture is, null = none was asked for. */
  svg: string | null;
}

export interface TestResult {
  policy: string;
  sandbox: NamedSandbox["kind"];
  built: Built | null;
  /** Files of the policy's own tests, and what they said if they failed. */
  tests: { files: number; failure: string | null };
  scenarios: ScenarioResult[];
  /** Nothing went wrong. */
  holds: boolean;
}

export interface TestRequest {
  /** A folder or a name. */
  policy: string;
  /** Files, or names of those that come with Shunt; none = the policy's own. */
  scenarios: readonly string[];
  /** Directory of the pictures; undefined = `timelines` in a folder of one's own, else none. */
  out: string | undefined;
}

/** Throws AuthorError or ConfigError if there is nothing to run. */
export async function testPolicy({ policy: name, scenarios: named, out }: TestRequest): Promise<TestResult> {
  const subject = subjectOf(name);
  const { entry, folder } = subject;
  const scenarios = scenariosOf(subject, named)
    .map(loadScenario)
    .filter(({ policies }) => folder !== null || named.length > 0 || policies.has(entry.name));
  if (scenarios.length === 0) {
    throw new AuthorError(`no scenario that comes with Shunt is meant for "${entry.name}"; name one after it`);
  }
  for (const scenario of scenarios) checkSettings(subject, scenario);
  const built = folder === null ? null : await buildOwn(folder);
  const tests = folder === null ? { files: 0, failure: null } : runTests(folder);
  const sandbox = sandboxHere();
  const policy = await compiled(subject, sandbox);
  const directory = out ?? (folder === null ? null : join(folder, "timelines"));
  const results: ScenarioResult[] = [];
  for (const scenario of scenarios) {
    const timeline = await runScenario(policy, scenario, sandbox);
    results.push(resultOf(scenario, timeline, directory === null ? null : draw(timeline, resolve(directory))));
  }
  const isMet = results.every(({ expectations }) => expectations.every(({ instead }) => instead === null));
  const holds = isMet && tests.failure === null;
  return { policy: entry.name, sandbox: sandbox.kind, built, tests, scenarios: results, holds };
}

async function compiled({ entry }: Subject, sandbox: NamedSandbox): Promise<CompiledPolicy | null> {
  if (entry.kind === "native") return null;
  try {
    return await new PolicyStore(sandbox).compile(entry);
  } catch (error) {
    throw new AuthorError(`the policy "${entry.name}" was refused: ${(error as Error).message}`);
  }
}

function checkSettings({ entry }: Subject, scenario: JudgedScenario): void {
  const paths = scenario.paths.map(({ config }) => config.name);
  const own = scenario.policies.get(entry.name)?.settings ?? {};
  const problems = [
    ...settingProblems(entry, scenario.settings, paths).map((problem) => ({ ...problem, table: ["settings"] })),
    ...settingProblems(entry, own, paths).map((problem) => ({ ...problem, table: ["policy", entry.name, "settings"] })),
  ].map(({ table, name, message }) => scenario.problemAt([...table, name], message));
  if (problems.length > 0) throw new ConfigError(problems);
}

/** Runs test/*.test.ts with Node's own runner. */
function runTests(folder: string): TestResult["tests"] {
  const files = globSync("test/*.test.{ts,js}", { cwd: folder }).sort();
  if (files.length === 0) return { files: 0, failure: null };
  // A runner that is itself run by one would take its children's results for its own.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const options = ["--disable-warning=ExperimentalWarning", "--test", "--test-reporter=spec", ...files];
  const { status, stdout, stderr } = spawnSync(process.execPath, options, { cwd: folder, env, encoding: "utf8" });
  return { files: files.length, failure: status === 0 ? null : `${stdout}${stderr}`.trim() };
}

function draw(timeline: Timeline, directory: string): string {
  const file = join(directory, `${basename(timeline.scenario.file, ".toml")}-${timeline.policy}.svg`);
  try {
    mkdirSync(directory, { recursive: true });
    writeFileSync(file, timelineFigure(timeline));
  } catch (error) {
    throw new AuthorError(`cannot draw into ${directory}: ${(error as Error).message}; name another --out`);
  }
  return file;
}

function resultOf(scenario: JudgedScenario, timeline: Timeline, svg: string | null): ScenarioResult {
  const { policy, moves, decisions } = timeline;
  const wanted = [...scenario.expect, ...(scenario.policies.get(policy)?.expect ?? [])];
  const expectations = wanted.map(({ text, judge }) => ({ text, instead: judge(timeline) }));
  const { file, title } = scenario;
  return { file, title, expectations: [...expectations, soundness(timeline)], moves, decisions: decisions.length, svg };
}

/** Refusals that no policy should need. */
const NONSENSE = new Set(["bad_abi", "no_such_path", "bad_mask", "not_usable", "draining"]);

/** What is expected of every policy. */
function soundness({ faults, decisions }: Timeline): ExpectationResult {
  const [fault] = faults;
  const nonsense = decisions.find(({ refusal }) => NONSENSE.has(refusal));
  const instead =
    fault !== undefined
      ? `it broke at ${fault.atS} s: ${fault.detail}`
      : nonsense !== undefined
        ? `the guard refused its intent at ${nonsense.atS} s: ${nonsense.refusal}`
        : null;
  return { text: "no faults, and no intents that make no sense", instead };
}

/** The result for people. */
export function testText({ policy, sandbox, built, tests, scenarios, holds }: TestResult): string {
  const lines: string[] = [];
  if (built !== null) lines.push(`${policy}: built policy.wasm, ${built.bytes} octets`);
  if (built?.warnings) lines.push(built.warnings);
  if (sandbox === "v8") lines.push("run under V8, without limits: the daemon's sandbox is not built (make addon)");
  if (tests.failure !== null) lines.push(tests.failure, "test/: FAILED");
  else if (tests.files > 0) lines.push("test/: passed");
  for (const { title, expectations, svg } of scenarios) {
    lines.push("", title);
    for (const { text, instead } of expectations) {
      lines.push(instead === null ? `  ok      ${text}` : `  FAILED  ${text}: ${instead}`);
    }
    if (svg !== null) lines.push(`  drawn   ${svg}`);
  }
  const all = scenarios.flatMap(({ expectations }) => expectations);
  const met = all.filter(({ instead }) => instead === null).length;
  lines.push("", `${met} of ${all.length} expectations hold${holds ? "" : ": FAILED"}`);
  return lines.join("\n");
}
