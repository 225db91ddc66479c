// Which daemon serves this network namespace, and what it has put into the kernel. The file is written before the first
// kernel object, so that whatever a crash leaves behind can be found and removed. It is named after the inode of the
// network namespace: namespaces made with `ip netns` share /run.
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Contents of the state file. */
export interface DaemonState {
  pid: number;
  /** Field 22 of /proc/PID/stat: tells a daemon from a stranger who got its number later. */
  startTime: string;
  queue: number;
  socket: string;
}

/** systemd gives a service with RuntimeDirectory= its own; otherwise the place is fixed. */
function directory(): string {
  return process.env.RUNTIME_DIRECTORY?.split(":")[0] ?? "/run/shunt";
}

function file(): string {
  return join(directory(), `${statSync("/proc/self/ns/net").ino}.json`);
}

function startTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The program's name is in parentheses and may hold anything: count fields behind the last one.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    return null;
  }
}

/** The state file of this network namespace, if there is one. */
export function readState(): DaemonState | null {
  return readFile(file());
}

function readFile(path: string): DaemonState | null {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as DaemonState;
  } catch {
    return null;
  }
}

/** Whether the daemon that wrote the state still runs. */
export function isAlive(state: DaemonState): boolean {
  return startTime(state.pid) === state.startTime;
}

/** Another daemon serves this network namespace. */
export class NamespaceTaken extends Error {
  constructor(state: DaemonState) {
    super(
      `another shunt serves this network namespace (process ${state.pid}, queue ${state.queue}, socket ${state.socket}); ` +
        `remedy: end it first (kill ${state.pid})`,
    );
    this.name = "NamespaceTaken";
  }
}

/**
 * Claims this network namespace for the calling process. Returns the state of a dead daemon whose leftovers the caller
 * must remove, if there is one. Throws NamespaceTaken, or an Error when the directory cannot be written.
 */
export function claim(queue: number, socket: string): DaemonState | null {
  const path = file();
  const mine: DaemonState = { pid: process.pid, startTime: startTime(process.pid) ?? "", queue, socket };
  const draft = `${path}.${process.pid}`;
  try {
    mkdirSync(directory(), { recursive: true, mode: 0o755 });
    writeFileSync(draft, `${JSON.stringify(mine)}\n`, { mode: 0o644 });
  } catch (error) {
    throw new Error(`cannot write ${draft}: ${(error as Error).message}; remedy: run as root`);
  }
  try {
    let dead: DaemonState | null = null;
    // link() is atomic and never replaces: of two daemons that start at once one is told of the other.
    for (let attempt = 0; ; attempt++) {
      try {
        linkSync(draft, path);
        forgetDead();
        return dead;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST" || attempt === 2) throw error;
      }
      const other = readState();
      if (other !== null && isAlive(other)) throw new NamespaceTaken(other);
      dead = other;
      rmSync(path, { force: true });
    }
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Removes the files of dead daemons of other namespaces, most of which are gone too. Leftovers are found without them. */
function forgetDead(): void {
  for (const name of readdirSync(directory()).filter((entry) => /^\d+\.json$/.test(entry))) {
    const path = join(directory(), name);
    const state = readFile(path);
    if (path !== file() && state !== null && !isAlive(state)) rmSync(path, { force: true });
  }
}

/** Gives the network namespace back. Only the claimer's own file is removed. */
export function release(): void {
  if (readState()?.pid === process.pid) unlinkSync(file());
}

/** Removes the file of a dead daemon. */
export function forget(): void {
  rmSync(file(), { force: true });
}
