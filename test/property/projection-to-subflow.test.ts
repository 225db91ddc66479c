import { describe, it } from "vitest";
import { BLOCKS, loadInternals, OUT, RUNS, TABLE, TABLE_2, TEST_BUILDS, u32, u64 } from "../internals.ts";
import { ArrivedOctets, RANGE, RECV_RUN, RecvOctets } from "../model/octet-tables.ts";
import { forCases, Random, same, tables } from "../model/random.ts";
import type { Build } from "../wasm.ts";

// The other direction: RECV tables and received ranges of up to three subflows of one connection, filled as peers and
// middleboxes fill them. Mappings are longer than packets, come on any packet or again and again; packets are cut
// without regard to mappings; the same octets come on several subflows or twice on one (re-injection, window probes);
// some mappings contradict others. Tables are compared with their models, and so is what each subflow may be told when
// the host acknowledges, with SACK or without: never a number that did not arrive there, never one whose octet the host
// lacks, and all others.

const SUBFLOWS = 3;
const NUMBERS = 192;
const OCTETS = 256;
const RUNS_TOTAL = 128;
const BLOCKS_MAX = 32;
/** Where the SSN blocks go; the host's DSN blocks are at BLOCKS. */
const SSN_BLOCKS = BLOCKS + 0x800;

const FULL = 1;
/** Runs that what comes ahead of all others leaves free. */
const RUNS_SPARE = 2;
const CONFLICT = 2;
const RANGES_FULL = 3;

type Interval = [left: number, right: number];

class Subflow {
  readonly table: number;
  readonly ranges: number;
  readonly recv = new RecvOctets(NUMBERS + 32);
  readonly arrived = new ArrivedOctets(NUMBERS + 32);
  /** What the peer means by each of its numbers, whether we know it or not. */
  readonly meant: { ssn: number; dsn: number; length: number }[] = [];
  ssnOrigin = 0;
  ssnNxt = 0;
  san = 0;

  constructor(index: number) {
    this.table = TABLE + index * 16;
    this.ranges = TABLE_2 + index * 16;
  }

  clear(ssnOrigin: number): void {
    this.recv.clear();
    this.arrived.clear();
    this.meant.length = 0;
    this.ssnOrigin = ssnOrigin;
    this.ssnNxt = 0;
    this.san = 0;
  }

  ssn(ssn: number): number {
    return u32(this.ssnOrigin + ssn);
  }
}

class Receiver {
  private readonly internals: ReturnType<typeof loadInternals>["internals"];
  private readonly view: DataView;
  private readonly all = Array.from({ length: SUBFLOWS }, (_, i) => new Subflow(i));
  private subflows: Subflow[] = [];
  private readonly runs = new Int32Array(OCTETS * RECV_RUN);
  private readonly hostHas = new Uint8Array(OCTETS);
  private readonly reported = new Uint8Array(OCTETS);
  private readonly held: number[] = [];
  private dsnOrigin = 0n;
  private random = new Random(0);
  /** Packets of one octet, so that the ranges are soon as many as there may be. */
  private scattered = false;
  /** Octets of the stream that the peer has sent; those that the host has acknowledged. */
  private nxt = 0;
  private dan = 0;

  constructor(build: Build) {
    const { internals, view } = loadInternals(build, { runs: RUNS_TOTAL });
    this.internals = internals;
    this.view = view;
  }

  /** The tables of one connection, from the first mapping to the last. */
  run(random: Random): void {
    this.begin(random);
    for (let round = random.between(1, 2); round > 0; round--) {
      for (let maps = random.between(3, 8); maps > 0; maps--) this.send();
      this.scattered = random.chance(0.05);
      const packets = this.scattered ? 60 : random.between(6, 18);
      for (let i = 0; i < packets; i++) this.receive(random.pick(this.subflows));
      for (const subflow of this.subflows) this.compare(subflow);
      this.acknowledge();
    }
    for (const { table, ranges } of this.subflows) {
      this.internals.recvTableFree(table);
      this.internals.rangesFree(ranges);
    }
    for (const index of this.held.splice(0)) this.internals.runFree(index);
    same(this.internals.runsFree(), RUNS_TOTAL, "runs free at the end");
  }

  private begin(random: Random): void {
    this.random = random;
    // Now and then other connections have left only a few runs.
    if (random.chance(0.1))
      for (let i = RUNS_TOTAL - random.below(16); i > 0; i--) this.held.push(this.internals.runAlloc());
    this.dsnOrigin = u64(random.pick([1n << 40n, 1n << 32n, 1n << 63n, 1n << 64n]) - BigInt(random.below(120)));
    this.subflows = this.all.slice(0, random.between(1, SUBFLOWS));
    for (const subflow of this.subflows) subflow.clear(u32(random.pick([5000, 2 ** 31, 2 ** 32]) - random.below(120)));
    this.nxt = 0;
    this.dan = 0;
  }

  private dsn(position: number): bigint {
    return u64(this.dsnOrigin + BigInt(position));
  }

  /** The peer gives octets numbers of a subflow: new octets, old ones again, or the last one as a window probe. */
  private send(): void {
    const { random } = this;
    const subflow = random.pick(this.subflows);
    const kind = random.below(10);
    let dsn = this.nxt;
    let length = random.pick([1, 4, 12, 25]);
    if (kind >= 7 && this.nxt > 0) {
      dsn = kind === 9 ? this.nxt - 1 : random.below(this.nxt);
      length = kind === 9 ? 1 : random.between(1, Math.min(15, this.nxt - dsn));
    }
    if (subflow.ssnNxt + length > NUMBERS || dsn + length > OCTETS) return;
    subflow.meant.push({ ssn: subflow.ssnNxt, dsn, length });
    subflow.ssnNxt += length;
    this.nxt = Math.max(this.nxt, dsn + length);
  }

  /** One packet with one mapping, which need not be that of its octets; now and then only one of the two is taken. */
  private receive(subflow: Subflow): void {
    const { random } = this;
    if (subflow.meant.length === 0) return;
    const left = random.below(subflow.ssnNxt);
    const right = Math.min(subflow.ssnNxt, left + (this.scattered ? 1 : random.pick([1, 3, 8, 16])));
    const anchor = random.chance(0.5) ? left : right - 1;
    const own = subflow.meant.find((map) => anchor >= map.ssn && anchor < map.ssn + map.length);
    const map = random.chance(0.85) && own !== undefined ? own : random.pick(subflow.meant);
    if (random.chance(0.04)) this.map(subflow, map.ssn + random.below(5), random.below(this.nxt), random.between(1, 9));
    else if (random.chance(0.95)) this.map(subflow, map.ssn, map.dsn, map.length);
    if (random.chance(0.9)) this.arrive(subflow, left, right);
  }

  private map(subflow: Subflow, ssn: number, dsn: number, length: number): void {
    const { internals } = this;
    const { count, end } = subflow.recv;
    const spare = count > 0 && ssn >= end ? RUNS_SPARE : 0; // ahead of all others
    const room = Math.max(0, Math.min(internals.runsFree(), internals.recvRunsMax() - count) - spare);
    const conflict = subflow.recv.add(ssn, dsn, length, room);
    const expected = conflict === undefined ? FULL : conflict ? CONFLICT : 0;
    same(internals.recvTableAdd(subflow.table, subflow.ssn(ssn), this.dsn(dsn), length), expected, "recvTableAdd");
  }

  /** What lies below the SAN is a duplicate, which the engine sees before it asks the ranges. */
  private arrive(subflow: Subflow, from: number, right: number): void {
    const left = Math.max(from, subflow.san);
    if (left >= right) return;
    const { internals, view } = this;
    const { arrived, ranges } = subflow;
    const count = view.getUint32(ranges + 8, true);
    const spare = count > 0 && left >= arrived.end ? RUNS_SPARE : 0;
    const noRoom = internals.runsFree() <= spare || count + spare >= internals.rangesMax();
    const expected = noRoom && arrived.alone(left, right) ? RANGES_FULL : arrived.add(left, right);
    same(internals.rangesAdd(ranges, subflow.ssn(left), subflow.ssn(right)), expected, "rangesAdd");
  }

  private compare(subflow: Subflow): void {
    const { internals, random } = this;
    this.compareTable(subflow);
    this.compareRanges(subflow);
    for (let i = 0; i < 3; i++) {
      const ssn = random.below(subflow.ssnNxt + 2);
      const dsn = subflow.recv.dsn[ssn] as number;
      let length = 0;
      while (dsn >= 0 && subflow.recv.dsn[ssn + length] === dsn + length) length += 1;
      same(internals.recvTableFind(subflow.table, subflow.ssn(ssn), OUT), length, "octets mapped");
      if (length > 0) same(this.position(OUT), dsn, "octet that a number stands for");
    }
  }

  private compareTable({ table, recv, ssnOrigin }: Subflow): void {
    const { runs, view } = this;
    const count = recv.runs(runs);
    same(view.getUint32(table + 8, true), count, "runs");
    same(recv.count, count, "runs by the model's own count");
    let index = view.getUint32(table, true);
    for (let i = 0; i < count * RECV_RUN; i += RECV_RUN) {
      if (index === 0) throw new Error(`the table ends before run ${i / RECV_RUN}`);
      const entry = RUNS + (index - 1) * 32;
      same((view.getUint32(entry + 8, true) - ssnOrigin) | 0, runs[i], "first number of a run");
      same(view.getUint32(entry + 12, true), runs[i + 1], "length of a run");
      same(this.position(entry), runs[i + 2], "first octet of a run");
      if (i === (count - 1) * RECV_RUN) same(view.getUint32(table + 4, true), index, "last run");
      index = view.getUint32(entry + 16, true);
    }
    same(index, 0, "behind the last run");
  }

  private compareRanges({ ranges, arrived, ssnOrigin }: Subflow): void {
    const { runs, view } = this;
    const count = arrived.runs(runs);
    same(view.getUint32(ranges + 8, true), count, "ranges");
    let index = view.getUint32(ranges, true);
    for (let i = 0; i < count * RANGE; i += RANGE) {
      if (index === 0) throw new Error(`the ranges end before ${i / RANGE}`);
      const entry = RUNS + (index - 1) * 32;
      same((view.getUint32(entry, true) - ssnOrigin) | 0, runs[i], "left edge of a range");
      same((view.getUint32(entry + 4, true) - ssnOrigin) | 0, runs[i + 1], "right edge of a range");
      if (i === (count - 1) * RANGE) same(view.getUint32(ranges + 4, true), index, "last range");
      index = view.getUint32(entry + 8, true);
    }
    same(index, 0, "behind the last range");
  }

  // --- the host -----------------------------------------------------------------------------------------

  /** The host acknowledges what it was given, all subflows are told, and forget what is behind them. */
  private acknowledge(): void {
    const { internals, random, view } = this;
    const sacks = this.hostBlocks();
    this.reported.fill(0).fill(1, 0, this.dan);
    for (const [i, [left, right]] of sacks.entries()) {
      this.reported.fill(1, left, right);
      view.setBigUint64(BLOCKS + i * 16, this.dsn(left), true);
      view.setBigUint64(BLOCKS + i * 16 + 8, this.dsn(right), true);
    }
    for (const subflow of this.subflows) {
      let count = 0;
      for (const block of sacks) count = this.projectBlock(subflow, block, random.chance(0.1) ? 0 : count);
      this.projectSan(subflow, sacks.length);
      internals.recvTableTrim(subflow.table, subflow.ssn(subflow.san));
      internals.rangesTrim(subflow.ranges, subflow.ssn(subflow.san));
      subflow.recv.trim(subflow.san);
      subflow.arrived.trim(subflow.san);
      this.compare(subflow);
    }
  }

  /** Moves the DAN and draws the host's SACK blocks: none, its ranges above the DAN, or any. */
  private hostBlocks(): Interval[] {
    const { hostHas, random } = this;
    hostHas.fill(0).fill(1, 0, this.dan);
    for (const { recv, arrived, ssnNxt } of this.subflows) {
      const loss = random.pick([0, 0.05, 0.3]);
      for (let ssn = 0; ssn < ssnNxt; ssn++) {
        if (arrived.has[ssn] === 0 || (loss > 0 && random.chance(loss))) continue;
        const dsn = recv.dsn[ssn] as number;
        if (dsn >= 0) hostHas[dsn] = 1;
      }
    }
    while (this.dan < this.nxt && hostHas[this.dan] === 1 && !random.chance(0.02)) this.dan += 1;
    const kind = random.below(4);
    if (kind === 0) return [];
    const blocks: Interval[] = [];
    for (let i = this.dan; kind < 3 && i < this.nxt; i++) {
      const left = i;
      while (hostHas[i] === 1) i += 1;
      if (i > left) blocks.splice(random.below(blocks.length + 1), 0, [left, i]);
    }
    for (let i = 0; kind === 3 && i < 3; i++) {
      const left = random.below(OCTETS - 40);
      blocks.push([left, left + random.below(40)]);
    }
    return blocks.slice(0, 4);
  }

  /** projectDsnBlock() behind `from` blocks that are there already; returns how many there are now. */
  private projectBlock(subflow: Subflow, [left, right]: Interval, from: number): number {
    const { internals, view, random } = this;
    const max = random.chance(0.1) ? from + random.below(3) : BLOCKS_MAX;
    const { table, ranges } = subflow;
    const count = internals.projectDsnBlock(table, ranges, this.dsn(left), this.dsn(right), SSN_BLOCKS, from, max);
    let found = from;
    for (const [ssnLeft, ssnRight] of this.intervals(subflow, left, right)) {
      if (found === max) break;
      same((view.getUint32(SSN_BLOCKS + found * 8, true) - subflow.ssnOrigin) | 0, ssnLeft, "left edge of a block");
      same(
        (view.getUint32(SSN_BLOCKS + found * 8 + 4, true) - subflow.ssnOrigin) | 0,
        ssnRight,
        "right edge of a block",
      );
      found += 1;
    }
    same(count, found, "blocks");
    return count;
  }

  /** Longest runs of numbers that have arrived on the subflow and stand for octets of [left, right). */
  private intervals({ recv, arrived, ssnNxt }: Subflow, left: number, right: number): Interval[] {
    const found: Interval[] = [];
    const within = (ssn: number): boolean => {
      const dsn = recv.dsn[ssn] as number;
      return arrived.has[ssn] === 1 && dsn >= left && dsn < right;
    };
    for (let ssn = 0; ssn < ssnNxt; ssn++) {
      const first = ssn;
      while (within(ssn)) ssn += 1;
      if (ssn > first) found.push([first, ssn]);
    }
    return found;
  }

  /** The SAN goes as far as all has arrived there, is mapped, and is what the host has. */
  private projectSan(subflow: Subflow, blocks: number): void {
    const { recv, arrived, table, ranges } = subflow;
    let expected = subflow.san;
    for (; arrived.has[expected] === 1; expected++) {
      const dsn = recv.dsn[expected] as number;
      if (dsn < 0 || this.reported[dsn] === 0) break;
    }
    const before = subflow.ssn(subflow.san);
    const found = this.internals.projectSan(table, ranges, before, this.dsn(this.dan), BLOCKS, blocks);
    same((found - subflow.ssnOrigin) | 0, expected, "SAN");
    subflow.san = expected;
  }

  private position(ptr: number): number {
    return Number(BigInt.asIntN(64, this.view.getBigUint64(ptr, true) - this.dsnOrigin));
  }
}

describe.each(TEST_BUILDS)("projection to subflows, through any RECV tables (%s)", (build) => {
  const count = tables(build);
  it("N-76 what subflows are told is what a model of every octet says", { timeout: 60_000 + count }, () => {
    const receiver = new Receiver(build);
    forCases(count, (random) => receiver.run(random));
  });
});
