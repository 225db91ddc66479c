// Where a rewritten packet goes: onto a subflow, or to the own host. Connection and subflow may be of different
// families, and the kernel takes no packet back in the other one: then a new packet leaves by the outbox, and the one
// that came ends here.

import { Direction, DropReason, PacketFlag, TraceFlag, TraceRecord } from "../abi";
import { nowUs } from "../clock";
import {
  Connection, ConnectionFlag, hasFlag, hostAddress, hostPort, peerAddress, peerPort,
} from "../connection/connection";
import { localAddress, localPort, remoteAddress, remotePort, Subflow } from "../connection/subflow";
import { windowForHost } from "../connection/window";
import { sameFamily } from "../memory/address";
import { FORGE_OPTIONS, REWRITE_OPTIONS } from "../scratch";
import { Dsn, San, Ssn, Tan, Tsn } from "../seq/space";
import { forgePacket } from "../signalling/forge";
import { TCP_FIN, TCP_PSH } from "../wire/tcp";
import { traceRecord } from "../trace";
import { dropSegment, rewrite, Segment, sourceOf } from "./segment";

/** Payload octets of a new packet for the host: a 16 KiB block of the kernel holds it, and lo carries more. */
@inline const HOST_PIECE_MAX: u32 = 15000;

/** True if the packet being handled is of the other family than `address`. */
@inline export function otherFamily(address: usize): bool {
  return !sameFamily(sourceOf(), address);
}

/**
 * True if the packet is a super-packet whose octets went another way: only the header is left, and the kernel, which
 * would have to cut it into segments, throws it away.
 */
@inline function emptied(segment: Segment): bool {
  return (segment.packetFlags & PacketFlag.GSO) != 0 && segment.payloadLength == 0;
}

/** Puts the options of a rewritten packet where those of a new one stand; returns their end. */
function moveOptions(optionsEnd: usize): usize {
  const octets = optionsEnd - REWRITE_OPTIONS;
  memory.copy(FORGE_OPTIONS, REWRITE_OPTIONS, octets);
  return FORGE_OPTIONS + octets;
}

/** Rewrites the packet so that it leaves on `subflow`; in the other family it must not be a super-packet. */
export function rewriteToSubflow(
  segment: Segment, subflow: Subflow, ssn: Ssn, san: San, flags: u32, window: u32, optionsEnd: usize,
): bool {
  if (otherFamily(localAddress(subflow)) || emptied(segment)) {
    const sent = forgePacket(
      Direction.WIRE, localAddress(subflow), remoteAddress(subflow), localPort(subflow), remotePort(subflow),
      ssn, san, flags, window, moveOptions(optionsEnd), segment.payload, segment.payloadLength,
    );
    dropSegment(segment, sent ? DropReason.SUPERSEDED : DropReason.OUTBOX_FULL);
    return sent;
  }
  return rewrite(
    segment, localAddress(subflow), remoteAddress(subflow), localPort(subflow), remotePort(subflow),
    ssn, san, flags, window, optionsEnd,
  );
}

/** Rewrites the packet so that the host takes it for the peer's. */
export function rewriteToHost(
  segment: Segment, connection: Connection, tsn: Tsn, tan: Tan, flags: u32, optionsEnd: usize,
): bool {
  if (otherFamily(hostAddress(connection))) return forgeToHostAnew(segment, connection, tsn, tan, flags, optionsEnd);
  return rewrite(
    segment, peerAddress(connection), hostAddress(connection), peerPort(connection), hostPort(connection),
    tsn, tan, flags, windowForHost(connection), optionsEnd,
  );
}

/** The same as new packets in the host's family; FIN and PSH stand on the last. */
function forgeToHostAnew(
  segment: Segment, connection: Connection, tsn: Tsn, tan: Tan, flags: u32, optionsEnd: usize,
): bool {
  const options = moveOptions(optionsEnd);
  let done: u32 = 0;
  do {
    const octets = min<u32>(segment.payloadLength - done, HOST_PIECE_MAX);
    const last = done + octets == segment.payloadLength;
    const sent = forgePacket(
      Direction.HOST, peerAddress(connection), hostAddress(connection), peerPort(connection), hostPort(connection),
      tsn + done, tan, last ? flags : flags & ~(TCP_FIN | TCP_PSH), windowForHost(connection), options,
      segment.payload + done, octets,
    );
    if (!sent) {
      dropSegment(segment, DropReason.OUTBOX_FULL);
      return false;
    }
    done += octets;
  } while (done < segment.payloadLength);
  dropSegment(segment, DropReason.SUPERSEDED);
  return true;
}

/** Record of a packet that left on `subflow` with the host's octets from `dsn` on. */
export function traceSent(
  connection: Connection, subflow: Subflow, dsn: Dsn, ssn: Ssn, octets: u32, flags: TraceFlag,
): void {
  if (!hasFlag(connection, ConnectionFlag.TRACE)) return;
  const at = traceCommon(connection, subflow, octets);
  if (at == 0) return;
  store<u64>(at, dsn - connection.localIdsn - 1, TraceRecord.DSN);
  store<u64>(at, connection.rcvDan - connection.remoteIdsn - 1, TraceRecord.DAN);
  store<u32>(at, ssn - subflow.iss, TraceRecord.SSN);
  store<u32>(at, subflow.rcvSan - subflow.irs, TraceRecord.SAN);
  store<u32>(at, <u32>(dsn - connection.localIdsn), TraceRecord.TSN);
  store<u32>(at, <u32>(connection.rcvDan - connection.remoteIdsn), TraceRecord.TAN);
  store<u32>(at, connection.hostWindow, TraceRecord.WINDOW);
  store<u8>(at, <u8>(flags | TraceFlag.HAS_DAN | (octets != 0 ? TraceFlag.HAS_DSN : 0)), TraceRecord.FLAGS);
}

/** Record of a packet that came on `subflow` with the peer's octets from `dsn` on. */
export function traceReceived(
  connection: Connection, subflow: Subflow, dsn: Dsn, ssn: Ssn, octets: u32, flags: TraceFlag,
): void {
  if (!hasFlag(connection, ConnectionFlag.TRACE)) return;
  const at = traceCommon(connection, subflow, octets);
  if (at == 0) return;
  store<u64>(at, dsn - connection.remoteIdsn - 1, TraceRecord.DSN);
  store<u64>(at, connection.dsnUna - connection.localIdsn - 1, TraceRecord.DAN);
  store<u32>(at, ssn - subflow.irs, TraceRecord.SSN);
  store<u32>(at, subflow.ssnUna - subflow.iss, TraceRecord.SAN);
  store<u32>(at, <u32>(dsn - connection.remoteIdsn), TraceRecord.TSN);
  store<u32>(at, <u32>(connection.dsnUna - connection.localIdsn), TraceRecord.TAN);
  store<u32>(at, <u32>(connection.peerWindowRight - connection.dsnUna), TraceRecord.WINDOW);
  store<u8>(at, 1, TraceRecord.SIDE);
  store<u8>(at, <u8>(flags | TraceFlag.HAS_DAN | (octets != 0 ? TraceFlag.HAS_DSN : 0)), TraceRecord.FLAGS);
}

function traceCommon(connection: Connection, subflow: Subflow, octets: u32): usize {
  const at = traceRecord();
  if (at == 0) return 0;
  store<u64>(at, nowUs(), TraceRecord.TIME_US);
  store<u32>(at, connection.localToken, TraceRecord.TOKEN);
  store<u32>(at, octets, TraceRecord.LENGTH);
  store<u16>(at, subflow.path, TraceRecord.PATH);
  store<u16>(at, subflow.number, TraceRecord.SUBFLOW);
  return at;
}
