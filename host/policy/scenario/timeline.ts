// What came of a scenario: who carried the data when, what was decided and why, and what was refused.
import type { Scenario } from "./scenario.ts";

/** Seconds since the scenario began, up to but not including toS. */
export interface Span {
  fromS: number;
  toS: number;
}

/** The class's data went by this path; null = by none. */
export interface ActiveSpan extends Span {
  path: string | null;
}

/** Subflows on this path were established. */
export interface JoinedSpan extends Span {
  path: string;
}

/** One decision, in names and words. */
export interface DecisionMark {
  atS: number;
  cause: string;
  /** null = leave it as it is. */
  active: string | null;
  standby: string[];
  open: string[];
  close: string[];
  reason: string;
  /** "none" = it is in force. */
  refusal: string;
  /** It is another one than that in force before. */
  changed: boolean;
  fuel: number;
}

export interface MoveMark {
  atS: number;
  from: string;
  to: string;
  /** The policy's reason; null = the engine saved itself. */
  reason: string | null;
}

export interface Timeline {
  scenario: Scenario;
  policy: string;
  active: ActiveSpan[];
  joined: JoinedSpan[];
  /** Times in which what the class had to send did not get through. */
  stalls: Span[];
  decisions: DecisionMark[];
  moves: MoveMark[];
  /** Octets left, by path name, in order of time. */
  quotas: Map<string, { atS: number; left: number }[]>;
  /** What broke the policy. */
  faults: { atS: number; detail: string }[];
  log: { atS: number; text: string }[];
}

/** The path that carries the data at a time. */
export function activeAt(timeline: Timeline, atS: number): string | null {
  return timeline.active.find(({ fromS, toS }) => fromS <= atS && atS < toS)?.path ?? null;
}

export function isJoinedAt(timeline: Timeline, path: string, atS: number): boolean {
  return timeline.joined.some((span) => span.path === path && span.fromS <= atS && atS < span.toS);
}

/** Octets left of a path's quota, as they were known at a time; null = it has none. */
export function quotaAt(timeline: Timeline, path: string, atS: number): number | null {
  return timeline.quotas.get(path)?.findLast((sample) => sample.atS <= atS)?.left ?? null;
}
