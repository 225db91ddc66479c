// The policy sandbox from the host's side: the compiler's child process, instances on their thread, and what is left of
// a module that means harm. The modules are in test/hostile-policies/; their first line says how each of them ends.
import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import binaryen from "binaryen";
import { beforeAll, describe, expect, test } from "vitest";
import {
  compilePolicy,
  type Decision,
  type Metering,
  PolicyCode,
  type PolicyFault,
  PolicyInstance,
  PolicyRefused,
} from "../../host/engine/index.ts";
import { compileBomb } from "./fixtures/compile-bomb.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const HOSTILE = path.join(ROOT, "test/hostile-policies");
const NONE = new Uint8Array();
const TABLE = new Uint8Array(128);

/** Assembles WebAssembly text. */
function assemble(text: string): Uint8Array {
  const module = binaryen.parseText(text);
  module.setFeatures(binaryen.Features.All);
  const octets = module.emitBinary();
  module.dispose();
  return octets;
}

/** Adds up the first octets of all tables in its first intent octet; the sum is its state. */
const SUM = assemble(`(module
  (import "shunt" "log" (func $log (param i32 i32 i32)))
  (global $sum (mut i32) (i32.const 0))
  (memory (export "memory") 1)
  (func (export "shunt_policy_abi_1") (result i32) (i32.const 0))
  (func (export "region") (param $kind i32) (param $size i32) (result i32)
    (i32.mul (i32.add (local.get $kind) (i32.const 1)) (i32.const 8192)))
  (func (export "init") (param $length i32) (result i32)
    (global.set $sum (i32.load8_u (i32.const 8192)))
    (i32.const 0))
  (func (export "decide") (result i32)
    (global.set $sum (i32.add (global.get $sum) (i32.load8_u (i32.const 16384))))
    (i32.store8 (i32.const 24576) (global.get $sum))
    (call $log (i32.const 2) (i32.const 100) (i32.const 4))
    (i32.const 0))
  (func (export "save") (result i32) (i32.store8 (i32.const 32768) (global.get $sum)) (i32.const 1))
  (func (export "load") (param $length i32) (result i32)
    (global.set $sum (i32.load8_u (i32.const 32768)))
    (i32.ne (local.get $length) (i32.const 1)))
  (data (i32.const 100) "a\\nb\\00"))`);

/** Adds one to what its intent holds already. */
const COUNTS_IN_INTENT = assemble(`(module
  (memory (export "memory") 1)
  (func (export "shunt_policy_abi_1") (result i32) (i32.const 0))
  (func (export "region") (param $kind i32) (param $size i32) (result i32)
    (i32.mul (i32.add (local.get $kind) (i32.const 1)) (i32.const 8192)))
  (func (export "init") (param $length i32) (result i32) (i32.const 0))
  (func (export "decide") (result i32)
    (i32.store8 (i32.const 24600) (i32.add (i32.load8_u (i32.const 24600)) (i32.const 1)))
    (i32.const 0)))`);

/** For those that end by fuel: a slow machine must not end them by time. */
const COUNTED = { fuel: true, epoch: false };

const load = async (wasm: Uint8Array, settings = NONE, state: Uint8Array | null = null, metering?: Metering) =>
  PolicyInstance.load(await compilePolicy(wasm, metering), settings, state);
const hostile = (name: string) => assemble(readFileSync(path.join(HOSTILE, `${name}.wat`), "utf8"));

// cargo looks at the sources by itself; the first build on a machine takes minutes.
beforeAll(() => {
  execFileSync(path.join(ROOT, "scripts/build-addon.sh"), { stdio: "inherit" });
}, 900_000);

describe("a policy that keeps to the rules", () => {
  test("gets its settings and its tables, and its intents, logs and state come back", async () => {
    const first = await load(SUM, Uint8Array.of(3));
    expect(first.stateLoaded).toBe(false);
    expect(first.memoryBytes).toBe(65536);
    const decision = await first.decide(new Uint8Array(64).fill(4));
    expect(decision).toMatchObject({ status: 0, log: [{ level: 2, text: "a\\nb\\u{0}" }], logDropped: 0 });
    expect(decision.intent).toHaveLength(64);
    expect(decision.intent[0]).toBe(7);
    expect(decision.fuel).toBeGreaterThan(0);
    expect(decision.nanoseconds).toBeGreaterThan(0);

    const state = await first.save();
    expect([...(state ?? [])]).toEqual([7]);
    const second = await load(SUM, Uint8Array.of(3), state);
    expect(second.stateLoaded).toBe(true);
    expect((await second.decide(TABLE)).intent[0]).toBe(7);
    first.close();
    await expect(first.decide(TABLE)).rejects.toThrow(/is closed; load a new one/);
    expect((await second.decide(TABLE)).intent[0]).toBe(7);
    second.close();
  });

  test("finds its intent zeroed before each decision", async () => {
    const instance = await load(COUNTS_IN_INTENT);
    for (let i = 0; i < 3; i++) expect((await instance.decide(TABLE)).intent[24]).toBe(1);
  });

  test("decides the same for the same fuel, on whichever thread", async () => {
    const run = async (instance: PolicyInstance): Promise<Decision[]> => {
      const decisions: Decision[] = [];
      for (let i = 0; i < 20; i++) decisions.push(await instance.decide(new Uint8Array(64 + 64 * i).fill(i)));
      instance.close();
      return decisions.map((decision) => ({ ...decision, nanoseconds: 0 }));
    };
    const both = await Promise.all([run(await load(SUM)), run(await load(SUM))]);
    expect(both[0]).toEqual(both[1]);
    const metered = await run(
      await PolicyInstance.load(await compilePolicy(SUM, { fuel: true, epoch: false }), NONE, null),
    );
    expect(metered.map(({ intent }) => intent)).toEqual(both[0]?.map(({ intent }) => intent));
  });

  test("runs without metering for the benchmark", async () => {
    const code = await compilePolicy(SUM, { fuel: false, epoch: false });
    const instance = await PolicyInstance.load(code, NONE, null);
    expect((await instance.decide(TABLE)).fuel).toBe(0);
    instance.close();
  });
});

describe("a hostile policy", () => {
  const names = globSync("*.wat", { cwd: HOSTILE }).map((file) => path.basename(file, ".wat"));

  /** Loads it with a predecessor's state, lets it decide three times, saves its state; says where and how it ended. */
  async function live(wasm: Uint8Array): Promise<string> {
    let operation = "load";
    try {
      const instance = await load(wasm, NONE, new Uint8Array(16), COUNTED);
      operation = "decide";
      for (let i = 0; i < 3; i++) await instance.decide(TABLE);
      operation = "save";
      await instance.save();
      instance.close();
      return "served";
    } catch (error) {
      const { name, kind, message } = error as PolicyFault;
      expect(name, message).toBe("PolicyFault");
      expect(message).toMatch(/^[^\n]+; [^\n]+$/);
      return `${operation} ${kind}`;
    }
  }

  test.each(names)("%s ends as its first line says, and nobody else notices", async (name) => {
    const text = readFileSync(path.join(HOSTILE, `${name}.wat`), "utf8");
    const bystander = await load(SUM, NONE, null, COUNTED);
    const [end] = await Promise.all([live(assemble(text)), bystander.decide(Uint8Array.of(1, ...TABLE))]);
    expect(`;; ${end}`).toBe(text.split(":")[0]);
    expect((await bystander.decide(Uint8Array.of(1, ...TABLE))).intent[0]).toBe(2);
    bystander.close();
  });

  test("is dead after its first fault, and what it cost is known", async () => {
    const instance = await load(hostile("decide-loops"), NONE, null, COUNTED);
    const fault = await instance.decide(TABLE).catch((error: PolicyFault) => error);
    expect(fault).toMatchObject({ kind: "fuel", fuel: 20_000_000 });
    await expect(instance.decide(TABLE)).rejects.toThrow(/has ended before/);
    await expect(instance.save()).rejects.toThrow(/has ended before/);
    instance.close();
  });

  test("tells why it gave up", async () => {
    const instance = await load(hostile("aborts"));
    const fault = await instance.decide(TABLE).catch((error: PolicyFault) => error);
    expect(fault).toMatchObject({ kind: "trap", message: expect.stringContaining("bad\\n, in its source:12:5") });
    expect((fault as PolicyFault).log).toEqual([{ level: 3, text: "bad\\n, in its source:12:5" }]);
  });

  test("logs at most ten lines of 256 octets, none with a control character", async () => {
    const instance = await load(hostile("logs-rubbish"));
    const { log, logDropped } = await instance.decide(TABLE);
    expect(log).toHaveLength(10);
    expect(logDropped).toBe(13);
    expect(log[0]?.text).toBe("\\u{1b}[2J\\nlog: ok\\u{202e}");
    expect(log[1]).toEqual({ level: 0xffffffff, text: "\ufffd\ufffd\ufffd" });
    expect(log[2]?.text.length).toBeLessThanOrEqual(256 * "\\u{0}".length);
    instance.close();
  });

  test("has 16 MiB and no more", async () => {
    const instance = await load(hostile("grows-until-refused"));
    await expect(instance.decide(TABLE)).rejects.toMatchObject({ kind: "memory" });
    expect(instance.memoryBytes).toBe(16 << 20);
    instance.close();
  });

  test("that never returns does not hold up Node, and ends with its time if fuel does not count", async () => {
    const code = await compilePolicy(hostile("decide-loops"), { fuel: false, epoch: true });
    const instance = await PolicyInstance.load(code, NONE, null);
    let turns = 0;
    let over = false;
    const turn = (): void => {
      turns++;
      if (!over) setImmediate(turn);
    };
    turn();
    const fault = await instance.decide(TABLE).catch((error: PolicyFault) => error);
    over = true;
    expect(fault).toMatchObject({ kind: "time" });
    expect((fault as PolicyFault).nanoseconds).toBeGreaterThanOrEqual(50e6);
    expect(turns).toBeGreaterThan(10);
  });
});

describe("the compiler refuses", () => {
  const refusal = async (wasm: Uint8Array): Promise<string> => {
    const error = await compilePolicy(wasm).catch((error: Error) => error);
    expect(error).toBeInstanceOf(PolicyRefused);
    const { message } = error as PolicyRefused;
    expect(message).toMatch(/^[^\n]+; [^\n]+$/);
    return message;
  };

  test("10 MiB, without starting", async () => {
    expect(await refusal(new Uint8Array(10 << 20))).toMatch(/10485760 octets, 262144 is the limit/);
  });

  test("one octet too many, as child and parent agree", async () => {
    expect(await refusal(new Uint8Array(262_145))).toMatch(/262144 is the limit/);
    expect(await refusal(new Uint8Array(262_144))).toMatch(/not a WebAssembly module/);
  });

  test.each([
    ["keep a compiler busy for minutes", 1000, 1000, /takes more than 5 s of processor time/],
    ["fill the memory", 4000, 8000, /takes more than 1 GiB of memory/],
  ])("what would %s", async (_, locals, loops, why) => {
    const bomb = compileBomb(locals, loops);
    expect(bomb.length).toBeLessThan(128 << 10);
    expect(await refusal(bomb)).toMatch(why);
  });

  test("what is no module, is cut off, or imports what nobody gives it", async () => {
    expect(await refusal(NONE)).toMatch(/not a WebAssembly module/);
    expect(await refusal(Buffer.from("(module)"))).toMatch(/not its source/);
    expect(await refusal(SUM.subarray(0, -9))).toMatch(/cut off/);
    expect(
      await refusal(assemble('(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))))')),
    ).toMatch(/wasi_snapshot_preview1\.proc_exit.*wasm32-unknown-unknown/);
  });

  test("code that it did not compile itself is never loaded", async () => {
    const forged = new PolicyCode(100, { fuel: true, epoch: true });
    await expect(PolicyInstance.load(forged, NONE, null)).rejects.toThrow(/does not come from compilePolicy/);
  });
});
