// Connections in a known state, with their numbers: a test takes one and says only what differs from it.
//
//   opening(), listening()   nothing has been said yet; the steps of the handshake are methods
//   opener()                 the host opened, both ends agreed on MPTCP, the peer has shown a DATA_ACK
//   responder()              the peer opened, both ends agreed on MPTCP
//   joined("opener" | …)     the same with a second established subflow, on path 2; the first one is active
//
// Octets are named by their offset in the stream, 0 being the first: `tsn`, `tan`, `dsn`, `dan` and the
// packet builders turn offsets into the numbers of their space. `flow` is a subflow; `flow.iss` is our number,
// `flow.irs` the peer's.

import * as abi from "../host/engine/abi.ts";
import * as p from "./packet.ts";
import { type Outcome, Scene, type SceneOptions } from "./scene.ts";

export type Family = 4 | 6;
export const FAMILIES: Family[] = [4, 6];
export type Role = "opener" | "responder";

export interface EstablishedOptions extends SceneOptions {
  /** Default 4. */
  family?: Family;
  /** Of path 2 and of the peer's address there; default as `family`. The peer announces an address of another one. */
  family2?: Family;
  hostIss?: number;
  peerIss?: number;
  peerKey?: bigint;
  /** Both ends announce SACK; default true. */
  sack?: boolean;
  /** Window scale of the host and of the peer, undefined = not announced; default 7 each. */
  hostScale?: number | undefined;
  peerScale?: number | undefined;
  /** The peer's window scale (undefined = not announced) and initial number on the second subflow; default 7, 7e6. */
  joinScale?: number | undefined;
  joinIrs?: number;
  /** The same of SACK; default as on the first subflow. */
  joinSack?: boolean;
  /** MSS in the peer's SYN or SYN/ACK of the second subflow; default 1460. */
  joinMss?: number;
  /** MSS in the peer's SYN or SYN/ACK; default what the path of 1500 octets allows. */
  peerMss?: number;
  /** opener() and joined(): the peer has shown a DATA_ACK; default true. */
  confirmed?: boolean;
  /** The peer demands checksums, and computes its own; default false. */
  checksum?: boolean;
}

/** A subflow, seen from the engine. */
export interface Flow {
  local: string;
  remote: string;
  localPort: number;
  remotePort: number;
  /** Our initial number and the peer's. */
  iss: number;
  irs: number;
}

/** Fields of a packet; `at` and `acks` are stream offsets that stand for `seq` and `ack`. */
export interface HostFields extends Partial<p.PacketFields> {
  at?: number;
  acks?: number;
}

/** The same for a packet of the peer on `flow`: `at` and `acks` are octets of that subflow. */
export interface PeerFields extends HostFields {
  flow?: Flow;
}

/** The DSS of the peer: `dan` is the offset that it acknowledges at data level. */
export interface DssFields {
  dan?: number;
  /** Relative subflow number, the first octet is 1; default 1 + offset. */
  ssn?: number;
  fin?: boolean;
  danOctets?: 4 | 8;
  dsnOctets?: 4 | 8;
}

const ADDRESSES = {
  4: { host: "10.0.1.1", host2: "10.0.2.1", peer: "10.0.1.2", peer2: "10.0.2.2" },
  6: { host: "fd00:1::1", host2: "fd00:2::1", peer: "fd00:1::2", peer2: "fd00:2::2" },
};
export const PEER_KEY = 0x0102030405060708n;
export const PEER_KEY_2 = 0x1112131415161718n;

const u32 = (n: number): number => n >>> 0;
/** The low half of a data-level number, as it stands in a DSS of ours. */
export const low32 = (n: bigint): bigint => BigInt.asUintN(32, n);

export class Established {
  readonly scene: Scene;
  readonly role: Role;
  readonly family: Family;
  /** The host's connection: its own numbers and the peer's as it sees them. */
  readonly host: { iss: number; irs: number; local: string; remote: string; localPort: number; remotePort: number };
  readonly addresses: { host: string; host2: string; peer: string; peer2: string };
  readonly peer: { key: bigint; token: number; idsn: bigint; iss: number };
  ourKey = 0n;
  ourToken = 0;
  ourIdsn = 0n;
  readonly initial: Flow;
  /** The second subflow, with joined(). */
  second: Flow | undefined;
  private readonly options: EstablishedOptions;

  constructor(role: Role, options: EstablishedOptions = {}) {
    this.role = role;
    this.options = options;
    this.family = options.family ?? 4;
    const { host2, peer2 } = ADDRESSES[options.family2 ?? this.family];
    this.addresses = { ...ADDRESSES[this.family], host2, peer2 };
    const { host, peer } = this.addresses;
    const flags = abi.PathFlag.UP | abi.PathFlag.GATEWAY4 | abi.PathFlag.GATEWAY6;
    const path = (address: string) => ({ flags, [address.includes(":") ? "address6" : "address4"]: address });
    this.scene = new Scene({
      paths: [path(host), path(host2)],
      prefer: [1, 2],
      flags: abi.ConfigFlag.SET_OPERATIONS, // nothing joins or advertises by itself
      ...options,
    });
    const [localPort, remotePort] = role === "opener" ? [40000, 80] : [80, 40000];
    const [iss, irs] = [options.hostIss ?? 1_000, options.peerIss ?? 5_000_000];
    this.host = { iss, irs, local: host, remote: peer, localPort, remotePort };
    this.initial = { ...this.host };
    const key = options.peerKey ?? PEER_KEY;
    this.peer = { key, ...p.keyDigest(key), iss: irs };
  }

  // --- numbers ------------------------------------------------------------------------------------------

  /** The host's sequence number of its octet `offset`. */
  tsn = (offset: number): number => u32(this.host.iss + 1 + offset);
  /** The host's acknowledgement number that covers `octets` octets of the peer. */
  tan = (octets: number): number => u32(this.host.irs + 1 + octets);
  /** DSN of the host's octet `offset`; 64 bits. */
  dsn = (offset: number): bigint => BigInt.asUintN(64, this.ourIdsn + 1n + BigInt(offset));
  /** DSN of the peer's octet `offset`; 64 bits. */
  peerDsn = (offset: number): bigint => BigInt.asUintN(64, this.peer.idsn + 1n + BigInt(offset));

  /** Flags of the peer's MP_CAPABLE. */
  get peerFlags(): number {
    return this.options.checksum ? 0x81 : 1;
  }

  /** Both ends have announced SACK. */
  get hasSack(): boolean {
    return this.options.sack !== false;
  }

  private takeKey(key: bigint | undefined): void {
    if (key === undefined) throw new Error("no key of ours in this packet");
    this.ourKey = key;
    const digest = p.keyDigest(key);
    this.ourToken = digest.token;
    this.ourIdsn = digest.idsn;
  }

  // --- packets ------------------------------------------------------------------------------------------

  /** A segment of the host; by default a bare ACK of nothing. */
  fromHost(fields: HostFields = {}, delivery: { flags?: number } = {}): Outcome {
    return this.scene.host(this.hostPacket(fields), delivery);
  }

  hostPacket(fields: HostFields): p.PacketFields {
    const { at = 0, acks = 0, ...rest } = fields;
    const tuple = { src: this.host.local, dst: this.host.remote, sport: this.host.localPort };
    const numbers = { dport: this.host.remotePort, seq: this.tsn(at), ack: this.tan(acks), win: 500, flags: "A" };
    return { ...tuple, ...numbers, ...rest };
  }

  /** Octets [at, at + length) of the host, each place looking different. */
  hostData(at: number, length: number, fields: HostFields = {}, delivery: { flags?: number } = {}): Outcome {
    const payload = fields.payload ?? p.payloadPattern(length, at);
    return this.fromHost({ at, flags: "PA", ...fields, payload }, delivery);
  }

  /** A packet of the peer; by default a pure ACK that acknowledges nothing, with its DATA_ACK. */
  fromPeer(fields: PeerFields = {}, options: p.Option[] = [this.dataAck(0)]): Outcome {
    return this.scene.wire(this.peerPacket(fields, options));
  }

  peerPacket(fields: PeerFields, options: p.Option[]): p.PacketFields {
    const { at = 0, acks = 0, flow = this.initial, ...rest } = fields;
    const tuple = { src: flow.remote, dst: flow.local, sport: flow.remotePort, dport: flow.localPort };
    const numbers = { seq: u32(flow.irs + 1 + at), ack: u32(flow.iss + 1 + acks), win: 500, flags: "A" };
    return { ...tuple, ...numbers, options, ...rest };
  }

  /** Octets [offset, offset + length) of the peer; on the initial subflow they have the same place there. */
  peerData(offset: number, length: number, fields: PeerFields = {}, map: DssFields = {}): Outcome {
    const ssn = map.ssn ?? (fields.at ?? offset) + 1;
    const payload = fields.payload ?? p.payloadPattern(length, offset);
    const data = { at: offset, flags: "PA", ...fields, payload };
    return this.fromPeer(data, [this.dssData(offset, length, { ...map, ssn })]);
  }

  /** DSS of the peer that acknowledges `octets` octets of the host and maps nothing. */
  dataAck(octets = 0): p.Dss {
    return p.dss({ dan: this.dsn(octets) });
  }

  /** DSS of the peer that maps its octets [offset, offset + length). With `fin` the length counts the FIN, too. */
  dssData(offset: number, length: number, map: DssFields = {}): p.Dss {
    const { dan = 0, ssn = offset + 1, fin = false, ...widths } = map;
    const mapping = { dsn: this.peerDsn(offset), ssn, length: length + (fin ? 1 : 0) };
    const checksum = this.peerChecksum(mapping, p.payloadPattern(length, offset));
    return p.dss({ dan: this.dsn(dan), ...mapping, ...checksum, fin, ...widths });
  }

  /** What the peer says of a mapping and its octets, if it computes checksums. */
  private peerChecksum(map: { dsn: bigint; ssn: number; length: number }, octets: Uint8Array): { checksum?: number } {
    return this.options.checksum ? { checksum: p.dssChecksum(map.dsn, map.ssn, map.length, octets) } : {};
  }

  /** DSS of the peer with a DATA_FIN behind `octets` octets that no payload carries. */
  dataFin(octets: number, dan = 0): p.Dss {
    const mapping = { dsn: this.peerDsn(octets), ssn: 0, length: 1 };
    return p.dss({ dan: this.dsn(dan), ...mapping, ...this.peerChecksum(mapping, new Uint8Array(0)), fin: true });
  }

  // --- handshake, the host opens ------------------------------------------------------------------------

  private synOptions(scale: number | undefined, mss: number): p.Option[] {
    const sackOk = this.options.sack === false ? [] : [p.sackOk];
    return [p.mss(mss), ...sackOk, p.ts(100, 0), ...(scale === undefined ? [] : [p.nop, p.ws(scale)])];
  }

  private scale(of: "hostScale" | "peerScale" | "joinScale"): number | undefined {
    return of in this.options ? this.options[of] : 7;
  }

  hostSynOptions = (): p.Option[] => this.synOptions(this.scale("hostScale"), this.family === 4 ? 1460 : 1440);
  peerSynOptions = (): p.Option[] =>
    this.synOptions(this.scale("peerScale"), this.options.peerMss ?? (this.family === 4 ? 1460 : 1440));

  hostSyn(fields: HostFields = {}): Outcome {
    const syn = { flags: "S", at: -1, ack: 0, win: 64000, options: this.hostSynOptions() };
    return this.fromHost({ ...syn, ...fields });
  }

  peerSynAck(fields: PeerFields = {}, capable: p.Option[] = [p.capableSynAck(this.peer.key, this.peerFlags)]): Outcome {
    const options = [...this.peerSynOptions().filter(({ kind }) => kind !== "ts"), ...capable];
    return this.fromPeer({ flags: "SA", at: -1, acks: 0, win: 64000, ...fields }, options);
  }

  // --- handshake, the peer opens ------------------------------------------------------------------------

  peerSyn(fields: PeerFields = {}, capable: p.Option[] = [p.capableSyn(this.peerFlags)]): Outcome {
    return this.fromPeer({ flags: "S", at: -1, ack: 0, win: 64000, ...fields }, [...this.peerSynOptions(), ...capable]);
  }

  /** The host's SYN/ACK; learns our key from what leaves. */
  hostSynAck(fields: HostFields = {}): Outcome {
    const synAck = { flags: "SA", at: -1, acks: 0, win: 64000, options: this.hostSynOptions() };
    const sent = this.fromHost({ ...synAck, ...fields });
    const capable = sent.packet && p.option(sent.packet, "mpCapable");
    if (capable?.senderKey !== undefined) this.takeKey(capable.senderKey);
    return sent;
  }

  peerThirdAck(fields: PeerFields = {}, options?: p.Option[]): Outcome {
    return this.fromPeer(fields, options ?? [p.capableAck(this.peer.key, this.ourKey, this.peerFlags)]);
  }

  // --- both ---------------------------------------------------------------------------------------------

  /** Goes through the handshake. */
  establish(): this {
    if (this.role === "responder") {
      this.peerSyn();
      this.hostSynAck();
      this.peerThirdAck();
      return this;
    }
    this.hostSyn();
    this.peerSynAck();
    const third = this.fromHost();
    this.takeKey(third.packet && p.option(third.packet, "mpCapable")?.senderKey);
    if (this.options.confirmed !== false) this.fromPeer();
    return this;
  }

  /** Joins path 2: we do as the opener, the peer does towards a responder. */
  join(): this {
    return this.role === "opener" ? this.joinByUs() : this.joinByPeer();
  }

  private joinOptions(): p.Option[] {
    const scale = this.scale("joinScale");
    return [
      p.mss(this.options.joinMss ?? 1460),
      ...((this.options.joinSack ?? this.hasSack) ? [p.sackOk] : []),
      ...(scale === undefined ? [] : [p.nop, p.ws(scale)]),
    ];
  }

  /** The peer announces its address on path 2; it has address id 2. */
  announce(): Outcome {
    const { peer2 } = this.addresses;
    const hmac = p.addAddrHmac(this.peer.key, this.ourKey, 2, peer2);
    return this.fromPeer({}, [p.addAddr({ id: 2, address: peer2, hmac }), this.dataAck(0)]);
  }

  private joinByUs(): this {
    if ((this.options.family2 ?? this.family) !== this.family) this.announce();
    const added = this.scene.command(abi.CommandKind.SUBFLOW_ADD, (view, at) => {
      view.setUint32(at + abi.Command.TOKEN, this.ourToken, true);
      view.setUint32(at + abi.Command.PATH, 2, true);
    });
    this.answerJoin(added.toWire);
    this.fromPeer({ flow: this.flow2 });
    return this;
  }

  /** The peer answers the SYN with MP_JOIN among `packets`; what its SYN/ACK causes. Its fourth ACK is still to come. */
  answerJoin(packets: p.Packet[]): Outcome {
    const syn = packets.find((packet) => packet.flags === "S" && p.option(packet, "mpJoin"));
    const nonceA = syn && p.option(syn, "mpJoin")?.nonce;
    if (syn === undefined || nonceA === undefined) throw new Error("no MP_JOIN SYN");
    const tuple = { local: syn.src, remote: syn.dst, localPort: syn.sport, remotePort: syn.dport };
    this.second = { ...tuple, iss: syn.seq, irs: this.options.joinIrs ?? 7e6 };
    const hmac = p.joinHmacB(this.ourKey, this.peer.key, nonceA, 77);
    return this.fromPeer({ flow: this.second, flags: "SA", at: -1 }, [...this.joinOptions(), p.joinSynAck(hmac, 77)]);
  }

  private joinByPeer(): this {
    const { host2, peer2 } = this.addresses;
    const tuple = { local: host2, remote: peer2, localPort: this.host.localPort, remotePort: 40001 };
    const flow = { ...tuple, iss: 0, irs: this.options.joinIrs ?? 7e6 };
    const options = [...this.joinOptions(), p.joinSyn(this.ourToken, 77)];
    const synAck = this.fromPeer({ flow, flags: "S", at: -1, ack: 0 }, options).toWire[0];
    const nonceB = synAck && p.option(synAck, "mpJoin")?.nonce;
    if (synAck === undefined || nonceB === undefined) throw new Error("no MP_JOIN SYN/ACK");
    flow.iss = synAck.seq;
    this.fromPeer({ flow }, [p.joinAck(p.joinHmacA(this.peer.key, this.ourKey, 77, nonceB))]);
    this.second = flow;
    return this;
  }

  /** The peer opens a third subflow on path 2, from another port. */
  joinThird(): Flow {
    const flow = { ...this.flow2, remotePort: 40002, iss: 0, irs: 8e6 };
    const syn = [p.mss(1460), p.sackOk, p.joinSyn(this.ourToken, 88, 2)];
    const synAck = this.fromPeer({ flow, flags: "S", at: -1, ack: 0 }, syn).toWire[0] as p.Packet;
    const nonce = p.option(synAck, "mpJoin")?.nonce as number;
    const third = { ...flow, iss: synAck.seq };
    this.fromPeer({ flow: third }, [p.joinAck(p.joinHmacA(this.peer.key, this.ourKey, 88, nonce))]);
    return third;
  }

  /** The second subflow; throws if there is none. */
  get flow2(): Flow {
    if (this.second === undefined) throw new Error("there is no second subflow");
    return this.second;
  }

  /** What of `packets` goes out on `flow`. */
  on(flow: Flow, packets: p.Packet[]): p.Packet[] {
    const { local, remote, localPort, remotePort } = flow;
    return packets.filter(
      ({ src, dst, sport, dport }) => src === local && dst === remote && sport === localPort && dport === remotePort,
    );
  }
}

/** All that leaves towards the wire: the host's packet rewritten, then what the engine made. */
export function sent(outcome: Outcome): p.Packet[] {
  return [...(outcome.packet === undefined ? [] : [outcome.packet]), ...outcome.toWire];
}

/** All that the host gets of a packet from the wire. */
export function delivered(outcome: Outcome): p.Packet[] {
  return [...(outcome.packet === undefined ? [] : [outcome.packet]), ...outcome.toHost];
}

/** The host is about to open a connection. */
export const opening = (options?: EstablishedOptions): Established => new Established("opener", options);

/** The peer is about to open a connection. */
export const listening = (options?: EstablishedOptions): Established => new Established("responder", options);

/** The host opened, MPTCP is agreed, the peer has confirmed it. */
export const opener = (options?: EstablishedOptions): Established => opening(options).establish();

/** The peer opened, MPTCP is agreed. */
export const responder = (options?: EstablishedOptions): Established => listening(options).establish();

/** With a second subflow on path 2. */
export const joined = (role: Role = "opener", options?: EstablishedOptions): Established =>
  new Established(role, options).establish().join();
