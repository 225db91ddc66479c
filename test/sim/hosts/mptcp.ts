// A native MPTCP v1 host for the simulator, as strict as Linux in what it refuses. A connection is in
// mptcp-connection.ts, a subflow of it in mptcp-subflow.ts; below each subflow is our TCP.

import type { Random } from "../../model/random.ts";
import * as p from "../../packet.ts";
import type { Socket, SocketAddress } from "../stack.ts";
import type { PathManager } from "./mptcp-addresses.ts";
import { MptcpConnection, type SessionOptions } from "./mptcp-connection.ts";
import { MPTCP_DEFAULTS, type MptcpOptions } from "./mptcp-options.ts";
import { type Join, Subflow } from "./mptcp-subflow.ts";
import { canonical, TcpStack, type TcpStackOptions } from "./tcp.ts";
import type { Tuple } from "./tcp-connection.ts";

export interface MptcpStackOptions extends TcpStackOptions, Partial<MptcpOptions> {}

/** The default net.ipv4.ip_local_port_range of Linux. */
const PORTS = [32_768, 60_999] as const;
const RST_NO_TOKEN = 1;
const RST_PROHIBITED = 3;

export class MptcpStack extends TcpStack implements PathManager {
  private readonly random: Random;
  private readonly session: SessionOptions;
  private readonly sessions = new Set<MptcpConnection>();
  private readonly ids: string[];

  constructor(options: MptcpStackOptions) {
    super(options);
    this.random = options.random;
    this.session = { ...MPTCP_DEFAULTS, ...this.o, ...options };
    this.ids = [...this.addresses];
  }

  // --- addresses ----------------------------------------------------------------------------------------

  get ownAddresses(): string[] {
    return [...this.addresses];
  }

  idOf(address: string): number {
    if (!this.ids.includes(address)) this.ids.push(address);
    return this.ids.indexOf(address) + 1;
  }

  /** An address comes: it is joined from, or announced. */
  gainAddress(address: string, nowUs: number): void {
    this.addresses.add(canonical(address));
    for (const msk of this.living) msk.addresses.gained(canonical(address), nowUs);
  }

  /** An address goes. */
  loseAddress(address: string): void {
    this.addresses.delete(canonical(address));
    for (const msk of this.living) msk.addresses.lost(canonical(address));
  }

  private get living(): MptcpConnection[] {
    return [...this.sessions].filter((msk) => msk.state === "open" && !msk.fallback);
  }

  // --- opening ------------------------------------------------------------------------------------------

  override connect(local: SocketAddress, remote: SocketAddress, nowUs: number): Socket {
    const ends = {
      local: { address: canonical(local.address), port: local.port },
      remote: { address: canonical(remote.address), port: remote.port },
    };
    const msk = this.open(ends);
    this.attach(new Subflow(msk, true), tupleOf(ends.local, ends.remote), false).connect(nowUs);
    return msk;
  }

  private open(
    ends: { local: SocketAddress; remote: SocketAddress },
    accepted?: (socket: Socket) => void,
  ): MptcpConnection {
    const msk = new MptcpConnection(this.session, this, ends, accepted);
    this.sessions.add(msk);
    return msk;
  }

  private attach(subflow: Subflow, tuple: Tuple, passive: boolean) {
    subflow.connection = this.add(tuple, subflow, passive, { ...this.o, sendBuffer: Infinity });
    subflow.msk.subflows.push(subflow);
    return subflow.connection;
  }

  /** MP_JOIN from `local` to `remote`; the subflow carries data once the handshake is through. */
  join(msk: MptcpConnection, local: string, remote: string, remotePort: number): void {
    const localPort = this.random.between(...PORTS);
    const tuple = { local, localPort, remote, remotePort };
    const join: Join = {
      localId: msk.addresses.idOf(local),
      remoteId: 0,
      localNonce: (this.random.bits() | 1) >>> 0,
      remoteNonce: 0,
      backup: false,
    };
    const nowUs = msk.subflows[0]?.connection.nowUs ?? 0;
    this.attach(new Subflow(msk, true, join), tuple, false).connect(nowUs);
  }

  protected override incoming(packet: p.Packet, tuple: Tuple, nowUs: number): boolean {
    const capable = p.option(packet, "mpCapable");
    const join = p.option(packet, "mpJoin");
    if (join?.form === "syn" && !capable) return this.joined(packet, tuple, join, nowUs);
    const accepted = this.listeners.get(packet.dport);
    if (accepted === undefined) return false;
    const local = { address: tuple.local, port: tuple.localPort };
    const remote = { address: tuple.remote, port: tuple.remotePort };
    const msk = this.open({ local, remote }, accepted);
    const valid = capable && !join && capable.version >= 1 && (capable.flags & 0x5f) === 1;
    if (!valid || capable.senderKey !== undefined) msk.fallBack("SYN without MP_CAPABLE");
    else if (capable.flags & p.CAPABLE_CHECKSUM) msk.checksums = true;
    return this.attach(new Subflow(msk, false), tuple, true).accept(packet, nowUs);
  }

  private joined(packet: p.Packet, tuple: Tuple, option: p.MpJoin, nowUs: number): boolean {
    const msk = [...this.sessions].find(({ localToken, isOver }) => localToken === option.token && !isOver);
    const known = msk !== undefined && msk.state === "open" && !msk.fallback;
    const extra = msk?.subflows.filter(({ join, closed }) => join && !closed).length ?? 0;
    const allowed = known && extra < msk.o.extraSubflows && this.listeners.has(packet.dport) && !msk.opener;
    if (!known || !allowed || msk.snd.closing || msk.rcv.finished) {
      this.refuse(packet, [p.mpTcprst(msk ? RST_PROHIBITED : RST_NO_TOKEN)]);
      return true;
    }
    const join: Join = {
      localId: msk.addresses.idOf(tuple.local),
      remoteId: option.addressId,
      localNonce: this.random.bits(),
      remoteNonce: option.nonce ?? 0,
      backup: false,
    };
    const subflow = new Subflow(msk, false, join);
    subflow.peerBackup = option.backup;
    return this.attach(subflow, tuple, true).accept(packet, nowUs);
  }

  // --- time ---------------------------------------------------------------------------------------------

  override input(octets: Uint8Array, nowUs: number): void {
    super.input(octets, nowUs);
    this.advance(nowUs);
  }

  override get nextUs(): number {
    let next = super.nextUs;
    for (const msk of this.sessions) next = Math.min(next, msk.nextUs);
    return next;
  }

  override advance(nowUs: number): void {
    for (const msk of this.sessions) {
      msk.advance(nowUs);
      if (msk.isOver) this.sessions.delete(msk);
    }
    super.advance(nowUs);
  }
}

function tupleOf(local: SocketAddress, remote: SocketAddress): Tuple {
  return { local: local.address, localPort: local.port, remote: remote.address, remotePort: remote.port };
}
