// Generates what mirrors the engine's ABI from its one source, assembly/abi.ts:
//
//   host/engine/abi.ts          constants and `as const` objects (no enums: Node strips types only)
//   host/native/src/abi.rs      `pub const` and one `pub mod` per enum
//   docs/MEMORY.md              the memory map and the byte table of every record
//
//   node scripts/abi-generate.ts            writes the three files
//   node scripts/abi-generate.ts --check    writes nothing, exits 1 and names the files that differ
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCE = "assembly/abi.ts";
const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const NOTICE = "Generated from assembly/abi.ts by scripts/abi-generate.ts. Do not edit.";

interface Constant {
  name: string;
  value: number;
  /** Text of the doc comment above it; empty if it shares the one before. */
  doc: string;
}

interface Member {
  name: string;
  value: number;
  comment: string;
}

interface Enum {
  name: string;
  doc: string;
  /** A record's byte offsets rather than values. */
  struct: boolean;
  members: Member[];
}

interface Abi {
  constants: Constant[];
  enums: Enum[];
}

/** Value of an expression of integers, names defined before, `+`, `-` and `*`. Throws on anything else. */
function evaluate(expression: string, known: ReadonlyMap<string, number>): number {
  const term = (text: string): number =>
    text.split("*").reduce((product, factor) => {
      const word = factor.trim();
      const value = /^(0x[0-9a-f]+|\d+)$/i.test(word) ? Number(word) : known.get(word);
      if (value === undefined) throw new Error(`${SOURCE}: cannot evaluate "${word}" in "${expression}"`);
      return product * value;
    }, 1);
  return expression
    .split(/(?=[+-])/)
    .reduce(
      (sum, part) =>
        part.trim().startsWith("-") ? sum - term(part.trim().slice(1)) : sum + term(part.replace("+", "")),
      0,
    );
}

function parseMember(line: string, owner: string): Member {
  const match = /^\s*(\w+) = (0x[0-9a-f]+|\d+),(?:\s*\/\/ (.*))?$/i.exec(line);
  if (!match) throw new Error(`${SOURCE}: in ${owner}: expected "NAME = NUMBER, // comment", found "${line}"`);
  return { name: match[1] ?? "", value: Number(match[2]), comment: match[3] ?? "" };
}

/** Reads the restricted form that the head of assembly/abi.ts describes. Throws with the line that does not fit. */
function parse(source: string): Abi {
  const abi: Abi = { constants: [], enums: [] };
  const known = new Map<string, number>();
  let doc = "";
  let current: Enum | undefined;
  for (const line of source.split("\n")) {
    const comment = /^\/\*\* (.*) \*\/$/.exec(line);
    const constant = /^@inline export const (\w+): u32 = (.+);$/.exec(line);
    const open = /^export const enum (\w+) \{$/.exec(line);
    if (current) {
      if (line === "}") current = undefined;
      else current.members.push(parseMember(line, current.name));
    } else if (comment) doc = comment[1] ?? "";
    else if (line === "/**") doc = "";
    else if (/^ \*( |$)/.test(line)) doc = `${doc} ${line.slice(3)}`.trim();
    else if (line === " */") continue;
    else if (constant) {
      const [, name = "", expression = ""] = constant;
      const value = evaluate(expression, known);
      known.set(name, value);
      abi.constants.push({ name, value, doc });
      doc = "";
    } else if (open) {
      current = { name: open[1] ?? "", doc, struct: doc.startsWith("Struct"), members: [] };
      abi.enums.push(current);
      doc = "";
    } else if (line !== "" && !line.startsWith("//")) throw new Error(`${SOURCE}: cannot read "${line}"`);
  }
  return abi;
}

function typescript(abi: Abi): string {
  const lines = [`// ${NOTICE}`, ""];
  for (const { name, value, doc } of abi.constants) {
    if (doc) lines.push(`/** ${doc} */`);
    lines.push(`export const ${name} = ${value};`);
  }
  for (const { name, doc, struct, members } of abi.enums) {
    lines.push("", `/** ${doc} */`, `export const ${name} = {`);
    for (const member of members) {
      if (member.comment) lines.push(`  /** ${member.comment} */`);
      lines.push(`  ${member.name}: ${member.value},`);
    }
    lines.push("} as const;");
    if (!struct) lines.push(`export type ${name} = (typeof ${name})[keyof typeof ${name}];`);
  }
  return `${lines.join("\n")}\n`;
}

const snake = (name: string): string => name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, "_").toLowerCase();

/** Doc text that rustdoc would take for a link is set in backticks. */
const rustDoc = (text: string): string => text.replace(/(\w+\[\d+\])/g, "`$1`").trimEnd();

function rust(abi: Abi): string {
  const lines = [`//! ${NOTICE}`, "#![allow(dead_code)]"];
  for (const { name, value, doc } of abi.constants) {
    if (doc) lines.push("", `/// ${rustDoc(doc)}`);
    lines.push(`pub const ${name}: u32 = ${value};`);
  }
  for (const { name, doc, members } of abi.enums) {
    lines.push("", `/// ${rustDoc(doc)}`, `pub mod ${snake(name)} {`);
    for (const member of members) {
      if (member.comment) lines.push(`    /// ${rustDoc(member.comment)}`);
      lines.push(`    pub const ${member.name}: u32 = ${member.value};`);
    }
    lines.push("}");
  }
  return `${lines.join("\n")}\n`;
}

const hex = (value: number): string => `0x${value.toString(16).padStart(8, "0")}`;

/** Octets of a field type such as `u32` or `u8[16]`. */
function typeSize(type: string): number {
  const match = /^u(8|16|32|64)(?:\[(\d+)\])?$/.exec(type);
  if (!match) throw new Error(`${SOURCE}: unknown field type "${type}"`);
  return (Number(match[1]) / 8) * Number(match[2] ?? 1);
}

/** The constants that are addresses of regions, in order of address. */
function regions(abi: Abi): Constant[] {
  const first = abi.constants.find(({ name }) => name === "FIXED_START")?.value ?? 0;
  return abi.constants.filter(
    ({ name, value }) => value >= first && value < 0xffffffff && !/_(SIZE|MAX|COST|START|HEADROOM)$/.test(name),
  );
}

function memoryMap(abi: Abi): string[] {
  const value = (name: string): number => abi.constants.find((constant) => constant.name === name)?.value ?? 0;
  const rows = regions(abi);
  const end = value("SLABS_START");
  const lines = ["| from | octets | region | what |", "|---|---:|---|---|"];
  lines.push('| 0x00000000 | 1024 | guard | never read or written, so that address 0 can mean "none" |');
  lines.push(`| 0x00000400 | ${value("FIXED_START") - 1024} | static | asc's own data (debug builds only) |`);
  rows.forEach((region, index) => {
    const next = rows[index + 1]?.value ?? end;
    const size = value(`${region.name}_SIZE`) || next - region.value;
    const doc = region.doc || "octets of the packets that the region before describes";
    lines.push(`| ${hex(region.value)} | ${size} | \`${region.name}\` | ${doc} |`);
    const rest = region.value + size;
    if (rest < next) lines.push(`| ${hex(rest)} | ${next - rest} | (unused) | |`);
  });
  lines.push(`| ${hex(end)} | by capacity | slabs | tables, connections, subflows and runs, placed once by init() |`);
  return lines;
}

function byteTable({ name, members }: Enum): string[] {
  const lines = ["| byte | size | type | field | meaning |", "|---:|---:|---|---|---|"];
  let end = 0;
  for (const { name: field, value, comment } of members) {
    const [type = "", ...words] = comment.split(" ");
    if (value < end) throw new Error(`${SOURCE}: ${name}.${field} overlaps the field before it`);
    if (value > end) lines.push(`| ${end} | ${value - end} | | | zero |`);
    end = value + typeSize(type);
    lines.push(`| ${value} | ${typeSize(type)} | ${type} | ${field} | ${words.join(" ")} |`);
  }
  return lines;
}

function valueTable({ members }: Enum): string[] {
  const rows = members.map(({ name, value, comment }) => `| ${value} | ${name} | ${comment} |`);
  return ["| value | name | meaning |", "|---:|---|---|", ...rows];
}

function markdown(abi: Abi): string {
  const lines = [
    "# The engine's memory",
    "",
    `<!-- ${NOTICE} -->`,
    "",
    "One linear memory, imported by the engine and sized by the embedder before anything runs: initial = maximum,",
    "so it never grows and no address ever moves. All integers are little-endian; IP addresses are 16 octets in",
    "network order (IPv4 as `::ffff:a.b.c.d`); ports are in host order. What is not named in a table is zero.",
    "",
    "## Map",
    "",
    ...memoryMap(abi),
    "",
    "## Sizes and limits",
    "",
    "| name | value | |",
    "|---|---:|---|",
  ];
  const addresses = new Set(regions(abi).map(({ name }) => name));
  for (const { name, value, doc } of abi.constants.filter((constant) => !addresses.has(constant.name)))
    lines.push(`| \`${name}\` | ${value} | ${doc} |`);
  lines.push("", "## Records");
  for (const record of abi.enums.filter(({ struct }) => struct))
    lines.push("", `### ${record.name}`, "", record.doc, "", ...byteTable(record));
  lines.push("", "## Values");
  for (const values of abi.enums.filter(({ struct }) => !struct))
    lines.push("", `### ${values.name}`, "", values.doc, "", ...valueTable(values));
  return `${lines.join("\n")}\n`;
}

function main(): void {
  const abi = parse(readFileSync(join(ROOT, SOURCE), "utf8"));
  const outputs: [string, string][] = [
    ["host/engine/abi.ts", typescript(abi)],
    ["host/native/src/abi.rs", rust(abi)],
    ["docs/MEMORY.md", markdown(abi)],
  ];
  if (!process.argv.includes("--check")) {
    for (const [path, text] of outputs) writeFileSync(join(ROOT, path), text);
    return;
  }
  const read = (path: string): string => {
    try {
      return readFileSync(join(ROOT, path), "utf8");
    } catch {
      return "";
    }
  };
  const stale = outputs.filter(([path, text]) => read(path) !== text).map(([path]) => path);
  if (stale.length === 0) return;
  process.stderr.write(`${stale.join(", ")}: differs from ${SOURCE}; run "node scripts/abi-generate.ts"\n`);
  process.exitCode = 1;
}

main();
