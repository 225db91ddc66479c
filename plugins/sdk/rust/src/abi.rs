//! Generated from plugins/abi.json by scripts/policy-abi-generate.ts. Do not edit.
#![allow(dead_code)]

/// Version of the ABI: major × 256 + minor.
pub const ABI: u16 = 256;
/// path records in a table at most
pub const PATH_MAX: u32 = 32;
/// settings of a policy at most
pub const SETTING_MAX: u32 = 64;
/// what save() may return at most
pub const STATE_SIZE_MAX: u32 = 4096;
/// a larger module is refused
pub const MODULE_SIZE_MAX: u32 = 262144;
/// memory.grow fails beyond it
pub const MEMORY_SIZE_MAX: u32 = 16777216;
/// elements of the one function table
pub const TABLE_ELEMENTS_MAX: u32 = 10000;
/// WebAssembly stack; a call beyond it traps
pub const STACK_SIZE_MAX: u32 = 131072;
/// per call, about one unit per instruction; a call that needs more ends the instance
pub const FUEL_MAX: u32 = 20000000;
/// backstop behind the fuel
pub const CALL_MS_MAX: u32 = 50;
/// of one log line; the rest is cut
pub const LOG_LENGTH_MAX: u32 = 256;
/// log lines per call; the rest are counted only
pub const LOG_CALLS_MAX: u32 = 10;
/// reasons from here on are the policy's own, named in its policy.json
pub const OWN_REASON_FIRST: u32 = 256;
pub const UNKNOWN_U8: u8 = 255;
pub const UNKNOWN_U16: u16 = 65535;
/// also: no path, in a field of a path id
pub const UNKNOWN_U32: u32 = 4294967295;
pub const UNKNOWN_I16: i16 = -32768;
pub const UNKNOWN_U64: u64 = u64::MAX;

/// The head of a table; the path records follow it. The host writes it before every decide().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Table {
    /// version of this ABI: major × 256 + minor
    pub abi: u16,
    /// octets: from here to path record 0
    pub header_size: u16,
    /// octets: from one path record to the next
    pub path_size: u16,
    /// path records that follow
    pub path_count: u16,
    /// µs: monotonic time since an arbitrary moment; never goes back while the daemon runs
    pub now_us: u64,
    /// fresh random bits, the only ones there are
    pub entropy: u64,
    /// Event: why decide() is called; several causes at once are told by the first
    pub event: u32,
    /// may be unknown: the path that the event is about
    pub event_path_id: u32,
    /// class that is decided for; 0 is the default class
    pub class_id: u32,
    /// live connections of the class
    pub connections: u32,
    /// octets: payload of the class that peers have acknowledged and hosts have received, since the daemon started
    pub acked_bytes: u64,
    /// ‰, may be unknown: charge of the machine's battery
    pub battery_permille: u16,
    /// Power, may be unknown: what the machine runs on
    pub power: u8,
    pub zero51: u8,
    /// may be unknown: path that carries the class's new data (of most connections, should they differ); none = no connection yet
    pub active_path_id: u32,
    /// Refusal: why the guard refused this instance's last intent; NONE = it did not
    pub last_refusal: u32,
    pub zero60: u32,
}
const _: () = assert!(core::mem::size_of::<Table>() == 64);

/// One path: a local interface and its addresses. Measurements cover the connections of all classes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Path {
    /// never 0
    pub id: u32,
    /// PathKind, may be unknown: what it is made of
    pub kind: u8,
    /// PathState: what it can be used for
    pub state: u8,
    /// PathFlag: bits
    pub flags: u16,
    /// µs, may be unknown: when something was last acknowledged on it, on the clock of nowUs
    pub last_ack_us: u64,
    /// octets, may be unknown: left of its quota in this billing period, both directions; unknown = it has none
    pub quota_left: u64,
    /// kbit/s, may be unknown: payload acknowledged or received on it, over the last second or so
    pub acked_rate_kbps: u32,
    /// octets, may be unknown: sent on it and not acknowledged
    pub in_flight: u32,
    /// µs, may be unknown: smoothed round-trip time (RFC 6298), of the subflow heard last
    pub srtt_us: u32,
    /// µs, may be unknown: its mean deviation
    pub rttvar_us: u32,
    /// µs, may be unknown: smallest round-trip time of the last ten seconds or so
    pub min_rtt_us: u32,
    /// ppm, may be unknown: of the octets sent lately, those that were retransmissions
    pub loss_ppm: u32,
    /// µ¤/GB, may be unknown: price in millionths of the operator's currency per 10⁹ octets; unknown = not said, 0 = free
    pub cost_micro_per_gb: u32,
    /// nJ/octet, may be unknown: energy that this machine spends to move one more octet
    pub energy_per_byte: u32,
    /// dBm/10, may be unknown: received signal strength
    pub signal: i16,
    /// dB/10 per s, may be unknown: its trend over the last seconds; negative = it falls
    pub slope: i16,
    /// established subflows on it, of all classes
    pub subflows: u16,
    pub zero62: u16,
}
const _: () = assert!(core::mem::size_of::<Path>() == 64);

/// What decide() wants. The host zeroes it before the call; all masks may be zero. A path named in no mask and not active stays as it is.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Intent {
    /// version the policy was built for: major × 256 + minor
    pub abi: u16,
    /// Reason: why activePathId is what it is; from OWN_REASON_FIRST on the policy's own
    pub reason: u16,
    /// may be unknown: path for new data; none = leave it as it is
    pub active_path_id: u32,
    /// join these in advance, as backup
    pub standby_mask: u32,
    /// join these as regular ones: the peer may send on them at any time
    pub open_mask: u32,
    /// close the subflows on these; a connection's last usable one stays
    pub close_mask: u32,
    /// ms: after a move to activePathId move no more for this long, unless that path is lost; the guard's own minimum holds in any case
    pub dwell_ms: u32,
    /// µs: call decide() then at the latest, on the clock of nowUs; 0 = no wish
    pub wake_at_us: u64,
    /// share of new data per path; not obeyed yet, all new data of a connection goes by its active path: leave it zero
    pub weights: [u8; 32],
}
const _: () = assert!(core::mem::size_of::<Intent>() == 64);

/// Why decide() is called.
pub mod event {
    /// first decision of this instance, after load() if there is state
    pub const START: u32 = 0;
    /// nothing happened; about once a second
    pub const TICK: u32 = 1;
    /// the time asked for with wakeAtUs has come
    pub const WAKE: u32 = 2;
    /// a path got carrier and address, or was added
    pub const PATH_UP: u32 = 3;
    /// a path lost carrier or address, or was removed
    pub const PATH_DOWN: u32 = 4;
    /// a subflow on it was established where there was none
    pub const PATH_ESTABLISHED: u32 = 5;
    /// a path fell silent with octets in flight, or is heard again
    pub const PATH_STALE: u32 = 6;
    /// signal or slope changed noticeably
    pub const SIGNAL: u32 = 7;
    /// quota, price or the metered flag changed noticeably
    pub const QUOTA: u32 = 8;
    /// battery or power changed
    pub const POWER: u32 = 9;
    /// a path's draining flag changed
    pub const DRAIN: u32 = 10;
    /// the class got its first connection, or lost its last
    pub const CONNECTIONS: u32 = 11;
    /// a handover of this class is done
    pub const MOVED: u32 = 12;
    /// a handover of this class failed for some connection
    pub const MOVE_FAILED: u32 = 13;
    /// the guard refused the last intent: see lastRefusal
    pub const REFUSED: u32 = 14;
}

/// What a path is made of.
pub mod path_kind {
    pub const OTHER: u8 = 0;
    pub const ETHERNET: u8 = 1;
    pub const WIFI: u8 = 2;
    pub const CELLULAR: u8 = 3;
    /// a VPN or the like, over another path
    pub const TUNNEL: u8 = 4;
    pub const SATELLITE: u8 = 5;
}

/// What a path can be used for.
pub mod path_state {
    /// no carrier or no address
    pub const DOWN: u8 = 0;
    /// carrier and address, but no subflow on it yet: a move there costs a handshake first
    pub const UP: u8 = 1;
    /// up, with at least one established subflow that answers
    pub const ESTABLISHED: u8 = 2;
    /// up, but silent with octets in flight
    pub const STALE: u8 = 3;
}

/// Bits of Path.flags.
pub mod path_flag {
    /// the operator wants it used only when nothing else is left
    pub const BACKUP: u16 = 1;
    /// its use is counted, says the configuration or the network manager
    pub const METERED: u16 = 2;
    /// its use costs extra (roaming)
    pub const EXPENSIVE: u16 = 4;
    /// it is to be left: join nothing on it
    pub const DRAINING: u16 = 8;
    /// a manual handover holds this class on it; intents wait until it is given back
    pub const PINNED: u16 = 16;
    /// a captive portal stands before it: up, but nothing gets through
    pub const CAPTIVE: u16 = 32;
}

/// What the machine runs on.
pub mod power {
    pub const MAINS: u8 = 1;
    /// discharging
    pub const BATTERY: u8 = 2;
}

/// Intent.reason, common to all policies.
pub mod reason {
    pub const UNSAID: u16 = 0;
    /// nothing better than where we are
    pub const KEEP: u16 = 1;
    /// first in the order of preference
    pub const PREFERRED: u16 = 2;
    /// no other path is usable
    pub const ONLY_PATH: u16 = 3;
    /// no path is usable at all
    pub const NO_PATH: u16 = 4;
    /// the path before is down, stale or captive
    pub const PATH_LOST: u16 = 5;
    /// another path is better, but not for long enough yet
    pub const HOLDING: u16 = 6;
    /// another path is better, and is being joined first
    pub const JOINING: u16 = 7;
    /// the radio's level is too low
    pub const SIGNAL_WEAK: u16 = 8;
    /// level and slope say that the radio will be lost soon
    pub const SIGNAL_FALLING: u16 = 9;
    /// the radio is good again
    pub const SIGNAL_BACK: u16 = 10;
    /// costs less
    pub const CHEAPER: u16 = 11;
    /// the quota of the path before runs out
    pub const QUOTA: u16 = 12;
    /// moves the same octets with less energy
    pub const SAVES_ENERGY: u16 = 13;
    /// too little data to be worth waking another radio
    pub const SHORT_FLOW: u16 = 14;
    /// shorter round-trip time
    pub const FASTER: u16 = 15;
    /// the path before loses too much
    pub const LOSS: u16 = 16;
    /// the path before is to be left
    pub const DRAIN: u16 = 17;
    /// it had to be left by now
    pub const DEADLINE: u16 = 18;
    /// better on balance of several measures
    pub const SCORE: u16 = 19;
}

/// Why the guard refused an intent, or a part of it.
pub mod refusal {
    pub const NONE: u32 = 0;
    /// abi of another major version
    pub const BAD_ABI: u32 = 1;
    /// activePathId is not in the table
    pub const NO_SUCH_PATH: u32 = 2;
    /// activePathId is down, or is not established while another path is; join it first
    pub const NOT_USABLE: u32 = 3;
    /// a bit beyond pathCount, the same bit in closeMask and another mask, or the active path in closeMask
    pub const BAD_MASK: u32 = 4;
    /// too soon after the last move
    pub const DWELL: u32 = 5;
    /// too many moves, joins or priorities per minute
    pub const RATE: u32 = 6;
    /// a manual handover holds the class
    pub const PINNED: u32 = 7;
    /// asks to join a path that is to be left
    pub const DRAINING: u32 = 8;
    /// the engine could not carry it out for any connection
    pub const NOT_DONE: u32 = 9;
}

/// First argument of region().
pub mod region {
    /// settings, one i64 each; read-only
    pub const CONFIG: i32 = 0;
    /// table header and path records; read-only
    pub const TABLE: i32 = 1;
    /// one intent
    pub const INTENT: i32 = 2;
    /// what save() keeps and load() finds
    pub const STATE: i32 = 3;
}

/// What init(), decide() and load() return. Anything but OK is a fault: the class falls back to active-standby, visibly; of load(), that the new instance starts without state.
pub mod status {
    pub const OK: i32 = 0;
    /// too few settings, or settings that contradict each other
    pub const BAD_SETTINGS: i32 = 1;
    /// load(): not this policy's state, or of a version it does not know
    pub const BAD_STATE: i32 = 2;
    /// a table that cannot be
    pub const BAD_TABLE: i32 = 3;
    /// the policy is at its wits' end
    pub const INTERNAL: i32 = 4;
}

/// First argument of log().
pub mod log_level {
    pub const DEBUG: i32 = 0;
    pub const INFO: i32 = 1;
    pub const WARNING: i32 = 2;
    pub const ERROR: i32 = 3;
}
