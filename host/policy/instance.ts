// One instance of a policy and everything that is known of it.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { INTENT_SIZE, Status } from "./abi.ts";
import type { PolicyEntry } from "./catalog.ts";
import type { PolicyFaultKind } from "./news.ts";
import { type IntentRecord, readIntent } from "./records.ts";
import { type Decision, faultOf, type PolicyInstancePort, type SandboxPort } from "./sandbox-port.ts";
import type { PolicyManifest } from "./settings.ts";

/** A policy that has been compiled. */
export interface CompiledPolicy {
  name: string;
  manifest: PolicyManifest | null;
  /** Of the module, in hex. */
  sha256: string;
  wasm: Uint8Array;
  code: unknown;
}

/** A decision that came out well, and its intent. */
export interface GoodDecision {
  decision: Decision;
  intent: IntentRecord;
}

/** A call that ended an instance, or that must end it. */
export class InstanceFault extends Error {
  override readonly name = "InstanceFault";
  readonly kind: PolicyFaultKind;
  readonly fuel: number;
  readonly nanoseconds: number;

  constructor(kind: PolicyFaultKind, message: string, cost: { fuel?: number; nanoseconds?: number } = {}) {
    super(message);
    this.kind = kind;
    this.fuel = cost.fuel ?? 0;
    this.nanoseconds = cost.nanoseconds ?? 0;
  }
}

/** Anything that an instance rejected with. */
export function instanceFault(error: unknown): InstanceFault {
  if (error instanceof InstanceFault) return error;
  const { kind, message } = faultOf(error);
  return new InstanceFault(kind, message, error as { fuel?: number; nanoseconds?: number });
}

/** Calls decide() once. Throws InstanceFault. */
export async function decideOnce(instance: PolicyInstancePort, table: Uint8Array): Promise<GoodDecision> {
  const decision = await instance.decide(table).catch((error: unknown) => Promise.reject(instanceFault(error)));
  const { status, intent } = decision;
  if (status !== Status.OK) {
    const name =
      Object.entries(Status)
        .find(([, value]) => value === status)?.[0]
        .toLowerCase() ?? "its own";
    throw new InstanceFault("status", `decide() returned error ${status} (${name})`, decision);
  }
  if (intent.length < INTENT_SIZE) throw new InstanceFault("abi", `an intent of ${intent.length} octets`, decision);
  return { decision, intent: readIntent(new DataView(intent.buffer, intent.byteOffset, INTENT_SIZE)) };
}

/** Modules by what is in them: compiling costs seconds, swapping must not. */
export class PolicyStore {
  #sandbox: SandboxPort;
  #compiled = new Map<string, Promise<unknown>>();

  constructor(sandbox: SandboxPort) {
    this.#sandbox = sandbox;
  }

  /** Reads and compiles a policy, or takes what is compiled already. Rejects with one line. */
  async compile(entry: PolicyEntry): Promise<CompiledPolicy> {
    if (entry.file === null) throw new Error(`the policy "${entry.name}" is part of the engine`);
    const wasm = await readFile(entry.file).catch((error: NodeJS.ErrnoException) => {
      const cause = error.code === "ENOENT" ? "it is not built" : error.message;
      throw new Error(`the policy "${entry.name}" cannot be read (${entry.file}): ${cause}`);
    });
    return { name: entry.name, manifest: entry.manifest, ...(await this.compileModule(wasm)) };
  }

  /** The same for a module that stands in no folder. */
  async compileModule(wasm: Uint8Array): Promise<Pick<CompiledPolicy, "sha256" | "wasm" | "code">> {
    const sha256 = createHash("sha256").update(wasm).digest("hex");
    let code = this.#compiled.get(sha256);
    if (code === undefined) {
      code = this.#sandbox.compile(wasm);
      this.#compiled.set(sha256, code);
      // What was refused once may be refused for a busy machine's sake: it is tried again when it is asked for again.
      code.catch(() => this.#compiled.delete(sha256));
    }
    return { sha256, wasm, code: await code };
  }
}
