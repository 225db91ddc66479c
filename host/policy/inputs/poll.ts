// Asks a source again and again, one question at a time, and tells what is wrong with it once.
import { type Clock, systemClock } from "../clock.ts";
import type { InputSink } from "./input.ts";

/** After a failure that the source itself did not foresee. */
const FAILED_MS = 30_000;
/** Different complaints of one source; what comes after is more of the same. */
const COMPLAINTS_MAX = 8;

export class Poll {
  #name: string;
  #clock: Clock;
  /** Asks once; resolves to the milliseconds until the next time. */
  #ask: (sink: InputSink) => Promise<number>;
  #sink: InputSink | null = null;
  #isAsking = false;
  #isWanted = false;
  #cancel: () => void = () => {};

  constructor(name: string, ask: (sink: InputSink) => Promise<number>, clock: Clock = systemClock) {
    this.#name = name;
    this.#clock = clock;
    this.#ask = ask;
  }

  /** Resolves when the first answer is there. */
  async start(sink: InputSink): Promise<void> {
    this.#sink = tellingOnce(sink);
    await this.#run();
  }

  /** Asks within `ms`, or when the question that is under way is answered. */
  soon(ms = 0): void {
    // What is asked for again and again is not put off again and again.
    if (this.#sink === null || this.#isWanted) return;
    this.#isWanted = true;
    if (this.#isAsking) return;
    this.#cancel();
    this.#cancel = this.#clock.after(ms, () => void this.#run());
  }

  stop(): void {
    this.#sink = null;
    this.#cancel();
  }

  async #run(): Promise<void> {
    const sink = this.#sink;
    if (sink === null) return;
    this.#cancel();
    this.#isAsking = true;
    this.#isWanted = false;
    let pauseMs = FAILED_MS;
    try {
      pauseMs = await this.#ask(sink);
    } catch (error) {
      sink.problem(`input ${this.#name}: ${(error as Error).message}`);
    }
    this.#isAsking = false;
    // It may have been stopped meanwhile.
    if (this.#sink === null) return;
    this.#cancel = this.#clock.after(this.#isWanted ? 0 : pauseMs, () => void this.#run());
  }
}

/** The same sink, but nothing is complained of twice. */
function tellingOnce(sink: InputSink): InputSink {
  const told = new Set<string>();
  return {
    interface: (name, facts) => sink.interface(name, facts),
    host: (facts) => sink.host(facts),
    problem(line) {
      if (told.has(line) || told.size >= COMPLAINTS_MAX) return;
      told.add(line);
      sink.problem(line);
    },
  };
}
