// plugins/abi.json as its generators see it: read, checked, gaps between fields filled with fields named zero.
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const SOURCE = "plugins/abi.json";
export const NOTICE = `Generated from ${SOURCE} by scripts/policy-abi-generate.ts. Do not edit.`;

export interface Limit {
  name: string;
  value: number;
  unit?: string;
  doc: string;
}

export interface Field {
  name: string;
  offset: number;
  /** u8 … u64, i16, or u8[n]. */
  type: string;
  unit?: string;
  /** Its all-ones (or 0x8000) means "not known". */
  unknown?: boolean;
  /** Name of the enum of its values or bits. */
  enum?: string;
  doc: string;
}

export interface RecordType {
  name: string;
  size: number;
  doc: string;
  fields: Field[];
}

export interface Enum {
  name: string;
  doc: string;
  bits?: boolean;
  values: { name: string; value: number; doc: string }[];
}

export interface Abi {
  title: string;
  version: { major: number; minor: number };
  doc: string[];
  limits: Limit[];
  records: RecordType[];
  enums: Enum[];
  exports: { name: string; type: string; required: boolean; doc: string }[];
  imports: { module: string; name: string; type: string; doc: string }[];
  settings: { doc: string[]; types: { name: string; doc: string }[] };
}

/** Octets of a field type. Throws on one that no binding knows. */
export function sizeOf(type: string): number {
  const match = /^[ui](8|16|32|64)(?:\[(\d+)\])?$/.exec(type);
  if (!match) throw new Error(`${SOURCE}: unknown field type "${type}"`);
  return (Number(match[1]) / 8) * Number(match[2] ?? 1);
}

/** All fields of a record, with one named zeroN where octet N begins a gap. Throws if fields overlap or stick out. */
export function paddedFields(record: RecordType): Field[] {
  const fields: Field[] = [];
  let end = 0;
  const fill = (to: number): void => {
    for (const octets of [1, 2, 4]) {
      if (end === to || (end & octets) === 0) continue;
      fields.push({ name: `zero${end}`, offset: end, type: `u${octets * 8}`, doc: "" });
      end += octets;
    }
    while (end < to) {
      const octets = Math.min(8, 1 << (31 - Math.clz32(to - end)));
      fields.push({ name: `zero${end}`, offset: end, type: `u${octets * 8}`, doc: "" });
      end += octets;
    }
  };
  for (const field of record.fields) {
    if (field.offset < end) throw new Error(`${SOURCE}: ${record.name}.${field.name} overlaps the field before it`);
    fill(field.offset);
    fields.push(field);
    end = field.offset + sizeOf(field.type);
  }
  if (end > record.size) throw new Error(`${SOURCE}: ${record.name} is longer than ${record.size} octets`);
  fill(record.size);
  return fields;
}

/** Reads and checks the document of record. Throws with what is wrong in it. */
export function readAbi(root: string): Abi {
  const abi = JSON.parse(readFileSync(join(root, SOURCE), "utf8")) as Abi;
  for (const { name, values } of abi.enums) {
    if (new Set(values.map(({ value }) => value)).size !== values.length)
      throw new Error(`${SOURCE}: ${name} has two names for one value`);
  }
  for (const record of abi.records) {
    for (const field of paddedFields(record)) {
      if (field.offset % (Number(/\d+/.exec(field.type)?.[0]) / 8) !== 0)
        throw new Error(`${SOURCE}: ${record.name}.${field.name} is not aligned`);
      if (field.enum && !abi.enums.some(({ name }) => name === field.enum))
        throw new Error(`${SOURCE}: ${record.name}.${field.name}: no enum ${field.enum}`);
    }
  }
  return abi;
}

/** `headerSize` → `header_size`, `PathState` → `path_state`. */
export const snake = (name: string): string =>
  name
    .replace(/GB$/, "Gb")
    .replace(/(?<=[a-z0-9])(?=[A-Z])/g, "_")
    .toLowerCase();

/** `headerSize` → `HEADER_SIZE`. */
export const upper = (name: string): string => snake(name).toUpperCase();

/** Doc text of a field, with its unit and what its sentinel means in front. */
export function fieldDoc({ unit, unknown, enum: values, doc }: Field): string {
  const facts = [unit, values, unknown ? "may be unknown" : ""].filter(Boolean).join(", ");
  return [facts, doc].filter(Boolean).join(": ");
}
