// The numbers of the policy ABI in words, for status, events and metrics.
import { Event, OWN_REASON_FIRST, PathKind, Power, Reason, Refusal } from "./abi.ts";
import type { PolicyManifest } from "./settings.ts";

function wordsOf(values: Record<string, number>): ReadonlyMap<number, string> {
  return new Map(Object.entries(values).map(([name, value]) => [value, name.toLowerCase()]));
}

const EVENTS = wordsOf(Event);
const REASONS = wordsOf(Reason);
const REFUSALS = wordsOf(Refusal);
const KINDS = wordsOf(PathKind);
const POWERS = wordsOf(Power);

export function eventWord(event: number): string {
  return EVENTS.get(event) ?? `event_${event}`;
}

export function kindWord(kind: PathKind | null): string {
  return KINDS.get(kind ?? -1) ?? "unknown";
}

export function powerWord(power: Power | null): string {
  return POWERS.get(power ?? -1) ?? "unknown";
}

/** "none" = not refused. */
export function refusalWord(refusal: number): string {
  return REFUSALS.get(refusal) ?? `refusal_${refusal}`;
}

/** The word for an intent's reason: the ABI's, or the policy's own. */
export function reasonWord(reason: number, manifest: Pick<PolicyManifest, "reasons"> | null): string {
  const own = manifest?.reasons?.[reason - OWN_REASON_FIRST]?.toLowerCase();
  return REASONS.get(reason) ?? own ?? `reason_${reason}`;
}

/** What a refusal means, for an operator. */
const REFUSAL_TEXTS: Record<string, string> = {
  bad_abi: "the intent is of another version of the policy ABI",
  no_such_path: "it names a path that the class does not have",
  not_usable: "the path is down, or not joined yet while another one is",
  bad_mask: "its masks contradict each other",
  dwell: "too soon after the last move",
  rate: "too many changes in a short time",
  pinned: "a manual handover holds the class",
  draining: "it joins a path that is to be left",
  not_done: "no connection could do it",
};

export function refusalText(word: string): string {
  return REFUSAL_TEXTS[word] ?? word;
}
