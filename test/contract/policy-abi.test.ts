// What is generated from plugins/abi.json is what is checked in, and is the layout that was promised.
import { execFileSync } from "node:child_process";
import path from "node:path";
import { expect, test } from "vitest";
import * as abi from "../../host/policy/abi.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");

test("the bindings and the page of the policy ABI are up to date", () => {
  const check = () =>
    execFileSync(process.execPath, ["scripts/policy-abi-generate.ts", "--check"], { cwd: ROOT, stdio: "pipe" });
  expect(check).not.toThrow();
});

// Written down a second time on purpose: within a major version no field ever moves, and a module that was built
// years ago still reads these octets. New fields come where zeros are now, or behind the end.
test("no field of version 1 has moved", () => {
  expect([abi.ABI >> 8, abi.TABLE_SIZE, abi.PATH_SIZE, abi.INTENT_SIZE, abi.PATH_MAX]).toEqual([1, 64, 64, 64, 32]);
  expect(abi.TableOffset).toMatchObject({
    ...{ ABI: 0, HEADER_SIZE: 2, PATH_SIZE: 4, PATH_COUNT: 6, NOW_US: 8, ENTROPY: 16, EVENT: 24, EVENT_PATH_ID: 28 },
    ...{ CLASS_ID: 32, CONNECTIONS: 36, ACKED_BYTES: 40, BATTERY_PERMILLE: 48, POWER: 50 },
    ...{ ACTIVE_PATH_ID: 52, LAST_REFUSAL: 56 },
  });
  expect(abi.PathOffset).toMatchObject({
    ...{ ID: 0, KIND: 4, STATE: 5, FLAGS: 6, LAST_ACK_US: 8, QUOTA_LEFT: 16, ACKED_RATE_KBPS: 24, IN_FLIGHT: 28 },
    ...{ SRTT_US: 32, RTTVAR_US: 36, MIN_RTT_US: 40, LOSS_PPM: 44, COST_MICRO_PER_GB: 48, ENERGY_PER_BYTE: 52 },
    ...{ SIGNAL: 56, SLOPE: 58, SUBFLOWS: 60 },
  });
  expect(abi.IntentOffset).toMatchObject({
    ...{ ABI: 0, REASON: 2, ACTIVE_PATH_ID: 4, STANDBY_MASK: 8, OPEN_MASK: 12, CLOSE_MASK: 16 },
    ...{ DWELL_MS: 20, WAKE_AT_US: 24, WEIGHTS: 32 },
  });
});
