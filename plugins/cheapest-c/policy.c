/*
 * cheapest-c: the usable path of the lowest price, in C.
 *
 * Promise: new data goes by the established path of the lowest price, the first of equals, once a cheaper one has
 * been there for `hold_ms`; a path that is lost or to be left is left at once. Every usable path is joined. What
 * `cost` knows beyond that (quotas, roaming, prices that nobody has told) is left to it: this one shows how little
 * it takes.
 */
#include "shunt_policy.h"

enum setting { HOLD_MS };

/* Since when another path is cheaper. */
struct state {
  uint32_t tag;
  uint32_t leader_id;
  uint64_t since_us;
};
#define TAG 0x63706863u

static int lost(const struct shunt_path *path) {
  return path->state == SHUNT_PATH_STATE_DOWN || path->state == SHUNT_PATH_STATE_STALE ||
         (path->flags & SHUNT_PATH_FLAG_CAPTIVE);
}

static int usable(const struct shunt_path *path) { return !lost(path) && !(path->flags & SHUNT_PATH_FLAG_DRAINING); }

/* Paths that the operator keeps for emergencies come after all prices; an unknown price is none. */
static uint64_t price(const struct shunt_path *path) {
  uint64_t reserve = path->flags & SHUNT_PATH_FLAG_BACKUP ? UINT64_C(1) << 32 : 0;
  return reserve + (path->cost_micro_per_gb == SHUNT_UNKNOWN_U32 ? 0 : path->cost_micro_per_gb);
}

/* The cheapest path that is usable and at least in this state; -1 = none. */
static int32_t cheapest(enum shunt_path_state state) {
  int32_t found = -1;
  for (int32_t i = 0; i < shunt_table()->path_count; i++) {
    if (!usable(shunt_path(i)) || shunt_path(i)->state < state) continue;
    if (found < 0 || price(shunt_path(i)) < price(shunt_path(found))) found = i;
  }
  return found;
}

static int32_t tell(int32_t index, enum shunt_reason reason) {
  struct shunt_intent *intent = shunt_intent();
  intent->active_path_id = index < 0 ? SHUNT_UNKNOWN_U32 : shunt_path(index)->id;
  intent->reason = reason;
  for (int32_t i = 0; i < shunt_table()->path_count; i++)
    if (i != index && usable(shunt_path(i))) intent->standby_mask |= UINT32_C(1) << i;
  return SHUNT_STATUS_OK;
}

SHUNT_EXPORT(decide) int32_t decide(void) {
  const struct shunt_table *table = shunt_table();
  struct state *state = SHUNT_STATE(struct state);
  const uint64_t hold_us = (uint64_t)shunt_setting(HOLD_MS) * 1000;
  int32_t current = -1;
  for (int32_t i = 0; i < table->path_count; i++)
    if (shunt_path(i)->id == table->active_path_id) current = i;
  int32_t ready = cheapest(SHUNT_PATH_STATE_ESTABLISHED);
  int32_t target = ready < 0 ? cheapest(SHUNT_PATH_STATE_UP) : ready;

  if (current >= 0 && (shunt_path(current)->flags & SHUNT_PATH_FLAG_PINNED)) return tell(current, SHUNT_REASON_KEEP);
  if (current < 0) return tell(target, target < 0 ? SHUNT_REASON_NO_PATH : SHUNT_REASON_CHEAPER);
  if (table->event == SHUNT_EVENT_REFUSED) {
    state->leader_id = 0;
    return tell(lost(shunt_path(current)) ? -1 : current, SHUNT_REASON_HOLDING);
  }
  if (lost(shunt_path(current))) return tell(target, target < 0 ? SHUNT_REASON_NO_PATH : SHUNT_REASON_PATH_LOST);
  if (!usable(shunt_path(current))) return tell(ready < 0 ? current : ready, SHUNT_REASON_DRAIN);
  if (ready < 0 || price(shunt_path(ready)) >= price(shunt_path(current))) {
    state->leader_id = 0;
    return tell(current, SHUNT_REASON_KEEP);
  }
  if (state->leader_id != shunt_path(ready)->id || state->since_us > table->now_us) {
    state->leader_id = shunt_path(ready)->id;
    state->since_us = table->now_us;
  }
  if (table->now_us - state->since_us >= hold_us) return tell(ready, SHUNT_REASON_CHEAPER);
  shunt_intent()->wake_at_us = state->since_us + hold_us;
  return tell(current, SHUNT_REASON_HOLDING);
}

SHUNT_EXPORT(save) int32_t save(void) {
  SHUNT_STATE(struct state)->tag = TAG;
  return sizeof(struct state);
}

SHUNT_EXPORT(load) int32_t load(int32_t length) {
  struct state *state = SHUNT_STATE(struct state);
  if (length == sizeof(struct state) && state->tag == TAG) return SHUNT_STATUS_OK;
  state->leader_id = 0;
  return SHUNT_STATUS_OK;
}
