// What the intent of a class asks of each of its connections: to join, to move (make before break), to leave.

import { CONFIG, EngineConfig, Reason } from "../abi";
import { classAt, IntentChange } from "../connection/classes";
import { Connection } from "../connection/connection";
import { subflowAt, SubflowBit, subflowClear } from "../connection/subflow";
import { advertiseStart } from "../signalling/addresses";
import { joinObstacle, joinWanted, subflowOnPath } from "../signalling/join";
import { standbyNow } from "./standby";
import { reconsider } from "./switch";

/** Why no subflow of `connection` can be had on `path`, on which it has none; NONE if we may join it. */
function obstacleTo(connection: Connection, path: u32): Reason {
  const obstacle = joinObstacle(connection, path);
  if (obstacle != Reason.NONE) return obstacle;
  if (!joinWanted(connection, path)) return Reason.PATH_NOT_USABLE;
  const most = load<u32>(CONFIG + EngineConfig.SUBFLOWS_PER_CONNECTION_MAX);
  return <u32>connection.subflowCount >= most ? Reason.LIMIT : Reason.NONE;
}

/**
 * Makes `connection` follow the intent of its class as far as it can now: what is to be joined first follows when it is
 * established. NONE, or why it cannot move to the path that is wanted.
 */
export function followIntent(connection: Connection): Reason {
  const wanted = classAt(connection.classId);
  const path = wanted.active;
  const target = path == 0 ? 0 : subflowOnPath(connection, path);
  const obstacle = path == 0 || target != 0 ? Reason.NONE : obstacleTo(connection, path);
  if ((wanted.changed & IntentChange.ACTIVE) != 0) {
    connection.joinTries = 0; // failures elsewhere say nothing of this path
    // As with a handover by hand: the last word counts, and the peer says so again if it still minds.
    if (target != 0) subflowClear(subflowAt(target), SubflowBit.PEER_BACKUP);
  }
  if (connection.joinTries == 0) standbyNow(connection); // else the next try has its time
  if ((wanted.changed & IntentChange.OPENED) != 0) advertiseStart(connection);
  reconsider(connection, true);
  return obstacle;
}
