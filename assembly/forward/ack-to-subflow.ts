// Acknowledgements of the host, towards the peer (paper §3.4).
//
//   1. the host's TAN becomes the DAN; its SACK blocks move to DSN space
//   2. every subflow whose octets the host has now acknowledged gets a SAN of its own (projection, §3.5)
//   3. the host's packet itself carries one of them, the others are forged
//   4. a subflow of whose octets the SACK blocks say something new is told, too: a host that compresses its ACKs
//      (Linux) speaks of several arrivals at once
//   5. any other duplicate goes only where octets are still unacknowledged or a retransmission was just seen
//
// A SAN never covers an octet that did not come on that subflow. But it does cover what the host has reported once: a
// host has room for four SACK blocks, and where a peer sends on several subflows by turns there are more. A SAN that
// stopped at octets which the peer has seen in a SACK block would look like reneging to it (Linux then takes all it
// has in flight for lost).

import { Counter, DropReason } from "../abi";
import {
  Connection, ConnectionFlag, danFromTan, hasFlag, shownTan,
} from "../connection/connection";
import { accountAcknowledged } from "../connection/lifecycle";
import {
  heldOf, rangesOf, recvTableOf, Subflow, subflowAt, SubflowBit, subflowClear, subflowHas, subflowIndex,
  subflowUsable,
} from "../connection/subflow";
import { hostWindowUpdate, windowForSubflow } from "../connection/window";
import { SACK_BLOCKS_DATA, SACK_BLOCKS_PURE } from "../config";
import { countAdd } from "../counters";
import { Fault, faulty } from "../faults";
import { DSN_BLOCK_SIZE, projectDsnBlock, projectSan } from "../mapping/projection";
import { Arrival, rangesAdd, rangesContiguous, rangesTrim } from "../mapping/received-ranges";
import { recvTableTrim } from "../mapping/recv-table";
import {
  FORGE_OPTIONS, HOST_BLOCKS, HOST_BLOCKS_MAX, REWRITE_OPTIONS, SSN_BLOCKS, SSN_BLOCKS_MAX, TCP_OPTIONS,
} from "../scratch";
import { Dan, dsnGt, dsnLeq, expand, San, seqGt, seqLeq } from "../seq/space";
import { forgeAckWith, writeDataAck } from "../signalling/forge";
import { writeCapableAck } from "../wire/mptcp-options";
import { TCP_ACK } from "../wire/tcp";
import { sackLeft, sackRight, tcpOptionsAt, tcpOptionsParse, writeSackBlocks } from "../wire/tcp-options";
import { capableFlags } from "./handshake";
import { rewriteToSubflow, traceSent } from "./route";
import { dropSegment, Segment, segmentCut } from "./segment";

/** What the host said with the segment being handled. */
let hostBlockCount: u32 = 0; // its SACK blocks at HOST_BLOCKS, DSN space, without the DSACK
let hasDuplicateBlock: bool = false; // it reported the duplicate noted in the connection
let hostSackCount: u32 = 0; // SACK blocks of its segment, whatever they say

/** Reads the host's SACK blocks into HOST_BLOCKS; recognises a DSACK (RFC 2883 §4) of the last duplicate. */
function readHostBlocks(connection: Connection, segment: Segment, dan: Dan): void {
  forgetHostBlocks();
  if (segment.tcpHeaderLength == 20) return;
  const options = tcpOptionsAt(TCP_OPTIONS);
  tcpOptionsParse(segment.tcp, segment.tcpHeaderLength, options);
  hostSackCount = options.sackCount;
  for (let i: u32 = 0; i < options.sackCount && hostBlockCount < HOST_BLOCKS_MAX; i++) {
    const low = <u32>connection.remoteIdsn - connection.hostIrs;
    const left = expand(low + sackLeft(options, i), connection.rcvDan);
    const right = expand(low + sackRight(options, i), connection.rcvDan);
    if (dsnLeq(right, dan)) {
      const known = connection.duplicateSubflow != 0 && <u32>left == connection.duplicateDsn;
      if (i == 0 && known && <u32>(right - left) <= connection.duplicateLength) hasDuplicateBlock = true;
      continue;
    }
    const at = <usize>HOST_BLOCKS + <usize>hostBlockCount * DSN_BLOCK_SIZE;
    store<u64>(at, left);
    store<u64>(at, right, 8);
    hostBlockCount++;
  }
}

/** The SAN that `subflow` may be sent now: projection of the host's TAN and SACK blocks, plus the peer's FIN. */
function sanOf(connection: Connection, subflow: Subflow): San {
  if (faulty(Fault.SAN)) return finSan(subflow, subflow.rcvHighest);
  if (subflow.rcvSan == subflow.rcvHighest) return finSan(subflow, subflow.rcvSan);
  const recv = recvTableOf(subflow);
  const ranges = rangesOf(subflow);
  let san = projectSan(recv, ranges, subflow.rcvSan, connection.rcvDan, HOST_BLOCKS, hostBlockCount);
  let behind = rangesContiguous(heldOf(subflow), san);
  while (behind != san) {
    san = projectSan(recv, ranges, behind, connection.rcvDan, HOST_BLOCKS, hostBlockCount);
    behind = rangesContiguous(heldOf(subflow), san);
  }
  return finSan(subflow, san);
}

/** Keeps in mind which octets of `subflow` the host's SACK blocks report. True if some of it is new. */
function noteHeld(subflow: Subflow): bool {
  let told = false;
  for (let i: u32 = 0; i < hostBlockCount; i++) {
    const at = <usize>HOST_BLOCKS + <usize>i * DSN_BLOCK_SIZE;
    const found = projectDsnBlock(
      recvTableOf(subflow), rangesOf(subflow), load<u64>(at), load<u64>(at, 8), SSN_BLOCKS, 0, SSN_BLOCKS_MAX,
    );
    for (let block: u32 = 0; block < found; block++) {
      const left = load<u32>(<usize>SSN_BLOCKS + <usize>block * 8);
      const right = load<u32>(<usize>SSN_BLOCKS + <usize>block * 8, 4);
      if (seqLeq(right, subflow.rcvSan)) continue;
      const arrival = rangesAdd(heldOf(subflow), left, right);
      if (arrival == Arrival.NEW || arrival == Arrival.PARTIAL) told = true;
    }
  }
  return told;
}

@inline function finSan(subflow: Subflow, san: San): San {
  return subflowHas(subflow, SubflowBit.FIN_RECEIVED) && san == subflow.peerFinSsn ? san + 1 : san;
}

/** Moves the subflow's SAN on and forgets what lies below. True if it moved. */
export function advanceSan(connection: Connection, subflow: Subflow): bool {
  const san = sanOf(connection, subflow);
  if (!seqGt(san, subflow.rcvSan)) return false;
  subflow.rcvSan = san;
  if (seqGt(san, subflow.rcvHighest)) subflow.rcvHighest = san; // the peer's FIN
  recvTableTrim(recvTableOf(subflow), san);
  rangesTrim(rangesOf(subflow), san);
  rangesTrim(heldOf(subflow), san);
  return true;
}

/** For packets that no segment of the host caused: there are no SACK blocks to project. */
export function forgetHostBlocks(): void {
  hostSackCount = 0;
  hostBlockCount = 0;
  hasDuplicateBlock = false;
}

/** What `takeHostAck` found, for its callers. */
let ackMoved: bool = false; // the host's TAN moved
let windowChanged: bool = false;
let windowMoved: bool = false; // the window closed or reopened: every subflow should know

/** Takes in TAN, SACK blocks and window of the host's segment. */
export function takeHostAck(connection: Connection, segment: Segment): void {
  const dan = danFromTan(connection, segment.segAck);
  ackMoved = dsnGt(dan, connection.rcvDan) && dsnLeq(dan, connection.rcvDsnMax + 1);
  if (ackMoved) accountAcknowledged(connection, dan);
  if (ackMoved) connection.rcvDan = faulty(Fault.DATA_ACK) ? connection.rcvDsnMax : dan;
  readHostBlocks(connection, segment, connection.rcvDan);
  const octets = segment.window << connection.hostScale;
  const before = connection.hostWindow;
  windowChanged = octets != before;
  windowMoved = windowChanged && (octets == 0 || before < connection.mss);
  if (dan == connection.rcvDan) hostWindowUpdate(connection, dan, octets);
}

/** True if the host's segment says what concerns every subflow: window closed or reopened, DATA_FIN acknowledged. */
function hasNews(connection: Connection): bool {
  // A DATA_FIN takes no room on a subflow: its acknowledgement moves no SAN.
  const finKnown = ackMoved && hasFlag(connection, ConnectionFlag.PEER_FIN);
  return windowMoved || (finKnown && dsnGt(connection.rcvDan, connection.peerFinDsn));
}

let carrierMoved: bool = false; // tellOthers() has moved the carrier's SAN
let sackTold: bool = false; // and the SACK blocks said something new of a subflow, which knows it now

/**
 * Gives every subflow but `carrier` (index, 0 = none) one ACK if it has earned a new SAN, if the SACK blocks say
 * something new of it, or if there is news for all; the carrier's SAN is moved on only. True if there was news.
 */
export function tellOthers(connection: Connection, carrier: u32): bool {
  const news = hasNews(connection);
  carrierMoved = false;
  sackTold = false;
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    const subflow = subflowAt(index);
    const nothingCame = subflow.rcvSan == subflow.rcvHighest && !subflowHas(subflow, SubflowBit.FIN_RECEIVED);
    const told = !nothingCame && hostBlockCount != 0 && connection.subflowCount > 1 && noteHeld(subflow);
    const moved = !nothingCame && advanceSan(connection, subflow);
    sackTold = sackTold || told;
    if (moved || told) subflowClear(subflow, SubflowBit.RETRANSMISSION_SEEN);
    if (index == carrier) carrierMoved = moved;
    else if (moved || ((news || told) && subflowUsable(subflow))) forgeHostAck(connection, subflow);
  }
  return news;
}

/**
 * tellOthers() before something may be forged on account of the host's segment: no packet shall say less than the
 * segment does. Nothing is left to be told then.
 */
export function tellAll(connection: Connection): void {
  tellOthers(connection, 0);
  ackMoved = false;
  windowMoved = false;
}

/** A pure ACK on `subflow` that says what the host's segment says: DATA_ACK and its SACK blocks. */
function forgeHostAck(connection: Connection, subflow: Subflow): void {
  forgeAckWith(connection, subflow, writeProjectedSack(connection, subflow, FORGE_OPTIONS, SACK_BLOCKS_PURE));
}

/**
 * SACK blocks that a packet with payload may carry: the host has left room for as many as its own segment had, and a
 * full-size segment with more would outgrow the path.
 */
export function sackBlocksBesideData(): u32 {
  return min<u32>(SACK_BLOCKS_DATA, hostSackCount);
}

/** Appends the host's SACK blocks, projected to `subflow`, at `p`; at most `max`. Returns the address behind them. */
export function writeProjectedSack(connection: Connection, subflow: Subflow, p: usize, max: u32): usize {
  if (subflowHas(subflow, SubflowBit.NO_SACK)) return p;
  let count: u32 = 0;
  if (hasDuplicateBlock && connection.duplicateSubflow == subflowIndex(subflow)) {
    store<u32>(SSN_BLOCKS, connection.duplicateSsn);
    store<u32>(SSN_BLOCKS, connection.duplicateSsn + connection.duplicateLength, 4);
    count = 1;
  }
  for (let i: u32 = 0; i < hostBlockCount; i++) {
    const at = <usize>HOST_BLOCKS + <usize>i * DSN_BLOCK_SIZE;
    const before = count;
    count = projectDsnBlock(
      recvTableOf(subflow), rangesOf(subflow), load<u64>(at), load<u64>(at, 8), SSN_BLOCKS, count, SSN_BLOCKS_MAX,
    );
    count = dropCovered(before, count, subflow.rcvSan);
  }
  if (count == 0) return p;
  if (count > max) count = max;
  countAdd(Counter.SACK_BLOCKS_PROJECTED, count);
  return writeSackBlocks(p, SSN_BLOCKS, count);
}

/** Takes blocks that the SAN covers or touches out of SSN_BLOCKS[from, count); returns the new count. */
function dropCovered(from: u32, count: u32, san: San): u32 {
  let kept = from;
  for (let i = from; i < count; i++) {
    const block = load<u64>(<usize>SSN_BLOCKS + <usize>i * 8);
    if (seqLeq(<u32>block, san)) continue;
    store<u64>(<usize>SSN_BLOCKS + <usize>kept * 8, block);
    kept++;
  }
  return kept;
}

/** Rule 5: octets that came on it are still unacknowledged, or a retransmission was just seen. */
@inline function wantsDuplicate(subflow: Subflow): bool {
  return subflow.rcvSan != subflow.rcvHighest || subflowHas(subflow, SubflowBit.RETRANSMISSION_SEEN);
}

/** The subflow for a pure ACK: one that earned a new SAN, else one that wants a duplicate, else 0. */
function chooseCarrier(connection: Connection): u32 {
  let duplicate: u32 = 0;
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    const subflow = subflowAt(index);
    if (!subflowUsable(subflow)) continue;
    if (seqGt(sanOf(connection, subflow), subflow.rcvSan)) return index;
    if (duplicate == 0 && wantsDuplicate(subflow)) duplicate = index;
  }
  if (ackMoved || windowMoved) return connection.active;
  return duplicate;
}

/** Duplicates for the subflows beside the carrier that deserve one, too (rule 5). */
function duplicateOthers(connection: Connection, carrier: u32): void {
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    const subflow = subflowAt(index);
    if (index == carrier || !subflowUsable(subflow) || !wantsDuplicate(subflow)) continue;
    forgeHostAck(connection, subflow);
    subflowClear(subflow, SubflowBit.RETRANSMISSION_SEEN);
  }
}

/** True if the host only asks whether the peer is there: SEQ below its SND.UNA, at most one octet (RFC 9293 §3.8.4). */
export function isHostProbe(connection: Connection, segment: Segment): bool {
  return segment.segSeq == shownTan(connection) - 1 && segment.payloadLength <= 1;
}

/** Forwards a segment of the host without payload or FIN. takeHostAck() has been called. */
export function ackToSubflow(connection: Connection, segment: Segment): void {
  const probe = isHostProbe(connection, segment);
  // RFC 8684 §3.1: the third ACK carries both keys, and so does every one until the peer has shown a DSS.
  const unconfirmed = !hasFlag(connection, ConnectionFlag.CONFIRMED) && hasFlag(connection, ConnectionFlag.OPENER);
  let carrier = chooseCarrier(connection);
  if (carrier == 0 && (probe || windowChanged || unconfirmed)) carrier = connection.active;
  if (carrier == 0) {
    dropSegment(segment, connection.active == 0 ? DropReason.NO_USABLE_SUBFLOW : DropReason.ACK_REDUNDANT);
    return;
  }
  const subflow = subflowAt(carrier);
  const news = tellOthers(connection, carrier);
  if (!news && !carrierMoved && !ackMoved && !sackTold) duplicateOthers(connection, carrier);
  subflowClear(subflow, SubflowBit.RETRANSMISSION_SEEN);
  let end = REWRITE_OPTIONS;
  if (unconfirmed && subflowHas(subflow, SubflowBit.INITIAL)) {
    end = writeCapableAck(end, capableFlags(connection), connection.localKey, connection.remoteKey);
  } else {
    end = writeDataAck(connection, end);
    end = writeProjectedSack(connection, subflow, end, SACK_BLOCKS_PURE);
  }
  const ssn = probe ? subflow.ssnNxt - 1 : subflow.ssnNxt;
  segmentCut(segment, 0); // a probe's octet carries nothing that the peer does not have
  if (rewriteToSubflow(segment, subflow, ssn, subflow.rcvSan, TCP_ACK, windowForSubflow(connection, subflow), end)) {
    traceSent(connection, subflow, connection.dsnNxt, ssn, 0, 0);
  }
}
