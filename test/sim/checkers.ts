// The checkers: every packet at every point, held against what the hosts themselves have said. A checker never looks
// into an engine except for its tables' own invariants.

import * as abi from "../../host/engine/abi.ts";
import { option, type Packet } from "../packet.ts";
import type { SceneEvent } from "../scene.ts";
import { stackGets, stackSends } from "./check-host.ts";
import { SubflowCheck } from "./check-subflow.ts";
import { ConnectionRecord, demand } from "./connection-record.ts";
import type { Machine } from "./machine.ts";
import { otherSide, pathOf, SIDES, type Side } from "./network.ts";
import { isMptcp } from "./segment.ts";
import type { Observer } from "./world.ts";

export const SERVER_PORT = 80;

export class Checkers implements Observer {
  machines: Record<Side, Machine> | undefined;
  readonly connections = new Map<number, ConnectionRecord>();
  readonly events: Record<string, number> = {};
  mtu = 1500;
  /** A middlebox makes plain SYNs of joins: connections turn up that nobody has announced. */
  strangers = false;
  private readonly subflows = new Map<string, SubflowCheck>();
  private readonly native: Record<Side, boolean>;
  private readonly engines: Record<Side, boolean>;

  /** `native`: this end is an MPTCP stack; `engines`: this end has an engine. */
  constructor(native: Record<Side, boolean>, engines: Record<Side, boolean>) {
    this.native = native;
    this.engines = engines;
  }

  /** A connection of the client's `port`, and what its ends will send. */
  expect(port: number, streams: Record<Side, Uint8Array>): ConnectionRecord {
    const record = new ConnectionRecord(port, streams);
    this.connections.set(port, record);
    return record;
  }

  private recordOf(p: Packet): ConnectionRecord | undefined {
    return this.connections.get(p.sport === SERVER_PORT ? p.dport : p.sport);
  }

  stackSends(side: Side, p: Packet): void {
    const record = this.recordOf(p);
    if (record && !this.native[side]) stackSends(record, side, p);
  }

  stackGets(side: Side, p: Packet): void {
    demand(p.ipChecksumValid, () => `${side}'s host gets a wrong IP checksum`);
    const record = this.recordOf(p);
    const foreign = !this.native[side] && !/[SR]/.test(p.flags) ? p.options.find(isMptcp) : undefined;
    // Behind a RST that passed before MPTCP was agreed a late third ACK is a stranger's.
    const refused = foreign?.kind === "mpCapable" && record?.hosts[side].wasReset;
    demand(!foreign || refused || record?.isPlain(side) !== false, () => `${side}'s host gets ${foreign?.kind}`);
    if (record && !this.native[side]) stackGets(record, side, p, this.native[otherSide(side)]);
  }

  wireOut(side: Side, p: Packet): void {
    const from = () => `${p.src}:${p.sport} > ${p.dst}:${p.dport} ${p.flags}`;
    demand(p.checksumValid && p.ipChecksumValid, () => `${from()}: wrong checksum`);
    demand(!p.optionsMalformed, () => `${from()}: options whose lengths lie`);
    demand(p.totalLength <= this.mtu, () => `${from()}: ${p.totalLength} octets, MTU ${this.mtu}`);
    demand(pathOf(p.src) > 0, () => `${from()}: from no path`);
    const check = this.subflow(side, p, true);
    check?.record.learn(side, p);
    if (check?.record.checksums) check.record.starved[side] ||= this.mapLogFull(side);
    if (check === undefined) demand(this.strangers || p.flags.includes("R"), () => `${from()}: of no connection`);
    else if (!check.record.gone[side]) check.leaves(p);
  }

  private mapLogFull(side: Side): boolean {
    return (this.machines?.[side].engine?.dropped(abi.DropReason.MAP_LOG_FULL) ?? 0) > 0;
  }

  wireIn(side: Side, p: Packet): void {
    this.subflow(side, p, false)?.arrives(p);
  }

  /** The check of the subflow that a packet at `side` belongs to; a SYN begins one. */
  private subflow(side: Side, p: Packet, leaving: boolean): SubflowCheck | undefined {
    const [own, other] = [`${p.src}:${p.sport}`, `${p.dst}:${p.dport}`];
    const key = leaving ? `${side} ${own} ${other}` : `${side} ${other} ${own}`;
    const known = this.subflows.get(key);
    if (known !== undefined && !(known.over && p.flags === "S" && !known.began(p.seq))) return known;
    if (!p.flags.includes("S")) return known;
    const sender = leaving ? side : otherSide(side);
    const record = this.joined(sender, p) ?? this.recordOf(p);
    if (record === undefined) return undefined;
    const check = new SubflowCheck(record, side, !this.engines[side], leaving ? `${own}-${other}` : `${other}-${own}`);
    this.subflows.set(key, check);
    return check;
  }

  /** The connection that an MP_JOIN SYN of `sender` names by its receiver's token. */
  private joined(sender: Side, p: Packet): ConnectionRecord | undefined {
    const token = option(p, "mpJoin")?.token;
    if (token === undefined) return undefined;
    return [...this.connections.values()].find((record) => record.token[otherSide(sender)] === token);
  }

  event(side: Side, { kind, token, reason }: SceneEvent): void {
    this.events[kind] = (this.events[kind] ?? 0) + 1;
    for (const record of this.connections.values()) {
      if (kind === "CONNECTION_CLOSED" && record.token[side] === token) record.gone[side] = true;
      if (kind === "SUBFLOW_CLOSED" && reason === "POISONED" && record.token[side] === token) record.poisoned = true;
      if (kind === "NEW_SUBFLOW" && record.token[side] === token) record.joined = true;
      const concerned = record.token[side] === token || record.token[side] === undefined;
      if (kind === "CONNECTION_FALLBACK" && concerned) record.fellBack[side] = true;
    }
  }

  tables(): void {
    for (const side of SIDES) {
      const { engine } = this.machines?.[side].engine ?? {};
      const broken = engine?.exports.tablesCheck?.() ?? 0;
      demand(broken === 0, () => `${side}'s engine: invariant ${broken} of assembly/testing.ts is broken`);
    }
  }
}
