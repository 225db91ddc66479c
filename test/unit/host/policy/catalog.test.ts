import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConfigError } from "../../../../host/config/error.ts";
import { parseConfig } from "../../../../host/config/load.ts";
import { Catalog } from "../../../../host/policy/catalog.ts";
import { checkPolicies } from "../../../../host/policy/check.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "shunt-policies-"));
  policy("calm", {
    name: "calm",
    description: "waits",
    settings: [
      { name: "hold_ms", type: "integer", default: 5, minimum: 0, maximum: 100, unit: "ms", doc: "" },
      { name: "margin", type: "fraction", default: 0.5, doc: "" },
      { name: "strict", type: "boolean", default: false, doc: "" },
      { name: "home", type: "path", doc: "" },
    ],
  });
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function policy(folder: string, manifest: object): void {
  mkdirSync(join(directory, folder), { recursive: true });
  writeFileSync(join(directory, folder, "policy.json"), JSON.stringify(manifest));
}

const names = () => Catalog.in(directory).entries.map(({ name }) => name);

describe("the catalogue", () => {
  test("has the engine's own policy first, and the operator's", () => {
    expect(names()[0]).toBe("active-standby");
    expect(Catalog.in(directory).find("calm")).toMatchObject({
      kind: "own",
      description: "waits",
      file: join(directory, "calm", "policy.wasm"),
    });
    expect(Catalog.in(null).find("calm")).toBeUndefined();
    expect(Catalog.in("/nowhere").entries).not.toHaveLength(0);
  });

  test("looks at the disk each time", () => {
    policy("late", { name: "late", description: "", settings: [] });
    expect(names()).toContain("late");
  });

  test.each([
    ["of another name", { name: "loud", description: "", settings: [] }, /says the name "loud", the folder "bad"/],
    ["without settings", { name: "bad", description: "" }, /required property 'settings'/],
    [
      "with a setting of no type",
      { name: "bad", description: "", settings: [{ name: "x", type: "text" }] },
      /settings.0.type/,
    ],
    ["that is a native one's", { name: "active-standby", description: "", settings: [] }, /name "active-standby"/],
  ])("tells of a folder %s, and goes on", (_, manifest, message) => {
    policy("bad", manifest);
    const catalog = Catalog.in(directory);
    expect(catalog.problems).toHaveLength(1);
    expect(catalog.problems[0]?.message).toMatch(message);
    expect(catalog.find("calm")).toBeDefined();
  });

  test("does not let the operator's own take the native one's name", () => {
    policy("active-standby", { name: "active-standby", description: "mine", settings: [] });
    const catalog = Catalog.in(directory);
    expect(catalog.find("active-standby")?.kind).toBe("native");
    expect(catalog.problems[0]?.message).toBe('"active-standby" is the name of a native policy');
  });
});

describe("a configuration", () => {
  const PATHS = '[[path]]\nname = "wifi"\ninterface = "wlan0"\n[[path]]\nname = "lte"\ninterface = "wwan0"\n';

  /** Lines of the error, [] if it is fine. */
  function errors(text: string): string[] {
    const whole = `${PATHS}[policy]\ndirectory = "${directory}"\n${text}`;
    try {
      parseConfig(whole, "s.toml", checkPolicies);
      return [];
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return error.message.split("\n");
    }
  }

  test("may name any of them, with settings that it takes", () => {
    const settings = 'hold_ms = 100\nmargin = 0.25\nstrict = true\nhome = "lte"\n';
    expect(errors(`default = "calm"\n[policy.settings]\n${settings}`)).toEqual([]);
    const entry = '[[class]]\nname = "video"\nmatch = { ports = [80] }\npolicy = "calm"\n';
    expect(errors(`${entry}[class.settings]\n${settings}`)).toEqual([]);
  });

  test.each([
    [
      "an unknown policy",
      'default = "clam"\n',
      's.toml:9: policy.default: unknown policy "clam"; did you mean "calm"?',
    ],
    [
      "a class's",
      '[[class]]\nname = "v"\nmatch = { uid = [1] }\npolicy = "xyzzyxyzzy"\n',
      's.toml:12: class[1].policy: unknown policy "xyzzyxyzzy"; expected one of "active-standby"',
    ],
    [
      "a setting that it lacks",
      'default = "calm"\n[policy.settings]\nquite_another = 1\n',
      's.toml:11: policy.settings.quite_another: the policy "calm" has no such setting; expected one of "hold_ms"',
    ],
    [
      "a setting of a native one",
      "[policy.settings]\nhold_ms = 1\n",
      's.toml:10: policy.settings.hold_ms: the policy "active-standby" has no such setting; it has none',
    ],
    [
      "a value out of range",
      'default = "calm"\nsettings = { hold_ms = 101 }\n',
      "s.toml:10: policy.settings.hold_ms: expected a whole number from 0 to 100 (ms), found 101",
    ],
    [
      "a value of the wrong kind",
      'default = "calm"\nsettings = { strict = 1 }\n',
      "s.toml:10: policy.settings.strict: expected true or false, found 1",
    ],
    [
      "a path that is not there",
      'default = "calm"\nsettings = { home = "lt" }\n',
      's.toml:10: policy.settings.home: no path is named "lt"; did you mean "lte"?',
    ],
    [
      "a source that is none",
      'inputs = ["file:relative"]\n',
      's.toml:9: policy.inputs[1]: expected "auto", "links", "nl80211", "wireless", "modemmanager", "power_supply", "networkmanager", or "file:" and an absolute path, found "file:relative"',
    ],
  ])("with %s is told where", (_, text, expected) => {
    expect(errors(text)[0]).toContain(expected);
  });
});
