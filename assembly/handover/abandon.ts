// When a subflow stops living (paper §3.3, RFC 8684 §3.4.2): the host's octets in flight on it are mapped
// afresh when the host sends them again, the peer is told by REMOVE_ADDR on another subflow, and new data
// moves on.

import { CONFIG, EngineConfig, Reason, SubflowState } from "../abi";
import { nowUs } from "../clock";
import { Connection, ConnectionFlag, hasFlag, sendTableOf, setFlag } from "../connection/connection";
import { subflowDestroy } from "../connection/lifecycle";
import { Subflow, SubflowBit, subflowHas, subflowIndex } from "../connection/subflow";
import { armConnection } from "../connection/timers";
import { sendTableUses } from "../mapping/send-table";
import { FORGE_OPTIONS } from "../scratch";
import { removeAddress } from "../signalling/addresses";
import { forgeOnSubflow } from "../signalling/forge";
import { writeTcpRst } from "../wire/mptcp-options";
import { TCP_ACK, TCP_RST } from "../wire/tcp";
import { standbyLater, standbyNow } from "./standby";
import { handoverEnd, reconsider } from "./switch";

/** RFC 8684 §3.6, MP_TCPRST reasons. */
@inline export const RST_UNSPECIFIED: u32 = 0;
@inline export const RST_MPTCP_ERROR: u32 = 1;
@inline export const RST_PROHIBITED: u32 = 3;
@inline export const RST_PERFORMANCE: u32 = 5;
@inline export const RST_MIDDLEBOX: u32 = 6;

/** Sends RST with MP_TCPRST(`rstReason`) on `subflow`. */
export function resetSubflow(subflow: Subflow, rstReason: u32): void {
  const end = writeTcpRst(FORGE_OPTIONS, 0, rstReason);
  forgeOnSubflow(subflow, subflow.ssnNxt, subflow.rcvSan, TCP_RST | TCP_ACK, 0, end);
}

/**
 * Gives `subflow` up. `tellPeer`: its address is gone here, so REMOVE_ADDR goes out on what is left. The
 * connection lives on without any subflow for REJOIN_GRACE_MS.
 */
export function abandonSubflow(connection: Connection, subflow: Subflow, reason: Reason, tellPeer: bool): void {
  const wasHandover = connection.handoverSubflow != 0 && connection.handoverPath == subflow.path;
  const wasEstablished = <i32>subflow.state >= SubflowState.ESTABLISHED;
  const id = <u32>subflow.localId;
  const closing = subflowHas(subflow, SubflowBit.FIN_SENT);
  if (connection.pinnedPath == <u32>subflow.path) connection.pinnedPath = 0; // a pin lasts until its path is lost
  if (sendTableUses(sendTableOf(connection), subflowIndex(subflow))) setFlag(connection, ConnectionFlag.KICK_DUE);
  subflowDestroy(subflow, reason);
  if (wasHandover) handoverEnd(connection, reason);
  if (tellPeer && wasEstablished) removeAddress(connection, id);
  if (hasFlag(connection, ConnectionFlag.RESET | ConnectionFlag.SUBFLOWS_CLOSING) || closing) return;
  goOnElsewhere(connection);
}

/** A subflow is lost or closing: new data goes elsewhere; without any other the connection waits for REJOIN_GRACE_MS. */
export function goOnElsewhere(connection: Connection): void {
  reconsider(connection, true);
  if (connection.active != 0) {
    standbyLater(connection);
    return;
  }
  const grace = <u64>load<u32>(CONFIG + EngineConfig.REJOIN_GRACE_MS) * 1000;
  connection.expireUs = nowUs() + grace;
  armConnection(connection);
  standbyNow(connection);
}
