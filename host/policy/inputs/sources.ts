// The sources that a configuration may name.
import { FileInput } from "./file.ts";
import type { Input } from "./input.ts";

/** What is wrong with an entry of [policy] inputs, null = nothing. */
export function checkInputName(name: string): string | null {
  if (/^file:\/.+/.test(name)) return null;
  return `expected "file:" and an absolute path, found ${JSON.stringify(name)}`;
}

/** The source of a name that checkInputName() accepts. */
export function inputOf(name: string): Input {
  return new FileInput(name.slice("file:".length));
}
