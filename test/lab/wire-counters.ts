// What crosses an interface, counted by the kernel itself: packets, bytes and TCP payload, with and without option 30.
//
// Own chains, hooked in where a proxy's work is done (mangle POSTROUTING) or not yet begun (raw PREROUTING). They hold
// one rule per TCP header length, because netfilter counts bytes of packets, not of payload: packets × headers is
// exactly the difference. Super-packets count as the one packet they are.

import type { Host } from "./host.ts";

const HEADER_WORDS = [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

export interface WireTraffic {
  packets: number;
  /** Of IP packets. */
  bytes: number;
  payloadBytes: number;
}

/** Segments with an MPTCP option, and without. */
export interface WireCounters {
  mptcp: WireTraffic;
  plain: WireTraffic;
}

interface Family {
  tool: "iptables" | "ip6tables";
  ipHeaderBytes: number;
  /** u32 expression for the TCP header's length in words. */
  headerWords: string;
}

const FAMILIES: readonly Family[] = [
  { tool: "iptables", ipHeaderBytes: 20, headerWords: "0>>22&0x3C@12>>28" },
  { tool: "ip6tables", ipHeaderBytes: 40, headerWords: "52>>28" },
];

const HOOKS = {
  in: { table: "raw", chain: "PREROUTING", match: "-i", at: "-I" },
  out: { table: "mangle", chain: "POSTROUTING", match: "-o", at: "-A" },
} as const;

export type WireDirection = keyof typeof HOOKS;

function chainName(direction: WireDirection, network: string): string {
  return `LAB_${direction}_${network}`.toUpperCase();
}

/** Starts counting on an interface of a host, both directions and both address families. */
export async function countWire(host: Host, network: string): Promise<void> {
  for (const { tool, headerWords } of FAMILIES) {
    for (const direction of ["in", "out"] as const) {
      const { table, chain, match, at } = HOOKS[direction];
      const own = chainName(direction, network);
      const rules = ["--tcp-option 30", "! --tcp-option 30"].flatMap((option) =>
        HEADER_WORDS.map((words) => `-A ${own} -p tcp -m tcp ${option} -m u32 --u32 ${headerWords}=${words} -j RETURN`),
      );
      const lines = [`*${table}`, `:${own} - [0:0]`, ...rules, `${at} ${chain} ${match} ${network} -p tcp -j ${own}`];
      await host.exec([`${tool}-restore`, "--noflush"], { input: `${lines.join("\n")}\nCOMMIT\n` });
    }
  }
}

/** Reads the counters of an interface, both address families together. */
export async function readWire(host: Host, network: string): Promise<Record<WireDirection, WireCounters>> {
  const read = async (direction: WireDirection): Promise<WireCounters> => {
    const parts = await Promise.all(FAMILIES.map((family) => readChain(host, family, direction, network)));
    return parts.reduce((a, b) => ({ mptcp: sum(a.mptcp, b.mptcp), plain: sum(a.plain, b.plain) }));
  };
  return { in: await read("in"), out: await read("out") };
}

function sum(a: WireTraffic, b: WireTraffic): WireTraffic {
  return {
    packets: a.packets + b.packets,
    bytes: a.bytes + b.bytes,
    payloadBytes: a.payloadBytes + b.payloadBytes,
  };
}

async function readChain(host: Host, family: Family, direction: WireDirection, network: string): Promise<WireCounters> {
  const own = chainName(direction, network);
  const listing = await host.exec([family.tool, "-t", HOOKS[direction].table, "-L", own, "-nvx"]);
  const rows = listing.split("\n").slice(2).filter(Boolean);
  const numbers = rows.map((row) => row.trim().split(/\s+/).slice(0, 2).map(Number) as [number, number]);
  const traffic = (part: [number, number][]): WireTraffic =>
    part
      .map(([packets, bytes], index) => {
        const headers = family.ipHeaderBytes + 4 * (HEADER_WORDS[index] ?? 0);
        return { packets, bytes, payloadBytes: bytes - packets * headers };
      })
      .reduce(sum);
  return {
    mptcp: traffic(numbers.slice(0, HEADER_WORDS.length)),
    plain: traffic(numbers.slice(HEADER_WORDS.length)),
  };
}
