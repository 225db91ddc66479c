// The packet being handled: parsed once at the door, rewritten in place.
//
// segmentParse() makes the one length check: after it, `tcp` … `payload + payloadLength` lie inside the
// packet and every accessor of wire/ may be used on them. The check holds until a header is rewritten.
//
// The payload never moves. A new header is built so that it ends where the payload begins; it grows left
// into the slot's headroom (what the kernel's netlink attributes left behind) or shrinks to the right.

import { BATCH, BATCH_MAX, Counter, Descriptor, DropReason, Hook, PacketFlag, SLOT_SIZE, Verdict } from "../abi";
import { VERDICT_PACKET_MAX } from "../config";
import { count, countDrop } from "../counters";
import { REWRITE_OPTIONS, SEGMENT } from "../scratch";
import { San, Ssn } from "../seq/space";
import { fold, headerSum, sumOctets, tcpChecksumFillWithPayloadSum } from "../wire/checksum";
import {
  ipCheck, ipCopyDestination, ipCopySource, ipHeaderLength, IpKind, ipSetDestination, ipSetHeaderChecksum,
  ipSetSource, ipSetTotalLength, ipTotalLength,
} from "../wire/ip";
import {
  tcpAcknowledgment, tcpBuild, tcpCheck, tcpDestinationPort, tcpFlags, tcpHeaderLength, tcpSequence, tcpSourcePort,
  tcpWindow,
} from "../wire/tcp";
import { padOptions } from "../wire/tcp-options";

@final @unmanaged
export class Segment {
  payloadSum: u64; // valid with payloadSummed
  descriptor: u32;
  packet: u32;
  length: u32;
  ipHeaderLength: u32;
  tcp: u32;
  tcpHeaderLength: u32;
  payload: u32;
  payloadLength: u32;
  segSeq: u32; // which space it is in, only the caller knows
  segAck: u32;
  flags: u32;
  window: u32;
  sourcePort: u32;
  destinationPort: u32;
  packetFlags: u32; // PacketFlag bits
  hook: u32;
  payloadSummed: u32;
  zero: u32;
}
if (offsetof<Segment>() > 96) ERROR("Segment runs into its addresses");

/** The one Segment there is. */
@inline export function segmentAt(): Segment {
  return changetype<Segment>(SEGMENT);
}

/** Source address of the packet, 16 octets. */
@inline export function sourceOf(): usize {
  return SEGMENT + 96;
}

/** Destination address of the packet, 16 octets. */
@inline export function destinationOf(): usize {
  return SEGMENT + 112;
}

/** True if the packet lies wholly in the batch region, behind some headroom. */
function inBatch(offset: u32, length: u32): bool {
  if (length > SLOT_SIZE) return false; // before the subtraction: nothing here may wrap
  return offset >= BATCH + 64 && offset <= BATCH + BATCH_MAX * SLOT_SIZE - length;
}

/**
 * Parses the packet of `descriptor`. Returns 0 for a well-formed TCP packet, IpKind.NOT_TCP or ICMP for
 * what is none of our business, or a DropReason.
 */
export function segmentParse(descriptor: usize): u32 {
  const segment = segmentAt();
  const packet = load<u32>(descriptor, Descriptor.OFFSET);
  const given = load<u32>(descriptor, Descriptor.LENGTH);
  if (!inBatch(packet, given)) return DropReason.BAD_DESCRIPTOR;
  const kind = ipCheck(packet, given);
  if (kind != IpKind.TCP) return kind;
  const length = ipTotalLength(packet);
  const ipLength = ipHeaderLength(packet);
  const tcp = packet + ipLength;
  const reason = tcpCheck(tcp, length - ipLength);
  if (reason != 0) return reason;
  segment.descriptor = <u32>descriptor;
  segment.packet = packet;
  segment.length = length;
  segment.ipHeaderLength = ipLength;
  segment.tcp = tcp;
  segment.tcpHeaderLength = tcpHeaderLength(tcp);
  segment.payload = tcp + segment.tcpHeaderLength;
  segment.payloadLength = length - ipLength - segment.tcpHeaderLength;
  segment.segSeq = tcpSequence(tcp);
  segment.segAck = tcpAcknowledgment(tcp);
  segment.flags = tcpFlags(tcp);
  segment.window = tcpWindow(tcp);
  segment.sourcePort = tcpSourcePort(tcp);
  segment.destinationPort = tcpDestinationPort(tcp);
  segment.packetFlags = load<u32>(descriptor, Descriptor.FLAGS);
  segment.hook = load<u32>(descriptor, Descriptor.HOOK);
  segment.payloadSummed = 0;
  ipCopySource(packet, sourceOf());
  ipCopyDestination(packet, destinationOf());
  return 0;
}

/**
 * Learns the payload's sum from the packet's own checksum, and checks that first if nobody has. False if it
 * is wrong. A packet whose checksum is not filled in yet (CHECKSUM_NOT_READY) has no sum to learn from.
 */
export function segmentVerify(segment: Segment): bool {
  if ((segment.packetFlags & PacketFlag.CHECKSUM_NOT_READY) != 0) return true;
  const tcp = <usize>segment.tcp;
  const headerLength = segment.tcpHeaderLength;
  const header = headerSum(segment.packet, tcp, headerLength, headerLength + segment.payloadLength);
  const field = <u64>load<u16>(tcp, 16);
  if ((segment.packetFlags & PacketFlag.CHECKSUM_NOT_VERIFIED) != 0) {
    segment.payloadSum = sumOctets(segment.payload, segment.payloadLength);
    segment.payloadSummed = 1;
    return fold(header + field + segment.payloadSum) == 0xffff;
  }
  // Verified by the device or the kernel: payload = ~(header + field) in ones-complement arithmetic.
  segment.payloadSum = <u64>(~fold(header + field) & 0xffff);
  segment.payloadSummed = 1;
  return true;
}

/** Sum of `length` octets at `at`, which lie in the payload; that of all of it is computed once. */
export function payloadSumOf(segment: Segment, at: usize, length: u32): u64 {
  if (at != <usize>segment.payload || length != segment.payloadLength) return sumOctets(at, length);
  if (segment.payloadSummed == 0) {
    segment.payloadSum = sumOctets(at, length);
    segment.payloadSummed = 1;
  }
  return segment.payloadSum;
}

/** Cuts the payload to its first `octets`; its sum is no longer known. */
export function segmentCut(segment: Segment, octets: u32): void {
  segment.payloadLength = octets;
  segment.payloadSummed = 0;
}

/** Takes the first `octets` off the payload; the sequence number moves with it. */
export function segmentSkip(segment: Segment, octets: u32): void {
  segment.segSeq += octets;
  segment.payload += octets;
  segment.payloadLength -= octets;
  if (octets != 0) segment.payloadSummed = 0;
}

/** Verdict: the packet leaves as it came. */
export function acceptUntouched(segment: Segment): void {
  count(Counter.ACCEPTED_UNTOUCHED);
  store<u32>(segment.descriptor, Verdict.ACCEPT, Descriptor.VERDICT);
}

/** Verdict: the packet ends here. */
export function dropSegment(segment: Segment, reason: DropReason): void {
  dropDescriptor(segment.descriptor, reason);
}

/** Verdict DROP for a descriptor that may not even have been parsed. */
export function dropDescriptor(descriptor: usize, reason: DropReason): void {
  count(Counter.DROPPED);
  countDrop(reason);
  store<u32>(descriptor, Verdict.DROP, Descriptor.VERDICT);
  store<u32>(descriptor, reason, Descriptor.DROP_REASON);
}

/**
 * Puts a new header in front of the payload and sets the verdict: addresses and ports as given, the options
 * that stand between REWRITE_OPTIONS and `optionsEnd`, padded. False (and DROP TOO_LONG) when the packet
 * would outgrow what a verdict can carry.
 */
export function rewrite(
  segment: Segment, source: usize, destination: usize, sourcePort: u32, destinationPort: u32,
  segSeq: Ssn, segAck: San, flags: u32, window: u32, optionsEnd: usize,
): bool {
  const optionsLength = <u32>(padOptions(REWRITE_OPTIONS, optionsEnd) - REWRITE_OPTIONS);
  const headerLength = 20 + optionsLength;
  const total = segment.ipHeaderLength + headerLength + segment.payloadLength;
  if (total > VERDICT_PACKET_MAX) {
    dropSegment(segment, DropReason.TOO_LONG);
    return false;
  }
  const packet = <usize>segment.payload - headerLength - segment.ipHeaderLength;
  memory.copy(packet, segment.packet, segment.ipHeaderLength);
  const tcp = packet + segment.ipHeaderLength;
  ipSetSource(packet, source);
  ipSetDestination(packet, destination);
  ipSetTotalLength(packet, total);
  ipSetHeaderChecksum(packet);
  tcpBuild(tcp, sourcePort, destinationPort, segSeq, segAck, headerLength, flags, window);
  memory.copy(tcp + 20, REWRITE_OPTIONS, optionsLength);
  // The kernel computes the checksum of a super-packet that leaves; every other one must be complete.
  if (segment.hook != Hook.LOCAL_OUT || (segment.packetFlags & PacketFlag.GSO) == 0) {
    const payload = payloadSumOf(segment, segment.payload, segment.payloadLength);
    tcpChecksumFillWithPayloadSum(packet, tcp, headerLength, segment.payloadLength, payload);
  }
  segment.packet = <u32>packet;
  segment.tcp = <u32>tcp;
  segment.tcpHeaderLength = headerLength;
  segment.length = total;
  store<u32>(segment.descriptor, Verdict.ACCEPT_REWRITTEN, Descriptor.VERDICT);
  store<u32>(segment.descriptor, <u32>packet, Descriptor.OUT_OFFSET);
  store<u32>(segment.descriptor, total, Descriptor.OUT_LENGTH);
  count(Counter.REWRITTEN);
  return true;
}
