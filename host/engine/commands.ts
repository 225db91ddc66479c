// Commands as objects, and the record that the engine reads.
import {
  CLASS_MAX,
  CLASS_RULES_MAX,
  ClassRuleFlag,
  COMMAND_SIZE,
  Command,
  CommandKind,
  HandoverMode,
  PATH_MAX,
  ClassRule as R,
  Scope,
} from "./abi.ts";
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

/** Inclusive range of ports or user ids. */
export interface NumberRange {
  first: number;
  last: number;
}

/** One rule of the classifier. What it names must all hold. */
export interface ClassRule {
  /** 0 … CLASS_MAX − 1. */
  class: number;
  /** One end's port lies within. */
  ports?: NumberRange;
  /** The peer's address lies within, "10.0.0.0/8" or "fd00::/8". */
  prefix?: string;
  /**
   * User of the local socket, by the number that the first user namespace has for it. The kernel tells it of
   * connections that this host opens; a rule that asks for it matches no others.
   */
  uids?: NumberRange;
}

/**
 * What a policy wants of a class, until its next intent or class_set: connections that live follow at once, new ones
 * from their start. What a path is named for first counts: active, standby or open, close.
 */
export interface ClassIntentCommand {
  kind: "class_intent";
  class: number;
  /** The path for new data: joined first where need be, then moved to. null = no wish, the order of `prefer`. */
  active: number | null;
  /** Paths to be joined as backup. */
  standby: number[];
  /** Paths to be joined; the peer may send there, too, where it may send on all. */
  open: number[];
  /** Paths to be left once a connection goes on elsewhere; never its last one. */
  close: number[];
}

/** What the engine can be told. Every command is answered by events that carry its id. */
export type EngineCommand =
  | PathSetCommand
  | { kind: "path_remove"; path: number }
  /**
   * Replaces the classifier: the first rule that matches gives a new connection its class, without one it is class 0.
   * Live connections keep theirs, unless no rule names it any more: they go on in class 0.
   */
  | { kind: "class_rules"; rules: readonly ClassRule[] }
  /**
   * The class has the native policy, with these preferences, most preferred path first, and may use these paths only
   * (default: all). `probeMs`: how often a path on which nothing of ours is in flight is asked for its round trip
   * (default: never).
   */
  | { kind: "class_set"; class: number; prefer: number[]; paths?: number[]; probeMs?: number }
  | ClassIntentCommand
  | ({ kind: "handover"; path: number; mode: NameOf<typeof HandoverMode>; timeoutMs: number } & CommandScope)
  | ({ kind: "handover_auto" } & CommandScope)
  | { kind: "subflow_add"; token: string; path: number }
  | { kind: "subflow_remove"; token: string; path: number }
  | { kind: "shutdown" }
  | ({ kind: "trace"; on: boolean } & CommandScope);

const kindValue = valuesOf(CommandKind);
const scopeValue = valuesOf(Scope);
const modeValue = valuesOf(HandoverMode);

/**
 * The record of `command` with number `id`, or the records, of which the last is answered. Throws for an address,
 * token, path or class that cannot be.
 */
export function encodeCommand(command: EngineCommand, id: number): Uint8Array {
  return command.kind === "class_rules" ? encodeRules(command.rules, id) : encodeOne(command, id);
}

function encodeOne(command: Exclude<EngineCommand, { kind: "class_rules" }>, id: number): Uint8Array {
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
      view.setUint32(Command.CLASS, classId(command.class), true);
      view.setUint32(Command.ALLOWED, pathMask(command.paths ?? []), true);
      view.setUint32(Command.PROBE_MS, command.probeMs ?? 0, true);
      view.setUint32(Command.PREFER_COUNT, command.prefer.length, true);
      if (command.prefer.length > PATH_MAX)
        throw new Error(`${command.prefer.length} preferred paths, at most ${PATH_MAX}`);
      octets.set(command.prefer.map(pathId), Command.PREFER);
      break;
    case "class_intent":
      view.setUint32(Command.CLASS, classId(command.class), true);
      view.setUint32(Command.PATH, command.active === null ? 0 : pathId(command.active), true);
      view.setUint32(Command.STANDBY, pathMask(command.standby), true);
      view.setUint32(Command.OPEN, pathMask(command.open), true);
      view.setUint32(Command.CLOSE, pathMask(command.close), true);
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

/** A record per rule; one that says so when there is none. */
function encodeRules(rules: readonly ClassRule[], id: number): Uint8Array {
  if (rules.length > CLASS_RULES_MAX) throw new Error(`${rules.length} rules of classes, at most ${CLASS_RULES_MAX}`);
  const octets = new Uint8Array(COMMAND_SIZE * Math.max(rules.length, 1));
  const record = (index: number) => octets.subarray(index * COMMAND_SIZE, (index + 1) * COMMAND_SIZE);
  const begin = (index: number): DataView => {
    const view = new DataView(octets.buffer, index * COMMAND_SIZE, COMMAND_SIZE);
    view.setUint32(Command.ID, id, true);
    view.setUint16(Command.KIND, CommandKind.CLASS_RULE, true);
    view.setUint32(R.INDEX, index, true);
    view.setUint32(R.COUNT, rules.length, true);
    return view;
  };
  if (rules.length === 0) begin(0);
  rules.forEach((rule, index) => {
    encodeRule(rule, begin(index), record(index));
  });
  return octets;
}

function encodeRule(rule: ClassRule, view: DataView, octets: Uint8Array): void {
  let flags = 0;
  view.setUint32(Command.CLASS, classId(rule.class), true);
  if (rule.ports !== undefined) {
    flags |= ClassRuleFlag.PORTS;
    view.setUint16(R.PORT_FIRST, rule.ports.first, true);
    view.setUint16(R.PORT_LAST, rule.ports.last, true);
  }
  if (rule.prefix !== undefined) {
    flags |= ClassRuleFlag.PREFIX;
    const { address, length } = parsePrefix(rule.prefix);
    octets.set(address, R.PREFIX);
    view.setUint32(R.PREFIX_LENGTH, length, true);
  }
  if (rule.uids !== undefined) {
    flags |= ClassRuleFlag.UIDS;
    view.setUint32(R.UID_FIRST, rule.uids.first, true);
    view.setUint32(R.UID_LAST, rule.uids.last, true);
  }
  view.setUint32(R.FLAGS, flags, true);
}

/** The 16 octets of a prefix, and how many of their bits count. */
function parsePrefix(text: string): { address: Uint8Array; length: number } {
  const [, host = "", bits = ""] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const address = host === "" ? null : parseAddress(host);
  const length = Number(bits) + (host.includes(":") ? 0 : 96);
  if (address === null || length > 128) throw new Error(`"${text}" is no prefix: expected "10.0.0.0/8" or "fd00::/8"`);
  return { address, length };
}

function classId(id: number): number {
  if (!Number.isInteger(id) || id < 0 || id >= CLASS_MAX) throw new Error(`class ${id}, expected 0 … ${CLASS_MAX - 1}`);
  return id;
}

/** Bit (path − 1) for each path. */
function pathMask(paths: readonly number[]): number {
  return paths.reduce((mask, path) => mask | (1 << (pathId(path) - 1)), 0) >>> 0;
}

function pathId(path: number): number {
  if (!Number.isInteger(path) || path < 1 || path > PATH_MAX)
    throw new Error(`path id ${path}, expected 1 … ${PATH_MAX}`);
  return path;
}
