// The netfilter rules that bring packets to the queue: own chains in raw OUTPUT (before connection tracking, which
// thereby sees each subflow as one ordinary TCP connection) and mangle INPUT, for IPv4 and IPv6.
//
// Order inside a chain, and why:
//   1. our own packets (wire mark, host mark) pass; those to the own host are not tracked;
//   2. (INPUT) ICMP errors are queued with bypass, also those of the own kernel over lo: the packet that they quote,
//      which netfilter cannot match, may be one of ours; bounded, since anybody can send them,
//   3. nothing over lo, nothing but TCP, no IPv6 link-local addresses: never converted;
//   4. tuples of converted flows are queued *without* bypass: unrewritten they would corrupt the flow, so they are
//      dropped while nobody listens;
//   5. what the configuration matches goes on to the MATCH chain, where
//      a. SYNs are queued with bypass, so that new connections work while nobody listens,
//      b. tuples in the bypass set (fell back, or speak MPTCP themselves) are left alone,
//      c. all else is queued with bypass.
//
// Rules are appended: an administrator's own rules in these tables come first. Foreign rules are never touched.
import type { PortRange } from "../config/config.ts";
import { CommandError, execute } from "./execute.ts";
import { CHAIN_PATTERN, HOST_MARK, MARK_MASK, objectNames, WIRE_MARK } from "./marks.ts";

export type Family = 4 | 6;
export const FAMILIES: readonly Family[] = [4, 6];

export interface RuleOptions {
  queue: number;
  /** Ports of either end; null = everything but ssh to this machine. */
  ports: PortRange[] | null;
  /** The kernel knows `-j CT --notrack`. */
  notrack: boolean;
}

/** One multiport rule takes 15 ports; a range counts twice. */
const MULTIPORT_SLOTS = 15;
const SSH_PORT = 22;

/** ICMP errors that may be about a subflow: destination unreachable (with "fragmentation needed"), packet too big. */
const ICMP_ERRORS: Record<Family, readonly string[]> = {
  4: ["-p icmp -m icmp --icmp-type 3"],
  6: ["-p ipv6-icmp -m icmp6 --icmpv6-type 1", "-p ipv6-icmp -m icmp6 --icmpv6-type 2"],
};
/** Far more than routers send for one machine; what is beyond passes as if we were not there. */
const ICMP_LIMIT = "-m limit --limit 1000/s --limit-burst 1000";

function mark(value: number): string {
  return `0x${value.toString(16)}/0x${MARK_MASK.toString(16)}`;
}

/** "5201", "8000:8999" in groups that one multiport rule can hold. */
export function portGroups(ports: PortRange[]): string[] {
  const groups: string[][] = [];
  let slots = MULTIPORT_SLOTS + 1;
  for (const range of ports) {
    const single = range.first === range.last;
    slots += single ? 1 : 2;
    if (slots > MULTIPORT_SLOTS) {
      groups.push([]);
      slots = single ? 1 : 2;
    }
    groups.at(-1)?.push(single ? String(range.first) : `${range.first}:${range.last}`);
  }
  return groups.map((group) => group.join(","));
}

/** Input of iptables-restore --noflush that (re)writes the chains. `hooked`: built-in chains that already jump to them. */
export function rulesText(options: RuleOptions, family: Family, hooked: { output: boolean; input: boolean }): string {
  return `${tableText(options, family, "output", hooked.output)}${tableText(options, family, "input", hooked.input)}`;
}

function tableText(options: RuleOptions, family: Family, side: "output" | "input", hooked: boolean): string {
  const { sets, chains } = objectNames(options.queue);
  const out = side === "output";
  const chain = out ? chains.output : chains.input;
  const converted = family === 4 ? sets.converted4 : sets.converted6;
  const bypass = family === 4 ? sets.bypass4 : sets.bypass6;
  const queue = `-j NFQUEUE --queue-num ${options.queue}`;
  const lines = [
    out ? "*raw" : "*mangle",
    `:${chain} - [0:0]`,
    `:${chains.match} - [0:0]`,
    `-A ${chain} -m mark --mark ${mark(WIRE_MARK)} -j RETURN`,
  ];
  if (out && options.notrack) lines.push(`-A ${chain} -m mark --mark ${mark(HOST_MARK)} -j CT --notrack`);
  lines.push(`-A ${chain} -m mark --mark ${mark(HOST_MARK)} -j RETURN`);
  if (!out) {
    lines.push(...ICMP_ERRORS[family].map((match) => `-A ${chain} ${match} ${ICMP_LIMIT} ${queue} --queue-bypass`));
  }
  lines.push(`-A ${chain} ! -p tcp -j RETURN`, `-A ${chain} ${out ? "-o" : "-i"} lo -j RETURN`);
  if (family === 6) lines.push(`-A ${chain} -s fe80::/10 -j RETURN`, `-A ${chain} -d fe80::/10 -j RETURN`);
  lines.push(
    `-A ${chain} -p tcp -m set --match-set ${converted} src,src,dst ${queue}`,
    `-A ${chain} -p tcp -m set --match-set ${converted} dst,dst,src ${queue}`,
  );
  if (options.ports === null) {
    lines.push(`-A ${chain} -p tcp -m tcp ${out ? "--sport" : "--dport"} ${SSH_PORT} -j RETURN`);
    lines.push(`-A ${chain} -j ${chains.match}`);
  } else {
    for (const group of portGroups(options.ports)) {
      lines.push(`-A ${chain} -p tcp -m multiport --ports ${group} -j ${chains.match}`);
    }
  }
  lines.push(
    `-A ${chains.match} -p tcp -m tcp --syn ${queue} --queue-bypass`,
    `-A ${chains.match} -p tcp -m set --match-set ${bypass} src,src,dst -j RETURN`,
    `-A ${chains.match} -p tcp -m set --match-set ${bypass} dst,dst,src -j RETURN`,
    `-A ${chains.match} -p tcp ${queue} --queue-bypass`,
  );
  if (!hooked) lines.push(`-A ${out ? "OUTPUT" : "INPUT"} -j ${chain}`);
  return `${lines.join("\n")}\nCOMMIT\n`;
}

function tool(family: Family, suffix: "" | "-save" | "-restore"): string {
  return `${family === 4 ? "iptables" : "ip6tables"}${suffix}`;
}

const TABLES = ["raw", "mangle"] as const;

/** Lines of iptables-save of both tables that mention a chain of ours, by table. */
async function ownLines(family: Family): Promise<Record<(typeof TABLES)[number], string[]>> {
  const lines = { raw: [] as string[], mangle: [] as string[] };
  for (const table of TABLES) {
    const saved = await execute(tool(family, "-save"), ["-t", table]);
    lines[table] = saved.split("\n").filter((line) => /SHUNT\d+-(OUT|IN|MATCH)\b/.test(line));
  }
  return lines;
}

/** Writes the rules for both families, replacing those of an earlier call in one step per family. Throws CommandError. */
export async function applyRules(options: RuleOptions): Promise<void> {
  const { chains } = objectNames(options.queue);
  for (const family of FAMILIES) {
    const lines = await ownLines(family);
    const text = rulesText(options, family, {
      output: lines.raw.includes(`-A OUTPUT -j ${chains.output}`),
      input: lines.mangle.includes(`-A INPUT -j ${chains.input}`),
    });
    await execute(tool(family, "-restore"), ["--noflush", "-w", "5"], text).catch((error: unknown) => {
      throw explain(error, family);
    });
  }
}

// iptables-restore names a line number of its input and nothing else: say what it usually means.
function explain(error: unknown, family: Family): unknown {
  if (!(error instanceof CommandError)) return error;
  return new CommandError(
    `the rules for IPv${family} were refused: ${error.message}; remedy: \`shunt doctor\` tells which kernel module is missing`,
    error.output,
  );
}

/** Removes the chains of the daemon on `queue`, or of all daemons (null), and every jump to them. Throws CommandError. */
export async function removeRules(queue: number | null): Promise<boolean> {
  let removed = false;
  for (const family of FAMILIES) {
    const lines = await ownLines(family);
    const text = TABLES.map((table) => removalText(table, lines[table], queue)).join("");
    if (text === "") continue;
    await execute(tool(family, "-restore"), ["--noflush", "-w", "5"], text);
    removed = true;
  }
  return removed;
}

/** Input of iptables-restore that removes our chains of one table, given the lines of iptables-save that mention them. */
export function removalText(table: string, lines: string[], queue: number | null): string {
  const isOurs = (chain: string) => CHAIN_PATTERN.test(chain) && (queue === null || chain.startsWith(`SHUNT${queue}-`));
  const chains = lines.map((line) => /^:(\S+)/.exec(line)?.[1] ?? "").filter(isOurs);
  const jumps = lines.filter((line) => {
    const jump = /^-A (\S+) .*-j (\S+)$/.exec(line);
    return jump !== null && !isOurs(jump[1] ?? "") && isOurs(jump[2] ?? "");
  });
  if (chains.length === 0) return "";
  return [
    `*${table}`,
    ...jumps.map((line) => line.replace(/^-A/, "-D")),
    ...chains.map((chain) => `-F ${chain}`),
    ...chains.map((chain) => `-X ${chain}`),
    "COMMIT",
    "",
  ].join("\n");
}

/** Names of the chains of any daemon in this network namespace. Throws CommandError. */
export async function listChains(): Promise<string[]> {
  const names = new Set<string>();
  for (const family of FAMILIES) {
    const lines = await ownLines(family);
    for (const line of [...lines.raw, ...lines.mangle]) {
      const chain = /^:(\S+)/.exec(line)?.[1];
      if (chain !== undefined && CHAIN_PATTERN.test(chain)) names.add(chain);
    }
  }
  return [...names];
}

/** Whether `-j CT --notrack` can be used: tried in a chain that is removed again. */
export async function hasNotrack(): Promise<boolean> {
  const probe = `SHUNT${process.pid}-OUT`;
  const text = `*raw\n:${probe} - [0:0]\n-A ${probe} -j CT --notrack\nCOMMIT\n*raw\n-F ${probe}\n-X ${probe}\nCOMMIT\n`;
  try {
    await execute("iptables-restore", ["--noflush", "-w", "5"], text);
    return true;
  } catch {
    return false;
  }
}
