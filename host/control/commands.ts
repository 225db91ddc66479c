// Commands that the engine answers later. A handover concerns many connections: each answers with its own event, and
// one event ends the whole.
import type { EngineCommand, EngineEvent, EnginePort } from "./engine-port.ts";
import { reasonText } from "./reasons.ts";

/** One connection that a command concerned. */
export interface ConnectionAnswer {
  connection: string;
  /** "none" = done. */
  reason: string;
  text: string;
  /** From the command to the first new data on the new path, if it carried any. */
  durationUs: number | null;
}

/** What came of a command. */
export interface CommandAnswer {
  connections: ConnectionAnswer[];
  /** Reason of the command as a whole, "none" = done. */
  reason: string;
  /** Connections concerned and failed, in the engine's own count. */
  concerned: number;
  failed: number;
}

/** Events that say a connection did what the command asked, and that it did not. */
const DONE = new Set(["handover_done", "new_subflow", "subflow_closed"]);
const FAILED = new Set(["handover_failed", "join_failed"]);
/** Beyond the command's own time-out: the engine answers in bounded steps per tick. */
const GRACE_MS = 2000;

/** Sends a command and waits for its end. Never rejects for a time-out: that is an answer too. */
export function ask(
  engine: EnginePort,
  command: EngineCommand,
  timeoutMs: number,
  graceMs = GRACE_MS,
): Promise<CommandAnswer> {
  return new Promise((resolve) => {
    const answers = new Map<string, ConnectionAnswer>();
    const end = (reason: string, concerned: number, failed: number) => {
      clearTimeout(timer);
      engine.off("event", hear);
      resolve({ connections: [...answers.values()], reason, concerned, failed });
    };
    const hear = (event: EngineEvent) => {
      if (event.commandId !== id) return;
      if (event.kind === "command_done") end(event.reason, Number(event.value), Number(event.value64));
      else if (DONE.has(event.kind) || FAILED.has(event.kind)) answers.set(event.token, answerOf(event));
    };
    const timer = setTimeout(() => end("timeout", answers.size, answers.size), timeoutMs + graceMs);
    // Events reach us through Node's loop, so none can come between these two lines.
    const id = engine.command(command);
    engine.on("event", hear);
  });
}

function answerOf(event: EngineEvent): ConnectionAnswer {
  const failed = FAILED.has(event.kind);
  const reason = failed ? event.reason : "none";
  return {
    connection: event.token,
    reason,
    text: reasonText(reason),
    durationUs: event.kind === "handover_done" ? Number(event.value) : null,
  };
}
