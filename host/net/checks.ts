// What this machine must have. `shunt up` refuses to start without what is required; `shunt doctor` shows everything,
// each with the command that mends it.
import { existsSync, readFileSync } from "node:fs";
import type { PortRange } from "../config/config.ts";
import { CommandError, execute } from "./execute.ts";

export interface Check {
  name: string;
  /** failed: `up` will refuse; warning: works, but not as well as it could; absent: not here, and not needed. */
  result: "ok" | "warning" | "failed" | "absent";
  detail: string;
  /** A command, or "" when there is nothing to mend. */
  remedy: string;
}

const CAP_NET_ADMIN = 12n;
const CAP_NET_RAW = 13n;

function ok(name: string, detail: string): Check {
  return { name, result: "ok", detail, remedy: "" };
}

/** The process may change rules, routes and sets, and send raw packets. */
export function checkCapabilities(): Check {
  const name = "privileges";
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  const has = (capability: bigint) => ((BigInt(`0x${effective}`) >> capability) & 1n) === 1n;
  if (has(CAP_NET_ADMIN) && has(CAP_NET_RAW)) return ok(name, "CAP_NET_ADMIN and CAP_NET_RAW");
  return {
    name,
    result: "failed",
    detail: "CAP_NET_ADMIN and CAP_NET_RAW are missing",
    remedy: "run as root (sudo shunt …)",
  };
}

const TOOLS: readonly [string, string[]][] = [
  ["ip", ["-V"]],
  ["iptables-restore", ["--version"]],
  ["ip6tables-restore", ["--version"]],
  ["ipset", ["version"]],
];

/** The system's network tools are installed. */
export async function checkTools(): Promise<Check[]> {
  return Promise.all(
    TOOLS.map(async ([tool, args]) => {
      try {
        const version = await execute(tool, args);
        return ok(`tool ${tool}`, (version.split("\n")[0] ?? "").trim());
      } catch (error) {
        const [detail = "", remedy = ""] = (error as Error).message.split("; remedy: ");
        return { name: `tool ${tool}`, result: "failed" as const, detail, remedy };
      }
    }),
  );
}

/** The kernel can do what the rules ask: each is tried in a chain that is removed again. */
export async function checkKernel(): Promise<Check[]> {
  const features: [string, string, string, "failed" | "warning"][] = [
    ["kernel NFQUEUE", "-j NFQUEUE --queue-num 65535 --queue-bypass", "modprobe nfnetlink_queue xt_NFQUEUE", "failed"],
    ["kernel mark match", "-m mark --mark 0x1/0xffff -j RETURN", "modprobe xt_mark", "failed"],
    ["kernel multiport match", "-p tcp -m multiport --ports 1:2 -j RETURN", "modprobe xt_multiport", "failed"],
    ["kernel limit match", "-m limit --limit 1000/s -j RETURN", "modprobe xt_limit", "failed"],
    ["kernel CT target", "-j CT --notrack", "modprobe xt_CT", "warning"],
  ];
  const checks = [];
  for (const [name, rule, remedy, severity] of features) {
    checks.push(await tryRule(name, rule, remedy, severity));
  }
  checks.push(await trySet());
  if (existsSync("/proc/net/netfilter/nfnetlink_queue")) checks.push(ok("kernel nfnetlink_queue", "present"));
  else {
    checks.push({
      name: "kernel nfnetlink_queue",
      result: "failed" as const,
      detail: "the kernel has no packet queue for programs",
      remedy: "modprobe nfnetlink_queue",
    });
  }
  return checks;
}

async function tryRule(name: string, rule: string, remedy: string, severity: "failed" | "warning"): Promise<Check> {
  const chain = `SHUNT${process.pid}-OUT`;
  const text = `*raw\n:${chain} - [0:0]\n-A ${chain} ${rule}\nCOMMIT\n*raw\n-F ${chain}\n-X ${chain}\nCOMMIT\n`;
  for (const tool of ["iptables-restore", "ip6tables-restore"]) {
    try {
      await execute(tool, ["--noflush", "-w", "5"], text);
    } catch (error) {
      const told = error instanceof CommandError ? error.output.split("\n")[0] : String(error);
      return { name, result: severity, detail: `${tool} refuses it: ${told}`, remedy };
    }
  }
  return ok(name, "works");
}

async function trySet(): Promise<Check> {
  const name = "kernel ipset";
  const set = `shunt${process.pid}-converted4`;
  try {
    await execute("ipset", ["restore"], `create ${set} hash:ip,port,ip family inet maxelem 64\ndestroy ${set}\n`);
    return ok(name, "works");
  } catch (error) {
    const remedy = "modprobe ip_set_hash_ipportip xt_set";
    return { name, result: "failed", detail: (error as Error).message, remedy };
  }
}

/** The netlink port that listens to an NFQUEUE in this network namespace, null = nobody. */
export function queueOwner(queue: number): number | null {
  let table: string;
  try {
    table = readFileSync("/proc/net/netfilter/nfnetlink_queue", "utf8");
  } catch {
    return null;
  }
  for (const line of table.split("\n")) {
    const [number, port] = line.trim().split(/\s+/).map(Number);
    if (number === queue && port !== undefined) return port;
  }
  return null;
}

function sysctl(key: string): string | null {
  try {
    return readFileSync(`/proc/sys/${key.replaceAll(".", "/")}`, "utf8").trim();
  } catch {
    return null;
  }
}

/** Our own source ports must not be the kernel's ephemeral ones. */
export function checkPorts(ports: PortRange): Check {
  const name = "source ports";
  const range = (sysctl("net.ipv4.ip_local_port_range") ?? "32768 60999").split(/\s+/).map(Number);
  const [first = 0, last = 0] = range;
  if (ports.first > last || ports.last < first)
    return ok(name, `${ports.first}-${ports.last} are outside ${first}-${last}`);
  return {
    name,
    result: "warning",
    detail: `ports ${ports.first}-${ports.last} of our subflows overlap the kernel's own ${first}-${last}`,
    remedy: `sysctl -w net.ipv4.ip_local_port_range="${Math.min(first, 32768)} ${ports.first - 1}"`,
  };
}

/** Strict reverse-path filtering drops packets that come in by another interface than the route back. */
export function checkReversePath(interfaces: string[]): Check[] {
  return ["all", ...interfaces].map((name) => {
    const value = sysctl(`net.ipv4.conf.${name.replaceAll(".", "/")}.rp_filter`);
    if (value !== "1") return ok(`rp_filter ${name}`, value ?? "no such interface");
    return {
      name: `rp_filter ${name}`,
      result: "warning" as const,
      detail: "strict: packets of a second network may be dropped",
      remedy: `sysctl -w net.ipv4.conf.${name}.rp_filter=2`,
    };
  });
}

/** Without this the kernel's path MTU for a connection never changes, and a handover waits for a retransmission timer. */
export function checkPathMtu(): Check {
  const value = sysctl("net.ipv4.ip_no_pmtu_disc");
  if (value === "0" || value === null) return ok("path MTU discovery", "on");
  return {
    name: "path MTU discovery",
    result: "warning",
    detail: `net.ipv4.ip_no_pmtu_disc is ${value}: handovers after a break take longer, small MTUs cost more`,
    remedy: "sysctl -w net.ipv4.ip_no_pmtu_disc=0",
  };
}
