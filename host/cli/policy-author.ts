// `shunt policy new|build|test|bench`: what authors of policies need. No daemon, no root, no network.
import { relative } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import type { BenchRow } from "../policy/author/bench.ts";
import { AuthorError, LANGUAGE_NAMES, type Language, newPolicy } from "../policy/author/new.ts";
import { type CommonOptions, command, print, table } from "./options.ts";
import { Failed, WrongUse } from "./outcome.ts";

interface NewOptions extends CommonOptions {
  lang: string;
  dir: string;
}

interface TestOptions extends CommonOptions {
  out?: string;
}

interface BenchOptions extends CommonOptions {
  paths: number[];
}

export function authorCommands(): Command[] {
  return [newCommand(), buildCommand(), testCommand(), benchCommand()];
}

/** What an author did wrong, in the words of the command line. */
async function told<T>(step: () => Promise<T> | T): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof AuthorError)) throw error;
    throw error.isWrongUse ? new WrongUse(error.message) : new Failed(error.message);
  }
}

function newCommand(): Command {
  return command("new", "make the folder of a new policy, with tests that pass")
    .argument("<name>", "letters, digits, '.', '_' and '-'")
    .option("--lang <language>", `${LANGUAGE_NAMES.join(", ")} (AssemblyScript, C, Rust)`, "as")
    .option("--dir <directory>", "where the folder is made", ".")
    .action(async (name: string, options: NewOptions) => {
      const language = LANGUAGE_NAMES.find((known) => known === options.lang);
      if (language === undefined) {
        throw new WrongUse(`"${options.lang}" is no language of policies; expected ${LANGUAGE_NAMES.join(", ")}`);
      }
      const made = await told(() => newPolicy(name, language as Language, options.dir));
      const folder = relative(process.cwd(), made.folder) || ".";
      print(options, made, () =>
        [...made.files.map((file) => `${folder}/${file}`), "", `Next: cd ${folder} && shunt policy test`].join("\n"),
      );
    });
}

function buildCommand(): Command {
  return command("build", "compile a policy of your own to its policy.wasm, which the daemon loads")
    .argument("[folder]", "its folder", ".")
    .action(async (folder: string, options: CommonOptions) => {
      const { buildOwn, subjectOf } = await import("../policy/author/subject.ts");
      const built = await told(async () => {
        const subject = subjectOf(folder.includes("/") ? folder : `./${folder}`);
        if (subject.folder === null) throw new AuthorError("a policy that comes with Shunt; remedy: make policies");
        return buildOwn(subject.folder);
      });
      print(options, built, (result) => {
        if (result === null) return "nothing to build: policy.wasm is there, its source is not";
        return [result.warnings, `${result.file}: ${result.bytes} octets`].filter((line) => line !== "").join("\n");
      });
    });
}

function testCommand(): Command {
  return command("test", "play scenarios to a policy in virtual time, and draw what it did")
    .argument("[policy]", "a folder, or the name of a policy that comes with Shunt", ".")
    .argument("[scenario...]", "files, or names of those that come with Shunt; default: the policy's own")
    .option("--out <directory>", "draw here; default: timelines/ in a folder of your own")
    .action(async (policy: string, scenarios: string[], options: TestOptions) => {
      const { testPolicy, testText } = await import("../policy/author/test.ts");
      const isScenario = policy.endsWith(".toml");
      const request = isScenario
        ? { policy: ".", scenarios: [policy, ...scenarios], out: options.out }
        : { policy, scenarios, out: options.out };
      const result = await told(() => testPolicy(request));
      print(options, result, testText);
      if (!result.holds) throw new Failed("");
    });
}

function benchCommand(): Command {
  return command("bench", "time the decisions of policies in the daemon's sandbox")
    .argument("[policy...]", "folders, .wasm files, or names of policies that come with Shunt", ["."])
    .option("--paths <counts>", "how many paths there are, 1 to 32", pathCounts, [2, 8, 32])
    .action(async (policies: string[], options: BenchOptions) => {
      const { benchPolicies } = await import("../policy/author/bench.ts");
      print(options, await told(() => benchPolicies(policies, options.paths)), benchText);
    });
}

function pathCounts(text: string): number[] {
  const counts = text.split(",").map(Number);
  if (counts.some((count) => !Number.isInteger(count) || count < 1 || count > 32)) {
    throw new InvalidArgumentError("expected numbers from 1 to 32, such as 2,8,32");
  }
  return counts;
}

function benchText(rows: BenchRow[]): string {
  const head = ["POLICY", "PATHS", "NS (P50)", "NS (P99)", "WITHOUT FUEL", "WITHOUT LIMITS", "FUEL", "MEMORY"];
  const cells = rows.map(({ policy, paths, p50, p99, p50WithoutFuel, p50WithoutLimits, fuel, memoryBytes }) => [
    policy,
    ...[paths, p50, p99, p50WithoutFuel, p50WithoutLimits, fuel].map(String),
    `${memoryBytes / 1024} KiB`,
  ]);
  return table(head, cells);
}
