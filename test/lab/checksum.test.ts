// A Linux kernel that demands checksums of mappings at the other end, and a middlebox that changes payload.

import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Dss, dssChecksum, keyDigest, option, show } from "../packet.ts";
import { type Captured, readCapture } from "./capture.ts";
import type { Direction } from "./emulator.ts";
import { expectCarried, expectExact, expectNativeContent, Scenario, untilCarried } from "./scenario.ts";
import { nativeClient, nativeServer, type Topology } from "./topology.ts";

const KB = 1_000;
const MB = 1_000_000;
const AMOUNT = { up: 8 * MB, down: 8 * MB };
/** Each path has to carry at least this, bytes. */
const SHARE = { up: 500 * KB, down: 500 * KB };

/** Data sequence numbers before the first octet, of the connection's two ends, from the keys in their handshake. */
function initialNumbers(segments: Captured[]): bigint[] {
  const keys = segments.flatMap((segment) => option(segment, "mpCapable")?.senderKey ?? []);
  return [...new Set(keys)].map((key) => keyDigest(key).idsn);
}

/** A DSN in full: that of either end is nearest to one of the initial numbers. */
function inFull(dsn: bigint, octets: number | undefined, initial: bigint[]): bigint {
  if (octets === 8) return dsn;
  const distances = initial.map((first) => Number(BigInt.asUintN(32, dsn - first)));
  const nearest = Math.min(...distances);
  return BigInt.asUintN(64, (initial[distances.indexOf(nearest)] ?? 0n) + BigInt(nearest));
}

/** The octets of a mapping, as far as segments have shown them. */
interface Shown {
  dsn: bigint;
  dss: Dss;
  octets: Uint8Array;
  /** 1 for each octet that was seen, and how many were not. */
  seen: Uint8Array;
  left: number;
}

/** Mappings without a checksum or with a wrong one; and how many were right, of those that were seen whole. */
function judged(files: string[]): { wrong: string[]; right: number } {
  const segments = files.flatMap(readCapture);
  const initial = initialNumbers(segments);
  const isn = new Map(segments.filter(({ flags }) => flags.includes("S")).map((p) => [`${p.src} ${p.sport}`, p.seq]));
  const shown = new Map<string, Shown>();
  const wrong: string[] = [];
  let right = 0;
  for (const segment of segments) {
    const dss = option(segment, "dss");
    if (dss?.dsn === undefined) continue;
    if (dss.checksum === undefined) wrong.push(`none: ${show(segment)}`);
    const flow = `${segment.src} ${segment.sport}`;
    const { ssn = 0, length = 0, fin } = dss;
    const key = `${flow} ${ssn} ${length}`;
    const size = length - (fin ? 1 : 0);
    const map = shown.get(key) ?? {
      dsn: inFull(dss.dsn, dss.dsnOctets, initial),
      dss,
      octets: new Uint8Array(size),
      seen: new Uint8Array(size),
      left: size,
    };
    if (shown.has(key) && map.left === 0) continue;
    shown.set(key, map);
    const at = (segment.seq - (isn.get(flow) ?? 0) - ssn) | 0;
    if (segment.payload.length > 0) map.octets.set(segment.payload, at);
    const before = map.seen.subarray(at, at + segment.payload.length).reduce((sum, octet) => sum + octet, 0);
    map.seen.fill(1, at, at + segment.payload.length);
    map.left -= segment.payload.length - before;
    if (map.left > 0) continue;
    if (dssChecksum(map.dsn, ssn, length, map.octets) === map.dss.checksum) right++;
    else wrong.push(show(segment));
  }
  return { wrong, right };
}

describe("a native peer that demands checksums", () => {
  const ends: [string, "client" | "server", Topology, 4 | 6][] = [
    ["proxied client, native server", "client", nativeServer, 4],
    ["native client, proxied server", "server", nativeClient, 6],
  ];
  it.each(ends)("N-92 %s, both directions, one handover: all of it right", async (_, proxied, topology, family) => {
    const native = proxied === "client" ? "server" : "client";
    const scenario = await Scenario.start({
      topology,
      checksum: true,
      shunt: { [proxied]: {} },
      nativeServer: native === "server",
    });
    const files = ["wifi", "ethernet"].map((network) => join(scenario.lab.directory, `${network}.pcap`));
    await scenario.lab.emulator.capture("wifi", files[0]);
    await scenario.lab.emulator.capture("ethernet", files[1]);
    const call = scenario.call({ ...AMOUNT, rate: MB, family, native: native === "client" });
    await untilCarried(scenario, "wifi", SHARE);
    await scenario.shunt(proxied).handover("ethernet", "--all");
    await untilCarried(scenario, "ethernet", SHARE);
    for (const program of [call.program, scenario.transfers.program]) program.signal("SIGUSR2");
    await expectExact(scenario, await call.outcomes());
    await scenario.lab.emulator.capture("wifi");
    await scenario.lab.emulator.capture("ethernet");
    await expectCarried(scenario, "wifi", SHARE);
    await expectCarried(scenario, "ethernet", SHARE);
    const { wrong, right } = judged(files);
    expect(wrong).toEqual([]);
    expect(right).toBeGreaterThan(100);
    const peer = native === "client" ? scenario.client : scenario.server;
    await expectNativeContent(peer);
    expect((await peer.kernelCounters()).MPTcpExtDataCsumErr).toBe(0);
  });

  it("N-92 a middlebox that changes payload: nothing wrong passes for right, and MP_FAIL says which", async () => {
    const scenario = await Scenario.start({
      topology: nativeServer,
      checksum: true,
      shunt: { client: {} },
      nativeServer: true,
    });
    const { emulator } = scenario.lab;
    const alter = (alterPercent: number, direction: Direction) => emulator.set("wifi", { alterPercent }, direction);
    const fails = async (direction: Direction) => (await scenario.wire("wifi"))[direction].tcp.mptcp.mpFail ?? 0;

    // Most records are a mapping in a packet: what was altered ends at the proxy, and comes again on the other path.
    // Of a mapping in two packets the host has the first when the second shows what is wrong: that is a reset.
    const download = scenario.call({ down: 60 * KB, rate: 20 * KB });
    await scenario.joined("client");
    await untilCarried(scenario, "wifi", { down: 5 * KB });
    await alter(100, "backward");
    const [down] = await download.outcomes();
    expect((await scenario.wire("wifi")).backward.altered).toBeGreaterThan(0);
    expect(await fails("forward")).toBeGreaterThan(0);
    if (down?.exact) await expectCarried(scenario, "ethernet", { down: 10 * KB });
    else expect(down?.error).toBe("ECONNRESET");
    await alter(0, "backward");

    // The other direction: the kernel refuses, and the proxy goes on elsewhere.
    await emulator.reset();
    const upload = scenario.call({ up: 300 * KB, rate: 100 * KB });
    await scenario.joined("client");
    await untilCarried(scenario, "wifi", { up: 50 * KB });
    await alter(100, "forward");
    expect((await upload.outcomes()).map(({ exact, error }) => ({ exact, error }))).toEqual([
      { exact: true, error: null },
    ]);
    expect(await fails("backward")).toBeGreaterThan(0);
    await expectCarried(scenario, "ethernet", { up: 100 * KB });
    expect((await scenario.server.kernelCounters()).MPTcpExtDataCsumErr).toBeGreaterThan(0);
    await alter(0, "forward");

    // Never joined: there is no other way, and a stream that somebody alters is none.
    await emulator.reset();
    await alter(100, "backward");
    const [outcome] = await scenario.call({ down: 300 * KB }).outcomes();
    expect(outcome).toMatchObject({ exact: false });
    expect(outcome?.error).not.toBeNull();
    expect(await fails("forward")).toBeGreaterThan(0);
    expect((await scenario.server.kernelCounters()).MPTcpExtMPFailRx).toBeGreaterThan(0);
  });
});
