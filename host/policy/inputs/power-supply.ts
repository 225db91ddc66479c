// Battery and mains from /sys/class/power_supply (Documentation/ABI/testing/sysfs-class-power of the kernel; `scope`
// is in drivers/power/supply/power_supply_sysfs.c). Read every ten seconds: not all drivers tell when they change.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Power } from "../abi.ts";
import type { Clock } from "../clock.ts";
import { powerWord } from "../words.ts";
import type { Finding, FoundInput, HostFacts, InputSink } from "./input.ts";
import { Poll } from "./poll.ts";

const SYSFS = "/sys/class/power_supply";
const EVERY_MS = 10_000;

/** Files of one supply, as far as we read them; "" = not there. */
type Supply = Record<(typeof FILES)[number], string>;
const FILES = [
  ...["type", "scope", "present", "online", "status", "capacity"],
  ...["energy_now", "energy_full", "charge_now", "charge_full"],
] as const;

export class PowerSupplyInput implements FoundInput {
  readonly name = "power_supply";
  #directory: string;
  #poll: Poll;
  isThere = false;

  constructor(directory = SYSFS, clock?: Clock) {
    this.#directory = directory;
    this.#poll = new Poll(this.name, (sink) => this.#ask(sink), clock);
  }

  start(sink: InputSink): Promise<void> {
    return this.#poll.start(sink);
  }

  stop(): void {
    this.#poll.stop();
  }

  async look(): Promise<Finding> {
    const supplies = await readSupplies(this.#directory);
    if (supplies.length === 0) return { isThere: false, detail: "this machine has no battery and tells of no mains" };
    const { power, batteryPermille } = powerFacts(supplies);
    const source = `power ${powerWord(power)}`;
    return { isThere: true, detail: batteryPermille === null ? source : `${source}, ${(batteryPermille ?? 0) / 10} %` };
  }

  async #ask(sink: InputSink): Promise<number> {
    const supplies = await readSupplies(this.#directory);
    this.isThere = supplies.length > 0;
    sink.host(powerFacts(supplies));
    return EVERY_MS;
  }
}

/** Supplies of the machine itself: those of a mouse or a headset have the scope "Device". */
async function readSupplies(directory: string): Promise<Supply[]> {
  const names = await readdir(directory).catch(() => []);
  const supplies = await Promise.all(
    names.map(async (name) => {
      // A battery whose driver is busy answers EAGAIN or ENODEV: the next time it will tell.
      const read = async (file: string) => (await readFile(join(directory, name, file), "utf8").catch(() => "")).trim();
      const values = await Promise.all(FILES.map(async (file) => [file, await read(file)] as const));
      return Object.fromEntries(values) as Supply;
    }),
  );
  return supplies.filter(({ type, scope, present }) => type !== "" && scope !== "Device" && present !== "0");
}

/** What they say together. */
export function powerFacts(supplies: readonly Supply[]): Required<HostFacts> {
  const batteries = supplies.filter(({ type }) => type === "Battery" || type === "UPS");
  const chargers = supplies.filter(({ type }) => type !== "Battery" && type !== "UPS");
  const states = batteries.map(({ status }) => status.toLowerCase());
  return { batteryPermille: charge(batteries), power: powerOf(states, chargers) };
}

function powerOf(states: string[], chargers: readonly Supply[]): Power | null {
  // Also with a charger that gives less than is used.
  if (states.includes("discharging")) return Power.BATTERY;
  if (chargers.some(({ online }) => Number(online) > 0)) return Power.MAINS;
  if (states.some((state) => state === "charging" || state === "full" || state === "not charging")) return Power.MAINS;
  return states.length > 0 && chargers.some(({ online }) => online === "0") ? Power.BATTERY : null;
}

/** ‰ of all batteries, each by its size where that is known. */
function charge(batteries: readonly Supply[]): number | null {
  const known = (["energy", "charge"] as const)
    .map((unit) => batteries.map((battery) => [amount(battery[`${unit}_now`]), amount(battery[`${unit}_full`])]))
    .find((pairs) => pairs.length > 0 && pairs.every(([now, full]) => now !== null && full !== null && full !== 0));
  if (known !== undefined) {
    const sum = (which: 0 | 1) => known.reduce((total, pair) => total + (pair[which] ?? 0), 0);
    return Math.min(1000, Math.round((sum(0) / sum(1)) * 1000));
  }
  const percents = batteries.map(({ capacity }) => amount(capacity)).filter((value) => value !== null);
  if (percents.length === 0) return null;
  const mean = percents.reduce((total, value) => total + value, 0) / percents.length;
  return Math.min(1000, Math.round(mean * 10));
}

function amount(text: string): number | null {
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}
