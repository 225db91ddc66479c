// Reads the trace files that the data path writes: 64 octets of header, then TraceRecords.
import { type FileHandle, open } from "node:fs/promises";
import { ABI_VERSION, TRACE_RECORD_SIZE, TraceFlag, TraceRecord } from "./abi.ts";
import { formatToken } from "./record.ts";

const MAGIC = "SHUNTTRC";
const VERSION = 1;
const HEADER_SIZE = 64;
/** Records read at once. */
const CHUNK = 4096;

export interface TraceHeader {
  /** The data path's clock when the trace began, microseconds. */
  startUs: number;
  /** Unix time at that moment, microseconds. */
  startUnixUs: number;
}

/** One packet with payload or acknowledgement. Sequence numbers are relative, see TraceRecord in docs/MEMORY.md. */
export interface TraceEntry {
  timeUs: number;
  /** The connection: our token in hex. */
  token: string;
  /** First payload octet at data level, null = no mapping in this packet. */
  dsn: bigint | null;
  /** Data-level acknowledgement, null = none in this packet. */
  dan: bigint | null;
  /** Payload octets. */
  length: number;
  ssn: number;
  san: number;
  tsn: number;
  tan: number;
  /** Octets. */
  window: number;
  /** Path id. */
  path: number;
  /** Number within the connection. */
  subflow: number;
  direction: "sent" | "received";
  retransmission: boolean;
  dataFin: boolean;
  /** Made by the engine, not by a host. */
  forged: boolean;
}

/** A trace file, opened. */
export class TraceReader implements AsyncDisposable {
  readonly header: TraceHeader;
  #file: FileHandle;

  private constructor(file: FileHandle, header: TraceHeader) {
    this.#file = file;
    this.header = header;
  }

  /** Opens `path`. Throws if it is no trace, or of another version. */
  static async open(path: string): Promise<TraceReader> {
    const file = await open(path);
    try {
      return new TraceReader(file, await readHeader(file, path));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** All records from the first on; a last one that is cut short (still being written) is left out. */
  async *records(): AsyncGenerator<TraceEntry> {
    const buffer = Buffer.alloc(CHUNK * TRACE_RECORD_SIZE);
    let position = HEADER_SIZE;
    for (;;) {
      const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, position);
      const whole = bytesRead - (bytesRead % TRACE_RECORD_SIZE);
      if (whole === 0) return;
      for (let start = 0; start < whole; start += TRACE_RECORD_SIZE) yield decodeRecord(buffer, start);
      position += whole;
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

async function readHeader(file: FileHandle, path: string): Promise<TraceHeader> {
  const header = Buffer.alloc(HEADER_SIZE);
  const { bytesRead } = await file.read(header, 0, HEADER_SIZE, 0);
  if (bytesRead < HEADER_SIZE || header.toString("latin1", 0, 8) !== MAGIC)
    throw new Error(`${path} is no Shunt trace`);
  const versions = [header.readUInt32LE(8), header.readUInt32LE(12), header.readUInt32LE(16)];
  const expected = [VERSION, TRACE_RECORD_SIZE, ABI_VERSION];
  if (versions.join() !== expected.join()) {
    throw new Error(`${path} is of another version of Shunt (${versions.join(".")}, expected ${expected.join(".")})`);
  }
  return { startUs: Number(header.readBigUInt64LE(24)), startUnixUs: Number(header.readBigUInt64LE(32)) };
}

function decodeRecord(buffer: Buffer, start: number): TraceEntry {
  const u32 = (field: number): number => buffer.readUInt32LE(start + field);
  const flags = buffer.readUInt8(start + TraceRecord.FLAGS);
  const has = (flag: number): boolean => (flags & flag) !== 0;
  return {
    timeUs: Number(buffer.readBigUInt64LE(start + TraceRecord.TIME_US)),
    token: formatToken(u32(TraceRecord.TOKEN)),
    dsn: has(TraceFlag.HAS_DSN) ? buffer.readBigUInt64LE(start + TraceRecord.DSN) : null,
    dan: has(TraceFlag.HAS_DAN) ? buffer.readBigUInt64LE(start + TraceRecord.DAN) : null,
    length: u32(TraceRecord.LENGTH),
    ssn: u32(TraceRecord.SSN),
    san: u32(TraceRecord.SAN),
    tsn: u32(TraceRecord.TSN),
    tan: u32(TraceRecord.TAN),
    window: u32(TraceRecord.WINDOW),
    path: buffer.readUInt16LE(start + TraceRecord.PATH),
    subflow: buffer.readUInt16LE(start + TraceRecord.SUBFLOW),
    direction: buffer.readUInt8(start + TraceRecord.SIDE) === 0 ? "sent" : "received",
    retransmission: has(TraceFlag.RETRANSMISSION),
    dataFin: has(TraceFlag.DATA_FIN),
    forged: has(TraceFlag.FORGED),
  };
}
