// Which addresses a connection may use: ADD_ADDR with its echo, REMOVE_ADDR, and the joins that follow from them, as
// the in-kernel path manager of Linux does it with "subflow" and "signal" endpoints.

import * as p from "../../packet.ts";
import type { MptcpConnection } from "./mptcp-connection.ts";
import type { Subflow } from "./mptcp-subflow.ts";

const TRIES = 3;
const RETRY_US = 1_000_000;

interface Announcement {
  id: number;
  address: string;
  tries: number;
  atUs: number;
}

/** What the stack does for a connection. */
export interface PathManager {
  readonly ownAddresses: string[];
  idOf(address: string): number;
  join(msk: MptcpConnection, local: string, remote: string, remotePort: number): void;
}

export class Addresses {
  private readonly msk: MptcpConnection;
  private readonly stack: PathManager;
  private announcements: Announcement[] = [];
  /** Address IDs that the peer has told about: they are echoed again, and not joined again. */
  private readonly known = new Map<number, string>();

  constructor(msk: MptcpConnection, stack: PathManager) {
    this.msk = msk;
    this.stack = stack;
  }

  /** 0 for the address that the connection began with. */
  idOf(address: string): number {
    return address === this.msk.local.address ? 0 : this.stack.idOf(address);
  }

  /** MPTCP is agreed: what this end does by itself. */
  established(nowUs: number): void {
    const { o, opener, local, remote } = this.msk;
    const others = this.stack.ownAddresses.filter((address) => address !== local.address);
    if (opener && o.autoJoin) for (const address of others) this.joinFrom(address, remote.address, remote.port);
    if (!opener && o.announce) for (const address of others) this.announce(address, nowUs);
  }

  /** An own address that the connection may use from now on. */
  gained(address: string, nowUs: number): void {
    const { opener, remote } = this.msk;
    if (opener) this.joinFrom(address, remote.address, remote.port);
    else this.announce(address, nowUs);
  }

  /** An own address is gone: its subflows end, and the peer is told where that is still possible. */
  lost(address: string): void {
    const { subflows } = this.msk;
    const gone = subflows.filter(({ connection }) => connection.tuple.local === address);
    this.announcements = this.announcements.filter((announcement) => announcement.address !== address);
    for (const subflow of gone) this.msk.abandon(subflow);
    const other = subflows.find((subflow) => subflow.usable && subflow.established && !gone.includes(subflow));
    other?.control(p.removeAddr(this.idOf(address)));
  }

  private joinFrom(local: string, remote: string, port: number): void {
    const { subflows, o } = this.msk;
    const sameFamily = local.includes(":") === remote.includes(":");
    const there = subflows.some(
      ({ connection, closed }) => !closed && connection.tuple.local === local && connection.tuple.remote === remote,
    );
    const extra = subflows.filter(({ join, closed }) => join && !closed).length;
    if (sameFamily && !there && extra < o.extraSubflows) this.stack.join(this.msk, local, remote, port);
  }

  // --- ADD_ADDR, REMOVE_ADDR ----------------------------------------------------------------------------

  announce(address: string, nowUs: number): void {
    this.announcements.push({ id: this.idOf(address), address, tries: 0, atUs: nowUs });
  }

  arrived(packet: p.Packet, subflow: Subflow): void {
    for (const option of packet.options) {
      if (option.kind === "removeAddr") this.removed(option.ids);
      if (option.kind !== "addAddr") continue;
      if (option.echo) {
        const echoed = ({ id, address }: Announcement) => id === option.id && address === option.address;
        this.announcements = this.announcements.filter((announcement) => !echoed(announcement));
      } else this.added(option, subflow);
    }
  }

  private added(option: p.AddAddr, subflow: Subflow): void {
    const { remoteKey, localKey, opener, o, remote } = this.msk;
    const expected = p.addAddrHmac(remoteKey, localKey, option.id, option.address, option.port ?? 0);
    if (option.hmac === undefined || !Buffer.from(expected).equals(option.hmac)) {
      if (!o.tolerant) throw new Error(`${subflow.connection.name}: ADD_ADDR with a wrong HMAC`);
      return;
    }
    const { id, address, port } = option;
    subflow.control(p.addAddr({ id, address, ...(port !== undefined && { port }) }));
    const isNew = this.known.get(id) !== address;
    this.known.set(id, address);
    const connected = this.msk.subflows.some(({ connection }) => connection.tuple.remote === address);
    if (!isNew || connected || !opener || !o.acceptAddresses) return;
    this.joinFrom(this.nearest(address), address, port ?? remote.port);
  }

  /** The own address that shares most of its text with `address`: in these networks, the one on the same path. */
  private nearest(address: string): string {
    const shared = (own: string) => [...own].findIndex((letter, i) => letter !== address[i]);
    const { ownAddresses } = this.stack;
    return ownAddresses.reduce((best, own) => (shared(own) > shared(best) ? own : best), ownAddresses[0] ?? "");
  }

  private removed(ids: number[]): void {
    for (const id of ids) this.known.delete(id);
    for (const subflow of [...this.msk.subflows]) if (ids.includes(subflow.remoteId)) this.msk.abandon(subflow);
  }

  // --- time ---------------------------------------------------------------------------------------------

  get nextUs(): number {
    return Math.min(Infinity, ...this.announcements.map(({ atUs }) => atUs));
  }

  advance(nowUs: number): void {
    for (const announcement of this.announcements) {
      if (announcement.atUs > nowUs) continue;
      const { id, address } = announcement;
      const hmac = p.addAddrHmac(this.msk.localKey, this.msk.remoteKey, id, address);
      const subflow = this.msk.subflows.find((candidate) => candidate.usable && candidate.established);
      subflow?.control(p.addAddr({ id, address, hmac }));
      announcement.atUs = nowUs + RETRY_US * 2 ** announcement.tries++;
    }
    this.announcements = this.announcements.filter(({ tries }) => tries < TRIES);
  }
}
