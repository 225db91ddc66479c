// What the engine measures for whoever decides: per path over all its subflows, per class over all its connections.
// Everything is counted where it happens, so that a read costs as much as there are paths and classes.

import { nowUs } from "../clock";
import { MIN_RTT_HALF_US } from "../config";
import { classAt, classOn } from "./classes";
import { Connection, ConnectionFlag, hasFlag } from "./connection";
import { pathAt, PathRecord } from "./paths";
import { Subflow, subflowAt } from "./subflow";

// ---- paths ---------------------------------------------------------------------------------------------

/** `octets` of SSN space were given out on `subflow`: they are in flight. */
@inline export function measureMapped(subflow: Subflow, octets: u32): void {
  pathAt(subflow.path).inFlight += octets;
}

/** The peer has acknowledged `octets` of SSN space on `subflow`. */
@inline export function measureAcknowledged(subflow: Subflow, octets: u32): void {
  const path = pathAt(subflow.path);
  path.inFlight -= octets;
  path.bytesAcked += octets;
}

/** `octets` that were in flight on `subflow` are so no more: it is gone. */
export function measureLost(subflow: Subflow, octets: u32): void {
  pathAt(subflow.path).inFlight -= octets;
}

/** An established subflow was heard. */
@inline export function measureHeard(subflow: Subflow): void {
  pathAt(subflow.path).lastAckUs = nowUs();
}

/** A packet with payload came on `subflow` of which every octet had come before. */
export function measureRepeated(subflow: Subflow): void {
  pathAt(subflow.path).packetsRepeated++;
}

/** A round trip on some subflow of `path` took `sample` µs (RFC 6298 §2, over the samples of all its subflows). */
export function measureRtt(path: PathRecord, sample: u32): void {
  measureLeast(path, sample);
  path.sampledUs = nowUs();
  if (path.srttUs == 0) {
    path.srttUs = sample;
    path.rttvarUs = sample >> 1;
    return;
  }
  const delta = sample > path.srttUs ? sample - path.srttUs : path.srttUs - sample;
  path.rttvarUs = path.rttvarUs - (path.rttvarUs >> 2) + (delta >> 2);
  path.srttUs = path.srttUs - (path.srttUs >> 3) + (sample >> 3);
}

/** The smallest sample of a sliding window of two halves. */
function measureLeast(path: PathRecord, sample: u32): void {
  const age = nowUs() - path.minStartUs;
  if (path.minRttUs == 0 || age >= MIN_RTT_HALF_US) {
    path.minBeforeUs = age < 2 * MIN_RTT_HALF_US ? path.minRttUs : 0;
    path.minRttUs = sample;
    path.minStartUs = nowUs();
  } else if (sample < path.minRttUs) {
    path.minRttUs = sample;
  }
}

/** Smallest round trip of the window, µs; 0 = unknown. */
export function leastRttUs(path: PathRecord): u32 {
  return path.minBeforeUs != 0 && path.minBeforeUs < path.minRttUs ? path.minBeforeUs : path.minRttUs;
}

// ---- classes -------------------------------------------------------------------------------------------

/** The peer has acknowledged `octets` of the host's data. */
@inline export function measureDelivered(connection: Connection, octets: u64): void {
  classAt(connection.classId).bytesAcked += octets;
}

/** Where `connection` counts in its class: 0 = nowhere, 1 + the path that it sends on; path 0 = none or unknown. */
function placeInClass(connection: Connection): u32 {
  if (!hasFlag(connection, ConnectionFlag.ESTABLISHED_EVER)) return 0;
  if (hasFlag(connection, ConnectionFlag.RESET | ConnectionFlag.SUBFLOWS_CLOSING)) return 0;
  return connection.active == 0 ? 1 : 1 + <u32>subflowAt(connection.active).path;
}

/** True if its class counts `connection` where it belongs. */
export function isPlaced(connection: Connection): bool {
  return <u32>connection.placeInClass == placeInClass(connection);
}

/** Moves `connection` to `place` in the counts of its class. */
function countAt(connection: Connection, place: u32): void {
  const before = <u32>connection.placeInClass;
  if (before == place) return;
  const id = connection.classId;
  if (before == 0) classAt(id).connections++;
  else store<u32>(classOn(id, before - 1), load<u32>(classOn(id, before - 1)) - 1);
  if (place == 0) classAt(id).connections--;
  else store<u32>(classOn(id, place - 1), load<u32>(classOn(id, place - 1)) + 1);
  connection.placeInClass = <u8>place;
}

/** Something has changed that the counts of its class may show: it is open now, closing, or sends elsewhere. */
export function measurePlace(connection: Connection): void {
  countAt(connection, placeInClass(connection));
}

/** `connection` is about to be forgotten. */
export function measureGone(connection: Connection): void {
  countAt(connection, 0);
}
