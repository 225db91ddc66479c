// What if others need a path? The same world as for the policies in AssemblyScript.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PathFlag, PathState, Refusal } from "../../../host/policy/abi.ts";
import { isMissing, type World, type WorldPath, worldOf } from "../../sdk/what-if.ts";

const FOLDER = join(import.meta.dirname, "..");
const start = worldOf(FOLDER);

const A: WorldPath = { name: "a", state: PathState.ESTABLISHED, ackedRateKbps: 0 };
const B: WorldPath = { name: "b", state: PathState.ESTABLISHED, ackedRateKbps: 0 };

/** The class moves `ownKbps` on its active path, others what `kbps` says, for `ms`. */
function traffic(w: World, ms: number, ownKbps: number, kbps: Record<string, number>): void {
  w.advance(ms, () => {
    w.ackedBytes = (w.nowMs * ownKbps) / 8;
    for (const [name, others] of Object.entries(kbps)) {
      w.set(name, { ackedRateKbps: others + (w.active === name ? ownKbps : 0) }, null);
    }
  });
}

describe.skipIf(isMissing(FOLDER))("quietest-rust", () => {
  test("data leaves a path that others use for five seconds", () => {
    const w = start({ paths: [A, B] });
    traffic(w, 4900, 2000, { a: 20_000, b: 0 });
    expect(w.active).toBe("a");
    traffic(w, 2100, 2000, { a: 20_000, b: 0 });
    expect(w.moves).toMatchObject([{ from: "a", to: "b", reason: "QUIETER" }]);
  });

  test("its own traffic is no reason to move", () => {
    const w = start({ paths: [A, B] });
    traffic(w, 600_000, 50_000, { a: 0, b: 0 });
    expect(w.moves).toEqual([]);
  });

  test("others that pause for a moment do not call it back and forth", () => {
    const w = start({ paths: [A, B] });
    for (let i = 0; i < 30; i++) traffic(w, 3000, 1000, i % 2 === 0 ? { a: 9000, b: 0 } : { a: 0, b: 9000 });
    expect(w.moves).toEqual([]);
  });

  test("a lost path is left at once, a draining one too, a backup one comes last", () => {
    const w = start({ paths: [A, { ...B, flags: PathFlag.BACKUP }, { ...B, name: "c", ackedRateKbps: 90_000 }] });
    w.down("a");
    expect(w.moves).toMatchObject([{ to: "c", reason: "PATH_LOST" }]);
    w.set("c", { flags: PathFlag.DRAINING });
    expect(w.moves.at(-1)).toMatchObject({ to: "b", reason: "DRAIN" });
  });

  test("with nothing left there is no path", () => {
    const w = start({ paths: [A] });
    w.down("a");
    expect(w.last).toMatchObject({ active: null, reason: "NO_PATH" });
  });

  test("a refused move is asked for again after the hold", () => {
    const w = start({ paths: [A, B] });
    w.refuse = Refusal.RATE;
    traffic(w, 60_000, 0, { a: 20_000, b: 0 });
    expect(w.decisions.filter(({ event }) => event === "REFUSED").length).toBeLessThanOrEqual(12);
  });

  test("since when a path is quieter survives a swap", () => {
    const w = start({ paths: [A, B] });
    w.set("a", { ackedRateKbps: 20_000 });
    w.advance(4000);
    w.swap();
    w.advance(1000);
    expect(w.moves).toMatchObject([{ atMs: 5000, to: "b" }]);
  });
});
