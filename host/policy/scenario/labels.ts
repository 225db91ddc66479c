// Where words stand so that none covers another.

export interface Label {
  /** Pixels. */
  x: number;
  text: string;
  /** Those of more weight are placed first. */
  weight: number;
}

/** A letter of 12 pixels, a bold one. */
const LETTER = 7.3;
const GAP = 10;

/**
 * A row for each label, from 0; null = there is none left for it. A label begins at its x and hangs from a line that goes
 * up there, which no other label may cross. `used`: rows that have labels, `left`: labels that have no row.
 */
export function labelRows(
  labels: readonly Label[],
  { right, rowsMax }: { right: number; rowsMax: number },
): { rows: (number | null)[]; used: number; left: number } {
  const rows: (number | null)[] = labels.map(() => null);
  const width = (label: Label) => label.text.length * LETTER + GAP;
  const order = labels.map((_, index) => index);
  order.sort(
    (a, b) => (labels[b]?.weight ?? 0) - (labels[a]?.weight ?? 0) || (labels[b]?.x ?? 0) - (labels[a]?.x ?? 0),
  );
  for (const index of order) {
    const label = labels[index] as Label;
    if (label.x + width(label) > right) continue;
    rows[index] = freeRow(label, labels, rows, rowsMax, width);
  }
  const placed = rows.filter((row) => row !== null);
  return { rows, used: Math.max(-1, ...placed) + 1, left: labels.length - placed.length };
}

function freeRow(
  label: Label,
  labels: readonly Label[],
  rows: readonly (number | null)[],
  rowsMax: number,
  width: (label: Label) => number,
): number | null {
  const clear = (row: number) =>
    rows.every((taken, other) => {
      if (taken === null) return true;
      const that = labels[other] as Label;
      const covers = (a: Label, b: Label) => a.x <= b.x && b.x < a.x + width(a);
      if (taken === row) return !covers(that, label) && !covers(label, that);
      // The line of the lower one goes past the words of the upper one.
      return taken > row ? !(that.x !== label.x && covers(label, that)) : !(that.x !== label.x && covers(that, label));
    });
  for (let row = 0; row < rowsMax; row++) if (clear(row)) return row;
  return null;
}
