// The host's idea of the path's MTU follows the subflow that carries its data (RFC 1191, RFC 8201). Segments that are
// too long for it once they have grown are cut, and the host is told by one ICMP message, as by a router, to send
// shorter ones; when the connection moves to a path that takes more, it is made to forget that again.
//
// Linux keeps an MTU with the route to a destination, so all connections to one peer share it, and it marks what is in
// flight and longer as lost. What leaves here is routed by tables of its own (docs/decisions/0012), or it would be
// dropped for being longer than the very MTU that the host was shown.

import { Counter, EventKind, Reason } from "../abi";
import { nowUs } from "../clock";
import { KICK_MTU_MIN4, KICK_MTU_MIN6, MTU_SHOW_PAUSE_US } from "../config";
import { Connection, hostAddress, peerAddress } from "../connection/connection";
import { emitConnectionEvent } from "../connection/lifecycle";
import { hostMtu, hostRoom, mtuShownUs, setHostMtu, setMtuShown } from "../connection/mtu";
import { localAddress, remoteAddress, Subflow, subflowAt } from "../connection/subflow";
import { count } from "../counters";
import { addressEqual, addressIsMapped } from "../memory/address";
import { forgeIcmpToHost } from "../signalling/forge";
import { IcmpError } from "../wire/icmp";

/** False where packets on `subflow` leave by the host's own route to the peer: no path of ours, so no table either. */
export function mtuShowable(connection: Connection, subflow: Subflow): bool {
  if (subflow.path != 0) return true;
  const own = addressEqual(localAddress(subflow), hostAddress(connection));
  return !own || !addressEqual(remoteAddress(subflow), peerAddress(connection));
}

/** The least MTU that the connection's host would believe, octets. */
export function leastMtu(connection: Connection): u32 {
  return addressIsMapped(peerAddress(connection)) ? KICK_MTU_MIN4 : KICK_MTU_MIN6;
}

/** MTU by which the host's segments fit on `subflow`, octets, or the least that it would believe. */
export function mtuForHost(connection: Connection, subflow: Subflow): u32 {
  return max<u32>(hostRoom(connection, subflow), leastMtu(connection));
}

/** A segment of the host, `octets` long, was too long for `subflow`: tells it so, unless it has just been told. */
export function showMtu(connection: Connection, subflow: Subflow, octets: u32): void {
  const before = mtuShownUs(subflow);
  if (before != 0 && nowUs() - before < MTU_SHOW_PAUSE_US) return;
  if (octets > hostMtu(connection)) setHostMtu(connection, 0); // the kernel has forgotten what it was shown
  const mtu = mtuForHost(connection, subflow);
  if (mtu >= hostMtu(connection) || !mtuShowable(connection, subflow)) return;
  if (!forgeIcmpToHost(connection, IcmpError.TOO_BIG, mtu)) return;
  noteShown(connection, subflow, mtu);
}

/** The host is shown `mtu` on account of `subflow`. */
export function noteShown(connection: Connection, subflow: Subflow, mtu: u32): void {
  setHostMtu(connection, mtu);
  setMtuShown(subflow);
  count(Counter.MTU_SHOWN);
}

/** Has the host forget an MTU that the active subflow does not ask for. */
export function forgetMtu(connection: Connection): void {
  const shown = hostMtu(connection);
  setHostMtu(connection, 0);
  if (shown == hostMtu(connection)) return; // it was shown none
  if (shown >= mtuForHost(connection, subflowAt(connection.active))) setHostMtu(connection, shown);
  else emitConnectionEvent(EventKind.HOST_KICKED, Reason.NONE, connection);
}
