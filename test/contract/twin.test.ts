// The same engine.wasm gives the same octets under V8 (where the other tests run) and under wasmtime (where it works).
//
// A scenario is two engines, back to back, each with a host behind it: connections are opened, data goes both ways,
// subflows are joined, connections are handed over, and some packets are lost, doubled or mutated. All from one seed.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { Direction, Hook, PacketFlag, PathFlag, Verdict } from "../../host/engine/abi.ts";
import { addonPath } from "../../host/engine/addon.ts";
import { type EngineCommand, encodeCommand } from "../../host/engine/commands.ts";
import { Random } from "../model/random.ts";
import { TinyHost } from "./fixtures/tiny-host.ts";
import { type Outcome, type PacketIn, Twin } from "./fixtures/twin.ts";

const ENGINE = path.resolve(import.meta.dirname, "../../build/engine.wasm");
const STEPS = 400;
const SEEDS = [1, 2, 3, 4, 5, 6];
/** Super-packets need the flags that the kernel gives them. */
const MTU = 1500;

class Side {
  readonly twin: Twin;
  readonly host: TinyHost;
  readonly addresses: string[];
  /** Packets that wait for the engine. */
  readonly waiting: PacketIn[] = [];
  peer: Side | undefined;

  constructor(release: Uint8Array, random: Random, addresses: string[]) {
    this.twin = new Twin(release, random.below(2 ** 31));
    this.host = new TinyHost((below) => random.below(below));
    this.addresses = addresses;
  }

  hostSends(packets: readonly Uint8Array[]): void {
    for (const octets of packets) this.waiting.push({ octets, hook: Hook.LOCAL_OUT, flags: flagsOf(octets) });
  }

  wireBrings(octets: Uint8Array): void {
    this.waiting.push({ octets, hook: Hook.LOCAL_IN, flags: flagsOf(octets) });
  }
}

const flagsOf = (octets: Uint8Array): number =>
  octets.length > MTU ? PacketFlag.GSO | PacketFlag.CHECKSUM_NOT_READY : 0;

class Scenario {
  readonly sides: [Side, Side];
  /** How often each verdict was given. */
  readonly verdicts = new Map<number, number>();
  #random: Random;
  #nowUs = 2_000_000;
  #nextPort = 40_000;

  constructor(release: Uint8Array, seed: number) {
    this.#random = new Random(seed);
    const a = new Side(release, this.#random, ["10.0.0.1", "10.0.1.1"]);
    const b = new Side(release, this.#random, ["10.0.2.1", "10.0.3.1"]);
    a.peer = b;
    b.peer = a;
    this.sides = [a, b];
    for (const side of this.sides) {
      side.addresses.forEach((address4, index) => {
        const numbers = { path: index + 1, flags: PathFlag.UP | PathFlag.GATEWAY4, mtu: MTU, interface: index + 2 };
        this.#command(side, { kind: "path_set", ...numbers, prefix4: 24, prefix6: 0, address4, address6: null });
      });
      this.#command(side, { kind: "class_set", class: 0, prefer: [1, 2] });
      this.#command(side, { kind: "trace", on: true, scope: "all" });
    }
  }

  run(): void {
    for (let step = 0; step < STEPS; step++) {
      this.#nowUs += 1 + this.#random.below(20_000);
      if (step % 20 === 0) this.#act();
      for (const side of this.sides) {
        this.#serve(side);
        if (side.twin.deadlineUs <= this.#nowUs) this.#carry(side, [], side.twin.tick(this.#nowUs));
        if (step % 50 === 0) side.twin.compareAll(this.#nowUs);
      }
    }
    for (const side of this.sides) side.twin.compareAll(this.#nowUs);
  }

  /** Something that hosts or operators do. */
  #act(): void {
    const [a, b] = this.sides;
    const side = this.#random.below(2) === 0 ? a : b;
    const { connections } = side.host;
    const connection = connections[this.#random.below(Math.max(1, connections.length))];
    const choice = this.#random.below(connection === undefined ? 1 : 5);
    if (choice === 0) a.hostSends([a.host.open("10.0.0.1", this.#nextPort++, "10.0.2.1", 80)]);
    else if (choice === 1 && connection !== undefined) side.hostSends([side.host.send(connection, 20_000)]);
    else if (choice === 2 && connection !== undefined) side.hostSends([side.host.close(connection)]);
    else {
      const target = { path: 1 + this.#random.below(2), mode: "make_before_break" as const, timeoutMs: 1000 };
      this.#command(side, { kind: "handover", ...target, scope: "all" });
    }
  }

  #command(side: Side, command: EngineCommand): void {
    const id = 1 + this.#random.below(1000);
    this.#carry(side, [], side.twin.command(this.#nowUs, [encodeCommand(command, id)]));
  }

  /** Gives waiting packets to the engine, some lost, some doubled, some mutated. */
  #serve(side: Side): void {
    const batch = side.waiting.splice(0, 1 + this.#random.below(16)).flatMap((packet) => {
      const luck = this.#random.below(40);
      if (luck === 0) return [];
      if (luck === 1) return [packet, { ...packet, octets: Uint8Array.from(packet.octets) }];
      return luck <= 3 ? [packet, this.#mutated(packet)] : [packet];
    });
    if (batch.length > 0) this.#carry(side, batch, side.twin.process(this.#nowUs, batch));
  }

  #mutated(packet: PacketIn): PacketIn {
    const octets = packet.octets.slice(
      0,
      this.#random.below(8) === 0 ? this.#random.below(packet.octets.length) : undefined,
    );
    for (let flips = 1 + this.#random.below(3); flips > 0 && octets.length > 0; flips--) {
      octets[this.#random.below(Math.min(octets.length, 80))] = this.#random.below(256);
    }
    return { ...packet, octets, hook: this.#random.below(8) === 0 ? this.#random.below(5) : packet.hook };
  }

  /** Brings to wire and hosts what a call let through or made. */
  #carry(side: Side, batch: readonly PacketIn[], outcome: Outcome): void {
    outcome.verdicts.forEach(({ verdict, octets }, index) => {
      this.verdicts.set(verdict, (this.verdicts.get(verdict) ?? 0) + 1);
      if (verdict !== Verdict.ACCEPT && verdict !== Verdict.ACCEPT_REWRITTEN) return;
      if (batch[index]?.hook === Hook.LOCAL_OUT) side.peer?.wireBrings(octets);
      else this.#deliver(side, octets);
    });
    for (const { direction, octets } of outcome.outbox) {
      if (direction === Direction.WIRE) side.peer?.wireBrings(octets);
      else this.#deliver(side, octets);
    }
  }

  #deliver(side: Side, octets: Uint8Array): void {
    // A mutated packet that passes as it was may be no TCP at all.
    if (octets.length >= 40 && octets[0] === 0x45 && octets[9] === 6) side.hostSends(answers(side.host, octets));
  }
}

function answers(host: TinyHost, octets: Uint8Array): Uint8Array[] {
  try {
    return host.receive(octets);
  } catch {
    return [];
  }
}

describe.skipIf(!existsSync(ENGINE) || !existsSync(addonPath()))("V8 and wasmtime agree", () => {
  const release = existsSync(ENGINE) ? readFileSync(ENGINE) : Buffer.alloc(0);

  test.each(SEEDS)("scenario with seed %i", (seed) => {
    const scenario = new Scenario(release, seed);
    scenario.run();
    expect(scenario.sides[0].twin.calls).toBeGreaterThan(100);
    expect(scenario.verdicts.get(Verdict.ACCEPT_REWRITTEN) ?? 0).toBeGreaterThan(10);
  });
});
