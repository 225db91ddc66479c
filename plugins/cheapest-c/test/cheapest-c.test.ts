// What if a cheaper path comes, goes, or is lost? The same world as for the policies in AssemblyScript.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PathFlag, PathState, Refusal } from "../../../host/policy/abi.ts";
import { isMissing, type WorldPath, worldOf } from "../../sdk/what-if.ts";

const FOLDER = join(import.meta.dirname, "..");
const start = worldOf(FOLDER);

const LTE: WorldPath = { name: "lte", state: PathState.ESTABLISHED, costMicroPerGB: 3_000_000 };
const DSL: WorldPath = { name: "dsl", state: PathState.UP, costMicroPerGB: 10_000 };

describe.skipIf(isMissing(FOLDER))("cheapest-c", () => {
  test("a cheaper path is joined, and carries the data when it has been there for five seconds", () => {
    const w = start({ paths: [LTE, DSL] });
    expect(w.last).toMatchObject({ active: "lte", standby: ["dsl"] });
    w.advance(5000);
    expect(w.active).toBe("lte");
    w.advance(200);
    expect(w.moves).toEqual([{ atMs: 5100, from: "lte", to: "dsl", reason: "CHEAPER" }]);
  });

  test("one that comes and goes gets no data", () => {
    const w = start({ paths: [LTE, DSL] });
    for (let i = 0; i < 20; i++) {
      w.advance(4500);
      w.down("dsl");
      w.up("dsl");
    }
    expect(w.moves).toEqual([]);
  });

  test("a lost path is left at once, a draining one too, a backup one comes last", () => {
    const backup = { ...LTE, name: "free", costMicroPerGB: 0, flags: PathFlag.BACKUP };
    const w = start({ paths: [{ ...DSL, state: PathState.ESTABLISHED }, backup, LTE] });
    w.advance(10_000);
    w.down("dsl");
    expect(w.moves).toEqual([{ atMs: 10_000, from: "dsl", to: "lte", reason: "PATH_LOST" }]);
    w.set("lte", { flags: PathFlag.DRAINING });
    expect(w.moves.at(-1)).toMatchObject({ to: "free", reason: "DRAIN" });
  });

  test("with nothing left there is no path", () => {
    const w = start({ paths: [LTE] });
    w.down("lte");
    expect(w.last).toMatchObject({ active: null, reason: "NO_PATH" });
  });

  test("a refused move is asked for again after the hold", () => {
    const w = start({ paths: [LTE, { ...DSL, state: PathState.ESTABLISHED }] });
    w.refuse = Refusal.RATE;
    w.advance(60_000);
    expect(w.decisions.filter(({ event }) => event === "REFUSED").length).toBeLessThanOrEqual(11);
  });

  test("since when a path is cheaper survives a swap", () => {
    const w = start({ paths: [LTE, { ...DSL, state: PathState.ESTABLISHED }] });
    w.advance(4000);
    w.swap();
    w.advance(1000);
    expect(w.active).toBe("dsl");
  });
});
