// What the policy runtime tells: to the event feed, to metrics, to `status`.
import type { FaultKind } from "./sandbox-port.ts";

/** "nonsense": too many intents in a row that cannot be; "status": decide() returned an error code. */
export type PolicyFaultKind = FaultKind | "nonsense" | "status";

/** One decision in words. Paths are ids. */
export interface DecisionReport {
  /** Milliseconds since 1970. */
  atMs: number;
  /** Why it was asked for. */
  cause: string;
  /** 0 = the policy leaves it as it is. */
  active: number;
  standby: number[];
  open: number[];
  close: number[];
  reason: string;
  /** "none" = it is in force. */
  refusal: string;
  fuel: number;
  nanoseconds: number;
}

export type PolicyNews = { class: string; policy: string } & (
  | { kind: "decided"; report: DecisionReport /** It changes what is in force. */; changed: boolean }
  | { kind: "refused"; report: DecisionReport /** The first of a row with this refusal. */; first: boolean }
  /** The engine has told the connections to move to another path: how many, and how many cannot, mostly because … */
  | { kind: "ordered"; reason: string; concerned: number; refused: number; obstacle: string }
  | { kind: "fault"; fault: PolicyFaultKind; detail: string; fuel: number; nanoseconds: number }
  | { kind: "fallback"; detail: string /** Until it is tried again; null = it is not. */; retryMs: number | null }
  | { kind: "swapped"; before: string; detail: string }
  | { kind: "diverged"; shadow: string; detail: string; first: boolean }
  | { kind: "shadow_fault"; shadow: string; fault: PolicyFaultKind; detail: string }
  | { kind: "log"; level: number; detail: string }
);

type WithoutOrigin<T> = T extends unknown ? Omit<T, "class" | "policy"> : never;
/** News without who it is from. */
export type NewsBody = WithoutOrigin<PolicyNews>;
