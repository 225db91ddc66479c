import { resolve } from "node:path";
import type { Command } from "commander";
import { type CommonOptions, client, command, connectionId, group, print } from "./options.ts";
import { WrongUse } from "./outcome.ts";

interface StartOptions extends CommonOptions {
  connection?: string;
}

interface PlotOptions extends CommonOptions {
  svg?: string;
  csv?: string;
  connection?: string;
  from?: string;
  to?: string;
  title?: string;
}

/** `shunt trace start|stop|plot`: sequence numbers over time, and a picture of them. */
export function traceCommand(): Command {
  const trace = group("trace", "record sequence numbers over time, and draw them");
  trace.addCommand(
    command("start", "record into a file (and FILE.events.jsonl beside it)")
      .argument("<file>", "written by the daemon")
      .option("--connection <id>", "only this connection")
      .action(async (file: string, options: StartOptions) => {
        const connection = options.connection === undefined ? undefined : connectionId(options.connection);
        const answer = await client(options).call<{ file: string }>("POST", "/v1/trace", {
          file: resolve(file),
          connection,
        });
        print(options, answer, () => `recording into ${answer.file}`);
      }),
  );
  trace.addCommand(
    command("stop", "stop recording").action(async (options: CommonOptions) => {
      const answer = await client(options).call<{ file: string }>("DELETE", "/v1/trace");
      print(options, answer, () => `recorded into ${answer.file}`);
    }),
  );
  trace.addCommand(plotCommand());
  return trace;
}

function plotCommand(): Command {
  return command("plot", "draw a recorded trace")
    .argument("<file>", "trace file")
    .option("--svg <file>", "write a picture")
    .option("--csv <file>", "write the numbers")
    .option("--connection <id>", "this connection; default: the one with the most data")
    .option("--from <seconds>", "begin here")
    .option("--to <seconds>", "end here")
    .option("--title <text>", "title of the picture")
    .action(async (file: string, options: PlotOptions) => {
      if (options.svg === undefined && options.csv === undefined)
        throw new WrongUse("give --svg FILE, --csv FILE, or both");
      const { plotTrace, summaryText } = await import("../plot/plot.ts");
      const summary = await plotTrace(file, {
        svg: options.svg,
        csv: options.csv,
        connection: options.connection === undefined ? undefined : connectionId(options.connection),
        fromS: options.from === undefined ? null : seconds(options.from),
        toS: options.to === undefined ? null : seconds(options.to),
        title: options.title,
      });
      print(options, summary, summaryText);
    });
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new WrongUse(`"${text}" is no number of seconds`);
  return value;
}
