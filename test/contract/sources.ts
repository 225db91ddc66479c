// The repository's own text, as the contract tests read it: which files there are, what they import,
// where functions begin and end. Scanners, not parsers: assembly/ is not TypeScript to any parser but asc's.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";

export const ROOT = path.resolve(import.meta.dirname, "../..");

/** Files of the repository (tracked, or new and not ignored), relative to its root, in order. */
export function repositoryFiles(pattern: RegExp): string[] {
  const options = { cwd: ROOT, encoding: "utf8" } as const;
  const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], options);
  const deleted = new Set(execFileSync("git", ["ls-files", "--deleted"], options).split("\n"));
  return [...new Set(listed.split("\n"))].filter((file) => pattern.test(file) && !deleted.has(file)).sort();
}

export function readSource(file: string): string {
  return readFileSync(path.join(ROOT, file), "utf8");
}

const TS_STRING = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[\s\S])*`/.source;
const TS_REGEXP = /(?<=(?:[(=,:!&|?{;]|\breturn)\s*)\/(?![*/])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/.source;
const RUST_STRING = /b?r#+"[\s\S]*?"#+|b?"(?:[^"\\]|\\[\s\S])*"|b?'(?:[^'\\\n]|\\[^\n]{1,8}?)'/.source;
const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\//.source;

/**
 * The text with comments and the insides of strings and regular expressions blanked, so that words
 * and braces in them do not count; line breaks stay.
 */
export function codeOf(text: string, language: "ts" | "rust"): string {
  const strings = language === "ts" ? `${TS_STRING}|${TS_REGEXP}` : RUST_STRING;
  return text.replace(new RegExp(`${COMMENT}|${strings}`, "g"), (found) => {
    const blank = found.replace(/[^\n]/g, " ");
    return /^\/[/*]/.test(found) ? blank : `"${blank.slice(2)}"`;
  });
}

/** Position of the bracket that closes the one at `open`. */
function closing(code: string, open: number): number {
  let depth = 0;
  for (let i = open; i < code.length; i++) {
    if ("([{".includes(code[i] as string)) depth += 1;
    else if (")]}".includes(code[i] as string) && --depth === 0) return i;
  }
  return code.length - 1;
}

export type Body = { name: string; line: number; lines: number; text: string };

const lineOf = (code: string, position: number): number => code.slice(0, position).split("\n").length;

const FUNCTION = /\bfunction\s*\*?\s*(\w+)/;
const ARROW = /\b(?:const|let)\s+(\w+)[^=;\n]*=\s*(?:async\s*)?(?=\()/;
const METHOD = /^[ \t]+(?:(?:static|async|private|public|override|get|set|\*)\s+)*(#?\w+)(?=(?:<[^<>]*>)?\()/;

/** Functions with a name, and arrow functions with a block that a declaration names. */
export function functionsOf(text: string, language: "ts" | "rust"): Body[] {
  const code = codeOf(text, language);
  const heads =
    language === "rust"
      ? /\bfn\s+(\w+)/g
      : new RegExp([FUNCTION, ARROW, METHOD].map((head) => head.source).join("|"), "gm");
  const bodies: Body[] = [];
  for (const head of code.matchAll(heads)) {
    const name = head[1] ?? head[2] ?? head[3] ?? "";
    if (/^(if|for|while|switch|catch|return|function|new|await|super|constructor_)$/.test(name)) continue;
    const parameters = code.indexOf("(", head.index + head[0].length - 1);
    if (parameters === -1) continue;
    const end = closing(code, parameters);
    const open = bodyStart(code, end + 1, language, head[2] !== undefined);
    if (open === -1) continue;
    const close = closing(code, open);
    const line = lineOf(code, head.index + head[0].search(/\S/));
    bodies.push({ name, line, lines: lineOf(code, close) - line + 1, text: code.slice(open, close + 1) });
  }
  return bodies;
}

/** Position of the brace that begins a body whose parameters end before `from`; -1 if there is no body. */
function bodyStart(code: string, from: number, language: "ts" | "rust", arrow: boolean): number {
  const rest = code.slice(from, from + 400);
  const pattern =
    language === "rust"
      ? /^[^;{}]*\{/
      : arrow
        ? /^\s*(?::[^;={}]*(?:\{[^{}]*\}[^;={}]*)*)?=>\s*\{/
        : /^\s*(?::\s*(?:[^;{}()=]|\{[^{}]*\}\s*(?=[{[|])|=>|\([^()]*\))*)?\{/;
  const found = pattern.exec(rest);
  return found === null ? -1 : from + found[0].length - 1;
}

const FROM = /^\s*(?:import|export)\b[^;"']*?\bfrom\s*"(\.[^"]+)"/;
const SIDE_EFFECT = /^\s*import\s*"(\.[^"]+)"/;
const DYNAMIC = /\bimport\(\s*"(\.[^"]+)"/;
const WORKER = /new URL\(\s*"(\.[^"]+)"/;

/** What a TypeScript or AssemblyScript file imports from the repository: paths relative to the root. */
export function importsOf(file: string, options = { types: true }): string[] {
  const source = readSource(file);
  const text = options.types ? source : source.replace(/^\s*import\s+type\b[^;]*;/gm, "");
  const found: string[] = [];
  const specifiers = new RegExp([FROM, SIDE_EFFECT, DYNAMIC, WORKER].map(({ source }) => source).join("|"), "gm");
  for (const match of text.matchAll(specifiers)) {
    const specifier = match[1] ?? match[2] ?? match[3] ?? match[4] ?? "";
    const target = path.posix.join(path.posix.dirname(file), specifier);
    found.push(/\.\w+$/.test(target) ? target : `${target}.ts`);
  }
  return found;
}

/** All that is imported, directly or not, from `roots`. */
export function reachable(roots: string[], files: Set<string>): Set<string> {
  const seen = new Set<string>();
  const queue = roots.filter((root) => files.has(root));
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    if (file.endsWith(".ts")) queue.push(...importsOf(file).filter((target) => files.has(target)));
  }
  return seen;
}
