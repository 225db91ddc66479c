// A TOML document that is to have the shape of a schema: syntax (smol-toml) and shape (ajv). Every problem is reported
// with file, line, key and what was expected.
import type { ErrorObject, ValidateFunction } from "ajv";
import { parse, TomlError } from "smol-toml";
import { ConfigError, type ConfigProblem } from "./error.ts";
import { type KeyPath, Positions } from "./positions.ts";
import { type Report, suggestion } from "./report.ts";

/** A document of the right shape, and where to put what else is wrong with it. */
export interface ReadDocument<T> {
  document: T;
  problems: ConfigProblem[];
  report: Report;
  /** A problem of a key, not reported yet. */
  problemAt(key: KeyPath, message: string): ConfigProblem;
}

/**
 * Reads the text of a file. The schema of `hasShape` says in `expected`, our own annotation, what an error calls for.
 * Throws ConfigError.
 */
export function readDocument<T>(text: string, file: string, hasShape: ValidateFunction<T>): ReadDocument<T> {
  let document: unknown;
  try {
    document = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const message = (error.message.split("\n")[0] ?? "").replace(/^Invalid TOML document: /, "");
    throw new ConfigError([{ file, line: error.line, key: "", message: `not valid TOML: ${message}` }]);
  }
  const positions = Positions.of(text);
  const problems: ConfigProblem[] = [];
  const problemAt = (path: KeyPath, message: string): ConfigProblem => {
    return { file, line: positions.line(path), key: keyText(path), message };
  };
  const report = (path: KeyPath, message: string): void => void problems.push(problemAt(path, message));
  if (!hasShape(document)) {
    reportShape(hasShape.errors ?? [], document, report);
    throw new ConfigError(problems);
  }
  return { document, problems, report, problemAt };
}

function keyText(path: KeyPath): string {
  return path.map((part, i) => (typeof part === "number" ? `[${part + 1}]` : i === 0 ? part : `.${part}`)).join("");
}

function reportShape(errors: ErrorObject[], document: unknown, report: Report): void {
  const seen = new Set<string>();
  for (const error of errors) {
    const path = pointerPath(error.instancePath, document);
    const properties = Object.keys((error.parentSchema as { properties?: object })?.properties ?? {});
    if (error.keyword === "additionalProperties") {
      const name = String(error.params.additionalProperty);
      report([...path, name], `unknown key${suggestion(name, properties)}`);
    } else if (error.keyword === "required") {
      const name = String(error.params.missingProperty);
      const expected = expectedText(error.parentSchema, name);
      report(path, `key "${name}" is missing${expected}`);
    } else {
      // A list entry that fits no alternative yields an error per alternative: one is enough.
      const place = error.instancePath;
      const expected = (error.parentSchema as { expected?: string })?.expected;
      if (seen.has(place) || expected === undefined || error.schemaPath.includes("/anyOf/")) continue;
      seen.add(place);
      report(path, `expected ${expected}, found ${valueText(error.data)}`);
    }
  }
}

function expectedText(parent: unknown, name: string): string {
  const properties = (parent as { properties?: Record<string, { expected?: string }> })?.properties;
  const expected = properties?.[name]?.expected;
  return expected === undefined ? "" : `; expected ${expected}`;
}

/** Instance path of ajv ("/path/0/name") with numbers for the indices of lists. */
function pointerPath(pointer: string, document: unknown): (string | number)[] {
  const path: (string | number)[] = [];
  let value: unknown = document;
  for (const part of pointer.split("/").slice(1)) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
    path.push(Array.isArray(value) ? Number(name) : name);
    value = (value as Record<string, unknown>)?.[name];
  }
  return path;
}

function valueText(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : `a list of ${value.length}`;
  if (value instanceof Date) return "a date";
  if (typeof value === "object" && value !== null) return "a table";
  return JSON.stringify(value) ?? "nothing";
}
