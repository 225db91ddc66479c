// Events as the outside sees them: one JSON object each, with names instead of numbers. Engine events and the host's
// own (paths, parking, configuration) go the same way: to subscribers of /v1/events and to the log.
import { EventEmitter } from "node:events";
import type { EngineEvent } from "./engine-port.ts";

/** One line of `shunt events`. Fields that say nothing for a kind are left out. */
export interface EventLine {
  /** Wall clock, ISO 8601 with microseconds lost to milliseconds. */
  time: string;
  /** Monotonic clock of the data path in microseconds; the trace uses the same. */
  timeUs: number;
  event: string;
  /** Connection: our token in hex. */
  connection?: string;
  path?: string;
  /** policy_…: the class, and the policy that it is under. */
  class?: string;
  policy?: string;
  /** handover_started: the path before. */
  from?: string;
  subflow?: number;
  reason?: string;
  local?: string;
  remote?: string;
  localId?: number;
  remoteId?: number;
  backup?: boolean;
  /** We opened it. */
  opener?: boolean;
  /** Octets of payload in both directions (connection_closed). */
  bytes?: number;
  /** handover_done: how long it took. */
  durationUs?: number;
  /** connection_moved: from the last payload on the old path to the first on the new one; absent: it was idle. */
  pauseUs?: number;
  /** command_done: connections concerned, and how many of them failed. */
  connections?: number;
  failed?: number;
  peerToken?: string;
  commandId?: number;
  /** Host events: what happened, in words. */
  detail?: string;
}

/** Which events a subscriber wants; empty = all. */
export interface EventFilter {
  connection?: string | undefined;
  kinds?: readonly string[] | undefined;
}

/** Kinds that carry a backup flag worth showing. */
const WITH_BACKUP = new Set(["new_subflow", "subflow_priority"]);
const WITH_OPENER = new Set(["new_connection", "connection_established", "new_subflow"]);

/** "10.0.0.1:80", "[fd00::1]:80". */
export function endpoint(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** An engine event in the form of the outside. `nameOf` gives the name of a path id, "" if it has none. */
export function eventLine(event: EngineEvent, nameOf: (path: number) => string, now = new Date()): EventLine {
  const line: EventLine = { time: now.toISOString(), timeUs: Number(event.timeUs), event: event.kind };
  const value = Number(event.value);
  if (Number.parseInt(event.token, 16) !== 0) line.connection = event.token;
  if (event.path !== 0) line.path = nameOf(event.path) || `#${event.path}`;
  if (event.kind.includes("subflow")) line.subflow = event.subflow;
  if (event.reason !== "none") line.reason = event.reason;
  if (event.localPort !== 0) line.local = endpoint(event.local, event.localPort);
  else if (event.kind === "park_address") line.local = event.local;
  if (event.remotePort !== 0) line.remote = endpoint(event.remote, event.remotePort);
  else if (event.kind === "new_address") line.remote = event.remote;
  if (event.kind === "new_subflow") line.localId = event.localId;
  if (["new_subflow", "new_address", "address_removed"].includes(event.kind)) line.remoteId = event.remoteId;
  if (WITH_BACKUP.has(event.kind)) line.backup = event.backup;
  if (WITH_OPENER.has(event.kind)) line.opener = event.opener;
  if (event.kind === "connection_established") line.peerToken = value.toString(16).padStart(8, "0");
  if (event.kind === "connection_closed") line.bytes = Number(event.value64);
  if (event.kind === "handover_started" && value !== 0) line.from = nameOf(value) || `#${value}`;
  if (event.kind === "handover_done") line.durationUs = value;
  if (event.kind === "connection_moved" && value !== 0) line.pauseUs = value;
  if (event.kind === "park_address") line.detail = value === 1 ? "in use" : "no longer in use";
  if (event.kind === "command_done") {
    line.connections = value;
    line.failed = Number(event.value64);
  }
  if (event.commandId !== 0) line.commandId = event.commandId;
  return line;
}

/** Whether a subscriber with this filter wants the event. */
export function matches(line: EventLine, filter: EventFilter): boolean {
  if (filter.connection !== undefined && line.connection !== filter.connection) return false;
  return filter.kinds === undefined || filter.kinds.length === 0 || filter.kinds.includes(line.event);
}

/** One event as a line of the log: key=value, values with blanks in quotes. */
export function logLine(line: EventLine): string {
  const { timeUs: _, commandId: __, ...shown } = line;
  return Object.entries(shown)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${/[\s="]/.test(String(value)) ? JSON.stringify(value) : value}`)
    .join(" ");
}

/** Events of the past that a new subscriber is shown without --follow. */
const HISTORY_MAX = 1024;

interface FeedEvents {
  line: [EventLine];
}

/** All events of the daemon, with a short memory. */
export class EventFeed extends EventEmitter<FeedEvents> {
  #history: EventLine[] = [];

  constructor() {
    super();
    // One per subscriber; there is no natural limit.
    this.setMaxListeners(0);
  }

  get history(): readonly EventLine[] {
    return this.#history;
  }

  publish(line: EventLine): void {
    this.#history.push(line);
    if (this.#history.length > HISTORY_MAX) this.#history.shift();
    this.emit("line", line);
  }

  /** An event of the host itself. */
  publishHost(event: string, fields: Omit<Partial<EventLine>, "event"> = {}): void {
    const timeUs = Number(process.hrtime.bigint() / 1000n);
    this.publish({ time: new Date().toISOString(), timeUs, event, ...fields });
  }
}
