// composite: signal, cost and energy, weighed against each other.
//
// Promise: each usable path gets a penalty from 0 to 1 for each measure, and new data goes by the path whose weighted
// mean is lowest, once it has been lower by `margin` for `hold_ms`. Signal: 0 at `good_dbm` and above, 1 at `lost_dbm`,
// judged `ahead_ms` from now by its slope. Cost and energy: 0 if free, 1 for the dearest usable path. What is not known
// counts for nothing, as does energy unless the machine runs on battery. A radio that is expected at `lost_dbm` is left
// at once, and one that nothing but it is left comes after all others.
//
// Why so: penalties are relative to what there is to choose from, so that weights mean the same whatever the currency
// and the radios. Linear ones are crude, but one can say in one's head what they will do. A lost radio is no matter of
// taste: no price makes it worth staying. For one goal alone use the policy that is made for it: it knows more.
import {
  Path, pathAt, pathCount, Power, Reason, setting, Status, table, UNKNOWN_I16, UNKNOWN_U32,
} from "../sdk/as/policy";
import { active, rank, settle, usable } from "../sdk/as/ranking";

export { shunt_policy_abi_1, region, init, save, load } from "../sdk/as/policy";

/** In the order of policy.json. */
const enum Setting { SIGNAL, COST, ENERGY, AHEAD_MS, GOOD_DBM, LOST_DBM, MARGIN, HOLD_MS }

/** 1.0 of a penalty. */
@inline const ONE: i64 = 1_000_000;
/** A lost radio is worse than any sum of penalties. */
@inline const LOST: i64 = 1 << 40;

export function decide(): i32 {
  if (setting(Setting.GOOD_DBM) <= setting(Setting.LOST_DBM)) return Status.BAD_SETTINGS;
  const weights = setting(Setting.SIGNAL) + setting(Setting.COST) + setting(Setting.ENERGY);
  if (weights == 0) return Status.BAD_SETTINGS;
  let dearest: i64 = 0;
  let hungriest: i64 = 0;
  for (let i = 0, n = pathCount(); i < n; i++) {
    if (!usable(pathAt(i))) continue;
    dearest = max(dearest, price(pathAt(i)));
    hungriest = max(hungriest, hunger(pathAt(i)));
  }
  const current = active();
  let alarm = false;
  for (let i = 0, n = pathCount(); i < n; i++) {
    const path = pathAt(i);
    const fading = fade(path);
    const sum = fading * setting(Setting.SIGNAL) + part(price(path), dearest) * setting(Setting.COST)
      + part(hunger(path), hungriest) * setting(Setting.ENERGY);
    const margin = i == current ? setting(Setting.MARGIN) : 0;
    rank(i, sum / weights - margin + (fading >= ONE ? LOST : 0));
    if (i == current && fading >= ONE) alarm = true;
  }
  settle(alarm ? Reason.SIGNAL_FALLING : Reason.SCORE, alarm ? 0 : setting(Setting.HOLD_MS), true);
  return Status.OK;
}

/** 0 … ONE: where between good_dbm and lost_dbm the signal will be. */
function fade(path: Path): i64 {
  if (path.signal == UNKNOWN_I16) return 0;
  // A rise is hope, not measurement: only a fall is extrapolated.
  const slope: i64 = path.slope == UNKNOWN_I16 ? 0 : min<i64>(0, path.slope);
  const expected = <i64>path.signal + (slope * setting(Setting.AHEAD_MS)) / 1000;
  const good = setting(Setting.GOOD_DBM) * 10;
  const lost = setting(Setting.LOST_DBM) * 10;
  return min(max<i64>(0, ((good - expected) * ONE) / (good - lost)), ONE);
}

function price(path: Path): i64 {
  return path.costMicroPerGB == UNKNOWN_U32 ? 0 : path.costMicroPerGB;
}

function hunger(path: Path): i64 {
  return path.energyPerByte == UNKNOWN_U32 || table().power != Power.BATTERY ? 0 : path.energyPerByte;
}

/** 0 … ONE: this value as a part of the largest one. */
function part(value: i64, largest: i64): i64 {
  return largest == 0 ? 0 : min((value * ONE) / largest, ONE);
}
