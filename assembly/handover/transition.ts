// The transition after a switch. Until the old subflow has acknowledged all that it carried, the host is not
// shown what would look like loss to it:
//
//   - SACK blocks that stem from the new subflow alone: they would make it retransmit everything in flight on
//     the slower path. Leaving a block out is never a lie (RFC 2018 §8)
//   - duplicate acknowledgements of the new subflow: a host without SACK counts them
//
// At the end the TAN jumps over all that the new subflow has brought; a jump of more than STEP_SEGMENTS is
// shown in steps, so that the host does not answer with one burst. A TAN that lands on octets which the host
// was shown as SACKed goes at once: Linux would take the delay for reneging.

import { Counter } from "../abi";
import { nowUs } from "../clock";
import { STEP_SEGMENTS, TRANSITION_MIN_US } from "../config";
import { Connection } from "../connection/connection";
import { Subflow, subflowAt, subflowIndex } from "../connection/subflow";
import { armConnection } from "../connection/timers";
import { count } from "../counters";
import { Fault, faulty } from "../faults";
import { dsnGt, seqGeq, seqLt } from "../seq/space";

/** New data leaves `old` for another subflow now. */
export function transitionStart(connection: Connection, old: Subflow): void {
  if (!seqLt(old.ssnUna, old.ssnNxt)) return; // nothing in flight there
  connection.transitionSubflow = subflowIndex(old);
  connection.transitionSsn = old.ssnNxt;
  const patience = <u64>old.srttUs + (<u64>old.srttUs >> 1);
  connection.transitionUs = nowUs() + (patience > TRANSITION_MIN_US ? patience : TRANSITION_MIN_US);
  armConnection(connection);
}

/** Ends the transition. */
export function transitionEnd(connection: Connection): void {
  connection.transitionSubflow = 0;
  connection.transitionUs = 0;
}

/** True if what `subflow` reports beside the DATA_ACK must not be shown to the host now. */
export function transitionHolds(connection: Connection, subflow: Subflow): bool {
  const old = connection.transitionSubflow;
  if (old == 0) return false;
  if (nowUs() >= connection.transitionUs || seqGeq(subflowAt(old).ssnUna, connection.transitionSsn)) {
    transitionEnd(connection);
    return false;
  }
  return old != subflowIndex(subflow);
}

/** The DATA_ACK has moved, as `subflow` reports: moves what the host is shown, at once or by the first step. */
export function showDan(connection: Connection, subflow: Subflow): void {
  const step = <u64>(STEP_SEGMENTS * connection.mss);
  const jump = connection.dsnUna - connection.shownDan;
  if (connection.stepUs != 0) return; // the steps under way will take it along
  const moving = connection.transitionSubflow != 0;
  if (!moving || jump <= step || dsnGt(connection.shownSackRight, connection.shownDan)) {
    connection.shownDan = connection.dsnUna;
    if (faulty(Fault.TAN) && connection.dsnUna != connection.dsnNxt) connection.shownDan += 1;
    return;
  }
  connection.stepEndUs = nowUs() + (<u64>subflow.srttUs >> 2);
  showStep(connection, step);
}

/** Shows one step and arms the next, so that the last one falls on stepEndUs. */
function showStep(connection: Connection, step: u64): void {
  const left = connection.dsnUna - connection.shownDan;
  const now = nowUs();
  if (left <= step || now >= connection.stepEndUs) {
    connection.shownDan = connection.dsnUna;
    connection.stepUs = 0;
  } else {
    connection.shownDan += step;
    count(Counter.TAN_STEPS);
    connection.stepUs = now + 1 + (connection.stepEndUs - now) / (left / step + 1);
  }
  armConnection(connection);
}

/** The timer fired: the next step. */
export function stepFire(connection: Connection): void {
  showStep(connection, <u64>(STEP_SEGMENTS * connection.mss));
}
