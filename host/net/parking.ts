// Address parking. The kernel routes a host's segment *before* it is queued for us: when the address of a connection's
// first network goes, or only its link, the host's segments would never reach us again. So from the moment a connection
// is converted its address also stands, as /32 or /128, on a device that leads nowhere, with a table that routes it
// there and a rule behind `main`: used only when nothing else routes the address. What the kernel then builds for that
// device meets our queue in OUTPUT first and leaves by another path.
//
// Tried with TCP over IPv4 and IPv6 (docs/decisions/0103-address-parking.md): the extra address does not disturb the
// ordinary use of the address, and segments keep coming through link down, address removal and link up.
import { CommandError, execute } from "./execute.ts";
import { PARK_DEVICE, PARK_PEER, PARK_PREFERENCE, PARK_TABLE, PROTOCOL } from "./marks.ts";

/** Devices that swallow what is sent to them, best first. */
const DEVICE_COMMANDS: readonly string[][] = [
  ["link", "add", PARK_DEVICE, "type", "dummy"],
  ["link", "add", PARK_DEVICE, "type", "ifb"],
  ["link", "add", PARK_DEVICE, "type", "veth", "peer", "name", PARK_PEER],
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
  // Deprecated at once: the kernel must never choose the parked copy as a source by itself.
  const options = family(address) === 6 ? " nodad preferred_lft 0" : "";
  return [
    `address replace ${address}/${family(address) === 6 ? 128 : 32} dev ${PARK_DEVICE}${options}`,
    `rule add from ${address} lookup ${PARK_TABLE} pref ${PARK_PREFERENCE} protocol ${PROTOCOL}`,
  ];
}

/** Commands for `ip -batch` that undo them. */
export function unparkCommands(address: string): string[] {
  return [
    `rule del from ${address} lookup ${PARK_TABLE} pref ${PARK_PREFERENCE} protocol ${PROTOCOL}`,
    `address del ${address}/${family(address) === 6 ? 128 : 32} dev ${PARK_DEVICE}`,
  ];
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
      if (this.#hasDevice) await execute("ip", ["link", "del", PARK_DEVICE]);
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
      const route = ["route", "replace", "default", "dev", PARK_DEVICE];
      await execute("ip", [version, ...route, "table", String(PARK_TABLE), "proto", String(PROTOCOL)]).catch(
        (error) => {
          // A kernel or a machine without IPv6 has nothing to park there.
          if (version === "-4") throw error;
        },
      );
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
