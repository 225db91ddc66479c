// What a host says and what it is told, between its stack and its engine. The numbers of both hosts differ by
// constants, so what one is told about the other can be held against the truth.

import { option, type Packet } from "../packet.ts";
import { type ConnectionRecord, demand, distance, type HostRecord, isStream } from "./connection-record.ts";
import { otherSide, type Side } from "./network.ts";

/** Books a packet of the stack at `side`. */
export function stackSends(record: ConnectionRecord, side: Side, p: Packet): void {
  const host = record.hosts[side];
  if (p.flags.includes("S")) {
    host.iss = p.seq;
    host.offeredScale = option(p, "ws")?.shift ?? -1;
    host.nxt = Math.max(host.nxt, 1);
    if (p.flags.includes("A")) agreeOnScale(record);
    host.granted = Math.max(host.granted, 1 + p.win);
    return;
  }
  if (p.flags.includes("R")) host.hasReset = true;
  if (host.iss < 0 || p.flags.includes("R")) return;
  const seq = distance(host.iss, p.seq);
  const end = seq + p.payload.length;
  if (p.flags.includes("F")) host.fin = end;
  if (p.flags.includes("F") || (p.payload.length > 0 && end > host.shownAcknowledged)) host.spoken++;
  host.nxt = Math.max(host.nxt, end + (p.flags.includes("F") ? 1 : 0));
  if (!p.flags.includes("A") || host.irs < 0) return;
  host.acknowledged = Math.max(host.acknowledged, distance(host.irs, p.ack));
  host.granted = Math.max(host.granted, distance(host.irs, p.ack) + p.win * 2 ** host.scale);
}

/** Scaling is in force when both SYNs offered it (RFC 7323 §2.2). */
function agreeOnScale(record: ConnectionRecord): void {
  const { a, b } = record.hosts;
  if (a.offeredScale < 0 || b.offeredScale < 0) return;
  a.scale = a.offeredScale;
  b.scale = b.offeredScale;
}

/**
 * Checks a packet for the stack at `side`. `native`: the far end is an MPTCP stack, whose truth stands on the wire
 * only.
 */
export function stackGets(record: ConnectionRecord, side: Side, p: Packet, native: boolean): void {
  const host = record.hosts[side];
  const farSide = otherSide(side);
  const far = record.hosts[farSide];
  const who = () => `${side}'s host is shown`;
  if (p.flags.includes("S")) {
    host.irs = p.seq;
    host.shownEdge = Math.max(host.shownEdge, 1 + p.win);
    if (native) {
      far.offeredScale = option(p, "ws")?.shift ?? -1;
      if (p.flags.includes("A")) agreeOnScale(record);
    }
    return;
  }
  if (p.flags.includes("R")) host.wasReset = true;
  if (host.irs < 0 || p.flags.includes("R")) return;
  if (record.gone[side] && host.hasReset) return; // passes as it is to a host that gave up, and will be refused
  const seq = distance(host.irs, p.seq);
  const end = seq + p.payload.length;
  if (p.payload.length > 0 && seq >= 1) {
    const right = isStream(record, farSide, seq, p.payload);
    // A keep-alive's octet is garbage, and old; a box may have joined what follows to it.
    const known = !right && seq < host.acknowledged ? 1 : 0;
    const rest = p.payload.subarray(known);
    demand(right || isStream(record, farSide, seq + known, rest), () => `${who()} wrong octets at ${seq}`);
    host.has.add(seq + known, end);
  }
  if (p.flags.includes("F")) {
    const fin = native ? record.dataFin[farSide] : far.fin;
    demand(fin < 0 ? native : fin === end, () => `${who()} a FIN at ${end}, the far end's is at ${fin}`);
  }
  // What comes for a connection that host and engine are through with passes as it is, with the wire's numbers.
  const forgotten = record.gone[side] && !record.fellBack[side] && host.fin >= 0 && host.shownAcknowledged > host.fin;
  if (p.flags.includes("A") && host.iss >= 0 && !forgotten) acknowledged(record, side, p, native);
}

function acknowledged(record: ConnectionRecord, side: Side, p: Packet, native: boolean): void {
  const host = record.hosts[side];
  const farSide = otherSide(side);
  const far = record.hosts[farSide];
  const who = () => `${side}'s host is shown`;
  const tan = distance(host.iss, p.ack);
  demand(tan <= host.nxt, () => `${who()} an acknowledgement of ${tan}, it has sent ${host.nxt}`);
  const truth = native ? Math.max(record.dan[farSide], 1) : far.acknowledged;
  // N-113: a native stack that is through answers without a DATA_ACK; then the engine takes the FIN for acknowledged.
  const closing = native && host.fin >= 0 && tan === host.fin + 1 && truth === host.fin;
  const trusted = !native || !record.isPlain(side);
  demand(
    !trusted || closing || tan <= Math.max(truth, 1),
    () => `${who()} an acknowledgement of ${tan}, the far end's is ${truth}`,
  );
  host.shownAcknowledged = Math.max(host.shownAcknowledged, tan);
  const edge = tan + p.win * 2 ** far.scale;
  const granted = Math.max(native ? record.edge[farSide] : far.granted, host.shownEdge);
  if (trusted) demand(edge <= granted, () => `${who()} a window up to ${edge}, granted is ${granted}`);
  host.shownEdge = Math.max(host.shownEdge, edge);
  showsSack(far, p, host.iss, tan, who, native);
}

function showsSack(far: HostRecord, p: Packet, iss: number, tan: number, who: () => string, native: boolean): void {
  const blocks = (option(p, "sack")?.blocks ?? []).map(([l, r]) => [distance(iss, l), distance(iss, r)] as const);
  blocks.forEach(([left, right], i) => {
    const inside = blocks[1] !== undefined && i === 0 && left >= blocks[1][0] && right <= blocks[1][1];
    if (i === 0 && (right <= tan || inside)) return; // a duplicate (RFC 2883 §4)
    demand(left > tan && left < right, () => `${who()} a SACK block ${left}:${right} beside ${tan}`);
    if (!native)
      demand(far.has.has(left, right), () => `${who()} a SACK block ${left}:${right} that the far end lacks`);
  });
}
