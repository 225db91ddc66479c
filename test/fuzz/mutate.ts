// Damage for packets: what a broken or hostile end could send in place of what is right.

import type { Random } from "../model/random.ts";
import { naiveSum } from "../packet.ts";

/** A damaged copy; mostly with checksums made right again, since a wrong one hides all other damage. */
export function mutate(random: Random, octets: Uint8Array): Uint8Array {
  let damaged: Uint8Array = octets.slice();
  const rounds = 1 + random.below(3);
  for (let i = 0; i < rounds; i++) damaged = random.pick(MUTATIONS)(random, damaged);
  if (random.chance(0.85)) repair(damaged);
  return damaged;
}

type Mutation = (random: Random, octets: Uint8Array) => Uint8Array;

const ipLength = (octets: Uint8Array): number => ((octets[0] ?? 0) >> 4 === 6 ? 40 : ((octets[0] ?? 0) & 15) * 4);

/** Where the TCP options lie, cut to what is there. */
function optionsRange(octets: Uint8Array): [from: number, to: number] {
  const tcp = ipLength(octets);
  const to = tcp + ((octets[tcp + 12] ?? 0) >> 4) * 4;
  return [Math.min(tcp + 20, octets.length), Math.min(Math.max(to, tcp + 20), octets.length)];
}

function inOptions(random: Random, octets: Uint8Array, change: (old: number) => number): Uint8Array {
  const [from, to] = optionsRange(octets);
  if (to > from) {
    const at = from + random.below(to - from);
    octets[at] = change(octets[at] ?? 0);
  }
  return octets;
}

/** XORs or sets one octet of the TCP header that starts at `offset` within it. */
const tcpField =
  (offset: number, size: number): Mutation =>
  (random, octets) => {
    const at = ipLength(octets) + offset + random.below(size);
    if (at < octets.length) octets[at] = random.below(256);
    return octets;
  };

/** Adds something small to a 32-bit number: numbers just outside of a window are worth more than random ones. */
const nudge =
  (offset: number): Mutation =>
  (random, octets) => {
    const at = ipLength(octets) + offset;
    if (at + 4 > octets.length) return octets;
    const view = new DataView(octets.buffer, octets.byteOffset);
    const by = random.pick([-1, 1, -2, 1448, -1448, 65535, -65536, 2 ** 31, random.below(100_000)]);
    view.setUint32(at, (view.getUint32(at) + by) >>> 0);
    return octets;
  };

const MUTATIONS: readonly Mutation[] = [
  (random, octets) => {
    const at = random.below(Math.min(octets.length, 120));
    octets[at] = (octets[at] ?? 0) ^ (1 << random.below(8));
    return octets;
  },
  (random, octets) => {
    octets[random.below(Math.min(octets.length, 120))] = random.below(256);
    return octets;
  },
  (random, octets) => octets.slice(0, random.below(octets.length + 1)),
  (random, octets) => {
    const longer = new Uint8Array(octets.length + random.below(100));
    longer.set(octets);
    return longer;
  },
  (random, octets) => inOptions(random, octets, () => random.below(256)),
  (random, octets) => inOptions(random, octets, (old) => old + 1),
  (random, octets) => inOptions(random, octets, (old) => old ^ (1 << random.below(8))),
  (random, octets) => inOptions(random, octets, () => random.pick([0, 1, 2, 5, 8, 30])),
  nudge(4),
  nudge(8),
  nudge(4),
  nudge(8),
  tcpField(12, 1), // data offset
  tcpField(13, 1), // flags
  tcpField(14, 2), // window
  tcpField(18, 2), // urgent pointer
  tcpField(0, 4), // ports
];

/** Makes IPv4 and TCP checksums right where lengths still allow it. */
export function repair(octets: Uint8Array): void {
  const v6 = (octets[0] ?? 0) >> 4 === 6;
  const header = ipLength(octets);
  if (header < 20 || octets.length < header + 20) return;
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  const total = v6 ? view.getUint16(4) + 40 : view.getUint16(2);
  if (!v6) {
    view.setUint16(10, 0);
    view.setUint16(10, ~naiveSum(octets.subarray(0, header)) & 0xffff);
  }
  if (total < header + 20 || total > octets.length) return;
  const segment = octets.subarray(header, total);
  view.setUint16(header + 16, 0);
  const addresses = v6 ? octets.subarray(8, 40) : octets.subarray(12, 20);
  const sum = naiveSum([...addresses, 0, 6, segment.length >> 8, segment.length & 0xff]) + naiveSum(segment);
  view.setUint16(header + 16, ~(sum > 0xffff ? sum - 0xffff : sum) & 0xffff);
}
