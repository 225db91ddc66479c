// Mappings from subflow to data level, both ways. Numbers are offsets: 1 is the first octet of a subflow and of the
// data.
//
// What arrives is judged as Linux does it (get_mapping_status(), validate_mapping()): in subflow order, with one
// current map at a time. Nothing is kept for later.

import type { Chunk } from "./tcp-receiver.ts";

/** Data octets [data, data + length) on the subflow from `ssn` on. */
export interface Mapping {
  data: number;
  ssn: number;
  length: number;
}

/** Why a packet cannot be used: Linux falls back or resets the subflow. */
export type Violation = "no DSS" | "DSSNoMatchTCP" | "DSSNotMatching" | "DSSCorruption" | "infinite map";

export class IncomingMaps {
  /** First octet of the subflow that was not taken yet. */
  copied = 1;
  private current: Mapping | undefined;

  /**
   * What of the chunk is new data, as a chunk of the data level; `map` is what its packet says, `acked` the next data
   * octet wanted. Everything old is consumed silently.
   */
  take(chunk: Chunk, map: Mapping | undefined, acked: number): Chunk | Violation | undefined {
    const end = chunk.start + chunk.octets.length;
    let stated = map;
    while (this.copied < end) {
      const found = this.check(end, stated);
      if (typeof found === "string") return found;
      stated = undefined; // said once; what the map does not cover has none
      const data = found.data + this.copied - found.ssn;
      const left = found.ssn + found.length - this.copied;
      if (data < acked) {
        this.copied += Math.min(acked - data, end - this.copied);
        this.forget();
        continue;
      }
      if (end - this.copied > left) return "DSSCorruption";
      const octets = chunk.octets.subarray(this.copied - chunk.start);
      this.copied = end;
      this.forget();
      return { start: data, octets, packet: chunk.packet };
    }
    return undefined;
  }

  private check(end: number, stated: Mapping | undefined): Mapping | Violation {
    const { current } = this;
    if (stated?.length === 0) return "infinite map";
    if (current && stated) {
      const same = stated.data === current.data && stated.ssn === current.ssn && stated.length === current.length;
      if (same || end > current.ssn + current.length) return current;
      return "DSSNotMatching";
    }
    const map = stated ?? current;
    if (map === undefined) return "no DSS";
    this.current = map;
    const covers = map.ssn <= this.copied && this.copied < map.ssn + map.length;
    return covers ? map : "DSSNoMatchTCP";
  }

  private forget(): void {
    if (this.current && this.copied >= this.current.ssn + this.current.length) this.current = undefined;
  }
}

/** What a subflow was given to send and the peer has not acknowledged on it. */
export class OutgoingMaps {
  private maps: Mapping[] = [];

  add(map: Mapping): void {
    this.maps.push(map);
  }

  at(ssn: number): Mapping | undefined {
    return this.maps.find((map) => ssn >= map.ssn && ssn < map.ssn + map.length);
  }

  /** Forgets what lies below `ssn`. */
  release(ssn: number): void {
    while (this.maps[0] && this.maps[0].ssn + this.maps[0].length <= ssn) this.maps.shift();
  }
}
