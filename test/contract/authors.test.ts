// What authors of policies are promised: the shipped policies keep what the shipped scenarios expect, a new policy is
// green at once in every language, and the guide's commands do what the guide says.
import { spawnSync } from "node:child_process";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { newPolicy } from "../../host/policy/author/new.ts";
import { testPolicy, testText } from "../../host/policy/author/test.ts";
import { Catalog } from "../../host/policy/catalog.ts";
import { loadScenario } from "../../host/policy/scenario/load.ts";
import { isMissing } from "../../plugins/sdk/what-if.ts";
import { ROOT, readSource } from "./sources.ts";

const SCENARIOS = globSync("plugins/scenarios/*.toml", { cwd: ROOT }).sort();
const BIN = path.join(ROOT, "bin");

// Compilers and whole command lines: on a busy machine a minute is not enough for some of them.
vi.setConfig({ testTimeout: 300_000 });

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), "shunt-authors-"));
});

afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** A command line as an author types it, `shunt` in his PATH. */
function typed(line: string, cwd: string) {
  const env = { ...process.env, PATH: `${BIN}:${path.join(ROOT, "node_modules/.bin")}:${process.env.PATH}` };
  const { status, stdout, stderr } = spawnSync("bash", ["-c", line], { cwd, env, encoding: "utf8" });
  return { status, output: `${stdout}${stderr}` };
}

describe("shipped scenarios", () => {
  const runs = SCENARIOS.flatMap((file) =>
    [...loadScenario(path.join(ROOT, file)).policies.keys()].map((policy) => ({
      file: path.basename(file, ".toml"),
      policy,
    })),
  );

  test("are there for a tunnel, a portal, a quota, a battery and a machine that drains", () => {
    expect(SCENARIOS.map((file) => path.basename(file, ".toml"))).toEqual([
      "battery-5",
      "captive-portal",
      "drive-through-a-tunnel",
      "quota-95",
      "vm-drain",
    ]);
    expect(runs.filter(({ policy }) => Catalog.in(null).find(policy) === undefined)).toEqual([]);
  });

  test.each(runs)("$file: $policy does what is expected of it", async ({ file, policy }) => {
    const result = await testPolicy({ policy, scenarios: [file], out: directory });
    expect(result.holds, testText(result)).toBe(true);
    expect(result.scenarios[0]?.expectations.length).toBeGreaterThan(3);
    const svg = readFileSync(path.join(directory, `${file}-${policy}.svg`), "utf8");
    expect(svg).toContain(`: ${policy}</title>`);
    expect(svg).not.toMatch(/NaN|undefined/);
  });

  test("are red for a policy that does not do it", async () => {
    const result = await testPolicy({ policy: "cost", scenarios: ["drive-through-a-tunnel"], out: undefined });
    // Price is no reason to leave a radio that fades: cost stands still in the tunnel until the engine saves it.
    expect(result.scenarios[0]?.moves.map(({ reason }) => reason)).not.toContain("signal_falling");
    const red = await testPolicy({ policy: "cheapest-c", scenarios: ["battery-5"], out: undefined });
    expect(red.holds).toBe(false);
  });
});

describe.each([
  ["as", "signal"],
  ["c", "cheapest-c"],
  ["rust", "quietest-rust"],
] as const)("a new policy in %s", (language, example) => {
  const name = `my-${language}`;
  const isSkipped = language !== "as" && isMissing(path.join(ROOT, "plugins", example));

  test.skipIf(isSkipped)("is green as it comes, and the catalog takes it", async () => {
    const { folder, files } = newPolicy(name, language, directory);
    expect(files).toEqual(expect.arrayContaining([".gitignore", "README.md", "package.json", "policy.json"]));
    for (const file of files) {
      const text = readFileSync(path.join(folder, file), "utf8");
      expect(text).not.toMatch(/NEW-POLICY|cheapest-c|quietest-rust/);
    }
    const { status, output } = typed("npm test", folder);
    expect(status, output).toBe(0);
    expect(output).toMatch(/(\d+) of \1 expectations hold\n/);
    expect(globSync("timelines/*.svg", { cwd: folder })).toHaveLength(1);
    const { entries, problems } = Catalog.in(directory);
    expect(problems).toEqual([]);
    expect(entries.find((entry) => entry.name === name)).toMatchObject({ kind: "own", file: `${folder}/policy.wasm` });
  });
});

describe("in a folder of one's own", () => {
  test("what is there already is left alone, and a failed start leaves nothing", () => {
    const { folder } = newPolicy("kept", "as", directory);
    writeFileSync(path.join(folder, "policy.ts"), "mine");
    const again = typed("shunt policy new kept", directory);
    expect(again).toEqual({
      status: 1,
      output: expect.stringMatching(/^shunt: .*\/kept is there already and was left as it is; choose/),
    });
    expect(readFileSync(path.join(folder, "policy.ts"), "utf8")).toBe("mine");
    expect(globSync(".shunt-policy-*", { cwd: directory })).toEqual([]);
  });

  test("a broken promise is red in tests and scenarios, with what was instead; a broken source says where", () => {
    const { folder } = newPolicy("red", "as", directory);
    const source = path.join(folder, "policy.ts");
    const text = readFileSync(source, "utf8");
    writeFileSync(source, text.replace("? WEAK + i : i", "? i : i"));
    const red = typed("shunt policy test", folder);
    expect(red.status).toBe(1);
    expect(red.output).toContain("test/: FAILED");
    expect(red.output).toMatch(/FAILED {2}on lte at 45 s: on wifi at 45 s/);
    writeFileSync(source, text.replace("settle(Own", "setle(Own"));
    expect(typed("shunt policy test", folder)).toEqual({
      status: 1,
      output: expect.stringMatching(/^shunt: red is not built: .*Cannot find name 'setle'.*policy\.ts\(\d+/s),
    });
    // A module that came without its source is tested as it is.
    writeFileSync(source, text);
    expect(typed("shunt policy build && rm policy.ts && shunt policy test", folder).status).toBe(0);
  });

  test("settings of a scenario are checked like a configuration's", () => {
    const { folder } = newPolicy("checked", "as", directory);
    const file = path.join(folder, "scenarios/walk-away.toml");
    writeFileSync(file, `settings = { weak_dm = -70 }\n${readFileSync(file, "utf8")}`);
    const wrong = typed("shunt policy test", folder);
    expect(wrong).toEqual({
      status: 2,
      output: `${file}:1: settings.weak_dm: the policy "checked" has no such setting; did you mean "weak_dbm"?\n`,
    });
  });

  test("bench says what a decision costs, with the daemon's limits and without", () => {
    const { status, output } = typed("shunt policy bench cost --paths 2 --json", directory);
    expect(status, output).toBe(0);
    const [row] = JSON.parse(output) as Record<string, number>[];
    expect(row).toMatchObject({ policy: "cost", paths: 2, memoryBytes: 65536 });
    for (const key of ["p50", "p99", "p50WithoutFuel", "p50WithoutLimits", "fuel"])
      expect(row?.[key]).toBeGreaterThan(0);
  });
});

describe("docs/WRITE-A-POLICY.md", () => {
  /** What an author types, up to the part that needs root: `$ …`, and `> …` where a command goes on. */
  const [guide = ""] = readSource("docs/WRITE-A-POLICY.md").split("<!-- as root from here on -->");
  const commands = [...guide.matchAll(/^ {4}\$ (.+(?:\n {4}>.*)*)$/gm)].map(([, text = ""]) =>
    text.replaceAll(/^ {4}> ?/gm, ""),
  );
  const typedHere = commands.filter((command) => !/^(git clone|export PATH)/.test(command));

  test("every command does what it says, from an empty folder, without root or network", () => {
    const home = mkdtempSync(path.join(directory, "guide-"));
    // Each begins where the last one ended, as in a terminal.
    let cwd = home;
    expect(typedHere.length).toBeGreaterThan(10);
    for (const text of typedHere) {
      const [, command = "", exit = "0"] = /^(.*?)(?: +# exit (\d))?$/s.exec(text) ?? [];
      const { status, output } = typed(`${command}\nstatus=$?; pwd > ${home}/.where; exit $status`, cwd);
      expect(status, `${command}\n${output}`).toBe(Number(exit));
      cwd = readFileSync(path.join(home, ".where"), "utf8").trim();
    }
    expect(existsSync(path.join(cwd, "policy.wasm"))).toBe(true);
  });
});
