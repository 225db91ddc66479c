// What an interface is made of, from what the kernel tells of it in /sys/class/net (Documentation/ABI/testing/
// sysfs-class-net and net/core/net-sysfs.c; numbers of `type` in include/uapi/linux/if_arp.h). State, addresses and
// MTU of links come from rtnetlink by way of the path table, not from here.
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { PathKind } from "../abi.ts";
import { kindWord } from "../words.ts";
import type { Finding, FoundInput, InputSink, InterfaceName } from "./input.ts";

const SYSFS = "/sys/class/net";

/** DEVTYPE in uevent: what a driver calls its kind of device. */
const DEVICE_TYPES: ReadonlyMap<string, PathKind> = new Map([
  ["wlan", PathKind.WIFI],
  ["wwan", PathKind.CELLULAR],
  ["wireguard", PathKind.TUNNEL],
  ["vxlan", PathKind.TUNNEL],
  ["geneve", PathKind.TUNNEL],
]);

/** ARPHRD_… that leave no doubt. PPP is none of them: a modem, or a cable. */
const HARDWARE_TYPES: ReadonlyMap<string, PathKind> = new Map([
  ["519", PathKind.CELLULAR], // RAWIP
  ["768", PathKind.TUNNEL], // TUNNEL: IP in IP
  ["769", PathKind.TUNNEL], // TUNNEL6
  ["776", PathKind.TUNNEL], // SIT
  ["778", PathKind.TUNNEL], // IPGRE
  ["823", PathKind.TUNNEL], // IP6GRE
]);
const ARPHRD_ETHER = "1";

export class LinkKindInput implements FoundInput {
  readonly name = "links";
  #directory: string;
  #sink: InputSink | null = null;
  /** Index that the kind was told for, by name. */
  #told = new Map<string, number>();

  constructor(directory = SYSFS) {
    this.#directory = directory;
  }

  get isThere(): boolean {
    return existsSync(this.#directory);
  }

  async start(sink: InputSink): Promise<void> {
    this.#sink = sink;
  }

  stop(): void {
    this.#sink = null;
  }

  linksChanged(interfaces: readonly InterfaceName[]): void {
    for (const { name, index } of interfaces) {
      if (this.#told.get(name) === index) continue;
      this.#told.set(name, index);
      void linkKind(this.#directory, name, index).then((kind) => {
        // Another interface may have taken the name while its files were read.
        if (this.#told.get(name) === index) this.#sink?.interface(name, { kind });
      });
    }
  }

  async look(): Promise<Finding> {
    const names = (await readdir(this.#directory).catch(() => [])).filter((name) => name !== "lo");
    const kinds = await Promise.all(names.map((name) => linkKind(this.#directory, name)));
    const words = names.map((name, i) => `${name} ${kindWord(kinds[i] ?? null)}`);
    return { isThere: this.isThere, detail: words.length === 0 ? "no interfaces" : words.join(", ") };
  }
}

/**
 * Kind of an interface, null = cannot be told. With `index`, null also if the files are of an interface with another
 * one: /sys may show the network namespace of whoever mounted it, rtnetlink shows ours.
 */
export async function linkKind(directory: string, name: string, index?: number): Promise<PathKind | null> {
  if (index === 0 || name.includes("/") || /^\.*$/.test(name)) return null;
  const at = (file: string) => join(directory, name, file);
  const read = async (file: string) => (await readFile(at(file), "utf8").catch(() => "")).trim();
  const [found, hardware, uevent] = await Promise.all([read("ifindex"), read("type"), read("uevent")]);
  if (index !== undefined && found !== String(index)) return null;
  if (existsSync(at("phy80211")) || existsSync(at("wireless"))) return PathKind.WIFI;
  const device = DEVICE_TYPES.get(/^DEVTYPE=(.*)$/m.exec(uevent)?.[1] ?? "");
  if (device !== undefined) return device;
  if (existsSync(at("tun_flags"))) return PathKind.TUNNEL;
  // One without a device behind it (veth, bridge, bond, VLAN) may lead anywhere.
  if (hardware === ARPHRD_ETHER) return existsSync(at("device")) ? PathKind.ETHERNET : null;
  return HARDWARE_TYPES.get(hardware) ?? null;
}
