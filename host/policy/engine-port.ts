// What the policy runtime needs of the data path. The daemon gives the real one (engine.ts), unit tests a fake.
import type { ClassMatch } from "../config/config.ts";
import type { Plan } from "./guard.ts";

/** One path of the engine's statistics: totals since the start, over all connections. */
export interface PathFigures {
  id: number;
  /** Established subflows. */
  subflows: number;
  /** 0 = unknown, here and in the next two. */
  srttUs: number;
  rttvarUs: number;
  minRttUs: number;
  /** Octets. */
  inFlight: number;
  /** When an established subflow was last heard; 0 = never. */
  lastAckUs: number;
  /** Payload octets. */
  bytesSent: number;
  bytesReceived: number;
  bytesAcked: number;
  bytesRetransmitted: number;
  packetsSent: number;
}

export interface ClassFigures {
  id: number;
  connections: number;
  /** Octets, each counted once. */
  bytesAcked: number;
  bytesReceived: number;
  /** How many connections send new data on a path, by its id; 0 = on none. */
  activeOn: ReadonlyMap<number, number>;
}

export interface Statistics {
  paths: PathFigures[];
  classes: ClassFigures[];
}

/** What the engine is told of a class besides intents. */
export interface ClassTerms {
  /** Path ids, most preferred first. */
  prefer: number[];
  /** The only path ids it may use, null = all. */
  paths: number[] | null;
  /** How often idle paths are asked for their round-trip time; 0 = never. */
  probeMs: number;
}

/** One rule of the classifier; the first that matches a new connection gives it its class. */
export interface ClassifierRule {
  class: number;
  match: ClassMatch;
}

/** What came of an intent. */
export interface IntentOutcome {
  /** Connections that were told. */
  concerned: number;
  /** Of them, those that cannot do it. */
  refused: number;
  /** The commonest reason, "none". */
  reason: string;
}

export interface PolicyEngine {
  statistics(): Promise<Statistics>;
  /** Puts a class under the engine's native policy; an intent that stood is void. */
  setClass(classId: number, terms: ClassTerms): void;
  /** Puts a plan in force for a class. */
  setIntent(classId: number, plan: Plan): Promise<IntentOutcome>;
  /** Replaces the classifier. */
  setRules(rules: ClassifierRule[]): void;
}
