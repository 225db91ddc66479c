import type { Command } from "commander";
import { DEFAULT_PORTS } from "../config/config.ts";
import {
  type Check,
  checkCapabilities,
  checkKernel,
  checkPathMtu,
  checkPorts,
  checkReversePath,
  checkTools,
} from "../net/checks.ts";
import { findLeftovers, removeLeftovers } from "../net/leftovers.ts";
import { readNetwork } from "../net/links.ts";
import { forget, isAlive, readState } from "../net/state-file.ts";
import { lookForInputs } from "../policy/inputs/sources.ts";
import { type CommonOptions, command, print } from "./options.ts";
import { Failed } from "./outcome.ts";

interface DoctorOptions extends CommonOptions {
  clean?: boolean;
}

/** `shunt doctor`: what this machine lacks, and the command that mends it. */
export function doctorCommand(): Command {
  return command("doctor", "show what this machine lacks, and the command that mends it")
    .option("--clean", "remove what a crashed daemon left behind")
    .action(async (options: DoctorOptions) => {
      if (options.clean === true) await clean(options);
      else await examine(options);
    });
}

async function examine(options: DoctorOptions): Promise<void> {
  const checks: Check[] = [checkCapabilities(), ...(await checkTools())];
  if (checks.every((check) => check.result === "ok")) {
    checks.push(...(await checkKernel()));
    const links = await readNetwork();
    const names = [...links.links.keys()].filter((name) => name !== "lo" && !name.startsWith("shunt-"));
    checks.push(...checkReversePath(names), await checkLeftovers());
  }
  checks.push(checkPorts(DEFAULT_PORTS), checkPathMtu(), ...(await checkInputs()));
  print(options, { checks }, () => checksText(checks));
  if (checks.some((check) => check.result === "failed")) throw new Failed("");
}

/** What policies can learn of radios, tariffs and batteries here. Nothing of it is needed. */
async function checkInputs(): Promise<Check[]> {
  const found = await lookForInputs();
  return found.map(({ name, isThere, detail }) => {
    return { name: `input ${name}`, result: isThere ? "ok" : "absent", detail, remedy: "" };
  });
}

async function checkLeftovers(): Promise<Check> {
  const name = "leftovers";
  const state = readState();
  if (state !== null && isAlive(state)) {
    return { name, result: "ok", detail: `a daemon runs here (process ${state.pid})`, remedy: "" };
  }
  const found = await findLeftovers();
  if (found.length === 0) return { name, result: "ok", detail: "none", remedy: "" };
  const detail = `a daemon ended without cleaning up: ${found.length} things, such as ${found[0]}`;
  return { name, result: "warning", detail, remedy: "shunt doctor --clean" };
}

/** One line per check; remedies below the line they belong to. */
export function checksText(checks: Check[]): string {
  const words = { ok: "ok     ", warning: "warning", failed: "FAILED ", absent: "-      " };
  return checks
    .map((check) => {
      const line = `${words[check.result]}  ${check.name}: ${check.detail}`;
      return check.remedy === "" ? line : `${line}\n         remedy: ${check.remedy}`;
    })
    .join("\n");
}

async function clean(options: DoctorOptions): Promise<void> {
  const state = readState();
  if (state !== null && isAlive(state)) {
    throw new Failed(
      `a daemon runs in this network namespace (process ${state.pid}); remedy: end it, it cleans up itself`,
    );
  }
  const removed = await findLeftovers();
  await removeLeftovers();
  forget();
  print(options, { removed }, () =>
    removed.length === 0 ? "nothing to remove" : removed.map((thing) => `removed ${thing}`).join("\n"),
  );
}
