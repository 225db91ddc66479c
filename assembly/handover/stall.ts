// A path that dies without a word. A subflow with octets in flight that has been silent for three round trips
// (300 ms at least) is stale: new data goes elsewhere, and what the host sends again goes out twice, under its
// old number there and with a fresh one on the active subflow. Any packet from it ends that.
//
// The timer is lazy: it is armed once and looks, when it fires, how long the silence really is.

import { Counter, EventKind, EventRecord, Reason } from "../abi";
import { nowUs } from "../clock";
import { INITIAL_RTO_US, STALE_PROBE_MAX_US, STALE_PROBE_US, STALL_MIN_US } from "../config";
import { clearFlag, Connection, ConnectionFlag, setFlag } from "../connection/connection";
import { emitSubflowEvent } from "../connection/lifecycle";
import {
  sentUsOf, setSentUs, Subflow, subflowAt, SubflowBit, subflowClear, subflowHas, subflowIndex, subflowSet,
  subflowUsable,
} from "../connection/subflow";
import { armSubflow } from "../connection/timers";
import { count } from "../counters";
import { Dsn } from "../seq/space";
import { probeSubflow } from "../signalling/probe";
import { kick } from "./kick";
import { standbyNow } from "./standby";
import { idleSubflow, reconsider } from "./switch";

/** How long a subflow with octets in flight may be silent, in microseconds. */
function patienceUs(subflow: Subflow): u64 {
  if (subflow.srttUs == 0) return INITIAL_RTO_US;
  const patience = 3 * <u64>subflow.srttUs;
  return patience < STALL_MIN_US ? STALL_MIN_US : patience;
}

/** Payload went out on `subflow`; `first`: nothing else was in flight there. */
@inline export function stallWatch(subflow: Subflow, first: bool): void {
  setSentUs(subflow, nowUs());
  if (first) subflow.quietUs = nowUs();
  if (subflow.stallUs == 0 && !subflowHas(subflow, SubflowBit.STALE)) startWatch(subflow);
}

function startWatch(subflow: Subflow): void {
  subflow.stallUs = nowUs() + patienceUs(subflow);
  armSubflow(subflow);
}

/** A packet came on `subflow`. */
@inline export function stallHeard(connection: Connection, subflow: Subflow): void {
  subflow.quietUs = nowUs();
  if (!subflowHas(subflow, SubflowBit.STALE | SubflowBit.ASKED)) return;
  subflowClear(subflow, SubflowBit.ASKED);
  if (subflowHas(subflow, SubflowBit.STALE)) revive(connection, subflow, false);
}

/** The timer fired: stale, or not silent for long enough. The caller arms the timer. */
export function stallFire(connection: Connection, subflow: Subflow): void {
  subflow.stallUs = 0;
  if (!subflowUsable(subflow)) return;
  if (subflowHas(subflow, SubflowBit.STALE)) {
    probeSubflow(connection, subflow);
    probeLater(subflow);
    return;
  }
  const asked = subflowHas(subflow, SubflowBit.ASKED);
  if (subflow.ssnUna == subflow.ssnNxt && !asked) return;
  const patience = patienceUs(subflow);
  if (!asked && subflow.quietUs >= sentUsOf(subflow) + patience) return; // the next octets arm it again
  const until = subflow.quietUs + patience;
  if (until > nowUs()) {
    subflow.stallUs = until;
    return;
  }
  if (asked && subflow.tries == 0) {
    subflow.tries++; // a lost question, maybe
    ask(connection, subflow);
    return;
  }
  stallDeclare(connection, subflow);
}

/**
 * The connection has just moved to `subflow` because another path was lost. The peer may have lost this one at the
 * same moment: it has to be heard, whether or not there is something to send.
 */
export function stallAsk(connection: Connection, subflow: Subflow): void {
  subflowSet(subflow, SubflowBit.ASKED);
  subflow.tries = 0;
  ask(connection, subflow);
}

/** The subflow that was asked is silent, and the connection stands on another: that one has to be heard instead. */
function askNext(connection: Connection): void {
  if (connection.active == 0 || subflowHas(subflowAt(connection.active), SubflowBit.STALE)) return;
  stallAsk(connection, subflowAt(connection.active));
}

/** Sends a question; the silence is counted from now. */
function ask(connection: Connection, subflow: Subflow): void {
  subflow.quietUs = nowUs();
  startWatch(subflow);
  probeSubflow(connection, subflow);
}

/** A stale subflow is only heard again if somebody asks: ever less often. */
function probeLater(subflow: Subflow): void {
  const pause = STALE_PROBE_US << subflow.tries;
  subflow.stallUs = nowUs() + (pause > STALE_PROBE_MAX_US ? STALE_PROBE_MAX_US : pause);
  if (subflow.tries < 8) subflow.tries++;
}

/** Makes `subflow` stale: moves new data elsewhere if there is anything, else looks for another path. */
export function stallDeclare(connection: Connection, subflow: Subflow): void {
  if (subflowHas(subflow, SubflowBit.STALE)) return;
  subflowSet(subflow, SubflowBit.STALE);
  subflow.tries = 0;
  probeLater(subflow);
  armSubflow(subflow);
  count(Counter.SUBFLOWS_STALE);
  store<u32>(emitSubflowEvent(EventKind.SUBFLOW_STALE, Reason.TIMEOUT, subflow), 1, EventRecord.VALUE);
  if (connection.dsnUna != connection.dsnNxt) setFlag(connection, ConnectionFlag.KICK_DUE);
  reconsider(connection, true);
  if (connection.active != subflowIndex(subflow)) {
    kick(connection);
    if (subflowHas(subflow, SubflowBit.ASKED)) askNext(connection);
  } else if (connection.joinTries == 0) standbyNow(connection); // else a join is under way, or waits for its next try
}

/**
 * It is heard again, or its path is back: it may carry new data. `lost`: what was in flight is lost for certain, so
 * the host is made to send it again; else the host's own judgement will do.
 */
export function revive(connection: Connection, subflow: Subflow, lost: bool): void {
  subflowClear(subflow, SubflowBit.STALE);
  subflow.quietUs = nowUs();
  subflow.stallUs = 0;
  armSubflow(subflow);
  store<u32>(emitSubflowEvent(EventKind.SUBFLOW_STALE, Reason.NONE, subflow), 0, EventRecord.VALUE);
  if (connection.active == subflowIndex(subflow)) {
    if (lost) kick(connection);
    clearFlag(connection, ConnectionFlag.KICK_DUE);
  }
  if (subflow.ssnUna != subflow.ssnNxt) startWatch(subflow);
  reconsider(connection, true);
}

/**
 * Index of the subflow on which the octets from `dsn` on, mapped to `subflow`, must also be sent, 0 = none: the active
 * one. The host's first octet rather goes where nothing is in flight, as Linux sends what it repeats: all the others
 * wait for it, and so may the host before it fills the hole that it would stand behind.
 */
@inline export function stallCopyTo(connection: Connection, subflow: Subflow, dsn: Dsn): u32 {
  if (!subflowHas(subflow, SubflowBit.STALE)) return 0;
  const active = connection.active;
  if (active == 0 || active == subflowIndex(subflow) || subflowHas(subflowAt(active), SubflowBit.STALE)) return 0;
  const idle = dsn == connection.dsnUna ? idleSubflow(connection) : 0;
  return idle == 0 ? active : idle;
}
