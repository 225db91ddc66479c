// TCP options for tests, both ways: typed values to octets, octets to typed values. Written from the RFCs
// and without a look at assembly/wire/, so that the two can be held against each other.

/** One TCP option. Keys, 64-bit numbers and data-level numbers are bigint, whatever their width on the wire. */
export type Option =
  | { kind: "nop" | "eol" | "sackOk" }
  | { kind: "mss"; mss: number }
  | { kind: "ws"; shift: number }
  | { kind: "sack"; blocks: [left: number, right: number][] }
  | { kind: "ts"; value: number; echo: number }
  | { kind: "tfo"; cookie: Uint8Array; experimental?: boolean }
  | MptcpOption
  | { kind: "raw"; bytes: Uint8Array };

export type MptcpOption =
  | MpCapable
  | MpJoin
  | Dss
  | AddAddr
  | { kind: "removeAddr"; ids: number[] }
  | { kind: "mpPrio"; backup: boolean }
  | { kind: "mpFail"; dsn: bigint }
  | { kind: "mpFastclose"; key: bigint }
  | { kind: "mpTcprst"; transient: boolean; reason: number };

/** SYN: no key; SYN/ACK: senderKey; ACK: both keys; with payload: dataLength, too. */
export interface MpCapable {
  kind: "mpCapable";
  version: number;
  /** The octet of A…H; 0x01 is HMAC-SHA256. */
  flags: number;
  senderKey?: bigint;
  receiverKey?: bigint;
  dataLength?: number;
  checksum?: number;
}

export interface MpJoin {
  kind: "mpJoin";
  form: "syn" | "synack" | "ack";
  backup: boolean;
  addressId: number;
  token?: number;
  nonce?: number;
  /** 8 octets in a SYN/ACK, 20 in an ACK. */
  hmac?: Uint8Array;
}

export interface Dss {
  kind: "dss";
  dan?: bigint;
  danOctets?: 4 | 8;
  dsn?: bigint;
  dsnOctets?: 4 | 8;
  ssn?: number;
  length?: number;
  checksum?: number;
  fin?: boolean;
}

export interface AddAddr {
  kind: "addAddr";
  echo: boolean;
  id: number;
  address: string;
  port?: number;
  hmac?: Uint8Array;
}

// --- constructors: what tests write -----------------------------------------------------------------

export const nop: Option = { kind: "nop" };
export const eol: Option = { kind: "eol" };
export const sackOk: Option = { kind: "sackOk" };
export const mss = (value: number): Option => ({ kind: "mss", mss: value });
export const ws = (shift: number): Option => ({ kind: "ws", shift });
export const sack = (...blocks: [number, number][]): Option => ({ kind: "sack", blocks });
export const ts = (value: number, echo = 0): Option => ({ kind: "ts", value, echo });
export const tfo = (cookie = new Uint8Array(0), experimental = false): Option => ({
  kind: "tfo",
  cookie,
  experimental,
});
export const raw = (...octets: number[]): Option => ({ kind: "raw", bytes: Uint8Array.from(octets) });

/** A of MP_CAPABLE's flags: checksums are demanded (RFC 8684 §3.1). */
export const CAPABLE_CHECKSUM = 0x80;
export const capableSyn = (flags = 1, version = 1): MpCapable => ({ kind: "mpCapable", version, flags });
export const capableSynAck = (senderKey: bigint, flags = 1): MpCapable => ({ ...capableSyn(flags), senderKey });
export const capableAck = (senderKey: bigint, receiverKey: bigint, flags = 1): MpCapable => ({
  ...capableSyn(flags),
  senderKey,
  receiverKey,
});
export const capableData = (senderKey: bigint, receiverKey: bigint, dataLength: number, flags = 1): MpCapable => ({
  ...capableAck(senderKey, receiverKey, flags),
  dataLength,
});
export const joinSyn = (token: number, nonce: number, addressId = 1, backup = false): MpJoin => ({
  kind: "mpJoin",
  form: "syn",
  backup,
  addressId,
  token,
  nonce,
});
export const joinSynAck = (hmac: Uint8Array, nonce: number, addressId = 0, backup = false): MpJoin => ({
  kind: "mpJoin",
  form: "synack",
  backup,
  addressId,
  nonce,
  hmac,
});
export const joinAck = (hmac: Uint8Array): MpJoin => ({
  kind: "mpJoin",
  form: "ack",
  backup: false,
  addressId: 0,
  hmac,
});
export const dss = (fields: Omit<Dss, "kind">): Dss => ({ kind: "dss", ...fields });
export const addAddr = (fields: { id: number; address: string; port?: number; hmac?: Uint8Array }): AddAddr => ({
  kind: "addAddr",
  echo: fields.hmac === undefined,
  ...fields,
});
export const removeAddr = (...ids: number[]): MptcpOption => ({ kind: "removeAddr", ids });
export const mpPrio = (backup: boolean): MptcpOption => ({ kind: "mpPrio", backup });
export const mpFail = (dsn: bigint): MptcpOption => ({ kind: "mpFail", dsn });
export const mpFastclose = (key: bigint): MptcpOption => ({ kind: "mpFastclose", key });
export const mpTcprst = (reason: number, transient = false): MptcpOption => ({ kind: "mpTcprst", transient, reason });

// --- addresses ----------------------------------------------------------------------------------------

/** 4 or 16 octets of an address in text. */
export function addressOctets(text: string): number[] {
  if (!text.includes(":")) return text.split(".").map(Number);
  const [left = "", right] = text.split("::");
  const words = (part: string) => (part === "" ? [] : part.split(":").map((word) => Number.parseInt(word, 16)));
  const head = words(left);
  const tail = right === undefined ? [] : words(right);
  const zeros = new Array<number>(8 - head.length - tail.length).fill(0);
  return [...head, ...zeros, ...tail].flatMap((word) => [word >> 8, word & 0xff]);
}

/** 16 octets, IPv4 as ::ffff:a.b.c.d: how the engine stores addresses. */
export function mappedAddress(text: string): Uint8Array {
  const octets = addressOctets(text);
  return Uint8Array.from(octets.length === 16 ? octets : [...new Array<number>(10).fill(0), 0xff, 0xff, ...octets]);
}

/** Text of 4 or 16 octets, the longest run of zeros shortened as in RFC 5952. */
export function addressText(octets: Uint8Array): string {
  if (octets.length === 4) return `${octets[0]}.${octets[1]}.${octets[2]}.${octets[3]}`;
  const words = Array.from({ length: 8 }, (_, i) => ((octets[2 * i] ?? 0) << 8) | (octets[2 * i + 1] ?? 0));
  const text = words.map((word) => word.toString(16)).join(":");
  const runs = text.match(/(?<![0-9a-f])0(:0)+(?![0-9a-f])/g) ?? [];
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), "");
  if (longest === "") return text;
  const at = text.search(new RegExp(`(?<![0-9a-f])${longest}(?![0-9a-f])`));
  const before = text.slice(0, at).replace(/:$/, "");
  const after = text.slice(at + longest.length).replace(/^:/, "");
  return `${before}::${after}`;
}

// --- encoding -----------------------------------------------------------------------------------------

export const be16 = (n: number): number[] => [(n >>> 8) & 0xff, n & 0xff];
export const be32 = (n: number): number[] => [...be16(n >>> 16), ...be16(n & 0xffff)];
export const be64 = (n: bigint): number[] => [
  ...be32(Number((n >> 32n) & 0xffffffffn)),
  ...be32(Number(n & 0xffffffffn)),
];

/** Octets of a list of options, filled up with NOPs to a multiple of 4. */
export function encodeOptions(options: Option[]): number[] {
  const octets = options.flatMap(encodeOption);
  while (octets.length % 4 !== 0) octets.push(1);
  return octets;
}

function encodeOption(option: Option): number[] {
  switch (option.kind) {
    case "eol":
      return [0];
    case "nop":
      return [1];
    case "mss":
      return [2, 4, ...be16(option.mss)];
    case "ws":
      return [3, 3, option.shift];
    case "sackOk":
      return [4, 2];
    case "sack":
      return [5, 2 + 8 * option.blocks.length, ...option.blocks.flatMap(([l, r]) => [...be32(l), ...be32(r)])];
    case "ts":
      return [8, 10, ...be32(option.value), ...be32(option.echo)];
    case "tfo":
      if (option.experimental) return [254, 4 + option.cookie.length, 0xf9, 0x89, ...option.cookie];
      return [34, 2 + option.cookie.length, ...option.cookie];
    case "raw":
      return [...option.bytes];
    default: {
      const body = encodeMptcp(option);
      return [30, body.length + 2, ...body];
    }
  }
}

/** From the octet with the subtype on. */
function encodeMptcp(option: MptcpOption): number[] {
  switch (option.kind) {
    case "mpCapable":
      return [
        option.version,
        option.flags,
        ...(option.senderKey === undefined ? [] : be64(option.senderKey)),
        ...(option.receiverKey === undefined ? [] : be64(option.receiverKey)),
        ...(option.dataLength === undefined ? [] : be16(option.dataLength)),
        ...(option.checksum === undefined ? [] : be16(option.checksum)),
      ];
    case "mpJoin": {
      const head = [0x10 | (option.backup ? 1 : 0), option.addressId];
      if (option.form === "syn") return [...head, ...be32(option.token ?? 0), ...be32(option.nonce ?? 0)];
      if (option.form === "synack") return [...head, ...(option.hmac ?? []), ...be32(option.nonce ?? 0)];
      return [...head, ...(option.hmac ?? [])];
    }
    case "dss":
      return encodeDss(option);
    case "addAddr":
      return [
        0x30 | (option.echo ? 1 : 0),
        option.id,
        ...addressOctets(option.address),
        ...(option.port === undefined ? [] : be16(option.port)),
        ...(option.echo ? [] : (option.hmac ?? [])),
      ];
    case "removeAddr":
      return [0x40, ...option.ids];
    case "mpPrio":
      return [0x50 | (option.backup ? 1 : 0)];
    case "mpFail":
      return [0x60, 0, ...be64(option.dsn)];
    case "mpFastclose":
      return [0x70, 0, ...be64(option.key)];
    case "mpTcprst":
      return [0x80 | (option.transient ? 1 : 0), option.reason];
  }
}

function encodeDss(option: Dss): number[] {
  const number = (value: bigint, octets: 4 | 8) =>
    octets === 8 ? be64(value) : be32(Number(BigInt.asUintN(32, value)));
  const { dan, danOctets = 4, dsn, dsnOctets = 4 } = option;
  let flags = option.fin ? 0x10 : 0;
  if (dan !== undefined) flags |= danOctets === 8 ? 3 : 1;
  if (dsn !== undefined) flags |= dsnOctets === 8 ? 12 : 4;
  const octets = [0x20, flags];
  if (dan !== undefined) octets.push(...number(dan, danOctets));
  if (dsn !== undefined) {
    octets.push(...number(dsn, dsnOctets), ...be32(option.ssn ?? 0), ...be16(option.length ?? 0));
  }
  if (option.checksum !== undefined) octets.push(...be16(option.checksum));
  return octets;
}
