// A policy's module under V8, called as the ABI says. No limits and no fuel: those are the daemon's sandbox's.
import * as abi from "./abi.ts";
import { type IntentRecord, readIntent } from "./records.ts";

interface Exports {
  memory: WebAssembly.Memory;
  shunt_policy_abi_1(): number;
  region(kind: number, size: number): number;
  init(configLength: number): number;
  decide(): number;
  save?(): number;
  load?(length: number): number;
  _initialize?(): void;
}

/** The name of a number of an enum of the ABI. */
export function nameOf(values: Record<string, number>, value: number): string | undefined {
  return Object.entries(values).find(([, number]) => number === value)?.[0];
}

/** A policy's instance, called as the ABI says. */
export class Instance {
  readonly log: string[] = [];
  #exports: Exports;

  constructor(module: WebAssembly.Module, settings: Uint8Array, state?: Uint8Array) {
    const shunt = { log: (_level: number, at: number, length: number) => this.#logged(at, length) };
    const env = { abort: () => this.log.push("abort") };
    this.#exports = new WebAssembly.Instance(module, { shunt, env }).exports as unknown as Exports;
    this.#exports._initialize?.();
    this.#exports.shunt_policy_abi_1();
    this.#octets(abi.Region.CONFIG, settings.length).set(settings);
    this.#succeed("init", this.#exports.init(settings.length));
    if (state === undefined || this.#exports.load === undefined) return;
    this.#octets(abi.Region.STATE, state.length).set(state);
    this.#succeed("load", this.#exports.load(state.length));
  }

  /** One decision. `write` fills the table region. */
  decide(size: number, write: (view: DataView) => void): IntentRecord {
    const table = this.#octets(abi.Region.TABLE, size);
    write(new DataView(table.buffer, table.byteOffset, size));
    this.#octets(abi.Region.INTENT, abi.INTENT_SIZE).fill(0);
    this.#succeed("decide", this.#exports.decide());
    const intent = this.#octets(abi.Region.INTENT, abi.INTENT_SIZE);
    return readIntent(new DataView(intent.buffer, intent.byteOffset, intent.length));
  }

  /** The same with the octets of a table and of an intent, and with the policy's own error code. */
  ask(octets: Uint8Array): { status: number; intent: Uint8Array } {
    this.#octets(abi.Region.TABLE, octets.length).set(octets);
    this.#octets(abi.Region.INTENT, abi.INTENT_SIZE).fill(0);
    const status = this.#exports.decide();
    return { status, intent: this.#octets(abi.Region.INTENT, abi.INTENT_SIZE).slice() };
  }

  get memoryBytes(): number {
    return this.#exports.memory.buffer.byteLength;
  }

  /** It has a state that a swap hands on. */
  get keepsState(): boolean {
    return this.#exports.save !== undefined;
  }

  /** What must survive a swap; empty = nothing. */
  save(): Uint8Array {
    const length = this.#exports.save?.() ?? 0;
    return this.#octets(abi.Region.STATE, length).slice();
  }

  #octets(kind: number, size: number): Uint8Array {
    const at = this.#exports.region(kind, size);
    if (at === 0 || at % 8 !== 0) throw new Error(`region(${kind}, ${size}) returned ${at}`);
    return new Uint8Array(this.#exports.memory.buffer, at, size);
  }

  #logged(at: number, length: number): void {
    this.log.push(new TextDecoder().decode(new Uint8Array(this.#exports.memory.buffer, at, length)));
  }

  #succeed(name: string, status: number): void {
    if (status === abi.Status.OK) return;
    throw new Error(`${name}() returned ${nameOf(abi.Status, status) ?? status}`);
  }
}
