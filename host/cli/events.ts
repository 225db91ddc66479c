import type { Command } from "commander";
import { type EventLine, logLine } from "../control/events.ts";
import { type CommonOptions, client, command, connectionId } from "./options.ts";
import { Failed } from "./outcome.ts";

interface EventsOptions extends CommonOptions {
  follow?: boolean;
  connection?: string;
  kind?: string[];
  plain?: boolean;
}

/** `shunt events`: one JSON object per line. */
export function eventsCommand(): Command {
  return command("events", "print events, one JSON object per line")
    .option("-f, --follow", "go on with events as they happen")
    .option("--connection <id>", "only events of this connection")
    .option("--kind <kind...>", "only events of these kinds, such as handover_done")
    .option("--plain", "key=value instead of JSON")
    .action(async (options: EventsOptions) => {
      const query = new URLSearchParams();
      if (options.follow === true) query.set("follow", "true");
      if (options.connection !== undefined) query.set("connection", connectionId(options.connection));
      if (options.kind !== undefined) query.set("kind", options.kind.join(","));
      for await (const line of client(options).lines(`/v1/events?${query}`)) {
        process.stdout.write(`${options.plain === true ? logLine(JSON.parse(line) as EventLine) : line}\n`);
      }
      if (options.follow === true) throw new Failed("the daemon has ended");
    });
}
