// Mappings from subflow to data level, both ways. Numbers are offsets: 1 is the first octet of a subflow and of the
// data.
//
// What arrives is judged as Linux does it (get_mapping_status(), validate_mapping(), validate_data_csum()): in subflow
// order, with one current map at a time. Nothing is kept for later, but for the octets of a map with a checksum, which
// wait until all of it is there.

import { dssChecksum } from "../../packet.ts";
import type { Chunk } from "./tcp-receiver.ts";

/** Data octets [data, data + length) on the subflow from `ssn` on. */
export interface Mapping {
  data: number;
  ssn: number;
  length: number;
  /** Of one that arrives, where checksums were agreed on. */
  check?: { dsn: bigint; stated: number; checksum: number };
  /** Of one that is sent, for its checksum. */
  octets?: Uint8Array;
}

/** Why a packet cannot be used: Linux falls back or resets the subflow. */
export type Violation =
  | "no DSS"
  | "DSSNoMatchTCP"
  | "DSSNotMatching"
  | "DSSCorruption"
  | "DataCsumErr"
  | "infinite map";

export class IncomingMaps {
  /** First octet of the subflow that was not taken yet. */
  copied = 1;
  private current: Mapping | undefined;
  /** With a checksum: the current map's octets so far, and of them those that are new data. */
  private sum: Uint8Array[] = [];
  private waiting: Chunk[] = [];

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
        const old = Math.min(acked - data, left, end - this.copied);
        const ready = this.consume(found, chunk, old, false);
        if (ready !== undefined) return ready;
        continue;
      }
      if (end - this.copied > left) return "DSSCorruption";
      return this.consume(found, chunk, end - this.copied, true);
    }
    return undefined;
  }

  /** Takes the chunk's next octets, new data or not; what is ready for the data level then. */
  private consume(map: Mapping, chunk: Chunk, octets: number, fresh: boolean): Chunk | Violation | undefined {
    const at = this.copied - chunk.start;
    const part = chunk.octets.subarray(at, at + octets);
    const start = map.data + this.copied - map.ssn;
    this.copied += octets;
    // What came by another subflow in the meantime fills the gap to what did not.
    if (fresh || this.waiting.length > 0) this.waiting.push({ start, octets: part, packet: chunk.packet });
    if (map.check) this.sum.push(part);
    const whole = this.copied >= map.ssn + map.length;
    if (map.check && !whole) return undefined;
    if (map.check) {
      const { dsn, stated, checksum } = map.check;
      if (dssChecksum(dsn, map.ssn, stated, Buffer.concat(this.sum)) !== checksum) return "DataCsumErr";
    }
    if (whole) this.current = undefined;
    this.sum = [];
    const [first, ...more] = this.giveUp();
    if (first === undefined || more.length === 0) return first;
    return { ...first, octets: Buffer.concat([first, ...more].map((piece) => piece.octets)) };
  }

  /** What waits for the rest of its map: plain TCP has no maps. */
  giveUp(): Chunk[] {
    return this.waiting.splice(0);
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
    // Linux would sum up as many octets from here on as the map has.
    if (map !== current && map.check && map.ssn < this.copied) return "DataCsumErr";
    this.current = map;
    const covers = map.ssn <= this.copied && this.copied < map.ssn + map.length;
    return covers ? map : "DSSNoMatchTCP";
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
