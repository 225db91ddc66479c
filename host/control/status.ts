// A snapshot of the engine in the words of the outside: names for path ids, ages for times, milliseconds for RTTs.
import { VERSION } from "../config/version.ts";
import type { PathTable } from "../net/path-table.ts";
import type { ControlContext } from "./context.ts";
import type { Snapshot } from "./engine-port.ts";
import { type ClassView, classViews } from "./policy.ts";

type SnapshotConnection = Snapshot["connections"][number];
type SnapshotSubflow = SnapshotConnection["subflows"][number];
type SnapshotPath = Snapshot["paths"][number];

export interface SubflowStatus {
  /** Within its connection; 0 = initial. */
  number: number;
  /** Name of its path, "" if the path is gone. */
  path: string;
  state: string;
  /** Carries new data of this end. */
  active: boolean;
  backup: boolean;
  /** The peer asked us not to use it. */
  peerBackup: boolean;
  stale: boolean;
  poisoned: boolean;
  opener: boolean;
  local: string;
  localPort: number;
  remote: string;
  remotePort: number;
  /** null = not measured yet. */
  srttMs: number | null;
  minRttMs: number | null;
  /** Payload octets, retransmissions included. */
  bytesSent: number;
  bytesReceived: number;
  packetsSent: number;
  packetsReceived: number;
  bytesRetransmitted: number;
  /** Entries of its RECV table. */
  recvRuns: number;
}

export interface ConnectionStatus {
  /** Our token in hex. */
  id: string;
  peerToken: string;
  serial: number;
  state: string;
  class: string;
  /** The local host opened it. */
  opener: boolean;
  local: string;
  localPort: number;
  remote: string;
  remotePort: number;
  activePath: string;
  /** Path of a manual handover, null = the policy decides. */
  pinnedPath: string | null;
  ageSeconds: number;
  /** Payload octets, each counted once. */
  bytesSent: number;
  bytesReceived: number;
  bytesUnacked: number;
  /** Entries of its SEND table: 1 while nothing moves from path to path. */
  sendRuns: number;
  handovers: number;
  subflows: SubflowStatus[];
}

export interface PathStatus {
  id: number;
  name: string;
  interface: string;
  state: "up" | "down";
  backup: boolean;
  draining: boolean;
  mtu: number;
  address4: string | null;
  address6: string | null;
  gateway4: string | null;
  gateway6: string | null;
  subflows: number;
  bytesSent: number;
  bytesReceived: number;
  srttMs: number | null;
}

export interface Status {
  version: string;
  pid: number;
  role: string;
  queue: number;
  uptimeSeconds: number;
  connections: ConnectionStatus[];
  paths: PathStatus[];
  classes: ClassView[];
  /** Sources of the outside that are there. */
  inputs: string[];
}

export async function statusOf(context: ControlContext): Promise<Status> {
  const snapshot = await context.engine.snapshot();
  const config = context.config();
  const nowUs = Number(process.hrtime.bigint() / 1000n);
  const nameOf = (id: number) => context.paths.nameOf(id);
  return {
    version: VERSION,
    pid: process.pid,
    role: config.role,
    queue: config.engine.queue,
    uptimeSeconds: Math.round((Date.now() - context.startedMs) / 1000),
    connections: snapshot.connections.map((connection) => {
      const className = context.policies.className(connection.class) ?? `#${connection.class}`;
      return connectionStatus(connection, className, nameOf, nowUs);
    }),
    paths: pathStatuses(context.paths, snapshot.paths),
    classes: classViews(context.policies.classes, nameOf),
    inputs: context.policies.sources,
  };
}

function milliseconds(us: number): number | null {
  return us === 0 ? null : Math.round(us / 10) / 100;
}

function connectionStatus(
  connection: SnapshotConnection,
  className: string,
  nameOf: (id: number) => string,
  nowUs: number,
): ConnectionStatus {
  return {
    id: connection.token,
    peerToken: connection.peerToken,
    serial: connection.serial,
    state: connection.state,
    class: className,
    opener: connection.opener,
    local: connection.local,
    localPort: connection.localPort,
    remote: connection.remote,
    remotePort: connection.remotePort,
    activePath: nameOf(connection.activePath),
    pinnedPath: connection.pinnedPath === 0 ? null : nameOf(connection.pinnedPath),
    ageSeconds: Math.max(0, Math.round((nowUs - Number(connection.createdUs)) / 1e5) / 10),
    bytesSent: Number(connection.bytesSent),
    bytesReceived: Number(connection.bytesReceived),
    bytesUnacked: Number(connection.bytesUnacked),
    sendRuns: connection.sendRuns,
    handovers: connection.handovers,
    subflows: connection.subflows.map((subflow) => subflowStatus(subflow, nameOf)),
  };
}

function subflowStatus(subflow: SnapshotSubflow, nameOf: (id: number) => string): SubflowStatus {
  return {
    number: subflow.number,
    path: nameOf(subflow.path),
    state: subflow.state,
    active: subflow.active,
    backup: subflow.backup,
    peerBackup: subflow.peerBackup,
    stale: subflow.stale,
    poisoned: subflow.poisoned,
    opener: subflow.opener,
    local: subflow.local,
    localPort: subflow.localPort,
    remote: subflow.remote,
    remotePort: subflow.remotePort,
    srttMs: milliseconds(subflow.srttUs),
    minRttMs: milliseconds(subflow.minRttUs),
    bytesSent: Number(subflow.bytesSent),
    bytesReceived: Number(subflow.bytesReceived),
    packetsSent: Number(subflow.packetsSent),
    packetsReceived: Number(subflow.packetsReceived),
    bytesRetransmitted: Number(subflow.retransmitted),
    recvRuns: subflow.recvRuns,
  };
}

/** The host's view of each path with the engine's figures beside it. */
export function pathStatuses(paths: PathTable, figures: readonly SnapshotPath[]): PathStatus[] {
  return paths.states.map((state) => {
    const figure = figures.find((candidate) => candidate.id === state.id);
    return {
      id: state.id,
      name: state.name,
      interface: state.interface,
      state: state.up ? "up" : "down",
      backup: state.backup,
      draining: state.draining,
      mtu: state.mtu,
      address4: state.address4?.address ?? null,
      address6: state.address6?.address ?? null,
      gateway4: state.gateway4,
      gateway6: state.gateway6,
      subflows: figure?.subflows ?? 0,
      bytesSent: Number(figure?.bytesSent ?? 0),
      bytesReceived: Number(figure?.bytesReceived ?? 0),
      srttMs: milliseconds(figure?.srttUs ?? 0),
    };
  });
}
