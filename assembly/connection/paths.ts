// The path table: a path is an interface of this machine with its addresses. The host writes it by
// commands; the engine only ever looks things up in it.
//
//   byte  size  field (PathRecord, stride 128)
//      0     4  known              1 = in use
//      4     4  flags              PathFlag bits
//      8     4  interface, 12 mtu
//     16    16  address4           v4-mapped, zero = none
//     32    16  address6
//     48     1  prefix4, 49 prefix6 (bits)
//     50     1  id4, 51 id6        address ids (RFC 8684 §3.2), drawn anew when the address changes
//     52     4  subflows           live ones
//     56     8  bytesSent, 64 bytesReceived  payload, also of subflows that are gone
//     72     4  srttUs             of the subflow heard last

import { PATH_MAX, PathFlag } from "../abi";
import { addressEqual, addressIsMapped } from "../memory/address";
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
}
if (offsetof<PathRecord>("address6a") != 32) ERROR("PathRecord.address6 moved");
if (offsetof<PathRecord>() > PATH_RECORD_SIZE) ERROR("PathRecord: too large");

/** The record of path `id` (1 … PATH_MAX); id 0 is a record of its own for subflows on no known path. */
@inline export function pathAt(id: u32): PathRecord {
  return changetype<PathRecord>(<usize>PATH_TABLE + <usize>id * PATH_RECORD_SIZE);
}

/** Address of 16 octets of path `id` in the family of `like`, or 0. */
export function pathAddress(id: u32, like: usize): usize {
  const path = pathAt(id);
  const mapped = addressIsMapped(like);
  const at = changetype<usize>(path) + (mapped ? 16 : 32);
  return load<u64>(at) == 0 && load<u64>(at, 8) == 0 ? 0 : at;
}

/** True if path `id` is known, up and has an address in the family of `like`. */
export function pathUsable(id: u32, like: usize): bool {
  const path = pathAt(id);
  return path.known != 0 && (path.flags & PathFlag.UP) != 0 && pathAddress(id, like) != 0;
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

/** Smallest MTU of the usable paths in the family of `like`; `fallback` when there is none. */
export function smallestMtu(like: usize, fallback: u32): u32 {
  let smallest: u32 = 0;
  for (let id: u32 = 1; id <= PATH_MAX; id++) {
    if (!pathUsable(id, like)) continue;
    const mtu = pathAt(id).mtu;
    if (mtu != 0 && (smallest == 0 || mtu < smallest)) smallest = mtu;
  }
  return smallest == 0 ? fallback : smallest;
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
