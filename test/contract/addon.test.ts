// The native addon: wasmtime beside V8, the engine's imports, traps, and the data path against the kernel.
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SCRATCH, SLABS_START } from "../../host/engine/abi.ts";
import { loadAddon, type Replay } from "../../host/engine/addon.ts";
import { readRadios } from "../../host/engine/radio.ts";
import { standIn } from "./fixtures/stand-in.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const wasm = standIn();
let replay: Replay;
const make = (explicitChecks = false): Replay => new (loadAddon().Replay)(wasm, SLABS_START, explicitChecks);

// cargo looks at the sources by itself; the first build on a machine takes minutes.
beforeAll(() => {
  execFileSync(path.join(ROOT, "scripts/build-addon.sh"), { stdio: "inherit" });
  replay = make();
}, 900_000);

/** Writes texts into memory and calls the export with (address, length) of each. Returns the digest in hex. */
function digest(name: string, ...texts: string[]): string {
  const out = SCRATCH + 1024;
  const numbers: number[] = [];
  texts.forEach((text, index) => {
    const at = SCRATCH + 256 + index * 128;
    replay.write(at, Buffer.from(text, "latin1"));
    numbers.push(at, text.length);
  });
  replay.write(SCRATCH, new Uint8Array(Uint32Array.from([...numbers, out]).buffer));
  replay.call(name);
  return replay.read(out, 32).toString("hex");
}

describe("imports", () => {
  test("crypto.sha256 gives FIPS 180's digest", () => {
    expect(digest("sha256", "abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect(digest("sha256", "")).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  });

  // The Linux kernel's self-test vectors for MPTCP.
  test.each([
    ["0b0b0b0b0b0b0b0b", "48692054", "8385e24fb4235ac37556b6b886db106284a1da671699f46db1f235ec622dcafa"],
    ["aaaaaaaaaaaaaaaa", "dddddddd", "2c5e219164ff1dca1c4a92318d847bb6b9d44492984e1eb71aff9022f71046e9"],
  ])("crypto.hmac_sha256 with key %s", (key, message, expected) => {
    expect(digest("hmac", key, message)).toBe(expected);
  });

  test("a range outside memory traps", () => {
    const victim = make();
    victim.write(SCRATCH, new Uint8Array(Uint32Array.from([0xfffffff0, 32, SCRATCH]).buffer));
    expect(() => victim.call("sha256")).toThrow(/outside memory/);
  });
});

describe("memory of an instance", () => {
  test("reads back what was written", () => {
    replay.write(SCRATCH, Uint8Array.of(1, 2, 3));
    expect([...replay.read(SCRATCH, 3)]).toEqual([1, 2, 3]);
  });

  test("cannot be left", () => {
    expect(() => replay.read(SLABS_START, 1)).toThrow(/outside memory/);
    expect(() => replay.write(0xffffffff, Uint8Array.of(1))).toThrow(/outside memory/);
  });
});

describe.each([
  ["guard pages", false],
  ["explicit checks", true],
])("traps with %s", (_, explicitChecks) => {
  test.each([
    ["unreachable", 0, /unreachable/],
    ["out of bounds", 1, /out of bounds/],
  ])("%s is an error, and the instance refuses calls from then on", (_name, argument, message) => {
    const victim = make(explicitChecks);
    expect(victim.call("one", [41])).toBe(42);
    expect(() => victim.call("trap", [argument])).toThrow(message);
    expect(() => victim.call("one", [41])).toThrow(/has trapped before/);
    expect(victim.read(SCRATCH, 1)).toHaveLength(1);
  });

  test("an endless loop ends within a few epochs", () => {
    const victim = make(explicitChecks);
    const start = performance.now();
    expect(() => victim.call("spin")).toThrow(/longer than 100 ms/);
    const elapsed = performance.now() - start;
    expect(elapsed).toBeGreaterThan(75);
    expect(elapsed).toBeLessThan(5000);
  });

  test("traps of V8 and wasmtime alternate in one process", () => {
    const memory = new WebAssembly.Memory({ initial: SLABS_START / 65536 });
    const imports = { env: { memory }, crypto: { sha256() {}, hmac_sha256() {} } };
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm as Uint8Array<ArrayBuffer>), imports);
    const trap = exports.trap as (argument: number) => number;
    for (let round = 0; round < 50; round++) {
      expect(() => trap(1)).toThrow(WebAssembly.RuntimeError);
      expect(() => make(explicitChecks).call("trap", [1])).toThrow(/out of bounds/);
    }
  });
});

test("what cannot be compiled is refused with a reason", () => {
  const { Replay } = loadAddon();
  expect(() => new Replay(Uint8Array.of(0, 97, 115, 109), 65536)).toThrow(/cannot compile/);
  expect(() => replay.call("nothing")).toThrow(/nothing\(\).*there is none/);
});

test("bench measures calls", () => {
  expect(replay.bench("one", 1, 1000)).toBeGreaterThan(0);
});

test("a data path that was never started refuses everything", async () => {
  const native = new (loadAddon().DataPath)();
  await expect(native.counters()).rejects.toThrow(/not running/);
  expect(() => native.command(new Uint8Array(128))).toThrow(/not running/);
  expect(() => native.command(new Uint8Array(127))).toThrow(/whole command records/);
});

/** How to get a network namespace of one's own on this machine, with iptables and ipset in it; none = cannot. */
function namespaceCommand(): string[] | undefined {
  const candidates = [["--net"], ["--net", "--map-root-user"]];
  return candidates.find((flags) => {
    try {
      const probe = "iptables -t raw -S && ipset list -n && ip link set lo up";
      execFileSync("unshare", [...flags, "sh", "-c", probe], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  });
}

const flags = namespaceCommand();

interface KernelReport {
  answers: string[];
  problems: { kind: string; message: string; backtrace: string; coredump: string }[];
  busy: string;
  missing: string;
  before: boolean;
  after: boolean;
  counters: Record<string, number>;
  paths: number[];
  statistics: number[];
  outputs: {
    counters: Record<string, number>;
    heard: string[];
    converted4: string[];
    bypass6: string[];
    stopped: string;
  };
}

test("the kernel is asked for Wi-Fi, and has some or has not", async () => {
  const radios = await readRadios();
  // Without a wireless stack there is no nl80211; with one there are as many clients as there are, perhaps none.
  if (existsSync("/sys/class/ieee80211")) expect(radios).toBeInstanceOf(Array);
  else expect(radios).toBeNull();
});

describe.skipIf(flags === undefined)("the data path against the kernel", () => {
  const directory = mkdtempSync(path.join(tmpdir(), "shunt-addon-"));
  let report: KernelReport;

  beforeAll(async () => {
    const engine = path.join(directory, "stand-in.wasm");
    writeFileSync(engine, wasm);
    const program = path.join(import.meta.dirname, "fixtures/kernel-check.ts");
    const words = [...(flags ?? []), process.execPath, program, engine, path.join(directory, "dumps")];
    const { stdout } = await promisify(execFile)("unshare", words, { timeout: 60_000 });
    report = JSON.parse(stdout) as KernelReport;
  }, 70_000);

  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test("TCP passes byte for byte, super-packets by payload verdicts", () => {
    expect(report.before).toBe(true);
    expect(report.counters).toMatchObject({ verdict_errors: 0, queue_malformed: 0, impossible_verdicts: 0 });
    expect(report.counters.bytes).toBeGreaterThan(32 << 20);
    // 64 MiB in packets of an MTU would be more than 1,000: they were not segmented.
    expect((report.counters.bytes ?? 0) / (report.counters.packets ?? 1)).toBeGreaterThan(9000);
  });

  test("commands are answered, deadlines are kept", () => {
    expect(report.answers).toContain("command_done 1 8");
    expect(report.answers).toContain("command_done 0 7");
  });

  test("a snapshot has all pages", () => expect(report.paths).toEqual([1, 2]));

  test("statistics are one page", () => expect(report.statistics).toEqual([0])); // the stand-in's answer: cursor + 1

  test("a trap costs the batch, not the data path; the spare knows the paths", () => {
    expect(report.problems).toHaveLength(1);
    expect(report.problems[0]).toMatchObject({ kind: "trap", message: expect.stringContaining("process()") });
    expect(report.problems[0]?.backtrace).toContain("wasm function");
    expect(report.counters.traps).toBe(1);
    expect(report.after).toBe(true);
    expect(report.answers.at(-1)).toBe("command_done 0 1");
  });

  test("a trap leaves a coredump and its batch", () => {
    const files = readdirSync(path.join(directory, "dumps"));
    expect(files.map((file) => path.extname(file)).sort()).toEqual([".batch", ".coredump"]);
    const dump = readFileSync(report.problems[0]?.coredump ?? "");
    expect(dump.subarray(0, 4)).toEqual(Buffer.of(0, 97, 115, 109));
    expect(dump.includes("corestack")).toBe(true);
    const batch = readFileSync((report.problems[0]?.coredump ?? "").replace("coredump", "batch"));
    expect(batch.toString("latin1", 0, 8)).toBe("SHUNTBAT");
    expect(batch.subarray(-3).toString()).toBe("die");
  });

  test("a trace file has its header and the records", () => {
    const trace = readFileSync(path.join(directory, "dumps.trace"));
    expect(trace.toString("latin1", 0, 8)).toBe("SHUNTTRC");
    expect(trace).toHaveLength(128);
  });

  test("errors name cause and remedy", () => {
    expect(report.busy).toMatch(/NFQUEUE 5 is held by .*; stop it, or choose another queue/);
    expect(report.missing).toMatch(/nowhere\.wasm.*make build/);
    expect(report.outputs.stopped).toMatch(/not running/);
  });

  test("set operations reach the kernel's sets, doubles are harmless", () => {
    expect(report.outputs.converted4).toEqual([expect.stringContaining("10.1.2.3,tcp:4433,10.4.5.6")]);
    expect(report.outputs.bypass6).toEqual([expect.stringContaining("fd00::1,tcp:4433,fd00::2")]);
    expect(report.outputs.counters).toMatchObject({ set_operations: 5, set_errors: 0 });
  });

  test("outbox packets leave by the address they are from, those to the host with a foreign one", () => {
    expect(report.outputs.heard).toEqual(["127.0.0.1 9", "192.0.2.7 9", "::1 9"]);
    const eaddrnotavail = 99;
    expect(report.outputs.counters).toMatchObject({ raw_sent: 3, raw_errors: 1, raw_last_error: eaddrnotavail });
  });
});
