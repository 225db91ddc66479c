// DAN pull: what the host is shown as acknowledged comes from the DATA_ACK only. A native Linux receiver's
// DATA_ACK lags its subflow acknowledgement in up to half of its packets, and nothing follows the last one
// of a burst. One octet below the window (SEQ = ssnUna − 1, no DSS) makes it answer at once with a fresh
// DATA_ACK; a probe without payload will not do, those answers are rate-limited.

import { Counter } from "../abi";
import { nowUs } from "../clock";
import { DAN_PULL_MAX_US, DAN_PULL_MIN_US, DAN_PULL_TRIES_MAX } from "../config";
import { Connection, sendTableOf } from "../connection/connection";
import { Subflow, subflowIndex, subflowUsable } from "../connection/subflow";
import { armSubflow } from "../connection/timers";
import { count } from "../counters";
import { sendEntryAt, sendTableFind } from "../mapping/send-table";
import { seqGt } from "../seq/space";
import { probeSubflow } from "../signalling/probe";

/** True if the peer has acknowledged octets on `subflow` that its DATA_ACK does not cover yet. */
function lags(connection: Connection, subflow: Subflow): bool {
  if (connection.dsnUna == connection.dsnNxt) return false;
  const index = sendTableFind(sendTableOf(connection), connection.dsnUna);
  if (index == 0) return false;
  const run = sendEntryAt(index);
  if (run.subflow != subflowIndex(subflow)) return false;
  return seqGt(subflow.ssnUna, run.ssn + <u32>(connection.dsnUna - run.dsn));
}

/**
 * Looked at after each acknowledgement from the peer: arms the pull where the DATA_ACK lags, calls it off
 * where not.
 */
export function danPullUpdate(connection: Connection, subflow: Subflow, danMoved: bool): void {
  if (danMoved) subflow.pullTries = 0;
  if (!lags(connection, subflow)) {
    // A pull that is armed stays: it looks again when it fires, which is cheaper than moving a timer per packet.
    return;
  }
  if (subflow.pullUs != 0 || subflow.pullTries >= <u8>DAN_PULL_TRIES_MAX) return;
  subflow.pullUs = nowUs() + (pauseUs(subflow) << subflow.pullTries);
  armSubflow(subflow);
}

function pauseUs(subflow: Subflow): u64 {
  if (subflow.srttUs == 0) return DAN_PULL_MAX_US;
  const pause = <u64>subflow.srttUs >> 1;
  return pause < DAN_PULL_MIN_US ? DAN_PULL_MIN_US : pause;
}

/** The pull's timer fired: asks, if the lag is still there, and sets the next, slower try. The caller arms the timer. */
export function danPullFire(connection: Connection, subflow: Subflow): void {
  subflow.pullUs = 0;
  if (!subflowUsable(subflow) || !lags(connection, subflow)) return;
  probeSubflow(connection, subflow);
  count(Counter.DAN_PULLS);
  subflow.pullTries++;
  if (subflow.pullTries < <u8>DAN_PULL_TRIES_MAX) subflow.pullUs = nowUs() + (pauseUs(subflow) << subflow.pullTries);
}
