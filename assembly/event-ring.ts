// The ring of events towards the host. When it overflows the oldest are overwritten and counted;
// the host then takes a fresh snapshot (it keeps no mirror of the engine's state).

import { EVENTS, EVENT_MAX, EVENT_SIZE, EngineHeader, EventKind, EventRecord, HEADER, Reason } from "./abi";
import { nowUs } from "./clock";

/** Appends an event and returns its address, all fields but time, kind and reason zero. */
export function emitEvent(kind: EventKind, reason: Reason): usize {
  const head = load<u32>(HEADER + EngineHeader.EVENT_HEAD);
  const tail = load<u32>(HEADER + EngineHeader.EVENT_TAIL);
  if (head - tail >= EVENT_MAX) {
    // The slot still holds an unread event: the oldest is lost.
    store<u32>(HEADER + EngineHeader.EVENT_TAIL, tail + 1);
    store<u32>(HEADER + EngineHeader.EVENTS_LOST, load<u32>(HEADER + EngineHeader.EVENTS_LOST) + 1);
  }
  const at = <usize>EVENTS + <usize>(head % EVENT_MAX) * EVENT_SIZE;
  memory.fill(at, 0, EVENT_SIZE);
  store<u64>(at, nowUs(), EventRecord.TIME_US);
  store<u16>(at, <u16>kind, EventRecord.KIND);
  store<u16>(at, <u16>reason, EventRecord.REASON);
  store<u32>(HEADER + EngineHeader.EVENT_HEAD, head + 1);
  return at;
}
