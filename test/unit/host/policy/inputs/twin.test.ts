// Whatever a source of the real system can say, a file can say as well: a lab needs no radio.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PathKind, Power } from "../../../../../host/policy/abi.ts";
import { FileInput } from "../../../../../host/policy/inputs/file.ts";
import type { HostFacts, InterfaceFacts } from "../../../../../host/policy/inputs/input.ts";
import { Heard } from "./script.ts";

/** Every fact that there is, in a file's words and as it arrives; the compiler sees to it that none is left out. */
const INTERFACE: { [K in keyof Required<InterfaceFacts>]: [unknown, InterfaceFacts[K]] } = {
  kind: ["satellite", PathKind.SATELLITE],
  signalDbm: [-71.5, -71.5],
  slopeDbPerS: [-2, -2],
  bitrateKbps: [130_000, 130_000],
  metered: [true, true],
  expensive: [true, true],
  captive: [false, false],
  costMicroPerGB: [2_500_000, 2_500_000],
  quotaLeft: [1_000_000_000, 1_000_000_000],
  energyPerByte: [400, 400],
};
const HOST: { [K in keyof Required<HostFacts>]: [unknown, HostFacts[K]] } = {
  batteryPermille: [800, 800],
  power: ["battery", Power.BATTERY],
};

const words = (facts: object) => Object.fromEntries(Object.entries(facts).map(([key, [word]]) => [key, word]));
const values = (facts: object) => Object.fromEntries(Object.entries(facts).map(([key, [, value]]) => [key, value]));

test.each([...Object.keys(INTERFACE), ...Object.keys(HOST)])("a file can say %s", async (key) => {
  const heard = await heardOf(words(INTERFACE), words(HOST));
  expect({ ...heard.interfaces.wlan0, ...heard.machine }[key as keyof InterfaceFacts]).toBe(
    { ...values(INTERFACE), ...values(HOST) }[key],
  );
});

test("what a file leaves out, or says wrongly, is unknown", async () => {
  const unknown = (facts: object) => Object.fromEntries(Object.keys(facts).map((key) => [key, null]));
  for (const odd of [undefined, { nested: true }]) {
    const all = (facts: object) => Object.fromEntries(Object.keys(facts).map((key) => [key, odd]));
    const heard = await heardOf(all(INTERFACE), all(HOST));
    expect([heard.interfaces.wlan0, heard.machine]).toEqual([unknown(INTERFACE), unknown(HOST)]);
  }
});

async function heardOf(wlan0: object, host: object): Promise<Heard> {
  const directory = mkdtempSync(join(tmpdir(), "shunt-twin-"));
  const file = join(directory, "inputs.json");
  writeFileSync(file, JSON.stringify({ host, interfaces: { wlan0 } }));
  const heard = new Heard();
  const input = new FileInput(file);
  await input.start(heard);
  input.stop();
  rmSync(directory, { recursive: true });
  return heard;
}
