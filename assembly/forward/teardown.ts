// The end of connections and subflows (RFC 8684 §3.3.3, §3.5; paper §3.1).
//
//   graceful   both DATA_FINs acknowledged ──► a FIN of our own on every subflow, with our own timers
//              ──► TIME_WAIT ──► gone
//   abrupt     RST of the host ──► RST with MP_FASTCLOSE on every subflow
//              MP_FASTCLOSE of the peer ──► RST to the host, RST on every subflow
//   subflow    FIN or RST of the peer on one subflow: the host is not told, data goes on elsewhere

import { ConnectionState, Counter, DropReason, Reason, SubflowState } from "../abi";
import { nowUs } from "../clock";
import {
  CONTROL_REPEATS, FIN_TRIES_MAX, RESET_LINGER_US, RESET_REPEAT_US, SHUTDOWN_LINGER_US, STRIPPED_PAUSE_TRIES,
  TIME_WAIT_US,
} from "../config";
import {
  Connection, ConnectionFlag, hasFlag, setFlag, shownTan, tsnFromDsn,
} from "../connection/connection";
import { connectionDestroy, subflowDestroy } from "../connection/lifecycle";
import { measureMapped, measurePlace } from "../connection/measure";
import { rtoUs } from "../connection/rtt";
import {
  rangesOf, Subflow, subflowAt, SubflowBit, subflowHas, subflowIndex, subflowSet,
} from "../connection/subflow";
import { armConnection, armSubflow } from "../connection/timers";
import { windowForHost, windowForSubflow } from "../connection/window";
import { count } from "../counters";
import { abandonSubflow, goOnElsewhere, RST_MIDDLEBOX, RST_UNSPECIFIED } from "../handover/abandon";
import { standbyNow } from "../handover/standby";
import { handoverEnd } from "../handover/switch";
import { rangesContiguous } from "../mapping/received-ranges";
import { FORGE_OPTIONS, MPTCP_OPTIONS, REWRITE_OPTIONS } from "../scratch";
import { Dsn, dsnGt, seqGt, seqLeq, seqLt } from "../seq/space";
import { forgeAck, forgeOnSubflow, forgeToHost, writeDataAck } from "../signalling/forge";
import { DSS, MP_TCPRST, mptcpOptionsAt, writeFail, writeFastclose, writeTcpRst } from "../wire/mptcp-options";
import { TCP_ACK, TCP_FIN, TCP_RST } from "../wire/tcp";
import { advanceSan } from "./ack-to-subflow";
import { takeDan } from "./ack-to-tcp";
import { hasAll } from "./plain";
import { rewriteToSubflow } from "./route";
import { dropSegment, Segment, segmentCut } from "./segment";

// ---- graceful ------------------------------------------------------------------------------------------

/** Begins to close the subflows once both directions of the connection are closed and acknowledged. */
export function maybeCloseSubflows(connection: Connection): void {
  if (hasFlag(connection, ConnectionFlag.SUBFLOWS_CLOSING | ConnectionFlag.RESET)) return;
  const both = ConnectionFlag.LOCAL_FIN | ConnectionFlag.PEER_FIN;
  if ((connection.flags & both) != both) return;
  if (!dsnGt(connection.dsnUna, connection.localFinDsn)) return;
  if (!dsnGt(connection.rcvDan, connection.peerFinDsn)) return;
  setFlag(connection, ConnectionFlag.SUBFLOWS_CLOSING);
  measurePlace(connection);
  connection.state = <u8>ConnectionState.M_CLOSING;
  connection.hostFinUs = 0;
  connection.joinUs = 0;
  handoverEnd(connection, Reason.CLOSED);
  let index = connection.head;
  while (index != 0) {
    const subflow = subflowAt(index);
    index = subflow.next;
    if (subflowHas(subflow, SubflowBit.FIN_RECEIVED)) setFlag(connection, ConnectionFlag.CLOSE_HEARD);
    if (subflow.state == SubflowState.ESTABLISHED) sendFin(connection, subflow);
    else if (<i32>subflow.state < SubflowState.ESTABLISHED) subflowDestroy(subflow, Reason.CLOSED);
  }
  // Whatever the peer does, the connection's state goes after a while.
  connection.expireUs = nowUs() + 6 * TIME_WAIT_US;
  armConnection(connection);
}

/** Sends our FIN on `subflow`, with our DATA_ACK, and arms its timer. */
export function sendFin(connection: Connection, subflow: Subflow): void {
  if (!subflowHas(subflow, SubflowBit.FIN_SENT)) {
    subflow.finSsn = subflow.ssnNxt;
    subflow.ssnNxt += 1;
    measureMapped(subflow, 1);
    subflow.tries = 0;
    subflowSet(subflow, SubflowBit.FIN_SENT);
    subflow.state = <u8>SubflowState.FIN_WAIT;
  }
  const end = writeDataAck(connection, FORGE_OPTIONS);
  const window = windowForSubflow(connection, subflow);
  forgeOnSubflow(subflow, subflow.finSsn, subflow.rcvSan, TCP_FIN | TCP_ACK, window, end);
  subflow.retryUs = nowUs() + (rtoUs(subflow) << subflow.tries);
  armSubflow(subflow);
}

/** The FIN's timer fired: sends it again, or forgets the subflow. */
export function finRetrySubflow(connection: Connection, subflow: Subflow): void {
  if (++subflow.tries > <u8>FIN_TRIES_MAX) {
    resetUnclosed(subflow);
    closeEnd(connection, subflow, Reason.TIMEOUT);
    return;
  }
  sendFin(connection, subflow);
}

/**
 * Our FIN was never acknowledged, and we are about to forget the subflow: it may stand behind octets that were lost and
 * have gone elsewhere, and then the peer can never take it. A RST takes its place, at the number it has acknowledged.
 */
function resetUnclosed(subflow: Subflow): void {
  if (!subflowHas(subflow, SubflowBit.FIN_SENT) || subflowHas(subflow, SubflowBit.FIN_ACKED)) return;
  const end = writeTcpRst(FORGE_OPTIONS, 0, RST_UNSPECIFIED);
  forgeOnSubflow(subflow, subflow.ssnUna, subflow.rcvSan, TCP_RST | TCP_ACK, 0, end);
}

/** The time of a closed connection is over, whatever the peer has said. */
export function closeExpired(connection: Connection): void {
  for (let index = connection.head; index != 0; index = subflowAt(index).next) resetUnclosed(subflowAt(index));
}

/** Looks at the subflow after each packet: has our FIN been acknowledged, is it closed on both sides? */
export function subflowCloseProgress(connection: Connection, subflow: Subflow): void {
  if (!subflowHas(subflow, SubflowBit.FIN_SENT)) return;
  if (!subflowHas(subflow, SubflowBit.FIN_ACKED) && seqGt(subflow.ssnUna, subflow.finSsn)) {
    subflowSet(subflow, SubflowBit.FIN_ACKED);
    if (hasFlag(connection, ConnectionFlag.SUBFLOWS_CLOSING)) setFlag(connection, ConnectionFlag.CLOSE_HEARD);
    subflow.retryUs = 0;
    armSubflow(subflow);
  }
  const both = SubflowBit.FIN_ACKED | SubflowBit.FIN_RECEIVED;
  if ((subflow.flags & both) != both || subflow.state == SubflowState.TIME_WAIT) return;
  subflow.state = <u8>SubflowState.TIME_WAIT;
  subflow.expireUs = nowUs() + TIME_WAIT_US;
  armSubflow(subflow);
  if (!hasFlag(connection, ConnectionFlag.SUBFLOWS_CLOSING)) return;
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    if (subflowAt(index).state != SubflowState.TIME_WAIT) return;
  }
  connection.state = <u8>ConnectionState.M_TIME_WAIT;
  connection.expireUs = nowUs() + TIME_WAIT_US;
  armConnection(connection);
}

/** A subflow's life is over; with the last one of a closed connection the connection goes, too. */
export function closeEnd(connection: Connection, subflow: Subflow, reason: Reason): void {
  subflowDestroy(subflow, reason);
  const closing = hasFlag(connection, ConnectionFlag.SUBFLOWS_CLOSING);
  if (closing && connection.head == 0) {
    if (hasFlag(connection, ConnectionFlag.CLOSE_HEARD)) connectionDestroy(connection, Reason.CLOSED);
    else standbyNow(connection);
  } else if (!closing && connection.active == 0 && connection.expireUs == 0) goOnElsewhere(connection);
}

/** The FIN flag of a packet from the peer, whose octets end at `finSsn`. */
export function peerSubflowFin(connection: Connection, subflow: Subflow, segment: Segment): void {
  const finSsn = segment.segSeq + segment.payloadLength;
  if (!subflowHas(subflow, SubflowBit.FIN_RECEIVED)) {
    if (seqLt(finSsn, subflow.rcvSan)) return; // it would stand below octets that came: no FIN of this peer
    if (seqLt(rangesContiguous(rangesOf(subflow), subflow.rcvSan), finSsn)) return; // octets before it are missing
    subflow.peerFinSsn = finSsn;
    subflowSet(subflow, SubflowBit.FIN_RECEIVED);
  }
  advanceSan(connection, subflow);
  forgeAck(connection, subflow);
  if (hasFlag(connection, ConnectionFlag.SUBFLOWS_CLOSING)) setFlag(connection, ConnectionFlag.CLOSE_HEARD);
  if (hasFlag(connection, ConnectionFlag.SUBFLOWS_CLOSING | ConnectionFlag.RESET)) return;
  if (finImplied(connection, subflow)) return;
  // The peer closes this subflow only: close our side, too, and go on elsewhere.
  if (subflow.state == SubflowState.ESTABLISHED) {
    sendFin(connection, subflow);
    if (connection.active == subflowIndex(subflow)) goOnElsewhere(connection);
  }
}

/**
 * The peer's last DATA_ACK was lost and will not come again: in TIME_WAIT Linux answers without a DSS, and a path may
 * have taken away every DATA_ACK for a while. A peer closes every subflow only when both DATA_FINs are acknowledged, so
 * its FIN on all of them stands for that. `on`: the subflow of the one that has come.
 */
function finImplied(connection: Connection, on: Subflow): bool {
  const both = ConnectionFlag.LOCAL_FIN | ConnectionFlag.PEER_FIN;
  if ((connection.flags & both) != both || dsnGt(connection.dsnUna, connection.localFinDsn)) return false;
  if (!dsnGt(connection.rcvDan, connection.peerFinDsn)) return false;
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    if (!subflowHas(subflowAt(index), SubflowBit.FIN_RECEIVED)) return false;
  }
  if (connection.dsnUna != connection.localFinDsn) {
    const withoutDss = (mptcpOptionsAt(MPTCP_OPTIONS).present & (1 << DSS)) == 0;
    if (!withoutDss || !hasAll(connection, on)) return false;
    takeDan(connection, on, connection.localFinDsn);
  }
  connection.dsnUna = connection.localFinDsn + 1;
  connection.shownDan = connection.dsnUna;
  const tsn = tsnFromDsn(connection, connection.peerFinDsn + 1);
  forgeToHost(connection, tsn, shownTan(connection), TCP_ACK, windowForHost(connection));
  maybeCloseSubflows(connection);
  return true;
}

// ---- abrupt --------------------------------------------------------------------------------------------

/** RST with MP_FASTCLOSE on `subflow`; `ssn` is what the peer expects next. */
function sendFastclose(connection: Connection, subflow: Subflow, ssn: u32): void {
  const end = writeFastclose(FORGE_OPTIONS, connection.remoteKey);
  count(Counter.FASTCLOSE_SENT);
  forgeOnSubflow(subflow, ssn, subflow.rcvSan, TCP_RST | TCP_ACK, 0, end);
}

/**
 * Keeps what is needed to answer challenge ACKs with correctly numbered RSTs, for a while; what we reset
 * ourselves is said again, since a lost RST leaves the peer waiting for good.
 */
function linger(connection: Connection, reason: Reason): void {
  setFlag(connection, ConnectionFlag.RESET);
  measurePlace(connection);
  connection.closeReason = <u8>reason;
  connection.hostFinUs = 0;
  connection.advertiseUs = 0;
  connection.controlUs = reason == Reason.FASTCLOSE ? 0 : nowUs() + RESET_REPEAT_US;
  connection.controlTries = 0;
  connection.joinUs = 0;
  connection.transitionUs = 0;
  handoverEnd(connection, reason);
  // Handshakes under way end here: behind our RST nothing else may leave on them.
  let index = connection.head;
  while (index != 0) {
    const subflow = subflowAt(index);
    index = subflow.next;
    if (<i32>subflow.state < SubflowState.ESTABLISHED) subflowDestroy(subflow, reason);
  }
  connection.expireUs = nowUs() + (reason == Reason.SHUTDOWN ? SHUTDOWN_LINGER_US : RESET_LINGER_US);
  armConnection(connection);
}

/** RST with MP_FASTCLOSE on every subflow but `except` (index, 0 = none). */
function fastcloseAll(connection: Connection, except: u32): void {
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    if (index != except) sendFastclose(connection, subflowAt(index), subflowAt(index).ssnNxt);
  }
}

/** The timer of linger() fired: says it again. */
export function repeatReset(connection: Connection): void {
  fastcloseAll(connection, 0);
  connection.controlUs = ++connection.controlTries >= <u8>CONTROL_REPEATS ? 0 : nowUs() + RESET_REPEAT_US;
}

/**
 * RST of the host on an established connection: the packet itself leaves on the active subflow, forged ones
 * on the others.
 */
export function hostReset(connection: Connection, segment: Segment): void {
  const active = connection.active;
  fastcloseAll(connection, active);
  segmentCut(segment, 0);
  if (active == 0) {
    dropSegment(segment, DropReason.NO_USABLE_SUBFLOW);
  } else {
    const subflow = subflowAt(active);
    const end = writeFastclose(REWRITE_OPTIONS, connection.remoteKey);
    count(Counter.FASTCLOSE_SENT);
    rewriteToSubflow(segment, subflow, subflow.ssnNxt, subflow.rcvSan, TCP_RST | TCP_ACK, 0, end);
  }
  linger(connection, Reason.HOST_RESET);
}

/**
 * Resets our own host. It believes a RST only if SEQ is exactly what it expects next (RFC 5961 §3), and that we
 * know for sure only from its last acknowledgement, which may be delayed: so both candidates are sent, and
 * while we linger every segment of the host is answered with the number it names.
 */
export function resetHost(connection: Connection): void {
  const acknowledged = tsnFromDsn(connection, connection.rcvDan);
  const delivered = tsnFromDsn(connection, connection.rcvDsnMax);
  const tan = shownTan(connection);
  forgeToHost(connection, acknowledged, tan, TCP_RST | TCP_ACK, 0);
  if (dsnGt(connection.rcvDsnMax, connection.rcvDan)) forgeToHost(connection, delivered, tan, TCP_RST | TCP_ACK, 0);
}

/** A segment of the host on a connection that was reset: it has not believed our RST. */
export function answerHostAfterReset(connection: Connection, segment: Segment): void {
  const believes = (segment.flags & TCP_RST) != 0 || (segment.flags & TCP_ACK) == 0;
  if (!believes) forgeToHost(connection, segment.segAck, 0, TCP_RST, 0);
  dropSegment(segment, DropReason.SUBFLOW_CLOSED);
}

/** RST to the host, RST with MP_FASTCLOSE to the peer on every subflow; keeps nothing in mind. */
export function resetAtOnce(connection: Connection): void {
  resetHost(connection);
  fastcloseAll(connection, 0);
}

/**
 * Octets of the peer were altered on their way, and the host may have some of them, or there is no other way for them:
 * ends the connection on both sides. `failedDsn`: first octet of the mapping (RFC 8684 §3.7).
 */
export function resetAltered(connection: Connection, subflow: Subflow, failedDsn: Dsn): void {
  const end = writeFastclose(writeFail(FORGE_OPTIONS, failedDsn), connection.remoteKey);
  forgeOnSubflow(subflow, subflow.ssnNxt, subflow.rcvSan, TCP_RST | TCP_ACK, 0, end);
  resetBoth(connection, Reason.CHECKSUM);
}

/** Ends the connection on both sides, and lingers. */
export function resetBoth(connection: Connection, reason: Reason): void {
  resetAtOnce(connection);
  linger(connection, reason);
}

/** MP_FASTCLOSE of the peer, on RST or ACK (RFC 8684 §3.5). A wrong key is ignored. */
export function peerFastclose(connection: Connection, subflow: Subflow, segment: Segment, key: u64): void {
  if (key != connection.localKey) {
    dropSegment(segment, DropReason.FASTCLOSE_BAD_KEY);
    return;
  }
  count(Counter.FASTCLOSE_RECEIVED);
  dropSegment(segment, DropReason.CONSUMED);
  if (hasFlag(connection, ConnectionFlag.RESET)) return;
  resetHost(connection);
  const own = subflowIndex(subflow);
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    const other = subflowAt(index);
    const answered = index == own && (segment.flags & TCP_RST) != 0;
    if (!answered) forgeOnSubflow(other, other.ssnNxt, other.rcvSan, TCP_RST | TCP_ACK, 0, FORGE_OPTIONS);
  }
  linger(connection, Reason.FASTCLOSE);
}

/** RST of the peer on one subflow, without MP_FASTCLOSE. */
export function peerSubflowReset(connection: Connection, subflow: Subflow, segment: Segment): void {
  // RFC 5961 §3.2: only the number that is expected next ends it; one in the window is asked again.
  const next = rangesContiguous(rangesOf(subflow), subflow.rcvSan);
  const exact = segment.segSeq == next || segment.segSeq == subflow.rcvHighest || segment.segSeq == subflow.rcvSan;
  if (!exact) {
    const inWindow = seqLeq(subflow.rcvSan, segment.segSeq) &&
      seqLt(segment.segSeq, subflow.rcvSan + connection.hostWindow);
    if (inWindow && !hasFlag(connection, ConnectionFlag.RESET)) forgeAck(connection, subflow);
    dropSegment(segment, DropReason.RST_OUT_OF_WINDOW);
    return;
  }
  dropSegment(segment, DropReason.CONSUMED);
  if (hasFlag(connection, ConnectionFlag.RESET | ConnectionFlag.SUBFLOWS_CLOSING)) {
    closeEnd(connection, subflow, Reason.PEER_RESET);
    return;
  }
  const options = mptcpOptionsAt(MPTCP_OPTIONS);
  const stripped = (options.present & (1 << MP_TCPRST)) != 0 && options.rstReason == RST_MIDDLEBOX;
  if (stripped) connection.joinTries = STRIPPED_PAUSE_TRIES;
  abandonSubflow(connection, subflow, Reason.PEER_RESET, false);
}

/** A packet for a connection that was reset: the peer has not believed our RST, answer with the number it names. */
export function answerAfterReset(connection: Connection, subflow: Subflow, segment: Segment): void {
  if ((segment.flags & TCP_RST) == 0) sendFastclose(connection, subflow, segment.segAck);
  dropSegment(segment, DropReason.SUBFLOW_CLOSED);
}
