import { describe, it } from "vitest";
import * as abi from "../../host/engine/abi.ts";
import { delivered, Established, type Family, type Role, sent } from "../established.ts";
import { TEST_BUILDS } from "../internals.ts";
import { forCases, type Random, same } from "../model/random.ts";
import { Incoming, islands, Outgoing, type PeerPacket } from "../model/stream-model.ts";
import * as p from "../packet.ts";
import type { Outcome } from "../scene.ts";
import type { Build } from "../wasm.ts";

// One engine between a host and a peer that both do whatever TCP and MPTCP allow: any segmentation, any
// order, losses everywhere, retransmissions cut anew, switches at any time. test/model/stream-model.ts says
// what must hold on every packet; at the end nothing more is lost, and both streams must arrive whole.

const OCTETS = 4_000;
const MSS = 1_000;
const SECONDS_PER_BUILD = 4;

class Traffic {
  private readonly random: Random;
  private readonly e: Established;
  private readonly outgoing: Outgoing;
  private readonly incoming: Incoming;
  /** Octets that the host has sent; those of the peer that have an SSN. */
  private hostNxt = 0;
  private peerNxt = 0;
  private readonly peerPackets: PeerPacket[] = [];
  /** Segments of the host and packets of the peer that are late. */
  private readonly late: (() => void)[] = [];
  private lossy = true;
  private subflowGivenUp = false;

  constructor(random: Random, build: Build) {
    this.random = random;
    const [hostIss, peerIss] = [
      random.pick([random.bits(), 2 ** 32 - 1500]),
      random.pick([random.bits(), 2 ** 32 - 1500]),
    ];
    const role = random.pick<Role>(["opener", "responder"]);
    const family = random.pick([4, 6] as const);
    const shape = { build, seed: random.bits(), hostIss, peerIss, family, sack: random.chance(0.8), runs: 512 };
    const family2 = random.chance(0.3) ? ((10 - family) as Family) : family;
    this.e = new Established(role, { ...shape, family2 }).establish();
    if (random.chance(0.7)) this.e.join();
    const flows = [this.e.initial, ...(this.e.second === undefined ? [] : [this.e.second])];
    const stream = () => Uint8Array.from({ length: OCTETS }, () => random.below(256));
    this.outgoing = new Outgoing(this.e, flows, stream(), () => !this.lossy || random.chance(0.9));
    this.incoming = new Incoming(this.e, flows, stream());
  }

  run(): void {
    const steps = this.random.between(50, 250);
    for (let i = 0; i < steps && !this.subflowGivenUp; i++) this.step();
    this.lossy = false;
    for (let round = 0; round < 100 && !this.complete() && !this.subflowGivenUp; round++) this.repair();
    if (this.subflowGivenUp) return;
    if (this.outgoing.flows.some((flow) => this.outgoing.poisoned(flow)) || this.tableWasFull()) return;
    same(this.outgoing.tan, this.hostNxt, "octets of the host that it was told have arrived");
    same(this.incoming.dan, this.peerNxt, "octets of the peer acknowledged at data level");
    for (const { san, offsets } of this.incoming.flows) same(san, offsets.length, "octets acknowledged on a subflow");
  }

  /** The debug build's tiny tables: what does not fit waits for room, and here nobody makes any. */
  private tableWasFull(): boolean {
    const { SEND_TABLE_FULL, RECV_TABLE_FULL } = abi.DropReason;
    return this.e.scene.dropped(SEND_TABLE_FULL) + this.e.scene.dropped(RECV_TABLE_FULL) > 0;
  }

  private complete(): boolean {
    const subflows = this.incoming.flows.every(({ san, offsets }) => san === offsets.length);
    return subflows && this.outgoing.tan === this.hostNxt && this.incoming.dan === this.peerNxt;
  }

  private lost(): boolean {
    return this.lossy && this.random.chance(0.15);
  }

  private step(): void {
    const { random } = this;
    while (this.late.length > 0 && random.chance(0.3)) this.late.splice(random.below(this.late.length), 1)[0]?.();
    const actions: [number, () => void][] = [
      [8, () => this.hostSends()],
      [4, () => this.hostRepeats(random.between(1, 600))],
      [6, () => this.peerSends()],
      [4, () => this.peerRepeats()],
      [2, () => this.peerReinjects()],
      [8, () => this.peerAcknowledges(random.below(this.outgoing.flows.length))],
      [5, () => this.hostSegment(this.hostNxt, 0)],
      [1, () => this.e.second && this.absorb(this.e.scene.handover(random.between(1, 2)))],
      [2, () => this.absorb(this.e.scene.advance(random.below(60_000)))],
    ];
    let ticket = random.below(actions.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, action] of actions) {
      if (ticket < weight) {
        action();
        return;
      }
      ticket -= weight;
    }
  }

  /** Now, or some steps later, so that others overtake it. */
  private nowOrLate(action: () => void): void {
    if (this.lossy && this.random.chance(0.2)) this.late.push(action);
    else action();
  }

  /** Checks all that one call made and lets it arrive, or not. */
  private absorb(outcome: Outcome, fromHost = false): void {
    if (this.subflowGivenUp) return;
    const whole = fromHost || outcome.verdict === "none";
    const toWire = whole ? sent(outcome) : outcome.toWire;
    const toHost = whole ? outcome.toHost : delivered(outcome);
    for (const packet of toWire) {
      this.outgoing.sent(packet);
      this.incoming.told(packet);
      if (packet.flags.includes("R")) this.givenUp(packet);
      for (let from = 0; from < packet.payload.length; from += MSS) {
        if (!this.lost()) this.outgoing.arrives(packet, from, Math.min(from + MSS, packet.payload.length));
      }
    }
    for (const packet of toHost) {
      this.outgoing.told(packet);
      if (!this.lost()) this.incoming.given(packet);
    }
    for (const probe of toWire.filter(isProbe))
      this.nowOrLate(() => this.peerAcknowledges(this.outgoing.indexOf(probe)));
  }

  /** A subflow may be reset for a hole only, which nobody fills here: the case ends. Without one it is a fault. */
  private givenUp(packet: p.Packet): void {
    const { offsets, sanSaid } = this.outgoing.flowOf(packet);
    const octet = offsets.get(sanSaid);
    if (octet === undefined || octet >= this.hostNxt) throw new Error(`a reset: ${p.show(packet)}`);
    this.subflowGivenUp = true;
  }

  // --- the host -----------------------------------------------------------------------------------------

  private hostSegment(at: number, length: number): void {
    const gso = length > MSS;
    const { acks, blocks } = this.incoming.acknowledge();
    const numbered = blocks.map(([left, right]): [number, number] => [this.e.tan(left), this.e.tan(right)]);
    const sack = this.e.hasSack && numbered.length > 0 ? [p.sack(...numbered)] : [];
    const flags = gso ? abi.PacketFlag.GSO | abi.PacketFlag.CHECKSUM_NOT_READY : 0;
    const payload = this.outgoing.octets.slice(at, at + length);
    const segment = { at, acks, payload, options: sack, flags: "A", win: 500 + this.random.below(3) };
    this.absorb(this.e.fromHost({ ...segment, checksum: gso ? "pseudo" : "good" }, { flags }), true);
  }

  private hostSends(): void {
    const length = Math.min(this.random.pick([1, 50, 300, 600, 2500]), OCTETS - this.hostNxt);
    if (length === 0) return;
    const at = this.hostNxt;
    this.hostNxt += length;
    this.nowOrLate(() => this.hostSegment(at, length));
  }

  /** A retransmission with boundaries of its own. */
  private hostRepeats(length: number): void {
    const from = this.outgoing.tan;
    if (from >= this.hostNxt) return;
    const at = this.random.between(from, this.hostNxt - 1);
    this.hostSegment(at, Math.min(length, this.hostNxt - at));
  }

  // --- the peer -----------------------------------------------------------------------------------------

  /** What the peer says of the host's stream on this subflow, with an older DATA_ACK now and then. */
  private peerSays(index: number): { acks: number; dan: number; sack: p.Option[] } {
    const own = this.outgoing.flows[index] as Outgoing["flows"][number];
    const { san, arrived, flow } = own;
    own.sanSaid = san;
    const { dan, danSaid } = this.outgoing;
    const said = this.lossy && this.random.chance(0.3) ? this.random.between(Math.min(dan, danSaid), dan) : dan;
    this.outgoing.danSaid = Math.max(danSaid, said);
    const runs = islands((i) => arrived.has(i), san, OCTETS * 3).slice(0, 2);
    const blocks = runs.map(([l, r]): [number, number] => [(flow.iss + 1 + l) >>> 0, (flow.iss + 1 + r) >>> 0]);
    return { acks: san, dan: said, sack: this.e.hasSack && blocks.length > 0 ? [p.sack(...blocks)] : [] };
  }

  private peerAcknowledges(index: number): void {
    const { acks, dan, sack } = this.peerSays(index);
    const { flow, offsets } = this.incoming.flows[index] as Incoming["flows"][number];
    this.absorb(this.e.fromPeer({ flow, at: offsets.length, acks }, [this.e.dataAck(dan), ...sack]));
  }

  private feed(packet: PeerPacket): void {
    if (this.lost()) return;
    const own = this.incoming.flows[packet.flow] as Incoming["flows"][number];
    const { acks, dan, sack } = this.peerSays(packet.flow);
    const { map } = packet;
    const dss = map ? this.e.dssData(map.offset, map.length, { dan, ssn: map.ssn + 1 }) : this.e.dataAck(dan);
    const start = own.offsets[packet.ssn] as number;
    const payload = this.incoming.octets.slice(start, start + packet.length);
    for (let i = 0; i < packet.length; i++) own.fed.add(packet.ssn + i);
    const fields = { flow: own.flow, at: packet.ssn, acks, payload };
    this.absorb(this.e.fromPeer(fields, [dss, ...sack.slice(0, map ? 1 : 2)]));
  }

  /** [offset, offset + length) of the stream on a subflow, in one or more packets under one mapping. */
  private peerMaps(index: number, offset: number, length: number): void {
    const own = this.incoming.flows[index] as Incoming["flows"][number];
    const ssn = own.offsets.length;
    for (let i = 0; i < length; i++) own.offsets.push(offset + i);
    const pieces = length > 3 && this.random.chance(0.5) ? this.random.between(2, 3) : 1;
    // Data without any mapping right behind the handshake would be the sign of a middlebox.
    const onFirstOnly = this.incoming.dan > 0 && this.random.chance(0.3);
    for (let i = 0; i < pieces; i++) {
      const from = Math.floor((length * i) / pieces);
      const to = Math.floor((length * (i + 1)) / pieces);
      const map = i > 0 && onFirstOnly ? undefined : { offset, ssn, length };
      const packet = { flow: index, ssn: ssn + from, length: to - from, map };
      this.peerPackets.push(packet);
      this.nowOrLate(() => this.feed(packet));
    }
  }

  private peerSends(): void {
    const length = Math.min(this.random.pick([1, 30, 200, 500]), OCTETS - this.peerNxt);
    if (length === 0) return;
    this.peerNxt += length;
    this.peerMaps(this.random.below(this.incoming.flows.length), this.peerNxt - length, length);
  }

  private peerRepeats(): void {
    if (this.peerPackets.length > 0) this.feed(this.random.pick(this.peerPackets));
  }

  /** Octets that are not acknowledged at data level, or the last one that is (a window probe), under fresh SSNs. */
  private peerReinjects(): void {
    const from = Math.max(0, this.incoming.dan - (this.random.chance(0.3) ? 1 : 0));
    if (from >= this.peerNxt) return;
    const length = Math.min(this.random.between(1, 300), this.peerNxt - from);
    this.peerMaps(this.random.below(this.incoming.flows.length), from, length);
  }

  // --- the end ------------------------------------------------------------------------------------------

  /** One round trip without losses: both ends repeat what they miss an acknowledgement for. */
  private repair(): void {
    for (const action of this.late.splice(0)) action();
    // All of it: the first octet may stand behind a hole of its subflow that a later one left.
    for (let at = this.outgoing.tan; at < this.hostNxt; at += 600)
      this.hostSegment(at, Math.min(600, this.hostNxt - at));
    for (const packet of this.peerPackets) {
      const { san } = this.incoming.flows[packet.flow] as Incoming["flows"][number];
      if (packet.ssn + packet.length > san) this.feed(packet);
    }
    this.hostSegment(this.hostNxt, 0);
    // Acknowledged on its subflow and not at data level: it comes again under fresh SSNs (RFC 8684 §3.3.6).
    const { dan, flows } = this.incoming;
    if (dan < this.peerNxt && flows.every(({ san, offsets }) => san === offsets.length))
      this.peerMaps(0, dan, Math.min(500, this.peerNxt - dan));
    this.outgoing.flows.forEach((_, index) => {
      this.peerAcknowledges(index);
    });
    this.absorb(this.e.scene.advance(20_000));
  }
}

/** One octet without a mapping: it only asks for an acknowledgement. */
function isProbe(packet: p.Packet): boolean {
  const mapped = p.option(packet, "dss")?.dsn !== undefined || p.option(packet, "mpCapable") !== undefined;
  return packet.payload.length === 1 && !mapped;
}

describe.each(TEST_BUILDS)("streams through one engine against a model of every octet (%s)", (build) => {
  it("every octet has its own DSN and TSN, no acknowledgement says too much, and both streams arrive", () => {
    const until = Date.now() + SECONDS_PER_BUILD * 1000;
    forCases(10_000, (random) => {
      if (Date.now() < until || process.env.CASE !== undefined) new Traffic(random, build).run();
    });
  });
});
