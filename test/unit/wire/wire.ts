// The wire functions of one engine build, with octets put where they can reach them.

import { BATCH } from "../../../host/engine/abi.ts";
import { instantiate } from "../../wasm.ts";

/** What assembly/testing.ts exports of assembly/wire/. Pointers are numbers, booleans 0 or 1, u64 bigint (signed). */
export interface WireExports {
  ipCheck(packet: number, length: number): number;
  ipVersion(packet: number): number;
  ipHeaderLength(packet: number): number;
  ipTotalLength(packet: number): number;
  ipCopySource(packet: number, out: number): void;
  ipCopyDestination(packet: number, out: number): void;
  ipSetSource(packet: number, mapped: number): void;
  ipSetDestination(packet: number, mapped: number): void;
  ipSetTotalLength(packet: number, total: number): void;
  ipSetHeaderChecksum(packet: number): void;
  ipIsMapped(address16: number): number;
  ipBuild(
    packet: number,
    version: number,
    source: number,
    destination: number,
    total: number,
    id: number,
    protocol: number,
  ): number;
  tcpCheck(tcp: number, length: number): number;
  tcpSourcePort(tcp: number): number;
  tcpDestinationPort(tcp: number): number;
  tcpSequence(tcp: number): number;
  tcpAcknowledgment(tcp: number): number;
  tcpHeaderLength(tcp: number): number;
  tcpFlags(tcp: number): number;
  tcpWindow(tcp: number): number;
  tcpBuild(
    tcp: number,
    sport: number,
    dport: number,
    seq: number,
    ack: number,
    headerLength: number,
    flags: number,
    window: number,
  ): void;
  sumOctets(ptr: number, length: number): bigint;
  fold(sum: bigint): number;
  tcpChecksumFill(packet: number, tcp: number, tcpLength: number): void;
  tcpChecksumFillWithPayloadSum(
    packet: number,
    tcp: number,
    headerLength: number,
    payloadLength: number,
    payloadSum: bigint,
  ): void;
  headerSum(packet: number, tcp: number, headerLength: number, tcpLength: number): bigint;
  checksumCorrupt(tcp: number): void;
  tcpOptionsParse(tcp: number, headerLength: number, out: number): void;
  tcpHasMptcp(tcp: number, headerLength: number): number;
  copySynOptions(tcp: number, headerLength: number, out: number, mssClamp: number): number;
  sackLeft(options: number, index: number): number;
  sackRight(options: number, index: number): number;
  writeMss(p: number, mss: number): number;
  writeSackPermitted(p: number): number;
  writeWindowScale(p: number, shift: number): number;
  writeSackBlocks(p: number, blocks: number, count: number): number;
  padOptions(start: number, end: number): number;
  mptcpParse(tcp: number, headerLength: number, out: number): void;
  writeCapableSyn(p: number, flags: number): number;
  writeCapableSynAck(p: number, flags: number, key: bigint): number;
  writeCapableAck(p: number, flags: number, senderKey: bigint, receiverKey: bigint): number;
  writeCapableData(p: number, flags: number, senderKey: bigint, receiverKey: bigint, dataLength: number): number;
  writeJoinSyn(p: number, backup: number, addressId: number, token: number, nonce: number): number;
  writeJoinSynAck(p: number, backup: number, addressId: number, hmac: number, nonce: number): number;
  writeJoinAck(p: number, hmac: number): number;
  writeDss(
    p: number,
    hasDan: number,
    dan: number,
    hasMap: number,
    dsn: number,
    ssnRel: number,
    dataLength: number,
    dataFin: number,
  ): number;
  writeChecksum(start: number, p: number, checksum: number): number;
  mappingChecksum(dsn: bigint, ssnRel: number, length: number, payloadSum: bigint): number;
  writeAddAddr(p: number, addressId: number, address16: number, port: number, hmac8: number): number;
  writeRemoveAddr(p: number, ids: number, count: number): number;
  writePrio(p: number, backup: number): number;
  writeFail(p: number, dsn: bigint): number;
  writeFastclose(p: number, key: bigint): number;
  writeTcpRst(p: number, flags: number, reason: number): number;
}

/** TcpOptions, as drawn in assembly/wire/tcp-options.ts. */
const TCP_FIELDS = [
  "mss",
  "windowScale",
  "sackPermitted",
  "timestamps",
  "sackCount",
  "sackPtr",
  "fastOpen",
  "md5",
  "mptcpCount",
  "accEcn",
  "malformed",
] as const;
export type TcpFields = Record<(typeof TCP_FIELDS)[number], number>;

/** MptcpOptions, as drawn in assembly/wire/mptcp-options.ts: the u64 fields, then the u32 fields. */
const MPTCP_WIDE = ["senderKey", "receiverKey", "dan", "dsn", "failDsn", "fastcloseKey"] as const;
const MPTCP_FIELDS = [
  ...["present", "count"],
  ...["capableLength", "capableVersion", "capableFlags", "capableDataLength", "capableHasChecksum", "capableChecksum"],
  ...["joinLength", "joinBackup", "joinAddressId", "joinToken", "joinNonce", "joinHmacPtr"],
  ...["dssFlags", "danOctets", "dsnOctets", "ssnRel", "dataLength", "dssHasChecksum", "dssChecksum"],
  ...["addAddrEcho", "addAddrFamily", "addAddrId", "addAddrPtr", "addAddrPort", "addAddrHmacPtr"],
  ...["removePtr", "removeCount", "prioBackup", "rstFlags", "rstReason"],
] as const;
export type MptcpFields = Record<(typeof MPTCP_WIDE)[number], bigint> & Record<string, number | bigint>;

/** First octet that tests may use: the engine's batch region. */
export const AT = BATCH;
/** Where parsers put their result; behind it a guard that must stay as it is. */
export const OUT = AT + 262_144;
const POISON = 0xa5;

export const BUILDS = ["test", "test-release"] as const;

export class Wire {
  readonly x: WireExports;
  readonly bytes: Uint8Array;
  private readonly view: DataView;

  constructor(build: (typeof BUILDS)[number]) {
    const { exports, memory } = instantiate(build, OUT + 65536);
    this.x = exports as unknown as WireExports;
    this.bytes = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
  }

  /** Puts octets to `at`, with poison around them. */
  put(octets: ArrayLike<number>, at = AT): number {
    this.bytes.fill(POISON, at - 64, at + octets.length + 64);
    this.bytes.set(octets, at);
    return at;
  }

  /** A copy of the octets from `from` to `end`. */
  get(from: number, end: number): Uint8Array {
    return this.bytes.slice(from, end);
  }

  /** A header of options only, as parsers want it: flags at their place, the rest poison. Returns its length. */
  putOptions(options: ArrayLike<number>, flagBits = 16): number {
    const header = new Uint8Array(20 + options.length).fill(POISON);
    header[13] = flagBits;
    header.set(options, 20);
    this.put(header);
    return header.length;
  }

  tcpOptions(headerLength: number): TcpFields {
    this.bytes.fill(POISON, OUT, OUT + 1024);
    this.x.tcpOptionsParse(AT, headerLength, OUT);
    this.guard(OUT + 4 * TCP_FIELDS.length);
    const values = TCP_FIELDS.map((name, i) => [name, this.view.getUint32(OUT + 4 * i, true)]);
    return Object.fromEntries(values) as TcpFields;
  }

  mptcpOptions(headerLength: number): MptcpFields {
    this.bytes.fill(POISON, OUT, OUT + 1024);
    this.x.mptcpParse(AT, headerLength, OUT);
    this.guard(OUT + 8 * MPTCP_WIDE.length + 4 * MPTCP_FIELDS.length);
    const wide = MPTCP_WIDE.map((name, i) => [name, this.view.getBigUint64(OUT + 8 * i, true)]);
    const base = OUT + 8 * MPTCP_WIDE.length;
    const narrow = MPTCP_FIELDS.map((name, i) => [name, this.view.getUint32(base + 4 * i, true)]);
    return Object.fromEntries([...wide, ...narrow]) as MptcpFields;
  }

  /** What a writer put to AT; nothing before or behind it may have changed. */
  written(write: (p: number) => number): Uint8Array {
    this.bytes.fill(POISON, AT - 64, AT + 256);
    const end = write(AT);
    this.guard(end);
    this.guard(AT - 64, 64);
    return this.get(AT, end);
  }

  private guard(from: number, length = 64): void {
    const at = this.bytes.subarray(from, from + length).findIndex((octet) => octet !== POISON);
    if (at >= 0) throw new Error(`octet written at ${from + at}, outside of what was asked for`);
  }
}
