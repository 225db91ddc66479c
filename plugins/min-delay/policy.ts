// min-delay: the path with the shortest round-trip time.
//
// Promise: new data goes by the path whose smoothed round-trip time is shortest, once it is shorter than the present
// one by `margin` and `margin_ms` for `hold_ms`. A path that loses more than `loss_max` comes after those that lose
// less: a retransmission costs more than any difference in delay. A path that was never measured comes after all that
// were, in the class's order of preference. Every usable path is joined, else it cannot be measured.
//
// Why so: the path that carries data has a queue which that data makes, an idle one has none. Compared as they are, the
// data would chase its own queue from path to path. So the active path is judged by the smallest round-trip time of the
// last seconds, which is that of its queue at its emptiest; and each move soon after another doubles the hold, up to
// five minutes. Soon is within three holds, a minute at least; a time as quiet halves it again. So two paths that take
// turns are soon left alone.
import {
  loadState, ownState, pathAt, pathCount, Reason, saveState, setting, Status, table, UNKNOWN_U32,
} from "../sdk/as/policy";
import { active, costOf, rank, settle } from "../sdk/as/ranking";

export { shunt_policy_abi_1, region, init } from "../sdk/as/policy";

/** In the order of policy.json. */
const enum Setting { MARGIN, MARGIN_MS, LOSS_MAX, HOLD_MS, PROBE_MS }

/** Moves of late: how often the hold is doubled. */
@final @unmanaged
class State {
  activeId: u32;
  doublings: u32;
  /** of the last move, or of the last halving */
  changedUs: u64;
}
@inline const TAG: u32 = 0x79616c64;
@inline const QUIET_US: u64 = 60_000_000;
@inline const HOLD_MAX_MS: i64 = 300_000;

@inline const UNMEASURED: i64 = 1 << 33;
@inline const LOSSY: i64 = 1 << 34;

export function save(): i32 {
  return saveState(TAG, offsetof<State>());
}

export function load(length: i32): i32 {
  return loadState(TAG, offsetof<State>(), length);
}

export function decide(): i32 {
  const current = active();
  for (let i = 0, n = pathCount(); i < n; i++) rank(i, rankOf(i, i == current));
  const why: i32 = current >= 0 && costOf(current) >= LOSSY ? Reason.LOSS : Reason.FASTER;
  settle(why, holdMs(), true);
  return Status.OK;
}

function rankOf(index: i32, carries: bool): i64 {
  const path = pathAt(index);
  const lossy = path.lossPpm != UNKNOWN_U32 && <i64>path.lossPpm > setting(Setting.LOSS_MAX) ? LOSSY : 0;
  if (path.srttUs == UNKNOWN_U32) return lossy + UNMEASURED + index;
  if (!carries) return lossy + path.srttUs;
  const emptiest = <i64>min(path.srttUs, path.minRttUs);
  const margin = max(emptiest * setting(Setting.MARGIN) / 1_000_000, setting(Setting.MARGIN_MS) * 1000);
  return lossy + max<i64>(0, emptiest - margin);
}

/** The hold, doubled for every move of late. */
function holdMs(): i64 {
  const state = ownState<State>();
  const now = table().nowUs;
  if (state.changedUs > now) state.changedUs = now;
  const quiet = now - state.changedUs >= max(QUIET_US, 3000 * <u64>doubled(state.doublings));
  if (state.activeId != table().activePathId) {
    if (state.activeId != 0 && !quiet && doubled(state.doublings) < HOLD_MAX_MS) state.doublings += 1;
    state.activeId = table().activePathId;
    state.changedUs = now;
  } else if (quiet && state.doublings > 0) {
    state.doublings -= 1;
    state.changedUs = now;
  }
  return doubled(state.doublings);
}

function doubled(times: u32): i64 {
  return min(max<i64>(1, setting(Setting.HOLD_MS)) << times, HOLD_MAX_MS);
}
