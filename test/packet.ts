// Packets for tests: build them from what a test cares about, take them apart again, print them in one
// line of packetdrill's notation. Nothing here shares code with the engine: checksums are summed octet by
// octet, keys are hashed by node:crypto, so that engine and tests cannot be wrong in the same way.

import { createHmac, hash } from "node:crypto";
import { decodeOptions, showOption } from "./packet-decode.ts";
import type { Option } from "./packet-options.ts";
import { addressOctets, addressText, be16, be32, be64, encodeOptions } from "./packet-options.ts";

export { decodeOptions, showOption } from "./packet-decode.ts";
export * from "./packet-options.ts";

export interface PacketFields {
  /** Default: from the form of `src`. */
  v?: 4 | 6;
  src: string;
  dst: string;
  sport: number;
  dport: number;
  /** Letters: S F R P A (or .) U E C. */
  flags?: string;
  seq?: number;
  ack?: number;
  win?: number;
  urgent?: number;
  options?: Option[];
  /** Octets, text, or how many octets of payloadPattern(). */
  payload?: Uint8Array | string | number;
  /** good: right; pseudo: as the kernel queues CHECKSUM_PARTIAL packets; bad: wrong by one bit. */
  checksum?: "good" | "pseudo" | "bad";
  ttl?: number;
  ecn?: number;
  id?: number;
}

export interface Packet {
  v: 4 | 6;
  src: string;
  dst: string;
  sport: number;
  dport: number;
  /** Letters in the order FSRPAUEC; "" for none. */
  flags: string;
  seq: number;
  ack: number;
  win: number;
  urgent: number;
  options: Option[];
  /** An option's length lied. */
  optionsMalformed: boolean;
  payload: Uint8Array;
  ttl: number;
  ecn: number;
  id: number;
  ipHeaderLength: number;
  tcpHeaderLength: number;
  totalLength: number;
  ipChecksumValid: boolean;
  checksum: number;
  checksumValid: boolean;
  /** The checksum field holds the folded sum of the pseudo-header only. */
  checksumPseudo: boolean;
}

const FLAG_LETTERS = "FSRPAUEC";
/** The letters of each flags octet. */
const FLAGS = Array.from({ length: 256 }, (_, bits) =>
  [...FLAG_LETTERS].filter((_letter, bit) => bits & (1 << bit)).join(""),
);

/** `length` octets in which every place looks different: octet i depends on `from` + i. */
export function payloadPattern(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => {
    const n = from + i;
    return (n ^ (n >> 8) ^ ((n >> 16) * 167)) & 0xff;
  });
}

/** The octets of a packet. */
export function packet(fields: PacketFields): Uint8Array {
  const payload = payloadOctets(fields.payload);
  const tcp = tcpHeader(fields);
  const v = fields.v ?? (fields.src.includes(":") ? 6 : 4);
  const ip = ipHeader(fields, v, tcp.length + payload.length);
  const octets = new Uint8Array(ip.length + tcp.length + payload.length);
  octets.set(ip);
  octets.set(tcp, ip.length);
  octets.set(payload, ip.length + tcp.length);
  if (v === 4) octets.set(be16(~naiveSum(octets.subarray(0, 20)) & 0xffff), 10);
  const segment = octets.subarray(ip.length);
  const kind = fields.checksum ?? "good";
  const sum = kind === "pseudo" ? pseudoSum(octets, segment.length) : tcpSum(octets, segment);
  segment.set(be16(kind === "pseudo" ? sum : ~sum & 0xffff), 16);
  if (kind === "bad") segment[17] = (segment[17] ?? 0) ^ 1;
  return octets;
}

function payloadOctets(payload: PacketFields["payload"]): Uint8Array {
  if (payload === undefined) return new Uint8Array(0);
  if (typeof payload === "number") return payloadPattern(payload);
  return typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
}

function tcpHeader(fields: PacketFields): Uint8Array {
  const options = encodeOptions(fields.options ?? []);
  if (options.length > 40) throw new RangeError(`${options.length} octets of options`);
  const flags = [...(fields.flags ?? "")].map((letter) => 1 << FLAG_LETTERS.indexOf(letter === "." ? "A" : letter));
  return Uint8Array.from([
    ...be16(fields.sport),
    ...be16(fields.dport),
    ...be32((fields.seq ?? 0) >>> 0),
    ...be32((fields.ack ?? 0) >>> 0),
    (5 + options.length / 4) << 4,
    flags.reduce((all, flag) => all | flag, 0),
    ...be16(fields.win ?? 65535),
    ...[0, 0],
    ...be16(fields.urgent ?? 0),
    ...options,
  ]);
}

function ipHeader(fields: PacketFields, v: 4 | 6, length: number): Uint8Array {
  const addresses = [...addressOctets(fields.src), ...addressOctets(fields.dst)];
  const ttl = fields.ttl ?? 64;
  const ecn = fields.ecn ?? 0;
  if (v === 6) return Uint8Array.from([0x60, ecn << 4, 0, 0, ...be16(length), 6, ttl, ...addresses]);
  return Uint8Array.from([
    0x45,
    ecn,
    ...be16(length + 20),
    ...be16(fields.id ?? 0),
    0x40,
    0,
    ttl,
    6,
    0,
    0,
    ...addresses,
  ]);
}

/** Ones-complement sum of big-endian 16-bit words, one after the other. */
export function naiveSum(octets: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < octets.length; i += 2) sum += ((octets[i] ?? 0) << 8) | (octets[i + 1] ?? 0);
  return folded(sum);
}

function folded(sum: number): number {
  return sum <= 0xffff ? sum : ((sum - 1) % 0xffff) + 1;
}

/** Sum of the pseudo-header: addresses, length, protocol. */
function pseudoSum(octets: Uint8Array, tcpLength: number): number {
  const v6 = (octets[0] ?? 0) >> 4 === 6;
  return folded(naiveSum(v6 ? octets.subarray(8, 40) : octets.subarray(12, 20)) + tcpLength + 6);
}

/** Sum of pseudo-header and segment, with whatever the checksum field holds. */
function tcpSum(octets: Uint8Array, segment: Uint8Array): number {
  return folded(pseudoSum(octets, segment.length) + naiveSum(segment));
}

/** Takes a packet apart. Throws RangeError on lengths that do not fit: a test fed or got nonsense. */
export function decode(octets: Uint8Array): Packet {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  const v = view.getUint8(0) >> 4 === 6 ? 6 : 4;
  const ipHeaderLength = v === 6 ? 40 : (view.getUint8(0) & 15) * 4;
  const totalLength = v === 6 ? view.getUint16(4) + 40 : view.getUint16(2);
  if (totalLength > octets.length) throw new RangeError(`total length ${totalLength} of ${octets.length} octets`);
  const segment = octets.subarray(ipHeaderLength, totalLength);
  const tcpHeaderLength = (view.getUint8(ipHeaderLength + 12) >> 4) * 4;
  if (tcpHeaderLength < 20 || tcpHeaderLength > segment.length) throw new RangeError(`data offset ${tcpHeaderLength}`);
  const addressSize = v === 6 ? 16 : 4;
  const addresses = v === 6 ? 8 : 12;
  const flagBits = view.getUint8(ipHeaderLength + 13);
  const checksum = view.getUint16(ipHeaderLength + 16);
  const { options, malformed } = decodeOptions(segment.subarray(20, tcpHeaderLength));
  return {
    v,
    src: addressText(octets.subarray(addresses, addresses + addressSize)),
    dst: addressText(octets.subarray(addresses + addressSize, addresses + 2 * addressSize)),
    sport: view.getUint16(ipHeaderLength),
    dport: view.getUint16(ipHeaderLength + 2),
    flags: FLAGS[flagBits] ?? "",
    seq: view.getUint32(ipHeaderLength + 4),
    ack: view.getUint32(ipHeaderLength + 8),
    win: view.getUint16(ipHeaderLength + 14),
    urgent: view.getUint16(ipHeaderLength + 18),
    options,
    optionsMalformed: malformed,
    payload: segment.slice(tcpHeaderLength),
    ttl: view.getUint8(v === 6 ? 7 : 8),
    ecn: v === 6 ? (view.getUint8(1) >> 4) & 3 : view.getUint8(1) & 3,
    id: v === 6 ? 0 : view.getUint16(4),
    ipHeaderLength,
    tcpHeaderLength,
    totalLength,
    ipChecksumValid: v === 6 || naiveSum(octets.subarray(0, ipHeaderLength)) === 0xffff,
    checksum,
    checksumValid: tcpSum(octets, segment) === 0xffff,
    checksumPseudo: checksum === pseudoSum(octets, segment.length),
  };
}

type Kind = Option["kind"];

/** The first option of a kind. */
export function option<K extends Kind>(of: { options: Option[] }, kind: K): Extract<Option, { kind: K }> | undefined {
  return of.options.find((candidate): candidate is Extract<Option, { kind: K }> => candidate.kind === kind);
}

/** All options but padding. */
export function realOptions(of: { options: Option[] }): Option[] {
  return of.options.filter(({ kind }) => kind !== "nop" && kind !== "eol");
}

/** `10.0.0.1:1000 > 10.0.0.2:80 SA 1:1(0) ack 5 win 100 <mss 1460,nop>`, and BAD for a checksum that is wrong. */
export function show(decoded: Packet | Uint8Array): string {
  const p = decoded instanceof Uint8Array ? decode(decoded) : decoded;
  const host = (address: string, port: number) => (p.v === 6 ? `[${address}]:${port}` : `${address}:${port}`);
  const end = (p.seq + p.payload.length) >>> 0;
  const flags = p.flags.replace("A", ".") || "-";
  const ack = p.flags.includes("A") ? ` ack ${p.ack}` : "";
  const options = p.options.length > 0 ? ` <${p.options.map(showOption).join(",")}>` : "";
  const wrong = p.checksumPseudo ? " partial" : " BAD-TCP-SUM";
  const bad = `${p.ipChecksumValid ? "" : " BAD-IP-SUM"}${p.checksumValid ? "" : wrong}`;
  const line = `${host(p.src, p.sport)} > ${host(p.dst, p.dport)} ${flags} ${p.seq}:${end}(${p.payload.length})${ack}`;
  return `${line} win ${p.win}${options}${p.optionsMalformed ? " BAD-OPTIONS" : ""}${bad}`;
}

// --- keys (RFC 8684 §3.1, §3.2, §3.4.1) -----------------------------------------------------------------

/** Token and initial data sequence number of a key. */
export function keyDigest(key: bigint): { token: number; idsn: bigint } {
  const digest = hash("sha256", Uint8Array.from(be64(key)), "buffer");
  return { token: digest.readUInt32BE(0), idsn: digest.readBigUInt64BE(24) };
}

function hmac(keys: [bigint, bigint], message: number[]): Uint8Array {
  const key = Uint8Array.from([...be64(keys[0]), ...be64(keys[1])]);
  return new Uint8Array(createHmac("sha256", key).update(Uint8Array.from(message)).digest());
}

/** HMAC of the MP_JOIN SYN/ACK that B sends: 8 octets. A is who sent the MP_JOIN SYN. */
export function joinHmacB(keyA: bigint, keyB: bigint, nonceA: number, nonceB: number): Uint8Array {
  return hmac([keyB, keyA], [...be32(nonceB), ...be32(nonceA)]).subarray(0, 8);
}

/** HMAC of the MP_JOIN ACK that A sends: 20 octets. */
export function joinHmacA(keyA: bigint, keyB: bigint, nonceA: number, nonceB: number): Uint8Array {
  return hmac([keyA, keyB], [...be32(nonceA), ...be32(nonceB)]).subarray(0, 20);
}

/** HMAC of an ADD_ADDR: the rightmost 8 octets. */
export function addAddrHmac(sender: bigint, receiver: bigint, id: number, address: string, port = 0): Uint8Array {
  return hmac([sender, receiver], [id, ...addressOctets(address), ...be16(port)]).subarray(24);
}

/** DSS checksum (RFC 8684 §3.3.1). */
export function dssChecksum(dsn: bigint, ssn: number, length: number, payload: Uint8Array): number {
  const header = [...be64(dsn), ...be32(ssn), ...be16(length), 0, 0];
  return ~naiveSum([...header, ...payload]) & 0xffff;
}
