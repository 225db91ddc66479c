// What the policy runtime needs of the sandbox (host/engine/sandbox.ts gives it; unit tests bring instances of their
// own). Compiled code is opaque here.

/** How a call ended an instance; see host/engine/sandbox.ts. */
export type FaultKind = "fuel" | "time" | "trap" | "abi" | "memory";

/** A line that a policy logged. */
export interface PolicyLogLine {
  /** LogLevel of the ABI. */
  level: number;
  text: string;
}

/** What one call of decide() gave. */
export interface Decision {
  /** 0, or the policy's own error code. */
  status: number;
  /** One intent record, judged by nobody yet. */
  intent: Uint8Array;
  fuel: number;
  /** By the clock. */
  nanoseconds: number;
  log: PolicyLogLine[];
}

/** An instance of a policy. After a call that rejected it is dead. */
export interface PolicyInstancePort {
  decide(table: Uint8Array): Promise<Decision>;
  /** null = the policy keeps no state. */
  save(): Promise<Uint8Array | null>;
  readonly memoryBytes: number;
  /** The state that it was loaded with was taken. */
  readonly stateLoaded: boolean;
  /** What init() and load() logged. */
  readonly cost: { log: PolicyLogLine[] };
  close(): void;
}

/** Where policies are compiled and run. Both reject with one line; load() with a fault that has a kind. */
export interface SandboxPort<Code = unknown> {
  compile(wasm: Uint8Array): Promise<Code>;
  load(code: Code, settings: Uint8Array, state: Uint8Array | null): Promise<PolicyInstancePort>;
}

/** Kind and words of what an instance rejected with. A fault that is none of the sandbox's is an ABI fault. */
export function faultOf(error: unknown): { kind: FaultKind; message: string } {
  const kind = (error as { kind?: FaultKind }).kind;
  return { kind: kind ?? "abi", message: error instanceof Error ? error.message : String(error) };
}
