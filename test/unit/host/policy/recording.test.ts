import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Recorder } from "../../../../host/policy/recorder.ts";
import { Replay, type ReplayResult, readRecording, type Substitute } from "../../../../host/policy/replay.ts";
import { replayText } from "../../../../host/policy/replay-file.ts";
import { TICK_MS } from "../../../../host/policy/schedule.ts";
import { compiled, fault, NO_SETTINGS, RunnerWorld, type Script, ScriptSandbox, wants } from "./world.ts";

let directory: string;
let file: string;
let world: RunnerWorld;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "shunt-recording-"));
  file = join(directory, "r.jsonl");
  world = new RunnerWorld();
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

/** Alternates between two paths; counts in its memory, and in its state if it keeps one. */
const alternating: Script = {
  keeps: true,
  decide: (_table, memory) => {
    memory.count = (memory.count ?? 0) + 1;
    return { activePathId: 1 + ((memory.count >> 2) % 2), reason: 256 };
  },
};

async function record(script: Script, seconds = 20): Promise<void> {
  await world.runner.use(compiled("script", script, { reasons: ["BECAUSE"] }), NO_SETTINGS);
  await world.clock.pass(3 * TICK_MS);
  const recorder = new Recorder(file, { 1: "wifi", 2: "lte" }, () => {});
  await world.runner.record(recorder);
  await world.clock.pass(seconds * TICK_MS);
  await world.runner.record(null);
  recorder.close();
}

/** Plays the file; modules are found by what was recorded of them. */
function replay(script: Script, substitute: Substitute | null = null): Promise<ReplayResult> {
  const fresh = new ScriptSandbox();
  fresh.modules.set("script", script);
  return new Replay(fresh, substitute).play(readRecording(file));
}

describe("a recording", () => {
  test("begins with the state that the policy had, and is played bit for bit", async () => {
    await record(alternating);
    expect(world.sandbox.states).toEqual([null, '{"count":4}']);
    expect(await replay(alternating)).toEqual({ decisions: 21, instances: 1, skipped: 0, differences: [] });
  });

  test("of another policy of the same name differs, and says where", async () => {
    await record(alternating);
    const { decisions, differences } = await replay({ ...alternating, decide: () => ({ activePathId: 1, reason: 2 }) });
    expect(decisions).toBe(21);
    expect(differences.length).toBeGreaterThan(5);
    expect(differences[0]).toMatchObject({ class: "default", cause: "start", atS: 0 });
    expect(differences[0]?.detail).toBe("active wifi instead of lte (preferred instead of because)");
  });

  test("shows a single octet that differs, and fuel", async () => {
    await record(wants({ activePathId: 1, dwellMs: 1000 }), 2);
    const dwell = await replay(wants({ activePathId: 1, dwellMs: 1001 }));
    expect(dwell.differences.map(({ detail }) => detail)).toEqual(
      Array(3).fill("octets of the intent that decide nothing differ"),
    );
    const text = readFileSync(file, "utf8").replaceAll('"fuel":102', '"fuel":101');
    writeFileSync(file, text);
    const fuel = await replay(wants({ activePathId: 1, dwellMs: 1000 }));
    expect(fuel.differences[0]?.detail).toBe("fuel 102 instead of 101");
  });

  test("has faults, which come again", async () => {
    let calls = 0;
    const breaking: Script = {
      decide: () => {
        if (++calls > 6) throw fault("trap");
        return { activePathId: 1 };
      },
    };
    await record(breaking, 4);
    calls = 4;
    expect(await replay(breaking)).toMatchObject({ decisions: 4, instances: 2, differences: [] });
    calls = 0;
    const { differences } = await replay(breaking);
    expect(differences.map(({ detail }) => detail)).toContain("an intent instead of the fault trap");
    const { differences: more } = await replay({
      decide: () => {
        throw fault("fuel");
      },
    });
    expect(more.map(({ detail }) => detail)).toContain("fault fuel: broken on purpose");
  });

  test("leaves out what depends on the clock", async () => {
    let calls = 0;
    const slow: Script = {
      decide: () => {
        if (++calls > 6) throw fault("time");
        return { activePathId: 1 };
      },
    };
    await record(slow, 2);
    calls = 4;
    expect(await replay(slow)).toMatchObject({ skipped: 1, differences: [] });
  });

  test("is held against another policy: decisions count, octets do not", async () => {
    await record(wants({ activePathId: 1, dwellMs: 5, reason: 2 }), 3);
    const other = (script: Script): Substitute => ({ name: "other", manifest: null, code: script });
    expect((await replay(wants({}), other(wants({ activePathId: 1, dwellMs: 9 })))).differences).toEqual([]);
    const { differences } = await replay(wants({}), other(wants({ activePathId: 1, standbyMask: 2 })));
    expect(differences).toHaveLength(4);
    expect(differences[0]?.detail).toBe("standby lte instead of none (unsaid instead of preferred)");
  });

  test.each([
    ["no JSON", "hello\n", /:1: not JSON/],
    ["another file", '{"version":1}\n', /is no recording/],
    ["an instance without its module", '{"recording":1}\n{"instance":{"id":1,"sha256":"x"}}\n', /lacks the module x/],
    ["a decision of nobody", '{"recording":1}\n{"decision":{"instance":1}}\n', /never began/],
  ])("that is %s is refused", async (_, text, message) => {
    writeFileSync(file, text);
    await expect((async () => replay(alternating))()).rejects.toThrow(message);
  });

  test("that can no longer be written ends, and is told", async () => {
    let told: Error | null = null;
    const recorder = new Recorder("/dev/full", {}, (error) => {
      told = error;
    });
    expect(told).toMatchObject({ code: "ENOSPC" });
    recorder.decision(1, new Uint8Array(1), { intent: new Uint8Array(1), fuel: 0, log: [] });
    recorder.close();
  });
});

test("a replay in words", () => {
  const differences = [{ line: 5, class: "video", atS: 1.5, cause: "tick", detail: "active lte instead of wifi" }];
  expect(replayText({ decisions: 3, instances: 1, skipped: 2, differences })).toBe(
    "line 5: 1.500 s, video, tick: active lte instead of wifi\n" +
      "2 of 3 decisions of 1 instances came out the same, 2 that ran out of time left out",
  );
});
