// The path in use is cut under a connection whose other end is a Linux kernel that speaks MPTCP itself.

import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { option } from "../packet.ts";
import { type Captured, readCapture } from "./capture.ts";
import { linkDown, until } from "./mobility.ts";
import {
  eachDirection,
  expectCarried,
  expectExact,
  expectNativeContent,
  hurry,
  Scenario,
  untilCarried,
} from "./scenario.ts";
import { nativeClient, nativeServer } from "./topology.ts";
import { PORT } from "./transfer.ts";

const MB = 1_000_000;
/** Each path has to carry at least this, bytes. */
const SHARE = MB;
const amounts: [string, 4 | 6, { up?: number; down?: number; rate: number; hold: number }][] = [
  ["upload", 4, { up: 6 * MB, rate: 4 * MB, hold: 2 * MB }],
  ["download", 6, { down: 6 * MB, rate: 4 * MB, hold: 2 * MB }],
];
const shareOf = (amount: { up?: number; down?: number }) => eachDirection(amount, SHARE);

describe("native peer", () => {
  it.each(amounts)(
    "N-84 the proxied client loses its link, a standby subflow is there: %s",
    async (_, family, amount) => {
      const scenario = await Scenario.start({ topology: nativeServer, shunt: { client: {} }, nativeServer: true });
      const call = scenario.call({ ...amount, timeoutSeconds: 30, family });
      await scenario.joined("client");
      await untilCarried(scenario, "wifi", shareOf(amount));
      await linkDown(scenario.client, "wifi");
      hurry(scenario, [call]);
      await expectExact(scenario, await call.outcomes());
      await expectCarried(scenario, "ethernet", shareOf(amount));
      await expectNativeContent(scenario.server);
      expect((await scenario.server.kernelCounters()).MPTcpExtRmAddr).toBeGreaterThan(0);
    },
  );

  it.each(amounts)(
    "N-84 the proxied client joins only after the cut, REMOVE_ADDR right behind the MPJ ACK: %s",
    async (_, family, amount) => {
      const shunt = { client: { engine: { standby: false } } };
      const scenario = await Scenario.start({ topology: nativeServer, shunt, nativeServer: true });
      const file = join(scenario.lab.directory, "ethernet.pcap");
      const call = scenario.call({ ...amount, timeoutSeconds: 30, family });
      await scenario.announced("ethernet", family);
      await untilCarried(scenario, "wifi", shareOf(amount));
      await scenario.lab.emulator.capture("ethernet", file);
      await linkDown(scenario.client, "wifi");
      hurry(scenario, [call]);
      await until("the join", async () => ((await scenario.wire("ethernet")).forward.tcp.mptcp.removeAddr ?? 0) > 0);
      await scenario.lab.emulator.capture("ethernet");
      // Of either end: it does not wait for the fourth ACK.
      const segments = readCapture(file);
      const confirmed = segments.findIndex((segment) => option(segment, "mpJoin")?.form === "ack");
      const next = segments[confirmed + 1] as Captured;
      expect({ to: next.dport, payload: next.payload.length, ids: option(next, "removeAddr")?.ids }).toEqual({
        to: PORT,
        payload: 0,
        ids: [0],
      });
      await expectExact(scenario, await call.outcomes());
      await expectCarried(scenario, "ethernet", shareOf(amount));
      await expectNativeContent(scenario.server);
    },
  );

  it.each(amounts)("N-84 the proxied server loses its link: %s", async (_, family, amount) => {
    const scenario = await Scenario.start({ topology: nativeClient, shunt: { server: {} } });
    const call = scenario.call({ ...amount, timeoutSeconds: 30, family, native: true });
    await scenario.joined("server");
    await untilCarried(scenario, "wifi", shareOf(amount));
    await linkDown(scenario.server, "wifi");
    hurry(scenario, [call]);
    await expectExact(scenario, await call.outcomes());
    await expectCarried(scenario, "ethernet", shareOf(amount));
    await expectNativeContent(scenario.client);
    expect((await scenario.client.kernelCounters()).MPTcpExtRmAddr).toBeGreaterThan(0);
  });
});
