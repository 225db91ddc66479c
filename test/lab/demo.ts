// The demo: one live download over plain TCP sockets moves from wifi to ethernet and back, and nobody notices.
//
//     make demo        (or: node test/lab/demo.ts)
//
// 1. Two hosts, two networks, a Shunt daemon on each host.
// 2. nginx serves 100 MB, curl fetches them at 4 MB/s; beside it a stream of 50 stamped records a second.
// 3. At a third and at two thirds, `shunt handover` moves both connections.
// 4. Everything is checked on the wire and at the receivers; figures and a picture are written to out/demo.
//
// Ends 0 only if every check holds.

import { createHash } from "node:crypto";
import { copyFileSync, createReadStream, existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Display, megabytes, paint, table } from "./demo/display.ts";
import { activePath, bytesPerPath, downloadFlows, lastNewData, type PathFlow, plainBytes } from "./demo/traffic.ts";
import { longestGapMs, readArrivals } from "./gaps.ts";
import { Lab } from "./lab.ts";
import { must, type Program } from "./program.ts";
import { enterUserNamespace, installLine, isInUserNamespace, isRoot, missingPackages } from "./requirements.ts";
import { repository, type Shunt, shuntExists, startShunt } from "./shunt.ts";
import { twoNetworks } from "./topology.ts";
import { startNginx, writeRandomFile } from "./web.ts";

const FILE_BYTES = 100_000_000;
const WEB_PORT = 80;
const STAMP_PORT = 5202;
/** Each path must have carried more than this of the download, bytes. */
const PATH_BYTES_MIN = 20_000_000;
/** On top of the difference of the one-way delays, ms. */
const GAP_ALLOWANCE_MS = 100;
/** How long after a handover its gap is looked for, ms. */
const GAP_WINDOW_MS = 1500;
/**
 * Largest receive buffer of the client, bytes: 4 MB/s over 60 ms need a window of 250 KB, which is about half a buffer.
 * curl keeps its rate by reading in bursts. With the usual 6 MB each burst would come at line rate, fill the queue of
 * 100 ms and overflow it, and the stream beside it would show what curl does, with or without a handover.
 */
const RECEIVE_BUFFER_MAX = 600_000;
const output = join(repository, "out/demo");
const stampedApp = join(repository, "test/lab/apps/stamped.ts");

/** One handover and what was seen of it. */
interface Handover {
  from: string;
  to: string;
  /** When the command was given, CLOCK_MONOTONIC, ns. */
  startNs: bigint;
  /** When it returned. */
  doneNs: bigint;
  /** What had been downloaded by then. */
  atBytes: number;
  gapMs: number;
  gapLimitMs: number;
  /** Last new data on the old path, after the command was given, ms. */
  oldPathQuietMs: number;
}

/** The parts of `shunt status --json` that the demo reads. */
interface Status {
  connections: { id: string; remotePort: number; subflows: { path: string; state: string }[] }[];
}

interface Stage {
  lab: Lab;
  display: Display;
  client: Shunt;
  server: Shunt;
  curl: Program;
  file: string;
  sha256: string;
  arrivals: string;
  handovers: Handover[];
}

const checks: { text: string; holds: boolean }[] = [];

function check(text: string, holds: boolean): void {
  checks.push({ text, holds });
}

/** Round trip of an idle path, ms. */
function roundTripMs(lab: Lab, path: string): number {
  return 2 * (lab.network(path).path?.delayMs ?? 0);
}

/** Brings up daemons, web server and stream, and starts the download. */
async function setUp(lab: Lab, display: Display): Promise<Stage> {
  const [client, server] = [lab.host("client"), lab.host("server")];
  await client.exec(["sysctl", "-qw", `net.ipv4.tcp_rmem=4096 131072 ${RECEIVE_BUFFER_MAX}`]);
  display.say("starting shunt on both hosts");
  const match = { ports: [WEB_PORT, STAMP_PORT] };
  const daemons = await Promise.all([startShunt(client, { match }), startShunt(server, { match })]);
  const web = await startNginx(server, WEB_PORT);
  const sha256 = writeRandomFile(join(web.root, "file"), FILE_BYTES);
  const stamps = server.spawn(["node", stampedApp, "serve", "--port", `${STAMP_PORT}`]);
  await stamps.line(/ready/);
  const arrivals = join(lab.directory, "arrivals.csv");
  const to = server.address("wifi");
  const stream = client.spawn([
    "node",
    stampedApp,
    "connect",
    "--to",
    to,
    "--port",
    `${STAMP_PORT}`,
    "--file",
    arrivals,
  ]);
  await stream.line(/connected/);
  const file = join(client.directory, "file");
  display.say(`curl --limit-rate 4M http://${to}/file   (${megabytes(FILE_BYTES)}, from nginx)`);
  const curl = client.spawn(["curl", "-sS", "--limit-rate", "4M", "-o", file, `http://${to}:${WEB_PORT}/file`]);
  return { lab, display, client: daemons[0], server: daemons[1], curl, file, sha256, arrivals, handovers: [] };
}

function downloadedBytes(stage: Stage): number {
  return existsSync(stage.file) ? statSync(stage.file).size : 0;
}

/** Shows progress until `bytes` have been downloaded, or curl has ended. */
async function showUntil(stage: Stage, bytes: number, startMs: number): Promise<void> {
  const past: { ms: number; bytes: number }[] = [];
  while (stage.curl.isRunning) {
    const now = { ms: performance.now(), bytes: downloadedBytes(stage) };
    past.push(now);
    while (past.length > 2 && now.ms - (past[0]?.ms ?? 0) > 1000) past.shift();
    const first = past[0] ?? now;
    const mbitPerSecond = now.ms > first.ms ? ((now.bytes - first.bytes) * 8) / (now.ms - first.ms) / 1000 : 0;
    const path = activePath(await downloadFlows(stage.lab), WEB_PORT);
    const seconds = (now.ms - startMs) / 1000;
    stage.display.progress({ seconds, bytes: now.bytes, totalBytes: FILE_BYTES, mbitPerSecond, path });
    if (now.bytes >= bytes) return;
    await sleep(200);
  }
}

/** Moves all connections, and notes when. */
async function handOver(stage: Stage, from: string, to: string): Promise<void> {
  const atBytes = downloadedBytes(stage);
  const startNs = process.hrtime.bigint();
  await stage.client.handover(to, "--all");
  const doneNs = process.hrtime.bigint();
  const took = Number(doneNs - startNs) / 1e6;
  stage.display.say(`        shunt handover --to ${to} --all   (${took.toFixed(0)} ms with the command's own start)`);
  const delays = [from, to].map((path) => stage.lab.network(path).path?.delayMs ?? 0) as [number, number];
  const gapLimitMs = Math.abs(delays[0] - delays[1]) + GAP_ALLOWANCE_MS;
  stage.handovers.push({ from, to, startNs, doneNs, atBytes, gapMs: 0, gapLimitMs, oldPathQuietMs: 0 });
}

/** Looks at what the last handover left on the old path. To be called before the next one. */
async function noteOldPath(stage: Stage, flows: readonly PathFlow[]): Promise<void> {
  const handover = stage.handovers.at(-1);
  if (!handover) return;
  handover.oldPathQuietMs = Math.max(0, (lastNewData(flows, handover.from) - Number(handover.startNs)) / 1e6);
  const limitMs = Number(handover.doneNs - handover.startNs) / 1e6 + 2 * roundTripMs(stage.lab, handover.from);
  check(
    `no new data on ${handover.from} two round trips after the handover to ${handover.to} (last after ${handover.oldPathQuietMs.toFixed(0)} ms)`,
    handover.oldPathQuietMs <= limitMs,
  );
}

/** The download with its handovers. */
async function perform(stage: Stage): Promise<{ status: Status; flows: PathFlow[] }> {
  const startMs = performance.now();
  await showUntil(stage, FILE_BYTES / 50, startMs);
  const trace = join(stage.lab.directory, "handover.trace");
  const first = (await stage.client.command("status")) as Status;
  const id = first.connections.find((connection) => connection.remotePort === WEB_PORT)?.id;
  if (id === undefined) throw new Error("the download is not a converted connection");
  await stage.client.command("trace", "start", trace, "--connection", id);
  await showUntil(stage, FILE_BYTES / 3, startMs);
  await handOver(stage, "wifi", "ethernet");
  await showUntil(stage, (FILE_BYTES * 2) / 3, startMs);
  await noteOldPath(stage, await downloadFlows(stage.lab));
  await handOver(stage, "ethernet", "wifi");
  const status = (await stage.client.command("status")) as Status;
  await showUntil(stage, Number.POSITIVE_INFINITY, startMs);
  const flows = await downloadFlows(stage.lab);
  await noteOldPath(stage, flows);
  await stage.client.command("trace", "stop");
  const picture = ["--svg", join(output, "handover.svg"), "--csv", join(output, "handover.csv")];
  const title = "One TCP connection moves from wifi to ethernet and back";
  await stage.client.command("trace", "plot", trace, "--connection", id, ...picture, "--title", title);
  return { status, flows };
}

/** SHA-256 of a file, hex. */
async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

/** Fills in the gaps and judges everything. */
async function judge(stage: Stage, flows: readonly PathFlow[]): Promise<void> {
  const exit = await stage.curl.exited;
  check(`curl ended without error ${stage.curl.stderr.trim()}`.trim(), exit.code === 0);
  check("SHA-256 of the download is right", exit.code === 0 && (await sha256Of(stage.file)) === stage.sha256);
  for (const [path, bytes] of bytesPerPath(flows, WEB_PORT)) {
    check(`${path} carried more than ${megabytes(PATH_BYTES_MIN)} (${megabytes(bytes)})`, bytes > PATH_BYTES_MIN);
  }
  check("both paths were used", bytesPerPath(flows, WEB_PORT).size === stage.lab.topology.networks.length);
  check("all data on the wire was MPTCP", plainBytes(flows) === 0);
  const arrivals = readArrivals(stage.arrivals);
  for (const handover of stage.handovers) {
    const until = handover.doneNs + BigInt(GAP_WINDOW_MS * 1e6);
    handover.gapMs = longestGapMs(arrivals, handover.startNs, until);
    check(
      `longest gap around the handover to ${handover.to}: ${handover.gapMs.toFixed(1)} ms, allowed ${handover.gapLimitMs} ms`,
      handover.gapMs < handover.gapLimitMs,
    );
  }
}

function printTables(stage: Stage, status: Status, flows: readonly PathFlow[]): void {
  const names = new Map([
    [WEB_PORT, "download (curl)"],
    [STAMP_PORT, "stamped stream"],
  ]);
  const paths = stage.lab.topology.networks.map(({ name }) => name);
  const rows = status.connections.map((connection) => {
    const carried = bytesPerPath(flows, connection.remotePort);
    const bytes = paths.map((path) => megabytes(carried.get(path) ?? 0));
    const name = names.get(connection.remotePort) ?? "";
    return [connection.id, name, `${connection.subflows.length}`, ...bytes];
  });
  console.log(`\n${table(["connection", "what", "subflows", ...paths.map((path) => `over ${path}`)], rows)}`);
  const moves = stage.handovers.map((handover) => [
    `${handover.from} → ${handover.to}`,
    megabytes(handover.atBytes),
    `${handover.gapMs.toFixed(1)} ms`,
    `${handover.gapLimitMs} ms`,
    `${handover.oldPathQuietMs.toFixed(0)} ms`,
  ]);
  console.log(`\n${table(["handover", "at", "longest gap", "allowed", "old path silent after"], moves)}`);
  const [first, last] = [stage.handovers[0], stage.handovers.at(-1)];
  if (!first || !last) return;
  const calm = longestGapMs(readArrivals(stage.arrivals), first.doneNs + BigInt(GAP_WINDOW_MS * 1e6), last.startNs);
  console.log(
    `\n  (The stream sends a record every 20 ms; its longest gap between the handovers: ${calm.toFixed(1)} ms.)\n`,
  );
}

/** Makes sure of tools and rights. Returns an exit code when the demo is over before it began. */
async function prepare(): Promise<number | undefined> {
  const missing = missingPackages();
  if (missing.length > 0 && isRoot() && !isInUserNamespace()) {
    console.log(`installing ${missing.join(", ")}`);
    await must([join(repository, "scripts/install-deps.sh")]);
  } else if (missing.length > 0) {
    console.error(`missing programs; run as root: ${installLine(missing)}`);
    return 1;
  }
  if (!shuntExists()) {
    console.error("bin/shunt is not built; run: make build");
    return 1;
  }
  return isRoot() ? undefined : enterUserNamespace();
}

async function main(): Promise<number> {
  const over = await prepare();
  if (over !== undefined) return over;
  mkdirSync(output, { recursive: true });
  const display = new Display();
  const where = isInUserNamespace() ? "in a user namespace" : "as root";
  display.say(`two hosts, two networks, ${where}: wifi 20 ms / 50 Mbit/s, ethernet 60 ms / 100 Mbit/s`);
  const lab = await Lab.open(twoNetworks);
  let stage: Stage | undefined;
  try {
    stage = await setUp(lab, display);
    const { status, flows } = await perform(stage);
    await sleep(GAP_WINDOW_MS);
    await judge(stage, flows);
    printTables(stage, status, flows);
  } finally {
    if (stage) {
      await Promise.all([stage.client.stop(), stage.server.stop()]);
      copyFileSync(stage.arrivals, join(output, "arrivals.csv"));
      writeFileSync(join(output, "client.log"), `${stage.client.log}\n`);
      writeFileSync(join(output, "server.log"), `${stage.server.log}\n`);
    }
    await lab.close();
  }
  for (const { text, holds } of checks)
    console.log(`  ${holds ? paint("good", "✓") : paint("bad", "✗ FAILED:")} ${text}`);
  const failed = checks.filter(({ holds }) => !holds).length;
  console.log(
    failed === 0
      ? `\n  picture: ${join("out/demo", "handover.svg")}\n`
      : `\n  ${failed} checks failed; logs in out/demo\n`,
  );
  return failed === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`\ndemo: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
