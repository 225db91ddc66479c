// The transition after a switch. Until the old subflow has acknowledged all that it carried, the host is
// not shown SACK blocks that stem from the new subflow alone: they would make it retransmit everything in
// flight on the slower path. Leaving a block out is never a lie (RFC 2018 §8).

import { nowUs } from "../clock";
import { TRANSITION_MIN_US } from "../config";
import { Connection } from "../connection/connection";
import { Subflow, subflowAt, subflowIndex } from "../connection/subflow";
import { armConnection } from "../connection/timers";
import { seqGeq, seqLt } from "../seq/space";

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

/** True if blocks that came on `subflow` must not be shown to the host now. */
export function transitionHolds(connection: Connection, subflow: Subflow): bool {
  const old = connection.transitionSubflow;
  if (old == 0) return false;
  if (nowUs() >= connection.transitionUs || seqGeq(subflowAt(old).ssnUna, connection.transitionSsn)) {
    transitionEnd(connection);
    return false;
  }
  return old != subflowIndex(subflow);
}
