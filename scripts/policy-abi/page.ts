// docs/POLICY-ABI.md: the ABI as a page for those who write a policy, or a host.
import { type Abi, type Enum, NOTICE, type RecordType, sizeOf } from "./model.ts";

function recordTable({ size, fields }: RecordType): string[] {
  const lines = ["| byte | size | type | field | unit | unknown | meaning |", "|---:|---:|---|---|---|---|---|"];
  const zero = (from: number, to: number): void => {
    if (to > from) lines.push(`| ${from} | ${to - from} | | | | | zero |`);
  };
  let end = 0;
  for (const { name, offset, type, unit = "", unknown, enum: values, doc } of fields) {
    zero(end, offset);
    end = offset + sizeOf(type);
    const sentinel = unknown ? (type.startsWith("i") ? "0x8000" : "all ones") : "";
    const meaning = [values ? `[${values}](#${values.toLowerCase()})` : "", doc].filter(Boolean).join(": ");
    lines.push(`| ${offset} | ${sizeOf(type)} | ${type} | ${name} | ${unit} | ${sentinel} | ${meaning} |`);
  }
  zero(end, size);
  return lines;
}

function valueTable({ bits, values }: Enum): string[] {
  const rows = values.map(({ name, value, doc }) => `| ${value} | ${name} | ${doc} |`);
  return [`| ${bits ? "bit" : "value"} | name | meaning |`, "|---:|---|---|", ...rows];
}

export function markdown(abi: Abi): string {
  const { major, minor } = abi.version;
  const lines = [`# ${abi.title}, version ${major}.${minor}`, "", `<!-- ${NOTICE} -->`];
  for (const paragraph of abi.doc) lines.push("", paragraph);
  lines.push("", "## What a module exports", "", "| name | type | | |", "|---|---|---|---|");
  for (const { name, type, required, doc } of abi.exports)
    lines.push(
      `| \`${name}\` | ${type === "memory" ? type : `\`${type}\``} | ${required ? "required" : "may be left out"} | ${doc} |`,
    );
  lines.push("", "Other exports are ignored.", "", "## What it may import", "", "| name | type | |", "|---|---|---|");
  for (const { module, name, type, doc } of abi.imports) lines.push(`| \`${module}.${name}\` | \`${type}\` | ${doc} |`);
  lines.push("", "Anything else is refused by its name.", "", "## Limits", "", "| name | value | |", "|---|---:|---|");
  for (const { name, value, unit, doc } of abi.limits)
    lines.push(`| \`${name}\` | ${value} | ${[unit, doc].filter(Boolean).join(": ")} |`);
  lines.push("", "## Settings", "", ...abi.settings.doc, "", "| type | as an i64 |", "|---|---|");
  for (const { name, doc } of abi.settings.types) lines.push(`| ${name} | ${doc} |`);
  lines.push("", "## Records");
  for (const record of abi.records)
    lines.push("", `### ${record.name}, ${record.size} octets`, "", record.doc, "", ...recordTable(record));
  lines.push("", "## Values");
  for (const values of abi.enums) lines.push("", `### ${values.name}`, "", values.doc, "", ...valueTable(values));
  return `${lines.join("\n")}\n`;
}
