// Second entry, for test builds only: the ABI of index.ts and, beside it, internals that unit and
// property tests call one by one. A struct parameter is its address: tests own the memory.
// Add exports at the end of a section; constants go through a function, since asc inlines them.

// --- the ABI ---
export { command, init, process, salvage, snapshot, tick } from "./index";

// --- memory/ ---
export {
  copy,
  fill,
  loadU16BE,
  loadU32BE,
  loadU64BE,
  storeU16BE,
  storeU32BE,
  storeU64BE,
} from "./memory/bytes";
export { slabAlloc, slabAt, slabCheck, slabFree, slabGeneration, slabIndexOf, slabInit, slabLive } from "./memory/slab";
export { runAlloc, runAt, runFree, runsFree, runsInit } from "./memory/runs";
export { hashFirst, hashInit, hashInsert, hashNext, hashRemove, hashValue } from "./memory/hash-table";
export {
  timerCancel,
  timerDeadline,
  timerSet,
  wheelAdvance,
  wheelBytes,
  wheelCheck,
  wheelInit,
  wheelNextDeadline,
} from "./memory/wheel";

// --- seq/ ---
export {
  dsnGeq,
  dsnGt,
  dsnLeq,
  dsnLt,
  dsnMax,
  dsnMin,
  dsnSpan,
  expand,
  seqGeq,
  seqGt,
  seqLeq,
  seqLt,
  seqMax,
  seqMin,
  seqSpan,
} from "./seq/space";

// --- mapping/ ---
export {
  sendTableCarries,
  sendTableCheck,
  sendTableFind,
  sendTableFree,
  sendTableFreeSubflow,
  sendTableMap,
  sendTableReserve,
  sendTableTrim,
  sendTableUses,
} from "./mapping/send-table";
export {
  mapLogAppend, mapLogCheck, mapLogFind, mapLogForget, mapLogFree, mapLogNext, mapLogSweep, mapLogTrim,
} from "./mapping/map-log";
export { recvTableAdd, recvTableCheck, recvTableFind, recvTableFree, recvTableTrim } from "./mapping/recv-table";
export {
  rangesAdd,
  rangesCheck,
  rangesContiguous,
  rangesFree,
  rangesMissing,
  rangesTrim,
} from "./mapping/received-ranges";
export {
  blocksAbove,
  mergeBlocks,
  projectDsnBlock,
  projectSan,
  projectSsnBlock,
} from "./mapping/projection";

import { MAP_LOG_MAX } from "./mapping/map-log";
import { RANGES_MAX } from "./mapping/received-ranges";
import { RECV_RUNS_MAX } from "./mapping/recv-table";
import { SEND_RUNS_MAX } from "./mapping/send-table";

/** SEND_RUNS_MAX of this build. */
export function sendRunsMax(): u32 {
  return SEND_RUNS_MAX;
}

/** RECV_RUNS_MAX of this build. */
export function recvRunsMax(): u32 {
  return RECV_RUNS_MAX;
}

/** RANGES_MAX of this build. */
export function rangesMax(): u32 {
  return RANGES_MAX;
}

/** MAP_LOG_MAX of this build. */
export function mapLogMax(): u32 {
  return MAP_LOG_MAX;
}

// --- wire/ ---
export {
  ipBuild,
  ipCheck,
  ipCopyDestination,
  ipCopySource,
  ipHeaderLength,
  ipIsMapped,
  ipSetDestination,
  ipSetHeaderChecksum,
  ipSetSource,
  ipSetTotalLength,
  ipTotalLength,
  ipVersion,
} from "./wire/ip";
export {
  tcpAcknowledgment,
  tcpBuild,
  tcpCheck,
  tcpDestinationPort,
  tcpFlags,
  tcpHeaderLength,
  tcpSequence,
  tcpSourcePort,
  tcpWindow,
} from "./wire/tcp";
export {
  checksumCorrupt,
  fold,
  headerSum,
  mappingChecksum,
  sumOctets,
  tcpChecksumFill,
  tcpChecksumFillWithPayloadSum,
} from "./wire/checksum";
export {
  copySynOptions,
  padOptions,
  sackLeft,
  sackRight,
  tcpHasMptcp,
  tcpOptionsParse,
  writeMss,
  writeSackBlocks,
  writeSackPermitted,
  writeWindowScale,
} from "./wire/tcp-options";
export {
  mptcpParse,
  writeAddAddr,
  writeCapableAck,
  writeCapableData,
  writeCapableSyn,
  writeCapableSynAck,
  writeChecksum,
  writeDss,
  writeFail,
  writeFastclose,
  writeJoinAck,
  writeJoinSyn,
  writeJoinSynAck,
  writePrio,
  writeRemoveAddr,
  writeTcpRst,
} from "./wire/mptcp-options";

// --- connection/ ---
export { addAddrHmac, equalConstantTime, hashTuple, idsnOfDigest, joinHmac, keyDraw, tokenOf } from "./connection/keys";
export { rtoUs, rttAcknowledged, rttCancel, rttSample, rttStart } from "./connection/rtt";
export {
  hostWindowUpdate,
  peerWindowUpdate,
  windowForHost,
  windowForSubflow,
  windowUnscaled,
} from "./connection/window";
export { commonBits, drawAddressId } from "./connection/paths";
export { classSet, pathRank } from "./connection/classes";
export { learnListener, listenerOf } from "./connection/listeners";
export { parkAddress, unparkAddress } from "./connection/parking";

import { halfOpenCount } from "./connection/lifecycle";
import { subflowTable, tokenTable, tupleTable } from "./connection/store";

/** Host tuples that can be found. */
export function tuplesHeld(): u32 {
  return tupleTable().count;
}

/** Wire tuples that can be found. */
export function wireTuplesHeld(): u32 {
  return subflowTable().count;
}

/** Tokens that can be found. */
export function tokensHeld(): u32 {
  return tokenTable().count;
}

/** Connections in their handshake. */
export function halfOpenHeld(): u32 {
  return halfOpenCount;
}

import { CLASS_MAX, CONFIG, EngineConfig, PATH_MAX, SCRATCH, SubflowState } from "./abi";
import { classAt, classOn } from "./connection/classes";
import { Connection, connectionAt, sendTableOf } from "./connection/connection";
import { isPlaced } from "./connection/measure";
import { pathAt } from "./connection/paths";
import { connectionCapacity, connectionSlab, subflowCapacity, subflowSlab } from "./connection/store";
import { heldOf, mapLogOf, mapSumsOf, rangesOf, recvTableOf, Subflow, subflowAt } from "./connection/subflow";
import { mapLogCheck } from "./mapping/map-log";
import { mapSumsCheck } from "./mapping/map-sums";
import { rangesCheck } from "./mapping/received-ranges";
import { recvTableCheck } from "./mapping/recv-table";
import { sendTableCheck } from "./mapping/send-table";
import { runsFree } from "./memory/runs";
import { slabCheck, slabLive } from "./memory/slab";
import { wheelCheck } from "./memory/wheel";
import { dsnGt, seqGt } from "./seq/space";

/** 0, or the number of the first invariant that does not hold; for the tables of every connection. */
export function tablesCheck(): u32 {
  if (!slabCheck(connectionSlab()) || !slabCheck(subflowSlab())) return 1;
  if (!wheelCheck()) return 2;
  let runs: u32 = 0;
  for (let index: u32 = 1; index <= connectionCapacity; index++) {
    if (!slabLive(connectionSlab(), index)) continue;
    const connection = connectionAt(index);
    if (!sendTableCheck(sendTableOf(connection))) return 3;
    if (dsnGt(connection.dsnUna, connection.dsnNxt)) return 4; // C1
    if (dsnGt(connection.rcvDan, connection.rcvDsnMax + 1)) return 5; // C2
    runs += sendTableOf(connection).count;
    let active = connection.active == 0;
    for (let at = connection.head; at != 0; at = subflowAt(at).next) {
      const subflow = subflowAt(at);
      active = active || at == connection.active;
      if (subflow.connection != index) return 6; // C4
      const broken = subflowCheck(subflow);
      if (broken != 0) return broken;
      runs += recvTableOf(subflow).count + rangesOf(subflow).count + heldOf(subflow).count;
      runs += mapSumsOf(subflow).count;
    }
    if (!active) return 7; // C3
  }
  const counted = measuresCheck();
  if (counted != 0) return counted;
  // What is not in a table is free or part of a map log, whose chunks hold several mappings each.
  return runs + runsFree() <= load<u32>(CONFIG + EngineConfig.RUNS) ? 0 : 8;
}

/** What is counted as it happens is what a look at everything finds: octets in flight per path, places in classes. */
function measuresCheck(): u32 {
  const inFlight: usize = SCRATCH + 8192; // the engine uses less
  memory.fill(inFlight, 0, 4 * (PATH_MAX + 1));
  for (let index: u32 = 1; index <= subflowCapacity; index++) {
    if (!slabLive(subflowSlab(), index)) continue;
    const subflow = subflowAt(index);
    if (<i32>subflow.state < SubflowState.PRE_ESTABLISHED) continue;
    const at = inFlight + <usize>subflow.path * 4;
    store<u32>(at, load<u32>(at) + subflow.ssnNxt - subflow.ssnUna);
  }
  for (let id: u32 = 0; id <= PATH_MAX; id++) {
    if (pathAt(id).inFlight != load<u32>(inFlight + <usize>id * 4)) return 15;
  }
  let placed: u32 = 0;
  for (let index: u32 = 1; index <= connectionCapacity; index++) {
    if (!slabLive(connectionSlab(), index)) continue;
    const connection = connectionAt(index);
    if (!isPlaced(connection)) return 16;
    if (connection.placeInClass == 0) continue;
    placed++;
    if (companions(connection) != load<u32>(classOn(connection.classId, connection.placeInClass - 1))) return 17;
  }
  let counted: u32 = 0;
  for (let id: u32 = 0; id < CLASS_MAX; id++) counted += classAt(id).connections;
  return counted == placed ? 0 : 18;
}

/** How many connections have the class and the place of `connection`. */
function companions(connection: Connection): u32 {
  let found: u32 = 0;
  for (let index: u32 = 1; index <= connectionCapacity; index++) {
    if (!slabLive(connectionSlab(), index)) continue;
    const other = connectionAt(index);
    if (other.classId == connection.classId && other.placeInClass == connection.placeInClass) found++;
  }
  return found;
}

function subflowCheck(subflow: Subflow): u32 {
  if (!recvTableCheck(recvTableOf(subflow))) return 9;
  if (!rangesCheck(rangesOf(subflow)) || !rangesCheck(heldOf(subflow))) return 10;
  if (!mapLogCheck(mapLogOf(subflow))) return 11;
  if (!mapSumsCheck(mapSumsOf(subflow))) return 14;
  if (seqGt(subflow.ssnUna, subflow.ssnNxt)) return 12; // S1
  return seqGt(subflow.rcvSan, subflow.rcvHighest) ? 13 : 0; // S2
}

// --- faults ---
export { plantFault } from "./faults";

// --- clock, counters, event-ring, outbox, trace ---
export { drawU32, drawU64, entropyHas } from "./clock";
export { count, countAdd, countDrop } from "./counters";
export { emitEvent } from "./event-ring";
export { outboxCommit, outboxReserve, outboxReset } from "./outbox";
export { traceRecord } from "./trace";
