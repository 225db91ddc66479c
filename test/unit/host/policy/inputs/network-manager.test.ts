import { beforeEach, expect, test } from "vitest";
import { deviceFacts, NetworkManagerInput } from "../../../../../host/policy/inputs/network-manager.ts";
import { VirtualClock } from "../world.ts";
import { fixture, Heard, ScriptPrograms } from "./script.ts";

const FIELDS = "GENERAL.DEVICE,GENERAL.IP-IFACE,GENERAL.METERED,GENERAL.IP4-CONNECTIVITY,GENERAL.IP6-CONNECTIVITY";
const QUESTION = `nmcli -t -m multiline -f ${FIELDS} device show`;

let clock: VirtualClock;
let heard: Heard;
let programs: ScriptPrograms;
let input: NetworkManagerInput;

beforeEach(() => {
  clock = new VirtualClock();
  heard = new Heard();
  programs = new ScriptPrograms();
  input = new NetworkManagerInput(programs.run, clock);
});

test("devices are metered or not, or behind a portal", async () => {
  programs.answers.set(QUESTION, fixture("nmcli.txt"));
  await input.start(heard);
  await clock.pass(0);
  expect(heard.interfaces).toEqual({
    wlp3s0: { metered: true, captive: false },
    wwan0: { metered: true, captive: false },
    eth0: { metered: false, captive: true },
    eth1: { metered: null, captive: null },
    eth2: { metered: false, captive: false },
  });
  expect([input.isThere, await input.look()]).toEqual([true, { isThere: true, detail: "metered: wlp3s0, wwan0" }]);
});

test("is asked every half minute, and a second after a link has changed; what is gone is forgotten", async () => {
  programs.answers.set(QUESTION, fixture("nmcli.txt"));
  await input.start(heard);
  await clock.pass(29_000);
  expect(programs.calls).toEqual([QUESTION]);
  programs.answers.set(QUESTION, "GENERAL.DEVICE:lo\nGENERAL.METERED:unknown\n");
  for (let i = 0; i < 100; i++) input.linksChanged();
  await clock.pass(999);
  expect(programs.calls.length).toBe(1);
  await clock.pass(1);
  expect(programs.calls.length).toBe(2);
  expect(heard.interfaces.wlp3s0).toEqual({ metered: null, captive: null });
  input.stop();
  await clock.pass(90_000);
  expect([programs.calls.length, clock.waiting]).toEqual([2, 0]);
});

test.each([
  ["nmcli is not installed: NetworkManager tells what is metered", { kind: "absent" as const }],
  ["Error: NetworkManager is not running.", { kind: "failed" as const, line: "Error: NetworkManager is not running." }],
])("%s: no complaint", async (detail, answer) => {
  programs.answers.set(QUESTION, answer);
  await input.start(heard);
  await clock.pass(60_000);
  expect([input.isThere, heard.interfaces, heard.problems]).toEqual([false, {}, []]);
  expect(await input.look()).toEqual({ isThere: false, detail });
});

test("what is no such report says nothing", () => {
  for (const odd of [
    "",
    "\n\n\n",
    "GENERAL",
    "GENERAL.METERED:yes\n",
    "GENERAL.DEVICE:\nGENERAL.METERED:yes\n",
    "\u0000",
  ]) {
    expect(deviceFacts(odd)).toEqual(new Map());
  }
  const odd = "GENERAL.DEVICE:a\nGENERAL.METERED:tak\nGENERAL.IP4-CONNECTIVITY:pełna\n";
  expect(deviceFacts(odd).get("a")).toEqual({ metered: null, captive: null });
});
