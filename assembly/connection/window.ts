// Receive windows: two right edges in DSN space, one per direction. The window field of each packet is
// an edge less the acknowledgement it carries, in the scale of the one who reads it (RFC 9293 §3.8.6;
// Linux keeps the largest edge it was ever granted, so we never grant more than the host did).

import { Fault, faulty } from "../faults";
import { Dan, dsnGt } from "../seq/space";
import { Connection } from "./connection";
import { Subflow, SubflowBit, subflowHas } from "./subflow";

/** Takes in the window of a segment from the host that acknowledged `dan`; `octets` unscaled already. */
@inline export function hostWindowUpdate(connection: Connection, dan: Dan, octets: u32): void {
  connection.hostWindow = octets;
  connection.hostWindowRight = dan + <u64>(faulty(Fault.SUBFLOW_WINDOW) ? octets + 128 : octets);
}

/** Takes in the window of a packet from the peer; the edge never moves back. True if it moved. */
@inline export function peerWindowUpdate(connection: Connection, dan: Dan, octets: u32): bool {
  const right = dan + <u64>(faulty(Fault.WINDOW) ? octets + 1 : octets);
  if (!dsnGt(right, connection.peerWindowRight)) return false;
  connection.peerWindowRight = right;
  return true;
}

/** Window field for a packet on `subflow` that carries the present DAN. */
export function windowForSubflow(connection: Connection, subflow: Subflow): u32 {
  const octets = connection.hostWindowRight - connection.rcvDan;
  const field = octets >> (subflowHas(subflow, SubflowBit.UNSCALED) ? 0 : connection.hostScale);
  return field > 65535 ? 65535 : <u32>field;
}

/** Window field of a forged SYN or SYN/ACK: never scaled (RFC 7323 §2.2). */
export function windowUnscaled(connection: Connection): u32 {
  const octets = connection.hostWindowRight - connection.rcvDan;
  return octets > 65535 ? 65535 : <u32>octets;
}

/** Window field for the host beside shownTan(). */
export function windowForHost(connection: Connection): u32 {
  const octets = connection.peerWindowRight - connection.shownDan;
  if (<i64>octets < 0) return 0;
  const field = octets >> connection.peerScale;
  return field > 65535 ? 65535 : <u32>field;
}
