// The engine's assertion. For our own mistakes only: what a peer can send never reaches one.
//
// It stays on in release builds. A failed check is a trap, a trap ends the instance, and the
// embedder salvages it; that is better than rewriting packets from a broken table. asc's own
// assert() would import env.abort and store its message as data, so it is not used.

/** Traps unless `condition` holds. The condition must not have side effects. */
@inline export function check(condition: bool): void {
  if (!condition) unreachable();
}
