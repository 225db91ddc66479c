// One end: a stack with its sockets, and under it an engine or nothing. Packets that leave towards the network and
// packets for the stack are handed to whoever owns the machine; nothing is kept here.

import * as abi from "../../host/engine/abi.ts";
import { decode, type Packet, show } from "../packet.ts";
import { isIcmp } from "../packet-icmp.ts";
import { type Outcome, Scene, type SceneEvent, type SceneOptions } from "../scene.ts";
import { demand } from "./connection-record.ts";
import { changed, cut, isMptcp, type Segment, without } from "./segment.ts";
import type { Stack } from "./stack.ts";

/** What one step of a machine made, in order. */
export interface Made {
  toWire: Segment[];
  /** Towards the stack. */
  toHost: Segment[];
  /** ICMP errors for the stack. */
  errors: Uint8Array[];
  events: SceneEvent[];
  /** Why a packet went no further, "" if it did. */
  dropped: string;
}

/** The wheel of timers is this late at most. */
const WHEEL_US = 64;
const NOTHING: Made = { toWire: [], toHost: [], errors: [], events: [], dropped: "" };

export class Machine {
  readonly stack: Stack;
  readonly engine: Scene | undefined;
  /** The stack knows MPTCP. */
  private readonly native: boolean;
  /** Called with each packet of the stack before anything else sees it. */
  onStackSends: (p: Packet) => void = () => {};

  constructor(stack: Stack, native: boolean, engine?: SceneOptions) {
    this.stack = stack;
    this.native = native;
    this.engine = engine && new Scene(engine);
  }

  /** The next time at which advance() is wanted. */
  nextUs(nowUs: number): number {
    if (this.engine === undefined) return this.stack.nextUs;
    this.setNow(nowUs);
    return Math.min(this.stack.nextUs, Math.max(nowUs, nowUs + this.engine.nextUs + WHEEL_US));
  }

  /** Timers of the engine, then what the stack has to send. */
  advance(nowUs: number): Made[] {
    const made: Made[] = [];
    if (this.engine !== undefined) {
      this.setNow(nowUs);
      if (this.engine.nextUs + WHEEL_US <= 0) made.push(this.after(this.engine.advance(0), 0));
    }
    return [...made, ...this.stackAdvances(nowUs)];
  }

  /** Lets the stack act, and takes what it sends through the engine. */
  stackAdvances(nowUs: number): Made[] {
    this.stack.advance(nowUs);
    return this.stack.take().map(({ octets, gsoSize }) => this.sent(octets, gsoSize, nowUs));
  }

  private sent(octets: Uint8Array, segmentSize: number, nowUs: number): Made {
    const p = decode(octets);
    this.onStackSends(p);
    const gsoSize = p.payload.length > segmentSize ? segmentSize : 0;
    if (this.engine === undefined) return { ...NOTHING, toWire: cut({ octets, p }, gsoSize) };
    this.setNow(nowUs);
    return this.after(this.engine.host(octets, gsoSize > 0 ? { flags: abi.PacketFlag.GSO } : {}), gsoSize);
  }

  /** A packet for the stack. TCP hosts do not know MPTCP's options, which reach them after a fallback. */
  input({ octets, p }: Segment, nowUs: number): void {
    const foreign = !this.native && p.options.some(isMptcp);
    const own = foreign ? changed(p, { options: without(p.options, isMptcp) }).octets : octets;
    this.stack.input(own, nowUs);
  }

  /** A packet from the network. */
  arrive(segment: Segment, nowUs: number): Made {
    if (this.engine === undefined) return { ...NOTHING, toHost: [segment] };
    this.setNow(nowUs);
    const outcome = this.engine.wire(segment.octets);
    const { packet: p, octets } = outcome;
    const made = this.after({ ...outcome, packet: undefined }, 0);
    return p && octets ? { ...made, toHost: [{ octets, p }, ...made.toHost] } : made;
  }

  /** An ICMP error from a router. */
  told(error: Uint8Array, nowUs: number): Made {
    if (this.engine === undefined) return { ...NOTHING, errors: [error] };
    this.setNow(nowUs);
    const outcome = this.engine.wire(error);
    const made = this.after({ ...outcome, packet: undefined }, 0);
    return outcome.octets ? { ...made, errors: [outcome.octets, ...made.errors] } : made;
  }

  /** Anything else that the engine is told: commands. */
  command(act: (engine: Scene) => Outcome, nowUs: number): Made {
    if (this.engine === undefined) return NOTHING;
    this.setNow(nowUs);
    return this.after(act(this.engine), 0);
  }

  private setNow(nowUs: number): void {
    if (this.engine !== undefined) this.engine.nowUs = BigInt(nowUs);
  }

  /** The outcome with the octets of what the engine made, which are still in its memory. */
  private after(outcome: Outcome, gsoSize: number): Made {
    const { packet, octets } = outcome;
    // The kernel cannot cut a super-packet that has become a single segment, and throws it away (tcp_gso_segment).
    const isSuper = gsoSize === 0 || packet === undefined || packet.payload.length > gsoSize;
    demand(isSuper, () => `${packet && show(packet)}: left as a super-packet, is none any more`);
    const passed = packet && octets ? cut({ octets, p: packet }, gsoSize) : [];
    const { toWire, toHost, errors } = this.outbox(outcome);
    const dropped = outcome.verdict === "drop" ? outcome.reason : "";
    return { toWire: [...passed, ...toWire], toHost, errors, events: outcome.events, dropped };
  }

  private outbox(outcome: Outcome): Pick<Made, "toWire" | "toHost" | "errors"> {
    const made = { toWire: [] as Segment[], toHost: [] as Segment[], errors: [] as Uint8Array[] };
    if (this.engine === undefined) return made;
    const { view, octets } = this.engine.engine;
    const [wire, host] = [outcome.toWire.values(), outcome.toHost.values()];
    for (let i = 0; i < this.engine.engine.header(abi.EngineHeader.OUTBOX_COUNT); i++) {
      const entry = abi.OUTBOX + i * abi.OUTBOX_ENTRY_SIZE;
      const at = view.getUint32(entry + abi.OutboxEntry.OFFSET, true);
      const own = octets.slice(at, at + view.getUint32(entry + abi.OutboxEntry.LENGTH, true));
      const outwards = view.getUint32(entry + abi.OutboxEntry.DIRECTION, true) === abi.Direction.WIRE;
      if (isIcmp(own)) made.errors.push(own);
      else
        (outwards ? made.toWire : made.toHost).push({
          octets: own,
          p: (outwards ? wire : host).next().value as Packet,
        });
    }
    return made;
  }
}
