// Where a sender's octets went once it was told to use another path, read from captures of all networks: what it sent
// for the first time, what it sent again, and where.
//
// No clock is needed: a round trip of a path is over when what was sent there next is acknowledged there.

import { option } from "../packet.ts";
import { Ranges } from "../sim/ranges.ts";
import { type Captured, readCapture } from "./capture.ts";
import { PORT } from "./transfer.ts";

/** What a packet of the sender is to the connection. */
export type Kind =
  /** Octets that go on where the stream was highest so far, on whatever path. */
  | "new"
  /** Octets that no packet has carried before either, but later ones of the stream have overtaken them on another path. */
  | "queued"
  /** The subflow's own TCP sends octets again, under their old numbers. */
  | "resent"
  /** Octets that another subflow carried (or this one), sent again under fresh subflow numbers. */
  | "reinjected"
  | "dataFin"
  | "ack";

export interface Step {
  ns: number;
  network: string;
  /** The sender's packet, or one of the receiver's. */
  kind: Kind | "receiver";
  packet: Captured;
  /** Payload octets above the highest that was sent so far. */
  fresh: number;
}

const low32 = (n: bigint): number => Number(BigInt.asUintN(32, n));
/** How far `a` lies ahead of `b`, both modulo 2^32. */
const ahead = (a: number, b: number): number => (a - b) | 0;

/** Follows one connection; `sender` is the end whose octets are looked at. */
class Follower {
  private readonly sender: "client" | "server";
  /** Number of the first octet that was seen, low 32 bits; all others count from there. */
  private first: number | undefined;
  private edge = 0;
  private readonly carried = new Ranges();
  /** Per subflow its initial number and behind the highest of its numbers that was sent. */
  private readonly subflows = new Map<string, { isn: number; highest: number }>();

  constructor(sender: "client" | "server") {
    this.sender = sender;
  }

  step(network: string, packet: Captured): Step {
    const common = { ns: packet.ns, network, packet };
    const ours = (packet.sport === PORT) === (this.sender === "server");
    if (!ours) return { ...common, kind: "receiver", fresh: 0 };
    const name = flowOf(packet);
    const subflow = this.subflows.get(name);
    if (packet.flags.includes("S") || subflow === undefined) {
      this.subflows.set(name, { isn: packet.seq, highest: 1 });
      return { ...common, kind: "ack", fresh: 0 };
    }
    const dss = option(packet, "dss");
    const octets = packet.payload.length;
    if (octets === 0) return { ...common, kind: dss?.fin ? "dataFin" : "ack", fresh: 0 };
    const ssn = ahead(packet.seq, subflow.isn);
    const again = ssn < subflow.highest;
    subflow.highest = Math.max(subflow.highest, ssn + octets);
    if (dss?.dsn === undefined || dss.ssn === undefined) return { ...common, kind: again ? "resent" : "new", fresh: 0 };
    const number = (low32(dss.dsn) + ssn - dss.ssn) >>> 0;
    this.first ??= number;
    const from = ahead(number, this.first);
    const fresh = Math.max(0, Math.min(octets, from + octets - this.edge));
    const known = this.carried.has(from, from + octets);
    this.edge = Math.max(this.edge, from + octets);
    this.carried.add(from, from + octets);
    const kind = fresh > 0 ? "new" : !known ? "queued" : again ? "resent" : "reinjected";
    return { ...common, kind, fresh };
  }
}

/** Everything that entered the networks, in the order in which it did. `files`: a capture per network. */
export function steps(files: Readonly<Record<string, string>>, sender: "client" | "server"): Step[] {
  const follower = new Follower(sender);
  return Object.entries(files)
    .flatMap(([network, file]) => readCapture(file).map((packet) => ({ network, packet })))
    .sort((x, y) => x.packet.ns - y.packet.ns)
    .map(({ network, packet }) => follower.step(network, packet));
}

/** Index of the step with which the `count`-th round trip on `network` behind step `from` ends; all of them if none. */
export function roundTrips(all: readonly Step[], network: string, from: number, count: number): number {
  let at = from;
  for (let done = 0; done < count; done++) {
    const there = (step: Step, i: number) => i > at && step.network === network;
    const sent = all.find((step, i) => there(step, i) && step.kind !== "receiver" && step.packet.payload.length > 0);
    if (sent === undefined) return all.length;
    const [back, end] = [backOf(sent.packet), sent.packet.seq + sent.packet.payload.length];
    at = all.findIndex((step, i) => there(step, i) && flowOf(step.packet) === back && ahead(step.packet.ack, end) >= 0);
    if (at < 0) return all.length;
  }
  return at;
}

const flowOf = ({ src, sport, dst, dport }: Captured): string => `${src} ${sport} ${dst} ${dport}`;
const backOf = ({ src, sport, dst, dport }: Captured): string => `${dst} ${dport} ${src} ${sport}`;

/** Octets sent for the first time in `part`, by network. */
export function freshOctets(part: readonly Step[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const { network, fresh } of part) sum[network] = (sum[network] ?? 0) + fresh;
  return sum;
}

/**
 * The step with which the receiver begins to move away from `network` for good: its first MP_PRIO there that makes a
 * subflow backup, behind all of that kind on other networks. A kernel may have several subflows on one network.
 */
export function prioOn(all: readonly Step[], network: string): number {
  const makesBackup = (s: Step): boolean => s.kind === "receiver" && option(s.packet, "mpPrio")?.backup === true;
  const elsewhere = all.findLastIndex((s) => s.network !== network && makesBackup(s));
  return all.findIndex((s, i) => i > elsewhere && s.network === network && makesBackup(s));
}

/** The step with the receiver's first REMOVE_ADDR. */
export function removal(all: readonly Step[]): number {
  return all.findIndex(({ kind, packet }) => kind === "receiver" && option(packet, "removeAddr") !== undefined);
}
