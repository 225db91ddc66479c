// Rates and losses from the engine's totals: each reading of the statistics is held against one of about a second
// before.
import type { PathFigures, Statistics } from "./engine-port.ts";

/** Rates are means over this time or a little more; a policy that wants them smoother keeps a mean of its own. */
const RATE_WINDOW_US = 1_000_000;
/** Losses are rare: over a longer time. */
const LOSS_WINDOW_US = 5_000_000;
/** Fewer packets say nothing of losses. */
const LOSS_PACKETS_MIN = 20;
const PPM = 1e6;

interface Totals {
  atUs: number;
  /** Octets acknowledged or received. */
  moved: number;
  bytesSent: number;
  bytesRetransmitted: number;
  packetsSent: number;
}

/** What a policy is told of a path's recent past; undefined = not known. */
export interface PathRates {
  ackedRateKbps: number | undefined;
  lossPpm: number | undefined;
}

export class Measurements {
  /** Readings by path id, oldest first, none older than the longest window needs. */
  #readings = new Map<number, Totals[]>();

  /** Takes a reading. */
  note(statistics: Statistics, nowUs: number): void {
    const ids = new Set(statistics.paths.map((path) => path.id));
    for (const id of this.#readings.keys()) if (!ids.has(id)) this.#readings.delete(id);
    for (const path of statistics.paths) this.#notePath(path, nowUs);
  }

  /** Rates of a path as of the last reading. */
  rates(id: number): PathRates {
    const readings = this.#readings.get(id) ?? [];
    const last = readings.at(-1);
    if (last === undefined) return { ackedRateKbps: undefined, lossPpm: undefined };
    return {
      ackedRateKbps: rate(before(readings, last.atUs - RATE_WINDOW_US), last),
      lossPpm: loss(before(readings, last.atUs - LOSS_WINDOW_US), last),
    };
  }

  #notePath(path: PathFigures, atUs: number): void {
    const moved = path.bytesAcked + path.bytesReceived;
    const { bytesSent, bytesRetransmitted, packetsSent } = path;
    let readings = this.#readings.get(path.id) ?? [];
    // Totals that went back are those of a new engine: the old one's say nothing any more.
    if ((readings.at(-1)?.moved ?? 0) > moved) readings = [];
    readings.push({ atUs, moved, bytesSent, bytesRetransmitted, packetsSent });
    const outdated = readings.findLastIndex((reading) => reading.atUs <= atUs - LOSS_WINDOW_US);
    this.#readings.set(path.id, outdated > 0 ? readings.slice(outdated) : readings);
  }
}

/** The youngest reading that is not younger than `atUs`; the oldest if there is none. */
function before(readings: Totals[], atUs: number): Totals | undefined {
  return readings.findLast((reading) => reading.atUs <= atUs) ?? readings[0];
}

function rate(from: Totals | undefined, to: Totals): number | undefined {
  // Of less than half a window a single burst would make any rate.
  if (from === undefined || to.atUs - from.atUs < RATE_WINDOW_US / 2) return undefined;
  return Math.round(((to.moved - from.moved) * 8000) / (to.atUs - from.atUs));
}

function loss(from: Totals | undefined, to: Totals): number | undefined {
  if (from === undefined || to.packetsSent - from.packetsSent < LOSS_PACKETS_MIN) return undefined;
  const sent = to.bytesSent - from.bytesSent;
  return sent <= 0 ? undefined : Math.round(((to.bytesRetransmitted - from.bytesRetransmitted) * PPM) / sent);
}
