// Transfers between lab hosts (`apps/transfer.ts`), with what came of them.

import type { Outcome } from "./apps/transfer.ts";
import type { Host } from "./host.ts";
import type { Program } from "./program.ts";

const app = new URL("apps/transfer.ts", import.meta.url).pathname;

/** A port that every test's `match` covers, since the default is all. */
export const PORT = 5201;

export interface TransferOptions {
  /** Client to server, bytes. */
  up?: number;
  /** Server to client, bytes. */
  down?: number;
  /** Of each sender, bytes per second; default unlimited. */
  rate?: number;
  /** Of each sender, bytes: the last ones, which wait for hurry(). */
  hold?: number;
  count?: number;
  parallel?: number;
  seed?: number;
  timeoutSeconds?: number;
  /** Each end closes its half as soon as it has sent its part. */
  halfClose?: boolean;
  /** Address that the client calls from; the kernel's choice when absent. */
  from?: string;
  /** The program's sockets are the kernel's own MPTCP sockets. */
  native?: boolean;
}

function command(native: boolean | undefined, args: readonly string[]): string[] {
  return [...(native ? ["mptcpize", "run"] : []), "node", app, ...args];
}

function outcomesIn(text: string): Outcome[] {
  const lines = text.split("\n").filter((line) => line.startsWith('{"event":"end"'));
  return lines.map((line) => JSON.parse(line) as Outcome);
}

/** The end that waits for calls. */
export class TransferServer {
  readonly program: Program;

  private constructor(program: Program) {
    this.program = program;
  }

  static async start(host: Host, native = false): Promise<TransferServer> {
    const program = host.spawn(command(native, ["serve", "--port", `${PORT}`]));
    await program.line(/"ready"/);
    return new TransferServer(program);
  }

  /** Connections that have ended, as the server saw them. */
  get outcomes(): Outcome[] {
    return outcomesIn(this.program.stdout);
  }

  /** Waits until `count` connections have ended. */
  async ended(count: number, timeoutMs = 30_000): Promise<Outcome[]> {
    const deadline = Date.now() + timeoutMs;
    while (this.outcomes.length < count && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 50));
    return this.outcomes;
  }
}

/** The end that calls. */
export class Transfer {
  readonly program: Program;
  private sent = 0;
  private received = 0;

  constructor(host: Host, to: string, options: TransferOptions) {
    const args = ["connect", "--to", to, "--port", `${PORT}`];
    const { timeoutSeconds, native, halfClose, ...amounts } = options;
    if (halfClose) args.push("--half-close");
    for (const [name, value] of Object.entries({ ...amounts, timeout: timeoutSeconds ?? 120 })) {
      args.push(`--${name}`, `${value}`);
    }
    this.program = host.spawn(command(native, args));
    this.program.onLine((line) => {
      const { event, sent, received } = JSON.parse(line) as { event: string; sent: number; received: number };
      if (event === "progress") [this.sent, this.received] = [sent, received];
    });
  }

  /** Waits until the client has sent (up) or received (down) so many bytes; fails when the transfer ends before. */
  async reached(bytes: { up?: number; down?: number }): Promise<void> {
    while (this.sent < (bytes.up ?? 0) || this.received < (bytes.down ?? 0)) {
      if (!this.program.isRunning)
        throw new Error(`the transfer ended too early: ${this.program.output().slice(-1000)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Waits for the end; one outcome per connection. */
  async outcomes(): Promise<Outcome[]> {
    await this.program.exited;
    const outcomes = outcomesIn(this.program.stdout);
    if (outcomes.length === 0) throw new Error(`the transfer said nothing: ${this.program.output()}`);
    return outcomes;
  }

  /** Waits for the end of a single connection. */
  async outcome(): Promise<Outcome> {
    return (await this.outcomes())[0] as Outcome;
  }
}
