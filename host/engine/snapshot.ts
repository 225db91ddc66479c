// Snapshot pages as objects: connections with their subflows, and paths.
import {
  SnapshotConnection as C,
  ConnectionState,
  SnapshotPath as P,
  PathFlag,
  SnapshotSubflow as S,
  SNAPSHOT_RECORD_SIZE,
  SnapshotKind,
  SubflowFlag,
  SubflowState,
} from "./abi.ts";
import { type NameOf, namesOf, RecordReader } from "./record.ts";

export interface SnapshotSubflow {
  state: NameOf<typeof SubflowState>;
  /** Path id. */
  path: number;
  /** Within its connection, 0 = initial. */
  number: number;
  /** Carries our new data. */
  active: boolean;
  /** We asked the peer not to use it. */
  backup: boolean;
  /** The peer asked us not to use it. */
  peerBackup: boolean;
  stale: boolean;
  poisoned: boolean;
  /** We sent its SYN. */
  opener: boolean;
  initial: boolean;
  local: string;
  localPort: number;
  remote: string;
  remotePort: number;
  localId: number;
  remoteId: number;
  /** 0 = not measured yet. */
  srttUs: number;
  rttvarUs: number;
  minRttUs: number;
  /** Payload octets with retransmissions. */
  bytesSent: number;
  bytesReceived: number;
  packetsSent: number;
  packetsReceived: number;
  /** Octets. */
  retransmitted: number;
  recvRuns: number;
  createdUs: number;
}

export interface SnapshotConnection {
  state: NameOf<typeof ConnectionState>;
  /** Ours, in hex; names the connection everywhere. */
  token: string;
  peerToken: string;
  serial: number;
  class: number;
  /** Path ids. */
  activePath: number;
  /** 0 = not pinned. */
  pinnedPath: number;
  local: string;
  localPort: number;
  remote: string;
  remotePort: number;
  /** Our host opened it. */
  opener: boolean;
  /** Payload octets, each counted once. */
  bytesSent: number;
  bytesReceived: number;
  bytesUnacked: number;
  sendRuns: number;
  handovers: number;
  createdUs: number;
  subflows: SnapshotSubflow[];
}

/** A path. What is counted is counted over all its subflows since the engine began, also those that are gone. */
export interface SnapshotPath {
  id: number;
  up: boolean;
  backup: boolean;
  /** PathFlag bits. */
  flags: number;
  /** Interface index. */
  interface: number;
  mtu: number;
  subflows: number;
  address4: string | null;
  address6: string | null;
  /** Payload octets, with retransmissions. */
  bytesSent: number;
  bytesReceived: number;
  /** Estimate over the samples of all its subflows (RFC 6298); 0 = not measured yet. */
  srttUs: number;
  rttvarUs: number;
  /** Smallest sample of the last 5 to 10 s in which there were any; 0 = not measured yet. */
  minRttUs: number;
  /** Octets sent and not acknowledged on their subflow. */
  inFlight: number;
  /** Monotonic time (µs) at which an established subflow was last heard; 0 = never. */
  lastAckUs: number;
  /** Octets that the peer has acknowledged on their subflow; a FIN counts as one. */
  bytesAcked: number;
  /** Of bytesSent. */
  bytesRetransmitted: number;
  /** With payload. */
  packetsSent: number;
  /** Of packetsSent. */
  packetsRetransmitted: number;
  /** With payload. */
  packetsReceived: number;
  /** Of packetsReceived: the peer sent them again though they had come. */
  packetsRepeated: number;
}

/** What the engine holds. Pages are taken between batches: records of one page are of one moment. */
export interface Snapshot {
  connections: SnapshotConnection[];
  paths: SnapshotPath[];
}

const connectionState = namesOf(ConnectionState);
const subflowState = namesOf(SubflowState);

/** Joins the pages of a snapshot. A subflow record belongs to the connection record before it. */
export function decodeSnapshot(pages: readonly Uint8Array[]): Snapshot {
  const snapshot: Snapshot = { connections: [], paths: [] };
  for (const page of pages) {
    for (let start = 0; start + SNAPSHOT_RECORD_SIZE <= page.length; start += SNAPSHOT_RECORD_SIZE) {
      const record = new RecordReader(page, start, SNAPSHOT_RECORD_SIZE);
      const kind = record.u16(0);
      if (kind === SnapshotKind.CONNECTION) snapshot.connections.push(decodeConnection(record));
      else if (kind === SnapshotKind.SUBFLOW) snapshot.connections.at(-1)?.subflows.push(decodeSubflow(record));
      else if (kind === SnapshotKind.PATH) snapshot.paths.push(decodePath(record));
    }
  }
  return snapshot;
}

function decodeConnection(record: RecordReader): SnapshotConnection {
  return {
    state: connectionState(record.u16(C.STATE)),
    token: record.token(C.TOKEN),
    peerToken: record.token(C.PEER_TOKEN),
    serial: record.u32(C.SERIAL),
    class: record.u32(C.CLASS),
    activePath: record.u32(C.ACTIVE_PATH),
    pinnedPath: record.u32(C.PINNED_PATH),
    local: record.address(C.LOCAL),
    localPort: record.u16(C.LOCAL_PORT),
    remote: record.address(C.REMOTE),
    remotePort: record.u16(C.REMOTE_PORT),
    opener: record.u8(C.OPENER) === 1,
    bytesSent: record.u64(C.BYTES_SENT),
    bytesReceived: record.u64(C.BYTES_RECEIVED),
    bytesUnacked: record.u64(C.BYTES_UNACKED),
    sendRuns: record.u32(C.SEND_RUNS),
    handovers: record.u32(C.HANDOVERS),
    createdUs: record.u64(C.CREATED_US),
    subflows: [],
  };
}

function decodeSubflow(record: RecordReader): SnapshotSubflow {
  const flags = record.u32(S.FLAGS);
  const has = (flag: number): boolean => (flags & flag) !== 0;
  return {
    state: subflowState(record.u16(S.STATE)),
    path: record.u32(S.PATH),
    number: record.u32(S.NUMBER),
    active: has(SubflowFlag.ACTIVE),
    backup: has(SubflowFlag.BACKUP),
    peerBackup: has(SubflowFlag.PEER_BACKUP),
    stale: has(SubflowFlag.STALE),
    poisoned: has(SubflowFlag.POISONED),
    opener: has(SubflowFlag.OPENER),
    initial: has(SubflowFlag.INITIAL),
    local: record.address(S.LOCAL),
    localPort: record.u16(S.LOCAL_PORT),
    remote: record.address(S.REMOTE),
    remotePort: record.u16(S.REMOTE_PORT),
    localId: record.u8(S.LOCAL_ID),
    remoteId: record.u8(S.REMOTE_ID),
    srttUs: record.u32(S.SRTT_US),
    rttvarUs: record.u32(S.RTTVAR_US),
    minRttUs: record.u32(S.MIN_RTT_US),
    bytesSent: record.u64(S.BYTES_SENT),
    bytesReceived: record.u64(S.BYTES_RECEIVED),
    packetsSent: record.u64(S.PACKETS_SENT),
    packetsReceived: record.u64(S.PACKETS_RECEIVED),
    retransmitted: record.u64(S.RETRANSMITTED),
    recvRuns: record.u32(S.RECV_RUNS),
    createdUs: record.u64(S.CREATED_US),
  };
}

/** A path record. */
export function decodePath(record: RecordReader): SnapshotPath {
  const flags = record.u32(P.FLAGS);
  return {
    id: record.u32(P.ID),
    up: record.u16(P.STATE) === 1,
    backup: (flags & PathFlag.BACKUP) !== 0,
    flags,
    interface: record.u32(P.INTERFACE),
    mtu: record.u32(P.MTU),
    subflows: record.u32(P.SUBFLOWS),
    address4: record.address(P.ADDRESS4) || null,
    address6: record.address(P.ADDRESS6) || null,
    bytesSent: record.u64(P.BYTES_SENT),
    bytesReceived: record.u64(P.BYTES_RECEIVED),
    srttUs: record.u32(P.SRTT_US),
    rttvarUs: record.u32(P.RTTVAR_US),
    minRttUs: record.u32(P.MIN_RTT_US),
    inFlight: record.u32(P.IN_FLIGHT),
    lastAckUs: record.u64(P.LAST_ACK_US),
    bytesAcked: record.u64(P.BYTES_ACKED),
    bytesRetransmitted: record.u64(P.BYTES_RETRANSMITTED),
    packetsSent: record.u64(P.PACKETS_SENT),
    packetsRetransmitted: record.u64(P.PACKETS_RETRANSMITTED),
    packetsReceived: record.u64(P.PACKETS_RECEIVED),
    packetsRepeated: record.u64(P.PACKETS_REPEATED),
  };
}
