// The policy ABI's records as objects. What is not known is undefined here and a sentinel there (docs/POLICY-ABI.md).
import * as abi from "./abi.ts";
import { IntentOffset, PathOffset, TableOffset } from "./abi.ts";

/** One path as a policy sees it; units as in docs/POLICY-ABI.md. */
export interface PathRecord {
  id: number;
  kind?: abi.PathKind | undefined;
  state: abi.PathState;
  /** PathFlag bits. */
  flags: number;
  lastAckUs?: number | undefined;
  quotaLeft?: number | undefined;
  ackedRateKbps?: number | undefined;
  inFlight?: number | undefined;
  srttUs?: number | undefined;
  rttvarUs?: number | undefined;
  minRttUs?: number | undefined;
  lossPpm?: number | undefined;
  costMicroPerGB?: number | undefined;
  energyPerByte?: number | undefined;
  /** dBm × 10. */
  signal?: number | undefined;
  /** dB × 10 per second. */
  slope?: number | undefined;
  subflows: number;
}

export interface TableRecord {
  nowUs: number;
  entropy: bigint;
  event: abi.Event;
  eventPathId?: number | undefined;
  classId: number;
  connections: number;
  ackedBytes: number;
  batteryPermille?: number | undefined;
  power?: abi.Power | undefined;
  activePathId?: number | undefined;
  lastRefusal: abi.Refusal;
  /** In the class's order of preference. */
  paths: PathRecord[];
}

export interface IntentRecord {
  abi: number;
  /** A Reason, or the policy's own from OWN_REASON_FIRST on. */
  reason: number;
  activePathId: number | undefined;
  standbyMask: number;
  openMask: number;
  closeMask: number;
  dwellMs: number;
  /** undefined = no wish. */
  wakeAtUs: number | undefined;
  weights: number[];
}

/** Octets of a table with so many paths. */
export const tableSize = (pathCount: number): number => abi.TABLE_SIZE + pathCount * abi.PATH_SIZE;

/** A whole number of `bits` bits; what is not known, or no number, is the sentinel; what is too large, the largest. */
function unsigned(value: number | undefined, bits: 8 | 16 | 32): number {
  const unknown = 2 ** bits - 1;
  if (value === undefined || Number.isNaN(value)) return unknown;
  return Math.min(Math.max(0, Math.round(value)), unknown - 1);
}

function signed16(value: number | undefined): number {
  if (value === undefined || Number.isNaN(value)) return abi.UNKNOWN_I16;
  return Math.min(Math.max(-0x7fff, Math.round(value)), 0x7fff);
}

function unsigned64(value: number | undefined): bigint {
  if (value === undefined || Number.isNaN(value)) return 0xffff_ffff_ffff_ffffn;
  return BigInt(Math.min(Math.max(0, Math.round(value)), Number.MAX_SAFE_INTEGER));
}

function writePath(view: DataView, at: number, path: PathRecord): void {
  view.setUint32(at + PathOffset.ID, path.id, true);
  view.setUint8(at + PathOffset.KIND, unsigned(path.kind, 8));
  view.setUint8(at + PathOffset.STATE, path.state);
  view.setUint16(at + PathOffset.FLAGS, path.flags, true);
  view.setBigUint64(at + PathOffset.LAST_ACK_US, unsigned64(path.lastAckUs), true);
  view.setBigUint64(at + PathOffset.QUOTA_LEFT, unsigned64(path.quotaLeft), true);
  view.setUint32(at + PathOffset.ACKED_RATE_KBPS, unsigned(path.ackedRateKbps, 32), true);
  view.setUint32(at + PathOffset.IN_FLIGHT, unsigned(path.inFlight, 32), true);
  view.setUint32(at + PathOffset.SRTT_US, unsigned(path.srttUs, 32), true);
  view.setUint32(at + PathOffset.RTTVAR_US, unsigned(path.rttvarUs, 32), true);
  view.setUint32(at + PathOffset.MIN_RTT_US, unsigned(path.minRttUs, 32), true);
  view.setUint32(at + PathOffset.LOSS_PPM, unsigned(path.lossPpm, 32), true);
  view.setUint32(at + PathOffset.COST_MICRO_PER_GB, unsigned(path.costMicroPerGB, 32), true);
  view.setUint32(at + PathOffset.ENERGY_PER_BYTE, unsigned(path.energyPerByte, 32), true);
  view.setInt16(at + PathOffset.SIGNAL, signed16(path.signal), true);
  view.setInt16(at + PathOffset.SLOPE, signed16(path.slope), true);
  view.setUint16(at + PathOffset.SUBFLOWS, unsigned(path.subflows, 16), true);
}

/**
 * Writes a table, header and paths; what is not named in the ABI is zero. Returns its octets.
 * @throws RangeError if there are more than PATH_MAX paths or the view is too short.
 */
export function writeTable(view: DataView, table: TableRecord): number {
  const size = tableSize(table.paths.length);
  if (table.paths.length > abi.PATH_MAX) throw new RangeError(`a table holds ${abi.PATH_MAX} paths at most`);
  if (size > view.byteLength) throw new RangeError(`a table of ${size} octets needs a larger region`);
  new Uint8Array(view.buffer, view.byteOffset, size).fill(0);
  view.setUint16(TableOffset.ABI, abi.ABI, true);
  view.setUint16(TableOffset.HEADER_SIZE, abi.TABLE_SIZE, true);
  view.setUint16(TableOffset.PATH_SIZE, abi.PATH_SIZE, true);
  view.setUint16(TableOffset.PATH_COUNT, table.paths.length, true);
  view.setBigUint64(TableOffset.NOW_US, unsigned64(table.nowUs), true);
  view.setBigUint64(TableOffset.ENTROPY, table.entropy, true);
  view.setUint32(TableOffset.EVENT, table.event, true);
  view.setUint32(TableOffset.EVENT_PATH_ID, unsigned(table.eventPathId, 32), true);
  view.setUint32(TableOffset.CLASS_ID, table.classId, true);
  view.setUint32(TableOffset.CONNECTIONS, unsigned(table.connections, 32), true);
  view.setBigUint64(TableOffset.ACKED_BYTES, unsigned64(table.ackedBytes), true);
  view.setUint16(TableOffset.BATTERY_PERMILLE, unsigned(table.batteryPermille, 16), true);
  view.setUint8(TableOffset.POWER, unsigned(table.power, 8));
  view.setUint32(TableOffset.ACTIVE_PATH_ID, unsigned(table.activePathId, 32), true);
  view.setUint32(TableOffset.LAST_REFUSAL, table.lastRefusal, true);
  table.paths.forEach((path, index) => {
    writePath(view, tableSize(index), path);
  });
  return size;
}

const known = (value: number, sentinel: number): number | undefined => (value === sentinel ? undefined : value);

function known64(value: bigint): number | undefined {
  return value === 0xffff_ffff_ffff_ffffn ? undefined : Number(value);
}

function readPath(view: DataView, at: number): PathRecord {
  const u32 = (offset: number): number | undefined => known(view.getUint32(at + offset, true), abi.UNKNOWN_U32);
  const i16 = (offset: number): number | undefined => known(view.getInt16(at + offset, true), abi.UNKNOWN_I16);
  return {
    id: view.getUint32(at + PathOffset.ID, true),
    kind: known(view.getUint8(at + PathOffset.KIND), abi.UNKNOWN_U8) as abi.PathKind | undefined,
    state: view.getUint8(at + PathOffset.STATE) as abi.PathState,
    flags: view.getUint16(at + PathOffset.FLAGS, true),
    lastAckUs: known64(view.getBigUint64(at + PathOffset.LAST_ACK_US, true)),
    quotaLeft: known64(view.getBigUint64(at + PathOffset.QUOTA_LEFT, true)),
    ackedRateKbps: u32(PathOffset.ACKED_RATE_KBPS),
    inFlight: u32(PathOffset.IN_FLIGHT),
    srttUs: u32(PathOffset.SRTT_US),
    rttvarUs: u32(PathOffset.RTTVAR_US),
    minRttUs: u32(PathOffset.MIN_RTT_US),
    lossPpm: u32(PathOffset.LOSS_PPM),
    costMicroPerGB: u32(PathOffset.COST_MICRO_PER_GB),
    energyPerByte: u32(PathOffset.ENERGY_PER_BYTE),
    signal: i16(PathOffset.SIGNAL),
    slope: i16(PathOffset.SLOPE),
    subflows: view.getUint16(at + PathOffset.SUBFLOWS, true),
  };
}

/** Reads a table that writeTable() wrote, or a recording's; later versions' longer records are read as far as known. */
export function readTable(view: DataView): TableRecord {
  const u16 = (offset: number): number => view.getUint16(offset, true);
  const u32 = (offset: number): number => view.getUint32(offset, true);
  const at = (index: number): number => u16(TableOffset.HEADER_SIZE) + index * u16(TableOffset.PATH_SIZE);
  return {
    nowUs: Number(view.getBigUint64(TableOffset.NOW_US, true)),
    entropy: view.getBigUint64(TableOffset.ENTROPY, true),
    event: u32(TableOffset.EVENT) as abi.Event,
    eventPathId: known(u32(TableOffset.EVENT_PATH_ID), abi.UNKNOWN_U32),
    classId: u32(TableOffset.CLASS_ID),
    connections: u32(TableOffset.CONNECTIONS),
    ackedBytes: Number(view.getBigUint64(TableOffset.ACKED_BYTES, true)),
    batteryPermille: known(u16(TableOffset.BATTERY_PERMILLE), abi.UNKNOWN_U16),
    power: known(view.getUint8(TableOffset.POWER), abi.UNKNOWN_U8) as abi.Power | undefined,
    activePathId: known(u32(TableOffset.ACTIVE_PATH_ID), abi.UNKNOWN_U32),
    lastRefusal: u32(TableOffset.LAST_REFUSAL) as abi.Refusal,
    paths: Array.from({ length: u16(TableOffset.PATH_COUNT) }, (_, index) => readPath(view, at(index))),
  };
}

/** Reads what decide() left. Judges nothing: that is the guard's. */
export function readIntent(view: DataView): IntentRecord {
  const u32 = (offset: number): number => view.getUint32(offset, true);
  const wakeAtUs = known64(view.getBigUint64(IntentOffset.WAKE_AT_US, true));
  return {
    abi: view.getUint16(IntentOffset.ABI, true),
    reason: view.getUint16(IntentOffset.REASON, true),
    activePathId: known(u32(IntentOffset.ACTIVE_PATH_ID), abi.UNKNOWN_U32),
    standbyMask: u32(IntentOffset.STANDBY_MASK),
    openMask: u32(IntentOffset.OPEN_MASK),
    closeMask: u32(IntentOffset.CLOSE_MASK),
    dwellMs: u32(IntentOffset.DWELL_MS),
    wakeAtUs: wakeAtUs === 0 ? undefined : wakeAtUs,
    weights: Array.from({ length: abi.PATH_MAX }, (_, index) => view.getUint8(IntentOffset.WEIGHTS + index)),
  };
}
