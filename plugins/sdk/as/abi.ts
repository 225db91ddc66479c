// Generated from plugins/abi.json by scripts/policy-abi-generate.ts. Do not edit.

/** Version of the ABI: major × 256 + minor. */
@inline export const ABI: u16 = 256;
/** path records in a table at most */
@inline export const PATH_MAX: u32 = 32;
/** settings of a policy at most */
@inline export const SETTING_MAX: u32 = 64;
/** what save() may return at most */
@inline export const STATE_SIZE_MAX: u32 = 4096;
/** a larger module is refused */
@inline export const MODULE_SIZE_MAX: u32 = 262144;
/** memory.grow fails beyond it */
@inline export const MEMORY_SIZE_MAX: u32 = 16777216;
/** elements of the one function table */
@inline export const TABLE_ELEMENTS_MAX: u32 = 10000;
/** WebAssembly stack; a call beyond it traps */
@inline export const STACK_SIZE_MAX: u32 = 131072;
/** per call, about one unit per instruction; a call that needs more ends the instance */
@inline export const FUEL_MAX: u32 = 20000000;
/** backstop behind the fuel */
@inline export const CALL_MS_MAX: u32 = 50;
/** of one log line; the rest is cut */
@inline export const LOG_LENGTH_MAX: u32 = 256;
/** log lines per call; the rest are counted only */
@inline export const LOG_CALLS_MAX: u32 = 10;
/** reasons from here on are the policy's own, named in its policy.json */
@inline export const OWN_REASON_FIRST: u32 = 256;
@inline export const UNKNOWN_U8: u8 = 255;
@inline export const UNKNOWN_U16: u16 = 65535;
/** also: no path, in a field of a path id */
@inline export const UNKNOWN_U32: u32 = 4294967295;
@inline export const UNKNOWN_I16: i16 = -32768;
@inline export const UNKNOWN_U64: u64 = 0xffffffffffffffff;

@inline export const TABLE_SIZE: u32 = 64;
/** The head of a table; the path records follow it. The host writes it before every decide(). */
@final @unmanaged
export class Table {
  /** version of this ABI: major × 256 + minor */
  abi: u16;
  /** octets: from here to path record 0 */
  headerSize: u16;
  /** octets: from one path record to the next */
  pathSize: u16;
  /** path records that follow */
  pathCount: u16;
  /** µs: monotonic time since an arbitrary moment; never goes back while the daemon runs */
  nowUs: u64;
  /** fresh random bits, the only ones there are */
  entropy: u64;
  /** Event: why decide() is called; several causes at once are told by the first */
  event: u32;
  /** may be unknown: the path that the event is about */
  eventPathId: u32;
  /** class that is decided for; 0 is the default class */
  classId: u32;
  /** live connections of the class */
  connections: u32;
  /** octets: payload of the class that peers have acknowledged and hosts have received, since the daemon started */
  ackedBytes: u64;
  /** ‰, may be unknown: charge of the machine's battery */
  batteryPermille: u16;
  /** Power, may be unknown: what the machine runs on */
  power: u8;
  zero51: u8;
  /** may be unknown: path that carries the class's new data (of most connections, should they differ); none = no connection yet */
  activePathId: u32;
  /** Refusal: why the guard refused this instance's last intent; NONE = it did not */
  lastRefusal: u32;
  zero60: u32;
}
if (offsetof<Table>() != 64) ERROR("Table: size moved");

@inline export const PATH_SIZE: u32 = 64;
/** One path: a local interface and its addresses. Measurements cover the connections of all classes. */
@final @unmanaged
export class Path {
  /** never 0 */
  id: u32;
  /** PathKind, may be unknown: what it is made of */
  kind: u8;
  /** PathState: what it can be used for */
  state: u8;
  /** PathFlag: bits */
  flags: u16;
  /** µs, may be unknown: when something was last acknowledged on it, on the clock of nowUs */
  lastAckUs: u64;
  /** octets, may be unknown: left of its quota in this billing period, both directions; unknown = it has none */
  quotaLeft: u64;
  /** kbit/s, may be unknown: payload acknowledged or received on it, over the last second or so */
  ackedRateKbps: u32;
  /** octets, may be unknown: sent on it and not acknowledged */
  inFlight: u32;
  /** µs, may be unknown: smoothed round-trip time (RFC 6298), of the subflow heard last */
  srttUs: u32;
  /** µs, may be unknown: its mean deviation */
  rttvarUs: u32;
  /** µs, may be unknown: smallest round-trip time of the last ten seconds or so */
  minRttUs: u32;
  /** ppm, may be unknown: of the octets sent lately, those that were retransmissions */
  lossPpm: u32;
  /** µ¤/GB, may be unknown: price in millionths of the operator's currency per 10⁹ octets; unknown = not said, 0 = free */
  costMicroPerGB: u32;
  /** nJ/octet, may be unknown: energy that this machine spends to move one more octet */
  energyPerByte: u32;
  /** dBm/10, may be unknown: received signal strength */
  signal: i16;
  /** dB/10 per s, may be unknown: its trend over the last seconds; negative = it falls */
  slope: i16;
  /** established subflows on it, of all classes */
  subflows: u16;
  zero62: u16;
}
if (offsetof<Path>() != 64) ERROR("Path: size moved");

@inline export const INTENT_SIZE: u32 = 64;
/** What decide() wants. The host zeroes it before the call; all masks may be zero. A path named in no mask and not active stays as it is. */
@final @unmanaged
export class Intent {
  /** version the policy was built for: major × 256 + minor */
  abi: u16;
  /** Reason: why activePathId is what it is; from OWN_REASON_FIRST on the policy's own */
  reason: u16;
  /** may be unknown: path for new data; none = leave it as it is */
  activePathId: u32;
  /** join these in advance, as backup */
  standbyMask: u32;
  /** join these as regular ones: the peer may send on them at any time */
  openMask: u32;
  /** close the subflows on these; a connection's last usable one stays */
  closeMask: u32;
  /** ms: after a move to activePathId move no more for this long, unless that path is lost; the guard's own minimum holds in any case */
  dwellMs: u32;
  /** µs: call decide() then at the latest, on the clock of nowUs; 0 = no wish */
  wakeAtUs: u64;
  /** share of new data per path; not obeyed yet, all new data of a connection goes by its active path: leave it zero; eight per word */
  weights0: u64;
  weights8: u64;
  weights16: u64;
  weights24: u64;
}
if (offsetof<Intent>() != 64) ERROR("Intent: size moved");

/** Why decide() is called. */
export const enum Event {
  START = 0, // first decision of this instance, after load() if there is state
  TICK = 1, // nothing happened; about once a second
  WAKE = 2, // the time asked for with wakeAtUs has come
  PATH_UP = 3, // a path got carrier and address, or was added
  PATH_DOWN = 4, // a path lost carrier or address, or was removed
  PATH_ESTABLISHED = 5, // a subflow on it was established where there was none
  PATH_STALE = 6, // a path fell silent with octets in flight, or is heard again
  SIGNAL = 7, // signal or slope changed noticeably
  QUOTA = 8, // quota, price or the metered flag changed noticeably
  POWER = 9, // battery or power changed
  DRAIN = 10, // a path's draining flag changed
  CONNECTIONS = 11, // the class got its first connection, or lost its last
  MOVED = 12, // a handover of this class is done
  MOVE_FAILED = 13, // a handover of this class failed for some connection
  REFUSED = 14, // the guard refused the last intent: see lastRefusal
}

/** What a path is made of. */
export const enum PathKind {
  OTHER = 0,
  ETHERNET = 1,
  WIFI = 2,
  CELLULAR = 3,
  TUNNEL = 4, // a VPN or the like, over another path
  SATELLITE = 5,
}

/** What a path can be used for. */
export const enum PathState {
  DOWN = 0, // no carrier or no address
  UP = 1, // carrier and address, but no subflow on it yet: a move there costs a handshake first
  ESTABLISHED = 2, // up, with at least one established subflow that answers
  STALE = 3, // up, but silent with octets in flight
}

/** Bits of Path.flags. */
export const enum PathFlag {
  BACKUP = 1, // the operator wants it used only when nothing else is left
  METERED = 2, // its use is counted, says the configuration or the network manager
  EXPENSIVE = 4, // its use costs extra (roaming)
  DRAINING = 8, // it is to be left: join nothing on it
  PINNED = 16, // a manual handover holds this class on it; intents wait until it is given back
  CAPTIVE = 32, // a captive portal stands before it: up, but nothing gets through
}

/** What the machine runs on. */
export const enum Power {
  MAINS = 1,
  BATTERY = 2, // discharging
}

/** Intent.reason, common to all policies. */
export const enum Reason {
  UNSAID = 0,
  KEEP = 1, // nothing better than where we are
  PREFERRED = 2, // first in the order of preference
  ONLY_PATH = 3, // no other path is usable
  NO_PATH = 4, // no path is usable at all
  PATH_LOST = 5, // the path before is down, stale or captive
  HOLDING = 6, // another path is better, but not for long enough yet
  JOINING = 7, // another path is better, and is being joined first
  SIGNAL_WEAK = 8, // the radio's level is too low
  SIGNAL_FALLING = 9, // level and slope say that the radio will be lost soon
  SIGNAL_BACK = 10, // the radio is good again
  CHEAPER = 11, // costs less
  QUOTA = 12, // the quota of the path before runs out
  SAVES_ENERGY = 13, // moves the same octets with less energy
  SHORT_FLOW = 14, // too little data to be worth waking another radio
  FASTER = 15, // shorter round-trip time
  LOSS = 16, // the path before loses too much
  DRAIN = 17, // the path before is to be left
  DEADLINE = 18, // it had to be left by now
  SCORE = 19, // better on balance of several measures
}

/** Why the guard refused an intent, or a part of it. */
export const enum Refusal {
  NONE = 0,
  BAD_ABI = 1, // abi of another major version
  NO_SUCH_PATH = 2, // activePathId is not in the table
  NOT_USABLE = 3, // activePathId is down, or is not established while another path is; join it first
  BAD_MASK = 4, // a bit beyond pathCount, the same bit in closeMask and another mask, or the active path in closeMask
  DWELL = 5, // too soon after the last move
  RATE = 6, // too many moves, joins or priorities per minute
  PINNED = 7, // a manual handover holds the class
  DRAINING = 8, // asks to join a path that is to be left
  NOT_DONE = 9, // the engine could not carry it out for any connection
}

/** First argument of region(). */
export const enum Region {
  CONFIG = 0, // settings, one i64 each; read-only
  TABLE = 1, // table header and path records; read-only
  INTENT = 2, // one intent
  STATE = 3, // what save() keeps and load() finds
}

/** What init(), decide() and load() return. Anything but OK is a fault: the class falls back to active-standby, visibly; of load(), that the new instance starts without state. */
export const enum Status {
  OK = 0,
  BAD_SETTINGS = 1, // too few settings, or settings that contradict each other
  BAD_STATE = 2, // load(): not this policy's state, or of a version it does not know
  BAD_TABLE = 3, // a table that cannot be
  INTERNAL = 4, // the policy is at its wits' end
}

/** First argument of log(). */
export const enum LogLevel {
  DEBUG = 0,
  INFO = 1,
  WARNING = 2,
  ERROR = 3,
}
