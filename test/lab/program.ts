// Child processes of the lab: run to the end, or kept running with their output collected.

import { type ChildProcess, spawn } from "node:child_process";
import { dirname } from "node:path";

/** Output kept per stream, bytes; older output is cut from the front. */
const OUTPUT_MAX = 8 << 20;

export interface ProgramOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** Written to standard input, which is then closed. */
  input?: string;
  /** Keeps standard input open until the program is stopped. */
  holdInput?: boolean;
}

export interface Exit {
  /** Exit code; 128 + signal number is not used, see `signal`. */
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface Result extends Exit {
  stdout: string;
  stderr: string;
}

/** Programs that still run, so that an interrupted lab can end them. */
const running = new Set<Program>();

/** A running child process. */
export class Program {
  readonly command: readonly string[];
  readonly exited: Promise<Exit>;
  stdout = "";
  stderr = "";
  private readonly child: ChildProcess;
  private readonly listeners: ((line: string) => void)[] = [];
  private partial = "";
  private exit: Exit | undefined;

  constructor(command: readonly string[], options: ProgramOptions = {}) {
    this.command = command;
    const [file = "", ...args] = command;
    // The Node that runs the lab also runs the programs under test, whatever the system's PATH says.
    const PATH = `${dirname(process.execPath)}:${process.env.PATH}:/usr/sbin:/sbin`;
    const env = { ...process.env, PATH, LC_ALL: "C", ...options.env };
    const stdin = options.holdInput || options.input !== undefined ? "pipe" : "ignore";
    this.child = spawn(file, args, { cwd: options.cwd, env, stdio: [stdin, "pipe", "pipe"] });
    this.child.stdin?.on("error", () => {}); // It may end before it has read its input.
    if (options.input !== undefined) this.child.stdin?.end(options.input);
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => this.takeOutput(text));
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr = (this.stderr + text).slice(-OUTPUT_MAX);
    });
    running.add(this);
    this.exited = new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null): void => {
        running.delete(this);
        this.exit ??= { code, signal };
        resolve(this.exit);
      };
      this.child.on("error", (error) => {
        this.stderr += `${error.message}\n`;
        end(127, null);
      });
      this.child.on("close", end);
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.exit === undefined;
  }

  /** Calls `listener` with every whole line of standard output from now on. */
  onLine(listener: (line: string) => void): void {
    this.listeners.push(listener);
  }

  /** Resolves with the first line of standard output, past or to come, that matches; rejects when the program ends first. */
  async line(pattern: RegExp, timeoutMs = 10_000): Promise<string> {
    const past = this.stdout.split("\n").find((line) => pattern.test(line));
    if (past !== undefined) return past;
    const matched = new Promise<string>((resolve) => this.onLine((line) => pattern.test(line) && resolve(line)));
    const ended = this.exited.then(() => undefined);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), timeoutMs);
    });
    const line = await Promise.race([matched, ended, late]);
    clearTimeout(timer);
    if (line === undefined) throw new Error(`${this.command.join(" ")}: no line ${pattern}\n${this.output()}`);
    return line;
  }

  /** Both streams, for messages. */
  output(): string {
    return `${this.stdout}${this.stderr}`.trimEnd();
  }

  /** Writes to its standard input, which is held open. */
  say(text: string): void {
    this.child.stdin?.write(text);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Ends the program: `signal`, then SIGKILL after `graceMs`. */
  async stop(signal: NodeJS.Signals = "SIGTERM", graceMs = 5000): Promise<Exit> {
    this.child.stdin?.end();
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill("SIGKILL"), graceMs);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  private takeOutput(text: string): void {
    this.stdout = (this.stdout + text).slice(-OUTPUT_MAX);
    const lines = (this.partial + text).split("\n");
    this.partial = lines.pop() ?? "";
    for (const line of lines) for (const listener of this.listeners) listener(line);
  }
}

/** Ends every program at once, without waiting: for exit handlers. */
export function killAllPrograms(): void {
  for (const program of running) program.signal("SIGKILL");
}

/** Runs a program to its end. */
export async function run(command: readonly string[], options: ProgramOptions = {}): Promise<Result> {
  const program = new Program(command, options);
  const exit = await program.exited;
  return { ...exit, stdout: program.stdout, stderr: program.stderr };
}

/** Runs a program that must succeed, and returns its standard output. */
export async function must(command: readonly string[], options: ProgramOptions = {}): Promise<string> {
  const result = await run(command, options);
  if (result.code !== 0) {
    const how = result.signal ?? `exit ${result.code}`;
    throw new Error(`${command.join(" ")}: ${how}\n${result.stderr}${result.stdout}`);
  }
  return result.stdout;
}
