// The kick: after a break the host is made to send again at once, instead of when its time-out says so, and
// without a word about what has arrived. A forged ICMP "packet too big" quotes an octet that the host has in
// flight, with an MTU one octet below what fits now: TCP takes all full-size segments in flight that no SACK covers
// for lost and sends them again with its window as it was (RFC 1191 §6.4). If the host has backed its time-out
// off already, "host unreachable" takes one step back (RFC 6069).
//
// The host keeps the MTU for its route to the peer, and would send shorter segments for as long. Where the new path
// does not ask for that, HOST_KICKED has the embedder make the host forget it (docs/decisions/0007, 0012).

import { Counter } from "../abi";
import { clearFlag, Connection, ConnectionFlag, hasFlag, setFlag } from "../connection/connection";
import { hostMtu, setHostMtu } from "../connection/mtu";
import { subflowAt } from "../connection/subflow";
import { count } from "../counters";
import { forgeIcmpToHost } from "../signalling/forge";
import { IcmpError } from "../wire/icmp";
import { forgetMtu, leastMtu, mtuForHost, mtuShowable } from "./path-mtu";

/** MTU to show to the connection's host, octets: below what it knows; 0 when none would do. */
function mtuToShow(connection: Connection): u32 {
  const active = subflowAt(connection.active);
  // A FIN has no size, and what the first kick did not achieve another will not.
  const onlyFin = hasFlag(connection, ConnectionFlag.LOCAL_FIN) && connection.dsnUna == connection.localFinDsn;
  if (onlyFin || hasFlag(connection, ConnectionFlag.KICKED) || !mtuShowable(connection, active)) return 0;
  const mtu = min<u32>(hostMtu(connection) - 1, mtuForHost(connection, active));
  return mtu < leastMtu(connection) ? 0 : mtu;
}

/**
 * Makes the host send again what it has in flight, if a break made that necessary and there is a subflow for it:
 * once per break.
 */
export function kick(connection: Connection): void {
  if (!hasFlag(connection, ConnectionFlag.KICK_DUE) || connection.active == 0) return;
  clearFlag(connection, ConnectionFlag.KICK_DUE);
  if (connection.dsnUna == connection.dsnNxt) return;
  const mtu = mtuToShow(connection);
  setFlag(connection, ConnectionFlag.KICKED);
  if (mtu != 0) {
    forgeIcmpToHost(connection, IcmpError.TOO_BIG, mtu);
    setHostMtu(connection, mtu);
    forgetMtu(connection);
  }
  if (connection.headTries != 0) forgeIcmpToHost(connection, IcmpError.UNREACHABLE, 0);
  count(Counter.KICKS);
}
