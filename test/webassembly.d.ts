// The part of the WebAssembly API that the tests use. TypeScript has it in lib "dom" only, which would
// bring the whole browser into programs that run under Node.

declare namespace WebAssembly {
  class RuntimeError extends Error {}

  class Memory {
    constructor(descriptor: { initial: number; maximum?: number; shared?: boolean });
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }

  type Kind = "function" | "table" | "memory" | "global";

  class Module {
    constructor(octets: Uint8Array | ArrayBuffer);
    static exports(module: Module): { name: string; kind: Kind }[];
    static imports(module: Module): { module: string; name: string; kind: Kind }[];
  }

  class Instance {
    constructor(module: Module, imports?: Record<string, Record<string, unknown>>);
    readonly exports: Record<string, unknown>;
  }
}
