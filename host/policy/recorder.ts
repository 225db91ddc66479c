// A recording: every module, every instance and every decision, one JSON object per line, octets in base64. It holds
// all that a replay needs, modules too, so that it can be sent to somebody. Format: docs/POLICIES.md.
import { closeSync, openSync, writeSync } from "node:fs";
import { VERSION } from "../config/version.ts";
import { ABI } from "./abi.ts";
import type { CompiledPolicy } from "./instance.ts";
import type { PolicyFaultKind } from "./news.ts";
import type { Decision } from "./sandbox-port.ts";

/** First line of a recording. */
export interface HeadLine {
  recording: 1;
  shunt: string;
  /** Major × 256 + minor. */
  abi: number;
  /** Milliseconds since 1970. */
  atMs: number;
  /** Names by path id. */
  paths: Record<string, string>;
}

/** A module, before the first instance of it. */
export interface ModuleLine {
  module: { sha256: string; policy: string; reasons: string[]; wasm: string };
}

/** An instance, before its first decision. */
export interface InstanceLine {
  instance: { id: number; class: string; policy: string; sha256: string; settings: string; state: string | null };
}

/** One decision of an instance: an intent, or a fault, which is its last. */
export interface DecisionLine {
  decision: {
    instance: number;
    table: string;
    intent?: string;
    fuel: number;
    fault?: PolicyFaultKind;
    /** Lines that the policy logged, if there were any. */
    log?: string[];
  };
}

export type RecordingLine = HeadLine | ModuleLine | InstanceLine | DecisionLine;

const base64 = (octets: Uint8Array) => Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString("base64");

export class Recorder {
  readonly file: string;
  #descriptor: number;
  #modules = new Set<string>();
  #instances = 0;
  #decisions = 0;
  #failed: (error: Error) => void;

  /** Creates the file. Throws if it cannot; `failed` is told if it can no longer be written later. */
  constructor(file: string, paths: Record<string, string>, failed: (error: Error) => void) {
    this.file = file;
    this.#failed = failed;
    this.#descriptor = openSync(file, "w", 0o644);
    this.#write({ recording: 1, shunt: VERSION, abi: ABI, atMs: Date.now(), paths });
  }

  get decisions(): number {
    return this.#decisions;
  }

  /** An instance begins: fresh, with these settings and this state, nothing else. Returns its number. */
  instance(className: string, policy: CompiledPolicy, settings: Uint8Array, state: Uint8Array | null): number {
    const { sha256, name } = policy;
    if (!this.#modules.has(sha256)) {
      this.#modules.add(sha256);
      const reasons = policy.manifest?.reasons ?? [];
      this.#write({ module: { sha256, policy: name, reasons, wasm: base64(policy.wasm) } });
    }
    const octets = { settings: base64(settings), state: state === null ? null : base64(state) };
    const id = ++this.#instances;
    this.#write({ instance: { id, class: className, policy: name, sha256, ...octets } });
    return id;
  }

  decision(instance: number, table: Uint8Array, decision: Pick<Decision, "intent" | "fuel" | "log">): void {
    const { intent, fuel } = decision;
    const log = decision.log.length === 0 ? {} : { log: decision.log.map(({ text }) => text) };
    this.#decisions++;
    this.#write({ decision: { instance, table: base64(table), intent: base64(intent), fuel, ...log } });
  }

  fault(instance: number, table: Uint8Array, fault: { kind: PolicyFaultKind; fuel: number }): void {
    this.#decisions++;
    this.#write({ decision: { instance, table: base64(table), fault: fault.kind, fuel: fault.fuel } });
  }

  close(): void {
    if (this.#descriptor === -1) return;
    closeSync(this.#descriptor);
    this.#descriptor = -1;
  }

  // Some kilobytes a second: written at once, so that a recording of a crash is whole.
  #write(line: RecordingLine): void {
    if (this.#descriptor === -1) return;
    try {
      writeSync(this.#descriptor, `${JSON.stringify(line)}\n`);
    } catch (error) {
      this.close();
      this.#failed(error as Error);
    }
  }
}
