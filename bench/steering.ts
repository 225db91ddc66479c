// What a Linux kernel that sends MPTCP leaves on the old path once it was asked to use another one: docs/STEERING.md.
//
//     node bench/steering.ts [--family 4] [--megabytes 30]
//
// A proxied client downloads from a native server; its daemon moves the connection wifi → ethernet → wifi by MP_PRIO,
// then to ethernet by REMOVE_ADDR. Captures of both networks tell what every packet of the server was. Time counts from
// the moment at which the command enters the network. A round trip is one of the new path: until what was sent there
// next is acknowledged there.

import { join } from "node:path";
import { parseArgs } from "node:util";
import { Lab } from "../test/lab/lab.ts";
import { until } from "../test/lab/mobility.ts";
import { startShunt } from "../test/lab/shunt.ts";
import { type Kind, roundTrips, type Step, steps } from "../test/lab/steering.ts";
import { nativeServer, type PathParams, withPaths } from "../test/lab/topology.ts";
import { Transfer, TransferServer } from "../test/lab/transfer.ts";
import { option } from "../test/packet.ts";

const MB = 1_000_000;
const NETWORKS = ["wifi", "ethernet"] as const;
type Name = (typeof NETWORKS)[number];

interface Variant {
  name: string;
  congestionControl: string;
  /** Of the server, bytes per second; 0 = as fast as it goes. */
  rate: number;
  path?: PathParams;
}

const VARIANTS: Variant[] = [
  { name: "bulk, bbr", congestionControl: "bbr", rate: 0 },
  { name: "bulk, cubic", congestionControl: "cubic", rate: 0 },
  { name: "bulk, cubic, 1 % loss", congestionControl: "cubic", rate: 0, path: { lossPercent: 1 } },
  { name: "2 MB/s, cubic", congestionControl: "cubic", rate: 2 * MB },
];

interface Move {
  from: Name;
  to: Name;
  /** Index of the step with the command. */
  at: number;
  /** Behind the last step before the next command. */
  end: number;
  what: "MP_PRIO" | "REMOVE_ADDR";
}

/** The steps in which the client asked for a move; repetitions of a command are none. */
function movesOf(all: readonly Step[]): Move[] {
  const found: Omit<Move, "end">[] = [];
  all.forEach(({ kind, network, packet }, at) => {
    if (kind !== "receiver") return;
    const last = found.at(-1);
    const from = network as Name;
    const to = from === "wifi" ? "ethernet" : "wifi";
    if (option(packet, "mpPrio")?.backup && last?.from !== from) found.push({ from, to, at, what: "MP_PRIO" });
    // REMOVE_ADDR comes on the path that is left.
    if (option(packet, "removeAddr") && last?.what !== "REMOVE_ADDR") {
      found.push({ from: to, to: from, at, what: "REMOVE_ADDR" });
    }
  });
  return found.map((move, i) => ({ ...move, end: found[i + 1]?.at ?? all.length }));
}

const count = (part: readonly Step[], network: Name, kind: Kind): Step[] =>
  part.filter((step) => step.network === network && step.kind === kind);
const octets = (part: readonly Step[]): number => part.reduce((sum, { fresh }) => sum + fresh, 0);

/** A row of the table. */
function row(variant: string, all: readonly Step[], move: Move): string {
  const { from, to, at, end, what } = move;
  const [first, second] = [1, 2].map((n) => Math.min(end, roundTrips(all, to, at, n))) as [number, number];
  const ms = (step: Step | undefined) => (step ? `${Math.round((step.ns - (all[at] as Step).ns) / 1e6)} ms` : "–");
  const fresh = (a: number, b: number) => `${Math.round(octets(count(all.slice(a, b), from, "new")) / 1000)}`;
  const whole = all.slice(at, end);
  const settled = all.slice(second, end);
  const [kept, moved] = [octets(count(settled, from, "new")), octets(count(settled, to, "new"))];
  const [queued, resent] = [count(whole, from, "queued"), count(whole, from, "resent")];
  const others = [...count(whole, from, "ack"), ...count(whole, from, "dataFin")];
  const cells = [
    variant,
    `${what} ${from} → ${to}`,
    `${ms(all[first])}, ${ms(all[second])}`,
    `${fresh(at, first)} / ${fresh(first, second)} / ${fresh(second, end)}`,
    moved + kept === 0 ? "–" : `${((100 * moved) / (moved + kept)).toFixed(2)} %`,
    ms(count(whole, from, "new").at(-1)),
    `${queued.length} / ${count(settled, from, "queued").length}, ${ms(queued.at(-1))}`,
    `${resent.length}, ${ms(resent.at(-1))}`,
    `${count(whole, from, "reinjected").length} / ${count(whole, to, "reinjected").length}`,
    `${others.length}`,
  ];
  return `| ${cells.join(" | ")} |`;
}

async function measure(variant: Variant, family: 4 | 6, down: number): Promise<string[]> {
  const changes = Object.fromEntries(NETWORKS.map((name) => [name, variant.path ?? {}]));
  const lab = await Lab.open(withPaths(nativeServer, changes), { congestionControl: variant.congestionControl });
  try {
    const server = await TransferServer.start(lab.host("server"), true);
    const shunt = await startShunt(lab.host("client"));
    const files = Object.fromEntries(NETWORKS.map((name) => [name, join(lab.directory, `${name}.pcap`)]));
    for (const name of NETWORKS) await lab.emulator.capture(name, files[name]);
    const call = new Transfer(lab.host("client"), lab.host("server").address("wifi", family), {
      down,
      ...(variant.rate > 0 && { rate: variant.rate }),
    });
    let before = { wifi: 0, ethernet: 0 };
    const carried = async (name: Name, bytes: number) =>
      until(`${bytes} bytes on ${name}`, async () => {
        const now = (await lab.emulator.counters(name)).backward.tcp.newPayloadBytes;
        return now - before[name] >= bytes;
      });
    const share = down / 5;
    let on: Name = "wifi";
    for (const mode of ["make-before-break", "make-before-break", "break-before-make"] as const) {
      await carried(on, share);
      on = on === "wifi" ? "ethernet" : "wifi";
      before = { ...before, [on]: (await lab.emulator.counters(on)).backward.tcp.newPayloadBytes };
      await until(`the handover to ${on}`, () => shunt.requestHandover(on, mode));
    }
    await call.outcome();
    await server.ended(1);
    for (const name of NETWORKS) await lab.emulator.capture(name);
    await shunt.stop();
    const all = steps(files, "server");
    return movesOf(all).map((move) => row(variant.name, all, move));
  } finally {
    await lab.close();
  }
}

const { values } = parseArgs({ options: { family: { type: "string" }, megabytes: { type: "string" } } });
const family = values.family === "6" ? 6 : 4;
const down = Number(values.megabytes ?? 30) * MB;
console.log(
  "| sender | command | 1st, 2nd round trip ends | new on the old path, kB: 1st / 2nd / later | on the new path " +
    "from the 2nd on | last new on the old | queued there: all / behind the 2nd, last | resent there, last | reinjected old / new | without payload on the old |",
);
console.log(`|${"---|".repeat(10)}`);
for (const variant of VARIANTS) for (const line of await measure(variant, family, down)) console.log(line);
