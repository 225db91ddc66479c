// Reading and naming what lies in records: numbers by offset, enum values as lower_snake words.
import { formatAddress } from "./address.ts";

/** A lower_snake word for each member of an enum of the ABI. */
export type NameOf<E extends object> = Lowercase<keyof E & string>;

/** Maps values to their words; a value that this version does not know becomes `unknown_<number>`. */
export function namesOf<E extends Record<string, number>>(values: E): (value: number) => NameOf<E> {
  const names = new Map(Object.entries(values).map(([name, value]) => [value, name.toLowerCase()]));
  return (value) => (names.get(value) ?? `unknown_${value}`) as NameOf<E>;
}

/** Maps words to values. Throws for a word that is none. */
export function valuesOf<E extends Record<string, number>>(values: E): (name: NameOf<E>) => number {
  return (name) => {
    const value = values[name.toUpperCase()];
    if (value === undefined) {
      const known = Object.keys(values).map((key) => key.toLowerCase());
      throw new Error(`"${name}" is none of ${known.join(", ")}`);
    }
    return value;
  };
}

/** One record, read by offset. Little-endian; u64 as number, exact up to 2^53 (285 years in µs, 8 PiB in octets). */
export class RecordReader {
  #view: DataView;
  #octets: Uint8Array;

  constructor(octets: Uint8Array, start: number, size: number) {
    this.#octets = octets.subarray(start, start + size);
    if (this.#octets.length < size) throw new Error(`record of ${size} octets cut short after ${this.#octets.length}`);
    this.#view = new DataView(this.#octets.buffer, this.#octets.byteOffset, size);
  }

  u8(offset: number): number {
    return this.#view.getUint8(offset);
  }

  u16(offset: number): number {
    return this.#view.getUint16(offset, true);
  }

  u32(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  u64(offset: number): number {
    return Number(this.#view.getBigUint64(offset, true));
  }

  /** A token as 8 hex digits. */
  token(offset: number): string {
    return formatToken(this.u32(offset));
  }

  /** An address; "" = none. */
  address(offset: number): string {
    return formatAddress(this.#octets.subarray(offset, offset + 16));
  }
}

/** 8 hex digits. */
export function formatToken(token: number): string {
  return token.toString(16).padStart(8, "0");
}

/** The number of a token in hex. Throws if it is none. */
export function parseToken(text: string): number {
  if (!/^[0-9a-f]{1,8}$/i.test(text)) throw new Error(`"${text}" is no connection id: expected up to 8 hex digits`);
  return Number.parseInt(text, 16);
}
