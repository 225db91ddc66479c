// Where a rewritten packet goes: onto a subflow, or to the own host.

import { TraceFlag, TraceRecord } from "../abi";
import { nowUs } from "../clock";
import {
  Connection, ConnectionFlag, hasFlag, hostAddress, hostPort, peerAddress, peerPort,
} from "../connection/connection";
import { localAddress, localPort, remoteAddress, remotePort, Subflow } from "../connection/subflow";
import { windowForHost } from "../connection/window";
import { Dsn, San, Ssn, Tan, Tsn } from "../seq/space";
import { traceRecord } from "../trace";
import { rewrite, Segment } from "./segment";

/** Rewrites the packet so that it leaves on `subflow`. */
export function rewriteToSubflow(
  segment: Segment, subflow: Subflow, ssn: Ssn, san: San, flags: u32, window: u32, optionsEnd: usize,
): bool {
  return rewrite(
    segment, localAddress(subflow), remoteAddress(subflow), localPort(subflow), remotePort(subflow),
    ssn, san, flags, window, optionsEnd,
  );
}

/** Rewrites the packet so that the host takes it for the peer's. */
export function rewriteToHost(
  segment: Segment, connection: Connection, tsn: Tsn, tan: Tan, flags: u32, optionsEnd: usize,
): bool {
  return rewrite(
    segment, peerAddress(connection), hostAddress(connection), peerPort(connection), hostPort(connection),
    tsn, tan, flags, windowForHost(connection), optionsEnd,
  );
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
