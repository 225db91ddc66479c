// IP addresses between text and the engine's form: 16 octets in network order, IPv4 as ::ffff:a.b.c.d, all zero = none.
import { isIPv4, isIPv6 } from "node:net";

const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** Text of 16 octets: dotted for IPv4, RFC 5952 for IPv6, "" for none. */
export function formatAddress(octets: Uint8Array): string {
  if (octets.every((octet) => octet === 0)) return "";
  if (MAPPED_PREFIX.every((octet, index) => octets[index] === octet)) return octets.subarray(12, 16).join(".");
  const groups = Array.from(
    { length: 8 },
    (_, index) => ((octets[index * 2] ?? 0) << 8) | (octets[index * 2 + 1] ?? 0),
  );
  const { start, length } = longestZeroRun(groups);
  const text = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  if (length < 2) return text(groups);
  return `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`;
}

/** RFC 5952 §4.2: the longest run of zero groups is shortened, the first of equal ones, never a single one. */
function longestZeroRun(groups: number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, index) => {
    if (group !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  });
  return best;
}

/** The 16 octets of an address in text; none for null. Throws if the text is no address. */
export function parseAddress(text: string | null): Uint8Array {
  if (text === null) return new Uint8Array(16);
  if (isIPv4(text)) return Uint8Array.from([...MAPPED_PREFIX, ...text.split(".").map(Number)]);
  if (!isIPv6(text) || text.includes("%")) throw new Error(`"${text}" is no IP address`);
  return Uint8Array.from(groupsOf(text).flatMap((group) => [group >> 8, group & 0xff]));
}

function groupsOf(text: string): number[] {
  const [head = "", tail] = text.split("::");
  const parse = (part: string): number[] =>
    part === ""
      ? []
      : part.split(":").flatMap((word) => (word.includes(".") ? dotted(word) : [Number.parseInt(word, 16)]));
  const left = parse(head);
  if (tail === undefined) return left;
  const right = parse(tail);
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
}

function dotted(word: string): number[] {
  const [a = 0, b = 0, c = 0, d = 0] = word.split(".").map(Number);
  return [(a << 8) | b, (c << 8) | d];
}
