// Two machines and the networks between them, in virtual time: packets, timers, programs and whatever a scenario
// does to them happen one after the other, in an order that depends on the seed alone.

import type { Random } from "../model/random.ts";
import { type Packet, show } from "../packet.ts";
import { decodeIcmp } from "../packet-icmp.ts";
import type { Outcome, Scene, SceneEvent } from "../scene.ts";
import type { Application } from "./application.ts";
import { demand } from "./connection-record.ts";
import type { Machine, Made } from "./machine.ts";
import { Network, otherSide, SIDES, type Side } from "./network.ts";
import type { Segment } from "./segment.ts";

/** Who looks at every packet; each throws when a rule is broken. */
export interface Observer {
  /** A packet of the stack at `side`, before its engine. */
  stackSends(side: Side, p: Packet): void;
  /** A packet for the stack at `side`, behind its engine. */
  stackGets(side: Side, p: Packet): void;
  wireOut(side: Side, p: Packet): void;
  wireIn(side: Side, p: Packet): void;
  event(side: Side, event: SceneEvent): void;
  /** Called before every step. */
  tables(): void;
}

/** Not 0, which means "never" to some. */
const START_US = 1_000_000;
/** Steps without time passing: somebody wants to be called for ever. */
const STANDSTILL = 2_000;
const STEPS_MAX = 400_000;
/** From a sender to the router that finds its packet too long, and back. */
const ROUTER_US = 1_000;

interface Happening {
  at: number;
  order: number;
  act: () => void;
}

export class World {
  nowUs = START_US;
  readonly network: Network;
  readonly machines: Record<Side, Machine>;
  readonly applications: Record<Side, Application[]> = { a: [], b: [] };
  steps = 0;
  packets = 0;
  /** A line per packet and hop, if somebody reads them. */
  log: ((line: string) => void) | undefined;
  private readonly observer: Observer;
  private readonly heap: Happening[] = [];
  private order = 0;
  private standstill = 0;

  constructor(random: Random, machines: Record<Side, Machine>, paths: number, observer: Observer) {
    this.network = new Network(random, paths);
    this.machines = machines;
    this.observer = observer;
    for (const side of SIDES) {
      machines[side].onStackSends = (p) => {
        if (this.hasEngine(side)) this.note(() => `${side} host  → ${show(p)}`);
        observer.stackSends(side, p);
      };
    }
  }

  /** A line for the reader: the time since the beginning, in seconds. */
  note(line: () => string): void {
    this.log?.(`${((this.nowUs - START_US) / 1e6).toFixed(6)} ${line()}`);
  }

  /** Without one, what the stack says and hears is what is on the wire. */
  private hasEngine(side: Side): boolean {
    return this.machines[side].engine !== undefined;
  }

  /** Something that happens at `at`, or now if that is over. */
  schedule(at: number, act: () => void): void {
    const { heap } = this;
    const happening = { at: Math.max(at, this.nowUs), order: this.order++, act };
    let child = heap.length;
    heap.push(happening);
    while (child > 0) {
      const parent = (child - 1) >> 1;
      const above = heap[parent] as Happening;
      if (!before(happening, above)) break;
      heap[child] = above;
      child = parent;
    }
    heap[child] = happening;
  }

  private pop(): Happening | undefined {
    const { heap } = this;
    const top = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return top;
    let parent = 0;
    for (;;) {
      let child = 2 * parent + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right && before(right, heap[child] as Happening)) child++;
      const below = heap[child] as Happening;
      if (!before(below, last)) break;
      heap[parent] = below;
      parent = child;
    }
    heap[parent] = last;
    return top;
  }

  /** A command to the engine at `side`; `what` is for the reader of the trace. */
  command(side: Side, what: string, act: (engine: Scene) => Outcome): void {
    this.note(() => `${side} * ${what}`);
    this.handle(side, [this.machines[side].command(act, this.nowUs)]);
    this.react(side);
  }

  /** Lets time pass until `endUs`, or until `done` says so between two steps. */
  run(endUs: number, done: () => boolean = () => false): void {
    while (!done()) {
      const next = this.nextUs();
      if (next > endUs) {
        this.nowUs = Math.max(this.nowUs, endUs);
        return;
      }
      this.standstill = next > this.nowUs ? 0 : this.standstill + 1;
      if (this.standstill > STANDSTILL) throw new Error("time does not pass any more");
      if (++this.steps > STEPS_MAX) throw new Error(`more than ${STEPS_MAX} steps`);
      this.nowUs = Math.max(this.nowUs, Math.ceil(next));
      this.step();
    }
  }

  private nextUs(): number {
    let next = this.heap[0]?.at ?? Infinity;
    for (const side of SIDES) {
      next = Math.min(next, this.machines[side].nextUs(this.nowUs));
      for (const application of this.applications[side]) next = Math.min(next, application.nextUs(this.nowUs));
    }
    return next;
  }

  private step(): void {
    this.observer.tables();
    if ((this.heap[0]?.at ?? Infinity) <= this.nowUs) {
      this.pop()?.act();
      return;
    }
    for (const side of SIDES) {
      this.handle(side, this.machines[side].advance(this.nowUs));
      this.react(side);
    }
  }

  /** Programs act, the stack answers, until nobody has anything to do at this moment. */
  react(side: Side): void {
    const machine = this.machines[side];
    for (let round = 0; ; round++) {
      if (round > STANDSTILL) throw new Error("a program and its stack go on for ever");
      let busy = false;
      for (const application of this.applications[side]) busy = application.poll(this.nowUs) || busy;
      const made = machine.stackAdvances(this.nowUs);
      this.handle(side, made);
      if (!busy && made.length === 0) return;
    }
  }

  private handle(side: Side, steps: Made[]): void {
    for (const made of steps) {
      if (made.dropped !== "") this.note(() => `${side} engine drops it: ${made.dropped}`);
      for (const event of made.events) {
        this.note(() => `${side} ! ${event.kind} ${event.reason} path ${event.path} value ${event.value}`);
        this.observer.event(side, event);
      }
      for (const segment of made.toWire) this.leave(side, segment);
      for (const octets of made.errors) {
        const { error, mtu, quoted, checksumValid } = decodeIcmp(octets);
        this.note(() => `${side} host  ← ICMP ${error}, MTU ${mtu}, about ${quoted.seq}`);
        demand(checksumValid, () => "ICMP with a wrong checksum");
        this.machines[side].stack.input(octets, this.nowUs);
      }
      for (const segment of made.toHost) this.toHost(side, segment);
    }
  }

  private toHost(side: Side, segment: Segment): void {
    if (!segment.p.checksumValid) return; // a SYN that the engine consumed
    if (this.hasEngine(side)) this.note(() => `${side} host  ← ${show(segment.p)}`);
    this.observer.stackGets(side, segment.p);
    this.machines[side].input(segment, this.nowUs);
  }

  private leave(side: Side, segment: Segment): void {
    this.packets++;
    this.note(() => `${side} wire  → ${show(segment.p)}`);
    this.observer.wireOut(side, segment.p);
    const error = this.network.tooBig(side, segment);
    if (error !== undefined) {
      this.note(() => "  … too long, says a router");
      this.schedule(this.nowUs + ROUTER_US, () => {
        this.handle(side, [this.machines[side].told(error, this.nowUs)]);
        this.react(side);
      });
      return;
    }
    const arrivals = this.network.send(side, segment, this.nowUs);
    if (arrivals.length === 0) this.note(() => `  … lost`);
    for (const { at, segment: piece } of arrivals) {
      this.schedule(at, () => this.arrive(otherSide(side), piece));
    }
  }

  private arrive(side: Side, segment: Segment): void {
    if (this.network.isCut(otherSide(side), segment.p)) {
      this.note(() => `  … lost on its way to ${side}`);
      return;
    }
    this.note(() => `${side} wire  ← ${show(segment.p)}`);
    this.observer.wireIn(side, segment.p);
    this.handle(side, [this.machines[side].arrive(segment, this.nowUs)]);
    this.react(side);
  }
}

function before(x: Happening, y: Happening): boolean {
  return x.at < y.at || (x.at === y.at && x.order < y.order);
}
