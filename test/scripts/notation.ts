// Packet scripts, read: packetdrill's notation with the words of multipath-tcp/packetdrill, and one word more per
// line, since a proxy has two sides. docs/TESTING.md shows it by example.
//
//     +.01  host < P. 1:101(100) ack 1
//     +0    wire > P. 1:101(100) ack 1 <dss dack4=1 dsn4=1 ssn=1 dll=100 nocs>

import { type OptionSpec, parseOptionSpec } from "./option-words.ts";

/** What is wrong with a script or with what it met; the message begins with file:line. */
export class ScriptError extends Error {}

/** When a line happens, in µs: since the beginning, or since the line before. */
export interface Time {
  relative: boolean;
  us: number;
}

export interface SegmentSpec {
  /** Letters in the order FSRPAUEC, as in a Packet. */
  flags: string;
  seq: number;
  length: number;
  ack: number | undefined;
  win: number | undefined;
  urgent: number | undefined;
  /** "any": whatever they are. */
  options: OptionSpec[] | "any";
  /** gso, probe, corrupt. */
  words: Set<string>;
}

export type Deed =
  | { kind: "segment"; place: string; inbound: boolean; segment: SegmentSpec }
  | { kind: "icmp"; place: string; error: string; mtu: number; quotes: number }
  | { kind: "nothing"; place: string }
  | { kind: "event"; name: string; reason: string | undefined }
  | { kind: "words"; words: string[] };

export interface Line {
  file: string;
  line: number;
  /** As written, spaces made one. */
  text: string;
  /** undefined: set-up, before the beginning. */
  at: Time | undefined;
  deed: Deed;
}

const FLAG_LETTERS = "FSRPAUEC";
const WORDS = new Set(["gso", "probe", "corrupt"]);
const COMMANDS = new Set(["path", "prefer", "handover", "subflow", "shutdown"]);
const SETUP = new Set(["shows", "use", "config", "flow", "isn", "tolerance", "path", "prefer"]);

/** The lines of a script; `file` names it in errors. */
export function parseScript(text: string, file: string): Line[] {
  return joinedLines(text).map(({ line, text: written }) => {
    const words = new Words(written, file, line);
    const at = /^[+\d.]/.test(words.peek()) ? time(words) : undefined;
    return { file, line, text: written.replace(/\s+/g, " "), at, deed: deed(words, at !== undefined) };
  });
}

/** Without comments and empty lines; what stands between < and > may go over several lines. */
function joinedLines(text: string): { line: number; text: string }[] {
  const lines: { line: number; text: string }[] = [];
  let open = false;
  for (const [i, raw] of text.split("\n").entries()) {
    const written = raw.replace(/(^|\s)\/\/.*$/, "").trim();
    if (written === "") continue;
    const before = lines.at(-1);
    if (open && before) before.text += ` ${written}`;
    else lines.push({ line: i + 1, text: written });
    const options = (lines.at(-1)?.text ?? "").replace(/^\S+\s+\S+\s+[<>]\s/, "");
    open = options.includes("<") && !options.endsWith(">");
  }
  return lines;
}

/** The words of a line, one after the other. */
class Words {
  private readonly words: string[];
  private next = 0;
  private readonly where: string;
  /** What stands between < and > at the end, if it does. */
  readonly options: string | undefined;

  constructor(text: string, file: string, line: number) {
    this.where = `${file}:${line}`;
    const [, head = text, options] = /^((?:\S+\s+){3}[^<]*?)\s*<(.*)>$/.exec(text) ?? [];
    this.words = head.split(/\s+/);
    this.options = options;
  }

  fail(message: string): never {
    throw new ScriptError(`${this.where}: ${message}`);
  }

  peek(): string {
    return this.words[this.next] ?? "";
  }

  /** The next word, which must match; `what` says what it should have been. */
  take(pattern: RegExp, what: string): RegExpExecArray {
    const word = this.peek();
    const found = pattern.exec(word);
    if (!found) this.fail(`expected ${what}, found ${word === "" ? "the end of the line" : `"${word}"`}`);
    this.next++;
    return found;
  }

  rest(): string[] {
    return this.words.slice(this.next);
  }

  end(): void {
    if (this.rest().length > 0) this.fail(`expected the end of the line, found "${this.peek()}"`);
  }
}

function time(words: Words): Time {
  const [, plus, seconds] = words.take(/^(\+?)(\d*\.?\d+)$/, "a time in seconds, such as +0.01");
  return { relative: plus === "+", us: Math.round(Number(seconds) * 1e6) };
}

function deed(words: Words, timed: boolean): Deed {
  const first = words.peek();
  if (timed && first === "event") return event(words);
  const known = timed ? COMMANDS : SETUP;
  if (known.has(first)) return { kind: "words", words: words.rest() };
  if (!timed) words.fail(`expected a time or one of ${[...SETUP].join(", ")}, found "${first}"`);
  const [place] = words.take(/^[a-z][a-z0-9]*$/, `"host", a subflow, "event" or one of ${[...COMMANDS].join(", ")}`);
  const [direction] = words.take(/^[<>]$/, `"<" (into the engine) or ">" (out of it)`);
  return packet(words, place, direction === "<");
}

function event(words: Words): Deed {
  words.take(/^event$/, "event");
  const [name] = words.take(/^[A-Z_]+$/, "the name of an event, such as COMMAND_DONE");
  const reason = words.rest().length > 0 ? words.take(/^[A-Z_]+$/, "a reason, such as PEER_OPENS")[0] : undefined;
  words.end();
  return { kind: "event", name, reason };
}

function packet(words: Words, place: string, inbound: boolean): Deed {
  if (!inbound && words.peek() === "nothing") {
    words.take(/./, "nothing");
    words.end();
    return { kind: "nothing", place };
  }
  if (!inbound && words.peek().startsWith("[")) return icmp(words, place);
  return { kind: "segment", place, inbound, segment: segment(words, inbound) };
}

/** `[1001] icmp too_big mtu 1475`: the error and the number that it quotes. */
function icmp(words: Words, place: string): Deed {
  const [, quotes] = words.take(/^\[(\d+)\]$/, "the number that is quoted, such as [1001]");
  words.take(/^icmp$/, "icmp");
  const [error] = words.take(/^(too_big|unreachable)$/, `"too_big" or "unreachable"`);
  const mtu = error === "too_big" ? numberAfter(words, "mtu") : 0;
  words.end();
  return { kind: "icmp", place, error, mtu: mtu ?? words.fail(`expected "mtu"`), quotes: Number(quotes) };
}

function segment(words: Words, inbound: boolean): SegmentSpec {
  const [letters] = words.take(/^([SFRPUEC.]+|-)$/, "flags out of S F R P U E C and . for ACK, or - for none");
  const set = new Set(letters.replace(".", "A"));
  const flags = [...FLAG_LETTERS].filter((letter) => set.has(letter)).join("");
  const [numbers, seq, end, octets] = words.take(/^(-?\d+):(-?\d+)\((\d+)\)$/, "numbers such as 1:101(100)");
  if (Number(end) - Number(seq) !== Number(octets)) {
    words.fail(`${numbers}: from ${seq} to ${end} there are ${Number(end) - Number(seq)} octets`);
  }
  const ack = numberAfter(words, "ack");
  const carriesAck = flags.includes("A");
  if (carriesAck !== (ack !== undefined)) words.fail(carriesAck ? `expected "ack" and a number` : `"ack" without "."`);
  const win = numberAfter(words, "win");
  const urgent = numberAfter(words, "urg");
  const said = new Set(words.rest());
  for (const word of said) {
    if (!WORDS.has(word)) words.fail(`expected ack, win, urg, ${[...WORDS].join(", ")} or <options>, found "${word}"`);
  }
  const numbersSaid = { seq: Number(seq), length: Number(octets), ack, win, urgent };
  return { flags, ...numbersSaid, words: said, options: options(words, inbound) };
}

function numberAfter(words: Words, name: string): number | undefined {
  if (words.peek() !== name) return undefined;
  words.take(/./, name);
  return Number(words.take(/^-?\d+$/, `a number after "${name}"`)[0]);
}

function options(words: Words, inbound: boolean): SegmentSpec["options"] {
  const text = words.options?.trim();
  if (text === undefined) return [];
  if (text === "...") return inbound ? words.fail(`<...> is for what leaves; say what comes in`) : "any";
  return text
    .split(/,(?![^[]*\])/)
    .map((option) => option.trim())
    .filter((option) => option !== "nop" && option !== "")
    .map((option) => parseOptionSpec(option, (message) => words.fail(message)));
}
