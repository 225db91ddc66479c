// The kick: after a break the host is made to send again at once, instead of when its time-out says so, and
// without a word about what has arrived. A forged ICMP "packet too big" quotes the first octet that the host
// has not been shown as acknowledged, with an MTU one octet below what fits now: TCP takes all full-size
// segments in flight that no SACK covers for lost and sends them again with its window as it was (RFC 1191
// §6.4). If the host has backed its time-out off already, "host unreachable" takes one step back (RFC 6069).
//
// Each kick costs the host one octet of MSS towards that destination, for as long as it remembers the MTU
// (600 s), so what was shown to whom is kept here, per peer address.

import { Counter } from "../abi";
import { nowUs } from "../clock";
import { DSS_OVERHEAD, KICK_MTU_MIN4, KICK_MTU_MIN6, KICK_MTU_TTL_US, KICK_SAME_US } from "../config";
import { clearFlag, Connection, ConnectionFlag, hasFlag, peerAddress } from "../connection/connection";
import { pathAt } from "../connection/paths";
import { KICK_TABLE, KICKS_MAX } from "../connection/store";
import { subflowAt } from "../connection/subflow";
import { count } from "../counters";
import { addressIsMapped } from "../memory/address";
import { check } from "../memory/check";
import { forgeIcmpToHost } from "../signalling/forge";
import { IcmpError } from "../wire/icmp";

//   byte  size  field
//      0    16  peer address
//     16     8  shownUs   when the MTU was shown; 0 = never
//     24     4  mtu       octets
@final @unmanaged
class ShownMtu {
  address0: u64;
  address1: u64;
  shownUs: u64;
  mtu: u32;
}

/** The record at `place` (below KICKS_MAX). */
@inline function shownMtuAt(place: u32): ShownMtu {
  check(place < KICKS_MAX);
  return changetype<ShownMtu>(<usize>KICK_TABLE + <usize>place * 32);
}

/** Where the MTU shown for `address` (16 octets) is kept; an address that falls on the same place replaces it. */
function shownMtuOf(address: usize): ShownMtu {
  const folded = (load<u64>(address) ^ load<u64>(address, 8)) * 0x9e3779b97f4a7c15;
  const shown = shownMtuAt(<u32>(folded >> 32) % KICKS_MAX);
  if (shown.address0 != load<u64>(address) || shown.address1 != load<u64>(address, 8)) {
    shown.address0 = load<u64>(address);
    shown.address1 = load<u64>(address, 8);
    shown.shownUs = 0;
  }
  return shown;
}

/** MTU to show to the connection's host: below all that it knows; 0 when that would be below the protocol's floor. */
function nextMtu(connection: Connection): u32 {
  const peer = peerAddress(connection);
  const mapped = addressIsMapped(peer);
  let mtu = connection.mss + (mapped ? 40 : 60) - 1;
  const shown = shownMtuOf(peer);
  const now = nowUs();
  if (shown.shownUs != 0 && now - shown.shownUs < KICK_MTU_TTL_US) {
    // Connections that are moved together are shown the same.
    const next = now - shown.shownUs < KICK_SAME_US ? shown.mtu : shown.mtu - 1;
    if (next < mtu) mtu = next;
  }
  const path = pathAt(subflowAt(connection.active).path).mtu;
  if (path != 0 && path - DSS_OVERHEAD < mtu) mtu = path - DSS_OVERHEAD;
  const floor: u32 = mapped ? KICK_MTU_MIN4 : KICK_MTU_MIN6;
  if (mtu < floor) return 0;
  shown.mtu = mtu;
  shown.shownUs = now;
  return mtu;
}

/**
 * Makes the host send again what it has in flight, if a break made that necessary and there is a subflow for it:
 * once per break.
 */
export function kick(connection: Connection): void {
  if (!hasFlag(connection, ConnectionFlag.KICK_DUE) || connection.active == 0) return;
  clearFlag(connection, ConnectionFlag.KICK_DUE);
  if (connection.dsnUna == connection.dsnNxt) return;
  const mtu = nextMtu(connection);
  if (mtu != 0) forgeIcmpToHost(connection, IcmpError.TOO_BIG, mtu);
  if (connection.headTries != 0) forgeIcmpToHost(connection, IcmpError.UNREACHABLE, 0);
  count(Counter.KICKS);
}
