// Holes that can never be filled. Octets that were sent a second time with a fresh SSN may be acknowledged at
// data level by that copy; the host then forgets them, and their first SSN can never be sent again, while the
// peer keeps everything above it waiting on that subflow (RFC 8684 §3.3.6 forbids other octets there).
//
// A subflow whose first unacknowledged SSN stands for no octet of the SEND table any more is suspect: its
// acknowledgement may only be late or lost, so it is asked at once (an octet below the peer's window makes it
// answer). New data prefers another subflow once a single packet proves the hole. Where the hole is still there
// after one round trip the subflow is closed; the path is joined anew when it is wanted. The only subflow on which
// anything is heard is left alone while the host gets on: a peer that hands octets on as they come does not mind the
// hole. So are all where nothing is heard on any: the RST would be lost, and with it what the peer still has.

import { Counter, Reason, SubflowState } from "../abi";
import { nowUs } from "../clock";
import { POISON_MIN_US } from "../config";
import { Connection, sendTableOf } from "../connection/connection";
import { answerUs } from "../connection/rtt";
import {
  Subflow, subflowAt, SubflowBit, subflowClear, subflowHas, subflowIndex, subflowSet, subflowUsable,
} from "../connection/subflow";
import { armSubflow } from "../connection/timers";
import { count } from "../counters";
import { sendTableCarries } from "../mapping/send-table";
import { probeSubflow } from "../signalling/probe";
import { abandonSubflow, resetSubflow, RST_PERFORMANCE } from "./abandon";

/** True if the first SSN in flight on `subflow` stands for nothing that the host could send again. */
function holed(connection: Connection, subflow: Subflow): bool {
  if (!subflowUsable(subflow) || subflow.ssnUna == subflow.ssnNxt) return false;
  return !sendTableCarries(sendTableOf(connection), subflowIndex(subflow), subflow.ssnUna);
}

/**
 * The DATA_ACK moved, or a subflow is being asked: looks for holes. A DATA_ACK that came on another subflow may only
 * have overtaken the acknowledgement of this one, so new data avoids a subflow only where one and the same packet shows
 * both: the subflow `witness` (index) carried the newest DATA_ACK itself; 0 = it did not.
 */
export function poisonCheck(connection: Connection, witness: u32): void {
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    const subflow = subflowAt(index);
    if (subflow.state != SubflowState.ESTABLISHED || !holed(connection, subflow)) continue;
    if (subflow.suspectUs == 0) suspect(connection, subflow);
    if (index == witness) subflowSet(subflow, SubflowBit.SUSPECT);
  }
}

function suspect(connection: Connection, subflow: Subflow): void {
  watch(subflow);
  probeSubflow(connection, subflow);
}

/** Gives the peer one round trip. */
function watch(subflow: Subflow): void {
  subflow.suspectUs = nowUs() + answerUs(subflow, POISON_MIN_US);
  armSubflow(subflow);
}

/**
 * The SAN of `subflow` moved: what held it was no hole. There may be another one, or the acknowledgements of this
 * subflow come later than the DATA_ACKs of a quicker one all the time: then the peer's time begins anew.
 */
export function poisonRelief(connection: Connection, subflow: Subflow): void {
  if (subflow.suspectUs == 0) return;
  subflowClear(subflow, SubflowBit.SUSPECT);
  if (holed(connection, subflow)) {
    watch(subflow);
    return;
  }
  subflow.suspectUs = 0;
  armSubflow(subflow);
}

/** The timer fired: the peer had its time to answer. */
export function poisonFire(connection: Connection, subflow: Subflow): void {
  subflowClear(subflow, SubflowBit.SUSPECT);
  if (!holed(connection, subflow)) return;
  if (anotherIsHeard(connection, subflow) || headStuck(connection, subflow)) poisonClose(connection, subflow);
  else watch(subflow);
}

/** True if another subflow than `subflow` may carry the connection: where all are silent at once, a hole is no reason. */
function anotherIsHeard(connection: Connection, subflow: Subflow): bool {
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    const other = subflowAt(index);
    if (other != subflow && subflowUsable(other) && !subflowHas(other, SubflowBit.STALE)) return true;
  }
  return false;
}

/** True if the host sent its first octet again and the peer was heard on `subflow` since: silence proves nothing. */
function headStuck(connection: Connection, subflow: Subflow): bool {
  return connection.headTries != 0 && subflow.quietUs > connection.headUs;
}

/** Closes a subflow on which nothing will ever come through. */
export function poisonClose(connection: Connection, subflow: Subflow): void {
  count(Counter.SUBFLOWS_POISONED);
  resetSubflow(subflow, RST_PERFORMANCE);
  abandonSubflow(connection, subflow, Reason.POISONED, true);
}
