// Operations on the kernel's sets of tuples, carried out by the embedder before any packet of the
// same call leaves: a converted tuple must be queued without bypass before its SYN/ACK is out.

import {
  ConfigFlag, Counter, CONFIG, EngineConfig, EngineHeader, HEADER, SET_OPERATIONS, SET_OPERATION_MAX,
  SET_OPERATION_SIZE, SetOperation, SetOperationKind,
} from "./abi";
import { count } from "./counters";
import { addressIsMapped } from "./memory/address";

/** Asks for `kind` on the tuple whose SYN went from `opener`:`openerPort` (addresses of 16 octets) to `other`. */
export function setOperation(kind: SetOperationKind, opener: usize, openerPort: u32, other: usize): void {
  if ((load<u32>(CONFIG + EngineConfig.FLAGS) & ConfigFlag.SET_OPERATIONS) == 0) return;
  const index = load<u32>(HEADER + EngineHeader.SET_OPERATION_COUNT);
  if (index >= SET_OPERATION_MAX) {
    count(Counter.SET_OPERATIONS_LOST);
    return;
  }
  const at = <usize>SET_OPERATIONS + <usize>index * SET_OPERATION_SIZE;
  memory.fill(at, 0, SET_OPERATION_SIZE);
  store<u8>(at, <u8>kind, SetOperation.KIND);
  store<u8>(at, addressIsMapped(opener) ? 4 : 6, SetOperation.FAMILY);
  store<u16>(at, <u16>openerPort, SetOperation.PORT);
  memory.copy(at + SetOperation.OPENER, opener, 16);
  memory.copy(at + SetOperation.OTHER, other, 16);
  store<u32>(HEADER + EngineHeader.SET_OPERATION_COUNT, index + 1);
}
