// Streams over connections that move twice: iperf3 with many at once, a WebSocket, small records at a steady pace.

import { describe, expect, it } from "vitest";
import { bothEnds, Run } from "./application.ts";
import type { InteractiveOutcome } from "./apps/interactive.ts";
import { BLOCK_BYTES, Stream } from "./apps/stream.ts";
import type { WebSocketOutcome } from "./apps/websocket.ts";
import { growth, type Still, untilStill } from "./sockets.ts";

const MB = 1_000_000;
const IPERF = 5301;
const STREAMS = 64;
const IPERF_BYTES = 24 * MB;
/** Holds what 64 windows of 16 KiB allow: losses of streams that crowd each other out are not what this is about. */
const IPERF_PATH = { rateMbit: 100, queueMs: 200 };
const INTERACTIVE = 5203;
const RECORDS = 200;
const RECORD_BYTES = 64;
const WEBSOCKET = 5204;
const MESSAGES = 192;

const app = (name: string): string => new URL(`apps/${name}`, import.meta.url).pathname;

interface IperfReport {
  error?: string;
  end: {
    streams: { sender: { bytes: number }; receiver: { bytes: number } }[];
    sum_sent: { bytes: number };
    sum_received: { bytes: number };
  };
}

describe.each(bothEnds)("%s", (_, ends) => {
  it("iperf3, 64 streams: each has the same octets at both ends", async () => {
    const run = await Run.start(ends);
    const { client: here, server: there } = run.scenario;
    for (const network of ["wifi", "ethernet"]) await run.scenario.lab.emulator.set(network, IPERF_PATH);
    await run.serve([...run.prefix("server"), "iperf3", "-s", "-1", "-p", `${IPERF}`], IPERF);
    const amount = ["-P", `${STREAMS}`, "-n", `${IPERF_BYTES}`, "-w", "16K", "-J"];
    const client = run.spawn("client", ["iperf3", "-c", run.address, "-p", `${IPERF}`, ...amount]);
    // iperf3 ends without reading what is under way, so the ends are compared while it is held.
    const hold = async (): Promise<Still> => {
      client.signal("SIGSTOP");
      try {
        return await untilStill(here, there, IPERF, STREAMS + 1, ends.native === "server");
      } finally {
        client.signal("SIGCONT");
      }
    };
    const share = { up: 2 * MB };
    await run.untilCarried(client, "wifi", share);
    const before = await hold();
    await run.moveTwice(client, share);
    const after = await hold();
    const { error, end } = JSON.parse(await run.expectDone(client)) as IperfReport;
    expect(error).toBeUndefined();
    expect(end.streams.length).toBe(STREAMS);
    for (const { sender, receiver } of end.streams) {
      expect(receiver.bytes).toBeGreaterThan(0);
      expect(sender.bytes).toBeGreaterThanOrEqual(receiver.bytes);
    }
    expect(end.sum_sent.bytes).toBeGreaterThanOrEqual(IPERF_BYTES);
    const sent = growth(before.client, after.client, "acked");
    expect(growth(before.server, after.server, "received")).toEqual(sent);
    expect(Object.values(sent).filter((octets) => octets > 0).length).toBeGreaterThanOrEqual(STREAMS);
    expect(growth(before.client, after.client, "received")).toEqual(growth(before.server, after.server, "acked"));
    // A kernel whose program ends with octets unread says so.
    await run.expectMoved(share, STREAMS, "MPFastcloseTx");
  });

  it("a WebSocket: every message comes back", async () => {
    const run = await Run.start(ends);
    const server = await run.serve(
      [...run.prefix("server"), "node", app("websocket.ts"), "serve", "--port", `${WEBSOCKET}`],
      WEBSOCKET,
    );
    const call = ["connect", "--to", run.address, "--port", `${WEBSOCKET}`, "--count", `${MESSAGES}`, "--seed", "7"];
    const client = run.spawn("client", ["node", app("websocket.ts"), ...call]);
    const share = { up: MB, down: MB };
    await run.moveTwice(client, share);
    const here = JSON.parse(await run.expectDone(client)) as WebSocketOutcome;
    const there = JSON.parse(await server.line(/"end"/)) as WebSocketOutcome;
    const octets = MESSAGES * BLOCK_BYTES;
    const whole = { event: "end", messages: MESSAGES, octets, sha256: new Stream(7).sha256(octets), code: 1000 };
    expect([here, there]).toEqual([whole, whole]);
    await run.expectMoved(share);
  });

  it("an interactive stream: 50 small records a second, each echoed once and in order", async () => {
    const run = await Run.start(ends);
    const server = await run.serve(
      [...run.prefix("server"), "node", app("interactive.ts"), "serve", "--port", `${INTERACTIVE}`],
      INTERACTIVE,
    );
    const records = ["--rate", "50", "--size", `${RECORD_BYTES}`, "--count", `${RECORDS}`];
    const call = ["connect", "--to", run.address, "--port", `${INTERACTIVE}`, ...records];
    const client = run.spawn("client", ["node", app("interactive.ts"), ...call]);
    const share = { up: 30 * RECORD_BYTES, down: 30 * RECORD_BYTES };
    await run.moveTwice(client, share);
    const here = JSON.parse(await run.expectDone(client)) as InteractiveOutcome;
    const there = JSON.parse(await server.line(/"end"/)) as InteractiveOutcome;
    const octets = RECORDS * RECORD_BYTES;
    expect(here).toEqual({ event: "end", sent: octets, received: octets, firstError: -1, error: null });
    expect(there).toEqual({ event: "end", sent: octets, received: octets, error: null });
    await run.expectMoved(share);
  });
});
