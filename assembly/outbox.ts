// Packets that the engine makes itself. They live until the next call of the embedder; each names a
// direction: WIRE leaves by the route of its source address, HOST goes to the own host.

import {
  Counter, Direction, EngineHeader, HEADER, OUTBOX, OUTBOX_DATA, OUTBOX_DATA_SIZE, OUTBOX_ENTRY_SIZE, OUTBOX_MAX,
  OutboxEntry,
} from "./abi";
import { count } from "./counters";

let nextData: u32 = OUTBOX_DATA;

/** Empties the outbox; called at the start of every entry point. */
export function outboxReset(): void {
  nextData = OUTBOX_DATA;
  store<u32>(HEADER + EngineHeader.OUTBOX_COUNT, 0);
}

/** Address where a packet of up to `length` octets may be built, or 0 when the outbox is full. */
export function outboxReserve(length: u32): usize {
  if (load<u32>(HEADER + EngineHeader.OUTBOX_COUNT) >= OUTBOX_MAX) return 0;
  if (nextData + length > OUTBOX_DATA + OUTBOX_DATA_SIZE) return 0;
  return nextData;
}

/** Appends the packet built at `packet` (from outboxReserve) with its final length. */
export function outboxCommit(packet: usize, length: u32, direction: Direction): void {
  const index = load<u32>(HEADER + EngineHeader.OUTBOX_COUNT);
  const entry = <usize>OUTBOX + <usize>index * OUTBOX_ENTRY_SIZE;
  store<u32>(entry, <u32>packet, OutboxEntry.OFFSET);
  store<u32>(entry, length, OutboxEntry.LENGTH);
  store<u32>(entry, direction, OutboxEntry.DIRECTION);
  store<u32>(HEADER + EngineHeader.OUTBOX_COUNT, index + 1);
  nextData = (<u32>packet + length + 15) & ~15;
  count(direction == Direction.WIRE ? Counter.OUTBOX_WIRE : Counter.OUTBOX_HOST);
}
