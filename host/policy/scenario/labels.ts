// Where words stand so that none covers another.

export interface Label {
  /** Pixels. */
  x: number;
  text: string;
  /** Those of more weight are placed first where not all fit. */
  weight: number;
}

/** A label hangs from a line that goes up at its x; its words begin there, or end there if there is no room behind. */
export interface Place {
  /** From 0. */
  row: number;
  /** Pixels. */
  fromX: number;
  toX: number;
}

/** A letter of 12 pixels, a bold one. */
const LETTER = 7.3;
const GAP = 10;

/** Places for labels, null = there is none left. A label's line crosses the words of another only where it must. */
export function placeLabels(labels: readonly Label[], right: number, rowsMax: number): (Place | null)[] {
  const fromTheRight = labels.map((_, index) => index).sort((a, b) => (labels[b]?.x ?? 0) - (labels[a]?.x ?? 0));
  const byWeight = [...fromTheRight].sort((a, b) => (labels[b]?.weight ?? 0) - (labels[a]?.weight ?? 0));
  // From the right most fit as long as there are rows: each hangs lower than those behind it. Else weight decides.
  const all = placesOf(labels, fromTheRight, right, rowsMax);
  return all.includes(null) ? placesOf(labels, byWeight, right, rowsMax) : all;
}

function placesOf(
  labels: readonly Label[],
  order: readonly number[],
  right: number,
  rowsMax: number,
): (Place | null)[] {
  const places: (Place | null)[] = labels.map(() => null);
  const taken: { x: number; place: Place }[] = [];
  for (const index of order) {
    const { x, text } = labels[index] as Label;
    const width = text.length * LETTER + GAP;
    const [fromX, toX] = x + width <= right ? [x, x + width] : [x - width, x];
    const rows = Array.from({ length: rowsMax }, (_, row) => ({ row, fromX, toX }));
    const place =
      rows.find((candidate) =>
        taken.every((other) => isFree(candidate, other.place) && isClear(x, candidate, other)),
      ) ?? rows.find((candidate) => taken.every((other) => isFree(candidate, other.place)));
    if (place === undefined) continue;
    places[index] = place;
    taken.push({ x, place });
  }
  return places;
}

function isFree(place: Place, other: Place): boolean {
  return place.row !== other.row || place.toX <= other.fromX || other.toX <= place.fromX;
}

function isClear(x: number, place: Place, other: { x: number; place: Place }): boolean {
  const { place: that } = other;
  if (that.row === place.row) return true;
  // The line of the lower one goes past the words of the upper one.
  const [line, words] = that.row > place.row ? [other.x, place] : [x, that];
  return line <= words.fromX || words.toX <= line;
}
