// How long a move takes: from a link that breaks, or an input that changes, to the first octets on the other path.
//
// A proxied client uploads and downloads at once; captures of both networks say when which octets entered them. The
// moment of the event is that of the command (`ip`, already started, or the rename of the file of inputs). "up" is what
// the client sends, whose policy it is; "down" comes from the server, which is asked by MP_PRIO first.

import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ControlClient } from "../../host/control/client.ts";
import type { Status } from "../../host/control/status.ts";
import { Lab } from "../../test/lab/lab.ts";
import { linkUp, until } from "../../test/lab/mobility.ts";
import { startShunt } from "../../test/lab/shunt.ts";
import { type Step, steps } from "../../test/lab/steering.ts";
import { twoNetworks, withPaths } from "../../test/lab/topology.ts";
import { Transfer, TransferServer } from "../../test/lab/transfer.ts";
import { quantile } from "../handover/gap.ts";

const NETWORKS = ["wifi", "ethernet"] as const;
type Name = (typeof NETWORKS)[number];
/** 10 ms one way on both paths. */
const DELAY_MS = 10;
/** Of each sender, octets per second: a segment every 3 ms, which is how fine the figures are. */
const RATE = 500_000;
const PER_CONNECTION = 10;

/** What counts as data on the new path: everything but its own repetitions and acknowledgements. */
const DATA: ReadonlySet<Step["kind"]> = new Set(["new", "queued", "reinjected"]);

interface Series {
  name: string;
  policy: string;
  kind: "link" | "input";
}

const SERIES: readonly Series[] = [
  { name: "link down, `active-standby`", policy: "active-standby", kind: "link" },
  { name: "link down, `cost`", policy: "cost", kind: "link" },
  { name: "captive portal told by a file, `cost`", policy: "cost", kind: "input" },
];

interface Move {
  to: Name;
  /** CLOCK_MONOTONIC, ns. */
  atNs: number;
}

/** The file of inputs: a captive portal is what makes a policy leave a path at once. */
class Portal {
  readonly file: string;

  constructor(directory: string) {
    this.file = join(directory, "inputs.json");
    this.tell(null);
  }

  /** Returns the moment of the change, ns. */
  tell(captive: Name | null): number {
    const interfaces = captive === null ? {} : { [captive]: { captive: true } };
    writeFileSync(`${this.file}.new`, JSON.stringify({ interfaces }));
    const atNs = Number(process.hrtime.bigint());
    renameSync(`${this.file}.new`, this.file);
    return atNs;
  }
}

async function measure(series: Series, moves: number): Promise<Record<"up" | "down", number[]>> {
  const path = { delayMs: DELAY_MS, rateMbit: 0, queueMs: 0 };
  const lab = await Lab.open(withPaths(twoNetworks, { wifi: path, ethernet: path }));
  try {
    const portal = new Portal(lab.directory);
    const server = await TransferServer.start(lab.host("server"));
    await startShunt(lab.host("server"));
    const client = lab.host("client");
    const shunt = await startShunt(client, {
      policy: {
        default: series.policy,
        prefer: [...NETWORKS],
        inputs: [`file:${portal.file}`],
        state_directory: lab.directory,
        // The way back is an event, too.
        ...(series.policy === "cost" && { settings: { hold_ms: 600_000 } }),
      },
    });
    const files = Object.fromEntries(NETWORKS.map((name) => [name, join(lab.directory, `${name}.pcap`)]));
    for (const name of NETWORKS) await lab.emulator.capture(name, files[name]);
    const amount = RATE * (20 + 4 * moves);
    const call = new Transfer(client, lab.host("server").address("wifi"), { up: amount, down: amount, rate: RATE });
    const done = await moveOver({ lab, series, portal, api: new ControlClient(shunt.socket) }, moves);
    call.program.signal("SIGUSR2");
    server.program.signal("SIGUSR2");
    const outcome = await call.outcome();
    if (!outcome.exact) throw new Error(`the transfer was not exact: ${JSON.stringify(outcome)}`);
    for (const name of NETWORKS) await lab.emulator.capture(name);
    const first = (sender: "client" | "server") => {
      const all = steps(files, sender);
      return done.map(({ to, atNs }) => firstOn(all, to, atNs));
    };
    return { up: first("client"), down: first("server") };
  } finally {
    await lab.close();
  }
}

interface Stage {
  lab: Lab;
  series: Series;
  portal: Portal;
  api: ControlClient;
}

/** Takes one path after the other away from the transfer. */
async function moveOver({ lab, series, portal, api }: Stage, moves: number): Promise<Move[]> {
  const client = lab.host("client");
  const status = async () => (await api.call<Status>("GET", "/v1/status")).connections.at(-1);
  const both = async () =>
    (await status())?.subflows.filter(({ state }) => state === "established").length === NETWORKS.length;
  const isOn = async () => (await status())?.activePath;
  // A program that has been started already: its start is no part of what is measured.
  const ip = client.spawn(["ip", "-batch", "-"], { holdInput: true });
  const done: Move[] = [];
  for (let i = 0; i < moves; i++) {
    await until("both paths are joined", both);
    // The native policy goes back by itself; that move is not measured.
    if (series.policy === "active-standby") await until("wifi is back", async () => (await isOn()) === "wifi");
    const on = (await isOn()) as Name;
    await carried(lab, on);
    const to: Name = on === "wifi" ? "ethernet" : "wifi";
    const nowNs = Number(process.hrtime.bigint());
    if (series.kind === "link") ip.say(`link set ${on} down\n`);
    done.push({ to, atNs: series.kind === "link" ? nowNs : portal.tell(on) });
    await until(`the move to ${to}`, async () => (await isOn()) === to);
    await carried(lab, to);
    if (series.kind === "link") await linkUp(client, on);
  }
  return done;
}

/** Waits until a network has carried new data in both directions. */
async function carried(lab: Lab, network: Name): Promise<void> {
  const read = async () => {
    const { forward, backward } = await lab.emulator.counters(network);
    return [forward.tcp.newPayloadBytes, backward.tcp.newPayloadBytes] as const;
  };
  const before = await read();
  await until(`data on ${network}`, async () => (await read()).every((bytes, i) => bytes > (before[i] as number)));
}

/** Milliseconds until the first data of a sender on a network. */
function firstOn(all: readonly Step[], to: Name, atNs: number): number {
  const step = all.find(({ ns, network, kind }) => ns >= atNs && network === to && DATA.has(kind));
  if (step === undefined) throw new Error(`nothing came on ${to}`);
  return (step.ns - atNs) / 1e6;
}

/** A table: p50, p99 and the longest, ms. */
export async function moveTimes(moves: number): Promise<string> {
  const lines = [
    `| ms until the first data on the other path | stream | moves | p50 | p99 | longest |`,
    `|${"---|".repeat(6)}`,
  ];
  for (const series of SERIES) {
    const measured: Record<"up" | "down", number[]> = { up: [], down: [] };
    // A connection whose links break ten times in a row is rare enough; the next ten are another one's.
    while (measured.up.length < moves) {
      const { up, down } = await measure(series, Math.min(PER_CONNECTION, moves - measured.up.length));
      measured.up.push(...up);
      measured.down.push(...down);
    }
    for (const [stream, times] of Object.entries(measured)) {
      const cells = [0.5, 0.99, 1].map((share) => quantile(times, share).toFixed(1));
      lines.push(`| ${series.name} | ${stream} | ${times.length} | ${cells.join(" | ")} |`);
    }
  }
  return lines.join("\n");
}
