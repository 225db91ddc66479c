import { describe, it } from "vitest";
import { BLOCKS, loadInternals, RUNS, TABLE, TEST_BUILDS, u32, u64 } from "../internals.ts";
import { SEND_RUN, SendOctets } from "../model/octet-tables.ts";
import { forCases, Random, same, tables } from "../model/random.ts";
import { RESERVED } from "../model/send-model.ts";
import type { Build } from "../wasm.ts";

// Hundreds of thousands of SEND tables, each made as the engine makes them: new data on the active subflow, gaps whose
// SSNs are set aside, late segments, octets that are sent again on another subflow, subflows that die, DATA_ACKs. The
// mapping is anything but monotone then. Each table is compared with its model, and so is what the host may be told
// when the peer acknowledges: an octet that the peer lacks is never shown, one that it reports is never left out,
// and no block begins at the DATA_ACK.

const SUBFLOWS = 3;
/** Octets of the stream, and numbers of one subflow, at most. */
const OCTETS = 192;
const NUMBERS = 256;
const RUNS_TOTAL = 64;
const BLOCKS_MAX = 64;
const SPAN = 0x4000_0000;

class Sender {
  private readonly internals: ReturnType<typeof loadInternals>["internals"];
  private readonly view: DataView;
  private readonly model = new SendOctets(OCTETS);
  private readonly after = new SendOctets(OCTETS);
  private readonly runs = new Int32Array(OCTETS * SEND_RUN);
  /** The octet that was sent under each SSN of each subflow, -1 = none. Never forgotten. */
  private readonly sentAs = Array.from({ length: SUBFLOWS + 1 }, () => new Int16Array(NUMBERS));
  private readonly arrived = Array.from({ length: SUBFLOWS + 1 }, () => new Uint8Array(NUMBERS));
  private readonly peerHas = new Uint8Array(OCTETS);
  /** What each SSN of one subflow is reported by: 0 … = SACK block, its number behind = SAN, -1 = not. */
  private readonly reported = new Int8Array(NUMBERS);
  private readonly ssnOrigin = [0, 0, 0, 0];
  private readonly ssnNxt = [0, 0, 0, 0];
  private readonly held: number[] = [];
  private dsnOrigin = 0n;
  private random = new Random(0);
  private active = 1;
  private una = 0;
  private nxt = 0;
  private modelRuns = 0;

  constructor(build: Build) {
    const { internals, view } = loadInternals(build, { runs: RUNS_TOTAL });
    this.internals = internals;
    this.view = view;
  }

  /** One table from its first run to its last. */
  run(random: Random): void {
    this.begin(random);
    for (let round = random.between(1, 2); round > 0; round--) {
      for (let steps = random.between(4, 12); steps > 0; steps--) this.step();
      this.compare();
      for (let acks = 2; acks > 0; acks--) this.acknowledge();
    }
    this.internals.sendTableFree(TABLE);
    for (const index of this.held.splice(0)) this.internals.runFree(index);
    same(this.internals.runsFree(), RUNS_TOTAL, "runs free at the end");
  }

  private begin(random: Random): void {
    this.random = random;
    // Now and then other connections have left only a few runs.
    if (random.chance(0.1))
      for (let i = RUNS_TOTAL - random.below(12); i > 0; i--) this.held.push(this.internals.runAlloc());
    // The ends of the number spaces lie within the table as a rule.
    this.dsnOrigin = u64(random.pick([1n << 40n, 1n << 32n, 1n << 63n, 1n << 64n]) - BigInt(random.below(100)));
    for (let i = 1; i <= SUBFLOWS; i++) {
      this.ssnOrigin[i] = u32(random.pick([5000, 2 ** 31, 2 ** 32]) - random.below(100));
      this.ssnNxt[i] = 0;
      (this.sentAs[i] as Int16Array).fill(-1);
    }
    this.model.clear();
    this.active = 1;
    this.una = 0;
    this.nxt = 0;
    this.modelRuns = 0;
  }

  private dsn(position: number): bigint {
    return u64(this.dsnOrigin + BigInt(position));
  }

  private ssn(subflow: number, ssn: number): number {
    return u32((this.ssnOrigin[subflow] as number) + ssn);
  }

  private step(): void {
    const { random } = this;
    const choice = random.below(24);
    if (choice < 9) this.append(random.between(1, 8));
    else if (choice < 12) this.skip(random.between(1, 6));
    else if (choice < 15) this.showLate();
    else if (choice < 19) this.reinject();
    else if (choice < 20) this.repeat();
    else if (choice < 21) this.active = random.between(1, SUBFLOWS);
    else if (choice < 22) this.die(random.between(1, SUBFLOWS));
    else this.trim(Math.min(this.nxt, this.una + random.below(12)));
  }

  /** Maps in both tables; false if the engine says that there is no room, which must be so. */
  private map(position: number, ssn: number, length: number, subflow: number, flags: number): boolean {
    const { internals, model, after } = this;
    after.copy(model);
    after.map(position, ssn, length, subflow, flags);
    const count = after.runs(this.runs);
    const more = count - this.modelRuns;
    const fits = more <= 0 || (more <= internals.runsFree() && count <= internals.sendRunsMax());
    const call = flags === RESERVED ? internals.sendTableReserve : internals.sendTableMap;
    const done = call(TABLE, this.dsn(position), this.ssn(subflow, ssn), length, subflow, flags);
    same(done !== 0, fits, "there was room");
    if (!fits) return false;
    model.copy(after);
    this.modelRuns = count;
    if (flags !== RESERVED)
      for (let i = 0; i < length; i++) (this.sentAs[subflow] as Int16Array)[ssn + i] = position + i;
    return true;
  }

  /** Maps [position, …) to numbers that the subflow has not used yet. */
  private mapFresh(position: number, length: number, subflow: number, flags: number): boolean {
    const ssn = this.ssnNxt[subflow] as number;
    if (ssn + length > NUMBERS || !this.map(position, ssn, length, subflow, flags)) return false;
    this.ssnNxt[subflow] = ssn + length;
    return true;
  }

  private append(length: number): void {
    if (this.nxt + length > OCTETS) return;
    if (this.mapFresh(this.nxt, length, this.active, 0)) this.nxt += length;
  }

  /** The host's next segment is late: its SSNs are set aside, the one behind it goes out. */
  private skip(length: number): void {
    if (this.nxt + length + 8 > OCTETS) return;
    if (!this.mapFresh(this.nxt, length, this.active, RESERVED)) return;
    this.nxt += length;
    this.append(this.random.between(1, 8));
  }

  /** A part of what was set aside is shown: it keeps the numbers that it was given. */
  private showLate(): void {
    const { model, random } = this;
    const from = random.between(this.una, this.nxt);
    for (let i = from; i < this.nxt; i++) {
      if (model.shown(i) || (model.subflow[i] as number) <= 0) continue;
      const [subflow, ssn] = [model.subflow[i] as number, model.ssn[i] as number];
      let length = 1;
      while (length < 6 && !model.shown(i + length) && model.octetOf(subflow, ssn + length) === i + length) length += 1;
      this.map(i, ssn, random.between(1, length), subflow, 0);
      return;
    }
  }

  /** Octets in flight go out again elsewhere, whatever they were mapped to. */
  private reinject(): void {
    if (this.nxt === this.una) return;
    const position = this.random.between(this.una, this.nxt - 1);
    const length = Math.min(this.random.between(1, 12), this.nxt - position);
    this.mapFresh(position, length, this.random.between(1, SUBFLOWS), 0);
  }

  /** A mapping that stands is made once more: nothing changes. */
  private repeat(): void {
    if (this.nxt === this.una) return;
    const position = this.random.between(this.una, this.nxt - 1);
    const subflow = this.model.subflow[position] as number;
    if (subflow > 0 && this.model.shown(position)) {
      this.map(position, this.model.ssn[position] as number, 1, subflow, 0);
    }
  }

  private die(subflow: number): void {
    const position = this.random.chance(0.8) ? this.una : this.random.between(this.una, this.nxt);
    this.internals.sendTableFreeSubflow(TABLE, subflow, this.dsn(position));
    this.model.freeSubflow(subflow, position);
    this.modelRuns = this.model.runs(this.runs);
  }

  private trim(position: number): void {
    this.internals.sendTableTrim(TABLE, this.dsn(position));
    this.model.trim(position);
    this.una = Math.max(this.una, position);
    this.modelRuns = this.model.runs(this.runs);
  }

  /** The table holds the model's runs and nothing else. */
  private compare(): void {
    const { internals, view, runs } = this;
    const count = this.model.runs(runs);
    same(view.getUint32(TABLE + 8, true), count, "runs");
    same(internals.runsFree(), RUNS_TOTAL - this.held.length - count, "runs free");
    let index = view.getUint32(TABLE, true);
    for (let i = 0; i < count * SEND_RUN; i += SEND_RUN) {
      if (index === 0) throw new Error(`the table ends before run ${i / SEND_RUN}`);
      const entry = RUNS + (index - 1) * 32;
      const subflow = runs[i + 2] as number;
      same(Number(BigInt.asIntN(64, view.getBigUint64(entry, true) - this.dsnOrigin)), runs[i], "first octet of a run");
      same(view.getUint32(entry + 12, true), runs[i + 1], "length of a run");
      same(view.getUint32(entry + 16, true), subflow, "subflow of a run");
      same(
        view.getUint32(entry + 8, true),
        subflow === 0 ? 0 : this.ssn(subflow, runs[i + 3] as number),
        "SSN of a run",
      );
      same(view.getUint16(entry + 24, true), runs[i + 4], "flags of a run");
      if (i === (count - 1) * SEND_RUN) same(view.getUint32(TABLE + 4, true), index, "last run");
      index = view.getUint32(entry + 20, true);
    }
    same(index, 0, "behind the last run");
    this.lookUp();
  }

  /** Looks a few numbers up. */
  private lookUp(): void {
    const { internals, model, random, view } = this;
    for (let i = 0; i < 3; i++) {
      const position = random.below(Math.min(OCTETS, this.nxt + 2));
      const index = internals.sendTableFind(TABLE, this.dsn(position));
      same(index !== 0, (model.subflow[position] as number) >= 0, "octet found");
      if (index === 0) continue;
      const entry = RUNS + (index - 1) * 32;
      const into = position - Number(BigInt.asIntN(64, view.getBigUint64(entry, true) - this.dsnOrigin));
      same(into >= 0 && into < view.getUint32(entry + 12, true), true, "octet within the run found");
    }
    const subflow = random.between(1, SUBFLOWS);
    const ssn = random.below((this.ssnNxt[subflow] as number) + 2);
    const carries = internals.sendTableCarries(TABLE, subflow, this.ssn(subflow, ssn)) !== 0;
    same(carries, model.octetOf(subflow, ssn) >= 0, "number that stands for an octet");
    same(internals.sendTableUses(TABLE, subflow) !== 0, model.subflow.includes(subflow), "subflow in use");
  }

  // --- the peer -----------------------------------------------------------------------------------------

  /** Some of what was sent arrives, and one subflow reports it: SAN, SACK blocks or none, a DATA_ACK that may lag. */
  private acknowledge(): void {
    const { random } = this;
    const dan = this.arrive();
    const subflow = random.between(1, SUBFLOWS);
    const arrived = this.arrived[subflow] as Uint8Array;
    // A peer may also say what is not so: then it is projected all the same, but for what was never sent.
    const lies = random.chance(0.15);
    let san = lies ? random.below(this.ssnNxt[subflow] as number) : 0;
    while (arrived[san] === 1) san += 1;
    const sacks = lies ? this.anyBlocks() : random.chance(0.25) ? [] : this.sackBlocks(arrived, san);
    const max = random.chance(0.1) ? random.between(1, 3) : BLOCKS_MAX;
    let count = 0;
    for (const [left, right] of sacks) count = this.project(subflow, right, right - left, count, max);
    count = this.project(subflow, san, SPAN, count, max);
    this.reported.fill(-1).fill(sacks.length, 0, san);
    for (let i = sacks.length - 1; i >= 0; i--) this.reported.fill(i, ...(sacks[i] as [number, number]));
    const left = this.internals.blocksAbove(BLOCKS, this.internals.mergeBlocks(BLOCKS, count), this.dsn(dan));
    if (lies) this.peerHas.fill(1);
    this.told(subflow, dan, left, count === max);
  }

  /** projectSsnBlock() of the `length` numbers before `right`. */
  private project(subflow: number, right: number, length: number, count: number, max: number): number {
    const end = this.ssn(subflow, right);
    return this.internals.projectSsnBlock(TABLE, subflow, u32(end - length), end, BLOCKS, count, max);
  }

  /** Draws what has arrived at the peer; returns its DATA_ACK. */
  private arrive(): number {
    const { random, peerHas } = this;
    peerHas.fill(0).fill(1, 0, this.una);
    for (let subflow = 1; subflow <= SUBFLOWS; subflow++) {
      const arrived = (this.arrived[subflow] as Uint8Array).fill(0);
      const sentAs = this.sentAs[subflow] as Int16Array;
      let coins = 0;
      let there = random.chance(0.8);
      for (let ssn = 0; ssn < (this.ssnNxt[subflow] as number); ssn++) {
        if (ssn % 10 === 0) coins = random.bits();
        if ((coins & 7) === 0) there = !there;
        coins >>>= 3;
        const position = sentAs[ssn] as number;
        if (!there || position < 0) continue;
        arrived[ssn] = 1;
        peerHas[position] = 1;
      }
    }
    let dan = this.una;
    while (dan < this.nxt && peerHas[dan] === 1) dan += 1;
    return random.chance(0.3) ? random.between(this.una, dan) : dan;
  }

  /** Up to four ranges behind the SAN, in any order: the one that was hit last comes first. */
  private sackBlocks(arrived: Uint8Array, san: number): [number, number][] {
    const ranges: [number, number][] = [];
    for (let i = san; i < NUMBERS; i++) {
      if (arrived[i] === 0) continue;
      const left = i;
      while (arrived[i] === 1) i += 1;
      ranges.splice(this.random.below(ranges.length + 1), 0, [left, i]);
    }
    return ranges.slice(0, 4);
  }

  private anyBlocks(): [number, number][] {
    return Array.from({ length: this.random.below(4) }, () => {
      const left = this.random.below(NUMBERS - 60);
      return [left, left + this.random.below(60)];
    });
  }

  /** The `count` blocks at BLOCKS are what the host may be told; with `cut` a part of it, since there was no room. */
  private told(subflow: number, dan: number, count: number, cut: boolean): void {
    const expected = this.expected(subflow, dan);
    if (!cut) same(count, expected.length, "blocks");
    for (let i = 0; i < count; i++) {
      const left = this.position(BLOCKS + i * 16);
      const right = this.position(BLOCKS + i * 16 + 8);
      if (left >= right || left <= dan) throw new Error(`block ${left} … ${right} at DAN ${dan}`);
      for (let j = left; j < right; j++) if (this.peerHas[j] === 0) throw new Error(`the peer lacks octet ${j}`);
      if (cut) continue;
      same(left, expected[i]?.left, `left edge of block ${i}`);
      same(right, expected[i]?.right, `right edge of block ${i}`);
    }
  }

  /** Blocks as the model wants them: longest runs above DAN, the one that the most recent block reports first. */
  private expected(subflow: number, dan: number): { left: number; right: number; rank: number }[] {
    const { model } = this;
    const blocks: { left: number; right: number; rank: number }[] = [];
    for (let i = this.una; i < this.nxt; i++) {
      let rank = Number.POSITIVE_INFINITY;
      const left = i;
      for (; i < this.nxt && model.subflow[i] === subflow && model.shown(i); i++) {
        const report = this.reported[model.ssn[i] as number] as number;
        if (report < 0) break;
        rank = Math.min(rank, report * OCTETS + i);
      }
      if (i > left && left > dan) blocks.push({ left, right: i, rank });
    }
    return blocks.sort((a, b) => a.rank - b.rank);
  }

  private position(ptr: number): number {
    return Number(BigInt.asIntN(64, this.view.getBigUint64(ptr, true) - this.dsnOrigin));
  }
}

describe.each(TEST_BUILDS)("projection to the host, through any SEND table (%s)", (build) => {
  const count = tables(build);
  it("N-76 what the host is told is what a model of every octet says", { timeout: 60_000 + count }, () => {
    const sender = new Sender(build);
    forCases(count, (random) => sender.run(random));
  });
});
