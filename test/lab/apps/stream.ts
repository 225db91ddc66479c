// A deterministic stream: both ends of a transfer know every byte of it from its seed.

import { createHash, type Hash } from "node:crypto";

/** Bytes per block. Each block is the same noise with its own number in front, so that a displaced block shows. */
export const BLOCK_BYTES = 1 << 16;

/** Pseudo-random bytes from a seed (xorshift32; a zero state would stay zero). */
function noise(seed: number): Buffer {
  const words = new Uint32Array(BLOCK_BYTES / 4);
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return Buffer.from(words.buffer);
}

/** The stream of a seed, readable block by block. */
export class Stream {
  private readonly noise: Buffer;

  constructor(seed: number) {
    this.noise = noise(seed);
  }

  /** Block number `index`, in a buffer of its own (a socket may keep it). */
  block(index: number): Buffer {
    const block = Buffer.from(this.noise);
    block.writeUInt32BE(index, 0);
    return block;
  }

  /** The bytes from `offset` on, at most up to the end of their block and at most `limit`. */
  slice(offset: number, limit: number): Buffer {
    const within = offset % BLOCK_BYTES;
    return this.block(Math.floor(offset / BLOCK_BYTES)).subarray(within, Math.min(BLOCK_BYTES, within + limit));
  }

  /** SHA-256 of the first `length` bytes, hex. */
  sha256(length: number): string {
    const hash = createHash("sha256");
    for (let at = 0; at < length; ) {
      const piece = this.slice(at, length - at);
      hash.update(piece);
      at += piece.length;
    }
    return hash.digest("hex");
  }
}

/** Compares what arrives with the stream of a seed. */
export class Checker {
  received = 0;
  /** Offset of the first wrong byte; -1 while all were right. */
  firstError = -1;
  private readonly stream: Stream;
  private readonly hash: Hash = createHash("sha256");

  constructor(seed: number) {
    this.stream = new Stream(seed);
  }

  take(chunk: Buffer): void {
    this.hash.update(chunk);
    for (let at = 0; at < chunk.length; ) {
      const expected = this.stream.slice(this.received, chunk.length - at);
      const got = chunk.subarray(at, at + expected.length);
      if (this.firstError < 0 && !expected.equals(got)) {
        this.firstError = this.received + expected.findIndex((byte, index) => byte !== got[index]);
      }
      at += expected.length;
      this.received += expected.length;
    }
  }

  /** SHA-256 of everything received, hex. Ends the checker. */
  sha256(): string {
    return this.hash.digest("hex");
  }
}
