// A value over time.

/** One moment at which a value is known. null = from here on nobody tells it. */
export interface Keyframe<T> {
  /** Seconds since the scenario began. */
  atS: number;
  value: T | null;
}

/**
 * Keyframes in order of time. Between two of them a number goes in a straight line, anything else stays as it was; of
 * two at the same moment the later one counts, which makes a step. Before the first the first counts.
 */
export type Track<T> = readonly Keyframe<T>[];

/** The value at a time; null = nobody tells it. */
export function valueAt<T>(track: Track<T>, atS: number): T | null {
  const index = track.findLastIndex((frame) => frame.atS <= atS);
  const from = track[Math.max(index, 0)];
  const to = track[index + 1];
  if (from === undefined) return null;
  if (index < 0 || typeof from.value !== "number" || typeof to?.value !== "number") return from.value;
  const part = (atS - from.atS) / (to.atS - from.atS);
  return (from.value + (to.value - from.value) * part) as T;
}
