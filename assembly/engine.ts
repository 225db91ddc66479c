// Dispatch: packets by hook, timers by owner. One call of process() takes a batch; each descriptor has its
// verdict before the next packet is begun, so that after a trap the finished ones can still be sent.

import {
  BATCH_MAX, Counter, DESCRIPTOR_SIZE, DESCRIPTORS, Descriptor, EngineHeader, HEADER, Hook, Reason, SubflowState,
  Verdict,
} from "./abi";
import { nowUs } from "./clock";
import { CONTROL_REPEATS, DEBUG } from "./config";
import { runSweeps } from "./commands";
import { Connection, connectionAt, ConnectionFlag, hasFlag } from "./connection/connection";
import { connectionDestroy } from "./connection/lifecycle";
import { connectionCapacity, connectionSlab, subflowCapacity, subflowSlab } from "./connection/store";
import { Subflow, subflowAt, SubflowBit, subflowHas } from "./connection/subflow";
import { armConnection, armSubflow } from "./connection/timers";
import { count, countAdd } from "./counters";
import { nextStep } from "./forward/ack-to-tcp";
import { failJoin } from "./forward/join-handshake";
import { finRetry } from "./forward/payload-to-tcp";
import { fromSubflow } from "./forward/from-subflow";
import { fromRouter } from "./forward/icmp";
import { fromTcp } from "./forward/from-tcp";
import { dropDescriptor, segmentAt, segmentParse } from "./forward/segment";
import { closeEnd, closeExpired, finRetrySubflow, repeatReset, resetHost } from "./forward/teardown";
import { leaveFire, resetSubflow, RST_UNSPECIFIED } from "./handover/abandon";
import { danPullFire } from "./handover/dan-pull";
import { poisonCheck, poisonFire } from "./handover/poison";
import { stallFire } from "./handover/stall";
import { standbyJoin } from "./handover/standby";
import { handoverCheckIdle, handoverEnd } from "./handover/switch";
import { transitionEnd } from "./handover/transition";
import { runsFree } from "./memory/runs";
import { wheelAdvance, wheelNextDeadline } from "./memory/wheel";
import { check } from "./memory/check";
import { outboxReset } from "./outbox";
import { advertiseNow, controlRepeatLater, sendRemoved } from "./signalling/addresses";
import { joinRetry } from "./signalling/join";
import { probePath } from "./signalling/path-probe";
import { preferSubflow, repeatPrio } from "./signalling/priority";
import { IpKind } from "./wire/ip";

/** What every entry point begins with: the outputs of the call before are void. */
export function beginCall(): void {
  outboxReset();
  store<u32>(HEADER + EngineHeader.SET_OPERATION_COUNT, 0);
  store<u32>(HEADER + EngineHeader.TRACE_COUNT, 0);
}

/** What every entry point ends with: sweeps go on, the header says when to call again. */
export function endCall(): void {
  const more = runSweeps();
  store<u64>(HEADER + EngineHeader.NEXT_DEADLINE_US, more ? nowUs() : wheelNextDeadline());
  store<u32>(HEADER + EngineHeader.CONNECTIONS, connectionSlab().live);
  store<u32>(HEADER + EngineHeader.SUBFLOWS, subflowSlab().live);
  store<u32>(HEADER + EngineHeader.RUNS_FREE, runsFree());
}

/** Handles `packets` descriptors. */
export function processBatch(packets: u32): void {
  if (DEBUG) check(packets <= BATCH_MAX);
  for (let i: u32 = 0; i < packets; i++) processOne(<usize>DESCRIPTORS + <usize>i * DESCRIPTOR_SIZE);
}

function processOne(descriptor: usize): void {
  const reason = segmentParse(descriptor);
  const hook = load<u32>(descriptor, Descriptor.HOOK);
  if (reason == IpKind.ICMP && hook == Hook.LOCAL_IN) {
    fromRouter(descriptor);
    return;
  }
  if (reason == IpKind.NOT_TCP || reason == IpKind.ICMP) {
    count(Counter.ACCEPTED_UNTOUCHED);
    store<u32>(descriptor, Verdict.ACCEPT, Descriptor.VERDICT);
    return;
  }
  if (reason != 0) {
    dropDescriptor(descriptor, reason);
    return;
  }
  if (hook == Hook.LOCAL_OUT) {
    fromTcp(segmentAt());
  } else if (hook == Hook.LOCAL_IN) {
    fromSubflow(segmentAt());
  } else {
    count(Counter.ACCEPTED_UNTOUCHED);
    store<u32>(descriptor, Verdict.ACCEPT, Descriptor.VERDICT);
  }
}

/** Fires every timer that is due. */
export function fireTimers(): void {
  const now = nowUs();
  let fired: u64 = 0;
  for (let index = wheelAdvance(now); index != 0; index = wheelAdvance(now)) {
    if (index <= connectionCapacity) connectionTimer(connectionAt(index), now);
    else if (index <= connectionCapacity + subflowCapacity) subflowTimer(subflowAt(index - connectionCapacity), now);
    else probePath(index - connectionCapacity - subflowCapacity);
    fired++;
  }
  countAdd(Counter.TIMERS_FIRED, fired);
}

@inline function due(deadlineUs: u64, now: u64): bool {
  return deadlineUs != 0 && deadlineUs <= now;
}

/** Which of a connection's deadlines are due; the last one may end it. */
function connectionTimer(connection: Connection, now: u64): void {
  if (due(connection.transitionUs, now)) transitionEnd(connection);
  if (due(connection.stepUs, now)) nextStep(connection);
  if (due(connection.hostFinUs, now)) finRetry(connection);
  if (due(connection.advertiseUs, now)) advertiseNow(connection);
  if (due(connection.controlUs, now)) controlTimer(connection);
  if (due(connection.joinUs, now)) {
    standbyJoin(connection); // takes joinUs back, which the other may set anew
    handoverCheckIdle(connection);
  }
  if (due(connection.handoverDeadlineUs, now)) handoverEnd(connection, Reason.TIMEOUT);
  if (due(connection.expireUs, now)) expire(connection);
  else armConnection(connection);
}

/** What has no acknowledgement of its own is said again. */
function controlTimer(connection: Connection): void {
  if (hasFlag(connection, ConnectionFlag.RESET)) {
    repeatReset(connection);
    return;
  }
  sendRemoved(connection);
  const last = connection.controlTries + 1 >= <u8>CONTROL_REPEATS;
  repeatPrio(connection, last);
  controlRepeatLater(connection);
  // What the peer moved in the meantime has been followed without a word.
  if (last && connection.active != 0) preferSubflow(connection, connection.active);
}

/** A handshake that was never finished, a good-bye that is over, or a connection that got no new subflow in time. */
function expire(connection: Connection): void {
  const over = ConnectionFlag.SUBFLOWS_CLOSING | ConnectionFlag.RESET;
  const alive = hasFlag(connection, ConnectionFlag.ESTABLISHED_EVER) && !hasFlag(connection, over);
  if (alive) resetHost(connection);
  else if (!hasFlag(connection, ConnectionFlag.RESET)) closeExpired(connection);
  const reason = hasFlag(connection, ConnectionFlag.RESET) ? <Reason>connection.closeReason
    : alive || !hasFlag(connection, ConnectionFlag.ESTABLISHED_EVER) ? Reason.TIMEOUT : Reason.CLOSED;
  connectionDestroy(connection, reason);
}

/** Which of a subflow's deadlines are due. */
function subflowTimer(subflow: Subflow, now: u64): void {
  const connection = connectionAt(subflow.connection);
  if (due(subflow.expireUs, now)) {
    if (subflow.state == SubflowState.TIME_WAIT) closeEnd(connection, subflow, Reason.CLOSED);
    else leaveFire(connection, subflow);
    return;
  }
  if (hasFlag(connection, ConnectionFlag.RESET)) return; // nothing but RST leaves any more, and soon it is all over
  if (due(subflow.retryUs, now)) {
    subflow.retryUs = 0;
    if (subflowHas(subflow, SubflowBit.FIN_SENT)) {
      finRetrySubflow(connection, subflow);
      return;
    }
    if (<i32>subflow.state < SubflowState.ESTABLISHED) {
      joinTimer(connection, subflow);
      return;
    }
  }
  if (due(subflow.pullUs, now)) danPullFire(connection, subflow);
  if (due(subflow.stallUs, now)) stallTimer(connection, subflow);
  const suspect = due(subflow.suspectUs, now);
  if (suspect) subflow.suspectUs = 0;
  armSubflow(subflow);
  if (suspect) poisonFire(connection, subflow); // may end it
}

function stallTimer(connection: Connection, subflow: Subflow): void {
  const stale = subflowHas(subflow, SubflowBit.STALE);
  stallFire(connection, subflow);
  if (stale) poisonCheck(connection, 0); // silent for a hole, maybe: then it answers this question, and is stale again
}

function joinTimer(connection: Connection, subflow: Subflow): void {
  if (joinRetry(connection, subflow)) return;
  // The peer may think that the subflow is up.
  if (subflow.state == SubflowState.PRE_ESTABLISHED) resetSubflow(subflow, RST_UNSPECIFIED);
  failJoin(connection, subflow, Reason.TIMEOUT);
}
