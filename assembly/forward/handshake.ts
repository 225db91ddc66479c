// MP_CAPABLE in both roles (RFC 8684 §3.1), overlaid on the host's own three-way handshake (paper §3.1).
// This file holds what both roles share.
//
//   host-opens.ts   hostSyn ──► peerSynAck ──► (ack-to-subflow adds MP_CAPABLE to the third ACK)
//   peer-opens.ts   peerSyn ──► hostSynAck ──► peerThirdAck
//
// Whenever a step shows that the other end does not speak MPTCP v1, the connection becomes plain TCP: up
// to the first join SSN = TSN on the initial subflow, so that nothing but options has ever been changed.

import { CONFIG, ConfigFlag, DropReason, EngineConfig, SetOperationKind, SubflowState } from "../abi";
import { entropyHas, nowUs } from "../clock";
import { Connection, ConnectionFlag, hasFlag } from "../connection/connection";
import { idsnOfDigest, keyDraw, tokenOf } from "../connection/keys";
import { subflowCreate } from "../connection/lifecycle";
import { findToken, insertToken } from "../connection/lookup";
import { pathOfAddress, smallestMss } from "../connection/paths";
import { Subflow, subflowAt, SubflowBit } from "../connection/subflow";
import { MPTCP_OPTIONS, REWRITE_OPTIONS, TCP_OPTIONS } from "../scratch";
import { setOperation } from "../set-operations";
import {
  CAPABLE_CHECKSUM, CAPABLE_HMAC_SHA256, MP_CAPABLE, MptcpOptions, mptcpOptionsAt, mptcpParse,
} from "../wire/mptcp-options";
import { TCP_OPTIONS_MAX } from "../wire/tcp";
import { MSS_DEFAULT, tcpOptionsAt, tcpOptionsParse } from "../wire/tcp-options";
import { acceptUntouched, destinationOf, dropSegment, rewrite, Segment, sourceOf } from "./segment";

@inline export const NO_CLAMP: u32 = 65535;

let draining: bool = false;

/** From now on every new connection stays plain TCP: the daemon is about to end. */
export function stopConverting(): void {
  draining = true;
}

/** True if a new connection may be converted: we are not about to end, and there is entropy for its key and a join. */
export function mayConvert(): bool {
  return !draining && entropyHas(64);
}

/** Parses both kinds of options of the segment into their scratch structs. */
export function parseOptions(segment: Segment): void {
  tcpOptionsParse(segment.tcp, segment.tcpHeaderLength, tcpOptionsAt(TCP_OPTIONS));
  mptcpParse(segment.tcp, segment.tcpHeaderLength, mptcpOptionsAt(MPTCP_OPTIONS));
}

/** True if an MP_CAPABLE of `length` was parsed. Version, algorithm and B are as they must be: no other is. */
export function capableAgreed(options: MptcpOptions, length: u32): bool {
  return (options.present & (1 << MP_CAPABLE)) != 0 && options.capableLength == length;
}

/** True if an MP_CAPABLE was parsed that demands checksums. */
export function asksForChecksums(options: MptcpOptions): bool {
  return (options.present & (1 << MP_CAPABLE)) != 0 && (options.capableFlags & CAPABLE_CHECKSUM) != 0;
}

/** True if we demand checksums of every peer. */
export function checksumsWanted(): bool {
  return (load<u32>(CONFIG + EngineConfig.FLAGS) & ConfigFlag.CHECKSUM) != 0;
}

/** Flags of our MP_CAPABLE once the peer has been heard: A if either end demands checksums (RFC 8684 §3.1). */
export function capableFlags(connection: Connection): u32 {
  return CAPABLE_HMAC_SHA256 | (hasFlag(connection, ConnectionFlag.CHECKSUM) ? CAPABLE_CHECKSUM : 0);
}

/** Draws our key so that its token is unique and its low bits name this shard; false when the entropy is at its end. */
export function drawKey(connection: Connection): bool {
  const shards = load<u32>(CONFIG + EngineConfig.SHARD_COUNT);
  for (let tries = 0; tries < 64; tries++) {
    const key = keyDraw();
    if (key == 0) return false;
    const token = tokenOf(key);
    if (token == 0 || findToken(token) != 0) continue;
    if (token % shards != load<u32>(CONFIG + EngineConfig.SHARD)) continue;
    connection.localKey = key;
    connection.localToken = token;
    connection.localIdsn = idsnOfDigest();
    insertToken(connection);
    return true;
  }
  return false;
}

/** Passes a SYN as it is and has the kernel keep the rest of its flow out of the queue. */
export function bypass(segment: Segment, opener: usize, openerPort: u32, other: usize): void {
  setOperation(SetOperationKind.ADD_BYPASS, opener, openerPort, other);
  acceptUntouched(segment);
}

/** The initial subflow: its tuple is the host's own (RFC 8684 §3.2: address id 0 at both ends). */
export function createInitial(connection: Connection, segment: Segment, opener: u32): u32 {
  const fromHost = opener != 0;
  const local = fromHost ? sourceOf() : destinationOf();
  const remote = fromHost ? destinationOf() : sourceOf();
  const localPt = fromHost ? segment.sourcePort : segment.destinationPort;
  const remotePt = fromHost ? segment.destinationPort : segment.sourcePort;
  const path = pathOfAddress(local);
  const index = subflowCreate(connection, local, remote, localPt, remotePt, path);
  if (index == 0) return 0;
  const subflow = subflowAt(index);
  subflow.flags = SubflowBit.INITIAL | opener;
  subflow.state = <u8>(fromHost ? SubflowState.SYN_SENT : SubflowState.SYN_RECEIVED);
  connection.active = index;
  return index;
}

/**
 * Initial numbers of our direction on the initial subflow: the host's own (design: SSN = TSN until the
 * first switch).
 */
export function startSubflowSend(subflow: Subflow, iss: u32): void {
  subflow.iss = iss;
  subflow.ssnNxt = iss + 1;
  subflow.ssnUna = iss;
  subflow.rttUs = nowUs();
  subflow.rttSsn = iss + 1;
}

/** Rewrites a segment of the handshake: tuple and numbers stay, options change. */
export function keepTuple(segment: Segment, flags: u32, optionsEnd: usize): void {
  if (optionsEnd - REWRITE_OPTIONS > TCP_OPTIONS_MAX) {
    dropSegment(segment, DropReason.TCP_OPTIONS_MALFORMED);
    return;
  }
  rewrite(
    segment, sourceOf(), destinationOf(), segment.sourcePort, segment.destinationPort,
    segment.segSeq, segment.segAck, flags, segment.window, optionsEnd,
  );
}

/** Linux goes no lower either (net.ipv4.tcp_min_snd_mss). */
@inline const MSS_LEAST: u32 = 48;

/**
 * The MSS shown to the host: what fits all usable paths and the peer, less what we add to its segments. `opener`: it
 * is we who choose the family of joined subflows; else the peer may join every address that we announce.
 */
export function clampedMss(peerMss: u32, like: usize, overhead: u32, opener: bool): u32 {
  const announced = (load<u32>(CONFIG + EngineConfig.FLAGS) & ConfigFlag.ADVERTISE) != 0;
  const path = smallestMss(like, !opener && announced);
  const most = min<u32>(peerMss == 0 ? MSS_DEFAULT : peerMss, path);
  return most > overhead + MSS_LEAST ? most - overhead : MSS_LEAST; // a peer may announce any MSS, even 1
}

/** Initial numbers of the peer's direction. */
export function startReceive(connection: Connection, subflow: Subflow, irs: u32): void {
  connection.hostIrs = irs;
  subflow.irs = irs;
  subflow.rcvSan = irs + 1;
  subflow.rcvHighest = irs + 1;
}

/** The peer's key is known: derive its token and IDSN and the data-level numbers of its direction. */
export function takePeerKey(connection: Connection, key: u64): void {
  connection.remoteKey = key;
  connection.remoteToken = tokenOf(key);
  connection.remoteIdsn = idsnOfDigest();
  connection.rcvDan = connection.remoteIdsn + 1;
  connection.rcvDsnMax = connection.remoteIdsn + 1;
  connection.hostWindowRight = connection.rcvDan + <u64>connection.hostWindow;
}
