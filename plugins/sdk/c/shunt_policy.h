/*
 * What a policy in C includes, once, in its one source file: the ABI's regions and exports, and access to them. The
 * policy itself adds
 *
 *   SHUNT_EXPORT(decide) int32_t decide(void) { ... return SHUNT_STATUS_OK; }
 *
 * No C library: clang --target=wasm32 -ffreestanding -nostdlib (plugins/sdk/build.ts has the whole line).
 */
#ifndef SHUNT_POLICY_H
#define SHUNT_POLICY_H

#include "shunt_policy_abi.h"

/* Room for records of twice today's size: a later minor version may give longer ones. */
static _Alignas(8) unsigned char shunt_config[SHUNT_SETTING_MAX * 8];
static _Alignas(8) unsigned char shunt_table_room[128 + SHUNT_PATH_MAX * 128];
static _Alignas(8) unsigned char shunt_intent_room[128];
static _Alignas(8) unsigned char shunt_state_room[SHUNT_STATE_SIZE_MAX];
static int32_t shunt_settings;

SHUNT_EXPORT(shunt_policy_abi_1) int32_t shunt_policy_abi_1(void) { return SHUNT_ABI & 0xff; }

SHUNT_EXPORT(region) int32_t region(int32_t kind, int32_t size) {
  switch (kind) {
  case SHUNT_REGION_CONFIG:
    return size <= (int32_t)sizeof shunt_config ? (int32_t)shunt_config : 0;
  case SHUNT_REGION_TABLE:
    return size <= (int32_t)sizeof shunt_table_room ? (int32_t)shunt_table_room : 0;
  case SHUNT_REGION_INTENT:
    return size <= (int32_t)sizeof shunt_intent_room ? (int32_t)shunt_intent_room : 0;
  case SHUNT_REGION_STATE:
    return size <= (int32_t)sizeof shunt_state_room ? (int32_t)shunt_state_room : 0;
  default:
    return 0;
  }
}

SHUNT_EXPORT(init) int32_t init(int32_t config_length) {
  shunt_settings = config_length / 8;
  return SHUNT_STATUS_OK;
}

/* The setting at this place in policy.json's list; 0 if the host gave fewer. */
static inline int64_t shunt_setting(int32_t index) {
  return index < shunt_settings ? ((const int64_t *)shunt_config)[index] : 0;
}

static inline const struct shunt_table *shunt_table(void) { return (const struct shunt_table *)shunt_table_room; }

/* Path record `index`, which is below path_count. Records may be longer than we know. */
static inline const struct shunt_path *shunt_path(int32_t index) {
  const struct shunt_table *table = shunt_table();
  return (const struct shunt_path *)(shunt_table_room + table->header_size + index * table->path_size);
}

/* The intent, which the host has zeroed, with the version filled in. */
static inline struct shunt_intent *shunt_intent(void) {
  struct shunt_intent *intent = (struct shunt_intent *)shunt_intent_room;
  intent->abi = SHUNT_ABI;
  return intent;
}

/* The policy's own state: an object of at most SHUNT_STATE_SIZE_MAX octets that save() hands on to its successor. */
#define SHUNT_STATE(type) ((type *)shunt_state_room)

#endif
