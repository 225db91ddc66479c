// Plays a scenario and says what was wrong. Faults go on for a while, then the networks are as good as new and every
// connection must come to its end; after that the engines must be as empty as they were.

import * as abi from "../../host/engine/abi.ts";
import type { EngineCommand } from "../../host/engine/commands.ts";
import { Random } from "../model/random.ts";
import type { Scene } from "../scene.ts";
import { Application, streamOctets } from "./application.ts";
import { addressAt, addressesAt, hasEngine, machineOf, pathCommand } from "./cast.ts";
import { Checkers, SERVER_PORT } from "./checkers.ts";
import { type ConnectionRecord, demand, Violation } from "./connection-record.ts";
import { MptcpStack } from "./hosts/mptcp.ts";
import { judge } from "./judge.ts";
import { Coalesce, type Middlebox, Split, Strip } from "./middlebox.ts";
import { addressOf, CALM, SIDES, type Side } from "./network.ts";
import { type Action, type ConnectionPlan, octetsOf, POLICY_SEEDS, type Scenario, scenarioOf } from "./scenario.ts";
import type { Socket } from "./stack.ts";
import { World } from "./world.ts";

/** Every connection is through this long after the last fault: the hosts' longest back-off, and some. */
const FINISH_US = 400_000_000;
/** Longer than the longest back-off of a host. */
const SILENT_US = 150_000_000;
/** Longer than any deadline of an engine: FIN retries, TIME_WAIT, grace, half-open time-out. */
const LONG_US = 400_000_000;
const CALM_START_US = 400_000;

export interface Result {
  seed: number;
  /** "" if nothing was wrong. */
  failure: string;
  packets: number;
  steps: number;
  /** Virtual microseconds from the last fault to the end of the last connection. */
  finishUs: number;
  events: Record<string, number>;
}

/** A connection as it runs. */
interface Running {
  plan: ConnectionPlan;
  applications: Record<Side, Application | undefined>;
  record: ConnectionRecord;
  /** What its hosts had said SILENT_US before the end. */
  spoken: Record<Side, number>;
}

export interface RunOptions {
  /** Is given a line per packet and hop. */
  log?: (line: string) => void;
  /** Fault of assembly/faults.ts to plant in every engine; only the debug build can have one. */
  fault?: number;
  build?: Scenario["build"];
}

export function runSeed(seed: number, options: RunOptions = {}): Result {
  const scenario = scenarioOf(seed);
  scenario.build = options.build ?? scenario.build;
  return new Run(scenario, options).run();
}

class Run {
  private readonly s: Scenario;
  private readonly world: World;
  private readonly checkers: Checkers;
  private readonly running: Running[] = [];
  private readonly startUs: number;
  private readonly fresh: Record<Side, string>;
  private readonly outages = new Map<string, number>();
  /** An end was told that a path is gone, or to give up a subflow. */
  private told = false;
  private healed = false;
  private finishUs = 0;

  constructor(s: Scenario, { log, fault = 0 }: RunOptions) {
    this.s = s;
    const random = new Random(Math.imul(s.seed, 0x85ebca6b) ^ 0x5bd1e995);
    const native = { a: s.hosts.a.kind === "mptcp", b: s.hosts.b.kind === "mptcp" };
    this.checkers = new Checkers(native, { a: hasEngine(s, "a"), b: hasEngine(s, "b") });
    const machines = { a: machineOf(s, "a", random), b: machineOf(s, "b", random) };
    this.checkers.machines = machines;
    this.checkers.strangers = s.boxes.some(({ kind }) => kind === "strip");
    this.world = new World(random, machines, s.paths, this.checkers);
    this.world.log = log;
    this.startUs = this.world.nowUs;
    for (const side of SIDES) machines[side].engine?.engine.exports.plantFault?.(fault);
    this.fresh = { a: liveState(machines.a.engine), b: liveState(machines.b.engine) };
    this.furnish(random);
  }

  /** Middleboxes and the weather. */
  private furnish(random: Random): void {
    const { s, world } = this;
    for (const { path, side, kind, share, strip, fromUs } of s.boxes) {
      const box: Middlebox =
        kind === "strip"
          ? new Strip(strip, this.startUs + fromUs)
          : kind === "split"
            ? new Split(random, share, random.chance(0.5))
            : new Coalesce(random, share, kind === "sloppy");
      world.network.link(side, path).middleboxes.push(box);
    }
    s.mtus.forEach((mtu, i) => {
      for (const side of SIDES) world.network.link(side, i + 1).mtu = mtu;
    });
    this.setConditions(true);
    if (s.calmStart) world.schedule(this.startUs + CALM_START_US, () => this.setConditions(false));
    else this.setConditions(false);
  }

  private setConditions(calm: boolean): void {
    for (const side of SIDES) {
      this.s.conditions[side].forEach((conditions, i) => {
        const { delayUs } = conditions;
        this.world.network.link(side, i + 1).conditions = calm ? { ...CALM, delayUs } : conditions;
      });
    }
  }

  run(): Result {
    let failure = "";
    try {
      this.play();
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
      this.world.note(() => `FAILED ${error instanceof Violation ? failure : ((error as Error).stack ?? failure)}`);
    }
    for (const side of SIDES) this.world.machines[side].stack.free?.();
    const { packets, steps } = this.world;
    return { seed: this.s.seed, failure, packets, steps, finishUs: this.finishUs, events: this.checkers.events };
  }

  private play(): void {
    const { s, world } = this;
    const early = s.seed >= POLICY_SEEDS; // policies speak before the first SYN
    if (early) this.scheduleActions();
    for (const plan of s.connections) this.prepare(plan);
    world.machines.b.stack.listen({ address: addressOf("b", 1, s.family), port: SERVER_PORT }, (socket) =>
      this.accepted(socket),
    );
    if (s.lostPath > 0) {
      const toldUs = s.lostSilently ? Infinity : 0;
      const lost = {
        what: "down",
        atUs: 0,
        side: "a",
        path: s.lostPath,
        forUs: Infinity,
        toldUs,
        addressGone: false,
      } as const;
      world.schedule(this.startUs + s.faultsEndUs / 2 + CALM_START_US, () => this.act(lost));
    }
    if (!early) this.scheduleActions();
    world.run(this.startUs + s.faultsEndUs + (s.calmStart ? CALM_START_US : 0));
    this.heal();
    const healedUs = world.nowUs;
    world.run(healedUs + FINISH_US - SILENT_US, () => this.isOver);
    for (const { spoken, record } of this.running) for (const side of SIDES) spoken[side] = record.hosts[side].spoken;
    world.run(healedUs + FINISH_US, () => this.isOver);
    this.finishUs = world.nowUs - healedUs;
    this.judge();
    this.endAll();
    world.run(world.nowUs + LONG_US);
    this.checkers.tables();
    this.nothingLeft();
  }

  private scheduleActions(): void {
    for (const action of this.s.actions) this.world.schedule(this.startUs + action.atUs, () => this.act(action));
  }

  // ---- connections ---------------------------------------------------------------------------------------

  private prepare(plan: ConnectionPlan): void {
    const { s, world } = this;
    const octets = octetsOf(plan);
    const at = this.running.length;
    const streams = { a: streamOctets(octets.a, 2 * at), b: streamOctets(octets.b, 2 * at + 1) };
    const record = this.checkers.expect(plan.port, streams);
    const running: Running = { plan, record, applications: { a: undefined, b: undefined }, spoken: { a: 0, b: 0 } };
    this.running.push(running);
    world.schedule(this.startUs + plan.startUs, () => {
      const local = { address: addressOf("a", 1, s.family), port: plan.port };
      const remote = { address: addressOf("b", 1, s.family), port: SERVER_PORT };
      const socket = world.machines.a.stack.connect(local, remote, world.nowUs);
      this.attach(running, "a", socket);
      world.react("a");
    });
  }

  private accepted(socket: Socket): void {
    const running = this.running.find(({ plan }) => plan.port === socket.remote.port);
    if (running === undefined) {
      if (!this.checkers.strangers) throw new Error(`a connection from port ${socket.remote.port}`);
      return;
    }
    this.attach(running, "b", socket);
  }

  private attach(running: Running, side: Side, socket: Socket): void {
    const { streams } = running.record;
    const [out, expected] = side === "a" ? [streams.a, streams.b] : [streams.b, streams.a];
    const application = new Application(socket, running.plan.plans[side], out, expected, this.world.nowUs);
    if (running.applications[side] !== undefined) throw new Error(`a second connection from port ${running.plan.port}`);
    running.applications[side] = application;
    if (this.healed) application.hurry();
    this.world.applications[side].push(application);
  }

  private get isOver(): boolean {
    return this.running.every(({ applications: { a, b } }) => a?.over && (b === undefined || b.over));
  }

  // ---- what happens to them ------------------------------------------------------------------------------

  private act(action: Action): void {
    const { s, world } = this;
    if (action.what === "conditions") {
      for (const side of SIDES) world.network.link(side, action.path).conditions = action.conditions;
      return;
    }
    const { side } = action;
    const path = "path" in action ? Math.min(action.path, addressesAt(s, side)) : 0;
    if (action.what === "cut") this.outage(side, path, action.forUs);
    else if (action.what === "down") this.down(side, path, action);
    else if (action.what === "intent" || action.what === "native" || action.what === "rules") this.speak(action);
    else this.order(action, side, path);
  }

  /** A policy at one end. */
  private speak(action: Action & { what: "intent" | "native" | "rules" }): void {
    const { what, side } = action;
    const there = (path: number) => path <= addressesAt(this.s, side);
    const tell = (command: EngineCommand) =>
      this.world.command(side, JSON.stringify(command).replaceAll('"', ""), (engine) => engine.tell(command));
    if (what === "rules") tell({ kind: "class_rules", rules: action.some ? [{ class: 1 }] : [] });
    else if (what === "native") {
      const { class: id, prefer, paths, probeMs } = action;
      tell({ kind: "class_set", class: id, prefer: prefer.filter(there), paths: paths.filter(there), probeMs });
    } else {
      const { class: id, standby, close } = action;
      const active = action.active > 0 && there(action.active) ? action.active : null;
      const [waiting, left] = [standby.filter(there), close.filter(there)];
      tell({ kind: "class_intent", class: id, active, standby: waiting, open: [], close: left });
      this.told ||= left.length > 0;
    }
  }

  /** Nobody speaks for a class any more. */
  private hush(): void {
    for (const side of SIDES) {
      const prefer = Array.from({ length: addressesAt(this.s, side) }, (_, i) => i + 1);
      for (const id of [0, 1]) {
        this.speak({ what: "native", atUs: 0, side, class: id, prefer, paths: [], probeMs: 0 });
      }
    }
  }

  private order(action: Action, side: Side, path: number): void {
    const { world } = this;
    const what = `${action.what} ${path}`;
    if (action.what === "handover") {
      world.command(side, `${what} mode ${action.mode}`, (e) => e.handover(path, action.mode));
      this.told ||= action.mode === abi.HandoverMode.BREAK_BEFORE_MAKE;
    } else if (action.what === "auto") world.command(side, what, (e) => e.command(abi.CommandKind.HANDOVER_AUTO));
    else {
      const kind = action.what === "add" ? abi.CommandKind.SUBFLOW_ADD : abi.CommandKind.SUBFLOW_REMOVE;
      for (const record of this.checkers.connections.values()) {
        const token = record.token[side];
        if (token === undefined) continue;
        world.command(side, what, (engine) =>
          engine.command(kind, (view, at) => {
            view.setUint32(at + abi.Command.TOKEN, token, true);
            view.setUint32(at + abi.Command.PATH, path, true);
          }),
        );
      }
      if (action.what === "remove") this.told = true;
    }
  }

  private outage(side: Side, path: number, forUs: number): void {
    const { world } = this;
    const { cut } = world.network;
    const name = `${side}${path}`;
    this.outages.set(name, (this.outages.get(name) ?? 0) + 1);
    cut[side].add(path);
    world.note(() => `${side} * path ${path} is cut`);
    if (forUs === Infinity) return;
    world.schedule(world.nowUs + forUs, () => {
      const left = (this.outages.get(name) ?? 0) - 1;
      this.outages.set(name, left);
      if (left > 0) return;
      cut[side].delete(path);
      world.note(() => `${side} * path ${path} is back`);
    });
  }

  private down(side: Side, path: number, action: Action & { what: "down" }): void {
    const { world } = this;
    this.outage(side, path, action.forUs);
    if (action.toldUs === Infinity) return;
    world.schedule(world.nowUs + action.toldUs, () => this.tell(side, path, false, !action.addressGone));
    if (action.forUs === Infinity) return;
    world.schedule(world.nowUs + action.forUs + action.toldUs, () => {
      if (!world.network.cut[side].has(path)) this.tell(side, path, true);
    });
  }

  private tell(side: Side, path: number, up: boolean, hasAddress = true): void {
    this.told ||= !up;
    const { stack } = this.world.machines[side];
    if (stack instanceof MptcpStack) {
      const address = addressAt(this.s, side, path);
      if (up) stack.gainAddress(address, this.world.nowUs);
      else if (!hasAddress) stack.loseAddress(address);
      this.world.react(side);
    }
    if (!hasEngine(this.s, side)) return;
    const what = `path ${path} ${up ? "up" : "down"}${hasAddress ? "" : ", address gone"}`;
    this.world.command(side, what, (engine) => engine.setPath(path, pathCommand(this.s, side, path, up, hasAddress)));
  }

  /** This path does not come back. */
  private isLost(side: Side, path: number): boolean {
    return side === "a" && path === this.s.lostPath;
  }

  /** The faults are over. */
  private heal(): void {
    const { s, world } = this;
    world.note(() => "* all faults are over");
    world.schedule(world.nowUs, () => {
      this.healed = true;
      this.outages.clear();
      for (const side of SIDES) {
        world.network.cut[side].clear();
        for (let k = 1; k <= addressesAt(s, side); k++) if (!this.isLost(side, k)) this.tell(side, k, true);
      }
      if (s.lostPath > 0) world.network.cut.a.add(s.lostPath);
      if (s.seed >= POLICY_SEEDS) this.hush();
      this.setConditions(true);
      for (const side of SIDES) {
        for (const application of world.applications[side]) application.hurry();
        world.react(side);
      }
    });
  }

  // ---- what must be ---------------------------------------------------------------------------------------

  private judge(): void {
    for (const running of this.running) {
      const wrong = judge({ ...running, s: this.s, told: this.told });
      demand(wrong === "", () => `port ${running.plan.port} ${wrong}`);
    }
  }

  private endAll(): void {
    for (const { applications } of this.running) {
      for (const side of SIDES) {
        const application = applications[side];
        if (application?.over === false) application.socket.abort();
        this.world.react(side);
      }
    }
  }

  private nothingLeft(): void {
    for (const side of SIDES) {
      const left = liveState(this.world.machines[side].engine);
      if (left !== this.fresh[side])
        throw new Error(`${side}'s engine is left with ${left}, began with ${this.fresh[side]}`);
    }
  }
}

function liveState(scene: Scene | undefined): string {
  if (scene === undefined) return "";
  const { engine } = scene;
  const held = (name: string) => `${name} ${engine.exports[name]?.()}`;
  const { CONNECTIONS, SUBFLOWS, RUNS_FREE } = abi.EngineHeader;
  return [
    `connections ${engine.header(CONNECTIONS)}`,
    `subflows ${engine.header(SUBFLOWS)}`,
    `free runs ${engine.header(RUNS_FREE)}`,
    `timers ${scene.nextUs === Infinity ? "none" : "some"}`,
    ...["tuplesHeld", "wireTuplesHeld", "tokensHeld", "halfOpenHeld"].map(held),
  ].join(", ");
}
