// All that the sources have said, put together: of two that know the same fact, the later one in the configuration is
// believed. Tells when something changed that a policy may care about.
import { Event } from "../abi.ts";
import type { Clock } from "../clock.ts";
import type { HostFacts, Input, InputSink, InterfaceFacts, InterfaceName } from "./input.ts";
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

/** What one source has said. */
interface Said {
  interfaces: Map<string, InterfaceFacts>;
  host: HostFacts;
}

export class InputBoard {
  #ports: BoardPorts;
  /** The least believed first. */
  #said: Said[] = [];
  #trends = new Map<string, Trend>();
  /** Level and slope that `changed` was last called with. */
  #told = new Map<string, { signal: number | null; slope: number | null }>();
  #inputs: Input[] = [];

  constructor(ports: BoardPorts) {
    this.#ports = ports;
  }

  /** Starts sources, the least believed first. */
  async start(inputs: Input[]): Promise<void> {
    this.#inputs = inputs;
    const problem = (input: Input, error: Error) => this.#ports.problem(`input ${input.name}: ${error.message}`);
    // One source that fails must not keep the others from being heard.
    const started = inputs.map((input) => [input, this.sink()] as const);
    await Promise.all(started.map(([input, sink]) => input.start(sink).catch((error) => problem(input, error))));
  }

  async stop(): Promise<void> {
    for (const input of this.#inputs) await input.stop();
    this.#inputs = [];
  }

  /** Links of paths changed: these are their interfaces. */
  linksChanged(interfaces: readonly InterfaceName[]): void {
    for (const input of this.#inputs) input.linksChanged?.(interfaces);
  }

  /** Names of the sources that are there. */
  get sources(): string[] {
    return this.#inputs.filter(({ isThere }) => isThere !== false).map((input) => input.name);
  }

  /** What is known of the machine now. */
  get machine(): HostFacts {
    return merged(this.#said.map(({ host }) => host));
  }

  /** What is known of an interface now. */
  known(name: string): Partial<KnownInterface> {
    const slope = this.#slope(name);
    return { ...this.#facts(name), ...(slope === null ? {} : { slopeDbPerS: slope }) };
  }

  /** A place for another source, which is believed more than those before. */
  sink(): InputSink {
    const said: Said = { interfaces: new Map(), host: {} };
    this.#said.push(said);
    return {
      interface: (name, facts) => this.#interface(said, name, facts),
      host: (facts) => this.#host(said, facts),
      problem: (line) => this.#ports.problem(line),
    };
  }

  #interface(said: Said, name: string, facts: InterfaceFacts): void {
    const before = this.#facts(name);
    said.interfaces.set(name, { ...said.interfaces.get(name), ...facts });
    const after = this.#facts(name);
    if (facts.signalDbm !== undefined && this.#isBelieved(said, name)) this.#noteLevel(name, after.signalDbm ?? null);
    const differs = (...keys: (keyof InterfaceFacts)[]) => keys.some((key) => before[key] !== after[key]);
    if (this.#signalChanged(name)) this.#ports.changed(Event.SIGNAL, name);
    if (differs("metered", "expensive", "costMicroPerGB", "quotaLeft")) this.#ports.changed(Event.QUOTA, name);
    if (differs("captive", "kind", "energyPerByte")) this.#ports.changed(Event.TICK, name);
  }

  #host(said: Said, facts: HostFacts): void {
    const before = this.machine;
    said.host = { ...said.host, ...facts };
    const after = this.machine;
    if (before.power !== after.power || before.batteryPermille !== after.batteryPermille) {
      this.#ports.changed(Event.POWER, null);
    }
  }

  #facts(name: string): Partial<KnownInterface> {
    return merged(this.#said.map(({ interfaces }) => interfaces.get(name) ?? {})) as Partial<KnownInterface>;
  }

  /** No source after this one tells a level. */
  #isBelieved(said: Said, name: string): boolean {
    const later = this.#said.slice(this.#said.indexOf(said) + 1);
    return later.every(({ interfaces }) => (interfaces.get(name)?.signalDbm ?? null) === null);
  }

  #noteLevel(name: string, level: number | null): void {
    const trend = this.#trends.get(name) ?? new Trend();
    this.#trends.set(name, trend);
    if (level === null) trend.clear();
    else trend.add(this.#ports.clock.nowUs(), level);
  }

  #slope(name: string): number | null {
    return this.#facts(name).slopeDbPerS ?? this.#trends.get(name)?.slope(this.#ports.clock.nowUs()) ?? null;
  }

  #signalChanged(name: string): boolean {
    const signal = this.#facts(name).signalDbm ?? null;
    const slope = this.#slope(name);
    const told = this.#told.get(name) ?? { signal: null, slope: null };
    const step = (a: number | null, b: number | null, least: number) =>
      a === null || b === null ? a !== b : Math.abs(a - b) >= least;
    if (!step(signal, told.signal, SIGNAL_STEP_DB) && !step(slope, told.slope, SLOPE_STEP)) return false;
    this.#told.set(name, { signal, slope });
    return true;
  }
}

/** Facts of several sources in one; what one does not know does not hide what another does. */
function merged<T extends object>(facts: readonly T[]): T {
  const known = facts.flatMap((entry) => Object.entries(entry).filter(([, value]) => (value ?? null) !== null));
  return Object.fromEntries(known) as T;
}
