// What fits. A packet on a subflow is longer than the segment of the host that it was, so the host must go by a smaller
// MTU than the path's; until it does, what it sends is cut (forward/payload-to-subflow.ts).

import { nowUs } from "../clock";
import {
  CAPABLE_DATA_OVERHEAD, DSS_OVERHEAD, MTU_SHOW_PAUSE_US, PATH_MTU_LIFE_US, PATH_MTU_MIN4, PATH_MTU_MIN6,
} from "../config";
import { addressFamily } from "../memory/address";
import { Connection, ConnectionFlag, hasFlag, peerAddress } from "./connection";
import { headersOf, pathAt } from "./paths";
import { remoteAddress, Subflow } from "./subflow";

@inline const ROUTER_MTU: usize = 292;
@inline const ROUTER_MTU_US: usize = 312;
@inline const MTU_SHOWN_US: usize = 320;
@inline const PEER_MTU: usize = 328;
@inline const HOST_MTU: usize = 508;
/** Octets of an IP packet at most. */
@inline const PACKET_MAX: u32 = 65535;
/** A piece has at least this much payload, whatever a path is said to take. */
@inline const PIECE_LEAST: u32 = 48;

/** Octets of the IP and TCP headers of the host's segments, which have no options beside SACK blocks. */
@inline function hostHeaders(connection: Connection): u32 {
  return headersOf(addressFamily(peerAddress(connection)));
}

/** MTU by which the host's longest segments fit, octets: that of its MSS. */
@inline export function clampedMtu(connection: Connection): u32 {
  return connection.mss + hostHeaders(connection);
}

/** What the host's segments grow by at most: the opener's first ones may carry MP_CAPABLE. */
@inline function growthOf(connection: Connection): u32 {
  const agreed = hasFlag(connection, ConnectionFlag.CONFIRMED) || !hasFlag(connection, ConnectionFlag.OPENER);
  return agreed ? DSS_OVERHEAD : CAPABLE_DATA_OVERHEAD;
}

/** Octets of a packet that fit on `subflow`: what its interface and the peer take, or less where a router said so. */
export function subflowMtu(subflow: Subflow): u32 {
  const path = pathAt(subflow.path).mtu;
  const peer = load<u32>(changetype<usize>(subflow), PEER_MTU);
  let mtu = path == 0 || path > PACKET_MAX ? PACKET_MAX : path;
  if (peer != 0 && peer < mtu) mtu = peer;
  const said = load<u32>(changetype<usize>(subflow), ROUTER_MTU);
  if (said == 0 || said >= mtu) return mtu;
  return nowUs() - load<u64>(changetype<usize>(subflow), ROUTER_MTU_US) < PATH_MTU_LIFE_US ? said : mtu;
}

/**
 * The peer, or a box on the way, announced `mss` on a joined subflow (RFC 6691: options count as payload); 0 = it did
 * not. That of the initial subflow is part of the host's own MSS.
 */
export function learnPeerMss(subflow: Subflow, mss: u32): void {
  if (mss == 0) return;
  const family = addressFamily(remoteAddress(subflow));
  const least = family == 4 ? PATH_MTU_MIN4 : PATH_MTU_MIN6;
  store<u32>(changetype<usize>(subflow), max<u32>(mss + headersOf(family), least), PEER_MTU);
}

/** A router says that packets of more than `mtu` octets do not pass. */
export function learnMtu(subflow: Subflow, mtu: u32): void {
  store<u32>(changetype<usize>(subflow), mtu, ROUTER_MTU);
  store<u64>(changetype<usize>(subflow), nowUs(), ROUTER_MTU_US);
}

/** Octets of the host's segments that fit on `subflow` once they have grown, and have a header of its family. */
@inline export function hostRoom(connection: Connection, subflow: Subflow): u32 {
  const headers = headersOf(addressFamily(remoteAddress(subflow)));
  return subflowMtu(subflow) - growthOf(connection) + hostHeaders(connection) - headers;
}

/** MTU that the host goes by, as far as we know, in octets. */
export function hostMtu(connection: Connection): u32 {
  const shown = <u32>load<u16>(changetype<usize>(connection), HOST_MTU);
  const clamped = clampedMtu(connection);
  return shown == 0 || shown > clamped ? clamped : shown;
}

/** The host was shown `mtu`; 0 = it goes by its MSS again. */
@inline export function setHostMtu(connection: Connection, mtu: u32): void {
  store<u16>(changetype<usize>(connection), <u16>mtu, HOST_MTU);
}

/** When the host was last told that its segments are too long for `subflow`, 0 = never. */
@inline export function mtuShownUs(subflow: Subflow): u64 {
  return load<u64>(changetype<usize>(subflow), MTU_SHOWN_US);
}

@inline export function setMtuShown(subflow: Subflow): void {
  store<u64>(changetype<usize>(subflow), nowUs(), MTU_SHOWN_US);
}

/** Payload octets of a packet of our own on `subflow` at most. */
export function pieceMax(connection: Connection, subflow: Subflow): u32 {
  const room = <i32>(hostRoom(connection, subflow) - hostHeaders(connection));
  return min<u32>(connection.mss, room < <i32>PIECE_LEAST ? PIECE_LEAST : <u32>room);
}

/**
 * Octets of the host's segment with `payloadLength` octets of payload, for `subflow`. What a super-packet is going to
 * be cut into nobody says: by what the host was shown last, but for those that it had on their way when it was.
 */
export function segmentOctets(
  connection: Connection, subflow: Subflow, payloadLength: u32, superPacket: bool,
): u32 {
  if (!superPacket) return payloadLength + hostHeaders(connection);
  const shown = mtuShownUs(subflow);
  const onItsWay = shown != 0 && nowUs() - shown < MTU_SHOW_PAUSE_US;
  return onItsWay ? clampedMtu(connection) : hostMtu(connection);
}
