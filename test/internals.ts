// The exports of assembly/testing.ts that unit tests call, typed by hand, and a small memory for them:
// tables at fixed addresses, the run slab behind. Addresses, u32 and bool are numbers, u64 BigInt.

import { type Build, instantiate } from "./wasm.ts";

/** asc's export of each internal, by section of assembly/testing.ts. */
export interface Internals {
  copy(dst: number, src: number, length: number): void;
  fill(dst: number, octet: number, length: number): void;
  loadU16BE(ptr: number): number;
  loadU32BE(ptr: number): number;
  loadU64BE(ptr: number): bigint;
  storeU16BE(ptr: number, value: number): void;
  storeU32BE(ptr: number, value: number): void;
  storeU64BE(ptr: number, value: bigint): void;

  slabInit(slab: number, base: number, stride: number, capacity: number): void;
  slabAlloc(slab: number): number;
  slabFree(slab: number, index: number): void;
  slabLive(slab: number, index: number): number;
  slabAt(slab: number, index: number): number;
  slabIndexOf(slab: number, slot: number): number;
  slabGeneration(slab: number, index: number): number;
  slabCheck(slab: number): number;

  runsInit(base: number, capacity: number): void;
  runAlloc(): number;
  runFree(index: number): void;
  runAt(index: number): number;
  runsFree(): number;

  hashInit(table: number, base: number, capacityPow2: number): void;
  hashInsert(table: number, hash: number, value: number): number;
  hashFirst(table: number, hash: number): number;
  hashNext(table: number, hash: number, slot: number): number;
  hashValue(table: number, slot: number): number;
  hashRemove(table: number, hash: number, value: number): number;

  wheelInit(base: number, capacity: number, nowUs: bigint): void;
  wheelBytes(capacity: number): number;
  wheelAdvance(nowUs: bigint): number;
  wheelNextDeadline(): bigint;
  wheelCheck(): number;
  timerSet(index: number, deadlineUs: bigint): void;
  timerCancel(index: number): void;
  timerDeadline(index: number): bigint;

  seqLt(a: number, b: number): number;
  seqLeq(a: number, b: number): number;
  seqGt(a: number, b: number): number;
  seqGeq(a: number, b: number): number;
  seqMax(a: number, b: number): number;
  seqMin(a: number, b: number): number;
  dsnLt(a: bigint, b: bigint): number;
  dsnLeq(a: bigint, b: bigint): number;
  dsnGt(a: bigint, b: bigint): number;
  dsnGeq(a: bigint, b: bigint): number;
  dsnMax(a: bigint, b: bigint): bigint;
  dsnMin(a: bigint, b: bigint): bigint;
  expand(low: number, near: bigint): bigint;
  seqSpan(first: number, end: number, left: number, length: number): bigint;
  dsnSpan(first: bigint, end: bigint, left: bigint, length: number): bigint;

  sendTableMap(table: number, dsn: bigint, ssn: number, length: number, subflow: number, flags: number): number;
  sendTableReserve(table: number, dsn: bigint, ssn: number, length: number, subflow: number): number;
  sendTableFind(table: number, dsn: bigint): number;
  sendTableTrim(table: number, dsn: bigint): void;
  sendTableFree(table: number): void;
  sendTableFreeSubflow(table: number, subflow: number, dsnFrom: bigint): void;
  sendTableCheck(table: number): number;
  sendTableCarries(table: number, subflow: number, ssn: number): number;
  sendTableUses(table: number, subflow: number): number;
  sendRunsMax(): number;

  mapLogAppend(log: number, ssn: number, length: number, sum: number): number;
  mapLogFind(log: number, ssn: number, out: number): number;
  mapLogNext(log: number, ssn: number, end: number): number;
  mapLogTrim(log: number, san: number, most: number): number;
  mapLogForget(log: number, ssn: number, less: number, most: number): void;
  mapLogSweep(log: number, san: number): void;
  mapLogFree(log: number): void;
  mapLogCheck(log: number): number;
  mapLogMax(): number;

  recvTableAdd(table: number, ssn: number, dsn: bigint, length: number): number;
  recvTableFind(table: number, ssn: number, out: number): number;
  recvTableTrim(table: number, ssn: number): void;
  recvTableFree(table: number): void;
  recvTableCheck(table: number): number;
  recvRunsMax(): number;

  rangesAdd(ranges: number, left: number, right: number): number;
  rangesContiguous(ranges: number, from: number): number;
  rangesMissing(ranges: number, left: number, right: number, out: number): number;
  rangesTrim(ranges: number, ssn: number): void;
  rangesFree(ranges: number): void;
  rangesCheck(ranges: number): number;
  rangesMax(): number;

  projectSsnBlock(
    table: number,
    subflow: number,
    left: number,
    right: number,
    out: number,
    count: number,
    max: number,
  ): number;
  mergeBlocks(blocks: number, count: number): number;
  blocksAbove(blocks: number, count: number, dan: bigint): number;
  projectSan(recv: number, ranges: number, san: number, dan: bigint, blocks: number, count: number): number;
  projectDsnBlock(
    recv: number,
    ranges: number,
    left: bigint,
    right: bigint,
    out: number,
    count: number,
    max: number,
  ): number;
}

/** Where tests put things; asc's own data ends below. */
export const TABLE = 0x10000;
export const TABLE_2 = 0x10100;
export const OUT = 0x10200;
export const BLOCKS = 0x11000;
export const RUNS = 0x20000;

/** An instance of a test build in `pages` of memory, with the run slab made if `runs` is given. */
export function loadInternals(build: Build, options: { runs?: number; pages?: number } = {}) {
  const { exports, memory } = instantiate(build, (options.pages ?? 16) * 65536);
  const internals = exports as unknown as Internals;
  if (options.runs !== undefined) internals.runsInit(RUNS, options.runs);
  return { internals, view: new DataView(memory.buffer), octets: new Uint8Array(memory.buffer) };
}

/** The builds that export internals: what differs between them is the optimiser and the limits. */
export const TEST_BUILDS: Build[] = ["test", "test-release"];

/** u32 and u64 arithmetic of the number spaces, and results of exports, which come out signed. */
export const u32 = (value: number): number => value >>> 0;
export const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
