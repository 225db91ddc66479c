// The settings of a class, checked and as the octets a policy reads.
import { Ajv } from "ajv";
import { expect, test } from "vitest";
import { encodeSettings, ownReason, type PolicyManifest, settingsSchema } from "../../../../host/policy/settings.ts";

const MANIFEST: PolicyManifest = {
  name: "example",
  description: "",
  reasons: ["RAINING"],
  settings: [
    { name: "weak_dbm", type: "integer", default: -75, minimum: -120, maximum: 0, unit: "dBm", doc: "" },
    { name: "eager", type: "boolean", default: true, doc: "" },
    { name: "margin", type: "fraction", default: 0.2, doc: "" },
    { name: "home", type: "path", doc: "" },
  ],
};

const ids = (name: string) => ({ wifi: 2, ethernet: 1 })[name];

function numbers(values: Parameters<typeof encodeSettings>[1]): bigint[] {
  return [...new BigInt64Array(encodeSettings(MANIFEST, values, ids).buffer)];
}

test("settings are i64s in the order of the manifest, with its defaults", () => {
  expect(numbers({})).toEqual([-75n, 1n, 200_000n, 0n]);
  expect(numbers({ home: "wifi", eager: false, weak_dbm: -80, margin: 0.333333 })).toEqual([-80n, 0n, 333_333n, 2n]);
});

test("a path that does not exist is named", () => {
  expect(() => numbers({ home: "lte" })).toThrow('home: no path is named "lte"');
});

test("the schema takes what the manifest allows and nothing else", () => {
  const check = new Ajv({ strict: false }).compile(settingsSchema(MANIFEST));
  for (const good of [{}, { weak_dbm: -120, eager: false, margin: 1, home: "wifi" }]) expect(check(good)).toBe(true);
  const bad = [{ weak: 1 }, { weak_dbm: -121 }, { weak_dbm: -75.5 }, { eager: 1 }, { margin: 1.5 }, { home: 2 }];
  for (const settings of bad) expect(check(settings), JSON.stringify(settings)).toBe(false);
});

test("a policy's own reasons have names", () => {
  expect([ownReason(MANIFEST, 256), ownReason(MANIFEST, 257), ownReason(MANIFEST, 8)]).toEqual([
    ...["RAINING", undefined, undefined],
  ]);
});
