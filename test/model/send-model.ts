// The SEND table, octet by octet: what sendTable… must agree with.

import { u32, u64 } from "../internals.ts";

export type SentOctet = { subflow: number; ssn: number; flags: number };
export const RESERVED = 1;

export class SendModel {
  /** By distance of the octet's DSN from `origin`, a plain number: tests stay within a few hundred octets. */
  octets = new Map<number, SentOctet>();
  origin: bigint;

  constructor(origin: bigint) {
    this.origin = origin;
  }

  dsn(position: number): bigint {
    return u64(this.origin + BigInt(position));
  }

  map(position: number, ssn: number, length: number, subflow: number, flags: number): void {
    for (let i = 0; i < length; i++) this.octets.set(position + i, { subflow, ssn: u32(ssn + i), flags });
  }

  trim(position: number): void {
    for (const key of this.octets.keys()) if (key < position) this.octets.delete(key);
  }

  /** Whole runs that reach beyond `position` lose their subflow. */
  freeSubflow(subflow: number, position: number): void {
    for (const run of this.runs()) {
      if (run.subflow !== subflow || run.position + run.length <= position) continue;
      for (let i = 0; i < run.length; i++) this.octets.set(run.position + i, { subflow: 0, ssn: 0, flags: 0 });
    }
  }

  /** Maximal runs, in DSN order. */
  runs(): { position: number; length: number; subflow: number; ssn: number; flags: number }[] {
    const runs: { position: number; length: number; subflow: number; ssn: number; flags: number }[] = [];
    for (const position of [...this.octets.keys()].sort((a, b) => a - b)) {
      const octet = this.octets.get(position) as SentOctet;
      const last = runs.at(-1);
      if (
        last !== undefined &&
        last.position + last.length === position &&
        last.subflow === octet.subflow &&
        last.flags === octet.flags &&
        (octet.subflow === 0 || u32(last.ssn + last.length) === octet.ssn)
      ) {
        last.length += 1;
      } else {
        runs.push({ position, length: 1, ...octet });
      }
    }
    return runs;
  }

  copy(): SendModel {
    const model = new SendModel(this.origin);
    model.octets = new Map(this.octets);
    return model;
  }
}
