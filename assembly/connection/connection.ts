// One TCP connection of the host, converted to MPTCP.
//
// The host's own numbers (TSN, TAN) and the data level (DSN, DAN) differ by one constant per direction:
//   dsn = localIdsn  + (tsn − hostIss)      what the host sends
//   dsn = remoteIdsn + (tsn − hostIrs)      what the peer sends
// so that the host's first octet (hostIss + 1) is IDSN + 1 (RFC 8684 §3.1). Everything data-level is kept
// in 64 bits here; 32-bit numbers on the wire are expanded around the nearest known value.
//
//   byte  size  field
//      0     8  generation, serial        slab words; serial is never reused
//      8     8  localKey                  ours and the peer's key, as numbers of their big-endian octets
//     16     8  remoteKey
//     24     8  localIdsn
//     32     8  remoteIdsn
//     40     8  dsnNxt                    next DSN that the host will send (FIN included)
//     48     8  dsnUna                    highest DATA_ACK from the peer
//     56     8  rcvDan                    highest acknowledgement from the host, data level
//     64     8  rcvDsnMax                 behind the highest octet that came from the peer
//     72     8  hostWindowRight           right edge that the host granted to the peer
//     80     8  peerWindowRight           right edge that the peer granted to the host
//     88     8  localFinDsn               DSN of the host's FIN, valid with LOCAL_FIN
//     96     8  peerFinDsn                DSN of the peer's DATA_FIN, valid with PEER_FIN
//    104     8  createdUs
//    112     8  bytesSent
//    120     8  bytesReceived
//    128     8  lastPayloadUs             when payload last moved in either direction
//    136     8  expireUs                  half-open, grace, time-wait or reset-linger deadline; 0 = none
//    144     8  hostFinUs                 next try of the FIN towards the host; 0 = none
//    152     8  advertiseUs               next ADD_ADDR try; 0 = none
//    160     8  controlUs                 next repetition of MP_PRIO and REMOVE_ADDR; 0 = none
//    168     8  handoverUs                when the running handover began; 0 = none runs
//    176     8  handoverDeadlineUs        when the running handover has failed
//    184     8  joinUs                    next time the policy looks for paths to join; 0 = none
//    192     8  transitionUs              end of the transition after a switch; 0 = none
//    200     8  shownDan                  what the host was shown as acknowledged; behind dsnUna only in steps
//    208     8  shownSackRight            behind the highest octet that the host was shown as SACKed
//    216     8  stepUs                    when the next step of the TAN is due; 0 = none
//    224     8  stepEndUs                 when the last one is
//    232     8  headUs                    when the host last sent its first octet again
//    240     4  hostIss, 244 hostIrs      initial numbers on the TCP side
//    248     4  localToken, 252 remoteToken
//    256     4  head                      slab index of the first subflow, linked by Subflow.next
//    260     4  active                    slab index of the subflow for new data; 0 = none usable
//    264     4  handoverSubflow           subflow that the running handover waits for; 0 = to be joined
//    268     4  handoverCommand           its command id
//    272     4  handoverPath, 276 pinnedPath
//    280     4  transitionSubflow         the old subflow of the transition, 284 transitionSsn: its SSN at the switch
//    288     4  flags                     ConnectionFlag bits
//    292     4  classId
//    296    16  send                      SendTable
//    312     4  mss                       payload octets of the host's largest segment (after the clamp)
//    316     4  duplicateSubflow, 320 duplicateSsn, 324 duplicateLength, 328 duplicateDsn (low half)
//    332     4  advertise4                bit (path − 1): ADD_ADDR of its IPv4 address still without echo
//    336     4  removedIds                up to 4 address ids (octets) to be repeated in REMOVE_ADDR
//    340     4  hostWindow                octets, as of the host's last segment
//    344    16  state … placeInClass      see the class
//    360     4  handovers
//    364     4  nextHalfOpen, 368 previousHalfOpen: FIFO of half-open connections
//    372     4  advertise6                the same as advertise4 of its IPv6 address
//    376    96  remoteAddresses           REMOTE_ADDRESSES_MAX × 24: id u8, family u8, port u16, zero u32, address 16
//    472    16  hostAddress, 488 peerAddress, 504 u16 hostPort, 506 u16 peerPort
//    508     2  hostMtu                   octets: the MTU that the host goes by (mtu.ts); 0 = that of its MSS
//    510     1  moveReason                why its data changes its path, until some has moved there; 0 = it does not
//
// Invariants: C1 shownDan ≤ dsnUna ≤ dsnNxt. C2 rcvDan ≤ rcvDsnMax + 1. C3 active is 0 or one of the
// subflows in the list. C4 every subflow in the list names this connection.

import { ConnectionState, Reason } from "../abi";
import { REMOTE_ADDRESSES_MAX } from "../config";
import { SendTable } from "../mapping/send-table";
import { slabAlloc, slabAt, slabFree, slabIndexOf } from "../memory/slab";
import { check } from "../memory/check";
import { Dan, Dsn, expand, Tan, Tsn } from "../seq/space";
import { connectionSlab, connectionCapacity } from "./store";

@inline const SEND_OFFSET: usize = 296;
@inline const REMOTE_ADDRESSES_OFFSET: usize = 376;
@inline const HOST_ADDRESS_OFFSET: usize = 472;
@inline const PEER_ADDRESS_OFFSET: usize = 488;

/** Bits of Connection.flags. */
export const enum ConnectionFlag {
  OPENER = 1, // our host sent the SYN: we join, the other end advertises
  SACK = 2, // both ends of the TCP side agreed on SACK
  CONFIRMED = 4, // the peer has shown a DSS with DATA_ACK: it knows that we speak MPTCP
  LOCAL_FIN = 8, // the host has sent its FIN
  PEER_FIN = 16, // the peer's DATA_FIN is known
  RESET = 32, // reset by either side: only RSTs are answered
  TRACE = 64,
  SHORT_DSN = 128, // the peer's mappings carry 4-octet DSNs: it is no Linux kernel (docs/decisions/0003)
  JOINED_EVER = 256, // a second subflow has existed: no fallback any more (RFC 8684 §3.7)
  PEER_NO_JOIN = 512, // C flag: no joins to the peer's initial address (RFC 8684 §3.1)
  PARKED = 1024, // PARK_ADDRESS was emitted
  ESTABLISHED_EVER = 2048,
  SUBFLOWS_CLOSING = 4096, // both DATA_FINs are acknowledged, subflow FINs are out
  SCALED = 8192, // both ends of the TCP side announced a window scale
  DATA_ACK_SEEN = 16384, // the peer has sent a DATA_ACK: options pass in its direction
  KICK_DUE = 32768, // a subflow went with octets of the host in flight: the host is to send them again
  KICKED = 65536, // the host was kicked and nothing has been acknowledged since
  CLOSE_HEARD = 131072, // the peer has shown that it knows its DATA_FIN is acknowledged
  CHECKSUM = 262144, // mappings carry checksums, both ways: one end has demanded it (RFC 8684 §3.1)
}

@final @unmanaged
export class Connection {
  generation: u32;
  serial: u32;
  localKey: u64;
  remoteKey: u64;
  localIdsn: Dsn;
  remoteIdsn: Dsn;
  dsnNxt: Dsn;
  dsnUna: Dan;
  rcvDan: Dan;
  rcvDsnMax: Dsn;
  hostWindowRight: Dsn;
  peerWindowRight: Dsn;
  localFinDsn: Dsn;
  peerFinDsn: Dsn;
  createdUs: u64;
  bytesSent: u64;
  bytesReceived: u64;
  lastPayloadUs: u64;
  expireUs: u64;
  hostFinUs: u64;
  advertiseUs: u64;
  controlUs: u64;
  handoverUs: u64;
  handoverDeadlineUs: u64;
  joinUs: u64;
  transitionUs: u64;
  shownDan: Dan;
  shownSackRight: Dsn;
  stepUs: u64;
  stepEndUs: u64;
  headUs: u64;
  hostIss: Tsn;
  hostIrs: Tsn;
  localToken: u32;
  remoteToken: u32;
  head: u32;
  active: u32;
  handoverSubflow: u32;
  handoverCommand: u32;
  handoverPath: u32;
  pinnedPath: u32;
  transitionSubflow: u32;
  transitionSsn: u32;
  flags: u32;
  classId: u32;
  sendHead: u32; // SendTable at SEND_OFFSET
  sendTail: u32;
  sendCount: u32;
  sendZero: u32;
  mss: u32;
  duplicateSubflow: u32;
  duplicateSsn: u32;
  duplicateLength: u32;
  duplicateDsn: u32;
  advertise4: u32;
  removedIds: u32;
  hostWindow: u32; // octets, as of the host's last segment
  state: u8;
  hostScale: u8; // window scale of the host (0 when not agreed)
  peerScale: u8; // window scale of the peer on the initial subflow
  synCount: u8; // SYNs of the host seen, or SYN/ACKs
  subflowCount: u8;
  nextNumber: u8; // next subflow number
  advertiseTries: u8;
  controlTries: u8;
  hostFinTries: u8;
  joinTries: u8; // failed joins in a row, for the back-off
  removedCount: u8;
  remoteCount: u8; // entries of remoteAddresses
  closeReason: u8;
  headTries: u8; // retransmissions by the host of its first octet without acknowledgement
  checksumErrors: u8; // mappings of the peer whose checksum was wrong
  placeInClass: u8; // where its class counts it: 0 = nowhere, else 1 + path (measure.ts)
  handovers: u32;
  nextHalfOpen: u32;
  previousHalfOpen: u32;
  advertise6: u32;
}
if (offsetof<Connection>("transitionUs") != 192) ERROR("Connection.transitionUs moved");
if (offsetof<Connection>("sendHead") != SEND_OFFSET) ERROR("Connection.send moved");
if (offsetof<Connection>("handovers") != 360) ERROR("Connection.handovers moved");
if (offsetof<Connection>() > REMOTE_ADDRESSES_OFFSET + 8) ERROR("Connection: fields run into the addresses");
if (REMOTE_ADDRESSES_OFFSET + REMOTE_ADDRESSES_MAX * 24 > HOST_ADDRESS_OFFSET) ERROR("Connection: addresses overlap");

/** The connection at slab `index` (≥ 1). The only place that turns an index into an address. */
@inline export function connectionAt(index: u32): Connection {
  check(index != 0 && index <= connectionCapacity);
  return changetype<Connection>(slabAt(connectionSlab(), index));
}

/** Slab index of `connection`. */
@inline export function connectionIndex(connection: Connection): u32 {
  return slabIndexOf(connectionSlab(), changetype<usize>(connection));
}

/** The connection's SEND table. */
@inline export function sendTableOf(connection: Connection): SendTable {
  return changetype<SendTable>(changetype<usize>(connection) + SEND_OFFSET);
}

/** Address (16 octets) of the host's end of the TCP side. */
@inline export function hostAddress(connection: Connection): usize {
  return changetype<usize>(connection) + HOST_ADDRESS_OFFSET;
}

/** Address (16 octets) of the peer's end as the host knows it. */
@inline export function peerAddress(connection: Connection): usize {
  return changetype<usize>(connection) + PEER_ADDRESS_OFFSET;
}

/** Port of the host's end. */
@inline export function hostPort(connection: Connection): u32 {
  return load<u16>(changetype<usize>(connection), 504);
}

/** Port of the peer's end as the host knows it. */
@inline export function peerPort(connection: Connection): u32 {
  return load<u16>(changetype<usize>(connection), 506);
}

/** Stores both ports. */
export function setPorts(connection: Connection, hostPortValue: u32, peerPortValue: u32): void {
  store<u16>(changetype<usize>(connection), <u16>hostPortValue, 504);
  store<u16>(changetype<usize>(connection), <u16>peerPortValue, 506);
}

/** Why its data changes its path, until some has moved there; NONE = it does not. */
@inline export function moveReason(connection: Connection): Reason {
  return <Reason>load<u8>(changetype<usize>(connection), 510);
}

@inline export function setMoveReason(connection: Connection, reason: Reason): void {
  store<u8>(changetype<usize>(connection), <u8>reason, 510);
}

/** Address of entry `i` of the peer's advertised addresses: id u8, family u8, port u16, zero u32, address 16. */
@inline export function remoteAddressEntry(connection: Connection, i: u32): usize {
  return changetype<usize>(connection) + REMOTE_ADDRESSES_OFFSET + <usize>i * 24;
}

let nextSerial: u32 = 1;

/** A fresh connection, zeroed, or 0 when the slab is full. */
export function connectionAlloc(): u32 {
  const index = slabAlloc(connectionSlab());
  if (index == 0) return 0;
  const connection = connectionAt(index);
  connection.serial = nextSerial++;
  connection.state = <u8>ConnectionState.SYN_SENT;
  return index;
}

/** Gives slot `index` back; everything that hangs on it is gone already. */
export function connectionRelease(index: u32): void {
  slabFree(connectionSlab(), index);
}

@inline export function hasFlag(connection: Connection, flag: ConnectionFlag): bool {
  return (connection.flags & flag) != 0;
}

@inline export function setFlag(connection: Connection, flag: ConnectionFlag): void {
  connection.flags |= flag;
}

@inline export function clearFlag(connection: Connection, flag: ConnectionFlag): void {
  connection.flags &= ~flag;
}

// ---- number spaces -------------------------------------------------------------------------------------

/** DSN of an octet that the host sends, nearest to what it has sent so far. */
@inline export function dsnFromTsn(connection: Connection, tsn: Tsn): Dsn {
  return expand(<u32>connection.localIdsn + (tsn - connection.hostIss), connection.dsnNxt);
}

/** DAN that the host's acknowledgement `tan` stands for. */
@inline export function danFromTan(connection: Connection, tan: Tan): Dan {
  return expand(<u32>connection.remoteIdsn + (tan - connection.hostIrs), connection.rcvDan);
}

/** TAN that stands for the peer's data acknowledgement `dan`. */
@inline export function tanFromDan(connection: Connection, dan: Dan): Tan {
  return connection.hostIss + <u32>(dan - connection.localIdsn);
}

/** TSN under which the host receives the peer's octet `dsn`. */
@inline export function tsnFromDsn(connection: Connection, dsn: Dsn): Tsn {
  return connection.hostIrs + <u32>(dsn - connection.remoteIdsn);
}

/** TAN for every segment to the host: what it has been shown as acknowledged. */
@inline export function shownTan(connection: Connection): Tan {
  return tanFromDan(connection, connection.shownDan);
}
