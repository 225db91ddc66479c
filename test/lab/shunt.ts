// A Shunt daemon on a lab host, and the command line that talks to it.

import { existsSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "smol-toml";
import type { Host } from "./host.ts";
import type { Exit, Program } from "./program.ts";

export const repository = new URL("../../", import.meta.url).pathname;
const executable = join(repository, "bin/shunt");

/** How long a daemon may take to answer, ms: the engine is compiled on first use. */
const START_MS = 60_000;

/** What a shunt.toml can hold; keys as in the file. */
export interface ShuntConfig {
  role?: "host" | "anchor";
  match?: { ports?: (number | string)[] };
  path?: { name: string; interface: string; gateway?: string; backup?: boolean }[];
  policy?: {
    default?: string;
    prefer?: string[];
    advertise?: boolean;
    receive_on_all?: boolean;
    [key: string]: unknown;
  };
  [key: string]: unknown;
}

export interface CommandResult {
  code: number | null;
  /** Parsed standard output, undefined when it was not JSON. */
  json: unknown;
  stdout: string;
  stderr: string;
}

/** Whether the daemon has been built at all. */
export function shuntExists(): boolean {
  return existsSync(executable);
}

/** A configuration with a path per network of the host, all ports; the first network is preferred. */
export function defaultConfig(host: Host, change: ShuntConfig = {}): ShuntConfig {
  const path = host.networks.map(({ name }) => ({ name, interface: name }));
  return { role: "host", path, policy: { default: "active-standby", prefer: path.map(({ name }) => name) }, ...change };
}

/** A running daemon. */
export class Shunt {
  readonly host: Host;
  readonly program: Program;
  readonly socket: string;

  constructor(host: Host, program: Program, socket: string) {
    this.host = host;
    this.program = program;
    this.socket = socket;
  }

  /** Standard output and error so far. */
  get log(): string {
    return this.program.output();
  }

  /** Runs a command with `--json` against this daemon. */
  async try(...args: string[]): Promise<CommandResult> {
    return runShunt(this.host, [...args, "--json", "--socket", this.socket]);
  }

  /** The same, but it must succeed; returns what it printed. */
  async command(...args: string[]): Promise<unknown> {
    const result = await this.try(...args);
    if (result.code !== 0) {
      const output = `${result.stderr}${result.stdout}`.trimEnd();
      throw new Error(`${this.host.name}: shunt ${args.join(" ")}: exit ${result.code}: ${output}\n${this.log}`);
    }
    return result.json;
  }

  /** Moves connections to a path; returns when they have moved. */
  async handover(to: string, ...options: string[]): Promise<unknown> {
    return this.command("handover", "--to", to, ...options);
  }

  /** The same as `handover`, by the control API itself: no program has to start. Answers whether all moved. */
  async requestHandover(to: string, mode: "make-before-break" | "break-before-make"): Promise<boolean> {
    const answer = (await ask(this.socket, "POST", "/v1/handover", { to, mode })) as { ok?: boolean };
    return answer.ok === true;
  }

  /** The same as `shunt status --json`, by the control API itself. */
  async status(): Promise<unknown> {
    return ask(this.socket, "GET", "/v1/status");
  }

  /** The engine's counters by name, as Prometheus is told them; drop reasons as `drop_…`. */
  async counters(): Promise<Record<string, number>> {
    const text = await this.host.exec(["curl", "-sS", "--unix-socket", this.socket, "http://shunt/metrics"]);
    const rows = [...text.matchAll(/^shunt_(engine|dropped_packets)_total\{\w+="(\w+)"\} (\d+)/gm)];
    return Object.fromEntries(
      rows.map(([, kind, name, value]) => [kind === "engine" ? name : `drop_${name}`, Number(value)]),
    );
  }

  /** Ends the daemon as a service manager would. */
  async stop(): Promise<Exit> {
    return this.program.stop("SIGTERM", 10_000);
  }
}

/** A request to the control API; resolves with the answer. */
function ask(socketPath: string, method: "GET" | "POST", path: string, body?: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const sent = request({ socketPath, path, method, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve(JSON.parse(text))).on("error", reject);
    });
    sent.on("error", reject).end(body && JSON.stringify(body));
  });
}

/** Runs the command line on a host. */
export async function runShunt(host: Host, args: readonly string[]): Promise<CommandResult> {
  const { code, stdout, stderr } = await host.try([executable, ...args]);
  let json: unknown;
  try {
    json = JSON.parse(stdout);
  } catch {
    json = undefined;
  }
  return { code, json, stdout, stderr };
}

/** Writes a configuration into the host's directory; returns the file. */
export function writeConfig(host: Host, config: ShuntConfig, name = "shunt.toml"): string {
  const file = join(host.directory, name);
  writeFileSync(file, stringify(config as Record<string, unknown>));
  return file;
}

/** Starts `shunt up` on a host and waits for its control socket to answer. */
export async function startShunt(host: Host, change: ShuntConfig = {}, name = "shunt"): Promise<Shunt> {
  const config = writeConfig(host, defaultConfig(host, change), `${name}.toml`);
  const socket = join(host.directory, `${name}.sock`);
  const program = host.spawn([executable, "up", "-c", config, "--socket", socket]);
  const deadline = Date.now() + START_MS;
  while (!(await answers(socket))) {
    if (!program.isRunning) throw new Error(`${host.name}: shunt up ended: ${program.output()}`);
    if (Date.now() > deadline) throw new Error(`${host.name}: shunt up did not answer in time: ${program.output()}`);
    await sleep(50);
  }
  return new Shunt(host, program, socket);
}

/** Whether an HTTP server answers at a Unix socket. */
function answers(path: string): Promise<boolean> {
  if (!existsSync(path)) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect(path, () => socket.write("GET / HTTP/1.0\r\n\r\n"));
    const end = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket
      .once("data", () => end(true))
      .once("error", () => end(false))
      .once("close", () => end(false));
    socket.setTimeout(1000, () => end(false));
  });
}
