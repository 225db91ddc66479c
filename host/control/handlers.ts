// One handler per operation of openapi.json. They translate names to numbers and answers to words; what they act on is
// given to them, so that they can be tested without a network.
import type { ServerResponse } from "node:http";
import { DEFAULT_CLASS, NO_FACTS } from "../config/config.ts";
import { type PathTable, PathTableError } from "../net/path-table.ts";
import { ApiError } from "./api-error.ts";
import { ask, type CommandAnswer } from "./commands.ts";
import type { ControlContext } from "./context.ts";
import type { EngineCommand } from "./engine-port.ts";
import { type EventFeed, type EventFilter, type EventLine, matches } from "./events.ts";
import { policyAnswer, type UseBody, withPolicies } from "./policy.ts";
import { reasonText } from "./reasons.ts";
import { type ApiHandlers, type ApiRequest, openApi } from "./server.ts";
import { pathStatuses, statusOf } from "./status.ts";

/** Time-out of a handover unless the request names one (interface contract: 10 s). */
export const HANDOVER_TIMEOUT_MS = 10_000;
const SUBFLOW_TIMEOUT_MS = 10_000;

interface HandoverBody {
  to?: string;
  auto?: boolean;
  connection?: string;
  class?: string;
  mode?: "make-before-break" | "break-before-make";
  timeoutMs?: number;
}

interface SubflowBody {
  connection: string;
  path: string;
  timeoutMs?: number;
}

interface PathBody {
  name: string;
  interface: string;
  gateway?: string;
  gateway6?: string;
  backup?: boolean;
  mtu?: number;
}

/** Handlers by operationId. */
export function controlHandlers(context: ControlContext): ApiHandlers {
  const { engine, feed, paths, metrics, policies, trace } = context;
  return {
    getStatus: () => statusOf(context),
    getEvents: ({ query }) => eventStream(feed, query),
    postHandover: ({ body }) => handover(context, body as HandoverBody),
    postSubflow: ({ body }) => {
      const { connection, path, timeoutMs } = body as SubflowBody;
      return subflowCommand(context, "subflow_add", connection, path, timeoutMs);
    },
    deleteSubflow: ({ parameters }) => {
      const { connection = "", path = "" } = parameters;
      return subflowCommand(context, "subflow_remove", connection, path);
    },
    getPaths: async () => ({ paths: pathStatuses(paths, (await engine.snapshot()).paths) }),
    postPath: async ({ body }) => {
      const { name, interface: device, gateway, gateway6, backup, mtu } = body as PathBody;
      const settings = {
        gateway: gateway ?? null,
        gateway6: gateway6 ?? null,
        backup: backup ?? false,
        mtu: mtu ?? null,
        draining: false,
        facts: NO_FACTS,
      };
      const state = await changed(() => paths.add({ name, interface: device, ...settings }));
      return { path: pathStatuses(paths, []).find((status) => status.name === state.name) as object };
    },
    patchPath: async ({ parameters, body }) => {
      await changed(() => paths.change(parameters.path ?? "", body as { backup?: boolean; draining?: boolean }));
      return { path: pathStatuses(paths, []).find((status) => status.name === parameters.path) as object };
    },
    deletePath: async ({ parameters }) => {
      await changed(() => paths.remove(parameters.path ?? ""));
      return { removed: parameters.path };
    },
    getPolicy: () => policyAnswer(policies, (id) => paths.nameOf(id)),
    postPolicyUse: async ({ body }) => {
      const { policy, class: name = DEFAULT_CLASS, shadow = false, settings } = body as UseBody;
      const request = { policy, class: name, settings };
      await withPolicies(() => (shadow ? policies.shadow(request) : policies.use(request)));
      return { class: name, policy, shadow };
    },
    postRecording: async ({ body }) => {
      const { file } = body as { file: string };
      await withPolicies(() => policies.startRecording(file));
      return { file };
    },
    deleteRecording: () => withPolicies(() => policies.stopRecording()),
    postTrace: async ({ body }) => {
      const { file, connection } = body as { file: string; connection?: string };
      return trace.start(file, connection ?? null);
    },
    deleteTrace: () => trace.stop(),
    getConfig: () => context.config(),
    postReload: async () => ({ notes: await reloaded(context) }),
    getOpenapi: () => openApi(),
    getMetrics: async () => {
      const { text, type } = await metrics.render();
      return (response: ServerResponse) => {
        response.writeHead(200, { "content-type": type });
        response.end(text);
      };
    },
  } satisfies ApiHandlers;
}

async function reloaded(context: ControlContext): Promise<string[]> {
  try {
    return await context.reload();
  } catch (error) {
    throw new ApiError(409, "bad_config", (error as Error).message);
  }
}

async function changed<T>(change: () => Promise<T>): Promise<T> {
  try {
    return await change();
  } catch (error) {
    if (!(error instanceof PathTableError)) throw error;
    throw new ApiError(error.code === "unknown" ? 404 : 409, `path_${error.code}`, error.message);
  }
}

function pathId(paths: PathTable, name: string): number {
  const state = paths.byName(name);
  if (state !== undefined) return state.id;
  const names = paths.states.map((other) => `"${other.name}"`).join(", ");
  throw new ApiError(404, "no_path", `no path is named "${name}"; there are ${names}`);
}

async function handover(context: ControlContext, body: HandoverBody): Promise<object> {
  const { engine, paths, policies } = context;
  if ((body.to === undefined) === (body.auto !== true)) {
    throw new ApiError(400, "bad_request", 'give either "to": PATH or "auto": true');
  }
  if (body.connection !== undefined && body.class !== undefined) {
    throw new ApiError(400, "bad_request", 'give "connection" or "class", not both');
  }
  const { class: className } = body;
  const classId = className === undefined ? undefined : await withPolicies(() => policies.classId(className));
  const scope = scopeOf(body, classId);
  const timeoutMs = body.timeoutMs ?? HANDOVER_TIMEOUT_MS;
  const command: EngineCommand =
    body.to === undefined
      ? { kind: "handover_auto", ...scope }
      : { kind: "handover", ...scope, path: pathId(paths, body.to), mode: modeOf(body), timeoutMs };
  const answer = await ask(engine, command, timeoutMs);
  if (body.connection !== undefined) refuseUnknown(answer, body.connection);
  else if (body.to === undefined) policies.pinned(className ?? null, 0);
  else if (answer.concerned > answer.failed) policies.pinned(className ?? null, pathId(paths, body.to));
  return { to: body.to ?? null, ...answerJson(answer, body.connection) };
}

function scopeOf(
  body: HandoverBody,
  classId: number | undefined,
): { scope: "connection"; token: string } | { scope: "class"; class: number } | { scope: "all" } {
  if (body.connection !== undefined) return { scope: "connection", token: body.connection };
  return classId === undefined ? { scope: "all" } : { scope: "class", class: classId };
}

function modeOf(body: HandoverBody): "make_before_break" | "break_before_make" {
  return body.mode === "break-before-make" ? "break_before_make" : "make_before_break";
}

function refuseUnknown(answer: CommandAnswer, connection: string): void {
  const unknown = answer.reason === "no_connection" || answer.connections[0]?.reason === "no_connection";
  if (unknown) throw new ApiError(404, "no_connection", `there is no connection ${connection}`);
}

/** The answer in the form of the outside: who moved, who did not and why. */
function answerJson(answer: CommandAnswer, connection?: string): object {
  const failed = answer.connections.filter((entry) => entry.reason !== "none");
  // A command for one connection that was refused at once is told by the command's own answer.
  if (connection !== undefined && failed.length === 0 && answer.failed > 0) {
    failed.push({ connection, reason: answer.reason, text: reasonText(answer.reason), durationUs: null });
  }
  return {
    ok: failed.length === 0 && answer.failed === 0 && answer.reason === "none",
    concerned: answer.concerned,
    done: answer.connections
      .filter((entry) => entry.reason === "none")
      .map((entry) => ({ connection: entry.connection, durationUs: entry.durationUs })),
    failed: failed.map((entry) => ({ connection: entry.connection, reason: entry.reason, text: entry.text })),
    reason: answer.reason,
    text: reasonText(answer.reason),
  };
}

async function subflowCommand(
  context: ControlContext,
  kind: "subflow_add" | "subflow_remove",
  connection: string,
  path: string,
  timeoutMs = SUBFLOW_TIMEOUT_MS,
): Promise<object> {
  const id = pathId(context.paths, path);
  const answer = await ask(context.engine, { kind, token: connection, path: id }, timeoutMs);
  refuseUnknown(answer, connection);
  return { connection, path, ...answerJson(answer, connection) };
}

function eventStream(feed: EventFeed, query: ApiRequest["query"]) {
  const filter: EventFilter = {
    connection: query.get("connection") ?? undefined,
    kinds: query.get("kind")?.split(","),
  };
  return (response: ServerResponse) => {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    const send = (line: EventLine) => {
      if (matches(line, filter)) response.write(`${JSON.stringify(line)}\n`);
    };
    if (query.get("follow") !== "true") {
      feed.history.forEach(send);
      response.end();
      return;
    }
    // The head goes out at once, so that a follower knows that nothing from here on is missed.
    response.flushHeaders();
    feed.on("line", send);
    response.on("close", () => feed.off("line", send));
  };
}
