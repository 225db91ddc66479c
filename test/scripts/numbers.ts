// What the relative numbers and the names of a script stand for: initial numbers of each place, keys, variables. They
// are learnt from the packets that go by, as packetdrill does it.

import * as p from "../packet.ts";

/** Whose numbers: those of our end count what goes to the peer. */
export type End = "ours" | "theirs";
export const other = (end: End): End => (end === "ours" ? "theirs" : "ours");

/** The host's own connection, or a subflow. */
export interface Place {
  name: string;
  local: string;
  remote: string;
  /** 0: learnt from the first packet that goes by. */
  localPort: number;
  remotePort: number;
  isn: Partial<Record<End, number>>;
  /** Mappings that went by: octet `offset` of the stream stands at `ssn`. */
  maps: Record<End, { ssn: number; length: number; offset: number }[]>;
  /** MP_JOIN: who sent the SYN, and the nonces. */
  join: { opener: End; nonceA: number; nonceB: number } | undefined;
  /** The last HMAC of an MP_JOIN ACK that went by, hexadecimal. */
  proof: string;
}

const hex = (octets: Uint8Array): string => Buffer.from(octets).toString("hex");

export class Numbers {
  readonly places = new Map<string, Place>();
  readonly variables = new Map<string, bigint>();
  private readonly keys: Partial<Record<End, { key: bigint; idsn: bigint }>> = {};

  /** Whose sequence numbers a packet has: what comes from the host or goes out by the wire is ours. */
  static sender(place: Place, inbound: boolean): End {
    return (place.name === "host") === inbound ? "ours" : "theirs";
  }

  /** Sequence number on `place`, relative and absolute; without an initial number it is what it is. */
  absolute(place: Place, end: End, relative: number): number {
    return (relative + (place.isn[end] ?? 0)) >>> 0;
  }

  relative(place: Place, end: End, absolute: number): number {
    const relative = (absolute - (place.isn[end] ?? 0)) >>> 0;
    return place.isn[end] !== undefined && relative > 0x7fffffff ? relative - 2 ** 32 : relative;
  }

  /** Data-level number of `octets` octets on the wire: the first octet of the stream is 1. */
  dataAbsolute(end: End, relative: bigint): bigint {
    return BigInt.asUintN(64, relative + (this.keys[end]?.idsn ?? 0n));
  }

  dataRelative(end: End, absolute: bigint, octets: 4 | 8): bigint {
    return BigInt.asIntN(octets * 8, absolute - (this.keys[end]?.idsn ?? 0n));
  }

  key(end: End): bigint {
    return this.keys[end]?.key ?? 0n;
  }

  /** The name of a variable with this value, or the value itself. */
  nameOf(value: bigint): string {
    const name = [...this.variables].find(([, known]) => known === value)?.[0];
    return name ?? `0x${value.toString(16)}`;
  }

  token(key: bigint): bigint {
    return BigInt(p.keyDigest(key).token);
  }

  /** Learns from a packet: keys, nonces, mappings, and its initial number if it `opens` a direction. */
  learn(place: Place, inbound: boolean, packet: { seq: number; options: p.Option[] }, opens: boolean): void {
    const end = Numbers.sender(place, inbound);
    if (opens) place.isn[end] = packet.seq;
    for (const option of packet.options) {
      if (option.kind === "mpCapable") {
        if (option.senderKey !== undefined && this.keys[end] === undefined) {
          this.keys[end] = { key: option.senderKey, idsn: p.keyDigest(option.senderKey).idsn };
        }
        if (option.dataLength !== undefined) this.map(place, end, { ssn: 1, length: option.dataLength, offset: 0 });
      }
      if (option.kind === "mpJoin" && option.form === "syn") {
        place.join = { opener: end, nonceA: option.nonce ?? 0, nonceB: place.join?.nonceB ?? 0 };
      }
      if (option.kind === "mpJoin" && option.form === "synack" && place.join) place.join.nonceB = option.nonce ?? 0;
      if (option.kind === "mpJoin" && option.form === "ack") place.proof = hex(option.hmac ?? new Uint8Array(0));
      if (option.kind === "dss" && option.dsn !== undefined && option.ssn !== 0) {
        const offset = Number(this.dataRelative(end, option.dsn, option.dsnOctets ?? 4)) - 1;
        this.map(place, end, { ssn: option.ssn ?? 0, length: option.length ?? 0, offset });
      }
    }
  }

  private map(place: Place, end: End, map: { ssn: number; length: number; offset: number }): void {
    place.maps[end].unshift(map);
  }

  /** Where in the stream the octet at relative number `at` of `place` stands; the host's are the stream. */
  offset(place: Place, end: End, at: number): number {
    if (place.name === "host") return at - 1;
    const map = place.maps[end].find(({ ssn, length }) => at >= ssn && at < ssn + length);
    return map === undefined ? at - 1 : map.offset + at - map.ssn;
  }

  /** HMAC of an MP_JOIN or ADD_ADDR that `end` sends on `place`, in hexadecimal. */
  hmac(place: Place, end: End, option: { word: string; id?: bigint; address?: string; port?: bigint }): string {
    const { word, id = 0n, address = "", port = 0n } = option;
    if (word === "add_address") {
      return hex(p.addAddrHmac(this.key(end), this.key(other(end)), Number(id), address, Number(port)));
    }
    const { opener, nonceA, nonceB } = place.join ?? { opener: end, nonceA: 0, nonceB: 0 };
    const keys = [this.key(opener), this.key(other(opener))] as const;
    return hex((word === "mp_join_ack" ? p.joinHmacA : p.joinHmacB)(...keys, nonceA, nonceB));
  }
}
