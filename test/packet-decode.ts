// Octets of TCP options back to typed values, and both to text: the reading half of packet-options.ts.

import type { Dss, MptcpOption, Option } from "./packet-options.ts";
import { addressText } from "./packet-options.ts";

const u16 = (b: Uint8Array, at: number): number => ((b[at] ?? 0) << 8) | (b[at + 1] ?? 0);
const u32 = (b: Uint8Array, at: number): number => u16(b, at) * 65536 + u16(b, at + 2);
const u64 = (b: Uint8Array, at: number): bigint => (BigInt(u32(b, at)) << 32n) | BigInt(u32(b, at + 4));

/** Options up to EOL or the first length that lies; `malformed` says which. Anything unknown is `raw`. */
export function decodeOptions(octets: Uint8Array): { options: Option[]; malformed: boolean } {
  const options: Option[] = [];
  let at = 0;
  while (at < octets.length) {
    const kind = octets[at] ?? 0;
    if (kind === 0) {
      options.push({ kind: "eol" });
      return { options, malformed: false };
    }
    if (kind === 1) {
      options.push({ kind: "nop" });
      at += 1;
      continue;
    }
    const length = octets[at + 1] ?? 0;
    if (length < 2 || at + length > octets.length) return { options, malformed: true };
    options.push(decodeOption(octets.subarray(at, at + length)));
    at += length;
  }
  return { options, malformed: false };
}

function decodeOption(b: Uint8Array): Option {
  const length = b.length;
  const kind = b[0];
  if (kind === 2 && length === 4) return { kind: "mss", mss: u16(b, 2) };
  if (kind === 3 && length === 3) return { kind: "ws", shift: b[2] ?? 0 };
  if (kind === 4 && length === 2) return { kind: "sackOk" };
  if (kind === 5 && length >= 10 && length % 8 === 2) {
    const count = (length - 2) / 8;
    const blocks = Array.from({ length: count }, (_, i): [number, number] => [u32(b, 2 + 8 * i), u32(b, 6 + 8 * i)]);
    return { kind: "sack", blocks };
  }
  if (kind === 8 && length === 10) return { kind: "ts", value: u32(b, 2), echo: u32(b, 6) };
  if (kind === 34) return { kind: "tfo", cookie: b.slice(2), experimental: false };
  if (kind === 254 && length >= 4 && u16(b, 2) === 0xf989) {
    return { kind: "tfo", cookie: b.slice(4), experimental: true };
  }
  return (kind === 30 && length > 2 && decodeMptcp(b)) || { kind: "raw", bytes: b.slice() };
}

/** undefined if the length does not fit the subtype. */
function decodeMptcp(b: Uint8Array): MptcpOption | undefined {
  const length = b.length;
  const low = (b[2] ?? 0) & 15;
  const third = b[3] ?? 0;
  switch ((b[2] ?? 0) >> 4) {
    case 0:
      if (![4, 12, 20, 22, 24].includes(length)) return undefined;
      return {
        kind: "mpCapable",
        version: low,
        flags: third,
        ...(length >= 12 && { senderKey: u64(b, 4) }),
        ...(length >= 20 && { receiverKey: u64(b, 12) }),
        ...(length >= 22 && { dataLength: u16(b, 20) }),
        ...(length === 24 && { checksum: u16(b, 22) }),
      };
    case 1: {
      const join = { kind: "mpJoin" as const, backup: (low & 1) === 1, addressId: third };
      if (length === 12) return { ...join, form: "syn", token: u32(b, 4), nonce: u32(b, 8) };
      if (length === 16) return { ...join, form: "synack", nonce: u32(b, 12), hmac: b.slice(4, 12) };
      return length === 24 ? { ...join, form: "ack", hmac: b.slice(4) } : undefined;
    }
    case 2:
      return length >= 4 ? decodeDss(b) : undefined;
    case 3:
      return decodeAddAddr(b);
    case 4:
      return length >= 4 ? { kind: "removeAddr", ids: [...b.subarray(3)] } : undefined;
    case 5:
      return length === 3 ? { kind: "mpPrio", backup: (low & 1) === 1 } : undefined;
    case 6:
      return length === 12 ? { kind: "mpFail", dsn: u64(b, 4) } : undefined;
    case 7:
      return length === 12 ? { kind: "mpFastclose", key: u64(b, 4) } : undefined;
    case 8:
      return length === 4 ? { kind: "mpTcprst", transient: (low & 1) === 1, reason: third } : undefined;
    default:
      return undefined;
  }
}

function decodeDss(b: Uint8Array): Dss | undefined {
  const flags = b[3] ?? 0;
  const option: Dss = { kind: "dss", fin: (flags & 16) !== 0 };
  let at = 4;
  const number = (eight: boolean) => {
    const value = eight ? u64(b, at) : BigInt(u32(b, at));
    at += eight ? 8 : 4;
    return value;
  };
  if (flags & 1) {
    option.danOctets = flags & 2 ? 8 : 4;
    option.dan = number(option.danOctets === 8);
  }
  if (flags & 4) {
    option.dsnOctets = flags & 8 ? 8 : 4;
    option.dsn = number(option.dsnOctets === 8);
    option.ssn = u32(b, at);
    option.length = u16(b, at + 4);
    at += 6;
  }
  if (b.length === at + 2) option.checksum = u16(b, at);
  else if (b.length !== at) return undefined;
  return option;
}

function decodeAddAddr(b: Uint8Array): MptcpOption | undefined {
  const echo = ((b[2] ?? 0) & 1) === 1;
  const rest = b.length - 4 - (echo ? 0 : 8);
  if (![4, 6, 16, 18].includes(rest)) return undefined;
  const octets = rest < 8 ? 4 : 16;
  return {
    kind: "addAddr",
    echo,
    id: b[3] ?? 0,
    address: addressText(b.subarray(4, 4 + octets)),
    ...(rest > octets && { port: u16(b, 4 + octets) }),
    ...(!echo && { hmac: b.slice(-8) }),
  };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const hex64 = (n: bigint): string => `0x${n.toString(16).padStart(16, "0")}`;

/** An option in packetdrill's words (multipath-tcp/packetdrill for MPTCP's). */
export function showOption(option: Option): string {
  switch (option.kind) {
    case "mss":
      return `mss ${option.mss}`;
    case "ws":
      return `wscale ${option.shift}`;
    case "sackOk":
      return "sackOK";
    case "sack":
      return `sack ${option.blocks.map(([left, right]) => `${left}:${right}`).join(" ")}`;
    case "ts":
      return `TS val ${option.value} ecr ${option.echo}`;
    case "tfo":
      return `${option.experimental ? "FOEXP" : "FO"} ${hex(option.cookie)}`;
    case "raw":
      return `raw ${hex(option.bytes)}`;
    case "nop":
    case "eol":
      return option.kind;
    default:
      return showMptcp(option);
  }
}

function showMptcp(option: MptcpOption): string {
  switch (option.kind) {
    case "mpCapable": {
      const keys = [option.senderKey, option.receiverKey].filter((key) => key !== undefined).map(hex64);
      const tail = option.dataLength === undefined ? "" : ` mpcdatalen ${option.dataLength}`;
      return `mpcapable v${option.version} flags[${option.flags.toString(16)}] key[${keys.join(", ")}]${tail}`;
    }
    case "mpJoin": {
      const form = option.form.replace("synack", "syn_ack");
      const head = `mp_join_${form} backup=${option.backup ? 1 : 0} address_id=${option.addressId}`;
      const token = option.token === undefined ? "" : ` token=0x${option.token.toString(16)}`;
      const nonce = option.nonce === undefined ? "" : ` rand=0x${option.nonce.toString(16)}`;
      return `${head}${token}${nonce}${option.hmac ? ` hmac=${hex(option.hmac)}` : ""}`;
    }
    case "dss": {
      const words = ["dss"];
      if (option.dan !== undefined) words.push(`dack${option.danOctets ?? 4}=${option.dan}`);
      if (option.dsn !== undefined) {
        words.push(`dsn${option.dsnOctets ?? 4}=${option.dsn} ssn=${option.ssn ?? 0} dll=${option.length ?? 0}`);
        words.push(option.checksum === undefined ? "nocs" : `cs=0x${option.checksum.toString(16)}`);
      }
      if (option.fin) words.push("FIN");
      return words.join(" ");
    }
    case "addAddr": {
      const port = option.port === undefined ? "" : ` port=${option.port}`;
      const end = option.echo ? " echo" : ` hmac=${hex(option.hmac ?? new Uint8Array(0))}`;
      return `add_address address_id=${option.id} addr=${option.address}${port}${end}`;
    }
    case "removeAddr":
      return `remove_address address_id=[${option.ids.join(",")}]`;
    case "mpPrio":
      return `mp_prio backup=${option.backup ? 1 : 0}`;
    case "mpFail":
      return `mp_fail dsn8=${option.dsn}`;
    case "mpFastclose":
      return `mp_fastclose key=${hex64(option.key)}`;
    case "mpTcprst":
      return `mp_reset ${option.reason}${option.transient ? " transient" : ""}`;
  }
}
