// Each shipped policy on a live transfer: the octets on the wire go where it claims. One pair of daemons serves all
// cases, as `policy use` puts the class under the next one. Why they decide so is shown in virtual time (plugins/*/test).

import { afterEach, beforeEach, expect, it } from "vitest";
import type { ConnectionStatus } from "../../host/control/status.ts";
import { linkDown, linkUp, until } from "./mobility.ts";
import { CLASS, PolicyStand } from "./policies.ts";
import { Scenario } from "./scenario.ts";
import { twoNetworks } from "./topology.ts";

const MB = 1_000_000;

let stand: PolicyStand;
let scenario: Scenario;
/** Nothing of a test that failed is left to the next one. */
let isFresh = false;

beforeEach(async () => {
  if (isFresh) return;
  scenario = await Scenario.start({ topology: twoNetworks, shunt: { server: {} }, isShared: true });
  // What a transfer has left when its test is content is to be sent in no time.
  for (const name of ["wifi", "ethernet"]) await scenario.lab.emulator.set(name, { rateMbit: 300 });
  stand = await PolicyStand.open(scenario);
  isFresh = true;
});

afterEach((context) => {
  if (context.task.result?.state === "fail") isFresh = false;
});

const wifiAt = (signalDbm: number, slopeDbPerS: number) => ({
  interfaces: { wifi: { kind: "wifi", signalDbm, slopeDbPerS } },
});

/** The connection that was opened last; closed ones stay in the list for a while. */
async function newest(): Promise<ConnectionStatus | undefined> {
  return (await stand.status()).connections.at(-1);
}

async function untilClosed(network: string): Promise<void> {
  await until(
    `no subflow is left on ${network}`,
    async () => (await newest())?.subflows.every(({ path }) => path !== network) === true,
  );
}

it("signal: joins when the radio fades, moves before it breaks, and comes back when it is good", async () => {
  stand.tell(wifiAt(-55, 0));
  await stand.use("signal", { standby: false, hold_ms: 1000 });
  await stand.reset();
  const call = stand.call({});
  await stand.onlyOn("wifi");
  expect(await stand.woken("ethernet")).toEqual({ syn: 0, payload: 0 });
  // 85 - 67 dB at 2 dB/s: it will last for 9 s, long enough to join without haste.
  stand.tell(wifiAt(-67, -2));
  await scenario.joined("client");
  await stand.onlyOn("wifi");
  expect((await stand.woken("ethernet")).payload).toBe(0);
  stand.tell(wifiAt(-75, -5));
  await stand.onlyOn("ethernet");
  expect((await stand.status()).paths.map(({ state }) => state)).toEqual(["up", "up"]);
  await linkDown(scenario.client, "wifi");
  await stand.onlyOn("ethernet");
  await linkUp(scenario.client, "wifi");
  stand.tell(wifiAt(-55, 0));
  await stand.onlyOn("wifi");
  await stand.finish([call], "signal");
});

it("energy: a short flow wakes no second radio; a long one does when that is cheaper, and the first may sleep", async () => {
  stand.tell({
    host: { batteryPermille: 300, power: "battery" },
    interfaces: { wifi: { kind: "wifi", energyPerByte: 5000 }, ethernet: { kind: "cellular", energyPerByte: 1000 } },
  });
  // Its radio stays awake long enough to be closed without being woken again.
  await stand.use("energy", { hold_ms: 1000, wifi_tail_ms: 5000 });
  // What flowed before is no longer taken for what will flow.
  await stand.decided(3);
  await stand.reset();
  for (let i = 0; i < 5; i++) await stand.ended([stand.call({ up: 5000, down: 20_000, rate: 0 })], "energy");
  expect(await stand.woken("ethernet")).toEqual({ syn: 0, payload: 0 });
  const call = stand.call({});
  await stand.onlyOn("ethernet");
  await untilClosed("wifi");
  expect(await newest()).toMatchObject({ activePath: "ethernet" });
  // On mains the other one is joined, though nothing needs it.
  stand.tell({ host: { power: "mains" } });
  await stand.onlyOn("wifi");
  await scenario.joined("client");
  await stand.finish([call], "energy");
});

it("min-delay: finds out by probes that the idle path has become the faster one, and that it has not stayed so", async () => {
  stand.tell({});
  await stand.use("min-delay", { probe_ms: 100, hold_ms: 1000, margin_ms: 5 });
  await stand.reset();
  const call = stand.call({});
  await scenario.joined("client");
  await stand.onlyOn("wifi");
  await scenario.lab.emulator.set("ethernet", { delayMs: 1 });
  await stand.onlyOn("ethernet");
  await scenario.lab.emulator.set("ethernet", { delayMs: 30 });
  await stand.onlyOn("wifi");
  await stand.finish([call], "min-delay");
});

it("composite: a weak radio outweighs a price, a good one does not", async () => {
  const tell = (signalDbm: number) =>
    stand.tell({ interfaces: { wifi: { signalDbm, slopeDbPerS: 0 }, ethernet: { costMicroPerGB: MB } } });
  tell(-60);
  await stand.use("composite", { hold_ms: 1000 });
  await stand.reset();
  const call = stand.call({});
  await scenario.joined("client");
  await stand.onlyOn("wifi");
  tell(-83);
  await stand.onlyOn("ethernet");
  tell(-60);
  await stand.onlyOn("wifi");
  await stand.finish([call], "composite");
});

it("cheapest-c: the data follows the price", async () => {
  const tell = (wifi: number, ethernet: number) =>
    stand.tell({ interfaces: { wifi: { costMicroPerGB: wifi }, ethernet: { costMicroPerGB: ethernet } } });
  tell(1, 2);
  await stand.use("cheapest-c", { hold_ms: 500 });
  await stand.reset();
  const call = stand.call({});
  await scenario.joined("client");
  await stand.onlyOn("wifi");
  tell(3, 2);
  await stand.onlyOn("ethernet");
  tell(1, 2); // and back, which the next case begins with: its policy stays where it finds the class
  await stand.onlyOn("wifi");
  expect(await stand.metric('shunt_moves_total{reason="policy"}')).toBeGreaterThanOrEqual(2);
  await stand.finish([call], "cheapest-c");
});

it("quietest-rust: makes way for another class, which stays where it is, and does not run from itself", async () => {
  stand.tell({});
  await stand.use("quietest-rust", { hold_ms: 1000 });
  await stand.reset();
  const call = stand.call({ rate: MB / 5 });
  await scenario.joined("client");
  await stand.onlyOn("wifi");
  const other = stand.call({ family: 6, up: 20 * MB, down: 20 * MB, rate: MB });
  await stand.onlyOn("ethernet");
  const [wifi, ethernet] = [await stand.carried("wifi", 6), await stand.carried("ethernet", 6)];
  expect(Math.min(wifi.up, wifi.down)).toBeGreaterThan(MB);
  expect(ethernet).toEqual({ up: 0, down: 0 });
  await stand.finish([call, other], "quietest-rust");
});

it("drain: a path is left, and empty by the deadline, though the transfer never pauses", async () => {
  const withinMs = 20_000;
  stand.tell({});
  // It moves three seconds after it was told; the rest of the time is for the machine on which this runs.
  await stand.use("drain", { within_ms: withinMs, reserve_ms: 17_000 });
  await stand.reset();
  const call = stand.call({});
  await scenario.joined("client");
  await stand.onlyOn("wifi");
  await scenario.shunt("client").command("path", "drain", "wifi");
  await stand.onlyOn("ethernet");
  await untilClosed("wifi");
  const events = await stand.events("policy_log", "subflow_closed");
  const told = events.findLast(({ detail }) => detail === "a path is to be left; its time runs");
  const id = (await newest())?.id;
  const closed = events.find(({ path, connection }) => path === "wifi" && connection === id);
  expect(closed).toMatchObject({ reason: "removed" });
  expect(Number(closed?.timeUs) - Number(told?.timeUs)).toBeLessThan(withinMs * 1000);
  const { forward, backward } = await scenario.wire("wifi");
  await stand.onlyOn("ethernet");
  const later = await scenario.wire("wifi");
  expect([later.forward.in.packets, later.backward.in.packets]).toEqual([forward.in.packets, backward.in.packets]);
  await stand.finish([call], "drain");
  await scenario.shunt("client").command("path", "drain", "wifi", "--off");
});

it("cost: leaves a path whose quota the transfer itself uses up, and knows it still when the daemon comes back", async () => {
  const path = ["wifi", "ethernet"].map((name) => ({ name, interface: name }));
  const quota = { path: [{ ...path[0], quota: "5 MB" }, path[1]] } as object;
  const restart = () => stand.restart({ ...quota, class: [CLASS_UNDER_COST] });
  await restart();
  await stand.reset();
  const call = stand.call({});
  await scenario.joined("client");
  await stand.onlyOn("wifi");
  await stand.onlyOn("ethernet");
  await stand.finish([call], "cost");
  const used = await stand.carried("wifi");
  const total = used.up + used.down;
  // 5 MB less the 2 MB of reserve, and what was under way until it moved.
  expect(total).toBeGreaterThan(2 * MB);
  await restart();
  await stand.reset();
  const again = stand.call({});
  await stand.onlyOn("ethernet");
  await stand.finish([again], "cost");
  const more = await stand.carried("wifi");
  expect(more.up + more.down).toBeLessThan(total / 2);
});

const CLASS_UNDER_COST = {
  name: CLASS,
  match: { prefix: ["10.0.0.0/8"] },
  policy: "cost",
  settings: { reserve_mb: 2, hold_ms: 1000 },
};
