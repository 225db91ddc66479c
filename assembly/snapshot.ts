// The paged snapshot: what `shunt status` and the metrics are made of. Taken between batches; a page ends
// with a whole connection, and the cursor is the slab index where the next page begins. One page beside them has paths
// and classes only: what a policy is told of, every second and at every event.

import {
  CLASS_MAX, EngineHeader, HEADER, PATH_MAX, SNAPSHOT, SNAPSHOT_RECORD_SIZE, SNAPSHOT_SIZE, SnapshotClass,
  SnapshotConnection, SnapshotKind, SnapshotPath, SnapshotSubflow, STATISTICS_CURSOR, SubflowFlag,
} from "./abi";
import { classAt, classOn } from "./connection/classes";
import {
  Connection, connectionAt, ConnectionFlag, hasFlag, hostAddress, hostPort, peerAddress, peerPort,
} from "./connection/connection";
import { leastRttUs } from "./connection/measure";
import { pathAt } from "./connection/paths";
import { connectionCapacity, connectionSlab } from "./connection/store";
import {
  localAddress, localPort, recvTableOf, remoteAddress, remotePort, Subflow, subflowAt, SubflowBit, subflowHas,
} from "./connection/subflow";
import { slabLive } from "./memory/slab";

/** Cursor of the first page: it begins with the paths. */
@inline const FIRST: u32 = 0;

/** Fills SNAPSHOT from `cursor` on; SNAPSHOT_NEXT is 0 when that was all. */
export function takeSnapshot(cursor: u32): void {
  let at: usize = SNAPSHOT;
  const end = SNAPSHOT + SNAPSHOT_SIZE;
  if (cursor == STATISTICS_CURSOR) {
    endPage(writeClasses(writePaths(at)), 0);
    return;
  }
  if (cursor == FIRST) {
    at = writePaths(at);
    cursor = 1;
  }
  const slab = connectionSlab();
  for (; cursor <= connectionCapacity; cursor++) {
    if (!slabLive(slab, cursor)) continue;
    const connection = connectionAt(cursor);
    const records = <usize>connection.subflowCount + 1;
    if (at + records * SNAPSHOT_RECORD_SIZE > end) break;
    writeConnection(at, connection);
    at += SNAPSHOT_RECORD_SIZE;
    for (let index = connection.head; index != 0; index = subflowAt(index).next) {
      writeSubflow(at, subflowAt(index), connection.active == index);
      at += SNAPSHOT_RECORD_SIZE;
    }
  }
  endPage(at, cursor > connectionCapacity ? 0 : cursor);
}

function endPage(end: usize, next: u32): void {
  store<u32>(HEADER + EngineHeader.SNAPSHOT_LENGTH, <u32>(end - SNAPSHOT));
  store<u32>(HEADER + EngineHeader.SNAPSHOT_NEXT, next);
}

/** A record for each path from `at` on; returns the address behind the last. */
function writePaths(at: usize): usize {
  for (let id: u32 = 1; id <= PATH_MAX; id++) {
    if (pathAt(id).known == 0) continue;
    writePath(at, id);
    at += SNAPSHOT_RECORD_SIZE;
  }
  return at;
}

/** The same for each class that the host has named or that has connections; the default one always. */
function writeClasses(at: usize): usize {
  for (let id: u32 = 0; id < CLASS_MAX; id++) {
    const record = classAt(id);
    if (id != 0 && record.known == 0 && record.connections == 0) continue;
    writeClass(at, id);
    at += SNAPSHOT_RECORD_SIZE;
  }
  return at;
}

function writeClass(at: usize, id: u32): void {
  const record = classAt(id);
  memory.fill(at, 0, SNAPSHOT_RECORD_SIZE);
  store<u16>(at, SnapshotKind.CLASS);
  store<u32>(at, id, SnapshotClass.ID);
  store<u32>(at, record.connections, SnapshotClass.CONNECTIONS);
  store<u64>(at, record.bytesAcked, SnapshotClass.BYTES_ACKED);
  store<u64>(at, record.bytesReceived, SnapshotClass.BYTES_RECEIVED);
  memory.copy(at + SnapshotClass.ACTIVE_ON, classOn(id, 0), 4 * (PATH_MAX + 1));
}

function writePath(at: usize, id: u32): void {
  const path = pathAt(id);
  memory.fill(at, 0, SNAPSHOT_RECORD_SIZE);
  store<u16>(at, SnapshotKind.PATH);
  store<u16>(at, <u16>(path.flags & 1), SnapshotPath.STATE);
  store<u32>(at, id, SnapshotPath.ID);
  store<u32>(at, path.flags, SnapshotPath.FLAGS);
  store<u32>(at, path.interface, SnapshotPath.INTERFACE);
  store<u32>(at, path.mtu, SnapshotPath.MTU);
  store<u32>(at, path.subflows, SnapshotPath.SUBFLOWS);
  memory.copy(at + SnapshotPath.ADDRESS4, changetype<usize>(path) + 16, 16);
  memory.copy(at + SnapshotPath.ADDRESS6, changetype<usize>(path) + 32, 16);
  store<u64>(at, path.bytesSent, SnapshotPath.BYTES_SENT);
  store<u64>(at, path.bytesReceived, SnapshotPath.BYTES_RECEIVED);
  store<u32>(at, path.srttUs, SnapshotPath.SRTT_US);
  store<u32>(at, path.rttvarUs, SnapshotPath.RTTVAR_US);
  store<u32>(at, leastRttUs(path), SnapshotPath.MIN_RTT_US);
  store<u32>(at, path.inFlight, SnapshotPath.IN_FLIGHT);
  store<u64>(at, path.lastAckUs, SnapshotPath.LAST_ACK_US);
  store<u64>(at, path.bytesAcked, SnapshotPath.BYTES_ACKED);
  store<u64>(at, path.bytesRetransmitted, SnapshotPath.BYTES_RETRANSMITTED);
  store<u64>(at, path.packetsSent, SnapshotPath.PACKETS_SENT);
  store<u64>(at, path.packetsRetransmitted, SnapshotPath.PACKETS_RETRANSMITTED);
  store<u64>(at, path.packetsReceived, SnapshotPath.PACKETS_RECEIVED);
  store<u64>(at, path.packetsRepeated, SnapshotPath.PACKETS_REPEATED);
}

function writeConnection(at: usize, connection: Connection): void {
  memory.fill(at, 0, SNAPSHOT_RECORD_SIZE);
  store<u16>(at, SnapshotKind.CONNECTION);
  store<u16>(at, connection.state, SnapshotConnection.STATE);
  store<u32>(at, connection.localToken, SnapshotConnection.TOKEN);
  store<u32>(at, connection.remoteToken, SnapshotConnection.PEER_TOKEN);
  store<u32>(at, connection.serial, SnapshotConnection.SERIAL);
  store<u32>(at, connection.classId, SnapshotConnection.CLASS);
  const active = connection.active;
  store<u32>(at, active == 0 ? 0 : <u32>subflowAt(active).path, SnapshotConnection.ACTIVE_PATH);
  store<u32>(at, connection.pinnedPath, SnapshotConnection.PINNED_PATH);
  store<u32>(at, connection.subflowCount, SnapshotConnection.SUBFLOWS);
  memory.copy(at + SnapshotConnection.LOCAL, hostAddress(connection), 16);
  memory.copy(at + SnapshotConnection.REMOTE, peerAddress(connection), 16);
  store<u16>(at, <u16>hostPort(connection), SnapshotConnection.LOCAL_PORT);
  store<u16>(at, <u16>peerPort(connection), SnapshotConnection.REMOTE_PORT);
  store<u8>(at, hasFlag(connection, ConnectionFlag.OPENER) ? 1 : 0, SnapshotConnection.OPENER);
  store<u64>(at, connection.bytesSent, SnapshotConnection.BYTES_SENT);
  store<u64>(at, connection.bytesReceived, SnapshotConnection.BYTES_RECEIVED);
  store<u64>(at, connection.createdUs, SnapshotConnection.CREATED_US);
  store<u64>(at, connection.dsnNxt - connection.dsnUna, SnapshotConnection.BYTES_UNACKED);
  store<u32>(at, connection.sendCount, SnapshotConnection.SEND_RUNS);
  store<u32>(at, connection.handovers, SnapshotConnection.HANDOVERS);
}

function subflowFlags(subflow: Subflow, active: bool): u32 {
  let flags: u32 = active ? SubflowFlag.ACTIVE : 0;
  if (subflowHas(subflow, SubflowBit.BACKUP)) flags |= SubflowFlag.BACKUP;
  if (subflowHas(subflow, SubflowBit.PEER_BACKUP)) flags |= SubflowFlag.PEER_BACKUP;
  if (subflowHas(subflow, SubflowBit.STALE)) flags |= SubflowFlag.STALE;
  if (subflowHas(subflow, SubflowBit.SUSPECT)) flags |= SubflowFlag.POISONED;
  if (subflowHas(subflow, SubflowBit.OPENER)) flags |= SubflowFlag.OPENER;
  if (subflowHas(subflow, SubflowBit.INITIAL)) flags |= SubflowFlag.INITIAL;
  return flags;
}

function writeSubflow(at: usize, subflow: Subflow, active: bool): void {
  memory.fill(at, 0, SNAPSHOT_RECORD_SIZE);
  store<u16>(at, SnapshotKind.SUBFLOW);
  store<u16>(at, subflow.state, SnapshotSubflow.STATE);
  store<u32>(at, subflow.path, SnapshotSubflow.PATH);
  store<u32>(at, subflow.number, SnapshotSubflow.NUMBER);
  store<u32>(at, subflowFlags(subflow, active), SnapshotSubflow.FLAGS);
  memory.copy(at + SnapshotSubflow.LOCAL, localAddress(subflow), 16);
  memory.copy(at + SnapshotSubflow.REMOTE, remoteAddress(subflow), 16);
  store<u16>(at, <u16>localPort(subflow), SnapshotSubflow.LOCAL_PORT);
  store<u16>(at, <u16>remotePort(subflow), SnapshotSubflow.REMOTE_PORT);
  store<u8>(at, subflow.localId, SnapshotSubflow.LOCAL_ID);
  store<u8>(at, subflow.remoteId, SnapshotSubflow.REMOTE_ID);
  store<u32>(at, subflow.srttUs, SnapshotSubflow.SRTT_US);
  store<u32>(at, subflow.rttvarUs, SnapshotSubflow.RTTVAR_US);
  store<u64>(at, subflow.bytesSent, SnapshotSubflow.BYTES_SENT);
  store<u64>(at, subflow.bytesReceived, SnapshotSubflow.BYTES_RECEIVED);
  store<u64>(at, subflow.packetsSent, SnapshotSubflow.PACKETS_SENT);
  store<u64>(at, subflow.packetsReceived, SnapshotSubflow.PACKETS_RECEIVED);
  store<u64>(at, subflow.retransmitted, SnapshotSubflow.RETRANSMITTED);
  store<u32>(at, subflow.minRttUs, SnapshotSubflow.MIN_RTT_US);
  store<u32>(at, recvTableOf(subflow).count, SnapshotSubflow.RECV_RUNS);
  store<u64>(at, subflow.createdUs, SnapshotSubflow.CREATED_US);
}
