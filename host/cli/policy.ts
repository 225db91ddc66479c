import { resolve } from "node:path";
import type { Command } from "commander";
import type { PolicyAnswer } from "../control/policy.ts";
import { type CommonOptions, client, command, group, print, table } from "./options.ts";
import { Failed, WrongUse } from "./outcome.ts";
import { authorCommands } from "./policy-author.ts";

interface UseOptions extends CommonOptions {
  class?: string;
  shadow?: boolean;
  set?: string[];
}

interface RecordOptions extends CommonOptions {
  stop?: boolean;
}

interface ReplayOptions extends CommonOptions {
  with?: string;
  config?: string;
}

/** `shunt policy list|use|record|replay`, and what authors need: `new|build|test|bench`. */
export function policyCommand(): Command {
  const policy = group("policy", "list and change policies, record and replay what they decide, write your own");
  policy.addCommand(
    command("list", "list the policies and who uses them").action(async (options: CommonOptions) => {
      print(options, await client(options).call<PolicyAnswer>("GET", "/v1/policy"), policyText);
    }),
  );
  for (const made of [useCommand(), recordCommand(), replayCommand()]) policy.addCommand(made);
  for (const made of authorCommands()) policy.addCommand(made);
  return policy;
}

function policyText(answer: PolicyAnswer): string {
  const rows = answer.policies.map((policy) => [
    policy.name,
    policy.kind,
    answer.classes
      .filter((entry) => entry.policy === policy.name)
      .map((entry) => `class ${entry.class}${entry.state === "fallback" ? " (broken)" : ""}`)
      .join(", ") || "-",
    policy.description,
  ]);
  const problems = answer.problems.map(({ folder, message }) => `${folder}: not usable: ${message}`);
  return [table(["POLICY", "KIND", "USED BY", "DESCRIPTION"], rows), ...problems].join("\n");
}

function useCommand(): Command {
  return command("use", "put a class under another policy, until the configuration is read again")
    .argument("<name>", "name of the policy")
    .option("--class <class>", "the class; default: the default class")
    .option("--shadow", "beside the policy in force: tell only where it would decide otherwise")
    .option("--set <name=value...>", "a setting of the policy; default: the configuration's")
    .action(async (name: string, options: UseOptions) => {
      if (name.includes("/")) {
        const remedy =
          "link the folder into the directory that policy.directory of shunt.toml names, and give its name";
        throw new WrongUse(`"${name}" is a folder, and the daemon knows policies by their names; ${remedy}`);
      }
      const body = {
        policy: name,
        class: options.class,
        shadow: options.shadow,
        settings: options.set === undefined ? undefined : settingsOf(options.set),
      };
      const answer = await client(options).call<{ class: string }>("POST", "/v1/policy/use", body);
      const what = options.shadow === true ? "runs in the shadow of" : "is now the policy of";
      print(options, answer, () => `${name} ${what} class ${answer.class}`);
    });
}

/** "margin=0.2" and the like, as JSON where they are, else as text (the name of a path). Throws WrongUse. */
export function settingsOf(entries: readonly string[]): Record<string, number | boolean | string> {
  const pairs = entries.map((entry) => {
    const [, name = "", text = ""] = /^([^=]+)=(.*)$/.exec(entry) ?? [];
    if (name === "") throw new WrongUse(`"${entry}" is no setting; expected NAME=VALUE`);
    const isPlain = /^(true|false|-?\d+(\.\d+)?)$/.test(text);
    return [name, isPlain ? (JSON.parse(text) as number | boolean) : text] as const;
  });
  return Object.fromEntries(pairs);
}

function recordCommand(): Command {
  return command("record", "record every decision of every class into a file, until --stop")
    .argument("[file]", "written by the daemon")
    .option("--stop", "end the recording")
    .action(async (file: string | undefined, options: RecordOptions) => {
      if ((file === undefined) === (options.stop !== true)) throw new WrongUse("give either a file or --stop");
      if (file === undefined) {
        const done = await client(options).call<{ file: string; decisions: number }>("DELETE", "/v1/policy/recording");
        print(options, done, () => `${done.decisions} decisions recorded in ${done.file}`);
        return;
      }
      const answer = await client(options).call("POST", "/v1/policy/recording", { file: resolve(file) });
      print(options, answer, () => `recording into ${resolve(file)}`);
    });
}

function replayCommand(): Command {
  return command("replay", "decide again on a recording: exit 1 if anything comes out otherwise. Needs no daemon")
    .argument("<file>", "what record has written")
    .option("--with <policy>", "a policy, or a .wasm file, in place of the recorded one")
    .option("-c, --config <file>", "configuration whose policies --with may name")
    .action(async (file: string, options: ReplayOptions) => {
      // Loaded only here: it needs the native addon.
      const { replayFile, replayText } = await import("../policy/replay-file.ts");
      const result = await replayFile(file, options.with ?? null, options.config ?? null);
      print(options, result, replayText);
      if (result.differences.length > 0) throw new Failed("");
    });
}
