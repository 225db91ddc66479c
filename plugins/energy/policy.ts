// energy: on battery, as few radios awake as possible, and the one that spends least.
//
// Promise: while the machine discharges below `save_below`, nothing is joined in advance, and data moves to another
// path only if what is likely still to come costs less energy there, waking that radio and `margin` included, for
// `hold_ms`. A short flow so never wakes a second radio. After a move the path left is closed while its radio is still
// awake, so that no stray packet wakes it later. On mains, with enough charge, or if nobody knows: the class's order of
// preference, everything joined.
//
// Why so: a radio's energy is not in its octets alone. After the last one a cellular radio stays at full power for some
// ten seconds, which costs as much as megabytes do (figures for LTE and Wi-Fi as in Huang et al., A Close Examination
// of Performance and Power Characteristics of 4G LTE Networks, MobiSys 2012, at 5 Mbit/s; measure your own and set
// them). A radio within its tail is awake at no cost. What is still to come nobody knows; that it goes on for
// `horizon_ms` at the present rate is the guess that needs no history.
import {
  bit, intent, loadState, ownState, Path, pathAt, pathCount, PathKind, PathState, Power, Reason, saveState, setting,
  Status, table, UNKNOWN_U16, UNKNOWN_U32, UNKNOWN_U64,
} from "../sdk/as/policy";
import { active, rank, settle, usable } from "../sdk/as/ranking";

export { shunt_policy_abi_1, region, init } from "../sdk/as/policy";

/** In the order of policy.json. */
const enum Setting {
  SAVE_BELOW, HORIZON_MS, MARGIN, HOLD_MS, WIFI_NJ, CELLULAR_NJ, WIFI_TAIL_MJ, CELLULAR_TAIL_MJ, WIFI_TAIL_MS,
  CELLULAR_TAIL_MS,
}

@final @unmanaged
class State {
  saving: u32;
}
@inline const TAG: u32 = 0x67726e65;
/** Charge by which a battery must be above save_below before saving ends. */
@inline const AGAIN_PERMILLE: i64 = 50;
/** More than this to come makes no other decision, and no sum overflow. */
@inline const OCTETS_MAX: i64 = 1 << 28;
@inline const QUIET_US: u64 = 1_000_000;

export function save(): i32 {
  return saveState(TAG, offsetof<State>());
}

export function load(length: i32): i32 {
  return loadState(TAG, offsetof<State>(), length);
}

export function decide(): i32 {
  const current = active();
  const saves = saving();
  const octets = current < 0 ? 0 : toCome(pathAt(current));
  for (let i = 0, n = pathCount(); i < n; i++) {
    const path = pathAt(i);
    // Twice the energy, less one where we are: what costs the same is no reason to move.
    if (!saves) rank(i, i);
    else if (i == current) rank(i, 2 * octets * perOctet(path) - 1);
    else rank(i, 2 * withMargin(octets * perOctet(path) + (awake(path) ? 0 : wakingNj(path))));
  }
  const chosen = settle(saves ? Reason.SAVES_ENERGY : Reason.PREFERRED, setting(Setting.HOLD_MS), !saves);
  if (!saves || chosen < 0 || chosen != current) return Status.OK;
  const wanted = intent();
  if (wanted.reason == Reason.KEEP && cheaperPerOctet(current)) wanted.reason = <u16>Reason.SHORT_FLOW;
  wanted.closeMask = leftBehind(current) & ~wanted.standbyMask;
  return Status.OK;
}

/** On battery and low; ends when the charger comes or the charge is well above the limit. */
function saving(): bool {
  const state = ownState<State>();
  const limit = setting(Setting.SAVE_BELOW) / 1000 + (state.saving != 0 ? AGAIN_PERMILLE : 0);
  const charge = table().batteryPermille;
  state.saving = u32(table().power == Power.BATTERY && (charge == UNKNOWN_U16 || <i64>charge < limit));
  return state.saving != 0;
}

/** Octets that this path would carry within the horizon. */
function toCome(path: Path): i64 {
  if (path.ackedRateKbps == UNKNOWN_U32) return 0;
  return min((<i64>path.ackedRateKbps * setting(Setting.HORIZON_MS)) / 8, OCTETS_MAX);
}

/** Nanojoules per octet. */
function perOctet(path: Path): i64 {
  if (path.energyPerByte != UNKNOWN_U32) return path.energyPerByte;
  if (path.kind == PathKind.CELLULAR) return setting(Setting.CELLULAR_NJ);
  return path.kind == PathKind.WIFI ? setting(Setting.WIFI_NJ) : 0;
}

/** Nanojoules that its radio spends on waking up and falling asleep. */
function wakingNj(path: Path): i64 {
  if (path.kind == PathKind.CELLULAR) return setting(Setting.CELLULAR_TAIL_MJ) * 1_000_000;
  return path.kind == PathKind.WIFI ? setting(Setting.WIFI_TAIL_MJ) * 1_000_000 : 0;
}

/** Its radio has not fallen asleep since the last octet. */
function awake(path: Path): bool {
  const tailMs = setting(path.kind == PathKind.CELLULAR ? Setting.CELLULAR_TAIL_MS : Setting.WIFI_TAIL_MS);
  return path.lastAckUs != UNKNOWN_U64 && table().nowUs - path.lastAckUs < <u64>tailMs * 1000;
}

function withMargin(energy: i64): i64 {
  return energy + (energy / 1000) * (setting(Setting.MARGIN) / 1000);
}

/** Whether octets alone would speak for another path than where we are. */
function cheaperPerOctet(current: i32): bool {
  for (let i = 0, n = pathCount(); i < n; i++) {
    if (usable(pathAt(i)) && perOctet(pathAt(i)) < perOctet(pathAt(current))) return true;
  }
  return false;
}

/** Radios that we have left, still awake but quiet for a second: closing them now wakes nothing. */
function leftBehind(current: i32): u32 {
  let mask: u32 = 0;
  for (let i = 0, n = pathCount(); i < n; i++) {
    const path = pathAt(i);
    if (i == current || path.state != PathState.ESTABLISHED || wakingNj(path) == 0 || !awake(path)) continue;
    const quiet = table().nowUs - path.lastAckUs >= QUIET_US && (path.inFlight == 0 || path.inFlight == UNKNOWN_U32);
    if (quiet) mask |= bit(i);
  }
  return mask;
}
