// One engine under V8, its host on one side and the wire on the other: packets in, packets out. Tests read
// like traces: `host(...)` is a segment that the own host sends, `wire(...)` one that arrives.

import * as abi from "../host/engine/abi.ts";
import { type EngineCommand, encodeCommand } from "../host/engine/commands.ts";
import { decodeStatistics, type Statistics } from "../host/engine/statistics.ts";
import { addressText, decode, mappedAddress, type Packet, type PacketFields, packet } from "./packet.ts";
import { decodeIcmp, type IcmpPacket, isIcmp } from "./packet-icmp.ts";
import { type Build, type Engine, type EngineOptions, loadEngine } from "./wasm.ts";

/** What one call of the engine did. */
export interface Outcome {
  verdict: "drop" | "accept" | "rewritten" | "queue" | "none";
  /** Name of the drop reason, "NONE" where there is none. */
  reason: string;
  /** The packet as it leaves, when the verdict passes it (untouched or rewritten). */
  packet: Packet | undefined;
  /** Its octets. */
  octets: Uint8Array | undefined;
  /** Packets that the engine made, towards the wire and towards the own host. */
  toWire: Packet[];
  toHost: Packet[];
  /** ICMP errors for the own host, rewritten or made by the engine. */
  icmpToHost: IcmpPacket[];
  events: SceneEvent[];
  sets: { kind: number; port: number; opener: string; other: string }[];
}

export interface SceneEvent {
  kind: string;
  reason: string;
  commandId: number;
  token: number;
  path: number;
  subflow: number;
  value: number;
  value64: number;
  local: string;
  remote: string;
}

const VERDICTS = ["drop", "accept", "rewritten", "queue"] as const;

function nameOf(table: Readonly<Record<string, number>>, value: number): string {
  return Object.entries(table).find(([, n]) => n === value)?.[0] ?? String(value);
}

export interface SceneOptions extends EngineOptions {
  build?: Build;
  /** Paths as "name address/prefix", made up and told to the engine with ids 1, 2, … */
  paths?: { address4?: string; address6?: string; flags?: number; mtu?: number }[];
  prefer?: number[];
  /** ConfigFlag bits; default all. */
  flags?: number;
}

/** Extra descriptor input of a packet. */
export interface Delivery {
  /** PacketFlag bits. */
  flags?: number;
  /** User of the local socket; left out: unknown. */
  uid?: number;
}

export class Scene {
  readonly engine: Engine;
  nowUs = 1_000_000n;
  private commandId = 0;
  private eventTail = 0;

  constructor(options: SceneOptions = {}) {
    const config = { FLAGS: options.flags ?? 7, ...options.config };
    this.engine = loadEngine(options.build ?? "test", { ...options, config });
    (options.paths ?? []).forEach((path, i) => {
      this.setPath(i + 1, path);
    });
    if (options.prefer) this.prefer(options.prefer);
  }

  /** PATH_SET; both prefixes are /24 and /64. */
  setPath(id: number, path: { address4?: string; address6?: string; flags?: number; mtu?: number }): Outcome {
    return this.command(abi.CommandKind.PATH_SET, (view, at) => {
      view.setUint32(at + abi.Command.PATH, id, true);
      view.setUint32(at + abi.Command.FLAGS, path.flags ?? abi.PathFlag.UP, true);
      view.setUint32(at + abi.Command.MTU, path.mtu ?? 1500, true);
      view.setUint32(at + abi.Command.INTERFACE, id + 1, true);
      view.setUint8(at + abi.Command.PREFIX4, 24);
      view.setUint8(at + abi.Command.PREFIX6, 64);
      const bytes = new Uint8Array(view.buffer);
      if (path.address4) bytes.set(mappedAddress(path.address4), at + abi.Command.ADDRESS4);
      if (path.address6) bytes.set(mappedAddress(path.address6), at + abi.Command.ADDRESS6);
    });
  }

  /** CLASS_SET of the default class. */
  prefer(paths: number[]): Outcome {
    return this.command(abi.CommandKind.CLASS_SET, (view, at) => {
      view.setUint32(at + abi.Command.PREFER_COUNT, paths.length, true);
      paths.forEach((path, i) => {
        view.setUint8(at + abi.Command.PREFER + i, path);
      });
    });
  }

  /** HANDOVER of all connections. */
  handover(path: number, mode: number = abi.HandoverMode.MAKE_BEFORE_BREAK, timeoutMs = 10_000): Outcome {
    return this.command(abi.CommandKind.HANDOVER, (view, at) => {
      view.setUint32(at + abi.Command.PATH, path, true);
      view.setUint8(at + abi.Command.MODE, mode);
      view.setUint32(at + abi.Command.TIMEOUT_MS, timeoutMs, true);
    });
  }

  /** Any command; `fill` writes its fields. */
  command(kind: number, fill: (view: DataView, at: number) => void = () => {}): Outcome {
    const { view } = this.engine;
    const at = abi.COMMANDS;
    new Uint8Array(view.buffer, at, abi.COMMAND_SIZE).fill(0);
    view.setUint32(at + abi.Command.ID, ++this.commandId, true);
    view.setUint16(at + abi.Command.KIND, kind, true);
    fill(view, at);
    this.prepare();
    this.call("command", 1);
    return this.outcome(undefined);
  }

  /** A command as the daemon gives it. */
  tell(command: EngineCommand): Outcome {
    const records = encodeCommand(command, ++this.commandId);
    this.engine.octets.set(records, abi.COMMANDS);
    this.prepare();
    this.call("command", records.length / abi.COMMAND_SIZE);
    return this.outcome(undefined);
  }

  /** A segment of the own host. */
  host(fields: PacketFields | Uint8Array, delivery: Delivery = {}): Outcome {
    return this.deliver(abi.Hook.LOCAL_OUT, fields, delivery);
  }

  /** A packet from the wire. */
  wire(fields: PacketFields | Uint8Array, delivery: Delivery = {}): Outcome {
    return this.deliver(abi.Hook.LOCAL_IN, fields, { flags: abi.PacketFlag.CHECKSUM_NOT_VERIFIED, ...delivery });
  }

  /** Segments of the own host in one call; the outcome tells nothing of their verdicts. */
  hostBatch(packets: PacketFields[], delivery: Delivery = {}): Outcome {
    packets.forEach((fields, slot) => {
      this.place(slot, abi.Hook.LOCAL_OUT, packet(fields), delivery);
    });
    this.prepare();
    this.call("process", packets.length);
    return this.outcome(undefined);
  }

  /** Lets time pass and fires what is due. */
  advance(us: number): Outcome {
    this.nowUs += BigInt(us);
    this.prepare();
    this.call("tick");
    return this.outcome(undefined);
  }

  /** The engine's next deadline in µs from now, Infinity if there is none. */
  get nextUs(): number {
    const deadline = this.engine.view.getBigUint64(abi.HEADER + abi.EngineHeader.NEXT_DEADLINE_US, true);
    return deadline === 0xffff_ffff_ffff_ffffn ? Infinity : Number(deadline - this.nowUs);
  }

  /** The page of paths and classes. */
  statistics(): Statistics {
    this.call("snapshot", abi.STATISTICS_CURSOR);
    const length = this.engine.header(abi.EngineHeader.SNAPSHOT_LENGTH);
    return decodeStatistics(this.engine.octets.slice(abi.SNAPSHOT, abi.SNAPSHOT + length));
  }

  counter(index: number): number {
    return Number(this.engine.view.getBigUint64(abi.COUNTERS + index * 8, true));
  }

  dropped(reason: number): number {
    return this.counter(abi.DROP_COUNTER_BASE + reason);
  }

  private prepare(): void {
    this.engine.setNow(this.nowUs);
    this.engine.fillEntropy();
  }

  private call(name: string, argument?: number): void {
    const status = argument === undefined ? this.engine.exports[name]?.() : this.engine.exports[name]?.(argument);
    if (status !== abi.Status.OK) throw new Error(`${name}() returned ${status}`);
  }

  private deliver(hook: number, fields: PacketFields | Uint8Array, delivery: Delivery): Outcome {
    const bytes = fields instanceof Uint8Array ? fields : packet(fields);
    this.place(0, hook, bytes, delivery);
    this.prepare();
    this.call("process", 1);
    return this.outcome(bytes);
  }

  /** Puts a packet and its descriptor into `slot` of the batch. */
  private place(slot: number, hook: number, bytes: Uint8Array, delivery: Delivery): void {
    const { view, octets } = this.engine;
    const start = abi.BATCH + slot * abi.SLOT_SIZE;
    const offset = start + abi.SLOT_HEADROOM + 100;
    octets.fill(0xa5, start, offset);
    octets.set(bytes, offset);
    const at = abi.DESCRIPTORS + slot * abi.DESCRIPTOR_SIZE;
    octets.fill(0, at, at + abi.DESCRIPTOR_SIZE);
    view.setUint32(at + abi.Descriptor.OFFSET, offset, true);
    view.setUint32(at + abi.Descriptor.LENGTH, bytes.length, true);
    view.setUint32(at + abi.Descriptor.HOOK, hook, true);
    const { flags = 0, uid } = delivery;
    view.setUint32(at + abi.Descriptor.FLAGS, flags | (uid === undefined ? 0 : abi.PacketFlag.UID), true);
    view.setUint32(at + abi.Descriptor.UID, uid ?? 0, true);
    view.setUint32(at + abi.Descriptor.VERDICT, 0xff, true);
  }

  private outcome(given: Uint8Array | undefined): Outcome {
    const { view, octets } = this.engine;
    const at = abi.DESCRIPTORS;
    const code = view.getUint32(at + abi.Descriptor.VERDICT, true);
    const verdict = given === undefined ? "none" : (VERDICTS[code] ?? "none");
    let out: Uint8Array | undefined;
    if (verdict === "accept") out = given;
    if (verdict === "rewritten") {
      const offset = view.getUint32(at + abi.Descriptor.OUT_OFFSET, true);
      out = octets.slice(offset, offset + view.getUint32(at + abi.Descriptor.OUT_LENGTH, true));
    }
    const toWire: Packet[] = [];
    const toHost: Packet[] = [];
    const icmpToHost: IcmpPacket[] = out && verdict === "rewritten" && isIcmp(out) ? [decodeIcmp(out)] : [];
    for (let i = 0; i < this.engine.header(abi.EngineHeader.OUTBOX_COUNT); i++) {
      const entry = abi.OUTBOX + i * abi.OUTBOX_ENTRY_SIZE;
      const from = view.getUint32(entry + abi.OutboxEntry.OFFSET, true);
      const made = octets.slice(from, from + view.getUint32(entry + abi.OutboxEntry.LENGTH, true));
      const wire = view.getUint32(entry + abi.OutboxEntry.DIRECTION, true) === abi.Direction.WIRE;
      if (isIcmp(made)) icmpToHost.push(decodeIcmp(made));
      else (wire ? toWire : toHost).push(decode(made));
    }
    return {
      verdict,
      reason:
        verdict === "drop" ? nameOf(abi.DropReason, view.getUint32(at + abi.Descriptor.DROP_REASON, true)) : "NONE",
      packet: out && !isIcmp(out) ? decode(out) : undefined,
      octets: out,
      toWire,
      toHost,
      icmpToHost,
      events: this.events(),
      sets: this.sets(),
    };
  }

  private events(): SceneEvent[] {
    const { view, octets } = this.engine;
    const head = this.engine.header(abi.EngineHeader.EVENT_HEAD);
    const events: SceneEvent[] = [];
    for (; this.eventTail !== head; this.eventTail++) {
      const at = abi.EVENTS + (this.eventTail % abi.EVENT_MAX) * abi.EVENT_SIZE;
      const address = (field: number) => addressText(octets.slice(at + field, at + field + 16));
      events.push({
        kind: nameOf(abi.EventKind, view.getUint16(at + abi.EventRecord.KIND, true)),
        reason: nameOf(abi.Reason, view.getUint16(at + abi.EventRecord.REASON, true)),
        commandId: view.getUint32(at + abi.EventRecord.COMMAND_ID, true),
        token: view.getUint32(at + abi.EventRecord.TOKEN, true),
        path: view.getUint32(at + abi.EventRecord.PATH, true),
        subflow: view.getUint32(at + abi.EventRecord.SUBFLOW, true),
        value: view.getUint32(at + abi.EventRecord.VALUE, true),
        value64: Number(view.getBigUint64(at + abi.EventRecord.VALUE64, true)),
        local: address(abi.EventRecord.LOCAL),
        remote: address(abi.EventRecord.REMOTE),
      });
    }
    view.setUint32(abi.HEADER + abi.EngineHeader.EVENT_TAIL, head, true);
    return events;
  }

  private sets(): Outcome["sets"] {
    const { view, octets } = this.engine;
    return Array.from({ length: this.engine.header(abi.EngineHeader.SET_OPERATION_COUNT) }, (_, i) => {
      const at = abi.SET_OPERATIONS + i * abi.SET_OPERATION_SIZE;
      const address = (field: number) => addressText(octets.slice(at + field, at + field + 16));
      return {
        kind: view.getUint8(at + abi.SetOperation.KIND),
        port: view.getUint16(at + abi.SetOperation.PORT, true),
        opener: address(abi.SetOperation.OPENER),
        other: address(abi.SetOperation.OTHER),
      };
    });
  }
}
