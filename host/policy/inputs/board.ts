// All that the sources have said, put together: later words win over earlier ones, source by source in no order,
// since no two shipped sources speak of the same thing. Tells when something changed that a policy may care about.
import { Event } from "../abi.ts";
import type { Clock } from "../clock.ts";
import type { HostFacts, Input, InputSink, InterfaceFacts } from "./input.ts";
import { Trend } from "./trend.ts";

/** dB: less is noise. The table is built anew at every tick anyway. */
const SIGNAL_STEP_DB = 1;
/** dB per second. */
const SLOPE_STEP = 0.5;

/** What is known of an interface, trend included. */
export type KnownInterface = { [K in keyof Required<InterfaceFacts>]: Exclude<InterfaceFacts[K], null> };

interface BoardPorts {
  clock: Clock;
  /** `name`: the interface it is about, null = the machine. */
  changed(event: Event, name: string | null): void;
  problem(line: string): void;
}

export class InputBoard implements InputSink {
  #ports: BoardPorts;
  #interfaces = new Map<string, InterfaceFacts>();
  #trends = new Map<string, Trend>();
  /** Level and slope that `changed` was last called with. */
  #told = new Map<string, { signal: number | null; slope: number | null }>();
  #host: HostFacts = {};
  #inputs: Input[] = [];

  constructor(ports: BoardPorts) {
    this.#ports = ports;
  }

  async start(inputs: Input[]): Promise<void> {
    this.#inputs = inputs;
    for (const input of inputs) {
      // One source that fails must not keep the others from being heard.
      await input.start(this).catch((error: Error) => this.problem(`input ${input.name}: ${error.message}`));
    }
  }

  async stop(): Promise<void> {
    for (const input of this.#inputs) await input.stop();
    this.#inputs = [];
  }

  /** Names of the sources. */
  get sources(): string[] {
    return this.#inputs.map((input) => input.name);
  }

  /** What is known of the machine now. */
  get machine(): HostFacts {
    return this.#host;
  }

  /** What is known of an interface now. */
  known(name: string): Partial<KnownInterface> {
    const facts = this.#interfaces.get(name) ?? {};
    const known = Object.fromEntries(
      Object.entries(facts).filter(([, value]) => value !== null && value !== undefined),
    );
    const slope = this.#slope(name);
    return { ...(known as Partial<KnownInterface>), ...(slope === null ? {} : { slopeDbPerS: slope }) };
  }

  interface(name: string, facts: InterfaceFacts): void {
    const before = this.#interfaces.get(name) ?? {};
    const after = { ...before, ...facts };
    this.#interfaces.set(name, after);
    if (facts.signalDbm !== undefined) this.#noteLevel(name, facts.signalDbm);
    const differs = (...keys: (keyof InterfaceFacts)[]) =>
      keys.some((key) => (before[key] ?? null) !== (after[key] ?? null));
    if (this.#signalChanged(name)) this.#ports.changed(Event.SIGNAL, name);
    if (differs("metered", "expensive", "costMicroPerGB", "quotaLeft")) this.#ports.changed(Event.QUOTA, name);
    if (differs("captive", "kind", "energyPerByte")) this.#ports.changed(Event.TICK, name);
  }

  host(facts: HostFacts): void {
    const before = this.#host;
    this.#host = { ...before, ...facts };
    if (before.power !== this.#host.power || before.batteryPermille !== this.#host.batteryPermille) {
      this.#ports.changed(Event.POWER, null);
    }
  }

  problem(line: string): void {
    this.#ports.problem(line);
  }

  #noteLevel(name: string, level: number | null): void {
    const trend = this.#trends.get(name) ?? new Trend();
    this.#trends.set(name, trend);
    if (level === null) trend.clear();
    else trend.add(this.#ports.clock.nowUs(), level);
  }

  #slope(name: string): number | null {
    return this.#interfaces.get(name)?.slopeDbPerS ?? this.#trends.get(name)?.slope(this.#ports.clock.nowUs()) ?? null;
  }

  #signalChanged(name: string): boolean {
    const signal = this.#interfaces.get(name)?.signalDbm ?? null;
    const slope = this.#slope(name);
    const told = this.#told.get(name) ?? { signal: null, slope: null };
    const step = (a: number | null, b: number | null, least: number) =>
      a === null || b === null ? a !== b : Math.abs(a - b) >= least;
    if (!step(signal, told.signal, SIGNAL_STEP_DB) && !step(slope, told.slope, SLOPE_STEP)) return false;
    this.#told.set(name, { signal, slope });
    return true;
  }
}
