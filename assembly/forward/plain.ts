// Back to plain TCP (RFC 8684 §3.7): how an established connection shows that the peer, or the path, no longer speaks
// MPTCP, and when we may follow (docs/decisions/0003, 0009).

import { Counter, Reason, SubflowState } from "../abi";
import { Connection, ConnectionFlag, hasFlag } from "../connection/connection";
import { connectionFallback } from "../connection/lifecycle";
import { Subflow, subflowAt, SubflowBit, subflowClear, subflowHas } from "../connection/subflow";
import { count } from "../counters";
import { FORGE_OPTIONS } from "../scratch";
import { dsnLt, seqGt, seqLeq } from "../seq/space";
import { forgeAckWith } from "../signalling/forge";
import { joinableBeside } from "../signalling/join";
import { MptcpOptions, writeFail } from "../wire/mptcp-options";
import { TCP_FIN } from "../wire/tcp";
import { acceptUntouched, Segment } from "./segment";

// ---- signs ---------------------------------------------------------------------------------------------

/**
 * RFC 8684 §3.7: an acknowledgement of data without any DATA_ACK so far means that the peer, or the path from it,
 * speaks plain TCP. Later the host's octets would be mapped afresh, and a plain peer would take them for new ones.
 */
export function peerFellBack(connection: Connection, subflow: Subflow, segment: Segment, options: MptcpOptions): bool {
  if (hasFlag(connection, ConnectionFlag.DATA_ACK_SEEN | ConnectionFlag.JOINED_EVER)) return false;
  if (options.present != 0 || !subflowHas(subflow, SubflowBit.INITIAL)) return false;
  if (isKeepAlive(subflow, segment)) return false;
  if (seqGt(segment.segAck, subflow.iss + 1)) return true;
  // The same of a FIN, if that is its first word to the opener: nobody who speaks MPTCP ends a subflow unheard.
  const fin = (segment.flags & TCP_FIN) != 0;
  return fin && hasFlag(connection, ConnectionFlag.OPENER) && segment.segSeq == subflow.irs + 1;
}

/** A keep-alive, which has no option from some; nor has a question of another Shunt (probe.ts). */
@inline function isKeepAlive(subflow: Subflow, segment: Segment): bool {
  return segment.segSeq == subflow.rcvHighest - 1 && segment.payloadLength <= 1;
}

/**
 * The same in mid-stream: where before every ACK had an option, none has one any more. The peer has met octets without
 * a mapping (Linux behind a middlebox that cuts segments) and fell back, or the path takes options away from now on.
 * Four in a row, of something new or in answer to our probes, have not lost theirs by chance; nor has, on the only
 * subflow there ever was, a FIN behind the first of them, or one whose number is the host's own.
 */
export function showsPlain(connection: Connection, subflow: Subflow, segment: Segment, options: MptcpOptions): bool {
  if (options.present != 0 || isOver(connection) || subflow.state != SubflowState.ESTABLISHED) {
    subflowClear(subflow, SubflowBit.PLAIN_ACKS);
    return false;
  }
  if (isKeepAlive(subflow, segment)) return false;
  const asked = subflowHas(subflow, SubflowBit.PROBE_OUT);
  const plainBefore = subflow.flags & SubflowBit.PLAIN_ACKS;
  const fin = (segment.flags & TCP_FIN) != 0;
  const tells = plainBefore != 0 || mayBecomePlain(connection, subflow);
  if (fin && tells && !hasFlag(connection, ConnectionFlag.JOINED_EVER)) return true;
  if (segment.payloadLength != 0 || !(asked || seqGt(segment.segAck, subflow.ssnUna))) return false;
  if (plainBefore == SubflowBit.PLAIN_ACKS) return !joinIsUnderWay(connection);
  subflow.flags += SubflowBit.PLAIN_ACK;
  return false;
}

/** True if both ends have said all, and the peer has it: it may be in TIME_WAIT, where Linux has no options. */
function isOver(connection: Connection): bool {
  const both = ConnectionFlag.LOCAL_FIN | ConnectionFlag.PEER_FIN;
  return (connection.flags & both) == both && !dsnLt(connection.dsnUna, connection.localFinDsn);
}

/**
 * The same behind our DATA_FIN, which has no number on a subflow (RFC 8684 §3.3.3): who acknowledges one more than was
 * ever sent on the only subflow has gone on as plain TCP and means the host's FIN. So has a peer that repeats its FIN
 * without a DSS while ours is unacknowledged, but for a Linux kernel: that may be in TIME_WAIT.
 */
export function endsPlain(connection: Connection, subflow: Subflow, segment: Segment, options: MptcpOptions): bool {
  if (options.present != 0 || !hasFlag(connection, ConnectionFlag.LOCAL_FIN)) return false;
  if (hasFlag(connection, ConnectionFlag.JOINED_EVER) || !subflowHas(subflow, SubflowBit.INITIAL)) return false;
  if (segment.segAck == subflow.ssnNxt + 1) return true;
  const known = ConnectionFlag.PEER_FIN | ConnectionFlag.SHORT_DSN;
  if ((segment.flags & TCP_FIN) == 0 || (connection.flags & known) != known) return false;
  const end = segment.segSeq + segment.payloadLength;
  return connection.dsnUna == connection.localFinDsn && end == plainFin(connection, subflow);
}

// ---- what they allow ------------------------------------------------------------------------------------

/**
 * Makes an established connection plain TCP, if that is possible: one subflow that was always the only one, so
 * that SSN = TSN in both directions, no DATA_FIN under way, and a peer that is no Linux kernel (it would stall, see
 * docs/decisions/0003). MP_FAIL asks the peer to follow (RFC 8684 §3.7);
 * it has no acknowledgement, so it is said three times. False when it is not possible.
 */
export function fallBack(connection: Connection, reason: Reason): bool {
  const obstacles = ConnectionFlag.JOINED_EVER | ConnectionFlag.LOCAL_FIN | ConnectionFlag.PEER_FIN;
  const needed = ConnectionFlag.CONFIRMED | ConnectionFlag.SHORT_DSN;
  if (hasFlag(connection, obstacles) || (connection.flags & needed) != needed) return false;
  if (connection.active == 0 || connection.subflowCount != 1) return false;
  const subflow = subflowAt(connection.active);
  if (!numbersAreHosts(connection, subflow)) return false;
  for (let i = 0; i < 3; i++) forgeAckWith(connection, subflow, writeFail(FORGE_OPTIONS, connection.rcvDan));
  connectionFallback(connection, reason);
  return true;
}

/**
 * True if octets without a mapping in mid-stream make the connection plain TCP: the path takes options away, or the
 * peer has fallen back for the same reason. On the only subflow there ever was, where both directions have the hosts'
 * own numbers. Not with a peer that may be a Linux kernel: unless it has fallen back itself, it sends what no DATA_ACK
 * covers again under fresh SSNs, and a plain host would take that for new octets (docs/decisions/0009).
 */
export function mayBecomePlain(connection: Connection, subflow: Subflow): bool {
  const obstacles = ConnectionFlag.JOINED_EVER | ConnectionFlag.PEER_FIN;
  if (hasFlag(connection, obstacles) || mapsAfresh(connection)) return false;
  if (connection.subflowCount != 1 || !subflowHas(subflow, SubflowBit.INITIAL)) return false; // a join is under way
  return numbersArePeers(connection, subflow) && numbersAreHosts(connection, subflow);
}

/** True if the peer may be a Linux kernel and has sent octets, which it could send again under fresh SSNs. */
export function mapsAfresh(connection: Connection): bool {
  return !hasFlag(connection, ConnectionFlag.SHORT_DSN) && connection.rcvDsnMax != connection.remoteIdsn + 1;
}

/**
 * True if a path without options costs a subflow, not MPTCP: another has been, or the peer's DATA_FIN is here. That has
 * no number on the subflow, where a peer that has not fallen back could make nothing of the host's acknowledgement. One
 * that has shows it by the number of its FIN, but for what may be a Linux kernel. Where there is no other path, another
 * Shunt learns from that acknowledgement that it is to follow.
 */
export function mayJoinAgain(connection: Connection, subflow: Subflow, segment: Segment): bool {
  if (hasFlag(connection, ConnectionFlag.JOINED_EVER)) return true;
  if (!hasFlag(connection, ConnectionFlag.PEER_FIN)) return false;
  if (!hasFlag(connection, ConnectionFlag.SHORT_DSN)) return true;
  return seqLeq(segment.segSeq, plainFin(connection, subflow)) && joinableBeside(connection, subflow.path);
}

/** The number that the peer's FIN would have as plain TCP, on the only subflow there ever was. */
function plainFin(connection: Connection, subflow: Subflow): u32 {
  return subflow.irs + <u32>(connection.peerFinDsn - connection.remoteIdsn);
}

/**
 * True if the handshake of a join has been answered and is not through: who believes in it goes on with it, and who has
 * fallen back resets it. Within a round trip it is known which. A SYN without an answer makes nobody believe.
 */
export function joinIsUnderWay(connection: Connection): bool {
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    const state = <i32>subflowAt(index).state;
    if (state > SubflowState.SYN_SENT && state < SubflowState.ESTABLISHED) return true;
  }
  return false;
}

/**
 * True if the peer has had all that the host ever sent, as the only subflow there ever was tells by its own
 * acknowledgement: none of it was sent anywhere else.
 */
export function hasAll(connection: Connection, subflow: Subflow): boolean {
  if (hasFlag(connection, ConnectionFlag.JOINED_EVER) || subflow.ssnUna != subflow.ssnNxt) return false;
  return numbersAreHosts(connection, subflow);
}

/** True if the host's octets have its own numbers on `subflow`: none was sent again with a fresh SSN. */
function numbersAreHosts(connection: Connection, subflow: Subflow): bool {
  const fin = hasFlag(connection, ConnectionFlag.LOCAL_FIN) ? 1 : 0; // takes no room on a subflow
  return <u32>(connection.dsnNxt - connection.localIdsn) - fin == subflow.ssnNxt - subflow.iss;
}

/** The same of the peer's octets, as far as they have come. */
function numbersArePeers(connection: Connection, subflow: Subflow): bool {
  const octets = subflow.rcvHighest - subflow.irs;
  const fin = subflowHas(subflow, SubflowBit.FIN_RECEIVED) && subflow.rcvHighest == subflow.peerFinSsn + 1 ? 1 : 0;
  return <u32>(connection.rcvDsnMax - connection.remoteIdsn) == octets - fin;
}

/** The peer has gone on as plain TCP without a word: so do we, if the numbers allow it. The packet passes untouched. */
export function fallBackToo(connection: Connection, segment: Segment): bool {
  if (connection.active == 0) return false;
  const subflow = subflowAt(connection.active);
  if (!numbersAreHosts(connection, subflow) || !numbersArePeers(connection, subflow)) return false;
  acceptUntouched(segment);
  connectionFallback(connection, Reason.NO_DSS);
  return true;
}

/**
 * MP_FAIL of the peer on an acknowledgement: it goes on as plain TCP, and wants to hear the same of us (RFC 8684 §3.7:
 * Linux resets the subflow if it does not). The packet passes untouched, and so does all that follows. On a RST the
 * option says why the subflow ends, and nothing else has to be done.
 */
export function peerFail(connection: Connection, subflow: Subflow, segment: Segment): bool {
  count(Counter.MP_FAIL_RECEIVED);
  const obstacles = ConnectionFlag.JOINED_EVER | ConnectionFlag.LOCAL_FIN | ConnectionFlag.PEER_FIN;
  if (hasFlag(connection, obstacles) || !numbersAreHosts(connection, subflow)) return false;
  forgeAckWith(connection, subflow, writeFail(FORGE_OPTIONS, connection.rcvDan));
  acceptUntouched(segment);
  connectionFallback(connection, Reason.INFINITE_MAPPING);
  return true;
}
