// A source for the lab and for scripts: a JSON file that somebody writes, watched.
//
//   { "host": { "batteryPermille": 800, "power": "battery" },
//     "interfaces": { "wlan0": { "signalDbm": -71.5, "metered": false, "kind": "wifi" } } }
//
// Keys are those of InterfaceFacts and HostFacts, kind and power in lower-case words. What the file no longer says is
// unknown again.
import { type FSWatcher, watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { PathKind, Power } from "../abi.ts";
import type { HostFacts, Input, InputSink, InterfaceFacts } from "./input.ts";

/** What such a file holds. */
export interface FileContents {
  host?: Record<string, unknown>;
  interfaces?: Record<string, Record<string, unknown>>;
}

const NUMBERS = [
  ...["signalDbm", "slopeDbPerS", "bitrateKbps"],
  ...["costMicroPerGB", "quotaLeft", "energyPerByte"],
] as const;
const FLAGS = ["metered", "expensive", "captive"] as const;

export class FileInput implements Input {
  readonly name: string;
  #file: string;
  #watcher: FSWatcher | null = null;
  #sink: InputSink | null = null;
  #teller = new Teller();
  #reading: Promise<void> = Promise.resolve();

  constructor(file: string) {
    this.name = `file:${file}`;
    this.#file = file;
  }

  async start(sink: InputSink): Promise<void> {
    this.#sink = sink;
    // The directory is watched, not the file: whoever writes with care renames a new file over the old one.
    try {
      this.#watcher = watch(dirname(this.#file), (_, name) => {
        if (name === null || name === basename(this.#file)) void this.#read();
      });
    } catch (error) {
      sink.problem(`${this.name} is not watched: ${(error as Error).message}`);
    }
    await this.#read();
  }

  stop(): void {
    this.#watcher?.close();
    this.#sink = null;
  }

  #read(): Promise<void> {
    this.#reading = this.#reading.then(async () => {
      try {
        this.#tell(JSON.parse(await readFile(this.#file, "utf8")) as FileContents);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") this.#tell({});
        // Half a file: its writer is not done, and the next change tells.
        else if (!(error instanceof SyntaxError)) this.#sink?.problem(`${this.name}: ${(error as Error).message}`);
      }
    });
    return this.#reading;
  }

  #tell(contents: FileContents): void {
    if (this.#sink !== null) this.#teller.tell(contents, this.#sink);
  }
}

/** Tells a sink what such a file holds, one content after the other. */
export class Teller {
  #known = new Set<string>();

  tell(contents: FileContents, sink: InputSink): void {
    const interfaces = contents.interfaces ?? {};
    for (const name of this.#known) if (!(name in interfaces)) sink.interface(name, interfaceFacts({}));
    this.#known = new Set(Object.keys(interfaces));
    for (const [name, facts] of Object.entries(interfaces)) sink.interface(name, interfaceFacts(facts));
    sink.host(hostFacts(contents.host ?? {}));
  }
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

function named<T extends number>(values: Record<string, T>, word: unknown): T | null {
  return values[String(word).toUpperCase()] ?? null;
}

function interfaceFacts(facts: Record<string, unknown>): InterfaceFacts {
  return {
    kind: named(PathKind, facts.kind),
    ...Object.fromEntries(NUMBERS.map((name) => [name, numberOf(facts[name])])),
    ...Object.fromEntries(FLAGS.map((name) => [name, typeof facts[name] === "boolean" ? facts[name] : null])),
  };
}

function hostFacts(facts: Record<string, unknown>): HostFacts {
  return { batteryPermille: numberOf(facts.batteryPermille), power: named(Power, facts.power) };
}
