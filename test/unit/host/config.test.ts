import { describe, expect, test } from "vitest";
import { ConfigError } from "../../../host/config/error.ts";
import { loadConfig, parseConfig } from "../../../host/config/load.ts";
import { Positions } from "../../../host/config/positions.ts";

const MINIMUM = '[[path]]\nname = "wifi"\ninterface = "wlan0"\n';

/** Lines of the error for a file's text, [] if it is fine. */
function errors(text: string): string[] {
  try {
    parseConfig(text, "s.toml");
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split("\n");
  }
}

describe("a configuration", () => {
  test("of the minimum has the defaults", () => {
    const config = parseConfig(MINIMUM, "s.toml");
    expect(config.match.ports).toBeNull();
    expect(config.paths).toEqual([
      {
        id: 1,
        name: "wifi",
        interface: "wlan0",
        gateway: null,
        gateway6: null,
        backup: false,
        mtu: null,
        draining: false,
        facts: {
          kind: null,
          metered: null,
          costMicroPerGb: null,
          quota: null,
          billingDay: 1,
          energyPerByte: null,
        },
      },
    ]);
    expect(config.policy).toEqual({
      default: "active-standby",
      prefer: ["wifi"],
      advertise: true,
      receiveOnAll: false,
      directory: null,
      inputs: ["auto"],
      stateDirectory: "/var/lib/shunt",
    });
    expect(config.classes).toEqual([
      { name: "default", match: null, policy: "active-standby", settings: {}, prefer: ["wifi"], paths: null },
    ]);
    expect(config.engine).toMatchObject({
      queue: 5348,
      ports: { first: 61001, last: 65535 },
      standby: true,
      checksum: false,
    });
    expect(config.engine.rejoinGraceMs).toBe(60_000);
    expect(config.control.socket).toBe("/run/shunt/shunt.sock");
  });

  test("of the interface contract is understood", () => {
    const text = [
      'role = "host"',
      "[match]",
      'ports = [5201, "8000-8999"]',
      "[[path]]",
      'name = "wifi"',
      'interface = "wlan0"',
      "[[path]]",
      'name = "ethernet"',
      'interface = "eth0"',
      'gateway = "10.0.0.1"',
      "[policy]",
      'default = "active-standby"',
      'prefer = ["ethernet", "wifi"]',
    ].join("\n");
    const config = parseConfig(text, "s.toml");
    expect(config.match.ports).toEqual([
      { first: 5201, last: 5201 },
      { first: 8000, last: 8999 },
    ]);
    expect(config.policy.prefer).toEqual(["ethernet", "wifi"]);
    expect(config.paths[1]).toMatchObject({ id: 2, gateway: "10.0.0.1" });
  });
});

describe("paths and classes", () => {
  const PATHS = `${MINIMUM}[[path]]\nname = "lte"\ninterface = "wwan0"\n`;

  test("have prices, quotas and energies", () => {
    const facts =
      'kind = "cellular"\nmetered = true\ncost_per_gb = 2.5\nquota = "20 GB"\nbilling_day = 5\nenergy_per_byte = 1200\n';
    expect(parseConfig(PATHS + facts, "s.toml").paths[1]?.facts).toEqual({
      kind: "cellular",
      metered: true,
      costMicroPerGb: 2_500_000,
      quota: 20e9,
      billingDay: 5,
      energyPerByte: 1200,
    });
  });

  test.each([
    ["500", 500],
    ['"1.5 GiB"', 1.5 * 2 ** 30],
    ['"3kB"', 3000],
  ])("quota = %s", (text, octets) => {
    expect(parseConfig(`${MINIMUM}quota = ${text}\n`, "s.toml").paths[0]?.facts.quota).toBe(octets);
  });

  test("have a match, and what they do not say from [policy]", () => {
    const text = [
      "[policy]",
      'default = "cost"',
      'prefer = ["lte", "wifi"]',
      "settings = { margin = 0.5 }",
      "[[class]]",
      'name = "video"',
      "[class.match]",
      'ports = [443, "8000-8999"]',
      'prefix = ["192.0.2.0/24", "2001:db8::1"]',
      "uid = [1000]",
      "[[class]]",
      'name = "bulk"',
      "match = { ports = [873] }",
      'policy = "drain"',
      'paths = ["wifi"]',
      "[class.settings]",
      'path = "wifi"',
    ].join("\n");
    const [standard, video, bulk] = parseConfig(PATHS + text, "s.toml").classes;
    const inherited = { policy: "cost", settings: { margin: 0.5 }, prefer: ["lte", "wifi"], paths: null };
    expect(standard).toEqual({ name: "default", match: null, ...inherited });
    expect(video).toEqual({
      name: "video",
      match: {
        ports: [
          { first: 443, last: 443 },
          { first: 8000, last: 8999 },
        ],
        prefixes: [
          { address: "192.0.2.0", length: 24, family: 4 },
          { address: "2001:db8::1", length: 128, family: 6 },
        ],
        uids: [1000],
      },
      ...inherited,
    });
    expect(bulk).toMatchObject({ policy: "drain", settings: { path: "wifi" }, prefer: ["wifi"], paths: ["wifi"] });
  });

  test("do not take settings over for another policy", () => {
    const text = 'settings = { margin = 0.5 }\n[[class]]\nname = "a"\nmatch = { uid = [1] }\npolicy = "drain"\n';
    expect(parseConfig(`${PATHS}[policy]\n${text}`, "s.toml").classes[1]?.settings).toEqual({});
  });
});

describe("an error names file, line, key and what was expected", () => {
  test.each([
    ["role", `role = "hst"\n${MINIMUM}`, 's.toml:1: role: expected "host" or "anchor", found "hst"'],
    ["anchor", `role = "anchor"\n${MINIMUM}`, 's.toml:1: role: the role "anchor" is not built yet; expected "host"'],
    ["no path", "", 's.toml:1: key "path" is missing; expected one to 32 [[path]] tables'],
    [
      "no interface",
      '\n[[path]]\nname = "a"\n',
      's.toml:2: path[1]: key "interface" is missing; expected an interface name such as "wlan0" (15 characters at most)',
    ],
    [
      "unknown key with a neighbour",
      `${MINIMUM}interfce = "x"\n`,
      's.toml:4: path[1].interfce: unknown key; did you mean "interface"?',
    ],
    [
      "unknown key without one",
      `${MINIMUM}[match]\ncolour = 1\n`,
      's.toml:5: match.colour: unknown key; expected one of "ports"',
    ],
    [
      "port",
      `${MINIMUM}[match]\nports = [\n  80,\n  70000,\n]\n`,
      's.toml:7: match.ports[2]: expected a port from 1 to 65535 or a range such as "8000-8999", found 70000',
    ],
    [
      "range backwards",
      `${MINIMUM}[match]\nports = ["9-8"]\n`,
      's.toml:5: match.ports[1]: expected ports from 1 to 65535, the lower one first, found "9-8"',
    ],
    ["policy", `${MINIMUM}[policy]\ndefault = 1\n`, "s.toml:5: policy.default: expected the name of a policy"],
    [
      "quota",
      `${MINIMUM}quota = "lots"\n`,
      's.toml:4: path[1].quota: expected a number of octets, or a text such as "20 GB"',
    ],
    ["kind", `${MINIMUM}kind = "pigeon"\n`, 's.toml:4: path[1].kind: expected one of "ethernet", "wifi"'],
    [
      "billing day",
      `${MINIMUM}billing_day = 32\n`,
      "s.toml:4: path[1].billing_day: expected a whole number from 1 to 31",
    ],
    [
      "class without a criterion",
      `${MINIMUM}[[class]]\nname = "a"\nmatch = {}\n`,
      's.toml:6: class[1].match: expected at least one of "ports", "prefix" and "uid", found a table',
    ],
    ["class without a match", `${MINIMUM}[[class]]\nname = "a"\n`, 's.toml:4: class[1]: key "match" is missing'],
    [
      "class of a reserved name",
      `${MINIMUM}[[class]]\nname = "default"\nmatch = { uid = [1] }\n`,
      's.toml:5: class[1].name: "default" is the class of what no other matches; set it in [policy]',
    ],
    [
      "class of a name that is taken",
      `${MINIMUM}${["", ""].map(() => '[[class]]\nname = "a"\nmatch = { uid = [1] }\n').join("")}`,
      's.toml:8: class[2].name: "a" is already the name of another class',
    ],
    [
      "class's ports",
      `${MINIMUM}[[class]]\nname = "a"\nmatch = { ports = ["9-8"] }\n`,
      's.toml:6: class[1].match.ports[1]: expected ports from 1 to 65535, the lower one first, found "9-8"',
    ],
    [
      "class's prefix",
      `${MINIMUM}[[class]]\nname = "a"\nmatch = { prefix = ["10.0.0.0/33"] }\n`,
      's.toml:6: class[1].match.prefix[1]: expected an address or a prefix such as "192.0.2.0/24", found "10.0.0.0/33"',
    ],
    [
      "classes that match in too many ways",
      `${MINIMUM}[[class]]\nname = "a"\nmatch = { ports = [${Array(16).fill(1)}], uid = [${Array(17).fill(1)}] }\n`,
      "s.toml:6: class[1].match: expected at most 256 combinations of port, prefix and uid, found 272 up to here",
    ],
    [
      "class's paths",
      `${MINIMUM}[[class]]\nname = "a"\nmatch = { uid = [1] }\npaths = ["wfi"]\n`,
      's.toml:7: class[1].paths[1]: no path is named "wfi"; did you mean "wifi"?',
    ],
    [
      "class's preference beyond its paths",
      `${MINIMUM}[[path]]\nname = "lte"\ninterface = "e"\n[[class]]\nname = "a"\nmatch = { uid = [1] }\npaths = ["lte"]\nprefer = ["wifi"]\n`,
      's.toml:11: class[1].prefer[1]: no path is named "wifi"; expected one of "lte"',
    ],
    [
      "setting that is a list",
      `${MINIMUM}[policy.settings]\nx = [1]\n`,
      "s.toml:5: policy.settings.x: expected a number, true or false, or the name of a path, found a list of 1",
    ],
    [
      "preference",
      `${MINIMUM}[policy]\nprefer = ["wfi"]\n`,
      's.toml:5: policy.prefer[1]: no path is named "wfi"; did you mean "wifi"?',
    ],
    [
      "name twice",
      `${MINIMUM}[[path]]\nname = "wifi"\ninterface = "eth0"\n`,
      's.toml:5: path[2].name: "wifi" is already the name of another path; expected a name of its own',
    ],
    [
      "gateway",
      `${MINIMUM}gateway = "10.0.0"\n`,
      's.toml:4: path[1].gateway: expected an IPv4 address, found "10.0.0"',
    ],
    ["wrong type", `${MINIMUM}backup = "yes"\n`, 's.toml:4: path[1].backup: expected true or false, found "yes"'],
    ["syntax", `${MINIMUM}mtu = \n`, "s.toml:4: not valid TOML: "],
  ])("%s", (_, text, expected) => {
    expect(errors(text)[0]).toContain(expected);
  });

  test("and all errors are told at once", () => {
    expect(errors('role = "x"\nqueue = 1\n[[path]]\nname = "-"\n')).toHaveLength(4);
  });

  test("33 paths are too many", () => {
    const paths = Array.from({ length: 33 }, (_, i) => `[[path]]\nname = "p${i}"\ninterface = "e${i}"\n`).join("");
    expect(errors(paths)[0]).toContain("path: expected one to 32 [[path]] tables, found a list of 33");
  });

  test("a file that is not there", () => {
    expect(() => loadConfig("/nowhere/shunt.toml")).toThrow("/nowhere/shunt.toml:1: cannot read the configuration");
  });
});

describe("line numbers", () => {
  test.each([
    ["behind a multi-line string", 'a = """\nx = 1\n[[path]]\n"""\nb = 1\n', ["b"], 5],
    ["behind a multi-line list with comments", "a = [ # [\n 1, # ]\n 2 ]\nb = 1\n", ["b"], 4],
    ["of a list element", "a = [\n 1,\n 2 ]\n", ["a", 1], 3],
    ["of the second table of an array", "[[p]]\nn = 1\n[[p]]\nn = 2\n", ["p", 1, "n"], 4],
    ["of an inline table's key", "a = { b = 1, c = 2 }\nd = 1\n", ["a", "c"], 1],
    ["of a dotted key", "x = 1\na.b.c = 1\n", ["a", "b", "c"], 2],
    ["of a quoted key", 'x = 1\n"a b" = 1\n', ["a b"], 2],
    ["with escapes in strings", 'x = "\\"\\\\"\ny = \'\\\'\nz = 1\n', ["z"], 3],
    ["with Windows line ends", "x = 1\r\n[t]\r\ny = 1\r\n", ["t", "y"], 3],
    ["of a missing key: its table", "[t]\ny = 1\n", ["t", "z"], 1],
  ])("%s", (_, text, path, line) => {
    expect(Positions.of(text).line(path)).toBe(line);
  });
});
