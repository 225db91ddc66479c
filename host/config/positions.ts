// Which line of a TOML document a key stands on. smol-toml gives positions for syntax errors only, so this small
// scanner walks a document that it has already accepted. It need not judge anything: it only has to know where keys
// are and which characters belong to values.

/** Path of a key: table names, array indices and key names, as in a JSON pointer without escapes. */
export type KeyPath = readonly (string | number)[];

/** Lines (from 1) by key path; a table has the line of its header. */
export class Positions {
  #lines = new Map<string, number>();

  static of(toml: string): Positions {
    const positions = new Positions();
    new Scanner(toml, (path, line) => positions.#note(path, line)).run();
    return positions;
  }

  /** Line of the key, or of the nearest table around it; 1 if not even that is written down. */
  line(path: KeyPath): number {
    for (let length = path.length; length > 0; length--) {
      const line = this.#lines.get(path.slice(0, length).join("\n"));
      if (line !== undefined) return line;
    }
    return 1;
  }

  // The first mention counts: a later [[path]] is another element and has another path.
  #note(path: KeyPath, line: number): void {
    const key = path.join("\n");
    if (!this.#lines.has(key)) this.#lines.set(key, line);
  }
}

class Scanner {
  #text: string;
  #at = 0;
  #line = 1;
  #table: (string | number)[] = [];
  #elements = new Map<string, number>();
  #note: (path: KeyPath, line: number) => void;

  constructor(text: string, note: (path: KeyPath, line: number) => void) {
    this.#text = text;
    this.#note = note;
  }

  run(): void {
    while (this.#at < this.#text.length) {
      this.#skipSpace();
      const c = this.#text[this.#at];
      if (c === undefined) return;
      if (c === "\n" || c === "\r") this.#advance();
      else if (c === "#") this.#skipComment();
      else if (c === "[") this.#header();
      else this.#pair(this.#table);
    }
  }

  #header(): void {
    const isArray = this.#text[this.#at + 1] === "[";
    this.#at += isArray ? 2 : 1;
    const names = this.#keys("]");
    this.#at += isArray ? 2 : 1;
    const path = this.#resolve(isArray ? names.slice(0, -1) : names);
    if (isArray) {
      const last = names.at(-1) ?? "";
      const list = [...path, last].join("\n");
      const index = (this.#elements.get(list) ?? -1) + 1;
      this.#elements.set(list, index);
      this.#note([...path, last], this.#line);
      path.push(last, index);
    }
    this.#note(path, this.#line);
    this.#table = path;
  }

  // A name that stands for an array of tables means its newest element.
  #resolve(names: string[]): (string | number)[] {
    const path: (string | number)[] = [];
    for (const name of names) {
      path.push(name);
      const index = this.#elements.get(path.join("\n"));
      if (index !== undefined) path.push(index);
    }
    return path;
  }

  #pair(table: KeyPath): void {
    const line = this.#line;
    const path = [...table, ...this.#keys("=")];
    for (let length = table.length + 1; length <= path.length; length++) this.#note(path.slice(0, length), line);
    this.#at++;
    this.#skipSpace();
    this.#value(path);
  }

  /** Dotted keys up to (not including) the end character. */
  #keys(end: string): string[] {
    const names: string[] = [];
    for (;;) {
      this.#skipSpace();
      const c = this.#text[this.#at];
      if (c === undefined || c === "\n" || c === end) return names;
      if (c === '"' || c === "'") names.push(this.#string());
      else if (c === ".") this.#at++;
      else {
        const bare = /[^\s.=\]]+/y;
        bare.lastIndex = this.#at;
        const name = bare.exec(this.#text)?.[0] ?? c;
        names.push(name);
        this.#at += name.length;
      }
    }
  }

  #value(path: KeyPath): void {
    const c = this.#text[this.#at];
    if (c === '"' || c === "'") this.#string();
    else if (c === "[") this.#list(path);
    else if (c === "{") this.#inlineTable(path);
    else while (this.#at < this.#text.length && !/[\n,\]}#]/.test(this.#text[this.#at] as string)) this.#at++;
  }

  #list(path: KeyPath): void {
    this.#at++;
    for (let index = 0; ; ) {
      this.#skipBlank();
      const c = this.#text[this.#at];
      if (c === undefined) return;
      if (c === "]") {
        this.#at++;
        return;
      }
      if (c === ",") {
        this.#at++;
        index++;
        continue;
      }
      this.#note([...path, index], this.#line);
      this.#value([...path, index]);
    }
  }

  #inlineTable(path: KeyPath): void {
    this.#at++;
    for (;;) {
      this.#skipBlank();
      const c = this.#text[this.#at];
      if (c === undefined) return;
      if (c === "}") {
        this.#at++;
        return;
      }
      if (c === ",") this.#at++;
      else this.#pair(path);
    }
  }

  /** Skips a string of any of the four kinds and returns its raw contents. */
  #string(): string {
    const quote = this.#text[this.#at] as string;
    const long = this.#text.startsWith(quote.repeat(3), this.#at);
    const fence = long ? quote.repeat(3) : quote;
    this.#at += fence.length;
    const start = this.#at;
    while (this.#at < this.#text.length && !this.#text.startsWith(fence, this.#at)) {
      if (quote === '"' && this.#text[this.#at] === "\\") this.#advance();
      this.#advance();
    }
    const contents = this.#text.slice(start, this.#at);
    this.#at += fence.length;
    // A long string may end in up to two quotes of its own before the fence.
    while (long && this.#text[this.#at] === quote) this.#at++;
    return contents;
  }

  #advance(): void {
    if (this.#text[this.#at] === "\n") this.#line++;
    this.#at++;
  }

  #skipSpace(): void {
    while (this.#text[this.#at] === " " || this.#text[this.#at] === "\t") this.#at++;
  }

  #skipComment(): void {
    while (this.#at < this.#text.length && this.#text[this.#at] !== "\n") this.#at++;
  }

  /** White space, line ends and comments: what may stand between the elements of a list. */
  #skipBlank(): void {
    for (;;) {
      const c = this.#text[this.#at];
      if (c === "#") this.#skipComment();
      else if (c !== undefined && /\s/.test(c)) this.#advance();
      else return;
    }
  }
}
