// Where a sender's octets went once it was told to use another path, read from captures of all networks: what it sent
// for the first time, what it sent again, and where.
//
// No clock is needed: a round trip is over when the receiver has acknowledged, at data level, all that had been sent
// when it began.

import { option } from "../packet.ts";
import { type Captured, readCapture } from "./capture.ts";
import { PORT } from "./transfer.ts";

/** What a packet of the sender is to the connection. */
export type Kind =
  /** Octets that no packet has carried before, on any path. */
  | "new"
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
  /** Octets that no packet has carried before. */
  fresh: number;
  /** Behind the highest octet of the stream that was sent so far, low 32 bits of its number. */
  edge: number;
}

const low32 = (n: bigint): number => Number(BigInt.asUintN(32, n));
/** How far `a` lies ahead of `b`, both modulo 2^32. */
const ahead = (a: number, b: number): number => (a - b) | 0;

/** Follows one connection; `sender` is the end whose octets are looked at. */
class Follower {
  private readonly sender: "client" | "server";
  private edge: number | undefined;
  /** Per subflow its initial number and behind the highest of its numbers that was sent. */
  private readonly subflows = new Map<string, { isn: number; highest: number }>();

  constructor(sender: "client" | "server") {
    this.sender = sender;
  }

  step(network: string, packet: Captured): Step {
    const common = { ns: packet.ns, network, packet, edge: this.edge ?? 0 };
    const ours = (packet.sport === PORT) === (this.sender === "server");
    if (!ours) return { ...common, kind: "receiver", fresh: 0 };
    const name = `${packet.src} ${packet.sport} ${packet.dst} ${packet.dport}`;
    const known = this.subflows.get(name);
    if (packet.flags.includes("S") || known === undefined) {
      this.subflows.set(name, { isn: packet.seq, highest: 1 });
      return { ...common, kind: "ack", fresh: 0 };
    }
    const dss = option(packet, "dss");
    const octets = packet.payload.length;
    if (octets === 0) return { ...common, kind: dss?.fin ? "dataFin" : "ack", fresh: 0 };
    const ssn = ahead(packet.seq, known.isn);
    const again = ssn < known.highest;
    known.highest = Math.max(known.highest, ssn + octets);
    if (dss?.dsn === undefined || dss.ssn === undefined) return { ...common, kind: again ? "resent" : "new", fresh: 0 };
    const end = (low32(dss.dsn) + ssn - dss.ssn + octets) >>> 0;
    const fresh = Math.min(octets, Math.max(0, ahead(end, this.edge ?? end - octets)));
    if (fresh > 0 || this.edge === undefined) this.edge = end;
    const kind = fresh > 0 ? "new" : again ? "resent" : "reinjected";
    return { ...common, kind, fresh, edge: this.edge };
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

/** Index of the step with which the `count`-th round trip behind step `from` ends; the number of steps if none does. */
export function roundTrips(all: readonly Step[], from: number, count: number): number {
  let at = from;
  for (let done = 0; done < count; done++) {
    const edge = all[at]?.edge ?? 0;
    at = all.findIndex(({ kind, packet }, i) => {
      const dan = kind === "receiver" && i > at ? option(packet, "dss")?.dan : undefined;
      return dan !== undefined && ahead(low32(dan), edge) >= 0;
    });
    if (at < 0) return all.length;
  }
  return at;
}

/** Octets sent for the first time in `part`, by network. */
export function freshOctets(part: readonly Step[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const { network, fresh } of part) sum[network] = (sum[network] ?? 0) + fresh;
  return sum;
}

/** The step with the receiver's first MP_PRIO that makes a subflow backup, or its first REMOVE_ADDR. */
export function command(all: readonly Step[], what: "mpPrio" | "removeAddr"): number {
  return all.findIndex(({ kind, packet }) => {
    if (kind !== "receiver") return false;
    return what === "mpPrio" ? option(packet, "mpPrio")?.backup === true : option(packet, "removeAddr") !== undefined;
  });
}
