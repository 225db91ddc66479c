// Byte-exact transfers over plain TCP sockets: upload, download, both at once, one or many.
//
//     node transfer.ts serve --port 5201 [--listen 10.0.1.2]
//     node transfer.ts connect --to 10.0.1.2 --port 5201 [--up BYTES] [--down BYTES] [--rate BYTES_PER_SECOND]
//                              [--hold BYTES] [--count N] [--parallel N] [--seed N] [--timeout SECONDS] [--half-close]
//                              [--from ADDR]
//
// The client opens with one line of JSON (`Order`), then both ends send their part. An end closes its half when it has
// sent and received everything, or with `--half-close` as soon as it has sent. (Linux joins no subflow to a connection
// of which one half is closed.) Each end compares what it receives with what the seed says. Both print JSON lines:
// `{"event":"progress"|"end", …}`.

import { connect, createServer, type Socket } from "node:net";
import { parseArgs } from "node:util";
import { Checker, Stream } from "./stream.ts";

/** What the client asks for; lengths in bytes. */
interface Order {
  up: number;
  down: number;
  seed: number;
  /** Of each sender, bytes per second; 0 = unlimited. */
  rate: number;
  /** The last bytes of each sender wait for SIGUSR2: a test that comes late still finds something to move. */
  hold: number;
  halfClose: boolean;
}

/** How one end saw a connection. */
export interface Outcome {
  event: "end";
  role: "client" | "server";
  /** Every byte arrived, no other did, and the connection was closed in order. */
  exact: boolean;
  sent: number;
  received: number;
  expected: number;
  /** Offset of the first wrong byte, -1 = none. */
  firstError: number;
  sha256: string;
  localAddress: string;
  error: string | null;
  /** From the first call to the end, seconds. */
  seconds: number;
}

/** SIGUSR2 makes present senders send the rest as fast as they can: a test that has seen enough need not wait. */
let hurriedMs = -1;
process.on("SIGUSR2", () => {
  hurriedMs = performance.now();
});

/** Interval of a paced sender and of progress lines, ms. */
const PACE_MS = 10;
const PROGRESS_MS = 200;

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Sends `length` bytes of a stream as the order wants it. Resolves when the socket has taken all. */
async function send(socket: Socket, seed: number, length: number, order: Order, note: (sent: number) => void) {
  const stream = new Stream(seed);
  const start = performance.now();
  const rate = order.rate || Number.MAX_SAFE_INTEGER;
  for (let sent = 0; sent < length && !socket.destroyed; ) {
    const isHurried = hurriedMs >= start;
    const now = isHurried ? length : Math.max(length - order.hold, 0);
    const due = isHurried ? length : Math.floor((rate * (performance.now() - start)) / 1000);
    const allowed = Math.min(due, now) - sent;
    // A few bytes become due while we look; sending those alone would never leave the loop.
    if (allowed <= 0 || allowed < Math.min((rate * PACE_MS) / 1000, now - sent)) {
      await new Promise((resolve) => setTimeout(resolve, PACE_MS));
      continue;
    }
    const piece = stream.slice(sent, Math.min(length - sent, allowed));
    sent += piece.length;
    note(sent);
    if (socket.write(piece)) continue;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        socket.off("drain", go).off("close", go);
        resolve();
      };
      socket.on("drain", go).on("close", go);
    });
  }
}

/** Runs one end of a connection until both halves are closed. The two directions use different seeds. */
function converse(socket: Socket, role: Outcome["role"], order: Order, first: Buffer): Promise<Outcome> {
  const isClient = role === "client";
  const expected = isClient ? order.down : order.up;
  const length = isClient ? order.up : order.down;
  const checker = new Checker(isClient ? order.seed + 1 : order.seed);
  const start = performance.now();
  let sent = 0;
  let error: string | null = null;
  const localAddress = `${socket.localAddress}:${socket.localPort}`;
  const progress = setInterval(() => print({ event: "progress", role, sent, received: checker.received }), PROGRESS_MS);
  let complete = (): void => {};
  const received = new Promise<void>((resolve) => {
    complete = resolve;
  });
  const take = (chunk: Buffer): void => {
    checker.take(chunk);
    if (checker.received >= expected) complete();
  };
  take(first);
  socket.on("data", take).on("end", complete).on("close", complete);
  socket.on("error", (cause: NodeJS.ErrnoException) => {
    error = cause.code ?? cause.message;
  });
  const note = (count: number): void => {
    sent = count;
  };
  send(socket, isClient ? order.seed : order.seed + 1, length, order, note)
    .then(() => (order.halfClose ? undefined : received))
    .then(() => socket.end());
  return new Promise((resolve) => {
    socket.on("close", () => {
      clearInterval(progress);
      const { received, firstError } = checker;
      const exact = error === null && firstError < 0 && received === expected && sent === length;
      const sha256 = checker.sha256();
      const seconds = (performance.now() - start) / 1000;
      resolve({
        event: "end",
        role,
        exact,
        sent,
        received,
        expected,
        firstError,
        sha256,
        localAddress,
        error,
        seconds,
      });
    });
  });
}

/** Reads the order, the first line of a connection; what follows it already belongs to the upload. */
function readOrder(socket: Socket): Promise<[Order, Buffer]> {
  return new Promise((resolve, reject) => {
    let head = Buffer.alloc(0);
    const take = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf(10);
      if (end < 0) return;
      socket.off("data", take).off("error", reject).off("close", reject);
      resolve([JSON.parse(head.subarray(0, end).toString()) as Order, head.subarray(end + 1)]);
    };
    socket.on("data", take).on("error", reject).on("close", reject);
  });
}

function serve(port: number, host: string): void {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    readOrder(socket)
      .then(([order, first]) => converse(socket, "server", order, first))
      .then(print)
      .catch((error: unknown) => print({ event: "refused", error: String(error) }));
  });
  server.listen(port, host, () => print({ event: "ready", port }));
}

/** Connects; null when that fails. */
function dial(to: string, port: number): Promise<Socket | null> {
  const from = values.from === undefined ? {} : { localAddress: values.from };
  return new Promise((resolve) => {
    const socket = connect({ host: to, port, allowHalfOpen: true, ...from }, () => resolve(socket));
    socket.once("error", () => resolve(null));
  });
}

async function call(to: string, port: number, order: Order, timeoutMs: number): Promise<Outcome> {
  const socket = await dial(to, port);
  if (socket === null) {
    const nothing = {
      exact: false,
      sent: 0,
      received: 0,
      expected: order.down,
      firstError: -1,
      sha256: "",
      seconds: 0,
    };
    return { event: "end", role: "client", ...nothing, localAddress: "", error: "no connection" };
  }
  const timer = setTimeout(() => socket.destroy(new Error("timeout")), timeoutMs);
  socket.write(`${JSON.stringify(order)}\n`);
  const outcome = await converse(socket, "client", order, Buffer.alloc(0));
  clearTimeout(timer);
  return outcome;
}

/** Makes `count` calls, `parallel` at a time. */
async function callMany(count: number, parallel: number, one: (index: number) => Promise<Outcome>): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) outcomes.push(await one(next++));
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  return outcomes;
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    listen: { type: "string", default: "::" },
    to: { type: "string", default: "127.0.0.1" },
    port: { type: "string", default: "5201" },
    up: { type: "string", default: "0" },
    down: { type: "string", default: "0" },
    rate: { type: "string", default: "0" },
    hold: { type: "string", default: "0" },
    seed: { type: "string", default: "1" },
    count: { type: "string", default: "1" },
    parallel: { type: "string", default: "1" },
    timeout: { type: "string", default: "120" },
    from: { type: "string" },
    "half-close": { type: "boolean", default: false },
  },
});

if (positionals[0] === "serve") {
  serve(Number(values.port), values.listen);
} else if (positionals[0] === "connect") {
  const amounts = { up: Number(values.up), down: Number(values.down) };
  const pace = { rate: Number(values.rate), hold: Number(values.hold) };
  const order = { ...amounts, ...pace, halfClose: values["half-close"] };
  const seed = Number(values.seed);
  const one = (index: number): Promise<Outcome> =>
    call(values.to, Number(values.port), { ...order, seed: seed + 2 * index }, Number(values.timeout) * 1000);
  const outcomes = await callMany(Number(values.count), Number(values.parallel), one);
  for (const outcome of outcomes) print(outcome);
  process.exitCode = outcomes.every((outcome) => outcome.exact) ? 0 : 1;
} else {
  console.error("usage: transfer.ts serve|connect …");
  process.exitCode = 2;
}
