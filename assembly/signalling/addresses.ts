// ADD_ADDR and REMOVE_ADDR (RFC 8684 §3.4). The end that did not open the connection advertises its other
// addresses, of both families; ADD_ADDR is repeated until its echo comes, REMOVE_ADDR (no echo exists) a few times.

import { CONFIG, ConfigFlag, Counter, EngineConfig, EventKind, EventRecord, PATH_MAX, Reason } from "../abi";
import { nowUs } from "../clock";
import { ADD_ADDR_RETRY_US, ADD_ADDR_TRIES_MAX, CONTROL_REPEATS } from "../config";
import { pathClosed } from "../connection/classes";
import { Connection, ConnectionFlag, hasFlag, hostAddress, peerAddress } from "../connection/connection";
import { addAddrHmac, equalConstantTime } from "../connection/keys";
import { emitConnectionEvent } from "../connection/lifecycle";
import { pathAddressId, pathAddressIn, pathAt, pathUsable } from "../connection/paths";
import { repeatUs } from "../connection/rtt";
import { localAddress, Subflow, subflowAt, subflowUsable } from "../connection/subflow";
import { armConnection } from "../connection/timers";
import { count } from "../counters";
import { addressEqual, addressFamily, addressIsMapped } from "../memory/address";
import { ADDRESS_A, FORGE_OPTIONS, OUT } from "../scratch";
import { MptcpOptions, writeAddAddr, writeRemoveAddr } from "../wire/mptcp-options";
import { forgeAckWith } from "./forge";
import { rememberRemote } from "./join";

/** True if one of the connection's subflows already has our address `address`. */
function addressInUse(connection: Connection, address: usize): bool {
  if (addressEqual(hostAddress(connection), address)) return true;
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    if (addressEqual(localAddress(subflowAt(index)), address)) return true;
  }
  return false;
}

/** Starts to announce the addresses of all usable paths that the peer does not know yet. */
export function advertiseStart(connection: Connection): void {
  if (hasFlag(connection, ConnectionFlag.OPENER)) return;
  if ((load<u32>(CONFIG + EngineConfig.FLAGS) & ConfigFlag.ADVERTISE) == 0) return;
  connection.advertise4 = unknownAddresses(connection, 4);
  connection.advertise6 = unknownAddresses(connection, 6);
  connection.advertiseTries = 0;
  advertiseNow(connection);
}

/** Paths (bit path − 1) that are open to the connection and whose address of `family` none of its subflows has. */
function unknownAddresses(connection: Connection, family: u32): u32 {
  let paths: u32 = 0;
  for (let id: u32 = 1; id <= PATH_MAX; id++) {
    const open = pathUsable(id) && !pathClosed(connection.classId, id);
    const address = open ? pathAddressIn(id, family) : 0;
    if (address != 0 && !addressInUse(connection, address)) paths |= 1 << (id - 1);
  }
  return paths;
}

/** Sends every ADD_ADDR that has no echo yet, and arms the retry; gives up after ADD_ADDR_TRIES_MAX. */
export function advertiseNow(connection: Connection): void {
  connection.advertiseUs = 0;
  if (!advertises(connection)) return;
  if (connection.advertiseTries >= <u8>ADD_ADDR_TRIES_MAX || connection.active == 0) {
    connection.advertise4 = 0;
    connection.advertise6 = 0;
    return;
  }
  // The connection's own family first: Linux takes in one address at a time and passes over the others.
  const family = addressFamily(peerAddress(connection));
  sendAddAddrs(connection, family);
  sendAddAddrs(connection, family == 4 ? 6 : 4);
  connection.advertiseUs = nowUs() + (ADD_ADDR_RETRY_US << connection.advertiseTries);
  connection.advertiseTries++;
  armConnection(connection);
}

/** True while an ADD_ADDR has no echo. */
@inline function advertises(connection: Connection): bool {
  return (connection.advertise4 | connection.advertise6) != 0;
}

/** Sends every ADD_ADDR of `family` that has no echo yet. */
function sendAddAddrs(connection: Connection, family: u32): void {
  const paths = family == 4 ? connection.advertise4 : connection.advertise6;
  if (paths == 0) return;
  const subflow = subflowAt(connection.active);
  for (let id: u32 = 1; id <= PATH_MAX; id++) {
    const address = (paths & (1 << (id - 1))) != 0 ? pathAddressIn(id, family) : 0;
    if (address != 0) sendAddAddr(connection, subflow, address, pathAddressId(id, address));
  }
}

/** Sends ADD_ADDR for our `address`, which has the address id `id`. */
function sendAddAddr(connection: Connection, subflow: Subflow, address: usize, id: u32): void {
  const mapped = addressIsMapped(address);
  const wireAddress = mapped ? address + 12 : address;
  const hmac = addAddrHmac(connection.localKey, connection.remoteKey, id, wireAddress, mapped ? 4 : 16, 0);
  const end = writeAddAddr(FORGE_OPTIONS, id, address, 0, hmac);
  count(Counter.ADD_ADDR_SENT);
  forgeAckWith(connection, subflow, end);
}

/** The peer's echo of our ADD_ADDR: stop repeating it (RFC 8684 §3.4.1). */
function handleEcho(connection: Connection, options: MptcpOptions): void {
  for (let id: u32 = 1; id <= PATH_MAX; id++) {
    const path = pathAt(id);
    if (path.id4 == options.addAddrId) connection.advertise4 &= ~(1 << (id - 1));
    if (path.id6 == options.addAddrId) connection.advertise6 &= ~(1 << (id - 1));
  }
  if (!advertises(connection)) {
    connection.advertiseUs = 0;
    armConnection(connection);
  }
}

/**
 * An ADD_ADDR that came on `subflow`. A wrong HMAC is ignored; else it is remembered and echoed at once on
 * the same subflow. True if the address is new (the caller then looks for paths to join).
 */
export function handleAddAddr(connection: Connection, subflow: Subflow, options: MptcpOptions): bool {
  count(Counter.ADD_ADDR_RECEIVED);
  if (options.addAddrEcho != 0) {
    handleEcho(connection, options);
    return false;
  }
  const octets: u32 = options.addAddrFamily == 4 ? 4 : 16;
  const own = addAddrHmac(
    connection.remoteKey, connection.localKey, options.addAddrId, options.addAddrPtr, octets, options.addAddrPort,
  );
  if (!equalConstantTime(own, options.addAddrHmacPtr, 8)) return false;
  widenAddress(options.addAddrPtr, octets, ADDRESS_A);
  const isNew = rememberRemote(
    connection, options.addAddrId, options.addAddrFamily, ADDRESS_A, options.addAddrPort,
  );
  // The echo repeats id, address and port and has no HMAC.
  const end = writeAddAddr(FORGE_OPTIONS, options.addAddrId, ADDRESS_A, options.addAddrPort, 0);
  forgeAckWith(connection, subflow, end);
  if (isNew) {
    const event = emitConnectionEvent(EventKind.NEW_ADDRESS, Reason.NONE, connection);
    store<u8>(event, <u8>options.addAddrId, EventRecord.REMOTE_ID);
    store<u16>(event, <u16>options.addAddrPort, EventRecord.REMOTE_PORT);
    memory.copy(event + EventRecord.REMOTE, ADDRESS_A, 16);
  }
  return isNew;
}

/** 16 octets at `out` from an address of 4 or 16 octets. */
function widenAddress(address: usize, octets: u32, out: usize): void {
  if (octets == 16) {
    memory.copy(out, address, 16);
    return;
  }
  store<u64>(out, 0);
  store<u32>(out, 0xffff0000, 8);
  memory.copy(out + 12, address, 4);
}

/** Notes that our address `id` is gone: REMOVE_ADDR goes out now and is repeated. */
export function removeAddress(connection: Connection, id: u32): void {
  if (connection.removedCount == 4) {
    connection.removedIds >>= 8; // the oldest has been told several times already
    connection.removedCount--;
  }
  connection.removedIds |= id << (<u32>connection.removedCount * 8);
  connection.removedCount++;
  connection.controlTries = 0;
  connection.controlUs = nowUs();
  armConnection(connection);
}

/** Sends the pending REMOVE_ADDR on the active subflow, if there is one. True if something was sent. */
export function sendRemoved(connection: Connection): bool {
  if (connection.removedCount == 0 || connection.active == 0) return false;
  const subflow = subflowAt(connection.active);
  if (!subflowUsable(subflow)) return false;
  store<u32>(OUT, connection.removedIds);
  forgeRemoveAddr(connection, subflow, connection.removedCount);
  return true;
}

/** Sends REMOVE_ADDR for the `ids` address ids (octets) at OUT on `subflow`. */
export function forgeRemoveAddr(connection: Connection, subflow: Subflow, ids: u32): void {
  count(Counter.REMOVE_ADDR_SENT);
  forgeAckWith(connection, subflow, writeRemoveAddr(FORGE_OPTIONS, OUT, ids));
}

/** Arms the next repetition of MP_PRIO and REMOVE_ADDR, or ends them after CONTROL_REPEATS. */
export function controlRepeatLater(connection: Connection): void {
  connection.controlUs = 0;
  // Without a subflow nothing was sent: the next one that comes up starts anew (controlRestart).
  if (connection.active == 0) return;
  if (++connection.controlTries >= <u8>CONTROL_REPEATS) {
    connection.removedCount = 0;
    connection.removedIds = 0;
  } else {
    connection.controlUs = nowUs() + repeatUs(subflowAt(connection.active));
  }
  armConnection(connection);
}
