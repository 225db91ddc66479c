// Address parking. The kernel routes a host's segment *before* it is queued for us: when the address of a connection's
// first network goes, or only its link, the host's segments would never reach us again. So from the moment a connection
// is converted a rule behind `main` routes what comes from its address to a device that leads nowhere: used only when
// nothing else routes the address. What the kernel then builds for that device meets our queue in OUTPUT first and
// leaves by another path.
//
// The address itself must not become ours beyond that: once it is gone from its interface it may be given to somebody
// else, whom this machine must reach and whose ARP probes it must not answer. So no parked address is local in the
// `local` table, only in a table of its own into which nothing but the engine's packets to its own host looks
// (docs/decisions/0103-address-parking.md).
import { CommandError, execute } from "./execute.ts";
import {
  HOST_MARK,
  MARK_MASK,
  PARK_DEVICE,
  PARK_LOCAL_PREFERENCE,
  PARK_LOCAL_TABLE,
  PARK_PEER,
  PARK_PREFERENCE,
  PARK_TABLE,
  PROTOCOL,
} from "./marks.ts";

/** Devices that swallow what is sent to them, best first. */
const DEVICE_COMMANDS: readonly string[][] = [
  ["link", "add", PARK_DEVICE, "type", "dummy"],
  ["link", "add", PARK_DEVICE, "type", "ifb"],
  ["link", "add", PARK_DEVICE, "type", "veth", "peer", "name", PARK_PEER],
];

/** Without verb: sends the engine's packets to the own host to the table in which parked addresses are local. */
const HOST_RULE = [
  ...["fwmark", `0x${HOST_MARK.toString(16)}/0x${MARK_MASK.toString(16)}`, "lookup", String(PARK_LOCAL_TABLE)],
  ...["pref", String(PARK_LOCAL_PREFERENCE), "protocol", String(PROTOCOL)],
];

/** IPv6 needs this much on a device, or it is off there. */
const MTU_MIN = 1280;
/** Addresses stay this long after their last use: short connections in a row would add and remove them each time. */
const LINGER_MS = 2000;

function family(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}

/** Commands for `ip -batch` that park an address. */
export function parkCommands(address: string): string[] {
  const commands = [
    // Each time: with the last IPv4 address of a device the kernel takes its IPv4 routes away.
    `route replace default dev ${PARK_DEVICE} table ${PARK_TABLE} proto ${PROTOCOL}`,
    `rule add from ${address} lookup ${PARK_TABLE} pref ${PARK_PREFERENCE} protocol ${PROTOCOL}`,
    `route replace local ${address} dev lo table ${PARK_LOCAL_TABLE} proto ${PROTOCOL}`,
  ];
  if (family(address) === 6) return commands;
  // IPv4 sends only from addresses that stand on some device. The kernel adds a route that makes it local: it goes.
  return [
    `address replace ${address}/32 dev ${PARK_DEVICE} scope host`,
    `route del local ${address} dev ${PARK_DEVICE} table local`,
    ...commands,
  ];
}

/** Commands for `ip -batch` that undo them. */
export function unparkCommands(address: string): string[] {
  const commands = [
    `rule del from ${address} lookup ${PARK_TABLE} pref ${PARK_PREFERENCE} protocol ${PROTOCOL}`,
    `route del local ${address} dev lo table ${PARK_LOCAL_TABLE} proto ${PROTOCOL}`,
  ];
  return family(address) === 6 ? commands : [...commands, `address del ${address}/32 dev ${PARK_DEVICE}`];
}

/** The parked addresses and their device. All changes run one after the other. */
export class Parking {
  #parked = new Set<string>();
  #lingering = new Map<string, NodeJS.Timeout>();
  #hasDevice = false;
  #mtu = 1500;
  #queue: Promise<void> = Promise.resolve();
  #problem: (line: string) => void;

  /** `problem` is told, in one line, what could not be done; parking is never fatal. */
  constructor(problem: (line: string) => void) {
    this.#problem = problem;
  }

  get addresses(): string[] {
    return [...this.#parked];
  }

  /** The smallest MTU of the paths: segments built for the park device must fit every one of them. */
  setMtu(mtu: number): void {
    const wanted = Math.max(MTU_MIN, mtu);
    if (wanted === this.#mtu) return;
    this.#mtu = wanted;
    this.#then(async () => {
      if (this.#hasDevice) await execute("ip", ["link", "set", PARK_DEVICE, "mtu", String(wanted)]);
    });
  }

  /** The address is in use by a converted connection. */
  park(address: string): void {
    const lingering = this.#lingering.get(address);
    if (lingering !== undefined) {
      clearTimeout(lingering);
      this.#lingering.delete(address);
    }
    this.#then(async () => {
      if (this.#parked.has(address)) return;
      await this.#needDevice();
      await execute("ip", [`-${family(address)}`, "-batch", "-"], `${parkCommands(address).join("\n")}\n`);
      this.#parked.add(address);
    });
  }

  /** The last converted connection that used it is gone. */
  unpark(address: string): void {
    if (this.#lingering.has(address)) return;
    const timer = setTimeout(() => {
      this.#lingering.delete(address);
      this.#then(() => this.#unpark(address));
    }, LINGER_MS);
    timer.unref();
    this.#lingering.set(address, timer);
  }

  /** Removes everything. Resolves when it is done. */
  async clear(): Promise<void> {
    for (const timer of this.#lingering.values()) clearTimeout(timer);
    this.#lingering.clear();
    this.#then(async () => {
      for (const address of this.#parked) await this.#unpark(address);
      if (!this.#hasDevice) return;
      await execute("ip", ["link", "del", PARK_DEVICE]);
      for (const version of ["-4", "-6"]) {
        await execute("ip", [version, "rule", "del", ...HOST_RULE]).catch(() => {});
      }
      this.#hasDevice = false;
    });
    await this.#queue;
  }

  async #unpark(address: string): Promise<void> {
    if (!this.#parked.delete(address)) return;
    // -force: go on when one of them is gone already.
    await execute("ip", [`-${family(address)}`, "-force", "-batch", "-"], `${unparkCommands(address).join("\n")}\n`);
  }

  async #needDevice(): Promise<void> {
    if (this.#hasDevice) return;
    await createDevice();
    await execute("ip", ["link", "set", PARK_DEVICE, "addrgenmode", "none"]).catch(() => {});
    await execute("ip", ["link", "set", PARK_DEVICE, "mtu", String(this.#mtu), "up"]);
    for (const version of ["-4", "-6"]) {
      await execute("ip", [version, "rule", "add", ...HOST_RULE]).catch((error) => {
        // A kernel or a machine without IPv6 has nothing to park there.
        if (version === "-4") throw error;
      });
    }
    this.#hasDevice = true;
  }

  #then(step: () => Promise<void>): void {
    this.#queue = this.#queue.then(step).catch((error: Error) => this.#problem(`address parking: ${error.message}`));
  }
}

async function createDevice(): Promise<void> {
  const tried: string[] = [];
  for (const command of DEVICE_COMMANDS) {
    try {
      await execute("ip", command);
      if (command.includes("veth")) await execute("ip", ["link", "set", PARK_PEER, "up"]);
      return;
    } catch (error) {
      if (error instanceof CommandError && /File exists/.test(error.output)) return;
      tried.push(command[4] ?? "");
    }
  }
  throw new CommandError(
    `no device to park addresses on (tried ${tried.join(", ")}); remedy: a kernel with dummy, ifb or veth`,
    "",
  );
}
