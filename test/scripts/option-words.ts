// TCP options in the words of packet scripts: read from a script, made from a packet, written down again. Each is a
// word and a list of named fields, so that two of them can be held against each other field by field.

/** A field as a script says it. */
export type Value =
  | { is: "number"; value: bigint }
  /** A variable: its value where one is given, else what was seen first. */
  | { is: "name"; name: string; value: bigint | undefined }
  /** Leftmost 32 bits of SHA-256 of a key: its token (RFC 8684 §3.2). */
  | { is: "token"; of: string }
  /** auto: what it must be; wrong: that, with a bit turned; old: the one before; any: not looked at. */
  | { is: "auto" }
  | { is: "wrong" }
  | { is: "old" }
  | { is: "any" }
  | { is: "text"; text: string };

export interface OptionSpec {
  word: string;
  fields: Map<string, Value>;
}

/** The same of a packet: numbers relative, as in a script; octets in hexadecimal. */
export interface OptionSeen {
  word: string;
  fields: Map<string, bigint | string>;
}

/** Fields of each option: what follows its word without a name, what is named, and words that stand for themselves. */
const OPTIONS: Record<string, { first?: string[]; named?: string[]; flags?: string[] }> = {
  eol: {},
  mss: { first: ["mss"] },
  wscale: { first: ["wscale"] },
  sackOK: {},
  sack: {},
  TS: { named: ["val", "ecr"] },
  FO: { first: ["cookie"] },
  FOEXP: { first: ["cookie"] },
  raw: { first: ["octets"] },
  mpcapable: { named: ["mpcdatalen", "cs"], flags: ["nokey"] },
  mp_join_syn: { named: ["backup", "address_id", "token", "rand"] },
  mp_join_syn_ack: { named: ["backup", "address_id", "hmac", "rand"] },
  mp_join_ack: { named: ["hmac"] },
  dss: { named: ["dack4", "dack8", "dsn4", "dsn8", "ssn", "dll", "cs"], flags: ["nocs", "FIN"] },
  add_address: { named: ["address_id", "addr", "port", "hmac"], flags: ["echo"] },
  remove_address: { named: ["address_id"] },
  mp_prio: { named: ["backup"] },
  mp_fail: { named: ["dsn8"] },
  mp_fastclose: { named: ["key"] },
  mp_reset: { first: ["reason"], flags: ["transient"] },
};

/** What a field is where nothing is said of it. */
export const DEFAULTS: Record<string, bigint> = { backup: 0n, address_id: 0n };

/** Reads one option; `fail` is told what was expected. */
export function parseOptionSpec(text: string, fail: (message: string) => never): OptionSpec {
  const [word = "", ...items] = text.replace(/,\s+/g, ",").split(/\s+/);
  const known = OPTIONS[word];
  if (known === undefined) fail(`unknown option "${word}"; known are ${Object.keys(OPTIONS).join(", ")}`);
  const fields = new Map<string, Value>();
  if (word === "sack") {
    const blocks = items.every((item) => /^-?\d+:-?\d+$/.test(item)) && items.length > 0;
    if (!blocks) fail(`expected blocks such as 101:201 behind "sack"`);
    fields.set("blocks", { is: "text", text: items.join(" ") });
    return { word, fields };
  }
  const first = [...(known.first ?? [])];
  while (items.length > 0) {
    const item = items.shift() as string;
    const [, name = "", written] = /^(\w+)=(.*)$/.exec(item) ?? [];
    if (known.named?.includes(name) && written !== undefined) fields.set(name, value(written, fail));
    else if (known.named?.includes(item) && items.length > 0) fields.set(item, value(items.shift() as string, fail));
    else if (known.flags?.includes(item)) {
      if (item === "FIN" || item === "echo" || item === "transient") fields.set(item, { is: "number", value: 1n });
    } else if (word === "mpcapable" && capableItem(item, fields, fail)) continue;
    else if (first.length > 0) fields.set(first.shift() as string, value(item, fail));
    else fail(`${word}: cannot make sense of "${item}"`);
  }
  return { word, fields };
}

/** v1, flags[H], key[ours,peers]. */
function capableItem(item: string, fields: Map<string, Value>, fail: (message: string) => never): boolean {
  const [, version] = /^v(\d+)$/.exec(item) ?? [];
  if (version !== undefined) fields.set("version", { is: "number", value: BigInt(version) });
  const [, flags] = /^flags\[([A-H]*)\]$/.exec(item) ?? [];
  if (flags !== undefined) fields.set("flags", { is: "text", text: [...flags].sort().join("") });
  const [, keys] = /^key\[(.*)\]$/.exec(item) ?? [];
  const [sender, receiver] = keys?.split(",") ?? [];
  if (sender !== undefined) fields.set("sender", value(sender, fail));
  if (receiver !== undefined) fields.set("receiver", value(receiver, fail));
  return version !== undefined || flags !== undefined || keys !== undefined;
}

function value(written: string, fail: (message: string) => never): Value {
  if (/^(0x[0-9a-f]+|\d+)$/.test(written)) return { is: "number", value: BigInt(written) };
  if (/^-\d+$/.test(written)) return { is: "number", value: BigInt(written) };
  if (written === "auto" || written === "wrong" || written === "old" || written === "any") return { is: written };
  const [, of] = /^sha256_32\((\w+)\)$/.exec(written) ?? [];
  if (of !== undefined) return { is: "token", of };
  const [, name, given] = /^([a-z]\w*)(?:=(0x[0-9a-f]+|\d+))?$/.exec(written) ?? [];
  if (name !== undefined) return { is: "name", name, value: given === undefined ? undefined : BigInt(given) };
  if (/^\[[\d,]+\]$/.test(written)) return { is: "text", text: written.slice(1, -1) };
  if (/^[0-9a-f.:]+$/.test(written)) return { is: "text", text: written };
  return fail(`expected a number, a name, auto, wrong, old, any or sha256_32(name), found "${written}"`);
}

/** A field as a script would say it. */
export function fieldText(name: string, field: bigint | string, nameOf: (key: bigint) => string): string {
  if (typeof field === "string") return field;
  if (name === "sender" || name === "receiver" || name === "key") return nameOf(field);
  return name === "token" || name === "rand" || name === "cs" ? `0x${field.toString(16)}` : String(field);
}

/** An option as a script would say it; `nameOf` knows the names of keys. */
export function writeOption({ word, fields }: OptionSeen, nameOf: (key: bigint) => string): string {
  const said = new Map([...fields].map(([name, field]) => [name, fieldText(name, field, nameOf)]));
  const take = (name: string): string => {
    const field = said.get(name) ?? "";
    said.delete(name);
    return field;
  };
  const items: string[] = [];
  if (word === "sack") return `sack ${take("blocks")}`;
  if (word === "mpcapable") {
    items.push(`v${take("version")}`, `flags[${take("flags")}]`);
    const keys = [take("sender"), take("receiver")].filter((key) => key !== "");
    items.push(keys.length > 0 ? `key[${keys.join(",")}]` : "nokey");
    if (said.has("mpcdatalen")) items.push(`mpcdatalen ${take("mpcdatalen")}`);
  }
  for (const name of OPTIONS[word]?.first ?? []) items.push(take(name));
  const flags = ["FIN", "echo", "transient"].filter((name) => take(name) !== "");
  for (const [name, field] of said) {
    if (word === "remove_address") items.push(`${name}=[${field}]`);
    else if (String(DEFAULTS[name]) !== field || word === "mp_prio")
      items.push(word === "TS" ? `${name} ${field}` : `${name}=${field}`);
  }
  if (word === "dss" && said.has("dll") && !said.has("cs")) items.push("nocs");
  return [word, ...items, ...flags].join(" ");
}
