// The sources that a configuration may name: files, and adapters that find by themselves whether what they read is on
// this machine.

import { FileInput } from "./file.ts";
import type { Finding, FoundInput, Input } from "./input.ts";
import { LinkKindInput } from "./link-kind.ts";
import { ModemManagerInput } from "./modem-manager.ts";
import { NetworkManagerInput } from "./network-manager.ts";
import { Nl80211Input } from "./nl80211.ts";
import { PowerSupplyInput } from "./power-supply.ts";
import { WirelessInput } from "./wireless.ts";

/** In a configuration: all that find themselves. */
const AUTO = "auto";
/** In this order; of two that know the same fact the later one is believed. */
const FOUND = ["links", "nl80211", "wireless", "modemmanager", "power_supply", "networkmanager"] as const;
type FoundName = (typeof FOUND)[number];

/** What is wrong with an entry of [policy] inputs, null = nothing. */
export function checkInputName(name: string): string | null {
  if (name === AUTO || FOUND.some((known) => known === name) || /^file:\/.+/.test(name)) return null;
  const names = [AUTO, ...FOUND].map((known) => `"${known}"`).join(", ");
  return `expected ${names}, or "file:" and an absolute path, found ${JSON.stringify(name)}`;
}

/** The sources of names that checkInputName() accepts, in their order, each once. */
export function inputsOf(names: readonly string[]): Input[] {
  const all = [...new Set(names.flatMap((name) => (name === AUTO ? FOUND : [name])))];
  const nl80211 = new Nl80211Input();
  return all.map((name) => (isFound(name) ? foundInput(name, nl80211) : new FileInput(name.slice("file:".length))));
}

/** What each source that finds itself finds here. */
export function lookForInputs(): Promise<({ name: string } & Finding)[]> {
  const nl80211 = new Nl80211Input();
  return Promise.all(FOUND.map(async (name) => ({ name, ...(await foundInput(name, nl80211).look()) })));
}

function isFound(name: string): name is FoundName {
  return FOUND.some((known) => known === name);
}

function foundInput(name: FoundName, nl80211: Nl80211Input): FoundInput {
  switch (name) {
    case "links":
      return new LinkKindInput();
    case "nl80211":
      return nl80211;
    case "wireless":
      // If nl80211 is not among the sources it is never there.
      return new WirelessInput({ isSuperseded: () => nl80211.isThere });
    case "modemmanager":
      return new ModemManagerInput();
    case "power_supply":
      return new PowerSupplyInput();
    case "networkmanager":
      return new NetworkManagerInput();
  }
}
