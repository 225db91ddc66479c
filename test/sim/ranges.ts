// A set of numbers as disjoint, sorted ranges [left, right).

export class Ranges {
  readonly list: [left: number, right: number][] = [];

  add(left: number, right: number): void {
    if (right <= left) return;
    const { list } = this;
    let at = list.length;
    while (at > 0 && (list[at - 1]?.[1] ?? 0) >= left) at--;
    let end = at;
    while (end < list.length && (list[end]?.[0] ?? 0) <= right) end++;
    const first = list[at];
    const last = list[end - 1];
    const merged: [number, number] = [left, right];
    if (first && last && end > at) {
      merged[0] = Math.min(left, first[0]);
      merged[1] = Math.max(right, last[1]);
    }
    list.splice(at, end - at, merged);
  }

  /** True if every number of [left, right) is in. */
  has(left: number, right: number): boolean {
    return right <= left || this.list.some(([l, r]) => l <= left && right <= r);
  }

  /** The first number from `from` on that is not in. */
  missing(from: number): number {
    return this.list.find(([l, r]) => l <= from && from < r)?.[1] ?? from;
  }
}
