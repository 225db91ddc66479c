// Generated from plugins/abi.json by scripts/policy-abi-generate.ts. Do not edit.

/** Version of the ABI: major × 256 + minor. */
export const ABI = 256;
/** path records in a table at most */
export const PATH_MAX = 32;
/** settings of a policy at most */
export const SETTING_MAX = 64;
/** octets: what save() may return at most */
export const STATE_SIZE_MAX = 4096;
/** octets: a larger module is refused */
export const MODULE_SIZE_MAX = 262144;
/** octets: memory.grow fails beyond it */
export const MEMORY_SIZE_MAX = 16777216;
/** elements of the one function table */
export const TABLE_ELEMENTS_MAX = 10000;
/** octets: WebAssembly stack; a call beyond it traps */
export const STACK_SIZE_MAX = 131072;
/** fuel: per call, about one unit per instruction; a call that needs more ends the instance */
export const FUEL_MAX = 20000000;
/** ms: backstop behind the fuel */
export const CALL_MS_MAX = 50;
/** octets: of one log line; the rest is cut */
export const LOG_LENGTH_MAX = 256;
/** log lines per call; the rest are counted only */
export const LOG_CALLS_MAX = 10;
/** reasons from here on are the policy's own, named in its policy.json */
export const OWN_REASON_FIRST = 256;
export const UNKNOWN_U8 = 255;
export const UNKNOWN_U16 = 65535;
/** also: no path, in a field of a path id */
export const UNKNOWN_U32 = 4294967295;
export const UNKNOWN_I16 = -32768;

export const TABLE_SIZE = 64;
/** Offsets. The head of a table; the path records follow it. The host writes it before every decide(). */
export const TableOffset = {
  /** u16: version of this ABI: major × 256 + minor */
  ABI: 0,
  /** u16: octets: from here to path record 0 */
  HEADER_SIZE: 2,
  /** u16: octets: from one path record to the next */
  PATH_SIZE: 4,
  /** u16: path records that follow */
  PATH_COUNT: 6,
  /** u64: µs: monotonic time since an arbitrary moment; never goes back while the daemon runs */
  NOW_US: 8,
  /** u64: fresh random bits, the only ones there are */
  ENTROPY: 16,
  /** u32: Event: why decide() is called; several causes at once are told by the first */
  EVENT: 24,
  /** u32: may be unknown: the path that the event is about */
  EVENT_PATH_ID: 28,
  /** u32: class that is decided for; 0 is the default class */
  CLASS_ID: 32,
  /** u32: live connections of the class */
  CONNECTIONS: 36,
  /** u64: octets: payload of the class that peers have acknowledged and hosts have received, since the daemon started */
  ACKED_BYTES: 40,
  /** u16: ‰, may be unknown: charge of the machine's battery */
  BATTERY_PERMILLE: 48,
  /** u8: Power, may be unknown: what the machine runs on */
  POWER: 50,
  /** u32: may be unknown: path that carries the class's new data (of most connections, should they differ); none = no connection yet */
  ACTIVE_PATH_ID: 52,
  /** u32: Refusal: why the guard refused this instance's last intent; NONE = it did not */
  LAST_REFUSAL: 56,
} as const;

export const PATH_SIZE = 64;
/** Offsets. One path: a local interface and its addresses. Measurements cover the connections of all classes. */
export const PathOffset = {
  /** u32: never 0 */
  ID: 0,
  /** u8: PathKind, may be unknown: what it is made of */
  KIND: 4,
  /** u8: PathState: what it can be used for */
  STATE: 5,
  /** u16: PathFlag: bits */
  FLAGS: 6,
  /** u64: µs, may be unknown: when something was last acknowledged on it, on the clock of nowUs */
  LAST_ACK_US: 8,
  /** u64: octets, may be unknown: left of its quota in this billing period, both directions; unknown = it has none */
  QUOTA_LEFT: 16,
  /** u32: kbit/s, may be unknown: payload acknowledged or received on it, over the last second or so */
  ACKED_RATE_KBPS: 24,
  /** u32: octets, may be unknown: sent on it and not acknowledged */
  IN_FLIGHT: 28,
  /** u32: µs, may be unknown: smoothed round-trip time (RFC 6298), of the subflow heard last */
  SRTT_US: 32,
  /** u32: µs, may be unknown: its mean deviation */
  RTTVAR_US: 36,
  /** u32: µs, may be unknown: smallest round-trip time of the last ten seconds or so */
  MIN_RTT_US: 40,
  /** u32: ppm, may be unknown: of the octets sent lately, those that were retransmissions */
  LOSS_PPM: 44,
  /** u32: µ¤/GB, may be unknown: price in millionths of the operator's currency per 10⁹ octets; unknown = not said, 0 = free */
  COST_MICRO_PER_GB: 48,
  /** u32: nJ/octet, may be unknown: energy that this machine spends to move one more octet */
  ENERGY_PER_BYTE: 52,
  /** i16: dBm/10, may be unknown: received signal strength */
  SIGNAL: 56,
  /** i16: dB/10 per s, may be unknown: its trend over the last seconds; negative = it falls */
  SLOPE: 58,
  /** u16: established subflows on it, of all classes */
  SUBFLOWS: 60,
} as const;

export const INTENT_SIZE = 64;
/** Offsets. What decide() wants. The host zeroes it before the call; all masks may be zero. A path named in no mask and not active stays as it is. */
export const IntentOffset = {
  /** u16: version the policy was built for: major × 256 + minor */
  ABI: 0,
  /** u16: Reason: why activePathId is what it is; from OWN_REASON_FIRST on the policy's own */
  REASON: 2,
  /** u32: may be unknown: path for new data; none = leave it as it is */
  ACTIVE_PATH_ID: 4,
  /** u32: join these in advance, as backup */
  STANDBY_MASK: 8,
  /** u32: join these as regular ones: the peer may send on them at any time */
  OPEN_MASK: 12,
  /** u32: close the subflows on these; a connection's last usable one stays */
  CLOSE_MASK: 16,
  /** u32: ms: after a move to activePathId move no more for this long, unless that path is lost; the guard's own minimum holds in any case */
  DWELL_MS: 20,
  /** u64: µs: call decide() then at the latest, on the clock of nowUs; 0 = no wish */
  WAKE_AT_US: 24,
  /** u8[32]: share of new data per path; not obeyed yet, all new data of a connection goes by its active path: leave it zero */
  WEIGHTS: 32,
} as const;

/** Why decide() is called. */
export const Event = {
  /** first decision of this instance, after load() if there is state */
  START: 0,
  /** nothing happened; about once a second */
  TICK: 1,
  /** the time asked for with wakeAtUs has come */
  WAKE: 2,
  /** a path got carrier and address, or was added */
  PATH_UP: 3,
  /** a path lost carrier or address, or was removed */
  PATH_DOWN: 4,
  /** a subflow on it was established where there was none */
  PATH_ESTABLISHED: 5,
  /** a path fell silent with octets in flight, or is heard again */
  PATH_STALE: 6,
  /** signal or slope changed noticeably */
  SIGNAL: 7,
  /** quota, price or the metered flag changed noticeably */
  QUOTA: 8,
  /** battery or power changed */
  POWER: 9,
  /** a path's draining flag changed */
  DRAIN: 10,
  /** the class got its first connection, or lost its last */
  CONNECTIONS: 11,
  /** a handover of this class is done */
  MOVED: 12,
  /** a handover of this class failed for some connection */
  MOVE_FAILED: 13,
  /** the guard refused the last intent: see lastRefusal */
  REFUSED: 14,
} as const;
export type Event = (typeof Event)[keyof typeof Event];

/** What a path is made of. */
export const PathKind = {
  OTHER: 0,
  ETHERNET: 1,
  WIFI: 2,
  CELLULAR: 3,
  /** a VPN or the like, over another path */
  TUNNEL: 4,
  SATELLITE: 5,
} as const;
export type PathKind = (typeof PathKind)[keyof typeof PathKind];

/** What a path can be used for. */
export const PathState = {
  /** no carrier or no address */
  DOWN: 0,
  /** carrier and address, but no subflow on it yet: a move there costs a handshake first */
  UP: 1,
  /** up, with at least one established subflow that answers */
  ESTABLISHED: 2,
  /** up, but silent with octets in flight */
  STALE: 3,
} as const;
export type PathState = (typeof PathState)[keyof typeof PathState];

/** Bits of Path.flags. */
export const PathFlag = {
  /** the operator wants it used only when nothing else is left */
  BACKUP: 1,
  /** its use is counted, says the configuration or the network manager */
  METERED: 2,
  /** its use costs extra (roaming) */
  EXPENSIVE: 4,
  /** it is to be left: join nothing on it */
  DRAINING: 8,
  /** a manual handover holds this class on it; intents wait until it is given back */
  PINNED: 16,
  /** a captive portal stands before it: up, but nothing gets through */
  CAPTIVE: 32,
} as const;
export type PathFlag = (typeof PathFlag)[keyof typeof PathFlag];

/** What the machine runs on. */
export const Power = {
  MAINS: 1,
  /** discharging */
  BATTERY: 2,
} as const;
export type Power = (typeof Power)[keyof typeof Power];

/** Intent.reason, common to all policies. */
export const Reason = {
  UNSAID: 0,
  /** nothing better than where we are */
  KEEP: 1,
  /** first in the order of preference */
  PREFERRED: 2,
  /** no other path is usable */
  ONLY_PATH: 3,
  /** no path is usable at all */
  NO_PATH: 4,
  /** the path before is down, stale or captive */
  PATH_LOST: 5,
  /** another path is better, but not for long enough yet */
  HOLDING: 6,
  /** another path is better, and is being joined first */
  JOINING: 7,
  /** the radio's level is too low */
  SIGNAL_WEAK: 8,
  /** level and slope say that the radio will be lost soon */
  SIGNAL_FALLING: 9,
  /** the radio is good again */
  SIGNAL_BACK: 10,
  /** costs less */
  CHEAPER: 11,
  /** the quota of the path before runs out */
  QUOTA: 12,
  /** moves the same octets with less energy */
  SAVES_ENERGY: 13,
  /** too little data to be worth waking another radio */
  SHORT_FLOW: 14,
  /** shorter round-trip time */
  FASTER: 15,
  /** the path before loses too much */
  LOSS: 16,
  /** the path before is to be left */
  DRAIN: 17,
  /** it had to be left by now */
  DEADLINE: 18,
  /** better on balance of several measures */
  SCORE: 19,
} as const;
export type Reason = (typeof Reason)[keyof typeof Reason];

/** Why the guard refused an intent, or a part of it. */
export const Refusal = {
  NONE: 0,
  /** abi of another major version */
  BAD_ABI: 1,
  /** activePathId is not in the table */
  NO_SUCH_PATH: 2,
  /** activePathId is down, or is not established while another path is; join it first */
  NOT_USABLE: 3,
  /** a bit beyond pathCount, the same bit in closeMask and another mask, or the active path in closeMask */
  BAD_MASK: 4,
  /** too soon after the last move */
  DWELL: 5,
  /** too many moves, joins or priorities per minute */
  RATE: 6,
  /** a manual handover holds the class */
  PINNED: 7,
  /** asks to join a path that is to be left */
  DRAINING: 8,
  /** the engine could not carry it out for any connection */
  NOT_DONE: 9,
} as const;
export type Refusal = (typeof Refusal)[keyof typeof Refusal];

/** First argument of region(). */
export const Region = {
  /** settings, one i64 each; read-only */
  CONFIG: 0,
  /** table header and path records; read-only */
  TABLE: 1,
  /** one intent */
  INTENT: 2,
  /** what save() keeps and load() finds */
  STATE: 3,
} as const;
export type Region = (typeof Region)[keyof typeof Region];

/** What init(), decide() and load() return. Anything but OK is a fault: the class falls back to active-standby, visibly; of load(), that the new instance starts without state. */
export const Status = {
  OK: 0,
  /** too few settings, or settings that contradict each other */
  BAD_SETTINGS: 1,
  /** load(): not this policy's state, or of a version it does not know */
  BAD_STATE: 2,
  /** a table that cannot be */
  BAD_TABLE: 3,
  /** the policy is at its wits' end */
  INTERNAL: 4,
} as const;
export type Status = (typeof Status)[keyof typeof Status];

/** First argument of log(). */
export const LogLevel = {
  DEBUG: 0,
  INFO: 1,
  WARNING: 2,
  ERROR: 3,
} as const;
export type LogLevel = (typeof LogLevel)[keyof typeof LogLevel];
