// cost: the cheapest path that is usable.
//
// Promise: new data goes by the path with the lowest price per octet; between equal prices the class's order of
// preference decides. A path of whose quota less than `reserve_mb` remains in this billing period is left at once, and
// until the next period begins it is used only when nothing else is there. A path on which we roam comes after all
// others that are within their quota.
//
// Why so: prices change seldom, so the one thing that could flap is a free path that comes and goes. It must be there
// for `hold_ms` before data moves to it, while losing it takes effect at once. A quota only ever falls, until a period
// ends: its limit needs no second threshold. The reserve is left for what cannot wait: acknowledgements of what is
// already on its way, the joins of other classes, and the provider's idea of what was counted.
import { Path, pathAt, pathCount, PathFlag, Reason, setting, Status, UNKNOWN_U32, UNKNOWN_U64 } from "../sdk/as/policy";
import { active, best, costOf, rank, settle } from "../sdk/as/ranking";

export { shunt_policy_abi_1, region, init, save, load } from "../sdk/as/policy";

/** In the order of policy.json. */
const enum Setting { RESERVE_MB, METERED_PRICE, HOLD_MS, STANDBY }

/** Beyond any price: prices are u32. */
@inline const ROAMING: i64 = 1 << 33;
@inline const USED_UP: i64 = 1 << 34;

export function decide(): i32 {
  for (let i = 0, n = pathCount(); i < n; i++) rank(i, rankOf(pathAt(i)));
  const current = active();
  const leader = best(false);
  const atOnce = current >= 0 && usedUp(pathAt(current));
  let why: i32 = atOnce ? Reason.QUOTA : Reason.CHEAPER;
  if (current < 0 || leader < 0 || costOf(leader) == costOf(current)) why = Reason.PREFERRED;
  settle(why, atOnce ? 0 : setting(Setting.HOLD_MS), setting(Setting.STANDBY) != 0);
  return Status.OK;
}

function rankOf(path: Path): i64 {
  if (usedUp(path)) return USED_UP + price(path);
  return (path.flags & PathFlag.EXPENSIVE) != 0 ? ROAMING + price(path) : price(path);
}

function price(path: Path): i64 {
  if (path.costMicroPerGB != UNKNOWN_U32) return path.costMicroPerGB;
  return (path.flags & PathFlag.METERED) != 0 ? setting(Setting.METERED_PRICE) : 0;
}

function usedUp(path: Path): bool {
  return path.quotaLeft != UNKNOWN_U64 && path.quotaLeft < <u64>setting(Setting.RESERVE_MB) * 1_000_000;
}
