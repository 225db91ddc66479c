// What the policies in AssemblyScript have in common: ranking.ts, the regions and the state, shown on some of them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as abi from "../../../host/policy/abi.ts";
import { PathFlag, PathState, Refusal } from "../../../host/policy/abi.ts";
import { type TableRecord, writeTable } from "../../../host/policy/records.ts";
import { encodeSettings, type PolicyManifest } from "../../../host/policy/settings.ts";
import { Instance } from "../../../host/policy/v8-instance.ts";
import { type WorldPath, worldOf } from "../what-if.ts";

const PLUGINS = join(import.meta.dirname, "../..");
const startCost = worldOf(join(PLUGINS, "cost"));
const startSignal = worldOf(join(PLUGINS, "signal"));

function path(name: string, cost: number, state: abi.PathState = PathState.ESTABLISHED, flags = 0): WorldPath {
  return { name, state, flags, costMicroPerGB: cost };
}

function instance(name: string, state?: Uint8Array): Instance {
  const manifest = JSON.parse(readFileSync(join(PLUGINS, name, "policy.json"), "utf8")) as PolicyManifest;
  const wasm = readFileSync(join(PLUGINS, `../build/policies/${name}.wasm`));
  return new Instance(
    new WebAssembly.Module(wasm),
    encodeSettings(manifest, {}, () => undefined),
    state,
  );
}

const TABLE: TableRecord = {
  ...{ nowUs: 5_000_000, entropy: 0n, event: abi.Event.TICK, classId: 0, connections: 1, ackedBytes: 0 },
  ...{ activePathId: 1, lastRefusal: Refusal.NONE },
  paths: [
    { id: 1, state: PathState.ESTABLISHED, flags: 0, subflows: 1, costMicroPerGB: 9, srttUs: 90_000, minRttUs: 90_000 },
    { id: 2, state: PathState.ESTABLISHED, flags: 0, subflows: 1, costMicroPerGB: 1, srttUs: 10_000, minRttUs: 10_000 },
  ],
};

describe("what every ranking policy does", () => {
  test("a pinned path stays, whatever is better", () => {
    const w = startCost({ paths: [path("dear", 9, PathState.ESTABLISHED, PathFlag.PINNED), path("cheap", 1)] });
    w.advance(20_000);
    expect(w.decisions.map(({ active }) => active)).not.toContain("cheap");
    w.set("dear", { flags: 0 });
    w.advance(6000);
    expect(w.active).toBe("cheap");
  });

  test("a backup path is taken when no other is left, and not before", () => {
    const w = startCost({ paths: [path("dear", 9), path("backup", 1, PathState.ESTABLISHED, PathFlag.BACKUP)] });
    w.advance(20_000);
    expect(w.active).toBe("dear");
    w.down("dear");
    expect(w.active).toBe("backup");
  });

  test("a captive portal is a lost path", () => {
    const w = startCost({ paths: [path("free", 0), path("dear", 9)] });
    w.set("free", { flags: PathFlag.CAPTIVE });
    expect(w.moves).toMatchObject([{ to: "dear", reason: "PATH_LOST" }]);
    w.advance(20_000);
    expect(w.active).toBe("dear");
  });

  test("a draining path is left at once and joined no more", () => {
    const w = startCost({ paths: [path("a", 1), path("b", 9)] });
    w.set("a", { flags: PathFlag.DRAINING });
    expect(w.moves).toMatchObject([{ to: "b", reason: "DRAIN" }]);
    w.set("a", { state: PathState.UP });
    w.advance(20_000);
    expect(w.path("a").state).toBe(PathState.UP);
  });

  test("a draining path is kept until another is joined", () => {
    const w = startCost({ paths: [path("a", 1), path("b", 9, PathState.UP)] });
    w.set("a", { flags: PathFlag.DRAINING });
    expect(w.last).toMatchObject({ active: "a", reason: "JOINING", standby: ["b"] });
    w.advance(100);
    expect(w.moves).toMatchObject([{ to: "b", reason: "DRAIN" }]);
  });

  test("a path that cannot be joined does not keep data from the second best", () => {
    const paths = [path("dear", 9), path("free", 0, PathState.UP), path("cheap", 1)];
    const w = startCost({ paths, joinMs: Number.POSITIVE_INFINITY });
    w.advance(6000);
    expect(w.active).toBe("cheap");
  });

  test("nor does it make data move to something worse", () => {
    const w = startCost({ paths: [path("mid", 5, PathState.UP), path("dear", 9), path("free", 0, PathState.UP)] });
    const stuck = startCost({
      ...{ paths: [path("mid", 5, PathState.UP), path("dear", 9), path("free", 0, PathState.UP)] },
      ...{ active: "mid", joinMs: Number.POSITIVE_INFINITY },
    });
    w.advance(20_000);
    expect(w.active).toBe("free");
    stuck.advance(20_000);
    expect(stuck.moves).toEqual([]);
  });

  test("with nothing usable there is no path, and what comes first is taken", () => {
    const w = startCost({ paths: [path("a", 1), path("b", 9, PathState.DOWN)] });
    w.down("a");
    expect(w.last).toMatchObject({ active: null, reason: "NO_PATH" });
    w.up("b");
    expect(w.moves).toMatchObject([{ to: "b", reason: "PATH_LOST" }]);
  });

  test("new connections get the best path at once", () => {
    const w = startCost({ paths: [path("dear", 9, PathState.UP), path("cheap", 1, PathState.UP)], connections: 0 });
    expect(w.active).toBe("cheap");
  });
});

describe("what the guard refuses", () => {
  test("is asked for again after the hold", () => {
    const w = startCost({ paths: [path("dear", 9), path("cheap", 1)] });
    w.refuse = Refusal.RATE;
    w.advance(60_000);
    const refused = w.decisions.filter(({ event }) => event === "REFUSED").length;
    expect(refused).toBeGreaterThan(5);
    expect(refused).toBeLessThanOrEqual(12);
  });

  test("is asked for about once a second by a policy that knows no hold", () => {
    const paths = [{ ...path("wifi", 0), signal: -900 }, path("lte", 0)];
    const w = startSignal({ paths, settings: { move_ahead_ms: 0 } });
    expect(w.active).toBe("lte");
    const refused = startSignal({ paths: [{ ...path("wifi", 0), signal: -600 }, path("lte", 0)] });
    refused.refuse = Refusal.RATE;
    refused.set("wifi", { signal: -900 });
    refused.advance(20_000);
    const count = refused.decisions.filter(({ event }) => event === "REFUSED").length;
    expect(count).toBeGreaterThan(5);
    expect(count).toBeLessThanOrEqual(21);
  });
});

describe("the regions", () => {
  test("longer records of a later minor version are read at their stride", () => {
    const short = new DataView(new ArrayBuffer(192));
    writeTable(short, { ...TABLE, activePathId: undefined });
    const octets = new Uint8Array(short.buffer);
    const intent = instance("cost").decide(96 + 2 * 80, (view) => {
      const table = new Uint8Array(view.buffer, view.byteOffset, view.byteLength).fill(0xff);
      table.set(octets.subarray(0, 64));
      table.set(octets.subarray(64, 128), 96);
      table.set(octets.subarray(128, 192), 96 + 80);
      view.setUint16(2, 96, true);
      view.setUint16(4, 80, true);
    });
    expect(intent).toMatchObject({ activePathId: 2, standbyMask: 0b01 });
  });

  test("a table of 32 paths has room, one that is too large has not", () => {
    const paths = Array.from({ length: 32 }, (_, i) => ({ id: i + 1, state: PathState.UP, flags: 0, subflows: 0 }));
    const policy = instance("cost");
    const write = (view: DataView) => void writeTable(view, { ...TABLE, activePathId: undefined, paths });
    expect(policy.decide(64 + 32 * 64, write)).toMatchObject({ activePathId: 1, standbyMask: 0xfffffffe });
    expect(() => policy.decide(1 << 20, write)).toThrow("region(1, 1048576) returned 0");
  });
});

describe("state", () => {
  const decide = (policy: Instance, nowUs: number) =>
    policy.decide(192, (view) => void writeTable(view, { ...TABLE, nowUs })).activePathId;

  test("of another policy tells only who leads, and since when", () => {
    const cost = instance("cost");
    expect(decide(cost, 5_000_000)).toBe(1);
    const delay = instance("min-delay", cost.save());
    expect(decide(delay, 7_900_000)).toBe(1);
    expect(decide(delay, 8_000_000)).toBe(2);
    const garbage = new Uint8Array(2000).fill(0xee);
    const fresh = instance("min-delay", garbage);
    expect([5_000_000, 7_900_000, 8_000_000].map((nowUs) => decide(fresh, nowUs))).toEqual([1, 1, 2]);
  });

  test("of an earlier boot, whose clock was ahead, delays nothing", () => {
    const before = instance("cost");
    decide(before, 900_000_000_000);
    const after = instance("cost", before.save());
    expect(decide(after, 5_000_000)).toBe(1);
    expect(decide(after, 10_000_000)).toBe(2);
  });

  test("that is too short is an error", () => {
    expect(() => instance("cost", new Uint8Array(8))).toThrow("BAD_STATE");
  });
});
