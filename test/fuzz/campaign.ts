// A campaign against process(): sequences that begin as valid TCP and MPTCP, and damage to them, at both
// hooks, between commands and ticks. Driver checks every call; at the end nothing may be left over.

import { CommandKind, ConfigFlag, HandoverMode, PathFlag, Scope } from "../../host/engine/abi.ts";
import type { Random } from "../model/random.ts";
import { Driver, type Input, type Sent } from "./driver.ts";
import { mutate } from "./mutate.ts";
import { Rules } from "./rules.ts";
import { PATHS, World } from "./world.ts";

const STEPS = 250;
const CAPACITIES = [
  { connections: 5, subflows: 8, runs: 24 },
  { connections: 12, subflows: 30, runs: 120 },
];
const SHUTDOWN_ID = 0xffff;

function start(build: "test" | "test-release", random: Random): Driver {
  const flags = ConfigFlag.ADVERTISE | ConfigFlag.SET_OPERATIONS | (random.chance(0.5) ? ConfigFlag.STANDBY : 0);
  const driver = new Driver(build, { ...random.pick(CAPACITIES), seed: random.bits(), config: { FLAGS: flags } });
  for (let path = 1; path <= PATHS.length; path++) setPath(driver, random, path, PathFlag.UP);
  return driver;
}

function setPath(driver: Driver, random: Random, path: number, up: number): void {
  const flags = up | PathFlag.GATEWAY4 | PathFlag.GATEWAY6 | random.pick([0, 0, PathFlag.BACKUP, PathFlag.NO_JOIN]);
  const numbers = { MTU: random.pick([1500, 1500, 1280]), INTERFACE: path, PREFIX4: 24, PREFIX6: 64, PATH: path };
  const kind = { KIND: CommandKind.PATH_SET, ID: 0, FLAGS: flags };
  driver.command({ ...kind, ...numbers }, { flags, ...PATHS[path - 1] });
}

/** A command of any kind; tokens and paths are seldom right. */
function randomCommand(driver: Driver, random: Random, id: number): Sent[] {
  const path = 1 + random.below(PATHS.length + 1);
  const common = { ID: id, PATH: path, TOKEN: random.bits(), TIMEOUT_MS: random.below(20_000) };
  const scope = random.pick([Scope.ALL, Scope.ALL, Scope.CLASS, Scope.CONNECTION]);
  const mode = random.pick([HandoverMode.MAKE_BEFORE_BREAK, HandoverMode.BREAK_BEFORE_MAKE]);
  switch (random.below(11)) {
    case 0:
      setPath(driver, random, 1 + random.below(PATHS.length), random.chance(0.5) ? PathFlag.UP : 0);
      return [];
    case 1:
      return driver.command({ KIND: CommandKind.CLASS_SET, CLASS: 0, PREFER_COUNT: 2, ...common }, undefined, [
        path,
        1,
      ]);
    case 2:
      return driver.command({ KIND: CommandKind.HANDOVER_AUTO, SCOPE: scope, ...common });
    case 3:
      return driver.command({ KIND: CommandKind.SUBFLOW_ADD, ...common });
    case 4:
      return driver.command({ KIND: CommandKind.SUBFLOW_REMOVE, ...common });
    case 5:
      return driver.command({ KIND: CommandKind.TRACE, SCOPE: scope, MODE: random.below(2), ...common });
    case 6: {
      const masks = { STANDBY: random.below(16), OPEN: random.below(16), CLOSE: random.below(16) };
      return driver.command({ KIND: CommandKind.CLASS_INTENT, CLASS: random.below(2), ...masks, ...common });
    }
    case 7:
      return driver.command({
        KIND: CommandKind.CLASS_SET,
        CLASS: random.below(65),
        ALLOWED: random.below(16),
        ID: id,
      });
    case 8:
      return driver.command(
        random.chance(0.1) ? { KIND: CommandKind.PATH_REMOVE, ...common } : { KIND: random.below(20), ID: id },
      );
    default:
      return driver.command({ KIND: CommandKind.HANDOVER, SCOPE: scope, MODE: mode, ...common });
  }
}

/** A batch of 1…4 packets, some of them damaged, some of them twice. */
function randomBatch(world: World, random: Random, damage: number): Input[] {
  const inputs: Input[] = [];
  for (let i = random.below(4); i >= 0; i--) {
    const input = world.next();
    if (input === undefined) continue;
    const damaged = random.chance(damage) ? { ...input, octets: mutate(random, input.octets) } : input;
    inputs.push(damaged);
    if (random.chance(0.05)) inputs.push(damaged);
  }
  return inputs;
}

/** One case: a fresh engine, STEPS batches of which the share `damage` is damaged. */
export function run(build: "test" | "test-release", random: Random, damage: number): Driver {
  const driver = start(build, random);
  const world = new World(random, damage > 0);
  const rules = damage === 0 ? new Rules() : undefined;
  const look = (sent: Sent[]): void => {
    rules?.left(sent);
    world.learn(sent);
  };
  for (let step = 1; step <= STEPS; step++) {
    driver.nowUs += BigInt(random.pick([0, 10, 1000, 20_000, 20_000, 300_000, 3_000_000]));
    if (!random.chance(0.02)) driver.engine.fillEntropy();
    const batch = randomBatch(world, random, damage);
    rules?.fed(batch);
    look(driver.process(batch));
    if (random.chance(0.2)) look(driver.tick());
    if (random.chance(0.05)) look(randomCommand(driver, random, step));
    if (random.chance(0.05)) driver.checkSnapshot();
  }
  return driver;
}

/** Ends everything and lets time pass: no slot, no run may stay taken. */
export function drain(driver: Driver): void {
  driver.command({ KIND: CommandKind.SHUTDOWN, ID: SHUTDOWN_ID });
  for (let seconds = 0; seconds < 300; seconds++) {
    driver.nowUs += 1_000_000n;
    driver.tick();
  }
  const left = { connections: driver.header("CONNECTIONS"), subflows: driver.header("SUBFLOWS") };
  if (left.connections + left.subflows > 0) throw new Error(`left over: ${JSON.stringify(left)}`);
  const runs = driver.capacity.runs - driver.header("RUNS_FREE");
  if (runs !== 0) throw new Error(`${runs} runs leaked`);
  if (!driver.answered.has(SHUTDOWN_ID)) throw new Error("SHUTDOWN was not answered");
}
