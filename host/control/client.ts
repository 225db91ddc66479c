// The other end of server.ts, for the command line and for tests.
import { type IncomingMessage, request } from "node:http";
import { createInterface } from "node:readline";

/** The daemon refused, failed, or is not there. */
export class ControlError extends Error {
  /** HTTP status; 0 = no daemon answered. */
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = "ControlError";
    this.status = status;
    this.code = code;
  }
}

export class ControlClient {
  #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** One request, one JSON value (or text for /metrics). Throws ControlError. */
  async call<T>(method: "GET" | "POST" | "PATCH" | "DELETE", path: string, body?: object): Promise<T> {
    const response = await this.#send(method, path, body);
    const text = await textOf(response);
    if (response.statusCode !== 200) throw failure(response.statusCode ?? 0, text);
    if (!response.headers["content-type"]?.startsWith("application/json")) return text as T;
    return JSON.parse(text) as T;
  }

  /** The lines of a stream until the daemon or the caller ends it. Throws ControlError. */
  async *lines(path: string): AsyncGenerator<string> {
    const response = await this.#send("GET", path);
    if (response.statusCode !== 200) throw failure(response.statusCode ?? 0, await textOf(response));
    try {
      for await (const line of createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY })) {
        if (line !== "") yield line;
      }
    } finally {
      response.destroy();
    }
  }

  #send(method: string, path: string, body?: object): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { "content-type": "application/json" };
      const outgoing = request({ socketPath: this.#socket, method, path, headers, agent: false }, resolve);
      outgoing.on("error", (error: NodeJS.ErrnoException) => reject(unreachable(this.#socket, error)));
      outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  return text;
}

function failure(status: number, text: string): ControlError {
  try {
    const { error } = JSON.parse(text) as { error: { code: string; message: string } };
    return new ControlError(status, error.code, error.message);
  } catch {
    return new ControlError(status, "internal", `the daemon answered with status ${status}`);
  }
}

function unreachable(socket: string, error: NodeJS.ErrnoException): ControlError {
  if (error.code === "EACCES") {
    return new ControlError(
      0,
      "no_permission",
      `no permission to use ${socket}; remedy: run as the daemon's user (root)`,
    );
  }
  const cause = error.code === "ENOENT" || error.code === "ECONNREFUSED" ? "no daemon answers" : error.message;
  return new ControlError(0, "no_daemon", `${cause} on ${socket}; remedy: shunt up -c shunt.toml, or --socket PATH`);
}
