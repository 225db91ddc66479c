// The machines of a scenario: stacks by kind, engines where the cast has them, and chance from the seed.

import * as abi from "../../host/engine/abi.ts";
import { Random } from "../model/random.ts";
import { MptcpStack } from "./hosts/mptcp.ts";
import { SmoltcpStack } from "./hosts/smoltcp.ts";
import { TcpStack } from "./hosts/tcp.ts";
import { Machine } from "./machine.ts";
import { addressOf, otherSide, type Side } from "./network.ts";
import type { HostPlan, Scenario } from "./scenario.ts";
import type { Stack } from "./stack.ts";

/** Keys whose IDSN is at most 30,000 below a wrap of its low 32 bits. */
const WRAP_KEYS = [
  0x5368756e74003102n,
  0x5368756e74008bf2n,
  0x5368756e7403724bn,
  0x5368756e74039c2an,
  0x5368756e74057ccbn,
  0x5368756e7405cc2dn,
];
const UP = abi.PathFlag.UP | abi.PathFlag.GATEWAY4 | abi.PathFlag.GATEWAY6;

/** How many addresses `side` has. */
export const addressesAt = (s: Scenario, side: Side): number => (side === "a" ? s.paths : s.serverPaths);

export const hasEngine = (s: Scenario, side: Side): boolean =>
  side === "a" ? s.cast === "both" || s.cast.startsWith("client") : s.cast === "both" || s.cast.endsWith("Server");

/** The address of `side` on path `k`, of the family that the path has. */
export const addressAt = (s: Scenario, side: Side, k: number): string => addressOf(side, k, s.families[k - 1]);

/** A path as the daemon tells its engine: up with its address, or down, with the address or without. */
export function pathCommand(s: Scenario, side: Side, k: number, up: boolean, hasAddress = true) {
  const own = addressAt(s, side, k);
  const address = { [own.includes(":") ? "address6" : "address4"]: own };
  return { ...(hasAddress && address), flags: up ? UP : 0 };
}

export function machineOf(s: Scenario, side: Side, random: Random): Machine {
  const plan = s.hosts[side];
  const stack = stackOf(s, side, plan, random);
  const native = plan.kind === "mptcp";
  if (!hasEngine(s, side)) return new Machine(stack, native);
  const paths = Array.from({ length: addressesAt(s, side) }, (_, i) => i + 1);
  const machine = new Machine(stack, native, {
    build: s.build,
    seed: random.bits(),
    flags: s.engineFlags[side],
    connections: 8,
    subflows: 40,
    runs: 2_000,
    prefer: paths,
    paths: paths.map((k) => pathCommand(s, side, k, true)),
  });
  if (s.wrap[side]) drawNearWraps(machine, side, random);
  return machine;
}

/**
 * What the engine draws first in a call is a key, or the ISN of a join: for the first calls that need a key one
 * comes up whose IDSN is near the wrap, and all other numbers are just below it, too.
 */
function drawNearWraps(machine: Machine, side: Side, random: Random): void {
  const engine = machine.engine?.engine;
  if (engine === undefined) return;
  const keys = WRAP_KEYS.filter((_, i) => i % 2 === (side === "a" ? 0 : 1));
  const fill = engine.fillEntropy;
  const count = abi.HEADER + abi.EngineHeader.ENTROPY_COUNT;
  let key = 0;
  engine.fillEntropy = () => {
    const used = engine.view.getUint32(count, true) !== abi.ENTROPY_SIZE;
    fill();
    if (!used && key > 0) return;
    const end = abi.ENTROPY + abi.ENTROPY_SIZE;
    const value = keys[key++] ?? (BigInt(0xffff_ffff - random.below(20_000)) << 32n) | BigInt(random.bits());
    engine.view.setUint32(end - 4, Number(value >> 32n), true);
    engine.view.setUint32(end - 8, Number(value & 0xffff_ffffn), true);
  };
}

function stackOf(s: Scenario, side: Side, plan: HostPlan, random: Random): Stack {
  const addresses = Array.from({ length: addressesAt(s, side) }, (_, i) => addressAt(s, side, i + 1));
  if (plan.kind === "smoltcp") {
    return new SmoltcpStack({
      addresses,
      seed: random.bits(),
      isns: plan.issNear === undefined ? [] : [0, 1].map(() => 0xffff_ffff - random.below(plan.issNear ?? 1)),
      receiveBuffer: plan.receiveBuffer,
      sendBuffer: plan.sendBuffer,
      gsoMax: plan.gso > 1 && s.family === 4 ? 1500 * plan.gso : 0,
      keepAliveUs: plan.keepAliveUs,
      ackDelayUs: plan.delayedAck ? 40_000 : 0,
      congestionControl: "none",
    });
  }
  const options = {
    addresses,
    random: new Random(random.bits()),
    sack: plan.sack,
    windowScale: plan.windowScale,
    receiveBuffer: plan.receiveBuffer,
    sendBuffer: plan.sendBuffer,
    gso: plan.gso,
    keepAliveUs: plan.keepAliveUs,
    delayedAck: plan.delayedAck,
    repacketise: plan.repacketise,
    shortWrites: plan.shortWrites,
    issNear: plan.issNear,
    // Its fast retransmission takes no heed; check-subflow.ts sees to it that no engine oversteps by itself.
    lenientWindow: s.hosts[otherSide(side)].kind === "smoltcp",
  };
  if (plan.kind === "tcp") return new TcpStack(options);
  return new MptcpStack({ ...options, ...plan.native, tolerant: s.boxes.length > 0 });
}
