// Options between the words of a script and the octets of a packet, in both directions.

import * as p from "../packet.ts";
import { type End, Numbers, other, type Place } from "./numbers.ts";
import { DEFAULTS, type OptionSeen, type OptionSpec } from "./option-words.ts";

const hex = (octets: Uint8Array): string => Buffer.from(octets).toString("hex");
const octets = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));

/** Where an option stands: whose packet, on which place, with what payload. */
export interface Around {
  numbers: Numbers;
  place: Place;
  inbound: boolean;
  payload: Uint8Array;
  fail: (message: string) => never;
}

/** A, B … H of the octet behind MP_CAPABLE's version. */
const letters = (bits: number): string => [..."ABCDEFGH"].filter((_, i) => bits & (0x80 >> i)).join("");
const bitsOf = (text: string): number =>
  [...text].reduce((bits, letter) => bits | (0x80 >> "ABCDEFGH".indexOf(letter)), 0);

/** What `option` of a packet says, in the numbers of a script. */
export function seen(option: p.Option, around: Around): OptionSeen {
  const { word, fields } = described(option, around);
  return {
    word,
    fields: new Map(Object.entries(fields).filter(([, value]) => value !== undefined)) as OptionSeen["fields"],
  };
}

type Described = { word: string; fields: Record<string, bigint | string | undefined> };
const flag = (is: boolean | undefined): bigint | undefined => (is ? 1n : undefined);
const number = (value: number | undefined): bigint | undefined => (value === undefined ? undefined : BigInt(value));

function described(option: p.Option, around: Around): Described {
  const { numbers, place } = around;
  const acknowledged = other(Numbers.sender(place, around.inbound));
  switch (option.kind) {
    case "mss":
      return { word: "mss", fields: { mss: number(option.mss) } };
    case "ws":
      return { word: "wscale", fields: { wscale: number(option.shift) } };
    case "sack": {
      const block = (edges: [number, number]) =>
        edges.map((edge) => numbers.relative(place, acknowledged, edge)).join(":");
      return { word: "sack", fields: { blocks: option.blocks.map(block).join(" ") } };
    }
    case "ts":
      return { word: "TS", fields: { val: number(option.value), ecr: number(option.echo) } };
    case "tfo":
      return { word: option.experimental ? "FOEXP" : "FO", fields: { cookie: hex(option.cookie) } };
    case "raw":
      return { word: "raw", fields: { octets: hex(option.bytes) } };
    case "sackOk":
    case "nop":
    case "eol":
      return { word: option.kind === "sackOk" ? "sackOK" : option.kind, fields: {} };
    default:
      return describedMptcp(option, around);
  }
}

function describedMptcp(option: p.MptcpOption, around: Around): Described {
  const end = Numbers.sender(around.place, around.inbound);
  switch (option.kind) {
    case "mpCapable": {
      const { version, flags, senderKey, receiverKey, dataLength, checksum } = option;
      const keys = { sender: senderKey, receiver: receiverKey };
      const data = { mpcdatalen: number(dataLength), cs: number(checksum) };
      return { word: "mpcapable", fields: { version: number(version), flags: letters(flags), ...keys, ...data } };
    }
    case "mpJoin": {
      const hmac = option.hmac && hex(option.hmac);
      if (option.form === "ack") return { word: "mp_join_ack", fields: { hmac } };
      const both = { backup: number(option.backup ? 1 : 0), address_id: number(option.addressId) };
      const rand = number(option.nonce);
      if (option.form === "synack") return { word: "mp_join_syn_ack", fields: { ...both, hmac, rand } };
      return { word: "mp_join_syn", fields: { ...both, token: number(option.token), rand } };
    }
    case "dss":
      return { word: "dss", fields: describedDss(option, end, around.numbers) };
    case "addAddr": {
      const { id, address, port, hmac, echo } = option;
      const of = { address_id: number(id), addr: address, port: number(port) };
      return { word: "add_address", fields: { ...of, hmac: hmac && hex(hmac), echo: flag(echo) } };
    }
    case "removeAddr":
      return { word: "remove_address", fields: { address_id: option.ids.join(",") } };
    case "mpPrio":
      return { word: "mp_prio", fields: { backup: number(option.backup ? 1 : 0) } };
    case "mpFail":
      return { word: "mp_fail", fields: { dsn8: around.numbers.dataRelative(other(end), option.dsn, 8) } };
    case "mpFastclose":
      return { word: "mp_fastclose", fields: { key: option.key } };
    case "mpTcprst":
      return { word: "mp_reset", fields: { reason: number(option.reason), transient: flag(option.transient) } };
  }
}

function describedDss(dss: p.Dss, end: End, numbers: Numbers): Described["fields"] {
  const data = (whose: End, value: bigint | undefined, octets: 4 | 8, wanted: 4 | 8) =>
    value === undefined || octets !== wanted ? undefined : numbers.dataRelative(whose, value, octets);
  const { dan, danOctets = 4, dsn, dsnOctets = 4 } = dss;
  return {
    dack4: data(other(end), dan, danOctets, 4),
    dack8: data(other(end), dan, danOctets, 8),
    dsn4: data(end, dsn, dsnOctets, 4),
    dsn8: data(end, dsn, dsnOctets, 8),
    ssn: number(dss.ssn),
    dll: number(dss.length),
    cs: number(dss.checksum),
    FIN: flag(dss.fin),
  };
}

/** What a script says of a field, in the form of `seen`; a name without a value takes what `got` is. */
export function expectedField(name: string, spec: OptionSpec, got: bigint | string | undefined, around: Around) {
  const value = spec.fields.get(name);
  const { numbers } = around;
  if (value === undefined) return DEFAULTS[name];
  if (value.is === "any") return got;
  if (value.is === "text") return value.text;
  if (value.is === "old") return around.place.proof;
  if (value.is === "auto") return automatic(name, spec, false, around);
  if (value.is === "wrong") return automatic(name, spec, true, around);
  if (value.is === "token") return numbers.token(variable(value.of, undefined, around));
  if (value.is === "number") return value.value;
  if (typeof got === "bigint" && !numbers.variables.has(value.name))
    numbers.variables.set(value.name, value.value ?? got);
  return variable(value.name, value.value, around);
}

function variable(name: string, value: bigint | undefined, around: Around): bigint {
  if (value !== undefined) around.numbers.variables.set(name, value);
  return around.numbers.variables.get(name) ?? around.fail(`nothing is known of "${name}" yet: give it a value`);
}

/** `auto` and `wrong`: an HMAC, in hexadecimal, or a DSS checksum. */
function automatic(name: string, spec: OptionSpec, wrong: boolean, around: Around): bigint | string {
  const end = Numbers.sender(around.place, around.inbound);
  const field = (of: string): bigint | undefined => {
    const value = spec.fields.get(of);
    if (value?.is === "number") return value.value;
    return value?.is === "name" ? variable(value.name, value.value, around) : undefined;
  };
  if (name === "cs") return dssSum(field, wrong, end, around);
  if (name !== "hmac") return around.fail(`${spec.word}: "auto" and "wrong" are for hmac and cs, not for ${name}`);
  const address = spec.fields.get("addr");
  const id = field("address_id") ?? 0n;
  const port = field("port") ?? 0n;
  const of = { word: spec.word, id, port, address: address?.is === "text" ? address.text : "" };
  const proof = around.numbers.hmac(around.place, end, of);
  return wrong ? proof.slice(0, -1) + (Number.parseInt(proof.slice(-1), 16) ^ 1).toString(16) : proof;
}

function dssSum(field: (of: string) => bigint | undefined, wrong: boolean, end: End, around: Around): bigint {
  const dsn = around.numbers.dataAbsolute(end, field("dsn4") ?? field("dsn8") ?? 1n);
  const [ssn, length] = [Number(field("ssn") ?? 1n), Number(field("dll") ?? field("mpcdatalen") ?? 0n)];
  return BigInt(p.dssChecksum(dsn, ssn, length, around.payload) ^ (wrong ? 1 : 0));
}

/** The option that a script wants to come in. */
export function build(spec: OptionSpec, around: Around): p.Option {
  const said = (name: string): bigint | string | undefined => {
    if (spec.fields.get(name)?.is === "any") around.fail(`"any" is for what leaves; say what comes in`);
    return expectedField(name, spec, undefined, around);
  };
  const int = (name: string): number => Number(said(name) ?? around.fail(`${spec.word}: ${name} is missing`));
  const maybe = (name: string): number | undefined => (spec.fields.has(name) ? int(name) : undefined);
  const text = (name: string): string => String(said(name) ?? around.fail(`${spec.word}: ${name} is missing`));
  const { numbers, place } = around;
  const acknowledged = other(Numbers.sender(place, around.inbound));
  switch (spec.word) {
    case "mss":
      return p.mss(int("mss"));
    case "wscale":
      return p.ws(int("wscale"));
    case "sackOK":
      return p.sackOk;
    case "eol":
      return p.eol;
    case "sack": {
      const edge = (of: string) => numbers.absolute(place, acknowledged, Number(of));
      return p.sack(
        ...text("blocks")
          .split(" ")
          .map((block) => block.split(":").map(edge) as [number, number]),
      );
    }
    case "TS":
      return p.ts(int("val"), int("ecr"));
    case "FO":
    case "FOEXP":
      return p.tfo(octets(text("cookie")), spec.word === "FOEXP");
    case "raw":
      return p.raw(...octets(text("octets")));
    default:
      return buildMptcp(spec, around, { said, int, maybe, text });
  }
}

interface Said {
  said: (name: string) => bigint | string | undefined;
  int: (name: string) => number;
  maybe: (name: string) => number | undefined;
  text: (name: string) => string;
}

/** Only the fields that are there. */
function present<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

function buildMptcp(spec: OptionSpec, around: Around, { said, int, maybe, text }: Said): p.Option {
  const end = Numbers.sender(around.place, around.inbound);
  switch (spec.word) {
    case "mpcapable":
      return present<p.MpCapable>({
        kind: "mpCapable",
        version: int("version"),
        flags: bitsOf(text("flags")),
        senderKey: said("sender") as bigint | undefined,
        receiverKey: said("receiver") as bigint | undefined,
        dataLength: maybe("mpcdatalen"),
        checksum: maybe("cs"),
      });
    case "mp_join_syn":
      return p.joinSyn(int("token"), int("rand"), int("address_id"), int("backup") === 1);
    case "mp_join_syn_ack": {
      const rand = int("rand");
      if (around.place.join) around.place.join.nonceB = rand; // the HMAC covers it
      return p.joinSynAck(octets(text("hmac")), rand, int("address_id"), int("backup") === 1);
    }
    case "mp_join_ack":
      return p.joinAck(octets(text("hmac")));
    case "dss":
      return buildDss(spec, around, int, maybe);
    case "add_address": {
      const hmac = spec.fields.has("hmac") ? octets(text("hmac")) : undefined;
      return p.addAddr(present({ id: int("address_id"), address: text("addr"), port: maybe("port"), hmac }));
    }
    case "remove_address":
      return p.removeAddr(...text("address_id").split(",").map(Number));
    case "mp_prio":
      return p.mpPrio(int("backup") === 1);
    case "mp_fail":
      return p.mpFail(around.numbers.dataAbsolute(other(end), BigInt(int("dsn8"))));
    case "mp_fastclose":
      return p.mpFastclose(said("key") as bigint);
    default:
      return p.mpTcprst(int("reason"), spec.fields.has("transient"));
  }
}

function buildDss(spec: OptionSpec, around: Around, int: Said["int"], maybe: Said["maybe"]): p.Dss {
  const end = Numbers.sender(around.place, around.inbound);
  const octetsOf = (name: string): 4 | 8 => (spec.fields.has(`${name}8`) ? 8 : 4);
  const data = (name: string, whose: End): bigint | undefined => {
    const field = `${name}${octetsOf(name)}`;
    return spec.fields.has(field) ? around.numbers.dataAbsolute(whose, BigInt(int(field))) : undefined;
  };
  const dan = data("dack", other(end));
  const dsn = data("dsn", end);
  return present<p.Dss>({
    kind: "dss",
    dan,
    danOctets: dan === undefined ? undefined : octetsOf("dack"),
    dsn,
    dsnOctets: dsn === undefined ? undefined : octetsOf("dsn"),
    ssn: maybe("ssn"),
    length: maybe("dll"),
    checksum: maybe("cs"),
    fin: spec.fields.has("FIN") ? true : undefined,
  });
}
