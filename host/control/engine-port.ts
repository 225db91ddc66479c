// What the control plane needs of the data path, and nothing else: the daemon gives the real one (host/engine), unit
// tests a fake. Shapes and names are those of host/engine.
import type { EventEmitter } from "node:events";
import type { EngineCommand, EngineEvent, Snapshot, Statistics } from "../engine/index.ts";

export type { EngineCommand, EngineEvent, Snapshot, Statistics };

export interface EnginePort extends Pick<EventEmitter, "on" | "off"> {
  /** Sends a command; returns its id, which every event that answers it carries. */
  command(command: EngineCommand): number;
  snapshot(): Promise<Snapshot>;
  /** Paths and classes alone, however many connections there are. */
  statistics(): Promise<Statistics>;
  /** Counters by name; 64-bit ones may be bigint. */
  counters(): Promise<Record<string, number | bigint>>;
  startTrace(file: string): void | Promise<void>;
  stopTrace(): void | Promise<void>;
}
