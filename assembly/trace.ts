// Trace records: one per packet with payload or acknowledgement on a subflow of a traced connection. The
// embedder appends them to a file after each call; `shunt trace plot` draws them (paper, Figure 8).

import { Counter, EngineHeader, HEADER, TRACE, TRACE_MAX, TRACE_RECORD_SIZE } from "./abi";
import { count } from "./counters";

/** Address of a fresh, zeroed trace record, or 0 when the region is full (counted). */
export function traceRecord(): usize {
  const index = load<u32>(HEADER + EngineHeader.TRACE_COUNT);
  if (index >= TRACE_MAX) {
    count(Counter.TRACE_LOST);
    return 0;
  }
  store<u32>(HEADER + EngineHeader.TRACE_COUNT, index + 1);
  const at = <usize>TRACE + <usize>index * TRACE_RECORD_SIZE;
  memory.fill(at, 0, TRACE_RECORD_SIZE);
  return at;
}
