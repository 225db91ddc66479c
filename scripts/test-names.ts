// Names of the tests in a file's text, with the rows of `it.each` put in where vitest would put them.

/** A name in any quotes behind it( or it.each(…)(, or a row of a table that begins with a number: ["N-12", "…"]. */
const NAME = /(["'`])(N-\d+(?:, N-\d+)*:? (?:(?!\1).)+)\1/g;
const ROW = /(["'`])(N-\d+)\1, *(["'`])((?:(?!\3).)+)\3/g;
const PLACEHOLDER = /%[sdif]|\$\w+/;
/** More rows than this say nothing to a reader. */
const ROWS_MAX = 10;

/** Every name that begins with a statement's number. */
export function testNames(source: string): string[] {
  const named = [...source.matchAll(NAME)].map((match) => filled(match[2] ?? "", source, match.index));
  return [...named, ...[...source.matchAll(ROW)].map(([, , number, , name]) => `${number} ${name}`)];
}

/** `name` with each placeholder replaced by what the rows of the table before it have there. */
function filled(name: string, source: string, at: number): string {
  if (!PLACEHOLDER.test(name)) return name;
  const rows = rowsBefore(source, at);
  let column = 0;
  return name.replace(new RegExp(PLACEHOLDER, "g"), (placeholder) => {
    const key = placeholder.startsWith("$") ? placeholder.slice(1) : column++;
    const values = new Set(rows.map((row) => cellOf(row, key)).filter((value) => value !== undefined));
    return values.size === 0 || values.size > ROWS_MAX ? "…" : [...values].join(" / ");
  });
}

/** The rows, as text, of the last `.each(…)` before `at`: an array there, or a constant of the file. */
function rowsBefore(source: string, at: number): string[] {
  const start = source.lastIndexOf(".each(", at);
  if (start === -1) return [];
  const argument = source.slice(start + 6, closing(source, start + 5));
  const [, constant] = /^\s*(\w+)\s*$/.exec(argument) ?? [];
  if (constant === undefined) return elements(argument);
  const declared = new RegExp(`const ${constant}\\b[^=]*=\\s*(?=\\[)`).exec(source);
  if (declared === null) return [];
  const open = declared.index + declared[0].length;
  return elements(source.slice(open, closing(source, open) + 1));
}

/** Position of the bracket that closes the one at `open`. */
function closing(text: string, open: number): number {
  let depth = 0;
  for (const { 0: found, index } of text.slice(open).matchAll(/"(?:[^"\\]|\\.)*"|`[^`]*`|[([{}\])]/g)) {
    if ("([{".includes(found)) depth++;
    else if (")]}".includes(found) && --depth === 0) return open + index;
  }
  return text.length;
}

/** Elements of an array literal, as text. */
function elements(literal: string): string[] {
  const text = literal.trim().replace(/ as const$/, "");
  if (!text.startsWith("[")) return [];
  const found: string[] = [];
  let from = 1;
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|`[^`]*`|[([{}\]),]/g)) {
    if ("([{".includes(token)) depth++;
    const ends = (token === "," && depth === 1) || (")]}".includes(token) && --depth === 0);
    if (!ends) continue;
    found.push(text.slice(from, index).trim());
    from = index + 1;
  }
  return found.filter((element) => element !== "");
}

/** A literal of a row: the n-th of an array, the property of an object, or the row itself. */
function cellOf(row: string, key: number | string): string | undefined {
  const literal =
    typeof key === "string"
      ? new RegExp(`\\b${key}: ("[^"]*"|[\\w.]+)`).exec(row)?.[1]
      : row.startsWith("[")
        ? elements(row)[key]
        : key === 0
          ? row
          : undefined;
  const [, text, number] = /^(?:"([^"]*)"|(-?[\d_.]+|true|false))$/.exec(literal ?? "") ?? [];
  return text ?? number?.replaceAll("_", "");
}
