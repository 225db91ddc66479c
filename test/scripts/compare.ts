// A packet beside the one that a script expects, field by field.

import { type Packet, payloadPattern } from "../packet.ts";
import type { IcmpPacket } from "../packet-icmp.ts";
import type { Deed, SegmentSpec } from "./notation.ts";
import { Numbers, other, type Place } from "./numbers.ts";
import { fieldText, writeOption } from "./option-words.ts";
import { type Around, expectedField, seen } from "./options.ts";

export interface Row {
  field: string;
  expected: string;
  got: string;
  same: boolean;
}

/** A packet that left the engine and that no line of the script has taken yet. */
export interface Left {
  place: Place;
  /** µs since the beginning. */
  atUs: number;
  packet: Packet;
  /** A super-packet: its TCP checksum is the kernel's to fill in. */
  gso: boolean;
}

const NONE = "-";
const row = (field: string, expected: string, got: string): Row => ({ field, expected, got, same: expected === got });
/** S. as packetdrill has it. */
export const flagText = (flags: string): string => (flags === "" ? "-" : flags.replace("A", "."));

/** The rows of a segment. Numbers and names are learnt from it first, so that a script can name what it sees. */
export function compareSegment(spec: SegmentSpec, left: Left, numbers: Numbers, fail: Around["fail"]): Row[] {
  const { place, packet } = left;
  numbers.learn(place, false, packet, packet.flags.includes("S") && spec.seq === 0);
  const end = Numbers.sender(place, false);
  const seq = numbers.relative(place, end, packet.seq);
  const ack = numbers.relative(place, other(end), packet.ack);
  const rows = [
    row("flags", flagText(spec.flags), flagText(packet.flags)),
    row("seq", String(spec.seq), String(seq)),
    row("octets", String(spec.length), String(packet.payload.length)),
    row("ack", String(spec.ack ?? NONE), packet.flags.includes("A") ? String(ack) : NONE),
  ];
  if (spec.win !== undefined) rows.push(row("win", String(spec.win), String(packet.win)));
  rows.push(row("urg", String(spec.urgent ?? 0), String(packet.urgent)));
  rows.push(row("checksums", "good", checksums(left)));
  if (spec.options !== "any") {
    rows.push(
      ...compareOptions(spec.options, { numbers, place, inbound: false, payload: packet.payload, fail }, packet),
    );
  }
  if (!spec.words.has("probe")) rows.push(payloadRow(left, numbers, seq));
  return rows;
}

function checksums({ packet, gso }: Left): string {
  if (!packet.ipChecksumValid) return "IP wrong";
  if (packet.optionsMalformed) return "options malformed";
  return packet.checksumValid || gso ? "good" : "TCP wrong";
}

function compareOptions(specs: Exclude<SegmentSpec["options"], "any">, around: Around, packet: Packet): Row[] {
  const got = packet.options.filter(({ kind }) => kind !== "nop").map((option) => seen(option, around));
  const words = (options: { word: string }[]) => options.map(({ word }) => word).join(", ") || NONE;
  const rows = [row("options", words(specs), words(got))];
  if (!rows[0]?.same) {
    return [
      ...rows,
      ...got.map((option) => row("", "", writeOption(option, around.numbers.nameOf.bind(around.numbers)))),
    ];
  }
  for (const [i, spec] of specs.entries()) {
    const fields = got[i]?.fields ?? new Map<string, bigint | string>();
    for (const name of new Set([...spec.fields.keys(), ...fields.keys()])) {
      const there = fields.get(name);
      const wanted = expectedField(name, spec, there, around);
      const text = (field: bigint | string | undefined) =>
        field === undefined ? NONE : fieldText(name, field, (key) => around.numbers.nameOf(key));
      rows.push(row(`${spec.word} ${name}`, text(wanted), text(there)));
    }
  }
  return rows;
}

/** Every octet is the one that stands at its place in the stream. */
function payloadRow({ place, packet }: Left, numbers: Numbers, seq: number): Row {
  const end = Numbers.sender(place, false);
  const wrong = packet.payload.findIndex(
    (octet, i) => octet !== payloadPattern(1, numbers.offset(place, end, seq + i))[0],
  );
  const first = numbers.offset(place, end, seq) + 1;
  const expected = packet.payload.length === 0 ? NONE : `octets ${first}:${first + packet.payload.length}`;
  return row("payload", expected, wrong === -1 ? expected : `wrong at octet ${first + wrong}`);
}

/** The rows of an ICMP error for the host. */
export function compareIcmp(
  spec: Extract<Deed, { kind: "icmp" }>,
  icmp: IcmpPacket,
  host: Place,
  numbers: Numbers,
): Row[] {
  const error = icmp.error === "too big" ? "too_big" : icmp.error;
  const quotes = numbers.relative(host, "ours", icmp.quoted.seq);
  return [
    row("icmp", spec.error, error),
    row("mtu", String(spec.mtu || NONE), String(icmp.mtu || NONE)),
    row("quotes", String(spec.quotes), String(quotes)),
    row("of", `${host.local} > ${host.remote}`, `${icmp.quoted.src} > ${icmp.quoted.dst}`),
    row("checksum", "good", icmp.checksumValid ? "good" : "wrong"),
  ];
}

/** Rows as a table, with a mark before those that differ. */
export function table(rows: Row[]): string {
  const head = { field: "", expected: "expected", got: "got", same: true };
  const width = (of: (row: Row) => string) => Math.max(...[head, ...rows].map((row) => of(row).length));
  const [first, second] = [width(({ field }) => field), width(({ expected }) => expected)];
  const line = ({ field, expected, got, same }: Row) =>
    `  ${same ? " " : "!"} ${field.padEnd(first)}  ${expected.padEnd(second)}  ${got}`.trimEnd();
  return [head, ...rows].map(line).join("\n");
}

/** A packet as a line of a script would say it, without the time. */
export function write(left: Left, numbers: Numbers): string {
  const { place, packet } = left;
  const end = Numbers.sender(place, false);
  const seq = numbers.relative(place, end, packet.seq);
  const ack = numbers.relative(place, other(end), packet.ack);
  const around: Around = { numbers, place, inbound: false, payload: packet.payload, fail: fatal };
  const options = packet.options
    .filter(({ kind }) => kind !== "nop")
    .map((option) => writeOption(seen(option, around), (key) => numbers.nameOf(key)));
  const words = [flagText(packet.flags), `${seq}:${seq + packet.payload.length}(${packet.payload.length})`];
  if (packet.flags.includes("A")) words.push(`ack ${ack}`);
  words.push(`win ${packet.win}`);
  if (options.length > 0) words.push(`<${options.join(",")}>`);
  return `${place.name} > ${words.join(" ")}`;
}

function fatal(message: string): never {
  throw new Error(message);
}
