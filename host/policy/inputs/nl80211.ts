// Wi-Fi levels from nl80211, once a second: read by host/engine/radio.ts, why so in
// docs/decisions/0303-where-radio-levels-come-from.md.
import { type Radio, readRadios } from "../../engine/index.ts";
import { PathKind } from "../abi.ts";
import type { Clock } from "../clock.ts";
import type { Finding, FoundInput, InputSink, InterfaceFacts } from "./input.ts";
import { Poll } from "./poll.ts";

const EVERY_MS = 1000;
/** Without a Wi-Fi interface: one that is plugged in is a link that changes, too. */
const IDLE_MS = 10_000;
/** Said while beacons are being missed: the kernel's average stands still then, at the last frame's level. */
export const LOST_DBM = -100;

const NOTHING: InterfaceFacts = { kind: null, signalDbm: null, bitrateKbps: null };

/** null: the kernel has no nl80211. */
export type ReadRadios = () => Promise<Radio[] | null>;

export class Nl80211Input implements FoundInput {
  readonly name = "nl80211";
  #read: ReadRadios;
  #poll: Poll;
  #radios: Radio[] | null = null;

  constructor(read: ReadRadios = readRadios, clock?: Clock) {
    this.#read = read;
    this.#poll = new Poll(this.name, (sink) => this.#ask(sink), clock);
  }

  /** As far as it has been asked. */
  get isThere(): boolean {
    return this.#radios !== null;
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
    try {
      const radios = await this.#read();
      if (radios === null) return { isThere: false, detail: "no driver for Wi-Fi is loaded" };
      if (radios.length === 0) return { isThere: false, detail: "no Wi-Fi interface" };
      return { isThere: true, detail: radios.map(radioText).join(", ") };
    } catch (error) {
      return { isThere: false, detail: (error as Error).message };
    }
  }

  async #ask(sink: InputSink): Promise<number> {
    const before = this.#radios ?? [];
    this.#radios = null;
    try {
      this.#radios = await this.#read();
    } finally {
      const names = this.#radios?.map((radio) => radio.name) ?? [];
      for (const { name } of before) if (!names.includes(name)) sink.interface(name, NOTHING);
    }
    for (const radio of this.#radios ?? []) {
      const last = before.find(({ name }) => name === radio.name);
      const { name, signalDbm, bitrateKbps } = radio;
      // What is not said of a radio is undefined, which would leave its last word standing.
      sink.interface(name, {
        kind: PathKind.WIFI,
        signalDbm: missesBeacons(radio, last) ? LOST_DBM : (signalDbm ?? null),
        bitrateKbps: bitrateKbps ?? null,
      });
    }
    return (this.#radios ?? []).length === 0 ? IDLE_MS : EVERY_MS;
  }
}

/** The count begins anew with every association. */
function missesBeacons(radio: Radio, last: Radio | undefined): boolean {
  if (!radio.associated || last?.associated !== true) return false;
  return (radio.beaconsLost ?? 0) > (last.beaconsLost ?? Number.POSITIVE_INFINITY);
}

function radioText({ name, associated, signalDbm }: Radio): string {
  if (!associated) return `${name} not associated`;
  return `${name} ${signalDbm === undefined ? "without a level: its driver tells none in dBm" : `${signalDbm} dBm`}`;
}
