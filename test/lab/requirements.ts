// What the lab needs of the machine, and how it does without root.

import { spawnSync } from "node:child_process";
import { accessSync, constants, readdirSync } from "node:fs";
import { join } from "node:path";

type Programs = Readonly<Record<string, string>>;

/** Programs the lab runs, with the Debian package each comes from. */
const TOOLS: Programs = {
  ip: "iproute2",
  nstat: "iproute2",
  iptables: "iptables",
  ip6tables: "iptables",
  ipset: "ipset",
  ethtool: "ethtool",
  tcpdump: "tcpdump",
  curl: "curl",
  nginx: "nginx-light",
  iperf3: "iperf3",
  mptcpize: "mptcpize",
  perl: "perl-base",
  sysctl: "procps",
  unshare: "util-linux",
};

/** Programs that only the tests with real applications run (`application.ts`). */
export const APPLICATIONS: Programs = {
  ...TOOLS,
  openssl: "openssl",
  ssh: "openssh-client",
  sshd: "openssh-server",
  rsync: "rsync",
  postgres: "postgresql",
  "redis-server": "redis-server",
  "redis-benchmark": "redis-tools",
};

const POSTGRES = "/usr/lib/postgresql";

/** Set inside the user namespace that `enterUserNamespace` makes, so that it is made once. */
const INSIDE = "SHUNT_LAB_USER_NAMESPACE";

/** Where the newest PostgreSQL has its programs, which are in nobody's PATH; undefined without one. */
export function postgresDirectory(): string | undefined {
  try {
    const versions = readdirSync(POSTGRES).sort((a, b) => Number(b) - Number(a));
    return versions[0] && join(POSTGRES, versions[0], "bin");
  } catch {
    return undefined;
  }
}

function isInstalled(tool: string): boolean {
  const directories = `${process.env.PATH}:/usr/sbin:/sbin:${postgresDirectory() ?? ""}`.split(":");
  return directories.some((directory) => {
    try {
      accessSync(join(directory, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Debian packages of these programs that are missing, each once. */
export function missingPackages(programs: Programs = TOOLS): string[] {
  return [...new Set(Object.entries(programs).flatMap(([tool, name]) => (isInstalled(tool) ? [] : [name])))];
}

/** The line that installs them. */
export function installLine(packages: readonly string[]): string {
  return `apt-get install -y --no-install-recommends ${packages.join(" ")}`;
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Whether this process is root of a user namespace only. */
export function isInUserNamespace(): boolean {
  return process.env[INSIDE] !== undefined;
}

/**
 * Runs this program again as root of a user namespace with a network and a /run of its own, and returns its exit code.
 * The child sees `isRoot()` and `isInUserNamespace()`.
 */
export function enterUserNamespace(argv: readonly string[] = process.argv): number {
  const script = 'mount -t tmpfs tmpfs /run && exec "$@"';
  const args = ["-Urnm", "--kill-child", "sh", "-c", script, "sh", process.execPath, ...argv.slice(1)];
  const result = spawnSync("unshare", args, { stdio: "inherit", env: { ...process.env, [INSIDE]: "1" } });
  if (result.error) throw result.error;
  return result.status ?? 1;
}
