// Stock servers for the application tests, each in a directory of its own: nothing of the machine's configuration is
// read or written. The web server is in web.ts.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Run } from "./application.ts";
import type { Host } from "./host.ts";
import { postgresDirectory } from "./requirements.ts";

/**
 * PostgreSQL refuses to run as root, and sshd as root wants an account of its own and a directory in /run. This
 * account has a shell and comes with PostgreSQL.
 */
const ACCOUNT = "postgres";
const asAccount = ["setpriv", `--reuid=${ACCOUNT}`, `--regid=${ACCOUNT}`, "--clear-groups"];

/** A directory below the host's that belongs to the account. */
async function accountDirectory(host: Host, name: string): Promise<string> {
  const directory = join(host.directory, name);
  await host.exec(["chmod", "711", dirname(host.directory), host.directory]);
  await host.exec(["install", "-d", "-m", "700", "-o", ACCOUNT, "-g", ACCOUNT, directory]);
  return directory;
}

export interface SshServer {
  /** Options for ssh and scp at the client: key, known host, nothing from the user's own configuration. */
  options: string[];
  /** `user@address`. */
  login: string;
  /** A directory that the login can write to. */
  directory: string;
}

/** Starts sshd at its own port, 22, with new keys for both ends. */
export async function startSshd(run: Run): Promise<SshServer> {
  const { client, server } = run.scenario;
  const directory = await accountDirectory(server, "sshd");
  const [hostKey, userKey, known] = [join(directory, "host_key"), join(client.directory, "key"), "known_hosts"];
  const keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f"];
  await server.exec([...asAccount, ...keygen, hostKey]);
  await client.exec([...keygen, userKey]);
  writeFileSync(join(client.directory, known), `${run.address} ${readFileSync(`${hostKey}.pub`, "utf8")}`);
  writeFileSync(join(directory, "authorized_keys"), readFileSync(`${userKey}.pub`), { mode: 0o644 });
  const config = join(directory, "sshd_config");
  const lines = [
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${join(directory, "authorized_keys")}`,
    "PidFile none",
    "StrictModes no", // The directory above is not the account's.
    "UsePAM no",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "Subsystem sftp internal-sftp",
  ];
  writeFileSync(config, `${lines.join("\n")}\n`);
  await server.exec(["sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=0"]);
  // It starts itself again for each connection, therefore the whole path.
  await run.serve([...asAccount, ...run.prefix("server"), "/usr/sbin/sshd", "-D", "-e", "-f", config], 22);
  const knownFile = `UserKnownHostsFile=${join(client.directory, known)}`;
  const set = ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", knownFile];
  const options = ["-F", "none", "-i", userKey, ...set.flatMap((option) => ["-o", option])];
  return { options, login: `${ACCOUNT}@${run.address}`, directory };
}

/** Starts an rsync daemon with one module, `files`; returns the directory behind it. */
export async function startRsync(run: Run, port: number): Promise<string> {
  const directory = join(run.scenario.server.directory, "rsync");
  await run.scenario.server.exec(["mkdir", directory]);
  const config = join(run.scenario.server.directory, "rsyncd.conf");
  const lines = ["use chroot = no", "uid = root", "gid = root", "[files]", `path = ${directory}`, "read only = no"];
  writeFileSync(config, `${lines.join("\n")}\n`);
  const command = [
    "rsync",
    "--daemon",
    "--no-detach",
    "--port",
    `${port}`,
    "--config",
    config,
    "--log-file=/dev/stderr",
  ];
  await run.serve([...run.prefix("server"), ...command], port);
  return directory;
}

export interface Postgres {
  /** Directory of the programs of one PostgreSQL version. */
  bin: string;
  /** Runs a query beside the server, over a Unix socket; returns columns separated by `|`, a line per row. */
  query(sql: string): Promise<string>;
}

/** Starts PostgreSQL on a new, empty cluster. */
export async function startPostgres(run: Run, port: number): Promise<Postgres> {
  const { server } = run.scenario;
  const bin = postgresDirectory();
  if (!bin || !existsSync(join(bin, "initdb"))) throw new Error("no PostgreSQL");
  const directory = await accountDirectory(server, "postgres");
  const data = join(directory, "data");
  const cwd = { cwd: "/" };
  const create = ["-D", data, "-U", ACCOUNT, "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8"];
  await server.exec([...asAccount, join(bin, "initdb"), ...create], cwd);
  writeFileSync(join(data, "pg_hba.conf"), "local all all trust\nhost all all 10.0.0.0/8 trust\n");
  const settings = {
    port,
    listen_addresses: "*",
    unix_socket_directories: directory,
    fsync: "off",
    // Shared memory that does not outlive the server, however it ends; see --ipc below.
    dynamic_shared_memory_type: "mmap",
  };
  const set = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const command = [...asAccount, ...run.prefix("server"), join(bin, "postgres"), "-D", data, ...set];
  await run.serve(["unshare", "--ipc", ...command], port, cwd);
  const psql = [join(bin, "psql"), "-h", directory, "-p", `${port}`, "-U", ACCOUNT, "-XAtq", "-v", "ON_ERROR_STOP=1"];
  return { bin, query: async (sql) => (await server.exec([...psql, "-c", sql])).trim() };
}

export interface Redis {
  /** A Unix socket, for programs beside the server. */
  socket: string;
  /** Runs a command beside the server. */
  command(...words: string[]): Promise<string>;
}

/** Starts Redis, all in memory. */
export async function startRedis(run: Run, port: number): Promise<Redis> {
  const { server } = run.scenario;
  const socket = join(server.directory, "redis.sock");
  const memory = { save: "", appendonly: "no", dir: server.directory };
  const settings = { port, bind: "0.0.0.0", "protected-mode": "no", unixsocket: socket, ...memory };
  const set = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  await run.serve([...run.prefix("server"), "redis-server", ...set], port);
  return { socket, command: (...words) => server.exec(["redis-cli", "-s", socket, ...words]) };
}
