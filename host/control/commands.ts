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

/** Events by which connections answer a command, by its kind. Commands that are not here end with command_done. */
const ANSWERS: Partial<Record<EngineCommand["kind"], { done: string; failed: string }>> = {
  handover: { done: "handover_done", failed: "handover_failed" },
  subflow_add: { done: "new_subflow", failed: "join_failed" },
};
/** Beyond the command's own time-out: the engine answers in bounded steps per tick. */
const GRACE_MS = 2000;

/**
 * Sends a command and waits for its end: command_done, which says how many connections it concerns and how many of
 * them refused at once, and then an answer of each of the others. Never rejects for a time-out: that is an answer too.
 */
export function ask(
  engine: Pick<EnginePort, "command" | "on" | "off">,
  command: EngineCommand,
  timeoutMs: number,
  graceMs = GRACE_MS,
): Promise<CommandAnswer> {
  return new Promise((resolve) => {
    const kinds = ANSWERS[command.kind];
    const answers = new Map<string, ConnectionAnswer>();
    let swept: EngineEvent | null = null;
    /** Answers that are still to come after command_done. */
    let awaited = 0;
    const end = (reason: string) => {
      clearTimeout(timer);
      engine.off("event", hear);
      const list = [...answers.values()];
      const refused = list.filter((answer) => answer.reason !== "none").length;
      const concerned = Math.max(Number(swept?.value ?? 0), list.length);
      const failed = Math.max(Number(swept?.value64 ?? 0), refused) + (reason === "timeout" ? Math.max(awaited, 0) : 0);
      resolve({ connections: list, reason, concerned, failed });
    };
    const note = (event: EngineEvent, reason: string) => {
      if (answers.has(event.token)) return;
      answers.set(event.token, answerOf(event, reason));
      // What failed before command_done is in its count of failures; what was done before it is awaited no longer.
      if (swept !== null || reason === "none" || started.has(event.token)) awaited--;
      if (swept !== null && awaited <= 0) end(swept.reason);
    };
    const hear = (event: EngineEvent) => {
      if (event.kind === "connection_closed" && swept !== null && started.has(event.token)) note(event, "closed");
      if (event.commandId !== id) return;
      if (event.kind === "handover_started") started.add(event.token);
      else if (event.kind === kinds?.done) note(event, "none");
      else if (event.kind === kinds?.failed) note(event, event.reason);
      else if (event.kind === "command_done") {
        swept = event;
        awaited += kinds === undefined ? 0 : Number(event.value) - Number(event.value64);
        if (awaited <= 0) end(event.reason);
      }
    };
    const started = new Set<string>();
    const timer = setTimeout(() => end("timeout"), timeoutMs + graceMs);
    // Events reach us through Node's loop, so none can come between these two lines.
    const id = engine.command(command);
    engine.on("event", hear);
  });
}

function answerOf(event: EngineEvent, reason: string): ConnectionAnswer {
  return {
    connection: event.token,
    reason,
    text: reasonText(reason),
    durationUs: event.kind === "handover_done" ? Number(event.value) : null,
  };
}
