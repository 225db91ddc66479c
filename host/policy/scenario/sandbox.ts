// Where a scenario's policy runs: in the daemon's own sandbox if it is built, else under V8, where the same module
// makes the same decisions without a budget.

import { compilePolicy, isSandboxBuilt, PolicyInstance } from "../../engine/index.ts";
import { LogLevel } from "../abi.ts";
import type { PolicyInstancePort, SandboxPort } from "../sandbox-port.ts";
import { Instance } from "../v8-instance.ts";

export interface NamedSandbox extends SandboxPort {
  /** "v8": policies run without limits, and nobody counts their fuel. */
  readonly kind: "daemon" | "v8";
}

export function sandboxHere(): NamedSandbox {
  if (!isSandboxBuilt()) return V8;
  return {
    kind: "daemon",
    compile: (wasm) => compilePolicy(wasm),
    load: (code, settings, state) => PolicyInstance.load(code as never, settings, state),
  };
}

const V8: NamedSandbox = {
  kind: "v8",
  compile: async (wasm) => new WebAssembly.Module(new Uint8Array(wasm)),
  load: async (code, settings, state): Promise<PolicyInstancePort> => {
    const instance = new Instance(code as WebAssembly.Module, settings, state ?? undefined);
    const log = () => instance.log.splice(0).map((text) => ({ level: LogLevel.INFO, text }));
    return {
      decide: async (table) => {
        const { status, intent } = instance.ask(table);
        return { status, intent, fuel: 0, nanoseconds: 0, log: log() };
      },
      save: async () => (instance.keepsState ? instance.save() : null),
      stateLoaded: state !== null,
      cost: { log: log() },
      memoryBytes: instance.memoryBytes,
      close: () => {},
    };
  },
};
