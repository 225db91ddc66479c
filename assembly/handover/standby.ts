// active-standby, the engine's native policy: the end that opened the connection joins every usable path in
// advance, the most preferred one carries the data, all others are backup. It is the default, and the
// fallback when a plugin breaks. Where an intent of a class stands, that says which paths are joined and which is
// preferred; what joins them is here all the same.

import { CONFIG, ConfigFlag, EngineConfig, PATH_MAX, Reason } from "../abi";
import { nowUs } from "../clock";
import { JOIN_RETRY_MAX_US, JOIN_RETRY_US, STANDBY_DELAY_US } from "../config";
import { pathHeldBack, pathJoined, pathRank, pathShared } from "../connection/classes";
import { Connection, ConnectionFlag, hasFlag } from "../connection/connection";
import { subflowAt, SubflowBit, subflowHas } from "../connection/subflow";
import { armConnection } from "../connection/timers";
import { joinObstacle, joinStart, joinWanted, subflowOnPath } from "../signalling/join";
import { receivesOnAll } from "../signalling/priority";

/** True if nothing can carry new data now. */
function stranded(connection: Connection): bool {
  return connection.active == 0 || subflowHas(subflowAt(connection.active), SubflowBit.STALE);
}

/**
 * True if the connection is over on this side, while the last subflow went before the peer can have known: without our
 * DATA_ACK its host would take the end for an error. It is said on a subflow that is joined for nothing else.
 */
export function owesLastWord(connection: Connection): bool {
  const closing = hasFlag(connection, ConnectionFlag.SUBFLOWS_CLOSING);
  return closing && connection.head == 0 && !hasFlag(connection, ConnectionFlag.CLOSE_HEARD);
}

/** True if a subflow on `path` would be preferred to the active one. */
function wouldBeActive(connection: Connection, path: u32): bool {
  if (stranded(connection)) return true;
  if (connection.pinnedPath != 0) return connection.pinnedPath == path;
  if (pathHeldBack(connection.classId, path)) return false;
  return pathRank(connection.classId, path) < pathRank(connection.classId, subflowAt(connection.active).path);
}

/** Joins the paths that are usable and have no subflow yet; after failures only every so often. */
export function standbyJoin(connection: Connection): void {
  connection.joinUs = 0;
  if (!hasFlag(connection, ConnectionFlag.OPENER)) return;
  // RFC 8684 §3.1: no join before the peer has confirmed; but with no subflow left there is nothing to lose.
  if (!hasFlag(connection, ConnectionFlag.CONFIRMED) && !stranded(connection)) return;
  if (hasFlag(connection, ConnectionFlag.RESET)) return;
  if (hasFlag(connection, ConnectionFlag.SUBFLOWS_CLOSING) && !owesLastWord(connection)) return;
  const natively = (load<u32>(CONFIG + EngineConfig.FLAGS) & ConfigFlag.STANDBY) != 0;
  const alone = stranded(connection);
  for (let path: u32 = 1; path <= PATH_MAX; path++) {
    if (!alone && !pathJoined(connection.classId, path, natively)) continue;
    if (!joinWanted(connection, path) || subflowOnPath(connection, path) != 0) continue;
    if (joinObstacle(connection, path) != Reason.NONE) continue;
    const shared = receivesOnAll(connection) && pathShared(connection.classId, path);
    joinStart(connection, path, !shared && !wouldBeActive(connection, path), 0);
  }
}

/** A join failed or a subflow was lost: look again after a while that doubles with each failure. */
export function standbyLater(connection: Connection): void {
  let pause = JOIN_RETRY_US << connection.joinTries;
  if (stranded(connection) && pause > 2 * JOIN_RETRY_US) pause = 2 * JOIN_RETRY_US;
  connection.joinUs = nowUs() + (pause > JOIN_RETRY_MAX_US ? JOIN_RETRY_MAX_US : pause);
  armConnection(connection);
}

/**
 * Something changed for the better (a path came up, an address was announced): look at once, but leave
 * connections alone that may be over before a second path could serve them.
 */
export function standbyNow(connection: Connection): void {
  const grownUp = connection.createdUs + STANDBY_DELAY_US;
  connection.joinUs = !stranded(connection) && grownUp > nowUs() ? grownUp : nowUs();
  armConnection(connection);
}
