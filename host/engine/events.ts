// Event records as objects.
import { EVENT_SIZE, EventKind, EventRecord, Reason } from "./abi.ts";
import { type NameOf, namesOf, RecordReader } from "./record.ts";

export type EventKindName = NameOf<typeof EventKind>;
export type ReasonName = NameOf<typeof Reason>;

/** What the engine reports. Which fields say something depends on `kind`: see EventKind in docs/MEMORY.md. */
export interface EngineEvent {
  /** Monotonic microseconds, the data path's clock. */
  timeUs: number;
  kind: EventKindName;
  reason: ReasonName;
  /** The command it answers, 0 = none. */
  commandId: number;
  /** The connection: our token in hex, "00000000" = none. */
  token: string;
  /** The connection's serial number, never reused. */
  serial: number;
  /** Path id, 0 = unknown. */
  path: number;
  /** The subflow's number within its connection, 0 = initial. */
  subflow: number;
  /** By kind: the peer's token, the path before, microseconds, connections concerned, 1/0 … */
  value: number;
  /** By kind: payload octets, connections that failed. */
  value64: number;
  /** "" = none. */
  local: string;
  localPort: number;
  remote: string;
  remotePort: number;
  localId: number;
  remoteId: number;
  backup: boolean;
  /** We opened it. */
  opener: boolean;
}

const kindName = namesOf(EventKind);
const reasonName = namesOf(Reason);

/** All records of a buffer, oldest first. */
export function decodeEvents(records: Uint8Array): EngineEvent[] {
  return Array.from({ length: Math.floor(records.length / EVENT_SIZE) }, (_, index) =>
    decodeEvent(new RecordReader(records, index * EVENT_SIZE, EVENT_SIZE)),
  );
}

function decodeEvent(record: RecordReader): EngineEvent {
  return {
    timeUs: record.u64(EventRecord.TIME_US),
    kind: kindName(record.u16(EventRecord.KIND)),
    reason: reasonName(record.u16(EventRecord.REASON)),
    commandId: record.u32(EventRecord.COMMAND_ID),
    token: record.token(EventRecord.TOKEN),
    serial: record.u32(EventRecord.SERIAL),
    path: record.u32(EventRecord.PATH),
    subflow: record.u32(EventRecord.SUBFLOW),
    value: record.u32(EventRecord.VALUE),
    value64: record.u64(EventRecord.VALUE64),
    local: record.address(EventRecord.LOCAL),
    localPort: record.u16(EventRecord.LOCAL_PORT),
    remote: record.address(EventRecord.REMOTE),
    remotePort: record.u16(EventRecord.REMOTE_PORT),
    localId: record.u8(EventRecord.LOCAL_ID),
    remoteId: record.u8(EventRecord.REMOTE_ID),
    backup: record.u8(EventRecord.BACKUP) === 1,
    opener: record.u8(EventRecord.OPENER) === 1,
  };
}
