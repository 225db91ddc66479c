// Commands of the host. What concerns many connections is a sweep: it looks at SWEEP_STEP connections per
// step and goes on in the next call, so that no batch of packets waits for it.
//
//   command → path or class table changes at once → sweep over the connections → COMMAND_DONE

import {
  CLASS_MAX, COMMAND_SIZE, COMMANDS, Command, CommandKind, ConnectionState, EventKind, EventRecord, HandoverMode,
  PATH_MAX, PathFlag, Reason, Scope,
} from "./abi";
import { SWEEP_STEP, SWEEPS_MAX } from "./config";
import { classAt, classSet, intentSet, probesSet } from "./connection/classes";
import { ruleEnds, ruleSet } from "./connection/classify";
import {
  clearFlag, Connection, connectionAt, ConnectionFlag, hasFlag, setFlag,
} from "./connection/connection";
import { connectionDestroy } from "./connection/lifecycle";
import { findToken } from "./connection/lookup";
import { measureGone, measurePlace } from "./connection/measure";
import { drawAddressId, pathAt, PathRecord } from "./connection/paths";
import { connectionCapacity, connectionSlab, SWEEP_SIZE, SWEEP_TABLE } from "./connection/store";
import { subflowAt, SubflowBit, subflowHas } from "./connection/subflow";
import { emitEvent } from "./event-ring";
import { abandonSubflow, closeSubflow, losePath, pathLost } from "./handover/abandon";
import { followIntent } from "./handover/intent";
import { revive, stallAsk } from "./handover/stall";
import { standbyNow } from "./handover/standby";
import { handoverStart, reconsider } from "./handover/switch";
import { addressEqual } from "./memory/address";
import { slabLive } from "./memory/slab";
import { advertiseStart } from "./signalling/addresses";
import { joinObstacle, joinStart, subflowOnPath } from "./signalling/join";
import { probePaths } from "./signalling/path-probe";
import { stopConverting } from "./forward/handshake";
import { fallBack } from "./forward/plain";
import { resetBoth } from "./forward/teardown";

/**
 * A sweep: a copy of its command (COMMAND_SIZE octets), then cursor, how many it concerned, how many
 * failed, and how many of these for each reason.
 */
@inline const CURSOR: usize = COMMAND_SIZE; // u32 next slab index, 0 = slot is free
@inline const WAITING: u32 = 0xffffffff; // CURSOR of a SHUTDOWN that has seen all and waits for the last to go
@inline const CONCERNED: usize = COMMAND_SIZE + 4;
@inline const FAILED: usize = COMMAND_SIZE + 8;
@inline const REASONS: usize = COMMAND_SIZE + 16;
/** Reasons that are told apart. */
@inline const REASON_MAX: u32 = 44;
if (REASONS + 4 * REASON_MAX > SWEEP_SIZE) ERROR("a sweep has no room for its reasons");

/** Carries out the `count` commands at COMMANDS. */
export function runCommands(count: u32): void {
  for (let i: u32 = 0; i < count; i++) runCommand(<usize>COMMANDS + <usize>i * COMMAND_SIZE);
}

function runCommand(at: usize): void {
  const kind = load<u16>(at, Command.KIND);
  let reason: Reason = Reason.NONE;
  if (kind == CommandKind.PATH_SET) reason = pathSet(at);
  else if (kind == CommandKind.PATH_REMOVE) reason = pathRemove(at);
  else if (isAboutClasses(kind)) reason = classCommand(at, kind);
  else if (kind < <u16>CommandKind.HANDOVER || kind > <u16>CommandKind.TRACE) reason = Reason.NOT_BUILT;
  if (kind == CommandKind.SHUTDOWN) stopConverting();
  if (reason != Reason.NONE) {
    answer(at, reason, 0, 0);
    return;
  }
  if (kind == CommandKind.CLASS_RULE && !ruleEnds(at)) return; // the last one is answered
  const aboutSubflow = kind == CommandKind.SUBFLOW_ADD || kind == CommandKind.SUBFLOW_REMOVE;
  if (aboutSubflow || load<u8>(at, Command.SCOPE) == Scope.CONNECTION) {
    const index = findToken(load<u32>(at, Command.TOKEN));
    const failed = index == 0 ? Reason.NO_CONNECTION : applyTo(connectionAt(index), at);
    answer(at, failed, 1, failed == Reason.NONE ? 0 : 1);
    return;
  }
  startSweep(at);
}

/** COMMAND_DONE for the command at `at`. */
function answer(at: usize, reason: Reason, concerned: u32, failed: u32): void {
  const event = emitEvent(EventKind.COMMAND_DONE, reason);
  store<u32>(event, load<u32>(at, Command.ID), EventRecord.COMMAND_ID);
  store<u32>(event, load<u32>(at, Command.PATH), EventRecord.PATH);
  store<u32>(event, concerned, EventRecord.VALUE);
  store<u64>(event, failed, EventRecord.VALUE64);
}

/** True for a kind that changes the class table or the classifier. */
@inline function isAboutClasses(kind: u32): bool {
  return kind == CommandKind.CLASS_SET || kind == CommandKind.CLASS_RULE || kind == CommandKind.CLASS_INTENT;
}

/** The class table or the classifier changes at once; LIMIT for what has no room there. */
function classCommand(at: usize, kind: CommandKind): Reason {
  const id = load<u32>(at, Command.CLASS);
  if (kind == CommandKind.CLASS_RULE) return ruleSet(at, id) ? Reason.NONE : Reason.LIMIT;
  if (kind == CommandKind.CLASS_INTENT) {
    const active = load<u32>(at, Command.PATH);
    if (id >= CLASS_MAX) return Reason.LIMIT;
    if (active > PATH_MAX || (active != 0 && pathAt(active).known == 0)) return Reason.NO_PATH;
    intentSet(id, active, load<u32>(at, Command.STANDBY), load<u32>(at, Command.OPEN), load<u32>(at, Command.CLOSE));
    return Reason.NONE;
  }
  const count = load<u32>(at, Command.PREFER_COUNT);
  if (!classSet(id, count, at + Command.PREFER, load<u32>(at, Command.ALLOWED))) return Reason.LIMIT;
  probesSet(id, load<u32>(at, Command.PROBE_MS));
  probePaths();
  return Reason.NONE;
}

// ---- path table ----------------------------------------------------------------------------------------

function pathSet(at: usize): Reason {
  const id = load<u32>(at, Command.PATH);
  if (id == 0 || id > PATH_MAX) return Reason.NO_PATH;
  const path = pathAt(id);
  path.flags = load<u32>(at, Command.FLAGS);
  path.interface = load<u32>(at, Command.INTERFACE);
  path.mtu = load<u32>(at, Command.MTU);
  path.prefix4 = load<u8>(at, Command.PREFIX4);
  path.prefix6 = load<u8>(at, Command.PREFIX6);
  const base = changetype<usize>(path);
  if (path.known == 0 || !addressEqual(base + 16, at + Command.ADDRESS4)) path.id4 = <u8>drawAddressId();
  if (path.known == 0 || !addressEqual(base + 32, at + Command.ADDRESS6)) path.id6 = 0;
  memory.copy(base + 16, at + Command.ADDRESS4, 16);
  memory.copy(base + 32, at + Command.ADDRESS6, 16);
  path.known = 1;
  if (path.id6 == 0) path.id6 = <u8>drawAddressId();
  return Reason.NONE;
}

function pathRemove(at: usize): Reason {
  const id = load<u32>(at, Command.PATH);
  if (id == 0 || id > PATH_MAX || pathAt(id).known == 0) return Reason.NO_PATH;
  const path: PathRecord = pathAt(id);
  path.known = 0;
  path.flags = 0;
  return Reason.NONE;
}

/**
 * A path changed: gives up the subflows that cannot go on, lets a subflow without a path find its own, and
 * looks for new ones.
 */
function applyPath(connection: Connection, id: u32): Reason {
  if (!hasFlag(connection, ConnectionFlag.ESTABLISHED_EVER)) return Reason.NONE;
  if (hasFlag(connection, ConnectionFlag.RESET)) return Reason.NONE;
  let index = connection.head;
  while (index != 0) {
    const subflow = subflowAt(index);
    index = subflow.next;
    if (subflow.path != <u8>id) continue;
    if (pathLost(subflow)) losePath(connection, subflow);
    else if (subflowHas(subflow, SubflowBit.STALE)) {
      revive(connection, subflow, true);
      stallAsk(connection, subflow); // the peer may have given it up meanwhile
    }
  }
  const up = pathAt(id).known != 0 && (pathAt(id).flags & PathFlag.UP) != 0;
  if (up) {
    connection.joinTries = 0;
    standbyNow(connection);
    advertiseStart(connection);
  }
  reconsider(connection, true);
  return Reason.NONE;
}

// ---- what a command does to one connection -------------------------------------------------------------

function applyTo(connection: Connection, at: usize): Reason {
  const kind = load<u16>(at, Command.KIND);
  const path = load<u32>(at, Command.PATH);
  if (kind == CommandKind.PATH_SET || kind == CommandKind.PATH_REMOVE) return applyPath(connection, path);
  if (kind == CommandKind.SHUTDOWN) return applyShutdown(connection);
  if (kind == CommandKind.CLASS_RULE) return applyDefaultClass(connection);
  if (kind == CommandKind.TRACE) {
    if (load<u8>(at, Command.MODE) != 0) setFlag(connection, ConnectionFlag.TRACE);
    else clearFlag(connection, ConnectionFlag.TRACE);
    return Reason.NONE;
  }
  const open = hasFlag(connection, ConnectionFlag.ESTABLISHED_EVER) && !hasFlag(connection, ConnectionFlag.RESET);
  if (!open || connection.state != ConnectionState.M_ESTAB) return Reason.NOT_ESTABLISHED;
  if (kind == CommandKind.CLASS_INTENT) return followIntent(connection);
  if (kind == CommandKind.HANDOVER) return applyHandover(connection, at);
  if (kind == CommandKind.SUBFLOW_ADD) return applySubflowAdd(connection, path, load<u32>(at, Command.ID));
  if (kind == CommandKind.SUBFLOW_REMOVE) return applySubflowRemove(connection, path);
  connection.pinnedPath = kind == CommandKind.HANDOVER_AUTO ? 0 : connection.pinnedPath;
  standbyNow(connection);
  reconsider(connection, true);
  return Reason.NONE;
}

/** No rule names the connection's class any more: it goes on in the default one. */
function applyDefaultClass(connection: Connection): Reason {
  measureGone(connection);
  connection.classId = 0;
  measurePlace(connection);
  if (connection.state != ConnectionState.M_ESTAB || hasFlag(connection, ConnectionFlag.RESET)) return Reason.NONE;
  standbyNow(connection);
  reconsider(connection, true);
  return Reason.NONE;
}

function applyHandover(connection: Connection, at: usize): Reason {
  const path = load<u32>(at, Command.PATH);
  const mode: HandoverMode = load<u8>(at, Command.MODE);
  const active = connection.active;
  if (mode == HandoverMode.BREAK_BEFORE_MAKE && active != 0 && <u32>subflowAt(active).path != path) {
    // Paper §5.4: the old subflow is gone before the new one is used. But a peer that has shown no DATA_ACK may have
    // fallen back, and takes no join then (RFC 8684 §3.1).
    if (!hasFlag(connection, ConnectionFlag.CONFIRMED)) return Reason.NOT_ESTABLISHED;
    if (subflowOnPath(connection, path) == 0) {
      const obstacle = joinObstacle(connection, path);
      if (obstacle != Reason.NONE) return obstacle;
    }
    leavePath(connection, subflowAt(active).path);
  }
  return handoverStart(connection, path, load<u32>(at, Command.ID), load<u32>(at, Command.TIMEOUT_MS));
}

/** Gives up every subflow on `path`; a peer may have joined it several times. */
function leavePath(connection: Connection, path: u32): void {
  let index = subflowOnPath(connection, path);
  while (index != 0) {
    abandonSubflow(connection, subflowAt(index), Reason.REMOVED, true);
    index = subflowOnPath(connection, path);
  }
}

function applySubflowAdd(connection: Connection, path: u32, commandId: u32): Reason {
  if (subflowOnPath(connection, path) != 0) return Reason.EXISTS;
  const obstacle = joinObstacle(connection, path);
  if (obstacle != Reason.NONE) return obstacle;
  return joinStart(connection, path, true, commandId) == 0 ? Reason.LIMIT : Reason.NONE;
}

function applySubflowRemove(connection: Connection, path: u32): Reason {
  const index = subflowOnPath(connection, path);
  if (index == 0) return Reason.NO_PATH;
  if (connection.subflowCount < 2) return Reason.NOT_ESTABLISHED; // the last one is the connection
  closeSubflow(connection, subflowAt(index));
  return Reason.NONE;
}

/**
 * The daemon is about to end. What can become plain TCP does; other established connections are reset on both
 * sides and linger, so that a lost RST is said again; what is half open or over just ends.
 */
function applyShutdown(connection: Connection): Reason {
  const over = ConnectionFlag.SUBFLOWS_CLOSING | ConnectionFlag.RESET;
  const alive = hasFlag(connection, ConnectionFlag.ESTABLISHED_EVER) && !hasFlag(connection, over);
  if (!alive) connectionDestroy(connection, Reason.SHUTDOWN);
  else if (!fallBack(connection, Reason.SHUTDOWN)) resetBoth(connection, Reason.SHUTDOWN);
  return Reason.NONE;
}

// ---- sweeps --------------------------------------------------------------------------------------------

/** A free place for a sweep, 0 = none. */
function freeSweep(): usize {
  for (let i: u32 = 0; i < SWEEPS_MAX; i++) {
    const sweep = <usize>SWEEP_TABLE + <usize>i * SWEEP_SIZE;
    if (load<u32>(sweep, CURSOR) == 0) return sweep;
  }
  return 0;
}

/** Ends one sweep at a stroke, to make room: more commands than SWEEPS_MAX come at once only at the start. */
function finishOneSweep(): void {
  for (let i: u32 = 0; i < SWEEPS_MAX; i++) {
    const sweep = <usize>SWEEP_TABLE + <usize>i * SWEEP_SIZE;
    if (load<u32>(sweep, CURSOR) == WAITING) continue;
    while (!sweepStep(sweep)) continue;
    return;
  }
}

function startSweep(at: usize): void {
  if (freeSweep() == 0) finishOneSweep();
  const sweep = freeSweep();
  if (sweep == 0) {
    answer(at, Reason.LIMIT, 0, 0); // every place waits for a shutdown
    return;
  }
  memory.copy(sweep, at, COMMAND_SIZE);
  memory.fill(sweep + COMMAND_SIZE, 0, SWEEP_SIZE - COMMAND_SIZE);
  store<u32>(sweep, 1, CURSOR);
}

/** Goes on with the sweeps under way, in the order they came. True if some are left. */
export function runSweeps(): bool {
  let left = false;
  for (let i: u32 = 0; i < SWEEPS_MAX; i++) {
    const sweep = <usize>SWEEP_TABLE + <usize>i * SWEEP_SIZE;
    const cursor = load<u32>(sweep, CURSOR);
    if (cursor == 0) continue;
    if (cursor == WAITING) sweepWaits(sweep);
    else if (!sweepStep(sweep)) left = true;
  }
  return left;
}

/** One step of a sweep; true when it is done. */
function sweepStep(sweep: usize): bool {
  let cursor = load<u32>(sweep, CURSOR);
  const end = min<u32>(cursor + SWEEP_STEP, connectionCapacity + 1);
  const slab = connectionSlab();
  for (; cursor < end; cursor++) {
    if (!slabLive(slab, cursor)) continue;
    const connection = connectionAt(cursor);
    if (!inScope(connection, sweep)) continue;
    store<u32>(sweep, load<u32>(sweep, CONCERNED) + 1, CONCERNED);
    const reason = applyTo(connection, sweep);
    if (reason == Reason.NONE) continue;
    store<u32>(sweep, load<u32>(sweep, FAILED) + 1, FAILED);
    countReason(sweep, reason);
    reportFailure(connection, sweep, reason);
  }
  store<u32>(sweep, cursor > connectionCapacity ? 0 : cursor, CURSOR);
  if (cursor <= connectionCapacity) return false;
  if (load<u16>(sweep, Command.KIND) == CommandKind.SHUTDOWN) {
    store<u32>(sweep, WAITING, CURSOR);
    sweepWaits(sweep);
    return true;
  }
  answer(sweep, commonestReason(sweep), load<u32>(sweep, CONCERNED), load<u32>(sweep, FAILED));
  return true;
}

function countReason(sweep: usize, reason: Reason): void {
  const at = sweep + REASONS + <usize>reason * 4;
  if (<u32>reason < REASON_MAX) store<u32>(at, load<u32>(at) + 1);
}

/** Why most of those failed that did; NONE if none did. */
function commonestReason(sweep: usize): Reason {
  let commonest: Reason = Reason.NONE;
  for (let reason: u32 = 1; reason < REASON_MAX; reason++) {
    const most = load<u32>(sweep + REASONS + <usize>commonest * 4);
    if (load<u32>(sweep + REASONS + <usize>reason * 4) > most) commonest = reason;
  }
  return commonest;
}

/** SHUTDOWN is answered when nothing is left: the timers of the connections that linger see to that. */
function sweepWaits(sweep: usize): void {
  if (connectionSlab().live != 0) return;
  store<u32>(sweep, 0, CURSOR);
  answer(sweep, Reason.NONE, load<u32>(sweep, CONCERNED), 0);
}

/** True if the sweep's command names this connection. A handover leaves alone what is not, or no more, converted. */
function inScope(connection: Connection, sweep: usize): bool {
  const kind = load<u16>(sweep, Command.KIND);
  if (kind == CommandKind.CLASS_RULE) return connection.classId != 0 && classAt(connection.classId).rules == 0;
  const ofClass = kind == CommandKind.CLASS_SET || kind == CommandKind.CLASS_INTENT;
  const byClass = ofClass || load<u8>(sweep, Command.SCOPE) == Scope.CLASS;
  if (byClass && connection.classId != load<u32>(sweep, Command.CLASS)) return false;
  const moves = ofClass || kind == CommandKind.HANDOVER || kind == CommandKind.HANDOVER_AUTO;
  return !moves || (connection.state == ConnectionState.M_ESTAB && !hasFlag(connection, ConnectionFlag.RESET));
}

/** One line per connection that could not be moved. */
function reportFailure(connection: Connection, sweep: usize, reason: Reason): void {
  if (load<u16>(sweep, Command.KIND) != CommandKind.HANDOVER) return;
  const event = emitEvent(EventKind.HANDOVER_FAILED, reason);
  store<u32>(event, load<u32>(sweep, Command.ID), EventRecord.COMMAND_ID);
  store<u32>(event, load<u32>(sweep, Command.PATH), EventRecord.PATH);
  store<u32>(event, connection.localToken, EventRecord.TOKEN);
  store<u32>(event, connection.serial, EventRecord.SERIAL);
}
