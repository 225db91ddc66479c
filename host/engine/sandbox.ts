// The sandbox as the rest of the host sees it: a Wasm module goes in, compiled code comes out of a limited child
// process, and instances of it decide on the policy thread, within a budget (docs/decisions/0301-policy-sandbox.md).
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import {
  addonPath,
  loadAddon,
  type NativePolicyOutcome,
  type NativePolicyThread,
  policyCompilerPath,
} from "./addon.ts";

/** Octets of a module at most; host/native/src/policy/limits.rs has the same number. */
const MODULE_MAX = 256 << 10;
/** Octets of compiled code at most: an honest module of 256 KiB makes about 2 MiB. */
const CODE_MAX = 16 << 20;
/** The child limits its own processor time; this is for one that is stopped or starved. */
const COMPILE_TIMEOUT_MS = 60_000;

/** How calls are limited. Both are on in the daemon; the benchmark measures what each costs. */
export interface Metering {
  /** A budget of instructions, the same on every run. */
  fuel: boolean;
  /** A budget of processor time. */
  epoch: boolean;
}

const METERED: Metering = { fuel: true, epoch: true };

/** A module that will not be run. `message` is one line: the cause and how to build it right. */
export class PolicyRefused extends Error {
  override readonly name = "PolicyRefused";
}

/** A line that a policy logged; control characters are escaped. */
export interface PolicyLogLine {
  level: number;
  text: string;
}

/**
 * "fuel": more than 20 million instructions. "time": more than 50 ms of processor time. "memory": it ended because it was
 * refused more than 16 MiB. "abi": it broke the contract, as with a region outside of its memory. "trap": anything else.
 */
export type FaultKind = "fuel" | "time" | "trap" | "abi" | "memory";

/** A call that ended its instance: every later call of it fails as well. `message` is one line, cause and remedy. */
export class PolicyFault extends Error {
  override readonly name = "PolicyFault";
  readonly kind: FaultKind;
  /** What the call cost until then, see Decision. */
  readonly fuel: number;
  readonly nanoseconds: number;
  readonly log: PolicyLogLine[];

  constructor(kind: FaultKind, message: string, cost?: { fuel: number; nanoseconds: number; log: PolicyLogLine[] }) {
    super(message);
    this.kind = kind;
    this.fuel = cost?.fuel ?? 0;
    this.nanoseconds = cost?.nanoseconds ?? 0;
    this.log = cost?.log ?? [];
  }
}

/** What one call of decide() gave. */
export interface Decision {
  /** 0, or the policy's own error code; then the intent is zeros. */
  status: number;
  /** One intent record as the policy wrote it; nobody has judged it yet. */
  intent: Uint8Array;
  /** Instructions, roughly; the same whenever module, settings, state and tables are the same. 0 without fuel metering. */
  fuel: number;
  /** By the clock, copies of table and intent included. */
  nanoseconds: number;
  /** At most 10 lines. */
  log: PolicyLogLine[];
  /** Lines beyond these. */
  logDropped: number;
}

/** Compiled code of one module. Only compilePolicy() fills one: octets from anywhere else must never be run as code. */
export class PolicyCode {
  /** Size of the machine code. */
  readonly bytes: number;
  readonly metering: Metering;

  constructor(bytes: number, metering: Metering) {
    this.bytes = bytes;
    this.metering = metering;
  }
}

/** Whether policies can be compiled and run here. */
export function isSandboxBuilt(): boolean {
  return existsSync(addonPath()) && existsSync(policyCompilerPath());
}

const machineCode = new WeakMap<PolicyCode, Uint8Array>();

/**
 * Compiles a module in a child process that limits itself: 5 s of processor time, 1 GiB of memory, no files. Rejects
 * with PolicyRefused for a module that is not Wasm, too large, not of this ABI, or too expensive to compile.
 */
export async function compilePolicy(wasm: Uint8Array, metering: Metering = METERED): Promise<PolicyCode> {
  if (wasm.length > MODULE_MAX) {
    const size = `it has ${wasm.length} octets, ${MODULE_MAX} is the limit`;
    throw new PolicyRefused(
      `${size}; build it optimised and stripped (asc -Oz, rustc -C opt-level=s -C strip=symbols)`,
    );
  }
  const octets = await runCompiler(wasm, metering);
  const code = new PolicyCode(octets.length, metering);
  machineCode.set(code, octets);
  return code;
}

function runCompiler(wasm: Uint8Array, metering: Metering): Promise<Uint8Array> {
  const program = policyCompilerPath();
  if (!existsSync(program)) throw new Error(`the policy compiler is not built (${program}); remedy: make build`);
  const words = [...(metering.fuel ? [] : ["--no-fuel"]), ...(metering.epoch ? [] : ["--no-epoch"])];
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { env: {}, cwd: "/", timeout: COMPILE_TIMEOUT_MS, killSignal: "SIGKILL" });
    const out: Buffer[] = [];
    let size = 0;
    let complaint = "";
    child.stdout.on("data", (piece: Buffer) => {
      size += piece.length;
      if (size <= CODE_MAX) out.push(piece);
      else child.kill("SIGKILL");
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      complaint = (complaint + text).slice(0, 1000);
    });
    // A child that refuses early does not read all; its exit says why.
    child.stdin.on("error", () => {});
    child.on("error", (error) => reject(new Error(`cannot start the policy compiler: ${error.message}`)));
    child.on("close", (code, signal) => {
      if (code === 0 && size > 0 && size <= CODE_MAX) resolve(Buffer.concat(out));
      else reject(new PolicyRefused(refusal(code, signal, complaint, size)));
    });
    child.stdin.end(wasm);
  });
}

/** Why a compiler did not deliver, in one line. */
function refusal(code: number | null, signal: NodeJS.Signals | null, complaint: string, size: number): string {
  const [line = ""] = complaint.trim().split("\n");
  if (size > CODE_MAX) return `its machine code is larger than ${CODE_MAX >> 20} MiB; make the module smaller`;
  switch (signal) {
    case null:
      return line === "" ? `the policy compiler ended with exit code ${code}; please report it` : line;
    case "SIGXCPU":
      return "compiling it takes more than 5 s of processor time; split its largest functions, or build it with less inlining";
    case "SIGKILL":
      return `compiling it was ended after ${COMPILE_TIMEOUT_MS / 1000} s, or for want of memory; try it on an idle machine`;
    case "SIGABRT":
      return `compiling it takes more than 1 GiB of memory; split its largest functions${line && ` (${line})`}`;
    default:
      return `the policy compiler died of ${signal}; simplify the module, and please report it`;
  }
}

const threads = new Map<string, NativePolicyThread>();

/** All instances with the same limits share one thread, which begins with the first of them. */
function policyThread({ fuel, epoch }: Metering): NativePolicyThread {
  const key = `${fuel} ${epoch}`;
  const thread = threads.get(key) ?? new (loadAddon().PolicyThread)(fuel, epoch);
  threads.set(key, thread);
  return thread;
}

/** One policy at work for one class. Calls are done in the order in which they were made. */
export class PolicyInstance {
  readonly #thread: NativePolicyThread;
  readonly #number: number;
  #memoryBytes: number;
  /** What init() and load() cost and logged. */
  readonly cost: { fuel: number; nanoseconds: number; log: PolicyLogLine[] };
  /** The state that load() was given was taken; otherwise the policy began afresh. */
  readonly stateLoaded: boolean;

  private constructor(thread: NativePolicyThread, outcome: NativePolicyOutcome) {
    this.#thread = thread;
    this.#number = outcome.instance;
    this.#memoryBytes = outcome.memory;
    this.cost = costOf(outcome);
    this.stateLoaded = outcome.stateLoaded;
  }

  /**
   * Makes an instance: start function, _initialize(), init() with `settings`, then load() with `state` if there is one.
   * One budget is for all of it. Rejects with PolicyFault.
   */
  static async load(code: PolicyCode, settings: Uint8Array, state: Uint8Array | null): Promise<PolicyInstance> {
    const octets = machineCode.get(code);
    if (octets === undefined) throw new TypeError("this code does not come from compilePolicy()");
    const thread = policyThread(code.metering);
    return new PolicyInstance(thread, served(await thread.load(octets, settings, state ?? undefined)));
  }

  /** Octets of linear memory after the last call; it grows to 16 MiB at most and never shrinks. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  /** Shows it a table (header and path records, docs/POLICY-ABI.md) and returns its intent. Rejects with PolicyFault. */
  async decide(table: Uint8Array): Promise<Decision> {
    const outcome = this.#served(await this.#thread.decide(this.#number, table));
    return {
      ...costOf(outcome),
      status: outcome.status,
      intent: outcome.octets,
      logDropped: outcome.logDropped,
    };
  }

  /** What its successor shall know, 4 KiB at most; null if there is nothing. Rejects with PolicyFault. */
  async save(): Promise<Uint8Array | null> {
    const { octets } = this.#served(await this.#thread.save(this.#number));
    return octets.length === 0 ? null : octets;
  }

  /** Frees its memory. Later calls reject. */
  close(): void {
    this.#thread.close(this.#number);
  }

  #served(outcome: NativePolicyOutcome): NativePolicyOutcome {
    this.#memoryBytes = outcome.memory;
    return served(outcome);
  }
}

function costOf({ fuel, nanoseconds, log }: NativePolicyOutcome) {
  return { fuel, nanoseconds, log };
}

/** The outcome, unless it is a fault. */
function served(outcome: NativePolicyOutcome): NativePolicyOutcome {
  if (outcome.fault === undefined) return outcome;
  throw new PolicyFault(outcome.fault.kind as FaultKind, outcome.fault.message, costOf(outcome));
}
