// Scenarios: how a file is read, what a sentence means, how the made-up data path behaves, and that no words of a
// picture cover others.
import { describe, expect, test } from "vitest";
import { ConfigError } from "../../../../host/config/error.ts";
import { PathFlag } from "../../../../host/policy/abi.ts";
import type { CompiledPolicy } from "../../../../host/policy/instance.ts";
import { timelineFigure } from "../../../../host/policy/scenario/figure.ts";
import { placeLabels } from "../../../../host/policy/scenario/labels.ts";
import { parseScenario } from "../../../../host/policy/scenario/load.ts";
import { runScenario } from "../../../../host/policy/scenario/run.ts";
import { inputsAt, momentsOf } from "../../../../host/policy/scenario/scenario.ts";
import type { Timeline } from "../../../../host/policy/scenario/timeline.ts";
import { valueAt } from "../../../../host/policy/scenario/track.ts";
import { compiled, type Script, ScriptSandbox } from "./world.ts";

const PATHS = `
[[path]]
name = "wifi"
kind = "wifi"
rtt_ms = 20
signal_dbm = [[0, -50], [10, -50], [20, -90]]
[[path]]
name = "lte"
rtt_ms = 40
`;

function scenario(head = "", paths = PATHS) {
  return parseScenario(`title = "t"\nduration = 30\n${head}${paths}`, "s.toml");
}

/** Problems of a file, in words. */
function problems(head: string, paths = PATHS): string[] {
  try {
    scenario(head, paths);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split("\n");
    throw error;
  }
  return [];
}

/** A policy that goes to the second path, id 2, at a time, and else wants the first. */
function leavesAt(ms: number): CompiledPolicy {
  let startUs = 0;
  const script: Script = {
    decide: ({ nowUs }) => {
      startUs ||= nowUs;
      const late = nowUs - startUs >= ms * 1000;
      return late ? { activePathId: 2, standbyMask: 1, reason: 256 } : { activePathId: 1, standbyMask: 2, reason: 1 };
    },
  };
  return compiled("script", script, { reasons: ["TIME"] });
}

function play(text: ReturnType<typeof scenario>, policy: CompiledPolicy | null = leavesAt(10_000)): Promise<Timeline> {
  return runScenario(policy, text, new ScriptSandbox());
}

/** What was instead of each sentence; null = it holds. */
async function judged(sentences: string[], paths = PATHS, policy?: CompiledPolicy | null) {
  const text = scenario(`expect = ${JSON.stringify(sentences)}\n`, paths);
  const timeline = await play(text, policy);
  return text.expect.map(({ judge }) => judge(timeline));
}

describe("a file", () => {
  test("numbers go in a straight line, anything else stays, and two keyframes at once are a step", () => {
    const track = [
      { atS: 2, value: 10 },
      { atS: 4, value: 20 },
      { atS: 4, value: 0 },
      { atS: 6, value: null },
      { atS: 8, value: 5 },
    ];
    expect([0, 2, 3, 3.999, 4, 5, 6, 7, 9].map((atS) => Math.round((valueAt(track, atS) ?? -1) * 10) / 10)).toEqual([
      10, 10, 15, 20, 0, 0, -1, -1, 5,
    ]);
    const flags = [
      { atS: 0, value: false },
      { atS: 3, value: true },
    ];
    expect([0, 2.9, 3].map((atS) => valueAt(flags, atS))).toEqual([false, false, true]);
  });

  test("is told as the file: input reads it, whole numbers where those are needed", () => {
    const text = scenario('battery = [[0, 1], [30, 0]]\npower = "battery"\n');
    expect(inputsAt(text, 15)).toEqual({
      host: { batteryPermille: 500, power: "battery" },
      interfaces: { wifi0: { signalDbm: -70 }, lte0: {} },
    });
    expect(momentsOf(text).slice(0, 3)).toEqual([0, 0.5, 1]);
    expect(momentsOf(text).at(-1)).toBe(29.5);
  });

  test("names the line and the key of each mistake, and what was expected", () => {
    expect(problems("expect = []\n")).toEqual([]);
    expect(problems('expect = ["on wlan at 3 s"]\n')).toEqual([
      's.toml:3: expect[1]: no path is named "wlan"; expected one of "wifi", "lte"',
    ]);
    expect(problems('expect = [\n"on wifi",\n"flies"]\n')[0]).toMatch(
      /^s\.toml:5: expect\[2\]: not understood: "flies"; expect/,
    );
    expect(problems('expect = ["on wifi at 31 s"]\n')[0]).toContain("outside of the scenario's 0 … 30 s");
    expect(problems('expect = ["on wifi while wifi.mood < 3"]\n')[0]).toContain("expected battery, PATH.signal");
    expect(problems("kbps = [[3, 1], [2, 1]]\n")[0]).toContain("kbps: keyframe 2 is before");
    expect(problems("", '[[path]]\nname = "a"\nsignal = -50\n')[0]).toMatch(/unknown key.*signal_dbm/);
    expect(problems("", '[[path]]\nname = "a"\nsignal_dbm = 50\n')[0]).toMatch(
      /expected a number from -200 to 0.*found 50/,
    );
    expect(problems('starts_on = "x"\n')[0]).toContain('no path is named "x"');
  });
});

describe("a sentence holds or says what was instead", () => {
  const NAMES = [
    ["on wifi at 3 s", null],
    ["on wifi until 10 s", null],
    ["on wifi until 11 s", "on lte at 10 s"],
    ["never on lte from 2 s to 8 s", null],
    ["never on wifi", "on wifi at 0 s"],
    ["on lte while wifi.signal < -60 for more than 1 s", null],
    ["on wifi while wifi.signal < -60", expect.stringMatching(/^on lte at 12\.55 s/)],
    ["on lte while wifi.signal < -95 dBm", "the condition never came true"],
    ["lte joined from 1 s", null],
    ["lte not joined from 1 s", "joined at 1 s"],
    ["exactly 1 move", null],
    ["no moves", expect.stringMatching(/^1 moves: to lte at 10 s \(time\)/)],
    ["at least 2 moves", expect.stringMatching(/^1 moves/)],
    ["at most 1 move until 12 s", null],
    ["moves to lte because time from 9 s to 11 s", null],
    ["moves to lte because keep", expect.stringMatching(/^1 moves/)],
    ["moves to lte because time until 9 s", "no moves"],
    ["reason time at 12 s", null],
    ["reason time at 2 s", "reason keep"],
    ["stalls at most 0 ms", null],
    ["no refusals", null],
  ] as const;

  test.each(NAMES)("%s", async (sentence, instead) => {
    const [is] = await judged([sentence]);
    if (typeof instead === "string") expect(is).toContain(instead);
    else expect(is).toEqual(instead);
  });

  test("a refused intent and a stall are seen", async () => {
    const down = `${PATHS}up = [[0, true], [9, false]]\n`;
    const [refusals] = await judged(["no refusals"], down);
    expect(refusals).toMatch(/^\d+, the first at 10 s: not_usable/);
    const silent = PATHS.replace("rtt_ms = 20", "rtt_ms = 20\nsilent = [[0, false], [5, true]]");
    // With the engine's own policy: the silence is noticed after 300 ms, and the standby takes over.
    expect(await judged(["stalls at most 299 ms", "stalls at most 300 ms"], silent, null)).toEqual(["300 ms", null]);
  });
});

describe("a run", () => {
  test("is the same every time, to the entropy", async () => {
    const text = scenario();
    const runs = [];
    for (let run = 0; run < 2; run++) {
      const sandbox = new ScriptSandbox();
      await runScenario(leavesAt(10_000), text, sandbox);
      runs.push(sandbox.tables);
    }
    expect(runs[0]?.length).toBeGreaterThan(30);
    expect(runs[1]).toEqual(runs[0]);
  });

  test("shows the policy what the daemon would: quota counted, slope from levels, a flag at once", async () => {
    const paths = PATHS.replace(
      'kind = "wifi"',
      'kind = "wifi"\nquota = "1 GB"\nquota_used = "900 MB"\ncaptive = [[0, false], [7, true]]',
    );
    const sandbox = new ScriptSandbox();
    await runScenario(leavesAt(60_000), scenario("kbps = 8000\n", paths), sandbox);
    const at = (seconds: number) =>
      sandbox.tables.findLast((table) => table.nowUs <= (sandbox.tables[0]?.nowUs ?? 0) + seconds * 1e6);
    const wifi = at(15)?.paths[0];
    expect((wifi?.slope ?? 0) / 10).toBeCloseTo(-4, 0);
    expect((wifi?.quotaLeft ?? 0) / 1e6).toBeCloseTo(85, 0);
    expect(wifi?.srttUs).toBe(20_000);
    expect(wifi?.ackedRateKbps).toBeCloseTo(8000, -2);
    const isCaptive = (seconds: number) => ((at(seconds)?.paths[0]?.flags ?? 0) & PathFlag.CAPTIVE) !== 0;
    expect([isCaptive(6.9), isCaptive(7.1)]).toEqual([false, true]);
  });

  test("a policy that breaks falls back to the engine's own, and that is no success", async () => {
    const script: Script = {
      decide: ({ nowUs }) => (nowUs > 1_005_000_000 ? { activePathId: 9 } : { activePathId: 1 }),
    };
    const timeline = await play(scenario(), compiled("broken", script));
    expect(timeline.faults[0]?.detail).toMatch(/^nonsense: 5 intents in a row were refused/);
  });
});

describe("a picture", () => {
  test("shows paths, reasons and what was told", async () => {
    const svg = timelineFigure(await play(scenario("battery = 0.5\n")));
    for (const word of ["wifi", "lte", "time", "signal", "battery", "carries the data"])
      expect(svg).toContain(`>${word}<`);
    expect(svg).not.toContain("NaN");
    expect(svg).not.toContain("round trip");
  });

  test("has labels that do not cover each other, as many as there is room for", () => {
    const labels = Array.from({ length: 12 }, (_, index) => ({
      x: 40 * index,
      text: "a_long_reason",
      weight: index % 3,
    }));
    const places = placeLabels(labels, 520, 4);
    const found = places.flatMap((place) => place ?? []);
    expect(found.length).toBeGreaterThan(8);
    for (const [index, place] of found.entries()) {
      expect(place.toX).toBeLessThanOrEqual(520);
      for (const other of found.slice(index + 1)) {
        const apart = place.row !== other.row || place.toX <= other.fromX || other.toX <= place.fromX;
        expect(apart).toBe(true);
      }
    }
    // The last one has no room behind it, and stands before its line.
    expect(placeLabels([{ x: 500, text: "word", weight: 0 }], 520, 1)[0]).toMatchObject({ toX: 500 });
  });
});
