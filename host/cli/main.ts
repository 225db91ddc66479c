// The command line. One file per command; this is the only place that ends the process.
//
// Exit codes: 0 done, 1 failed, 2 wrong use. Every command takes --json and --socket.
import { Command, CommanderError } from "commander";
import { ConfigError } from "../config/error.ts";
import { VERSION } from "../config/version.ts";
import { ControlError } from "../control/client.ts";
import { configCommand } from "./config.ts";
import { doctorCommand } from "./doctor.ts";
import { eventsCommand } from "./events.ts";
import { handoverCommand } from "./handover.ts";
import { EXIT, Failed, WrongUse } from "./outcome.ts";
import { pathCommand } from "./path.ts";
import { policyCommand } from "./policy.ts";
import { reservedCommand } from "./reserved.ts";
import { statusCommand } from "./status.ts";
import { subflowCommand } from "./subflow.ts";
import { traceCommand } from "./trace.ts";
import { upCommand } from "./up.ts";

function program(): Command {
  const shunt = new Command("shunt")
    .description("Moves live TCP connections between networks")
    .version(VERSION)
    .exitOverride()
    .showHelpAfterError("(add --help for what this command takes)")
    .configureHelp({ showGlobalOptions: false });
  const commands = [
    upCommand(),
    statusCommand(),
    eventsCommand(),
    handoverCommand(),
    subflowCommand(),
    pathCommand(),
    policyCommand(),
    traceCommand(),
    configCommand(),
    doctorCommand(),
  ];
  for (const command of commands) shunt.addCommand(inherit(command));
  for (const name of ["export", "import", "migrate"]) shunt.addCommand(reservedCommand(name), { hidden: true });
  return shunt;
}

/** Sub-commands report errors as the program does: by throwing, never by ending the process. */
function inherit(command: Command): Command {
  command.exitOverride().showHelpAfterError("(add --help for what this command takes)");
  for (const child of command.commands) inherit(child);
  return command;
}

function exitCode(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.wrongUse;
  const line = (text: string) => process.stderr.write(`${text}\n`);
  if (error instanceof ConfigError) {
    line(error.message);
    return EXIT.wrongUse;
  }
  if (error instanceof Failed) {
    if (error.message !== "") line(`shunt: ${error.message}`);
    return EXIT.failed;
  }
  if (error instanceof WrongUse) {
    line(`shunt: ${error.message}`);
    return EXIT.wrongUse;
  }
  if (error instanceof ControlError) {
    line(`shunt: ${error.message}`);
    return error.status === 400 ? EXIT.wrongUse : EXIT.failed;
  }
  line(`shunt: ${error instanceof Error ? error.message : String(error)}`);
  return EXIT.failed;
}

// A reader that closes the pipe (head, less) has seen enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(EXIT.done);
  throw error;
});

const shunt = program();
if (process.argv.length <= 2) {
  shunt.outputHelp({ error: true });
  process.exitCode = EXIT.wrongUse;
} else {
  try {
    await shunt.parseAsync();
    process.exitCode ??= EXIT.done;
  } catch (error) {
    process.exitCode = exitCode(error);
  }
}
// What is still open (a watcher, a socket) must not keep a command that has ended. Output first.
process.stdout.write("", () => process.exit(process.exitCode));
