// A WebSocket that is spoken to and echoes: Node's own client, the server of the library `ws`.
//
//     node websocket.ts serve --port 5204
//     node websocket.ts connect --to 10.0.1.2 --port 5204 [--count 256] [--seed N]
//
// Messages are the blocks of the stream of a seed (64 KiB, each unlike the others). At the end both print a JSON line.

import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import { WebSocketServer } from "ws";
import { BLOCK_BYTES, Stream } from "./stream.ts";

/** How one end saw a connection. */
export interface WebSocketOutcome {
  event: "end";
  messages: number;
  /** Octets received in messages. */
  octets: number;
  /** Of what was received, hex. */
  sha256: string;
  /** Close code, RFC 6455 §7.4.1: 1000 = in order, 1006 = without a word. */
  code: number;
}

/** Messages under way at a time. */
const WINDOW = 8;

/** Counts and hashes messages. */
class Receiver {
  messages = 0;
  octets = 0;
  private readonly hash = createHash("sha256");

  take(message: Uint8Array): void {
    this.messages++;
    this.octets += message.length;
    this.hash.update(message);
  }

  print(code: number): void {
    const { messages, octets } = this;
    const outcome: WebSocketOutcome = { event: "end", messages, octets, sha256: this.hash.digest("hex"), code };
    console.log(JSON.stringify(outcome));
  }
}

function serve(port: number): void {
  const server = new WebSocketServer({ port });
  server.on("listening", () => console.log(JSON.stringify({ event: "ready", port })));
  server.on("connection", (socket) => {
    const receiver = new Receiver();
    socket.on("message", (message: Buffer) => {
      receiver.take(message);
      socket.send(message);
    });
    socket.on("close", (code) => receiver.print(code));
  });
}

function call(url: string, seed: number, count: number): void {
  const stream = new Stream(seed);
  const receiver = new Receiver();
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  let sent = 0;
  const send = (): void => {
    for (; sent < count && sent < receiver.messages + WINDOW; sent++) {
      socket.send(new Uint8Array(stream.block(sent)));
    }
  };
  socket.addEventListener("open", send);
  socket.addEventListener("message", ({ data }) => {
    receiver.take(new Uint8Array(data as ArrayBuffer));
    if (receiver.messages === count) socket.close(1000);
    send();
  });
  socket.addEventListener("close", ({ code }) => {
    receiver.print(code);
    const isExact = code === 1000 && receiver.octets === count * BLOCK_BYTES;
    process.exitCode = isExact ? 0 : 1;
  });
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    to: { type: "string", default: "127.0.0.1" },
    port: { type: "string", default: "5204" },
    count: { type: "string", default: "256" },
    seed: { type: "string", default: "1" },
  },
});

if (positionals[0] === "serve") {
  serve(Number(values.port));
} else if (positionals[0] === "connect") {
  call(`ws://${values.to}:${values.port}/`, Number(values.seed), Number(values.count));
} else {
  console.error("usage: websocket.ts serve|connect …");
  process.exitCode = 2;
}
