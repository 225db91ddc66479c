// One subflow: a TCP connection on the wire with numbers of its own (RFC 8684 §3.2).
//
// SSN and SAN are absolute 32-bit numbers here; the DSS option carries them relative to `iss` or `irs`
// (`ssnRel`, the first payload octet is 1).
//
//   byte  size  field
//      0     8  generation, connection
//      8     4  next                      slab index of the connection's next subflow, 0 = last
//     12     4  flags                     SubflowBit bits
//     16     4  iss, 20 irs               initial numbers, ours and the peer's
//     24     4  ssnNxt                    next SSN for new payload (or our FIN)
//     28     4  ssnUna                    highest SAN from the peer
//     32     4  rcvSan                    SAN we have sent last
//     36     4  rcvHighest                behind the highest SSN that arrived
//     40     4  finSsn, 44 peerFinSsn     valid with FIN_SENT, FIN_RECEIVED
//     48     4  nonceLocal, 52 nonceRemote
//     56     4  srttUs, 60 rttvarUs, 64 minRttUs, 68 rttSsn
//     72     8  rttUs                     when the octet before rttSsn left; 0 = no sample runs
//     80     8  createdUs
//     88     8  retryUs                   next retransmission of SYN, SYN/ACK, MP_JOIN ACK or FIN; 0 = none
//     96     8  pullUs                    next DAN pull; 0 = none
//    104     8  expireUs                  end of TIME_WAIT, or of an established one whose path is to be left; 0 = none
//    112    16  recv                      RecvTable
//    128    16  ranges                    ReceivedRanges
//    144    16  mapLog                    MapLog
//    160    40  bytesSent bytesReceived packetsSent packetsReceived retransmitted
//    200     4  rtxSsn, 204 rtxLength, 208 rtxDsn  last retransmission of the host here, to translate its DSACK
//    212     4  unmapped                  payload octets that came without a mapping
//    216     4  joinCommand               command that asked for it, 0 = policy
//    220     4  peerWindow                raw window of the last packet, to tell duplicates
//    224     8  state … pullTries         see the class
//    232     8  quietUs                   last heard, or octets went out with none in flight
//    240     8  stallUs                   when to look whether it is silent for too long; 0 = no octets are watched
//    248     8  suspectUs                 closed then unless its hole is gone; 0 = no hole (poison.ts)
//    256    36  local 16, remote 16, u16 localPort, u16 remotePort
//    292     4  routerMtu                 octets: what a router said fits (mtu.ts); 0 = none has spoken
//    296    16  mapSums                   MapSums
//    312     8  routerMtuUs               when
//    320     8  mtuShownUs                when the host was last told that its segments are too long here
//    328     4  peerMtu                   octets: what the peer's MSS on this subflow allows; 0 = anything
//    332     4  repeatDsn                 old octets under fresh SSNs (low half), counted by SubflowBit.REPEATS
//    336    16  held                      ReceivedRanges: what the host has reported in SACK blocks, above the SAN
//    352     4  proven                    payload octets of the longest packet that got through, with checksums only
//    356     4  partsSsn                  behind the last mapping of which parts were sent, with checksums only
//    360     8  sentUs                    when payload went out on it last
//
// Invariants: S1 ssnUna ≤ ssnNxt. S2 rcvSan ≤ rcvHighest. (both in serial arithmetic)

import { SubflowState } from "../abi";
import { MapLog } from "../mapping/map-log";
import { MapSums } from "../mapping/map-sums";
import { RecvTable } from "../mapping/recv-table";
import { ReceivedRanges } from "../mapping/received-ranges";
import { check } from "../memory/check";
import { slabAt, slabIndexOf } from "../memory/slab";
import { San, seqGt, seqLeq, Ssn } from "../seq/space";
import { subflowCapacity, subflowSlab } from "./store";

@inline const RECV_OFFSET: usize = 112;
@inline const RANGES_OFFSET: usize = 128;
@inline const MAP_LOG_OFFSET: usize = 144;
@inline const REPEAT_DSN: usize = 332;
@inline const HELD_OFFSET: usize = 336;
@inline const PROVEN: usize = 352;
@inline const PARTS_SSN: usize = 356;
@inline const SENT_US: usize = 360;
@inline const LOCAL_OFFSET: usize = 256;
@inline const REMOTE_OFFSET: usize = 272;
@inline const MAP_SUMS_OFFSET: usize = 296;

/** Bits of Subflow.flags. */
export const enum SubflowBit {
  OPENER = 1, // we sent its SYN
  INITIAL = 2, // number 0, its tuple is the host's
  BACKUP = 4, // we asked the peer not to use it
  PEER_BACKUP = 8, // the peer asked us not to use it
  FIN_SENT = 16,
  FIN_ACKED = 32,
  FIN_RECEIVED = 64, // every octet before the peer's FIN has arrived
  PROBE_OUT = 128, // a DAN pull waits for its answer
  PRIO_PENDING = 256, // MP_PRIO to be repeated
  RETRANSMISSION_SEEN = 512, // a duplicate came since the host's last acknowledgement
  STALE = 1024, // silent with octets in flight: no new data, and what is sent again goes elsewhere, too
  SUSPECT = 2048, // one packet on it showed both a DATA_ACK and an older hole: no new data until that is filled
  PLAIN_ACK = 4096, // two bits that count new acknowledgements without any MPTCP option in a row
  PLAIN_ACKS = 12288,
  ASKED = 16384, // everything moved to it when another path was lost: it has to be heard
  UNSCALED = 32768, // no window scale was agreed on it, whatever the initial subflow has
  NO_SACK = 65536, // nor SACK
  REPEAT = 131072, // two bits that count how often the peer sent the same old octets under fresh SSNs, in a row
  REPEATS = 393216,
}

@final @unmanaged
export class Subflow {
  generation: u32;
  connection: u32;
  next: u32;
  flags: u32;
  iss: Ssn;
  irs: Ssn;
  ssnNxt: Ssn;
  ssnUna: San;
  rcvSan: San;
  rcvHighest: Ssn;
  finSsn: Ssn;
  peerFinSsn: Ssn;
  nonceLocal: u32;
  nonceRemote: u32;
  srttUs: u32;
  rttvarUs: u32;
  minRttUs: u32;
  rttSsn: Ssn;
  rttUs: u64;
  createdUs: u64;
  retryUs: u64;
  pullUs: u64;
  expireUs: u64;
  recv0: u64; // RecvTable
  recv1: u64;
  ranges0: u64; // ReceivedRanges
  ranges1: u64;
  log0: u64; // MapLog
  log1: u64;
  bytesSent: u64;
  bytesReceived: u64;
  packetsSent: u64;
  packetsReceived: u64;
  retransmitted: u64;
  rtxSsn: Ssn;
  rtxLength: u32;
  rtxDsn: u32;
  unmapped: u32;
  joinCommand: u32;
  peerWindow: u32; // raw window of the last packet, to tell duplicates
  state: u8;
  path: u8;
  number: u8;
  localId: u8;
  remoteId: u8;
  peerScale: u8;
  tries: u8; // of the running retryUs
  pullTries: u8;
  quietUs: u64;
  stallUs: u64;
  suspectUs: u64;
}
if (offsetof<Subflow>("recv0") != RECV_OFFSET) ERROR("Subflow.recv moved");
if (offsetof<Subflow>("ranges0") != RANGES_OFFSET) ERROR("Subflow.ranges moved");
if (offsetof<Subflow>("log0") != MAP_LOG_OFFSET) ERROR("Subflow.mapLog moved");
if (offsetof<Subflow>("state") != 224) ERROR("Subflow.state moved");
if (offsetof<Subflow>("quietUs") != 232) ERROR("Subflow.quietUs moved");
if (offsetof<Subflow>() > LOCAL_OFFSET) ERROR("Subflow: fields run into the addresses");

/** The subflow at slab `index` (≥ 1). The only place that turns an index into an address. */
@inline export function subflowAt(index: u32): Subflow {
  check(index != 0 && index <= subflowCapacity);
  return changetype<Subflow>(slabAt(subflowSlab(), index));
}

/** Slab index of `subflow`. */
@inline export function subflowIndex(subflow: Subflow): u32 {
  return slabIndexOf(subflowSlab(), changetype<usize>(subflow));
}

@inline export function recvTableOf(subflow: Subflow): RecvTable {
  return changetype<RecvTable>(changetype<usize>(subflow) + RECV_OFFSET);
}

@inline export function rangesOf(subflow: Subflow): ReceivedRanges {
  return changetype<ReceivedRanges>(changetype<usize>(subflow) + RANGES_OFFSET);
}

/** SSNs above the SAN that the host has reported in SACK blocks; kept where there are several subflows. */
@inline export function heldOf(subflow: Subflow): ReceivedRanges {
  return changetype<ReceivedRanges>(changetype<usize>(subflow) + HELD_OFFSET);
}

@inline export function mapLogOf(subflow: Subflow): MapLog {
  return changetype<MapLog>(changetype<usize>(subflow) + MAP_LOG_OFFSET);
}

/** Low half of the DSN of old octets that came under fresh SSNs; means something with SubflowBit.REPEATS. */
@inline export function repeatDsnOf(subflow: Subflow): u32 {
  return load<u32>(changetype<usize>(subflow), REPEAT_DSN);
}

@inline export function setRepeatDsn(subflow: Subflow, dsn: u32): void {
  store<u32>(changetype<usize>(subflow), dsn, REPEAT_DSN);
}

/** Payload octets of the longest packet that is known to have got through; kept with checksums only. */
@inline export function provenOf(subflow: Subflow): u32 {
  return load<u32>(changetype<usize>(subflow), PROVEN);
}

@inline export function setProven(subflow: Subflow, octets: u32): void {
  store<u32>(changetype<usize>(subflow), octets, PROVEN);
}

/** When payload went out on it last, in microseconds. */
@inline export function sentUsOf(subflow: Subflow): u64 {
  return load<u64>(changetype<usize>(subflow), SENT_US);
}

@inline export function setSentUs(subflow: Subflow, us: u64): void {
  store<u64>(changetype<usize>(subflow), us, SENT_US);
}

/** First SSN in flight that is in no mapping which was sent in parts: of those before, the peer may have some. */
export function wholeFrom(subflow: Subflow): Ssn {
  const parts = load<u32>(changetype<usize>(subflow), PARTS_SSN);
  const inFlight = seqGt(parts, subflow.ssnUna) && seqLeq(parts, subflow.ssnNxt);
  return inFlight ? parts : subflow.ssnUna;
}

/** A part of the mapping that ends before `end` leaves by itself. */
export function noteParts(subflow: Subflow, end: Ssn): void {
  if (seqGt(end, wholeFrom(subflow))) store<u32>(changetype<usize>(subflow), end, PARTS_SSN);
}

@inline export function mapSumsOf(subflow: Subflow): MapSums {
  return changetype<MapSums>(changetype<usize>(subflow) + MAP_SUMS_OFFSET);
}

/** Our address of the subflow, 16 octets. */
@inline export function localAddress(subflow: Subflow): usize {
  return changetype<usize>(subflow) + LOCAL_OFFSET;
}

/** The peer's address of the subflow, 16 octets. */
@inline export function remoteAddress(subflow: Subflow): usize {
  return changetype<usize>(subflow) + REMOTE_OFFSET;
}

@inline export function localPort(subflow: Subflow): u32 {
  return load<u16>(changetype<usize>(subflow), 288);
}

@inline export function remotePort(subflow: Subflow): u32 {
  return load<u16>(changetype<usize>(subflow), 290);
}

/** Stores both ports. */
export function setSubflowPorts(subflow: Subflow, local: u32, remote: u32): void {
  store<u16>(changetype<usize>(subflow), <u16>local, 288);
  store<u16>(changetype<usize>(subflow), <u16>remote, 290);
}

@inline export function subflowHas(subflow: Subflow, bit: SubflowBit): bool {
  return (subflow.flags & bit) != 0;
}

@inline export function subflowSet(subflow: Subflow, bit: SubflowBit): void {
  subflow.flags |= bit;
}

@inline export function subflowClear(subflow: Subflow, bit: SubflowBit): void {
  subflow.flags &= ~bit;
}

/** True if data may be sent on it: handshake complete, not closing. */
@inline export function subflowUsable(subflow: Subflow): bool {
  return subflow.state == SubflowState.ESTABLISHED && !subflowHas(subflow, SubflowBit.FIN_SENT);
}
