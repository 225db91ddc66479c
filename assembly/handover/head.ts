// The host's first octet in flight, sent again and again: what everybody waits for. A subflow may be heard and yet not
// carry it (one direction of the path is dead, or a hole stands before it), and then silence tells nothing.

import { nowUs } from "../clock";
import { DEAD_END_TRIES, HEAD_PAUSE_US, STALL_HEAD_TRIES } from "../config";
import { Connection, sendTableOf } from "../connection/connection";
import { Subflow, subflowAt } from "../connection/subflow";
import { sendEntryAt, sendTableFind } from "../mapping/send-table";
import { Dsn, seqLt } from "../seq/space";
import { kick } from "./kick";
import { poisonCheck, poisonClose } from "./poison";
import { stallDeclare } from "./stall";

/** Index of the subflow that the octet `dsn` is mapped to, 0 = none. */
export function carrierOf(connection: Connection, dsn: Dsn): u32 {
  const index = sendTableFind(sendTableOf(connection), dsn);
  return index == 0 ? 0 : sendEntryAt(index).subflow;
}

/** The host's first octet goes out on a subflow for the first time: what was counted elsewhere is over. */
@inline export function headRestart(connection: Connection): void {
  connection.headTries = 0;
}

/**
 * The host sends its first octet, or its FIN, again: from the second time on, each a round trip after the one before,
 * the subflow `carrier` does not carry it, whatever else comes there.
 */
export function headAgain(connection: Connection, carrier: u32): void {
  const srtt = carrier == 0 ? 0 : <u64>subflowAt(carrier).srttUs;
  const pause = srtt == 0 ? HEAD_PAUSE_US : srtt;
  if (connection.headTries != 0 && nowUs() - connection.headUs < pause) return;
  connection.headUs = nowUs();
  if (connection.headTries < 255) connection.headTries++;
  if (connection.headTries < STALL_HEAD_TRIES || carrier == 0) return;
  stallDeclare(connection, subflowAt(carrier));
  poisonCheck(connection, 0);
  if (connection.active != carrier || !behindHole(connection, subflowAt(carrier))) return;
  // The only subflow, and the first octet waits there behind a hole. The host may be told to fill it; if that does not
  // help, the subflow is a dead end.
  if (connection.headTries == STALL_HEAD_TRIES) kick(connection);
  else if (connection.headTries >= DEAD_END_TRIES) poisonClose(connection, subflowAt(carrier));
}

/** True if SSNs before that of the host's first octet are missing at the peer. */
function behindHole(connection: Connection, subflow: Subflow): bool {
  const index = sendTableFind(sendTableOf(connection), connection.dsnUna);
  return index != 0 && seqLt(subflow.ssnUna, sendEntryAt(index).ssn);
}
