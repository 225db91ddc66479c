// The engine's ABI: every number that the engine shares with its embedders.
//
// This file is the one source. host/engine/abi.ts, host/native/src/abi.rs and docs/MEMORY.md are
// generated from it by scripts/abi-generate.ts; a contract test regenerates and compares. To keep
// the generator simple the file holds only
//   - `@inline export const NAME: u32 = EXPRESSION;` (integers, + - * and names defined above), and
//   - `export const enum Name { MEMBER = NUMBER, // comment }`.
// An enum whose doc comment starts with "Struct" lists the byte offsets of a record; the comment of
// each member starts with its type. All integers are little-endian; addresses are 16 octets in
// network order (IPv4 as ::ffff:a.b.c.d); ports are u16 in host order unless a field says otherwise.
//
//   0x0000_0000  guard        never read or written, so that address 0 can mean "none"
//   0x0000_0400  static       asc's own data (debug builds only)
//   FIXED_START  header, config, counters, descriptors, commands, set operations, trace, outbox,
//                events, snapshot, scratch, entropy: constant addresses
//   BATCH        BATCH_MAX slots of SLOT_SIZE for received packets
//   SLABS_START  placed by init() from the capacities in the config, once; nothing ever moves

/** Version of this ABI; init() refuses another. */
@inline export const ABI_VERSION: u32 = 1;

/** First octet behind the guard and asc's static data. */
@inline export const FIXED_START: u32 = 65536;

/** Region of one EngineHeader. */
@inline export const HEADER: u32 = FIXED_START;
@inline export const HEADER_SIZE: u32 = 512;
/** Region of one EngineConfig, written before init(). */
@inline export const CONFIG: u32 = HEADER + HEADER_SIZE;
@inline export const CONFIG_SIZE: u32 = 512;
/** Region of u64 counters: Counter.* first, then one per DropReason from DROP_COUNTER_BASE on. */
@inline export const COUNTERS: u32 = CONFIG + CONFIG_SIZE;
@inline export const COUNTER_MAX: u32 = 256;
@inline export const DROP_COUNTER_BASE: u32 = 128;
/** Packets per process() call at most. */
@inline export const BATCH_MAX: u32 = 64;
/** Region of packet descriptors (struct Descriptor). */
@inline export const DESCRIPTORS: u32 = COUNTERS + COUNTER_MAX * 8;
@inline export const DESCRIPTOR_SIZE: u32 = 64;
/** Region of commands (struct Command), read by command(count). */
@inline export const COMMANDS: u32 = DESCRIPTORS + BATCH_MAX * DESCRIPTOR_SIZE;
@inline export const COMMAND_MAX: u32 = 64;
@inline export const COMMAND_SIZE: u32 = 128;
/**
 * Region of kernel set operations (struct SetOperation), to be carried out before any verdict or outbox
 * packet of the same call leaves.
 */
@inline export const SET_OPERATIONS: u32 = COMMANDS + COMMAND_MAX * COMMAND_SIZE;
@inline export const SET_OPERATION_MAX: u32 = 512;
@inline export const SET_OPERATION_SIZE: u32 = 64;
/** Region of trace records (struct TraceRecord) made by the last call. */
@inline export const TRACE: u32 = SET_OPERATIONS + SET_OPERATION_MAX * SET_OPERATION_SIZE;
@inline export const TRACE_MAX: u32 = 1024;
@inline export const TRACE_RECORD_SIZE: u32 = 64;
/** Region of outbox descriptors (struct OutboxEntry) and, behind it, the octets of the packets. */
@inline export const OUTBOX: u32 = TRACE + TRACE_MAX * TRACE_RECORD_SIZE;
@inline export const OUTBOX_MAX: u32 = 2048;
@inline export const OUTBOX_ENTRY_SIZE: u32 = 16;
@inline export const OUTBOX_DATA: u32 = OUTBOX + OUTBOX_MAX * OUTBOX_ENTRY_SIZE;
@inline export const OUTBOX_DATA_SIZE: u32 = 2097152;
/** Ring of events (struct EventRecord); indices in the header count up for ever, slot = index % EVENT_MAX. */
@inline export const EVENTS: u32 = OUTBOX_DATA + OUTBOX_DATA_SIZE;
@inline export const EVENT_MAX: u32 = 4096;
@inline export const EVENT_SIZE: u32 = 128;
/**
 * Region that snapshot(cursor) fills with records (struct SnapshotConnection, SnapshotSubflow, SnapshotPath,
 * SnapshotClass).
 */
@inline export const SNAPSHOT: u32 = EVENTS + EVENT_MAX * EVENT_SIZE;
@inline export const SNAPSHOT_SIZE: u32 = 131072;
@inline export const SNAPSHOT_RECORD_SIZE: u32 = 192;
/** Cursor of the one page that names paths and classes only: what it costs does not grow with the connections. */
@inline export const STATISTICS_CURSOR: u32 = 4294967295;
/** The engine's own working space. */
@inline export const SCRATCH: u32 = SNAPSHOT + SNAPSHOT_SIZE;
@inline export const SCRATCH_SIZE: u32 = 16384;
/**
 * Pool of octets from a CSPRNG; the embedder keeps it full, EngineHeader.ENTROPY_COUNT says how many are
 * left (taken from the end).
 */
@inline export const ENTROPY: u32 = SCRATCH + SCRATCH_SIZE;
@inline export const ENTROPY_SIZE: u32 = 4096;
/**
 * Slots for received packets. A packet may lie anywhere in its slot behind SLOT_HEADROOM; headers grow left
 * into what is before it.
 */
@inline export const BATCH: u32 = 3407872;
@inline export const SLOT_SIZE: u32 = 69632;
@inline export const SLOT_HEADROOM: u32 = 128;
/** First octet of what init() lays out. */
@inline export const SLABS_START: u32 = BATCH + BATCH_MAX * SLOT_SIZE;
/**
 * Octets that init() lays out at most: SLABS_FIXED_COST + connections × CONNECTION_COST + subflows ×
 * SUBFLOW_COST + runs × RUN_COST; the embedder sizes the memory so.
 */
@inline export const SLABS_FIXED_COST: u32 = 131072;
@inline export const CONNECTION_COST: u32 = 704;
@inline export const SUBFLOW_COST: u32 = 512;
@inline export const RUN_COST: u32 = 32;

/** u32 field value for "none". */
@inline export const NONE: u32 = 0xffffffff;
/** Paths an engine knows at most; path ids are 1 … PATH_MAX. */
@inline export const PATH_MAX: u32 = 32;
/** Classes at most; ids are 0 … CLASS_MAX - 1, 0 is the default one. */
@inline export const CLASS_MAX: u32 = 64;
/** Rules of the classifier at most. */
@inline export const CLASS_RULES_MAX: u32 = 256;

/** Struct at HEADER. */
export const enum EngineHeader {
  NOW_US = 0, // u64 in: monotonic time in microseconds, set before every call
  NEXT_DEADLINE_US = 8, // u64 out: call tick() at this time at the latest; all ones = never
  ENTROPY_COUNT = 16, // u32 in/out: octets left in the entropy pool
  OUTBOX_COUNT = 20, // u32 out: packets in the outbox; the embedder sends them and need not reset it
  SET_OPERATION_COUNT = 24, // u32 out: set operations of the last call
  TRACE_COUNT = 28, // u32 out: trace records of the last call
  EVENT_HEAD = 32, // u32 out: events ever written
  EVENT_TAIL = 36, // u32 in: events ever read by the embedder
  EVENTS_LOST = 40, // u32 out: oldest events overwritten before they were read
  SNAPSHOT_LENGTH = 44, // u32 out: octets that snapshot() wrote
  SNAPSHOT_NEXT = 48, // u32 out: cursor for the next page, 0 = that was all
  SLABS_END = 52, // u32 out: first octet behind what init() laid out
  CONNECTIONS = 56, // u32 out: live connections
  SUBFLOWS = 60, // u32 out: live subflows
  RUNS_FREE = 64, // u32 out: free slots in the run slab
}

/** Struct at CONFIG. Zero means the default where one is named. */
export const enum EngineConfig {
  ABI_VERSION = 0, // u32
  ROLE = 4, // u32 0 host, 1 anchor (not built yet)
  CONNECTIONS = 8, // u32 capacity
  SUBFLOWS = 12, // u32 capacity
  RUNS = 16, // u32 capacity of the shared run slab (32 octets each)
  HALF_OPEN_MAX = 20, // u32 connections in handshake at most; the oldest makes room; default 1/4 of CONNECTIONS
  PORT_FIRST = 24, // u32 first source port of subflows that we open, default 61001
  PORT_LAST = 28, // u32 last one, default 65535
  FLAGS = 32, // u32 ConfigFlag bits
  SYN_MPC_RETRIES = 36, // u32 SYN retransmissions that still carry MP_CAPABLE, default 2 (RFC 8684 §3.1)
  REJOIN_GRACE_MS = 40, // u32 how long a connection waits for a subflow, default 60000 (Linux close_timeout)
  SUBFLOWS_PER_CONNECTION_MAX = 44, // u32 default 8
  SHARD = 48, // u32 this shard's number
  SHARD_COUNT = 52, // u32 default 1
}

/** Bits of EngineConfig.FLAGS. */
export const enum ConfigFlag {
  ADVERTISE = 1, // announce our other addresses with ADD_ADDR
  SET_OPERATIONS = 2, // the embedder keeps kernel sets: emit set operations
  STANDBY = 4, // active-standby joins every usable path in advance
  CHECKSUM = 8, // demand checksums of mappings from every peer (RFC 8684 §3.3); else only those who demand them get any
  RECEIVE_ON_ALL = 16, // the peer may send on every subflow, not only on the one that we send on
}

/** Status that init, process, tick, command, snapshot and salvage return. */
export const enum Status {
  OK = 0,
  BAD_ABI = 1, // config or header of another version
  BAD_CONFIG = 2, // a value out of range
  NO_MEMORY = 3, // memory too small for the capacity asked
  BAD_COUNT = 4, // count above the region's maximum
  NOT_BUILT = 5, // reserved role
  MORE = 6, // salvage() is not done yet: send what it made and call it again
}

/** Struct of one packet of a batch: the fields up to FLAGS are input, the rest output. */
export const enum Descriptor {
  OFFSET = 0, // u32 in: address of the first octet of the IP header
  LENGTH = 4, // u32 in: octets of the packet
  HOOK = 8, // u32 in: Hook, which side the packet comes from
  INTERFACE = 12, // u32 in: interface index it came in by or leaves by
  MARK = 16, // u32 in: the packet's mark
  FLAGS = 20, // u32 in: PacketFlag bits
  VERDICT = 24, // u32 out: Verdict
  OUT_OFFSET = 28, // u32 out: address of the rewritten packet
  OUT_LENGTH = 32, // u32 out: its octets
  DROP_REASON = 36, // u32 out: DropReason with Verdict.DROP
  QUEUE = 40, // u32 out: queue number with Verdict.QUEUE
  UID = 44, // u32 in: user of the local socket, with PacketFlag.UID
}

/** Netfilter hook a packet was queued in (numbers of linux/netfilter.h). */
export const enum Hook {
  PREROUTING = 0,
  LOCAL_IN = 1, // from the wire: subflow side of a host
  FORWARD = 2,
  LOCAL_OUT = 3, // from the own host: TCP side of a host
  POSTROUTING = 4,
}

/** Bits of Descriptor.FLAGS. The first three are NFQA_SKB_INFO. */
export const enum PacketFlag {
  CHECKSUM_NOT_READY = 1, // TCP checksum field holds the pseudo-header sum only (valid, not filled in)
  GSO = 2, // super-packet
  CHECKSUM_NOT_VERIFIED = 4, // nobody has verified the TCP checksum yet
  TRUNCATED = 8, // the kernel had more octets than it gave (NFQA_CAP_LEN): never a payload verdict
  UID = 16, // Descriptor.UID is known
}

/** What the embedder does with a packet. */
export const enum Verdict {
  DROP = 0,
  ACCEPT = 1, // as it was
  ACCEPT_REWRITTEN = 2, // with the octets at OUT_OFFSET/OUT_LENGTH
  QUEUE = 3, // to queue QUEUE, as it was (another shard's packet)
}

/** Struct of one packet that the engine made itself. */
export const enum OutboxEntry {
  OFFSET = 0, // u32 address of the first octet of the IP header
  LENGTH = 4, // u32 octets, never more than the path's MTU
  DIRECTION = 8, // u32 Direction
}

/** Where an outbox packet goes. */
export const enum Direction {
  WIRE = 0, // out by the route of its source address
  HOST = 1, // to the own host: destination is a local address
}

/**
 * Struct of one operation on the kernel's sets of tuples. A set's key is (opener address, opener port,
 * other address).
 */
export const enum SetOperation {
  KIND = 0, // u8 SetOperationKind
  FAMILY = 1, // u8 4 or 6
  PORT = 2, // u16 the opener's port
  OPENER = 16, // u8[16] address of the end that sent the SYN
  OTHER = 32, // u8[16] address of the other end
}

/** SetOperation.KIND */
export const enum SetOperationKind {
  ADD_CONVERTED = 1, // queued without bypass from now on
  DELETE_CONVERTED = 2,
  ADD_BYPASS = 3, // not queued any more, but for SYNs
  DELETE_BYPASS = 4,
}

/** Struct of one command, host → engine. */
export const enum Command {
  ID = 0, // u32 echoed by every event that answers
  KIND = 4, // u16 CommandKind
  SCOPE = 6, // u8 Scope
  MODE = 7, // u8 HandoverMode, or 1/0 for on/off
  TOKEN = 8, // u32 connection with Scope.CONNECTION
  CLASS = 12, // u32 class id with Scope.CLASS; 0 is the default class
  PATH = 16, // u32 path id
  FLAGS = 20, // u32 PathFlag bits with PATH_SET
  MTU = 24, // u32 PATH_SET: the interface's MTU
  INTERFACE = 28, // u32 PATH_SET: interface index
  PREFIX4 = 32, // u8 PATH_SET: prefix length of ADDRESS4
  PREFIX6 = 33, // u8 PATH_SET: prefix length of ADDRESS6
  TIMEOUT_MS = 36, // u32 HANDOVER: give up after this time
  ADDRESS4 = 40, // u8[16] PATH_SET: v4-mapped, all zero = none
  ADDRESS6 = 56, // u8[16] PATH_SET: global IPv6 address, all zero = none
  PREFER_COUNT = 72, // u32 CLASS_SET: how many of PREFER count
  PREFER = 76, // u8[32] CLASS_SET: path ids, most preferred first
  ALLOWED = 108, // u32 CLASS_SET: the paths that may be joined, bit (path - 1); 0 = all
  STANDBY = 112, // u32 CLASS_INTENT: paths to be joined as backup, bit (path - 1)
  OPEN = 116, // u32 CLASS_INTENT: paths to be joined
  CLOSE = 120, // u32 CLASS_INTENT: paths to be left, once a connection goes on elsewhere
  PROBE_MS = 124, // u32 CLASS_SET: idle paths of its connections are asked this often for their round trip; 0 = never
}

/** Struct of a rule of the classifier, in a command CLASS_RULE. Command.CLASS is the class that it gives. */
export const enum ClassRule {
  INDEX = 40, // u32 its place: the first rule that matches gives the class
  COUNT = 44, // u32 how many rules there will be; the last of them (INDEX = COUNT - 1) puts all into force at once
  FLAGS = 48, // u32 ClassRuleFlag bits: what must hold
  PORT_FIRST = 52, // u16 of either end
  PORT_LAST = 54, // u16
  PREFIX_LENGTH = 56, // u32 bits of the 16 octets that count: 96 more than usual with IPv4
  UID_FIRST = 60, // u32 of the local socket
  UID_LAST = 64, // u32
  PREFIX = 72, // u8[16] of the peer's address
}

/** Bits of ClassRule.FLAGS. */
export const enum ClassRuleFlag {
  PORTS = 1,
  PREFIX = 2,
  UIDS = 4,
}

/** Command.KIND */
export const enum CommandKind {
  PATH_SET = 1, // create or change path PATH
  PATH_REMOVE = 2, // its subflows are abandoned
  CLASS_SET = 3, // class CLASS has the native policy, with these preferences and these paths
  HANDOVER = 4, // move what SCOPE names to PATH (MODE), pinned
  HANDOVER_AUTO = 5, // unpin what SCOPE names
  SUBFLOW_ADD = 6, // join PATH for connection TOKEN
  SUBFLOW_REMOVE = 7, // close the subflow of connection TOKEN on PATH
  SHUTDOWN = 8, // end conversion of everything, in bounded steps; answered when nothing is left
  TRACE = 9, // MODE 1/0: trace records for what SCOPE names
  CLASS_RULE = 10, // a rule of the classifier (struct ClassRule), no COUNT: none any more; the last one is answered
  CLASS_INTENT = 11, // what a policy wants of class CLASS till the next one or CLASS_SET: new data on PATH, 0 = no wish
}

/** Command.SCOPE */
export const enum Scope {
  ALL = 0,
  CLASS = 1,
  CONNECTION = 2,
}

/** Command.MODE of HANDOVER */
export const enum HandoverMode {
  MAKE_BEFORE_BREAK = 0,
  BREAK_BEFORE_MAKE = 1,
}

/** Bits of Command.FLAGS with PATH_SET. */
export const enum PathFlag {
  UP = 1, // carrier and an address
  BACKUP = 2, // subflows on it are joined with B and used only if nothing else is left
  GATEWAY4 = 4, // has an IPv4 gateway: reaches beyond its prefix
  GATEWAY6 = 8,
  NO_JOIN = 16, // never join on it by ourselves
  DRAINING = 32, // about to be left: never joined nor announced, whoever wishes it
}

/** Struct of one event, engine → host. */
export const enum EventRecord {
  TIME_US = 0, // u64
  KIND = 8, // u16 EventKind
  REASON = 10, // u16 Reason
  COMMAND_ID = 12, // u32 the command it answers, 0 = none
  TOKEN = 16, // u32 connection (our token), 0 = none
  PATH = 20, // u32 path id, 0 = unknown
  SUBFLOW = 24, // u32 subflow's number within its connection (0 = initial)
  VALUE = 28, // u32 by kind: see EventKind
  VALUE64 = 32, // u64 by kind
  LOCAL_PORT = 40, // u16
  REMOTE_PORT = 42, // u16
  LOCAL_ID = 44, // u8 our address id
  REMOTE_ID = 45, // u8 the peer's address id
  BACKUP = 46, // u8 1 = backup
  OPENER = 47, // u8 1 = we opened it
  LOCAL = 48, // u8[16]
  REMOTE = 64, // u8[16]
  SERIAL = 80, // u32 the connection's serial number, never reused
}

/** EventRecord.KIND, in mptcpd's words where it has one. */
export const enum EventKind {
  NEW_CONNECTION = 1, // handshake began (LOCAL, REMOTE: the host's tuple)
  CONNECTION_ESTABLISHED = 2, // MPTCP is agreed; VALUE = the peer's token
  CONNECTION_CLOSED = 3, // state is gone; VALUE64 = payload octets in both directions
  CONNECTION_FALLBACK = 4, // plain TCP from here on, REASON says why
  NEW_SUBFLOW = 5, // join completed on PATH
  SUBFLOW_CLOSED = 6, // REASON says why
  SUBFLOW_PRIORITY = 7, // the peer sent MP_PRIO; BACKUP
  NEW_ADDRESS = 8, // ADD_ADDR from the peer (REMOTE, REMOTE_ID)
  ADDRESS_REMOVED = 9, // REMOVE_ADDR from the peer (REMOTE_ID)
  HANDOVER_STARTED = 10, // PATH = new path, VALUE = old path
  HANDOVER_DONE = 11, // PATH carries new data; VALUE = microseconds since it started
  HANDOVER_FAILED = 12, // REASON
  COMMAND_DONE = 13, // REASON NONE = done; VALUE = connections concerned, VALUE64 = of them failed
  PARK_ADDRESS = 14, // LOCAL is in use by a converted connection: VALUE = 1 first, 0 last
  JOIN_FAILED = 15, // REASON
  SUBFLOW_STALE = 16, // VALUE 1 = silent with octets in flight, 0 = heard again
  HOST_KICKED = 17, // our host was shown an MTU for its route to REMOTE, which it should forget soon
  CONNECTION_MOVED = 18, // PATH carries its data now, REASON why; VALUE = microseconds without payload, 0 = was idle
}

/** Why: in events and command answers. */
export const enum Reason {
  NONE = 0,
  NO_MPTCP_IN_SYNACK = 1, // fallback: the peer does not speak MPTCP v1
  NO_MPTCP_IN_ACK = 2, // fallback: third ACK without MP_CAPABLE or with a wrong key
  NO_DSS = 3, // fallback or reset: data without a mapping
  INFINITE_MAPPING = 4, // fallback asked by the peer
  SYN_RETRIES = 5, // fallback: SYNs with MP_CAPABLE were not answered
  MIDDLEBOX = 6,
  PEER_CLOSED = 7, // FIN
  PEER_RESET = 8, // RST
  FASTCLOSE = 9,
  HOST_RESET = 10,
  REMOVED = 11, // REMOVE_ADDR or command
  PATH_DOWN = 12,
  TIMEOUT = 13,
  BAD_HMAC = 14,
  NO_TOKEN = 15,
  LIMIT = 16, // a maximum is reached
  NO_PATH = 17, // unknown path
  PATH_NOT_USABLE = 18, // path is down or has no address of the family
  NO_REMOTE_ADDRESS = 19, // the peer has no address that this path reaches
  NO_CONNECTION = 20,
  NOT_ESTABLISHED = 21, // connection still in handshake, closing or fallen back
  PEER_OPENS = 22, // only the end that opened the connection can join; the peer has been told our addresses
  SHUTDOWN = 23,
  CLOSED = 24, // ended in the ordinary way
  POISONED = 25, // a hole that can never be filled
  NO_ENTROPY = 26,
  REPLACED = 27, // a new SYN on the same tuple
  EXISTS = 28, // already there
  NOT_BUILT = 29,
  CHECKSUM = 30, // a mapping's octets were altered on their way (RFC 8684 §3.7)
  UNREACHABLE = 31, // a router says so (ICMP)
  DRAINING = 32, // the path is about to be left
  POLICY = 33, // a policy or the order of preference wants it so
  COMMAND = 34, // a handover was ordered
  PEER_PREFERS = 35, // MP_PRIO of the peer
}

/** Struct of one trace record: one packet with payload or acknowledgement, on either side. */
export const enum TraceRecord {
  TIME_US = 0, // u64
  DSN = 8, // u64 first payload octet, data level (64 bit, relative to IDSN + 1)
  DAN = 16, // u64 data-level acknowledgement (relative to the peer's IDSN + 1)
  TOKEN = 24, // u32
  LENGTH = 28, // u32 payload octets
  SSN = 32, // u32 relative to the subflow's initial number
  SAN = 36, // u32 relative likewise
  TSN = 40, // u32 relative to the host's or peer's initial number
  TAN = 44, // u32 relative likewise
  WINDOW = 48, // u32 octets
  PATH = 52, // u16 path id
  SUBFLOW = 54, // u16 subflow's number within its connection
  SIDE = 56, // u8 0 = sent on the subflow, 1 = received on the subflow
  FLAGS = 57, // u8 TraceFlag bits
}

/** Bits of TraceRecord.FLAGS. */
export const enum TraceFlag {
  HAS_DSN = 1,
  HAS_DAN = 2,
  RETRANSMISSION = 4,
  DATA_FIN = 8,
  FORGED = 16, // made by the engine, not by a host
}

/** Kind of a snapshot record: the first u16 of each. */
export const enum SnapshotKind {
  CONNECTION = 1,
  SUBFLOW = 2, // belongs to the connection before it
  PATH = 3,
  CLASS = 4, // only behind STATISTICS_CURSOR
}

/** Struct of a connection in a snapshot. */
export const enum SnapshotConnection {
  KIND = 0, // u16
  STATE = 2, // u16 ConnectionState
  TOKEN = 4, // u32 ours
  PEER_TOKEN = 8, // u32
  SERIAL = 12, // u32
  CLASS = 16, // u32
  ACTIVE_PATH = 20, // u32
  PINNED_PATH = 24, // u32 0 = none
  SUBFLOWS = 28, // u32
  LOCAL = 32, // u8[16] the host's address
  REMOTE = 48, // u8[16]
  LOCAL_PORT = 64, // u16
  REMOTE_PORT = 66, // u16
  OPENER = 68, // u8 1 = our host opened it
  BYTES_SENT = 72, // u64 payload from the host, first transmissions
  BYTES_RECEIVED = 80, // u64 payload that the host has acknowledged, each octet once
  CREATED_US = 88, // u64
  BYTES_UNACKED = 96, // u64 sent and not data-acked
  SEND_RUNS = 104, // u32
  HANDOVERS = 108, // u32
}

/** Struct of a subflow in a snapshot. */
export const enum SnapshotSubflow {
  KIND = 0, // u16
  STATE = 2, // u16 SubflowState
  PATH = 4, // u32
  NUMBER = 8, // u32 within its connection, 0 = initial
  FLAGS = 12, // u32 SubflowFlag bits
  LOCAL = 16, // u8[16]
  REMOTE = 32, // u8[16]
  LOCAL_PORT = 48, // u16
  REMOTE_PORT = 50, // u16
  LOCAL_ID = 52, // u8
  REMOTE_ID = 53, // u8
  SRTT_US = 56, // u32 0 = unknown
  RTTVAR_US = 60, // u32
  BYTES_SENT = 64, // u64 payload, with retransmissions
  BYTES_RECEIVED = 72, // u64
  PACKETS_SENT = 80, // u64
  PACKETS_RECEIVED = 88, // u64
  RETRANSMITTED = 96, // u64 octets
  MIN_RTT_US = 104, // u32
  RECV_RUNS = 108, // u32
  CREATED_US = 112, // u64
}

/** Bits of SnapshotSubflow.FLAGS. */
export const enum SubflowFlag {
  ACTIVE = 1, // carries our new data
  BACKUP = 2, // we asked the peer not to use it
  PEER_BACKUP = 4, // the peer asked us not to use it
  STALE = 8, // silent with octets in flight: new data goes elsewhere
  POISONED = 16, // the peer has shown a hole on it that can never be filled: new data goes elsewhere, its end is near
  OPENER = 32, // we sent its SYN
  INITIAL = 64,
}

/** Struct of a path in a snapshot. What is counted is counted over all its subflows, also those that are gone. */
export const enum SnapshotPath {
  KIND = 0, // u16
  STATE = 2, // u16 1 = up
  ID = 4, // u32
  FLAGS = 8, // u32 PathFlag bits
  INTERFACE = 12, // u32
  MTU = 16, // u32
  SUBFLOWS = 20, // u32
  ADDRESS4 = 24, // u8[16]
  ADDRESS6 = 40, // u8[16]
  BYTES_SENT = 56, // u64 payload, with retransmissions
  BYTES_RECEIVED = 64, // u64
  SRTT_US = 72, // u32 estimate over the samples of all its subflows (RFC 6298); 0 = unknown
  RTTVAR_US = 76, // u32
  MIN_RTT_US = 80, // u32 smallest sample of the last 5 to 10 s in which there were any; 0 = unknown
  IN_FLIGHT = 84, // u32 octets sent and not acknowledged on their subflow
  LAST_ACK_US = 88, // u64 when an established subflow was last heard; 0 = never
  BYTES_ACKED = 96, // u64 octets that the peer has acknowledged on their subflow, a FIN counts as one
  BYTES_RETRANSMITTED = 104, // u64 of BYTES_SENT
  PACKETS_SENT = 112, // u64 with payload
  PACKETS_RETRANSMITTED = 120, // u64 of PACKETS_SENT
  PACKETS_RECEIVED = 128, // u64 with payload
  PACKETS_REPEATED = 136, // u64 of PACKETS_RECEIVED: the peer sent them again though they had come
}

/** Struct of a class in a snapshot. */
export const enum SnapshotClass {
  KIND = 0, // u16
  ID = 4, // u32
  CONNECTIONS = 8, // u32 live ones: MPTCP is agreed on, and they are not closing
  BYTES_ACKED = 16, // u64 payload of our hosts that the peers have acknowledged, each octet once, a FIN counts as one
  BYTES_RECEIVED = 24, // u64 payload that our hosts have acknowledged, each octet once
  ACTIVE_ON = 56, // u32[33] of CONNECTIONS: how many send new data on path i; 0 = on none, or on no known path
}

/** State of a connection: RFC 9293 names for the handshake, RFC 8684 §3.3.3 (M_…) afterwards. */
export const enum ConnectionState {
  FREE = 0,
  SYN_SENT = 1, // the host's SYN went out with MP_CAPABLE
  SYN_RECEIVED = 2, // a SYN with MP_CAPABLE went to the host
  M_ESTAB = 3,
  M_CLOSING = 4, // a DATA_FIN or FIN has been seen in either direction; RFC states follow from the two halves
  M_TIME_WAIT = 5, // both directions closed and acknowledged; subflows say good-bye
  FALLBACK = 6, // plain TCP, with our conversion still stripping
}

/** State of a subflow (RFC 9293 names; PRE_ESTABLISHED of RFC 8684 §3.2). */
export const enum SubflowState {
  FREE = 0,
  SYN_SENT = 1,
  SYN_RECEIVED = 2,
  PRE_ESTABLISHED = 3, // third ACK sent, fourth not seen: no data
  ESTABLISHED = 4,
  FIN_WAIT = 5, // our FIN is out
  TIME_WAIT = 6,
}

/** Why a packet was dropped; counter DROP_COUNTER_BASE + reason. */
export const enum DropReason {
  NONE = 0,
  IP_MALFORMED = 1, // lengths, version or header checksum
  TCP_MALFORMED = 2, // data offset or length
  TCP_OPTIONS_MALFORMED = 3, // only where a converted connection needs them
  TCP_CHECKSUM = 4,
  FRAGMENT = 5, // an IP fragment of a converted connection
  TRUNCATED = 6, // longer than the queue can carry
  TOO_LONG = 7, // would outgrow 65,531 octets
  CONNECTIONS_FULL = 8,
  SUBFLOWS_FULL = 9,
  SEND_TABLE_FULL = 10,
  RECV_TABLE_FULL = 11,
  MAP_LOG_FULL = 12,
  OUTBOX_FULL = 13,
  NO_MAPPING = 14, // payload without a DSS that covers it
  OUT_OF_WINDOW = 15, // sequence number outside the subflow's or connection's window
  DUPLICATE = 16, // payload below TAN, acknowledged by the engine itself
  CONSUMED = 17, // for the engine only: control options, subflow handshake, probes
  JOIN_NO_TOKEN = 18,
  JOIN_BAD_HMAC = 19,
  JOIN_LIMIT = 20,
  NO_USABLE_SUBFLOW = 21, // nothing to send on until a path comes back
  NOT_ESTABLISHED = 22, // data on a subflow whose handshake is not complete
  FASTCLOSE_BAD_KEY = 23,
  RST_OUT_OF_WINDOW = 24,
  ACK_REDUNDANT = 25, // says nothing that the host does not know
  SUBFLOW_CLOSED = 26, // for a subflow that is gone
  SUPERSEDED = 27, // replaced by packets in the outbox
  SHUTDOWN = 28,
  BAD_DESCRIPTOR = 29, // outside the batch region
  CONTROL_OPTION_BAD_HMAC = 30, // ADD_ADDR
  NO_ENTROPY = 31,
  DSS_CHECKSUM = 32, // the packet's mapping has a wrong checksum
  ICMP_IGNORED = 33, // an error about a subflow that quotes nothing in flight there, or does not fit what it quotes
}

/** Index of each counter that is not a drop reason. */
export const enum Counter {
  PACKETS_TCP = 0, // from the own host
  PACKETS_SUBFLOW = 1, // from the wire
  BYTES_TCP = 2,
  BYTES_SUBFLOW = 3,
  ACCEPTED_UNTOUCHED = 4,
  REWRITTEN = 5,
  DROPPED = 6,
  OUTBOX_WIRE = 7,
  OUTBOX_HOST = 8,
  CONNECTIONS_OPENED = 9,
  CONNECTIONS_ESTABLISHED = 10,
  CONNECTIONS_CLOSED = 11,
  FALLBACKS = 12,
  SUBFLOWS_OPENED = 13,
  SUBFLOWS_CLOSED = 14,
  JOINS_SENT = 15,
  JOINS_RECEIVED = 16,
  HANDOVERS = 17,
  DAN_PULLS = 18,
  HOST_RETRANSMISSIONS = 19, // packets from the host below what it had sent
  PEER_RETRANSMISSIONS = 20,
  ACKS_FORGED = 21,
  ADD_ADDR_SENT = 22,
  ADD_ADDR_RECEIVED = 23,
  REMOVE_ADDR_SENT = 24,
  REMOVE_ADDR_RECEIVED = 25,
  MP_PRIO_SENT = 26,
  MP_PRIO_RECEIVED = 27,
  FASTCLOSE_SENT = 28,
  FASTCLOSE_RECEIVED = 29,
  DATA_FIN_SENT = 30,
  DATA_FIN_RECEIVED = 31,
  NATIVE_MPTCP_BYPASSED = 32, // the host speaks MPTCP itself
  TICKS = 33,
  TIMERS_FIRED = 34,
  HALF_OPEN_EVICTED = 35,
  SACK_BLOCKS_PROJECTED = 36,
  PACKETS_SPLIT = 37,
  REINJECTED = 38, // sent again with a fresh SSN on another subflow
  TRACE_LOST = 39,
  SET_OPERATIONS_LOST = 40,
  BYTES_SENT = 41, // payload from hosts, first transmissions
  BYTES_RECEIVED = 42, // payload that hosts have acknowledged, each octet once
  TRANSITION_SACKS_HELD = 43,
  TAN_STEPS = 44, // acknowledgements to the host that were given in steps after a switch
  KICKS = 45, // hosts made to send again at once after a break (ICMP)
  SUBFLOWS_STALE = 46, // fell silent with octets in flight
  SUBFLOWS_POISONED = 47, // closed for a hole that could never be filled
  CHECKSUM_ERRORS = 48, // mappings of peers whose octets do not have their checksum
  MP_FAIL_RECEIVED = 49,
  ICMP_TRANSLATED = 50, // errors about subflows, given to the host in its own numbers
  MTU_SHOWN = 51, // hosts told that their segments are too long for the subflow that is to carry them (ICMP)
  PATH_PROBES = 52, // questions to idle paths for their round trip
}
