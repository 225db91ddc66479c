// One subflow of an MPTCP connection: a TCP connection with options of its own, maps for what it carries, and the rules
// by which Linux believes in it (check_fully_established()).

import { timingSafeEqual } from "node:crypto";
import * as p from "../../packet.ts";
import type { Extension } from "./extension.ts";
import type { MptcpConnection } from "./mptcp-connection.ts";
import { IncomingMaps, type Mapping, OutgoingMaps } from "./mptcp-maps.ts";
import type { TcpConnection } from "./tcp-connection.ts";
import type { Chunk } from "./tcp-receiver.ts";

const SYN_WITH_MPTCP = 3;
const JOIN_ACK_FIRST_US = 1_000_000;
const RST_MPTCP = 1;
const RST_PROHIBITED = 3;
const RST_MIDDLEBOX = 6;

export interface Join {
  localId: number;
  remoteId: number;
  localNonce: number;
  remoteNonce: number;
  backup: boolean;
}

interface Queued extends Chunk {
  dueUs: number;
}

export class Subflow implements Extension {
  connection!: TcpConnection;
  readonly lenientWindow = true;
  readonly msk: MptcpConnection;
  /** We sent the SYN. */
  readonly active: boolean;
  /** undefined for the first subflow. */
  readonly join: Join | undefined;
  /** The first octets were seen that Linux asks for before it believes in MPTCP here. */
  established = false;
  /** No new data goes here, and none is taken from here. */
  closed = false;
  peerBackup = false;
  backup = false;
  stale = false;
  staleCount = 0;
  lastArrivedUs = 0;
  readonly outgoing = new OutgoingMaps();
  private readonly incoming = new IncomingMaps();
  private readonly queue: Queued[] = [];
  private readonly controls: p.Option[] = [];
  private joinAckUs = Infinity;
  private danOctets: 4 | 8;

  constructor(msk: MptcpConnection, active: boolean, join?: Join) {
    this.msk = msk;
    this.active = active;
    this.join = join;
    this.danOctets = msk.o.danOctets === 8 ? 8 : 4;
  }

  get localId(): number {
    return this.join?.localId ?? 0;
  }

  get remoteId(): number {
    return this.join?.remoteId ?? 0;
  }

  /** May carry new data. */
  get usable(): boolean {
    const opened = this.connection.state === "open" && !this.connection.snd.finSent;
    return opened && !this.closed && (this.join === undefined || this.established);
  }

  get isBackup(): boolean {
    return this.backup || (this.peerBackup && this.msk.o.obeyPriority);
  }

  // --- handshake ----------------------------------------------------------------------------------------

  synOptions(attempt: number): p.Option[] {
    const { msk, join } = this;
    if (join === undefined) {
      if (!this.active) return msk.fallback ? [] : [p.capableSynAck(msk.localKey, msk.capableFlags)];
      return attempt < SYN_WITH_MPTCP ? [p.capableSyn(msk.capableFlags)] : [];
    }
    if (this.active) return [p.joinSyn(msk.remoteToken, join.localNonce, join.localId, join.backup)];
    const hmac = p.joinHmacB(msk.remoteKey, msk.localKey, join.remoteNonce, join.localNonce);
    return [p.joinSynAck(hmac, join.localNonce, join.localId, join.backup)];
  }

  synArrived(packet: p.Packet): boolean {
    if (this.join !== undefined) return !this.active || this.joinAnswered(packet, this.join);
    const capable = p.option(packet, "mpCapable");
    if (!this.active) return true;
    const valid = capable?.version === 1 && (capable.flags & 0x5f) === 1 && capable.dataLength === undefined;
    if (valid && capable.senderKey && capable.receiverKey === undefined) {
      if (capable.flags & p.CAPABLE_CHECKSUM) this.msk.checksums = true;
      this.msk.remoteIs(capable.senderKey);
    } else this.msk.fallBack("SYN/ACK without MP_CAPABLE");
    return true;
  }

  private joinAnswered(packet: p.Packet, join: Join): boolean {
    const { msk } = this;
    const answer = p.option(packet, "mpJoin");
    const expected = (nonce: number) => p.joinHmacB(msk.localKey, msk.remoteKey, join.localNonce, nonce);
    const ok = answer?.form === "synack" && answer.hmac && answer.nonce !== undefined;
    if (!ok || !timingSafeEqual(answer.hmac as Uint8Array, expected(answer.nonce as number))) {
      this.refused(ok ? "MP_JOIN SYN/ACK with a wrong HMAC" : "MP_JOIN SYN/ACK without MP_JOIN", RST_MPTCP);
      return false;
    }
    join.remoteNonce = answer.nonce as number;
    join.remoteId = answer.addressId;
    this.peerBackup = answer.backup;
    return true;
  }

  /** A fault in a join: the subflow ends; without a middlebox nothing can be the cause but a proxy. */
  private refused(why: string, reason: number): void {
    if (!this.msk.o.tolerant) throw new Error(`${this.connection.name}: ${why}`);
    this.connection.reset([p.mpTcprst(reason)]);
  }

  opened(): void {
    this.lastArrivedUs = this.connection.nowUs;
    if (this.join && this.active) this.joinAckUs = this.lastArrivedUs + this.joinAckInterval;
    this.msk.subflowOpened(this);
  }

  private get joinAckInterval(): number {
    return 2 * this.connection.snd.srttUs || JOIN_ACK_FIRST_US;
  }

  // --- arrivals -----------------------------------------------------------------------------------------

  arrived(packet: p.Packet, at: number, opening: boolean): boolean {
    const { msk, connection } = this;
    this.lastArrivedUs = connection.nowUs;
    this.stale = false;
    this.staleCount = 0;
    if (msk.remoteKey !== 0n && this.shifts(packet)) msk.shifted = true;
    if (msk.fallback && msk.shifted) {
      connection.reset(); // they were on their way: Linux would take them for new ones
      return false;
    }
    if (msk.fallback || connection.state === "timeWait") return true;
    if (opening && !this.handshakeEnds(packet)) return connection.state !== "over";
    if (msk.fallback) return true;
    if (!this.believes(packet, at)) return connection.state !== "over";
    if (msk.fallback) return true;
    this.signals(packet);
    const dss = p.option(packet, "dss");
    if (dss?.dan !== undefined) msk.dataAck(dss, connection.scaledWindow(packet));
    const alone = packet.payload.length === 0 && dss?.fin && dss.length === 1;
    if (alone && dss.dsn !== undefined) msk.dataFin(msk.receivedOffset(dss), this);
    return connection.state !== "over";
  }

  /** True if the packet's octets have another number on the subflow than in the stream. */
  private shifts(packet: p.Packet): boolean {
    const dss = p.option(packet, "dss");
    if (packet.payload.length === 0 || !dss?.ssn || dss.dsn === undefined) return false;
    return this.msk.receivedOffset(dss) !== dss.ssn;
  }

  /** The packet that makes a passive subflow. */
  private handshakeEnds(packet: p.Packet): boolean {
    const { msk } = this;
    if (this.join) {
      const hmac = p.option(packet, "mpJoin")?.hmac;
      const { remoteNonce, localNonce } = this.join;
      const expected = p.joinHmacA(msk.remoteKey, msk.localKey, remoteNonce, localNonce);
      if (hmac?.length !== 20 || !timingSafeEqual(hmac, expected)) {
        this.connection.reset([p.mpTcprst(RST_PROHIBITED)]);
        if (hmac?.length === 20) this.refused("MP_JOIN ACK with a wrong HMAC", RST_PROHIBITED);
        return false;
      }
      this.established = true;
      this.connection.wantAck();
      return true;
    }
    const capable = p.option(packet, "mpCapable");
    const fits = (capable?.dataLength !== undefined) === packet.payload.length > 0;
    if (capable?.senderKey && fits && capable.receiverKey === msk.localKey) {
      // Linux believes this one alone; it must say what the SYNs have said.
      if (capable.flags !== msk.capableFlags) throw new Error(`${msk.name}: third ACK with flags ${capable.flags}`);
      msk.remoteIs(capable.senderKey);
      this.established = true;
    } else msk.fallBack("third ACK without MP_CAPABLE");
    return true;
  }

  /** check_fully_established() of Linux; false if the packet's options mean nothing. */
  private believes(packet: p.Packet, at: number): boolean {
    const { msk, connection, join } = this;
    if (this.established) {
      const again = at === 1 && packet.payload.length === 0 && p.option(packet, "mpJoin");
      if (again && join && !this.active) connection.wantAck();
      return true;
    }
    if (at !== 1) {
      if (join) connection.reset([p.mpTcprst(RST_MPTCP)]);
      return join === undefined;
    }
    const announced = p.option(packet, "addAddr");
    if (p.option(packet, "dss")?.dan !== undefined || (announced && (!announced.echo || join))) {
      this.established = true;
      this.joinAckUs = Infinity;
      msk.established(this);
      return true;
    }
    if (join) this.refused("first packet of a joined subflow has no DATA_ACK", RST_MPTCP);
    else if (this.closed) connection.reset([p.mpTcprst(RST_MPTCP)]);
    else msk.fallBack("first packet without DATA_ACK");
    return false;
  }

  private signals(packet: p.Packet): void {
    const { msk } = this;
    const close = p.option(packet, "mpFastclose");
    if (close?.key === msk.localKey) msk.fastclosed();
    const priority = p.option(packet, "mpPrio");
    if (priority) this.peerBackup = priority.backup;
    msk.addresses.arrived(packet, this);
  }

  deliver(chunks: Chunk[]): void {
    const { msk, connection } = this;
    if (this.closed && chunks.some(({ octets }) => octets.length > 0)) {
      connection.reset([p.mpTcprst(RST_MPTCP)]); // nobody takes it any more
      return;
    }
    for (const chunk of chunks) {
      const late = !msk.fallback && msk.random.chance(msk.o.backlog) ? msk.random.below(msk.o.backlogUs) : 0;
      const dueUs = Math.max(connection.nowUs + late, this.queue.at(-1)?.dueUs ?? 0);
      this.queue.push({ ...chunk, dueUs });
    }
    this.move(connection.nowUs);
  }

  /** Moves what is due to the data level. */
  private move(nowUs: number): void {
    const { msk } = this;
    while (this.queue[0] && this.queue[0].dueUs <= nowUs) {
      const chunk = this.queue.shift() as Queued;
      if (msk.fallback) {
        msk.takePlain(chunk, this.incoming);
        continue;
      }
      const found = this.incoming.take(chunk, this.mapOf(chunk.packet), msk.rcv.nxt);
      if (typeof found === "string") {
        this.violated(found, chunk);
        continue;
      }
      if (found && !msk.random.chance(msk.o.dropAtData)) msk.take(found, this);
    }
  }

  private violated(why: string, chunk: Chunk): void {
    const { msk, connection } = this;
    if (!msk.o.tolerant || why === "DataCsumErr")
      throw new Error(`${connection.name}: ${why} at ${this.incoming.copied}: ${p.show(chunk.packet)}`);
    if (msk.mayFallBack) {
      msk.fallBack(why);
      msk.takePlain(chunk, this.incoming);
    } else {
      this.queue.length = 0; // behind what was refused; subflow_check_data_avail() throws it away before the RST
      connection.reset([p.mpTcprst(why === "no DSS" ? RST_MIDDLEBOX : RST_MPTCP)]);
    }
  }

  /** What a packet says about its payload; a DATA_FIN in it is noted. */
  private mapOf(packet: p.Packet): Mapping | undefined {
    const { msk } = this;
    const capable = p.option(packet, "mpCapable");
    if (capable?.dataLength !== undefined) {
      this.widen(8);
      return this.checked({ data: 1, ssn: 1, length: capable.dataLength }, capable.dataLength, capable.checksum);
    }
    const dss = p.option(packet, "dss");
    if (dss?.dsn === undefined) return undefined;
    const data = msk.receivedOffset(dss);
    const { length = 0, ssn = 0 } = dss;
    const map = this.checked({ data, ssn, length: length - (dss.fin ? 1 : 0) }, length, dss.checksum);
    if (dss.fin && length === 1) {
      msk.dataFin(data, this);
      return undefined;
    }
    this.widen(dss.dsnOctets ?? 4);
    if (dss.fin) msk.dataFin(data + length - 1, this);
    return map;
  }

  /** The map with what its checksum is over; there must be one if, and only if, that was agreed on. */
  private checked(map: Mapping, stated: number, checksum: number | undefined): Mapping {
    const { msk } = this;
    if (msk.checksums !== (checksum !== undefined)) throw new Error(`${this.connection.name}: checksum ${checksum}`);
    return checksum === undefined ? map : { ...map, check: { dsn: msk.remoteNumber(map.data), stated, checksum } };
  }

  private widen(octets: 4 | 8): void {
    if (this.msk.o.danOctets === "auto") this.danOctets = octets;
  }

  // --- what is sent -------------------------------------------------------------------------------------

  options(at: number, length: number): p.Option[] {
    const { msk, connection } = this;
    if (msk.fallback || connection.state === "timeWait") return [];
    if (!this.established && this.active && at === 1 && (this.join || !msk.snd.finSent)) {
      if (this.join === undefined) return [this.capable(length)];
      const { localNonce, remoteNonce } = this.join;
      return [p.joinAck(p.joinHmacA(msk.localKey, msk.remoteKey, localNonce, remoteNonce))];
    }
    if (at < connection.snd.una && length === 0 && msk.random.chance(0.5)) return []; // a probe
    const control = length === 0 ? this.controls.shift() : undefined;
    if (control?.kind === "addAddr") return [control];
    return [this.dss(at, length), ...(control ? [control] : [])];
  }

  private capable(length: number): p.Option {
    const { localKey, remoteKey, capableFlags } = this.msk;
    if (length === 0) return p.capableAck(localKey, remoteKey, capableFlags);
    const map = this.outgoing.at(1);
    const octets = map?.length ?? length;
    return { ...p.capableData(localKey, remoteKey, octets, capableFlags), ...this.sumOf(map, octets) };
  }

  /** The checksum of a map of ours, `stated` octets long with its DATA_FIN; without a map that of a DATA_FIN alone. */
  private sumOf(map: Mapping | undefined, stated: number): { checksum?: number } {
    const { msk } = this;
    if (!msk.checksums) return {};
    const dsn = msk.localNumber(map?.data ?? msk.snd.end);
    return { checksum: p.dssChecksum(dsn, map?.ssn ?? 0, stated, map?.octets ?? new Uint8Array(0)) };
  }

  private dss(at: number, length: number): p.Option {
    const { msk } = this;
    const ack = { dan: msk.remoteNumber(msk.rcv.nxt), danOctets: this.danOctets };
    const map = length > 0 ? this.outgoing.at(at) : undefined;
    if (map === undefined) {
      if (!msk.snd.finSent || msk.snd.finAcked) return p.dss(ack);
      return p.dss({ ...ack, ...this.number(msk.snd.end), ssn: 0, length: 1, fin: true, ...this.sumOf(undefined, 1) });
    }
    const onFirst = map.length > length && at !== map.ssn && this.saidOnce.has(map.ssn);
    if (onFirst) return p.dss(ack);
    const fin = msk.snd.finSent && !msk.snd.finAcked && map.data + map.length === msk.snd.end;
    const stated = map.length + (fin ? 1 : 0);
    return p.dss({ ...ack, ...this.number(map.data), ssn: map.ssn, length: stated, fin, ...this.sumOf(map, stated) });
  }

  /** Maps (by SSN) whose DSS stands on the first packet only. */
  private readonly saidOnce = new Set<number>();

  private number(data: number): { dsn: bigint; dsnOctets: 4 | 8 } {
    return { dsn: this.msk.localNumber(data), dsnOctets: this.msk.o.dsnOctets };
  }

  optionRoom(): number {
    if (this.msk.fallback) return 0;
    const dss = 4 + this.danOctets + this.msk.o.dsnOctets + 6 + (this.msk.checksums ? 2 : 0);
    return Math.max(Math.ceil(dss / 4) * 4, this.established ? 0 : 24);
  }

  reach(at: number): number {
    const map = this.outgoing.at(at);
    return map === undefined ? Infinity : map.ssn + map.length;
  }

  /** Puts data octets [data, data + octets.length) on this subflow, under a fresh SSN. */
  give(data: number, octets: Uint8Array): void {
    const { buffer } = this.connection.snd;
    if (this.msk.random.chance(this.msk.o.dssOnFirst)) this.saidOnce.add(buffer.end);
    const kept = this.msk.checksums ? { octets: octets.slice() } : {};
    this.outgoing.add({ data, ssn: buffer.end, length: octets.length, ...kept });
    buffer.append(octets);
  }

  /** It was given anything to send. */
  get hasCarried(): boolean {
    return this.connection.snd.buffer.end > 1;
  }

  /** Octets given and not acknowledged on this subflow. */
  get queued(): number {
    const { snd } = this.connection;
    return snd.buffer.end - snd.una;
  }

  /** Octets given and not sent once. */
  get unsent(): number {
    const { snd } = this.connection;
    return snd.buffer.end - Math.min(snd.nxt, snd.buffer.end);
  }

  /** An option that leaves with a pure ACK, now. */
  control(option: p.Option): void {
    this.controls.push(option);
    this.connection.wantAck();
  }

  // --- the rest of an extension -------------------------------------------------------------------------

  edge(): number {
    const { rcv } = this.connection;
    return Math.max(rcv.window.edge, rcv.nxt + this.msk.window.edge - this.msk.rcv.nxt);
  }

  window(scale: number): number {
    return this.msk.windowField(scale);
  }

  wantsAck(): boolean {
    return this.controls.length > 0 && this.established && !this.msk.fallback && this.connection.state === "open";
  }

  peerWindow(window: number): number {
    return this.msk.fallback ? window : Math.max(window, this.msk.snd.windowLeft);
  }

  acknowledged(): void {
    if (this.msk.fallback) this.msk.plainAck(this);
    this.outgoing.release(this.connection.snd.una);
  }

  ended(reset: boolean, rst?: p.Packet): void {
    if (rst && p.option(rst, "mpFastclose")?.key === this.msk.localKey) this.msk.fastclosed();
    this.move(Infinity);
    if (this.msk.fallback && this.connection.rcv.finished) this.msk.peerFinished(this);
    this.msk.subflowEnded(this, reset);
  }

  // --- time ---------------------------------------------------------------------------------------------

  get nextUs(): number {
    return Math.min(this.joinAckUs, this.queue[0]?.dueUs ?? Infinity);
  }

  advance(nowUs: number): void {
    if (this.joinAckUs <= nowUs) {
      this.joinAckUs = nowUs + this.joinAckInterval;
      this.connection.wantAck();
    }
    this.move(nowUs);
    const { rcv, snd } = this.connection;
    if (rcv.finished && this.queue.length === 0 && !snd.finSent) this.msk.peerFinished(this);
  }
}
