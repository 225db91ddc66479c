// The engine as its embedder sees it, with everything checked that must hold after every call, whatever
// was fed in. It knows the ABI and nothing of MPTCP.

import * as abi from "../../host/engine/abi.ts";
import { decode, mappedAddress, type Packet, show } from "../packet.ts";
import { decodeIcmp, isIcmp } from "../packet-icmp.ts";
import { type Build, type Engine, type EngineOptions, loadEngine } from "../wasm.ts";

export interface Input {
  octets: Uint8Array;
  /** abi.Hook */
  hook: number;
  /** abi.PacketFlag bits */
  flags: number;
}

/** A packet that left: where to, and what is in it. */
export interface Sent {
  direction: number;
  packet: Packet;
  /** False for a packet that left as it came. */
  rewritten: boolean;
}

export interface PathSettings {
  flags: number;
  mtu?: number;
  address4?: string;
  address6?: string;
}

const VERDICT_MAX_LENGTH = 65531;
const MTU_MAX = 1500;
const REASONS = new Set<number>(Object.values(abi.DropReason));
const EVENT_KINDS = new Set<number>(Object.values(abi.EventKind));
const SET_KINDS = new Set<number>(Object.values(abi.SetOperationKind));

/** Throws unless `condition` holds; cheaper than expect() where it runs a million times. */
function must(condition: boolean, what: () => string): void {
  if (!condition) throw new Error(what());
}

export class Driver {
  readonly engine: Engine;
  readonly capacity: Required<Pick<EngineOptions, "connections" | "subflows" | "runs">>;
  nowUs = 1_000_000n;
  /** Command ids that were answered with COMMAND_DONE. */
  readonly answered = new Set<number>();
  private eventsSeen = 0;

  constructor(build: Build, options: EngineOptions & Driver["capacity"]) {
    this.capacity = options;
    this.engine = loadEngine(build, { nowUs: this.nowUs, ...options });
  }

  /** Feeds one batch; returns what goes to either side, rewritten packets first. */
  process(inputs: Input[]): Sent[] {
    for (const [i, input] of inputs.entries()) this.place(i, input);
    const status = this.call("process", inputs.length);
    must(status === abi.Status.OK, () => `process() returned ${status}`);
    const rewritten = inputs.flatMap((input, i) => this.verdict(i, input));
    return [...rewritten, ...this.collect()];
  }

  tick(): Sent[] {
    const status = this.call("tick");
    must(status === abi.Status.OK, () => `tick() returned ${status}`);
    return this.collect();
  }

  /** Writes one command, fields by their names in abi.Command, and runs it. */
  command(
    fields: Partial<Record<keyof typeof abi.Command, number>>,
    path?: PathSettings,
    prefer: number[] = [],
  ): Sent[] {
    const { view, octets } = this.engine;
    octets.fill(0, abi.COMMANDS, abi.COMMANDS + abi.COMMAND_SIZE);
    const sizes: Partial<Record<string, 8 | 16>> = { KIND: 16, SCOPE: 8, MODE: 8, PREFIX4: 8, PREFIX6: 8 };
    for (const [name, value] of Object.entries(fields)) {
      const at = abi.COMMANDS + abi.Command[name as keyof typeof abi.Command];
      const size = sizes[name] ?? 32;
      if (size === 8) view.setUint8(at, value);
      else if (size === 16) view.setUint16(at, value, true);
      else view.setUint32(at, value, true);
    }
    if (path?.address4) octets.set(mappedAddress(path.address4), abi.COMMANDS + abi.Command.ADDRESS4);
    if (path?.address6) octets.set(mappedAddress(path.address6), abi.COMMANDS + abi.Command.ADDRESS6);
    octets.set(prefer, abi.COMMANDS + abi.Command.PREFER);
    const status = this.call("command", 1);
    must(status === abi.Status.OK, () => `command() returned ${status}`);
    return this.collect();
  }

  header(field: keyof typeof abi.EngineHeader): number {
    return this.engine.header(abi.EngineHeader[field]);
  }

  /** Reads all pages of the snapshot; as many connections and subflows must be in it as the header counts. */
  checkSnapshot(): void {
    const { CONNECTION, SUBFLOW, PATH, CLASS } = abi.SnapshotKind;
    const kinds: number[] = [];
    let cursor = 0;
    let pages = 0;
    do {
      kinds.push(...this.snapshotPage(cursor));
      cursor = this.header("SNAPSHOT_NEXT");
      must(++pages < 1000, () => "snapshot() does not end");
    } while (cursor !== 0);
    must(
      kinds.every((kind) => kind === CONNECTION || kind === SUBFLOW || kind === PATH),
      () => `snapshot has ${kinds}`,
    );
    const count = (wanted: number) => kinds.filter((kind) => kind === wanted).length;
    const want = [this.header("CONNECTIONS"), this.header("SUBFLOWS")];
    must(count(CONNECTION) === want[0] && count(SUBFLOW) === want[1], () => `snapshot has ${kinds}, header ${want}`);
    const statistics = this.snapshotPage(abi.STATISTICS_CURSOR);
    must(
      statistics.every((kind) => kind === PATH || kind === CLASS),
      () => `statistics have ${statistics}`,
    );
  }

  /** Kinds of the records of one page. */
  private snapshotPage(cursor: number): number[] {
    const status = this.engine.exports.snapshot?.(cursor);
    must(status === abi.Status.OK, () => `snapshot(${cursor}) returned ${status}`);
    const length = this.header("SNAPSHOT_LENGTH");
    must(length <= abi.SNAPSHOT_SIZE && length % abi.SNAPSHOT_RECORD_SIZE === 0, () => `snapshot of ${length} octets`);
    return Array.from({ length: length / abi.SNAPSHOT_RECORD_SIZE }, (_, i) =>
      this.engine.view.getUint16(abi.SNAPSHOT + i * abi.SNAPSHOT_RECORD_SIZE, true),
    );
  }

  private call(name: string, ...args: number[]): number | undefined {
    this.engine.setNow(this.nowUs);
    return this.engine.exports[name]?.(...args);
  }

  private place(i: number, { octets, hook, flags }: Input): void {
    const slot = abi.BATCH + i * abi.SLOT_SIZE;
    const at = slot + abi.SLOT_HEADROOM;
    const { view } = this.engine;
    const descriptor = abi.DESCRIPTORS + i * abi.DESCRIPTOR_SIZE;
    this.engine.octets.fill(0xa5, slot, at + octets.length + 64);
    this.engine.octets.set(octets, at);
    // Stale output must not pass for a verdict.
    this.engine.octets.fill(0xff, descriptor, descriptor + abi.DESCRIPTOR_SIZE);
    view.setUint32(descriptor + abi.Descriptor.OFFSET, at, true);
    view.setUint32(descriptor + abi.Descriptor.LENGTH, octets.length, true);
    view.setUint32(descriptor + abi.Descriptor.HOOK, hook, true);
    view.setUint32(descriptor + abi.Descriptor.INTERFACE, 1, true);
    view.setUint32(descriptor + abi.Descriptor.MARK, 0, true);
    view.setUint32(descriptor + abi.Descriptor.FLAGS, flags, true);
  }

  /** Checks descriptor `i`; the packet that leaves instead of `input`, if one does. */
  private verdict(i: number, input: Input): Sent[] {
    const descriptor = abi.DESCRIPTORS + i * abi.DESCRIPTOR_SIZE;
    const field = (name: keyof typeof abi.Descriptor): number =>
      this.engine.view.getUint32(descriptor + abi.Descriptor[name], true);
    const verdict = field("VERDICT");
    const direction = input.hook === abi.Hook.LOCAL_OUT ? abi.Direction.WIRE : abi.Direction.HOST;
    if (verdict === abi.Verdict.DROP) {
      const reason = field("DROP_REASON");
      must(reason !== 0 && REASONS.has(reason), () => `packet ${i} dropped for reason ${reason}`);
      return [];
    }
    if (verdict === abi.Verdict.ACCEPT) {
      const packet = tryDecode(input.octets);
      return packet ? [{ direction, packet, rewritten: false }] : [];
    }
    must(verdict === abi.Verdict.ACCEPT_REWRITTEN, () => `packet ${i} has verdict ${verdict}`);
    const offset = field("OUT_OFFSET");
    const length = field("OUT_LENGTH");
    const slot = abi.BATCH + i * abi.SLOT_SIZE;
    must(offset >= slot && offset + length <= slot + abi.SLOT_SIZE, () => `packet ${i} lies outside of its slot`);
    must(length <= VERDICT_MAX_LENGTH, () => `packet ${i} has ${length} octets`);
    const octets = this.engine.octets.slice(offset, offset + length);
    if (isIcmp(octets)) {
      must(decodeIcmp(octets).checksumValid, () => `packet ${i}: ICMP with a wrong checksum`);
      return [];
    }
    const packet = decode(octets);
    must(packet.totalLength === length, () => `packet ${i}: ${length} octets, total length ${packet.totalLength}`);
    checkRewritten(packet, input);
    return [{ direction, packet, rewritten: true }];
  }

  /** Checks and reads what the last call left beside verdicts. */
  private collect(): Sent[] {
    this.checkHeader();
    this.checkCounters();
    this.readEvents();
    const { view, octets } = this.engine;
    const sent: Sent[] = [];
    const count = this.header("OUTBOX_COUNT");
    must(count <= abi.OUTBOX_MAX, () => `${count} packets in the outbox`);
    for (let i = 0; i < count; i++) {
      const entry = abi.OUTBOX + i * abi.OUTBOX_ENTRY_SIZE;
      const offset = view.getUint32(entry + abi.OutboxEntry.OFFSET, true);
      const length = view.getUint32(entry + abi.OutboxEntry.LENGTH, true);
      const direction = view.getUint32(entry + abi.OutboxEntry.DIRECTION, true);
      const end = abi.OUTBOX_DATA + abi.OUTBOX_DATA_SIZE;
      must(offset >= abi.OUTBOX_DATA && offset + length <= end, () => `outbox packet ${i} at ${offset}`);
      must(length <= MTU_MAX, () => `outbox packet ${i} of ${length} octets`);
      must(direction <= 1, () => `outbox packet ${i} goes to ${direction}`);
      if (protocolOf(octets, offset) !== 6) continue; // an ICMP message to the own host
      const packet = decode(octets.slice(offset, offset + length));
      must(packet.totalLength === length, () => `outbox packet ${i}: ${length} octets, says ${packet.totalLength}`);
      must(sound(packet), () => `outbox packet ${i}: ${show(packet)}`);
      sent.push({ direction, packet, rewritten: true });
    }
    return sent;
  }

  private checkHeader(): void {
    const { connections, subflows, runs } = this.capacity;
    must(this.header("CONNECTIONS") <= connections, () => `${this.header("CONNECTIONS")} connections`);
    must(this.header("SUBFLOWS") <= subflows, () => `${this.header("SUBFLOWS")} subflows`);
    must(this.header("RUNS_FREE") <= runs, () => `${this.header("RUNS_FREE")} runs free`);
    must(this.header("TRACE_COUNT") <= abi.TRACE_MAX, () => `${this.header("TRACE_COUNT")} trace records`);
    const operations = this.header("SET_OPERATION_COUNT");
    must(operations <= abi.SET_OPERATION_MAX, () => `${operations} set operations`);
    for (let i = 0; i < operations; i++) {
      const at = abi.SET_OPERATIONS + i * abi.SET_OPERATION_SIZE;
      const kind = this.engine.view.getUint8(at + abi.SetOperation.KIND);
      const family = this.engine.view.getUint8(at + abi.SetOperation.FAMILY);
      must(SET_KINDS.has(kind) && (family === 4 || family === 6), () => `set operation ${kind} of family ${family}`);
    }
  }

  /** A counter: abi.Counter, or abi.DROP_COUNTER_BASE + abi.DropReason. */
  counter(index: number): bigint {
    return this.engine.view.getBigUint64(abi.COUNTERS + 8 * index, true);
  }

  /** Every drop has a reason; two reasons are also counted where the packet went on in another way. */
  private checkCounters(): void {
    let byReason = 0n;
    for (const reason of REASONS) byReason += this.counter(abi.DROP_COUNTER_BASE + reason);
    const alsoPassed = [abi.DropReason.CONNECTIONS_FULL, abi.DropReason.MAP_LOG_FULL];
    const passed = alsoPassed.reduce((sum, reason) => sum + this.counter(abi.DROP_COUNTER_BASE + reason), 0n);
    const dropped = this.counter(abi.Counter.DROPPED);
    must(byReason - passed <= dropped && dropped <= byReason, () => `${dropped} dropped, ${byReason} with a reason`);
  }

  private readEvents(): void {
    const { view } = this.engine;
    const head = this.header("EVENT_HEAD");
    must(head >= this.eventsSeen, () => "events taken back");
    for (let i = Math.max(this.eventsSeen, head - abi.EVENT_MAX); i < head; i++) {
      const at = abi.EVENTS + (i % abi.EVENT_MAX) * abi.EVENT_SIZE;
      const kind = view.getUint16(at + abi.EventRecord.KIND, true);
      must(EVENT_KINDS.has(kind), () => `event of kind ${kind}`);
      if (kind !== abi.EventKind.COMMAND_DONE) continue;
      this.answered.add(view.getUint32(at + abi.EventRecord.COMMAND_ID, true));
    }
    this.eventsSeen = head;
    view.setUint32(abi.HEADER + abi.EngineHeader.EVENT_TAIL, head, true);
  }
}

function protocolOf(octets: Uint8Array, at: number): number | undefined {
  return (octets[at] ?? 0) >> 4 === 6 ? octets[at + 6] : octets[at + 9];
}

function tryDecode(octets: Uint8Array): Packet | undefined {
  if (octets.length < 40 || protocolOf(octets, 0) !== 6) return undefined;
  try {
    return decode(octets);
  } catch {
    return undefined;
  }
}

const sound = (packet: Packet): boolean => packet.ipChecksumValid && packet.checksumValid && !packet.optionsMalformed;

/** A packet that the engine rewrote: sound, if it was before, and without MPTCP when it is for the host. */
function checkRewritten(packet: Packet, input: Input): void {
  const what = (): string => `${show(packet)} from ${show(input.octets)}`;
  const before = decode(input.octets);
  const own = input.hook === abi.Hook.LOCAL_OUT;
  // A SYN or SYN/ACK of a join is for us alone: accepted with a wrong checksum, conntrack sees it, the host does not.
  const consumed = !own && before.flags.includes("S") && before.seq === packet.seq && !packet.checksumValid;
  const computed = (input.flags & abi.PacketFlag.CHECKSUM_NOT_READY) !== 0;
  const notVerified = (input.flags & abi.PacketFlag.CHECKSUM_NOT_VERIFIED) !== 0;
  if (consumed) return;
  must(packet.ipChecksumValid && !packet.optionsMalformed, what);
  if (own && (input.flags & abi.PacketFlag.GSO) !== 0) return; // the kernel computes it
  if (computed || before.checksumValid) must(packet.checksumValid, what);
  else must(!notVerified, () => `rewritten in spite of its checksum: ${what()}`);
  if (own) return;
  // A SYN keeps MP_CAPABLE for a host that may speak MPTCP itself.
  const forHost = packet.flags === "S" ? packet.options.filter(({ kind }) => kind !== "mpCapable") : packet.options;
  const mptcp = forHost.find(({ kind }) => kind.startsWith("mp") || kind === "dss" || kind.endsWith("Addr"));
  must(mptcp === undefined, what);
}
