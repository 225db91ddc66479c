// ICMP errors about subflows, from routers and from the own kernel, whose output may have refused what we passed on.
// They quote the packet on the wire; the host knows neither its addresses nor its numbers.
//
//   quoted tuple → subflow → does it quote what is in flight there? (RFC 5927 §4: anybody can send an ICMP error)
//   → a join: it has failed
//   → too big: what fits on the subflow is known now, and the host is told in its own numbers
//   → unreachable: data goes on elsewhere, and where there is no elsewhere the host is told
//
// An error about a subflow never reaches the host as it came. One about anything else passes untouched.

import {
  ConnectionState, Counter, Descriptor, DropReason, PacketFlag, Reason, SubflowState, Verdict,
} from "../abi";
import { PATH_MTU_MIN4, PATH_MTU_MIN6 } from "../config";
import {
  Connection, connectionAt, ConnectionFlag, hasFlag, hostAddress, hostPort, peerAddress, peerPort, sendTableOf,
  tanFromDan,
} from "../connection/connection";
import { findSubflow } from "../connection/lookup";
import { clampedMtu, hostMtu, learnMtu, pieceMax, subflowMtu } from "../connection/mtu";
import { Subflow, subflowAt, SubflowBit, subflowHas, subflowIndex, subflowUsable } from "../connection/subflow";
import { count } from "../counters";
import { forgetMtu, mtuForHost, mtuShowable, noteShown } from "../handover/path-mtu";
import { stallDeclare } from "../handover/stall";
import { SEND_RESERVED, sendEntryAt, sendTableFindSsn } from "../mapping/send-table";
import { sameFamily } from "../memory/address";
import { ICMP_QUOTE } from "../scratch";
import { Dsn, dsnLt, Ssn } from "../seq/space";
import { forgeIcmpToHost } from "../signalling/forge";
import {
  IcmpError, icmpErrorBuild, icmpErrorLength, icmpErrorParse, IcmpQuote, icmpQuoteAt, quotedBy, quotedDestination,
  quotedSource,
} from "../wire/icmp";
import { ipTotalLength } from "../wire/ip";
import { failJoin } from "./join-handshake";
import { mapAnewWhatIsTooLong } from "./piece";
import { dropDescriptor } from "./segment";

/** Handles the ICMP packet of `descriptor`, which came in. */
export function fromRouter(descriptor: usize): void {
  const quote = icmpQuoteAt(ICMP_QUOTE);
  const whole = (load<u32>(descriptor, Descriptor.FLAGS) & PacketFlag.TRUNCATED) == 0;
  const error = whole && icmpErrorParse(load<u32>(descriptor, Descriptor.OFFSET), quote);
  const index = error
    ? findSubflow(quotedSource(quote), quotedDestination(quote), quote.sourcePort, quote.destinationPort)
    : 0;
  if (index == 0 || beforeAgreed(subflowAt(index))) {
    count(Counter.ACCEPTED_UNTOUCHED);
    store<u32>(descriptor, Verdict.ACCEPT, Descriptor.VERDICT);
    return;
  }
  const subflow = subflowAt(index);
  const connection = connectionAt(subflow.connection);
  if (hasFlag(connection, ConnectionFlag.RESET)) dropDescriptor(descriptor, DropReason.CONSUMED);
  else if (subflow.state == SubflowState.SYN_SENT) aboutJoin(connection, subflow, quote, descriptor);
  else if (quote.segSeq - subflow.ssnUna >= subflow.ssnNxt - subflow.ssnUna) {
    dropDescriptor(descriptor, DropReason.ICMP_IGNORED);
  } else if (quote.error == IcmpError.TOO_BIG) tooBig(connection, subflow, quote, descriptor);
  else unreachable(connection, subflow, quote, descriptor);
}

/** True as long as the subflow's numbers are the host's own, and the host judges. */
function beforeAgreed(subflow: Subflow): bool {
  const initial = subflowHas(subflow, SubflowBit.INITIAL);
  return initial && <i32>connectionAt(subflow.connection).state <= ConnectionState.SYN_RECEIVED;
}

/** Our SYN did not get there: nothing is at stake, so there is no need to wait for its repetitions (RFC 5461 §4). */
function aboutJoin(connection: Connection, subflow: Subflow, quote: IcmpQuote, descriptor: usize): void {
  if (quote.segSeq != subflow.iss || quote.error == IcmpError.TOO_BIG) {
    dropDescriptor(descriptor, DropReason.ICMP_IGNORED);
    return;
  }
  dropDescriptor(descriptor, DropReason.CONSUMED);
  failJoin(connection, subflow, Reason.UNREACHABLE);
}

/** Run of the SEND table with the octet `ssn`, if the host still waits for its acknowledgement; 0 = none. */
function runInFlight(connection: Connection, subflow: Subflow, ssn: Ssn): u32 {
  const index = sendTableFindSsn(sendTableOf(connection), subflowIndex(subflow), ssn);
  if (index == 0) return 0;
  const run = sendEntryAt(index);
  const acknowledged = dsnLt(run.dsn + <u64>(ssn - run.ssn), connection.dsnUna);
  return acknowledged || (run.flags & SEND_RESERVED) != 0 ? 0 : index;
}

/** What is too long on the subflow is known now; the host is told if octets of its own were too long. */
function tooBig(connection: Connection, subflow: Subflow, quote: IcmpQuote, descriptor: usize): void {
  const four = quote.version == 4;
  // RFC 1191 §5: an old router names no MTU. RFC 8201 §4: less than the minimum is not believed.
  const said = four ? max<u32>(quote.detail, PATH_MTU_MIN4) : quote.detail;
  if (said >= quote.length || (!four && said < PATH_MTU_MIN6)) {
    dropDescriptor(descriptor, DropReason.ICMP_IGNORED);
    return;
  }
  if (said < subflowMtu(subflow)) {
    const before = pieceMax(connection, subflow);
    learnMtu(subflow, said);
    mapAnewWhatIsTooLong(connection, subflow, before);
  }
  const run = runInFlight(connection, subflow, quote.segSeq);
  const mtu = mtuForHost(connection, subflow);
  const known = hostMtu(connection);
  if (run == 0 || !mtuShowable(connection, subflow) || mtu >= clampedMtu(connection)) {
    dropDescriptor(descriptor, DropReason.CONSUMED);
    return;
  }
  translate(connection, run, mtu, quote, descriptor);
  if (mtu < known) noteShown(connection, subflow, mtu);
  if (connection.active != 0) forgetMtu(connection); // octets that were left on the way: what comes now goes elsewhere
}

/** True if a subflow other than `subflow` can carry what it cannot. */
function anotherCarries(connection: Connection, subflow: Subflow): bool {
  for (let index = connection.head; index != 0; index = subflowAt(index).next) {
    const other = subflowAt(index);
    if (other != subflow && subflowUsable(other) && !subflowHas(other, SubflowBit.STALE)) return true;
  }
  return false;
}

/** RFC 5461: no reason to end a subflow, but one to look for another; the only one's host judges, as without us. */
function unreachable(connection: Connection, subflow: Subflow, quote: IcmpQuote, descriptor: usize): void {
  const run = runInFlight(connection, subflow, quote.segSeq);
  if (run != 0 && !anotherCarries(connection, subflow)) {
    translate(connection, run, quote.detail, quote, descriptor);
    return;
  }
  dropDescriptor(descriptor, DropReason.CONSUMED);
  if (subflowUsable(subflow) && anotherCarries(connection, subflow)) stallDeclare(connection, subflow);
}

/**
 * Verdict: the same error in the host's numbers, about the octet that was quoted in the subflow's, with `detail`. From
 * a router of the other family it takes an error of our own, about some octet in flight: its codes mean nothing there.
 */
function translate(connection: Connection, run: u32, detail: u32, quote: IcmpQuote, descriptor: usize): void {
  count(Counter.ICMP_TRANSLATED);
  if (!sameFamily(quotedBy(quote), hostAddress(connection))) {
    forgeIcmpToHost(connection, <IcmpError>quote.error, detail);
    dropDescriptor(descriptor, DropReason.CONSUMED);
    return;
  }
  const entry = sendEntryAt(run);
  const dsn: Dsn = entry.dsn + <u64>(quote.segSeq - entry.ssn);
  const came = load<u32>(descriptor, Descriptor.OFFSET);
  // It ends where the packet ended that came: the room before a packet is known, the room behind it is not.
  const length = icmpErrorLength(quote.version);
  const packet = came + ipTotalLength(came) - length;
  icmpErrorBuild(
    packet, <IcmpError>quote.error, detail, quotedBy(quote), peerAddress(connection), hostAddress(connection),
    peerPort(connection), hostPort(connection), tanFromDan(connection, dsn), quote.length, quote.version,
  );
  count(Counter.REWRITTEN);
  store<u32>(descriptor, Verdict.ACCEPT_REWRITTEN, Descriptor.VERDICT);
  store<u32>(descriptor, packet, Descriptor.OUT_OFFSET);
  store<u32>(descriptor, length, Descriptor.OUT_LENGTH);
}
