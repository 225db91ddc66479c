// HTTP + JSON over a Unix socket. openapi.json is the routing table: every operationId in it has a handler of that
// name, and request bodies are checked against its schemas, so description and behaviour cannot drift apart.
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect, isIPv4, isIPv6 } from "node:net";
import { dirname, join } from "node:path";
import { Ajv, type ValidateFunction } from "ajv";
import { ApiError } from "./api-error.ts";

/** A request after routing and checking. */
export interface ApiRequest {
  /** Names in the path, such as {connection}. */
  parameters: Record<string, string>;
  query: URLSearchParams;
  /** Satisfies the schema of the operation; undefined if it takes none. */
  body: unknown;
}

/** What a handler gives back: a value that becomes JSON, or something that writes to the response itself. */
export type ApiResult = object | ((response: ServerResponse) => void);
export type ApiHandler = (request: ApiRequest) => ApiResult | Promise<ApiResult>;
export type ApiHandlers = Record<string, ApiHandler>;

interface Operation {
  operationId: string;
  requestBody?: { content: { "application/json": { schema: object } } };
}

interface OpenApi {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
}

interface Route {
  method: string;
  /** Matches the path; groups are its parameters. */
  pattern: RegExp;
  handler: ApiHandler;
  validate: ValidateFunction | null;
}

/** Bodies are small commands. */
const BODY_MAX = 65536;

/** The API's description. */
export function openApi(): OpenApi {
  return JSON.parse(readFileSync(join(import.meta.dirname, "openapi.json"), "utf8")) as OpenApi;
}

function routesOf(description: OpenApi, handlers: ApiHandlers): Route[] {
  const ajv = new Ajv({ strict: false, formats: { ipv4: isIPv4, ipv6: isIPv6 } });
  ajv.addSchema({ $id: "api", components: description.components });
  const routes: Route[] = [];
  for (const [path, operations] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const handler = handlers[operation.operationId];
      if (handler === undefined)
        throw new Error(`openapi.json names an operation without a handler: ${operation.operationId}`);
      const schema = operation.requestBody?.content["application/json"].schema as { $ref?: string } | undefined;
      routes.push({
        method: method.toUpperCase(),
        pattern: new RegExp(`^${path.replaceAll(".", "\\.").replaceAll(/\{(\w+)\}/g, "(?<$1>[^/]+)")}$`),
        handler,
        validate: schema?.$ref === undefined ? null : ajv.compile({ $ref: `api${schema.$ref}` }),
      });
    }
  }
  return routes;
}

/** The control API's listening end. */
export class ControlServer {
  #server: Server;
  #socket: string;

  private constructor(server: Server, socket: string) {
    this.#server = server;
    this.#socket = socket;
  }

  /** Listens on a Unix socket. Throws an Error with a remedy if another daemon does so already. */
  static async start(socket: string, handlers: ApiHandlers): Promise<ControlServer> {
    const routes = routesOf(openApi(), handlers);
    if (existsSync(socket)) {
      if (await answers(socket)) {
        throw new Error(`the control socket ${socket} is in use by another daemon; remedy: --socket PATH for this one`);
      }
      rmSync(socket);
    }
    mkdirSync(dirname(socket), { recursive: true, mode: 0o755 });
    const server = createServer((request, response) => void answer(routes, request, response));
    // Nobody but the owner may so much as connect, not even for the moment between listen and chmod.
    const mask = process.umask(0o177);
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(socket, resolve);
      });
    } catch (error) {
      throw new Error(
        `cannot listen on ${socket}: ${(error as Error).message}; remedy: --socket PATH of 107 characters at most`,
      );
    } finally {
      process.umask(mask);
    }
    chmodSync(socket, 0o600);
    return new ControlServer(server, socket);
  }

  /** Ends all conversations and removes the socket. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
    rmSync(this.#socket, { force: true });
  }
}

function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socket);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
}

async function answer(routes: Route[], request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const result = await dispatch(routes, request);
    if (typeof result === "function") result(response);
    else sendJson(response, 200, result);
  } catch (error) {
    const failure = error instanceof ApiError ? error : new ApiError(500, "internal", (error as Error).message);
    sendJson(response, failure.status, { error: { code: failure.code, message: failure.message } });
  }
}

function sendJson(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${JSON.stringify(value)}\n`);
}

async function dispatch(routes: Route[], request: IncomingMessage): Promise<ApiResult> {
  const url = new URL(request.url ?? "/", "http://shunt");
  const here = routes.filter((route) => route.pattern.test(url.pathname));
  const route = here.find((candidate) => candidate.method === request.method);
  if (route === undefined) {
    const allowed = here.map((candidate) => candidate.method).join(", ");
    throw here.length === 0
      ? new ApiError(404, "no_such_endpoint", `there is no ${url.pathname}`)
      : new ApiError(400, "wrong_method", `${url.pathname} takes ${allowed}`);
  }
  const groups = route.pattern.exec(url.pathname)?.groups ?? {};
  const parameters = Object.fromEntries(Object.entries(groups).map(([name, text]) => [name, decodeURIComponent(text)]));
  return await route.handler({ parameters, query: url.searchParams, body: await readBody(route, request) });
}

async function readBody(route: Route, request: IncomingMessage): Promise<unknown> {
  if (route.validate === null) return undefined;
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) {
    text += chunk;
    if (text.length > BODY_MAX) throw new ApiError(400, "too_long", `a request has at most ${BODY_MAX} characters`);
  }
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new ApiError(400, "bad_request", "the request's body is not JSON");
  }
  if (route.validate(body)) return body;
  const error = route.validate.errors?.[0];
  const where = error?.instancePath.replaceAll("/", ".").slice(1) ?? "";
  const extra = error?.params.additionalProperty === undefined ? "" : ` ("${error.params.additionalProperty}")`;
  throw new ApiError(400, "bad_request", `${where === "" ? "request" : where}: ${error?.message ?? "wrong"}${extra}`);
}
