import type { Command } from "commander";
import { command } from "./options.ts";
import { Failed, WrongUse } from "./outcome.ts";

interface UpOptions {
  config: string;
  socket?: string;
  json?: boolean;
}

/** `shunt up`: the daemon, in the foreground. */
export function upCommand(): Command {
  const up = command("up", "run the daemon in the foreground (SIGHUP reloads, SIGTERM ends)");
  up.requiredOption("-c, --config <file>", "configuration file");
  return up.action(async (options: UpOptions, self: Command) => {
    // Without --socket the configuration decides.
    const given = self.getOptionValueSource("socket") === "cli" ? options.socket : undefined;
    await runDaemon(options.config, given);
  });
}

async function runDaemon(config: string, socket: string | undefined): Promise<void> {
  if (socket !== undefined && !socket.startsWith("/"))
    throw new WrongUse(`--socket takes an absolute path, found "${socket}"`);
  // Loaded only here: no other command needs the native addon.
  const { Daemon } = await import("../daemon.ts");
  const log = (line: string) => process.stderr.write(`${line}\n`);
  let fail: (error: Error) => void = () => {};
  const failure = new Promise<Error>((resolve) => {
    fail = resolve;
  });
  // A mistake of ours must not leave rules behind that nobody serves: it ends the daemon in the ordinary way.
  process.on("uncaughtException", (error) => fail(new Error(`internal error: ${error.stack}`)));
  // Nobody reads the log any more: no reason to end.
  process.stderr.on("error", () => {});
  // A signal may come while we start: it is kept, and the start is undone in the ordinary way.
  const signal = new Promise<null>((resolve) => {
    for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => resolve(null));
  });
  const daemon = await Daemon.start(config, {
    socket,
    log,
    failed: (error) => fail(new Error(`the data path ended: ${error.message}`)),
  });
  process.on("SIGHUP", () => {
    daemon.reload().catch((error: Error) => {
      for (const line of error.message.split("\n")) log(`event=reload_failed detail=${JSON.stringify(line)}`);
    });
  });
  const error = await Promise.race([failure, signal]);
  await daemon.stop();
  if (error !== null) throw new Failed(error.message);
}
