// A stream of stamped records, to see a handover as an application sees it.
//
//     node stamped.ts serve --port 5202 [--listen 10.0.1.2]
//     node stamped.ts connect --to 10.0.1.2 --port 5202 --file gaps.csv [--rate 50] [--size 64] [--up]
//
// The sender stamps each record with its number and its clock; the receiver notes the arrival of each. Both run on one
// machine, so CLOCK_MONOTONIC is one clock. The receiver writes `index,sentNs,arrivedNs` to a file (`-`: none) as they
// come. With `--up` the client sends and the server is the receiver: it writes to the file that the client names.

import { appendFileSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { setPriority } from "node:os";
import { parseArgs } from "node:util";

/** Number (u32) and clock (u64) at the head of a record, bytes. */
const HEAD_BYTES = 12;

interface Order {
  /** Records per second. */
  rate: number;
  /** Bytes per record. */
  size: number;
  up: boolean;
  /** Where the receiver writes. */
  file: string;
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Sends a record whenever one is due; a late timer sends all that are due, each with its own stamp. */
function sendRecords(socket: Socket, { rate, size }: Order): void {
  socket.setNoDelay(true);
  const start = process.hrtime.bigint();
  const interval = BigInt(Math.round(1e9 / rate));
  let index = 0;
  const timer = setInterval(
    () => {
      for (const now = process.hrtime.bigint(); start + BigInt(index) * interval <= now; index++) {
        const record = Buffer.alloc(size, index & 0xff);
        record.writeUInt32BE(index, 0);
        record.writeBigUInt64BE(now, 4);
        if (socket.writable) socket.write(record);
      }
    },
    Math.max(1, Math.floor(250 / rate)),
  );
  socket.on("close", () => clearInterval(timer));
}

/** Receives records, checks that none is missing or changed, and writes down when each came. */
function receiveRecords(socket: Socket, { size, file }: Order): void {
  let pending = Buffer.alloc(0);
  let expected = 0;
  if (file !== "-") writeFileSync(file, "index,sentNs,arrivedNs\n");
  socket.on("data", (chunk: Buffer) => {
    const arrived = process.hrtime.bigint();
    pending = Buffer.concat([pending, chunk]);
    let lines = "";
    while (pending.length >= size) {
      const index = pending.readUInt32BE(0);
      const filled = pending.subarray(HEAD_BYTES, size).every((byte) => byte === (index & 0xff));
      if (index !== expected || !filled) {
        print({ event: "corrupt", index, expected });
        socket.destroy();
        return;
      }
      lines += `${index},${pending.readBigUInt64BE(4)},${arrived}\n`;
      pending = pending.subarray(size);
      expected++;
    }
    if (file !== "-" && lines !== "") appendFileSync(file, lines);
  });
  socket.on("close", () => print({ event: "end", records: expected }));
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
  setPriority(-10); // A measuring instrument should not wait behind what it measures.
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
  },
});

if (positionals[0] === "serve") {
  serve(Number(values.port), values.listen);
} else if (positionals[0] === "connect") {
  const order: Order = { rate: Number(values.rate), size: Number(values.size), up: values.up, file: values.file };
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
