// An interactive stream: small records at a steady pace, each echoed as it comes.
//
//     node interactive.ts serve --port 5203
//     node interactive.ts connect --to 10.0.1.2 --port 5203 [--rate 50] [--size 64] [--count 200] [--seed N]
//
// Records are successive pieces of the stream of a seed, so what comes back is wrong at the first octet that is lost,
// doubled or out of order. At the end both print one JSON line.

import { connect, createServer, type Socket } from "node:net";
import { parseArgs } from "node:util";
import { Checker, Stream } from "./stream.ts";

/** How one end saw a connection; octets. */
export interface InteractiveOutcome {
  event: "end";
  sent: number;
  received: number;
  /** Offset of the first wrong octet, -1 = none. Only the client knows. */
  firstError?: number;
  error: string | null;
}

function finish(socket: Socket, seen: () => Omit<InteractiveOutcome, "event" | "error">): void {
  let error: string | null = null;
  socket.on("error", (cause: NodeJS.ErrnoException) => {
    error = cause.code ?? cause.message;
  });
  socket.on("close", () => {
    const outcome: InteractiveOutcome = { event: "end", ...seen(), error };
    console.log(JSON.stringify(outcome));
  });
}

function serve(port: number): void {
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    finish(socket, () => ({ sent: socket.bytesWritten, received: socket.bytesRead }));
    socket.pipe(socket);
  });
  server.listen(port, () => console.log(JSON.stringify({ event: "ready", port })));
}

function call(to: string, port: number, seed: number, { rate = 0, size = 0, count = 0 }): void {
  const stream = new Stream(seed);
  const checker = new Checker(seed);
  const socket = connect({ host: to, port, noDelay: true });
  let sent = 0;
  finish(socket, () => ({ sent, received: checker.received, firstError: checker.firstError }));
  socket.on("connect", () => {
    const timer = setInterval(() => {
      sent += size;
      socket.write(stream.slice(sent - size, size));
      if (sent === count * size) clearInterval(timer);
    }, 1000 / rate);
    socket.on("close", () => clearInterval(timer));
  });
  socket.on("data", (chunk: Buffer) => {
    checker.take(chunk);
    if (checker.received >= count * size) socket.end();
  });
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    to: { type: "string", default: "127.0.0.1" },
    port: { type: "string", default: "5203" },
    rate: { type: "string", default: "50" },
    size: { type: "string", default: "64" },
    count: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
  },
});

if (positionals[0] === "serve") {
  serve(Number(values.port));
} else if (positionals[0] === "connect") {
  const records = { rate: Number(values.rate), size: Number(values.size), count: Number(values.count) };
  call(values.to, Number(values.port), Number(values.seed), records);
} else {
  console.error("usage: interactive.ts serve|connect …");
  process.exitCode = 2;
}
