// signal: leaves a radio before it breaks.
//
// Promise: while another path is usable, data leaves a radio `move_ahead_ms` before level and slope say that it will be
// at `lost_dbm`, or when it gets there by surprise; and it does not return before the radio has been up, at `good_dbm`
// and not falling, for `hold_ms`; one whose level was known when it was left must tell one again. Among good paths the
// class's order of preference decides; paths without a signal (cables, or a driver that never tells) are good as long
// as they are up. If all are bad, the one that will last longest.
//
// Why so: a handover before the break costs the difference of two one-way delays, one after it a retransmission and, if
// not joined yet, a handshake. A wrong alarm costs one move and `hold_ms` on the second choice. So we rather leave too
// early, and what prevents flapping is that the way back is slow. A slope alone is noise: below `slope_noise` it is not
// extrapolated.
import {
  loadState, Path, pathAt, pathCount, PathKind, PathState, Reason, RECORD_MAX, recordOf, saveState, setting, Status,
  table, UNKNOWN_I16,
} from "../sdk/as/policy";
import { active, best, lost, rank, settle } from "../sdk/as/ranking";

export { shunt_policy_abi_1, region, init } from "../sdk/as/policy";

/** In the order of policy.json. */
const enum Setting { LOST_DBM, GOOD_DBM, JOIN_AHEAD_MS, MOVE_AHEAD_MS, HOLD_MS, SLOPE_NOISE, STANDBY }

/** What is remembered of a path: whether it was left as a bad radio, and since when it is good again (0: it is not). */
@final @unmanaged
class Left {
  pathId: u32;
  left: u32;
  goodSinceUs: u64;
}
/** Values of `left`. */
@inline const NOT_LEFT: u32 = 0;
@inline const LEFT: u32 = 1;
/** … and it had a level: if nobody tells one any more, that is no sign of health. */
@inline const LEFT_WITH_LEVEL: u32 = 2;
@inline const TAG: u32 = 0x6c676973;

/** Milliseconds that a path which is not a fading radio will last. */
@inline const FOR_LONG: i64 = 1 << 40;
/** A bad path is worse than any place in the order of preference. */
@inline const BAD: i64 = 1 << 41;
@inline const NOISE_S: i64 = 3;

export function save(): i32 {
  return saveState(TAG, RECORD_MAX * offsetof<Left>());
}

export function load(length: i32): i32 {
  return loadState(TAG, RECORD_MAX * offsetof<Left>(), length);
}

export function decide(): i32 {
  if (setting(Setting.GOOD_DBM) < setting(Setting.LOST_DBM)) return Status.BAD_SETTINGS;
  const current = active();
  let fading = false;
  let why: i32 = Reason.PREFERRED;
  for (let i = 0, n = pathCount(); i < n; i++) {
    const path = pathAt(i);
    const lastsMs = lasts(path);
    const bad = isBad(path, lastsMs);
    // Of two bad ones the one that lasts longer by more than the noise.
    const discount: i64 = i == current ? NOISE_S : 0;
    rank(i, bad ? BAD - lastsMs / 1000 - discount : i);
    if (i != current) continue;
    fading = lastsMs < setting(Setting.JOIN_AHEAD_MS);
    if (bad) why = lastsMs == 0 ? Reason.SIGNAL_WEAK : Reason.SIGNAL_FALLING;
  }
  const leader = best(false);
  if (why == Reason.PREFERRED && leader >= 0 && isRadio(pathAt(leader))) why = Reason.SIGNAL_BACK;
  settle(why, 0, fading || setting(Setting.STANDBY) != 0);
  return Status.OK;
}

function isRadio(path: Path): bool {
  return path.signal != UNKNOWN_I16 || path.kind == PathKind.WIFI || path.kind == PathKind.CELLULAR;
}

/** Milliseconds until this radio is at lost_dbm if it goes on like this. */
function lasts(path: Path): i64 {
  if (path.signal == UNKNOWN_I16) return FOR_LONG;
  const reserve = <i64>path.signal - setting(Setting.LOST_DBM) * 10;
  if (reserve <= 0) return 0;
  const falls: i64 = path.slope == UNKNOWN_I16 ? 0 : -<i64>path.slope;
  return falls < max<i64>(1, setting(Setting.SLOPE_NOISE)) ? FOR_LONG : (reserve * 1000) / falls;
}

/** Bad from the alarm on, until it was good for long enough. */
function isBad(path: Path, lastsMs: i64): bool {
  const radio = recordOf<Left>(path.id);
  const now = table().nowUs;
  // A cable that is plugged in is there; what fell silent, or is behind a portal, must prove itself like a radio.
  const gone = path.state == PathState.DOWN ? isRadio(path) : lost(path);
  const bad = gone || lastsMs <= setting(Setting.MOVE_AHEAD_MS);
  if (!bad && radio.left == NOT_LEFT) return false;
  const told = path.signal != UNKNOWN_I16;
  if (told || radio.left == NOT_LEFT) radio.left = told ? LEFT_WITH_LEVEL : LEFT;
  const weak = told ? <i64>path.signal < setting(Setting.GOOD_DBM) * 10 : radio.left == LEFT_WITH_LEVEL;
  if (bad || weak || lastsMs != FOR_LONG) radio.goodSinceUs = 0;
  else if (radio.goodSinceUs == 0 || radio.goodSinceUs > now) radio.goodSinceUs = now;
  const since = radio.goodSinceUs;
  if (since != 0 && now - since >= <u64>setting(Setting.HOLD_MS) * 1000) radio.left = NOT_LEFT;
  return radio.left != NOT_LEFT;
}
