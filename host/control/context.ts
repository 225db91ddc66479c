import type { Config } from "../config/config.ts";
import type { PathTable } from "../net/path-table.ts";
import type { Policies } from "../policy/policies.ts";
import type { EnginePort } from "./engine-port.ts";
import type { EventFeed } from "./events.ts";
import type { Metrics } from "./metrics.ts";
import type { TraceSession } from "./trace-session.ts";

/** What the handlers act on. */
export interface ControlContext {
  engine: EnginePort;
  feed: EventFeed;
  paths: PathTable;
  metrics: Metrics;
  policies: Policies;
  trace: TraceSession;
  config(): Config;
  /** Reads the configuration file again. Throws ConfigError. */
  reload(): Promise<string[]>;
  startedMs: number;
}
