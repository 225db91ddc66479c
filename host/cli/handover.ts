import type { Command } from "commander";
import { type CommonOptions, client, command, connectionId, duration, print } from "./options.ts";
import { Failed, WrongUse } from "./outcome.ts";

interface HandoverOptions extends CommonOptions {
  to?: string;
  auto?: boolean;
  connection?: string;
  class?: string;
  all?: boolean;
  mode?: string;
  timeout?: string;
}

/** Answer of the daemon to a command that concerns connections. */
export interface MoveAnswer {
  ok: boolean;
  to?: string | null;
  concerned: number;
  done: { connection: string; durationUs: number | null }[];
  failed: { connection: string; reason: string; text: string }[];
  reason: string;
  text: string;
}

const MODES = ["make-before-break", "break-before-make"];

/** `shunt handover`: moves connections to a path, or gives them back to the policy. */
export function handoverCommand(): Command {
  return command("handover", "move live connections to a path, and pin them there until it is lost")
    .option("--to <path>", "name of the path")
    .option("--auto", "unpin: let the policy decide again")
    .option("--connection <id>", "only this connection")
    .option("--class <class>", "only connections of this class")
    .option("--all", "all connections (default)")
    .option("--mode <mode>", "make-before-break or break-before-make", "make-before-break")
    .option("--timeout <time>", "give up after this time, such as 10 or 500ms", "10")
    .action(async (options: HandoverOptions) => {
      const answer = await client(options).call<MoveAnswer>("POST", "/v1/handover", handoverRequest(options));
      print(options, answer, handoverText);
      if (!answer.ok) throw new Failed("");
    });
}

/** The request's body. Throws WrongUse. */
export function handoverRequest(options: Omit<HandoverOptions, "json" | "socket">): object {
  if ((options.to === undefined) === (options.auto !== true)) throw new WrongUse("give either --to PATH or --auto");
  const scopes = [options.connection !== undefined, options.class !== undefined, options.all === true];
  if (scopes.filter(Boolean).length > 1) throw new WrongUse("give one of --connection, --class and --all");
  const mode = options.mode ?? MODES[0];
  if (!MODES.includes(mode as string)) throw new WrongUse(`"${mode}" is no mode; expected ${MODES.join(" or ")}`);
  return {
    ...(options.to === undefined
      ? { auto: true }
      : { to: options.to, mode, timeoutMs: duration(options.timeout ?? "10") }),
    ...(options.connection === undefined ? {} : { connection: connectionId(options.connection) }),
    ...(options.class === undefined ? {} : { class: options.class }),
  };
}

/** One line per connection that could not move, and one for the whole. */
export function handoverText(answer: MoveAnswer): string {
  const lines = answer.failed.map((failure) => `${failure.connection}: not moved: ${failure.text}`);
  const moved = answer.concerned - Math.max(answer.failed.length, 0);
  if (answer.to === null) lines.push(`${answer.concerned} given back to the policy`);
  else if (answer.concerned === 0 && answer.reason === "none") lines.push(`no connection to move to ${answer.to}`);
  else if (moved > 0) lines.push(`${moved} moved to ${answer.to}${slowest(answer)}`);
  if (answer.reason !== "none" && answer.failed.length === 0) lines.push(`not done: ${answer.text}`);
  return lines.join("\n");
}

function slowest(answer: MoveAnswer): string {
  const times = answer.done.map((done) => done.durationUs).filter((time) => time !== null);
  return times.length === 0 ? "" : ` within ${(Math.max(...times) / 1000).toFixed(1)} ms`;
}
