// Time and randomness: both are put into the header by the embedder, so that a run can be repeated.

import { ENTROPY, EngineHeader, HEADER } from "./abi";

/** Monotonic time of this call in microseconds. */
@inline export function nowUs(): u64 {
  return load<u64>(HEADER + EngineHeader.NOW_US);
}

/** True if the pool still holds `octets` octets. */
export function entropyHas(octets: u32): bool {
  return load<u32>(HEADER + EngineHeader.ENTROPY_COUNT) >= octets;
}

/** Four octets of the pool; 0 when it is empty (callers check entropyHas() first where 0 would harm). */
export function drawU32(): u32 {
  const left = load<u32>(HEADER + EngineHeader.ENTROPY_COUNT);
  if (left < 4) return 0;
  store<u32>(HEADER + EngineHeader.ENTROPY_COUNT, left - 4);
  const at = <usize>ENTROPY + left - 4;
  const value = load<u32>(at);
  store<u32>(at, 0); // never hand out the same octets twice
  return value;
}

/** Eight octets of the pool; 0 when it is empty. */
export function drawU64(): u64 {
  if (!entropyHas(8)) return 0;
  return (<u64>drawU32() << 32) | <u64>drawU32();
}
