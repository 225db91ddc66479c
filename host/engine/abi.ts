// Generated from assembly/abi.ts by scripts/abi-generate.ts. Do not edit.

/** Version of this ABI; init() refuses another. */
export const ABI_VERSION = 1;
/** First octet behind the guard and asc's static data. */
export const FIXED_START = 65536;
/** Region of one EngineHeader. */
export const HEADER = 65536;
export const HEADER_SIZE = 512;
/** Region of one EngineConfig, written before init(). */
export const CONFIG = 66048;
export const CONFIG_SIZE = 512;
/** Region of u64 counters: Counter.* first, then one per DropReason from DROP_COUNTER_BASE on. */
export const COUNTERS = 66560;
export const COUNTER_MAX = 256;
export const DROP_COUNTER_BASE = 128;
/** Packets per process() call at most. */
export const BATCH_MAX = 64;
/** Region of packet descriptors (struct Descriptor). */
export const DESCRIPTORS = 68608;
export const DESCRIPTOR_SIZE = 64;
/** Region of commands (struct Command), read by command(count). */
export const COMMANDS = 72704;
export const COMMAND_MAX = 64;
export const COMMAND_SIZE = 128;
/** Region of kernel set operations (struct SetOperation), to be carried out before any verdict or outbox packet of the same call leaves. */
export const SET_OPERATIONS = 80896;
export const SET_OPERATION_MAX = 512;
export const SET_OPERATION_SIZE = 64;
/** Region of trace records (struct TraceRecord) made by the last call. */
export const TRACE = 113664;
export const TRACE_MAX = 1024;
export const TRACE_RECORD_SIZE = 64;
/** Region of outbox descriptors (struct OutboxEntry) and, behind it, the octets of the packets. */
export const OUTBOX = 179200;
export const OUTBOX_MAX = 2048;
export const OUTBOX_ENTRY_SIZE = 16;
export const OUTBOX_DATA = 211968;
export const OUTBOX_DATA_SIZE = 2097152;
/** Ring of events (struct EventRecord); indices in the header count up for ever, slot = index % EVENT_MAX. */
export const EVENTS = 2309120;
export const EVENT_MAX = 4096;
export const EVENT_SIZE = 128;
/** Region that snapshot(cursor) fills with records (struct SnapshotConnection, SnapshotSubflow, SnapshotPath, SnapshotClass). */
export const SNAPSHOT = 2833408;
export const SNAPSHOT_SIZE = 131072;
export const SNAPSHOT_RECORD_SIZE = 192;
/** Cursor of the one page that names paths and classes only: what it costs does not grow with the connections. */
export const STATISTICS_CURSOR = 4294967295;
/** The engine's own working space. */
export const SCRATCH = 2964480;
export const SCRATCH_SIZE = 16384;
/** Pool of octets from a CSPRNG; the embedder keeps it full, EngineHeader.ENTROPY_COUNT says how many are left (taken from the end). */
export const ENTROPY = 2980864;
export const ENTROPY_SIZE = 4096;
/** Slots for received packets. A packet may lie anywhere in its slot behind SLOT_HEADROOM; headers grow left into what is before it. */
export const BATCH = 3407872;
export const SLOT_SIZE = 69632;
export const SLOT_HEADROOM = 128;
/** First octet of what init() lays out. */
export const SLABS_START = 7864320;
/** Octets that init() lays out at most: SLABS_FIXED_COST + connections × CONNECTION_COST + subflows × SUBFLOW_COST + runs × RUN_COST; the embedder sizes the memory so. */
export const SLABS_FIXED_COST = 131072;
export const CONNECTION_COST = 704;
export const SUBFLOW_COST = 512;
export const RUN_COST = 32;
/** u32 field value for "none". */
export const NONE = 4294967295;
/** Paths an engine knows at most; path ids are 1 … PATH_MAX. */
export const PATH_MAX = 32;
/** Classes at most; ids are 0 … CLASS_MAX - 1, 0 is the default one. */
export const CLASS_MAX = 64;
/** Rules of the classifier at most. */
export const CLASS_RULES_MAX = 256;

/** Struct at HEADER. */
export const EngineHeader = {
  /** u64 in: monotonic time in microseconds, set before every call */
  NOW_US: 0,
  /** u64 out: call tick() at this time at the latest; all ones = never */
  NEXT_DEADLINE_US: 8,
  /** u32 in/out: octets left in the entropy pool */
  ENTROPY_COUNT: 16,
  /** u32 out: packets in the outbox; the embedder sends them and need not reset it */
  OUTBOX_COUNT: 20,
  /** u32 out: set operations of the last call */
  SET_OPERATION_COUNT: 24,
  /** u32 out: trace records of the last call */
  TRACE_COUNT: 28,
  /** u32 out: events ever written */
  EVENT_HEAD: 32,
  /** u32 in: events ever read by the embedder */
  EVENT_TAIL: 36,
  /** u32 out: oldest events overwritten before they were read */
  EVENTS_LOST: 40,
  /** u32 out: octets that snapshot() wrote */
  SNAPSHOT_LENGTH: 44,
  /** u32 out: cursor for the next page, 0 = that was all */
  SNAPSHOT_NEXT: 48,
  /** u32 out: first octet behind what init() laid out */
  SLABS_END: 52,
  /** u32 out: live connections */
  CONNECTIONS: 56,
  /** u32 out: live subflows */
  SUBFLOWS: 60,
  /** u32 out: free slots in the run slab */
  RUNS_FREE: 64,
} as const;

/** Struct at CONFIG. Zero means the default where one is named. */
export const EngineConfig = {
  /** u32 */
  ABI_VERSION: 0,
  /** u32 0 host, 1 anchor (not built yet) */
  ROLE: 4,
  /** u32 capacity */
  CONNECTIONS: 8,
  /** u32 capacity */
  SUBFLOWS: 12,
  /** u32 capacity of the shared run slab (32 octets each) */
  RUNS: 16,
  /** u32 connections in handshake at most; the oldest makes room; default 1/4 of CONNECTIONS */
  HALF_OPEN_MAX: 20,
  /** u32 first source port of subflows that we open, default 61001 */
  PORT_FIRST: 24,
  /** u32 last one, default 65535 */
  PORT_LAST: 28,
  /** u32 ConfigFlag bits */
  FLAGS: 32,
  /** u32 SYN retransmissions that still carry MP_CAPABLE, default 2 (RFC 8684 §3.1) */
  SYN_MPC_RETRIES: 36,
  /** u32 how long a connection waits for a subflow, default 60000 (Linux close_timeout) */
  REJOIN_GRACE_MS: 40,
  /** u32 default 8 */
  SUBFLOWS_PER_CONNECTION_MAX: 44,
  /** u32 this shard's number */
  SHARD: 48,
  /** u32 default 1 */
  SHARD_COUNT: 52,
} as const;

/** Bits of EngineConfig.FLAGS. */
export const ConfigFlag = {
  /** announce our other addresses with ADD_ADDR */
  ADVERTISE: 1,
  /** the embedder keeps kernel sets: emit set operations */
  SET_OPERATIONS: 2,
  /** active-standby joins every usable path in advance */
  STANDBY: 4,
  /** demand checksums of mappings from every peer (RFC 8684 §3.3); else only those who demand them get any */
  CHECKSUM: 8,
  /** the peer may send on every subflow, not only on the one that we send on */
  RECEIVE_ON_ALL: 16,
} as const;
export type ConfigFlag = (typeof ConfigFlag)[keyof typeof ConfigFlag];

/** Status that init, process, tick, command, snapshot and salvage return. */
export const Status = {
  OK: 0,
  /** config or header of another version */
  BAD_ABI: 1,
  /** a value out of range */
  BAD_CONFIG: 2,
  /** memory too small for the capacity asked */
  NO_MEMORY: 3,
  /** count above the region's maximum */
  BAD_COUNT: 4,
  /** reserved role */
  NOT_BUILT: 5,
  /** salvage() is not done yet: send what it made and call it again */
  MORE: 6,
} as const;
export type Status = (typeof Status)[keyof typeof Status];

/** Struct of one packet of a batch: the fields up to FLAGS are input, the rest output. */
export const Descriptor = {
  /** u32 in: address of the first octet of the IP header */
  OFFSET: 0,
  /** u32 in: octets of the packet */
  LENGTH: 4,
  /** u32 in: Hook, which side the packet comes from */
  HOOK: 8,
  /** u32 in: interface index it came in by or leaves by */
  INTERFACE: 12,
  /** u32 in: the packet's mark */
  MARK: 16,
  /** u32 in: PacketFlag bits */
  FLAGS: 20,
  /** u32 out: Verdict */
  VERDICT: 24,
  /** u32 out: address of the rewritten packet */
  OUT_OFFSET: 28,
  /** u32 out: its octets */
  OUT_LENGTH: 32,
  /** u32 out: DropReason with Verdict.DROP */
  DROP_REASON: 36,
  /** u32 out: queue number with Verdict.QUEUE */
  QUEUE: 40,
  /** u32 in: user of the local socket, with PacketFlag.UID */
  UID: 44,
} as const;

/** Netfilter hook a packet was queued in (numbers of linux/netfilter.h). */
export const Hook = {
  PREROUTING: 0,
  /** from the wire: subflow side of a host */
  LOCAL_IN: 1,
  FORWARD: 2,
  /** from the own host: TCP side of a host */
  LOCAL_OUT: 3,
  POSTROUTING: 4,
} as const;
export type Hook = (typeof Hook)[keyof typeof Hook];

/** Bits of Descriptor.FLAGS. The first three are NFQA_SKB_INFO. */
export const PacketFlag = {
  /** TCP checksum field holds the pseudo-header sum only (valid, not filled in) */
  CHECKSUM_NOT_READY: 1,
  /** super-packet */
  GSO: 2,
  /** nobody has verified the TCP checksum yet */
  CHECKSUM_NOT_VERIFIED: 4,
  /** the kernel had more octets than it gave (NFQA_CAP_LEN): never a payload verdict */
  TRUNCATED: 8,
  /** Descriptor.UID is known */
  UID: 16,
} as const;
export type PacketFlag = (typeof PacketFlag)[keyof typeof PacketFlag];

/** What the embedder does with a packet. */
export const Verdict = {
  DROP: 0,
  /** as it was */
  ACCEPT: 1,
  /** with the octets at OUT_OFFSET/OUT_LENGTH */
  ACCEPT_REWRITTEN: 2,
  /** to queue QUEUE, as it was (another shard's packet) */
  QUEUE: 3,
} as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/** Struct of one packet that the engine made itself. */
export const OutboxEntry = {
  /** u32 address of the first octet of the IP header */
  OFFSET: 0,
  /** u32 octets, never more than the path's MTU */
  LENGTH: 4,
  /** u32 Direction */
  DIRECTION: 8,
} as const;

/** Where an outbox packet goes. */
export const Direction = {
  /** out by the route of its source address */
  WIRE: 0,
  /** to the own host: destination is a local address */
  HOST: 1,
} as const;
export type Direction = (typeof Direction)[keyof typeof Direction];

/** Struct of one operation on the kernel's sets of tuples. A set's key is (opener address, opener port, other address). */
export const SetOperation = {
  /** u8 SetOperationKind */
  KIND: 0,
  /** u8 4 or 6 */
  FAMILY: 1,
  /** u16 the opener's port */
  PORT: 2,
  /** u8[16] address of the end that sent the SYN */
  OPENER: 16,
  /** u8[16] address of the other end */
  OTHER: 32,
} as const;

/** SetOperation.KIND */
export const SetOperationKind = {
  /** queued without bypass from now on */
  ADD_CONVERTED: 1,
  DELETE_CONVERTED: 2,
  /** not queued any more, but for SYNs */
  ADD_BYPASS: 3,
  DELETE_BYPASS: 4,
} as const;
export type SetOperationKind = (typeof SetOperationKind)[keyof typeof SetOperationKind];

/** Struct of one command, host → engine. */
export const Command = {
  /** u32 echoed by every event that answers */
  ID: 0,
  /** u16 CommandKind */
  KIND: 4,
  /** u8 Scope */
  SCOPE: 6,
  /** u8 HandoverMode, or 1/0 for on/off */
  MODE: 7,
  /** u32 connection with Scope.CONNECTION */
  TOKEN: 8,
  /** u32 class id with Scope.CLASS; 0 is the default class */
  CLASS: 12,
  /** u32 path id */
  PATH: 16,
  /** u32 PathFlag bits with PATH_SET */
  FLAGS: 20,
  /** u32 PATH_SET: the interface's MTU */
  MTU: 24,
  /** u32 PATH_SET: interface index */
  INTERFACE: 28,
  /** u8 PATH_SET: prefix length of ADDRESS4 */
  PREFIX4: 32,
  /** u8 PATH_SET: prefix length of ADDRESS6 */
  PREFIX6: 33,
  /** u32 HANDOVER: give up after this time */
  TIMEOUT_MS: 36,
  /** u8[16] PATH_SET: v4-mapped, all zero = none */
  ADDRESS4: 40,
  /** u8[16] PATH_SET: global IPv6 address, all zero = none */
  ADDRESS6: 56,
  /** u32 CLASS_SET: how many of PREFER count */
  PREFER_COUNT: 72,
  /** u8[32] CLASS_SET: path ids, most preferred first */
  PREFER: 76,
  /** u32 CLASS_SET: the paths that may be joined, bit (path - 1); 0 = all */
  ALLOWED: 108,
  /** u32 CLASS_INTENT: paths to be joined as backup, bit (path - 1) */
  STANDBY: 112,
  /** u32 CLASS_INTENT: paths to be joined */
  OPEN: 116,
  /** u32 CLASS_INTENT: paths to be left, once a connection goes on elsewhere */
  CLOSE: 120,
  /** u32 CLASS_SET: idle paths of its connections are asked this often for their round trip; 0 = never */
  PROBE_MS: 124,
} as const;

/** Struct of a rule of the classifier, in a command CLASS_RULE. Command.CLASS is the class that it gives. */
export const ClassRule = {
  /** u32 its place: the first rule that matches gives the class */
  INDEX: 40,
  /** u32 how many rules there will be; the last of them (INDEX = COUNT - 1) puts all into force at once */
  COUNT: 44,
  /** u32 ClassRuleFlag bits: what must hold */
  FLAGS: 48,
  /** u16 of either end */
  PORT_FIRST: 52,
  /** u16 */
  PORT_LAST: 54,
  /** u32 bits of the 16 octets that count: 96 more than usual with IPv4 */
  PREFIX_LENGTH: 56,
  /** u32 of the local socket */
  UID_FIRST: 60,
  /** u32 */
  UID_LAST: 64,
  /** u8[16] of the peer's address */
  PREFIX: 72,
} as const;

/** Bits of ClassRule.FLAGS. */
export const ClassRuleFlag = {
  PORTS: 1,
  PREFIX: 2,
  UIDS: 4,
} as const;
export type ClassRuleFlag = (typeof ClassRuleFlag)[keyof typeof ClassRuleFlag];

/** Command.KIND */
export const CommandKind = {
  /** create or change path PATH */
  PATH_SET: 1,
  /** its subflows are abandoned */
  PATH_REMOVE: 2,
  /** class CLASS has the native policy, with these preferences and these paths */
  CLASS_SET: 3,
  /** move what SCOPE names to PATH (MODE), pinned */
  HANDOVER: 4,
  /** unpin what SCOPE names */
  HANDOVER_AUTO: 5,
  /** join PATH for connection TOKEN */
  SUBFLOW_ADD: 6,
  /** close the subflow of connection TOKEN on PATH */
  SUBFLOW_REMOVE: 7,
  /** end conversion of everything, in bounded steps; answered when nothing is left */
  SHUTDOWN: 8,
  /** MODE 1/0: trace records for what SCOPE names */
  TRACE: 9,
  /** a rule of the classifier (struct ClassRule), no COUNT: none any more; the last one is answered */
  CLASS_RULE: 10,
  /** what a policy wants of class CLASS till the next one or CLASS_SET: new data on PATH, 0 = no wish */
  CLASS_INTENT: 11,
} as const;
export type CommandKind = (typeof CommandKind)[keyof typeof CommandKind];

/** Command.SCOPE */
export const Scope = {
  ALL: 0,
  CLASS: 1,
  CONNECTION: 2,
} as const;
export type Scope = (typeof Scope)[keyof typeof Scope];

/** Command.MODE of HANDOVER */
export const HandoverMode = {
  MAKE_BEFORE_BREAK: 0,
  BREAK_BEFORE_MAKE: 1,
} as const;
export type HandoverMode = (typeof HandoverMode)[keyof typeof HandoverMode];

/** Bits of Command.FLAGS with PATH_SET. */
export const PathFlag = {
  /** carrier and an address */
  UP: 1,
  /** subflows on it are joined with B and used only if nothing else is left */
  BACKUP: 2,
  /** has an IPv4 gateway: reaches beyond its prefix */
  GATEWAY4: 4,
  GATEWAY6: 8,
  /** never join on it by ourselves */
  NO_JOIN: 16,
  /** about to be left: never joined nor announced, whoever wishes it */
  DRAINING: 32,
} as const;
export type PathFlag = (typeof PathFlag)[keyof typeof PathFlag];

/** Struct of one event, engine → host. */
export const EventRecord = {
  /** u64 */
  TIME_US: 0,
  /** u16 EventKind */
  KIND: 8,
  /** u16 Reason */
  REASON: 10,
  /** u32 the command it answers, 0 = none */
  COMMAND_ID: 12,
  /** u32 connection (our token), 0 = none */
  TOKEN: 16,
  /** u32 path id, 0 = unknown */
  PATH: 20,
  /** u32 subflow's number within its connection (0 = initial) */
  SUBFLOW: 24,
  /** u32 by kind: see EventKind */
  VALUE: 28,
  /** u64 by kind */
  VALUE64: 32,
  /** u16 */
  LOCAL_PORT: 40,
  /** u16 */
  REMOTE_PORT: 42,
  /** u8 our address id */
  LOCAL_ID: 44,
  /** u8 the peer's address id */
  REMOTE_ID: 45,
  /** u8 1 = backup */
  BACKUP: 46,
  /** u8 1 = we opened it */
  OPENER: 47,
  /** u8[16] */
  LOCAL: 48,
  /** u8[16] */
  REMOTE: 64,
  /** u32 the connection's serial number, never reused */
  SERIAL: 80,
} as const;

/** EventRecord.KIND, in mptcpd's words where it has one. */
export const EventKind = {
  /** handshake began (LOCAL, REMOTE: the host's tuple) */
  NEW_CONNECTION: 1,
  /** MPTCP is agreed; VALUE = the peer's token */
  CONNECTION_ESTABLISHED: 2,
  /** state is gone; VALUE64 = payload octets in both directions */
  CONNECTION_CLOSED: 3,
  /** plain TCP from here on, REASON says why */
  CONNECTION_FALLBACK: 4,
  /** join completed on PATH */
  NEW_SUBFLOW: 5,
  /** REASON says why */
  SUBFLOW_CLOSED: 6,
  /** the peer sent MP_PRIO; BACKUP */
  SUBFLOW_PRIORITY: 7,
  /** ADD_ADDR from the peer (REMOTE, REMOTE_ID) */
  NEW_ADDRESS: 8,
  /** REMOVE_ADDR from the peer (REMOTE_ID) */
  ADDRESS_REMOVED: 9,
  /** PATH = new path, VALUE = old path */
  HANDOVER_STARTED: 10,
  /** PATH carries new data; VALUE = microseconds since it started */
  HANDOVER_DONE: 11,
  /** REASON */
  HANDOVER_FAILED: 12,
  /** REASON NONE = done; VALUE = connections concerned, VALUE64 = of them failed */
  COMMAND_DONE: 13,
  /** LOCAL is in use by a converted connection: VALUE = 1 first, 0 last */
  PARK_ADDRESS: 14,
  /** REASON */
  JOIN_FAILED: 15,
  /** VALUE 1 = silent with octets in flight, 0 = heard again */
  SUBFLOW_STALE: 16,
  /** our host was shown an MTU for its route to REMOTE, which it should forget soon */
  HOST_KICKED: 17,
  /** PATH carries its data now, REASON why; VALUE = microseconds without payload, 0 = was idle */
  CONNECTION_MOVED: 18,
} as const;
export type EventKind = (typeof EventKind)[keyof typeof EventKind];

/** Why: in events and command answers. */
export const Reason = {
  NONE: 0,
  /** fallback: the peer does not speak MPTCP v1 */
  NO_MPTCP_IN_SYNACK: 1,
  /** fallback: third ACK without MP_CAPABLE or with a wrong key */
  NO_MPTCP_IN_ACK: 2,
  /** fallback or reset: data without a mapping */
  NO_DSS: 3,
  /** fallback asked by the peer */
  INFINITE_MAPPING: 4,
  /** fallback: SYNs with MP_CAPABLE were not answered */
  SYN_RETRIES: 5,
  MIDDLEBOX: 6,
  /** FIN */
  PEER_CLOSED: 7,
  /** RST */
  PEER_RESET: 8,
  FASTCLOSE: 9,
  HOST_RESET: 10,
  /** REMOVE_ADDR or command */
  REMOVED: 11,
  PATH_DOWN: 12,
  TIMEOUT: 13,
  BAD_HMAC: 14,
  NO_TOKEN: 15,
  /** a maximum is reached */
  LIMIT: 16,
  /** unknown path */
  NO_PATH: 17,
  /** path is down or has no address of the family */
  PATH_NOT_USABLE: 18,
  /** the peer has no address that this path reaches */
  NO_REMOTE_ADDRESS: 19,
  NO_CONNECTION: 20,
  /** connection still in handshake, closing or fallen back */
  NOT_ESTABLISHED: 21,
  /** only the end that opened the connection can join; the peer has been told our addresses */
  PEER_OPENS: 22,
  SHUTDOWN: 23,
  /** ended in the ordinary way */
  CLOSED: 24,
  /** a hole that can never be filled */
  POISONED: 25,
  NO_ENTROPY: 26,
  /** a new SYN on the same tuple */
  REPLACED: 27,
  /** already there */
  EXISTS: 28,
  NOT_BUILT: 29,
  /** a mapping's octets were altered on their way (RFC 8684 §3.7) */
  CHECKSUM: 30,
  /** a router says so (ICMP) */
  UNREACHABLE: 31,
  /** the path is about to be left */
  DRAINING: 32,
  /** a policy or the order of preference wants it so */
  POLICY: 33,
  /** a handover was ordered */
  COMMAND: 34,
  /** MP_PRIO of the peer */
  PEER_PREFERS: 35,
} as const;
export type Reason = (typeof Reason)[keyof typeof Reason];

/** Struct of one trace record: one packet with payload or acknowledgement, on either side. */
export const TraceRecord = {
  /** u64 */
  TIME_US: 0,
  /** u64 first payload octet, data level (64 bit, relative to IDSN + 1) */
  DSN: 8,
  /** u64 data-level acknowledgement (relative to the peer's IDSN + 1) */
  DAN: 16,
  /** u32 */
  TOKEN: 24,
  /** u32 payload octets */
  LENGTH: 28,
  /** u32 relative to the subflow's initial number */
  SSN: 32,
  /** u32 relative likewise */
  SAN: 36,
  /** u32 relative to the host's or peer's initial number */
  TSN: 40,
  /** u32 relative likewise */
  TAN: 44,
  /** u32 octets */
  WINDOW: 48,
  /** u16 path id */
  PATH: 52,
  /** u16 subflow's number within its connection */
  SUBFLOW: 54,
  /** u8 0 = sent on the subflow, 1 = received on the subflow */
  SIDE: 56,
  /** u8 TraceFlag bits */
  FLAGS: 57,
} as const;

/** Bits of TraceRecord.FLAGS. */
export const TraceFlag = {
  HAS_DSN: 1,
  HAS_DAN: 2,
  RETRANSMISSION: 4,
  DATA_FIN: 8,
  /** made by the engine, not by a host */
  FORGED: 16,
} as const;
export type TraceFlag = (typeof TraceFlag)[keyof typeof TraceFlag];

/** Kind of a snapshot record: the first u16 of each. */
export const SnapshotKind = {
  CONNECTION: 1,
  /** belongs to the connection before it */
  SUBFLOW: 2,
  PATH: 3,
  /** only behind STATISTICS_CURSOR */
  CLASS: 4,
} as const;
export type SnapshotKind = (typeof SnapshotKind)[keyof typeof SnapshotKind];

/** Struct of a connection in a snapshot. */
export const SnapshotConnection = {
  /** u16 */
  KIND: 0,
  /** u16 ConnectionState */
  STATE: 2,
  /** u32 ours */
  TOKEN: 4,
  /** u32 */
  PEER_TOKEN: 8,
  /** u32 */
  SERIAL: 12,
  /** u32 */
  CLASS: 16,
  /** u32 */
  ACTIVE_PATH: 20,
  /** u32 0 = none */
  PINNED_PATH: 24,
  /** u32 */
  SUBFLOWS: 28,
  /** u8[16] the host's address */
  LOCAL: 32,
  /** u8[16] */
  REMOTE: 48,
  /** u16 */
  LOCAL_PORT: 64,
  /** u16 */
  REMOTE_PORT: 66,
  /** u8 1 = our host opened it */
  OPENER: 68,
  /** u64 payload from the host, first transmissions */
  BYTES_SENT: 72,
  /** u64 payload that the host has acknowledged, each octet once */
  BYTES_RECEIVED: 80,
  /** u64 */
  CREATED_US: 88,
  /** u64 sent and not data-acked */
  BYTES_UNACKED: 96,
  /** u32 */
  SEND_RUNS: 104,
  /** u32 */
  HANDOVERS: 108,
} as const;

/** Struct of a subflow in a snapshot. */
export const SnapshotSubflow = {
  /** u16 */
  KIND: 0,
  /** u16 SubflowState */
  STATE: 2,
  /** u32 */
  PATH: 4,
  /** u32 within its connection, 0 = initial */
  NUMBER: 8,
  /** u32 SubflowFlag bits */
  FLAGS: 12,
  /** u8[16] */
  LOCAL: 16,
  /** u8[16] */
  REMOTE: 32,
  /** u16 */
  LOCAL_PORT: 48,
  /** u16 */
  REMOTE_PORT: 50,
  /** u8 */
  LOCAL_ID: 52,
  /** u8 */
  REMOTE_ID: 53,
  /** u32 0 = unknown */
  SRTT_US: 56,
  /** u32 */
  RTTVAR_US: 60,
  /** u64 payload, with retransmissions */
  BYTES_SENT: 64,
  /** u64 */
  BYTES_RECEIVED: 72,
  /** u64 */
  PACKETS_SENT: 80,
  /** u64 */
  PACKETS_RECEIVED: 88,
  /** u64 octets */
  RETRANSMITTED: 96,
  /** u32 */
  MIN_RTT_US: 104,
  /** u32 */
  RECV_RUNS: 108,
  /** u64 */
  CREATED_US: 112,
} as const;

/** Bits of SnapshotSubflow.FLAGS. */
export const SubflowFlag = {
  /** carries our new data */
  ACTIVE: 1,
  /** we asked the peer not to use it */
  BACKUP: 2,
  /** the peer asked us not to use it */
  PEER_BACKUP: 4,
  /** silent with octets in flight: new data goes elsewhere */
  STALE: 8,
  /** the peer has shown a hole on it that can never be filled: new data goes elsewhere, its end is near */
  POISONED: 16,
  /** we sent its SYN */
  OPENER: 32,
  INITIAL: 64,
} as const;
export type SubflowFlag = (typeof SubflowFlag)[keyof typeof SubflowFlag];

/** Struct of a path in a snapshot. What is counted is counted over all its subflows, also those that are gone. */
export const SnapshotPath = {
  /** u16 */
  KIND: 0,
  /** u16 1 = up */
  STATE: 2,
  /** u32 */
  ID: 4,
  /** u32 PathFlag bits */
  FLAGS: 8,
  /** u32 */
  INTERFACE: 12,
  /** u32 */
  MTU: 16,
  /** u32 */
  SUBFLOWS: 20,
  /** u8[16] */
  ADDRESS4: 24,
  /** u8[16] */
  ADDRESS6: 40,
  /** u64 payload, with retransmissions */
  BYTES_SENT: 56,
  /** u64 */
  BYTES_RECEIVED: 64,
  /** u32 estimate over the samples of all its subflows (RFC 6298); 0 = unknown */
  SRTT_US: 72,
  /** u32 */
  RTTVAR_US: 76,
  /** u32 smallest sample of the last 5 to 10 s in which there were any; 0 = unknown */
  MIN_RTT_US: 80,
  /** u32 octets sent and not acknowledged on their subflow */
  IN_FLIGHT: 84,
  /** u64 when an established subflow was last heard; 0 = never */
  LAST_ACK_US: 88,
  /** u64 octets that the peer has acknowledged on their subflow, a FIN counts as one */
  BYTES_ACKED: 96,
  /** u64 of BYTES_SENT */
  BYTES_RETRANSMITTED: 104,
  /** u64 with payload */
  PACKETS_SENT: 112,
  /** u64 of PACKETS_SENT */
  PACKETS_RETRANSMITTED: 120,
  /** u64 with payload */
  PACKETS_RECEIVED: 128,
  /** u64 of PACKETS_RECEIVED: the peer sent them again though they had come */
  PACKETS_REPEATED: 136,
} as const;

/** Struct of a class in a snapshot. */
export const SnapshotClass = {
  /** u16 */
  KIND: 0,
  /** u32 */
  ID: 4,
  /** u32 live ones: MPTCP is agreed on, and they are not closing */
  CONNECTIONS: 8,
  /** u64 payload of our hosts that the peers have acknowledged, each octet once, a FIN counts as one */
  BYTES_ACKED: 16,
  /** u64 payload that our hosts have acknowledged, each octet once */
  BYTES_RECEIVED: 24,
  /** u32[33] of CONNECTIONS: how many send new data on path i; 0 = on none, or on no known path */
  ACTIVE_ON: 56,
} as const;

/** State of a connection: RFC 9293 names for the handshake, RFC 8684 §3.3.3 (M_…) afterwards. */
export const ConnectionState = {
  FREE: 0,
  /** the host's SYN went out with MP_CAPABLE */
  SYN_SENT: 1,
  /** a SYN with MP_CAPABLE went to the host */
  SYN_RECEIVED: 2,
  M_ESTAB: 3,
  /** a DATA_FIN or FIN has been seen in either direction; RFC states follow from the two halves */
  M_CLOSING: 4,
  /** both directions closed and acknowledged; subflows say good-bye */
  M_TIME_WAIT: 5,
  /** plain TCP, with our conversion still stripping */
  FALLBACK: 6,
} as const;
export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];

/** State of a subflow (RFC 9293 names; PRE_ESTABLISHED of RFC 8684 §3.2). */
export const SubflowState = {
  FREE: 0,
  SYN_SENT: 1,
  SYN_RECEIVED: 2,
  /** third ACK sent, fourth not seen: no data */
  PRE_ESTABLISHED: 3,
  ESTABLISHED: 4,
  /** our FIN is out */
  FIN_WAIT: 5,
  TIME_WAIT: 6,
} as const;
export type SubflowState = (typeof SubflowState)[keyof typeof SubflowState];

/** Why a packet was dropped; counter DROP_COUNTER_BASE + reason. */
export const DropReason = {
  NONE: 0,
  /** lengths, version or header checksum */
  IP_MALFORMED: 1,
  /** data offset or length */
  TCP_MALFORMED: 2,
  /** only where a converted connection needs them */
  TCP_OPTIONS_MALFORMED: 3,
  TCP_CHECKSUM: 4,
  /** an IP fragment of a converted connection */
  FRAGMENT: 5,
  /** longer than the queue can carry */
  TRUNCATED: 6,
  /** would outgrow 65,531 octets */
  TOO_LONG: 7,
  CONNECTIONS_FULL: 8,
  SUBFLOWS_FULL: 9,
  SEND_TABLE_FULL: 10,
  RECV_TABLE_FULL: 11,
  MAP_LOG_FULL: 12,
  OUTBOX_FULL: 13,
  /** payload without a DSS that covers it */
  NO_MAPPING: 14,
  /** sequence number outside the subflow's or connection's window */
  OUT_OF_WINDOW: 15,
  /** payload below TAN, acknowledged by the engine itself */
  DUPLICATE: 16,
  /** for the engine only: control options, subflow handshake, probes */
  CONSUMED: 17,
  JOIN_NO_TOKEN: 18,
  JOIN_BAD_HMAC: 19,
  JOIN_LIMIT: 20,
  /** nothing to send on until a path comes back */
  NO_USABLE_SUBFLOW: 21,
  /** data on a subflow whose handshake is not complete */
  NOT_ESTABLISHED: 22,
  FASTCLOSE_BAD_KEY: 23,
  RST_OUT_OF_WINDOW: 24,
  /** says nothing that the host does not know */
  ACK_REDUNDANT: 25,
  /** for a subflow that is gone */
  SUBFLOW_CLOSED: 26,
  /** replaced by packets in the outbox */
  SUPERSEDED: 27,
  SHUTDOWN: 28,
  /** outside the batch region */
  BAD_DESCRIPTOR: 29,
  /** ADD_ADDR */
  CONTROL_OPTION_BAD_HMAC: 30,
  NO_ENTROPY: 31,
  /** the packet's mapping has a wrong checksum */
  DSS_CHECKSUM: 32,
  /** an error about a subflow that quotes nothing in flight there, or does not fit what it quotes */
  ICMP_IGNORED: 33,
} as const;
export type DropReason = (typeof DropReason)[keyof typeof DropReason];

/** Index of each counter that is not a drop reason. */
export const Counter = {
  /** from the own host */
  PACKETS_TCP: 0,
  /** from the wire */
  PACKETS_SUBFLOW: 1,
  BYTES_TCP: 2,
  BYTES_SUBFLOW: 3,
  ACCEPTED_UNTOUCHED: 4,
  REWRITTEN: 5,
  DROPPED: 6,
  OUTBOX_WIRE: 7,
  OUTBOX_HOST: 8,
  CONNECTIONS_OPENED: 9,
  CONNECTIONS_ESTABLISHED: 10,
  CONNECTIONS_CLOSED: 11,
  FALLBACKS: 12,
  SUBFLOWS_OPENED: 13,
  SUBFLOWS_CLOSED: 14,
  JOINS_SENT: 15,
  JOINS_RECEIVED: 16,
  HANDOVERS: 17,
  DAN_PULLS: 18,
  /** packets from the host below what it had sent */
  HOST_RETRANSMISSIONS: 19,
  PEER_RETRANSMISSIONS: 20,
  ACKS_FORGED: 21,
  ADD_ADDR_SENT: 22,
  ADD_ADDR_RECEIVED: 23,
  REMOVE_ADDR_SENT: 24,
  REMOVE_ADDR_RECEIVED: 25,
  MP_PRIO_SENT: 26,
  MP_PRIO_RECEIVED: 27,
  FASTCLOSE_SENT: 28,
  FASTCLOSE_RECEIVED: 29,
  DATA_FIN_SENT: 30,
  DATA_FIN_RECEIVED: 31,
  /** the host speaks MPTCP itself */
  NATIVE_MPTCP_BYPASSED: 32,
  TICKS: 33,
  TIMERS_FIRED: 34,
  HALF_OPEN_EVICTED: 35,
  SACK_BLOCKS_PROJECTED: 36,
  PACKETS_SPLIT: 37,
  /** sent again with a fresh SSN on another subflow */
  REINJECTED: 38,
  TRACE_LOST: 39,
  SET_OPERATIONS_LOST: 40,
  /** payload from hosts, first transmissions */
  BYTES_SENT: 41,
  /** payload that hosts have acknowledged, each octet once */
  BYTES_RECEIVED: 42,
  TRANSITION_SACKS_HELD: 43,
  /** acknowledgements to the host that were given in steps after a switch */
  TAN_STEPS: 44,
  /** hosts made to send again at once after a break (ICMP) */
  KICKS: 45,
  /** fell silent with octets in flight */
  SUBFLOWS_STALE: 46,
  /** closed for a hole that could never be filled */
  SUBFLOWS_POISONED: 47,
  /** mappings of peers whose octets do not have their checksum */
  CHECKSUM_ERRORS: 48,
  MP_FAIL_RECEIVED: 49,
  /** errors about subflows, given to the host in its own numbers */
  ICMP_TRANSLATED: 50,
  /** hosts told that their segments are too long for the subflow that is to carry them (ICMP) */
  MTU_SHOWN: 51,
  /** questions to idle paths for their round trip */
  PATH_PROBES: 52,
} as const;
export type Counter = (typeof Counter)[keyof typeof Counter];
