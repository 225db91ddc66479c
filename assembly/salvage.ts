// What a fresh engine does for a dead one (an instance that trapped). The embedder has copied the dead one's
// slabs to the same addresses: its connections are ended on both sides, so that no host waits for an answer
// that cannot come, and then everything is laid out anew.
//
// The memory may be damaged, since something went wrong in it. Handles are checked as everywhere; what does
// not hold ends in a trap, and the embedder takes the next engine, without salvage.

import { SLABS_START, EngineHeader, HEADER, SetOperationKind, Status } from "./abi";
import { connectionAt, ConnectionFlag, hasFlag } from "./connection/connection";
import { connectionSetOperation, subflowSetOperation } from "./connection/lifecycle";
import { connectionSlab, storeInit } from "./connection/store";
import { subflowAt } from "./connection/subflow";
import { resetAtOnce } from "./forward/teardown";
import { slabLive } from "./memory/slab";

/** Connections per call: each makes at most nine packets and nine set operations. */
@inline const SALVAGE_STEP: u32 = 56;

let cursor: u32 = 1;

/** Ends the next connections of the dead engine. MORE while some are left; OK when this engine is empty and ready. */
export function salvageStep(): Status {
  const slab = connectionSlab();
  const end = min<u32>(cursor + SALVAGE_STEP, slab.highWater + 1);
  for (; cursor < end; cursor++) {
    if (slabLive(slab, cursor)) salvageConnection(cursor);
  }
  if (cursor <= slab.highWater) return Status.MORE;
  cursor = 1;
  memory.fill(SLABS_START, 0, load<u32>(HEADER + EngineHeader.SLABS_END) - SLABS_START);
  return storeInit();
}

function salvageConnection(index: u32): void {
  const connection = connectionAt(index);
  if (hasFlag(connection, ConnectionFlag.ESTABLISHED_EVER) && !hasFlag(connection, ConnectionFlag.RESET)) {
    if (!hasFlag(connection, ConnectionFlag.SUBFLOWS_CLOSING)) resetAtOnce(connection);
  }
  connectionSetOperation(connection, SetOperationKind.DELETE_CONVERTED);
  for (let subflow = connection.head; subflow != 0; subflow = subflowAt(subflow).next) {
    subflowSetOperation(subflowAt(subflow), SetOperationKind.DELETE_CONVERTED);
  }
}
