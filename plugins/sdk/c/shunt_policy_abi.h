/* Generated from plugins/abi.json by scripts/policy-abi-generate.ts. Do not edit. */
#ifndef SHUNT_POLICY_ABI_H
#define SHUNT_POLICY_ABI_H

#include <stdint.h>

/* Version of the ABI: major × 256 + minor. */
#define SHUNT_ABI 256
#define SHUNT_PATH_MAX 32 /* path records in a table at most */
#define SHUNT_SETTING_MAX 64 /* settings of a policy at most */
#define SHUNT_STATE_SIZE_MAX 4096 /* what save() may return at most */
#define SHUNT_MODULE_SIZE_MAX 262144 /* a larger module is refused */
#define SHUNT_MEMORY_SIZE_MAX 16777216 /* memory.grow fails beyond it */
#define SHUNT_TABLE_ELEMENTS_MAX 10000 /* elements of the one function table */
#define SHUNT_STACK_SIZE_MAX 131072 /* WebAssembly stack; a call beyond it traps */
#define SHUNT_FUEL_MAX 20000000 /* per call, about one unit per instruction; a call that needs more ends the instance */
#define SHUNT_CALL_MS_MAX 50 /* backstop behind the fuel */
#define SHUNT_LOG_LENGTH_MAX 256 /* of one log line; the rest is cut */
#define SHUNT_LOG_CALLS_MAX 10 /* log lines per call; the rest are counted only */
#define SHUNT_OWN_REASON_FIRST 256 /* reasons from here on are the policy's own, named in its policy.json */
#define SHUNT_UNKNOWN_U8 255
#define SHUNT_UNKNOWN_U16 65535
#define SHUNT_UNKNOWN_U32 4294967295u /* also: no path, in a field of a path id */
#define SHUNT_UNKNOWN_I16 (-32768)
#define SHUNT_UNKNOWN_U64 UINT64_MAX

/* The head of a table; the path records follow it. The host writes it before every decide(). */
struct shunt_table {
  uint16_t abi; /* version of this ABI: major × 256 + minor */
  uint16_t header_size; /* octets: from here to path record 0 */
  uint16_t path_size; /* octets: from one path record to the next */
  uint16_t path_count; /* path records that follow */
  uint64_t now_us; /* µs: monotonic time since an arbitrary moment; never goes back while the daemon runs */
  uint64_t entropy; /* fresh random bits, the only ones there are */
  uint32_t event; /* Event: why decide() is called; several causes at once are told by the first */
  uint32_t event_path_id; /* may be unknown: the path that the event is about */
  uint32_t class_id; /* class that is decided for; 0 is the default class */
  uint32_t connections; /* live connections of the class */
  uint64_t acked_bytes; /* octets: payload of the class that peers have acknowledged and hosts have received, since the daemon started */
  uint16_t battery_permille; /* ‰, may be unknown: charge of the machine's battery */
  uint8_t power; /* Power, may be unknown: what the machine runs on */
  uint8_t zero51;
  uint32_t active_path_id; /* may be unknown: path that carries the class's new data (of most connections, should they differ); none = no connection yet */
  uint32_t last_refusal; /* Refusal: why the guard refused this instance's last intent; NONE = it did not */
  uint32_t zero60;
};
_Static_assert(sizeof(struct shunt_table) == 64, "struct shunt_table: size moved");

/* One path: a local interface and its addresses. Measurements cover the connections of all classes. */
struct shunt_path {
  uint32_t id; /* never 0 */
  uint8_t kind; /* PathKind, may be unknown: what it is made of */
  uint8_t state; /* PathState: what it can be used for */
  uint16_t flags; /* PathFlag: bits */
  uint64_t last_ack_us; /* µs, may be unknown: when something was last acknowledged on it, on the clock of nowUs */
  uint64_t quota_left; /* octets, may be unknown: left of its quota in this billing period, both directions; unknown = it has none */
  uint32_t acked_rate_kbps; /* kbit/s, may be unknown: payload acknowledged or received on it, over the last second or so */
  uint32_t in_flight; /* octets, may be unknown: sent on it and not acknowledged */
  uint32_t srtt_us; /* µs, may be unknown: smoothed round-trip time (RFC 6298), of the subflow heard last */
  uint32_t rttvar_us; /* µs, may be unknown: its mean deviation */
  uint32_t min_rtt_us; /* µs, may be unknown: smallest round-trip time of the last ten seconds or so */
  uint32_t loss_ppm; /* ppm, may be unknown: of the octets sent lately, those that were retransmissions */
  uint32_t cost_micro_per_gb; /* µ¤/GB, may be unknown: price in millionths of the operator's currency per 10⁹ octets; unknown = not said, 0 = free */
  uint32_t energy_per_byte; /* nJ/octet, may be unknown: energy that this machine spends to move one more octet */
  int16_t signal; /* dBm/10, may be unknown: received signal strength */
  int16_t slope; /* dB/10 per s, may be unknown: its trend over the last seconds; negative = it falls */
  uint16_t subflows; /* established subflows on it, of all classes */
  uint16_t zero62;
};
_Static_assert(sizeof(struct shunt_path) == 64, "struct shunt_path: size moved");

/* What decide() wants. The host zeroes it before the call; all masks may be zero. A path named in no mask and not active stays as it is. */
struct shunt_intent {
  uint16_t abi; /* version the policy was built for: major × 256 + minor */
  uint16_t reason; /* Reason: why activePathId is what it is; from OWN_REASON_FIRST on the policy's own */
  uint32_t active_path_id; /* may be unknown: path for new data; none = leave it as it is */
  uint32_t standby_mask; /* join these in advance, as backup */
  uint32_t open_mask; /* join these as regular ones: the peer may send on them at any time */
  uint32_t close_mask; /* close the subflows on these; a connection's last usable one stays */
  uint32_t dwell_ms; /* ms: after a move to activePathId move no more for this long, unless that path is lost; the guard's own minimum holds in any case */
  uint64_t wake_at_us; /* µs: call decide() then at the latest, on the clock of nowUs; 0 = no wish */
  uint8_t weights[32]; /* share of new data per path; not obeyed yet, all new data of a connection goes by its active path: leave it zero */
};
_Static_assert(sizeof(struct shunt_intent) == 64, "struct shunt_intent: size moved");

/* Why decide() is called. */
enum shunt_event {
  SHUNT_EVENT_START = 0, /* first decision of this instance, after load() if there is state */
  SHUNT_EVENT_TICK = 1, /* nothing happened; about once a second */
  SHUNT_EVENT_WAKE = 2, /* the time asked for with wakeAtUs has come */
  SHUNT_EVENT_PATH_UP = 3, /* a path got carrier and address, or was added */
  SHUNT_EVENT_PATH_DOWN = 4, /* a path lost carrier or address, or was removed */
  SHUNT_EVENT_PATH_ESTABLISHED = 5, /* a subflow on it was established where there was none */
  SHUNT_EVENT_PATH_STALE = 6, /* a path fell silent with octets in flight, or is heard again */
  SHUNT_EVENT_SIGNAL = 7, /* signal or slope changed noticeably */
  SHUNT_EVENT_QUOTA = 8, /* quota, price or the metered flag changed noticeably */
  SHUNT_EVENT_POWER = 9, /* battery or power changed */
  SHUNT_EVENT_DRAIN = 10, /* a path's draining flag changed */
  SHUNT_EVENT_CONNECTIONS = 11, /* the class got its first connection, or lost its last */
  SHUNT_EVENT_MOVED = 12, /* a handover of this class is done */
  SHUNT_EVENT_MOVE_FAILED = 13, /* a handover of this class failed for some connection */
  SHUNT_EVENT_REFUSED = 14, /* the guard refused the last intent: see lastRefusal */
};

/* What a path is made of. */
enum shunt_path_kind {
  SHUNT_PATH_KIND_OTHER = 0,
  SHUNT_PATH_KIND_ETHERNET = 1,
  SHUNT_PATH_KIND_WIFI = 2,
  SHUNT_PATH_KIND_CELLULAR = 3,
  SHUNT_PATH_KIND_TUNNEL = 4, /* a VPN or the like, over another path */
  SHUNT_PATH_KIND_SATELLITE = 5,
};

/* What a path can be used for. */
enum shunt_path_state {
  SHUNT_PATH_STATE_DOWN = 0, /* no carrier or no address */
  SHUNT_PATH_STATE_UP = 1, /* carrier and address, but no subflow on it yet: a move there costs a handshake first */
  SHUNT_PATH_STATE_ESTABLISHED = 2, /* up, with at least one established subflow that answers */
  SHUNT_PATH_STATE_STALE = 3, /* up, but silent with octets in flight */
};

/* Bits of Path.flags. */
enum shunt_path_flag {
  SHUNT_PATH_FLAG_BACKUP = 1, /* the operator wants it used only when nothing else is left */
  SHUNT_PATH_FLAG_METERED = 2, /* its use is counted, says the configuration or the network manager */
  SHUNT_PATH_FLAG_EXPENSIVE = 4, /* its use costs extra (roaming) */
  SHUNT_PATH_FLAG_DRAINING = 8, /* it is to be left: join nothing on it */
  SHUNT_PATH_FLAG_PINNED = 16, /* a manual handover holds this class on it; intents wait until it is given back */
  SHUNT_PATH_FLAG_CAPTIVE = 32, /* a captive portal stands before it: up, but nothing gets through */
};

/* What the machine runs on. */
enum shunt_power {
  SHUNT_POWER_MAINS = 1,
  SHUNT_POWER_BATTERY = 2, /* discharging */
};

/* Intent.reason, common to all policies. */
enum shunt_reason {
  SHUNT_REASON_UNSAID = 0,
  SHUNT_REASON_KEEP = 1, /* nothing better than where we are */
  SHUNT_REASON_PREFERRED = 2, /* first in the order of preference */
  SHUNT_REASON_ONLY_PATH = 3, /* no other path is usable */
  SHUNT_REASON_NO_PATH = 4, /* no path is usable at all */
  SHUNT_REASON_PATH_LOST = 5, /* the path before is down, stale or captive */
  SHUNT_REASON_HOLDING = 6, /* another path is better, but not for long enough yet */
  SHUNT_REASON_JOINING = 7, /* another path is better, and is being joined first */
  SHUNT_REASON_SIGNAL_WEAK = 8, /* the radio's level is too low */
  SHUNT_REASON_SIGNAL_FALLING = 9, /* level and slope say that the radio will be lost soon */
  SHUNT_REASON_SIGNAL_BACK = 10, /* the radio is good again */
  SHUNT_REASON_CHEAPER = 11, /* costs less */
  SHUNT_REASON_QUOTA = 12, /* the quota of the path before runs out */
  SHUNT_REASON_SAVES_ENERGY = 13, /* moves the same octets with less energy */
  SHUNT_REASON_SHORT_FLOW = 14, /* too little data to be worth waking another radio */
  SHUNT_REASON_FASTER = 15, /* shorter round-trip time */
  SHUNT_REASON_LOSS = 16, /* the path before loses too much */
  SHUNT_REASON_DRAIN = 17, /* the path before is to be left */
  SHUNT_REASON_DEADLINE = 18, /* it had to be left by now */
  SHUNT_REASON_SCORE = 19, /* better on balance of several measures */
};

/* Why the guard refused an intent, or a part of it. */
enum shunt_refusal {
  SHUNT_REFUSAL_NONE = 0,
  SHUNT_REFUSAL_BAD_ABI = 1, /* abi of another major version */
  SHUNT_REFUSAL_NO_SUCH_PATH = 2, /* activePathId is not in the table */
  SHUNT_REFUSAL_NOT_USABLE = 3, /* activePathId is down, or is not established while another path is; join it first */
  SHUNT_REFUSAL_BAD_MASK = 4, /* a bit beyond pathCount, the same bit in closeMask and another mask, or the active path in closeMask */
  SHUNT_REFUSAL_DWELL = 5, /* too soon after the last move */
  SHUNT_REFUSAL_RATE = 6, /* too many moves, joins or priorities per minute */
  SHUNT_REFUSAL_PINNED = 7, /* a manual handover holds the class */
  SHUNT_REFUSAL_DRAINING = 8, /* asks to join a path that is to be left */
  SHUNT_REFUSAL_NOT_DONE = 9, /* the engine could not carry it out for any connection */
};

/* First argument of region(). */
enum shunt_region {
  SHUNT_REGION_CONFIG = 0, /* settings, one i64 each; read-only */
  SHUNT_REGION_TABLE = 1, /* table header and path records; read-only */
  SHUNT_REGION_INTENT = 2, /* one intent */
  SHUNT_REGION_STATE = 3, /* what save() keeps and load() finds */
};

/* What init(), decide() and load() return. Anything but OK is a fault: the class falls back to active-standby, visibly; of load(), that the new instance starts without state. */
enum shunt_status {
  SHUNT_STATUS_OK = 0,
  SHUNT_STATUS_BAD_SETTINGS = 1, /* too few settings, or settings that contradict each other */
  SHUNT_STATUS_BAD_STATE = 2, /* load(): not this policy's state, or of a version it does not know */
  SHUNT_STATUS_BAD_TABLE = 3, /* a table that cannot be */
  SHUNT_STATUS_INTERNAL = 4, /* the policy is at its wits' end */
};

/* First argument of log(). */
enum shunt_log_level {
  SHUNT_LOG_LEVEL_DEBUG = 0,
  SHUNT_LOG_LEVEL_INFO = 1,
  SHUNT_LOG_LEVEL_WARNING = 2,
  SHUNT_LOG_LEVEL_ERROR = 3,
};

/* one line of UTF-8 in the daemon's log and in the recording */
__attribute__((import_module("shunt"), import_name("log")))
void shunt_log(int32_t level, const char *text, int32_t length);

/* Marks a function as one of the module's exports, under its own name. */
#define SHUNT_EXPORT(name) __attribute__((export_name(#name)))

#endif
