// A stream of stamped records, to see a handover as an application sees it.
//
//     node stamped.ts serve --port 5202 [--listen 10.0.1.2]
//     node stamped.ts connect --to 10.0.1.2 --port 5202 --file gaps.csv [--rate 50] [--size 64] [--up] [--full]
//
// The sender stamps each record with its number and its clock; the receiver notes the arrival of each. Both run on one
// machine, so CLOCK_MONOTONIC is one clock. The receiver writes `index,sentNs,arrivedNs` to a file (`-`: none), ten
// times a second. With `--up` the client sends and the server is the receiver: it writes to the file that the client
// names. SIGTERM at the client ends the stream; what was sent by then still arrives. Both ends say how many records
// there were.
//
// Each record is a segment of its own unless the stream is to be `--full`: then Nagle's algorithm stays on, and as
// something is always under way, every segment is filled from the next records before it leaves.

import { appendFileSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { getPriority, setPriority } from "node:os";
import { parseArgs } from "node:util";

/** Number (u32) and clock (u64) at the head of a record, bytes. */
const HEAD_BYTES = 12;
/** Arrivals are kept this long before they are written, ms: a file is not what the receiver should wait for. */
const FLUSH_MS = 100;
/** Longest record, bytes. */
const SIZE_MAX = 1 << 16;

interface Order {
  /** Records per second. */
  rate: number;
  /** Bytes per record. */
  size: number;
  up: boolean;
  /** Segments are filled before they leave. */
  full: boolean;
  /** Where the receiver writes. */
  file: string;
}

/** Each record's body is a piece of this, at a place of its own, so that displaced bytes show. */
const noise = noiseOf(2 * SIZE_MAX);

/** Pseudo-random bytes (xorshift32). */
function noiseOf(bytes: number): Buffer {
  const words = new Uint32Array(bytes / 4);
  let state = 0x9e3779b9;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return Buffer.from(words.buffer);
}

/** What stands behind the head of a record. */
function bodyOf(index: number, size: number): Buffer {
  const at = (index * 31) % SIZE_MAX;
  return noise.subarray(at, at + size - HEAD_BYTES);
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Sends a record whenever one is due; a late timer sends all that are due, each with its own stamp. */
function sendRecords(socket: Socket, { rate, size, full }: Order): void {
  const peer = socket.remotePort;
  socket.setNoDelay(!full);
  const start = process.hrtime.bigint();
  const interval = BigInt(Math.round(1e9 / rate));
  let index = 0;
  const timer = setInterval(
    () => {
      if (full) socket.cork();
      for (const now = process.hrtime.bigint(); start + BigInt(index) * interval <= now; index++) {
        if (!socket.writable) break;
        const record = Buffer.allocUnsafe(size);
        record.writeUInt32BE(index, 0);
        record.writeBigUInt64BE(now, 4);
        bodyOf(index, size).copy(record, HEAD_BYTES);
        socket.write(record);
      }
      if (full) socket.uncork();
    },
    Math.max(1, Math.floor(250 / rate)),
  );
  socket.on("close", () => {
    clearInterval(timer);
    print({ event: "sent", records: index, peer });
  });
}

/** Receives records, checks that none is missing or changed, and writes down when each came. */
function receiveRecords(socket: Socket, { size, file }: Order): void {
  const peer = socket.remotePort;
  let pending: Buffer = Buffer.alloc(0);
  let expected = 0;
  let lines = "index,sentNs,arrivedNs\n";
  if (file !== "-") writeFileSync(file, "");
  const flush = (): void => {
    if (file !== "-" && lines !== "") appendFileSync(file, lines);
    lines = "";
  };
  const timer = setInterval(flush, FLUSH_MS);
  socket.on("data", (chunk: Buffer) => {
    const arrived = process.hrtime.bigint();
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= size) {
      const index = pending.readUInt32BE(0);
      if (index !== expected || !pending.subarray(HEAD_BYTES, size).equals(bodyOf(index, size))) {
        print({ event: "corrupt", index, expected, peer });
        socket.destroy();
        return;
      }
      lines += `${index},${pending.readBigUInt64BE(4)},${arrived}\n`;
      pending = pending.subarray(size);
      expected++;
    }
  });
  socket.on("close", () => {
    clearInterval(timer);
    flush();
    print({ event: "end", records: expected, rest: pending.length, peer });
  });
}

function start(socket: Socket, order: Order, sender: boolean): void {
  socket.on("error", (error) => print({ event: "error", error: error.message }));
  if (sender) sendRecords(socket, order);
  else receiveRecords(socket, order);
  // The half that carries no records still has to be read, or its end would never be seen.
  if (sender) socket.resume();
}

/** Serves one order per connection: its first line, JSON. */
function serve(port: number, host: string): void {
  const server = createServer((socket) => {
    let head = Buffer.alloc(0);
    const take = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf(10);
      if (end < 0) return;
      socket.off("data", take);
      const order = JSON.parse(head.subarray(0, end).toString()) as Order;
      if (end + 1 < head.length) socket.unshift(head.subarray(end + 1));
      start(socket, order, !order.up);
    };
    socket.on("data", take);
  });
  server.listen(port, host, () => print({ event: "ready", port }));
}

try {
  // A measuring instrument should not wait behind what it measures.
  if (getPriority() > -10) setPriority(-10);
} catch {
  // Not allowed in a user namespace.
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    listen: { type: "string", default: "::" },
    to: { type: "string", default: "127.0.0.1" },
    port: { type: "string", default: "5202" },
    rate: { type: "string", default: "50" },
    size: { type: "string", default: "64" },
    file: { type: "string", default: "-" },
    up: { type: "boolean", default: false },
    full: { type: "boolean", default: false },
  },
});

if (positionals[0] === "serve") {
  serve(Number(values.port), values.listen);
} else if (positionals[0] === "connect") {
  const { up, full, file } = values;
  const size = Math.min(SIZE_MAX, Math.max(HEAD_BYTES, Number(values.size)));
  const order: Order = { rate: Number(values.rate), size, up, full, file };
  const socket = connect({ host: values.to, port: Number(values.port) }, () => {
    socket.write(`${JSON.stringify(order)}\n`);
    print({ event: "connected", local: `${socket.localAddress}:${socket.localPort}` });
    start(socket, order, order.up);
  });
  process.on("SIGTERM", () => socket.end());
} else {
  console.error("usage: stamped.ts serve|connect …");
  process.exitCode = 2;
}
