// A host and its MPTCP peers, as far as it takes to make packets that an engine in that state would expect.
// They have no TCP: what each says next is drawn at random, from numbers learnt from what the engine sent.

import { Direction, Hook, PacketFlag } from "../../host/engine/abi.ts";
import type { Random } from "../model/random.ts";
import * as p from "../packet.ts";
import { routerError } from "../packet-icmp.ts";
import type { Input, Sent } from "./driver.ts";

/** One subflow as the peer sees it; `local` is the engine's end. */
export interface Flow {
  local: string;
  localPort: number;
  remote: string;
  remotePort: number;
  peerIss: number;
  /** Next sequence number of the peer. */
  peerNxt: number;
  /** What the peer acknowledges: behind the highest octet of the engine's. */
  engineNxt: number;
  nonceEngine: number;
  noncePeer: number;
  /** Steps of its handshake that have been said. */
  stage: number;
}

/** One connection of the host. The first flow has the host's own tuple. */
export interface Conversation {
  host: string;
  hostPort: number;
  peer: string;
  peerPort: number;
  hostOpens: boolean;
  hostIss: number;
  hostNxt: number;
  /** What the host acknowledges. */
  hostRcvNxt: number;
  peerKey: bigint;
  localKey: bigint | undefined;
  /** The peer demands checksums. */
  checksum: boolean;
  peerDsn: bigint;
  dan: bigint;
  /** The host has sent its FIN, the peer its DATA_FIN: a sane end sends nothing new after that. */
  hostClosed: boolean;
  peerClosed: boolean;
  flows: Flow[];
}

const PEERS: Record<4 | 6, string[]> = { 4: ["10.9.0.1", "10.9.1.1", "10.0.1.77"], 6: ["fd00:9::1", "fd00:9:1::1"] };
export const PATHS = [
  { address4: "10.0.1.1", address6: "fd00:1::1" },
  { address4: "10.0.2.1", address6: "fd00:2::1" },
  { address4: "10.0.3.1" },
];
const HOST: Record<4 | 6, string> = { 4: "10.0.1.1", 6: "fd00:1::1" };

const add = (a: number, b: number): number => (a + b) >>> 0;
const after = (a: number, b: number): boolean => ((a - b) | 0) > 0;

export class World {
  readonly conversations: Conversation[] = [];
  private readonly random: Random;
  private readonly wild: boolean;
  private nextPort = 40000;

  /** A `wild` one opens a tuple again that is in use, and sends data behind a FIN. */
  constructor(random: Random, wild: boolean) {
    this.random = random;
    this.wild = wild;
  }

  /** One packet that fits the moment, or undefined if there was nothing to say. */
  next(): Input | undefined {
    const { random } = this;
    if (this.conversations.length === 0 || random.chance(0.025)) return this.open();
    const conversation = random.pick(this.conversations);
    const { flows } = conversation;
    const flow = random.chance(0.6) ? flows[0] : random.pick(flows);
    if (flow === undefined) return undefined;
    // Without a handshake everything is plain TCP and soon over: mostly go through with it.
    const handshake = handshakeOf(conversation, flow);
    if (flow.stage < handshake.length && random.chance(0.9)) {
      const said = handshake[flow.stage]?.(random, conversation, flow);
      if (said !== undefined && random.chance(0.9)) flow.stage++;
      return said;
    }
    const host = random.chance(0.45);
    const closed = !this.wild && (host ? conversation.hostClosed : conversation.peerClosed);
    if (host) return random.pick(closed ? HOST_CLOSED_SAYS : HOST_SAYS)(random, conversation);
    return random.pick(closed ? PEER_CLOSED_SAYS : PEER_SAYS)(random, conversation, flow);
  }

  private open(): Input {
    const { random } = this;
    const v = random.chance(0.7) ? 4 : 6;
    const hostOpens = random.chance(0.6);
    const peer = random.pick(PEERS[v]);
    const reuse = this.wild && random.chance(0.1);
    const [hostPort, peerPort] = hostOpens ? [reuse ? 40001 : ++this.nextPort, 5201] : [5201, ++this.nextPort];
    const hostIss = random.chance(0.3) ? 2 ** 32 - random.below(3000) : random.bits();
    const peerIss = random.chance(0.3) ? 2 ** 32 - random.below(3000) : random.bits();
    const peerKey = (BigInt(random.bits()) << 32n) | BigInt(random.bits());
    const local = { local: HOST[v], localPort: hostPort, remote: peer, remotePort: peerPort };
    const conversation: Conversation = {
      ...{ host: HOST[v], hostPort, peer, peerPort, hostOpens, hostIss, hostNxt: add(hostIss, 1), peerKey },
      ...{ hostRcvNxt: add(peerIss, 1), localKey: undefined, dan: 0n, hostClosed: false, peerClosed: false },
      checksum: random.chance(0.25),
      peerDsn: BigInt.asUintN(64, p.keyDigest(peerKey).idsn + 1n),
      flows: [
        {
          ...local,
          peerIss,
          peerNxt: add(peerIss, 1),
          engineNxt: add(hostIss, 1),
          nonceEngine: 0,
          noncePeer: 0,
          stage: 0,
        },
      ],
    };
    this.conversations.push(conversation);
    if (this.conversations.length > 5) this.conversations.shift();
    const options = synOptions(random);
    if (hostOpens) return fromHost(random, conversation, { flags: "S", seq: hostIss, options });
    return fromPeer(random, conversation.flows[0] as Flow, {
      flags: "S",
      seq: peerIss,
      options: [...options, p.capableSyn(flagsOf(conversation))],
    });
  }

  /** Takes in what the engine sent. */
  learn(sent: Sent[]): void {
    for (const { direction, packet } of sent) {
      const takes = packet.payload.length + (/[SF]/.test(packet.flags) ? 1 : 0);
      if (direction === Direction.WIRE) this.learnWire(packet, add(packet.seq, takes));
      else this.learnHost(packet, add(packet.seq, takes));
    }
  }

  private learnHost(packet: p.Packet, end: number): void {
    const found = this.conversations.findLast((c) => c.hostPort === packet.dport && c.peerPort === packet.sport);
    if (found && (after(end, found.hostRcvNxt) || packet.flags.includes("S"))) found.hostRcvNxt = end;
  }

  private learnWire(packet: p.Packet, end: number): void {
    const join = p.option(packet, "mpJoin");
    if (join?.form === "syn") this.learnJoin(packet, join);
    for (const conversation of this.conversations) {
      const flow = conversation.flows.find((f) => f.localPort === packet.sport && f.remotePort === packet.dport);
      if (flow === undefined) continue;
      if (after(end, flow.engineNxt) || packet.flags.includes("S")) flow.engineNxt = end;
      if (join?.form === "synack") flow.nonceEngine = join.nonce ?? 0;
      const key = p.option(packet, "mpCapable")?.senderKey;
      if (key !== undefined && conversation.localKey === undefined) {
        conversation.localKey = key;
        conversation.dan = BigInt.asUintN(64, p.keyDigest(key).idsn + 1n);
      }
      const map = p.option(packet, "dss");
      if (map?.dsn === undefined) continue;
      const grown = conversation.dan + BigInt.asIntN(32, map.dsn + BigInt(map.length ?? 0) - conversation.dan);
      if (grown > conversation.dan) conversation.dan = BigInt.asUintN(64, grown);
    }
  }

  private learnJoin(packet: p.Packet, join: p.MpJoin): void {
    const conversation = this.conversations.find(({ peerKey }) => p.keyDigest(peerKey).token === join.token);
    if (conversation?.flows.some((f) => f.localPort === packet.sport && f.local === packet.src)) return;
    const peerIss = this.random.bits();
    const tuple = { local: packet.src, localPort: packet.sport, remote: packet.dst, remotePort: packet.dport };
    const nonces = { nonceEngine: join.nonce ?? 0, noncePeer: this.random.bits(), stage: 0 };
    const numbers = { peerIss, peerNxt: add(peerIss, 1), engineNxt: add(packet.seq, 1) };
    conversation?.flows.push({ ...tuple, ...numbers, ...nonces });
  }
}

function synOptions(random: Random): p.Option[] {
  const options: p.Option[] = [p.mss(random.pick([1460, 1460, 1460, 536, 8960, 7]))];
  if (random.chance(0.8)) options.push(p.sackOk);
  if (random.chance(0.3)) options.push(p.ts(random.bits()));
  if (random.chance(0.8)) options.push(p.nop, p.ws(random.below(15)));
  if (random.chance(0.1)) options.push(p.tfo());
  return options;
}

const WINDOWS = [65535, 65535, 65535, 20_000, 1000, 0];

type Fields = Omit<p.PacketFields, "src" | "dst" | "sport" | "dport">;

function fromHost(random: Random, c: Conversation, fields: Fields): Input {
  const tuple = { src: c.host, dst: c.peer, sport: c.hostPort, dport: c.peerPort };
  const large = typeof fields.payload === "number" && fields.payload > 1440;
  const partial = large || random.chance(0.5);
  const octets = p.packet({
    ...tuple,
    win: random.pick(WINDOWS),
    ...fields,
    checksum: partial ? "pseudo" : "good",
  });
  const flags = (partial ? PacketFlag.CHECKSUM_NOT_READY : 0) | (large ? PacketFlag.GSO : 0);
  return { octets, hook: Hook.LOCAL_OUT, flags };
}

function fromPeer(random: Random, flow: Flow, fields: Fields): Input {
  const tuple = { src: flow.remote, dst: flow.local, sport: flow.remotePort, dport: flow.localPort };
  const large = typeof fields.payload === "number" && fields.payload > 1460;
  const octets = p.packet({
    ...tuple,
    win: random.pick(WINDOWS),
    ...fields,
    checksum: large ? "pseudo" : "good",
  });
  const gro = PacketFlag.CHECKSUM_NOT_READY | PacketFlag.GSO;
  return { octets, hook: Hook.LOCAL_IN, flags: large ? gro : random.pick([0, PacketFlag.CHECKSUM_NOT_VERIFIED]) };
}

// --- what a host may say -----------------------------------------------------------------------------------

type HostSays = (random: Random, c: Conversation) => Input | undefined;

const hostAck: HostSays = (random, c) => {
  const options: p.Option[] = [];
  if (random.chance(0.4)) {
    const blocks = Array.from({ length: 1 + random.below(3) }, (): [number, number] => {
      const left = add(c.hostRcvNxt, random.below(6000) - 3000);
      return [left, add(left, 1 + random.below(3000))];
    });
    options.push(p.nop, p.nop, p.sack(...blocks));
  }
  const behind = random.chance(0.3) ? random.below(4000) : 0;
  return fromHost(random, c, { flags: "A", seq: c.hostNxt, ack: add(c.hostRcvNxt, -behind), options });
};

const hostData: HostSays = (random, c) => {
  const payload = random.pick([1, 100, 1400, 1436, 1436, 5000, 30_000]);
  const seq = c.hostNxt;
  c.hostNxt = add(c.hostNxt, payload);
  return fromHost(random, c, { flags: "AP", seq, ack: c.hostRcvNxt, payload });
};

const hostAgain: HostSays = (random, c) => {
  const sent = (c.hostNxt - c.hostIss - 1) >>> 0;
  const back = Math.min(sent, 1 + random.below(8000));
  const payload = Math.min(back, random.pick([1, 500, 1436, 3000]));
  return fromHost(random, c, { flags: "A", seq: add(c.hostNxt, -back), ack: c.hostRcvNxt, payload });
};

const hostAhead: HostSays = (random, c) => {
  const seq = add(c.hostNxt, random.below(10_000));
  const payload = 1 + random.below(1436);
  c.hostNxt = add(seq, payload);
  return fromHost(random, c, { flags: "A", seq, ack: c.hostRcvNxt, payload });
};

/** SYN or SYN/ACK; a few hosts speak MPTCP themselves. */
const hostSyn: HostSays = (random, c) => {
  const options = synOptions(random);
  const native = c.hostOpens ? p.capableSyn() : p.capableSynAck(BigInt(random.bits()));
  if (random.chance(0.03)) options.push(native);
  return fromHost(random, c, { flags: c.hostOpens ? "S" : "SA", seq: c.hostIss, ack: c.hostRcvNxt, options });
};

const hostEnd: HostSays = (random, c) => {
  if (random.chance(0.85)) return undefined;
  const flags = c.hostClosed ? "R" : random.pick(["AF", "AF", "R", "AR"]);
  const payload = flags === "AF" ? random.below(100) : 0;
  const seq = c.hostNxt;
  if (flags === "AF") {
    c.hostClosed = true;
    c.hostNxt = add(seq, payload + 1);
  }
  return fromHost(random, c, { flags, seq, ack: c.hostRcvNxt, payload });
};

const HOST_CLOSED_SAYS = [hostAck, hostAck, hostAck, hostEnd];
const HOST_SAYS = [hostAck, hostAck, hostAck, hostData, hostData, hostData, hostAgain, hostAhead, hostSyn, hostEnd];

// --- what a peer may say -----------------------------------------------------------------------------------

type PeerSays = (random: Random, c: Conversation, flow: Flow) => Input | undefined;

const relative = (flow: Flow): number => (flow.peerNxt - flow.peerIss) >>> 0;

/** A DSS option with the DATA_ACK, in 4 or 8 octets. */
function ackFields(random: Random, c: Conversation): Omit<p.Dss, "kind"> {
  const behind = random.chance(0.3) ? BigInt(random.below(3000)) : 0n;
  return { dan: BigInt.asUintN(64, c.dan - behind), danOctets: random.pick([4, 4, 8]) };
}

/** Flags of the peer's MP_CAPABLE. */
const flagsOf = (c: Conversation): number => (c.checksum ? 1 | p.CAPABLE_CHECKSUM : 1);

/** The checksum of a mapping of payloadPattern(): mostly right, where checksums are agreed on. */
function sumOf(random: Random, c: Conversation, map: { dsn: bigint; ssn: number; length: number; fin?: boolean }) {
  if (random.chance(c.checksum ? 0.05 : 0.98)) return {};
  const octets = p.payloadPattern(map.length - (map.fin ? 1 : 0));
  return { checksum: random.chance(0.1) ? random.below(0x10000) : p.dssChecksum(map.dsn, map.ssn, map.length, octets) };
}

const peerHandshake: PeerSays = (random, c, flow) => {
  const { peerIss, engineNxt } = flow;
  if (flow !== c.flows[0]) return peerJoinAnswer(random, c, flow);
  const key = c.peerKey;
  if (c.hostOpens) {
    const options = [...synOptions(random).filter(({ kind }) => kind !== "ts"), p.capableSynAck(key, flagsOf(c))];
    return fromPeer(random, flow, { flags: "SA", seq: peerIss, ack: engineNxt, options });
  }
  const flags = flagsOf(c);
  if (c.localKey === undefined)
    return fromPeer(random, flow, { flags: "S", seq: peerIss, options: [p.capableSyn(flags)] });
  const options = [p.capableAck(key, c.localKey, flags)];
  return fromPeer(random, flow, { flags: "A", seq: add(peerIss, 1), ack: engineNxt, options });
};

/** SYN/ACK of a join that the engine began, or the ACK of one that the peer began. */
const peerJoinAnswer: PeerSays = (random, c, flow) => {
  if (c.localKey === undefined) return undefined;
  const { peerIss, engineNxt, nonceEngine, noncePeer } = flow;
  if (c.hostOpens) {
    const hmac = p.joinHmacB(c.localKey, c.peerKey, nonceEngine, noncePeer);
    const options = [p.mss(1460), p.joinSynAck(hmac, noncePeer, random.below(3))];
    return fromPeer(random, flow, { flags: "SA", seq: peerIss, ack: engineNxt, options });
  }
  const options = [p.joinAck(p.joinHmacA(c.peerKey, c.localKey, noncePeer, nonceEngine))];
  return fromPeer(random, flow, { flags: "A", seq: add(peerIss, 1), ack: engineNxt, options });
};

const peerJoin: PeerSays = (random, c) => {
  if (c.localKey === undefined || c.flows.length > 3) return undefined;
  const v6 = c.host.includes(":");
  const path = random.pick(PATHS);
  const [peerIss, noncePeer] = [random.bits(), random.bits()];
  const flow: Flow = {
    ...{ local: (v6 ? path.address6 : path.address4) ?? c.host, localPort: c.hostPort },
    ...{ remote: random.pick(PEERS[v6 ? 6 : 4]), remotePort: 50000 + random.below(1000) },
    ...{ peerIss, peerNxt: add(peerIss, 1), engineNxt: 0, nonceEngine: 0, noncePeer, stage: 0 },
  };
  c.flows.push(flow);
  const { token } = p.keyDigest(c.localKey);
  const options = [p.mss(1460), p.joinSyn(token, noncePeer, random.below(4), random.chance(0.3))];
  return fromPeer(random, flow, { flags: "S", seq: peerIss, options });
};

const peerAck: PeerSays = (random, c, flow) => {
  const options: p.Option[] = [p.dss(ackFields(random, c))];
  if (random.chance(0.3)) options.push(p.sack([add(flow.engineNxt, 100), add(flow.engineNxt, 1500)]));
  const behind = random.chance(0.3) ? random.below(3000) : 0;
  return fromPeer(random, flow, { flags: "A", seq: flow.peerNxt, ack: add(flow.engineNxt, -behind), options });
};

/** Data with a mapping of its own, of a bulk, or with none; sometimes out of order, sometimes sent before. */
const peerData: PeerSays = (random, c, flow) => {
  const payload = random.pick([1, 100, 1400, 1440, 1440, 8000]);
  const [dsn, ssn, seq] = [c.peerDsn, relative(flow), flow.peerNxt];
  const length = random.chance(0.2) ? payload + random.below(3000) : payload;
  const map = { dsn, dsnOctets: random.pick([4, 8] as const), ssn, length, fin: random.chance(0.02) };
  const first = relative(flow) === 1 && !c.hostOpens && flow === c.flows[0] && c.localKey !== undefined;
  let options: p.Option[] = [p.dss({ ...ackFields(random, c), ...map, ...sumOf(random, c, map) })];
  if (first && random.chance(0.6)) {
    const sum = sumOf(random, c, { dsn, ssn: 1, length: payload });
    options = [{ ...p.capableData(c.peerKey, c.localKey ?? 0n, payload, flagsOf(c)), ...sum }];
  }
  if (random.chance(0.05)) options = [];
  if (map.fin && options.length > 0) c.peerClosed = true;
  if (random.chance(0.85)) flow.peerNxt = add(flow.peerNxt, payload);
  if (random.chance(0.85)) c.peerDsn = BigInt.asUintN(64, c.peerDsn + BigInt(payload));
  const flags = random.chance(0.02) ? "AF" : "A";
  return fromPeer(random, flow, { flags, seq, ack: flow.engineNxt, payload, options });
};

const peerControl: PeerSays = (random, c, flow) => {
  const local = c.localKey ?? 0n;
  const address = random.pick(PEERS[c.host.includes(":") ? 6 : 4]);
  const id = random.below(4);
  const port = random.chance(0.3) ? 5202 : undefined;
  const hmac = p.addAddrHmac(c.peerKey, local, id, address, port);
  const fin = { dsn: c.peerDsn, ssn: 0, length: 1, fin: true };
  const options: p.Option[] = random.pick([
    [p.addAddr({ id, address, ...(port && { port }), hmac })],
    [p.addAddr({ id: 1 + random.below(3), address: random.pick(PATHS).address4 })],
    [p.removeAddr(id), p.dss(ackFields(random, c))],
    [p.mpPrio(random.chance(0.5)), p.dss(ackFields(random, c))],
    [p.mpFail(c.peerDsn)],
    [p.dss({ ...ackFields(random, c), ...fin, ...sumOf(random, c, fin) })],
    [p.dss({ dsn: c.peerDsn, ssn: relative(flow), length: 0 })],
  ]);
  c.peerClosed ||= options.some((option) => option.kind === "dss" && option.fin);
  return fromPeer(random, flow, { flags: "A", seq: flow.peerNxt, ack: flow.engineNxt, options });
};

const peerEnd: PeerSays = (random, c, flow) => {
  if (random.chance(0.85)) return undefined;
  const options = random.pick<p.Option[]>([
    [],
    [p.mpFastclose(c.localKey ?? 0n), p.mpTcprst(1)],
    [p.mpTcprst(3)],
    [p.mpFastclose(7n)],
  ]);
  const flags = random.pick(["R", "AR", "A", "AF"]);
  return fromPeer(random, flow, { flags, seq: flow.peerNxt, ack: flow.engineNxt, options });
};

/** Keep-alive, window probe: one octet or none below what was acknowledged. */
const peerProbe: PeerSays = (random, _, flow) =>
  fromPeer(random, flow, { flags: "A", seq: add(flow.peerNxt, -1), ack: flow.engineNxt, payload: random.below(2) });

/** A router, about a packet that the engine may have sent. */
const routerSays: PeerSays = (random, _, flow) => {
  const tuple = { src: flow.local, dst: flow.remote, sport: flow.localPort, dport: flow.remotePort };
  const quoted = p.packet({ ...tuple, flags: "A", seq: add(flow.engineNxt, -random.below(3000)), payload: 1400 });
  const error = random.chance(0.7) ? { mtu: random.pick([0, 600, 1280, 1300, 1400]) } : { code: random.below(16) };
  return { octets: routerError(quoted, error), hook: Hook.LOCAL_IN, flags: 0 };
};

const PEER_CLOSED_SAYS: readonly PeerSays[] = [peerAck, peerAck, peerAck, peerEnd, peerProbe];
const PEER_SAYS: readonly PeerSays[] = [
  ...[peerHandshake, peerHandshake, peerHandshake, peerJoin, peerAck, peerAck, peerAck, peerAck],
  ...[peerData, peerData, peerData, peerData, peerData, peerControl, peerControl, peerEnd, peerProbe],
  routerSays,
];

/** What both ends say until a flow may carry data, behind its SYN. */
function handshakeOf(c: Conversation, flow: Flow): PeerSays[] {
  if (flow !== c.flows[0]) return c.hostOpens ? [peerJoinAnswer, peerAck] : [peerJoinAnswer];
  return c.hostOpens ? [peerHandshake, hostAck, peerAck] : [hostSyn, peerHandshake, hostAck];
}
