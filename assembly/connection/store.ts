// Where everything lives: init() places the slabs, hash tables, the timer wheel, the path and the class
// table behind SLABS_START, once, from the configured capacities. Nothing ever moves or grows.
//
//   SLABS_START   Slab × 2, HashTable × 3, tables of paths, classes, parked addresses, sweeps, listeners, rules (fixed)
//                 connection slab, subflow slab, run slab, hash entries, timer wheel

import {
  CLASS_MAX, CLASS_RULES_MAX, COMMAND_SIZE, CONFIG, EngineConfig, EngineHeader, HEADER, PATH_MAX, SLABS_START, Status,
} from "../abi";
import { nowUs } from "../clock";
import { SWEEPS_MAX } from "../config";
import { HashTable, hashInit } from "../memory/hash-table";
import { runsInit } from "../memory/runs";
import { Slab, slabInit } from "../memory/slab";
import { wheelBytes, wheelInit } from "../memory/wheel";

@inline const CONNECTION_SLAB: usize = SLABS_START;
@inline const SUBFLOW_SLAB: usize = SLABS_START + 64;
@inline const TUPLE_TABLE: usize = SLABS_START + 128;
@inline const SUBFLOW_TABLE: usize = SLABS_START + 192;
@inline const TOKEN_TABLE: usize = SLABS_START + 256;
/** Path records (connection/paths.ts), PATH_MAX + 1 of them; slot 0 is not used. */
@inline export const PATH_TABLE: usize = SLABS_START + 512;
@inline export const PATH_RECORD_SIZE: u32 = 256;
/** Class records (connection/classes.ts). */
@inline export const CLASS_TABLE: usize = PATH_TABLE + (PATH_MAX + 1) * PATH_RECORD_SIZE;
@inline export const CLASS_RECORD_SIZE: u32 = 256;
/** Addresses in use by converted connections (connection/parking.ts). */
@inline export const PARKING_TABLE: usize = CLASS_TABLE + CLASS_MAX * CLASS_RECORD_SIZE;
@inline export const PARKING_MAX: u32 = 128;
/** Sweeps under way (commands.ts). */
@inline export const SWEEP_TABLE: usize = PARKING_TABLE + PARKING_MAX * 24;
@inline export const SWEEP_SIZE: u32 = COMMAND_SIZE + 192;
/** What the host's ports speak (connection/listeners.ts), 4 octets each. */
@inline export const LISTENER_TABLE: usize = SWEEP_TABLE + SWEEPS_MAX * SWEEP_SIZE;
@inline export const LISTENERS_MAX: u32 = 1024;
/** Rules of the classifier (connection/classify.ts): those in force, and those that are to follow them. */
@inline export const RULE_TABLE: usize = LISTENER_TABLE + LISTENERS_MAX * 4;
@inline export const RULE_SIZE: u32 = 48;
@inline export const NEXT_RULE_TABLE: usize = RULE_TABLE + CLASS_RULES_MAX * RULE_SIZE;
@inline const SLABS: usize = NEXT_RULE_TABLE + CLASS_RULES_MAX * RULE_SIZE;
@inline const CONNECTION_BYTES: u32 = 512;
@inline const SUBFLOW_BYTES: u32 = 384;
@inline const RUN_BYTES: u32 = 32;

export let connectionCapacity: u32 = 0;
export let subflowCapacity: u32 = 0;

@inline export function connectionSlab(): Slab {
  return changetype<Slab>(CONNECTION_SLAB);
}

@inline export function subflowSlab(): Slab {
  return changetype<Slab>(SUBFLOW_SLAB);
}

/** Host tuple → connection index. */
@inline export function tupleTable(): HashTable {
  return changetype<HashTable>(TUPLE_TABLE);
}

/** Wire tuple → subflow index. */
@inline export function subflowTable(): HashTable {
  return changetype<HashTable>(SUBFLOW_TABLE);
}

/** Our token → connection index. */
@inline export function tokenTable(): HashTable {
  return changetype<HashTable>(TOKEN_TABLE);
}

function roundUp64(value: usize): usize {
  return (value + 63) & ~63;
}

function tableSize(capacity: u32): u32 {
  let size: u32 = 16;
  while (size < capacity + (capacity >> 1)) size <<= 1;
  return size;
}

/** Octets of a hash table for `capacity` entries (8 each). */
function tableBytes(capacity: u32): usize {
  return <usize>tableSize(capacity) * 8;
}

/** Lays everything out. BAD_CONFIG for a capacity of zero, NO_MEMORY when the memory ends before the slabs do. */
export function storeInit(): Status {
  const connections = load<u32>(CONFIG + EngineConfig.CONNECTIONS);
  const subflows = load<u32>(CONFIG + EngineConfig.SUBFLOWS);
  const runs = load<u32>(CONFIG + EngineConfig.RUNS);
  if (connections == 0 || subflows < connections || runs < connections) return Status.BAD_CONFIG;
  const subflowsAt = roundUp64(SLABS + (<usize>connections + 1) * CONNECTION_BYTES);
  const runsAt = roundUp64(subflowsAt + (<usize>subflows + 1) * SUBFLOW_BYTES);
  const tuplesAt = roundUp64(runsAt + (<usize>runs + 1) * RUN_BYTES);
  const wireAt = tuplesAt + tableBytes(connections);
  const tokensAt = wireAt + tableBytes(subflows);
  const wheelAt = tokensAt + tableBytes(connections);
  const timers = connections + subflows + PATH_MAX;
  const end = wheelAt + <usize>wheelBytes(timers);
  if (end > (<usize>memory.size() << 16)) return Status.NO_MEMORY;
  connectionCapacity = connections;
  subflowCapacity = subflows;
  slabInit(connectionSlab(), SLABS, CONNECTION_BYTES, connections);
  slabInit(subflowSlab(), subflowsAt, SUBFLOW_BYTES, subflows);
  runsInit(runsAt, runs);
  hashInit(tupleTable(), tuplesAt, tableSize(connections));
  hashInit(subflowTable(), wireAt, tableSize(subflows));
  hashInit(tokenTable(), tokensAt, tableSize(connections));
  wheelInit(wheelAt, timers, nowUs());
  store<u32>(HEADER + EngineHeader.SLABS_END, <u32>end);
  return Status.OK;
}
