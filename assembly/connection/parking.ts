// Which host addresses converted connections use. The host parks an address with its first connection and
// unparks it with its last, so that the connection's socket survives the loss of the address.
//
//   entry, 24 octets: address 16, users u32, zero u32. A full table only means that further addresses are
//   not parked: their connections do not survive the loss of the address, all else works.

import { EventKind, EventRecord, Reason } from "../abi";
import { emitEvent } from "../event-ring";
import { addressEqual } from "../memory/address";
import { PARKING_MAX, PARKING_TABLE } from "./store";

function find(address: usize, free: bool): usize {
  let empty: usize = 0;
  for (let i: u32 = 0; i < PARKING_MAX; i++) {
    const entry = <usize>PARKING_TABLE + <usize>i * 24;
    if (load<u32>(entry, 16) == 0) {
      if (empty == 0) empty = entry;
    } else if (addressEqual(entry, address)) {
      return entry;
    }
  }
  return free ? empty : 0;
}

function emitPark(address: usize, value: u32): void {
  const event = emitEvent(EventKind.PARK_ADDRESS, Reason.NONE);
  store<u32>(event, value, EventRecord.VALUE);
  memory.copy(event + EventRecord.LOCAL, address, 16);
}

/** One more connection uses `address`. */
export function parkAddress(address: usize): void {
  const entry = find(address, true);
  if (entry == 0) return;
  const users = load<u32>(entry, 16);
  if (users == 0) {
    memory.copy(entry, address, 16);
    emitPark(address, 1);
  }
  store<u32>(entry, users + 1, 16);
}

/** One connection less uses `address`. */
export function unparkAddress(address: usize): void {
  const entry = find(address, false);
  if (entry == 0) return;
  const users = load<u32>(entry, 16) - 1;
  store<u32>(entry, users, 16);
  if (users == 0) emitPark(address, 0);
}
