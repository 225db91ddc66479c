// The path table: a path is an interface of this machine with its addresses. The host writes it by
// commands; the engine only ever looks things up in it.
//
//   byte  size  field (PathRecord, stride 256)
//      0     4  known              1 = in use
//      4     4  flags              PathFlag bits
//      8     4  interface, 12 mtu
//     16    16  address4           v4-mapped, zero = none
//     32    16  address6
//     48     1  prefix4, 49 prefix6 (bits)
//     50     1  id4, 51 id6        address ids (RFC 8684 §3.2), drawn anew when the address changes
//     52     4  subflows           live ones
//     56        what is measured over all its subflows (connection/measure.ts): see SnapshotPath in abi.ts
//     80     4  minRttUs, 84 minBeforeUs    smallest samples since minStartUs, and in the MIN_RTT_HALF_US before

import { PATH_MAX, PathFlag } from "../abi";
import { addressEqual, addressFamily, addressIsMapped } from "../memory/address";
import { PATH_RECORD_SIZE, PATH_TABLE } from "./store";

@final @unmanaged
export class PathRecord {
  known: u32;
  flags: u32;
  interface: u32;
  mtu: u32;
  address4a: u64;
  address4b: u64;
  address6a: u64;
  address6b: u64;
  prefix4: u8;
  prefix6: u8;
  id4: u8;
  id6: u8;
  subflows: u32;
  bytesSent: u64;
  bytesReceived: u64;
  srttUs: u32;
  rttvarUs: u32;
  minRttUs: u32;
  minBeforeUs: u32;
  minStartUs: u64;
  lastAckUs: u64;
  bytesAcked: u64;
  bytesRetransmitted: u64;
  packetsSent: u64;
  packetsRetransmitted: u64;
  packetsReceived: u64;
  packetsRepeated: u64;
  inFlight: u32;
  sampledUs: u64; // when its round trip was measured last
  probedUs: u64; // when the question left whose answer is a sample; 0 = none
  probedSubflow: u32; // who was asked last and has not answered; 0 = nobody
  probeCursor: u32; // where to look for the next one to be asked
  probeLooked: u32; // how many have been looked at in vain
}
if (offsetof<PathRecord>("address6a") != 32) ERROR("PathRecord.address6 moved");
if (offsetof<PathRecord>() > PATH_RECORD_SIZE) ERROR("PathRecord: too large");

/** The record of path `id` (1 … PATH_MAX); id 0 is a record of its own for subflows on no known path. */
@inline export function pathAt(id: u32): PathRecord {
  return changetype<PathRecord>(<usize>PATH_TABLE + <usize>id * PATH_RECORD_SIZE);
}

/** Address of 16 octets of path `id` in `family` (4 or 6), or 0. */
export function pathAddressIn(id: u32, family: u32): usize {
  const at = changetype<usize>(pathAt(id)) + (family == 4 ? 16 : 32);
  return load<u64>(at) == 0 && load<u64>(at, 8) == 0 ? 0 : at;
}

/** Address of 16 octets of path `id` in the family of `like`, or 0. */
export function pathAddress(id: u32, like: usize): usize {
  return pathAddressIn(id, addressFamily(like));
}

/** True if path `id` is known, up and has an address of either family. */
export function pathUsable(id: u32): bool {
  const path = pathAt(id);
  if (path.known == 0 || (path.flags & PathFlag.UP) == 0) return false;
  return pathAddressIn(id, 4) != 0 || pathAddressIn(id, 6) != 0;
}

/** Id of the path that owns `address`, or 0. */
export function pathOfAddress(address: usize): u32 {
  for (let id: u32 = 1; id <= PATH_MAX; id++) {
    if (pathAt(id).known == 0) continue;
    const own = pathAddress(id, address);
    if (own != 0 && addressEqual(own, address)) return id;
  }
  return 0;
}

/** Our address id for path `id` in the family of `like`. */
export function pathAddressId(id: u32, like: usize): u32 {
  const path = pathAt(id);
  return addressIsMapped(like) ? path.id4 : path.id6;
}

/** True if packets from path `id` can reach `remote`: on its link, or it has a gateway of that family. */
export function pathReaches(id: u32, remote: usize): bool {
  const own = pathAddress(id, remote);
  if (own == 0) return false;
  const path = pathAt(id);
  const mapped = addressIsMapped(remote);
  if ((path.flags & (mapped ? PathFlag.GATEWAY4 : PathFlag.GATEWAY6)) != 0) return true;
  const prefix: u32 = mapped ? 96 + <u32>path.prefix4 : <u32>path.prefix6;
  return commonBits(own, remote) >= prefix;
}

/** Leading bits that two addresses of 16 octets share, 0 … 128. */
export function commonBits(a: usize, b: usize): u32 {
  const high = bswap<u64>(load<u64>(a) ^ load<u64>(b));
  if (high != 0) return <u32>clz<u64>(high);
  const low = bswap<u64>(load<u64>(a, 8) ^ load<u64>(b, 8));
  return low == 0 ? 128 : 64 + <u32>clz<u64>(low);
}

/** Octets of the IP and TCP headers, without options, of a packet of `family`. */
@inline export function headersOf(family: u32): u32 {
  return family == 4 ? 40 : 60;
}

/**
 * Octets behind IP and TCP header that every usable path can carry of a connection with addresses like `like`. A path
 * carries it in its own family if it has that, else in the other; `either`: in whichever the peer chooses. Without any
 * path: what fits 1500.
 */
export function smallestMss(like: usize, either: bool): u32 {
  const family = addressFamily(like);
  let smallest: u32 = 1500 - headersOf(family);
  let found = false;
  for (let id: u32 = 1; id <= PATH_MAX; id++) {
    const mtu = pathAt(id).mtu;
    if (!pathUsable(id) || mtu == 0) continue;
    const has6 = pathAddressIn(id, 6) != 0;
    const over6 = has6 && (either || family == 6 || pathAddressIn(id, 4) == 0);
    const headers = headersOf(over6 ? 6 : 4);
    const octets = mtu > headers ? mtu - headers : 0;
    if (!found || octets < smallest) smallest = octets;
    found = true;
  }
  return smallest;
}

let lastAddressId: u32 = 0;

/** An address id (1 … 255) that no path uses now (RFC 8684 §3.2: never reused while alive). */
export function drawAddressId(): u32 {
  for (let tries = 0; tries < 255; tries++) {
    lastAddressId = lastAddressId >= 255 ? 1 : lastAddressId + 1;
    let taken = false;
    for (let id: u32 = 1; id <= PATH_MAX; id++) {
      const path = pathAt(id);
      if (path.known != 0 && (path.id4 == lastAddressId || path.id6 == lastAddressId)) taken = true;
    }
    if (!taken) return lastAddressId;
  }
  return 255;
}
