// A question that any TCP must answer at once: one octet below its window, without a mapping (RFC 9293 §3.10.7.4). Its
// acknowledgement brings the peer's SAN and DATA_ACK, or RST if the peer does not know the subflow.

import { Direction } from "../abi";
import { Connection, ConnectionFlag, hasFlag } from "../connection/connection";
import {
  localAddress, localPort, remoteAddress, remotePort, Subflow, SubflowBit, subflowSet,
} from "../connection/subflow";
import { windowForSubflow } from "../connection/window";
import { FORGE_OPTIONS, OUT } from "../scratch";
import { TCP_ACK } from "../wire/tcp";
import { forgePacket } from "./forge";

/**
 * Makes the peer acknowledge. The octet must be one that the peer has acknowledged; in the place of a later one that
 * was lost the peer would take it for data. A peer that may still wait for the third ACK is not asked: a packet without
 * MP_CAPABLE would be one to it, and make the connection plain TCP (RFC 8684 §3.1).
 */
export function probeSubflow(connection: Connection, subflow: Subflow): void {
  if (!hasFlag(connection, ConnectionFlag.CONFIRMED)) return;
  store<u8>(OUT, 0); // its value does not matter: the peer has that octet
  forgePacket(
    Direction.WIRE, localAddress(subflow), remoteAddress(subflow), localPort(subflow), remotePort(subflow),
    subflow.ssnUna - 1, subflow.rcvSan, TCP_ACK, windowForSubflow(connection, subflow), FORGE_OPTIONS, OUT, 1,
  );
  subflowSet(subflow, SubflowBit.PROBE_OUT);
}
