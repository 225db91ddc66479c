import type { Command } from "commander";
import type { MoveAnswer } from "./handover.ts";
import { type CommonOptions, client, command, connectionId, duration, group, print } from "./options.ts";
import { Failed } from "./outcome.ts";

interface SubflowOptions extends CommonOptions {
  connection: string;
  path: string;
  timeout?: string;
}

/** `shunt subflow add|remove`: joins a path for one connection, or closes its subflow there. */
export function subflowCommand(): Command {
  const subflow = group("subflow", "join or leave a path with one connection");
  const options = (self: Command) =>
    self.requiredOption("--connection <id>", "the connection").requiredOption("--path <path>", "name of the path");
  subflow.addCommand(
    options(command("add", "join a path"))
      .option("--timeout <time>", "give up after this time", "10")
      .action(async (given: SubflowOptions) => {
        const body = {
          connection: connectionId(given.connection),
          path: given.path,
          timeoutMs: duration(given.timeout ?? "10"),
        };
        report(given, await client(given).call<MoveAnswer>("POST", "/v1/subflows", body));
      }),
  );
  subflow.addCommand(
    options(command("remove", "close the subflow on a path")).action(async (given: SubflowOptions) => {
      const place = `/v1/subflows/${connectionId(given.connection)}/${encodeURIComponent(given.path)}`;
      report(given, await client(given).call<MoveAnswer>("DELETE", place));
    }),
  );
  return subflow;
}

function report(options: SubflowOptions, answer: MoveAnswer): void {
  const reason = answer.failed[0]?.text ?? answer.text;
  print(options, answer, () => (answer.ok ? "done" : `${connectionId(options.connection)}: ${reason}`));
  if (!answer.ok) throw new Failed("");
}
