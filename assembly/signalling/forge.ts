// Packets that we make ourselves: header only, into the outbox.
//
// Options are written at FORGE_OPTIONS first; forgeOnSubflow() pads them and puts headers around them.
// On a subflow every forged packet has SEQ = ssnNxt (in the peer's window, no octet of sequence space
// unless a flag takes one), ACK = our SAN, the window as of the host's last word, and a DSS with the
// present DATA_ACK where there is room (notes on forged control packets: docs/decisions/).

import { Counter, Direction } from "../abi";
import { Connection, hostAddress, hostPort, peerAddress, peerPort, tanFromDan } from "../connection/connection";
import { clampedMtu } from "../connection/mtu";
import { windowForSubflow } from "../connection/window";
import { localAddress, localPort, remoteAddress, remotePort, Subflow } from "../connection/subflow";
import { count } from "../counters";
import { addressIsMapped } from "../memory/address";
import { outboxCommit, outboxReserve } from "../outbox";
import { FORGE_OPTIONS } from "../scratch";
import { San, Ssn, Tan, Tsn } from "../seq/space";
import { ICMP_ERROR_MAX, icmpErrorBuild, IcmpError } from "../wire/icmp";
import { IP_PROTOCOL_TCP, ipBuild } from "../wire/ip";
import { tcpChecksumFill } from "../wire/checksum";
import { writeDss } from "../wire/mptcp-options";
import { tcpBuild, TCP_ACK } from "../wire/tcp";
import { padOptions } from "../wire/tcp-options";

@inline const HEADERS_MAX: u32 = 100; // IPv6 + TCP with all options
let identification: u32 = 1;

/**
 * Builds a packet from `source`:`sourcePort` to `destination`:`destinationPort` with the options between
 * FORGE_OPTIONS and `optionsEnd` and `payloadLength` octets from `payload`. False when the outbox is full.
 */
export function forgePacket(
  direction: Direction, source: usize, destination: usize, sourcePort: u32, destinationPort: u32,
  segSeq: u32, segAck: u32, flags: u32, window: u32, optionsEnd: usize, payload: usize, payloadLength: u32,
): bool {
  const packet = outboxReserve(HEADERS_MAX + payloadLength);
  if (packet == 0) return false;
  const optionsLength = <u32>(padOptions(FORGE_OPTIONS, optionsEnd) - FORGE_OPTIONS);
  const mapped = addressIsMapped(source);
  const headerLength = 20 + optionsLength;
  const total = (mapped ? 20 : 40) + headerLength + payloadLength;
  const version: u32 = mapped ? 4 : 6;
  const ipLength = ipBuild(packet, version, source, destination, total, identification++ & 0xffff, IP_PROTOCOL_TCP);
  const tcp = packet + ipLength;
  tcpBuild(tcp, sourcePort, destinationPort, segSeq, segAck, headerLength, flags, window);
  memory.copy(tcp + 20, FORGE_OPTIONS, optionsLength);
  if (payloadLength != 0) memory.copy(tcp + headerLength, payload, payloadLength);
  tcpChecksumFill(packet, tcp, headerLength + payloadLength);
  outboxCommit(packet, total, direction);
  return true;
}

/** A packet without payload on `subflow`: `flags`, numbers and window as given, options up to `optionsEnd`. */
export function forgeOnSubflow(
  subflow: Subflow, ssn: Ssn, san: San, flags: u32, window: u32, optionsEnd: usize,
): bool {
  return forgePacket(
    Direction.WIRE, localAddress(subflow), remoteAddress(subflow), localPort(subflow), remotePort(subflow),
    ssn, san, flags, window, optionsEnd, 0, 0,
  );
}

/** Writes a DSS with the present DATA_ACK and no mapping at `p` (8 octets); returns the address behind it. */
@inline export function writeDataAck(connection: Connection, p: usize): usize {
  return writeDss(p, true, <u32>connection.rcvDan, false, 0, 0, 0, false);
}

/** A pure ACK on `subflow` with DSS(A) and whatever options stand between FORGE_OPTIONS and `optionsEnd`. */
export function forgeAckWith(connection: Connection, subflow: Subflow, optionsEnd: usize): bool {
  count(Counter.ACKS_FORGED);
  const end = writeDataAck(connection, optionsEnd);
  return forgeOnSubflow(subflow, subflow.ssnNxt, subflow.rcvSan, TCP_ACK, windowForSubflow(connection, subflow), end);
}

/** A pure ACK on `subflow` with DSS(A). */
export function forgeAck(connection: Connection, subflow: Subflow): bool {
  return forgeAckWith(connection, subflow, FORGE_OPTIONS);
}

/** A segment without options from the peer to our own host. */
export function forgeToHost(connection: Connection, tsn: Tsn, tan: Tan, flags: u32, window: u32): bool {
  return forgePacket(
    Direction.HOST, peerAddress(connection), hostAddress(connection), peerPort(connection), hostPort(connection),
    tsn, tan, flags, window, FORGE_OPTIONS, 0, 0,
  );
}

/** Code of "host unreachable" (RFC 792), "no route to destination" (RFC 4443 §3.1). */
@inline function hostUnreachable(version: u32): u32 {
  return version == 4 ? 1 : 0;
}

/**
 * An ICMP error for our own host, as the peer or a router before it would send it. TOO_BIG, with `mtu` in octets,
 * quotes the last octet that the host has sent: it is in the window (RFC 5927 §4) whatever ACK comes first.
 * UNREACHABLE quotes the first one that is not acknowledged, as RFC 6069 §3 asks.
 */
export function forgeIcmpToHost(connection: Connection, error: IcmpError, mtu: u32): bool {
  const packet = outboxReserve(ICMP_ERROR_MAX);
  if (packet == 0) return false;
  const host = hostAddress(connection);
  const version: u32 = addressIsMapped(host) ? 4 : 6;
  const length = clampedMtu(connection);
  const quoted = tanFromDan(connection, error == IcmpError.TOO_BIG ? connection.dsnNxt - 1 : connection.dsnUna);
  const peer = peerAddress(connection);
  const detail = error == IcmpError.TOO_BIG ? mtu : hostUnreachable(version);
  const total = icmpErrorBuild(
    packet, error, detail, peer, peer, host, peerPort(connection), hostPort(connection), quoted, length, version,
  );
  outboxCommit(packet, total, Direction.HOST);
  return true;
}
