// How fast sumOctets() is: `node bench/checksum.ts`, behind a build of the test modules. Prints GB/s by
// length for the engine under V8, beside a loop over 16-bit words in JavaScript as a floor. Alignment 2 is
// what payload has behind an Ethernet header. At 64 octets most of the time is the call and its BigInt.

import { BATCH } from "../host/engine/abi.ts";
import { instantiate } from "../test/wasm.ts";

const LENGTHS = [64, 1448, 16384, 65536];
const RUN_MS = 300;

type Sum = (ptr: number, length: number) => unknown;

/** GB/s of `sum` over `length` octets from `ptr`. */
function measure(sum: Sum, ptr: number, length: number): number {
  const rounds = Math.max(1, Math.floor(2_000_000 / length));
  for (let i = 0; i < 2000; i++) sum(ptr, length);
  let octets = 0;
  const start = performance.now();
  let elapsed = 0;
  while (elapsed < RUN_MS) {
    for (let i = 0; i < rounds; i++) sum(ptr, length);
    octets += rounds * length;
    elapsed = performance.now() - start;
  }
  return octets / elapsed / 1e6;
}

const { exports, memory } = instantiate("test-release", BATCH + 2 * 65536);
const engine = exports.sumOctets as Sum;
const octets = new Uint8Array(memory.buffer);
for (let i = 0; i < 70_000; i++) octets[BATCH + i] = i * 31;

const words = new DataView(memory.buffer);
const loop: Sum = (ptr, length) => {
  let sum = 0;
  for (let at = ptr; at < ptr + length; at += 2) sum += words.getUint16(at, true);
  return sum;
};

console.log("octets  align  engine GB/s  JavaScript GB/s");
for (const length of LENGTHS) {
  for (const align of [0, 2]) {
    const fast = measure(engine, BATCH + align, length);
    const slow = measure(loop, BATCH + align, length);
    const cells = [length, align, fast.toFixed(1), slow.toFixed(1)];
    console.log(cells.map((cell, i) => String(cell).padStart([6, 7, 13, 17][i] ?? 0)).join(""));
  }
}
