// What a kernel says about its TCP and MPTCP sockets: octets of the applications, whatever carried them.

import type { Host } from "./host.ts";
import { until } from "./mobility.ts";

/** One end of a connection. The two counts begin anywhere: only differences mean something. */
export interface SocketOctets {
  /** Octets that the program has not read. */
  unread: number;
  /** Octets that the peer has not acknowledged. */
  unacked: number;
  acked: bigint;
  received: bigint;
}

/** Of a port's connections, by the port at the other end. */
type Sockets = ReadonlyMap<number, SocketOctets>;

const LINE = /^ESTAB\s+(\d+)\s+(\d+)\s+\S+:(\d+)\s+\S+:(\d+)\s(.*)$/;

/** Established connections of a server's port, at either end; `native`: those of the kernel's own MPTCP. */
async function socketsOf(host: Host, port: number, native: boolean): Promise<Sockets> {
  const listing = await host.exec(["ss", native ? "-MinHO" : "-tinHO"]);
  const sockets = new Map<number, SocketOctets>();
  for (const line of listing.split("\n")) {
    const [, unread = "", unacked = "", local = "", remote = "", info = ""] = line.match(LINE) ?? [];
    const other = [Number(local), Number(remote)].filter((end) => end !== port);
    if (other.length !== 1) continue;
    const count = (name: string, prefix = ""): bigint =>
      BigInt(`${prefix}${info.match(new RegExp(` ${name}:(\\w+)`))?.[1] ?? "0"}`);
    const acked = native ? count("snd_una", "0x") : count("bytes_acked");
    const received = native ? count("rcv_nxt", "0x") : count("bytes_received");
    sockets.set(other[0] as number, { unread: Number(unread), unacked: Number(unacked), acked, received });
  }
  return sockets;
}

/** Both ends of the connections of a server's port at one moment, by the client's port. */
export interface Still {
  client: Sockets;
  server: Sockets;
}

/**
 * Waits until everything that a client has sent is acknowledged, and read at the server, for `count` connections. The
 * client has to be silent.
 */
export async function untilStill(
  client: Host,
  server: Host,
  port: number,
  count: number,
  native: boolean,
): Promise<Still> {
  let still: Still = { client: new Map(), server: new Map() };
  await until("both ends have the same octets", async () => {
    still = { client: await socketsOf(client, port, false), server: await socketsOf(server, port, native) };
    const isSent = [...still.client.values()].every(({ unacked }) => unacked === 0);
    const isRead = [...still.server.values()].every(({ unread, unacked }) => unread === 0 && unacked === 0);
    return still.client.size === count && still.server.size === count && isSent && isRead;
  });
  return still;
}

/** How many octets each connection carried between two moments, by the client's port: as one end saw it. */
export function growth(before: Sockets, after: Sockets, name: "acked" | "received"): Record<number, bigint> {
  const grown = [...after].map(([port, now]) => [port, now[name] - (before.get(port)?.[name] ?? 0n)] as const);
  return Object.fromEntries(grown);
}
