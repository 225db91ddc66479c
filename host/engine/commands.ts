// Commands as objects, and the record that the engine reads.
import { COMMAND_SIZE, Command, CommandKind, HandoverMode, PATH_MAX, Scope } from "./abi.ts";
import { parseAddress } from "./address.ts";
import { type NameOf, parseToken, valuesOf } from "./record.ts";

/** Which connections a command concerns. */
export type CommandScope =
  | { scope: "all" }
  | { scope: "class"; class: number }
  /** `token` in hex. */
  | { scope: "connection"; token: string };

export interface PathSetCommand {
  kind: "path_set";
  /** 1 … PATH_MAX. */
  path: number;
  /** PathFlag bits. */
  flags: number;
  mtu: number;
  /** Interface index. */
  interface: number;
  prefix4: number;
  prefix6: number;
  address4: string | null;
  address6: string | null;
}

/** What the engine can be told. Every command is answered by events that carry its id. */
export type EngineCommand =
  | PathSetCommand
  | { kind: "path_remove"; path: number }
  /** The native policy's preferences of a class, most preferred path first. */
  | { kind: "class_set"; class: number; prefer: number[] }
  | ({ kind: "handover"; path: number; mode: NameOf<typeof HandoverMode>; timeoutMs: number } & CommandScope)
  | ({ kind: "handover_auto" } & CommandScope)
  | { kind: "subflow_add"; token: string; path: number }
  | { kind: "subflow_remove"; token: string; path: number }
  | { kind: "shutdown" }
  | ({ kind: "trace"; on: boolean } & CommandScope);

const kindValue = valuesOf(CommandKind);
const scopeValue = valuesOf(Scope);
const modeValue = valuesOf(HandoverMode);

/** The record of `command` with number `id`. Throws for an address, token or path that cannot be. */
export function encodeCommand(command: EngineCommand, id: number): Uint8Array {
  const octets = new Uint8Array(COMMAND_SIZE);
  const view = new DataView(octets.buffer);
  view.setUint32(Command.ID, id, true);
  view.setUint16(Command.KIND, kindValue(command.kind), true);
  if ("path" in command) view.setUint32(Command.PATH, pathId(command.path), true);
  if ("scope" in command) {
    view.setUint8(Command.SCOPE, scopeValue(command.scope));
    if (command.scope === "class") view.setUint32(Command.CLASS, command.class, true);
  } else if ("token" in command) view.setUint8(Command.SCOPE, Scope.CONNECTION);
  if ("token" in command) view.setUint32(Command.TOKEN, parseToken(command.token), true);
  switch (command.kind) {
    case "path_set":
      encodePath(command, view, octets);
      break;
    case "class_set":
      view.setUint32(Command.CLASS, command.class, true);
      view.setUint32(Command.PREFER_COUNT, command.prefer.length, true);
      if (command.prefer.length > PATH_MAX)
        throw new Error(`${command.prefer.length} preferred paths, at most ${PATH_MAX}`);
      octets.set(command.prefer.map(pathId), Command.PREFER);
      break;
    case "handover":
      view.setUint8(Command.MODE, modeValue(command.mode));
      view.setUint32(Command.TIMEOUT_MS, command.timeoutMs, true);
      break;
    case "trace":
      view.setUint8(Command.MODE, command.on ? 1 : 0);
      break;
  }
  return octets;
}

function encodePath(command: PathSetCommand, view: DataView, octets: Uint8Array): void {
  view.setUint32(Command.FLAGS, command.flags, true);
  view.setUint32(Command.MTU, command.mtu, true);
  view.setUint32(Command.INTERFACE, command.interface, true);
  view.setUint8(Command.PREFIX4, command.prefix4);
  view.setUint8(Command.PREFIX6, command.prefix6);
  octets.set(parseAddress(command.address4), Command.ADDRESS4);
  octets.set(parseAddress(command.address6), Command.ADDRESS6);
}

function pathId(path: number): number {
  if (!Number.isInteger(path) || path < 1 || path > PATH_MAX)
    throw new Error(`path id ${path}, expected 1 … ${PATH_MAX}`);
  return path;
}
