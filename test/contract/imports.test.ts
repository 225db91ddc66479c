import path from "node:path";
import { describe, expect, it } from "vitest";
import { importsOf, reachable, readSource, repositoryFiles } from "./sources.ts";

// The direction of imports, docs/ARCHITECTURE.md. A file may import from its own folder and from layers below.

/** Layers of assembly/, top first; a name is a folder or a file at the top of assembly/. */
const ENGINE_LAYERS = [
  ["testing"],
  ["index"],
  ["engine"],
  ["commands", "snapshot", "salvage"],
  ["forward"],
  ["handover"],
  ["signalling"],
  ["connection"],
  ["mapping"],
  ["wire"],
  ["outbox", "event-ring", "set-operations", "trace"],
  ["counters"],
  ["clock", "scratch"],
  ["seq"],
  ["memory"],
  ["faults"],
  ["abi", "config"],
];
/** Pairs that may not see each other although one lies below the other. */
const ENGINE_STRANGERS = [
  ["connection", "wire"],
  ["mapping", "wire"],
];

/** Layers of host/, top first. */
const HOST_LAYERS = [["cli"], ["daemon"], ["control"], ["policy"], ["plot"], ["net", "engine"], ["config"]];

describe("assembly/", () => {
  const files = repositoryFiles(/^assembly\/.*\.ts$/);

  it("imports only from layers below", () => {
    const wrong = files.flatMap((file) => wrongImports(file, "assembly", ENGINE_LAYERS));
    for (const file of files) {
      for (const target of importsOf(file)) {
        const strangers = ENGINE_STRANGERS.some(([a, b]) => layerName(file) === a && layerName(target) === b);
        if (strangers) wrong.push(`${file} sees ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("has no cycle of files", () => {
    expect(cycles(files)).toEqual([]);
  });

  it("has no file that nothing uses", () => {
    const used = reachable(["assembly/index.ts", "assembly/testing.ts"], new Set(files));
    expect(files.filter((file) => !used.has(file))).toEqual([]);
  });

  it("uses testing.ts in test builds only", () => {
    expect(files.filter((file) => importsOf(file).includes("assembly/testing.ts"))).toEqual([]);
  });
});

describe("host/", () => {
  const files = repositoryFiles(/^host\/.*\.ts$/).filter((file) => !file.startsWith("host/native/"));

  it("imports only from layers below", () => {
    expect(files.flatMap((file) => wrongImports(file, "host", HOST_LAYERS))).toEqual([]);
  });

  it("has no cycle of files", () => {
    expect(cycles(files)).toEqual([]);
  });

  it("shares no module with assembly/", () => {
    const crossing = (file: string) => importsOf(file).filter((target) => target.startsWith("assembly/"));
    expect(files.flatMap(crossing)).toEqual([]);
    const back = repositoryFiles(/^assembly\/.*\.ts$/).flatMap((file) =>
      importsOf(file).filter((target) => !target.startsWith("assembly/")),
    );
    expect(back).toEqual([]);
  });

  it("touches the native addon in host/engine/ only", () => {
    const touching = files.filter((file) => /\.node["'`]|["'`][^"'`\n]*\/native\//.test(readSource(file)));
    expect(touching.filter((file) => !file.startsWith("host/engine/"))).toEqual([]);
  });

  it("ends the process in host/cli/ only", () => {
    const ending = files.filter((file) => /\bprocess\.exit\(/.test(readSource(file)));
    expect(ending.filter((file) => !file.startsWith("host/cli/"))).toEqual([]);
  });

  it("has no file that nothing uses", () => {
    // What authors of policies use of the host's is a door of its own.
    const sdk = repositoryFiles(/^plugins\/sdk\/.*\.ts$/);
    const used = reachable(["host/cli/main.ts", "plugins/sdk/what-if.ts"], new Set([...files, ...sdk]));
    expect(files.filter((file) => !used.has(file))).toEqual([]);
  });
});

describe("scripts/, bench/ and the helpers of test/", () => {
  it("are named by another file", () => {
    // `make bench` runs whatever lies at the top of bench/.
    const candidates = repositoryFiles(/^(scripts|bench\/[^/]+|test)\/.*\.(ts|sh|c)$/).filter(
      (file) => !/\.(test|d)\.ts$/.test(file),
    );
    const readers = repositoryFiles(/\.(ts|sh|md|json|toml|yml|c)$|(^|\/)(Makefile|run|shunt)$/);
    const texts = new Map(readers.map((file) => [file, readSource(file)]));
    const unused = candidates.filter((file) => {
      const name = path.basename(file);
      return ![...texts].some(([reader, text]) => reader !== file && text.includes(name));
    });
    expect(unused).toEqual([]);
  });
});

/** `mapping` of assembly/mapping/send-table.ts, `clock` of assembly/clock.ts. */
function layerName(file: string): string {
  const [, second = ""] = file.split("/");
  return second.replace(/\.ts$/, "");
}

function wrongImports(file: string, top: string, layers: string[][]): string[] {
  const rank = (name: string) => layers.findIndex((layer) => layer.includes(name));
  const own = rank(layerName(file));
  if (own === -1) return [`${file} is in no layer`];
  const below = (target: string) =>
    !target.startsWith(`${top}/`) || layerName(target) === layerName(file) || rank(layerName(target)) > own;
  return importsOf(file)
    .filter((target) => !below(target))
    .map((target) => `${file} imports ${target}`);
}

/** Imports of types alone vanish and may go round. One cycle per strongly connected group, as `a -> b -> a`. */
function cycles(files: string[]): string[] {
  const known = new Set(files);
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (file: string, trail: string[]): void => {
    const at = trail.indexOf(file);
    if (at !== -1) {
      found.push([...trail.slice(at), file].join(" -> "));
      return;
    }
    if (done.has(file)) return;
    for (const target of importsOf(file, { types: false })) if (known.has(target)) visit(target, [...trail, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  return found;
}
