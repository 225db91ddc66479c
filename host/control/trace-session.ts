// A trace that is being recorded: the data path writes FILE; beside it we write FILE.events.jsonl, whose first line
// names the paths and whose others are the events of that time, so that a figure can say "wifi" and mark handovers.
import { closeSync, openSync, writeSync } from "node:fs";
import { ApiError } from "./api-error.ts";
import type { EnginePort } from "./engine-port.ts";
import type { EventFeed, EventLine } from "./events.ts";

/** Name of the file beside a trace. */
export function eventsFileOf(trace: string): string {
  return `${trace}.events.jsonl`;
}

/** First line of that file. */
export interface TraceNotes {
  version: 1;
  /** Names by path id. */
  paths: Record<string, string>;
}

export class TraceSession {
  #engine: EnginePort;
  #feed: EventFeed;
  #pathNames: () => Record<string, string>;
  #running: { file: string; notes: number; listener: (line: EventLine) => void } | null = null;

  constructor(engine: EnginePort, feed: EventFeed, pathNames: () => Record<string, string>) {
    this.#engine = engine;
    this.#feed = feed;
    this.#pathNames = pathNames;
  }

  /** Starts recording all connections, or one. Throws ApiError. */
  async start(file: string, connection: string | null): Promise<object> {
    if (this.#running !== null) {
      throw new ApiError(409, "trace_running", `a trace is being written to ${this.#running.file}; stop it first`);
    }
    let notes: number;
    try {
      notes = openSync(eventsFileOf(file), "w", 0o644);
      await this.#engine.startTrace(file);
    } catch (error) {
      throw new ApiError(409, "trace_file", `cannot write ${file}: ${(error as Error).message}`);
    }
    const head: TraceNotes = { version: 1, paths: this.#pathNames() };
    writeSync(notes, `${JSON.stringify(head)}\n`);
    const listener = (line: EventLine) => {
      writeSync(notes, `${JSON.stringify(line)}\n`);
    };
    this.#feed.on("line", listener);
    this.#running = { file, notes, listener };
    const scope =
      connection === null ? ({ scope: "all" } as const) : ({ scope: "connection", token: connection } as const);
    this.#engine.command({ kind: "trace", on: true, ...scope });
    return { file, events: eventsFileOf(file) };
  }

  /** Stops recording. Throws ApiError if nothing is recorded. */
  async stop(): Promise<object> {
    const running = this.#running;
    if (running === null) throw new ApiError(409, "no_trace", "no trace is being recorded");
    this.#running = null;
    this.#engine.command({ kind: "trace", on: false, scope: "all" });
    await this.#engine.stopTrace();
    this.#feed.off("line", running.listener);
    closeSync(running.notes);
    return { file: running.file, events: eventsFileOf(running.file) };
  }
}
