// Acknowledgements of the peer, towards the host (paper §3.4, §3.5).
//
//   1. the DATA_ACK, and it alone, moves TAN (design: an octet acknowledged on a subflow may still be thrown
//      away at data level, and the host must keep it until then)
//   2. the subflow's SAN trims its log and gives an RTT sample
//   3. windows become one right edge that never moves back
//   4. SACK blocks of the subflow, and the SAN as one more block, are projected to TSN space
//   5. a packet that tells the host nothing new ends here: DATA_ACKs arrive more often than TCP expects

import { Counter, Descriptor, DropReason, Verdict } from "../abi";
import {
  clearFlag, Connection, ConnectionFlag, hasFlag, sendTableOf, shownTan, tanFromDan, tsnFromDsn,
} from "../connection/connection";
import { measureAcknowledged, measureDelivered } from "../connection/measure";
import { rttAcknowledged } from "../connection/rtt";
import {
  mapLogOf, provenOf, setProven, Subflow, SubflowBit, subflowClear, subflowHas, subflowIndex, wholeFrom,
} from "../connection/subflow";
import { peerWindowUpdate, windowForHost } from "../connection/window";
import { SEQUENCE_SPAN } from "../config";
import { count, countAdd } from "../counters";
import { Fault, faulty } from "../faults";
import { danPullUpdate } from "../handover/dan-pull";
import { poisonCheck, poisonRelief } from "../handover/poison";
import { showDan, stepFire, transitionHolds } from "../handover/transition";
import { mapLogTrim } from "../mapping/map-log";
import { blocksAbove, DSN_BLOCK_SIZE, mergeBlocks, projectSsnBlock } from "../mapping/projection";
import { sendTableTrim } from "../mapping/send-table";
import { DSN_BLOCKS, DSN_BLOCKS_MAX, MPTCP_OPTIONS, REWRITE_OPTIONS, TCP_OPTIONS, TSN_BLOCKS } from "../scratch";
import { Dan, dsnGt, dsnLeq, Dsn, expand, San, seqGt, seqLeq, seqLt } from "../seq/space";
import { forgeToHost } from "../signalling/forge";
import { probeAnswered } from "../signalling/path-probe";
import { DSS, MP_CAPABLE, MptcpOptions, mptcpOptionsAt } from "../wire/mptcp-options";
import { TCP_ACK } from "../wire/tcp";
import { SACK_BLOCKS_MAX, sackLeft, sackRight, TcpOptions, tcpOptionsAt, writeSackBlocks } from "../wire/tcp-options";
import { rewriteToHost, traceReceived } from "./route";
import { dropSegment, Segment, segmentCut } from "./segment";

let tanMoved: bool = false; // the host will be shown a higher TAN
let windowMoved: bool = false;
let duplicateOnSubflow: bool = false;
let probeAnswer: bool = false;

/** The packet's DATA_ACK in 64 bits, or the last one if it carries none. */
function danOf(connection: Connection, options: MptcpOptions): Dan {
  if ((options.present & (1 << DSS)) == 0 || options.danOctets == 0) return connection.dsnUna;
  return options.danOctets == 8 ? options.dan : expand(<u32>options.dan, connection.dsnUna);
}

/** True if the first SACK block reports the octet of our own probe (it lies below the SAN, one octet long). */
function reportsProbe(options: TcpOptions, san: San): bool {
  if (options.sackCount == 0) return false;
  const right = sackRight(options, 0);
  return right - sackLeft(options, 0) == 1 && seqLeq(right, san);
}

/** The peer has everything below `dan`, as `subflow` reports: the host may forget it. */
export function takeDan(connection: Connection, subflow: Subflow, dan: Dan): void {
  measureDelivered(connection, dan - connection.dsnUna);
  connection.dsnUna = dan;
  connection.headTries = 0;
  clearFlag(connection, ConnectionFlag.KICKED);
  sendTableTrim(sendTableOf(connection), faulty(Fault.TRIM) ? dan + 1 : dan);
  showDan(connection, subflow);
}

/** Takes in DATA_ACK, SAN and window of the packet. `payload`: it carries payload, so it is no duplicate ACK. */
export function takePeerAck(connection: Connection, subflow: Subflow, segment: Segment): void {
  const options = mptcpOptionsAt(MPTCP_OPTIONS);
  const dan = danOf(connection, options);
  const danMoved = dsnGt(dan, connection.dsnUna) && dsnLeq(dan, connection.dsnNxt);
  const shown = connection.shownDan;
  if (danMoved) takeDan(connection, subflow, dan);
  tanMoved = connection.shownDan != shown;
  const san = segment.segAck;
  const sanMoved = seqGt(san, subflow.ssnUna);
  const outstanding = seqLt(subflow.ssnUna, subflow.ssnNxt);
  if (sanMoved) {
    const inParts = wholeFrom(subflow) != subflow.ssnUna;
    measureAcknowledged(subflow, san - subflow.ssnUna);
    subflow.ssnUna = san;
    const longest = mapLogTrim(mapLogOf(subflow), san, connection.mss);
    if (longest > provenOf(subflow) && !inParts) setProven(subflow, longest);
    rttAcknowledged(subflow, san);
  }
  // A window is an edge only beside the DATA_ACK that was sent with it.
  const said = (options.present & (1 << DSS)) != 0 && options.danOctets != 0 && dsnLeq(dan, connection.dsnUna);
  windowMoved = said && peerWindowUpdate(connection, dan, segment.window << subflow.peerScale);
  const sameWindow = segment.window == subflow.peerWindow;
  subflow.peerWindow = segment.window;
  probeAnswer = false;
  if (subflowHas(subflow, SubflowBit.PROBE_OUT) && segment.payloadLength == 0) {
    const sack = hasFlag(connection, ConnectionFlag.SACK) && !subflowHas(subflow, SubflowBit.NO_SACK);
    probeAnswer = reportsProbe(tcpOptionsAt(TCP_OPTIONS), san) || (!sack && !sanMoved);
    if (probeAnswer || danMoved) subflowClear(subflow, SubflowBit.PROBE_OUT);
  }
  const control = (options.present & ~(<u32>1 << DSS)) != 0;
  if (!sanMoved && !control && segment.payloadLength == 0 && probeAnswered(subflow)) probeAnswer = true;
  duplicateOnSubflow = !sanMoved && outstanding && sameWindow && !control && !probeAnswer && segment.payloadLength == 0;
  danPullUpdate(connection, subflow, danMoved);
  if (sanMoved) poisonRelief(connection, subflow);
  const newest = (options.present & (1 << DSS)) != 0 && options.danOctets != 0 && dan == connection.dsnUna;
  if (danMoved || (newest && subflow.suspectUs != 0)) poisonCheck(connection, newest ? subflowIndex(subflow) : 0);
}

/** Projects SAN and SACK blocks of the packet into DSN_BLOCKS, those above the TAN; returns how many. */
function projectBlocks(connection: Connection, subflow: Subflow, segment: Segment): u32 {
  const options = tcpOptionsAt(TCP_OPTIONS);
  const table = sendTableOf(connection);
  const index = subflowIndex(subflow);
  let blocks: u32 = 0;
  for (let i: u32 = 0; i < options.sackCount; i++) {
    const left = sackLeft(options, i);
    const right = sackRight(options, i);
    if (!seqLt(left, right) || seqGt(right, subflow.ssnNxt) || seqLeq(right, segment.segAck)) continue;
    blocks = projectSsnBlock(table, index, left, right, DSN_BLOCKS, blocks, DSN_BLOCKS_MAX);
  }
  // Paper §3.5: the cumulative SAN is one more block, since an earlier run may be missing elsewhere.
  const san = subflow.ssnUna;
  blocks = projectSsnBlock(table, index, san - SEQUENCE_SPAN, san, DSN_BLOCKS, blocks, DSN_BLOCKS_MAX);
  // Above dsnUna, not only above what the host was shown: what lies between is about to be acknowledged.
  return blocksAbove(DSN_BLOCKS, mergeBlocks(DSN_BLOCKS, blocks), connection.dsnUna);
}

/**
 * A DSACK of the peer (RFC 2883) for the host's last retransmission on this subflow, in TSN_BLOCKS[0]; true
 * if there is one.
 */
function projectDuplicate(connection: Connection, subflow: Subflow, segment: Segment): bool {
  const options = tcpOptionsAt(TCP_OPTIONS);
  if (options.sackCount == 0 || subflow.rtxLength == 0) return false;
  const left = sackLeft(options, 0);
  const right = sackRight(options, 0);
  if (!seqLeq(right, segment.segAck)) return false;
  const offset = left - subflow.rtxSsn;
  if (offset >= subflow.rtxLength || right - subflow.rtxSsn > subflow.rtxLength) return false;
  const dsn = expand(subflow.rtxDsn + offset, connection.dsnUna);
  if (dsnGt(dsn + <u64>(right - left), connection.shownDan)) return false; // above TAN it would be taken for a SACK
  const tsn = tanFromDan(connection, dsn);
  store<u32>(TSN_BLOCKS, tsn);
  store<u32>(TSN_BLOCKS, tsn + (right - left), 4);
  return true;
}

/**
 * Writes the host's SACK option at `p`, up to `max` blocks; returns the address behind it, `p` itself when
 * there is nothing to report.
 */
function writeHostSack(connection: Connection, subflow: Subflow, segment: Segment, p: usize, max: u32): usize {
  if (!hasFlag(connection, ConnectionFlag.SACK)) return p;
  let blocks: u32 = projectDuplicate(connection, subflow, segment) ? 1 : 0;
  const found = projectBlocks(connection, subflow, segment);
  if (found != 0 && transitionHolds(connection, subflow)) {
    count(Counter.TRANSITION_SACKS_HELD);
  } else {
    for (let i: u32 = 0; i < found && blocks < max; i++) {
      const at = <usize>DSN_BLOCKS + <usize>i * DSN_BLOCK_SIZE;
      const right = load<u64>(at, 8);
      if (dsnGt(right, connection.shownSackRight)) connection.shownSackRight = right;
      store<u32>(<usize>TSN_BLOCKS + <usize>blocks * 8, tanFromDan(connection, load<u64>(at)));
      store<u32>(<usize>TSN_BLOCKS + <usize>blocks * 8, tanFromDan(connection, right), 4);
      blocks++;
    }
  }
  if (blocks == 0) return p;
  countAdd(Counter.SACK_BLOCKS_PROJECTED, blocks);
  return writeSackBlocks(p, TSN_BLOCKS, blocks);
}

/** Options for a packet to the host: its SACK blocks. Cheap when the peer has everything in order. */
export function writeHostOptions(connection: Connection, subflow: Subflow, segment: Segment): usize {
  const options = tcpOptionsAt(TCP_OPTIONS);
  // Nothing above TAN can be known where all in flight is on this subflow and it reports no block.
  if (options.sackCount == 0 && connection.sendCount <= 1) return REWRITE_OPTIONS;
  return writeHostSack(connection, subflow, segment, REWRITE_OPTIONS, SACK_BLOCKS_MAX);
}

/** TSN that a segment to the host without payload carries: behind everything that came from the peer. */
function nextTsn(connection: Connection): u32 {
  let dsn: Dsn = connection.rcvDsnMax;
  const fin = hasFlag(connection, ConnectionFlag.PEER_FIN) && dsn == connection.peerFinDsn;
  if (fin && dsnGt(connection.rcvDan, connection.peerFinDsn)) dsn += 1;
  return tsnFromDsn(connection, dsn);
}

/** Forwards a packet of the peer without payload, or ends it here. takePeerAck() has been called. */
export function ackToTcp(connection: Connection, subflow: Subflow, segment: Segment): void {
  const options = mptcpOptionsAt(MPTCP_OPTIONS);
  // MP_CAPABLE: a third ACK, which the host needs (again, if it had no room for the connection before).
  const control = (options.present & ~(<u32>1 << DSS | 1 << MP_CAPABLE)) != 0;
  const end = writeHostOptions(connection, subflow, segment);
  // A closed host knows no such connection any more: what says nothing new would make it answer with RST.
  const open = !hasFlag(connection, ConnectionFlag.SUBFLOWS_CLOSING);
  const nothingOut = connection.dsnUna == connection.dsnNxt && open;
  const duplicate = duplicateOnSubflow && !transitionHolds(connection, subflow);
  const news = tanMoved || windowMoved || (end != REWRITE_OPTIONS && !probeAnswer) || duplicate;
  if (!news && (control || probeAnswer || !nothingOut)) {
    dropSegment(segment, control ? DropReason.CONSUMED : DropReason.ACK_REDUNDANT);
    return;
  }
  segmentCut(segment, 0);
  const tan = shownTan(connection);
  if (rewriteToHost(segment, connection, nextTsn(connection), tan, TCP_ACK, end)) {
    traceReceived(connection, subflow, connection.rcvDsnMax, segment.segSeq, 0, 0);
  }
}

/** An acknowledgement of our own for the host: what the peer has acknowledged and granted. */
export function forgeAckToHost(connection: Connection): void {
  forgeToHost(connection, nextTsn(connection), shownTan(connection), TCP_ACK, windowForHost(connection));
}

/** The packet has ended here, and no other left in its place, but what it acknowledged or granted is news for the host. */
export function passNews(connection: Connection, segment: Segment): void {
  const dropped = load<u32>(segment.descriptor, Descriptor.VERDICT) == Verdict.DROP;
  if (!dropped || load<u32>(segment.descriptor, Descriptor.DROP_REASON) == DropReason.SUPERSEDED) return;
  passNewsBesideOld(connection);
}

/** The packet's octets lie below what the host expects: it will look at SEQ first and not at the news beside them. */
export function passNewsBesideOld(connection: Connection): void {
  if (tanMoved || windowMoved) forgeAckToHost(connection);
}

/** The TAN is shown in steps (handover/transition.ts): the next one, as an acknowledgement of its own. */
export function nextStep(connection: Connection): void {
  stepFire(connection);
  forgeAckToHost(connection);
}
