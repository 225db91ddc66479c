// Words that several checks of a configuration use.
import { distance } from "fastest-levenshtein";
import type { KeyPath } from "./positions.ts";

/** Takes one problem: the key it is about, and what is wrong. */
export type Report = (path: KeyPath, message: string) => void;

/** "; did you mean …" or "; expected one of …". */
export function suggestion(name: string, known: readonly string[]): string {
  const ranked = known
    .map((candidate) => ({ candidate, steps: distance(name.toLowerCase(), candidate) }))
    .sort((a, b) => a.steps - b.steps);
  const best = ranked[0];
  if (best !== undefined && best.steps <= Math.max(2, Math.floor(name.length / 3))) {
    return `; did you mean "${best.candidate}"?`;
  }
  return `; expected one of ${known.map((candidate) => `"${candidate}"`).join(", ")}`;
}

/** A list of path names at `key`: each must be one of `known`, and none twice. */
export function reportPathNames(list: readonly string[], known: readonly string[], key: KeyPath, report: Report): void {
  for (const [index, name] of list.entries()) {
    if (!known.includes(name)) report([...key, index], `no path is named "${name}"${suggestion(name, known)}`);
    else if (list.indexOf(name) < index) report([...key, index], `"${name}" is listed twice`);
  }
}
