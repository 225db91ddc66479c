// The engine under V8. Each module is compiled once per worker; each test makes its own instance
// with its own memory, so that no test sees another's state.

import { createHmac, hash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import * as abi from "../host/engine/abi.ts";

/** `test`: debug, tiny limits, internals exported. `test-release`: internals, optimised. `release`: what ships. */
export type Build = "test" | "test-release" | "release";

const FILES: Record<Build, string> = {
  test: "engine.test.wasm",
  "test-release": "engine.test-release.wasm",
  release: "engine.wasm",
};

const PAGE = 65536;
const modules = new Map<Build, WebAssembly.Module>();

/** The compiled module of a build that test/global-setup.ts has made. */
export function moduleOf(build: Build): WebAssembly.Module {
  let module = modules.get(build);
  if (module === undefined) {
    module = new WebAssembly.Module(readFileSync(path.join(import.meta.dirname, "../build", FILES[build])));
    modules.set(build, module);
  }
  return module;
}

/** A function exported by the engine; u64 parameters and results are BigInt, signed on the way out. */
export type Exported = (...args: (number | bigint)[]) => number;

/** An instance whose memory has `octets` at least; initial is maximum, as the engine never grows it. */
export function instantiate(
  build: Build,
  octets: number,
): { exports: Record<string, Exported>; memory: WebAssembly.Memory } {
  const pages = Math.ceil(octets / PAGE);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const at = (ptr: number, length: number) => new Uint8Array(memory.buffer, ptr >>> 0, length >>> 0);
  const crypto = {
    sha256(ptr: number, length: number, out: number): void {
      at(out, 32).set(hash("sha256", at(ptr, length), "buffer"));
    },
    hmac_sha256(keyPtr: number, keyLength: number, msgPtr: number, msgLength: number, out: number): void {
      at(out, 32).set(createHmac("sha256", at(keyPtr, keyLength)).update(at(msgPtr, msgLength)).digest());
    },
  };
  const instance = new WebAssembly.Instance(moduleOf(build), { env: { memory }, crypto });
  return { exports: instance.exports as Record<string, Exported>, memory };
}

/** What loadEngine() may be told; the rest of EngineConfig goes into `config`. */
export type EngineOptions = {
  connections?: number;
  subflows?: number;
  runs?: number;
  /** Monotone time of init() in µs. */
  nowUs?: bigint;
  /** Seed of the entropy pool; equal seeds give equal keys, nonces and ISNs. */
  seed?: number;
  /** Further EngineConfig fields, by name. */
  config?: Partial<Record<keyof typeof abi.EngineConfig, number>>;
};

/** An initialised engine and views of its memory. */
export type Engine = {
  exports: Record<string, Exported>;
  memory: WebAssembly.Memory;
  octets: Uint8Array;
  view: DataView;
  /** Sets EngineHeader.NOW_US, the time of the next call. */
  setNow(nowUs: bigint): void;
  /** Fills the entropy pool up, from the seed on. */
  fillEntropy(): void;
  /** A u32 field of the EngineHeader. */
  header(field: number): number;
};

/** Makes an instance of `build`, writes its EngineConfig and calls init(). */
export function loadEngine(build: Build, options: EngineOptions = {}): Engine {
  const connections = options.connections ?? 16;
  const subflows = options.subflows ?? connections * 3;
  const runs = options.runs ?? connections * 32;
  const slabs =
    abi.SLABS_FIXED_COST + connections * abi.CONNECTION_COST + subflows * abi.SUBFLOW_COST + runs * abi.RUN_COST;
  const { exports, memory } = instantiate(build, abi.SLABS_START + slabs);
  const octets = new Uint8Array(memory.buffer);
  const view = new DataView(memory.buffer);
  let draws = 0;

  const engine: Engine = {
    exports,
    memory,
    octets,
    view,
    setNow: (nowUs) => view.setBigUint64(abi.HEADER + abi.EngineHeader.NOW_US, nowUs, true),
    fillEntropy() {
      if (engine.header(abi.EngineHeader.ENTROPY_COUNT) === abi.ENTROPY_SIZE) return; // nothing was drawn
      for (let i = 0; i < abi.ENTROPY_SIZE; i += 32) {
        octets.set(hash("sha256", `${options.seed ?? 1} ${draws++}`, "buffer"), abi.ENTROPY + i);
      }
      view.setUint32(abi.HEADER + abi.EngineHeader.ENTROPY_COUNT, abi.ENTROPY_SIZE, true);
    },
    header: (field) => view.getUint32(abi.HEADER + field, true),
  };

  const config: Partial<Record<keyof typeof abi.EngineConfig, number>> = {
    ABI_VERSION: abi.ABI_VERSION,
    CONNECTIONS: connections,
    SUBFLOWS: subflows,
    RUNS: runs,
    ...options.config,
  };
  for (const [field, value] of Object.entries(config)) {
    view.setUint32(abi.CONFIG + abi.EngineConfig[field as keyof typeof abi.EngineConfig], value, true);
  }
  engine.setNow(options.nowUs ?? 1_000_000n);
  engine.fillEntropy();
  const status = exports.init?.(abi.CONFIG_SIZE);
  if (status !== abi.Status.OK) throw new Error(`init() returned ${status}`);
  return engine;
}
