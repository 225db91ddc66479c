//! Generated from assembly/abi.ts by scripts/abi-generate.ts. Do not edit.
#![allow(dead_code)]

/// Version of this ABI; init() refuses another.
pub const ABI_VERSION: u32 = 1;

/// First octet behind the guard and asc's static data.
pub const FIXED_START: u32 = 65536;

/// Region of one EngineHeader.
pub const HEADER: u32 = 65536;
pub const HEADER_SIZE: u32 = 512;

/// Region of one EngineConfig, written before init().
pub const CONFIG: u32 = 66048;
pub const CONFIG_SIZE: u32 = 512;

/// Region of u64 counters: Counter.* first, then one per DropReason from DROP_COUNTER_BASE on.
pub const COUNTERS: u32 = 66560;
pub const COUNTER_MAX: u32 = 256;
pub const DROP_COUNTER_BASE: u32 = 128;

/// Packets per process() call at most.
pub const BATCH_MAX: u32 = 64;

/// Region of packet descriptors (struct Descriptor).
pub const DESCRIPTORS: u32 = 68608;
pub const DESCRIPTOR_SIZE: u32 = 64;

/// Region of commands (struct Command), read by command(count).
pub const COMMANDS: u32 = 72704;
pub const COMMAND_MAX: u32 = 64;
pub const COMMAND_SIZE: u32 = 128;

/// Region of kernel set operations (struct SetOperation), to be carried out before any verdict or outbox packet of the same call leaves.
pub const SET_OPERATIONS: u32 = 80896;
pub const SET_OPERATION_MAX: u32 = 512;
pub const SET_OPERATION_SIZE: u32 = 64;

/// Region of trace records (struct TraceRecord) made by the last call.
pub const TRACE: u32 = 113664;
pub const TRACE_MAX: u32 = 1024;
pub const TRACE_RECORD_SIZE: u32 = 64;

/// Region of outbox descriptors (struct OutboxEntry) and, behind it, the octets of the packets.
pub const OUTBOX: u32 = 179200;
pub const OUTBOX_MAX: u32 = 2048;
pub const OUTBOX_ENTRY_SIZE: u32 = 16;
pub const OUTBOX_DATA: u32 = 211968;
pub const OUTBOX_DATA_SIZE: u32 = 2097152;

/// Ring of events (struct EventRecord); indices in the header count up for ever, slot = index % EVENT_MAX.
pub const EVENTS: u32 = 2309120;
pub const EVENT_MAX: u32 = 4096;
pub const EVENT_SIZE: u32 = 128;

/// Region that snapshot(cursor) fills with records (struct SnapshotConnection, SnapshotSubflow, SnapshotPath, SnapshotClass).
pub const SNAPSHOT: u32 = 2833408;
pub const SNAPSHOT_SIZE: u32 = 131072;
pub const SNAPSHOT_RECORD_SIZE: u32 = 192;

/// Cursor of the one page that names paths and classes only: what it costs does not grow with the connections.
pub const STATISTICS_CURSOR: u32 = 4294967295;

/// The engine's own working space.
pub const SCRATCH: u32 = 2964480;
pub const SCRATCH_SIZE: u32 = 16384;

/// Pool of octets from a CSPRNG; the embedder keeps it full, EngineHeader.ENTROPY_COUNT says how many are left (taken from the end).
pub const ENTROPY: u32 = 2980864;
pub const ENTROPY_SIZE: u32 = 4096;

/// Slots for received packets. A packet may lie anywhere in its slot behind SLOT_HEADROOM; headers grow left into what is before it.
pub const BATCH: u32 = 3407872;
pub const SLOT_SIZE: u32 = 69632;
pub const SLOT_HEADROOM: u32 = 128;

/// First octet of what init() lays out.
pub const SLABS_START: u32 = 7864320;

/// Octets that init() lays out at most: SLABS_FIXED_COST + connections × CONNECTION_COST + subflows × SUBFLOW_COST + runs × RUN_COST; the embedder sizes the memory so.
pub const SLABS_FIXED_COST: u32 = 131072;
pub const CONNECTION_COST: u32 = 704;
pub const SUBFLOW_COST: u32 = 512;
pub const RUN_COST: u32 = 32;

/// u32 field value for "none".
pub const NONE: u32 = 4294967295;

/// Paths an engine knows at most; path ids are 1 … PATH_MAX.
pub const PATH_MAX: u32 = 32;

/// Classes at most; ids are 0 … CLASS_MAX - 1, 0 is the default one.
pub const CLASS_MAX: u32 = 64;

/// Rules of the classifier at most.
pub const CLASS_RULES_MAX: u32 = 256;

/// Struct at HEADER.
pub mod engine_header {
    /// u64 in: monotonic time in microseconds, set before every call
    pub const NOW_US: u32 = 0;
    /// u64 out: call tick() at this time at the latest; all ones = never
    pub const NEXT_DEADLINE_US: u32 = 8;
    /// u32 in/out: octets left in the entropy pool
    pub const ENTROPY_COUNT: u32 = 16;
    /// u32 out: packets in the outbox; the embedder sends them and need not reset it
    pub const OUTBOX_COUNT: u32 = 20;
    /// u32 out: set operations of the last call
    pub const SET_OPERATION_COUNT: u32 = 24;
    /// u32 out: trace records of the last call
    pub const TRACE_COUNT: u32 = 28;
    /// u32 out: events ever written
    pub const EVENT_HEAD: u32 = 32;
    /// u32 in: events ever read by the embedder
    pub const EVENT_TAIL: u32 = 36;
    /// u32 out: oldest events overwritten before they were read
    pub const EVENTS_LOST: u32 = 40;
    /// u32 out: octets that snapshot() wrote
    pub const SNAPSHOT_LENGTH: u32 = 44;
    /// u32 out: cursor for the next page, 0 = that was all
    pub const SNAPSHOT_NEXT: u32 = 48;
    /// u32 out: first octet behind what init() laid out
    pub const SLABS_END: u32 = 52;
    /// u32 out: live connections
    pub const CONNECTIONS: u32 = 56;
    /// u32 out: live subflows
    pub const SUBFLOWS: u32 = 60;
    /// u32 out: free slots in the run slab
    pub const RUNS_FREE: u32 = 64;
}

/// Struct at CONFIG. Zero means the default where one is named.
pub mod engine_config {
    /// u32
    pub const ABI_VERSION: u32 = 0;
    /// u32 0 host, 1 anchor (not built yet)
    pub const ROLE: u32 = 4;
    /// u32 capacity
    pub const CONNECTIONS: u32 = 8;
    /// u32 capacity
    pub const SUBFLOWS: u32 = 12;
    /// u32 capacity of the shared run slab (32 octets each)
    pub const RUNS: u32 = 16;
    /// u32 connections in handshake at most; the oldest makes room; default 1/4 of CONNECTIONS
    pub const HALF_OPEN_MAX: u32 = 20;
    /// u32 first source port of subflows that we open, default 61001
    pub const PORT_FIRST: u32 = 24;
    /// u32 last one, default 65535
    pub const PORT_LAST: u32 = 28;
    /// u32 ConfigFlag bits
    pub const FLAGS: u32 = 32;
    /// u32 SYN retransmissions that still carry MP_CAPABLE, default 2 (RFC 8684 §3.1)
    pub const SYN_MPC_RETRIES: u32 = 36;
    /// u32 how long a connection waits for a subflow, default 60000 (Linux close_timeout)
    pub const REJOIN_GRACE_MS: u32 = 40;
    /// u32 default 8
    pub const SUBFLOWS_PER_CONNECTION_MAX: u32 = 44;
    /// u32 this shard's number
    pub const SHARD: u32 = 48;
    /// u32 default 1
    pub const SHARD_COUNT: u32 = 52;
}

/// Bits of EngineConfig.FLAGS.
pub mod config_flag {
    /// announce our other addresses with ADD_ADDR
    pub const ADVERTISE: u32 = 1;
    /// the embedder keeps kernel sets: emit set operations
    pub const SET_OPERATIONS: u32 = 2;
    /// active-standby joins every usable path in advance
    pub const STANDBY: u32 = 4;
    /// demand checksums of mappings from every peer (RFC 8684 §3.3); else only those who demand them get any
    pub const CHECKSUM: u32 = 8;
    /// the peer may send on every subflow, not only on the one that we send on
    pub const RECEIVE_ON_ALL: u32 = 16;
}

/// Status that init, process, tick, command, snapshot and salvage return.
pub mod status {
    pub const OK: u32 = 0;
    /// config or header of another version
    pub const BAD_ABI: u32 = 1;
    /// a value out of range
    pub const BAD_CONFIG: u32 = 2;
    /// memory too small for the capacity asked
    pub const NO_MEMORY: u32 = 3;
    /// count above the region's maximum
    pub const BAD_COUNT: u32 = 4;
    /// reserved role
    pub const NOT_BUILT: u32 = 5;
    /// salvage() is not done yet: send what it made and call it again
    pub const MORE: u32 = 6;
}

/// Struct of one packet of a batch: the fields up to FLAGS are input, the rest output.
pub mod descriptor {
    /// u32 in: address of the first octet of the IP header
    pub const OFFSET: u32 = 0;
    /// u32 in: octets of the packet
    pub const LENGTH: u32 = 4;
    /// u32 in: Hook, which side the packet comes from
    pub const HOOK: u32 = 8;
    /// u32 in: interface index it came in by or leaves by
    pub const INTERFACE: u32 = 12;
    /// u32 in: the packet's mark
    pub const MARK: u32 = 16;
    /// u32 in: PacketFlag bits
    pub const FLAGS: u32 = 20;
    /// u32 out: Verdict
    pub const VERDICT: u32 = 24;
    /// u32 out: address of the rewritten packet
    pub const OUT_OFFSET: u32 = 28;
    /// u32 out: its octets
    pub const OUT_LENGTH: u32 = 32;
    /// u32 out: DropReason with Verdict.DROP
    pub const DROP_REASON: u32 = 36;
    /// u32 out: queue number with Verdict.QUEUE
    pub const QUEUE: u32 = 40;
    /// u32 in: user of the local socket, with PacketFlag.UID
    pub const UID: u32 = 44;
}

/// Netfilter hook a packet was queued in (numbers of linux/netfilter.h).
pub mod hook {
    pub const PREROUTING: u32 = 0;
    /// from the wire: subflow side of a host
    pub const LOCAL_IN: u32 = 1;
    pub const FORWARD: u32 = 2;
    /// from the own host: TCP side of a host
    pub const LOCAL_OUT: u32 = 3;
    pub const POSTROUTING: u32 = 4;
}

/// Bits of Descriptor.FLAGS. The first three are NFQA_SKB_INFO.
pub mod packet_flag {
    /// TCP checksum field holds the pseudo-header sum only (valid, not filled in)
    pub const CHECKSUM_NOT_READY: u32 = 1;
    /// super-packet
    pub const GSO: u32 = 2;
    /// nobody has verified the TCP checksum yet
    pub const CHECKSUM_NOT_VERIFIED: u32 = 4;
    /// the kernel had more octets than it gave (NFQA_CAP_LEN): never a payload verdict
    pub const TRUNCATED: u32 = 8;
    /// Descriptor.UID is known
    pub const UID: u32 = 16;
}

/// What the embedder does with a packet.
pub mod verdict {
    pub const DROP: u32 = 0;
    /// as it was
    pub const ACCEPT: u32 = 1;
    /// with the octets at OUT_OFFSET/OUT_LENGTH
    pub const ACCEPT_REWRITTEN: u32 = 2;
    /// to queue QUEUE, as it was (another shard's packet)
    pub const QUEUE: u32 = 3;
}

/// Struct of one packet that the engine made itself.
pub mod outbox_entry {
    /// u32 address of the first octet of the IP header
    pub const OFFSET: u32 = 0;
    /// u32 octets, never more than the path's MTU
    pub const LENGTH: u32 = 4;
    /// u32 Direction
    pub const DIRECTION: u32 = 8;
}

/// Where an outbox packet goes.
pub mod direction {
    /// out by the route of its source address
    pub const WIRE: u32 = 0;
    /// to the own host: destination is a local address
    pub const HOST: u32 = 1;
}

/// Struct of one operation on the kernel's sets of tuples. A set's key is (opener address, opener port, other address).
pub mod set_operation {
    /// u8 SetOperationKind
    pub const KIND: u32 = 0;
    /// u8 4 or 6
    pub const FAMILY: u32 = 1;
    /// u16 the opener's port
    pub const PORT: u32 = 2;
    /// `u8[16]` address of the end that sent the SYN
    pub const OPENER: u32 = 16;
    /// `u8[16]` address of the other end
    pub const OTHER: u32 = 32;
}

/// SetOperation.KIND
pub mod set_operation_kind {
    /// queued without bypass from now on
    pub const ADD_CONVERTED: u32 = 1;
    pub const DELETE_CONVERTED: u32 = 2;
    /// not queued any more, but for SYNs
    pub const ADD_BYPASS: u32 = 3;
    pub const DELETE_BYPASS: u32 = 4;
}

/// Struct of one command, host → engine.
pub mod command {
    /// u32 echoed by every event that answers
    pub const ID: u32 = 0;
    /// u16 CommandKind
    pub const KIND: u32 = 4;
    /// u8 Scope
    pub const SCOPE: u32 = 6;
    /// u8 HandoverMode, or 1/0 for on/off
    pub const MODE: u32 = 7;
    /// u32 connection with Scope.CONNECTION
    pub const TOKEN: u32 = 8;
    /// u32 class id with Scope.CLASS; 0 is the default class
    pub const CLASS: u32 = 12;
    /// u32 path id
    pub const PATH: u32 = 16;
    /// u32 PathFlag bits with PATH_SET
    pub const FLAGS: u32 = 20;
    /// u32 PATH_SET: the interface's MTU
    pub const MTU: u32 = 24;
    /// u32 PATH_SET: interface index
    pub const INTERFACE: u32 = 28;
    /// u8 PATH_SET: prefix length of ADDRESS4
    pub const PREFIX4: u32 = 32;
    /// u8 PATH_SET: prefix length of ADDRESS6
    pub const PREFIX6: u32 = 33;
    /// u32 HANDOVER: give up after this time
    pub const TIMEOUT_MS: u32 = 36;
    /// `u8[16]` PATH_SET: v4-mapped, all zero = none
    pub const ADDRESS4: u32 = 40;
    /// `u8[16]` PATH_SET: global IPv6 address, all zero = none
    pub const ADDRESS6: u32 = 56;
    /// u32 CLASS_SET: how many of PREFER count
    pub const PREFER_COUNT: u32 = 72;
    /// `u8[32]` CLASS_SET: path ids, most preferred first
    pub const PREFER: u32 = 76;
    /// u32 CLASS_SET: the paths that may be joined, bit (path - 1); 0 = all
    pub const ALLOWED: u32 = 108;
    /// u32 CLASS_INTENT: paths to be joined as backup, bit (path - 1)
    pub const STANDBY: u32 = 112;
    /// u32 CLASS_INTENT: paths to be joined
    pub const OPEN: u32 = 116;
    /// u32 CLASS_INTENT: paths to be left, once a connection goes on elsewhere
    pub const CLOSE: u32 = 120;
    /// u32 CLASS_SET: idle paths of its connections are asked this often for their round trip; 0 = never
    pub const PROBE_MS: u32 = 124;
}

/// Struct of a rule of the classifier, in a command CLASS_RULE. Command.CLASS is the class that it gives.
pub mod class_rule {
    /// u32 its place: the first rule that matches gives the class
    pub const INDEX: u32 = 40;
    /// u32 how many rules there will be; the last of them (INDEX = COUNT - 1) puts all into force at once
    pub const COUNT: u32 = 44;
    /// u32 ClassRuleFlag bits: what must hold
    pub const FLAGS: u32 = 48;
    /// u16 of either end
    pub const PORT_FIRST: u32 = 52;
    /// u16
    pub const PORT_LAST: u32 = 54;
    /// u32 bits of the 16 octets that count: 96 more than usual with IPv4
    pub const PREFIX_LENGTH: u32 = 56;
    /// u32 of the local socket
    pub const UID_FIRST: u32 = 60;
    /// u32
    pub const UID_LAST: u32 = 64;
    /// `u8[16]` of the peer's address
    pub const PREFIX: u32 = 72;
}

/// Bits of ClassRule.FLAGS.
pub mod class_rule_flag {
    pub const PORTS: u32 = 1;
    pub const PREFIX: u32 = 2;
    pub const UIDS: u32 = 4;
}

/// Command.KIND
pub mod command_kind {
    /// create or change path PATH
    pub const PATH_SET: u32 = 1;
    /// its subflows are abandoned
    pub const PATH_REMOVE: u32 = 2;
    /// class CLASS has the native policy, with these preferences and these paths
    pub const CLASS_SET: u32 = 3;
    /// move what SCOPE names to PATH (MODE), pinned
    pub const HANDOVER: u32 = 4;
    /// unpin what SCOPE names
    pub const HANDOVER_AUTO: u32 = 5;
    /// join PATH for connection TOKEN
    pub const SUBFLOW_ADD: u32 = 6;
    /// close the subflow of connection TOKEN on PATH
    pub const SUBFLOW_REMOVE: u32 = 7;
    /// end conversion of everything, in bounded steps; answered when nothing is left
    pub const SHUTDOWN: u32 = 8;
    /// MODE 1/0: trace records for what SCOPE names
    pub const TRACE: u32 = 9;
    /// a rule of the classifier (struct ClassRule), no COUNT: none any more; the last one is answered
    pub const CLASS_RULE: u32 = 10;
    /// what a policy wants of class CLASS till the next one or CLASS_SET: new data on PATH, 0 = no wish
    pub const CLASS_INTENT: u32 = 11;
}

/// Command.SCOPE
pub mod scope {
    pub const ALL: u32 = 0;
    pub const CLASS: u32 = 1;
    pub const CONNECTION: u32 = 2;
}

/// Command.MODE of HANDOVER
pub mod handover_mode {
    pub const MAKE_BEFORE_BREAK: u32 = 0;
    pub const BREAK_BEFORE_MAKE: u32 = 1;
}

/// Bits of Command.FLAGS with PATH_SET.
pub mod path_flag {
    /// carrier and an address
    pub const UP: u32 = 1;
    /// subflows on it are joined with B and used only if nothing else is left
    pub const BACKUP: u32 = 2;
    /// has an IPv4 gateway: reaches beyond its prefix
    pub const GATEWAY4: u32 = 4;
    pub const GATEWAY6: u32 = 8;
    /// never join on it by ourselves
    pub const NO_JOIN: u32 = 16;
    /// about to be left: never joined nor announced, whoever wishes it
    pub const DRAINING: u32 = 32;
}

/// Struct of one event, engine → host.
pub mod event_record {
    /// u64
    pub const TIME_US: u32 = 0;
    /// u16 EventKind
    pub const KIND: u32 = 8;
    /// u16 Reason
    pub const REASON: u32 = 10;
    /// u32 the command it answers, 0 = none
    pub const COMMAND_ID: u32 = 12;
    /// u32 connection (our token), 0 = none
    pub const TOKEN: u32 = 16;
    /// u32 path id, 0 = unknown
    pub const PATH: u32 = 20;
    /// u32 subflow's number within its connection (0 = initial)
    pub const SUBFLOW: u32 = 24;
    /// u32 by kind: see EventKind
    pub const VALUE: u32 = 28;
    /// u64 by kind
    pub const VALUE64: u32 = 32;
    /// u16
    pub const LOCAL_PORT: u32 = 40;
    /// u16
    pub const REMOTE_PORT: u32 = 42;
    /// u8 our address id
    pub const LOCAL_ID: u32 = 44;
    /// u8 the peer's address id
    pub const REMOTE_ID: u32 = 45;
    /// u8 1 = backup
    pub const BACKUP: u32 = 46;
    /// u8 1 = we opened it
    pub const OPENER: u32 = 47;
    /// `u8[16]`
    pub const LOCAL: u32 = 48;
    /// `u8[16]`
    pub const REMOTE: u32 = 64;
    /// u32 the connection's serial number, never reused
    pub const SERIAL: u32 = 80;
}

/// EventRecord.KIND, in mptcpd's words where it has one.
pub mod event_kind {
    /// handshake began (LOCAL, REMOTE: the host's tuple)
    pub const NEW_CONNECTION: u32 = 1;
    /// MPTCP is agreed; VALUE = the peer's token
    pub const CONNECTION_ESTABLISHED: u32 = 2;
    /// state is gone; VALUE64 = payload octets in both directions
    pub const CONNECTION_CLOSED: u32 = 3;
    /// plain TCP from here on, REASON says why
    pub const CONNECTION_FALLBACK: u32 = 4;
    /// join completed on PATH
    pub const NEW_SUBFLOW: u32 = 5;
    /// REASON says why
    pub const SUBFLOW_CLOSED: u32 = 6;
    /// the peer sent MP_PRIO; BACKUP
    pub const SUBFLOW_PRIORITY: u32 = 7;
    /// ADD_ADDR from the peer (REMOTE, REMOTE_ID)
    pub const NEW_ADDRESS: u32 = 8;
    /// REMOVE_ADDR from the peer (REMOTE_ID)
    pub const ADDRESS_REMOVED: u32 = 9;
    /// PATH = new path, VALUE = old path
    pub const HANDOVER_STARTED: u32 = 10;
    /// PATH carries new data; VALUE = microseconds since it started
    pub const HANDOVER_DONE: u32 = 11;
    /// REASON
    pub const HANDOVER_FAILED: u32 = 12;
    /// REASON NONE = done; VALUE = connections concerned, VALUE64 = of them failed
    pub const COMMAND_DONE: u32 = 13;
    /// LOCAL is in use by a converted connection: VALUE = 1 first, 0 last
    pub const PARK_ADDRESS: u32 = 14;
    /// REASON
    pub const JOIN_FAILED: u32 = 15;
    /// VALUE 1 = silent with octets in flight, 0 = heard again
    pub const SUBFLOW_STALE: u32 = 16;
    /// our host was shown an MTU for its route to REMOTE, which it should forget soon
    pub const HOST_KICKED: u32 = 17;
    /// PATH carries its data now, REASON why; VALUE = microseconds without payload, 0 = was idle
    pub const CONNECTION_MOVED: u32 = 18;
}

/// Why: in events and command answers.
pub mod reason {
    pub const NONE: u32 = 0;
    /// fallback: the peer does not speak MPTCP v1
    pub const NO_MPTCP_IN_SYNACK: u32 = 1;
    /// fallback: third ACK without MP_CAPABLE or with a wrong key
    pub const NO_MPTCP_IN_ACK: u32 = 2;
    /// fallback or reset: data without a mapping
    pub const NO_DSS: u32 = 3;
    /// fallback asked by the peer
    pub const INFINITE_MAPPING: u32 = 4;
    /// fallback: SYNs with MP_CAPABLE were not answered
    pub const SYN_RETRIES: u32 = 5;
    pub const MIDDLEBOX: u32 = 6;
    /// FIN
    pub const PEER_CLOSED: u32 = 7;
    /// RST
    pub const PEER_RESET: u32 = 8;
    pub const FASTCLOSE: u32 = 9;
    pub const HOST_RESET: u32 = 10;
    /// REMOVE_ADDR or command
    pub const REMOVED: u32 = 11;
    pub const PATH_DOWN: u32 = 12;
    pub const TIMEOUT: u32 = 13;
    pub const BAD_HMAC: u32 = 14;
    pub const NO_TOKEN: u32 = 15;
    /// a maximum is reached
    pub const LIMIT: u32 = 16;
    /// unknown path
    pub const NO_PATH: u32 = 17;
    /// path is down or has no address of the family
    pub const PATH_NOT_USABLE: u32 = 18;
    /// the peer has no address that this path reaches
    pub const NO_REMOTE_ADDRESS: u32 = 19;
    pub const NO_CONNECTION: u32 = 20;
    /// connection still in handshake, closing or fallen back
    pub const NOT_ESTABLISHED: u32 = 21;
    /// only the end that opened the connection can join; the peer has been told our addresses
    pub const PEER_OPENS: u32 = 22;
    pub const SHUTDOWN: u32 = 23;
    /// ended in the ordinary way
    pub const CLOSED: u32 = 24;
    /// a hole that can never be filled
    pub const POISONED: u32 = 25;
    pub const NO_ENTROPY: u32 = 26;
    /// a new SYN on the same tuple
    pub const REPLACED: u32 = 27;
    /// already there
    pub const EXISTS: u32 = 28;
    pub const NOT_BUILT: u32 = 29;
    /// a mapping's octets were altered on their way (RFC 8684 §3.7)
    pub const CHECKSUM: u32 = 30;
    /// a router says so (ICMP)
    pub const UNREACHABLE: u32 = 31;
    /// the path is about to be left
    pub const DRAINING: u32 = 32;
    /// a policy or the order of preference wants it so
    pub const POLICY: u32 = 33;
    /// a handover was ordered
    pub const COMMAND: u32 = 34;
    /// MP_PRIO of the peer
    pub const PEER_PREFERS: u32 = 35;
}

/// Struct of one trace record: one packet with payload or acknowledgement, on either side.
pub mod trace_record {
    /// u64
    pub const TIME_US: u32 = 0;
    /// u64 first payload octet, data level (64 bit, relative to IDSN + 1)
    pub const DSN: u32 = 8;
    /// u64 data-level acknowledgement (relative to the peer's IDSN + 1)
    pub const DAN: u32 = 16;
    /// u32
    pub const TOKEN: u32 = 24;
    /// u32 payload octets
    pub const LENGTH: u32 = 28;
    /// u32 relative to the subflow's initial number
    pub const SSN: u32 = 32;
    /// u32 relative likewise
    pub const SAN: u32 = 36;
    /// u32 relative to the host's or peer's initial number
    pub const TSN: u32 = 40;
    /// u32 relative likewise
    pub const TAN: u32 = 44;
    /// u32 octets
    pub const WINDOW: u32 = 48;
    /// u16 path id
    pub const PATH: u32 = 52;
    /// u16 subflow's number within its connection
    pub const SUBFLOW: u32 = 54;
    /// u8 0 = sent on the subflow, 1 = received on the subflow
    pub const SIDE: u32 = 56;
    /// u8 TraceFlag bits
    pub const FLAGS: u32 = 57;
}

/// Bits of TraceRecord.FLAGS.
pub mod trace_flag {
    pub const HAS_DSN: u32 = 1;
    pub const HAS_DAN: u32 = 2;
    pub const RETRANSMISSION: u32 = 4;
    pub const DATA_FIN: u32 = 8;
    /// made by the engine, not by a host
    pub const FORGED: u32 = 16;
}

/// Kind of a snapshot record: the first u16 of each.
pub mod snapshot_kind {
    pub const CONNECTION: u32 = 1;
    /// belongs to the connection before it
    pub const SUBFLOW: u32 = 2;
    pub const PATH: u32 = 3;
    /// only behind STATISTICS_CURSOR
    pub const CLASS: u32 = 4;
}

/// Struct of a connection in a snapshot.
pub mod snapshot_connection {
    /// u16
    pub const KIND: u32 = 0;
    /// u16 ConnectionState
    pub const STATE: u32 = 2;
    /// u32 ours
    pub const TOKEN: u32 = 4;
    /// u32
    pub const PEER_TOKEN: u32 = 8;
    /// u32
    pub const SERIAL: u32 = 12;
    /// u32
    pub const CLASS: u32 = 16;
    /// u32
    pub const ACTIVE_PATH: u32 = 20;
    /// u32 0 = none
    pub const PINNED_PATH: u32 = 24;
    /// u32
    pub const SUBFLOWS: u32 = 28;
    /// `u8[16]` the host's address
    pub const LOCAL: u32 = 32;
    /// `u8[16]`
    pub const REMOTE: u32 = 48;
    /// u16
    pub const LOCAL_PORT: u32 = 64;
    /// u16
    pub const REMOTE_PORT: u32 = 66;
    /// u8 1 = our host opened it
    pub const OPENER: u32 = 68;
    /// u64 payload from the host, first transmissions
    pub const BYTES_SENT: u32 = 72;
    /// u64 payload that the host has acknowledged, each octet once
    pub const BYTES_RECEIVED: u32 = 80;
    /// u64
    pub const CREATED_US: u32 = 88;
    /// u64 sent and not data-acked
    pub const BYTES_UNACKED: u32 = 96;
    /// u32
    pub const SEND_RUNS: u32 = 104;
    /// u32
    pub const HANDOVERS: u32 = 108;
}

/// Struct of a subflow in a snapshot.
pub mod snapshot_subflow {
    /// u16
    pub const KIND: u32 = 0;
    /// u16 SubflowState
    pub const STATE: u32 = 2;
    /// u32
    pub const PATH: u32 = 4;
    /// u32 within its connection, 0 = initial
    pub const NUMBER: u32 = 8;
    /// u32 SubflowFlag bits
    pub const FLAGS: u32 = 12;
    /// `u8[16]`
    pub const LOCAL: u32 = 16;
    /// `u8[16]`
    pub const REMOTE: u32 = 32;
    /// u16
    pub const LOCAL_PORT: u32 = 48;
    /// u16
    pub const REMOTE_PORT: u32 = 50;
    /// u8
    pub const LOCAL_ID: u32 = 52;
    /// u8
    pub const REMOTE_ID: u32 = 53;
    /// u32 0 = unknown
    pub const SRTT_US: u32 = 56;
    /// u32
    pub const RTTVAR_US: u32 = 60;
    /// u64 payload, with retransmissions
    pub const BYTES_SENT: u32 = 64;
    /// u64
    pub const BYTES_RECEIVED: u32 = 72;
    /// u64
    pub const PACKETS_SENT: u32 = 80;
    /// u64
    pub const PACKETS_RECEIVED: u32 = 88;
    /// u64 octets
    pub const RETRANSMITTED: u32 = 96;
    /// u32
    pub const MIN_RTT_US: u32 = 104;
    /// u32
    pub const RECV_RUNS: u32 = 108;
    /// u64
    pub const CREATED_US: u32 = 112;
}

/// Bits of SnapshotSubflow.FLAGS.
pub mod subflow_flag {
    /// carries our new data
    pub const ACTIVE: u32 = 1;
    /// we asked the peer not to use it
    pub const BACKUP: u32 = 2;
    /// the peer asked us not to use it
    pub const PEER_BACKUP: u32 = 4;
    /// silent with octets in flight: new data goes elsewhere
    pub const STALE: u32 = 8;
    /// the peer has shown a hole on it that can never be filled: new data goes elsewhere, its end is near
    pub const POISONED: u32 = 16;
    /// we sent its SYN
    pub const OPENER: u32 = 32;
    pub const INITIAL: u32 = 64;
}

/// Struct of a path in a snapshot. What is counted is counted over all its subflows, also those that are gone.
pub mod snapshot_path {
    /// u16
    pub const KIND: u32 = 0;
    /// u16 1 = up
    pub const STATE: u32 = 2;
    /// u32
    pub const ID: u32 = 4;
    /// u32 PathFlag bits
    pub const FLAGS: u32 = 8;
    /// u32
    pub const INTERFACE: u32 = 12;
    /// u32
    pub const MTU: u32 = 16;
    /// u32
    pub const SUBFLOWS: u32 = 20;
    /// `u8[16]`
    pub const ADDRESS4: u32 = 24;
    /// `u8[16]`
    pub const ADDRESS6: u32 = 40;
    /// u64 payload, with retransmissions
    pub const BYTES_SENT: u32 = 56;
    /// u64
    pub const BYTES_RECEIVED: u32 = 64;
    /// u32 estimate over the samples of all its subflows (RFC 6298); 0 = unknown
    pub const SRTT_US: u32 = 72;
    /// u32
    pub const RTTVAR_US: u32 = 76;
    /// u32 smallest sample of the last 5 to 10 s in which there were any; 0 = unknown
    pub const MIN_RTT_US: u32 = 80;
    /// u32 octets sent and not acknowledged on their subflow
    pub const IN_FLIGHT: u32 = 84;
    /// u64 when an established subflow was last heard; 0 = never
    pub const LAST_ACK_US: u32 = 88;
    /// u64 octets that the peer has acknowledged on their subflow, a FIN counts as one
    pub const BYTES_ACKED: u32 = 96;
    /// u64 of BYTES_SENT
    pub const BYTES_RETRANSMITTED: u32 = 104;
    /// u64 with payload
    pub const PACKETS_SENT: u32 = 112;
    /// u64 of PACKETS_SENT
    pub const PACKETS_RETRANSMITTED: u32 = 120;
    /// u64 with payload
    pub const PACKETS_RECEIVED: u32 = 128;
    /// u64 of PACKETS_RECEIVED: the peer sent them again though they had come
    pub const PACKETS_REPEATED: u32 = 136;
}

/// Struct of a class in a snapshot.
pub mod snapshot_class {
    /// u16
    pub const KIND: u32 = 0;
    /// u32
    pub const ID: u32 = 4;
    /// u32 live ones: MPTCP is agreed on, and they are not closing
    pub const CONNECTIONS: u32 = 8;
    /// u64 payload of our hosts that the peers have acknowledged, each octet once, a FIN counts as one
    pub const BYTES_ACKED: u32 = 16;
    /// u64 payload that our hosts have acknowledged, each octet once
    pub const BYTES_RECEIVED: u32 = 24;
    /// `u32[33]` of CONNECTIONS: how many send new data on path i; 0 = on none, or on no known path
    pub const ACTIVE_ON: u32 = 56;
}

/// State of a connection: RFC 9293 names for the handshake, RFC 8684 §3.3.3 (M_…) afterwards.
pub mod connection_state {
    pub const FREE: u32 = 0;
    /// the host's SYN went out with MP_CAPABLE
    pub const SYN_SENT: u32 = 1;
    /// a SYN with MP_CAPABLE went to the host
    pub const SYN_RECEIVED: u32 = 2;
    pub const M_ESTAB: u32 = 3;
    /// a DATA_FIN or FIN has been seen in either direction; RFC states follow from the two halves
    pub const M_CLOSING: u32 = 4;
    /// both directions closed and acknowledged; subflows say good-bye
    pub const M_TIME_WAIT: u32 = 5;
    /// plain TCP, with our conversion still stripping
    pub const FALLBACK: u32 = 6;
}

/// State of a subflow (RFC 9293 names; PRE_ESTABLISHED of RFC 8684 §3.2).
pub mod subflow_state {
    pub const FREE: u32 = 0;
    pub const SYN_SENT: u32 = 1;
    pub const SYN_RECEIVED: u32 = 2;
    /// third ACK sent, fourth not seen: no data
    pub const PRE_ESTABLISHED: u32 = 3;
    pub const ESTABLISHED: u32 = 4;
    /// our FIN is out
    pub const FIN_WAIT: u32 = 5;
    pub const TIME_WAIT: u32 = 6;
}

/// Why a packet was dropped; counter DROP_COUNTER_BASE + reason.
pub mod drop_reason {
    pub const NONE: u32 = 0;
    /// lengths, version or header checksum
    pub const IP_MALFORMED: u32 = 1;
    /// data offset or length
    pub const TCP_MALFORMED: u32 = 2;
    /// only where a converted connection needs them
    pub const TCP_OPTIONS_MALFORMED: u32 = 3;
    pub const TCP_CHECKSUM: u32 = 4;
    /// an IP fragment of a converted connection
    pub const FRAGMENT: u32 = 5;
    /// longer than the queue can carry
    pub const TRUNCATED: u32 = 6;
    /// would outgrow 65,531 octets
    pub const TOO_LONG: u32 = 7;
    pub const CONNECTIONS_FULL: u32 = 8;
    pub const SUBFLOWS_FULL: u32 = 9;
    pub const SEND_TABLE_FULL: u32 = 10;
    pub const RECV_TABLE_FULL: u32 = 11;
    pub const MAP_LOG_FULL: u32 = 12;
    pub const OUTBOX_FULL: u32 = 13;
    /// payload without a DSS that covers it
    pub const NO_MAPPING: u32 = 14;
    /// sequence number outside the subflow's or connection's window
    pub const OUT_OF_WINDOW: u32 = 15;
    /// payload below TAN, acknowledged by the engine itself
    pub const DUPLICATE: u32 = 16;
    /// for the engine only: control options, subflow handshake, probes
    pub const CONSUMED: u32 = 17;
    pub const JOIN_NO_TOKEN: u32 = 18;
    pub const JOIN_BAD_HMAC: u32 = 19;
    pub const JOIN_LIMIT: u32 = 20;
    /// nothing to send on until a path comes back
    pub const NO_USABLE_SUBFLOW: u32 = 21;
    /// data on a subflow whose handshake is not complete
    pub const NOT_ESTABLISHED: u32 = 22;
    pub const FASTCLOSE_BAD_KEY: u32 = 23;
    pub const RST_OUT_OF_WINDOW: u32 = 24;
    /// says nothing that the host does not know
    pub const ACK_REDUNDANT: u32 = 25;
    /// for a subflow that is gone
    pub const SUBFLOW_CLOSED: u32 = 26;
    /// replaced by packets in the outbox
    pub const SUPERSEDED: u32 = 27;
    pub const SHUTDOWN: u32 = 28;
    /// outside the batch region
    pub const BAD_DESCRIPTOR: u32 = 29;
    /// ADD_ADDR
    pub const CONTROL_OPTION_BAD_HMAC: u32 = 30;
    pub const NO_ENTROPY: u32 = 31;
    /// the packet's mapping has a wrong checksum
    pub const DSS_CHECKSUM: u32 = 32;
    /// an error about a subflow that quotes nothing in flight there, or does not fit what it quotes
    pub const ICMP_IGNORED: u32 = 33;
}

/// Index of each counter that is not a drop reason.
pub mod counter {
    /// from the own host
    pub const PACKETS_TCP: u32 = 0;
    /// from the wire
    pub const PACKETS_SUBFLOW: u32 = 1;
    pub const BYTES_TCP: u32 = 2;
    pub const BYTES_SUBFLOW: u32 = 3;
    pub const ACCEPTED_UNTOUCHED: u32 = 4;
    pub const REWRITTEN: u32 = 5;
    pub const DROPPED: u32 = 6;
    pub const OUTBOX_WIRE: u32 = 7;
    pub const OUTBOX_HOST: u32 = 8;
    pub const CONNECTIONS_OPENED: u32 = 9;
    pub const CONNECTIONS_ESTABLISHED: u32 = 10;
    pub const CONNECTIONS_CLOSED: u32 = 11;
    pub const FALLBACKS: u32 = 12;
    pub const SUBFLOWS_OPENED: u32 = 13;
    pub const SUBFLOWS_CLOSED: u32 = 14;
    pub const JOINS_SENT: u32 = 15;
    pub const JOINS_RECEIVED: u32 = 16;
    pub const HANDOVERS: u32 = 17;
    pub const DAN_PULLS: u32 = 18;
    /// packets from the host below what it had sent
    pub const HOST_RETRANSMISSIONS: u32 = 19;
    pub const PEER_RETRANSMISSIONS: u32 = 20;
    pub const ACKS_FORGED: u32 = 21;
    pub const ADD_ADDR_SENT: u32 = 22;
    pub const ADD_ADDR_RECEIVED: u32 = 23;
    pub const REMOVE_ADDR_SENT: u32 = 24;
    pub const REMOVE_ADDR_RECEIVED: u32 = 25;
    pub const MP_PRIO_SENT: u32 = 26;
    pub const MP_PRIO_RECEIVED: u32 = 27;
    pub const FASTCLOSE_SENT: u32 = 28;
    pub const FASTCLOSE_RECEIVED: u32 = 29;
    pub const DATA_FIN_SENT: u32 = 30;
    pub const DATA_FIN_RECEIVED: u32 = 31;
    /// the host speaks MPTCP itself
    pub const NATIVE_MPTCP_BYPASSED: u32 = 32;
    pub const TICKS: u32 = 33;
    pub const TIMERS_FIRED: u32 = 34;
    pub const HALF_OPEN_EVICTED: u32 = 35;
    pub const SACK_BLOCKS_PROJECTED: u32 = 36;
    pub const PACKETS_SPLIT: u32 = 37;
    /// sent again with a fresh SSN on another subflow
    pub const REINJECTED: u32 = 38;
    pub const TRACE_LOST: u32 = 39;
    pub const SET_OPERATIONS_LOST: u32 = 40;
    /// payload from hosts, first transmissions
    pub const BYTES_SENT: u32 = 41;
    /// payload that hosts have acknowledged, each octet once
    pub const BYTES_RECEIVED: u32 = 42;
    pub const TRANSITION_SACKS_HELD: u32 = 43;
    /// acknowledgements to the host that were given in steps after a switch
    pub const TAN_STEPS: u32 = 44;
    /// hosts made to send again at once after a break (ICMP)
    pub const KICKS: u32 = 45;
    /// fell silent with octets in flight
    pub const SUBFLOWS_STALE: u32 = 46;
    /// closed for a hole that could never be filled
    pub const SUBFLOWS_POISONED: u32 = 47;
    /// mappings of peers whose octets do not have their checksum
    pub const CHECKSUM_ERRORS: u32 = 48;
    pub const MP_FAIL_RECEIVED: u32 = 49;
    /// errors about subflows, given to the host in its own numbers
    pub const ICMP_TRANSLATED: u32 = 50;
    /// hosts told that their segments are too long for the subflow that is to carry them (ICMP)
    pub const MTU_SHOWN: u32 = 51;
    /// questions to idle paths for their round trip
    pub const PATH_PROBES: u32 = 52;
}
