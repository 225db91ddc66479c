// Wi-Fi levels from /proc/net/wireless, for drivers without nl80211. The format is that of net/wireless/wext-proc.c of
// the kernel, wireless_seq_printf_stats():
//
//   Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
//    face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
//    wlan0: 0000   55.  -55.  -256        0      0      0      0     12        0
//
// A dot says that the value is new. A level that is not negative is none in dBm.
import { readFile } from "node:fs/promises";
import { PathKind } from "../abi.ts";
import type { Clock } from "../clock.ts";
import type { Finding, FoundInput, InputSink } from "./input.ts";
import { LOST_DBM } from "./nl80211.ts";
import { Poll } from "./poll.ts";

const FILE = "/proc/net/wireless";
const EVERY_MS = 1000;
const IDLE_MS = 10_000;

/** One line of the table. */
export interface WirelessRow {
  name: string;
  /** undefined = not told in dBm. */
  signalDbm: number | undefined;
  /** Missed so far. */
  beacons: number;
}

export interface WirelessOptions {
  file?: string;
  /** Another source tells the same, and better. */
  isSuperseded?: () => boolean;
  clock?: Clock;
}

export class WirelessInput implements FoundInput {
  readonly name = "wireless";
  #file: string;
  #isSuperseded: () => boolean;
  #poll: Poll;
  #rows: WirelessRow[] = [];
  isThere = false;

  constructor({ file = FILE, isSuperseded = () => false, clock }: WirelessOptions = {}) {
    this.#file = file;
    this.#isSuperseded = isSuperseded;
    this.#poll = new Poll(this.name, (sink) => this.#ask(sink), clock);
  }

  start(sink: InputSink): Promise<void> {
    return this.#poll.start(sink);
  }

  stop(): void {
    this.#poll.stop();
  }

  linksChanged(): void {
    this.#poll.soon();
  }

  async look(): Promise<Finding> {
    const rows = await this.#read();
    if (rows === null) return { isThere: false, detail: `no ${this.#file}: no driver with wireless extensions` };
    const words = rows.map(({ name, signalDbm }) => `${name} ${signalDbm ?? "?"} dBm`);
    return { isThere: rows.length > 0, detail: words.join(", ") || "no Wi-Fi interface" };
  }

  async #ask(sink: InputSink): Promise<number> {
    const before = this.#rows;
    const rows = this.#isSuperseded() ? null : await this.#read();
    this.isThere = rows !== null;
    this.#rows = rows ?? [];
    for (const { name } of before) {
      if (!this.#rows.some((row) => row.name === name)) sink.interface(name, { kind: null, signalDbm: null });
    }
    for (const { name, signalDbm, beacons } of this.#rows) {
      const missed = before.find((row) => row.name === name)?.beacons ?? Number.POSITIVE_INFINITY;
      sink.interface(name, { kind: PathKind.WIFI, signalDbm: beacons > missed ? LOST_DBM : (signalDbm ?? null) });
    }
    return this.#rows.length === 0 ? IDLE_MS : EVERY_MS;
  }

  async #read(): Promise<WirelessRow[] | null> {
    const text = await readFile(this.#file, "utf8").catch(() => null);
    return text === null ? null : wirelessRows(text);
  }
}

/** The rows of the file; lines that are none are skipped. */
export function wirelessRows(text: string): WirelessRow[] {
  return text.split("\n").flatMap((line): WirelessRow[] => {
    const [, name = "", rest = ""] = /^\s*(\S+):\s+(.*)$/.exec(line) ?? [];
    const fields = rest.trim().split(/\s+/).map(Number.parseFloat);
    const [, , level = 0] = fields;
    const beacons = fields[9] ?? 0;
    if (name === "" || fields.length < 10 || fields.slice(1).some((field) => Number.isNaN(field))) return [];
    return [{ name, signalDbm: level < 0 ? level : undefined, beacons }];
  });
}
