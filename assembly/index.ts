// The whole ABI of engine.wasm: six entry points, integers only. What they read and write stands in abi.ts.

import { ABI_VERSION, BATCH_MAX, COMMAND_MAX, CONFIG, Counter, EngineConfig, Status } from "./abi";
import { runCommands } from "./commands";
import { seedTuples } from "./connection/keys";
import { storeInit } from "./connection/store";
import { count } from "./counters";
import { beginCall, endCall, fireTimers, processBatch } from "./engine";
import { salvageStep } from "./salvage";
import { takeSnapshot } from "./snapshot";

/** `value` where the embedder wrote 0. */
function defaultTo(field: EngineConfig, value: u32): void {
  if (load<u32>(<usize>CONFIG + <usize>field) == 0) store<u32>(<usize>CONFIG + <usize>field, value);
}

/** Lays the engine out as EngineConfig says. To be called once, after NOW_US and the entropy pool were filled. */
export function init(configLength: u32): Status {
  if (configLength < <u32>EngineConfig.SHARD_COUNT + 4) return Status.BAD_CONFIG;
  if (load<u32>(CONFIG + EngineConfig.ABI_VERSION) != ABI_VERSION) return Status.BAD_ABI;
  if (load<u32>(CONFIG + EngineConfig.ROLE) != 0) return Status.NOT_BUILT; // anchor
  defaultTo(EngineConfig.HALF_OPEN_MAX, max<u32>(load<u32>(CONFIG + EngineConfig.CONNECTIONS) / 4, 16));
  defaultTo(EngineConfig.PORT_FIRST, 61001);
  defaultTo(EngineConfig.PORT_LAST, 65535);
  defaultTo(EngineConfig.SYN_MPC_RETRIES, 2);
  defaultTo(EngineConfig.REJOIN_GRACE_MS, 60_000);
  defaultTo(EngineConfig.SUBFLOWS_PER_CONNECTION_MAX, 8);
  defaultTo(EngineConfig.SHARD_COUNT, 1);
  const first = load<u32>(CONFIG + EngineConfig.PORT_FIRST);
  const last = load<u32>(CONFIG + EngineConfig.PORT_LAST);
  const shards = load<u32>(CONFIG + EngineConfig.SHARD_COUNT);
  if (last > 65535 || first > last || last - first + 1 < shards) return Status.BAD_CONFIG;
  if (load<u32>(CONFIG + EngineConfig.SHARD) >= shards) return Status.BAD_CONFIG;
  seedTuples();
  const status = storeInit();
  if (status != Status.OK) return status;
  beginCall();
  endCall();
  return Status.OK;
}

/** Handles the first `packets` descriptors; fires the timers that are due as well. */
export function process(packets: u32): Status {
  beginCall();
  if (packets > BATCH_MAX) return Status.BAD_COUNT;
  processBatch(packets);
  fireTimers();
  endCall();
  return Status.OK;
}

/** Fires the timers that are due. */
export function tick(): Status {
  beginCall();
  count(Counter.TICKS);
  fireTimers();
  endCall();
  return Status.OK;
}

/** Carries out the first `commands` commands; each is answered by COMMAND_DONE. */
export function command(commands: u32): Status {
  beginCall();
  if (commands > COMMAND_MAX) return Status.BAD_COUNT;
  runCommands(commands);
  endCall();
  return Status.OK;
}

/** Writes a page of the snapshot from `cursor` on (0 = first page). */
export function snapshot(cursor: u32): Status {
  beginCall();
  takeSnapshot(cursor);
  return Status.OK;
}

/**
 * Ends the connections of a dead instance, whose slabs the embedder has copied here, a part per call: MORE
 * until the engine is empty and ready for paths and packets.
 */
export function salvage(): Status {
  beginCall();
  const status = salvageStep();
  if (status == Status.OK) endCall();
  return status;
}
