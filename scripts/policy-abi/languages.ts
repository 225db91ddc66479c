// One function per language: the ABI's constants, records and enums as a source file.
import { type Abi, fieldDoc, NOTICE, paddedFields, type RecordType, snake, upper } from "./model.ts";

/** A comment behind a line of code; nothing if there is nothing to say. */
const behind = (open: string, text: string, close = ""): string => (text ? ` ${open} ${text}${close}` : "");

const version = ({ version: { major, minor } }: Abi): number => major * 256 + minor;

/** host/policy/abi.ts: offsets and `as const` objects (no enums: Node strips types only). */
export function typescript(abi: Abi): string {
  const lines = [
    `// ${NOTICE}`,
    "",
    "/** Version of the ABI: major × 256 + minor. */",
    `export const ABI = ${version(abi)};`,
  ];
  for (const { name, value, unit, doc } of abi.limits) {
    const text = [unit, doc].filter(Boolean).join(": ");
    if (text) lines.push(`/** ${text} */`);
    lines.push(`export const ${name} = ${value};`);
  }
  for (const record of abi.records) {
    lines.push("", `export const ${upper(record.name)}_SIZE = ${record.size};`);
    lines.push(`/** Offsets. ${record.doc} */`, `export const ${record.name}Offset = {`);
    for (const field of record.fields)
      lines.push(`  /** ${field.type}: ${fieldDoc(field)} */`, `  ${upper(field.name)}: ${field.offset},`);
    lines.push("} as const;");
  }
  for (const { name, doc, values } of abi.enums) {
    lines.push("", `/** ${doc} */`, `export const ${name} = {`);
    for (const value of values) {
      if (value.doc) lines.push(`  /** ${value.doc} */`);
      lines.push(`  ${value.name}: ${value.value},`);
    }
    lines.push("} as const;", `export type ${name} = (typeof ${name})[keyof typeof ${name}];`);
  }
  return `${lines.join("\n")}\n`;
}

/** `u8[32]` as four u64 named for their first element: AssemblyScript has no arrays inside a struct. */
function assemblyscriptField(name: string, type: string, doc: string): string[] {
  const array = /^u8\[(\d+)\]$/.exec(type);
  if (!array) return [...(doc ? [`  /** ${doc} */`] : []), `  ${name}: ${type};`];
  const words = Array.from({ length: Number(array[1]) / 8 }, (_, i) => `  ${name}${i * 8}: u64;`);
  return [`  /** ${doc}; eight per word */`, ...words];
}

/** plugins/sdk/as/abi.ts: unmanaged classes over the records, const enums. */
export function assemblyscript(abi: Abi): string {
  const lines = [`// ${NOTICE}`, "", "/** Version of the ABI: major × 256 + minor. */"];
  lines.push(`@inline export const ABI: u16 = ${version(abi)};`);
  for (const { name, value, doc } of abi.limits) {
    const type = { UNKNOWN_U8: "u8", UNKNOWN_U16: "u16", UNKNOWN_I16: "i16" }[name] ?? "u32";
    if (doc) lines.push(`/** ${doc} */`);
    lines.push(`@inline export const ${name}: ${type} = ${value};`);
  }
  lines.push("@inline export const UNKNOWN_U64: u64 = 0xffffffffffffffff;");
  for (const record of abi.records) {
    lines.push("", `@inline export const ${upper(record.name)}_SIZE: u32 = ${record.size};`);
    lines.push(`/** ${record.doc} */`, "@final @unmanaged", `export class ${record.name} {`);
    for (const field of paddedFields(record))
      lines.push(...assemblyscriptField(field.name, field.type, fieldDoc(field)));
    lines.push("}", `if (offsetof<${record.name}>() != ${record.size}) ERROR("${record.name}: size moved");`);
  }
  for (const { name, doc, values } of abi.enums) {
    lines.push("", `/** ${doc} */`, `export const enum ${name} {`);
    for (const value of values) lines.push(`  ${value.name} = ${value.value},${behind("//", value.doc)}`);
    lines.push("}");
  }
  return `${lines.join("\n")}\n`;
}

/** Text that rustdoc would take for a link is set in backticks. */
const rustDoc = (text: string): string => text.replace(/(\w+\[\w+\]|\[\[\w+\]\])/g, "`$1`");

function rustRecord(record: RecordType): string[] {
  const lines = [
    "",
    `/// ${rustDoc(record.doc)}`,
    "#[repr(C)]",
    "#[derive(Clone, Copy)]",
    `pub struct ${record.name} {`,
  ];
  for (const field of paddedFields(record)) {
    const array = /^(\w+)\[(\d+)\]$/.exec(field.type);
    const text = fieldDoc(field);
    if (text) lines.push(`    /// ${rustDoc(text)}`);
    const type = array ? `[${array[1]}; ${array[2]}]` : field.type;
    lines.push(`    pub ${snake(field.name)}: ${type},`);
  }
  return [...lines, "}", `const _: () = assert!(core::mem::size_of::<${record.name}>() == ${record.size});`];
}

/** plugins/sdk/rust/src/abi.rs: `#[repr(C)]` structs, one `pub mod` per enum. */
export function rust(abi: Abi): string {
  const lines = [`//! ${NOTICE}`, "#![allow(dead_code)]", "", "/// Version of the ABI: major × 256 + minor."];
  lines.push(`pub const ABI: u16 = ${version(abi)};`);
  for (const { name, value, doc } of abi.limits) {
    const type = { UNKNOWN_U8: "u8", UNKNOWN_U16: "u16", UNKNOWN_I16: "i16" }[name] ?? "u32";
    if (doc) lines.push(`/// ${rustDoc(doc)}`);
    lines.push(`pub const ${name}: ${type} = ${value};`);
  }
  lines.push("pub const UNKNOWN_U64: u64 = u64::MAX;");
  for (const record of abi.records) lines.push(...rustRecord(record));
  for (const { name, doc, values } of abi.enums) {
    lines.push("", `/// ${rustDoc(doc)}`, `pub mod ${snake(name)} {`);
    const type = abi.records.flatMap(({ fields }) => fields).find((field) => field.enum === name)?.type ?? "i32";
    for (const value of values) {
      if (value.doc) lines.push(`    /// ${rustDoc(value.doc)}`);
      lines.push(`    pub const ${value.name}: ${type} = ${value.value};`);
    }
    lines.push("}");
  }
  return `${lines.join("\n")}\n`;
}

function cRecord(record: RecordType): string[] {
  const tag = `struct shunt_${snake(record.name)}`;
  const lines = ["", `/* ${record.doc} */`, `${tag} {`];
  for (const field of paddedFields(record)) {
    const [, sign, bits, count] = /^([ui])(\d+)(?:\[(\d+)\])?$/.exec(field.type) ?? [];
    const type = `${sign === "u" ? "u" : ""}int${bits}_t`;
    const array = count ? `[${count}]` : "";
    lines.push(`  ${type} ${snake(field.name)}${array};${behind("/*", fieldDoc(field), " */")}`);
  }
  return [...lines, "};", `_Static_assert(sizeof(${tag}) == ${record.size}, "${tag}: size moved");`];
}

/** plugins/sdk/c/shunt_policy_abi.h: structs, enumerators, the two imports. */
export function c(abi: Abi): string {
  const lines = [`/* ${NOTICE} */`, "#ifndef SHUNT_POLICY_ABI_H", "#define SHUNT_POLICY_ABI_H", ""];
  lines.push("#include <stdint.h>", "", "/* Version of the ABI: major × 256 + minor. */");
  lines.push(`#define SHUNT_ABI ${version(abi)}`);
  for (const { name, value, doc } of abi.limits) {
    const text = value < 0 ? `(${value})` : value > 0x7fffffff ? `${value}u` : `${value}`;
    lines.push(`#define SHUNT_${name} ${text}${behind("/*", doc, " */")}`);
  }
  lines.push("#define SHUNT_UNKNOWN_U64 UINT64_MAX");
  for (const record of abi.records) lines.push(...cRecord(record));
  for (const { name, doc, values } of abi.enums) {
    lines.push("", `/* ${doc} */`, `enum shunt_${snake(name)} {`);
    for (const value of values) {
      const enumerator = `SHUNT_${upper(name)}_${value.name} = ${value.value},`;
      lines.push(`  ${enumerator}${behind("/*", value.doc, " */")}`);
    }
    lines.push("};");
  }
  const imports = abi.imports.filter(({ module }) => module === "shunt");
  for (const { module, name, type, doc } of imports) {
    const parameters = [...type.matchAll(/(\w+): i32/g)].map(([, parameter]) => parameter);
    const list = parameters.map((parameter) => (parameter === "pointer" ? "const char *text" : `int32_t ${parameter}`));
    lines.push("", `/* ${doc} */`, `__attribute__((import_module("${module}"), import_name("${name}")))`);
    lines.push(`void shunt_${name}(${list.join(", ")});`);
  }
  lines.push("", "/* Marks a function as one of the module's exports, under its own name. */");
  lines.push("#define SHUNT_EXPORT(name) __attribute__((export_name(#name)))", "", "#endif");
  return `${lines.join("\n")}\n`;
}
