// Limits and tunables of the engine, each with its reason. What an operator may choose comes in
// through EngineConfig (abi.ts); what stands here is a property of the protocols.

/** Debug build: costly checks and tiny limits, so that overflow paths run in every test. */
@inline export const DEBUG: bool = isDefined(ENGINE_DEBUG);

/**
 * Octets of a DSS with 4-octet DATA_ACK and a mapping, padded: what each steady data packet grows by (RFC
 * 8684 §3.3).
 */
@inline export const DSS_OVERHEAD: u32 = 20;
/** Octets of MP_CAPABLE with data (22), padded: what the opener's first data packet grows by (RFC 8684 §3.1). */
@inline export const CAPABLE_DATA_OVERHEAD: u32 = 24;
/** Longest packet a verdict can carry: 65,535 less the netlink attribute's header. */
@inline export const VERDICT_PACKET_MAX: u32 = 65531;
/** SACK blocks beside a pure ACK's DSS (8 + 4 + 3 × 8 = 36 octets). */
@inline export const SACK_BLOCKS_PURE: u32 = 3;
/** SACK blocks beside a data packet's DSS (20 + 4 + 2 × 8 = 40 octets). */
@inline export const SACK_BLOCKS_DATA: u32 = 2;

/** First time-out of a forged SYN, SYN/ACK, MP_JOIN ACK or FIN (RFC 6298 §2.1), doubled at each try. */
@inline export const INITIAL_RTO_US: u64 = 1_000_000;
/** Tries of a forged SYN or SYN/ACK before the join is given up: 1 + 2 + 4 s, below the host's patience. */
@inline export const JOIN_TRIES_MAX: u32 = 3;
/** Tries of a subflow FIN before the subflow is forgotten: the connection is already closed for both hosts. */
@inline export const FIN_TRIES_MAX: u32 = 5;
/** A join that failed is tried again by the policy after this time, doubled up to JOIN_RETRY_MAX_US. */
@inline export const JOIN_RETRY_US: u64 = 2_000_000;
@inline export const JOIN_RETRY_MAX_US: u64 = 60_000_000;
/** Failed joins that a subflow counts for which was given up because its path takes options away: 64 s of pause. */
@inline export const STRIPPED_PAUSE_TRIES: u8 = 5;
/**
 * A connection is joined in advance only once it is this old: a short one would pay for a handshake that it
 * never uses.
 */
@inline export const STANDBY_DELAY_US: u64 = 100_000;
/** How long a half-open connection may take: SYN retransmissions of Linux at 1, 3, 7, 15, 31, 63 s. */
@inline export const HALF_OPEN_US: u64 = 75_000_000;
/** How long a closed connection still answers FINs and stray packets; its host keeps its own TIME_WAIT. */
@inline export const TIME_WAIT_US: u64 = 10_000_000;
/** How long a reset connection answers challenge ACKs with correctly numbered RSTs. */
@inline export const RESET_LINGER_US: u64 = 5_000_000;
/** The same when the daemon is about to end: an operator waits for it. */
@inline export const SHUTDOWN_LINGER_US: u64 = 800_000;
/** Pause between repetitions of our own RSTs: longer than most round trips, three of them in SHUTDOWN_LINGER_US. */
@inline export const RESET_REPEAT_US: u64 = 200_000;
/** First retry of a FIN that the engine itself delivers to its host (notes: DATA_FIN without a last packet). */
@inline export const HOST_FIN_RETRY_US: u64 = 200_000;
@inline export const HOST_FIN_TRIES_MAX: u32 = 12;
/** ADD_ADDR: first retry and tries (RFC 8684 §3.4.1 leaves both to us; Linux stops after three). */
@inline export const ADD_ADDR_RETRY_US: u64 = 1_000_000;
@inline export const ADD_ADDR_TRIES_MAX: u32 = 3;
/** MP_PRIO and REMOVE_ADDR have no echo: they are sent this often, one srtt apart. */
@inline export const CONTROL_REPEATS: u32 = 3;
@inline export const CONTROL_REPEAT_MIN_US: u64 = 20_000;

/** DAN pull: pause at least this long (a LAN receiver's DATA_ACK lags by tens of microseconds). */
@inline export const DAN_PULL_MIN_US: u64 = 100;
/** DAN pull: pause at most this long while the subflow's RTT is unknown. */
@inline export const DAN_PULL_MAX_US: u64 = 50_000;
/** DAN pull: tries without progress. */
@inline export const DAN_PULL_TRIES_MAX: u32 = 4;

/** Half of the window in which a path's smallest round trip counts: a route that got longer shows after two of them. */
@inline export const MIN_RTT_HALF_US: u64 = 5_000_000;

/** A handover is called done on an idle connection when nothing has moved for this long. */
@inline export const IDLE_US: u64 = 250_000;
/** Silence with octets in flight after which a subflow is stale, at least: more than most queues hold. */
@inline export const STALL_MIN_US: u64 = 300_000;
/** Retransmissions of its first octet by the host after which the subflow that should carry it is stale. */
@inline export const STALL_HEAD_TRIES: u8 = 2;
/** The same after which the last subflow is given up, if the first octet waits there behind a hole. */
@inline export const DEAD_END_TRIES: u8 = 4;
/** Pause between two of them that counts while the round trip is unknown: Linux's shortest time-out. */
@inline export const HEAD_PAUSE_US: u64 = 200_000;
/** How long a subflow whose path is to be left lives on beside the one that took over: what is on its way comes. */
@inline export const LEAVE_MIN_US: u64 = 1_000_000;
/** First question to a stale subflow whether it is heard again; doubled up to STALE_PROBE_MAX_US. */
@inline export const STALE_PROBE_US: u64 = 1_000_000;
@inline export const STALE_PROBE_MAX_US: u64 = 60_000_000;
/**
 * How long a subflow with a hole has to acknowledge it, at least. A native peer that sends on two paths fills their
 * queues faster than SRTT learns of it: what it acknowledges on the one comes that much before the other's answer.
 */
@inline export const POISON_MIN_US: u64 = 200_000;
/** Linux believes no MTU below these (min_pmtu; RFC 8200 §5). */
@inline export const KICK_MTU_MIN4: u32 = 552;
@inline export const KICK_MTU_MIN6: u32 = 1280;
/** How long what a router said of a path's MTU counts (RFC 1191 §6.3, RFC 8201 §5.2); then it may have grown. */
@inline export const PATH_MTU_LIFE_US: u64 = 600_000_000;
/** The least that is believed of a path: what each IPv4 host takes (RFC 791 §3.2), IPv6's minimum (RFC 8200 §5). */
@inline export const PATH_MTU_MIN4: u32 = 576;
@inline export const PATH_MTU_MIN6: u32 = 1280;
/** Pause between two messages to the host that its segments are too long: what it had on its way here comes first. */
@inline export const MTU_SHOW_PAUSE_US: u64 = 10_000;
/** A jump of the TAN behind a switch that is larger is shown in steps of this many segments. */
@inline export const STEP_SEGMENTS: u32 = 10;
/** Shortest transition after a switch: the old subflow's last acknowledgements may take this long. */
@inline export const TRANSITION_MIN_US: u64 = 50_000;

/** Addresses of the peer that a connection remembers. */
@inline export const REMOTE_ADDRESSES_MAX: u32 = 4;
/** Connections that one step of a sweep (a command over all of them) looks at, so that no batch waits. */
@inline export const SWEEP_STEP: u32 = 256;
/** Commands that may be under way at once. */
@inline export const SWEEPS_MAX: u32 = 16;
/**
 * Payload octets without a mapping that a subflow may bring before it is given up (64 KiB, RFC 8684 §3.3:
 * implementation's choice).
 */
@inline export const UNMAPPED_MAX: u32 = 65536;
/**
 * Altered mappings of a peer after which a connection is given up, though nothing wrong has reached the host: whatever
 * alters them will not stop.
 */
@inline export const CHECKSUM_ERRORS_MAX: u8 = 4;
/** No acknowledgement below or beyond this distance is believed (RFC 9293 windows are below 2^30). */
@inline export const SEQUENCE_SPAN: u32 = 0x40000000;
