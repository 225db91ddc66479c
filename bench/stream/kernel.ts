// Settings of this machine that no namespace has for itself. At exit everything is as it was; without the right to
// change them (a user namespace) they stay.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";

const ALLOWED = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";
const AUTOGROUP = "/proc/self/autogroup";
const BACKLOG = "/proc/sys/net/core/netdev_max_backlog";

/** Lets namespaces choose a congestion control that this kernel has and reserves. The lab says when it was refused. */
export function allowCongestionControl(name: string): void {
  change(ALLOWED, (allowed) => (allowed.split(" ").includes(name) ? allowed : `${allowed} ${name}`));
}

/**
 * Lets `packets` wait behind an interface. The kernel's 1,000 are 24 ms of full frames at 500 Mbit/s: when the path
 * emulator was kept from running that long, its next burst would lose some.
 */
export function allowBacklog(packets: number): void {
  change(BACKLOG, (limit) => `${Math.max(packets, Number(limit))}`);
}

/** For this process and all it starts: the figures are of what is measured, not of what else this machine does. */
export function raisePriority(): void {
  try {
    setPriority(-19);
    // Where the kernel groups processes by session, it shares the CPUs among groups first.
    if (!existsSync(AUTOGROUP)) return;
    writeFileSync(AUTOGROUP, "-19");
    process.on("exit", () => writeFileSync(AUTOGROUP, "0"));
  } catch {
    console.log("  not allowed to raise the priority: expect other programs of this machine in the figures");
  }
}

function change(file: string, next: (value: string) => string): void {
  try {
    const value = readFileSync(file, "utf8").trim();
    if (next(value) === value) return;
    writeFileSync(file, next(value));
    process.on("exit", () => writeFileSync(file, value));
  } catch {
    // What matters of it shows: the lab names refused settings, the tables name lost packets.
  }
}
