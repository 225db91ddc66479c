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
  sendTableCheck,
  sendTableFind,
  sendTableFree,
  sendTableFreeSubflow,
  sendTableMap,
  sendTableReserve,
  sendTableTrim,
} from "./mapping/send-table";
export { mapLogAppend, mapLogCheck, mapLogFind, mapLogFree, mapLogTrim } from "./mapping/map-log";
export { recvTableAdd, recvTableCheck, recvTableFind, recvTableFree, recvTableTrim } from "./mapping/recv-table";
export {
  rangesAdd,
  rangesCheck,
  rangesContiguous,
  rangesFree,
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

// --- clock, counters, event-ring, outbox, trace ---
export { drawU32, drawU64, entropyHas } from "./clock";
export { count, countAdd, countDrop } from "./counters";
export { emitEvent } from "./event-ring";
export { outboxCommit, outboxReserve, outboxReset } from "./outbox";
export { traceRecord } from "./trace";
