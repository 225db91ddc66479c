// What happens to a host's interfaces when it moves: links and addresses that go, come back, or come back as others.

import { setTimeout as sleep } from "node:timers/promises";
import type { Host } from "./host.ts";

const FAMILIES = [4, 6] as const;
const PREFIX_LENGTH = { 4: 24, 6: 64 } as const;

/** How long a daemon may take to follow a change of the network, ms: a limit for what never comes, not a measure. */
const FOLLOW_MS = 20_000;

/** Interfaces go down. With it IPv6 addresses go, IPv4 addresses stay, as Linux has it. */
export async function linkDown(host: Host, network: string): Promise<void> {
  await host.exec(["ip", "link", "set", network, "down"]);
}

/** An interface comes up with the addresses it had, or with others of the same networks: `number` at their end. */
export async function linkUp(host: Host, network: string, number?: number): Promise<void> {
  await host.exec(["ip", "link", "set", network, "up"]);
  for (const family of FAMILIES) {
    const own = host.address(network, family);
    const address = number === undefined ? own : own.replace(/\d+$/, `${number}`);
    const options = family === 6 ? ["nodad"] : [];
    await host.exec(["ip", "address", "replace", `${address}/${PREFIX_LENGTH[family]}`, "dev", network, ...options]);
  }
}

/** An interface loses its addresses, then its link: what a network manager does when Wi-Fi is switched off. */
export async function leave(host: Host, network: string): Promise<void> {
  await host.exec(["ip", "address", "flush", "dev", network, "scope", "global"]);
  await linkDown(host, network);
}

/** Waits until `isTrue` says so; fails with `what` if it never does. */
export async function until(what: string, isTrue: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + FOLLOW_MS;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`);
    await sleep(20);
  }
}
